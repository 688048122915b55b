//! The decision on a request: what goes upstream, or why nothing does. Host-free: bytes in, data out.
//!
//! Everything that concerns headers and path is decided on the head, since Envoy lets them be changed only there; the
//! body, once it is whole, is replaced. In order:
//!
//! 1. `head`: each header is read once; what is ambiguous is refused.
//! 2. `path`: the path is in normal form, or refused.
//! 3. The tenant: from the one source that the configuration names. With `tenant_path`, its part of the path is taken away, and chooses among
//!    what the source names.
//! 4. The row of the API table, and the method.
//! 5. `parameters`: the query string, and later the form, are decoded, checked, enforced and encoded again.
//! 6. [`limits`](crate::limits), where the tenant has some: what is requested is within them or refused, and times are moved to where
//!    they are allowed. Where nothing is left, the filter answers itself.
//!
//! `pages` decides on the upstream's web pages, and has the one to choose a tenant. `decision` has what is decided, as data; `dry_run`, whether it is
//! enforced; `ask`, what the
//! upstream is asked first; `alertmanager`: the same for Alertmanager's API; `federation`, what is known of several tenants here. `metadata` and `remote_read` decide on endpoints of
//! their own kind; `grpc`: the same for gRPC, where a message takes the place of parameters.
//!
//! A request without any `match[]` gains one: in the URL where no form follows, else in the form. Upstream takes the
//! union of all `match[]`, so adding one beside another would widen the answer. One that matches nothing widens nothing:
//! it stands in the URL where the form decides, since an upstream that loses the form may answer without it, and then for
//! everybody (`labels` of Prometheus 3.15, when its `--web.read-timeout` strikes; observed).

mod alertmanager;
mod ask;
mod decision;
mod dry_run;
mod federation;
mod grpc;
mod head;
mod metadata;
mod naming;
mod pages;
mod parameters;
mod remote_read;
#[cfg(test)]
mod tests;
mod write;

pub use alertmanager::{AlertsPlan, RoutedPart, RoutesPlan, SilencePlan, Spread};
pub use ask::{Answered, Ask, Pending};
pub use decision::{Decision, Forward, Refused, Reply, route, tenant};
pub use dry_run::is_in_dry_run;
pub use grpc::{MAX_MESSAGE, MessagePlan};

use crate::answer::{Asked, Expected, Notes};
use crate::api::{Found, Method, Part, Path, Route, Rule, Switch};
use crate::config::{Config, FORWARDED_PREFIX};
use crate::go::form;
use crate::limits::{Engine, Limit, RequestLimits, Requested, Stop};
use crate::memo::Memo;
use crate::path;
use crate::rejection::{Place, Rejection};
use crate::tenant::{self, Clues, Tenants};
use crate::text;
use alertmanager::MAX_ALERTS;
use head::Facts;
use parameters::{Enforcement, Written};
pub use remote_read::ReadPlan;
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
    /// What the proxy answers to [`Config::label_evidence`]; `None` where it has nothing.
    pub label_evidence: Option<&'a [u8]>,
    /// Neither body nor trailers follow.
    pub end_of_stream: bool,
    /// What time it is, in milliseconds since 1970: needed where [`Config::needs_the_time`] says so.
    pub now_ms: Option<i64>,
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
    /// A gRPC message, to be read whole and replaced.
    Message(MessagePlan),
    /// Passed on as it comes, without holding it back: a path of `passthrough_paths`, or remote read of an upstream that isolates
    /// tenants itself.
    Untouched,
    /// Likewise, as long as it is no longer than this many bytes: a write.
    Bounded(usize),
    /// A message of remote read, to be read whole and replaced.
    RemoteRead(Box<ReadPlan>),
    /// Alerts, to be read whole and replaced.
    Alerts(Box<AlertsPlan>),
    /// A silence, to be read whole and replaced.
    Silence(Box<SilencePlan>),
    /// Alerts of many tenants, to be read whole and sent in parts. The request itself goes nowhere, its head neither.
    Routes(Box<RoutesPlan>),
}

