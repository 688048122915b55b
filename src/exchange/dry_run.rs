//! An exchange in dry run: everything is decided as ever, and nothing is enforced.
//!
//! ```text
//! request   forwarded as it came; the header that names the tenant is set where a tenant was found
//! answer    forwarded as it came, with `x-tenancy-dry-run: <decision>`
//! decision  = "forwarded" / "rewritten" / "withheld" / "answered:" reason / "refused:" reason
//! ```
//!
//! Stats, the filter state and lines of the log say what would have happened. Bodies are read while they are forwarded, up to [`MAX_READ`].
//! What can't be read is decided on as far as it was: nothing here refuses, replies, holds back or cuts off, whatever a host answers.
//!
//! This is the filter's only mode that does not isolate tenants. It is in a file of its own, so that no other file forwards anything unread.

use super::effect::{AnswerEdits, Effect, Level, RequestEdits, Step};
use super::event::Event;
use super::line::Line;
use super::request::milliseconds;
use super::spread::SENT_IN_PARTS;
use super::{Exchange, Half};
use crate::answer::{self, Author, Body, Reader};
use crate::api::Rule;
use crate::limits::Limit;
use crate::rejection::Rejection;
use crate::request::{self, BodyDecision, BodyPlan, Decision, Refused};
use std::sync::Arc;

/// The header of answers that says what would have happened.
pub const HEADER: &str = "x-tenancy-dry-run";

/// The longest body that is read: as long as a message of gRPC may be.
const MAX_READ: usize = request::MAX_MESSAGE;

/// What would have happened to a request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It would have been forwarded as it came.
    #[default]
    Forwarded,
    /// It would have been forwarded with other matchers, parameters or bytes.
    Rewritten,
    /// A part of its answer would have been withheld.
    Withheld,
    /// The filter would have answered it itself. Why.
    Answered(&'static str),
    /// It would have been refused. Why.
    Refused(&'static str),
}

impl Verdict {
    /// The tag of stats.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Forwarded => "forwarded",
            Verdict::Rewritten => "rewritten",
            Verdict::Withheld => "withheld",
            Verdict::Answered(_) => "answered",
            Verdict::Refused(_) => "refused",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Verdict::Answered(reason) | Verdict::Refused(reason) => reason,
            Verdict::Forwarded | Verdict::Rewritten | Verdict::Withheld => "",
        }
    }

    fn text(self) -> String {
        match self.reason() {
            "" => self.name().to_owned(),
            reason => [self.name(), ":", reason].concat(),
        }
    }
}

/// What is kept of an exchange that is only looked at.
#[derive(Default)]
pub struct DryRun {
    /// What would happen to the request's body.
    plan: Option<BodyPlan>,
    body: Vec<u8>,
    came: usize,
    /// The part that has come is the last.
    ends: bool,
    /// What would filter the answer, and by how many bytes what it wrote is shorter.
    reader: Option<Box<Reader>>,
    shorter: i64,
    /// The value of the header that names the tenant upstream.
    tenant: Option<Arc<str>>,
}

impl Exchange {
    /// The request was decided on, and will be forwarded as it came.
    pub(super) fn begin_dry_run(&mut self, decided: Result<Decision, Refused>) -> Step {
        self.record.dry_run(Verdict::Forwarded);
        let mut dry = DryRun { tenant: self.subject.tenant.clone(), ..DryRun::default() };
        let mut wanted = Vec::new();
        match decided {
            Ok(Decision::Forward(forward)) => {
                if forward.path.is_some() {
                    self.record.dry_run(Verdict::Rewritten);
                }
                // What is asked of another path, or made of another answer, can't be compared with what comes.
                let is_comparable = forward.route.instead.is_none() && forward.route.rule != Rule::Metadata;
                self.expected = Some(forward.expected).filter(|_| is_comparable);
                dry.plan = Some(forward.body).filter(|plan| !matches!(plan, BodyPlan::Absent | BodyPlan::Untouched));
                wanted = forward.concurrency;
            }
            Ok(Decision::Reply(reply)) => self.record.dry_run(Verdict::Answered(reply.reason)),
            Ok(Decision::Ask(_)) => self.record.dry_run(Verdict::Rewritten),
            Err(refused) => {
                let step = self.would_refuse(&refused.rejection);
                self.dry = Some(Box::new(dry));
                return self.forward_as_it_came(step);
            }
        }
        self.dry = Some(Box::new(dry));
        match wanted.is_empty() {
            true => self.forward_as_it_came(None),
            false => Step::asks(Effect::TakeLease(wanted)),
        }
    }

