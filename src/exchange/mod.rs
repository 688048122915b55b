//! One request and its answer as a state machine: events in, effects out. It knows no host.
//!
//! ```text
//!   adapter                                  Exchange
//!   a callback of its host   ── Event ──>    decides
//!   carries each effect out  <── Step ───    effects, then: continue or pause
//!   an effect that asks      ── Event ──>    … until a step asks for nothing
//!   an effect that failed    ── Failed ─>    refuses, or cuts the exchange off
//! ```
//!
//! - `effect`: what an adapter is asked to do; `event`: what it tells
//! - `request`: the request's half; `answer`: the answer's half, and `grpc`: what gRPC's trailers add to it
//! - `spread`: a body that is sent in parts
//! - `refuse`: how a request is answered in the upstream's place
//! - `dry_run`: what is done where nothing is enforced
//! - `line`: how each line of the log begins
//! - `trail`: what an exchange leaves in access logs, traces and the log
//! - `record`: what it adds to the stats; `ledger`: the stats of one worker, on their way to the host
//! - `reloads`: counts configurations
//! - `worker`: what the exchanges of one worker and configuration share
//!
//! Invariants, whatever status the host answers an effect with, but for exchanges in dry run:
//!
//! - The head is forwarded only with all of its edits made. No byte of a body that has to be read is forwarded before it was decided on.
//! - After a refusal nothing of the request is forwarded, and nothing but the refusal reaches the client.
//! - No byte of an answer that has to be read is forwarded before it was filtered.
//!
//! The request's head is paused on only while the upstream is asked something, and goes on then: without Envoy's
//! `allow_on_headers_stop_iteration` its body would not come before (observed with Envoy 1.40.0). So whatever concerns the head is decided
//! without the body. The answer's head is paused on only where the operator
//! says that the option is on.

mod answer;
mod dry_run;
mod effect;
mod event;
mod grpc;
pub mod ledger;
mod line;
mod record;
mod refuse;
pub mod reloads;
mod request;
mod spread;
#[cfg(test)]
mod tests;
mod trail;
mod worker;

pub use dry_run::{HEADER as DRY_RUN_HEADER, Verdict};
pub use effect::{AnswerEdits, CallOut, Effect, Flow, Half, Level, RequestEdits, Step};
pub use event::{Arrival, Event, Fault, HostError};
pub use ledger::{Change, Ledger, Meter, Metric, SeriesId};
pub use line::Line;
pub use record::Summary;
pub use worker::Worker;

use crate::answer::Expected;
use crate::request::Answered;
use answer::AnswerStage;
use dry_run::DryRun;
use record::Record;
use refuse::Refusal;
use request::{Meanwhile, RequestStage};
use std::rc::Rc;
use trail::Subject;

/// One request and its answer.
pub struct Exchange {
    worker: Rc<Worker>,
    request: RequestStage,
    answer: AnswerStage,
    /// Which half the running callback belongs to, and whether that half's head may still be replaced by a local reply.
    callback: Callback,
    /// The local reply has been handed to the adapter: where that fails, nothing is left but a reset.
    is_replying: bool,
    /// What the answer has to be; `None` before the request has been forwarded.
    expected: Option<Expected>,
    /// The answer's head is all of it.
    answer_ends_with_head: bool,
    /// The bytes of the answer's body that the host held at its last callback, and whether they were the last.
    answer_held: usize,
    /// How many bytes of the answer have come, and how many may; `None` where no limit says so.
    answer_came: usize,
    answer_max: Option<i64>,
    answer_ends: bool,
    /// What came of the request while the upstream was asked something.
    meanwhile: Meanwhile,
    subject: Subject,
    record: Record,
    /// Nothing is enforced.
    dry: Option<Box<DryRun>>,
}

/// Where the host has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callback {
    RequestHead,
    RequestBody,
    RequestTrailers,
    /// A question to the upstream was answered. The request's head may still be edited.
    CallOut,
    AnswerHead,
    AnswerBody,
    AnswerTrailers,
}

