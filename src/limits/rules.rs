//! Queries that are refused by what they are: `blocked_queries` (Mimir) and `query_rejection` (Cortex).

use crate::pattern::{MAX_STEPS, Pattern};
use crate::promql::Query;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

/// The text with which a query is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// The tokens of a query. White space and comments don't count.
    Tokens(Vec<u8>),
    /// A pattern.
    Pattern(Pattern),
}

/// From the least to the most, in milliseconds; 0 is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Between {
    /// At least this.
    pub min: i64,
    /// At most this.
    pub max: i64,
}

/// An entry of `blocked_queries`. All that is set has to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// `pattern`, with `regex`.
    pub text: Option<Text>,
    /// `reason`; may be empty.
    pub reason: String,
    /// `time_range_longer_than`, in milliseconds; 0: not set.
    pub longer_than: i64,
    /// `minimum_step_size`, in milliseconds; 0: not set.
    pub least_step: i64,
    /// `unaligned_range_queries`.
    pub unaligned: bool,
}

/// An entry of `query_rejection.query_attributes`. All that is set has to apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `api_type`: the handler.
    pub api_type: Option<&'static str>,
    /// `regex`: of the query, or of one of the selectors.
    pub regex: Option<Pattern>,
    /// `time_window`: the data that is read is not older than the first and not younger than the second, before now.
    pub window: Option<Between>,
    /// `time_range_limit`: from the oldest to the youngest data that is read.
    pub range: Option<Between>,
    /// `query_step_limit`, of range queries.
    pub step: Option<Between>,
    /// `user_agent_regex`.
    pub user_agent: Option<Pattern>,
    /// `dashboard_uid`, of queries.
    pub dashboard: Option<String>,
    /// `panel_id`, of queries.
    pub panel: Option<String>,
}

/// What rules compare: the request as it came.
#[derive(Debug, Default)]
pub struct RuleInput<'a> {
    /// The `handler` of the request's row.
    pub handler: &'static str,
    /// The endpoint evaluates queries.
    pub is_query: bool,
    /// The queries or selectors, as the client wrote them.
    pub queries: &'a [Arc<Query<'static>>],
    /// From `start` to `end`, in milliseconds; `None` for an instant query, or where one is absent.
    pub range: Option<(i64, i64)>,
    /// The step of a range query, in milliseconds.
    pub step: Option<i64>,
    /// The data that is read; `None` where that is not known.
    pub samples: Option<(i64, i64)>,
    /// The current time, in milliseconds since 1970.
    pub now: i64,
    /// `user-agent`.
    pub user_agent: &'a [u8],
    /// `x-dashboard-uid`.
    pub dashboard: &'a [u8],
    /// `x-panel-id`.
    pub panel: &'a [u8],
    /// What the rules share.
    pub comparisons: Comparisons,
}

/// What all comparisons of one request share: the bound on their cost, and the queries in the forms that rules compare.
#[derive(Debug)]
pub struct Comparisons {
    /// How many steps patterns may still take.
    steps: Cell<u32>,
    /// The queries as patterns see them: without comments and with single spaces.
    readable: OnceCell<Vec<String>>,
    /// The tokens of the queries.
    tokens: OnceCell<Vec<Vec<u8>>>,
}

impl Default for Comparisons {
    fn default() -> Self {
        Comparisons { steps: Cell::new(MAX_STEPS), readable: OnceCell::new(), tokens: OnceCell::new() }
    }
}

/// Whether a rule applies to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// It applies.
    Yes,
    /// It does not apply.
    No,
    /// Comparing would take too long.
    TooCostly,
}

impl From<bool> for Applies {
    fn from(is: bool) -> Self {
        if is { Applies::Yes } else { Applies::No }
    }
}

impl Pattern {
    fn applies_to(&self, text: &str, input: &RuleInput<'_>) -> Applies {
        self.matches(text, &input.comparisons.steps).map_or(Applies::TooCostly, Applies::from)
    }

