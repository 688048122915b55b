//! One request's way through the filter; its answer's is in `answer`.
//!
//! ```text
//!             head                     body                    trailers
//! Untouched ──────┬────> Reading(plan) ──────────────> Settled <──────────── Reading(plan)
//!     │           ├────> Settled     at its end                     the body never saw its end
//!     │           └────> Streaming
//!     └──> Refused <──── any of them, at any time
//! ```
//!
//! Invariants: the head goes on only with all of its edits made; no byte of a body goes on before the whole of it was
//! decided on; after a refusal nothing goes on. Each holds whatever status a host call answers with.
//!
//! The head is never paused on: without `allow_on_headers_stop_iteration`, the body would never come (observed with
//! Envoy 1.40.0). For the same reason, whatever concerns the head is settled in its callback.

use super::answer::{Answer, Failure};
use super::calls::{self, Buffer, Fault, HostError, Level, Map};
use super::dispatch::{Action, HttpContext};
use super::leases::{self, Lease};
use super::pairs;
use super::record::Record;
use super::refuse::{self, Refusal};
use super::trail::{Lines, Subject};
use crate::answer::Expected;
use crate::api::ErrorShape;
use crate::config::Config;
use crate::limits::Limit;
use crate::memo::Memo;
use crate::rejection::Rejection;
use crate::request::{self, BodyDecision, BodyPlan, Decision, Forward, Head, Reply};
use crate::tenant::Evidence;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// One request.
pub struct Stream {
    /// `None` where no configuration was accepted.
    config: Option<Arc<Config>>,
    lines: Rc<Lines>,
    memo: Rc<RefCell<Memo>>,
    stage: Stage,
    subject: Subject,
    /// `None` until the request has been forwarded.
    expected: Option<Expected>,
    answer: Answer,
    /// The bytes of the answer that the host held at its last callback.
    answer_size: usize,
    /// What it adds to the stats.
    record: Record,
    /// Held as long as the stream is there, where the tenant's queries are counted.
    lease: Option<Lease>,
}

enum Stage {
    /// The head has not come. An answer at this stage is another filter's.
    Untouched,
    /// The head has gone on; the body has not.
    Reading(Reading),
    /// All has been decided. Trailers may still come, a body may not.
    Settled,
    /// All has been decided, and the body goes on as it comes.
    Streaming,
    /// Answered by us.
    Refused,
    /// Cut off: there was no way to answer any more. Whether or not the host did so, nothing goes on.
    Cut,
}

struct Reading {
    plan: BodyPlan,
    /// The bytes that the host holds back so far.
    buffered: usize,
}

impl Stream {
    pub fn new(config: Option<Arc<Config>>, lines: Rc<Lines>, memo: Rc<RefCell<Memo>>) -> Self {
        Stream {
            config,
            lines,
            memo,
            stage: Stage::Untouched,
            subject: Subject::default(),
            expected: None,
            answer: Answer::Waiting,
            answer_size: 0,
            record: Record::default(),
            lease: None,
        }
    }

    /// What answers depend on besides the URL.
    fn vary(&self) -> Option<&str> {
        self.config.as_deref()?.source().header().map(AsRef::as_ref)
    }

    fn continue_or_refuse(&mut self, outcome: Result<Action, Refusal>) -> Action {
        match outcome {
            Ok(action) => action,
            Err(refusal) => {
                let is_answered = self.refuse(&refusal);
                self.record.refuse(if is_answered { refusal.status() } else { 0 }, refusal.reason());
                self.stage = if is_answered { Stage::Refused } else { Stage::Cut };
                Action::Pause
            }
        }
    }

    fn refuse(&self, refusal: &Refusal) -> bool {
        let config = self.config.as_deref();
        if let Some(suppressed) = self.lines.admit(self.subject.tenant(), self.record.started()) {
            self.subject.log(refusal, suppressed, config.is_some_and(Config::logs_queries));
        }
        self.subject.note(&["refused:", refusal.reason()]);
        if let (Stage::Untouched, Some(config)) = (&self.stage, config) {
            self.subject.name_in_head(config);
        }
        refuse::refuse(refusal.rejection(), self.errors(), self.vary())
    }

    /// How an error is told to the client.
    fn errors(&self) -> ErrorShape {
        self.subject.route.map_or(ErrorShape::Prometheus, |route| route.errors)
    }

    /// Answers the request, which is not refused.
    fn reply(&mut self, reply: &Reply) -> Action {
        self.subject.note(&["answered:", reply.reason]);
        if let (Stage::Untouched, Some(config)) = (&self.stage, self.config.as_deref()) {
            self.subject.name_in_head(config);
        }
        let is_answered = refuse::reply(reply, self.vary());
        self.record.reply(if is_answered { reply.status } else { 0 });
        self.stage = if is_answered { Stage::Refused } else { Stage::Cut };
        Action::Pause
    }

