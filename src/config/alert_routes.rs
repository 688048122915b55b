//! `alert_routes`: the cluster of each tenant's Alertmanager; and what contradicts it, and `upstream: alertmanager`.

use super::{Config, ConfigError};
use crate::settings::Field;
use crate::tenant::{Format, Ids, Source, Tenants};
use std::sync::Arc;

/// The name that stands for all tenants that are not listed, and for alerts without a tenant.
const REST: &str = "*";

/// Where alerts go.
#[derive(Debug, Clone)]
pub struct AlertRoutes {
    listed: Ids,
    /// Of each that is listed.
    clusters: Vec<Arc<str>>,
    rest: Option<Arc<str>>,
    format: Format,
}

impl AlertRoutes {
    /// Reads the object.
    pub fn read(field: Field, format: Format) -> Result<AlertRoutes, ConfigError> {
        let none = field.error("at least one tenant is needed, or \"*\"");
        let entries = field.entries()?;
        let listed = Ids::with_capacity(entries.len());
        let mut routes = AlertRoutes { listed, clusters: Vec::new(), rest: None, format };
        for (id, field) in entries {
            let cluster: Arc<str> = match field.text()? {
                "" => return Err(field.error("a cluster needs a name")),
                name => name.into(),
            };
            if id == REST {
                if routes.rest.replace(cluster).is_some() {
                    return Err(ConfigError::twice(field.path));
                }
                continue;
            }
            Tenants::one(id.as_bytes(), format).map_err(|error| field.error(error.to_string()))?;
            if !routes.listed.add(&id) {
                return Err(ConfigError::twice(field.path));
            }
            routes.clusters.push(cluster);
        }
        if routes.listed.is_empty() && routes.rest.is_none() { Err(none) } else { Ok(routes) }
    }

    /// Whose alerts these are, by the value of the tenant's label, and the cluster that they go to; none where they are refused.
    pub fn find<'r>(&'r self, id: &'r str) -> (Option<&'r str>, Option<&'r Arc<str>>) {
        if let Some(cluster) = self.listed.find(id).and_then(|at| self.clusters.get(at)) {
            return (Some(id), Some(cluster));
        }
        let Some(rest) = &self.rest else { return (None, None) };
        // What is no tenant's ID can't stand in the header.
        (Some(id).filter(|id| Tenants::one(id.as_bytes(), self.format).is_ok()), Some(rest))
    }

    /// The tenants and their clusters, in the order of the configuration, with `*` at the end.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Arc<str>)> {
        let listed = self.listed.iter().zip(&self.clusters);
        listed.chain(self.rest.iter().map(|cluster| (REST, cluster)))
    }
}

/// Keys that together would open what each closes alone, or have no effect.
pub fn contradiction(config: &Config) -> Option<(&'static str, &'static str)> {
    let is_alertmanager = config.upstream.profile().serves_alerts;
    if is_alertmanager && !config.enforce {
        return Some((
            "enforce_tenancy",
            "can't be false for Alertmanager, which knows no tenants: for Cortex's and Mimir's, use \"upstream\": \"cortex\"",
        ));
    }
    if !is_alertmanager && config.allows_silence_of_all {
        return Some(("allow_silence_of_all", "needs \"upstream\": \"alertmanager\""));
    }
    config.alert_routes.as_ref()?;
    let problem = if !is_alertmanager {
        "needs \"upstream\": \"alertmanager\""
    } else if !matches!(config.source, Source::Static(_)) {
        "needs static_tenant_ids: whoever posts alerts here posts them for every tenant, so that the ruler needs a listener of its own"
    } else if !config.can_hold_heads {
        "needs allow_on_headers_stop_iteration: without it the proxy asks the listener's own upstream before the alerts are split"
    } else if config.confinement.is_by_other_labels() || config.view.is_some() {
        "can't be joined with tenant_selectors, enforced_labels or tenant_regex: alerts are split by tenant_label_name alone"
    } else {
        return None;
    };
    Some(("alert_routes", problem))
}
