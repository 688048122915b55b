//! The answer's half of an exchange.
//!
//! ```text
//!            head                          body                            trailers
//! Waiting ────┬───> Filtering ────────────────────────> Ended <────── Filtering
//!             ├───> Holding      at its end                             its body's end was not seen
//!             │        └───> Filtering    once it is larger than what may be held
//!             ├───> Replacing, Passing
//!             └───> refused, also while it is held back, or an error told in the endpoint's shape: a local reply
//! ```
//!
//! Invariants: no byte of a body that has to be read is forwarded before it was filtered; what is held back never grows; an effect that
//! fails cuts the answer off.

use super::effect::{AnswerEdits, Effect, Half, Level, Step};
use super::grpc::STATUS;
use super::line::Line;
use super::refuse::Refusal;
use super::request::RequestStage;
use super::{Callback, Exchange};
use crate::answer::{Author, Body, Frames, Head, Reader, Samples, Substitute, Unreadable};

/// How far an answer has come.
#[derive(Default)]
pub enum AnswerStage {
    /// Its head has not come.
    #[default]
    Waiting,
    /// It is forwarded as it comes.
    Passing,
    /// It is filtered as it comes.
    Filtering(Box<Reader>),
    /// It is held back with its head until it is whole, or larger than what may be held.
    Holding {
        /// What filters it.
        filter: Box<Reader>,
        /// How many bytes may be held back.
        max: usize,
    },
    /// The frames of a gRPC method are filtered as they come, and then the trailers.
    Frames(Box<Frames>),
    /// Something takes its place.
    Replacing(Substitute),
    /// It has been filtered to its end. Trailers may still come, a body may not.
    Ended,
}

impl Exchange {
    /// The step for an answer that is not the upstream's, or of which nothing may be forwarded any more. `None`: it is the upstream's, and
    /// has to be looked at.
    fn answer_without_reading(&mut self, size: usize) -> Option<Step> {
        match self.request {
            // Another filter, or the host, answers in the place of a request that is held back: nothing of it may be forwarded after.
            RequestStage::Asking(_) | RequestStage::Spreading(_) => {
                self.request = RequestStage::Refused;
                self.record.answer_body(size);
                Some(Step::forwards(Vec::new()))
            }
            // Local replies pass here too: another filter's is left alone, ours is complete. Once the head of the upstream's answer has been
            // forwarded, no local reply can follow.
            RequestStage::Untouched | RequestStage::Leasing(_) | RequestStage::Refused
                if matches!(self.answer, AnswerStage::Waiting) =>
            {
                self.record.answer_body(size);
                Some(Step::forwards(Vec::new()))
            }
            RequestStage::Untouched | RequestStage::Leasing(_) | RequestStage::Refused | RequestStage::Cut => {
                Some(Step::pauses(Vec::new()))
            }
            RequestStage::Reading { .. }
            | RequestStage::Deciding
            | RequestStage::Confirming(_)
            | RequestStage::Decided
            | RequestStage::Streaming
            | RequestStage::Bounded { .. } => None,
        }
    }

    pub(super) fn answer_head(&mut self, end_of_stream: bool) -> Result<Step, Refusal> {
        if let Some(step) = self.answer_without_reading(0) {
            return Ok(step);
        }
        self.answer_ends_with_head = end_of_stream;
        Ok(Step::asks(Effect::ReadAnswerHead))
    }

    /// Whether the host has to be asked who has made the answer with this head. Asked of errors only: it is one more call of the host.
    pub fn wants_details(&self, headers: &[(&[u8], &[u8])]) -> bool {
        self.expected.as_ref().is_some_and(|expected| expected.depends_on_author(headers))
    }

