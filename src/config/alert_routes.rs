//! `alert_routes`: the cluster of each tenant's Alertmanager; and what contradicts it, and `upstream: alertmanager`.

use super::{Config, ConfigError};
use crate::settings::Field;
use crate::tenant::{ById, Format, Source, Tenants};
use std::borrow::Cow;
use std::sync::Arc;

/// The name that stands for all tenants that are not listed, and for alerts without a tenant.
const REST: &str = "*";

/// Where alerts go.
#[derive(Debug, Clone)]
pub struct AlertRoutes {
    /// Also [`REST`].
    clusters: ById<Arc<str>>,
    format: Format,
}

impl AlertRoutes {
    /// Reads the object.
    pub fn read(field: Field, format: Format) -> Result<AlertRoutes, ConfigError> {
        let none = field.error("at least one tenant is needed, or \"*\"");
        let path = field.path.clone();
        let mut judge = |id: &str, field: Field| {
            if id != REST {
                Tenants::one(id.as_bytes(), format).map_err(|error| field.error(error.to_string()))?;
            }
            match &*cluster(field)? {
                "" => Err(ConfigError::new("", "a cluster needs a name")),
                _ => Ok(()),
            }
        };
        let clusters = ById::index(&path, field.unread(false, "an object")?, None, &mut judge)?;
        if clusters.is_empty() { Err(none) } else { Ok(AlertRoutes { clusters, format }) }
    }

    /// Whose alerts these are, by the value of the tenant's label, and the cluster that they go to; none where they are refused.
    pub fn find<'r>(&'r self, id: &'r str) -> (Option<&'r str>, Option<&'r Arc<str>>) {
        if let Some(cluster) = self.cluster(id).filter(|_| id != REST) {
            return (Some(id), Some(cluster));
        }
        let Some(rest) = self.cluster(REST) else { return (None, None) };
        // What is no tenant's ID can't stand in the header.
        (Some(id).filter(|id| Tenants::one(id.as_bytes(), self.format).is_ok()), Some(rest))
    }

    /// The tenants and their clusters, in the order of the configuration, with `*` at the end.
    pub fn entries(&self) -> impl Iterator<Item = (Cow<'_, str>, &Arc<str>)> {
        let listed = self.clusters.ids().filter(|id| *id != REST);
        listed.chain([REST.into()]).filter_map(|id| self.cluster(&id).map(|cluster| (id, cluster)))
    }

    fn cluster(&self, id: &str) -> Option<&Arc<str>> {
        self.clusters.get(id, cluster).unwrap_or(None)
    }
}

fn cluster(field: Field) -> Result<Arc<str>, ConfigError> {
    field.text().map(Arc::from)
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
