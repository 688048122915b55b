//! `max_concurrent_queries`: how many queries of a tenant run, in all workers of this proxy.
//!
//! Each worker counts its own queries, and tells the others by `shares`. Tenants share [`BUCKETS`] keys and no more: the proxy never
//! removes a key, and there may be as many tenants as clients care to make up. What is in a bucket ends with the queries that run.

use super::shares::{self, Share};
use super::{Number, Store, change, numbered};
use crate::text;
use std::sync::Arc;

/// How many keys all tenants share.
pub const BUCKETS: usize = 256;
/// What stands before a bucket's number.
const PREFIX: &str = "tenancy_leases;";

/// The queries that run in this worker.
#[derive(Debug, Default)]
pub struct Leases {
    /// Sorted by bucket and tenant; each at least once.
    counts: Vec<Count>,
    /// Buckets that the host did not take. They are written again by [`Leases::renew`].
    unwritten: Vec<u32>,
}

#[derive(Debug)]
struct Count {
    bucket: u32,
    tenant: Arc<str>,
    running: u32,
}

/// One more query of a tenant, and how many may run.
pub type Wanted = (Arc<str>, i64);

/// The name under which a tenant's writes are counted, beside its queries: no tenant's ID holds the first byte.
pub fn of_writes(tenant: &str) -> Arc<str> {
    let mut name = String::with_capacity(tenant.len() + 1);
    name.push('\0');
    name.push_str(tenant);
    name.into()
}

/// Whether a query may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It may, and is counted until [`Leases::release`].
    Granted,
    /// As many queries of a tenant run already as may.
    Refused {
        /// How many run.
        running: i64,
        /// How many may.
        allowed: i64,
    },
}

/// The key under which the workers count a tenant's queries.
pub fn key(tenant: &str) -> String {
    numbered(PREFIX, bucket(tenant))
}

fn bucket(tenant: &str) -> u32 {
    u32::try_from(text::slot(text::hash(0, tenant.as_bytes()), BUCKETS)).unwrap_or(0)
}

/// Each of these buckets once.
fn distinct(buckets: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut is_among = [false; BUCKETS];
    for bucket in buckets {
        if let Some(is_among) = is_among.get_mut(bucket as usize) {
            *is_among = true;
        }
    }
    (0..).zip(is_among).filter(|(_, is_among)| *is_among).map(|(bucket, _)| bucket).collect()
}

fn buckets(wanted: &[Wanted]) -> Vec<u32> {
    distinct(wanted.iter().map(|(tenant, _)| bucket(tenant)))
}

impl Leases {
    /// When no query runs.
    pub const fn new() -> Self {
        Leases { counts: Vec::new(), unwritten: Vec::new() }
    }

    /// Counts one more query of each of these tenants. Where one of them may run no more, none is counted. A request of several tenants
    /// counts for each of them, since it costs the upstream each one's data. `now`: nanoseconds since 1970.
    ///
    /// # Errors
    /// The host could not be asked. The query must not run then.
    pub fn take<S: Store>(
        &mut self,
        store: &mut S,
        number: &mut Number,
        wanted: &[Wanted],
        now: u64,
    ) -> Result<Grant, S::Error> {
        wanted.iter().for_each(|(tenant, _)| self.add(tenant));
        let buckets = buckets(wanted);
        for (at, bucket) in buckets.iter().enumerate() {
            let granted = self.share(store, number, *bucket, wanted, now);
            if let Ok(Grant::Granted) = granted {
                continue;
            }
            wanted.iter().for_each(|(tenant, _)| self.remove(tenant));
            for written in buckets.get(..at).unwrap_or_default() {
                self.write(store, number, *written, Some(now));
            }
            return granted;
        }
        Ok(Grant::Granted)
    }

    /// The query has ended. Where the host can't be asked, or has no clock (`None`), the others hear of it when this worker's shares are
    /// renewed.
    pub fn release<S: Store>(&mut self, store: &mut S, number: &mut Number, wanted: &[Wanted], now: Option<u64>) {
        wanted.iter().for_each(|(tenant, _)| self.remove(tenant));
        for bucket in buckets(wanted) {
            self.write(store, number, bucket, now);
        }
    }

    /// Writes this worker's shares again, before they count as those of a dead one.
    pub fn renew<S: Store>(&mut self, store: &mut S, number: &mut Number, now: u64) {
        let unwritten = std::mem::take(&mut self.unwritten);
        for bucket in distinct(self.counts.iter().map(|count| count.bucket).chain(unwritten)) {
            self.write(store, number, bucket, Some(now));
        }
    }

    /// Writes this worker's share of a bucket, now or by the next renewal.
    fn write<S: Store>(&mut self, store: &mut S, number: &mut Number, bucket: u32, now: Option<u64>) {
        let is_written = now.is_some_and(|now| self.share(store, number, bucket, &[], now).is_ok());
        if !is_written && !self.unwritten.contains(&bucket) {
            self.unwritten.push(bucket);
        }
    }

