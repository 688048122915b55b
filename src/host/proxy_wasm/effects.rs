//! Effects → host calls.

use super::questions::{self, Waiting};
use super::{calls, local, pairs};
use crate::answer::GRPC_MESSAGE;
use crate::exchange::{
    AnswerEdits, CallOut, Effect, Event, Exchange, Fault, Flow, Half, HostError, RequestEdits, SeriesId, Worker,
};
use crate::exchange::{Level, Line};
use crate::request::Answered;
use crate::workers::leases::{Grant, Wanted};
use proxy_wasm::types::{Action, BufferType, MapType, StreamType};
use std::rc::Rc;
use std::sync::Arc;

/// One exchange, and what the host holds for it.
pub struct Stream {
    pub(super) worker: Rc<Worker>,
    exchange: Exchange,
    /// Where it is counted.
    series: Option<SeriesId>,
    /// The tenants whose queries are counted, while this one runs.
    lease: Vec<Wanted>,
    /// The requests of the filter's own that are not answered yet.
    pub(super) call_outs: Vec<Sent>,
    me: Waiting,
}

/// A request of the filter's own.
pub struct Sent {
    /// The host's number for it.
    pub token: u32,
    /// Which of the exchange's it is.
    pub which: usize,
    /// The longest answer that is read.
    pub max_answer: usize,
    /// What others who wait for the answer ask, too.
    pub same: Option<Arc<str>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.lease.is_empty() {
            local::release(&self.lease);
        }
        for same in self.call_outs.iter().filter_map(|sent| sent.same.as_ref()) {
            questions::leave(&self.worker, same);
        }
    }
}

impl Stream {
    pub fn new(worker: Rc<Worker>, me: Waiting) -> Self {
        Stream {
            exchange: Exchange::new(worker.clone()),
            worker,
            series: None,
            lease: Vec::new(),
            call_outs: Vec::new(),
            me,
        }
    }

    /// Tells the exchange that a request of its own was answered, or was not, and lets the client's request go on where it may.
    pub fn called_out(&mut self, which: usize, answered: Answered<'_>) {
        if self.on(Event::CalledOut { which, answered }) == Action::Continue
            && let Err(error) = calls::resume_request()
        {
            self.on(Event::Failed(error));
        }
    }

