//! The decision on an answer's head.
//!
//! ```text
//!                    2xx, JSON            2xx, another type    not 2xx, JSON             not 2xx, another type
//! messages           messages read        refused              messages read             error object instead
//! lines (ndjson)     messages read        refused              messages read             error object instead
//! rules and the like filtered by labels   refused              messages read, no data    error object instead
//! text               as it is             as it is             messages read             error object instead
//! series (protobuf)  refused              series checked       messages read, no data    error object instead
//! asset              as it is             as it is             messages read             error object instead
//! page               as it is, but for the tenant in the title of a 200 in HTML; errors like an asset's
//! untouched          as it is, whatever it is
//! alertmanager       filtered by owner    refused              the status's sentence in place of both
//! gRPC               see `grpc`
//! ```
//!
//! Of errors that the proxy itself has made (`response.code_details`), the text passes: as it is in an error object, which is the operator's
//! (`local_reply_config`), and put into one where it is plain text.
//!
//! An error without a body counts as another type: a local reply takes its place, with its status. Statuses that forbid a body (304) have none.
//!
//! What comes before the request's form is whole was made without the form, and with it without the tenant's matcher:
//! a 4xx or 5xx keeps its status and nothing else, all other answers are refused. (Observed with Prometheus 3.15: when its
//! `--web.read-timeout` ends a slow form, `labels` answers 200, for every tenant.)
//!
//! Whatever it is, nothing in its head allows other sites to read it, and, but for `untouched`, nothing in its head tells a text of the
//! upstream's own.
//!
//! Compressed counts as another type: `accept-encoding` did not go upstream. What has no body has nothing to filter.

mod expected;
mod headers;

pub(super) use headers::{find, number, removed, replaced};

use super::Unreadable;
use super::alertmanager::{Alertmanager, OfAlertmanager};
use super::envelope::Documents;
use super::filter::{Content, Filter};
use super::grpc::{Frames, Scoped};
use super::metadata::MetadataAsked;
use super::notes::Notes;
use super::owner::Owner;
use super::places::Asked;
use super::plain::PlainText;
use super::reader::Reader;
use super::renamed::Renamed;
use super::series::Series;
use super::status::{self, Author};
use super::substitute::{Said, Substitute};
use super::titled::{self, Titled};
use super::usage::Statistics;
use crate::api::{Answer, Part, Shape};
use crate::names::Names;
use crate::scope::Renaming;
use headers::{CROSS_ORIGIN, LOCATION, REMOVED, TELLING, is_redirection, is_text};
use std::sync::Arc;

/// What an answer is expected to be. Made with the decision on the request, and kept until the answer comes.
#[derive(Debug, Clone)]
pub struct Expected {
    answer: Answer,
    /// Where the answer is filtered by it.
    owner: Option<Owner>,
    /// Of metadata.
    metadata: Option<Box<MetadataOf>>,
    /// Of Alertmanager's API.
    alertmanager: Option<Box<OfAlertmanager>>,
    max: usize,
    shared: bool,
    narrowed: bool,
    can_hold_head: bool,
    statistics: Statistics,
    asked: Asked,
    /// Where labels have other names for the client.
    renamed: Option<(Shape, Renaming)>,
    grpc: Option<Box<Scoped>>,
    notes: Notes,
    /// Of a page.
    titled: Option<Box<Titled>>,
}

/// What is done with metadata.
#[derive(Debug, Clone)]
pub struct MetadataOf {
    /// What the client asks for.
    pub asked: MetadataAsked,
    /// The names by which it is filtered. `None`: the upstream was asked for the metadata of targets, of which it is made.
    pub names: Option<Arc<Names>>,
}

/// The answer's head as the proxy hands it over: every pair, names in lower case, `:status` among them.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// All header pairs.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Neither body nor trailers follow.
    pub end_of_stream: bool,
    /// The request's form has not gone upstream yet.
    pub is_early: bool,
}

/// What is done with an answer.
#[derive(Debug)]
pub struct Plan {
    /// Headers to remove. Only names that are present, so that no host call is wasted.
    pub remove: Vec<&'static str>,
    /// The message of a gRPC status, which replaces the upstream's.
    pub message: Option<String>,
    /// How many of its messages are withheld.
    pub withheld: u32,
    /// The body becomes Prometheus's error object: its content type has to say so.
    pub is_json: bool,
    /// What is done with the body.
    pub body: Body,
}

/// What is done with a body.
#[derive(Debug)]
pub enum Body {
    /// Passed on as it comes.
    Untouched,
    /// Read by a filter as it comes.
    Filtered(Filtered),
    /// The messages of a gRPC method, read as they come.
    Frames(Box<Frames>),
    /// Not passed on: an error object stands for it.
    Substitute(Substitute),
    /// The head is not forwarded either: a reply in Prometheus's shape takes the place of an error that has another.
    Replaced(UpstreamError),
}

