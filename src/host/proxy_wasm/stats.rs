//! The stats, on their way to the proxy.
//!
//! Each stat that changes would be a host call, several for each request. So what a request adds is gathered in the VM, and
//! handed over once a second (`tick`): under load, a request then costs no call but that of its duration. The first
//! requests after a tick are handed over at once, so that a quiet proxy's stats are never late. A VM that traps loses
//! what it has gathered since: at most a second's.
//!
//! The numbers that the proxy gives to stats are asked for once a VM, when a series is first needed; what never happens
//! costs nothing. They outlive the configuration, as the VM does (observed with Envoy 1.40.0). Nothing here can fail a
//! request: a stat that the host does not take is lost.

use super::calls;
use crate::config::Config;
use crate::stats::{self, Kind, Naming, OTHER, Stat};
use crate::workers::in_flight::{self, Vm};
use crate::workers::{Roster, Seat};
use std::cell::RefCell;

/// How often `tick` is called.
pub const TICK_MILLISECONDS: u32 = 1_000;
/// How many requests are handed over at once after a tick.
const AT_ONCE: u32 = 16;
/// An idle VM looks after the gauge of requests in flight once in so many ticks, for VMs that died.
const IDLE_TICKS: u32 = 10;
/// Attempts where other workers are at the same.
const ATTEMPTS: u32 = 4;
/// More seats than can be taken: a host that lies ends the search.
const MOST_SEATS: u32 = 1 << 20;

const IN_FLIGHT: &str = "tenancy_in_flight";
const VMS: &str = "tenancy_vms";

thread_local! {
    static STATS: RefCell<Stats> = const { RefCell::new(Stats::new()) };
}

/// A tenant's and handler's series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesId(usize);

/// Notes that a request has begun.
pub fn begin(config: &Config, tenant: Option<&str>, handler: &'static str) -> Option<SeriesId> {
    with(|stats| {
        let id = stats.find(config, tenant, handler);
        if let Some(series) = stats.series.get_mut(id) {
            series.in_flight = series.in_flight.saturating_add(1);
            stats.list(id);
        }
        SeriesId(id)
    })
}

/// Notes that it has ended, and what it adds.
pub fn end(SeriesId(id): SeriesId, add: impl FnOnce(&mut Series)) {
    with(|stats| {
        let Some(series) = stats.series.get_mut(id) else {
            return;
        };
        series.in_flight = series.in_flight.saturating_sub(1);
        add(series);
        if let Some(left) = stats.at_once.checked_sub(1) {
            stats.at_once = left;
            series.hand_over();
        }
        stats.list(id);
    });
}

/// Hands over what was gathered.
pub fn tick() {
    with(|stats| {
        stats.at_once = AT_ONCE;
        stats.hand_over();
        stats.count_in_flight();
    });
}

/// `None` where the host calls us from within a host call, which none does.
fn with<R>(work: impl FnOnce(&mut Stats) -> R) -> Option<R> {
    STATS.with(|stats| stats.try_borrow_mut().ok().map(|mut stats| work(&mut stats)))
}

/// One VM's stats.
struct Stats {
    roster: Roster,
    /// Sorted by tenant.
    tenants: Vec<Tenant>,
    /// Never shorter: streams hold places in it.
    series: Vec<Series>,
    /// Those with something to hand over, or requests in flight.
    listed: Vec<usize>,
    at_once: u32,
    /// This VM's number; 0 before it has one.
    vm: u32,
    idle_ticks: u32,
    gauges: Vec<Gauge>,
}

struct Tenant {
    id: Box<str>,
    /// The series of each handler and naming: a few.
    handlers: Vec<(&'static str, Naming, usize)>,
}

/// What one tenant's requests of one handler add up to.
pub struct Series {
    naming: Naming,
    scope: Box<str>,
    is_listed: bool,
    in_flight: u32,
    stats: Vec<Defined>,
}

/// A stat that this VM has used, in one series.
struct Defined {
    stat: &'static Stat,
    value: &'static str,
    /// The host's number for it, once there is one.
    id: Option<u32>,
    pending: u64,
}

/// Requests in flight, summed over workers.
struct Gauge {
    name: Box<str>,
    id: Option<u32>,
    set: u64,
    sum: u64,
}

impl Stats {
    const fn new() -> Self {
        Stats {
            roster: Roster::new(),
            tenants: Vec::new(),
            series: Vec::new(),
            listed: Vec::new(),
            at_once: AT_ONCE,
            vm: 0,
            idle_ticks: IDLE_TICKS,
            gauges: Vec::new(),
        }
    }