    fn head(&mut self, end_of_stream: bool) -> Result<Action, Refusal> {
        self.subject.head = calls::header_map(Map::RequestHeaders)?;
        let headers = read_pairs(&self.subject.head)?;
        #[cfg(feature = "trap")]
        super::trap::trap_when_asked(&headers);

        let config = self.config.as_deref().ok_or_else(|| out_of_order("proxy_on_request_headers"))?;
        let evidence = match config.source().evidence() {
            Some(evidence) => calls::property(property(evidence))?,
            None => None,
        };
        let now_ms = now_for(config)?;
        let head = Head { headers: &headers, evidence: evidence.as_deref(), end_of_stream, now_ms };
        let decided = request::decide(&head, config, &self.memo);
        self.record.identify(config, &decided);
        let forward = match decided {
            Ok(Decision::Forward(forward)) => forward,
            Ok(Decision::Reply(reply)) => {
                self.subject.tenant = Some(reply.tenant.clone());
                self.subject.route = Some(reply.route);
                return Ok(self.reply(&reply));
            }
            Ok(Decision::Ask(ask)) => match ask.pending {},
            Err(refused) => {
                self.subject.tenant = refused.tenant;
                self.subject.route = refused.route;
                return Err(refused.rejection.into());
            }
        };
        self.subject.tenant = Some(forward.tenant.clone());
        self.subject.route = Some(forward.route);
        self.lease = lease(&forward)?;
        edit_head(&forward)?;
        self.record.selectors(forward.selectors);
        self.subject.note(&["forwarded"]);
        self.expected = Some(forward.expected.clone());
        self.stage = match forward.body {
            BodyPlan::Absent => Stage::Settled,
            BodyPlan::Untouched => Stage::Streaming,
            BodyPlan::MustBeEmpty | BodyPlan::Form(_) => Stage::Reading(Reading { plan: forward.body, buffered: 0 }),
        };
        Ok(Action::Continue)
    }

    /// `size` is all that the host holds: what it held back before, and the bytes that have just come.
    fn body(&mut self, size: usize, end_of_stream: bool) -> Result<Action, Refusal> {
        match &mut self.stage {
            Stage::Refused | Stage::Cut => Ok(Action::Pause),
            Stage::Streaming => Ok(Action::Continue),
            Stage::Settled if size == 0 => Ok(Action::Continue),
            Stage::Untouched | Stage::Settled => Err(out_of_order("proxy_on_request_body").into()),
            Stage::Reading(reading) => {
                reading.buffered = size;
                // A body that must be empty is refused at its first byte, not when all of it is here.
                let ready = match &reading.plan {
                    BodyPlan::Absent | BodyPlan::Untouched | BodyPlan::MustBeEmpty => end_of_stream || size > 0,
                    BodyPlan::Form(_) => end_of_stream,
                };
                match ready {
                    true => self.settle_body(),
                    false => Ok(Action::Pause),
                }
            }
        }
    }

    fn trailers(&mut self) -> Result<Action, Refusal> {
        match &self.stage {
            Stage::Refused | Stage::Cut => return Ok(Action::Pause),
            Stage::Untouched => return Err(out_of_order("proxy_on_request_trailers").into()),
            Stage::Reading(_) => {
                if self.settle_body()? == Action::Pause {
                    return Ok(Action::Pause);
                }
            }
            Stage::Settled | Stage::Streaming => {}
        }
        let map = calls::header_map(Map::RequestTrailers)?;
        let trailers = read_pairs(&map)?;
        for name in request::trailers_to_remove(trailers.iter().map(|(name, _)| *name)) {
            calls::remove_header(Map::RequestTrailers, name)?;
        }
        Ok(Action::Continue)
    }