/// An error that is told in Prometheus's shape, since the upstream, or a proxy before it, told it in another or not at all.
#[derive(Debug)]
pub struct UpstreamError {
    /// Its status.
    pub status: u16,
    /// Prometheus's `errorType`.
    pub error_type: &'static str,
    /// What happened, and what to do.
    pub message: String,
    /// The headers that say when or how to try again.
    pub headers: Vec<(&'static str, String)>,
}

/// A body that is filtered.
#[derive(Debug)]
pub struct Filtered {
    /// Reads the body.
    pub filter: Box<Reader>,
    /// The head and the body may be held back while the body is no longer than `max_held`, so that a fault still has a status.
    pub holds_head: bool,
    /// `max_response_bytes`.
    pub max_held: usize,
}

impl Expected {
    /// Decides on the head of the upstream's answer; an error has to be answered instead of it.
    pub fn decide(&self, head: &Head<'_>) -> Result<Plan, Unreadable> {
        self.decide_by(head, Author::Upstream)
    }

    /// Likewise, by who has made the answer.
    pub fn decide_by(&self, head: &Head<'_>, author: Author) -> Result<Plan, Unreadable> {
        if let Some(allowed) = self.max_size(head)
            && let Some(length) = find(head, "content-length").and_then(|length| std::str::from_utf8(length).ok())
            && let Ok(length) = length.parse::<i64>()
            && length > allowed
        {
            return Err(Unreadable::OverLimit(length, allowed));
        }
        if let Some(grpc) = &self.grpc {
            return grpc.decide(head, &self.asked);
        }
        let find = |name: &str| find(head, name);
        let is_error = find(":status").is_some_and(|status| matches!(status, [b'4' | b'5', _, _]));
        if head.is_early && !is_error {
            return Err(Unreadable::Early);
        }
        let present = |names: &'static [&'static str]| names.iter().copied().filter(|name| find(name).is_some());
        let mut remove: Vec<_> = present(&CROSS_ORIGIN).collect();
        if self.answer == Answer::Untouched {
            return Ok(Plan { remove, message: None, withheld: 0, is_json: false, body: Body::Untouched });
        }
        remove.extend(present(&TELLING));
        if find(LOCATION).is_some() && !is_redirection(head) {
            remove.push(LOCATION);
        }
        let is_success = find(":status").is_some_and(|status| status.len() == 3 && status.starts_with(b"2"));
        // Of an answer that must not have a body, nothing can be said in one.
        let error_status = number(find(":status")).filter(|status| !is_success && !status::forbids_body(*status));
        if head.end_of_stream {
            return match error_status {
                None => Ok(Plan { remove, message: None, withheld: 0, is_json: false, body: Body::Untouched }),
                Some(status) => Ok(replaced(status, head, author)),
            };
        }
        if let Answer::Alertmanager(part) = self.answer {
            return match error_status {
                Some(status) => Ok(replaced(status, head, author)),
                None => self.alertmanager(part, head, remove),
            };
        }
        // Its length and its validators go, so that no cache takes one tenant's for another's.
        if let Some(titled) = self.titled.clone().filter(|_| titled::is_page(head)) {
            remove.extend(present(&REMOVED));
            let filter = Box::new(Reader::Page(titled));
            let body = Body::Filtered(Filtered { filter, holds_head: false, max_held: self.max });
            return Ok(Plan { remove, message: None, withheld: 0, is_json: false, body });
        }
        if is_success && matches!(self.answer, Answer::Text | Answer::Page | Answer::Asset) {
            return Ok(Plan { remove, message: None, withheld: 0, is_json: false, body: Body::Untouched });
        }
        if is_success && self.answer == Answer::Series {
            return self.series(head);
        }
        let encodings = head.headers.iter().filter(|(name, _)| *name == b"content-encoding");
        let is_plain = encodings.copied().all(|(_, value)| value.eq_ignore_ascii_case(b"identity"));
        let documents = match head.headers.iter().filter(|(name, _)| *name == b"content-type").count() {
            // What the proxy itself says holds no data that a form could have scoped.
            1 if !head.is_early || author == Author::Proxy => {
                find("content-type").and_then(|value| self.documents(value))
            }
            _ => None,
        };
        let documents = documents.filter(|_| is_plain);
        let is_json = documents.is_some();
        let body = match (is_success, documents) {
            (true, None) if !is_plain => return Err(Unreadable::ContentEncoding),
            (true, None) => return Err(Unreadable::ContentType),
            (true, Some(_)) if self.answer == Answer::Metadata => self.metadata()?,
            (true, Some(documents)) => match self.labelled() {
                Some(labelled) => {
                    let owner = self.owner.clone().ok_or(Unreadable::Malformed)?;
                    let filter = Filter::by_owner(labelled, owner, self.max);
                    self.filtered(filter, self.can_hold_head)
                }
                None => self.filtered(Filter::new(documents, self.content(), self.statistics), false),
            },
            (false, Some(documents)) => {
                let has_labels = self.answer.is_filtered_by_owner();
                let content = if has_labels { Content::Dropped } else { self.content() };
                let filter = Filter::new(documents, content, self.statistics);
                let filter = match error_status {
                    Some(status) => filter.of_error(status, author),
                    None => filter,
                };
                self.filtered(filter, false)
            }
            (false, None) => match error_status {
                // Of the upstream's, one whose length is known: where trailers end it, there is no part left to write the object to.
                Some(status)
                    if is_plain
                        && is_text(head)
                        && (author == Author::Proxy || !head.is_early && find("content-length").is_some()) =>
                {
                    let text = match author {
                        Author::Proxy => PlainText::of_proxy(status),
                        Author::Upstream => {
                            let filter = Filter::new(Documents::One, Content::Dropped, Statistics::Unread);
                            let filter = filter.asked(self.asked.clone()).noting(self.notes.clone());
                            PlainText::of_upstream(status, filter)
                        }
                    };
                    let filter = Box::new(Reader::Text(text));
                    Body::Filtered(Filtered { filter, holds_head: false, max_held: self.max })
                }
                Some(status) => return Ok(replaced(status, head, author)),
                None => Body::Substitute(Substitute::new(Said::Fault(Unreadable::ContentType))),
            },
        };
        remove.extend(present(&REMOVED));
        Ok(Plan { remove, message: None, withheld: 0, is_json: !is_json, body })
    }