/// What is needed to rewrite the form once it is here.
#[derive(Debug, Clone)]
pub struct FormPlan {
    enforcement: Enforcement,
    /// The URL holds a `match[]`, so the form need not.
    url_has_selector: bool,
    /// Where limits are in force.
    limits: Option<Box<FormLimits>>,
}

/// What limits need to decide on a form.
#[derive(Debug, Clone)]
struct FormLimits {
    limits: RequestLimits,
    /// What the URL asks for.
    url: Requested,
    tenant: Arc<str>,
}

/// What happens to a request whose body is whole, and which is not refused.
#[derive(Debug, Clone)]
pub enum BodyDecision {
    /// The request goes on upstream.
    Forward(Finished),
    /// The filter answers the request itself, as with [`Decision::Reply`].
    Reply(Reply),
    /// The request goes on once the upstream has answered a question as it should.
    Confirm(Box<Confirm>),
    /// The body is sent in parts, and the filter answers the request itself when all were answered.
    Spread(Box<Spread>),
}

/// A body that goes upstream if the answer to a question allows it.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// The body.
    pub finished: Finished,
    /// The question, which [`Pending::confirm`] decides on.
    pub ask: Ask,
}

impl BodyDecision {
    /// The body that goes upstream, where the decision is to forward the request.
    pub fn forwarded(self) -> Option<Finished> {
        match self {
            BodyDecision::Forward(finished) => Some(finished),
            BodyDecision::Reply(_) | BodyDecision::Confirm(_) | BodyDecision::Spread(_) => None,
        }
    }
}

/// A whole body that goes upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The bytes that replace it, `None` where it stays as it is.
    pub body: Option<Vec<u8>>,
    /// How many of its selectors carry the matcher now.
    pub selectors: u32,
    /// What the client says about statistics in it, which counts before what the URL says.
    pub statistics: Option<bool>,
    /// What the client asks in it, which counts before what it asks in the URL.
    pub asked: Option<Asked>,
}

/// Decides on the request's head. Everything that concerns headers is decided here, since headers go on before the body comes.
///
/// ```
/// use promql_tenancy_filter::config::Config;
/// use promql_tenancy_filter::request::{Head, decide};
/// use std::cell::RefCell;
///
/// let config = Config::parse(br#"{"tenant_label_name": "team"}"#).unwrap();
/// let headers: [(&[u8], &[u8]); 3] =
///     [(b":method", b"GET"), (b":path", b"/api/v1/query?query=up"), (b"thanos-tenant", b"a")];
/// let head = Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
///
/// let forward = decide(&head, &config, &RefCell::default()).unwrap().forwarded().unwrap();
/// assert_eq!(forward.path.unwrap(), b"/api/v1/query?query=up%7Bteam%3D%22a%22%7D");
///
/// // Without a row in the API table, nothing is forwarded.
/// let headers: [(&[u8], &[u8]); 3] = [(b":method", b"GET"), (b":path", b"/unknown"), (b"thanos-tenant", b"a")];
/// let refused = decide(&Head { headers: &headers, ..head }, &config, &RefCell::default()).unwrap_err();
/// assert_eq!((refused.rejection.status(), refused.rejection.reason()), (404, "unknown_path"));
/// ```
pub fn decide(head: &Head<'_>, config: &Config, memo: &RefCell<Memo>) -> Result<Decision, Refused> {
    let (mut tenant, mut route) = (None, None);
    decide_noting(head, config, memo, &mut tenant, &mut route).map_err(|rejection| Refused { rejection, tenant, route })
}

