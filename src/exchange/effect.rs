//! What an exchange asks its adapter to do.

use super::record::Summary;
use crate::rejection::Code;
use crate::workers::leases::Wanted;
use std::sync::Arc;

/// What follows from an event: effects, to be carried out in their order, and whether the host goes on then.
#[derive(Debug)]
pub struct Step {
    /// Where one fails, the adapter sends [`Event::Failed`] and drops the rest of the step. An effect that asks stands last: its answer
    /// is an event, whose step takes this one's place.
    ///
    /// [`Event::Failed`]: super::Event::Failed
    pub effects: Vec<Effect>,
    /// Whether the host goes on.
    pub flow: Flow,
}

/// Whether the host goes on with this half of the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// What has come is forwarded.
    Continue,
    /// What has come is held back.
    Pause,
}

impl Step {
    /// Carries out the effects, then forwards what has come.
    pub fn forwards(effects: Vec<Effect>) -> Self {
        Step { effects, flow: Flow::Continue }
    }

    /// Carries out the effects, and holds back what has come.
    pub fn pauses(effects: Vec<Effect>) -> Self {
        Step { effects, flow: Flow::Pause }
    }

    /// Asks: the answer decides. Where none comes, nothing is forwarded.
    pub fn asks(effect: Effect) -> Self {
        Step { effects: vec![effect], flow: Flow::Pause }
    }
}

/// One half of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The request.
    Request,
    /// Its answer.
    Answer,
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What clients and upstreams do.
    Info,
    /// What the operator should look at.
    Error,
}

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Counts a request that is in flight. A tenant that is not served has no series. Can't fail.
    Begin {
        /// The tenant; several are joined by `|`.
        tenant: Option<Arc<str>>,
        /// The `handler` tag.
        handler: &'static str,
    },
    /// Asks whether one more query of each of these tenants may run: [`Event::Leased`] or [`Event::LeaseRefused`]. The lease is held
    /// until the host drops the exchange.
    ///
    /// [`Event::Leased`]: super::Event::Leased
    /// [`Event::LeaseRefused`]: super::Event::LeaseRefused
    TakeLease(Vec<Wanted>),
    /// Edits the request's head.
    EditRequest(RequestEdits),
    /// The same, for the sake of logs alone: a failure is logged, and is no failure of this effect.
    TryEditRequest(RequestEdits),
    /// Asks for the request's body, of so many bytes, and for the time where that is wanted: [`Event::RequestBodyRead`].
    ///
    /// [`Event::RequestBodyRead`]: super::Event::RequestBodyRead
    ReadRequestBody {
        /// The bytes that the host holds.
        size: usize,
        /// Whether the time is wanted.
        with_time: bool,
    },
    /// Sends requests of the filter's own, whose answers come later and in any order: [`Event::CalledOut`]; those that can't be sent are told
    /// at once: [`Event::NotAsked`]. Until then the request is held back.
    ///
    /// [`Event::CalledOut`]: super::Event::CalledOut
    /// [`Event::NotAsked`]: super::Event::NotAsked
    CallOut(Vec<CallOut>),
    /// Asks for the answer's head: [`Event::AnswerHeadRead`].
    ///
    /// [`Event::AnswerHeadRead`]: super::Event::AnswerHeadRead
    ReadAnswerHead,
    /// Edits the answer's head.
    EditAnswer(AnswerEdits),
    /// Asks for so many bytes of the answer's body, which are all that the host holds: [`Event::AnswerBodyRead`].
    ///
    /// [`Event::AnswerBodyRead`]: super::Event::AnswerBodyRead
    ReadAnswerBody {
        /// The bytes that the host holds.
        size: usize,
    },
    /// Replaces the bytes of a body that the host holds. Where it holds none of an answer's there may be no buffer to write to: what can't be
    /// written then is dropped, which is no failure.
    ReplaceBody {
        /// Whose body.
        half: Half,
        /// The bytes that the host holds.
        size: usize,
        /// What takes their place.
        bytes: Vec<u8>,
    },
    /// Asks for a half's trailers: [`Event::TrailersRead`].
    ///
    /// [`Event::TrailersRead`]: super::Event::TrailersRead
    ReadTrailers(Half),
    /// Removes trailers.
    RemoveTrailers {
        /// Whose.
        half: Half,
        /// Their names.
        names: Vec<Vec<u8>>,
    },
    /// Sets one of the answer's trailers, in place of all of that name.
    SetTrailer {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Answers the request in the upstream's place.
    Reply {
        /// The HTTP status.
        status: u16,
        /// `%RESPONSE_CODE_DETAILS%` of Envoy's access log.
        details: String,
        /// Headers.
        headers: Vec<(&'static str, String)>,
        /// The body. A client that speaks gRPC gets it as the message of its status.
        body: Vec<u8>,
        /// The status for such a client.
        code: Code,
    },
    /// Cuts a half off. Can't fail.
    Reset(Half),
    /// Asks which status the client got: [`Event::StatusRead`]. Can't fail.
    ///
    /// [`Event::StatusRead`]: super::Event::StatusRead
    ReadStatus,
    /// Sets the filter state `wasm.tenancy` of access logs. Can't fail.
    Note(String),
    /// Sets the filter state `wasm.tenancy_samples`, by which a rate limit can count what a query has read. Can't fail.
    NoteSamples(u64),
    /// Writes a line to the host's log. Can't fail.
    Log(Level, String),
    /// Counts alerts that were sent to a tenant's Alertmanager, or were not. Can't fail.
    CountAlerts {
        /// The tenant; `None` for alerts without one.
        tenant: Option<Arc<str>>,
        /// What became of them.
        result: &'static str,
        /// How many.
        count: u32,
    },
    /// Adds to the stats what the exchange was. Can't fail.
    End(Box<Summary>),
}

/// A request of the filter's own.
#[derive(Debug, Clone)]
pub struct CallOut {
    /// The cluster that is asked.
    pub cluster: Arc<str>,
    /// The head, `:method`, `:path` and `:authority` among it.
    pub headers: Vec<(Arc<str>, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u32,
    /// A longer body is not read.
    pub max_answer: usize,
    /// What tells this question from every other: while one is on its way, the same one need not be asked, and its answer is for all.
    pub same: Option<Arc<str>>,
}

/// Edits of the request's head, in this order.
#[derive(Debug, Default)]
pub struct RequestEdits {
    /// The new `:path`.
    pub path: Option<Vec<u8>>,
    /// Names to remove.
    pub remove: Vec<Arc<str>>,
    /// Headers to set; each replaces all of that name.
    pub set: Vec<(Arc<str>, Arc<str>)>,
}

/// Edits of the answer's head, in this order.
#[derive(Debug, Default)]
pub struct AnswerEdits {
    /// Names to remove.
    pub remove: Vec<&'static str>,
    /// More names to remove, which only the upstream knows.
    pub remove_unknown: Vec<Vec<u8>>,
    /// Headers to set; each replaces all of that name.
    pub set: Vec<(&'static str, &'static str)>,
    /// The message of a gRPC status, which replaces the upstream's.
    pub message: Option<String>,
    /// A header to add beside others of that name.
    pub add: Option<(&'static str, Arc<str>)>,
}
