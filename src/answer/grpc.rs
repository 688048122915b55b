//! The answers of gRPC methods: the head, the frames as they stream by, and the trailers.
//!
//! ```text
//! answer = head *frame trailers        status and message stand in the trailers
//!        / head                        "trailers-only": an error before the first message, or a stream without messages
//! ```
//!
//! - `watch`: what is done with each field of each method's messages
//! - `rules`, `targets`, `info`: what is written of a group of rules, of targets, and of what a component serves; `unclaimed`: what is held
//!   of a rule or target until its labels say whose it is
//!
//! Warnings, `grpc-message` and whatever else the upstream says in words go through the same tables as over HTTP (`messages`). Of the
//! trailers, `grpc-status` and `grpc-message` pass. At a fault, the rest of the answer is dropped, and the trailers say why: the client
//! gets an error, and can't take what came before for the whole.

mod info;
mod rules;
mod targets;
mod unclaimed;
mod watch;

use super::head::{Body, Head, Plan, find, number, removed, replaced};
use super::messages::{MAX_MESSAGE, WITHHELD, is_message};
use super::notes::Notes;
use super::owner::Owner;
use super::places::{Asked, Places};
use super::status::Author;
use super::{Samples, Unreadable};
use crate::api::{Answer, Call, is_grpc};
use crate::rejection::Code;
use crate::scope::Scope;
use crate::text;
use crate::wire::grpc::{FrameError, Stream, StreamError};
use std::sync::Arc;
use watch::Watcher;

/// What an answer is filtered by. Made with the decision on the request.
#[derive(Debug, Clone)]
pub struct Scoped {
    /// The method that was called.
    pub call: Call,
    /// Whose the answer is; `None` where the upstream isolates tenants, or where no labels say it.
    pub owner: Option<Owner>,
    /// A pattern of the scope can't be run here. Nothing passes then of what would have to be filtered by it; series that the upstream
    /// selected by it do.
    pub is_unfit: bool,
    /// Rules that are nobody's are kept with the alerts in them that are the tenant's.
    pub shared: bool,
    /// How much is held.
    pub max: usize,
    /// Whether it is counted how many samples a query has read.
    pub samples: bool,
    /// The tenant's limits that the upstream was told of.
    pub notes: Notes,
    /// The label sets that stand for all that is the tenant's, where `Info` is asked.
    pub sets: Arc<[Vec<u8>]>,
}

/// An answer's frames while they stream by.
#[derive(Debug)]
pub struct Frames {
    stream: Stream,
    watcher: Watcher,
    fault: Option<Unreadable>,
    has_written: bool,
}

/// What is done with the trailers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trailers {
    /// Names to remove.
    pub remove: Vec<Vec<u8>>,
    /// Values to set.
    pub set: Vec<(&'static str, String)>,
}

/// What has to be written whole and is the tenant's own (the names of one answer, a group with the rules in it that are kept) may be so many
/// times as long as what is held of anything.
pub const WHOLE: usize = 8;

const STATUS: &str = "grpc-status";
/// The message of a status.
pub const MESSAGE: &str = "grpc-message";
/// Details of an error, in messages of any type.
const DETAILS: &str = "grpc-status-details-bin";

impl Scoped {
    /// For the answers to this method.
    pub fn new(call: Call, scope: Option<&Scope>, shared: bool, max: usize) -> Scoped {
        let owner = scope.and_then(|scope| Owner::new(scope).ok());
        let is_unfit = scope.is_some() && owner.is_none();
        let sets = match (call, scope) {
            (Call::Info, Some(scope)) => info::sets(scope),
            _ => Vec::new(),
        };
        Scoped { call, owner, is_unfit, shared, max, samples: false, notes: Notes::default(), sets: sets.into() }
    }

    /// Counts the samples that a query has read, if asked to.
    pub fn counting(self, samples: bool) -> Scoped {
        Scoped { samples, ..self }
    }

    /// Decides on the head.
    pub fn decide(&self, head: &Head<'_>, asked: &Asked) -> Result<Plan, Unreadable> {
        let status = find(head, STATUS);
        if !find(head, "content-type").is_some_and(is_grpc) || find(head, ":status") != Some(b"200") {
            // It comes from something that does not speak gRPC.
            return match number(find(head, ":status")) {
                Some(status) if status != 200 => Ok(replaced(status, head, Author::Upstream)),
                _ => Err(Unreadable::ContentType),
            };
        }
        if self.is_unfit && Answer::Grpc(self.call).is_filtered_by_owner() {
            return Err(Unreadable::Foreign);
        }
        let is_error = status.is_some_and(|status| status != b"0");
        if head.is_early && !(head.end_of_stream && is_error) {
            return Err(Unreadable::Early);
        }
        if find(head, "grpc-encoding").is_some_and(|encoding| encoding != b"identity") {
            return Err(Unreadable::ContentEncoding);
        }
        let mut remove = removed(head);
        if find(head, DETAILS).is_some() {
            remove.push(DETAILS);
        }
        let mut frames = Box::new(Frames::new(self.clone(), asked.clone()));
        let messages = head.headers.iter().filter(|(name, _)| *name == MESSAGE.as_bytes());
        let message = frames.message(messages.map(|(_, message)| *message), status);
        let withheld = frames.withheld();
        let body = if head.end_of_stream { Body::Untouched } else { Body::Frames(frames) };
        Ok(Plan { remove, message, withheld, is_json: false, body })
    }
}