    fn forward_as_it_came(&mut self, line: Option<Effect>) -> Step {
        let mut effects: Vec<Effect> = line.into_iter().collect();
        let tenant = self.dry.as_mut().and_then(|dry| dry.tenant.take());
        if let (Some(tenant), Some(config)) = (tenant, self.worker.config()) {
            let set = vec![(config.forward_tenant_header().clone(), tenant)];
            effects.push(Effect::TryEditRequest(RequestEdits { set, ..RequestEdits::default() }));
        }
        effects.push(self.note());
        Step::forwards(effects)
    }

    /// Takes an event of an exchange in dry run.
    pub(super) fn on_dry(&mut self, event: Event<'_>) -> Step {
        let nothing = || Step::forwards(Vec::new());
        match event {
            Event::Leased => self.forward_as_it_came(None),
            Event::LeaseRefused { running, allowed } => {
                let limit = self.limit_of_leases();
                let line = self.would_refuse(&Rejection::Limit { limit, asked: running, allowed });
                self.forward_as_it_came(line)
            }
            Event::RequestBody { size, end_of_stream } => {
                self.record.request_body(size, true);
                let Some(dry) = self.dry.as_mut().filter(|dry| dry.plan.is_some()) else { return nothing() };
                dry.came = dry.came.saturating_add(size);
                dry.ends = end_of_stream;
                let is_bounded = matches!(dry.plan, Some(BodyPlan::Bounded(_)));
                match size {
                    _ if is_bounded || dry.came > MAX_READ => self.decide_dry(),
                    0 if end_of_stream => self.decide_dry(),
                    0 => nothing(),
                    _ => Step::asks(Effect::ReadRequestBody { size, with_time: false }),
                }
            }
            Event::RequestBodyRead { body, now: _ } => {
                if let Some(dry) = &mut self.dry {
                    dry.body.extend_from_slice(&body);
                    if dry.ends {
                        return self.decide_dry();
                    }
                }
                nothing()
            }
            Event::Trailers(Half::Request) => {
                if let Some(dry) = &mut self.dry {
                    dry.ends = true;
                }
                self.decide_dry()
            }
            Event::AnswerHead { end_of_stream } => {
                self.answer_ends_with_head = end_of_stream;
                Step::asks(Effect::ReadAnswerHead)
            }
            Event::AnswerHeadRead { headers, details } => self.look_at_answer(headers, details),
            Event::AnswerBody { size, end_of_stream } => {
                self.record.answer_body(size);
                self.answer_ends = end_of_stream;
                let is_read = self.dry.as_ref().is_some_and(|dry| dry.reader.is_some());
                match size {
                    _ if !is_read => nothing(),
                    0 => self.look_at_body(b""),
                    _ => Step::asks(Effect::ReadAnswerBody { size }),
                }
            }
            Event::AnswerBodyRead { bytes } => self.look_at_body(&bytes),
            Event::Done { now } => {
                self.record.done(now);
                self.end()
            }
            Event::Began { .. }
            | Event::RequestHead(_)
            | Event::CalledOut { .. }
            | Event::NotAsked(_)
            | Event::Trailers(Half::Answer)
            | Event::TrailersRead { .. }
            | Event::StatusRead(_)
            | Event::Failed(_) => nothing(),
        }
    }

