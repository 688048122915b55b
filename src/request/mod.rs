//! The decision on a request: what goes upstream, or why nothing does. Host-free: bytes in, data out.
//!
//! Everything that concerns headers and path is decided on the head, since Envoy lets them be changed only there; the
//! body, once it is whole, is replaced. In order:
//!
//! 1. `head`: each header is read once; what is ambiguous is refused.
//! 2. `path`: the path is in normal form, or refused.
//! 3. The tenant: from the one source that the configuration names.
//! 4. The row of the API table, and the method.
//! 5. `parameters`: the query string, and later the form, are decoded, checked, enforced and encoded again.
//! 6. `limits`, where the tenant has some: what is asked for is judged, and the times are moved to where they may be.
//!
//! A request without any `match[]` gains one: in the URL where no form follows, else in the form. Upstream takes the
//! union of all `match[]`, so adding one beside another would widen the answer. One that matches nothing widens nothing:
//! it stands in the URL where the form decides, since an upstream that loses the form may answer without it, and then for
//! everybody (`labels` of Prometheus 3.15, when its `--web.read-timeout` strikes; observed).

mod head;
mod limits;
mod parameters;
#[cfg(test)]
mod tests;

use crate::answer::Expected;
use crate::api::{Method, Route, Rule};
use crate::config::Config;
use crate::memo::Memo;
use crate::path;
use crate::rejection::{Place, Rejection};
use crate::tenant::Tenants;
use crate::text;
use parameters::{Enforcement, Written};
use std::cell::RefCell;
use std::sync::Arc;

/// The request's head as the proxy hands it over: every pair, in order, names in lower case, pseudo-headers among them.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// All header pairs.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// What the proxy answers where the source of the tenant asks it ([`Source::evidence`]); `None` where it has nothing.
    ///
    /// [`Source::evidence`]: crate::tenant::Source::evidence
    pub evidence: Option<&'a [u8]>,
    /// Neither body nor trailers follow.
    pub end_of_stream: bool,
    /// What time it is, in milliseconds since 1970: needed where [`Config::needs_the_time`] says so.
    pub now_ms: Option<i64>,
}

/// What is done with a request that goes upstream.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The tenant; several are joined by `|`.
    pub tenant: Arc<str>,
    /// The row of the API table that applies.
    pub route: &'static Route,
    /// The new `:path`; `None` where it already reads so.
    pub path: Option<Vec<u8>>,
    /// How many selectors of the URL carry the matcher now.
    pub selectors: u32,
    /// Headers to set; each replaces all of that name.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Headers that the client sent and that must go. Only names that are present, so that no host call is wasted.
    pub remove: Vec<Arc<str>>,
    /// What has to happen to the body.
    pub body: BodyPlan,
    /// What the answer has to be, and what is done with it.
    pub expected: Expected,
    /// How many queries of the tenant may run at the same time, where that is bounded.
    pub concurrency: Option<i64>,
}

/// What has to happen to the body.
#[derive(Debug, Clone)]
pub enum BodyPlan {
    /// The request ended with its head.
    Absent,
    /// A body may follow on the wire, but must be empty (a GET).
    MustBeEmpty,
    /// A form, to be read whole and replaced, also where it turns out to be empty.
    Form(FormPlan),
    /// Passed on as it comes, without holding it back: a path of `passthrough_paths`.
    Untouched,
}

/// What is needed to rewrite the form once it is here.
#[derive(Debug, Clone)]
pub struct FormPlan {
    enforcement: Enforcement,
    /// The URL holds a `match[]`, so the form need not.
    url_has_selector: bool,
    /// The limits in force, and what the URL asks for.
    limits: Option<Box<(limits::Plan, limits::Asked)>>,
}

/// A whole body that was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The bytes that replace it, `None` where it stays as it is.
    pub body: Option<Vec<u8>>,
    /// How many of its selectors carry the matcher now.
    pub selectors: u32,
    /// What the client says about statistics in it, which counts before what the URL says.
    pub statistics: Option<bool>,
}

/// A request that is not forwarded, with what was known of it by then.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Why.
    pub rejection: Rejection,
    /// The tenant, where one was identified, whether or not it is served; several are joined by `|`.
    pub tenant: Option<Arc<str>>,
    /// The row of the API table, where one was found.
    pub route: Option<&'static Route>,
}

/// Decides on the request's head. Everything that concerns headers happens here, since later they have gone on.
pub fn decide(head: &Head<'_>, config: &Config, memo: &RefCell<Memo>) -> Result<Forward, Refused> {
    let (mut tenant, mut route) = (None, None);
    judge(head, config, memo, &mut tenant, &mut route).map_err(|rejection| Refused { rejection, tenant, route })
}

