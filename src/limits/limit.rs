//! The limits that are one number: names, units, and what a refusal says.

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
pub const TABLE: [(&str, Unit, Limit); 13] = [
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
        };
        format!("{what}: your limit {name} is {allowed}")
    }

    /// For lower bounds, a larger value is stricter.
    pub(super) fn is_lower_bound(self) -> bool {
        match self {
            Limit::Step => true,
            Limit::Retention
            | Limit::Lookback
            | Limit::Length
            | Limit::IntoFuture
            | Limit::ExpressionSize
            | Limit::SubquerySteps
            | Limit::Points
            | Limit::Selectors
            | Limit::PatternLength
            | Limit::Concurrency
            | Limit::WriteSize
            | Limit::ConcurrentWrites => false,
        }
    }

    /// Whether it is about what is written; the others are about what is read.
    pub(super) fn is_of_writes(self) -> bool {
        match self {
            Limit::WriteSize | Limit::ConcurrentWrites => true,
            Limit::Retention
            | Limit::Lookback
            | Limit::Length
            | Limit::IntoFuture
            | Limit::ExpressionSize
            | Limit::SubquerySteps
            | Limit::Step
            | Limit::Points
            | Limit::Selectors
            | Limit::PatternLength
            | Limit::Concurrency => false,
        }
    }

    /// Whether its meaning depends on the current time.
    pub(super) fn depends_on_the_time(self) -> bool {
        match self {
            Limit::Retention | Limit::Lookback | Limit::IntoFuture => true,
            // Where a start is absent, it is counted from the end, which may be absent as well.
            Limit::Length => true,
            Limit::ExpressionSize
            | Limit::SubquerySteps
            | Limit::Step
            | Limit::Points
            | Limit::Selectors
            | Limit::PatternLength
            | Limit::Concurrency
            | Limit::WriteSize
            | Limit::ConcurrentWrites => false,
        }
    }

    /// Whether it bounds what a query reads by ranges, offsets and `@`.
    pub(super) fn depends_on_the_reach(self) -> bool {
        match self {
            Limit::Retention | Limit::IntoFuture | Limit::Length | Limit::SubquerySteps => true,
            Limit::Lookback
            | Limit::ExpressionSize
            | Limit::Step
            | Limit::Points
            | Limit::Selectors
            | Limit::PatternLength
            | Limit::Concurrency
            | Limit::WriteSize
            | Limit::ConcurrentWrites => false,
        }
    }
}
