//! Requests to Alertmanager.
//!
//! ```text
//! GET alerts, alerts/groups       filter=matcher for each of the scope's; which silences are the tenant's is asked first
//! GET silences                    likewise, where each matcher is an equality; the answer is filtered
//! GET receivers                   receiver_matchers=matcher
//! GET status                      forwarded; the answer is filtered
//! GET, DELETE silence/<id>        whose it is, is asked first: another's is 404, as one that is not there
//! POST alerts                     `alerts`: written anew with the scope's labels; with `alert_routes`, `routes`: split by tenant
//! POST silences                   `silence`: written anew with the scope's matchers; for an update, whose it is, is asked first
//! ```
//!
//! - A write is one tenant's, and is confined to that tenant's own data: `shared_tenants` are only read.
//! - Alertmanager never changes the matchers of a silence that keeps its ID (`canUpdate` in silence/silence.go, 0.35), so that nothing can change
//!   between the question and the write.
//! - The client's own filters are forwarded unread: Alertmanager reads each of them alone, and all have to match.

mod alerts;
mod posted;
mod routes;
mod silence;

pub use alerts::{AlertsPlan, MAX_ALERTS};
pub use routes::{RoutedPart, RoutesPlan, Spread};
pub use silence::{PendingSilence, Question, SilencePlan};

use super::admitted::Admitted;
use super::ask::{Answered, Ask, Pending};
use super::head::{self, Edits};
use super::parameters::Enforcement;
use super::{BodyPlan, Decision, Forward, Head, Rejection};
use crate::answer::{Expected, OfAlertmanager, Own};
use crate::api::{ALERTS, Method, Part, Route, SILENCE, SILENCES};
use crate::config::Config;
use crate::go::form;
use crate::memo::Memo;
use crate::path;
use crate::rejection::{CallOutFault, Place};
use crate::scope::{MatchOp, Scope};
use crate::tenant::{self, Tenants};
use std::cell::RefCell;
use std::sync::Arc;

/// What is known of the request.
pub struct Facts<'r> {
    pub route: &'static Route,
    pub prefix: &'r str,
    /// The ID of a silence, as it stands in the path.
    pub segment: Option<&'r [u8]>,
    /// The query string, as it came.
    pub query: &'r [u8],
    pub target: &'r [u8],
    pub head: &'r Head<'r>,
    pub headers: &'r head::Facts<'r>,
    pub edits: Edits,
}

const NO_CALL_OUT: &str = "whose the silence is has to be asked of the upstream, and call_out_cluster names none";
const INTERNAL: Rejection = Rejection::Internal("the scope can't be asked about alerts and silences");

/// Decides on a request. Its scope is that of reading; `None` where the upstream isolates tenants itself.
// Apart from the other decisions, as V8 compiles many small functions in less time than a large one.
#[inline(never)]
pub fn decide(part: Part, asked: &Admitted<'_>, config: &Config, memo: &RefCell<Memo>) -> Result<Decision, Rejection> {
    let Admitted { head, route, method, ref tenants, ref labels, .. } = *asked;
    let scope = asked.scope.as_ref();
    let facts = Facts {
        route,
        prefix: asked.prefix,
        segment: asked.segment,
        query: asked.target.query,
        target: asked.facts.target,
        head,
        headers: &asked.facts,
        edits: asked.edits(config, false)?,
    };
    let is_write = method != Method::Get;
    let has_body = method == Method::Post;
    if has_body && head.end_of_stream {
        return Err(Rejection::Posted("the request", "it has no body: send one"));
    }
    if !has_body && facts.headers.content_length.is_some_and(|length| length != b"0") {
        return Err(Rejection::Body);
    }
    let mut query = Vec::new();
    if method == Method::Get {
        Enforcement::new(route, config, None).rewrite(facts.query, Place::Url, None, memo, &mut query)?;
    }
    let expected = Expected::new(route, config, scope);
    if part == Part::ByHeader {
        let body = match (head.end_of_stream, has_body) {
            (true, _) => BodyPlan::Absent,
            (false, true) => BodyPlan::Untouched,
            (false, false) => BodyPlan::MustBeEmpty,
        };
        return Ok(Decision::Forward(forward(facts, tenants, &query, body, expected)?));
    }
    if is_write && tenants.are_several() {
        return Err(Rejection::Tenant(tenant::Error::OneWriter));
    }
    let scope = match (scope, is_write) {
        (None, _) => return Err(Rejection::Internal("nothing is enforced")),
        (Some(scope), false) => scope.clone(),
        (Some(_), true) => config.write_scope(tenants, labels).map_err(Rejection::Tenant)?,
    };
    let own = Arc::new(Own::new(&scope).map_err(|_| INTERNAL)?);
    if has_body {
        return write(part, facts, config, tenants, (scope, own), expected);
    }
    let absent = if head.end_of_stream { BodyPlan::Absent } else { BodyPlan::MustBeEmpty };
    let name: &[u8] = match part {
        Part::Alerts | Part::Groups => b"filter",
        // A silence matches a filter that is one of its own matchers. Whether an equality is inside another matcher, Alertmanager does not look.
        Part::Silences if scope.matchers().all(|matcher| matcher.op == MatchOp::Equal) => b"filter",
        Part::Receivers => b"receiver_matchers",
        Part::Silences | Part::Silence | Part::Status | Part::ByHeader => b"",
    };
    if !name.is_empty() {
        scope.matchers().for_each(|matcher| form::append(&mut query, name, matcher.to_string().as_bytes()));
    }
    if part == Part::Silence {
        let id = facts.segment.filter(|id| silence::is_id(id)).ok_or(Rejection::UnknownSilence)?;
        if config.call_out_cluster().is_none() {
            return Err(Rejection::Forbidden(NO_CALL_OUT));
        }
        let path = path::write(facts.prefix, SILENCE, Some(id), b"").map_err(Rejection::Path)?;
        let forward = match is_write {
            true => Some(forward(facts, tenants, b"", absent, expected.of_alertmanager(OfAlertmanager::Written))?),
            false => None,
        };
        let pending =
            Pending::Silence(Box::new(PendingSilence { own, tenant: tenants.joined().clone(), route, forward }));
        return Ask::new(config, tenants, route, head, Method::Get, path, pending).map(Decision::Ask);
    }
    let needs_ids = matches!(part, Part::Alerts | Part::Groups) && config.call_out_cluster().is_some();
    if !needs_ids {
        let expected = expected.of_alertmanager(OfAlertmanager::Listed(own));
        return Ok(Decision::Forward(forward(facts, tenants, &query, absent, expected)?));
    }
    let mut filter = Vec::new();
    if scope.matchers().all(|matcher| matcher.op == MatchOp::Equal) {
        scope.matchers().for_each(|matcher| form::append(&mut filter, b"filter", matcher.to_string().as_bytes()));
    }
    // What has expired silences nothing. Versions before 0.34 don't know the parameter.
    form::append(&mut filter, b"expired", b"false");
    let path = path::write(facts.prefix, SILENCES, None, &filter).map_err(Rejection::Path)?;
    let forward = forward(facts, tenants, &query, absent, expected)?;
    let pending = Pending::Ids(Box::new(PendingIds { own, forward }));
    Ask::new(config, tenants, route, head, Method::Get, path, pending).map(Decision::Ask)
}

