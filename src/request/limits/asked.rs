//! What a request asks for, as far as limits need it.

use super::Rejection;
use crate::api::{Kind, Parameter};
use crate::go::time::{self, SourceResolution};
use crate::promql::Query;
use crate::text;

/// A request's parameters. Go's reading: an empty value is absent, but hides the one in the URL.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    query: Option<Vec<u8>>,
    selectors: Vec<Vec<u8>>,
    pub(super) time: Option<Vec<u8>>,
    pub(super) start: Option<Vec<u8>>,
    pub(super) end: Option<Vec<u8>>,
    pub(super) step: Option<Vec<u8>>,
    pub(super) lookback: Option<Vec<u8>>,
    pub(super) resolution: Option<Vec<u8>>,
}

impl Asked {
    /// Notes a parameter, and says whether it is held back until `settle` writes it.
    pub fn takes(&mut self, parameter: &Parameter, value: &[u8]) -> bool {
        let (place, is_held) = match (parameter.kind, parameter.name) {
            (Kind::Query, _) => (&mut self.query, false),
            (Kind::Selector, _) => {
                self.selectors.push(value.to_vec());
                return false;
            }
            (Kind::Time, "time") => (&mut self.time, true),
            (Kind::Time, "start") => (&mut self.start, true),
            (Kind::Time, "end") => (&mut self.end, true),
            // Where it is empty, the upstream's default would count before one that is written behind it.
            (Kind::Duration, "step") => (&mut self.step, value.is_empty()),
            (Kind::Duration, "lookback_delta") => (&mut self.lookback, false),
            (Kind::Duration, "max_source_resolution") => (&mut self.resolution, true),
            (Kind::Duration, "timeout" | "max_query_duration") => return false,
            // A time that nobody has thought of might move what is read: it does not go on. The table has none, as the test below holds.
            (Kind::Time | Kind::Duration, _) => return true,
            (
                Kind::Expression
                | Kind::Integer
                | Kind::Boolean
                | Kind::Word
                | Kind::Statistics
                | Kind::Text
                | Kind::ReplicaLabel
                | Kind::StoreSelector,
                _,
            ) => return false,
        };
        *place = Some(value.to_vec());
        is_held
    }

    /// What is asked with a form, where `url` stands in the URL.
    pub fn over(self, url: &Asked) -> Asked {
        let or = |form: Option<Vec<u8>>, url: &Option<Vec<u8>>| form.or_else(|| url.clone());
        Asked {
            query: or(self.query, &url.query),
            selectors: [self.selectors, url.selectors.clone()].concat(),
            time: or(self.time, &url.time),
            start: or(self.start, &url.start),
            end: or(self.end, &url.end),
            step: or(self.step, &url.step),
            lookback: or(self.lookback, &url.lookback),
            resolution: or(self.resolution, &url.resolution),
        }
    }

    /// The queries and selectors.
    pub(super) fn texts(&self) -> Vec<&[u8]> {
        let query = self.query.as_deref().filter(|query| !query.is_empty());
        query.into_iter().chain(self.selectors.iter().map(Vec::as_slice)).collect()
    }

    pub(super) fn lacks_query(&self) -> bool {
        self.query.as_ref().is_none_or(Vec::is_empty)
    }

    /// The same, read. They have been read before, but where queries are not rewritten.
    pub(super) fn parse(&self) -> Result<Vec<Query<'_>>, Rejection> {
        let query = self.query.as_deref().filter(|query| !query.is_empty());
        let query = query.map(|query| Query::parse(query).map_err(|error| Rejection::Query("query", error)));
        let selectors = self
            .selectors
            .iter()
            .map(|selector| Query::parse_selector(selector).map_err(|error| Rejection::Query("match[]", error)));
        query.into_iter().chain(selectors).collect()
    }

    /// A time in milliseconds; `None` where it is absent.
    pub(super) fn instant(&self, name: &'static str, value: &Option<Vec<u8>>) -> Result<Option<i64>, Rejection> {
        read(name, value, time::instant)
    }

    /// A duration in nanoseconds; `None` where it is absent.
    pub(super) fn duration(&self, name: &'static str, value: &Option<Vec<u8>>) -> Result<Option<i64>, Rejection> {
        read(name, value, time::duration)
    }

    /// `max_source_resolution`, as the client says it.
    pub(super) fn source_resolution(&self) -> Result<Option<SourceResolution>, Rejection> {
        read("max_source_resolution", &self.resolution, time::source_resolution)
    }

    /// How coarse the data may be that Thanos reads, in milliseconds.
    pub(super) fn resolution(&self, is_instant: bool, step_ms: i64) -> Result<i64, Rejection> {
        const COARSEST: i64 = 3_600_000;
        Ok(match self.source_resolution()? {
            Some(SourceResolution::Most(milliseconds)) => milliseconds,
            // A flag of Thanos's says what it means for an instant query. For a range query, it is a fifth of the step, but a query
            // frontend asks once more for coarser data where there are none (`downsampled` in pkg/queryfrontend, 0.42.5).
            Some(SourceResolution::Auto) => COARSEST,
            // An instant query is made to say that it means raw data.
            None if is_instant => 0,
            // With `--query.auto-downsampling`.
            None => step_ms / 5,
        })
    }
}

fn read<T>(
    name: &'static str,
    value: &Option<Vec<u8>>,
    reader: fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, Rejection> {
    match value.as_deref() {
        None | Some(b"") => Ok(None),
        Some(value) => reader(value).map(Some).ok_or_else(|| Rejection::Value(name, text::quote(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::TABLE;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_time_of_the_table_is_known() {
        let times = TABLE.iter().flat_map(|route| route.parameters);
        let mut seen = 0;
        for parameter in times.filter(|parameter| matches!(parameter.kind, Kind::Time | Kind::Duration)) {
            let mut asked = Asked::default();
            let is_held = asked.takes(parameter, b"1");
            let kept = [asked.time, asked.start, asked.end, asked.step, asked.lookback, asked.resolution];
            let is_noted = kept.iter().flatten().count() == 1;
            // What is held and not noted would never go on.
            assert!(is_noted || !is_held, "{}", parameter.name);
            assert!(is_noted || ["timeout", "max_query_duration"].contains(&parameter.name), "{}", parameter.name);
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }
}
