//! Queries that are refused by what they are: `blocked_queries` (Mimir) and `query_rejection` (Cortex).

use crate::pattern::{MAX_STEPS, Pattern};
use crate::promql::Query;
use std::cell::{Cell, OnceCell};

/// What a query is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// The same tokens: white space and comments don't count.
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

/// What is known of a request.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// The `handler` of its row.
    pub handler: &'static str,
    /// It has queries, not selectors.
    pub is_query: bool,
    /// Its queries or selectors, as the client wrote them.
    pub texts: &'a [Query<'a>],
    /// From `start` to `end`, in milliseconds; `None` for an instant query, or where one is absent.
    pub range: Option<(i64, i64)>,
    /// Of a range query, in milliseconds.
    pub step: Option<i64>,
    /// The data that is read; `None` where that is not known.
    pub samples: Option<(i64, i64)>,
    /// Milliseconds since 1970.
    pub now: i64,
    /// `user-agent`.
    pub user_agent: &'a [u8],
    /// `x-dashboard-uid`.
    pub dashboard: &'a [u8],
    /// `x-panel-id`.
    pub panel: &'a [u8],
    /// What comparing may still cost.
    pub work: Work,
}

/// What is shared by all comparisons of one request, so that many rules cost no more than they must.
#[derive(Debug)]
pub struct Work {
    /// Steps of patterns that are left.
    steps: Cell<u32>,
    /// The queries as patterns see them: without comments and with single spaces.
    readable: OnceCell<Vec<String>>,
    /// Their tokens.
    tokens: OnceCell<Vec<Vec<u8>>>,
}

impl Default for Work {
    fn default() -> Self {
        Work { steps: Cell::new(MAX_STEPS), readable: OnceCell::new(), tokens: OnceCell::new() }
    }
}

/// What became of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It applies.
    Yes,
    /// It does not.
    No,
    /// That would take too long to find out.
    Unknown,
}

impl From<bool> for Verdict {
    fn from(is: bool) -> Self {
        if is { Verdict::Yes } else { Verdict::No }
    }
}

impl Pattern {
    fn verdict(&self, text: &str, facts: &Facts<'_>) -> Verdict {
        self.matches(text, &facts.work.steps).map_or(Verdict::Unknown, Verdict::from)
    }

    /// Whether one of the queries matches, written without comments and with single spaces.
    fn verdict_on_queries(&self, facts: &Facts<'_>) -> Verdict {
        let readable = |query: &Query<'_>| String::from_utf8_lossy(&query.plain(false)).into_owned();
        let texts = facts.work.readable.get_or_init(|| facts.texts.iter().map(readable).collect());
        // The first that doesn't say no.
        texts.iter().map(|text| self.verdict(text, facts)).find(|one| *one != Verdict::No).unwrap_or(Verdict::No)
    }
}

impl Blocked {
    /// Whether the request is one of these.
    pub fn applies(&self, facts: &Facts<'_>) -> Verdict {
        let length = facts.range.map_or(0, |(start, end)| end.saturating_sub(start));
        if self.longer_than > 0 && length <= self.longer_than {
            return Verdict::No;
        }
        if self.least_step > 0 && facts.step.is_none_or(|step| step >= self.least_step) {
            return Verdict::No;
        }
        if self.unaligned {
            let is_aligned = |(start, end): (i64, i64), step: i64| {
                start.checked_rem(step).unwrap_or(0) == 0 && end.checked_rem(step).unwrap_or(0) == 0
            };
            match (facts.range, facts.step) {
                (Some(range), Some(step)) if !is_aligned(range, step) => {}
                _ => return Verdict::No,
            }
        }
        match &self.text {
            None => Verdict::Yes,
            Some(Text::Tokens(tokens)) => {
                let all = facts.work.tokens.get_or_init(|| facts.texts.iter().map(|query| query.plain(true)).collect());
                all.contains(tokens).into()
            }
            Some(Text::Pattern(pattern)) => pattern.verdict_on_queries(facts),
        }
    }
}

impl Attributes {
    /// Whether they depend on what time it is.
    pub fn need_the_time(&self) -> bool {
        self.window.is_some() || self.range.is_some()
    }

    /// Whether the request has all of them.
    pub fn apply(&self, facts: &Facts<'_>) -> Verdict {
        let is = |given: &Option<String>, header: &[u8]| {
            !facts.is_query || given.as_ref().is_none_or(|given| given.as_bytes() == header)
        };
        let has_all = self.api_type.is_none_or(|api_type| api_type == facts.handler)
            && self
                .window
                .is_none_or(|window| facts.samples.is_some_and(|samples| is_within(window, samples, facts.now)))
            && self
                .range
                .is_none_or(|range| facts.samples.is_some_and(|(from, to)| range.contains(to.saturating_sub(from))))
            && self.step.is_none_or(|range| {
                facts.handler != "query_range" || facts.step.is_some_and(|step| range.contains(step))
            })
            && is(&self.dashboard, facts.dashboard)
            && is(&self.panel, facts.panel);
        if !has_all {
            return Verdict::No;
        }
        let by_agent = self
            .user_agent
            .as_ref()
            .map_or(Verdict::Yes, |pattern| pattern.verdict(&String::from_utf8_lossy(facts.user_agent), facts));
        if by_agent == Verdict::No {
            return Verdict::No;
        }
        let by_text = self.regex.as_ref().map_or(Verdict::Yes, |pattern| pattern.verdict_on_queries(facts));
        match (by_agent, by_text) {
            (Verdict::No, _) | (_, Verdict::No) => Verdict::No,
            (Verdict::Unknown, _) | (_, Verdict::Unknown) => Verdict::Unknown,
            (Verdict::Yes, Verdict::Yes) => Verdict::Yes,
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
