//! The filter of one answer's body, whatever its chunks: what is passed on, what is kept back, and what becomes of it at a fault.
//!
//! - Over all chunks, at most [`MAX_GROWTH`] bytes more are written than have come (not counting what the names of labels grow by), and none where the answer is held back: Envoy ends with a
//!   segmentation fault when what it holds back grows beyond its buffer limit, while what streams may grow (docs/answers.md).
//! - At a fault, nothing more of the body is written. Where nothing was written before, an error object takes the body's place;
//!   else the document ends where it stands, and no client can take it for a whole one.
//! - Where the tenant's limit ends an answer, an error object on a line of its own says so. The document that it follows has not ended, so
//!   that no client reads the two as one.
//! - An error's document is written when it ends, or when more than `MAX_ERROR` has gathered: where it is no error object of Prometheus's
//!   shape (a gateway's `{"message":…}`), an object made of the status takes its place.
//! - Rules, alerts and exemplars are written when the document ends, or when more of the tenants' own than `max` has gathered, so
//!   that a fault in an answer of ordinary size becomes an error object. All other answers are written as they come.

use super::Unreadable;
use super::by_owner::ByOwner;
use super::envelope::{DataReader, Documents, Envelope};
use super::labelled::Labelled;
use super::metadata::{Metadata, MetadataAsked};
use super::notes::Notes;
use super::operators::Operators;
use super::owner::Owner;
use super::places::Asked;
use super::renamed::Renamed;
use super::status::Author;
use super::substitute::{Said, Substitute};
use super::target_metadata::TargetMetadata;
use super::usage::{Samples, Statistics, Usage};
use crate::names::Names;
use std::sync::Arc;

/// How much of an error is kept back until it is known to be an error object.
const MAX_ERROR: usize = 4096;

/// How many bytes more than have come may be written of an answer that is not held back: an error object in place of a body, or lines that stand
/// for messages.
pub const MAX_GROWTH: usize = 512;

/// What `data` is, where nothing in it is another tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The request was scoped to the tenant: it is the tenant's.
    Passed,
    /// Likewise, and Thanos says how the query was run.
    Analyzed,
    /// It is how Thanos would run the query.
    Explained,
    /// It would have had to be filtered, and an error has none.
    Dropped,
}

/// Reads an answer's body in chunks, and writes what is passed on.
///
/// ```
/// use promql_tenancy_filter::answer::{Content, Documents, Filter};
/// use promql_tenancy_filter::answer::Statistics;
///
/// let mut filter = Filter::new(Documents::One, Content::Passed, Statistics::Unread);
/// let mut out = Vec::new();
/// filter.push(br#"{"status":"success","warnings":["No StoreAPIs matched "#, false, &mut out);
/// filter.push(br#"for this query"],"data":[]}"#, true, &mut out);
/// let warning = "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's";
/// assert_eq!(out, format!(r#"{{"status":"success","warnings":["{warning}"],"data":[]}}"#).as_bytes());
/// assert_eq!((filter.withheld(), filter.fault()), (1, None));
/// ```
#[derive(Debug)]
pub struct Filter {
    envelope: Envelope,
    /// How much may be kept back, of an answer of which not all is kept.
    max_kept_back: Option<usize>,
    /// The status of an answer that is an error, and its author, until it is known to look like one.
    error_status: Option<(u16, Author)>,
    kept_back: Vec<u8>,
    /// Something of it has been passed on, so that no substitute can take its place.
    has_begun: bool,
    /// By how much more may be written than has come.
    growth: usize,
    came: usize,
    written: usize,
    fault: Option<Unreadable>,
    substitute: Option<Substitute>,
}

impl Filter {
    /// For an answer that needs no look at labels.
    pub fn new(documents: Documents, content: Content, statistics: Statistics) -> Self {
        let operators = match content {
            Content::Passed | Content::Dropped => None,
            Content::Analyzed => Some(Box::new(Operators::analyzed())),
            Content::Explained => Some(Box::new(Operators::explained())),
        };
        let usage = match statistics {
            Statistics::Unread => None,
            Statistics::Shown | Statistics::Taken => Some(Box::new(Usage::new(statistics))),
        };
        let data = match (content, operators, usage) {
            (Content::Dropped, ..) => DataReader::Dropped,
            (Content::Passed | Content::Analyzed | Content::Explained, None, None) => DataReader::Passed,
            (Content::Passed | Content::Analyzed | Content::Explained, operators, usage) => {
                DataReader::Query(operators, usage)
            }
        };
        Filter::of(Envelope::new(documents, data), None)
    }

    /// For an answer of which only what these owners' labels say is theirs is kept. At most `max` bytes of one rule, alert or series
    /// are held.
    pub fn by_owner(labelled: Labelled, owner: Owner, max: usize) -> Self {
        let reader = DataReader::ByOwner(Box::new(ByOwner::new(labelled, owner, max)));
        Filter::of(Envelope::new(Documents::One, reader), Some(max))
    }

    /// For metadata of metrics, of which only what these names show to be the tenant's is kept. At most `max` bytes of it are held.
    pub fn by_names(names: Arc<Names>, asked: MetadataAsked, max: usize) -> Self {
        let reader = DataReader::Metadata(Box::new(Metadata::new(names, asked)));
        Filter::of(Envelope::new(Documents::One, reader), Some(max))
    }

