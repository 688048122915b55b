//! The decision on requests that name times of their own for each selector, in milliseconds: the queries of remote read.
//!
//! Each time range is moved to where the limits allow samples to be read. The hints of a query go with it: Prometheus reads from the
//! hints' start to their end, not from the query's (`Select` in tsdb/querier.go, 3.16).

use super::refusal::Refusal;
use super::window::Window;
use super::{Limit, RequestLimits, bounds};

/// The limits on the time ranges of one request.
pub struct Ranges<'l> {
    limits: &'l RequestLimits,
    window: Window<'l>,
    selectors: i64,
}

/// What is left of a time range, with both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Times from the first to the second.
    Some(i64, i64),
    /// Nothing. This is the time that is nearest to what was asked for.
    Nothing(i64),
}

impl<'l> Ranges<'l> {
    /// `now`: in milliseconds since 1970; it is needed where a limit depends on it.
    ///
    /// # Errors
    /// [`Refusal::NoTime`].
    pub fn new(limits: &'l RequestLimits, now: Option<i64>) -> Result<Self, Refusal> {
        let now = match (limits.in_force.need_the_time(), now) {
            (false, _) => None,
            (true, Some(now)) => Some(now),
            (true, None) => return Err(Refusal::NoTime),
        };
        Ok(Ranges { limits, window: Window::new(&limits.in_force, now), selectors: 0 })
    }

    /// Decides on one selector, whose longest pattern has this length, and which is asked for from `start` to `end`.
    ///
    /// # Errors
    /// Why the request is not forwarded.
    pub fn selector(&mut self, longest_pattern: usize, start: i64, end: i64) -> Result<Left, Refusal> {
        let in_force = &self.limits.in_force;
        self.selectors += 1;
        bounds::check(in_force, Limit::Selectors, self.selectors)?;
        bounds::check(in_force, Limit::PatternLength, i64::try_from(longest_pattern).unwrap_or(i64::MAX))?;
        let asked = Some((start, end));
        self.limits.check_rules(&[], asked, None, asked, self.window.now())?;
        let left = self.clamp(start, end);
        if let Left::Some(from, to) = left {
            bounds::check(in_force, Limit::Length, to.saturating_sub(from))?;
        }
        Ok(left)
    }

    /// The part of a time range in which samples may be read.
    pub fn clamp(&self, start: i64, end: i64) -> Left {
        let from = self.window.earliest().map_or(start, |earliest| start.max(earliest));
        let to = self.window.latest().map_or(end, |latest| end.min(latest));
        let is_allowed = |time: i64| {
            self.window.earliest().is_none_or(|earliest| time >= earliest)
                && self.window.latest().is_none_or(|latest| time <= latest)
        };
        // Where a range begins after its end, what is read between them is the upstream's to say, and neither may lie beyond a limit.
        if from <= to || is_allowed(start) && is_allowed(end) { Left::Some(from, to) } else { Left::Nothing(from) }
    }
}
