//! What all exchanges of a thread share: leases, stats. Each thread of Envoy's has its own, and so no thread waits for another but once
//! a second: the main thread then hands over what all of them have gathered, since Envoy has timers there only.
//!
//! The bytes that workers share stand in this process's own memory.

use super::calls;
use super::stats::{Ids, Through};
use crate::config::Config;
use crate::exchange::{Fault, HostError, Ledger, SeriesId, Summary, Worker};
use crate::workers::leases::{Grant, Leases, Wanted};
use crate::workers::{Number, Store};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

#[derive(Default)]
struct Local {
    number: Number,
    leases: Leases,
    ledger: Ledger,
}

/// Those of all threads.
static LOCALS: Mutex<Vec<Weak<Mutex<Local>>>> = Mutex::new(Vec::new());

thread_local! {
    static LOCAL: Arc<Mutex<Local>> = {
        let local = Arc::new(Mutex::new(Local::default()));
        let mut locals = lock(&LOCALS);
        locals.retain(|local| local.strong_count() > 0);
        locals.push(Arc::downgrade(&local));
        local
    };
    /// This thread's worker of each configuration.
    static WORKERS: RefCell<Vec<(Weak<InForce>, Rc<Worker>)>> = const { RefCell::new(Vec::new()) };
}

/// A configuration, as long as Envoy has it. Workers hold what is in it, and so they can't tell by that.
pub struct InForce(pub Arc<Config>);

/// A panic while it was held leaves counts as they are, which is better than none.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` where the thread ends, which serves no request.
fn with<R>(work: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.try_with(|local| work(&mut lock(local))).ok()
}

/// This thread's worker of a configuration.
pub fn worker(config: &Arc<InForce>) -> Rc<Worker> {
    let find = |workers: &RefCell<Vec<(Weak<InForce>, Rc<Worker>)>>| {
        let mut workers = workers.try_borrow_mut().ok()?;
        let of_config = |known: &Weak<InForce>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(config));
        if let Some((_, worker)) = workers.iter().find(|(known, _)| of_config(known)) {
            return Some(worker.clone());
        }
        workers.retain(|(config, _)| config.strong_count() > 0);
        let worker = Rc::new(Worker::new(config.0.clone()));
        workers.push((Arc::downgrade(config), worker.clone()));
        Some(worker)
    };
    WORKERS.try_with(find).ok().flatten().unwrap_or_else(|| Rc::new(Worker::new(config.0.clone())))
}

/// Notes that a request has begun.
pub fn begin(
    worker: &Worker,
    tenant: Option<&str>,
    handler: &'static str,
    (ids, through): (Ids, Through),
) -> Option<SeriesId> {
    let config = worker.config()?;
    // SAFETY: the stream lives, and this is its worker's thread.
    let mut meter = |metric: crate::exchange::Metric<'_>| unsafe { ids.meter(through, metric) };
    with(|local| local.ledger.begin(config, &mut Shared, tenant, handler, &mut meter))
}

/// Counts alerts that were sent to a tenant's Alertmanager, or were not.
pub fn count_alerts(
    worker: &Worker,
    tenant: Option<&str>,
    counted: (&'static str, u32),
    (ids, through): (Ids, Through),
) {
    let Some(config) = worker.config() else { return };
    // SAFETY: the stream lives, and this is its worker's thread.
    let mut meter = |metric: crate::exchange::Metric<'_>| unsafe { ids.meter(through, metric) };
    with(|local| local.ledger.count_alerts(config, &mut Shared, (tenant, "alerts"), counted, &mut meter));
}

/// Notes that it has ended.
pub fn end(series: SeriesId, summary: &Summary, (ids, through): (Ids, Through)) {
    // SAFETY: the stream lives, and this is its worker's thread.
    let mut meter = |metric: crate::exchange::Metric<'_>| unsafe { ids.meter(through, metric) };
    with(|local| local.ledger.end(series, summary, &mut meter));
}

/// Counts one more query of each tenant, where so many may run.
pub fn take(wanted: &[Wanted]) -> Result<Grant, HostError> {
    let now = calls::now().ok_or(HostError { call: "the clock", fault: Fault::Data })?;
    let taken = with(|Local { leases, number, .. }| leases.take(&mut Shared, number, wanted, now));
    taken.unwrap_or(Err(HostError { call: "a lease", fault: Fault::Order }))
}

/// One query of each tenant has ended.
pub fn release(wanted: &[Wanted]) {
    with(|Local { leases, number, .. }| leases.release(&mut Shared, number, wanted, calls::now()));
}

/// Once a second, on the main thread, for all threads.
pub fn tick((ids, config): (Ids, Through)) {
    let now = calls::now();
    // SAFETY: the configuration lives, and this is the main thread.
    let mut meter = |metric: crate::exchange::Metric<'_>| unsafe { ids.meter(config, metric) };
    let locals: Vec<Arc<Mutex<Local>>> = lock(&LOCALS).iter().filter_map(Weak::upgrade).collect();
    for local in locals {
        let Local { number, leases, ledger } = &mut *lock(&local);
        ledger.tick(&mut Shared, number, now, &mut meter);
        if let Some(now) = now {
            leases.renew(&mut Shared, number, now);
        }
    }
}

/// A value, and its version.
type Held = (Vec<u8>, u32);

static SHARED: Mutex<BTreeMap<Box<str>, Held>> = Mutex::new(BTreeMap::new());

/// What the threads share.
pub struct Shared;

impl Store for Shared {
    type Error = HostError;

    fn read(&mut self, key: &str) -> Result<(Vec<u8>, Option<u32>), HostError> {
        let shared = lock(&SHARED);
        Ok(shared.get(key).map_or((Vec::new(), None), |(value, version)| (value.clone(), Some(*version))))
    }

    fn write(&mut self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, HostError> {
        let mut shared = lock(&SHARED);
        match (shared.get_mut(key), version) {
            (Some((held, at)), Some(version)) if *at == version => {
                *held = value.to_vec();
                *at = at.wrapping_add(1);
                Ok(true)
            }
            (None, None) => {
                shared.insert(key.into(), (value.to_vec(), 0));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn contended(&self) -> HostError {
        HostError { call: "the memory that threads share", fault: Fault::Contended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_that_was_read_is_replaced() {
        let key = "only_the_version_that_was_read_is_replaced";
        assert_eq!(Shared.read(key), Ok((Vec::new(), None)));
        assert_eq!(Shared.write(key, b"a", Some(0)), Ok(false));
        assert_eq!(Shared.write(key, b"a", None), Ok(true));
        assert_eq!(Shared.write(key, b"b", None), Ok(false));
        let (value, version) = Shared.read(key).unwrap();
        assert_eq!(value, b"a");
        assert_eq!(Shared.write(key, b"b", version), Ok(true));
        assert_eq!(Shared.write(key, b"c", version), Ok(false));
        assert_eq!(Shared.read(key).unwrap().0, b"b");
    }

    #[test]
    fn a_worker_is_made_once_for_a_thread_and_a_configuration() {
        let config = || Arc::new(InForce(Arc::new(Config::parse(b"").unwrap())));
        let (one, other) = (config(), config());
        assert!(Rc::ptr_eq(&worker(&one), &worker(&one)));
        assert!(!Rc::ptr_eq(&worker(&one), &worker(&other)));
        let gone = Arc::downgrade(&one.0);
        drop(one);
        worker(&config());
        assert_eq!(gone.strong_count(), 0, "a worker does not keep a configuration that Envoy has not any more");
    }
}
