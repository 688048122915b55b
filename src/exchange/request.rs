//! The request's half of an exchange.
//!
//! ```text
//!              head                      body                        trailers
//! Untouched ────┬───> Reading ──────────────────────────> Decided <──── Reading
//!    │          ├───> Decided    when all of it has come                its body's end was not seen
//!    │          ├───> Streaming
//!    │          ├───> Leasing ──> as above, once the query is counted
//!    │          ├───> Asking ───> as above, once the upstream has answered a question
//!    │          └───> Reading, Spreading: its body is sent in parts (`spread`)
//!    └──> Refused <──── any of them, at any time
//! ```

use super::effect::{CallOut, Effect, Half, RequestEdits, Step};
use super::event::Arrival;
use super::refuse::Refusal;
use super::spread::Spreading;
use super::trail::Subject;
use super::{Callback, Exchange};
use crate::answer::Statistics;
use crate::api::Rule;
use crate::config::Config;
use crate::limits::Limit;
use crate::rejection::Rejection;
use crate::request::{self, Answered, Ask, BodyDecision, BodyPlan, Decision, Finished, Forward, Head, Pending};

/// How far a request has come.
pub enum RequestStage {
    /// Its head has not come. An answer at this stage is another filter's.
    Untouched,
    /// It is to be forwarded once the query is counted.
    Leasing(Box<Forward>),
    /// It is held back until the upstream has answered a question.
    Asking(Box<Pending>),
    /// Its head has been forwarded, its body has not.
    Reading {
        /// What has to happen to the body.
        plan: BodyPlan,
        /// The bytes that the host holds back so far.
        held: usize,
    },
    /// Its body has come and is being decided on.
    Deciding,
    /// Its body is held back, decided on, until the upstream has answered a question.
    Confirming(Box<Pending>),
    /// The parts of its body are on their way.
    Spreading(Box<Spreading>),
    /// All has been decided. Trailers may still come, a body may not.
    Decided,
    /// All has been decided, and the body is forwarded as it comes.
    Streaming,
    /// Likewise, as long as it is no longer than it may be.
    Bounded {
        /// How many bytes have come.
        came: usize,
        /// How many may.
        most: usize,
    },
    /// Answered in the upstream's place.
    Refused,
    /// Cut off: there was no way to answer any more. Whether or not the host did so, nothing is forwarded.
    Cut,
}

/// What came of a request while it was held back by its head.
#[derive(Debug, Default)]
pub struct Meanwhile {
    /// The bytes of its body that the host holds.
    size: usize,
    /// Nothing follows.
    has_ended: bool,
}

const NANOSECONDS: u64 = 1_000_000;

/// A question to the upstream.
fn question(ask: Ask) -> (Effect, Pending) {
    let Ask { cluster, headers, timeout_ms, max_answer, same, pending, .. } = ask;
    (Effect::CallOut(vec![CallOut { cluster, headers, body: Vec::new(), timeout_ms, max_answer, same }]), pending)
}

/// The time for limits, in milliseconds since 1970.
pub fn milliseconds(now: Option<u64>) -> Option<i64> {
    i64::try_from(now? / NANOSECONDS).ok()
}

impl Exchange {
    pub(super) fn request_head(&mut self, arrival: &Arrival<'_>) -> Result<Step, Refusal> {
        match self.request {
            RequestStage::Untouched => {}
            _ => return Err(Exchange::out_of_order("proxy_on_request_headers")),
        }
        let worker = self.worker.clone();
        let (header, with_query) =
            worker.config().map_or(("", false), |config| (&**config.forward_tenant_header(), config.logs_queries()));
        self.subject = Subject::read(arrival, header, with_query);
        let config = worker.config().ok_or_else(|| Exchange::out_of_order("proxy_on_request_headers"))?;
        let head = Head {
            headers: arrival.headers,
            evidence: arrival.evidence,
            label_evidence: arrival.label_evidence,
            end_of_stream: arrival.end_of_stream,
            now_ms: milliseconds(self.record.began()),
        };
        let decided = request::decide(&head, config, &worker.memo);
        let begin = self.record.identify(&decided);
        if request::is_in_dry_run(&head, config, &decided) {
            (self.subject.tenant, self.subject.route) = (request::tenant(&decided).cloned(), request::route(&decided));
            let mut step = self.begin_dry_run(decided);
            step.effects.insert(0, begin);
            return Ok(step);
        }
        let mut step = match decided {
            Ok(Decision::Forward(forward)) => {
                self.subject.tenant = forward.tenant.clone();
                self.subject.route = Some(forward.route);
                self.forward(forward)
            }
            Ok(Decision::Reply(reply)) => {
                self.subject.tenant = reply.tenant.clone();
                self.subject.route = Some(reply.route);
                self.send_reply(reply)
            }
            Ok(Decision::Ask(ask)) => self.ask(ask),
            Err(refused) => {
                self.subject.tenant = refused.tenant;
                self.subject.route = refused.route;
                self.refuse(&refused.rejection.into())
            }
        };
        step.effects.insert(0, begin);
        Ok(step)
    }

