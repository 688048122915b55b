//! Limits that move nothing: a request is within them, or refused.

use super::{Plan, Rejection};
use crate::limits::{Facts, InForce, Limit, Verdict, Work};
use crate::promql::{Demand, Query};

fn check(limits: &InForce, limit: Limit, asked: i64) -> Result<(), Rejection> {
    let exceeds = |allowed: i64| if limit == Limit::Step { asked < allowed } else { asked > allowed };
    match limits.get(limit) {
        Some(allowed) if exceeds(allowed) => Err(Rejection::Limit { limit, asked, allowed }),
        Some(_) | None => Ok(()),
    }
}

/// How long each text is. Before any is read.
pub fn size(limits: &InForce, texts: &[&[u8]]) -> Result<(), Rejection> {
    texts.iter().try_for_each(|text| check(limits, Limit::ExpressionSize, text.len() as i64))
}

/// What a query demands, evaluated at its times.
pub fn demand(limits: &InForce, demand: &Demand) -> Result<(), Rejection> {
    check(limits, Limit::SubquerySteps, demand.subquery_steps)?;
    check(limits, Limit::Length, demand.longest_ms)
}

/// What queries and selectors are made of, whenever they are evaluated, and whether they are. Each pattern counts for itself, and
/// all selectors together.
pub fn parts(limits: &InForce, queries: &[Query<'_>]) -> Result<(), Rejection> {
    let mut count = 0i64;
    for query in queries {
        count += query.selectors() as i64;
        check(limits, Limit::PatternLength, query.longest_pattern() as i64)?;
    }
    check(limits, Limit::Selectors, count)
}

/// From start to end in steps, as what was left of it is evaluated. In milliseconds.
pub fn range(limits: &InForce, start: i64, end: i64, step: i64) -> Result<(), Rejection> {
    let length = end.saturating_sub(start);
    check(limits, Limit::Length, length)?;
    check(limits, Limit::Step, step)?;
    check(limits, Limit::Points, length.checked_div(step).unwrap_or(0).saturating_add(1))
}

/// What `blocked_queries` and `query_rejection` say of the request as it came.
pub fn rules(
    plan: &Plan,
    queries: &[Query<'_>],
    range: Option<(i64, i64)>,
    step: Option<i64>,
    samples: Option<(i64, i64)>,
    now: Option<i64>,
) -> Result<(), Rejection> {
    let [user_agent, dashboard, panel] = &plan.headers;
    let is_query = plan.is_query();
    let now = now.unwrap_or(0);
    let facts = Facts {
        handler: plan.handler,
        is_query,
        texts: queries,
        range,
        step,
        samples,
        now,
        user_agent,
        dashboard,
        panel,
        work: Work::default(),
    };
    for blocked in plan.limits.blocked.iter().filter(|_| is_query).flat_map(|list| list.iter()) {
        judge(blocked.applies(&facts), "blocked_queries", &blocked.reason)?;
    }
    for attributes in plan.limits.rejected.iter().flat_map(|list| list.iter()) {
        judge(attributes.apply(&facts), "query_rejection", "")?;
    }
    Ok(())
}

fn judge(verdict: Verdict, rule: &'static str, reason: &str) -> Result<(), Rejection> {
    match verdict {
        Verdict::No => Ok(()),
        Verdict::Yes => Err(Rejection::Blocked(rule, reason.to_owned())),
        Verdict::Unknown => Err(Rejection::Blocked(rule, "it is too long to be compared with the patterns".to_owned())),
    }
}
