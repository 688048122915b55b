//! What is expected of an answer: noted with the decision on the request, and what follows from its kind alone.

use super::super::alertmanager::OfAlertmanager;
use super::super::envelope::Documents;
use super::super::filter::Content;
use super::super::grpc::Scoped;
use super::super::labelled::Labelled;
use super::super::notes::Notes;
use super::super::owner::Owner;
use super::super::places::Asked;
use super::super::titled::Titled;
use super::super::usage::Statistics;
use super::headers::find;
use super::{Expected, Head, MetadataOf};
use crate::api::{Answer, Route};
use crate::config::Config;
use crate::scope::Scope;

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
    pub fn limited(mut self, notes: Notes) -> Self {
        if let Some(grpc) = &mut self.grpc {
            grpc.notes = notes.clone();
        }
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

    /// What the labels of the answer's parts are needed for.
    pub(super) fn labelled(&self) -> Option<Labelled> {
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

    pub(super) fn content(&self) -> Content {
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
    pub(super) fn documents(&self, content_type: &[u8]) -> Option<Documents> {
        let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        if media_type.eq_ignore_ascii_case(b"application/json") {
            return Some(Documents::One);
        }
        let is_lines = self.answer == Answer::Lines && media_type.eq_ignore_ascii_case(b"application/x-ndjson");
        is_lines.then_some(Documents::Lines)
    }
}