    /// Reads the whole body, once, and replaces it. On an error, the stage is left for `continue_or_refuse` to set.
    fn settle_body(&mut self) -> Result<Action, Refusal> {
        let Stage::Reading(reading) = std::mem::replace(&mut self.stage, Stage::Refused) else {
            return Ok(Action::Continue);
        };
        let now = self.config.as_deref().map_or(Ok(None), now_for)?;
        let body = read_body(reading.buffered)?;
        match reading.plan.finish(&body, now, &self.memo) {
            Ok(BodyDecision::Reply(reply)) => Ok(self.reply(&reply)),
            Ok(BodyDecision::Forward(finished)) => {
                // A form that stays as it is must not be written: where trailers follow the head at once, there is no buffer,
                // and even writing nothing is a BAD_ARGUMENT (observed with Envoy 1.40.0).
                if let Some(rewritten) = finished.body {
                    calls::replace_buffer(Buffer::RequestBody, reading.buffered, &rewritten)?;
                }
                self.record.selectors(finished.selectors);
                if let (Some(asks), Some(expected)) = (finished.statistics, &mut self.expected) {
                    expected.client_asks_for_statistics(asks);
                }
                self.stage = Stage::Settled;
                Ok(Action::Continue)
            }
            Err(rejection) => {
                self.subject.body = body;
                Err(rejection.into())
            }
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.record.start();
        let outcome = self.head(end_of_stream);
        self.continue_or_refuse(outcome)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let outcome = self.body(size, end_of_stream);
        let action = self.continue_or_refuse(outcome);
        self.record.request_body(size, action == Action::Continue);
        action
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let outcome = self.trailers();
        self.continue_or_refuse(outcome)
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        match self.stage {
            // Local replies pass here too: another filter's is left alone, ours is complete.
            Stage::Untouched | Stage::Refused => Action::Continue,
            Stage::Cut => Action::Pause,
            Stage::Reading(_) | Stage::Settled | Stage::Streaming => {
                let outcome = self.answer_head(end_of_stream);
                self.continue_or_refuse(outcome)
            }
        }
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match self.stage {
            Stage::Untouched | Stage::Refused => {
                self.record.answer.passed(size);
                Action::Continue
            }
            Stage::Cut => Action::Pause,
            Stage::Reading(_) | Stage::Settled | Stage::Streaming => {
                self.answer_size = size;
                let outcome = self.answer.body(size, end_of_stream, &mut self.record.answer);
                self.continue_or_cut_off(outcome)
            }
        }
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        match self.stage {
            Stage::Untouched | Stage::Refused => Action::Continue,
            Stage::Cut => Action::Pause,
            Stage::Reading(_) | Stage::Settled | Stage::Streaming => {
                let outcome = self.answer.trailers(self.answer_size, &mut self.record.answer);
                self.continue_or_cut_off(outcome)
            }
        }
    }

    fn on_log(&mut self) {
        self.record.end();
    }
}

impl Stream {
    fn answer_head(&mut self, end_of_stream: bool) -> Result<Action, Refusal> {
        let expected = self.expected.take().ok_or_else(|| out_of_order("proxy_on_response_headers"))?;
        let vary = self.config.as_deref().and_then(|config| config.source().header().map(AsRef::as_ref));
        // A body that must be empty decides on nothing: the answer to a GET may come before its end.
        let is_early = matches!(&self.stage, Stage::Reading(Reading { plan: BodyPlan::Form(_), .. }));
        self.answer.head(&expected, vary, end_of_stream, is_early, &mut self.record).map_err(|failure| {
            self.record.answer.unreadable(failure.name());
            let failure = match failure {
                Failure::Unreadable(unreadable) => Rejection::Answer(unreadable.reason()).into(),
                Failure::Host(error) => Refusal::Host(error),
            };
            self.record.answer.replied(failure.rejection().body_in(self.errors()).len());
            failure
        })
    }

    /// After the head, nothing can be said any more: the answer is cut off.
    fn continue_or_cut_off(&mut self, outcome: Result<Action, Failure>) -> Action {
        let failure = match outcome {
            Ok(action) => return action,
            Err(failure) => failure,
        };
        self.record.answer.unreadable(failure.name());
        let reason = match failure {
            Failure::Unreadable(unreadable) => unreadable.reason().to_owned(),
            Failure::Host(error) => error.to_string(),
        };
        calls::log(Level::Error, &format!("answer cut off: {reason}"));
        self.stage = Stage::Cut;
        calls::reset_response();
        Action::Pause
    }
}

/// Where Envoy has what the source of the tenant needs.
fn property(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Subject => "connection\0subject_peer_certificate",
        Evidence::Metadata => "metadata",
    }
}

/// Where the tenant's queries are counted, one more.
fn lease(forward: &Forward) -> Result<Option<Lease>, Refusal> {
    let Some(allowed) = forward.concurrency else { return Ok(None) };
    match leases::take(&forward.tenant, allowed)? {
        leases::Answer::Granted(lease) => Ok(Some(lease)),
        leases::Answer::Refused(asked) => Err(Rejection::Limit { limit: Limit::Concurrency, asked, allowed }.into()),
    }
}

/// Makes every edit or fails.
fn edit_head(forward: &Forward) -> Result<(), HostError> {
    if let Some(path) = &forward.path {
        calls::replace_header(Map::RequestHeaders, b":path", path)?;
    }
    for name in &forward.remove {
        calls::remove_header(Map::RequestHeaders, name.as_bytes())?;
    }
    for (name, value) in &forward.set {
        calls::replace_header(Map::RequestHeaders, name.as_bytes(), value.as_bytes())?;
    }
    Ok(())
}

/// All of it or nothing: bytes that were not read must not go on.
fn read_body(size: usize) -> Result<Vec<u8>, HostError> {
    let body = match size {
        0 => Vec::new(),
        _ => calls::buffer(Buffer::RequestBody)?,
    };
    match body.len() == size {
        true => Ok(body),
        false => Err(HostError { call: "proxy_get_buffer_bytes", fault: Fault::Data }),
    }
}

/// What time it is, where some tenant's limits depend on it.
fn now_for(config: &Config) -> Result<Option<i64>, HostError> {
    if config.needs_the_time() { calls::now_ms().map(Some) } else { Ok(None) }
}

/// A header map's pairs.
pub fn read_pairs(map: &[u8]) -> Result<Vec<pairs::Pair<'_>>, HostError> {
    pairs::read(map).ok_or(HostError { call: "proxy_get_header_map_pairs", fault: Fault::Data })
}

/// A callback that can't come at this time.
pub fn out_of_order(callback: &'static str) -> HostError {
    HostError { call: callback, fault: Fault::Order }
}