    /// The request is held back until the upstream has answered.
    fn ask(&mut self, ask: Ask) -> Step {
        self.subject.tenant = Some(ask.tenant.clone());
        self.subject.route = Some(ask.route);
        let (question, pending) = question(ask);
        self.request = RequestStage::Asking(Box::new(pending));
        Step::pauses(vec![question])
    }

    /// The question was answered, or was not: the request is decided on. What came of it meanwhile is still held back.
    pub(super) fn called_out(&mut self, which: &[usize], answered: &Answered<'_>) -> Result<Step, Refusal> {
        let pending = match std::mem::replace(&mut self.request, RequestStage::Deciding) {
            RequestStage::Asking(pending) => pending,
            RequestStage::Confirming(pending) => {
                pending.confirm(answered)?;
                self.request = RequestStage::Decided;
                return Ok(Step::forwards(Vec::new()));
            }
            RequestStage::Spreading(spreading) => return self.spreading(*spreading, which, answered),
            other => {
                self.request = other;
                return Err(Exchange::out_of_order("proxy_on_http_call_response"));
            }
        };
        let worker = self.worker.clone();
        match pending.finish(answered, milliseconds(self.record.began()), &worker.memo)? {
            Decision::Forward(forward) => Ok(self.forward(forward)),
            Decision::Reply(reply) => Ok(self.send_reply(reply)),
            Decision::Ask(ask) => Ok(self.ask(ask)),
        }
    }

    fn forward(&mut self, forward: Forward) -> Step {
        if forward.concurrency.is_empty() {
            return self.forward_head(forward);
        }
        let mut forward = Box::new(forward);
        let wanted = std::mem::take(&mut forward.concurrency);
        self.request = RequestStage::Leasing(forward);
        Step::asks(Effect::TakeLease(wanted))
    }

    pub(super) fn leased(&mut self) -> Result<Step, Refusal> {
        match std::mem::replace(&mut self.request, RequestStage::Untouched) {
            RequestStage::Leasing(forward) => Ok(self.forward_head(*forward)),
            other => {
                self.request = other;
                Err(Exchange::out_of_order("a lease"))
            }
        }
    }

    pub(super) fn lease_refused(&mut self, running: i64, allowed: i64) -> Result<Step, Refusal> {
        let RequestStage::Leasing(_) = &self.request else { return Err(Exchange::out_of_order("a lease")) };
        Err(Rejection::Limit { limit: self.limit_of_leases(), asked: running, allowed }.into())
    }

    /// The limit that a lease is taken for.
    pub(super) fn limit_of_leases(&self) -> Limit {
        match self.subject.route.map_or(Rule::Forward, |route| route.rule) {
            Rule::Write(_) => Limit::ConcurrentWrites,
            Rule::Queries
            | Rule::Selectors
            | Rule::Forward
            | Rule::Filtered
            | Rule::ByHeader
            | Rule::ByHeaderUnread
            | Rule::RemoteRead
            | Rule::Metadata
            | Rule::Grpc(_)
            | Rule::Alertmanager(_)
            | Rule::Passthrough
            | Rule::Page
            | Rule::Home
            | Rule::Refuse(_) => Limit::Concurrency,
        }
    }