    fn find(&mut self, config: &Config, tenant: Option<&str>, handler: &'static str) -> usize {
        let naming = config.stats().tags;
        let id = tenant.filter(|id| self.admits(config, id)).unwrap_or(OTHER);
        let at = match self.tenants.binary_search_by(|tenant| (*tenant.id).cmp(id)) {
            Ok(at) => at,
            Err(at) => {
                self.tenants.insert(at, Tenant { id: id.into(), handlers: Vec::new() });
                at
            }
        };
        let new = self.series.len();
        let Some(tenant) = self.tenants.get_mut(at) else {
            return new;
        };
        let found = tenant.handlers.iter().find(|(name, other, _)| *name == handler && *other == naming);
        if let Some((_, _, series)) = found {
            return *series;
        }
        tenant.handlers.push((handler, naming, new));
        let scope = stats::scope(naming, id, handler).into();
        let mut series = Series { naming, scope, is_listed: false, in_flight: 0, stats: Vec::new() };
        // From the first request on, not only once one is long enough to be seen by a tick.
        series.add(&stats::IN_FLIGHT, "", 0);
        self.series.push(series);
        new
    }

    /// Whether the tenant has series of its own; takes a seat for it where it may have one.
    fn admits(&mut self, config: &Config, id: &str) -> bool {
        let is_named = config.is_named(id);
        let mut attempts = 0..ATTEMPTS;
        for _ in 0..MOST_SEATS {
            let seat = match self.roster.look_up(id, is_named, config.stats().max_tenants) {
                Seat::Own => return true,
                Seat::Other => return false,
                Seat::Ask(seat) => seat,
            };
            let key = numbered("tenancy_tenant_", seat);
            match calls::shared_data(&key) {
                Ok(Some((entry, _))) => self.roster.note(&entry),
                Ok(None) => {
                    let entry = Roster::entry(id, is_named);
                    match calls::set_shared_data(&key, &entry, u32::MAX) {
                        Ok(true) => {
                            self.roster.note(&entry);
                            set_tenants(self.roster.taken());
                        }
                        // Another worker was faster: read again.
                        Ok(false) if attempts.next().is_some() => {}
                        Ok(false) => return false,
                        Err(_) => return false,
                    }
                }
                Err(_) => return false,
            }
        }
        false
    }

    fn list(&mut self, id: usize) {
        if let Some(series) = self.series.get_mut(id)
            && !std::mem::replace(&mut series.is_listed, true)
        {
            self.listed.push(id);
        }
    }

    fn hand_over(&mut self) {
        let series = &mut self.series;
        self.listed.retain(|&id| {
            let Some(series) = series.get_mut(id) else {
                return false;
            };
            series.hand_over();
            series.is_listed = series.in_flight > 0;
            series.is_listed
        });
    }

    /// Writes down what this VM has in flight, and sets the gauges to what all have.
    fn count_in_flight(&mut self) {
        let is_idle = self.listed.is_empty() && self.gauges.iter().all(|gauge| gauge.set == 0);
        self.idle_ticks = if is_idle { self.idle_ticks.saturating_add(1) } else { 0 };
        if is_idle && self.idle_ticks < IDLE_TICKS {
            return;
        }
        self.idle_ticks = 0;
        if self.vm == 0 {
            self.vm = next_vm().unwrap_or(0);
        }
        if self.vm > 0 {
            for _ in 0..ATTEMPTS {
                if let Some(true) = self.share_in_flight() {
                    break;
                }
            }
        }
        for gauge in &mut self.gauges {
            gauge.update();
        }
    }

