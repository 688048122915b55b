//! The times that limits leave: of evaluations, and of the data that these read.

use super::Rejection;
use crate::limits::{InForce, Limit};

/// What is in force at one time. All in milliseconds.
#[derive(Debug)]
pub struct Window<'l> {
    limits: &'l InForce,
    /// `None` where no limit depends on it.
    now: Option<i64>,
    /// The oldest sample.
    oldest: Option<i64>,
    /// The earliest evaluation.
    earliest: Option<i64>,
    /// The youngest sample, and the last evaluation.
    latest: Option<i64>,
}

impl<'l> Window<'l> {
    pub fn new(limits: &'l InForce, now: Option<i64>) -> Self {
        let back = |limit| Some(now?.saturating_sub(limits.get(limit)?));
        Window {
            limits,
            now,
            oldest: back(Limit::Retention),
            earliest: back(Limit::Lookback),
            latest: now.and_then(|now| Some(now.saturating_add(limits.get(Limit::IntoFuture)?))),
        }
    }

    pub fn now(&self) -> Option<i64> {
        self.now
    }

    /// The earliest time at which there is anything to look for.
    pub fn earliest(&self) -> Option<i64> {
        self.oldest.max(self.earliest)
    }

    /// The latest.
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }

    pub fn bounds_the_past(&self) -> bool {
        self.oldest.is_some()
    }

    /// The limit that allows no evaluation at this time, and how far from now that is.
    pub fn outside(&self, at: i64) -> Option<(Limit, i64)> {
        let now = self.now?;
        if self.earliest.is_some_and(|earliest| at < earliest) {
            return Some((Limit::Lookback, now.saturating_sub(at)));
        }
        if self.latest.is_some_and(|latest| at > latest) {
            return Some((Limit::IntoFuture, at.saturating_sub(now)));
        }
        None
    }

    /// The limit that leaves nothing of a range.
    pub fn beyond(&self, start: i64, end: i64) -> (Limit, i64) {
        let ago = self.now.unwrap_or(start).saturating_sub(start);
        self.outside(start).or(self.outside(end)).unwrap_or((Limit::Retention, ago))
    }

    /// Refuses a query whose data are out of bounds. Its oldest is the first after an open end.
    pub fn check_reach(&self, samples: Option<(i64, i64)>) -> Result<(), Rejection> {
        let (Some((from, to)), Some(now)) = (samples, self.now) else { return Ok(()) };
        if self.oldest.is_some_and(|oldest| from < oldest) {
            return Err(self.over(Limit::Retention, now.saturating_sub(from).saturating_add(1)));
        }
        if self.latest.is_some_and(|latest| to > latest) {
            return Err(self.over(Limit::IntoFuture, to.saturating_sub(now)));
        }
        Ok(())
    }

    /// The first and the last evaluation that are allowed of a range query from `start` to `end`, which reads `samples`. Refuses it
    /// where it would reach too far from any evaluation.
    pub fn evaluations(&self, start: i64, end: i64, samples: Option<(i64, i64)>) -> Result<(i64, i64), Rejection> {
        let mut first = self.earliest.unwrap_or(i64::MIN);
        let mut last = self.latest.unwrap_or(i64::MAX).min(end);
        if let (Some((from, to)), Some(now)) = (samples, self.now) {
            let (back, ahead) = (start.saturating_sub(from), to.saturating_sub(end));
            if let Some(oldest) = self.oldest {
                if now.saturating_sub(back) < oldest {
                    return Err(self.over(Limit::Retention, back.saturating_add(1)));
                }
                first = first.max(oldest.saturating_add(back));
            }
            if let Some(latest) = self.latest.filter(|_| ahead > 0) {
                if now.saturating_add(ahead) > latest {
                    return Err(self.over(Limit::IntoFuture, ahead));
                }
                last = last.min(latest.saturating_sub(ahead));
            }
        }
        Ok((first, last))
    }

    fn over(&self, limit: Limit, asked: i64) -> Rejection {
        Rejection::Limit { limit, asked, allowed: self.limits.get(limit).unwrap_or(0) }
    }
}