    fn forward_head(&mut self, forward: Forward) -> Step {
        self.record.selectors(forward.selectors);
        // A query that fails has read none, and a rate limit needs a number.
        let is_counted = forward.expected.statistics() != Statistics::Unread;
        self.expected = Some(forward.expected);
        let goes_nowhere = matches!(forward.body, BodyPlan::Routes(_));
        self.request = match forward.body {
            BodyPlan::Absent => RequestStage::Decided,
            BodyPlan::Untouched => RequestStage::Streaming,
            BodyPlan::Bounded(most) => RequestStage::Bounded { came: 0, most },
            plan @ (BodyPlan::MustBeEmpty
            | BodyPlan::Form(_)
            | BodyPlan::RemoteRead(_)
            | BodyPlan::Message(_)
            | BodyPlan::Alerts(_)
            | BodyPlan::Silence(_)
            | BodyPlan::Routes(_)) => RequestStage::Reading { plan, held: 0 },
        };
        if goes_nowhere {
            // No upstream is asked: its head waits for its body, which the proxy hands over all the same
            // (`allow_on_headers_stop_iteration`).
            return Step::pauses(Vec::new());
        }
        let edits = RequestEdits { path: forward.path, remove: forward.remove, set: forward.set };
        let note = Effect::Note(self.subject.state("forwarded", ""));
        let mut step = Step::forwards(vec![Effect::EditRequest(edits), note]);
        step.effects.extend(is_counted.then_some(Effect::NoteSamples(0)));
        let Meanwhile { size, has_ended } = std::mem::take(&mut self.meanwhile);
        if size == 0 && !has_ended {
            return step;
        }
        // The body's callback came while the request was held back.
        self.callback = Callback::RequestBody;
        let rest = self.request_body(size, has_ended).unwrap_or_else(|refusal| self.refuse(&refusal));
        step.effects.extend(rest.effects);
        step.flow = rest.flow;
        step
    }

    /// `size` is all that the host holds: what it held back before, and the bytes that have just come.
    pub(super) fn request_body(&mut self, size: usize, end_of_stream: bool) -> Result<Step, Refusal> {
        let step = match &mut self.request {
            RequestStage::Refused | RequestStage::Cut => Step::pauses(Vec::new()),
            RequestStage::Asking(_) => {
                self.meanwhile.size = size;
                self.meanwhile.has_ended |= end_of_stream;
                Step::pauses(Vec::new())
            }
            RequestStage::Streaming => Step::forwards(Vec::new()),
            RequestStage::Bounded { came, most } => {
                *came = came.saturating_add(size);
                if came > most {
                    let [asked, allowed] = [*came, *most].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
                    return Err(Rejection::Limit { limit: Limit::WriteSize, asked, allowed }.into());
                }
                Step::forwards(Vec::new())
            }
            // All of it has come.
            RequestStage::Confirming(_) | RequestStage::Spreading(_) if size == 0 => Step::pauses(Vec::new()),
            RequestStage::Decided if size == 0 => Step::forwards(Vec::new()),
            RequestStage::Untouched
            | RequestStage::Leasing(_)
            | RequestStage::Deciding
            | RequestStage::Confirming(_)
            | RequestStage::Spreading(_)
            | RequestStage::Decided => {
                self.record.request_body(size, false);
                return Err(Exchange::out_of_order("proxy_on_request_body"));
            }
            RequestStage::Reading { plan, held } => {
                *held = size;
                if end_of_stream || plan.is_decided_at(size) {
                    self.read_request_body(size)
                } else {
                    Step::pauses(Vec::new())
                }
            }
        };
        self.record.request_body(size, step.flow == super::Flow::Continue);
        Ok(step)
    }

    fn read_request_body(&self, size: usize) -> Step {
        let with_time = self.worker.config().is_some_and(Config::needs_the_time);
        Step::asks(Effect::ReadRequestBody { size, with_time })
    }