    /// The request's body is whole, or longer than is read.
    fn decide_dry(&mut self) -> Step {
        let Some(dry) = &mut self.dry else { return Step::forwards(Vec::new()) };
        let (came, ends) = (dry.came, dry.ends);
        let Some(plan) = dry.plan.take() else { return Step::forwards(Vec::new()) };
        let body = std::mem::take(&mut dry.body);
        let decided = match plan {
            BodyPlan::Bounded(most) if came > most => {
                let [asked, allowed] = [came, most].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
                Err(Rejection::Limit { limit: Limit::WriteSize, asked, allowed })
            }
            BodyPlan::Bounded(_) => {
                if let (Some(dry), false) = (&mut self.dry, ends) {
                    dry.plan = Some(plan);
                }
                return Step::forwards(Vec::new());
            }
            _ if came > MAX_READ => Err(Rejection::TooLarge(MAX_READ)),
            plan => plan.finish(&body, milliseconds(self.record.began()), &self.worker.memo),
        };
        let verdict = match decided {
            Ok(BodyDecision::Forward(finished)) if finished.body.is_some() => Verdict::Rewritten,
            Ok(BodyDecision::Forward(_)) => return Step::forwards(Vec::new()),
            Ok(BodyDecision::Reply(reply)) => Verdict::Answered(reply.reason),
            // Whose silence it would change is not asked: nothing is enforced.
            Ok(BodyDecision::Confirm(_)) => Verdict::Rewritten,
            Ok(BodyDecision::Spread(_)) => Verdict::Answered(SENT_IN_PARTS),
            Err(rejection) => {
                let line = self.would_refuse(&rejection);
                return Step::forwards(line.into_iter().chain([self.note()]).collect());
            }
        };
        self.record.dry_run(verdict);
        Step::forwards(vec![self.note()])
    }

    fn look_at_answer(&mut self, headers: &[(&[u8], &[u8])], details: Option<&[u8]>) -> Step {
        self.record.status(headers.iter().find(|(name, _)| *name == b":status").map(|(_, status)| *status));
        let head = answer::Head { headers, end_of_stream: self.answer_ends_with_head, is_early: false };
        // With this mode off, it would not have been asked for.
        let is_compressed = headers.iter().any(|(name, _)| *name == b"content-encoding");
        let plan = self.expected.take().filter(|_| !is_compressed).map(|it| it.decide_by(&head, Author::of(details)));
        match plan {
            Some(Ok(plan)) => {
                if let (Body::Filtered(filtered), Some(dry)) = (plan.body, &mut self.dry) {
                    // An error in plain text holds no data, whatever is told of it, and a page loses nothing.
                    let holds_data = |reader: &Reader| !matches!(reader, Reader::Text(_) | Reader::Page(_));
                    dry.reader = Some(filtered.filter).filter(|reader| holds_data(reader));
                }
            }
            Some(Err(_)) => self.record.dry_run(Verdict::Withheld),
            None => {}
        }
        let add = Some((HEADER, self.record.verdict().text().into()));
        Step::forwards(vec![Effect::EditAnswer(AnswerEdits { add, ..AnswerEdits::default() })])
    }

    fn look_at_body(&mut self, bytes: &[u8]) -> Step {
        let ends = self.answer_ends;
        if let Some(DryRun { reader: Some(reader), shorter, .. }) = self.dry.as_deref_mut() {
            let mut filtered = Vec::new();
            reader.push(bytes, ends, &mut filtered);
            let length = |bytes: &[u8]| i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            *shorter = shorter.saturating_add(length(bytes)).saturating_sub(length(&filtered));
            if reader.withheld() > 0 || reader.fault().is_some() || ends && *shorter != 0 {
                self.record.dry_run(Verdict::Withheld);
            }
        }
        Step::forwards(Vec::new())
    }

    /// Records a refusal that does not happen, and says so in the log.
    fn would_refuse(&mut self, rejection: &Rejection) -> Option<Effect> {
        self.record.dry_run(Verdict::Refused(rejection.reason()));
        let details = ["status=", &rejection.status().to_string(), " reason=", rejection.reason()].concat();
        self.line(Line::RequestWouldBeRefused, Level::Info, &details)
    }

    fn note(&self) -> Effect {
        let text = self.record.verdict().text();
        Effect::Note(self.subject.state("dry_run:", &text))
    }
}
