//! What a request asks for, as far as limits depend on it: its expressions, and its times as the client wrote them.
//!
//! An expression is parsed once. Where it is rewritten, the rewriter hands over the parsed query. Where it is not (its rewritten text
//! was remembered, or nothing is enforced), [`Requested::parse`] parses it.

use super::refusal::Refusal;
use crate::api::parameters::{LOOKBACK_DELTA, MATCH, MAX_SOURCE_RESOLUTION, QUERY};
use crate::api::{Cap, Kind, Moment, Parameter, SourceResolution, Span};
use crate::go::time;
use crate::promql::{Query, Reading};
use crate::text;
use std::sync::Arc;

/// Expressions of the URL that are longer together are not kept in parsed form while their form is awaited: the parsed form is many
/// times as large as the text, and a client may take as long as it likes to send its form.
const MAX_KEPT: usize = 4 << 10;

/// A request's parameters. Go's reading: an empty value is absent, but hides the one in the URL.
#[derive(Debug, Clone, Default)]
pub struct Requested {
    query: Option<Expression>,
    selectors: Vec<Expression>,
    pub(super) time: Option<Vec<u8>>,
    pub(super) start: Option<Vec<u8>>,
    pub(super) end: Option<Vec<u8>>,
    pub(super) step: Option<Vec<u8>>,
    pub(super) lookback: Option<Vec<u8>>,
    pub(super) resolution: Option<Vec<u8>>,
    caps: [Option<Vec<u8>>; Cap::COUNT],
}

#[derive(Debug, Clone)]
enum Expression {
    Parsed(Arc<Query<'static>>),
    Text(Vec<u8>),
}

impl Expression {
    fn new(value: &[u8], parsed: Option<Query<'static>>) -> Self {
        parsed.map_or_else(|| Expression::Text(value.to_vec()), |query| Expression::Parsed(Arc::new(query)))
    }

    fn text(&self) -> &[u8] {
        match self {
            Expression::Parsed(query) => query.text(),
            Expression::Text(text) => text,
        }
    }

    fn forget_query(&mut self) {
        if let Expression::Parsed(query) = self {
            *self = Expression::Text(query.text().to_vec());
        }
    }

    fn parse(&mut self, name: &'static str, reading: Reading) -> Result<Arc<Query<'static>>, Refusal> {
        match self {
            Expression::Parsed(query) => Ok(query.clone()),
            Expression::Text(text) => {
                let query = Query::parse_owned(std::mem::take(text), reading);
                let query = Arc::new(query.map_err(|error| Refusal::Query(name, error))?);
                *self = Expression::Parsed(query.clone());
                Ok(query)
            }
        }
    }
}

impl Requested {
    /// Takes note of a parameter, with its expression in parsed form where there is one. Returns whether the parameter is not
    /// forwarded now, because [`RequestLimits::decide`] writes it later.
    ///
    /// [`RequestLimits::decide`]: super::RequestLimits::decide
    pub fn take(&mut self, parameter: &Parameter, value: &[u8], parsed: Option<Query<'static>>) -> bool {
        let (slot, is_written_later) = match parameter.kind {
            Kind::Query | Kind::Expression => {
                self.query = Some(Expression::new(value, parsed));
                return false;
            }
            Kind::Selector => {
                self.selectors.push(Expression::new(value, parsed));
                return false;
            }
            Kind::Time(Moment::Evaluation) => (&mut self.time, true),
            Kind::Time(Moment::Start) => (&mut self.start, true),
            Kind::Time(Moment::End) => (&mut self.end, true),
            // If an empty step were forwarded, the upstream's default would count before the step that is written behind it.
            Kind::Duration(Span::Step) => (&mut self.step, value.is_empty()),
            Kind::Duration(Span::Lookback) => (&mut self.lookback, false),
            Kind::Duration(Span::SourceResolution) => (&mut self.resolution, true),
            Kind::Capped(cap) => match self.caps.get_mut(cap as usize) {
                Some(slot) => (slot, true),
                None => return false,
            },
            Kind::Duration(Span::Cost)
            | Kind::Integer
            | Kind::Boolean
            | Kind::Word
            | Kind::Statistics
            | Kind::Text
            | Kind::SearchTerm
            | Kind::LabelName
            | Kind::ReplicaLabel
            | Kind::Part
            | Kind::StoreSelector => return false,
        };
        *slot = Some(value.to_vec());
        is_written_later
    }

