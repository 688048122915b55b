//! A question to the upstream, which is asked before a request is decided on: which names are the tenant's, whose silence is it?
//!
//! To add one, add a variant to [`Pending`] with what is needed to decide, and return [`Decision::Ask`]. The question goes to
//! `call_out_cluster`, with the tenant's header and with what the upstream needs to take it for the client's own request. While it is
//! on its way, the request is held back.

use super::alertmanager::{PendingIds, PendingSilence};
use super::metadata::PendingNames;
use super::{Decision, Head, Rejection};
use crate::api::{Method, Route};
use crate::config::Config;
use crate::memo::Memo;
use crate::rejection::CallOutFault;
use crate::tenant::Tenants;
use std::cell::RefCell;
use std::sync::Arc;

/// The host of a question where the client named none that can be written.
const AUTHORITY: &str = "promql-tenancy-filter";

/// A question to the upstream.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tenant; several are joined by `|`.
    pub tenant: Arc<str>,
    /// The row of the API table that applies.
    pub route: &'static Route,
    /// The cluster that is asked.
    pub cluster: Arc<str>,
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u32,
    /// The longest answer that is read.
    pub max_answer: usize,
    /// The head of the question, `:method`, `:path` and `:authority` among it.
    pub headers: Vec<(Arc<str>, String)>,
    /// What is kept to decide on the upstream's answer.
    pub pending: Pending,
    /// What tells this question from every other, of whatever tenant and client: requests that ask the same at the same time may wait for one
    /// answer. `None` where it is too long to be compared.
    pub same: Option<Arc<str>>,
}

/// The longest [`Ask::same`].
const MAX_SAME: usize = 4 << 10;

/// What is kept until the upstream has answered a question: one variant for each endpoint that asks.
#[derive(Debug, Clone)]
pub enum Pending {
    /// The names of the tenant's metrics, by which metadata is filtered.
    Names(Box<PendingNames>),
    /// The IDs of the tenant's silences, among which those that silence its alerts are.
    Ids(Box<PendingIds>),
    /// One silence: whose is it?
    Silence(Box<PendingSilence>),
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered<'a> {
    /// The upstream answered, in whatever way.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The body; `None` where it is longer than [`Ask::max_answer`].
        body: Option<&'a [u8]>,
    },
    /// There was no answer.
    Failed,
}

impl Ask {
    /// A question without a body.
    pub fn new(
        config: &Config,
        tenants: &Tenants,
        route: &'static Route,
        head: &Head<'_>,
        method: Method,
        path: Vec<u8>,
        pending: Pending,
    ) -> Result<Ask, Rejection> {
        let internal = Rejection::Internal("a question to the upstream can't be asked");
        let cluster = config.call_out_cluster().ok_or(internal.clone())?.clone();
        let path = String::from_utf8(path).map_err(|_| internal)?;
        let mut headers: Vec<(Arc<str>, String)> = vec![
            (":method".into(), method.name().to_owned()),
            (":path".into(), path),
            (":authority".into(), authority(head)),
            ("accept".into(), "application/json".to_owned()),
            (config.forward_tenant_header().clone(), config.forwarded(tenants, route.one_tenant).to_string()),
        ];
        // Whatever lets the request itself into the upstream.
        if let Some(authorization) = given(head, "authorization").filter(|_| !config.removes(b"authorization")) {
            headers.push(("authorization".into(), authorization));
        }
        let values = headers.iter().map(|(_, value)| value.as_str());
        let same = std::iter::once(&*cluster).chain(values).collect::<Vec<_>>().join("\n");
        Ok(Ask {
            same: (same.len() <= MAX_SAME).then(|| same.into()),
            tenant: tenants.joined().clone(),
            route,
            cluster,
            timeout_ms: config.call_out_timeout_ms(),
            max_answer: config.max_response_bytes(),
            headers,
            pending,
        })
    }
}

/// The host that the client names.
pub fn authority(head: &Head<'_>) -> String {
    given(head, ":authority").unwrap_or_else(|| AUTHORITY.to_owned())
}

fn given(head: &Head<'_>, name: &str) -> Option<String> {
    let mut values = head.headers.iter().filter(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value);
    values.next().and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
}

impl Pending {
    /// Decides on the request, once the upstream has answered. The time is that of the request's head.
    ///
    /// # Errors
    /// Why the request goes no further.
    pub fn finish(
        self,
        answered: &Answered<'_>,
        now_ms: Option<i64>,
        memo: &RefCell<Memo>,
    ) -> Result<Decision, Rejection> {
        match self {
            Pending::Names(names) => names.finish(answered, now_ms, memo),
            Pending::Ids(ids) => ids.finish(answered),
            Pending::Silence(silence) => silence.finish(answered),
        }
    }
}

impl Pending {
    /// Decides on a request whose head has been forwarded already, and whose body is held back.
    ///
    /// # Errors
    /// Why the request goes no further.
    pub fn confirm(&self, answered: &Answered<'_>) -> Result<(), Rejection> {
        match self {
            Pending::Silence(silence) => silence.check(answered).map(|_| ()),
            Pending::Names(_) | Pending::Ids(_) => Err(Rejection::Internal("a question that decides on no body")),
        }
    }
}

impl<'a> Answered<'a> {
    /// The body of an answer that is a success.
    ///
    /// # Errors
    /// There is none.
    pub fn body(&self) -> Result<&'a [u8], Rejection> {
        let fault = match *self {
            Answered::Answer { status: 200..=299, body: Some(body) } => return Ok(body),
            Answered::Answer { status: 200..=299, body: None } => CallOutFault::TooLong,
            Answered::Answer { status: 504, .. } => CallOutFault::Timeout,
            Answered::Answer { status, .. } => CallOutFault::Status(status),
            Answered::Failed => CallOutFault::Failed,
        };
        Err(Rejection::CallOut(fault))
    }
}
