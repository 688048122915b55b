//! Checks that move no time: a request is within these limits, or it is refused.

use super::refusal::Refusal;
use super::rules::{Applies, RuleInput};
use super::{InForce, Limit, Requested};
use crate::promql::{Demand, Query};
use std::sync::Arc;

/// One limit.
pub fn check(limits: &InForce, limit: Limit, asked: i64) -> Result<(), Refusal> {
    let exceeds = |allowed: i64| if limit.is_lower_bound() { asked < allowed } else { asked > allowed };
    match limits.get(limit) {
        Some(allowed) if exceeds(allowed) => Err(Refusal::Over { limit, asked, allowed }),
        Some(_) | None => Ok(()),
    }
}

/// The length of each text, before one is parsed.
pub fn check_sizes(limits: &InForce, requested: &Requested) -> Result<(), Refusal> {
    requested.texts().try_for_each(|text| check(limits, Limit::ExpressionSize, text.len() as i64))
}

/// What a query demands of the storage, evaluated at its times.
pub fn check_demand(limits: &InForce, demand: &Demand) -> Result<(), Refusal> {
    check(limits, Limit::SubquerySteps, demand.subquery_steps)?;
    check(limits, Limit::Length, demand.longest_ms)
}

/// What queries and selectors are made of. Each pattern counts for itself, and all selectors together.
pub fn check_parts(limits: &InForce, queries: &[Arc<Query<'static>>]) -> Result<(), Refusal> {
    let mut count = 0i64;
    for query in queries {
        count += query.selectors() as i64;
        check(limits, Limit::PatternLength, query.longest_pattern() as i64)?;
    }
    check(limits, Limit::Selectors, count)
}

/// The part of a range query that is left, in milliseconds.
pub fn check_range(limits: &InForce, start: i64, end: i64, step: i64) -> Result<(), Refusal> {
    let length = end.saturating_sub(start);
    check(limits, Limit::Length, length)?;
    check(limits, Limit::Step, step)?;
    check(limits, Limit::Points, length.checked_div(step).unwrap_or(0).saturating_add(1))
}

/// `blocked_queries` and `query_rejection`, which look at the request as it came.
pub fn check_rules(limits: &InForce, input: &RuleInput<'_>) -> Result<(), Refusal> {
    for blocked in limits.blocked.iter().filter(|_| input.is_query).flat_map(|list| list.iter()) {
        refuse_if(blocked.applies(input), "blocked_queries", &blocked.reason)?;
    }
    for attributes in limits.rejected.iter().flat_map(|list| list.iter()) {
        refuse_if(attributes.apply(input), "query_rejection", "")?;
    }
    Ok(())
}

fn refuse_if(applies: Applies, rule: &'static str, reason: &str) -> Result<(), Refusal> {
    match applies {
        Applies::No => Ok(()),
        Applies::Yes => Err(Refusal::Blocked(rule, reason.to_owned())),
        Applies::TooCostly => {
            Err(Refusal::Blocked(rule, "it is too long to be compared with the patterns: shorten it".to_owned()))
        }
    }
}
