//! What one exchange adds to the stats. It is gathered on the way and handed over at the end, whatever end that is: a host tells also of
//! local replies, of upstreams that cut the answer off, and of clients that don't wait for it.

use super::dry_run::Verdict;
use super::effect::Effect;
use crate::answer::Samples;
use crate::rejection::{self, Rejection};
use crate::request::{self, Decision, Refused};
use crate::stats::NO_HANDLER;

/// What is known of one exchange.
#[derive(Debug, Default)]
pub struct Record {
    /// The request's head has been read: the request is counted.
    has_begun: bool,
    /// `None` where the host has no clock.
    began: Option<u64>,
    ended: u64,
    /// The bytes of the request's body that have been forwarded.
    forwarded: u64,
    summary: Summary,
    /// The body of an answer that a local reply replaces passes no filter, and is counted already.
    is_answer_counted: bool,
}

/// One exchange, as the stats count it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// From the request's head to the end.
    pub milliseconds: u64,
    /// The HTTP status; 0 where there was none.
    pub status: u16,
    /// Why the filter refused the request.
    pub refused: Option<&'static str>,
    /// Why the answer could not be forwarded whole.
    pub unreadable: Option<&'static str>,
    /// The bytes of the request's body that have come.
    pub request_bytes: u64,
    /// The bytes of the answer's body that have been forwarded.
    pub answer_bytes: u64,
    /// How many selectors the matcher was written into.
    pub selectors: u32,
    /// How many messages of the upstream were withheld.
    pub withheld: u32,
    /// How many samples the query has read, as far as the upstream says.
    pub samples: Samples,
    /// What would have happened, of an exchange in dry run.
    pub dry_run: Option<Verdict>,
}

impl Record {
    /// The request begins. `now`: nanoseconds since 1970; `None` where the host has no clock.
    pub fn start(&mut self, now: Option<u64>) {
        self.began = now;
    }

    /// When the request began.
    pub fn began(&self) -> Option<u64> {
        self.began
    }

    /// The head has been decided on.
    pub fn identify(&mut self, decided: &Result<Decision, Refused>) -> Effect {
        self.has_begun = true;
        let tenant = match decided {
            // A tenant that is not served has no series.
            Err(Refused { rejection: Rejection::NotAllowed(_), .. }) => None,
            decided => request::tenant(decided),
        };
        let route = request::route(decided);
        Effect::Begin { tenant: tenant.cloned(), handler: route.map_or(NO_HANDLER, |route| route.handler) }
    }

    /// The filter answers the request itself, without refusing it.
    pub fn reply(&mut self, status: u16) {
        self.summary.status = status;
    }

    /// The filter refuses the request.
    pub fn refuse(&mut self, status: u16, reason: &'static str) {
        self.summary.status = status;
        self.summary.refused = Some(reason);
    }

    /// The filter could not even answer itself.
    pub fn cut_off(&mut self) {
        self.summary.status = 0;
    }

    /// The status as it stands in the answer's head.
    pub fn status(&mut self, status: Option<&[u8]>) {
        let digits = status.and_then(|status| std::str::from_utf8(status).ok());
        self.summary.status = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    }

    /// The status of a gRPC answer, which takes the place of its head's: that is 200 whatever has happened.
    pub fn grpc_status(&mut self, status: &[u8]) {
        self.summary.status = rejection::http_status(status);
    }

    /// Selectors that the matcher was written into.
    pub fn selectors(&mut self, count: u32) {
        self.summary.selectors = self.summary.selectors.saturating_add(count);
    }

    /// So much of the request's body is held now, and is forwarded or held back.
    pub fn request_body(&mut self, size: usize, is_forwarded: bool) {
        self.summary.request_bytes = self.forwarded.saturating_add(size as u64);
        if is_forwarded {
            self.forwarded = self.summary.request_bytes;
        }
    }

    /// So much of the answer's body is forwarded.
    pub fn answer_body(&mut self, size: usize) {
        if !self.is_answer_counted {
            self.summary.answer_bytes = self.summary.answer_bytes.saturating_add(size as u64);
        }
    }

    /// A local reply takes the answer's place. One that is sent in place of an answer's head passes no filter (observed with Envoy
    /// 1.40.0), unlike one in place of a request.
    pub fn answer_replaced(&mut self, size: usize) {
        self.summary.answer_bytes = size as u64;
        self.is_answer_counted = true;
    }

    /// The answer can't be forwarded whole. The first reason counts.
    pub fn unreadable(&mut self, reason: &'static str) {
        self.summary.unreadable.get_or_insert(reason);
    }

    /// What the answer's filter has found so far. After each part, since the next one may never come.
    pub fn found(&mut self, withheld: u32, samples: Samples) {
        self.summary.withheld = withheld;
        self.summary.samples = samples;
    }

    /// What would have happened in an exchange in dry run. A refusal, or an answer of the filter's own, decides; what it would have been withheld from
    /// would not have come.
    pub fn dry_run(&mut self, verdict: Verdict) {
        let decided = matches!(self.summary.dry_run, Some(Verdict::Refused(_) | Verdict::Answered(_)));
        if !decided {
            self.summary.dry_run = Some(verdict);
        }
    }

    /// What would have happened so far.
    pub fn verdict(&self) -> Verdict {
        self.summary.dry_run.unwrap_or_default()
    }

    /// What the client got as the status, where the host knows it better.
    pub fn told(&mut self, status: Option<u16>) {
        self.summary.status = status.unwrap_or(0);
    }

    /// The exchange ends now.
    pub fn done(&mut self, now: u64) {
        self.ended = now;
    }

    /// What the exchange was, once.
    pub fn end(&mut self) -> Option<Box<Summary>> {
        if !std::mem::take(&mut self.has_begun) {
            return None;
        }
        let mut summary = std::mem::take(&mut self.summary);
        summary.milliseconds = self.ended.saturating_sub(self.began.unwrap_or(self.ended)) / 1_000_000;
        Some(Box::new(summary))
    }
}
