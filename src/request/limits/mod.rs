//! Limits: the request's times are held back, read, moved to where the limits allow them to be, and written again.
//!
//! ```text
//! instant query     time                       absent: now, written
//! range query       start, end, step           start moves by whole steps, end to what is allowed
//! selectors         start, end                 moved to what is allowed; absent: written where a limit bounds it
//! federate          none                       it reads the lookback before now
//! ```
//!
//! A range query of which no step is left, and selectors with no time left, are answered empty. A query that reaches further than
//! `retention_period` or `max_query_into_future` by itself (its ranges, offsets and `@`) is refused, and so is an instant query
//! whose time does.
//!
//! With a form, Go takes a single value from it, and from the URL where the form has none (`FormValue` in net/http/request.go). So
//! all times, wherever they stood, are written into the form, as they are decided on when it is whole. The URL has gone on by then:
//! it is decided on by itself as well, as if no form followed, since an upstream that loses the form may answer what it asks for.

mod asked;
mod judge;
mod window;

pub use asked::Asked;

use super::Rejection;
use crate::api::{Answer, Kind, Route, Upstream};
use crate::config::Config;
use crate::go::form;
use crate::go::time::{self, SourceResolution};
use crate::limits::{InForce, Limit};
use crate::promql::{Evaluation, Query};
use crate::rejection::Empty;
use crate::tenant::Tenants;
use crate::text;
use std::sync::Arc;
use window::Window;

/// The limits in force for one request.
#[derive(Debug, Clone)]
pub struct Plan {
    limits: Arc<InForce>,
    handler: &'static str,
    endpoint: Endpoint,
    /// What is answered where nothing is left; `None`: there is no such answer, so it is refused.
    empty: Option<Empty>,
    upstream: Upstream,
    lookback_ms: i64,
    subquery_step_ms: i64,
    headers: [Vec<u8>; 3],
}

/// How an endpoint reads times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    /// Evaluates at `time`.
    Instant,
    /// Evaluates from `start` to `end`.
    Range,
    /// Looks for what there is from `start` to `end`.
    Span,
    /// The same, and without a start, for the last hour.
    Search,
    /// Evaluates now, without a parameter.
    Now,
}

/// Headers that rules compare: in the order of [`Plan::headers`].
const HEADERS: [&[u8]; 3] = [b"user-agent", b"x-dashboard-uid", b"x-panel-id"];

impl Plan {
    /// `None` where nothing is limited.
    pub fn new(route: &'static Route, config: &Config, tenants: &Tenants, headers: &[(&[u8], &[u8])]) -> Option<Plan> {
        let reads_samples = route.parameters.iter().any(|known| matches!(known.kind, Kind::Query | Kind::Selector));
        // Rules hold no samples.
        if !reads_samples || route.answer == Answer::Rules {
            return None;
        }
        let limits = config.limits_of(tenants)?;
        let has = |name| route.parameters.iter().any(|known| known.name == name);
        let (endpoint, empty) = if has("time") {
            (Endpoint::Instant, (route.handler == "query").then_some(Empty::Vector))
        } else if has("step") {
            (Endpoint::Range, (route.handler == "query_range").then_some(Empty::Matrix))
        } else if route.answer == Answer::Lines {
            (Endpoint::Search, Some(Empty::Lines))
        } else if has("start") {
            (Endpoint::Span, Some(Empty::List))
        } else {
            (Endpoint::Now, None)
        };
        let compares = !limits.rejected.is_empty();
        let headers = HEADERS.map(|name| {
            let found = headers.iter().find(|(given, _)| compares && *given == name);
            found.map_or(Vec::new(), |(_, value)| value.to_vec())
        });
        Some(Plan {
            limits: Arc::new(limits),
            handler: route.handler,
            endpoint,
            empty,
            upstream: config.upstream(),
            lookback_ms: config.lookback_ms(),
            subquery_step_ms: config.subquery_step_ms(),
            headers,
        })
    }

    /// Its expressions are evaluated.
    fn is_query(&self) -> bool {
        match self.endpoint {
            Endpoint::Instant | Endpoint::Range => true,
            Endpoint::Span | Endpoint::Search | Endpoint::Now => false,
        }
    }

