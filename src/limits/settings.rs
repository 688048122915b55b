//! What a configuration sets, and what is in force for the tenants of one request.
//!
//! An override counts before a default, and 0 is off in both. For several tenants the strictest value counts, and every tenant's
//! blocked and rejected queries do.

use super::limit::{Limit, Place, TABLE};
use super::rules::{Attributes, Blocked};
use crate::tenant::{ById, Tenants};
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
    overrides: ById<Set>,
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
    /// Limits for every tenant, with room for so many overrides.
    pub fn new(defaults: Set, overrides: usize) -> Self {
        Limits { defaults, overrides: ById::with_capacity(overrides) }
    }

    /// Adds a tenant's own limits, and returns whether it had none before.
    pub fn add(&mut self, id: Box<str>, set: Set) -> bool {
        self.overrides.add(id, set)
    }

    /// A tenant's own limits.
    pub fn own(&self, id: &str) -> Option<&Set> {
        self.overrides.get(id)
    }

    /// The tenants that have limits of their own, in the order of the configuration.
    pub fn overridden(&self) -> impl Iterator<Item = (&str, &Set)> {
        self.overrides.iter()
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
        self.sets().any(Set::needs_the_time)
    }

    /// Whether some tenant's queries are counted.
    pub fn count_queries(&self) -> bool {
        self.sets().any(|set| {
            set.values
                .iter()
                .any(|&(limit, value)| matches!(limit, Limit::Concurrency | Limit::ConcurrentWrites) && value > 0)
        })
    }

    /// Where a limit is set that is on: in `limits`, or for this tenant.
    pub fn where_set(&self, limit: Limit) -> Option<Option<&str>> {
        let sets = |set: &Set| set.values.iter().any(|&(other, value)| other == limit && value > 0);
        if sets(&self.defaults) {
            return Some(None);
        }
        self.overrides.iter().find(|(_, set)| sets(set)).map(|(id, _)| Some(id))
    }

    fn sets(&self) -> impl Iterator<Item = &Set> {
        std::iter::once(&self.defaults).chain(self.overrides.iter().map(|(_, set)| set))
    }
}

impl Set {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.blocked.is_none() && self.rejected.is_none()
    }

    fn needs_the_time(&self) -> bool {
        self.values.iter().any(|&(limit, value)| value > 0 && limit.depends_on_the_time())
            || self.rejected.iter().any(|list| list.iter().any(Attributes::need_the_time))
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
