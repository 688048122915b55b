//! What is decided on a request, as data: forward it, answer it, ask the upstream first, or refuse it.

use super::{Ask, BodyPlan};
use crate::answer::Expected;
use crate::api::{Empty, Route};
use crate::rejection::Rejection;
use crate::workers::leases::Wanted;
use std::sync::Arc;

/// What happens to a request that is not refused.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The request goes upstream.
    Forward(Forward),
    /// The filter answers the request itself. This is no refusal, and is neither counted nor logged as one.
    Reply(Reply),
    /// The upstream is asked something first, and its answer decides on the request.
    Ask(Ask),
}

/// The tenant of a request, where one was identified.
pub fn tenant(decided: &Result<Decision, Refused>) -> Option<&Arc<str>> {
    match decided {
        Ok(Decision::Forward(forward)) => forward.tenant.as_ref(),
        Ok(Decision::Reply(reply)) => Some(&reply.tenant),
        Ok(Decision::Ask(ask)) => Some(&ask.tenant),
        Err(refused) => refused.tenant.as_ref(),
    }
}

/// The row of the API table, where one was found.
pub fn route(decided: &Result<Decision, Refused>) -> Option<&'static Route> {
    match decided {
        Ok(Decision::Forward(forward)) => Some(forward.route),
        Ok(Decision::Reply(reply)) => Some(reply.route),
        Ok(Decision::Ask(ask)) => Some(ask.route),
        Err(refused) => refused.route,
    }
}

impl Decision {
    /// What goes upstream, where the decision is to forward the request.
    pub fn forwarded(self) -> Option<Forward> {
        match self {
            Decision::Forward(forward) => Some(forward),
            Decision::Reply(_) | Decision::Ask(_) => None,
        }
    }
}

/// What is done with a request that goes upstream.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The tenant; several are joined by `|`. `None` for a row that needs none.
    pub tenant: Option<Arc<str>>,
    /// The row of the API table that applies.
    pub route: &'static Route,
    /// The new `:path`; `None` where it already reads so.
    pub path: Option<Vec<u8>>,
    /// How many selectors of the URL carry the matcher now.
    pub selectors: u32,
    /// Headers to set; each replaces all of that name.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Headers to remove. Only names that the client sent, so that no host call is wasted.
    pub remove: Vec<Arc<str>>,
    /// What has to happen to the body.
    pub body: BodyPlan,
    /// What the answer has to be, and what is done with it.
    pub expected: Expected,
    /// The tenants of which only so many queries may run at the same time, where this is one. Each has its own limit.
    pub concurrency: Vec<Wanted>,
}

/// A complete answer that the filter gives itself, though nothing is wrong with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The tenant; several are joined by `|`.
    pub tenant: Arc<str>,
    /// The row of the API table that applies.
    pub route: &'static Route,
    /// HTTP status.
    pub status: u16,
    /// Response headers. Those that every answer of the filter has (`cache-control`, `vary`) are not among them.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// A short stable name for access logs: why the upstream is not asked.
    pub reason: &'static str,
}

impl Reply {
    /// The answer to a request of which limits leave nothing.
    pub(super) fn empty(tenant: Arc<str>, route: &'static Route, empty: Empty) -> Reply {
        Reply {
            tenant,
            route,
            status: 200,
            headers: vec![("content-type", empty.content_type().to_owned())],
            body: empty.body().into(),
            reason: "beyond_limits",
        }
    }
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
