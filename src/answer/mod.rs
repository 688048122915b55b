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
//! - `operators`: what Thanos tells of how a query is run, without what names stores
//! - `grpc`: the same for gRPC: heads, frames and trailers
//! - `usage`: how many samples a query has read
//! - `substitute`: what stands for a body that is not passed on
//! - `metadata`: the metadata of metrics by the tenant's names; `target_metadata`: the same, made of that of targets
//! - `series`: the series of remote read
//! - `status`: what an error's status says, where nothing else does
//!
//! Invariants: an answer that streams grows by at most [`MAX_GROWTH`] bytes, and one that is held back by none, since Envoy ends with a
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
mod operators;
mod owner;
mod places;
mod reader;
mod rules;
mod series;
mod status;
mod substitute;
mod target_metadata;
mod usage;

pub use alertmanager::{Ids, OfAlertmanager, Own, boolean};
pub use envelope::Documents;
pub use filter::{Content, Filter, MAX_GROWTH};
pub use grpc::{Frames, Trailers};
pub use head::{Body, Expected, Filtered, Head, MetadataOf, Plan, UpstreamError};
pub use labelled::Labelled;
pub use metadata::MetadataAsked;
pub use owner::Owner;
pub use places::{Asked, MAX_ASKED};
pub use reader::Reader;
pub use substitute::{Said, Substitute};
pub use usage::{Samples, Statistics};

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
        }
    }

    /// The error object that takes a body's place.
    pub fn body(self) -> Vec<u8> {
        messages::error_object("internal", &["the upstream's answer could not be filtered: ", self.reason()].concat())
    }
}