    /// `Some(false)`: another worker was faster.
    fn share_in_flight(&mut self) -> Option<bool> {
        let (before, version) = calls::shared_data(IN_FLIGHT).ok()?.unwrap_or((Vec::new(), u32::MAX));
        let mut vms = in_flight::read(&before);
        let mut own = Vm { number: self.vm, time: calls::now(), entries: Vec::new() };
        let names: Vec<(String, u32)> = self
            .listed
            .iter()
            .filter_map(|&id| self.series.get(id))
            .map(|series| (stats::series(series.naming, &stats::IN_FLIGHT, "", &series.scope), series.in_flight))
            .collect();
        own.entries = names.iter().map(|(name, in_flight)| (name.as_str(), *in_flight)).collect();
        in_flight::replace(&mut vms, own);
        let after = in_flight::write(&vms);
        if after != before && !calls::set_shared_data(IN_FLIGHT, &after, version).ok()? {
            return Some(false);
        }
        for gauge in &mut self.gauges {
            gauge.sum = 0;
        }
        for &(name, in_flight) in vms.iter().flat_map(|vm| &vm.entries) {
            let at = match self.gauges.binary_search_by(|gauge| (*gauge.name).cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    self.gauges.insert(at, Gauge { name: name.into(), id: None, set: 0, sum: 0 });
                    at
                }
            };
            if let Some(gauge) = self.gauges.get_mut(at) {
                gauge.sum = gauge.sum.saturating_add(u64::from(in_flight));
            }
        }
        Some(true)
    }
}

impl Series {
    /// Adds to a counter, which has this value of its own tag.
    pub fn add(&mut self, stat: &'static Stat, value: &'static str, by: u64) {
        if let Some(defined) = place(&mut self.stats, stat, value) {
            defined.pending = defined.pending.saturating_add(by);
        }
    }

    /// Gives a value to a histogram: a host call for each, since the host adds them up itself.
    pub fn record(&mut self, stat: &'static Stat, value: u64) {
        let id = place(&mut self.stats, stat, "").and_then(|defined| defined.id(self.naming, &self.scope));
        if let Some(id) = id {
            let _lost = calls::record_metric(id, value);
        }
    }

    fn hand_over(&mut self) {
        for defined in &mut self.stats {
            let is_new = defined.id.is_none();
            if defined.stat.kind == Kind::Histogram || (defined.pending == 0 && !is_new) {
                continue;
            }
            if let Some(id) = defined.id(self.naming, &self.scope) {
                let by = i64::try_from(std::mem::take(&mut defined.pending)).unwrap_or(i64::MAX);
                let _lost = calls::increment_metric(id, by);
            }
        }
    }
}

fn place<'d>(known: &'d mut Vec<Defined>, stat: &'static Stat, value: &'static str) -> Option<&'d mut Defined> {
    let found = known.iter().position(|known| std::ptr::eq(known.stat, stat) && known.value == value);
    let at = found.unwrap_or(known.len());
    if found.is_none() {
        known.push(Defined { stat, value, id: None, pending: 0 });
    }
    known.get_mut(at)
}

impl Defined {
    fn id(&mut self, naming: Naming, scope: &str) -> Option<u32> {
        if self.id.is_none() {
            let name = stats::series(naming, self.stat, self.value, scope);
            self.id = calls::define_metric(self.stat.kind, &name).ok();
        }
        self.id
    }
}

impl Gauge {
    fn update(&mut self) {
        if self.set == self.sum {
            return;
        }
        if self.id.is_none() {
            self.id = calls::define_metric(Kind::Gauge, &self.name).ok();
        }
        if let Some(id) = self.id
            && calls::record_metric(id, self.sum).is_ok()
        {
            self.set = self.sum;
        }
    }
}

fn set_tenants(count: u32) {
    if let Ok(id) = calls::define_metric(stats::TENANTS.kind, stats::TENANTS.name) {
        let _lost = calls::record_metric(id, u64::from(count));
    }
}

/// A number that no other VM of this proxy has had.
fn next_vm() -> Option<u32> {
    for _ in 0..ATTEMPTS {
        let (last, version) = calls::shared_data(VMS).ok()?.unwrap_or((Vec::new(), u32::MAX));
        let last = last.first_chunk::<4>().map_or(0, |last| u32::from_le_bytes(*last));
        let next = last.wrapping_add(1).max(1);
        if calls::set_shared_data(VMS, &next.to_le_bytes(), version).ok()? {
            return Some(next);
        }
    }
    None
}

/// A key with a number, in as little code as can be.
pub fn numbered(name: &str, mut number: u32) -> String {
    let mut key = String::from(name);
    // The digits from the last to the first: a name like any other.
    loop {
        key.push(char::from_digit(number % 16, 16).unwrap_or('-'));
        number /= 16;
        if number == 0 {
            return key;
        }
    }
}
