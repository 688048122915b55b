//! The stats of one worker, on their way to the host.
//!
//! Each stat that changes would be a host call, several for each request. So what a request adds is gathered, and handed over once a
//! second ([`Ledger::tick`]): under load, a request then costs no call but that of its duration. The first requests after a tick are
//! handed over at once, so that a quiet proxy's stats are never late. A VM that traps loses what it has gathered since: at most a
//! second's.
//!
//! The numbers that the host gives to stats are asked for once a worker, when a series is first needed; what never happens costs nothing.
//! They outlive the configuration, as the VM does (observed with Envoy 1.40.0). Nothing here can fail a request: a stat that the host
//! does not take is lost.

use super::dry_run::Verdict;
use super::record::Summary;
use crate::config::Config;
use crate::stats::{
    self, ALERTS, DRY_RUN, DRY_RUN_REFUSED, DURATION, IN_FLIGHT, Naming, OTHER, PEAK_SAMPLES, REFUSED, REQUEST_BYTES,
    REQUESTS, RESPONSE_BYTES, SAMPLES, SELECTORS, Stat, StatType, UNREADABLE, WITHHELD,
};
use crate::tenant::is_joined;
use crate::workers::{Number, Roster, Store, in_flight};

/// How often [`Ledger::tick`] has to be called.
pub const TICK_MILLISECONDS: u32 = 1_000;
/// How many requests are handed over at once after a tick.
const AT_ONCE: u32 = 16;
/// An idle worker looks after the gauge of requests in flight once in so many ticks, for workers that died.
const IDLE_TICKS: u32 = 2;

/// What an adapter does with one stat.
pub struct Metric<'m> {
    /// Its kind.
    pub kind: StatType,
    /// Its name, for a stat that the host has no number for yet.
    pub name: &'m dyn Fn() -> String,
    /// The host's number for it: asked for and kept by the adapter.
    pub id: &'m mut Option<u32>,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It grows by so much; by 0, it is only made.
    Grows(u64),
    /// A gauge is so much, or a histogram is given so much.
    Is(u64),
}