    /// Nothing of the answer has been forwarded yet, so that a failure can be a local reply.
    pub(super) fn answer_head_read(
        &mut self,
        headers: &[(&[u8], &[u8])],
        details: Option<&[u8]>,
    ) -> Result<Step, Refusal> {
        let Some(expected) = self.expected.take() else {
            return Ok(self.refuse_answer(Exchange::out_of_order("proxy_on_response_headers"), "host"));
        };
        self.record.status(headers.iter().find(|(name, _)| *name == b":status").map(|(_, status)| *status));
        let grpc_status = headers.iter().find(|(name, _)| self.subject.is_grpc && *name == STATUS.as_bytes());
        if let Some((_, status)) = grpc_status {
            self.record.grpc_status(status);
        }
        // A body that must be empty decides on nothing: the answer to a GET may come before its end.
        let is_early = matches!(&self.request, RequestStage::Reading { plan, .. } if plan.confines())
            || matches!(self.request, RequestStage::Confirming(_));
        let head = Head { headers, end_of_stream: self.answer_ends_with_head, is_early };
        let plan = match expected.decide_by(&head, Author::of(details)) {
            Ok(plan) => plan,
            Err(unreadable) => return Ok(self.refuse_answer(unreadable.rejection().into(), unreadable.name())),
        };
        self.answer_max = expected.max_size(&head);
        if let Body::Replaced(error) = plan.body {
            return Ok(self.tell_error(error));
        }
        // The answer was made for one tenant: a cache on the way must not give it to another. `vary` is added beside the upstream's
        // own, which costs one call where merging would cost three.
        let mut edits = AnswerEdits {
            remove_unknown: plan.unknown(&head),
            remove: plan.remove,
            set: expected.sets().to_vec(),
            message: plan.message,
            add: self.worker.vary().map(|name| ("vary", name.clone())),
        };
        if plan.withheld > 0 {
            self.record.found(plan.withheld, Samples::default());
        }
        if plan.is_json {
            edits.set.push(("content-type", "application/json"));
        }
        let mut step = Step::forwards(vec![Effect::EditAnswer(edits)]);
        self.answer = match plan.body {
            Body::Untouched | Body::Replaced(_) => AnswerStage::Passing,
            Body::Frames(frames) => AnswerStage::Frames(frames),
            Body::Substitute(substitute) => AnswerStage::Replacing(substitute),
            Body::Filtered(filtered) if filtered.holds_head => {
                step.flow = super::Flow::Pause;
                AnswerStage::Holding { filter: filtered.filter, max: filtered.max_held }
            }
            Body::Filtered(filtered) => AnswerStage::Filtering(filtered.filter),
        };
        Ok(step)
    }

    /// `size` is what the host holds, which is the new part alone unless the parts before it were held back.
    pub(super) fn answer_body(&mut self, size: usize, end_of_stream: bool) -> Result<Step, Refusal> {
        if let Some(step) = self.answer_without_reading(size) {
            return Ok(step);
        }
        self.answer_held = size;
        self.answer_ends = end_of_stream;
        if let Some(step) = self.answer_over_limit(size) {
            return Ok(step);
        }
        Ok(match &mut self.answer {
            AnswerStage::Waiting => self.cut_off_answer("host", "proxy_on_response_body came out of order"),
            AnswerStage::Passing => {
                self.record.answer_body(size);
                Step::forwards(Vec::new())
            }
            AnswerStage::Holding { max, .. } if !end_of_stream && size <= *max => Step::pauses(Vec::new()),
            AnswerStage::Filtering(_) | AnswerStage::Holding { .. } | AnswerStage::Frames(_) => {
                self.read_answer_body(size)
            }
            AnswerStage::Ended if size == 0 => Step::forwards(Vec::new()),
            AnswerStage::Ended => self.cut_off_answer("host", "proxy_on_response_body came after the end"),
            AnswerStage::Replacing(substitute) => {
                let mut out = Vec::new();
                substitute.write(&mut out);
                self.replace_answer_body(size, out)
            }
        })
    }

    /// What becomes of an answer that is longer than its tenant's limit; `None` where it is forwarded, or has a filter that says why it
    /// is not.
    fn answer_over_limit(&mut self, size: usize) -> Option<Step> {
        let allowed = self.answer_max?;
        let before = if let AnswerStage::Holding { .. } = self.answer { 0 } else { self.answer_came };
        self.answer_came = before.saturating_add(size);
        let came = i64::try_from(self.answer_came).unwrap_or(i64::MAX);
        if came <= allowed {
            return None;
        }
        let fault = Unreadable::OverLimit(came, allowed);
        match &mut self.answer {
            AnswerStage::Holding { .. } => Some(self.refuse_answer(fault.rejection().into(), fault.name())),
            AnswerStage::Passing => Some(self.cut_off_answer(fault.name(), fault.reason())),
            AnswerStage::Filtering(filter) => {
                filter.stop(fault);
                None
            }
            AnswerStage::Frames(frames) => {
                frames.stop(fault);
                None
            }
            AnswerStage::Waiting | AnswerStage::Replacing(_) | AnswerStage::Ended => None,
        }
    }

    fn read_answer_body(&mut self, size: usize) -> Step {
        match size {
            0 => self.filter_answer_body(Vec::new()),
            _ => Step::asks(Effect::ReadAnswerBody { size }),
        }
    }

    pub(super) fn answer_body_read(&mut self, bytes: Vec<u8>) -> Result<Step, Refusal> {
        if matches!(self.answer, AnswerStage::Frames(_)) {
            return Ok(self.filter_frames(&bytes));
        }
        Ok(self.filter_answer_body(bytes))
    }

