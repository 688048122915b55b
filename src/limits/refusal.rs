//! Why a request is not forwarded, as far as limits say. `rejection` turns a refusal into what the client hears.

use super::Limit;
use crate::api::Empty;
use crate::promql;

/// Why limits refuse a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A limit is exceeded.
    Over {
        /// Which.
        limit: Limit,
        /// What the request asks for.
        asked: i64,
        /// What the limit allows.
        allowed: i64,
    },
    /// A parameter that a limit depends on can't be read. Its name, and its value as quoted for a message.
    Value(&'static str, String),
    /// An expression can't be parsed. The parameter's name, and why.
    Query(&'static str, promql::Error),
    /// How far a query reaches can't be computed, and a limit depends on it. Why.
    UnknownReach(&'static str),
    /// The operator refuses the query: by which rule, and why, if that was given.
    Blocked(&'static str, String),
    /// A limit depends on the current time, which is not known.
    NoTime,
}

/// Why a request is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Nothing that the request asks for lies within the limits: the answer is this empty one.
    Empty(Empty),
    /// The request is refused.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}
