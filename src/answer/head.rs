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

use super::Unreadable;
use super::alertmanager::{Alertmanager, OfAlertmanager};
use super::envelope::Documents;
use super::filter::{Content, Filter};
use super::grpc::{Frames, Scoped};
use super::labelled::Labelled;
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
use crate::api::{Answer, Part, Route, Shape};
use crate::config::Config;
use crate::names::Names;
use crate::scope::{Renaming, Scope};
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

/// Headers that describe the original body, or how it may be stored. They are removed, because the body may change.
const REMOVED: [&str; 11] = [
    "content-length",
    "etag",
    "last-modified",
    "accept-ranges",
    "content-range",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "content-encoding",
    "trailer",
];

/// Headers by which an upstream allows pages of other sites to read its answers. With a default tenant, such a page could read that
/// tenant's data by its reader's browser. Only Envoy's cors filter, which stands before this one, allows it.
const CROSS_ORIGIN: [&str; 8] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "timing-allow-origin",
];

/// Headers in which an upstream says what it likes, or sends the client elsewhere. Nothing tells whose that is.
const TELLING: [&str; 5] = ["warning", "link", "refresh", "content-location", "alt-svc"];
/// Likewise, but for a redirection, which says nothing without it.
const LOCATION: &str = "location";

/// Headers of an error that are kept with the reply that takes its place.
const KEPT: [&str; 2] = ["retry-after", "www-authenticate"];
/// Headers that the proxy sets or needs, and that tell nothing of tenants' data.
const OF_HTTP: [&str; 7] =
    ["content-type", "date", "server", "vary", "connection", "transfer-encoding", "x-envoy-upstream-service-time"];
/// The longest value that is kept.
const MAX_KEPT: usize = 256;

impl Expected {
    /// For the answer to a request that matched this row, of whoever is confined to this scope. Without one, the upstream isolates tenants
    /// itself, and answers with what is the tenant's, without the label.
    pub fn new(route: &'static Route, config: &Config, scope: Option<&Scope>) -> Self {
        let answer = match route.answer {
            Answer::Rules | Answer::Alerts | Answer::AlertsOfRules | Answer::Exemplars if scope.is_none() => {
                Answer::Messages
            }
            Answer::Metadata | Answer::Targets | Answer::TargetMetadata if !config.enforces() => Answer::Messages,
            Answer::Series if !config.enforces() => Answer::Text,
            other => other,
        };
        Expected {
            answer,
            // A pattern that can't be run is refused with the configuration; without an owner, nothing passes.
            owner: scope.filter(|_| answer.is_filtered_by_owner()).and_then(|scope| Owner::new(scope).ok()),
            metadata: None,
            alertmanager: None,
            max: config.max_response_bytes(),
            shared: config.shows_shared_rules(),
            narrowed: false,
            can_hold_head: config.can_hold_heads(),
            statistics: Statistics::Unread,
            asked: Asked::Unchanged,
            renamed: route.shape().zip(scope.and_then(Scope::renaming).cloned()),
            notes: Notes::default(),
            titled: None,
            grpc: if let Answer::Grpc(call) = answer {
                let (shared, max) = (config.shows_shared_rules(), config.max_response_bytes());
                Some(Box::new(Scoped::new(call, scope, shared, max).counting(config.stats().samples)))
            } else {
                None
            },
        }
    }

    /// For the answer to a request that needs no tenant, which holds no tenant's data.
    pub fn of_nobody(answer: Answer, config: &Config) -> Self {
        let max = config.max_response_bytes();
        let grpc =
            if let Answer::Grpc(call) = answer { Some(Box::new(Scoped::new(call, None, false, max))) } else { None };
        Expected {
            answer,
            owner: None,
            metadata: None,
            alertmanager: None,
            max,
            shared: false,
            narrowed: false,
            can_hold_head: false,
            statistics: Statistics::Unread,
            asked: Asked::Unchanged,
            renamed: None,
            notes: Notes::default(),
            titled: None,
            grpc,
        }
    }

    /// Notes the limits that the upstream was told of, and how long the answer may be.
    pub fn limited(self, notes: Notes) -> Self {
        Expected { notes, ..self }
    }

