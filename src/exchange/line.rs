//! How each line of the log begins. docs/runbook.md explains them, and a test compares.

/// A line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A configuration is in force.
    Accepted,
    /// A configuration is not taken. What was in force stays.
    ConfigurationRefused,
    /// A setting of a configuration that is in force has no effect.
    SettingWithoutEffect,
    /// A request is answered in the upstream's place.
    RequestRefused,
    /// The head of a refused request could not be made to name who was identified.
    TenantNotNamed,
    /// A refusal could not be sent.
    RequestCutOff,
    /// An answer is replaced by an error object.
    AnswerWithheld,
    /// An answer ends where it could not be read any more.
    AnswerCutShort,
    /// An answer is reset.
    AnswerCutOff,
    /// Messages of the upstream are replaced.
    MessagesWithheld,
    /// A configuration that is in force does not isolate tenants.
    DryRun,
    /// A request in dry run is forwarded, and would be answered in the upstream's place.
    RequestWouldBeRefused,
}

impl Line {
    /// All of them, in the order of the enum.
    pub const ALL: [Line; 12] = [
        Line::Accepted,
        Line::ConfigurationRefused,
        Line::SettingWithoutEffect,
        Line::RequestRefused,
        Line::TenantNotNamed,
        Line::RequestCutOff,
        Line::AnswerWithheld,
        Line::AnswerCutShort,
        Line::AnswerCutOff,
        Line::MessagesWithheld,
        Line::DryRun,
        Line::RequestWouldBeRefused,
    ];

    /// How it begins; what follows stands behind a colon.
    pub fn begin(self) -> &'static str {
        match self {
            Line::Accepted => concat!("promql-tenancy-filter ", env!("CARGO_PKG_VERSION"), ": configuration accepted"),
            Line::ConfigurationRefused => "configuration refused",
            Line::SettingWithoutEffect => "setting without effect",
            Line::RequestRefused => "request refused",
            Line::TenantNotNamed => "a refused request goes by the tenant that the client named",
            Line::RequestCutOff => "request cut off",
            Line::AnswerWithheld => "answer withheld",
            Line::AnswerCutShort => "answer cut short",
            Line::AnswerCutOff => "answer cut off",
            Line::MessagesWithheld => "messages withheld",
            Line::DryRun => "dry run: tenants are not isolated",
            Line::RequestWouldBeRefused => "request would be refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Line;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_list_is_whole() {
        for (at, line) in Line::ALL.into_iter().enumerate() {
            // Without a wildcard, so that a new line does not compile until it has a place in the list.
            let place = match line {
                Line::Accepted => 0,
                Line::ConfigurationRefused => 1,
                Line::SettingWithoutEffect => 2,
                Line::RequestRefused => 3,
                Line::TenantNotNamed => 4,
                Line::RequestCutOff => 5,
                Line::AnswerWithheld => 6,
                Line::AnswerCutShort => 7,
                Line::AnswerCutOff => 8,
                Line::MessagesWithheld => 9,
                Line::DryRun => 10,
                Line::RequestWouldBeRefused => 11,
            };
            assert_eq!(place, at, "{line:?}");
        }
    }
}