    /// Writes this worker's share of a bucket, unless more queries of a wanted tenant in it would run then than may.
    fn share<S: Store>(
        &self,
        store: &mut S,
        number: &mut Number,
        bucket: u32,
        wanted: &[Wanted],
        now: u64,
    ) -> Result<Grant, S::Error> {
        let worker = number.get(store)?;
        let begin = self.counts.partition_point(|count| count.bucket < bucket);
        let in_bucket = self.counts.iter().skip(begin).take_while(|count| count.bucket == bucket);
        let entries = in_bucket.map(|count| (&*count.tenant, count.running)).collect();
        let own = Share { worker, time: now, entries };
        let mut grant = Grant::Granted;
        change(store, &numbered(PREFIX, bucket), &mut |value| {
            let shares = shares::of_others(value, worker, now);
            let mut over =
                wanted.iter().filter(|(tenant, _)| self::bucket(tenant) == bucket).filter_map(|(tenant, allowed)| {
                    // This query is among the worker's own.
                    let own = i64::from(self.of(tenant)).saturating_sub(1);
                    let running = shares::running(&shares, tenant).saturating_add(own);
                    (running >= *allowed).then_some(Grant::Refused { running, allowed: *allowed })
                });
            grant = over.next().unwrap_or(Grant::Granted);
            (grant == Grant::Granted).then(|| shares::write(shares.iter().chain([&own])))
        })?;
        Ok(grant)
    }

    fn of(&self, tenant: &str) -> u32 {
        self.place(tenant).ok().and_then(|place| self.counts.get(place)).map_or(0, |count| count.running)
    }

    fn add(&mut self, tenant: &Arc<str>) {
        match self.place(tenant) {
            Ok(place) => {
                if let Some(count) = self.counts.get_mut(place) {
                    count.running = count.running.saturating_add(1);
                }
            }
            Err(place) => {
                self.counts.insert(place, Count { bucket: bucket(tenant), tenant: tenant.clone(), running: 1 });
            }
        }
    }

    fn remove(&mut self, tenant: &str) {
        let Ok(place) = self.place(tenant) else { return };
        let Some(count) = self.counts.get_mut(place) else { return };
        count.running = count.running.saturating_sub(1);
        if count.running == 0 {
            self.counts.remove(place);
        }
    }

