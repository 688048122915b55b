//! What JSON a key takes: its type, and what bounds its values. `tenancyctl schema` is written from it. The readers in `check`,
//! `source`, `allowed`, `stats` and `limits` are stricter: a shape says what one value looks like, and no more.

use crate::limits::{Limit, TABLE, Unit};

/// The JSON of one value.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number, with the least and the most.
    Count(u32, u32),
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A string.
    Text(Text),
    /// A list.
    List {
        /// What each member is.
        of: &'static Shape,
        /// How many there are at least.
        least: u32,
        /// Whether no two may be equal.
        distinct: bool,
    },
    /// An object with these members, and no others.
    Object(fn() -> Vec<Member>),
    /// An object with a tenant's ID as the name of each member.
    ByTenant(&'static Shape),
    /// An object whose members have any names.
    ByName(&'static Shape),
    /// A value of one of these shapes.
    Either(&'static [Shape]),
}

/// What bounds a string.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// Its least length, in characters.
    pub least: u32,
    /// Its greatest length, in characters.
    pub most: u32,
    /// A regular expression that matches it; empty where any string will do.
    pub pattern: &'static str,
}

/// A member of an object that is a key's value.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// Its default as JSON; empty where there is none.
    pub default: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
}

impl Shape {
    /// Any string.
    pub(super) const TEXT: Shape = text(0, u32::MAX, "");
    /// A string that is not empty.
    pub(super) const NAME: Shape = text(1, u32::MAX, "");
    /// Any whole number.
    pub(super) const COUNT: Shape = Shape::Count(0, u32::MAX);
    /// The name of a header (RFC 9110, section 5.6.2: token).
    pub(super) const HEADER: Shape = text(1, u32::MAX, "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$");
    /// What stands before the tenant in a path.
    pub(super) const TENANT_PATH: Shape = text(0, u32::MAX, "^(/[^?%]+/)?$");
    /// Where the paths of an API begin.
    pub(super) const PREFIX: Shape = text(0, u32::MAX, "^(/.*[^/])?$");
    /// A path.
    pub(super) const PATH: Shape = text(2, u32::MAX, "^/[^?%]+$");
    /// A duration as Prometheus writes it.
    pub(super) const DURATION: Shape = text(1, u32::MAX, DURATION);
    /// A duration, or 0 for none.
    pub(super) const OFF_OR_DURATION: Shape = Shape::Either(&[Shape::Count(0, 0), Shape::DURATION]);

    /// A list whose members are all different.
    pub(super) const fn set(of: &'static Shape, least: u32) -> Shape {
        Shape::List { of, least, distinct: true }
    }
}

const DURATION: &str = "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";

pub(super) const fn text(least: u32, most: u32, pattern: &'static str) -> Shape {
    Shape::Text(Text { least, most, pattern })
}

/// A member, as the tables write it.
pub(super) const fn member(name: &'static str, shape: Shape, default: &'static str, meaning: &'static str) -> Member {
    Member { name, shape, default, meaning }
}

/// The words of a table that says what each stands for.
pub(super) fn words<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

/// The names of an object's members.
pub(super) const fn names<const N: usize>(members: &[Member; N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        // Evaluated by the compiler, which refuses to go beyond the end.
        #[allow(clippy::indexing_slicing)]
        {
            names[at] = members[at].name;
        }
        at += 1;
    }
    names
}

/// `limits`.
pub(super) fn limits() -> Vec<Member> {
    let numbers = TABLE.into_iter().map(|(name, unit, limit)| {
        let shape = match unit {
            Unit::Duration => Shape::OFF_OR_DURATION,
            Unit::Count => Shape::COUNT,
        };
        member(name, shape, "", meaning(limit))
    });
    let lists = [
        member(
            "blocked_queries",
            Shape::List { of: &Shape::Object(|| BLOCKED.to_vec()), least: 0, distinct: false },
            "",
            "queries that are refused",
        ),
        member("query_rejection", Shape::Object(|| REJECTION.to_vec()), "", "requests that are refused by attributes"),
    ];
    numbers.chain(lists).collect()
}