/// `tenant` and `row` are noted as soon as they are known, for a refusal to name them.
fn decide_noting(
    head: &Head<'_>,
    config: &Config,
    memo: &RefCell<Memo>,
    tenant: &mut Option<Arc<str>>,
    row: &mut Option<&'static Route>,
) -> Result<Decision, Rejection> {
    let facts = head::read(head.headers, config)?;
    let target = path::split(facts.target).map_err(Rejection::Path)?;
    let chosen = config.tenant_path().and_then(|prefix| prefix.split(target.path));
    let found = config.find(chosen.map_or(target.path, |chosen| chosen.rest));
    *row = found.map(|(found, _)| found.route);
    if chosen.is_none()
        && let Some((Found { route, .. }, prefix)) = found
        && !route.needs_tenant
    {
        return without_tenant(head, &facts, config, route, prefix);
    }
    if let Some(prefix) = config.tenant_path().filter(|_| config.serves(Switch::Ui))
        && let Some(asked) = pages::Asked::of(&facts, target.query, chosen, found, config.upstream())
    {
        return asked.choose(head.evidence, config, prefix).map(Decision::Reply);
    }
    let parameter = naming::parameter(target.query, config.source())?;
    let clues = Clues {
        header: facts.tenant,
        parameter: parameter.as_deref(),
        segment: chosen.map(|chosen| chosen.tenant),
        evidence: head.evidence,
    };
    let tenants = config.identify(&clues).map_err(Rejection::Tenant)?;
    *tenant = Some(tenants.joined().clone());
    if let Some(id) = tenants.ids().find(|id| !config.allows(id)) {
        return Err(Rejection::NotAllowed(text::quote(id.as_bytes())));
    }
    let labels = config.label_values(|index| facts.label(index), head.label_evidence);
    let labels = labels.map_err(|(label, error)| Rejection::Label(label, error))?;
    let (found, prefix) = found.ok_or(Rejection::UnknownPath)?;
    let route = found.route;
    let below = chosen.map_or(b"".as_slice(), |chosen| chosen.prefix);
    if let Some(reply) = pages::answer(&facts, route, config, &tenants, (below, prefix, target.query)) {
        return Ok(Decision::Reply(reply));
    }
    if let Rule::Refuse(reason) = route.rule {
        return Err(Rejection::Forbidden(reason));
    }
    let is_by_header = matches!(route.rule, Rule::ByHeader | Rule::ByHeaderUnread | Rule::Alertmanager(Part::ByHeader));
    if is_by_header && config.enforces() {
        return Err(Rejection::Forbidden("with enforce_tenancy its answer can't be scoped to a tenant"));
    }
    if route.one_tenant && tenants.are_several() {
        let is_write = matches!(route.rule, Rule::Write(_));
        let error = if is_write { tenant::Error::OneWriter } else { tenant::Error::OneAtATime };
        return Err(Rejection::Tenant(error));
    }
    if let Some(switch) = route.switch.filter(|switch| !config.serves(*switch)) {
        return Err(Rejection::Forbidden(switch.refusal()));
    }
    if config.view().is_some() && route.answer.is_filtered_by_owner() {
        return Err(Rejection::Forbidden(
            "with tenant_regex it can't be told whose rules, alerts, exemplars and series are: static_tenant_ids can name the tenants",
        ));
    }
    let method = method(&facts, route)?;
    let scope = match config.enforces() {
        true => Some(config.scope(&tenants, &labels).map_err(Rejection::Tenant)?),
        false => None,
    };
    let renaming = config.renaming(&tenants).filter(|_| route.renames_labels());
    let scope = scope.map(|scope| scope.renamed(renaming.cloned()));
    if let Rule::Grpc(call) = route.rule {
        // A gRPC client's paths have no prefix.
        if chosen.is_some() {
            return Err(Rejection::UnknownPath);
        }
        return grpc::decide(call, route, head, &facts, config, &tenants, scope).map(Decision::Forward);
    }
    if let Rule::Alertmanager(part) = route.rule {
        let mut edits = head::edit(&facts, config, &tenants, route, false)?;
        if let Some(chosen) = chosen {
            edits.set.push(forwarded_prefix(chosen.prefix));
        }
        let facts = alertmanager::Facts {
            route,
            method,
            prefix,
            segment: found.segment,
            query: target.query,
            target: facts.target,
            head,
            headers: &facts,
            edits,
        };
        return alertmanager::decide(part, facts, config, &tenants, (scope.as_ref(), &labels), memo);
    }
    let no_bytes_follow = head.end_of_stream || facts.content_length == Some(b"0");

    let passthrough = route.rule == Rule::Passthrough;
    let is_unread = route.rule == Rule::ByHeaderUnread;
    let is_message = route.rule == Rule::RemoteRead;
    let is_write = matches!(route.rule, Rule::Write(_));
    let has_form = method == Method::Post && !no_bytes_follow && !passthrough && !is_unread && !is_message && !is_write;
    if method != Method::Post && !no_bytes_follow && facts.content_length.is_some() && !passthrough {
        return Err(Rejection::Body);
    }
    let max_size = config.limits().least(&tenants, Limit::ResponseSize).map(|size| (Limit::ResponseSize, size));
    let expected = Expected::new(route, config, scope.as_ref()).limited(Notes::new(max_size.into_iter().collect()));
    let mut edits = head::edit(&facts, config, &tenants, route, has_form)?;
    if let Some(chosen) = chosen {
        edits.set.push(forwarded_prefix(chosen.prefix));
    }
    if passthrough {
        let body = if head.end_of_stream { BodyPlan::Absent } else { BodyPlan::Untouched };
        let path = chosen.map_or(target.path, |chosen| chosen.rest);
        return Ok(Decision::Forward(Forward {
            tenant: Some(tenants.joined().clone()),
            route,
            path: naming::passthrough_target(facts.target, path, target.query, config.source())?,
            selectors: 0,
            set: edits.set,
            remove: edits.remove,
            body,
            expected,
            concurrency: Vec::new(),
        }));
    }

    if let Rule::Write(protocol) = route.rule {
        let enforcement = Enforcement::new(route, config, None);
        let mut query = Vec::new();
        enforcement.rewrite(target.query, Place::Url, None, memo, &mut query)?;
        let path = path::write(prefix, route.path, found.segment, &query).map_err(Rejection::Path)?;
        let path = (path != facts.target).then_some(path);
        return write::decide(protocol, route, head, &facts, config, &tenants, (path, edits, expected))
            .map(Decision::Forward);
    }

    if is_message {
        if head.end_of_stream {
            return Err(Rejection::ReadMessage("it has no body: send the message in it"));
        }
        let limits = limits_on(route, config, &tenants, head.headers).map(Box::new);
        let concurrency = config.limits().concurrency(&tenants);
        let edits = edits.of_message(facts.content_length.is_some());
        let path = path::write(prefix, route.path, found.segment, b"").map_err(Rejection::Path)?;
        return Ok(Decision::Forward(Forward {
            tenant: Some(tenants.joined().clone()),
            route,
            path: (path != facts.target).then_some(path),
            selectors: 0,
            set: edits.set,
            remove: edits.remove,
            body: BodyPlan::RemoteRead(Box::new(ReadPlan { scope, limits })),
            expected,
            concurrency,
        }));
    }

    if let (Rule::Metadata, Some(by), Some(scope)) = (route.rule, config.metadata_by(), &scope) {
        let facts = metadata::Facts { route, prefix, query: target.query, target: facts.target, head, edits, expected };
        return metadata::decide(facts, by, config, &tenants, scope, memo);
    }

    // Of a page, the browser alone reads it.
    let asked = if route.rule == Rule::Page { b"" } else { target.query };
    let enforcement = Enforcement::new(route, config, scope);
    let mut query = Vec::with_capacity(asked.len().saturating_mul(2).min(1 << 16));
    let limits = limits_on(route, config, &tenants, head.headers);
    let mut requested = Requested::default();
    let noted = limits.as_ref().map(|_| &mut requested);
    let mut url = enforcement.rewrite(asked, Place::Url, noted, memo, &mut query)?;
    if let Some(limits) = &limits {
        match limits.decide(&mut requested, !has_form, head.now_ms, &mut query) {
            Ok(()) => {}
            Err(Stop::Empty(empty)) => {
                return Ok(Decision::Reply(Reply::empty(tenants.joined().clone(), route, empty)));
            }
            Err(Stop::Refused(refusal)) => return Err(refusal.into()),
        }
    }
    let label = federation::stored(found.segment, renaming);
    if let (Some(label), Some(renaming), Some(seen)) = (label, renaming, config.seen_by(&tenants))
        && *label.text == **config.label()
        && let Some(reply) = federation::values(target.query, renaming, &seen, tenants.joined(), route)
    {
        return Ok(Decision::Reply(reply));
    }
    let caps = limits.as_ref().map_or(Vec::new(), RequestLimits::caps);
    let notes = Notes::new(caps.into_iter().chain(max_size).collect());
    match (url.has_selector, has_form) {
        (true, _) => {}
        (false, false) => enforcement.add_selector(&mut query, &mut url),
        (false, true) => enforcement.add_nothing(&mut query),
    }
    let statistics = enforcement.ask_for_statistics(&url, &mut query);
    let expected = expected
        .narrowed(!query.is_empty())
        .measuring(statistics)
        .asked(url.asked.take().unwrap_or_default())
        .limited(notes);
    let asked = match route.instead {
        Some((path, (name, value))) if config.enforces() => {
            form::append(&mut query, name.as_bytes(), value.as_bytes());
            Path::Exact(path)
        }
        Some(_) | None => route.path,
    };
    let label = label.map(|label| path::spell(&label.text));
    let segment = label.as_deref().map(str::as_bytes).or(found.segment);
    let path = path::write(prefix, asked, segment, &query).map_err(Rejection::Path)?;
    if is_unread {
        check_limits_of_unread(config, &tenants)?;
    }
    let occupies_the_upstream = route.evaluates || route.reads_expressions() || is_unread;
    let concurrency = if occupies_the_upstream { config.limits().concurrency(&tenants) } else { Vec::new() };
    let body = if has_form {
        let tenant = tenants.joined();
        let limits =
            limits.map(|limits| Box::new(FormLimits { limits, url: requested.kept(), tenant: tenant.clone() }));
        BodyPlan::Form(FormPlan { enforcement, url_has_selector: url.has_selector, limits })
    } else if head.end_of_stream {
        BodyPlan::Absent
    } else if is_unread {
        BodyPlan::Untouched
    } else {
        BodyPlan::MustBeEmpty
    };
    Ok(Decision::Forward(Forward {
        tenant: Some(tenants.joined().clone()),
        route,
        path: (path != facts.target).then_some(path),
        selectors: url.selectors,
        set: edits.set,
        remove: edits.remove,
        body,
        expected,
        concurrency,
    }))
}

