//! The limits that are one number: names, units, and what a refusal says.

use crate::api::Cap;

/// A limit that is one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Limit {
    /// No sample older than this can influence an answer.
    Retention,
    /// How far back a query may be evaluated.
    Lookback,
    /// The longest time from start to end, and the longest range of one selector.
    Length,
    /// How far ahead of now a query may be evaluated, and read samples.
    IntoFuture,
    /// The length of a query as the client wrote it.
    ExpressionSize,
    /// The steps of each subquery.
    SubquerySteps,
    /// The shortest time between two evaluations of a range query.
    Step,
    /// The evaluations of one range query.
    Points,
    /// The selectors of one request.
    Selectors,
    /// The length of the pattern of one `=~` or `!~` matcher.
    PatternLength,
    /// The queries that run at the same time.
    Concurrency,
    /// The length of a write's body, as it comes.
    WriteSize,
    /// The writes that run at the same time.
    ConcurrentWrites,
    /// How long the upstream may take for a query.
    Timeout,
    /// The series, names or values that the upstream returns.
    ReturnedItems,
    /// The series that a query may select.
    FetchedSeries,
    /// The samples that a query may read.
    Samples,
    /// The length of an answer, as it comes.
    ResponseSize,
}

/// Where a limit is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Here, on what a request asks for.
    Request,
    /// Here, on how many queries run.
    Running,
    /// Here, on what is written.
    Writes,
    /// At the upstream, which is told of it by this parameter.
    Upstream(Cap),
    /// Here, on what comes back.
    Answer,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds, written as a duration: `30d`, `1h30m`.
    Duration,
    /// A whole number.
    Count,
}

/// The name and unit of each limit, in the order of [`Limit`].
pub const TABLE: [(&str, Unit, Limit); 18] = [
    ("retention_period", Unit::Duration, Limit::Retention),
    ("max_query_lookback", Unit::Duration, Limit::Lookback),
    ("max_query_length", Unit::Duration, Limit::Length),
    ("max_query_into_future", Unit::Duration, Limit::IntoFuture),
    ("max_query_expression_size_bytes", Unit::Count, Limit::ExpressionSize),
    ("max_subquery_steps", Unit::Count, Limit::SubquerySteps),
    ("min_query_step", Unit::Duration, Limit::Step),
    ("max_query_points", Unit::Count, Limit::Points),
    ("max_selectors_per_query", Unit::Count, Limit::Selectors),
    ("max_regex_pattern_length", Unit::Count, Limit::PatternLength),
    ("max_concurrent_queries", Unit::Count, Limit::Concurrency),
    ("max_write_size_bytes", Unit::Count, Limit::WriteSize),
    ("max_concurrent_writes", Unit::Count, Limit::ConcurrentWrites),
    ("query_timeout", Unit::Duration, Limit::Timeout),
    ("max_returned_items", Unit::Count, Limit::ReturnedItems),
    ("max_fetched_series_per_query", Unit::Count, Limit::FetchedSeries),
    ("max_samples_per_query", Unit::Count, Limit::Samples),
    ("max_response_size_bytes", Unit::Count, Limit::ResponseSize),
];

impl Unit {
    /// A value as the configuration writes it.
    pub fn write(self, value: i64) -> String {
        const UNITS: [(i64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        if self == Unit::Count || value <= 0 {
            return value.to_string();
        }
        let mut left = value;
        let mut text = String::new();
        for (length, name) in UNITS {
            if left >= length {
                text.push_str(&(left / length).to_string());
                text.push_str(name);
                left %= length;
            }
        }
        text
    }
}

impl Limit {
    /// Its name in the configuration, which refusals give.
    pub fn name(self) -> &'static str {
        TABLE.get(self as usize).map_or("", |(name, _, _)| name)
    }

    /// What it counts.
    pub fn unit(self) -> Unit {
        TABLE.get(self as usize).map_or(Unit::Count, |(_, unit, _)| *unit)
    }

    /// What a refusal says.
    pub fn refusal(self, asked: i64, allowed: i64) -> String {
        let [asked, allowed] = [asked, allowed].map(|value| self.unit().write(value));
        let name = self.name();
        let what = match self {
            Limit::Retention => format!("the query reaches {asked} into the past"),
            Limit::Lookback => format!("the query asks for {asked} ago"),
            Limit::Length => format!("the query covers {asked}"),
            Limit::IntoFuture => format!("the query reaches {asked} into the future"),
            Limit::ExpressionSize => format!("the query is {asked} bytes long"),
            Limit::SubquerySteps => format!("a subquery has {asked} steps"),
            Limit::Step => format!("the step is {asked}"),
            Limit::Points => format!("the query has {asked} points"),
            Limit::Selectors => format!("the request has {asked} selectors"),
            Limit::PatternLength => format!("a pattern is {asked} bytes long"),
            Limit::Concurrency => format!("{asked} queries are running"),
            Limit::WriteSize => format!("the write is {asked} bytes long or longer"),
            Limit::ConcurrentWrites => format!("{asked} writes are running"),
            // The upstream refuses, in its own words.
            Limit::Timeout | Limit::ReturnedItems | Limit::FetchedSeries | Limit::Samples => asked,
            Limit::ResponseSize => format!("the answer is {asked} bytes long or longer"),
        };
        let then = if matches!(self, Limit::Concurrency | Limit::ConcurrentWrites) { "; try again later" } else { "" };
        format!("{what}: your limit {name} is {allowed}{then}")
    }

    /// For lower bounds, a larger value is stricter.
    pub(super) fn is_lower_bound(self) -> bool {
        matches!(self, Limit::Step)
    }

    /// Whether this filter refuses for it. Of what the upstream enforces, the upstream says so.
    pub fn refuses(self) -> bool {
        !matches!(self.place(), Place::Upstream(_))
    }

    /// Where it is enforced.
    pub fn place(self) -> Place {
        match self {
            Limit::Retention
            | Limit::Lookback
            | Limit::Length
            | Limit::IntoFuture
            | Limit::ExpressionSize
            | Limit::SubquerySteps
            | Limit::Step
            | Limit::Points
            | Limit::Selectors
            | Limit::PatternLength => Place::Request,
            Limit::Concurrency => Place::Running,
            Limit::WriteSize | Limit::ConcurrentWrites => Place::Writes,
            Limit::Timeout => Place::Upstream(Cap::Time),
            Limit::ReturnedItems => Place::Upstream(Cap::Items),
            Limit::FetchedSeries => Place::Upstream(Cap::Series),
            Limit::Samples => Place::Upstream(Cap::Samples),
            Limit::ResponseSize => Place::Answer,
        }
    }

    /// Whether its meaning depends on the current time.
    pub(super) fn depends_on_the_time(self) -> bool {
        // Where a start is absent, a length is counted from the end, which may be absent as well.
        matches!(self, Limit::Retention | Limit::Lookback | Limit::IntoFuture | Limit::Length)
    }

    /// Whether it bounds what a query reads by ranges, offsets and `@`.
    pub(super) fn depends_on_the_reach(self) -> bool {
        matches!(self, Limit::Retention | Limit::IntoFuture | Limit::Length | Limit::SubquerySteps)
    }
}

/// The limit that is enforced by this parameter.
pub fn limit_of(cap: Cap) -> Limit {
    match cap {
        Cap::Time => Limit::Timeout,
        Cap::Items => Limit::ReturnedItems,
        Cap::Series => Limit::FetchedSeries,
        Cap::Samples => Limit::Samples,
    }
}
