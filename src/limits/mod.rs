//! Per-tenant limits: what a configuration sets, and what is in force for the tenants of one request.
//!
//! An override counts before a default, and 0 is off in both. For several tenants the strictest value counts, and every tenant's
//! blocked and rejected queries do. Names and meaning are Cortex's (pkg/util/validation/limits.go and pkg/querier/querier.go, 1.21)
//! and Mimir's (pkg/util/validation/limits.go, 3.0); docs/tenant-limits.md says whose each is, and where it differs.

mod rules;

pub use rules::{Attributes, Between, Blocked, Facts, Text, Verdict, Work};

use crate::tenant::Tenants;
use std::sync::Arc;

/// A limit that is one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Limit {
    /// No sample older than this can influence an answer.
    Retention,
    /// How far back a query may be evaluated.
    Lookback,
    /// From start to end, and how far one selector looks.
    Length,
    /// How far ahead of now.
    IntoFuture,
    /// Of a query as the client wrote it.
    ExpressionSize,
    /// Of each subquery.
    SubquerySteps,
    /// Between two evaluations.
    Step,
    /// Evaluations of one range query.
    Points,
    /// In one request.
    Selectors,
    /// Of one `=~` or `!~` matcher.
    PatternLength,
    /// Queries at the same time.
    Concurrency,
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
pub const TABLE: [(&str, Unit, Limit); 11] = [
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
        };
        format!("{what}: your limit {name} is {allowed}")
    }

    /// A smaller value refuses more, as with every limit but this one.
    fn is_least(self) -> bool {
        self == Limit::Step
    }
}

/// What one object of the configuration sets: little, as there are many of them and each worker holds all.
#[derive(Debug, Clone, Default)]
pub struct Set {
    /// Each limit at most once.
    pub values: Box<[(Limit, i64)]>,
    /// `blocked_queries`.
    pub blocked: Option<Arc<[Blocked]>>,
    /// `query_rejection`; empty where it is switched off.
    pub rejected: Option<Arc<[Attributes]>>,
}

/// All limits of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// For tenants without an override.
    pub defaults: Set,
    /// By tenant ID.
    overrides: Vec<(Box<str>, Set)>,
}

/// The limits in force for a request.
#[derive(Debug, Clone)]
pub struct InForce {
    values: [i64; TABLE.len()],
    /// Each tenant's, in its order.
    pub blocked: Vec<Arc<[Blocked]>>,
    /// Likewise.
    pub rejected: Vec<Arc<[Attributes]>>,
}

impl Limits {
    /// Without overrides.
    pub fn new(defaults: Set) -> Self {
        Limits { defaults, overrides: Vec::new() }
    }

    /// Adds a tenant's own, and says whether it had none before. In order as they come: a map of its own kind would weigh more in
    /// the module than it saves.
    pub fn add(&mut self, id: String, set: Set) -> bool {
        match self.place(&id) {
            Ok(_) => false,
            Err(place) => {
                self.overrides.insert(place, (id.into_boxed_str(), set));
                true
            }
        }
    }

    /// A tenant's own.
    pub fn own(&self, id: &str) -> Option<&Set> {
        self.overrides.get(self.place(id).ok()?).map(|(_, set)| set)
    }

    /// The tenants that have their own, in order.
    pub fn overridden(&self) -> impl Iterator<Item = (&str, &Set)> {
        self.overrides.iter().map(|(id, set)| (&**id, set))
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        match self.overrides.last() {
            Some((last, _)) if **last < *id => Err(self.overrides.len()),
            _ => self.overrides.binary_search_by(|(other, _)| (**other).cmp(id)),
        }
    }

    /// What is in force for these tenants; `None` where nothing is.
    pub fn of(&self, tenants: &Tenants) -> Option<InForce> {
        if self.overrides.is_empty() && self.defaults.is_empty() {
            return None;
        }
        let mut strictest: Option<InForce> = None;
        for id in tenants.ids() {
            let one = self.of_one(id);
            match &mut strictest {
                None => strictest = Some(one),
                Some(all) => all.tighten(one),
            }
        }
        strictest.filter(|limits| !limits.is_empty())
    }

