//! `max_concurrent_queries`: how many queries of a tenant run, in all workers of this proxy. Only where some tenant has that limit does
//! any of this cost a host call.
//!
//! Each VM counts its own queries and tells the others by shared data (`limits::leases` has the form). VMs are told apart by
//! a number that is drawn there, too: one that was started again after a trap is another.

use super::calls::{self, Fault, HostError};
use crate::workers::leases;
use std::cell::RefCell;
use std::sync::Arc;

/// Where VMs draw their numbers.
const NUMBER: &str = "tenancy_leases";
/// Before a bucket's number.
const PREFIX: &str = "tenancy_leases;";
/// As often as this, others may come before us. They are few.
const TRIES: usize = 100;

/// One running query. When it is dropped, another may run.
pub struct Lease {
    tenant: Arc<str>,
}

#[derive(Default)]
struct Held {
    /// This VM's number.
    vm: Option<u64>,
    /// How many queries of a tenant run in this VM.
    counts: Vec<(Arc<str>, u32)>,
}

thread_local! {
    // Streams of several configurations share it: a VM survives a reload.
    static HELD: RefCell<Held> = RefCell::default();
}

/// What came of asking for a lease.
pub enum Answer {
    /// The query may run.
    Granted(Lease),
    /// So many are running, ours among them.
    Refused(i64),
}

/// Asks for a lease.
pub fn take(tenant: &Arc<str>, most: i64) -> Result<Answer, HostError> {
    let own = HELD.with_borrow(|held| held.of(tenant));
    let wanted = own.saturating_add(1);
    let others = update(tenant, wanted, Some(most))?;
    if others + i64::from(wanted) > most {
        return Ok(Answer::Refused(others + i64::from(own)));
    }
    HELD.with_borrow_mut(|held| held.set(tenant, wanted));
    Ok(Answer::Granted(Lease { tenant: tenant.clone() }))
}

/// Writes this VM's shares again, before their term ends.
pub fn renew() {
    let counts = HELD.with_borrow(|held| held.counts.clone());
    for (tenant, count) in counts {
        // What can't be renewed now is renewed at the next tick, or runs out.
        let _ = update(&tenant, count, None);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let left = HELD.with_borrow(|held| held.of(&self.tenant)).saturating_sub(1);
        HELD.with_borrow_mut(|held| held.set(&self.tenant, left));
        // Otherwise it runs out.
        let _ = update(&self.tenant, left, None);
    }
}

impl Held {
    fn of(&self, tenant: &str) -> u32 {
        self.counts.iter().find(|(held, _)| &**held == tenant).map_or(0, |(_, count)| *count)
    }

    fn set(&mut self, tenant: &Arc<str>, count: u32) {
        match self.counts.iter_mut().find(|(held, _)| held == tenant) {
            Some((_, held)) => *held = count,
            None => self.counts.push((tenant.clone(), count)),
        }
        self.counts.retain(|(_, count)| *count > 0);
    }
}

/// Writes this VM's share, unless `most` would be exceeded by it; returns how many queries the others run.
fn update(tenant: &str, count: u32, most: Option<i64>) -> Result<i64, HostError> {
    let key = super::stats::numbered(PREFIX, leases::bucket(tenant));
    let vm = number()?;
    let now = calls::now_ms()?;
    change(&key, |shares| {
        let (others, new) = leases::write(shares, tenant, vm, count, now);
        let fits = most.is_none_or(|most| others + i64::from(count) <= most);
        (others, fits.then_some(new))
    })
}

/// This VM's number; the first that asks draws it.
fn number() -> Result<u64, HostError> {
    if let Some(number) = HELD.with_borrow(|held| held.vm) {
        return Ok(number);
    }
    let number = change(NUMBER, |last| {
        let last = last.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let next = last.wrapping_add(1);
        (next, Some(next.to_le_bytes().to_vec()))
    })?;
    HELD.with_borrow_mut(|held| held.vm = Some(number));
    Ok(number)
}

/// Changes what all share under a key, however many others do so at the same time: `work` sees it (empty where there is nothing), and says
/// what it becomes; `None`: it stays. Returns what `work` said at last.
fn change<T>(key: &str, mut work: impl FnMut(&[u8]) -> (T, Option<Vec<u8>>)) -> Result<T, HostError> {
    for _ in 0..TRIES {
        let (shared, version) = calls::shared_data(key)?.unwrap_or((Vec::new(), u32::MAX));
        let (outcome, new) = work(&shared);
        match new {
            None => return Ok(outcome),
            Some(new) if calls::set_shared_data(key, &new, version)? => return Ok(outcome),
            Some(_) => {}
        }
    }
    Err(HostError { call: "proxy_set_shared_data", fault: Fault::Order })
}
