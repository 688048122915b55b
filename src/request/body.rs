//! What happens to the body of a request, once it is whole.

use super::alertmanager::MAX_ALERTS;
use super::parameters::{Enforcement, Written};
use super::{AlertsPlan, Ask, MessagePlan, ReadPlan, Rejection, Reply, RoutesPlan, SilencePlan, Spread};
use crate::answer::Asked;
use crate::limits::{RequestLimits, Requested, Stop};
use crate::memo::Memo;
use crate::rejection::Place;
use std::cell::RefCell;
use std::sync::Arc;

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
    pub(super) enforcement: Enforcement,
    /// The URL holds a `match[]`, so the form need not.
    pub(super) url_has_selector: bool,
    /// Where limits are in force.
    pub(super) limits: Option<Box<FormLimits>>,
}

/// What limits need to decide on a form.
#[derive(Debug, Clone)]
pub(super) struct FormLimits {
    pub limits: RequestLimits,
    /// What the URL asks for.
    pub url: Requested,
    pub tenant: Arc<str>,
}

/// What happens to a request whose body is whole, and which is not refused.
#[derive(Debug, Clone)]
pub enum BodyDecision {
    /// The request goes on upstream.
    Forward(Finished),
    /// The filter answers the request itself, as with [`Decision::Reply`](super::Decision::Reply).
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
    /// The question, which [`Pending::confirm`](super::Pending::confirm) decides on.
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
