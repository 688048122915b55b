//! What a configuration sets, and what is in force for the tenants of one request.
//!
//! An override counts before a default, and 0 is off in both. For several tenants the strictest value counts, and every tenant's
//! blocked and rejected queries do.

use super::limit::{Limit, Place, TABLE};
use super::read;
use super::rules::{Attributes, Blocked};
use crate::tenant::{ById, Tenants, Unreadable};
use std::borrow::Cow;
use std::sync::Arc;

/// What one object of the configuration sets. Each worker holds all of them, and there may be many thousands: they are kept small.
#[derive(Debug, Clone, Default)]
pub struct Set {
    /// Each limit at most once.
    pub values: Box<[(Limit, i64)]>,
    /// `blocked_queries`.
    pub blocked: Option<Arc<[Blocked]>>,
    /// `query_rejection`; empty where it is switched off.
    pub rejected: Option<Arc<[Attributes]>>,
    /// `dry_run` of a tenant.
    pub dry_run: Option<bool>,
}

/// All limits of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// For tenants without an override.
    pub defaults: Set,
    pub(super) overrides: ById<Set>,
    pub(super) told: Told,
    /// By limit, the number of the first override that sets it and is on, counted from 1. Known to who judged them all.
    pub(super) first: [u32; TABLE.len()],
    /// How many overrides say `dry_run: false`, and how many `true`.
    pub(super) dry_run: [u32; 2],
}

/// What all overrides together need of each request. Who reads them later is told of it: nothing that isolates tenants depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Some limit depends on the time.
    pub time: bool,
    /// Some tenant's queries are counted.
    pub counts: bool,
}

/// The limits in force for a request.
#[derive(Debug, Clone)]
pub struct InForce {
    values: [i64; TABLE.len()],
    /// `blocked_queries` of each tenant, in the tenants' order.
    pub blocked: Vec<Arc<[Blocked]>>,
    /// `query_rejection`, likewise.
    pub rejected: Vec<Arc<[Attributes]>>,
}

impl Limits {
    /// A tenant's own limits. None where they can't be read: such a tenant is refused before ([`Limits::can_read`]).
    pub fn own(&self, id: &str) -> Option<&Set> {
        self.overrides.get(id, read::own).unwrap_or(None)
    }

    /// Whether a tenant has limits of its own, which are not read.
    pub fn has_own(&self, id: &str) -> bool {
        self.overrides.contains(id)
    }

    /// Reads a tenant's own limits, where it has some.
    pub fn can_read(&self, id: &str) -> Result<(), Unreadable> {
        self.overrides.get(id, read::own).map(drop)
    }

    /// The tenants that have limits of their own, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.overrides.ids()
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.overrides.len()
    }

    /// Their limits, each of which is read.
    pub fn overridden(&self) -> impl Iterator<Item = (Cow<'_, str>, &Set)> {
        self.ids().filter_map(|id| self.own(&id).map(|set| (id, set)))
    }

    /// How many of them say this about `dry_run`.
    pub fn count_dry_run(&self, is: bool) -> u32 {
        let [not, dry] = self.dry_run;
        if is { dry } else { not }
    }

    /// What is in force for these tenants; `None` where nothing is.
    pub fn of(&self, tenants: &Tenants) -> Option<InForce> {
        if self.overrides.is_empty() && self.defaults.is_empty() {
            return None;
        }
        let mut strictest: Option<InForce> = None;
        for id in tenants.ids() {
            let one = self.of_one(id);
            match &mut strictest {
                None => strictest = Some(one),
                Some(all) => all.tighten(one),
            }
        }
        strictest.filter(|limits| !limits.is_empty())
    }

    /// What is in force for one tenant.
    pub fn of_one(&self, id: &str) -> InForce {
        let mut values = [0; TABLE.len()];
        let own = self.own(id);
        for &(limit, value) in self.defaults.values.iter().chain(own.iter().flat_map(|set| &*set.values)) {
            if let Some(place) = values.get_mut(limit as usize) {
                *place = value;
            }
        }
        let blocked = own.and_then(|set| set.blocked.clone()).or_else(|| self.defaults.blocked.clone());
        let rejected = own.and_then(|set| set.rejected.clone()).or_else(|| self.defaults.rejected.clone());
        InForce {
            values,
            blocked: blocked.into_iter().filter(|list| !list.is_empty()).collect(),
            rejected: rejected.into_iter().filter(|list| !list.is_empty()).collect(),
        }
    }

    /// The tenants of which only so many queries may run, each with its own limit.
    pub fn concurrency(&self, tenants: &Tenants) -> Vec<(Arc<str>, i64)> {
        let bound = |id: &str| self.one(id, Limit::Concurrency);
        if tenants.are_several() {
            tenants.ids().filter_map(|id| Some((id.into(), bound(id)?))).collect()
        } else {
            let id = tenants.joined();
            bound(id).map(|allowed| (id.clone(), allowed)).into_iter().collect()
        }
    }

    /// One limit of these tenants, the strictest; `None` where it is off. Not for a limit that is a lower bound.
    pub fn least(&self, tenants: &Tenants, limit: Limit) -> Option<i64> {
        tenants.ids().filter_map(|id| self.one(id, limit)).min()
    }

    /// One limit of one tenant; `None` where it is off.
    pub fn one(&self, id: &str, limit: Limit) -> Option<i64> {
        let of = |set: &Set| set.values.iter().find(|(other, _)| *other == limit).map(|(_, value)| *value);
        self.own(id).and_then(of).or_else(|| of(&self.defaults)).filter(|value| *value > 0)
    }

    /// Whether some tenant's limits depend on the time.
    pub fn need_the_time(&self) -> bool {
        self.told.time || self.defaults.told().time
    }

    /// Whether some tenant's queries are counted.
    pub fn count_queries(&self) -> bool {
        self.told.counts || self.defaults.told().counts
    }

    /// What all overrides together need, for who reads the same text later.
    pub fn told(&self) -> Told {
        self.told
    }

    /// Where a limit is set that is on: in `limits`, or for this tenant.
    pub fn where_set(&self, limit: Limit) -> Option<Option<Cow<'_, str>>> {
        if self.defaults.has(limit) {
            return Some(None);
        }
        let first = self.first.get(limit as usize).and_then(|&number| (number as usize).checked_sub(1))?;
        self.overrides.ids().nth(first).map(Some)
    }

    /// Notes what a tenant's own limits are, which are judged.
    pub(super) fn note(&mut self, number: u32, set: &Set) {
        let Told { time, counts } = set.told();
        self.told.time |= time;
        self.told.counts |= counts;
        for &(limit, _) in set.values.iter().filter(|(_, value)| *value > 0) {
            if let Some(first @ 0) = self.first.get_mut(limit as usize) {
                *first = number;
            }
        }
    }

    /// Notes what a tenant's own limits say about `dry_run`.
    pub(super) fn note_dry_run(&mut self, set: &Set) {
        if let Some(count) = set.dry_run.and_then(|is| self.dry_run.get_mut(usize::from(is))) {
            *count += 1;
        }
    }
}