    /// How long the answer may be, if it is one that the limit is about: what is returned, and no error. What is filtered by its owner holds
    /// other tenants' data when it comes: it is not measured. Of remote read's series, another tenant's would be a fault: they are.
    pub fn max_size(&self, head: &Head<'_>) -> Option<i64> {
        let holds_others = self.answer != Answer::Series && self.answer.is_filtered_by_owner();
        let is_measured = self.answer != Answer::Untouched && !holds_others;
        let is_success = || find(head, ":status").is_some_and(|status| status.starts_with(b"2"));
        self.notes.max_size().filter(|_| is_measured && is_success())
    }

    /// Notes what the client asks in its URL.
    pub fn asked(self, asked: Asked) -> Self {
        Expected { asked, ..self }
    }

    /// Notes what the client asks in its form, which counts before what it asks in the URL (`Request.FormValue` in Go's net/http).
    pub fn asked_in_form(&mut self, asked: Asked) {
        self.asked = asked;
    }

    /// Notes whose page it is, where it is one.
    pub fn of_tenant(self, tenant: &str) -> Self {
        Expected { titled: (self.answer == Answer::Page).then(|| Box::new(Titled::new(tenant))), ..self }
    }

    /// Notes what is done with metadata.
    pub fn of_metadata(self, metadata: MetadataOf) -> Self {
        Expected { metadata: Some(Box::new(metadata)), ..self }
    }

    /// Notes what comes back of Alertmanager's API.
    pub fn of_alertmanager(self, what: OfAlertmanager) -> Self {
        Expected { alertmanager: Some(Box::new(what)), ..self }
    }

    /// Notes what is done with the upstream's statistics.
    pub fn measuring(self, statistics: Statistics) -> Self {
        Expected { statistics, ..self }
    }

    /// Notes that the request asks for a part only.
    pub fn narrowed(self, narrowed: bool) -> Self {
        Expected { narrowed, ..self }
    }

    /// What is done with the upstream's statistics.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Notes whether the client has asked for statistics, where they are read.
    pub fn client_asks_for_statistics(&mut self, asks: bool) {
        self.statistics = match (self.statistics, asks) {
            (Statistics::Unread, _) => Statistics::Unread,
            (Statistics::Shown | Statistics::Taken, true) => Statistics::Shown,
            (Statistics::Shown | Statistics::Taken, false) => Statistics::Taken,
        };
    }

    /// Whether it matters who has made an answer with this head.
    pub fn depends_on_author(&self, headers: &[(&[u8], &[u8])]) -> bool {
        let status = headers.iter().find(|(name, _)| *name == b":status");
        let is_success = status.is_some_and(|(_, status)| status.starts_with(b"2"));
        !is_success && self.grpc.is_none() && self.answer != Answer::Untouched
    }

    /// The headers that the answer gets, whatever is in it.
    pub fn sets(&self) -> &'static [(&'static str, &'static str)] {
        const PRIVATE: (&str, &str) = ("cache-control", "private, no-store");
        match self.answer {
            // It is the same for everybody.
            Answer::Asset => &[],
            // No page of another site shows it in a frame, where its reader could be made to click. A `content-security-policy` that names
            // `frame-ancestors` counts before this header.
            Answer::Page => &[PRIVATE, ("x-frame-options", "DENY")],
            Answer::Messages
            | Answer::Analyzed
            | Answer::Explained
            | Answer::Lines
            | Answer::Text
            | Answer::Rules
            | Answer::Alerts
            | Answer::AlertsOfRules
            | Answer::Exemplars
            | Answer::Series
            | Answer::Metadata
            | Answer::Targets
            | Answer::TargetMetadata
            | Answer::Untouched
            | Answer::Alertmanager(_)
            | Answer::Grpc(_)
            | Answer::None => &[PRIVATE],
        }
    }

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

    /// What the labels of the answer's parts are needed for.
    fn labelled(&self) -> Option<Labelled> {
        match self.answer {
            Answer::Rules => Some(Labelled::Rules { shared: self.shared, narrowed: self.narrowed }),
            Answer::Alerts => Some(Labelled::Alerts),
            Answer::AlertsOfRules => Some(Labelled::AlertsOfRules),
            Answer::Exemplars => Some(Labelled::Exemplars),
            Answer::Targets => Some(Labelled::Targets),
            Answer::TargetMetadata => Some(Labelled::TargetMetadata),
            Answer::Messages
            | Answer::Analyzed
            | Answer::Explained
            | Answer::Lines
            | Answer::Text
            | Answer::Series
            | Answer::Metadata
            | Answer::Page
            | Answer::Asset
            | Answer::Untouched
            | Answer::Alertmanager(_)
            | Answer::Grpc(_)
            | Answer::None => None,
        }
    }

    fn content(&self) -> Content {
        match self.answer {
            Answer::Analyzed => Content::Analyzed,
            Answer::Explained => Content::Explained,
            Answer::Messages
            | Answer::Lines
            | Answer::Text
            | Answer::Rules
            | Answer::Alerts
            | Answer::AlertsOfRules
            | Answer::Exemplars
            | Answer::Series
            | Answer::Metadata
            | Answer::Targets
            | Answer::TargetMetadata
            | Answer::Page
            | Answer::Asset
            | Answer::Untouched
            | Answer::Alertmanager(_)
            | Answer::Grpc(_)
            | Answer::None => Content::Passed,
        }
    }

    /// How many documents the body holds; none where it is not JSON.
    fn documents(&self, content_type: &[u8]) -> Option<Documents> {
        let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        if media_type.eq_ignore_ascii_case(b"application/json") {
            return Some(Documents::One);
        }
        let is_lines = self.answer == Answer::Lines && media_type.eq_ignore_ascii_case(b"application/x-ndjson");
        is_lines.then_some(Documents::Lines)
    }
}

