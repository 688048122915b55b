//! What all exchanges of this VM share. A VM survives a change of its configuration, and so does this.

use super::calls;
use crate::exchange::{Change, Fault, HostError, Ledger, Metric, SeriesId, Summary, Worker};
use crate::stats::StatType;
use crate::workers::leases::{Grant, Leases, Wanted};
use crate::workers::{Number, Store};
use proxy_wasm::types::MetricType;
use std::cell::RefCell;

#[derive(Default)]
struct Local {
    number: Number,
    leases: Leases,
    ledger: Ledger,
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

/// `None` where the host calls back from within a host call, which no host does.
fn with<R>(work: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.try_with(|local| local.try_borrow_mut().ok().map(|mut local| work(&mut local))).ok()?
}

/// Notes that a request has begun.
pub fn begin(worker: &Worker, tenant: Option<&str>, handler: &'static str) -> Option<SeriesId> {
    let config = worker.config()?;
    with(|local| local.ledger.begin(config, &mut Shared, tenant, handler, &mut meter))
}

/// Counts alerts that were sent to a tenant's Alertmanager, or were not.
pub fn count_alerts(worker: &Worker, tenant: Option<&str>, result: &'static str, count: u32) {
    let Some(config) = worker.config() else { return };
    let series = (tenant, "alerts");
    with(|local| local.ledger.count_alerts(config, &mut Shared, series, (result, count), &mut meter));
}

/// Notes that it has ended.
pub fn end(series: SeriesId, summary: &Summary) {
    with(|local| local.ledger.end(series, summary, &mut meter));
}

/// Counts one more query of each tenant, where so many may run.
pub fn take(wanted: &[Wanted]) -> Result<Grant, HostError> {
    let now = calls::now()?;
    let taken = with(|Local { leases, number, .. }| leases.take(&mut Shared, number, wanted, now));
    taken.unwrap_or(Err(HostError { call: "a lease", fault: Fault::Order }))
}

/// One query of each tenant has ended.
pub fn release(wanted: &[Wanted]) {
    let now = calls::now().ok();
    with(|Local { leases, number, .. }| leases.release(&mut Shared, number, wanted, now));
}

/// Once a second. Without a clock nothing is shared: it would look as if it belonged to a worker that died.
pub fn tick() {
    let now = calls::now().ok();
    with(|Local { leases, number, ledger }| {
        ledger.tick(&mut Shared, number, now, &mut meter);
        if let Some(now) = now {
            leases.renew(&mut Shared, number, now);
        }
    });
}

/// The host's shared data.
pub struct Shared;

impl Store for Shared {
    type Error = HostError;

    fn read(&mut self, key: &str) -> Result<(Vec<u8>, Option<u32>), HostError> {
        let held = calls::shared_data(key)?;
        Ok(held.map_or((Vec::new(), None), |(value, version)| (value, Some(version))))
    }

    fn write(&mut self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
        // A version that none can have sets the value only where there is none: the host compares versions where there is a value, and
        // does nothing else (`SharedData::set` in proxy-wasm-cpp-host's src/shared_data.cc).
        calls::set_shared_data(key, value, version.unwrap_or(u32::MAX))
    }

    fn contended(&self) -> HostError {
        HostError { call: "proxy_set_shared_data", fault: Fault::Contended }
    }
}

/// Hands one stat over to the host.
pub fn meter(metric: Metric<'_>) -> bool {
    let kind = match metric.kind {
        StatType::Counter => MetricType::Counter,
        StatType::Gauge => MetricType::Gauge,
        StatType::Histogram => MetricType::Histogram,
    };
    if metric.id.is_none() {
        *metric.id = calls::define_metric(kind, &(metric.name)()).ok();
    }
    let Some(id) = *metric.id else { return false };
    match metric.change {
        Change::Grows(by) => calls::increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX)).is_ok(),
        Change::Is(value) => calls::record_metric(id, value).is_ok(),
    }
}
