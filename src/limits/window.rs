//! The times that limits allow: for evaluations, and for the samples that these read.

use super::refusal::Refusal;
use super::{InForce, Limit};

/// The times that are allowed now. All are in milliseconds.
#[derive(Debug)]
pub struct Window<'l> {
    limits: &'l InForce,
    /// `None` where no limit depends on the current time.
    now: Option<i64>,
    /// The oldest sample that may be read.
    oldest: Option<i64>,
    /// The earliest evaluation.
    earliest: Option<i64>,
    /// The youngest sample that may be read, and the last evaluation.
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

    /// The latest such time.
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }

    /// Whether the age of samples is bounded.
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

    /// The limit that leaves nothing of a time range, and how far from now the range is.
    pub fn beyond(&self, start: i64, end: i64) -> (Limit, i64) {
        let ago = self.now.unwrap_or(start).saturating_sub(start);
        self.outside(start).or(self.outside(end)).unwrap_or((Limit::Retention, ago))
    }

    /// Refuses a query that reads samples out of bounds. Ranges exclude their left end, so `from` is the first millisecond behind it.
    pub fn check_reach(&self, samples: Option<(i64, i64)>) -> Result<(), Refusal> {
        let (Some((from, to)), Some(now)) = (samples, self.now) else { return Ok(()) };
        if self.oldest.is_some_and(|oldest| from < oldest) {
            return Err(self.over(Limit::Retention, now.saturating_sub(from).saturating_add(1)));
        }
        if self.latest.is_some_and(|latest| to > latest) {
            return Err(self.over(Limit::IntoFuture, to.saturating_sub(now)));
        }
        Ok(())
    }

    /// The first and the last allowed evaluation of a range query from `start` to `end`, which reads `samples`. The query is refused
    /// if it reaches too far from whichever evaluation.
    pub fn evaluations(&self, start: i64, end: i64, samples: Option<(i64, i64)>) -> Result<(i64, i64), Refusal> {
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

    pub fn over(&self, limit: Limit, asked: i64) -> Refusal {
        Refusal::Over { limit, asked, allowed: self.limits.get(limit).unwrap_or(0) }
    }
}

/// The first of the times `start`, `start + step`, … up to `end` that is not before `earliest`. `None` where there is none. A range
/// query that starts there evaluates at the same times as before, without the earlier ones.
pub fn first_step(start_ms: i64, end_ms: i64, step_ms: i64, earliest_ms: i64) -> Option<i64> {
    let first = if start_ms >= earliest_ms {
        start_ms
    } else {
        let step = u64::try_from(step_ms).ok().filter(|&step| step > 0)?;
        let moved = earliest_ms.abs_diff(start_ms).div_ceil(step).checked_mul(step)?;
        start_ms.checked_add_unsigned(moved)?
    };
    (first <= end_ms).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_later_start_stays_on_the_grid() {
        assert_eq!(first_step(100, 200, 30, 50), Some(100), "early enough");
        assert_eq!(first_step(100, 200, 30, 100), Some(100));
        assert_eq!(first_step(100, 200, 30, 101), Some(130));
        assert_eq!(first_step(100, 200, 30, 130), Some(130));
        assert_eq!(first_step(100, 200, 30, 190), Some(190));
        assert_eq!(first_step(100, 200, 30, 191), None, "the next would be 220");
        assert_eq!(first_step(100, 90, 30, 0), None, "no step at all");
        assert_eq!(first_step(100, 100, 0, 50), Some(100), "an instant query");
        assert_eq!(first_step(100, 100, 0, 150), None);
        assert_eq!(first_step(100, 200, -5, 150), None);
        assert_eq!(first_step(i64::MIN, i64::MAX, 7, i64::MAX), None, "the last step would be past the end of time");
        assert_eq!(first_step(i64::MIN, i64::MAX, 1, i64::MAX), Some(i64::MAX));
        assert_eq!(first_step(-100, 100, i64::MAX, 0), None);
    }
}