impl Set {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.blocked.is_none() && self.rejected.is_none()
    }

    /// Whether it sets a limit that is on.
    fn has(&self, limit: Limit) -> bool {
        self.values.iter().any(|&(other, value)| other == limit && value > 0)
    }

    fn told(&self) -> Told {
        let is_on = |is: fn(Limit) -> bool| self.values.iter().any(|&(limit, value)| value > 0 && is(limit));
        let rejects_by_time = || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time));
        Told {
            time: is_on(Limit::depends_on_the_time) || rejects_by_time(),
            counts: is_on(|limit| matches!(limit, Limit::Concurrency | Limit::ConcurrentWrites)),
        }
    }
}

impl InForce {
    /// A limit's value; `None` where it is off.
    pub fn get(&self, limit: Limit) -> Option<i64> {
        self.values.get(limit as usize).copied().filter(|&value| value > 0)
    }

    /// Whether what is decided depends on the time.
    pub fn need_the_time(&self) -> bool {
        TABLE.iter().any(|&(_, _, limit)| limit.depends_on_the_time() && self.get(limit).is_some())
            || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time))
    }

    /// Whether what is decided depends on how far a query reaches.
    pub fn need_the_reach(&self) -> bool {
        TABLE.iter().any(|&(_, _, limit)| limit.depends_on_the_reach() && self.get(limit).is_some())
            || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time))
    }

    /// Whether anything is in force besides the number of queries that run at the same time.
    pub fn need_the_body(&self) -> bool {
        let mut others = TABLE.iter().filter(|&&(_, _, limit)| limit.place() == Place::Request);
        !self.blocked.is_empty() || !self.rejected.is_empty() || others.any(|&(_, _, limit)| self.get(limit).is_some())
    }

    fn is_empty(&self) -> bool {
        let is_off = |&(_, _, limit): &(_, _, Limit)| {
            matches!(limit.place(), Place::Writes | Place::Answer) || self.get(limit).is_none()
        };
        TABLE.iter().all(is_off) && self.blocked.is_empty() && self.rejected.is_empty()
    }

    fn tighten(&mut self, other: InForce) {
        for ((place, value), (_, _, limit)) in self.values.iter_mut().zip(other.values).zip(TABLE) {
            *place = match (*place, value) {
                (0, only) | (only, 0) => only,
                (left, right) if limit.is_lower_bound() => left.max(right),
                (left, right) => left.min(right),
            };
        }
        add(&mut self.blocked, other.blocked);
        add(&mut self.rejected, other.rejected);
    }
}

/// Tenants without a list of their own share the default one, which is compared once.
fn add<T>(lists: &mut Vec<Arc<[T]>>, more: Vec<Arc<[T]>>) {
    for list in more {
        if !lists.iter().any(|other| Arc::ptr_eq(other, &list)) {
            lists.push(list);
        }
    }
}