    /// For metadata of targets, of which metadata of metrics is made. At most `max` bytes of it are held.
    pub fn of_targets(owner: Owner, asked: MetadataAsked, max: usize) -> Self {
        let reader = DataReader::TargetMetadata(Box::new(TargetMetadata::new(owner, asked, max)));
        Filter::of(Envelope::new(Documents::One, reader), Some(max))
    }

    fn of(envelope: Envelope, max_kept_back: Option<usize>) -> Self {
        let filter = Filter {
            envelope,
            max_kept_back,
            error_status: None,
            kept_back: Vec::new(),
            has_begun: false,
            growth: 0,
            came: 0,
            written: 0,
            fault: None,
            substitute: None,
        };
        filter.grows_by(MAX_GROWTH)
    }

    /// Nothing may be written beyond what has come: the answer is held back.
    pub fn held_back(self) -> Self {
        self.grows_by(0)
    }

    fn grows_by(mut self, growth: usize) -> Self {
        self.growth = growth;
        self.envelope.allow(growth);
        self
    }

    /// Labels have other names for the client, which may be longer. It must not be held back.
    pub fn renamed(mut self, renamed: Renamed) -> Self {
        self.growth = usize::MAX;
        self.envelope.renamed(renamed);
        self
    }

    /// What the places in messages refer to.
    pub fn asked(mut self, asked: Asked) -> Self {
        self.envelope.asked(asked);
        self
    }

    /// The limits that the upstream was told of.
    pub fn noting(mut self, notes: Notes) -> Self {
        self.envelope.noting(notes);
        self
    }

    /// The answer is an error of this status: what is passed on has to look like one.
    pub fn of_error(mut self, status: u16, author: Author) -> Self {
        self.envelope.by(author);
        Filter { error_status: Some((status, author)), ..self }
    }

    /// Nothing more is passed on, from the part on that comes next: an error object stands for it.
    pub fn stop(&mut self, fault: Unreadable) {
        if self.fault.is_none() && self.substitute.is_none() {
            self.fault = Some(fault);
            self.kept_back = Vec::new();
            self.substitute = Some(Substitute::new(Said::Fault(fault)));
        }
    }

    /// Reads on, and writes what is passed on. `end` says that no more comes.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) {
        let before = out.len();
        self.came = self.came.saturating_add(chunk.len());
        if self.fault.is_none() && self.substitute.is_none() {
            let mut done = self.read(chunk, end, out);
            if self.written.saturating_add(out.len() - before) > self.came.saturating_add(self.growth) {
                out.truncate(before);
                done = Err(Unreadable::Longer);
            }
            if let Err(fault) = done {
                self.fault = Some(fault);
                self.kept_back = Vec::new();
                if self.written == 0 && out.len() == before {
                    let said = self.error_status.map_or(Said::Fault(fault), |(of, author)| Said::Status(of, author));
                    self.substitute = Some(Substitute::new(said));
                }
            } else if let Some((status, author)) = self.error_status.filter(|_| end || self.envelope.is_whole()) {
                self.kept_back = Vec::new();
                self.substitute = Some(Substitute::new(Said::Status(status, author)));
            }
        }
        if let Some(substitute) = &mut self.substitute {
            let begin = out.len();
            if self.written > 0 {
                // Only where a limit ended the answer, or an error's object is written that is here already.
                substitute.write_on_a_line(out);
                if self.written.saturating_add(out.len() - before) > self.came.saturating_add(self.growth) {
                    out.truncate(begin);
                }
            } else {
                substitute.write(out);
            }
        }
        self.written = self.written.saturating_add(out.len() - before);
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        self.fault
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.written > 0
    }

    /// Whether an error object of Prometheus's shape has been read.
    pub fn is_error_object(&self) -> bool {
        self.envelope.is_error_object()
    }

    /// How many messages were withheld so far.
    pub fn withheld(&self) -> u32 {
        self.envelope.withheld()
    }

    /// How many samples the query has read, as far as that was said.
    pub fn samples(&self) -> Samples {
        self.envelope.samples()
    }

    /// How much memory is taken by what is held.
    pub fn held(&self) -> usize {
        self.kept_back.capacity() + self.envelope.held()
    }

    fn read(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let Some(max) = self.max_kept_back.or(self.error_status.map(|_| MAX_ERROR)) else {
                self.envelope.step(&mut rest, out)?;
                continue;
            };
            let done = self.envelope.step(&mut rest, &mut self.kept_back);
            let is_shown = self.error_status.is_none() || self.envelope.is_error_object();
            if self.has_begun || self.kept_back.len() > max || !self.envelope.is_inside() && is_shown {
                self.has_begun |= !self.kept_back.is_empty();
                out.append(&mut self.kept_back);
                self.error_status = None;
            }
            // Only now, so that what is written before a fault doesn't depend on where the chunks end.
            done?;
        }
        if end && (self.envelope.is_inside() || self.max_kept_back.is_some() && !self.envelope.is_whole()) {
            // A part of what is filtered by its labels is taken for no JSON; nothing at all is an answer elsewhere.
            return Err(if self.max_kept_back.is_some() { Unreadable::Malformed } else { Unreadable::Truncated });
        }
        Ok(())
    }
}