    /// What is in force for one tenant.
    pub fn of_one(&self, id: &str) -> InForce {
        let mut values = [0; TABLE.len()];
        let own = self.own(id);
        for &(limit, value) in self.defaults.values.iter().chain(own.iter().flat_map(|set| &*set.values)) {
            if let Some(place) = values.get_mut(limit as usize) {
                *place = value;
            }
        }
        let blocked = own.and_then(|set| set.blocked.clone()).or_else(|| self.defaults.blocked.clone());
        let rejected = own.and_then(|set| set.rejected.clone()).or_else(|| self.defaults.rejected.clone());
        InForce {
            values,
            blocked: blocked.into_iter().filter(|list| !list.is_empty()).collect(),
            rejected: rejected.into_iter().filter(|list| !list.is_empty()).collect(),
        }
    }

    /// Whether some tenant's limits depend on the time.
    pub fn need_the_time(&self) -> bool {
        self.sets().any(Set::needs_the_time)
    }

    /// Whether some tenant's queries are counted.
    pub fn count_queries(&self) -> bool {
        self.sets().any(|set| set.values.iter().any(|&(limit, value)| limit == Limit::Concurrency && value > 0))
    }

    fn sets(&self) -> impl Iterator<Item = &Set> {
        std::iter::once(&self.defaults).chain(self.overrides.iter().map(|(_, set)| set))
    }
}

impl Set {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.blocked.is_none() && self.rejected.is_none()
    }

    fn needs_the_time(&self) -> bool {
        self.values.iter().any(|&(limit, value)| value > 0 && limit.is_of_time())
            || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time))
    }
}

impl Limit {
    /// Its meaning depends on what time it is.
    fn is_of_time(self) -> bool {
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
            | Limit::Concurrency => false,
        }
    }

    /// It bounds what ranges, offsets and `@` lead to.
    fn is_of_reach(self) -> bool {
        match self {
            Limit::Retention | Limit::IntoFuture | Limit::Length | Limit::SubquerySteps => true,
            Limit::Lookback
            | Limit::ExpressionSize
            | Limit::Step
            | Limit::Points
            | Limit::Selectors
            | Limit::PatternLength
            | Limit::Concurrency => false,
        }
    }
}

impl InForce {
    /// A limit's value; `None` where it is off.
    pub fn get(&self, limit: Limit) -> Option<i64> {
        self.values.get(limit as usize).copied().filter(|&value| value > 0)
    }

    /// Whether what is decided depends on the time.
    pub fn need_the_time(&self) -> bool {
        TABLE.iter().any(|&(_, _, limit)| limit.is_of_time() && self.get(limit).is_some())
            || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time))
    }

    /// Whether what is decided depends on how far a query reaches.
    pub fn need_the_reach(&self) -> bool {
        TABLE.iter().any(|&(_, _, limit)| limit.is_of_reach() && self.get(limit).is_some())
            || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time))
    }

    fn is_empty(&self) -> bool {
        self.values.iter().all(|&value| value == 0) && self.blocked.is_empty() && self.rejected.is_empty()
    }

    fn tighten(&mut self, other: InForce) {
        for ((place, value), (_, _, limit)) in self.values.iter_mut().zip(other.values).zip(TABLE) {
            *place = match (*place, value) {
                (0, only) | (only, 0) => only,
                (left, right) if limit.is_least() => left.max(right),
                (left, right) => left.min(right),
            };
        }
        add(&mut self.blocked, other.blocked);
        add(&mut self.rejected, other.rejected);
    }
}

/// Tenants without a list of their own share the default one, which is compared once.
fn add<T>(lists: &mut Vec<Arc<[T]>>, more: Vec<Arc<[T]>>) {
    for list in more {
        if !lists.iter().any(|other| Arc::ptr_eq(other, &list)) {
            lists.push(list);
        }
    }
}