    /// How many queries may run at the same time; `None` where that isn't bounded, or this is no query.
    pub fn concurrency(&self) -> Option<i64> {
        self.limits.get(Limit::Concurrency).filter(|_| self.is_query())
    }

    /// Decides on what was asked, and writes the times that were held back. `is_whole`: no form follows.
    ///
    /// # Errors
    /// The refusal, or the empty answer.
    pub fn settle(&self, asked: &Asked, is_whole: bool, now: Option<i64>, out: &mut Vec<u8>) -> Result<(), Rejection> {
        let now = match (self.limits.need_the_time(), now) {
            (false, _) => None,
            (true, Some(now)) => Some(now),
            (true, None) => return Err(Rejection::Internal("the time is not known")),
        };
        let texts = asked.texts();
        judge::size(&self.limits, &texts)?;
        let queries = asked.parse()?;
        judge::parts(&self.limits, &queries)?;
        let window = Window::new(&self.limits, now);
        let mut write = |name: &str, given: &Option<Vec<u8>>, settled: Option<i64>| match (given, settled) {
            (Some(given), None) => form::append(out, name.as_bytes(), given),
            (None, None) => {}
            (_, Some(settled)) => {
                let mut text = Vec::new();
                time::write(settled, &mut text);
                form::append(out, name.as_bytes(), &text);
            }
        };
        match self.endpoint {
            Endpoint::Instant => {
                let settled = match queries.first() {
                    Some(query) => self.instant(query, &queries, asked, &window)?,
                    None => None,
                };
                write("time", &asked.time, settled);
            }
            Endpoint::Range => {
                let settled = match queries.first() {
                    Some(query) => self.range(query, &queries, asked, is_whole, &window)?,
                    None => Settled::default(),
                };
                write("start", &asked.start, settled.start);
                write("end", &asked.end, settled.end);
                write("step", &None, settled.step);
            }
            Endpoint::Span | Endpoint::Search => {
                let (start, end) = self.span(&queries, asked, &window)?;
                write("start", &asked.start, start);
                write("end", &asked.end, end);
            }
            Endpoint::Now => {
                judge::rules(self, &queries, None, None, None, now)?;
                window.check_reach(now.map(|now| (now.saturating_sub(self.lookback_ms).saturating_add(1), now)))?;
            }
        }
        match (&asked.resolution, self.means_raw_data(asked, &window)?) {
            (_, true) => form::append(out, b"max_source_resolution", b"1ms"),
            (Some(given), false) => form::append(out, b"max_source_resolution", given),
            (None, false) => {}
        }
        Ok(())
    }

    /// What a query of Thanos reads without this parameter is up to flags (`--query.instant.default.max_source_resolution`, 0s by
    /// default, and `--query.auto-downsampling`), so that its reach would not be known. A query frontend drops one of 0
    /// (`EncodeRequest` in pkg/queryfrontend/queryrange_codec.go, 0.42.5): a millisecond is as good, and is not dropped.
    fn means_raw_data(&self, asked: &Asked, window: &Window) -> Result<bool, Rejection> {
        if self.upstream != Upstream::Thanos || asked.lacks_query() || !window.bounds_the_past() {
            return Ok(false);
        }
        Ok(match asked.source_resolution()? {
            None => self.endpoint == Endpoint::Instant,
            Some(resolution) => resolution == SourceResolution::Most(0),
        })
    }

    fn nothing_left(&self, limit: Limit, beyond: i64) -> Rejection {
        match self.empty {
            Some(empty) => Rejection::Empty(empty),
            None => self.over(limit, beyond),
        }
    }

    fn over(&self, limit: Limit, asked: i64) -> Rejection {
        Rejection::Limit { limit, asked, allowed: self.limits.get(limit).unwrap_or(0) }
    }

