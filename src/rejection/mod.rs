//! Every refusal: its status, `errorType`, stat name and words.
//!
//! - `class`: its HTTP status, `errorType` and short name; `grpc`: its status for a client that speaks gRPC
//! - `message`: its words
//! - `answer`: its headers and body, in the shape that the endpoint has for errors: Prometheus's error object, so that Grafana and every
//!   other client shows the message
//!
//! An answer that is not a refusal is no concern of these maps.

mod answer;
mod class;
mod grpc;
mod message;
#[cfg(test)]
mod tests;

pub use answer::error_body;
pub use class::reasons;
pub use grpc::{Code, http_status};

use crate::api::Method;
use crate::go::form;
use crate::limits::{Limit, Refusal};
use crate::promql;
use crate::tenant::{self, LabelError};
use std::sync::Arc;

/// Where in a request something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The URL's query string.
    Url,
    /// The form in the body.
    Form,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Url => "query string",
            Place::Form => "form",
        }
    }
}

/// Why a question to the upstream, which decides on the request, is without an answer that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutFault {
    /// It could not be asked, or the connection was lost.
    Failed,
    /// No answer came in time.
    Timeout,
    /// The upstream answered with this status.
    Status(u16),
    /// The answer is longer than `max_response_bytes`.
    TooLong,
    /// The answer is not the one that it should be.
    Unreadable,
    /// The same question was not answered a moment ago, and is not asked again so soon.
    Lately,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The head is not one that HTTP or this filter knows how to read.
    Head(&'static str),
    /// `upgrade`, or an extended CONNECT.
    Upgrade,
    /// The path is not in normal form.
    Path(&'static str),
    /// The query string or form can't be read.
    Form(Place, form::Error),
    /// A parameter that may be given once is given again in the same place.
    Repeated(Place, &'static str),
    /// A parameter's value is not of its kind. Name, and the value as quoted for a message.
    Value(&'static str, String),
    /// A parameter that would reach beyond the tenant. Name, and why.
    Parameter(&'static str, &'static str),
    /// A query or selector that can't be enforced. The parameter's name, and why.
    Query(&'static str, promql::Error),
    /// A body where none is read.
    Body,
    /// Nothing names a tenant, or what should names none.
    Tenant(tenant::Error),
    /// A label that is enforced beside the tenant's has no value.
    Label(Arc<str>, LabelError),
    /// A valid tenant that is not served. As quoted for a message.
    NotAllowed(String),
    /// The path can't be scoped to a tenant. Why.
    Forbidden(&'static str),
    /// Not in the API table.
    UnknownPath,
    /// In the API table, but not with this method. Those that are.
    Method(&'static [Method]),
    /// The rewritten request would be longer than this many bytes.
    TooLarge(usize),
    /// A per-tenant limit is exceeded: by how much, and what it allows.
    Limit {
        /// Which.
        limit: Limit,
        /// What the request asks for.
        asked: i64,
        /// What the limit allows.
        allowed: i64,
    },
    /// How far the query reaches can't be told, and a limit depends on it. Why.
    Unbounded(&'static str),
    /// The operator refuses this query: by which rule, and why, if that was given.
    Blocked(&'static str, String),
    /// A form of another content type than Go reads.
    ContentType,
    /// A compressed body.
    ContentEncoding,
    /// The body of a remote write has another content type. What is expected.
    WriteType(&'static str),
    /// The upstream takes no remote write of this version.
    WriteVersion(&'static str),
    /// The message of remote read can't be read. Why.
    ReadMessage(&'static str),
    /// The message of remote read is longer than this many bytes, as it came or as it is forwarded.
    LongReadMessage(usize),
    /// The body of a gRPC request is not one message that can be read. Why.
    Message(&'static str),
    /// The message of a gRPC request is longer than this many bytes.
    LongMessage(usize),
    /// A gRPC method, called with another content type.
    NotGrpc,
    /// The message of a gRPC request is compressed in a way that is not read.
    MessageEncoding,
    /// A field of a gRPC request that would reach beyond the tenant. Name, and why.
    Field(&'static str, &'static str),
    /// What is posted to Alertmanager can't be read, or can't be confined to the tenant. What, and why.
    Posted(&'static str, &'static str),
    /// What is posted to Alertmanager is longer than this many bytes.
    LongPost(usize),
    /// What is posted to Alertmanager has another content type.
    NotJson,
    /// No silence of the tenant has this ID. Whether another tenant's has is not told.
    UnknownSilence,
    /// Not all of the alerts that `alert_routes` splits were taken.
    AlertsNotTaken {
        /// How many were posted.
        all: u32,
        /// How many were sent and not taken.
        failed: u32,
        /// How many are sent nowhere.
        unrouted: u32,
    },
    /// The upstream's answer had to be read and can't be. Why.
    Answer(&'static str),
    /// A question to the upstream, which decides on the request, was not answered as it should be.
    CallOut(CallOutFault),
    /// Something in this filter or its host that should not have happened. It refuses.
    Internal(&'static str),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Over { limit, asked, allowed } => Rejection::Limit { limit, asked, allowed },
            Refusal::Value(name, value) => Rejection::Value(name, value),
            Refusal::Query(name, error) => Rejection::Query(name, error),
            Refusal::UnknownReach(problem) => Rejection::Unbounded(problem),
            Refusal::Blocked(rule, reason) => Rejection::Blocked(rule, reason),
            Refusal::NoTime => Rejection::Internal("the time is not known"),
        }
    }
}

fn list(methods: &[Method], separator: &str) -> String {
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(separator)
}