impl Frames {
    fn new(scoped: Scoped, asked: Asked) -> Frames {
        let stream = Stream::new(scoped.max);
        Frames { stream, watcher: Watcher::new(scoped, Places::from(asked)), fault: None, has_written: false }
    }

    /// Reads on, and writes what is passed on.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.fault.is_some() {
            return;
        }
        if let Err(error) = self.stream.push(chunk, &mut self.watcher, out) {
            self.fault = Some(unreadable(error));
        }
        self.has_written |= !out.is_empty();
    }

    /// Nothing more is passed on.
    pub fn stop(&mut self, fault: Unreadable) {
        self.fault.get_or_insert(fault);
    }

    /// The frames have ended.
    pub fn end(&mut self) {
        if let (None, Err(error)) = (self.fault, self.stream.finish()) {
            self.fault = Some(unreadable(error));
        }
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        self.fault
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.has_written
    }

    /// How many messages were withheld so far.
    pub fn withheld(&self) -> u32 {
        self.watcher.withheld()
    }

    /// How many samples the query has read, as far as that was said.
    pub fn samples(&self) -> Samples {
        self.watcher.samples()
    }

    /// What the client reads in place of the upstream's messages of a status, of which there is one at most; `None` where they stay.
    fn message<'m>(
        &mut self,
        mut messages: impl Iterator<Item = &'m [u8]> + Clone,
        status: Option<&[u8]>,
    ) -> Option<String> {
        if !messages.clone().all(may_pass) {
            self.watcher.withhold();
            return Some(instead(status).to_owned());
        }
        // A place is digits and a colon, and a limit a name and a value, which no escape stands for.
        let placed = self.watcher.of_client(messages.next()?)?;
        String::from_utf8(placed).ok()
    }

    /// Decides on the trailers.
    pub fn trailers(&mut self, trailers: &[(&[u8], &[u8])]) -> Trailers {
        let mut edits = Trailers::default();
        for (name, _) in trailers {
            let passes = *name == STATUS.as_bytes() || *name == MESSAGE.as_bytes();
            if !passes && !edits.remove.iter().any(|seen| seen == name) {
                edits.remove.push(name.to_vec());
            }
        }
        let status = trailers.iter().find(|(name, _)| *name == STATUS.as_bytes()).map(|(_, status)| *status);
        if self.fault.is_none() {
            let messages = trailers.iter().filter(|(name, _)| *name == MESSAGE.as_bytes());
            let message = self.message(messages.map(|(_, message)| *message), status);
            edits.set.extend(message.map(|message| (MESSAGE, message)));
        }
        match self.fault {
            // An answer that is cut because the upstream has failed: the upstream's own status says so.
            Some(Unreadable::Truncated) if status.is_some_and(|status| status != b"0") => {
                edits.set = vec![(MESSAGE, instead(status).to_owned())];
            }
            Some(fault) => {
                let rejection = fault.rejection();
                // What the tenant owns is too large: a client that asks for less is served.
                let code = if fault == Unreadable::TooLarge { Code::ResourceExhausted } else { rejection.code() };
                edits.set = vec![
                    (STATUS, (code as u8).to_string()),
                    // Envoy does not escape it (observed with 1.40.0): plain ASCII without a percent sign.
                    (MESSAGE, rejection.message()),
                ];
            }
            None if status.is_none() => {
                edits.set.push((STATUS, (Code::Unknown as u8).to_string()));
            }
            None => {}
        }
        edits
    }
}

fn unreadable(error: StreamError) -> Unreadable {
    match error {
        StreamError::Frame(FrameError::Cut) => Unreadable::Truncated,
        StreamError::Frame(FrameError::Compressed) => Unreadable::ContentEncoding,
        StreamError::Long => Unreadable::TooLarge,
        StreamError::Refused => Unreadable::Foreign,
        StreamError::Frame(_)
        | StreamError::Message(_)
        | StreamError::Mixed
        | StreamError::Late
        | StreamError::Unknown => Unreadable::Message,
    }
}

/// What stands for a message that is withheld: what the status says, where it says enough. No percent sign, since nothing escapes it.
fn instead(status: Option<&[u8]>) -> &'static str {
    match status {
        Some(b"4") => {
            "the upstream answered DEADLINE_EXCEEDED: it took too long; ask for a shorter time range or less data, or try again"
        }
        Some(b"8") => {
            "the upstream answered RESOURCE_EXHAUSTED: the request, or what it asks for, is too large; ask for less"
        }
        Some(b"14") => {
            "the upstream answered UNAVAILABLE: it may be starting or overloaded; try again, or ask the operator"
        }
        _ => WITHHELD,
    }
}

/// Whether a `grpc-message`, in which bytes are escaped as in a URL, may be read by the tenant.
fn may_pass(escaped: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(escaped.len());
    if escaped.is_empty() || escaped.len() > MAX_MESSAGE {
        return escaped.is_empty();
    }
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        let mut digits = bytes.as_slice().iter().copied().map_while(text::hex);
        match (byte, digits.next(), digits.next()) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                bytes.nth(1);
            }
            (byte, ..) => decoded.push(byte),
        }
    }
    is_message(&decoded)
}

#[cfg(test)]
mod tests;