    /// A success of Alertmanager's.
    fn alertmanager(&self, part: Part, head: &Head<'_>, mut remove: Vec<&'static str>) -> Result<Plan, Unreadable> {
        let own = match (self.alertmanager.as_deref(), part) {
            (_, Part::ByHeader) | (Some(OfAlertmanager::Written), _) => {
                return Ok(Plan { remove, message: None, withheld: 0, is_json: false, body: Body::Untouched });
            }
            (Some(OfAlertmanager::Listed(own)), _) => own.clone(),
            (None, _) => return Err(Unreadable::Malformed),
        };
        let values = |name: &'static str| head.headers.iter().filter(move |(other, _)| *other == name.as_bytes());
        if !values("content-encoding").all(|(_, value)| value.eq_ignore_ascii_case(b"identity")) {
            return Err(Unreadable::ContentEncoding);
        }
        let mut types = values("content-type").map(|(_, value)| self.documents(value));
        if types.next().flatten().is_none() || types.next().is_some() {
            return Err(Unreadable::ContentType);
        }
        remove.extend(REMOVED.into_iter().filter(|name| values(name).next().is_some()));
        let filter = Box::new(Reader::Alertmanager(Box::new(Alertmanager::new(part, own, self.max))));
        let body = Body::Filtered(Filtered { filter, holds_head: self.can_hold_head, max_held: self.max });
        Ok(Plan { remove, message: None, withheld: 0, is_json: false, body })
    }

    fn metadata(&self) -> Result<Body, Unreadable> {
        let MetadataOf { asked, names } = self.metadata.as_deref().cloned().ok_or(Unreadable::Malformed)?;
        let filter = match names {
            Some(names) => Filter::by_names(names, asked, self.max),
            None => Filter::of_targets(self.owner.clone().ok_or(Unreadable::Malformed)?, asked, self.max),
        };
        Ok(self.filtered(filter, self.can_hold_head))
    }

    /// The series of remote read. Unlike JSON, they come in an encoding of their own, and are passed on as they came.
    fn series(&self, head: &Head<'_>) -> Result<Plan, Unreadable> {
        let values =
            |name: &'static [u8]| head.headers.iter().filter(move |(other, _)| *other == name).map(|(_, value)| *value);
        let owner = self.owner.clone().ok_or(Unreadable::Malformed)?;
        let mut types = values(b"content-type");
        let content_type = types.next().filter(|_| types.next().is_none()).ok_or(Unreadable::ContentType)?;
        let series = Series::new(content_type, owner, self.max).ok_or(Unreadable::ContentType)?;
        if !values(b"content-encoding").all(|encoding| series.takes_encoding(encoding)) {
            return Err(Unreadable::ContentEncoding);
        }
        // All of it is passed on, or it is cut off: so its length and its encoding stay.
        let is_removed = |name: &&str| !matches!(*name, "content-length" | "content-encoding");
        let remove = REMOVED.into_iter().filter(is_removed).filter(|name| values(name.as_bytes()).next().is_some());
        let filter = Box::new(Reader::Series(series));
        let body = Body::Filtered(Filtered { filter, holds_head: self.can_hold_head, max_held: self.max });
        Ok(Plan { remove: remove.collect(), message: None, withheld: 0, is_json: false, body })
    }

    fn filtered(&self, filter: Filter, holds_head: bool) -> Body {
        let filter = filter.asked(self.asked.clone()).noting(self.notes.clone());
        // What is held back must not grow.
        let holds_head = holds_head && self.renamed.is_none();
        let filter = match &self.renamed {
            Some((shape, renaming)) => filter.renamed(Renamed::new(*shape, renaming.clone(), self.max)),
            None if holds_head => filter.held_back(),
            None => filter,
        };
        Body::Filtered(Filtered { filter: Box::new(Reader::Json(filter)), holds_head, max_held: self.max })
    }
}
