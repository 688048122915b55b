//! Effects → calls of Envoy, for one stream.

use super::abi::{Map, Object};
use super::calls::{self, Filter, Pair};
use super::parting::{PANIC, Parting, grpc_status};
use super::plugin::Plugin;
use super::questions;
use super::stats::{Ids, Through};
use super::{evidence, local};
use crate::answer::GRPC_MESSAGE;
use crate::exchange::{
    AnswerEdits, Arrival, CallOut, Effect, Event, Exchange, Flow, Half, HostError, Level, Line, RequestEdits, SeriesId,
    Step, Summary, Worker,
};
use crate::request::Answered;
use crate::tenant::Evidence;
use crate::workers::leases::{Grant, Wanted};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// The name of the filter state of access logs, the one that the wasm module's has.
const FILTER_STATE: &str = "wasm.tenancy";
/// Likewise, of what a query has read.
const SAMPLES_STATE: &str = "wasm.tenancy_samples";

/// One stream of Envoy's. Envoy may call a hook from within one of its functions, and may even end the stream there.
pub struct Stream {
    inner: RefCell<Inner>,
    filter: Object,
    /// Envoy's filter is gone: nothing may be asked of it any more.
    is_over: Cell<bool>,
    /// A hook has panicked: nothing of the stream is forwarded any more.
    is_broken: Cell<bool>,
}

/// One exchange, and what the host holds for it.
struct Inner {
    worker: Rc<Worker>,
    exchange: Exchange,
    filter: Filter,
    ids: Ids,
    /// Where it is counted.
    series: Option<SeriesId>,
    /// The tenants whose queries are counted, while this one runs.
    lease: Vec<Wanted>,
    /// The requests of the filter's own that are not answered yet.
    call_outs: Vec<Sent>,
    /// It waits for the answer to what another request has asked.
    waits: bool,
    /// A question that it was woken to ask, since the request that had asked is gone.
    inherited: Option<CallOut>,
    me: Weak<Stream>,
    /// The filter state can be set once, at the end.
    note: Option<String>,
    began: Option<u64>,
    is_grpc: bool,
    is_head: bool,
    /// The parts of the body that came so far are held back.
    holds_request: bool,
    holds_answer: bool,
    /// Where the client asks for a panic.
    #[cfg(feature = "trap")]
    trap: Vec<u8>,
}

/// A request of the filter's own.
struct Sent {
    /// Envoy's number for it.
    id: u64,
    /// Which of the exchange's it is.
    which: usize,
    /// The longest answer that is read.
    max_answer: usize,
    /// What others who wait for the answer ask, too.
    same: Option<Arc<str>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A panic in here would end Envoy where another one is unwinding.
        let _caught = catch_unwind(AssertUnwindSafe(|| self.leave()));
    }
}

impl Inner {
    /// Others need not wait for what this one has asked, and its place among the running queries is free.
    fn leave(&self) {
        let asked = self.call_outs.iter().filter_map(|sent| sent.same.as_ref());
        for same in asked.chain(self.inherited.iter().filter_map(|call| call.same.as_ref())) {
            questions::leave(&self.worker, same);
        }
        if !self.lease.is_empty() {
            local::release(&self.lease);
        }
        #[cfg(feature = "trap")]
        self.panic_when_asked("end");
    }
}

impl Stream {
    /// # Safety
    /// The pointer is that of a filter of Envoy's, which lives until [`Stream::over`] is called.
    pub unsafe fn new(plugin: &Plugin, filter: Object, me: Weak<Stream>) -> Stream {
        let worker = local::worker(&plugin.config);
        let inner = Inner {
            exchange: Exchange::new(worker.clone()),
            worker,
            // SAFETY: the caller's.
            filter: unsafe { Filter::new(filter) },
            ids: plugin.ids,
            series: None,
            lease: Vec::new(),
            call_outs: Vec::new(),
            waits: false,
            inherited: None,
            me,
            note: None,
            began: None,
            is_grpc: false,
            is_head: false,
            holds_request: false,
            holds_answer: false,
            #[cfg(feature = "trap")]
            trap: Vec::new(),
        };
        Stream { inner: RefCell::new(inner), filter, is_over: Cell::new(false), is_broken: Cell::new(false) }
    }

    /// The filter is gone.
    pub fn over(&self) {
        self.is_over.set(true);
    }