    fn filter_answer_body(&mut self, bytes: Vec<u8>) -> Step {
        let (mut filter, is_held) = match std::mem::take(&mut self.answer) {
            AnswerStage::Filtering(filter) => (filter, false),
            AnswerStage::Holding { filter, .. } => (filter, true),
            _ => return self.cut_off_answer("host", "an answer's body came out of order"),
        };
        let size = self.answer_held;
        let mut out = Vec::with_capacity(bytes.len());
        filter.push(&bytes, self.answer_ends, &mut out);
        self.record.found(filter.withheld(), filter.samples());
        if let (true, Some(fault)) = (is_held, filter.fault()) {
            // The head is held back, so that there still can be an answer with a status of its own.
            return self.refuse_answer(fault.rejection().into(), fault.name());
        }
        if let Some(fault) = filter.fault() {
            if filter.cuts_off() {
                return self.cut_off_answer(fault.name(), fault.reason());
            }
            self.record.unreadable(fault.name());
        }
        let report = if self.answer_ends { self.report(&filter) } else { None };
        let samples = filter.samples().total.filter(|_| self.answer_ends).map(Effect::NoteSamples);
        self.answer = if self.answer_ends { AnswerStage::Ended } else { AnswerStage::Filtering(filter) };
        let mut step = if out == bytes {
            self.record.answer_body(size);
            Step::forwards(Vec::new())
        } else {
            self.replace_answer_body(size, out)
        };
        step.effects.extend(report.into_iter().chain(samples));
        if self.callback == Callback::AnswerTrailers {
            step.effects.push(Effect::ReadTrailers(Half::Answer));
        }
        step
    }

    /// Trailers: the body callback never saw the body's end.
    pub(super) fn answer_trailers(&mut self) -> Result<Step, Refusal> {
        if let Some(step) = self.answer_without_reading(0) {
            return Ok(step);
        }
        let mut step = match std::mem::take(&mut self.answer) {
            AnswerStage::Waiting => {
                return Ok(self.cut_off_answer("host", "proxy_on_response_trailers came out of order"));
            }
            // The operator's own path, or text that is forwarded: its trailers with it.
            AnswerStage::Passing => {
                self.answer = AnswerStage::Passing;
                return Ok(Step::forwards(Vec::new()));
            }
            AnswerStage::Filtering(mut filter) => {
                // There is no part left to write to.
                let mut lost = Vec::new();
                filter.push(b"", true, &mut lost);
                self.record.found(filter.withheld(), filter.samples());
                if filter.cuts_off() && !lost.is_empty() {
                    return Ok(self.cut_off_answer("host", "trailers came with the end of a message"));
                }
                if let Some(fault) = filter.fault() {
                    if filter.cuts_off() {
                        return Ok(self.cut_off_answer(fault.name(), fault.reason()));
                    }
                    self.record.unreadable(fault.name());
                }
                Step::forwards(self.report(&filter).into_iter().collect())
            }
            // The whole body is still held back.
            held @ AnswerStage::Holding { .. } => {
                self.answer = held;
                self.answer_ends = true;
                return Ok(self.read_answer_body(self.answer_held));
            }
            // They end with the trailers, which are read for what they say.
            frames @ AnswerStage::Frames(_) => {
                self.answer = frames;
                return Ok(Step::asks(Effect::ReadTrailers(Half::Answer)));
            }
            AnswerStage::Replacing(_) | AnswerStage::Ended => Step::forwards(Vec::new()),
        };
        self.answer = AnswerStage::Ended;
        step.effects.push(Effect::ReadTrailers(Half::Answer));
        Ok(step)
    }

    pub(super) fn replace_answer_body(&mut self, size: usize, bytes: Vec<u8>) -> Step {
        if size == 0 && bytes.is_empty() {
            return Step::forwards(Vec::new());
        }
        self.record.answer_body(bytes.len());
        Step::forwards(vec![Effect::ReplaceBody { half: Half::Answer, size, bytes }])
    }

    /// Answers in the place of an answer whose head has not been forwarded.
    pub(super) fn refuse_answer(&mut self, refusal: Refusal, name: &'static str) -> Step {
        self.answer = AnswerStage::Waiting;
        self.record.unreadable(name);
        self.record.answer_replaced(refusal.rejection().body_in(self.errors()).len());
        self.refuse(&refusal)
    }

    /// After the head, nothing can be said any more.
    pub(super) fn cut_off_answer(&mut self, name: &'static str, reason: &str) -> Step {
        let line = self.line(Line::AnswerCutOff, Level::Error, &format!("reason={reason:?}"));
        self.record.unreadable(name);
        self.request = RequestStage::Cut;
        Step::pauses(line.into_iter().chain([Effect::Reset(Half::Answer)]).collect())
    }

    /// What the operator is told of an answer that was filtered.
    fn report(&self, filter: &Reader) -> Option<Effect> {
        if let Some(fault) = filter.fault() {
            // Where nothing had been forwarded, an error object has taken the answer's place.
            let line = if filter.has_written() { Line::AnswerCutShort } else { Line::AnswerWithheld };
            return self.line(line, Level::Error, &["reason=", fault.name()].concat());
        }
        match filter.withheld() {
            0 => None,
            count => self.line(Line::MessagesWithheld, Level::Info, &format!("count={count}")),
        }
    }

    /// A line about this exchange, if one may be written.
    pub(super) fn line(&self, what: Line, level: Level, details: &str) -> Option<Effect> {
        let suppressed = self.worker.lines.admit(self.subject.tenant(), level, self.record.began())?;
        Some(Effect::Log(level, self.subject.line(what, details, suppressed)))
    }
}
