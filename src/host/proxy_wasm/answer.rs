//! One answer's way through the filter:
//!
//! ```text
//!            head                      body                    trailers
//! Waiting ────┬───> Streaming(filter) ───────────────> Passing <──── Streaming(filter)
//!             ├───> Holding(filter)   at its end                     the body's end was not seen
//!             │        └───> Streaming(filter)       longer than may be held back
//!             ├───> Passing     └───> Discarding     refused before its end
//!             └───> refused: a local reply
//! ```
//!
//! Invariants: no byte of a body goes on before it was read; of all bytes that came, never more go on; a host call that fails cuts
//! the answer off.
//!
//! The head is held back only where the operator says that Envoy lets it be (`allow_on_headers_stop_iteration`): without that
//! option the body would never come (observed with Envoy 1.40.0).

use super::calls::{self, Buffer, Fault, HostError, Level, Map};
use super::dispatch::Action;
use super::record::{AnswerRecord, Record};
use super::refuse::{CACHE_CONTROL, PRIVATE};
use super::stream::{out_of_order, read_pairs};
use crate::answer::{Body, Expected, Filter, Filtered, Head, Substitute, Unreadable};

/// How far an answer has come.
pub enum Answer {
    /// Its head has not.
    Waiting,
    /// It goes on as it comes.
    Passing,
    /// It is filtered as it comes.
    Streaming(Box<Filter>),
    /// Something stands for it.
    Replacing(Substitute),
    /// Head and body are held back, so that a fault still has a status.
    Holding(Filtered),
    /// Something has been said in its place; the rest of it is dropped.
    Discarding,
}

/// Why an answer does not go on as it should.
pub enum Failure {
    /// It can't be read; the client may be told.
    Unreadable(Unreadable),
    /// The host failed us.
    Host(HostError),
}

impl Failure {
    /// A short stable name for the stats.
    pub fn name(&self) -> &'static str {
        match self {
            Failure::Unreadable(unreadable) => unreadable.name(),
            Failure::Host(_) => "host",
        }
    }
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Failure::Unreadable(unreadable)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Failure::Host(error)
    }
}

impl Answer {
    /// The head: nothing of the answer has gone on yet, so that a failure can be a local reply.
    pub fn head(
        &mut self,
        expected: &Expected,
        vary: Option<&str>,
        end_of_stream: bool,
        is_early: bool,
        record: &mut Record,
    ) -> Result<Action, Failure> {
        let map = calls::header_map(Map::ResponseHeaders)?;
        let headers = read_pairs(&map)?;
        record.status(headers.iter().find(|(name, _)| *name == b":status").map(|(_, status)| *status));
        let plan = expected.decide(&Head { headers: &headers, end_of_stream, is_early })?;
        for name in plan.remove {
            calls::remove_header(Map::ResponseHeaders, name.as_bytes())?;
        }
        if plan.is_json {
            calls::replace_header(Map::ResponseHeaders, b"content-type", b"application/json")?;
        }
        mark_private(vary)?;
        let mut action = Action::Continue;
        *self = match plan.body {
            Body::Untouched => Answer::Passing,
            Body::Substitute(substitute) => Answer::Replacing(substitute),
            Body::Filtered(filtered) if filtered.holds_head => {
                action = Action::Pause;
                Answer::Holding(filtered)
            }
            Body::Filtered(filtered) => Answer::Streaming(filtered.filter),
        };
        Ok(action)
    }

    /// The body: `size` is what the host holds, which is the chunk alone unless it was held back.
    pub fn body(&mut self, size: usize, end: bool, record: &mut AnswerRecord) -> Result<Action, Failure> {
        match self {
            Answer::Passing => {
                record.passed(size);
                Ok(Action::Continue)
            }
            Answer::Waiting => Err(out_of_order("proxy_on_response_body").into()),
            Answer::Discarding => replace(size, b"", record).map(|()| Action::Continue),
            Answer::Streaming(filter) => {
                let chunk = read(size)?;
                let mut out = Vec::with_capacity(chunk.len());
                filter.push(&chunk, end, &mut out);
                note(filter, record);
                if end {
                    report(filter);
                }
                if out == chunk {
                    record.passed(size);
                } else {
                    replace(size, &out, record)?;
                }
                Ok(Action::Continue)
            }
            Answer::Replacing(substitute) => {
                let mut out = Vec::new();
                substitute.push(size, end, &mut out);
                replace(size, &out, record).map(|()| Action::Continue)
            }
            Answer::Holding(Filtered { max_held, .. }) if size <= *max_held && !end => Ok(Action::Pause),
            Answer::Holding(_) => self.let_go(size, end, record).map(|()| Action::Continue),
        }
    }

