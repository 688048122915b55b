//! Which of the tenant's limits a message of the upstream is about, where the filter told the upstream of that limit.
//!
//! The upstream's words name no limit, or its own. The tenant's is written behind them: `query would load too many series into memory
//! in expression evaluation (your limit max_fetched_series_per_query is 1000)`.

use crate::limits::Limit;
use std::sync::Arc;

/// The limits that the upstream was told of and that on the answer's length, with their values; empty for most requests.
#[derive(Debug, Clone, Default)]
pub struct Notes(Option<Arc<Vec<(Limit, i64)>>>);

/// How the messages begin. Prometheus 3.16: promql/engine.go and web/api/v1/api.go. Thanos 0.42.5 says what its engine, or the deadline, says.
const ABOUT: &[(&[u8], Limit)] = &[
    (b"query timed out in ", Limit::Timeout),
    (b"context deadline exceeded", Limit::Timeout),
    (b"expanding series: context deadline exceeded", Limit::Timeout),
    (b"results truncated due to limit", Limit::ReturnedItems),
    (b"query would load too many series into memory in ", Limit::FetchedSeries),
    (b"query would read too many samples in ", Limit::Samples),
];

impl Notes {
    /// The limits with their values.
    pub fn new(limits: Vec<(Limit, i64)>) -> Notes {
        Notes((!limits.is_empty()).then(|| limits.into()))
    }

    /// How long the answer may be.
    pub fn max_size(&self) -> Option<i64> {
        self.0.as_ref()?.iter().find(|(limit, _)| *limit == Limit::ResponseSize).map(|(_, value)| *value)
    }

    /// The message with the limit that it is about, if it is about one and has room for it.
    pub fn with_limit(&self, message: &[u8], room: usize) -> Option<Vec<u8>> {
        let limits = self.0.as_ref()?;
        let (_, about) = ABOUT.iter().find(|(beginning, _)| message.starts_with(beginning))?;
        let (limit, value) = limits.iter().find(|(limit, _)| limit == about)?;
        let allowed = limit.unit().write(*value);
        let said = [message, b" (your limit ", limit.name().as_bytes(), b" is ", allowed.as_bytes(), b")"].concat();
        (said.len() <= room).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_message_about_a_limit_that_was_written_names_it() {
        let notes = Notes::new(vec![(Limit::Timeout, 30_000), (Limit::FetchedSeries, 100)]);
        for (message, said) in [
            ("query timed out in query execution", Some(" (your limit query_timeout is 30s)")),
            (
                "query would load too many series into memory in expression evaluation",
                Some(" (your limit max_fetched_series_per_query is 100)"),
            ),
            // The tenant has no such limit, and the message is about something else.
            ("query would read too many samples in expression evaluation", None),
            ("query was canceled in query execution", None),
        ] {
            let found = notes.with_limit(message.as_bytes(), 500);
            assert_eq!(found, said.map(|said| [message, said].concat().into_bytes()), "{message}");
            assert_eq!(notes.with_limit(message.as_bytes(), message.len()), None, "there is no room");
            assert_eq!(Notes::default().with_limit(message.as_bytes(), 500), None);
        }
    }
}
