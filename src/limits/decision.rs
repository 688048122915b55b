//! The decision on a request by its tenant's limits. The request's times are not forwarded as they came: they are read, moved to
//! where the limits allow them, and written again.
//!
//! ```text
//! Times::Instant    time                 absent: now is written
//! Times::Range      start, end, step     start moves by whole steps, end to what is allowed
//! Times::Between    start, end           moved to what is allowed; absent: written where a limit bounds it
//! Times::LastHour   start, end           likewise; an absent start is an hour ago
//! Times::Now        none                 the lookback before now is read
//! Times::Message    each query's own     moved to what is allowed: `ranges`
//! Times::Unread     none                 no limit on times applies
//! ```
//!
//! A range query of which no step is left, and selectors with no time left, are answered empty. A query that reaches further than
//! `retention_period` or `max_query_into_future` by itself (by its ranges, offsets and `@`) is refused, and so is an instant query
//! that does.
//!
//! With a form, Go takes a single value from the form, and from the URL where the form has none (`FormValue` in net/http/request.go).
//! So all times, wherever they stood, are written into the form once it is whole. The URL has gone on by then. It is decided on by
//! itself as well, as if no form followed, since an upstream that loses the form may answer what the URL asks for.

use super::bounds;
use super::limit::limit_of;
use super::refusal::{Refusal, Stop};
use super::rules::{Comparisons, RuleInput};
use super::window::{Window, first_step};
use super::{InForce, Limit, Limits, Requested};
use crate::api::parameters::{END, MAX_SOURCE_RESOLUTION, START, STEP, TIME};
use crate::api::{Cap, Empty, Kind, Lookback, Parameter, Profile, Route, SourceResolution, Times};
use crate::go::{form, time};
use crate::promql::{Evaluation, Query};
use crate::tenant::Tenants;
use crate::text;
use std::borrow::Cow;
use std::sync::Arc;

/// What is known of the engine that evaluates queries.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// The kind of upstream.
    pub profile: &'static Profile,
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
}

/// The limits in force for one request.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    pub(super) in_force: InForce,
    route: &'static Route,
    engine: Engine,
    /// The values of [`HEADERS`]; empty where a header is absent, or no rule looks at headers.
    headers: [Vec<u8>; 3],
}

/// Headers that rules compare.
const HEADERS: [&[u8]; 3] = [b"user-agent", b"x-dashboard-uid", b"x-panel-id"];

/// How a query is evaluated, at whatever time.
struct Resolution {
    /// Between two evaluations; 0 for an instant query.
    step_ns: i64,
    lookback: Lookback,
}

/// The times that are written in place of the client's; `None` where the client's stay.
#[derive(Default)]
struct NewTimes {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
}

