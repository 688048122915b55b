//! The limits in force, tenant by tenant: what `tenancyctl check` prints of them.

use super::Config;
use crate::api::Honours;
use crate::limits::{Limit, Place, Set, TABLE, Unit};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A limit in force for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub name: &'static str,
    /// Its value as the configuration writes it, or a number of entries.
    pub value: String,
    /// It is the tenant's own, from `overrides`.
    pub is_override: bool,
    /// Of a limit that the upstream enforces: what the upstream does with it.
    pub upstream: Option<Honours>,
}

impl Config {
    /// The tenants with overrides, in the order of the configuration.
    pub fn overridden(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.limits.ids()
    }

    /// What is in force for a tenant; `None` stands for those without an override.
    pub fn effective(&self, tenant: Option<&str>) -> Vec<Effective> {
        // No valid ID is empty.
        let in_force = self.limits.of_one(tenant.unwrap_or_default());
        let own = tenant.and_then(|id| self.limits.own(id));
        let is_own = |limit: Limit| own.is_some_and(|set| set.values.iter().any(|(own, _)| *own == limit));
        let numbers = TABLE.into_iter().filter_map(|(name, unit, limit)| {
            let value = in_force.get(limit)?;
            let upstream = match limit.place() {
                Place::Upstream(cap) => self.upstream.profile().honours.get(cap as usize).copied(),
                Place::Request | Place::Running | Place::Writes | Place::Answer => None,
            };
            Some(Effective { name, value: unit.write(value), is_override: is_own(limit), upstream })
        });
        let list = |name, length: usize, is_override| {
            let value = || format!("{length} entries");
            (length > 0).then(|| Effective { name, value: value(), is_override, upstream: None })
        };
        let blocked = in_force.blocked.iter().map(|entries| entries.len()).sum();
        let rejected = in_force.rejected.iter().map(|entries| entries.len()).sum();
        let lists = [
            list("blocked_queries", blocked, own.is_some_and(|set| set.blocked.is_some())),
            list("query_rejection", rejected, own.is_some_and(|set| set.rejected.is_some())),
        ];
        let dry_run = self.dry_runs_tenant(tenant.unwrap_or_default()).then(|| Effective {
            name: "dry_run",
            value: "true: nothing is enforced".to_owned(),
            is_override: own.is_some_and(|set| set.dry_run.is_some()),
            upstream: None,
        });
        numbers.chain(lists.into_iter().flatten()).chain(dry_run).collect()
    }
}

/// What `overrides` sets.
pub(super) fn overrides(config: &Config) -> Value {
    Value::Object(config.limits.overridden().map(|(id, set)| (id.into_owned(), object(set))).collect())
}

/// What an object sets; of lists, how many entries.
pub(super) fn object(set: &Set) -> Value {
    let number = |&(limit, value): &(Limit, i64)| {
        let written = match limit.unit() {
            Unit::Duration => limit.unit().write(value).into(),
            Unit::Count => value.into(),
        };
        (limit.name().to_owned(), written)
    };
    let mut object: Map<String, Value> = set.values.iter().map(number).collect();
    if let Some(blocked) = &set.blocked {
        object.insert("blocked_queries".to_owned(), format!("{} entries", blocked.len()).into());
    }
    if let Some(rejected) = &set.rejected {
        object.insert("query_rejection".to_owned(), format!("{} entries", rejected.len()).into());
    }
    if let Some(dry_run) = set.dry_run {
        object.insert("dry_run".to_owned(), dry_run.into());
    }
    Value::Object(object)
}