/// Forwards a request that belongs to no tenant, whatever names one in it, and without the tenant header. It has no parameters.
fn without_tenant(
    head: &Head<'_>,
    facts: &Facts<'_>,
    config: &Config,
    route: &'static Route,
    prefix: &str,
) -> Result<Decision, Rejection> {
    method(facts, route)?;
    if let Rule::Grpc(call) = route.rule {
        return grpc::decide_health(call, route, head, facts, config).map(Decision::Forward);
    }
    let no_bytes_follow = head.end_of_stream || facts.content_length == Some(b"0");
    if !no_bytes_follow && facts.content_length.is_some() {
        return Err(Rejection::Body);
    }
    let edits = head::edit_without_tenant(facts, config, head.headers);
    let path = path::write(prefix, route.path, None, b"").map_err(Rejection::Path)?;
    Ok(Decision::Forward(Forward {
        tenant: None,
        route,
        path: (path != facts.target).then_some(path),
        selectors: 0,
        set: edits.set,
        remove: edits.remove,
        body: if head.end_of_stream { BodyPlan::Absent } else { BodyPlan::MustBeEmpty },
        expected: Expected::of_nobody(route.answer, config),
        concurrency: Vec::new(),
    }))
}

fn forwarded_prefix(prefix: &[u8]) -> (Arc<str>, Arc<str>) {
    // In normal form, and so ASCII.
    (FORWARDED_PREFIX.into(), String::from_utf8_lossy(prefix).into())
}