impl Exchange {
    /// Before the request's head has come.
    pub fn new(worker: Rc<Worker>) -> Self {
        Exchange {
            worker,
            request: RequestStage::Untouched,
            answer: AnswerStage::default(),
            callback: Callback::RequestHead,
            is_replying: false,
            expected: None,
            answer_ends_with_head: false,
            answer_held: 0,
            answer_came: 0,
            answer_max: None,
            answer_ends: false,
            meanwhile: Meanwhile::default(),
            subject: Subject::default(),
            record: Record::default(),
            dry: None,
        }
    }

    /// Takes an event, and says what is to be done.
    pub fn on(&mut self, event: Event<'_>) -> Step {
        if self.dry.is_some() {
            return self.on_dry(event);
        }
        let outcome = match event {
            Event::Began { now } => {
                self.record.start(now);
                return Step::forwards(Vec::new());
            }
            Event::RequestHead(arrival) => self.request_head(&arrival),
            Event::Leased => self.leased(),
            Event::LeaseRefused { running, allowed } => self.lease_refused(running, allowed),
            Event::RequestBody { size, end_of_stream } => {
                self.callback = Callback::RequestBody;
                self.request_body(size, end_of_stream)
            }
            Event::RequestBodyRead { body, now } => self.request_body_read(body, now),
            Event::Trailers(Half::Request) => {
                self.callback = Callback::RequestTrailers;
                self.request_trailers()
            }
            Event::CalledOut { which, answered } => {
                // Of a body that is held back, the head has gone already.
                let is_head_held = matches!(self.request, RequestStage::Asking(_));
                self.callback = if is_head_held { Callback::CallOut } else { Callback::RequestBody };
                self.called_out(&[which], &answered)
            }
            Event::NotAsked(which) => self.called_out(which, &Answered::Failed),
            Event::AnswerHead { end_of_stream } => {
                self.callback = Callback::AnswerHead;
                self.answer_head(end_of_stream)
            }
            Event::AnswerHeadRead { headers, details } => self.answer_head_read(headers, details),
            Event::AnswerBody { size, end_of_stream } => {
                self.callback = Callback::AnswerBody;
                self.answer_body(size, end_of_stream)
            }
            Event::AnswerBodyRead { bytes } => self.answer_body_read(bytes),
            Event::Trailers(Half::Answer) => {
                self.callback = Callback::AnswerTrailers;
                self.answer_trailers()
            }
            Event::TrailersRead { trailers } => self.trailers_read(trailers),
            Event::Failed(error) => return self.failed(error),
            Event::Done { now } => return self.done(now),
            Event::StatusRead(status) => {
                self.record.told(status);
                return self.end();
            }
        };
        outcome.unwrap_or_else(|refusal| self.refuse(&refusal))
    }

    /// The exchange is over. Where the answer's head is still held back, the client never got it: Envoy answered in its place (500, where the
    /// body did not fit into its buffer; 502, where the upstream broke off) and told no filter, or the client left (observed with Envoy 1.40.0).
    fn done(&mut self, now: u64) -> Step {
        self.record.done(now);
        match self.answer {
            AnswerStage::Holding { .. } => Step::asks(Effect::ReadStatus),
            AnswerStage::Waiting
            | AnswerStage::Passing
            | AnswerStage::Filtering(_)
            | AnswerStage::Frames(_)
            | AnswerStage::Replacing(_)
            | AnswerStage::Ended => self.end(),
        }
    }

    fn end(&mut self) -> Step {
        Step::forwards(self.record.end().map(Effect::End).into_iter().collect())
    }

    /// An effect was not carried out.
    fn failed(&mut self, error: HostError) -> Step {
        if std::mem::take(&mut self.is_replying) {
            return self.cut_off_request(&error);
        }
        match self.callback {
            Callback::RequestHead | Callback::RequestBody | Callback::RequestTrailers | Callback::CallOut => {
                self.refuse(&Refusal::Host(error))
            }
            Callback::AnswerHead => self.refuse_answer(Refusal::Host(error), "host"),
            Callback::AnswerBody | Callback::AnswerTrailers => self.cut_off_answer("host", &error.to_string()),
        }
    }

    /// A callback of the host's that can't come at this time.
    fn out_of_order(callback: &'static str) -> Refusal {
        Refusal::Host(HostError { call: callback, fault: Fault::Order })
    }
}