/// Hands one stat over to the host, and says whether it took it.
pub type Meter<'m> = &'m mut dyn FnMut(Metric<'_>) -> bool;

/// A tenant's and handler's series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesId(usize);

/// One worker's stats.
#[derive(Debug, Default)]
pub struct Ledger {
    roster: Roster,
    /// Sorted by tenant.
    tenants: Vec<Tenant>,
    /// Never shorter: exchanges hold places in it.
    series: Vec<Series>,
    /// Those with something to hand over, or requests in flight.
    listed: Vec<usize>,
    /// How many requests since the last tick were handed over at once.
    handed_over: u32,
    idle_ticks: u32,
    has_ticked: bool,
    gauges: Vec<Gauge>,
}

#[derive(Debug)]
struct Tenant {
    id: Box<str>,
    /// The series of each handler and naming: a few.
    handlers: Vec<(&'static str, Naming, usize)>,
}

/// What one tenant's requests of one handler add up to.
#[derive(Debug)]
struct Series {
    naming: Naming,
    scope: Box<str>,
    is_listed: bool,
    in_flight: u32,
    stats: Vec<Pending>,
}

/// A stat that this worker has used, in one series.
#[derive(Debug)]
struct Pending {
    stat: &'static Stat,
    /// The value of the stat's own tag.
    tag: &'static str,
    id: Option<u32>,
    value: u64,
}

/// Requests in flight, summed over workers.
#[derive(Debug)]
struct Gauge {
    name: Box<str>,
    id: Option<u32>,
    /// What this worker has set it to, as far as it knows.
    set: u64,
    sum: u64,
}

/// A worker does not know what a gauge stands at that it has not set: another one may have died since.
const UNKNOWN: u64 = u64::MAX;

impl Ledger {
    /// Notes that a request has begun.
    pub fn begin<S: Store>(
        &mut self,
        config: &Config,
        store: &mut S,
        tenant: Option<&str>,
        handler: &'static str,
        meter: Meter<'_>,
    ) -> SeriesId {
        let at = self.series_of(config, store, tenant, handler, meter);
        if let Some(series) = self.series.get_mut(at) {
            series.in_flight = series.in_flight.saturating_add(1);
        }
        self.list(at);
        SeriesId(at)
    }

    /// Counts alerts that were sent to a tenant's Alertmanager, or were not. They are handed over at the next tick.
    pub fn count_alerts<S: Store>(
        &mut self,
        config: &Config,
        store: &mut S,
        (tenant, handler): (Option<&str>, &'static str),
        (result, count): (&'static str, u32),
        meter: Meter<'_>,
    ) {
        let at = self.series_of(config, store, tenant, handler, meter);
        if let Some(series) = self.series.get_mut(at) {
            series.add(&ALERTS, result, u64::from(count));
        }
        self.list(at);
    }

    /// The place of the series of a tenant and handler.
    fn series_of<S: Store>(
        &mut self,
        config: &Config,
        store: &mut S,
        tenant: Option<&str>,
        handler: &'static str,
        meter: Meter<'_>,
    ) -> usize {
        let named = tenant.filter(|id| {
            let (is_named, max) = (config.is_named(id), config.stats().max_tenants);
            self.roster.admits(store, id, is_named, max)
        });
        self.count_tenants(meter);
        let (naming, separator) = (config.stats().tags, config.stats().separator);
        match named {
            Some(several) if is_joined(several) => self.find(naming, &several.replace('|', separator), handler),
            one => self.find(naming, one.unwrap_or(OTHER), handler),
        }
    }

    /// Notes that it has ended, and what it adds.
    pub fn end(&mut self, SeriesId(at): SeriesId, summary: &Summary, meter: Meter<'_>) {
        let Some(series) = self.series.get_mut(at) else { return };
        series.in_flight = series.in_flight.saturating_sub(1);
        series.count(summary, meter);
        if self.handed_over < AT_ONCE {
            self.handed_over += 1;
            series.hand_over(meter);
        }
        self.list(at);
    }

    /// Hands over what was gathered, and sets the gauges to what all workers have in flight. `now`: nanoseconds since 1970;
    /// without a clock, the gauges stay as they are.
    pub fn tick<S: Store>(&mut self, store: &mut S, number: &mut Number, now: Option<u64>, meter: Meter<'_>) {
        self.handed_over = 0;
        let series = &mut self.series;
        self.listed.retain(|&at| {
            let Some(series) = series.get_mut(at) else { return false };
            series.hand_over(meter);
            series.is_listed = series.in_flight > 0;
            series.is_listed
        });
        if let Some(now) = now {
            self.count_in_flight(store, number, now, meter);
        }
    }

    fn find(&mut self, naming: Naming, id: &str, handler: &'static str) -> usize {
        let at = match self.tenants.binary_search_by(|tenant| (*tenant.id).cmp(id)) {
            Ok(at) => at,
            Err(at) => {
                self.tenants.insert(at, Tenant { id: id.into(), handlers: Vec::new() });
                at
            }
        };
        let new = self.series.len();
        let Some(tenant) = self.tenants.get_mut(at) else { return new };
        let found = tenant.handlers.iter().find(|(name, other, _)| *name == handler && *other == naming);
        if let Some((_, _, series)) = found {
            return *series;
        }
        tenant.handlers.push((handler, naming, new));
        let scope = stats::scope(naming, id, handler).into();
        let mut series = Series { naming, scope, is_listed: false, in_flight: 0, stats: Vec::new() };
        // From the first request on, not only once one is long enough to be seen by a tick.
        series.add(&IN_FLIGHT, "", 0);
        self.series.push(series);
        new
    }

    fn list(&mut self, at: usize) {
        if let Some(series) = self.series.get_mut(at)
            && !std::mem::replace(&mut series.is_listed, true)
        {
            self.listed.push(at);
        }
    }

    /// The worker that takes a seat has read all of them; the others may know fewer.
    fn count_tenants(&mut self, meter: Meter<'_>) {
        if self.roster.took_a_seat() {
            let name = || stats::TENANTS.name.to_owned();
            let change = Change::Is(u64::from(self.roster.taken()));
            meter(Metric { kind: stats::TENANTS.kind, name: &name, id: &mut None, change });
        }
    }

    fn count_in_flight<S: Store>(&mut self, store: &mut S, number: &mut Number, now: u64, meter: Meter<'_>) {
        let is_idle = self.has_ticked && self.listed.is_empty() && self.gauges.iter().all(|gauge| gauge.set == 0);
        self.has_ticked = true;
        self.idle_ticks = if is_idle { self.idle_ticks.saturating_add(1) } else { 0 };
        if is_idle && self.idle_ticks < IDLE_TICKS {
            return;
        }
        self.idle_ticks = 0;
        let listed = self.listed.iter().filter_map(|&at| self.series.get(at));
        let own: Vec<(String, u32)> = listed
            .map(|series| (stats::series(series.naming, &IN_FLIGHT, "", &series.scope), series.in_flight))
            .collect();
        let entries = own.iter().map(|(name, in_flight)| (name.as_str(), *in_flight)).collect();
        let gauges = &mut self.gauges;
        let before: Vec<u64> = gauges.iter_mut().map(|gauge| std::mem::take(&mut gauge.sum)).collect();
        let shared = in_flight::share(store, number, entries, now, &mut |name, count| add(gauges, name, count));
        if shared.is_err() {
            gauges.iter_mut().zip(before).for_each(|(gauge, sum)| gauge.sum = sum);
        }
        for gauge in &mut self.gauges {
            // Another worker may have set it since.
            if gauge.set != gauge.sum || gauge.sum > 0 {
                let name = || gauge.name.to_string();
                if meter(Metric {
                    kind: StatType::Gauge,
                    name: &name,
                    id: &mut gauge.id,
                    change: Change::Is(gauge.sum),
                }) {
                    gauge.set = gauge.sum;
                }
            }
        }
    }
}

fn add(gauges: &mut Vec<Gauge>, name: &str, count: u32) {
    let at = match gauges.binary_search_by(|gauge| (*gauge.name).cmp(name)) {
        Ok(at) => at,
        Err(at) => {
            gauges.insert(at, Gauge { name: name.into(), id: None, set: UNKNOWN, sum: 0 });
            at
        }
    };
    if let Some(gauge) = gauges.get_mut(at) {
        gauge.sum = gauge.sum.saturating_add(u64::from(count));
    }
}

impl Series {
    /// Adds what one exchange was.
    fn count(&mut self, summary: &Summary, meter: Meter<'_>) {
        self.add(&REQUESTS, stats::class(summary.status), 1);
        if let Some(reason) = summary.refused {
            self.add(&REFUSED, reason, 1);
        }
        if let Some(verdict) = summary.dry_run {
            self.add(&DRY_RUN, verdict.name(), 1);
            if let Verdict::Refused(reason) = verdict {
                self.add(&DRY_RUN_REFUSED, reason, 1);
            }
        }
        if let Some(reason) = summary.unreadable {
            self.add(&UNREADABLE, reason, 1);
        }
        for (stat, by) in [
            (&REQUEST_BYTES, summary.request_bytes),
            (&RESPONSE_BYTES, summary.answer_bytes),
            (&SELECTORS, u64::from(summary.selectors)),
            (&WITHHELD, u64::from(summary.withheld)),
            (&SAMPLES, summary.samples.total.unwrap_or(0)),
        ] {
            if by > 0 {
                self.add(stat, "", by);
            }
        }
        self.observe(&DURATION, summary.milliseconds, meter);
        if let Some(peak) = summary.samples.peak {
            self.observe(&PEAK_SAMPLES, peak, meter);
        }
    }

    fn add(&mut self, stat: &'static Stat, tag: &'static str, by: u64) {
        if let Some(pending) = place(&mut self.stats, stat, tag) {
            pending.value = pending.value.saturating_add(by);
        }
    }

    /// Gives a value to a histogram: a host call for each, since the host adds them up itself.
    fn observe(&mut self, stat: &'static Stat, value: u64, meter: Meter<'_>) {
        let (naming, scope) = (self.naming, &self.scope);
        if let Some(pending) = place(&mut self.stats, stat, "") {
            let name = || stats::series(naming, stat, "", scope);
            meter(Metric { kind: stat.kind, name: &name, id: &mut pending.id, change: Change::Is(value) });
        }
    }

    fn hand_over(&mut self, meter: Meter<'_>) {
        let (naming, scope) = (self.naming, &self.scope);
        for pending in &mut self.stats {
            let is_new = pending.id.is_none();
            if pending.stat.kind == StatType::Histogram || (pending.value == 0 && !is_new) {
                continue;
            }
            let (stat, tag) = (pending.stat, pending.tag);
            let name = || stats::series(naming, stat, tag, scope);
            let change = Change::Grows(std::mem::take(&mut pending.value));
            meter(Metric { kind: stat.kind, name: &name, id: &mut pending.id, change });
        }
    }
}

fn place<'p>(known: &'p mut Vec<Pending>, stat: &'static Stat, tag: &'static str) -> Option<&'p mut Pending> {
    let found = known.iter().position(|known| std::ptr::eq(known.stat, stat) && known.tag == tag);
    let at = found.unwrap_or(known.len());
    if found.is_none() {
        known.push(Pending { stat, tag, id: None, value: 0 });
    }
    known.get_mut(at)
}