/// Each value of `overrides`.
pub(super) fn overrides() -> Vec<Member> {
    let dry_run =
        member("dry_run", Shape::Boolean, "", "whether what is decided on this tenant's requests is not enforced");
    limits().into_iter().chain([dry_run]).collect()
}

fn meaning(limit: Limit) -> &'static str {
    match limit {
        Limit::Retention => "no sample older than this can influence an answer",
        Limit::Lookback => "evaluations older than this are left out",
        Limit::Length => "the longest time from start to end, and the longest range of one selector",
        Limit::IntoFuture => "evaluations further ahead of now than this are left out",
        Limit::ExpressionSize => "the most bytes of a query or match[], as the client wrote it",
        Limit::SubquerySteps => "the most steps of one subquery",
        Limit::Step => "the shortest step of a range query",
        Limit::Points => "the most steps of a range query",
        Limit::Selectors => "the most selectors of one request",
        Limit::PatternLength => "the most bytes of the pattern of one =~ or !~",
        Limit::Concurrency => "the most queries that run at the same time",
        Limit::WriteSize => "the most bytes of a write's body, as it comes",
        Limit::ConcurrentWrites => "the most writes that run at the same time",
        Limit::Timeout => "the longest time that the upstream may take for a query",
        Limit::ReturnedItems => "the most series, names or values that the upstream returns",
        Limit::FetchedSeries => "the most series that the upstream may select for a query",
        Limit::Samples => "the most samples that the upstream may read for a query",
        Limit::ResponseSize => "the most bytes of an answer, as it comes",
    }
}

const BLOCKED: [Member; 6] = [
    member("pattern", Shape::TEXT, "", "the query; with regex, a pattern that matches all of it"),
    member("regex", Shape::Boolean, "false", "pattern is a regular expression"),
    member("reason", Shape::TEXT, r#""""#, "told to the client"),
    member("time_range_longer_than", Shape::OFF_OR_DURATION, "0", "range queries over more than this"),
    member("minimum_step_size", Shape::OFF_OR_DURATION, "0", "range queries with a smaller step"),
    member(
        "unaligned_range_queries",
        Shape::Boolean,
        "false",
        "range queries whose start or end is not a multiple of the step",
    ),
];

const REJECTION: [Member; 2] = [
    member("enabled", Shape::Boolean, "false", "whether the list is in force"),
    member(
        "query_attributes",
        Shape::List { of: &Shape::Object(|| ATTRIBUTES.to_vec()), least: 0, distinct: false },
        "[]",
        "a request that has all attributes of one entry is refused",
    ),
];

const ATTRIBUTES: [Member; 8] = [
    member(
        "api_type",
        Shape::Word(|| vec!["", "query", "query_range", "series", "labels", "label_values"]),
        r#""""#,
        "which endpoint",
    ),
    member("regex", Shape::TEXT, "", "a pattern that matches a part of the query, or of one match[]"),
    member(
        "time_window",
        Shape::Object(|| WINDOW.to_vec()),
        "",
        "how long ago the data that is read may begin and end",
    ),
    member("time_range_limit", Shape::Object(|| BETWEEN.to_vec()), "", "from the oldest to the youngest data"),
    member("query_step_limit", Shape::Object(|| BETWEEN.to_vec()), "", "the step of a range query"),
    member("user_agent_regex", Shape::TEXT, "", "a pattern that matches a part of User-Agent"),
    member("dashboard_uid", Shape::TEXT, r#""""#, "the value of X-Dashboard-Uid"),
    member("panel_id", Shape::TEXT, r#""""#, "the value of X-Panel-Id"),
];

const WINDOW: [Member; 2] = [
    member("start", Shape::OFF_OR_DURATION, "0", "not older than this"),
    member("end", Shape::OFF_OR_DURATION, "0", "not younger than this"),
];

const BETWEEN: [Member; 2] = [
    member("min", Shape::OFF_OR_DURATION, "0", "at least this"),
    member("max", Shape::OFF_OR_DURATION, "0", "at most this"),
];