    /// The request's head has come.
    pub fn request_head(&self, end_of_stream: bool) -> Flow {
        self.run(|inner| {
            inner.began = calls::now();
            inner.on(Event::Began { now: inner.began });
            match inner.request_head(end_of_stream) {
                Ok(outcome) => outcome,
                Err(error) => inner.on(Event::Failed(error)),
            }
        })
    }

    /// It waits for no answer to a question.
    pub fn asks_nothing(&self) -> bool {
        self.inner.try_borrow().is_ok_and(|inner| inner.call_outs.is_empty() && !inner.waits)
    }

    /// A part of a body has come.
    pub fn body(&self, half: Half, end_of_stream: bool) -> Flow {
        self.run(|inner| {
            #[cfg(feature = "trap")]
            inner.panic_when_asked(if half == Half::Request { "body" } else { "answer-body" });
            let size = inner.filter.body_size(half, inner.is_held(half));
            let (flow, parting) = inner.on(match half {
                Half::Request => Event::RequestBody { size, end_of_stream },
                Half::Answer => Event::AnswerBody { size, end_of_stream },
            });
            match half {
                Half::Request => inner.holds_request = flow == Flow::Pause,
                Half::Answer => inner.holds_answer = flow == Flow::Pause,
            }
            (flow, parting)
        })
    }

    /// Trailers have come.
    pub fn trailers(&self, half: Half) -> Flow {
        self.run(|inner| inner.on(Event::Trailers(half)))
    }

    /// The answer's head has come.
    pub fn answer_head(&self, end_of_stream: bool) -> Flow {
        self.run(|inner| {
            #[cfg(feature = "trap")]
            inner.panic_when_asked("answer-head");
            inner.on(Event::AnswerHead { end_of_stream })
        })
    }

    /// The upstream has answered a question, or has not: `None`. `headers` and `chunks` are its answer. Those that wait for the same are told.
    pub fn answered(&self, id: u64, answer: Option<(&[Pair<'_>], &[&[u8]])>) {
        let sent = self.inner.try_borrow_mut().ok().and_then(|mut inner| {
            let at = inner.call_outs.iter().position(|sent| sent.id == id)?;
            Some((inner.call_outs.swap_remove(at), inner.worker.clone()))
        });
        let Some((Sent { which, max_answer, same, .. }, worker)) = sent else { return };
        let waiting = same.map(|same| questions::take(&worker, &same)).unwrap_or_default();
        let answer = answer.and_then(|(headers, chunks)| {
            let size: usize = chunks.iter().map(|chunk| chunk.len()).sum();
            Some((status_of(headers)?, (size <= max_answer).then(|| chunks.concat())))
        });
        let answered = match &answer {
            Some((status, body)) => Answered::Answer { status: *status, body: body.as_deref() },
            None => Answered::Failed,
        };
        // A panic must not keep the answer from the others.
        self.guarded(|stream| stream.told(which, answered));
        for stream in waiting.iter().filter_map(Weak::upgrade) {
            // A question that others ask, too, is the only one of its exchange.
            stream.guarded(|stream| stream.told(0, answered));
        }
    }

    /// The request goes on, or does not, by an answer.
    fn told(&self, which: usize, answered: Answered<'_>) {
        let flow = self.run(|inner| {
            #[cfg(feature = "trap")]
            inner.panic_when_asked("answered");
            inner.waits = false;
            inner.on(Event::CalledOut { which, answered })
        });
        if flow == Flow::Continue && !self.is_over.get() && !self.is_broken.get() {
            // SAFETY: the filter is not over.
            unsafe { Filter::new(self.filter) }.continue_request();
        }
    }

    /// Work that must not end other work with it: a panic is this stream's alone.
    fn guarded(&self, work: impl FnOnce(&Stream)) {
        if !self.is_over.get() && !self.is_broken.get() && catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.broke(true);
        }
    }

    /// The request that had asked this question is gone, and this one waits: it is to ask, once its own hook is called. Envoy may be about to
    /// stop, and then nothing may be asked any more.
    pub fn wake(&self, call: CallOut) -> bool {
        if self.is_over.get() || self.is_broken.get() {
            return false;
        }
        let Ok(mut inner) = self.inner.try_borrow_mut() else { return false };
        inner.inherited = Some(call);
        inner.filter.schedule();
        true
    }

    /// It was woken.
    pub fn ask_in_place(&self) {
        let failed = self.inner.try_borrow_mut().ok().and_then(|mut inner| {
            let call = inner.inherited.take()?;
            let asked = inner.filter.http_call(&call);
            let CallOut { max_answer, same, .. } = call;
            let Some(id) = asked else { return Some((inner.worker.clone(), same?)) };
            inner.call_outs.push(Sent { id, which: 0, max_answer, same });
            None
        });
        if let Some((worker, same)) = failed {
            questions::leave(&worker, &same);
            self.told(0, Answered::Failed);
        }
    }

    /// Request and answer are over. The filter is there still.
    pub fn complete(&self) {
        let is_broken = self.is_broken.get();
        let Ok(mut inner) = self.inner.try_borrow_mut() else { return };
        #[cfg(feature = "trap")]
        inner.panic_when_asked("complete");
        if let Some(note) = inner.note.take() {
            inner.filter.set_filter_state(FILTER_STATE, note.as_bytes());
        }
        match is_broken {
            true => inner.count_panic(),
            false => {
                inner.on(Event::Done { now: calls::now().unwrap_or(0) });
            }
        }
    }

    /// A hook has panicked. Nothing is known of the exchange any more.
    pub fn broke(&self, half_is_replaceable: bool) {
        if self.is_broken.replace(true) || self.is_over.get() {
            return;
        }
        let mut is_grpc = false;
        if let Ok(mut inner) = self.inner.try_borrow_mut() {
            is_grpc = inner.is_grpc;
            inner.note = Some(format!("refused:{} unknown -", PANIC.reason()));
        }
        let refusal = Parting::of_a_panic(is_grpc);
        self.part(if half_is_replaceable { refusal } else { Parting::Reset });
    }

    /// The last hook has panicked: the request is over, and counted.
    pub fn broke_at_its_end(&self) {
        if !self.is_broken.replace(true)
            && let Ok(mut inner) = self.inner.try_borrow_mut()
        {
            inner.count_panic();
        }
    }

    /// Whether a hook has panicked.
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    /// Runs a hook. Where Envoy calls one from within a call of another, what it brings is a local reply of its own, which is none of the
    /// exchange's.
    fn run(&self, work: impl FnOnce(&mut Inner) -> (Flow, Option<Parting>)) -> Flow {
        let (flow, parting) = match self.inner.try_borrow_mut() {
            Ok(mut inner) => work(&mut inner),
            Err(_) => return Flow::Continue,
        };
        if let Some(parting) = parting {
            self.part(parting);
        }
        flow
    }

    fn part(&self, parting: Parting) {
        // SAFETY: a hook of this filter runs, so that it lives.
        let filter = unsafe { Filter::new(self.filter) };
        parting.send(&filter);
    }
}

impl Inner {
    fn is_held(&self, half: Half) -> bool {
        match half {
            Half::Request => self.holds_request,
            Half::Answer => self.holds_answer,
        }
    }