    /// What is kept of the URL's parameters until the form is whole.
    pub fn kept(mut self) -> Requested {
        if self.texts().map(<[u8]>::len).fold(0, usize::saturating_add) > MAX_KEPT {
            self.query.iter_mut().chain(&mut self.selectors).for_each(Expression::forget_query);
        }
        self
    }

    /// What is asked for with a form, where `url` stands in the URL.
    pub fn over(self, url: &Requested) -> Requested {
        let or = |form: Option<Vec<u8>>, url: &Option<Vec<u8>>| form.or_else(|| url.clone());
        Requested {
            query: self.query.or_else(|| url.query.clone()),
            selectors: [self.selectors, url.selectors.clone()].concat(),
            time: or(self.time, &url.time),
            start: or(self.start, &url.start),
            end: or(self.end, &url.end),
            step: or(self.step, &url.step),
            lookback: or(self.lookback, &url.lookback),
            resolution: or(self.resolution, &url.resolution),
            caps: {
                let [time, items, series, samples] = self.caps;
                let [of_time, of_items, of_series, of_samples] = &url.caps;
                [or(time, of_time), or(items, of_items), or(series, of_series), or(samples, of_samples)]
            },
        }
    }

    /// The texts of the query and the selectors.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let query = self.query.iter().filter(|query| !query.text().is_empty());
        query.chain(&self.selectors).map(Expression::text)
    }

    pub(super) fn has_query(&self) -> bool {
        self.query.as_ref().is_some_and(|query| !query.text().is_empty())
    }

    /// The query and the selectors, in parsed form.
    pub(super) fn parse(&mut self) -> Result<Vec<Arc<Query<'static>>>, Refusal> {
        let query = self.query.iter_mut().filter(|query| !query.text().is_empty());
        let query = query.map(|query| query.parse(QUERY.name, Reading::Expression));
        let selectors = self.selectors.iter_mut().map(|selector| selector.parse(MATCH.name, Reading::Selector));
        query.chain(selectors).collect()
    }

    /// A time in milliseconds; `None` where it is absent.
    pub(super) fn instant(parameter: &Parameter, value: &Option<Vec<u8>>) -> Result<Option<i64>, Refusal> {
        read(parameter, value, time::instant)
    }

    /// A duration in nanoseconds; `None` where it is absent.
    pub(super) fn duration(parameter: &Parameter, value: &Option<Vec<u8>>) -> Result<Option<i64>, Refusal> {
        read(parameter, value, time::duration)
    }

    /// What the client asks the upstream to hold the request to.
    pub(super) fn cap(&self, cap: Cap) -> Option<&[u8]> {
        self.caps.get(cap as usize)?.as_deref()
    }

    /// The request's own lookback, in milliseconds; 0 where it has none.
    pub(super) fn lookback_ms(&self) -> Result<i64, Refusal> {
        Ok(Requested::duration(&LOOKBACK_DELTA, &self.lookback)?.unwrap_or(0) / 1_000_000)
    }

    /// `max_source_resolution`, as the client wrote it.
    pub(super) fn source_resolution(&self) -> Result<Option<SourceResolution>, Refusal> {
        read(&MAX_SOURCE_RESOLUTION, &self.resolution, SourceResolution::read)
    }
}

fn read<T>(
    parameter: &Parameter,
    value: &Option<Vec<u8>>,
    reader: fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    match value.as_deref() {
        None | Some(b"") => Ok(None),
        Some(value) => reader(value).map(Some).ok_or_else(|| Refusal::Value(parameter.name, text::quote(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::PARSED;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn long_expressions_are_not_kept_in_parsed_form() {
        for (length, again) in [(MAX_KEPT, 0), (MAX_KEPT + 1, 1)] {
            let text = "a".repeat(length).into_bytes();
            let mut requested = Requested::default();
            let query = Query::parse_owned(text.clone(), Reading::Expression).unwrap();
            requested.take(&QUERY, &text, Some(query));
            let before = PARSED.get();
            let mut kept = Requested::default().over(&requested.kept());
            assert_eq!(kept.parse().unwrap()[0].text(), text);
            assert_eq!(PARSED.get() - before, again, "{length}");
        }
    }
}