    /// The whole body: it is decided on once, and replaced.
    pub(super) fn request_body_read(&mut self, body: Vec<u8>, now: Option<u64>) -> Result<Step, Refusal> {
        let (plan, held) = match std::mem::replace(&mut self.request, RequestStage::Deciding) {
            RequestStage::Reading { plan, held } => (plan, held),
            other => {
                self.request = other;
                return Err(Exchange::out_of_order("a request's body"));
            }
        };
        let is_form = matches!(plan, BodyPlan::Form(_));
        let finished = match plan.finish(&body, milliseconds(now), &self.worker.memo) {
            Ok(BodyDecision::Forward(finished)) => finished,
            Ok(BodyDecision::Reply(reply)) => return Ok(self.send_reply(reply)),
            Ok(BodyDecision::Confirm(confirm)) => {
                let (question, pending) = question(confirm.ask);
                let mut step = self.forward_body(held, confirm.finished);
                self.request = RequestStage::Confirming(Box::new(pending));
                // What asks the host for trailers stands last.
                let place = step.effects.iter().position(|effect| matches!(effect, Effect::ReadTrailers(_)));
                let place = place.unwrap_or(step.effects.len());
                step.effects.insert(place, question);
                return Ok(Step::pauses(step.effects));
            }
            Ok(BodyDecision::Spread(spread)) => return self.spread(*spread),
            Err(rejection) => {
                if is_form && self.worker.config().is_some_and(Config::logs_queries) {
                    self.subject.asked_in_form(&body);
                }
                return Err(rejection.into());
            }
        };
        Ok(self.forward_body(held, finished))
    }

    /// The body has been decided on: what goes upstream takes its place.
    fn forward_body(&mut self, held: usize, finished: Finished) -> Step {
        self.record.selectors(finished.selectors);
        if let (Some(asks), Some(expected)) = (finished.statistics, &mut self.expected) {
            expected.client_asks_for_statistics(asks);
        }
        if let (Some(asked), Some(expected)) = (finished.asked, &mut self.expected) {
            expected.asked_in_form(asked);
        }
        self.request = RequestStage::Decided;
        self.record.request_body(held, true);
        // A form that stays as it is must not be written: where trailers follow the head at once, there is no buffer, and even writing
        // nothing is a BAD_ARGUMENT (observed with Envoy 1.40.0).
        let replace = finished.body.map(|bytes| Effect::ReplaceBody { half: Half::Request, size: held, bytes });
        let mut effects: Vec<Effect> = replace.into_iter().collect();
        if self.callback == Callback::RequestTrailers {
            effects.push(Effect::ReadTrailers(Half::Request));
        }
        Step::forwards(effects)
    }

    pub(super) fn request_trailers(&mut self) -> Result<Step, Refusal> {
        match &self.request {
            RequestStage::Refused | RequestStage::Cut => Ok(Step::pauses(Vec::new())),
            RequestStage::Asking(_) => {
                // They are removed now, since they may be out of reach later, and held back with the rest.
                self.meanwhile.has_ended = true;
                Ok(Step::asks(Effect::ReadTrailers(Half::Request)))
            }
            RequestStage::Untouched
            | RequestStage::Leasing(_)
            | RequestStage::Deciding
            | RequestStage::Confirming(_)
            | RequestStage::Spreading(_) => Err(Exchange::out_of_order("proxy_on_request_trailers")),
            RequestStage::Reading { held, .. } => Ok(self.read_request_body(*held)),
            RequestStage::Decided | RequestStage::Streaming | RequestStage::Bounded { .. } => {
                Ok(Step::asks(Effect::ReadTrailers(Half::Request)))
            }
        }
    }

    /// The names of a half's trailers: all of them are removed. A trailer is a header that comes after every decision was made, and no
    /// endpoint reads any.
    pub(super) fn trailers_read(&mut self, trailers: &[(&[u8], &[u8])]) -> Result<Step, Refusal> {
        let half = match self.callback {
            Callback::RequestHead | Callback::RequestBody | Callback::RequestTrailers | Callback::CallOut => {
                Half::Request
            }
            Callback::AnswerHead | Callback::AnswerBody | Callback::AnswerTrailers => Half::Answer,
        };
        if let (Half::Answer, Some(step)) = (half, self.grpc_trailers(trailers)) {
            return Ok(step);
        }
        let names = request::trailers_to_remove(trailers.iter().map(|(name, _)| *name));
        let names = names.into_iter().map(<[u8]>::to_vec).collect();
        let remove = vec![Effect::RemoveTrailers { half, names }];
        let is_held =
            half == Half::Request && matches!(self.request, RequestStage::Asking(_) | RequestStage::Confirming(_));
        Ok(if is_held { Step::pauses(remove) } else { Step::forwards(remove) })
    }
}