/// Parsed expressions of a request.
type Queries = [Arc<Query<'static>>];

impl RequestLimits {
    /// The limits on a request of these tenants; `None` where nothing is limited.
    pub fn new(
        limits: &Limits,
        tenants: &Tenants,
        route: &'static Route,
        engine: Engine,
        headers: &[(&[u8], &[u8])],
    ) -> Option<RequestLimits> {
        let in_force = match route.times {
            Times::Instant | Times::Range | Times::Between | Times::LastHour | Times::Now | Times::Message => {
                limits.of(tenants)?
            }
            Times::Unread if route.reads_expressions() => limits.of(tenants)?,
            Times::Unread => return None,
        };
        let compares = !in_force.rejected.is_empty();
        let headers = HEADERS.map(|name| {
            let found = headers.iter().find(|(given, _)| compares && *given == name);
            found.map_or(Vec::new(), |(_, value)| value.to_vec())
        });
        Some(RequestLimits { in_force, route, engine, headers })
    }

    /// What is answered where nothing is left of a request.
    pub fn empty(&self) -> Option<Empty> {
        self.route.empty
    }

    /// Decides on what was requested, and writes the times that were not forwarded. `is_whole`: no form follows.
    ///
    /// # Errors
    /// Why the request is not forwarded.
    pub fn decide(
        &self,
        requested: &mut Requested,
        is_whole: bool,
        now: Option<i64>,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let needs_the_time = self.in_force.need_the_time() && self.route.times != Times::Unread;
        let now = match (needs_the_time, now) {
            (false, _) => None,
            (true, Some(now)) => Some(now),
            (true, None) => return Err(Refusal::NoTime.into()),
        };
        bounds::check_sizes(&self.in_force, requested)?;
        let queries = requested.parse()?;
        let requested = &*requested;
        bounds::check_parts(&self.in_force, &queries)?;
        let window = Window::new(&self.in_force, now);
        match self.route.times {
            Times::Instant => {
                let new = match queries.first() {
                    Some(query) => self.instant(query, &queries, requested, &window)?,
                    None => None,
                };
                write(&TIME, &requested.time, new, out);
            }
            Times::Range => {
                let new = match queries.first() {
                    Some(query) => self.range(query, &queries, requested, is_whole, &window)?,
                    None => NewTimes::default(),
                };
                write(&START, &requested.start, new.start, out);
                write(&END, &requested.end, new.end, out);
                write(&STEP, &None, new.step, out);
            }
            Times::Between => {
                // Without a start, a limit on the length bounds it.
                let length = self.in_force.get(Limit::Length);
                let new = self.between(&queries, requested, &|until| Some(until?.saturating_sub(length?)), &window)?;
                write(&START, &requested.start, new.start, out);
                write(&END, &requested.end, new.end, out);
            }
            Times::LastHour => {
                const HOUR: i64 = 3_600_000;
                let new = self.between(&queries, requested, &|_| Some(now?.saturating_sub(HOUR)), &window)?;
                write(&START, &requested.start, new.start, out);
                write(&END, &requested.end, new.end, out);
            }
            Times::Now => {
                self.check_rules(&queries, None, None, None, now)?;
                let back = self.engine.lookback_ms;
                window.check_reach(now.map(|now| (now.saturating_sub(back).saturating_add(1), now)))?;
            }
            // The URL says nothing of times.
            Times::Message | Times::Unread => {}
        }
        match (&requested.resolution, self.raw_data(requested, &window)?) {
            (_, Some(raw)) => form::append(out, MAX_SOURCE_RESOLUTION.name.as_bytes(), raw.as_bytes()),
            (Some(given), None) => form::append(out, MAX_SOURCE_RESOLUTION.name.as_bytes(), given),
            (None, None) => {}
        }
        for parameter in self.route.parameters {
            if let Kind::Capped(cap) = parameter.kind {
                self.write_cap(parameter, cap, requested.cap(cap), out)?;
            }
        }
        Ok(())
    }

    /// The limits that the upstream is told of, with their values.
    pub fn caps(&self) -> Vec<(Limit, i64)> {
        let caps = self.route.parameters.iter().filter_map(|parameter| match parameter.kind {
            Kind::Capped(cap) => Some(limit_of(cap)),
            _ => None,
        });
        caps.filter_map(|limit| Some((limit, self.in_force.get(limit)?))).collect()
    }

    /// What the upstream is to hold a request to; `None` where no limit says so. A time is in milliseconds.
    pub fn cap(&self, cap: Cap) -> Option<i64> {
        self.in_force.get(limit_of(cap))
    }

    /// Writes the stricter of what the client asks the upstream for and what the tenant's limit is. 0 and less bound nothing, as far as
    /// upstreams read them at all.
    fn write_cap(
        &self,
        parameter: &Parameter,
        cap: Cap,
        given: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let text = match (self.cap(cap), given) {
            (None, None) => return Ok(()),
            (None, Some(given)) => Cow::Borrowed(given),
            (Some(limit), given) => {
                let asked = match given {
                    None | Some(b"") => 0,
                    Some(given) => {
                        read_cap(cap, given).ok_or_else(|| Refusal::Value(parameter.name, text::quote(given)))?
                    }
                };
                let unit = if cap == Cap::Time { 1_000_000 } else { 1 };
                match given {
                    Some(given) if asked > 0 && asked <= limit.saturating_mul(unit) => Cow::Borrowed(given),
                    Some(_) | None => Cow::Owned(write_limit(cap, limit)),
                }
            }
        };
        form::append(out, parameter.name.as_bytes(), &text);
        Ok(())
    }

    /// The resolution to write where a query means raw data and does not say so. What Thanos then reads is up to its flags
    /// (`--query.instant.default.max_source_resolution`, 0s by default, and `--query.auto-downsampling`), so that the query's reach
    /// would not be known.
    fn raw_data(&self, requested: &Requested, window: &Window<'_>) -> Result<Option<&'static str>, Refusal> {
        let Some(downsampling) = &self.engine.profile.downsampling else { return Ok(None) };
        if !requested.has_query() || !window.bounds_the_past() {
            return Ok(None);
        }
        let means_raw_data = match requested.source_resolution()? {
            None => self.route.times == Times::Instant,
            Some(resolution) => resolution == SourceResolution::AtMost(0),
        };
        Ok(means_raw_data.then_some(downsampling.raw))
    }

    fn nothing_left(&self, window: &Window<'_>, limit: Limit, beyond: i64) -> Stop {
        match self.route.empty {
            Some(empty) => Stop::Empty(empty),
            None => window.over(limit, beyond).into(),
        }
    }

    pub(super) fn check_rules(
        &self,
        queries: &Queries,
        range: Option<(i64, i64)>,
        step: Option<i64>,
        samples: Option<(i64, i64)>,
        now: Option<i64>,
    ) -> Result<(), Refusal> {
        let [user_agent, dashboard, panel] = &self.headers;
        let input = RuleInput {
            handler: self.route.handler,
            is_query: self.route.evaluates,
            queries,
            range,
            step,
            samples,
            now: now.unwrap_or(0),
            user_agent,
            dashboard,
            panel,
            comparisons: Comparisons::default(),
        };
        bounds::check_rules(&self.in_force, &input)
    }

    /// The earliest and the latest sample that a query reads. A query that demands too much by itself is refused. `None` where the
    /// query reads nothing, or where no limit depends on its reach: a query whose reach can't be computed is refused only where that
    /// matters.
    fn reach(
        &self,
        query: &Query<'_>,
        resolution: &Resolution,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Option<(i64, i64)>, Refusal> {
        if !self.in_force.need_the_reach() {
            return Ok(None);
        }
        let demand = query.demand(&Evaluation {
            start_ms,
            end_ms,
            step_ns: resolution.step_ns,
            lookback_ms: resolution.lookback.selector_ms,
            subquery_step_ms: self.engine.subquery_step_ms,
            in_parts: self.engine.profile.splits_queries,
        });
        let demand = demand.map_err(|unknown| Refusal::UnknownReach(unknown.0))?;
        bounds::check_demand(&self.in_force, &demand)?;
        Ok(demand.samples.map(|(from, to)| (from.saturating_sub(resolution.lookback.window_ms), to)))
    }

    /// Returns the `time` to write, where the client's does not stay.
    fn instant(
        &self,
        query: &Query<'_>,
        queries: &Queries,
        requested: &Requested,
        window: &Window<'_>,
    ) -> Result<Option<i64>, Stop> {
        let given = Requested::instant(&TIME, &requested.time)?;
        let at = given.or(window.now()).unwrap_or(0);
        let resolution = Resolution { step_ns: 0, lookback: self.lookback(requested, None)? };
        let samples = self.reach(query, &resolution, at, at)?;
        self.check_rules(queries, None, None, samples, window.now())?;
        if let Some((limit, beyond)) = window.outside(at) {
            return Err(match self.nothing_left(window, limit, beyond) {
                Stop::Empty(_) if query.is_range() => Stop::Empty(Empty::Matrix),
                stop => stop,
            });
        }
        window.check_reach(samples)?;
        Ok(if given.is_none() { window.now() } else { None })
    }

    fn range(
        &self,
        query: &Query<'_>,
        queries: &Queries,
        requested: &Requested,
        is_whole: bool,
        window: &Window<'_>,
    ) -> Result<NewTimes, Stop> {
        let start = Requested::instant(&START, &requested.start)?;
        let end = Requested::instant(&END, &requested.end)?;
        let given = Requested::duration(&STEP, &requested.step)?;
        let default = start.zip(end).zip(self.engine.profile.default_step);
        let default = default.map(|((start, end), step)| step.nanoseconds(start, end));
        let (Some(start), Some(end), Some(step_ns)) = (start, end, given.or(default)) else {
            // A time that is absent here may stand in the form; otherwise upstreams refuse the query.
            let all = [(&START, start), (&END, end), (&STEP, given)];
            return match all.into_iter().find(|(_, given)| given.is_none()).filter(|_| is_whole) {
                Some((parameter, _)) => Err(Refusal::Value(parameter.name, text::quote(b"")).into()),
                None => Ok(NewTimes::default()),
            };
        };
        let step = step_ns / 1_000_000;
        // Every upstream refuses these, in words of its own.
        if end < start || step_ns <= 0 {
            return Ok(NewTimes::default());
        }
        if step == 0 {
            return Err(
                Refusal::Value(STEP.name, "less than a millisecond: use a step of 1ms or more".to_owned()).into()
            );
        }
        let resolution = Resolution { step_ns, lookback: self.lookback(requested, Some(step))? };
        let samples = self.reach(query, &resolution, start, end)?;
        self.check_rules(queries, Some((start, end)), Some(step), samples, window.now())?;
        let (first, last) = window.evaluations(start, end, samples)?;
        let past_the_grid = |time: i64| if self.engine.profile.aligns_to_step { time.rem_euclid(step) } else { 0 };
        let moved = past_the_grid(start);
        let left = first_step(start.saturating_sub(moved), last.saturating_sub(moved), step, first);
        let Some(new_start) = left.map(|aligned| aligned.saturating_add(moved)) else {
            let (limit, beyond) = window.beyond(start, end);
            return Err(self.nothing_left(window, limit, beyond));
        };
        let (new_start, new_end) = (new_start.max(start), last.min(end));
        // Selectors at a fixed time, and those that depend on start and end, did not move by as much. Where a query frontend asks once
        // more for coarser data, the end is wherever the finer ones began.
        let aligned = new_start.saturating_sub(moved);
        let is_auto = requested.source_resolution()? == Some(SourceResolution::Auto);
        let earliest_end = if is_auto { aligned } else { new_end.saturating_sub(past_the_grid(new_end)) };
        let mut reached = (start, end);
        for evaluated in [(new_start, new_end), (aligned, earliest_end)] {
            if evaluated != reached {
                reached = evaluated;
                window.check_reach(self.reach(query, &resolution, reached.0, reached.1)?)?;
            }
        }
        bounds::check_range(&self.in_force, new_start, new_end, step)?;
        Ok(NewTimes {
            start: (new_start != start).then_some(new_start),
            end: (new_end != end).then_some(new_end),
            step: given.is_none().then_some(step),
        })
    }

    /// `default_start`: the start of a request that has none, by its end.
    fn between(
        &self,
        queries: &Queries,
        requested: &Requested,
        default_start: &dyn Fn(Option<i64>) -> Option<i64>,
        window: &Window<'_>,
    ) -> Result<NewTimes, Stop> {
        let start = Requested::instant(&START, &requested.start)?;
        let end = Requested::instant(&END, &requested.end)?;
        self.check_rules(queries, start.zip(end), None, start.zip(end), window.now())?;
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            // Prometheus answers `labels` and label values from each block that both lie in (observed with 3.15).
            return match window.earliest() {
                Some(earliest) if end < earliest => {
                    let (limit, beyond) = window.beyond(end, end);
                    Err(self.nothing_left(window, limit, beyond))
                }
                Some(_) | None => Ok(NewTimes::default()),
            };
        }
        let latest = window.latest();
        let new_end = match (end, latest) {
            (Some(end), Some(latest)) => Some(end.min(latest)),
            (end, latest) => end.or(latest),
        };
        let until = new_end.or(window.now());
        let new_start = match (start.or_else(|| default_start(until)), window.earliest()) {
            (Some(start), Some(earliest)) => Some(start.max(earliest)),
            (start, earliest) => start.or(earliest),
        };
        if let (Some(start), Some(until)) = (new_start, until) {
            if start > until {
                let (limit, beyond) = window.beyond(start, until);
                return Err(self.nothing_left(window, limit, beyond));
            }
            let asked = until.saturating_sub(start);
            if self.in_force.get(Limit::Length).is_some_and(|length| asked > length) {
                return Err(window.over(Limit::Length, asked).into());
            }
        }
        Ok(NewTimes {
            start: new_start.filter(|_| new_start != start),
            end: new_end.filter(|_| new_end != end),
            step: None,
        })
    }

    /// How far back a query looks. `step_ms`: of a range query.
    fn lookback(&self, requested: &Requested, step_ms: Option<i64>) -> Result<Lookback, Refusal> {
        // An upstream that doesn't know the parameter takes its own.
        let selector_ms = self.engine.lookback_ms.max(requested.lookback_ms()?);
        Ok(match &self.engine.profile.downsampling {
            None => Lookback { selector_ms, window_ms: 0 },
            Some(downsampling) => {
                let coarsest = downsampling.coarsest(requested.source_resolution()?, step_ms);
                downsampling.lookback(selector_ms, coarsest)
            }
        })
    }
}

/// Writes a time: the new one, or else what the client gave.
fn write(parameter: &Parameter, given: &Option<Vec<u8>>, new: Option<i64>, out: &mut Vec<u8>) {
    match (given, new) {
        (_, Some(milliseconds)) => {
            let mut text = Vec::new();
            time::write(milliseconds, &mut text);
            form::append(out, parameter.name.as_bytes(), &text);
        }
        (Some(given), None) => form::append(out, parameter.name.as_bytes(), given),
        (None, None) => {}
    }
}

/// What a client asks the upstream to be held to: nanoseconds, or a count. What is more than fits is the most that fits.
fn read_cap(cap: Cap, text: &[u8]) -> Option<i64> {
    if cap == Cap::Time {
        return time::duration(text);
    }
    if let Some(digits) = text.strip_prefix(b"-") {
        return digits.iter().all(u8::is_ascii_digit).then_some(0);
    }
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| {
        digits.iter().fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
    })
}

fn write_limit(cap: Cap, limit: i64) -> Vec<u8> {
    let mut text = Vec::new();
    match cap {
        Cap::Time => time::write(limit, &mut text),
        Cap::Items | Cap::Series | Cap::Samples => text.extend_from_slice(limit.to_string().as_bytes()),
    }
    text
}