    /// How far back a query reads that is evaluated so, and how far ahead. Refuses one that demands too much by itself. `None` where
    /// it reads nothing, or where no limit depends on it: a query whose reach can't be computed is refused only where that matters.
    fn reach(&self, query: &Query<'_>, at: &At, start_ms: i64, end_ms: i64) -> Result<Option<(i64, i64)>, Rejection> {
        if !self.limits.need_the_reach() {
            return Ok(None);
        }
        let (lookback_ms, older) = at.lookback;
        let demand = query.demand(&Evaluation {
            start_ms,
            end_ms,
            step_ns: at.step_ns,
            lookback_ms,
            subquery_step_ms: self.subquery_step_ms,
            in_parts: self.upstream != Upstream::Prometheus,
        });
        let demand = demand.map_err(|unknown| Rejection::Unbounded(unknown.0))?;
        judge::demand(&self.limits, &demand)?;
        Ok(demand.samples.map(|(from, to)| (from.saturating_sub(older), to)))
    }

    /// Returns the `time` to write, where it is not the client's.
    fn instant(
        &self,
        query: &Query<'_>,
        queries: &[Query<'_>],
        asked: &Asked,
        window: &Window,
    ) -> Result<Option<i64>, Rejection> {
        let given = asked.instant("time", &asked.time)?;
        let at = given.or(window.now()).unwrap_or(0);
        let samples = self.reach(query, &At { step_ns: 0, lookback: self.lookback(asked, 0)? }, at, at)?;
        judge::rules(self, queries, None, None, samples, window.now())?;
        if let Some((limit, beyond)) = window.outside(at) {
            return Err(match self.nothing_left(limit, beyond) {
                Rejection::Empty(_) if query.is_range() => Rejection::Empty(Empty::Matrix),
                rejection => rejection,
            });
        }
        window.check_reach(samples)?;
        Ok(if given.is_none() { window.now() } else { None })
    }

    fn range(
        &self,
        query: &Query<'_>,
        queries: &[Query<'_>],
        asked: &Asked,
        is_whole: bool,
        window: &Window,
    ) -> Result<Settled, Rejection> {
        let (start, end) = (asked.instant("start", &asked.start)?, asked.instant("end", &asked.end)?);
        let given = asked.duration("step", &asked.step)?;
        let default = start.zip(end).filter(|_| self.upstream == Upstream::Thanos).map(default_step);
        let (Some(start), Some(end), Some(step_ns)) = (start, end, given.or(default)) else {
            // What is absent may be in the form; else, upstreams refuse it.
            let absent =
                [("start", start), ("end", end), ("step", given)].into_iter().find(|(_, given)| given.is_none());
            return match absent.filter(|_| is_whole) {
                Some((name, _)) => Err(Rejection::Value(name, text::quote(b""))),
                None => Ok(Settled::default()),
            };
        };
        let step = step_ns / 1_000_000;
        // Every upstream refuses these, in words of its own.
        if end < start || step_ns <= 0 {
            return Ok(Settled::default());
        }
        if step == 0 {
            return Err(Rejection::Value("step", "less than a millisecond".to_owned()));
        }
        let at = At { step_ns, lookback: self.lookback(asked, step)? };
        let samples = self.reach(query, &at, start, end)?;
        judge::rules(self, queries, Some((start, end)), Some(step), samples, window.now())?;
        let (first, last) = window.evaluations(start, end, samples)?;
        // Query frontends move start and end to multiples of the step before them (`--query-range.align-range-with-step` of Thanos, on
        // by default; `align_queries_with_step` of Cortex and Mimir).
        let past_the_grid = |time: i64| match self.upstream {
            Upstream::Prometheus => 0,
            Upstream::Thanos | Upstream::Cortex => time.rem_euclid(step),
        };
        let moved = past_the_grid(start);
        let left = time::first_step(start.saturating_sub(moved), last.saturating_sub(moved), step, first);
        let Some(new_start) = left.map(|aligned| aligned.saturating_add(moved)) else {
            let (limit, beyond) = window.beyond(start, end);
            return Err(self.nothing_left(limit, beyond));
        };
        let (new_start, new_end) = (new_start.max(start), last.min(end));
        // What stands at a fixed time, or depends on start and end, has not moved along. Where coarser data are asked for once more, the
        // end is wherever the finer ones began.
        let aligned = new_start.saturating_sub(moved);
        let is_auto = asked.source_resolution()? == Some(SourceResolution::Auto);
        let earliest_end = if is_auto { aligned } else { new_end.saturating_sub(past_the_grid(new_end)) };
        let mut reached = (start, end);
        for evaluated in [(new_start, new_end), (aligned, earliest_end)] {
            if evaluated != reached {
                reached = evaluated;
                window.check_reach(self.reach(query, &at, reached.0, reached.1)?)?;
            }
        }
        judge::range(&self.limits, new_start, new_end, step)?;
        Ok(Settled {
            start: (new_start != start).then_some(new_start),
            end: (new_end != end).then_some(new_end),
            step: given.is_none().then_some(step),
        })
    }

    /// Returns `start` and `end` to write, where they are not the client's.
    fn span(
        &self,
        queries: &[Query<'_>],
        asked: &Asked,
        window: &Window,
    ) -> Result<(Option<i64>, Option<i64>), Rejection> {
        const HOUR: i64 = 3_600_000;
        let (start, end) = (asked.instant("start", &asked.start)?, asked.instant("end", &asked.end)?);
        judge::rules(self, queries, start.zip(end), None, start.zip(end), window.now())?;
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            // Prometheus answers `labels` and label values from each block that both lie in (observed with 3.15).
            return match window.earliest() {
                Some(earliest) if end < earliest => {
                    let (limit, beyond) = window.beyond(end, end);
                    Err(self.nothing_left(limit, beyond))
                }
                Some(_) | None => Ok((None, None)),
            };
        }
        let latest = window.latest();
        let new_end = match (end, latest) {
            (Some(end), Some(latest)) => Some(end.min(latest)),
            (end, latest) => end.or(latest),
        };
        let until = new_end.or(window.now());
        let length = self.limits.get(Limit::Length);
        let default = match self.endpoint {
            Endpoint::Search => window.now().map(|now| now.saturating_sub(HOUR)),
            Endpoint::Instant | Endpoint::Range | Endpoint::Span | Endpoint::Now => {
                until.zip(length).map(|(until, length)| until.saturating_sub(length))
            }
        };
        let new_start = match (start.or(default), window.earliest()) {
            (Some(start), Some(earliest)) => Some(start.max(earliest)),
            (start, earliest) => start.or(earliest),
        };
        if let (Some(start), Some(until)) = (new_start, until) {
            if start > until {
                let (limit, beyond) = window.beyond(start, until);
                return Err(self.nothing_left(limit, beyond));
            }
            let asked = until.saturating_sub(start);
            if length.is_some_and(|length| asked > length) {
                return Err(self.over(Limit::Length, asked));
            }
        }
        Ok((new_start.filter(|_| new_start != start), new_end.filter(|_| new_end != end)))
    }

    /// How far back an instant selector looks, and how much older what a sample tells of may be.
    fn lookback(&self, asked: &Asked, step_ms: i64) -> Result<(i64, i64), Rejection> {
        // An upstream that doesn't know the parameter takes its own.
        let own = asked.duration("lookback_delta", &asked.lookback)?.unwrap_or(0) / 1_000_000;
        let lookback = self.lookback_ms.max(own);
        if self.upstream != Upstream::Thanos {
            return Ok((lookback, 0));
        }
        Ok(time::downsampled(lookback, asked.resolution(self.endpoint == Endpoint::Instant, step_ms)?))
    }
}

/// How a query is evaluated, whenever that is.
struct At {
    step_ns: i64,
    /// How far back an instant selector looks, and how much older what a sample tells of may be, in milliseconds.
    lookback: (i64, i64),
}

/// What a range query is given besides what the client says.
#[derive(Default)]
struct Settled {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
}

/// What Thanos takes where there is no step (`parseStep` in pkg/api/query/v1.go, 0.42.5; `--query.default-step` is 1s by default). In
/// nanoseconds; the times in milliseconds.
fn default_step((start, end): (i64, i64)) -> i64 {
    (end.saturating_sub(start) / 1_000 / 250).max(1).saturating_mul(1_000_000_000)
}