    fn place(&self, tenant: &str) -> Result<usize, usize> {
        let bucket = bucket(tenant);
        self.counts.binary_search_by(|count| (count.bucket, &*count.tenant).cmp(&(bucket, tenant)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Shared;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: u64 = 1_000_000_000_000;

    fn all(wanted: &[(&str, i64)]) -> Vec<Wanted> {
        wanted.iter().map(|(tenant, most)| ((*tenant).into(), *most)).collect()
    }

    fn refused(running: i64) -> Grant {
        Grant::Refused { running, allowed: running }
    }

    #[derive(Default)]
    struct Worker {
        leases: Leases,
        number: Number,
    }

    impl Worker {
        fn take(&mut self, shared: &mut Shared, tenant: &str, most: i64, now: u64) -> Grant {
            self.take_all(shared, &[(tenant, most)], now)
        }

        fn take_all(&mut self, shared: &mut Shared, wanted: &[(&str, i64)], now: u64) -> Grant {
            self.leases.take(shared, &mut self.number, &all(wanted), now).unwrap()
        }

        fn release(&mut self, shared: &mut Shared, tenant: &str, now: u64) {
            self.leases.release(shared, &mut self.number, &all(&[(tenant, 0)]), Some(now));
        }
    }

    #[test]
    fn the_queries_of_all_workers_count() {
        let (mut shared, mut one, mut other) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(one.take(&mut shared, "a", 2, NOW), Grant::Granted);
        assert_eq!(other.take(&mut shared, "a", 2, NOW), Grant::Granted);
        assert_eq!(one.take(&mut shared, "a", 2, NOW), refused(2));
        assert_eq!(one.take(&mut shared, "b", 1, NOW), Grant::Granted);
        other.release(&mut shared, "a", NOW);
        assert_eq!(one.take(&mut shared, "a", 2, NOW), Grant::Granted);
    }

    #[test]
    fn a_refused_query_is_not_counted() {
        let (mut shared, mut worker) = (Shared::default(), Worker::default());
        assert_eq!(worker.take(&mut shared, "a", 1, NOW), Grant::Granted);
        assert_eq!(worker.take(&mut shared, "a", 1, NOW), refused(1));
        worker.release(&mut shared, "a", NOW);
        assert_eq!(worker.take(&mut shared, "a", 1, NOW), Grant::Granted);
    }

    #[test]
    fn nothing_is_left_behind_when_no_query_runs() {
        let (mut shared, mut worker) = (Shared::default(), Worker::default());
        for tenant in ["a", "b", "c"] {
            assert_eq!(worker.take(&mut shared, tenant, 1, NOW), Grant::Granted);
        }
        for tenant in ["a", "b", "c"] {
            worker.release(&mut shared, tenant, NOW);
            assert_eq!(shared.held[&key(tenant)].0, b"");
        }
    }

    #[test]
    fn the_shares_of_a_dead_worker_end_and_those_of_a_live_one_are_renewed() {
        let (mut shared, mut dead, mut alive) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(dead.take(&mut shared, "a", 2, NOW), Grant::Granted);
        assert_eq!(alive.take(&mut shared, "a", 2, NOW), Grant::Granted);
        let later = NOW + shares::DEAD_AFTER;
        alive.leases.renew(&mut shared, &mut alive.number, later - 1);
        let mut third = Worker::default();
        assert_eq!(third.take(&mut shared, "a", 2, later - 1), refused(2));
        assert_eq!(third.take(&mut shared, "a", 2, later), Grant::Granted);
        assert_eq!(third.take(&mut shared, "a", 2, later), refused(2));
    }

    #[test]
    fn a_share_that_another_worker_writes_after_this_one_looked_at_its_clock_counts() {
        let (mut shared, mut one, mut other) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(other.take(&mut shared, "a", 1, NOW + 1_000), Grant::Granted);
        assert_eq!(one.take(&mut shared, "a", 1, NOW), refused(1));
    }

    #[test]
    fn tenants_share_a_bounded_number_of_keys() {
        let keys: std::collections::BTreeSet<String> =
            (0..10_000).map(|tenant| key(&format!("team-{tenant}"))).collect();
        assert!(keys.len() <= BUCKETS && keys.len() > BUCKETS / 2, "{}", keys.len());
    }

    #[test]
    fn a_query_of_several_tenants_counts_for_each_of_them() {
        let (mut shared, mut one, mut other) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(one.take_all(&mut shared, &[("a", 1), ("x1", 1)], NOW), Grant::Granted);
        // Whatever names stand beside it.
        assert_eq!(one.take_all(&mut shared, &[("a", 1), ("x2", 1)], NOW), refused(1));
        assert_eq!(other.take_all(&mut shared, &[("a", 1), ("x3", 5)], NOW), refused(1));
        assert_eq!(other.take(&mut shared, "a", 1, NOW), refused(1));
        // What was refused is counted for none of them.
        assert_eq!(other.take(&mut shared, "x2", 1, NOW), Grant::Granted);
        assert_eq!(other.take(&mut shared, "x3", 1, NOW), Grant::Granted);
        one.leases.release(&mut shared, &mut one.number, &all(&[("a", 1), ("x1", 1)]), Some(NOW));
        assert!(one.leases.counts.is_empty());
        assert_eq!(other.take_all(&mut shared, &[("a", 1), ("x1", 1)], NOW), Grant::Granted);
    }

    #[test]
    fn each_tenant_has_a_limit_of_its_own() {
        let (mut shared, mut worker) = (Shared::default(), Worker::default());
        let both = [("big", 3), ("small", 1)];
        assert_eq!(worker.take_all(&mut shared, &both, NOW), Grant::Granted);
        assert_eq!(worker.take_all(&mut shared, &both, NOW), refused(1));
        assert_eq!(worker.take(&mut shared, "big", 3, NOW), Grant::Granted);
        assert_eq!(worker.take(&mut shared, "big", 3, NOW), Grant::Granted);
        assert_eq!(worker.take(&mut shared, "big", 3, NOW), refused(3));
    }

    #[test]
    fn many_tenants_at_once_leave_nothing_behind() {
        let (mut shared, mut worker) = (Shared::default(), Worker::default());
        let ids: Vec<String> = (0..2_000).map(|id| format!("t{id}")).collect();
        let wanted: Vec<(&str, i64)> = ids.iter().map(|id| (&**id, 1)).collect();
        assert_eq!(worker.take(&mut shared, "t1999", 1, NOW), Grant::Granted);
        assert_eq!(worker.take_all(&mut shared, &wanted, NOW), refused(1));
        worker.release(&mut shared, "t1999", NOW);
        assert!(shared.held.values().all(|(value, _)| value.len() <= 4));
        assert_eq!(worker.take_all(&mut shared, &wanted, NOW), Grant::Granted);
        worker.leases.release(&mut shared, &mut worker.number, &all(&wanted), Some(NOW));
        assert!(worker.leases.counts.is_empty());
        assert!(shared.held.values().all(|(value, _)| value.len() <= 4), "nothing but the worker's number");
    }

    #[test]
    fn a_release_that_the_host_does_not_take_is_told_at_the_next_renewal() {
        let (mut shared, mut one, mut other) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(one.take(&mut shared, "a", 1, NOW), Grant::Granted);
        shared.contended = usize::MAX;
        one.release(&mut shared, "a", NOW);
        shared.contended = 0;
        assert_eq!(other.take(&mut shared, "a", 1, NOW), refused(1));
        one.leases.renew(&mut shared, &mut one.number, NOW);
        assert_eq!(other.take(&mut shared, "a", 1, NOW), Grant::Granted);
        // Likewise without a clock.
        other.leases.release(&mut shared, &mut other.number, &all(&[("a", 1)]), None);
        assert_eq!(one.take(&mut shared, "a", 1, NOW), refused(1));
        other.leases.renew(&mut shared, &mut other.number, NOW);
        assert_eq!(one.take(&mut shared, "a", 1, NOW), Grant::Granted);
    }
}
