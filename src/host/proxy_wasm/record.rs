//! What one stream adds to the stats. Gathered on its way, handed on at its end, whatever end that is: the host calls
//! `on_log` also for local replies, for upstreams that cut the answer off, and for clients that don't wait for it.

use super::calls;
use super::stats::{self, SeriesId};
use crate::answer::Samples;
use crate::config::Config;
use crate::rejection::Rejection;
use crate::request::{Decision, Refused};
use crate::stats::{
    DURATION, NO_HANDLER, PEAK_SAMPLES, REFUSED, REQUEST_BYTES, REQUESTS, RESPONSE_BYTES, SAMPLES, SELECTORS,
    UNREADABLE, WITHHELD, class,
};

/// What is known of one stream.
#[derive(Default)]
pub struct Record {
    /// `None` until the request's head has been read.
    series: Option<SeriesId>,
    started: u64,
    /// 0 before there is one.
    status: u16,
    /// Why the filter refused the request.
    refused: Option<&'static str>,
    selectors: u32,
    /// The bytes of the request's body that have gone on, and all that have come.
    request_gone: u64,
    request_came: u64,
    /// What happens to the answer.
    pub answer: AnswerRecord,
}

/// What happens to the answer.
#[derive(Default)]
pub struct AnswerRecord {
    /// The bytes of its body that have gone on.
    bytes: u64,
    /// Its body will not be shown to us, and is counted already.
    is_counted: bool,
    /// How many of its messages were withheld.
    pub withheld: u32,
    /// How many samples the query has read, as far as the upstream says.
    pub samples: Samples,
    /// The status that was set while the head was held back; 0 where none was.
    pub replaced_status: u16,
    /// Why it could not be passed on whole.
    unreadable: Option<&'static str>,
}

impl AnswerRecord {
    /// So much of the body goes on.
    pub fn passed(&mut self, size: usize) {
        if !self.is_counted {
            self.bytes = self.bytes.saturating_add(size as u64);
        }
    }

    /// A local reply takes its place. One that is sent in place of an answer's head passes no filter (observed with Envoy
    /// 1.40.0), other than one in place of a request.
    pub fn replied(&mut self, size: usize) {
        self.bytes = size as u64;
        self.is_counted = true;
    }

    /// It can't be passed on whole. The first reason counts.
    pub fn unreadable(&mut self, reason: &'static str) {
        self.unreadable.get_or_insert(reason);
    }
}

impl Record {
    /// The head is about to be read.
    pub fn start(&mut self) {
        self.started = calls::now();
    }

    /// When that was, in nanoseconds; 0 where nobody could say.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// The head has been read.
    pub fn identify(&mut self, config: &Config, decided: &Result<Decision, Refused>) {
        let (tenant, route) = match decided {
            Ok(Decision::Forward(forward)) => (Some(&forward.tenant), Some(forward.route)),
            Ok(Decision::Reply(reply)) => (Some(&reply.tenant), Some(reply.route)),
            Ok(Decision::Ask(ask)) => (Some(&ask.tenant), Some(ask.route)),
            // Whoever is not served has no series.
            Err(Refused { rejection: Rejection::NotAllowed(_), route, .. }) => (None, *route),
            Err(refused) => (refused.tenant.as_ref(), refused.route),
        };
        self.series = stats::begin(config, tenant.map(AsRef::as_ref), route.map_or(NO_HANDLER, |route| route.handler));
    }

    /// The filter answers the request itself, without refusing it.
    pub fn reply(&mut self, status: u16) {
        self.status = status;
    }

    /// The filter refuses the request.
    pub fn refuse(&mut self, status: u16, reason: &'static str) {
        self.status = status;
        self.refused = Some(reason);
    }

    /// The status as it stands in the answer's head.
    pub fn status(&mut self, status: Option<&[u8]>) {
        let digits = status.and_then(|status| std::str::from_utf8(status).ok());
        self.status = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    }

    /// Selectors that the matcher was written into.
    pub fn selectors(&mut self, count: u32) {
        self.selectors = self.selectors.saturating_add(count);
    }

    /// So much of the request's body is held now, and goes on or stays.
    pub fn request_body(&mut self, size: usize, goes_on: bool) {
        self.request_came = self.request_gone.saturating_add(size as u64);
        if goes_on {
            self.request_gone = self.request_came;
        }
    }

    /// The stream has ended.
    pub fn end(&mut self) {
        let Some(series) = self.series.take() else {
            return;
        };
        let milliseconds = calls::now().saturating_sub(self.started) / 1_000_000;
        stats::end(series, |series| {
            let status = if self.answer.replaced_status == 0 { self.status } else { self.answer.replaced_status };
            series.add(&REQUESTS, class(status), 1);
            if let Some(reason) = self.refused {
                series.add(&REFUSED, reason, 1);
            }
            if let Some(reason) = self.answer.unreadable {
                series.add(&UNREADABLE, reason, 1);
            }
            for (stat, by) in [
                (&REQUEST_BYTES, self.request_came),
                (&RESPONSE_BYTES, self.answer.bytes),
                (&SELECTORS, u64::from(self.selectors)),
                (&WITHHELD, u64::from(self.answer.withheld)),
                (&SAMPLES, self.answer.samples.total.unwrap_or(0)),
            ] {
                if by > 0 {
                    series.add(stat, "", by);
                }
            }
            series.record(&DURATION, milliseconds);
            if let Some(peak) = self.answer.samples.peak {
                series.record(&PEAK_SAMPLES, peak);
            }
        });
    }
}