fn method(facts: &Facts<'_>, route: &'static Route) -> Result<Method, Rejection> {
    Method::read(facts.method).filter(|method| route.methods.contains(method)).ok_or(Rejection::Method(route.methods))
}

/// The limits on a request; `None` where there are none.
fn limits_on(
    route: &'static Route,
    config: &Config,
    tenants: &Tenants,
    headers: &[(&[u8], &[u8])],
) -> Option<RequestLimits> {
    let engine = Engine {
        profile: config.upstream().profile(),
        lookback_ms: config.lookback_ms(),
        subquery_step_ms: config.subquery_step_ms(),
    };
    RequestLimits::new(config.limits(), tenants, route, engine, headers)
}

/// Refuses a request whose body is forwarded unread where a limit is in force that would have to read it.
fn check_limits_of_unread(config: &Config, tenants: &Tenants) -> Result<(), Rejection> {
    match config.limits_of(tenants) {
        Some(in_force) if in_force.need_the_body() => {
            Err(Rejection::Forbidden("its body is forwarded unread, and the tenant's limits would have to read it"))
        }
        Some(_) | None => Ok(()),
    }
}

impl BodyPlan {
    /// Whether the upstream may not answer before the body is whole: without it, it would answer for every tenant.
    pub fn confines(&self) -> bool {
        match self {
            BodyPlan::Form(_)
            | BodyPlan::RemoteRead(_)
            | BodyPlan::Message(_)
            | BodyPlan::Alerts(_)
            | BodyPlan::Silence(_)
            | BodyPlan::Routes(_) => true,
            BodyPlan::Absent | BodyPlan::MustBeEmpty | BodyPlan::Untouched | BodyPlan::Bounded(_) => false,
        }
    }