    fn through(&self) -> (Ids, Through) {
        (self.ids, Through::Filter(self.filter.object()))
    }

    fn request_head(&mut self, end_of_stream: bool) -> Result<(Flow, Option<Parting>), HostError> {
        let of_tenant = self.worker.evidence();
        let of_labels = self.worker.label_evidence();
        let subject = match of_tenant {
            Some(Evidence::Subject) => self.filter.subject().map(<[u8]>::to_vec),
            Some(Evidence::Metadata) | None => None,
        };
        let reads_metadata = [of_tenant, of_labels].contains(&Some(Evidence::Metadata));
        let metadata = match self.worker.config().filter(|_| reads_metadata) {
            Some(config) => evidence::metadata(&mut self.filter, &config.metadata_paths()),
            None => None,
        };
        let read = |evidence| match evidence {
            Some(Evidence::Subject) => subject.as_deref(),
            Some(Evidence::Metadata) => metadata.as_deref(),
            None => None,
        };
        let headers = self.filter.headers(Map::RequestHead)?;
        let is = |name: &[u8], is: fn(&[u8]) -> bool| headers.iter().any(|(other, value)| *other == name && is(value));
        self.is_grpc = is(b"content-type", is_grpc);
        self.is_head = is(b":method", |method| method == b"HEAD");
        #[cfg(feature = "trap")]
        {
            let asked = headers.iter().find(|(name, _)| *name == b"x-tenancy-test-trap");
            self.trap = asked.map(|(_, place)| place.to_vec()).unwrap_or_default();
            panic_where(&self.trap, "1");
        }
        let arrival =
            Arrival { headers: &headers, evidence: read(of_tenant), label_evidence: read(of_labels), end_of_stream };
        let step = self.exchange.on(Event::RequestHead(arrival));
        Ok(self.enact_all(step))
    }

