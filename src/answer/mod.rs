//! What comes back: the decision on an answer's head, and the filter for its body. Host-free: bytes in, bytes out.
//!
//! - `alertmanager`: what Alertmanager answers
//! - `head`: status and content type → which filter, which headers are removed
//! - `filter`: one body, whatever its chunks: what is written, what is kept back, what becomes of it at a fault
//! - `reader`: the same for a body of any format
//! - `envelope`: the members that every JSON answer has; `messages`: which messages a tenant may read; `known`: those that pass as a whole
//! - `by_owner`: rules, alerts and exemplars, without what isn't the tenant's; `owner`: whose a set of labels is; `candidate`,
//!   `group`: what is held of them meanwhile; `rules`: what is written of a rule
//! - `places`: places in messages, turned into places of the client's query
//! - `notes`: which limit of the tenant's a message of the upstream is about
//! - `operators`: what Thanos tells of how a query is run, without what names stores
//! - `grpc`: the same for gRPC: heads, frames and trailers
//! - `titled`: web pages with the tenant in their title
//! - `usage`: how many samples a query has read
//! - `substitute`: what stands for a body that is not passed on
//! - `metadata`: the metadata of metrics by the tenant's names; `target_metadata`: the same, made of that of targets
//! - `renamed`: labels by the names that a request of several tenants has for them
//! - `series`: the series of remote read
//! - `status`: what an error's status says, where nothing else does; `plain`: errors that come as plain text
//!
//! Invariants: an answer that streams grows by at most [`MAX_GROWTH`] bytes and what the names of labels grow by, and one that is held back by none, since Envoy ends with a
//! segmentation fault when what it holds back grows beyond its buffer limit (docs/answers.md); what is written is made of slices of what came, in
//! their order, and of the lines that stand for what is withheld; what was not read is not passed on; memory is bounded, by
//! what is the tenant's own.

mod alertmanager;
mod by_owner;
mod candidate;
mod envelope;
mod filter;
mod group;
mod grpc;
mod head;
mod known;
mod labelled;
mod messages;
mod metadata;
mod notes;
mod operators;
mod owner;
mod places;
mod plain;
mod reader;
mod renamed;
mod rules;
mod series;
mod status;
mod substitute;
mod target_metadata;
mod titled;
mod usage;

pub use alertmanager::{Ids, OfAlertmanager, Own, boolean};
pub use envelope::Documents;
pub use filter::{Content, Filter, MAX_GROWTH};
pub use grpc::{Frames, MESSAGE as GRPC_MESSAGE, Trailers};
pub use head::{Body, Expected, Filtered, Head, MetadataOf, Plan, UpstreamError};
pub use labelled::Labelled;
pub use metadata::MetadataAsked;
pub use notes::Notes;
pub use owner::Owner;
pub use places::{Asked, MAX_ASKED};
pub use reader::Reader;
pub use renamed::Renamed;
pub use status::Author;
pub use substitute::{Said, Substitute};
pub use usage::{Samples, Statistics};

use crate::limits::Limit;
use crate::rejection::Rejection;

/// Why an answer can't be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not in the format that it should be in, or such that it can be read in two ways.
    Malformed,
    /// It ended too early.
    Truncated,
    /// It would have grown.
    Longer,
    /// A rule, alert or series of the tenant's own is larger than may be held.
    TooLarge,
    /// Of another content type.
    ContentType,
    /// Compressed, though nobody asked for that.
    ContentEncoding,
    /// Not the gRPC messages that they should be.
    Message,
    /// It holds a series of another tenant.
    Foreign,
    /// It came before the upstream had the whole request, so that it may not be scoped to the tenant.
    Early,
    /// It is longer than the tenant's limit: how long it is at least, and what the limit allows.
    OverLimit(i64, i64),
}

impl From<crate::json::Malformed> for Unreadable {
    fn from(_: crate::json::Malformed) -> Self {
        Unreadable::Malformed
    }
}

impl Unreadable {
    /// What is wrong, for the client and for the log. Needs no escape in JSON.
    pub fn reason(self) -> &'static str {
        match self {
            Unreadable::Malformed => "it is not in the format that it should be in",
            Unreadable::Truncated => "it ended too early",
            Unreadable::Longer => "it would have grown",
            Unreadable::TooLarge => "it is larger than max_response_bytes",
            Unreadable::ContentType => "its content type is not the one that it should be",
            Unreadable::ContentEncoding => "it is compressed",
            Unreadable::Message => "it is not the gRPC messages that it should be",
            Unreadable::Foreign => "it holds a series of another tenant",
            Unreadable::Early => "it came before the request's body was whole",
            Unreadable::OverLimit(..) => "it is longer than the limit max_response_size_bytes",
        }
    }

    /// A short stable name for the stats.
    pub fn name(self) -> &'static str {
        match self {
            Unreadable::Malformed => "malformed",
            Unreadable::Truncated => "truncated",
            Unreadable::Longer => "longer",
            Unreadable::TooLarge => "too_large",
            Unreadable::ContentType => "content_type",
            Unreadable::ContentEncoding => "content_encoding",
            Unreadable::Message => "malformed",
            Unreadable::Foreign => "foreign",
            Unreadable::Early => "early",
            Unreadable::OverLimit(..) => "over_limit",
        }
    }

    /// The error object that takes a body's place.
    pub fn body(self) -> Vec<u8> {
        self.rejection().body()
    }

    /// What the client is told where the answer's head is held back, or its trailers are to come.
    pub fn rejection(self) -> Rejection {
        match self {
            Unreadable::OverLimit(asked, allowed) => Rejection::Limit { limit: Limit::ResponseSize, asked, allowed },
            Unreadable::Malformed
            | Unreadable::Truncated
            | Unreadable::Longer
            | Unreadable::TooLarge
            | Unreadable::ContentType
            | Unreadable::ContentEncoding
            | Unreadable::Message
            | Unreadable::Foreign
            | Unreadable::Early => Rejection::Answer(self.reason()),
        }
    }
}
