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

mod admitted;
mod alertmanager;
mod ask;
mod body;
mod decision;
mod dry_run;
mod federation;
mod grpc;
mod head;
mod metadata;
mod naming;
mod pages;
mod parameters;
mod query;
mod remote_read;
#[cfg(test)]
mod tests;
mod write;

pub use alertmanager::{AlertsPlan, RoutedPart, RoutesPlan, SilencePlan, Spread};
pub use ask::{Answered, Ask, Pending};
pub use body::{BodyDecision, BodyPlan, Confirm, Finished};
pub use decision::{Decision, Forward, Refused, Reply, route, tenant};
pub use dry_run::is_in_dry_run;
pub use grpc::{MAX_MESSAGE, MessagePlan};
pub use remote_read::ReadPlan;

use crate::api::{Found, Route, Rule, Switch};
use crate::config::Config;
use crate::memo::Memo;
use crate::path;
use crate::rejection::Rejection;
use crate::tenant::Clues;
use crate::text;
use admitted::Asked;
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
        return admitted::without_tenant(head, &facts, config, route, prefix).map(Decision::Forward);
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
    let below = chosen.map_or(b"".as_slice(), |chosen| chosen.prefix);
    if let Some(reply) = pages::answer(&facts, found.route, config, &tenants, (below, prefix, target.query)) {
        return Ok(Decision::Reply(reply));
    }
    let asked = Asked { head, facts, target, chosen, found, prefix };
    let asked = admitted::admit(asked, tenants, labels, config)?;
    match (asked.route.rule, &asked.scope, config.metadata_by()) {
        (Rule::Grpc(call), ..) => grpc::decide(call, &asked, config).map(Decision::Forward),
        (Rule::Alertmanager(part), ..) => alertmanager::decide(part, &asked, config, memo),
        (Rule::Passthrough, ..) => naming::pass_through(&asked, config).map(Decision::Forward),
        (Rule::Write(protocol), ..) => write::decide(protocol, &asked, config, memo).map(Decision::Forward),
        (Rule::RemoteRead, ..) => remote_read::decide(&asked, config).map(Decision::Forward),
        (Rule::Metadata, Some(scope), Some(by)) => metadata::decide(&asked, by, scope, config, memo),
        (Rule::Refuse(reason), ..) => Err(Rejection::Forbidden(reason)),
        (
            Rule::Queries
            | Rule::Selectors
            | Rule::Forward
            | Rule::Filtered
            | Rule::ByHeader
            | Rule::ByHeaderUnread
            | Rule::Metadata
            | Rule::Page
            | Rule::Home,
            ..,
        ) => query::decide(asked, config, memo),
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