    /// Tells the exchange what has happened, and does what it asks for, until it asks for nothing more.
    fn on(&mut self, event: Event<'_>) -> (Flow, Option<Parting>) {
        let step = self.exchange.on(event);
        self.enact_all(step)
    }

    fn enact_all(&mut self, mut step: Step) -> (Flow, Option<Parting>) {
        let mut parting = None;
        'step: loop {
            for effect in std::mem::take(&mut step.effects) {
                match self.enact(effect, &mut parting) {
                    Ok(None) => {}
                    Ok(Some(next)) => {
                        step = next;
                        continue 'step;
                    }
                    Err(error) => {
                        step = self.exchange.on(Event::Failed(error));
                        continue 'step;
                    }
                }
            }
            return (step.flow, parting);
        }
    }

    /// Carries an effect out. One that asks is answered to the exchange at once, which gives the next step.
    fn enact(&mut self, effect: Effect, parting: &mut Option<Parting>) -> Result<Option<Step>, HostError> {
        match effect {
            Effect::Begin { tenant, handler } => {
                self.series = local::begin(&self.worker, tenant.as_deref(), handler, self.through());
            }
            Effect::TakeLease(wanted) => {
                let event = match local::take(&wanted)? {
                    Grant::Granted => {
                        self.lease = wanted;
                        Event::Leased
                    }
                    Grant::Refused { running, allowed } => Event::LeaseRefused { running, allowed },
                };
                return Ok(Some(self.exchange.on(event)));
            }
            Effect::EditRequest(edits) => self.edit_request(&edits)?,
            Effect::TryEditRequest(edits) => {
                if let Err(error) = self.edit_request(&edits) {
                    calls::log(Level::Error, &format!("{}: {error}", Line::TenantNotNamed.begin()));
                }
            }
            Effect::ReadRequestBody { size, with_time } => {
                let now = if with_time { calls::now() } else { None };
                let body = self.filter.body(Half::Request, self.holds_request, size)?;
                return Ok(Some(self.exchange.on(Event::RequestBodyRead { body, now })));
            }
            Effect::CallOut(call_outs) => {
                let mut not_asked = Vec::new();
                for (which, call_out) in call_outs.into_iter().enumerate() {
                    if questions::waits(&self.worker, &call_out, &self.me) {
                        self.waits = true;
                        continue;
                    }
                    match self.filter.http_call(&call_out) {
                        Some(id) => {
                            let CallOut { max_answer, same, .. } = call_out;
                            self.call_outs.push(Sent { id, which, max_answer, same });
                        }
                        // Whatever the reason, it was not sent.
                        None => {
                            call_out.same.iter().for_each(|same| questions::leave(&self.worker, same));
                            not_asked.push(which);
                        }
                    }
                }
                if !not_asked.is_empty() {
                    return Ok(Some(self.exchange.on(Event::NotAsked(&not_asked))));
                }
            }
            Effect::CountAlerts { tenant, result, count } => {
                local::count_alerts(&self.worker, tenant.as_deref(), (result, count), self.through());
            }
            Effect::ReadAnswerHead => {
                let headers = self.filter.headers(Map::AnswerHead)?;
                if !self.exchange.wants_details(&headers) {
                    return Ok(Some(self.exchange.on(Event::AnswerHeadRead { headers: &headers, details: None })));
                }
                drop(headers);
                // Owned, since Envoy's text is borrowed from the filter, and so are the headers, which are read once more.
                let details = self.filter.response_code_details().map(<[u8]>::to_vec);
                let headers = self.filter.headers(Map::AnswerHead)?;
                return Ok(Some(
                    self.exchange.on(Event::AnswerHeadRead { headers: &headers, details: details.as_deref() }),
                ));
            }
            Effect::EditAnswer(edits) => self.edit_answer(&edits)?,
            Effect::ReadAnswerBody { size } => {
                let bytes = self.filter.body(Half::Answer, self.holds_answer, size)?;
                return Ok(Some(self.exchange.on(Event::AnswerBodyRead { bytes })));
            }
            Effect::ReplaceBody { half, size, bytes } => {
                match self.filter.replace_body(half, self.is_held(half), &bytes) {
                    Err(_) if size == 0 && half == Half::Answer => {}
                    done => done?,
                }
            }
            Effect::ReadTrailers(half) => {
                let trailers = self.filter.headers(trailers(half))?;
                return Ok(Some(self.exchange.on(Event::TrailersRead { trailers: &trailers })));
            }
            Effect::RemoveTrailers { half, names } => {
                names.iter().try_for_each(|name| self.filter.remove_header(trailers(half), name))?;
            }
            Effect::SetTrailer { name, value } => {
                self.filter.set_header(Map::AnswerTrailers, name.as_bytes(), value.as_bytes())?;
            }
            Effect::Reply { status, details, mut headers, body, code } => {
                headers.extend(self.is_grpc.then(|| grpc_status(code)));
                if !self.is_grpc && !self.is_head {
                    // Envoy does not show the module its own reply, as it shows it to a wasm filter: this counts its bytes.
                    self.exchange.on(Event::AnswerHead { end_of_stream: body.is_empty() });
                    self.exchange.on(Event::AnswerBody { size: body.len(), end_of_stream: true });
                }
                *parting = Some(Parting::Reply { status, details, headers, body });
            }
            Effect::Reset(_) => *parting = Some(Parting::Reset),
            Effect::ReadStatus => {
                let status = self.filter.response_code();
                return Ok(Some(self.exchange.on(Event::StatusRead(status))));
            }
            Effect::Note(state) => self.note = Some(state),
            Effect::NoteSamples(samples) => {
                self.filter.set_filter_state(SAMPLES_STATE, samples.to_string().as_bytes());
            }
            Effect::Log(level, line) => calls::log(level, &line),
            Effect::End(summary) => {
                if let Some(series) = self.series.take() {
                    local::end(series, &summary, self.through());
                }
            }
        }
        Ok(None)
    }