    /// Tells the exchange what has happened, and does what it asks for, until it asks for nothing more.
    pub fn on(&mut self, event: Event<'_>) -> Action {
        let mut step = self.exchange.on(event);
        'step: loop {
            for effect in std::mem::take(&mut step.effects) {
                match self.enact(effect) {
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
            return match step.flow {
                Flow::Continue => Action::Continue,
                Flow::Pause => Action::Pause,
            };
        }
    }

    /// Carries an effect out. One that asks is answered to the exchange at once, which gives the next step.
    fn enact(&mut self, effect: Effect) -> Result<Option<crate::exchange::Step>, HostError> {
        match effect {
            Effect::Begin { tenant, handler } => self.series = local::begin(&self.worker, tenant.as_deref(), handler),
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
            Effect::EditRequest(edits) => edit_request(&edits)?,
            Effect::TryEditRequest(edits) => {
                if let Err(error) = edit_request(&edits) {
                    let line = format!("{}: {error}", Line::TenantNotNamed.begin());
                    calls::log(Level::Error, &line);
                }
            }
            Effect::ReadRequestBody { size, with_time } => {
                let now = if with_time { Some(calls::now()?) } else { None };
                let body = body(BufferType::HttpRequestBody, size)?;
                return Ok(Some(self.exchange.on(Event::RequestBodyRead { body, now })));
            }
            Effect::CallOut(call_outs) => {
                let mut not_asked = Vec::new();
                for (which, call_out) in call_outs.into_iter().enumerate() {
                    if questions::waits(&self.worker, &call_out, &self.me) {
                        continue;
                    }
                    match calls::http_call(&call_out) {
                        Ok(token) => {
                            let CallOut { max_answer, same, .. } = call_out;
                            self.call_outs.push(Sent { token, which, max_answer, same });
                        }
                        // Whatever the reason, it was not sent. For those that wait since another asked, the root context asks.
                        Err(_) => {
                            call_out.same.iter().for_each(|same| questions::leave(&self.worker, same));
                            not_asked.push(which);
                        }
                    }
                }
                if !not_asked.is_empty() {
                    return Ok(Some(self.exchange.on(Event::NotAsked(&not_asked))));
                }
            }
            Effect::ReadAnswerHead => {
                let map = calls::header_map(MapType::HttpResponseHeaders)?;
                let headers = pairs::checked(&map)?;
                // Where the host does not tell, the answer is taken for the upstream's.
                let details = match self.exchange.wants_details(&headers) {
                    true => calls::property("response\0code_details").ok().flatten(),
                    false => None,
                };
                let event = Event::AnswerHeadRead { headers: &headers, details: details.as_deref() };
                return Ok(Some(self.exchange.on(event)));
            }
            Effect::EditAnswer(edits) => edit_answer(&edits)?,
            Effect::ReadAnswerBody { size } => {
                let bytes = body(BufferType::HttpResponseBody, size)?;
                return Ok(Some(self.exchange.on(Event::AnswerBodyRead { bytes })));
            }
            Effect::ReplaceBody { half, size, bytes } => match calls::replace_buffer(buffer(half), size, &bytes) {
                Err(_) if size == 0 && half == Half::Answer => {}
                done => done?,
            },
            Effect::ReadTrailers(half) => {
                let map = calls::header_map(trailers(half))?;
                let trailers = pairs::checked(&map)?;
                return Ok(Some(self.exchange.on(Event::TrailersRead { trailers: &trailers })));
            }
            Effect::RemoveTrailers { half, names } => {
                names.iter().try_for_each(|name| calls::remove_header(trailers(half), name))?;
            }
            Effect::SetTrailer { name, value } => {
                calls::replace_header(MapType::HttpResponseTrailers, name.as_bytes(), value.as_bytes())?;
            }
            Effect::Reply { status, details, headers, body, code } => {
                let headers: Vec<pairs::Pair<'_>> =
                    headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
                calls::send_local_response((status, code as u8), &details, &pairs::write(&headers), &body)?;
            }
            Effect::Reset(half) => calls::reset(match half {
                Half::Request => StreamType::HttpRequest,
                Half::Answer => StreamType::HttpResponse,
            }),
            Effect::ReadStatus => {
                let status = calls::property("response\0code").ok().flatten();
                let status = status.and_then(|bytes| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)));
                let status = status.and_then(|status| u16::try_from(status).ok());
                return Ok(Some(self.exchange.on(Event::StatusRead(status))));
            }
            Effect::CountAlerts { tenant, result, count } => {
                local::count_alerts(&self.worker, tenant.as_deref(), result, count);
            }
            Effect::Note(state) => calls::set_property("tenancy", state.as_bytes()),
            Effect::NoteSamples(samples) => calls::set_property("tenancy_samples", samples.to_string().as_bytes()),
            Effect::Log(level, line) => calls::log(level, &line),
            Effect::End(summary) => {
                if let Some(series) = self.series.take() {
                    local::end(series, &summary);
                }
            }
        }
        Ok(None)
    }
}

fn buffer(half: Half) -> BufferType {
    match half {
        Half::Request => BufferType::HttpRequestBody,
        Half::Answer => BufferType::HttpResponseBody,
    }
}

fn trailers(half: Half) -> MapType {
    match half {
        Half::Request => MapType::HttpRequestTrailers,
        Half::Answer => MapType::HttpResponseTrailers,
    }
}

fn edit_request(edits: &RequestEdits) -> Result<(), HostError> {
    const HEAD: MapType = MapType::HttpRequestHeaders;
    if let Some(path) = &edits.path {
        calls::replace_header(HEAD, b":path", path)?;
    }
    edits.remove.iter().try_for_each(|name| calls::remove_header(HEAD, name.as_bytes()))?;
    edits.set.iter().try_for_each(|(name, value)| calls::replace_header(HEAD, name.as_bytes(), value.as_bytes()))
}

fn edit_answer(edits: &AnswerEdits) -> Result<(), HostError> {
    const HEAD: MapType = MapType::HttpResponseHeaders;
    let AnswerEdits { remove, remove_unknown, set, message, add } = edits;
    remove.iter().try_for_each(|name| calls::remove_header(HEAD, name.as_bytes()))?;
    remove_unknown.iter().try_for_each(|name| calls::remove_header(HEAD, name))?;
    set.iter().try_for_each(|(name, value)| calls::replace_header(HEAD, name.as_bytes(), value.as_bytes()))?;
    message.iter().try_for_each(|text| calls::replace_header(HEAD, GRPC_MESSAGE.as_bytes(), text.as_bytes()))?;
    add.iter().try_for_each(|(name, value)| calls::add_header(HEAD, name.as_bytes(), value.as_bytes()))
}

/// All of a body that the host holds, or none of it: bytes that were not read must not be forwarded.
fn body(buffer: BufferType, size: usize) -> Result<Vec<u8>, HostError> {
    let body = match size {
        0 => Vec::new(),
        _ => calls::buffer(buffer)?,
    };
    match body.len() == size {
        true => Ok(body),
        false => Err(HostError { call: "proxy_get_buffer_bytes", fault: Fault::Data }),
    }
}
