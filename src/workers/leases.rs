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
    /// How many queries of each tenant.
    counts: Vec<(Arc<str>, u32)>,
}

/// Whether a query may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It may, and is counted until [`Leases::release`].
    Granted,
    /// So many queries of the tenant run already.
    Refused(i64),
}

/// The key under which the workers count a tenant's queries.
pub fn key(tenant: &str) -> String {
    numbered(PREFIX, bucket(tenant))
}

fn bucket(tenant: &str) -> u32 {
    u32::try_from(text::slot(text::hash(0, tenant.as_bytes()), BUCKETS)).unwrap_or(0)
}

impl Leases {
    /// When no query runs.
    pub const fn new() -> Self {
        Leases { counts: Vec::new() }
    }

    /// Counts one more query of a tenant, unless `most` run already. `now`: nanoseconds since 1970.
    ///
    /// # Errors
    /// The host could not be asked. The query must not run then.
    pub fn take<S: Store>(
        &mut self,
        store: &mut S,
        number: &mut Number,
        tenant: &Arc<str>,
        most: i64,
        now: u64,
    ) -> Result<Grant, S::Error> {
        let own = self.of(tenant);
        self.set(tenant, own.saturating_add(1));
        let others = match self.share(store, number, tenant, Some(most), now) {
            Ok(others) => others,
            Err(error) => {
                self.set(tenant, own);
                return Err(error);
            }
        };
        let running = others.saturating_add(i64::from(own));
        if running >= most {
            self.set(tenant, own);
            return Ok(Grant::Refused(running));
        }
        Ok(Grant::Granted)
    }

    /// One query of the tenant has ended. Where the host can't be asked, or has no clock (`None`), the others hear of it when this
    /// worker's share is renewed.
    pub fn release<S: Store>(&mut self, store: &mut S, number: &mut Number, tenant: &Arc<str>, now: Option<u64>) {
        self.set(tenant, self.of(tenant).saturating_sub(1));
        if let Some(now) = now {
            let _later = self.share(store, number, tenant, None, now);
        }
    }

    /// Writes this worker's shares again, before they count as those of a dead one.
    pub fn renew<S: Store>(&mut self, store: &mut S, number: &mut Number, now: u64) {
        let tenants: Vec<Arc<str>> = self.counts.iter().map(|(tenant, _)| tenant.clone()).collect();
        for (at, tenant) in tenants.iter().enumerate() {
            let is_first = tenants.iter().position(|other| bucket(other) == bucket(tenant)) == Some(at);
            if is_first {
                let _later = self.share(store, number, tenant, None, now);
            }
        }
    }

    /// Writes this worker's share of a tenant's bucket, unless `most` would be exceeded by it. Returns how many queries of the tenant
    /// the other workers run.
    fn share<S: Store>(
        &self,
        store: &mut S,
        number: &mut Number,
        tenant: &str,
        most: Option<i64>,
        now: u64,
    ) -> Result<i64, S::Error> {
        let worker = number.get(store)?;
        let bucket = bucket(tenant);
        let in_bucket = self.counts.iter().filter(|(other, _)| self::bucket(other) == bucket);
        let entries = in_bucket.map(|(tenant, count)| (&**tenant, *count)).collect();
        let own = Share { worker, time: now, entries };
        let wanted = i64::from(self.of(tenant));
        let mut others = 0;
        change(store, &numbered(PREFIX, bucket), &mut |value| {
            let shares = shares::of_others(value, worker, now);
            others = shares::running(&shares, tenant);
            let fits = most.is_none_or(|most| others.saturating_add(wanted) <= most);
            fits.then(|| shares::write(shares.iter().chain([&own])))
        })?;
        Ok(others)
    }

    fn of(&self, tenant: &str) -> u32 {
        self.counts.iter().find(|(other, _)| **other == *tenant).map_or(0, |(_, count)| *count)
    }

    fn set(&mut self, tenant: &Arc<str>, count: u32) {
        match self.counts.iter_mut().find(|(other, _)| other == tenant) {
            Some((_, held)) => *held = count,
            None => self.counts.push((tenant.clone(), count)),
        }
        self.counts.retain(|(_, count)| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Shared;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: u64 = 1_000_000_000_000;

    #[derive(Default)]
    struct Worker {
        leases: Leases,
        number: Number,
    }

    impl Worker {
        fn take(&mut self, shared: &mut Shared, tenant: &str, most: i64, now: u64) -> Grant {
            self.leases.take(shared, &mut self.number, &tenant.into(), most, now).unwrap()
        }

        fn release(&mut self, shared: &mut Shared, tenant: &str, now: u64) {
            self.leases.release(shared, &mut self.number, &tenant.into(), Some(now));
        }
    }

    #[test]
    fn the_queries_of_all_workers_count() {
        let (mut shared, mut one, mut other) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(one.take(&mut shared, "a", 2, NOW), Grant::Granted);
        assert_eq!(other.take(&mut shared, "a", 2, NOW), Grant::Granted);
        assert_eq!(one.take(&mut shared, "a", 2, NOW), Grant::Refused(2));
        assert_eq!(one.take(&mut shared, "b", 1, NOW), Grant::Granted);
        other.release(&mut shared, "a", NOW);
        assert_eq!(one.take(&mut shared, "a", 2, NOW), Grant::Granted);
    }

    #[test]
    fn a_refused_query_is_not_counted() {
        let (mut shared, mut worker) = (Shared::default(), Worker::default());
        assert_eq!(worker.take(&mut shared, "a", 1, NOW), Grant::Granted);
        assert_eq!(worker.take(&mut shared, "a", 1, NOW), Grant::Refused(1));
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
        assert_eq!(third.take(&mut shared, "a", 2, later - 1), Grant::Refused(2));
        assert_eq!(third.take(&mut shared, "a", 2, later), Grant::Granted);
        assert_eq!(third.take(&mut shared, "a", 2, later), Grant::Refused(2));
    }

    #[test]
    fn a_share_that_another_worker_writes_after_this_one_looked_at_its_clock_counts() {
        let (mut shared, mut one, mut other) = (Shared::default(), Worker::default(), Worker::default());
        assert_eq!(other.take(&mut shared, "a", 1, NOW + 1_000), Grant::Granted);
        assert_eq!(one.take(&mut shared, "a", 1, NOW), Grant::Refused(1));
    }

    #[test]
    fn tenants_share_a_bounded_number_of_keys() {
        let keys: std::collections::BTreeSet<String> =
            (0..10_000).map(|tenant| key(&format!("team-{tenant}"))).collect();
        assert!(keys.len() <= BUCKETS && keys.len() > BUCKETS / 2, "{}", keys.len());
    }
}
