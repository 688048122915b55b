//! Requests with parameters: the query string is written anew with the tenant's matchers, and so is the form that follows.

use super::admitted::Admitted;
use super::body::{FormLimits, FormPlan};
use super::parameters::Enforcement;
use super::{BodyPlan, Decision, Forward, Rejection, Reply, federation};
use crate::api::{Method, Path, Rule};
use crate::config::Config;
use crate::go::form;
use crate::limits::{RequestLimits, Requested, Stop};
use crate::memo::Memo;
use crate::path;
use crate::rejection::Place;
use crate::tenant::Tenants;
use std::cell::RefCell;

/// Decides on the head, and on the query string in it.
pub fn decide(asked: Admitted<'_>, config: &Config, memo: &RefCell<Memo>) -> Result<Decision, Rejection> {
    let Admitted { head, ref target, segment, route, .. } = asked;
    let tenant = asked.tenants.joined();
    let is_unread = route.rule == Rule::ByHeaderUnread;
    let has_form = asked.method == Method::Post && !asked.no_bytes_follow() && !is_unread;
    asked.check_body()?;
    let edits = asked.edits(config, has_form)?;
    // Of a page, the browser alone reads it.
    let given = if route.rule == Rule::Page { b"" } else { target.query };
    let enforcement = Enforcement::new(route, config, asked.scope.clone());
    let mut query = Vec::with_capacity(given.len().saturating_mul(2).min(1 << 16));
    let limits = asked.limits(config);
    let mut requested = Requested::default();
    let noted = limits.as_ref().map(|_| &mut requested);
    let mut url = enforcement.rewrite(given, Place::Url, noted, memo, &mut query)?;
    if let Some(limits) = &limits {
        match limits.decide(&mut requested, !has_form, head.now_ms, &mut query) {
            Ok(()) => {}
            Err(Stop::Empty(empty)) => return Ok(Decision::Reply(Reply::empty(tenant.clone(), route, empty))),
            Err(Stop::Refused(refusal)) => return Err(refusal.into()),
        }
    }
    let renaming = asked.renaming(config);
    let label = federation::stored(segment, renaming);
    if let (Some(label), Some(renaming), Some(seen)) = (label, renaming, config.seen_by(&asked.tenants))
        && *label.text == **config.label()
        && let Some(reply) = federation::values(target.query, renaming, &seen, tenant, route)
    {
        return Ok(Decision::Reply(reply));
    }
    match (url.has_selector, has_form) {
        (true, _) => {}
        (false, false) => enforcement.add_selector(&mut query, &mut url),
        (false, true) => enforcement.add_nothing(&mut query),
    }
    let statistics = enforcement.ask_for_statistics(&url, &mut query);
    let caps = limits.as_ref().map_or(Vec::new(), RequestLimits::caps);
    let expected = asked
        .expected(config, caps)
        .narrowed(!query.is_empty())
        .measuring(statistics)
        .asked(url.asked.take().unwrap_or_default());
    let endpoint = match route.instead {
        Some((path, (name, value))) if config.enforces() => {
            form::append(&mut query, name.as_bytes(), value.as_bytes());
            Path::Exact(path)
        }
        Some(_) | None => route.path,
    };
    let label = label.map(|label| path::spell(&label.text));
    let path = asked.path(endpoint, label.as_deref().map(str::as_bytes).or(segment), &query)?;
    if is_unread {
        check_limits_of_unread(config, &asked.tenants)?;
    }
    let occupies_the_upstream = route.evaluates || route.reads_expressions() || is_unread;
    let concurrency = if occupies_the_upstream { config.limits().concurrency(&asked.tenants) } else { Vec::new() };
    let body = if has_form {
        let kept = requested.kept();
        let limits = limits.map(|limits| Box::new(FormLimits { limits, url: kept, tenant: tenant.clone() }));
        BodyPlan::Form(FormPlan { enforcement, url_has_selector: url.has_selector, limits })
    } else if head.end_of_stream {
        BodyPlan::Absent
    } else if is_unread {
        BodyPlan::Untouched
    } else {
        BodyPlan::MustBeEmpty
    };
    let forward = asked.forward(path, edits, body, expected);
    Ok(Decision::Forward(Forward { selectors: url.selectors, concurrency, ..forward }))
}

/// Refuses a request whose body is forwarded unread where a limit is in force that would have to read it.
fn check_limits_of_unread(config: &Config, tenants: &Tenants) -> Result<(), Rejection> {
    match config.limits_of(tenants) {
        Some(in_force) if in_force.need_the_body() => Err(Rejection::Forbidden(
            "its body is forwarded unread, and the tenant's limits would have to read it: send queries instead",
        )),
        Some(_) | None => Ok(()),
    }
}
