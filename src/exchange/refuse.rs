//! How a request is answered in the upstream's place: with a refusal, or with a reply that needs no upstream.

use super::effect::{Effect, Half, Level, RequestEdits, Step};
use super::event::HostError;
use super::line::Line;
use super::{Callback, Exchange, RequestStage};
use crate::answer::UpstreamError;
use crate::api::ErrorShape;
use crate::rejection::{self, Code, Rejection};
use crate::request::Reply;

/// No answer may be kept by a cache that serves others; ours included.
pub const CACHE_CONTROL: &str = "cache-control";
/// The value of [`CACHE_CONTROL`].
pub const PRIVATE: &str = "private, no-store";

/// What the client hears of a host's failure. Which call failed is the operator's matter, and stands in the log.
const HOST_FAILURE: Rejection = Rejection::Internal("the proxy did not do what it was asked for");

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// The request, or its answer, was refused.
    Rejected(Rejection),
    /// A call of the host failed, so that nothing is known to have happened. The request is refused, whatever it was.
    Host(HostError),
}

impl Refusal {
    /// What the client hears.
    pub fn rejection(&self) -> &Rejection {
        match self {
            Refusal::Rejected(rejection) => rejection,
            Refusal::Host(_) => &HOST_FAILURE,
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Refusal::Rejected(rejection)
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        Refusal::Host(error)
    }
}

impl Exchange {
    /// Refuses the request. Nothing of it is forwarded from here on.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> Step {
        if let RequestStage::Refused | RequestStage::Cut = self.request {
            return Step::pauses(Vec::new());
        }
        let rejection = refusal.rejection();
        let mut effects = Vec::new();
        if let Some(line) = self.refusal_line(refusal) {
            effects.push(line);
        }
        effects.push(Effect::Note(self.subject.state("refused:", rejection.reason())));
        if self.can_edit_head() {
            effects.extend(self.name_in_head());
        }
        self.record.refuse(rejection.status(), rejection.reason());
        let errors = self.errors();
        let mut headers = vec![("content-type", errors.content_type().to_owned())];
        headers.extend(rejection.headers());
        let body = rejection.body_in(errors);
        effects.push(self.reply((rejection.status(), rejection.code()), rejection.reason(), headers, body));
        Step::pauses(effects)
    }

    /// Answers a request that is not refused. Nothing of it is forwarded from here on.
    pub(super) fn send_reply(&mut self, reply: Reply) -> Step {
        let mut effects = vec![Effect::Note(self.subject.state("answered:", reply.reason))];
        if self.can_edit_head() {
            effects.extend(self.name_in_head());
        }
        self.record.reply(reply.status);
        effects.push(self.reply((reply.status, Code::Ok), reply.reason, reply.headers, reply.body));
        Step::pauses(effects)
    }

    /// Tells an upstream's error in the shape that the endpoint has for errors, in place of an answer whose head has not been forwarded.
    /// This is no refusal: the status stays the upstream's.
    pub(super) fn tell_error(&mut self, error: UpstreamError) -> Step {
        let errors = self.errors();
        let body = rejection::error_body(errors, error.error_type, &error.message);
        self.record.answer_replaced(body.len());
        let mut headers = error.headers;
        headers.push(("content-type", errors.content_type().to_owned()));
        let code = Code::of_status(error.status);
        Step::pauses(vec![self.reply((error.status, code), "upstream_error", headers, body)])
    }

    /// How an error is told to the client.
    pub(super) fn errors(&self) -> ErrorShape {
        match self.subject.is_grpc {
            true => ErrorShape::Grpc,
            false => self.subject.route.map_or(self.worker.errors(), |route| route.errors.without_grpc()),
        }
    }

    /// Answers in the upstream's place. The last effect of a step. `headers` are those that not every such answer has.
    fn reply(
        &mut self,
        (status, code): (u16, Code),
        reason: &str,
        mut headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Effect {
        headers.push((CACHE_CONTROL, PRIVATE.to_owned()));
        headers.extend(self.worker.vary().map(|name| ("vary", name.to_string())));
        self.request = RequestStage::Refused;
        self.is_replying = true;
        Effect::Reply { status, details: ["tenancy_", reason].concat(), headers, body, code }
    }

    /// Not even a local reply could be sent.
    pub(super) fn cut_off_request(&mut self, error: &HostError) -> Step {
        self.record.cut_off();
        self.request = RequestStage::Cut;
        let line = self.line(Line::RequestCutOff, Level::Error, &format!("error={:?}", error.to_string()));
        Step::pauses(line.into_iter().chain([Effect::Reset(Half::Request)]).collect())
    }

    /// Makes the head name who was identified, or no tenant, in place of what the client said: traces and access logs read it. Only
    /// while the head can be written.
    fn name_in_head(&self) -> Option<Effect> {
        let name = self.worker.config()?.forward_tenant_header().clone();
        let edits = match &self.subject.tenant {
            Some(tenant) => RequestEdits { set: vec![(name, tenant.clone())], ..RequestEdits::default() },
            None if self.subject.names_tenant => RequestEdits { remove: vec![name], ..RequestEdits::default() },
            None => return None,
        };
        Some(Effect::TryEditRequest(edits))
    }

    fn can_edit_head(&self) -> bool {
        matches!(self.callback, Callback::RequestHead | Callback::CallOut)
    }

    /// The line of a refusal, if one may be written.
    fn refusal_line(&self, refusal: &Refusal) -> Option<Effect> {
        let level = match refusal {
            Refusal::Rejected(_) => Level::Info,
            Refusal::Host(_) => Level::Error,
        };
        let suppressed = self.worker.lines.admit(self.subject.tenant(), level, self.record.began())?;
        let rejection = refusal.rejection();
        let mut details = format!("status={} reason={}", rejection.status(), rejection.reason());
        if let Refusal::Host(error) = refusal {
            details += &format!(" error={:?}", error.to_string());
        }
        Some(Effect::Log(level, self.subject.line(Line::RequestRefused, &details, suppressed)))
    }
}