    /// Whether one of the queries matches, written without comments and with single spaces.
    fn applies_to_queries(&self, input: &RuleInput<'_>) -> Applies {
        let readable = |query: &Query<'_>| String::from_utf8_lossy(&query.plain(false)).into_owned();
        let texts =
            input.comparisons.readable.get_or_init(|| input.queries.iter().map(|query| readable(query)).collect());
        // The first query that is not known to differ decides.
        texts.iter().map(|text| self.applies_to(text, input)).find(|one| *one != Applies::No).unwrap_or(Applies::No)
    }
}

impl Blocked {
    /// Whether the request is one of these.
    pub fn applies(&self, input: &RuleInput<'_>) -> Applies {
        let length = input.range.map_or(0, |(start, end)| end.saturating_sub(start));
        if self.longer_than > 0 && length <= self.longer_than {
            return Applies::No;
        }
        if self.least_step > 0 && input.step.is_none_or(|step| step >= self.least_step) {
            return Applies::No;
        }
        if self.unaligned {
            let is_aligned = |(start, end): (i64, i64), step: i64| {
                start.checked_rem(step).unwrap_or(0) == 0 && end.checked_rem(step).unwrap_or(0) == 0
            };
            match (input.range, input.step) {
                (Some(range), Some(step)) if !is_aligned(range, step) => {}
                _ => return Applies::No,
            }
        }
        match &self.text {
            None => Applies::Yes,
            Some(Text::Tokens(tokens)) => {
                let all = input
                    .comparisons
                    .tokens
                    .get_or_init(|| input.queries.iter().map(|query| query.plain(true)).collect());
                all.contains(tokens).into()
            }
            Some(Text::Pattern(pattern)) => pattern.applies_to_queries(input),
        }
    }
}

impl Attributes {
    /// Whether they depend on what time it is.
    pub fn need_the_time(&self) -> bool {
        self.window.is_some() || self.range.is_some()
    }

    /// Whether the request has all of them.
    pub fn apply(&self, input: &RuleInput<'_>) -> Applies {
        let is = |given: &Option<String>, header: &[u8]| {
            !input.is_query || given.as_ref().is_none_or(|given| given.as_bytes() == header)
        };
        let has_all = self.api_type.is_none_or(|api_type| api_type == input.handler)
            && self
                .window
                .is_none_or(|window| input.samples.is_some_and(|samples| is_within(window, samples, input.now)))
            && self
                .range
                .is_none_or(|range| input.samples.is_some_and(|(from, to)| range.contains(to.saturating_sub(from))))
            && self.step.is_none_or(|range| {
                input.handler != "query_range" || input.step.is_some_and(|step| range.contains(step))
            })
            && is(&self.dashboard, input.dashboard)
            && is(&self.panel, input.panel);
        if !has_all {
            return Applies::No;
        }
        let by_agent = self
            .user_agent
            .as_ref()
            .map_or(Applies::Yes, |pattern| pattern.applies_to(&String::from_utf8_lossy(input.user_agent), input));
        if by_agent == Applies::No {
            return Applies::No;
        }
        let by_text = self.regex.as_ref().map_or(Applies::Yes, |pattern| pattern.applies_to_queries(input));
        match (by_agent, by_text) {
            (Applies::No, _) | (_, Applies::No) => Applies::No,
            (Applies::TooCostly, _) | (_, Applies::TooCostly) => Applies::TooCostly,
            (Applies::Yes, Applies::Yes) => Applies::Yes,
        }
    }
}

impl Between {
    fn contains(self, value: i64) -> bool {
        (self.min == 0 || value >= self.min) && (self.max == 0 || value <= self.max)
    }
}

/// To the minute, as Cortex takes it (`isWithinTimeAttributes` in pkg/querier/tripperware/query_attribute_matcher.go, 1.21).
fn is_within(Between { min: start, max: end }: Between, (from, to): (i64, i64), now: i64) -> bool {
    const MINUTE: i64 = 60_000;
    let minute = |time: i64| time.div_euclid(MINUTE).saturating_mul(MINUTE);
    (start == 0 || from >= minute(now.saturating_sub(start).saturating_sub(MINUTE)))
        && (end == 0 || to <= minute(now.saturating_sub(end).saturating_add(MINUTE)))
}