impl Plan {
    /// The other headers that are removed too, of an error of which the text is told only as far as it may be: they must not tell the rest.
    /// What says when or how to try again stays, as in `replaced`.
    pub fn unknown(&self, head: &Head<'_>) -> Vec<Vec<u8>> {
        let mut unknown: Vec<Vec<u8>> = Vec::new();
        let Body::Filtered(Filtered { filter, .. }) = &self.body else { return unknown };
        if !filter.is_text_of_upstream() {
            return unknown;
        }
        for &(name, value) in head.headers {
            let is = |other: &&str| other.as_bytes() == name;
            let is_kept = value.len() <= MAX_KEPT && (KEPT.iter().any(is) || LOCATION.as_bytes() == name);
            let stays = is_kept || name.starts_with(b":") || OF_HTTP.iter().any(is) || self.remove.iter().any(is);
            if !stays && !unknown.iter().any(|seen| seen == name) {
                unknown.push(name.to_vec());
            }
        }
        unknown
    }
}

/// The headers of an answer whose body may change that are removed, as far as they are present.
pub(super) fn removed(head: &Head<'_>) -> Vec<&'static str> {
    let names = REMOVED.iter().chain(&CROSS_ORIGIN).chain(&TELLING).chain([&LOCATION]);
    names.copied().filter(|name| find(head, name).is_some()).collect()
}

/// The first header of this name.
pub(super) fn find<'a>(head: &Head<'a>, name: &str) -> Option<&'a [u8]> {
    head.headers.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value)
}

/// A reply takes the place of an error of this status.
pub(super) fn replaced(status: u16, head: &Head<'_>, author: Author) -> Plan {
    let kept = |name: &'static str| {
        let mut values = head.headers.iter().filter(move |(other, _)| *other == name.as_bytes());
        let value = values.next().map(|(_, value)| *value).filter(|value| value.len() <= MAX_KEPT)?;
        std::str::from_utf8(value).ok().map(|value| (name, value.to_owned()))
    };
    let error = UpstreamError {
        status,
        error_type: status::error_type(status),
        message: status::sentence(status, author),
        headers: KEPT.into_iter().chain(is_redirection(head).then_some(LOCATION)).filter_map(kept).collect(),
    };
    Plan { remove: Vec::new(), message: None, withheld: 0, is_json: true, body: Body::Replaced(error) }
}

fn is_text(head: &Head<'_>) -> bool {
    find(head, "content-type").is_some_and(|value| value.starts_with(b"text/plain"))
}

fn is_redirection(head: &Head<'_>) -> bool {
    head.headers.iter().any(|(name, value)| *name == b":status" && value.starts_with(b"3"))
}

/// A status of three digits.
pub(super) fn number(status: Option<&[u8]>) -> Option<u16> {
    let digits = status.filter(|status| status.len() == 3 && status.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
