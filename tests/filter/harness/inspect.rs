//! What the host holds besides streams, as tests look at it and change it: stats, shared data, the clock, counts of calls.

use super::drive::Harness;
use super::host::{self, MetricKind};
use std::collections::BTreeMap;

impl Harness {
    /// A counter's or gauge's value.
    pub fn metric(&self, name: &str) -> Option<(MetricKind, u64)> {
        host::with(|host| {
            host.metrics.iter().find(|metric| metric.name == name).map(|metric| (metric.kind, metric.value))
        })
    }

    /// The names of all stats.
    pub fn metric_names(&self) -> Vec<String> {
        host::with(|host| host.metrics.iter().map(|metric| metric.name.clone()).collect())
    }

    /// What a worker has shared with all others.
    pub fn share(&mut self, key: &str, value: &[u8]) {
        host::with(|host| host.shared_data.insert(key.into(), (value.to_vec(), 1)));
    }

    /// What a histogram was given.
    pub fn histogram(&self, name: &str) -> Vec<u64> {
        host::with(|host| {
            let found = host.metrics.iter().find(|metric| metric.name == name);
            found.map_or_else(Vec::new, |metric| metric.records.clone())
        })
    }

    /// What VMs share under a key; empty where there is nothing.
    pub fn shared_data(&self, key: &[u8]) -> Vec<u8> {
        host::with(|host| host.shared_data.get(key).map_or(Vec::new(), |(value, _)| value.clone()))
    }

    /// All that VMs share under keys that begin so.
    pub fn shared(&self, prefix: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        host::with(|host| {
            let all = host.shared_data.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
            all.map(|(key, (value, _))| (key.clone(), value.clone())).collect()
        })
    }

    /// Writes what another VM would.
    pub fn set_shared_data(&mut self, key: &[u8], value: &[u8]) {
        host::with(|host| {
            let held = host.shared_data.get(key).map_or(0, |(_, held)| *held);
            host.shared_data.insert(key.to_vec(), (value.to_vec(), held + 1));
        });
    }

    /// How often the filter asked to be called.
    pub fn tick_period_ms(&self) -> u32 {
        host::with(|host| host.tick_period_ms)
    }

    /// Moves the clock.
    pub fn advance_ns(&mut self, by: u64) {
        host::with(|host| host.now_ns += by);
    }

    /// Host calls by name since the last request was opened.
    pub fn calls(&self) -> BTreeMap<&'static str, usize> {
        host::with(|host| host.counts.clone())
    }
}