    /// Trailers: the body callback never saw its end (observed with Envoy 1.40.0). `size` is what the host holds back.
    pub fn trailers(&mut self, size: usize, record: &mut AnswerRecord) -> Result<Action, Failure> {
        match self {
            // The operator's path, or text that is passed on: its trailers with it.
            Answer::Passing => return Ok(Action::Continue),
            Answer::Waiting => return Err(out_of_order("proxy_on_response_trailers").into()),
            Answer::Streaming(filter) => {
                // There is no chunk left to write to.
                filter.push(b"", true, &mut Vec::new());
                note(filter, record);
                report(filter);
            }
            Answer::Holding(_) => self.give_up(Unreadable::Trailers, true, size, record)?,
            Answer::Replacing(_) | Answer::Discarding => {}
        }
        *self = Answer::Passing;
        let map = calls::header_map(Map::ResponseTrailers)?;
        for (name, _) in read_pairs(&map)? {
            calls::remove_header(Map::ResponseTrailers, name)?;
        }
        Ok(Action::Continue)
    }

    /// Filters what is held back, which is all of the body or as much as may be held back.
    fn let_go(&mut self, size: usize, end: bool, record: &mut AnswerRecord) -> Result<(), Failure> {
        let Answer::Holding(Filtered { mut filter, .. }) = std::mem::replace(self, Answer::Discarding) else {
            return Ok(());
        };
        let body = read(size)?;
        let mut out = Vec::with_capacity(size);
        filter.push(&body, end, &mut out);
        note(&filter, record);
        if let Some(fault) = filter.fault() {
            return self.give_up(fault, true, size, record);
        }
        if end {
            report(&filter);
        }
        *self = Answer::Streaming(filter);
        if out == body {
            record.passed(size);
            return Ok(());
        }
        replace(size, &out, record)
    }

    /// Says in the body's place that it can't be had, with a status of its own where the head has not gone on.
    fn give_up(
        &mut self,
        unreadable: Unreadable,
        has_head: bool,
        size: usize,
        record: &mut AnswerRecord,
    ) -> Result<(), Failure> {
        calls::log(Level::Error, &format!("answer withheld: {}", unreadable.reason()));
        record.unreadable(unreadable.name());
        if has_head {
            calls::replace_header(Map::ResponseHeaders, b":status", b"502")?;
            record.replaced_status = 502;
        }
        *self = Answer::Discarding;
        replace(size, &unreadable.body(size), record)
    }
}

/// What the host holds, all of it.
fn read(size: usize) -> Result<Vec<u8>, Failure> {
    let body = match size {
        0 => Vec::new(),
        _ => calls::buffer(Buffer::ResponseBody)?,
    };
    if body.len() != size {
        return Err(HostError { call: "proxy_get_buffer_bytes", fault: Fault::Data }.into());
    }
    Ok(body)
}

/// Where nothing has come there may be no buffer, and what can't be written then is a rest that nobody waits for.
fn replace(size: usize, body: &[u8], record: &mut AnswerRecord) -> Result<(), Failure> {
    match calls::replace_buffer(Buffer::ResponseBody, size, body) {
        Err(_) if size == 0 => return Ok(()),
        done => done?,
    }
    record.passed(body.len());
    Ok(())
}

/// After each chunk, since the next one may never come.
fn note(filter: &Filter, record: &mut AnswerRecord) {
    record.withheld = filter.withheld();
    record.samples = filter.samples();
    if let Some(fault) = filter.fault() {
        record.unreadable(fault.name());
    }
}

fn report(filter: &Filter) {
    withheld(filter.withheld());
    if let Some(fault) = filter.fault() {
        calls::log(Level::Error, &format!("answer cut short: {}", fault.reason()));
    }
}

fn withheld(count: u32) {
    if count > 0 {
        calls::log(Level::Info, &format!("messages of the upstream withheld: {count}"));
    }
}

/// The answer was made for one tenant: a cache on the way must not give it to another. `vary` is added beside the
/// upstream's own, which costs one call where merging would cost three.
fn mark_private(vary: Option<&str>) -> Result<(), HostError> {
    calls::replace_header(Map::ResponseHeaders, CACHE_CONTROL.as_bytes(), PRIVATE.as_bytes())?;
    match vary {
        Some(name) => calls::add_header(Map::ResponseHeaders, b"vary", name.as_bytes()),
        None => Ok(()),
    }
}