    fn edit_request(&mut self, edits: &RequestEdits) -> Result<(), HostError> {
        const HEAD: Map = Map::RequestHead;
        let filter = &mut self.filter;
        if let Some(path) = &edits.path {
            filter.set_header(HEAD, b":path", path)?;
        }
        edits.remove.iter().try_for_each(|name| filter.remove_header(HEAD, name.as_bytes()))?;
        edits.set.iter().try_for_each(|(name, value)| filter.set_header(HEAD, name.as_bytes(), value.as_bytes()))?;
        filter.clear_route_cache();
        Ok(())
    }

    fn edit_answer(&mut self, edits: &AnswerEdits) -> Result<(), HostError> {
        const HEAD: Map = Map::AnswerHead;
        let filter = &mut self.filter;
        let AnswerEdits { remove, remove_unknown, set, message, add } = edits;
        remove.iter().try_for_each(|name| filter.remove_header(HEAD, name.as_bytes()))?;
        remove_unknown.iter().try_for_each(|name| filter.remove_header(HEAD, name))?;
        set.iter().try_for_each(|(name, value)| filter.set_header(HEAD, name.as_bytes(), value.as_bytes()))?;
        message.iter().try_for_each(|text| filter.set_header(HEAD, GRPC_MESSAGE.as_bytes(), text.as_bytes()))?;
        add.iter().try_for_each(|(name, value)| filter.add_header(HEAD, name.as_bytes(), value.as_bytes()))
    }

    /// A panic where the client asks for one.
    #[cfg(feature = "trap")]
    fn panic_when_asked(&self, place: &str) {
        panic_where(&self.trap, place);
    }

    /// Counts a request whose hook has panicked, once.
    fn count_panic(&mut self) {
        let through = self.through();
        let series = self.series.take();
        let series = series.or_else(|| local::begin(&self.worker, None, crate::stats::NO_HANDLER, through));
        let now = calls::now();
        let took = now.unwrap_or(0).saturating_sub(self.began.or(now).unwrap_or(0));
        let summary = Summary {
            milliseconds: took / 1_000_000,
            status: PANIC.status(),
            refused: Some(PANIC.reason()),
            ..Summary::default()
        };
        if let Some(series) = series {
            local::end(series, &summary, through);
        }
    }
}

fn trailers(half: Half) -> Map {
    match half {
        Half::Request => Map::RequestTrailers,
        Half::Answer => Map::AnswerTrailers,
    }
}

/// As Envoy decides it (`Grpc::Common::hasGrpcContentType`).
fn is_grpc(content_type: &[u8]) -> bool {
    content_type.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn status_of(headers: &[Pair<'_>]) -> Option<u16> {
    let (_, status) = headers.iter().find(|(name, _)| *name == b":status")?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// A panic on request, to test what is left of it. Only with the feature `trap`, which no shipped module has.
#[cfg(feature = "trap")]
fn panic_where(asked: &[u8], place: &str) {
    if asked == place.as_bytes() {
        std::panic::resume_unwind(Box::new("asked for"));
    }
}