/// Decides on the head of what is posted.
fn write(
    part: Part,
    mut facts: Facts<'_>,
    config: &Config,
    tenants: &Tenants,
    (scope, own): (Scope, Arc<Own>),
    expected: Expected,
) -> Result<Decision, Rejection> {
    let head = facts.head;
    posted::edit(facts.headers, &mut facts.edits)?;
    let expected = expected.of_alertmanager(OfAlertmanager::Written);
    let body = match (part, config.alert_routes()) {
        (Part::Alerts, Some(routes)) => {
            let path = path::write(facts.prefix, ALERTS, None, b"").map_err(Rejection::Path)?;
            BodyPlan::Routes(Box::new(RoutesPlan::new(routes, config, tenants, facts.route, head, path)?))
        }
        (Part::Alerts, None) => BodyPlan::Alerts(Box::new(AlertsPlan::new(scope)?)),
        (Part::Silences, _) => {
            let question = match config.call_out_cluster() {
                Some(_) => {
                    let (tenant, route) = (tenants.joined().clone(), facts.route);
                    let pending = PendingSilence { own: own.clone(), tenant, route, forward: None };
                    let pending = Pending::Silence(Box::new(pending));
                    let ask = Ask::new(config, tenants, route, head, Method::Get, Vec::new(), pending)?;
                    let Ask { tenant, route, cluster, timeout_ms, max_answer, headers, .. } = ask;
                    Some(Question { tenant, route, cluster, timeout_ms, max_answer, headers, own })
                }
                None => None,
            };
            let of_all = config.allows_silence_of_all();
            BodyPlan::Silence(Box::new(SilencePlan::new(scope, of_all, question, facts.prefix)?))
        }
        (Part::Groups | Part::Silence | Part::Receivers | Part::Status | Part::ByHeader, _) => {
            return Err(Rejection::Method(facts.route.methods));
        }
    };
    Ok(Decision::Forward(forward(facts, tenants, b"", body, expected)?))
}

fn forward(
    facts: Facts<'_>,
    tenants: &Tenants,
    query: &[u8],
    body: BodyPlan,
    expected: Expected,
) -> Result<Forward, Rejection> {
    let Facts { route, prefix, segment, target, edits, .. } = facts;
    let path = path::write(prefix, route.path, segment, query).map_err(Rejection::Path)?;
    Ok(Forward {
        tenant: Some(tenants.joined().clone()),
        route,
        path: (path != target).then_some(path),
        selectors: 0,
        set: edits.set,
        remove: edits.remove,
        body,
        expected,
        concurrency: Vec::new(),
    })
}

/// What is kept until it is known which silences are the tenant's.
#[derive(Debug, Clone)]
pub struct PendingIds {
    own: Arc<Own>,
    forward: Forward,
}

impl PendingIds {
    /// The upstream has told the tenant's silences, or has not. Where they are too many to be read, none is named.
    pub fn finish(self, answered: &Answered<'_>) -> Result<Decision, Rejection> {
        let PendingIds { own, mut forward } = self;
        let own = match answered.body() {
            Ok(list) => {
                let ids = own.ids(list).map_err(|_| Rejection::CallOut(CallOutFault::Unreadable))?;
                Arc::new(Own::clone(&own).knowing(Arc::new(ids)))
            }
            Err(Rejection::CallOut(CallOutFault::TooLong)) => own,
            Err(rejection) => return Err(rejection),
        };
        forward.expected = forward.expected.of_alertmanager(OfAlertmanager::Listed(own));
        Ok(Decision::Forward(forward))
    }
}
