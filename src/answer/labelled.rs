//! The answers whose parts have labels that say whose they are.

/// What has labels that say whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelled {
    /// Groups of rules.
    Rules {
        /// Rules that are nobody's are kept with the alerts in them that are the tenant's.
        shared: bool,
        /// The request asked for some of them only, so that groups may have lost rules on the way here.
        narrowed: bool,
    },
    /// Alerts.
    Alerts,
    /// Groups of rules, of which a list of the alerts in them is made.
    AlertsOfRules,
    /// Exemplars.
    Exemplars,
}

impl Labelled {
    /// The member of `data` that holds the list.
    pub fn list(self) -> &'static str {
        match self {
            Labelled::Rules { .. } | Labelled::AlertsOfRules => "groups",
            Labelled::Alerts | Labelled::Exemplars => "alerts",
        }
    }

    /// The member of `data` that is written in its place, no longer than what came.
    pub fn written_list(self) -> &'static str {
        match self {
            Labelled::AlertsOfRules => "alerts",
            Labelled::Rules { .. } | Labelled::Alerts | Labelled::Exemplars => self.list(),
        }
    }

    /// The member that holds the labels of an item.
    pub fn labels(self) -> &'static str {
        match self {
            Labelled::Rules { .. } | Labelled::Alerts | Labelled::AlertsOfRules => "labels",
            Labelled::Exemplars => "seriesLabels",
        }
    }
}
