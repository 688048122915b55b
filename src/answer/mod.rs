//! What comes back: the decision on an answer's head, and the filters for its body. Host-free: bytes in, bytes out.
//!
//! - `head`: status and content type → which filter, which headers go
//! - `held`, `rules`, `owner`: rules, alerts and exemplars, read whole: what isn't the tenant's goes
//! - `stream`, `skim`: every other JSON answer, as it streams by: messages that aren't the engine's go
//! - `operators`: what Thanos tells of how a query is run: without what names stores
//! - `usage`: how many samples a query has read
//! - `messages`: which messages those are
//! - `substitute`: what stands for a body that is not passed on
//!
//! Invariants: of all the bytes that came, never more go on, since Envoy ends with a segmentation fault when a buffered
//! answer grows beyond its buffer (observed with Envoy 1.40.0); what goes on is made of slices of what came, in their
//! order, and of the lines that stand for what is withheld; what was not read does not go on.

mod head;
mod held;
mod messages;
mod operators;
mod owner;
mod rules;
mod shim;
pub use shim::{Filter, Filtered as FilteredBody};
mod stream;
mod substitute;
mod usage;

pub use head::{Body, Expected, Head, HeldBody, Plan};
pub use held::{Filtered, Held};
pub use owner::Owner;
pub use stream::{Data, MessageFilter, Shape};
pub use substitute::Substitute;
pub use usage::{Samples, Statistics};

/// Why an answer can't be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not the JSON that it should be, or JSON that can be read in two ways.
    Malformed,
    /// It ended too early.
    Truncated,
    /// It would have grown.
    Longer,
    /// More than may be held back.
    TooLarge,
    /// Not JSON at all.
    ContentType,
    /// Compressed, though nobody asked for that.
    ContentEncoding,
    /// Trailers follow: its end was not seen in time.
    Trailers,
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
            Unreadable::Malformed => "it is not the JSON that it should be",
            Unreadable::Truncated => "it ended too early",
            Unreadable::Longer => "it would have grown",
            Unreadable::TooLarge => "it is larger than max_response_bytes",
            Unreadable::ContentType => "its content type is not JSON",
            Unreadable::ContentEncoding => "it is compressed",
            Unreadable::Trailers => "it has trailers",
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
            Unreadable::Trailers => "trailers",
            Unreadable::Early => "early",
        }
    }

    /// The error object that takes a body's place, in at most so many bytes.
    pub fn body(self, room: usize) -> Vec<u8> {
        messages::error_object(
            "internal",
            &format!("the upstream's answer could not be filtered: {}", self.reason()),
            room,
        )
    }
}
