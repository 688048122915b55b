//! The configurations that are in force, and what happens once a second.
//!
//! Envoy has no timer for a filter. So one thread of our own asks the main thread, once a second, to call the newest configuration. It
//! runs from the first configuration to the last one's end, and is waited for then: nothing of this module runs when Envoy unloads it.

use super::abi::{self, Object};
use super::calls;
use super::local::{self, InForce, lock};
use super::stats::{Ids, Through};
use crate::config::Config;
use crate::exchange::ledger::TICK_MILLISECONDS;
use crate::exchange::reloads::Version;
use crate::exchange::{Level, Line, Metric, reloads};
use crate::text;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A configuration of Envoy's, with ours.
pub struct Plugin {
    pub config: Arc<InForce>,
    pub ids: Ids,
    number: u64,
    /// Each filter that is to be made panics: only in tests.
    #[cfg(feature = "trap")]
    is_trap: bool,
}

/// Envoy's workers use one at the same time, and any of them may be the one that destroys it. The compiler sees none of that.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Plugin>();
};

struct Entry {
    number: u64,
    config: Object,
    ids: Ids,
    scheduler: Object,
}

// SAFETY: Envoy's scheduler may be used on any thread. The configuration is used on the main thread only.
unsafe impl Send for Entry {}

struct Registry {
    last: u64,
    /// The newest last.
    entries: Vec<Entry>,
    ticker: Option<Ticker>,
}

/// The thread that asks once a second, and how it is told to end.
struct Ticker {
    thread: JoinHandle<()>,
    ends: Arc<AtomicBool>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { last: 0, entries: Vec::new(), ticker: None });
static CHANGED: Condvar = Condvar::new();

impl Plugin {
    /// Reads a configuration. `None` where it is refused, which the log says.
    ///
    /// # Safety
    /// The pointer is that of a configuration of Envoy's which is being made, on the main thread.
    pub unsafe fn new(config: Object, name: &[u8], json: &[u8]) -> Option<Plugin> {
        // SAFETY: the caller's.
        let ids = unsafe { Ids::define(config) };
        match Config::parse(json) {
            Ok(parsed) => {
                let parsed = parsed.in_a_dynamic_module();
                // SAFETY: the configuration lives, and this is the main thread.
                let mut meter = |metric: Metric<'_>| unsafe { ids.meter(Through::Config(config), metric) };
                if reloads::accepted(&mut local::Shared, &Version::of(name, json), &parsed, &mut meter) {
                    reloads::warnings(&parsed).iter().for_each(|line| calls::log(Level::Error, line));
                }
                // SAFETY: the caller's.
                let number = unsafe {
                    ids.keep(config);
                    register(config, ids)
                };
                calls::log(Level::Info, Line::Accepted.begin());
                Some(Plugin {
                    config: Arc::new(InForce(Arc::new(parsed))),
                    ids,
                    number,
                    #[cfg(feature = "trap")]
                    is_trap: name == b"trap",
                })
            }
            Err(error) => {
                let reason = text::one_line(&error.to_string());
                calls::log(Level::Error, &[Line::ConfigurationRefused.begin(), ": ", &reason].concat());
                // Envoy forgets the stats of a configuration that was refused, so that it is counted by one that is in force.
                let registry = lock(&REGISTRY);
                let newest = registry.entries.last().map(|entry| (entry.config, entry.ids));
                let (config, ids) = newest.unwrap_or((config, ids));
                // SAFETY: this is the main thread. A configuration that is registered lives: its end waits for the lock.
                reloads::refused(&mut |metric: Metric<'_>| unsafe { ids.meter(Through::Config(config), metric) });
                None
            }
        }
    }

    /// A panic where a filter is made.
    #[cfg(feature = "trap")]
    pub fn panic_when_asked(&self) {
        if self.is_trap {
            std::panic::resume_unwind(Box::new("asked for"));
        }
    }

    /// Once a second, for all configurations.
    ///
    /// # Safety
    /// The pointer is that of this configuration, and this is the main thread.
    pub unsafe fn tick(&self, config: Object) {
        local::tick((self.ids, Through::Config(config)));
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let mut registry = lock(&REGISTRY);
        if let Some(at) = registry.entries.iter().position(|entry| entry.number == self.number) {
            let entry = registry.entries.remove(at);
            // SAFETY: it was made by Envoy for this module, and the ticker, which uses it under the lock, finds it no more.
            unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_delete(entry.scheduler) };
        }
        if registry.entries.is_empty()
            && let Some(ticker) = registry.ticker.take()
        {
            ticker.ends.store(true, Ordering::Relaxed);
            CHANGED.notify_all();
            drop(registry);
            let _ended = ticker.thread.join();
        }
    }
}

/// # Safety
/// The pointer is that of a configuration of Envoy's, on the main thread.
unsafe fn register(config: Object, ids: Ids) -> u64 {
    // SAFETY: the caller's.
    let scheduler = unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_new(config) };
    let mut registry = lock(&REGISTRY);
    registry.last += 1;
    let number = registry.last;
    registry.entries.push(Entry { number, config, ids, scheduler });
    if registry.ticker.is_none() {
        // Without it, stats come late, and requests are served all the same.
        let ends = Arc::new(AtomicBool::new(false));
        let told = ends.clone();
        let thread = std::thread::Builder::new().name("tenancy".to_owned()).spawn(move || run(&told));
        registry.ticker = thread.ok().map(|thread| Ticker { thread, ends });
    }
    number
}

/// What the thread does, until it is told to end: no configuration is left then, and a later one has a thread of its own.
fn run(ends: &AtomicBool) {
    let mut registry = lock(&REGISTRY);
    while !ends.load(Ordering::Relaxed) {
        if let Some(newest) = registry.entries.last() {
            // SAFETY: the scheduler lives as long as it is registered, and the lock is held.
            unsafe { abi::envoy_dynamic_module_callback_http_filter_config_scheduler_commit(newest.scheduler, 0) };
        }
        let period = Duration::from_millis(TICK_MILLISECONDS.into());
        registry = CHANGED.wait_timeout(registry, period).unwrap_or_else(PoisonError::into_inner).0;
    }
}