/// `tenant` and `route` are noted as soon as they are known.
fn judge(
    head: &Head<'_>,
    config: &Config,
    memo: &RefCell<Memo>,
    tenant: &mut Option<Arc<str>>,
    row: &mut Option<&'static Route>,
) -> Result<Forward, Rejection> {
    let facts = head::read(head.headers, config)?;
    let target = path::split(facts.target).map_err(Rejection::Path)?;
    let found = config.find(target.path);
    *row = found.map(|(found, _)| found.route);
    let tenants = config.identify(facts.tenant, head.evidence).map_err(Rejection::Tenant)?;
    *tenant = Some(tenants.joined().clone());
    if let Some(id) = tenants.ids().find(|id| !config.allows(id)) {
        return Err(Rejection::NotAllowed(text::quote(id.as_bytes())));
    }
    let (found, prefix) = found.ok_or(Rejection::UnknownPath)?;
    let route = found.route;
    if let Rule::Refuse(reason) = route.rule {
        return Err(Rejection::Forbidden(reason));
    }
    if config.view().is_some() && route.answer.is_filtered_by_owner() {
        return Err(Rejection::Forbidden(
            "with tenant_regex it can't be told whose rules, alerts and exemplars are: static_tenant_ids can name the tenants",
        ));
    }
    let method = Method::read(facts.method)
        .filter(|method| route.methods.contains(method))
        .ok_or(Rejection::Method(route.methods))?;
    let no_bytes_follow = head.end_of_stream || facts.content_length == Some(b"0");

    let passthrough = route.rule == Rule::Passthrough;
    let has_form = method == Method::Post && !no_bytes_follow && !passthrough;
    if method == Method::Get && !no_bytes_follow && facts.content_length.is_some() && !passthrough {
        return Err(Rejection::Body);
    }
    let expected = Expected::new(route, config, &tenants);
    let edits = head::edit(&facts, config, &tenants, route.answer, has_form)?;
    if passthrough {
        let body = if head.end_of_stream { BodyPlan::Absent } else { BodyPlan::Untouched };
        return Ok(Forward {
            tenant: tenants.joined().clone(),
            route,
            path: None,
            selectors: 0,
            set: edits.set,
            remove: edits.remove,
            body,
            expected,
            concurrency: None,
        });
    }

    let enforcement = Enforcement::new(route, config, &tenants);
    let mut query = Vec::with_capacity(target.query.len().saturating_mul(2).min(1 << 16));
    let plan = limits::Plan::new(route, config, &tenants, head.headers);
    let mut asked = limits::Asked::default();
    let held = plan.as_ref().map(|_| &mut asked);
    let mut url = enforcement.rewrite(target.query, Place::Url, held, memo, &mut query)?;
    if let Some(plan) = &plan {
        plan.settle(&asked, !has_form, head.now_ms, &mut query)?;
    }
    match (url.has_selector, has_form) {
        (true, _) => {}
        (false, false) => enforcement.add_selector(&mut query, &mut url),
        (false, true) => enforcement.add_nothing(&mut query),
    }
    let statistics = enforcement.ask_for_statistics(&url, &mut query);
    let expected = expected.narrowed(!query.is_empty()).measuring(statistics);
    let path = path::write(prefix, &found, &query).map_err(Rejection::Path)?;
    let concurrency = plan.as_ref().and_then(limits::Plan::concurrency);
    let body = if has_form {
        let limits = plan.map(|plan| Box::new((plan, asked)));
        BodyPlan::Form(FormPlan { enforcement, url_has_selector: url.has_selector, limits })
    } else if head.end_of_stream {
        BodyPlan::Absent
    } else {
        BodyPlan::MustBeEmpty
    };
    Ok(Forward {
        tenant: tenants.joined().clone(),
        route,
        path: (path != facts.target).then_some(path),
        selectors: url.selectors,
        set: edits.set,
        remove: edits.remove,
        body,
        expected,
        concurrency,
    })
}

impl BodyPlan {
    /// Decides on the whole body. The time is asked for again, since a client may take as much of it as it likes to send a form.
    pub fn finish(&self, body: &[u8], now_ms: Option<i64>, memo: &RefCell<Memo>) -> Result<Finished, Rejection> {
        let as_it_is = Finished { body: None, selectors: 0, statistics: None };
        match self {
            BodyPlan::Absent | BodyPlan::MustBeEmpty => {
                if body.is_empty() {
                    Ok(as_it_is)
                } else {
                    Err(Rejection::Body)
                }
            }
            BodyPlan::Form(plan) => plan.finish(body, now_ms, memo),
            BodyPlan::Untouched => Ok(as_it_is),
        }
    }
}

impl FormPlan {
    fn finish(&self, body: &[u8], now_ms: Option<i64>, memo: &RefCell<Memo>) -> Result<Finished, Rejection> {
        let mut form = Vec::with_capacity(body.len().saturating_mul(2).min(1 << 20));
        let mut asked = limits::Asked::default();
        let held = self.limits.as_ref().map(|_| &mut asked);
        let mut written = self.enforcement.rewrite(body, Place::Form, held, memo, &mut form)?;
        if let Some((plan, url)) = self.limits.as_deref() {
            plan.settle(&asked.over(url), true, now_ms, &mut form)?;
        }
        if !written.has_selector && !self.url_has_selector {
            self.enforcement.add_selector(&mut form, &mut written);
        }
        let Written { selectors, statistics, .. } = written;
        Ok(Finished { body: (form != body).then_some(form), selectors, statistics })
    }
}

/// The names that must go from the request's trailers, among those that are present.
///
/// All of them: a trailer is a header that arrives after every decision was made, and no endpoint reads any.
pub fn trailers_to_remove<'t>(names: impl Iterator<Item = &'t [u8]>) -> Vec<&'t [u8]> {
    let mut each_once: Vec<&[u8]> = Vec::new();
    for name in names {
        if !each_once.contains(&name) {
            each_once.push(name);
        }
    }
    each_once
}