    /// Whether a body of which so many bytes have come is to be looked at now, though more may follow.
    pub fn is_decided_at(&self, size: usize) -> bool {
        match self {
            // A body that must be empty is refused at its first byte, not when all of it is here.
            BodyPlan::Absent | BodyPlan::Untouched | BodyPlan::Bounded(_) | BodyPlan::MustBeEmpty => size > 0,
            BodyPlan::Form(_) => false,
            BodyPlan::RemoteRead(_) => ReadPlan::is_too_long(size),
            // Envoy's buffer limit does not hold for HTTP/2.
            BodyPlan::Message(plan) => plan.is_too_long(size),
            BodyPlan::Alerts(_) | BodyPlan::Routes(_) => size > MAX_ALERTS,
            BodyPlan::Silence(_) => SilencePlan::is_too_long(size),
        }
    }

    /// Decides on the whole body. The time is given again, since a client may take as long as it likes to send a form.
    pub fn finish(&self, body: &[u8], now_ms: Option<i64>, memo: &RefCell<Memo>) -> Result<BodyDecision, Rejection> {
        let as_it_is = BodyDecision::Forward(Finished { body: None, selectors: 0, statistics: None, asked: None });
        match self {
            BodyPlan::Absent | BodyPlan::MustBeEmpty => {
                if body.is_empty() {
                    Ok(as_it_is)
                } else {
                    Err(Rejection::Body)
                }
            }
            BodyPlan::Form(plan) => plan.finish(body, now_ms, memo),
            BodyPlan::RemoteRead(plan) => plan.finish(body, now_ms),
            BodyPlan::Message(plan) => plan.finish(body, now_ms),
            BodyPlan::Alerts(plan) => plan.finish(body),
            BodyPlan::Silence(plan) => plan.finish(body),
            BodyPlan::Routes(plan) => plan.finish(body),
            BodyPlan::Untouched | BodyPlan::Bounded(_) => Ok(as_it_is),
        }
    }
}

impl FormPlan {
    fn finish(&self, body: &[u8], now_ms: Option<i64>, memo: &RefCell<Memo>) -> Result<BodyDecision, Rejection> {
        let mut form = Vec::with_capacity(body.len().saturating_mul(2).min(1 << 20));
        let mut requested = Requested::default();
        let noted = self.limits.as_ref().map(|_| &mut requested);
        let mut written = self.enforcement.rewrite(body, Place::Form, noted, memo, &mut form)?;
        if let Some(FormLimits { limits, url, tenant }) = self.limits.as_deref() {
            match limits.decide(&mut requested.over(url), true, now_ms, &mut form) {
                Ok(()) => {}
                Err(Stop::Empty(empty)) => {
                    let reply = Reply::empty(tenant.clone(), self.enforcement.route(), empty);
                    return Ok(BodyDecision::Reply(reply));
                }
                Err(Stop::Refused(refusal)) => return Err(refusal.into()),
            }
        }
        if !written.has_selector && !self.url_has_selector {
            self.enforcement.add_selector(&mut form, &mut written);
        }
        let Written { selectors, statistics, asked, .. } = written;
        Ok(BodyDecision::Forward(Finished { body: (form != body).then_some(form), selectors, statistics, asked }))
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
