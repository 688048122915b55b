//! The configuration in force, every default made explicit: what `tenancyctl check` prints.

use super::allowed::Allowed;
use super::source::CERTIFICATE_FIELDS;
use super::{Config, keys};
use crate::scope::{OnConflict, Scope};
use crate::tenant::{Claims, EnforcedLabel, Federation, LabelSource, Source, Tenants};
use serde_json::{Value, json};
use std::borrow::Cow;

/// One key, with the value in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// Its value as JSON; empty where there is none.
    pub value: String,
    /// Whether the configuration names the key; otherwise it is the default.
    pub given: bool,
    /// What the value does.
    pub meaning: String,
}

impl Config {
    /// Every key that this version knows, in the order in which it is easiest to read.
    pub fn explain(&self) -> Vec<Setting> {
        let setting = |(at, key): (usize, &keys::Key)| {
            let value = (key.show)(self);
            Setting {
                key: key.name,
                value: if value.is_null() { String::new() } else { value.to_string() },
                given: self.given & 1 << at != 0,
                meaning: key.says.map_or(key.meaning.to_owned(), |says| says(self)),
            }
        };
        keys::all().iter().enumerate().map(setting).collect()
    }
}

impl Config {
    /// The tenants that are served, as the configuration writes them; `None` where all are.
    pub fn allowed_tenants(&self) -> Option<Value> {
        self.allowed.as_ref().map(Allowed::to_json)
    }

    /// The tenants with a selector of their own, in the order of the configuration.
    pub fn own_scopes(&self) -> impl Iterator<Item = (Cow<'_, str>, &Scope)> {
        self.confinement.selectors.iter()
    }

    /// Whether the tenants are confined to their IDs in the tenant label, and to nothing else.
    pub fn is_by_label(&self, tenants: &Tenants) -> bool {
        let is_own = tenants.single().is_some_and(|id| self.confinement.selectors.has_own(id));
        self.view.is_none() && !is_own && self.confinement.shared.is_none() && self.enforced_labels().is_empty()
    }

    /// Why these tenants are confined to what they are: first of what names the tenants, then of each of the enforced labels.
    pub fn why_confined(&self, tenants: &Tenants) -> Vec<String> {
        let own = tenants.single().filter(|id| self.confinement.selectors.has_own(id));
        let tenant = match (&self.view, own, &self.confinement.shared) {
            (Some(_), ..) => "tenant_regex".to_owned(),
            (None, Some(id), _) => format!("tenant_selectors.{id}"),
            (None, None, None) => "tenant_label_name".to_owned(),
            (None, None, Some(shared)) => {
                format!("tenant_label_name, with {} of shared_tenants", shared.ids().collect::<Vec<_>>().join(", "))
            }
        };
        let label = |label: &EnforcedLabel| match &label.source {
            LabelSource::Header(name) => format!("enforced_labels: the header {name}"),
            LabelSource::Metadata(path) => format!("enforced_labels: the metadata {}", path.join(" / ")),
            LabelSource::Values(_) => "enforced_labels: fixed".to_owned(),
        };
        [tenant].into_iter().chain(self.enforced_labels().iter().map(label)).collect()
    }
}

// What the rows of `keys` print of values that are no single JSON value.

pub fn either(first: bool, so: &str, otherwise: &str) -> String {
    if first { so } else { otherwise }.to_owned()
}

pub fn default_tenant(config: &Config) -> Value {
    match &config.source {
        Source::Header { default, .. } | Source::Allowed { default } => {
            default.as_ref().map_or("", |tenants| tenants.joined()).into()
        }
        Source::Parameter(_) | Source::Certificate(_) | Source::Metadata(_) | Source::Static(_) => Value::Null,
    }
}

pub fn what_default_tenant_does(config: &Config) -> String {
    match default_tenant(config).as_str() {
        None => "a request that names no tenant is refused with 401",
        Some("") => "a request without the header is refused with 401",
        Some(_) => "the tenant of a request without the header",
    }
    .to_owned()
}

pub fn certificate_field(config: &Config) -> &'static str {
    match &config.source {
        Source::Certificate(field) => name(CERTIFICATE_FIELDS, Some(*field)),
        Source::Header { .. }
        | Source::Parameter(_)
        | Source::Allowed { .. }
        | Source::Metadata(_)
        | Source::Static(_) => "",
    }
}

/// The claim that names the tenant.
fn claims(config: &Config) -> Option<&Claims> {
    match &config.source {
        Source::Metadata(claims) => Some(claims),
        Source::Header { .. }
        | Source::Parameter(_)
        | Source::Allowed { .. }
        | Source::Certificate(_)
        | Source::Static(_) => None,
    }
}

pub fn metadata(config: &Config) -> Value {
    claims(config).map_or(Value::Null, super::claims::to_json)
}

pub fn groups(config: &Config) -> Value {
    let groups = claims(config).and_then(|claims| claims.groups.as_ref());
    groups.map_or(Value::Null, |groups| {
        Value::Object(
            groups.iter().map(|(name, ids)| (name.to_string(), ids.iter().map(|id| &**id).collect())).collect(),
        )
    })
}

pub fn static_ids(config: &Config) -> Value {
    match &config.source {
        Source::Static(tenants) => tenants.ids().collect(),
        Source::Header { .. }
        | Source::Parameter(_)
        | Source::Allowed { .. }
        | Source::Certificate(_)
        | Source::Metadata(_) => Value::Null,
    }
}

pub fn what_the_path_does(config: &Config) -> String {
    let among = match (config.tenant_path(), &config.source) {
        (None, _) => return "paths do not name tenants".to_owned(),
        (Some(_), Source::Allowed { .. }) => "the tenants that allowed_tenants names; it is believed as a header is",
        (Some(_), Source::Metadata(_)) => "the tenants that the claim names",
        (Some(_), Source::Certificate(_)) => "the one that the certificate names",
        (Some(_), Source::Static(_)) => "static_tenant_ids",
        // No configuration has both.
        (Some(_), Source::Header { .. } | Source::Parameter(_)) => "nothing",
    };
    format!("behind it, the path chooses one of {among}; no header names the tenant")
}

pub fn selectors(config: &Config) -> Value {
    let selectors = config.confinement.selectors.iter();
    Value::Object(selectors.map(|(id, scope)| (id.into_owned(), scope.selector().into())).collect())
}

pub fn what_selectors_do(config: &Config) -> String {
    match config.confinement.selectors.count() {
        0 => "every tenant is confined to its ID in the tenant label".to_owned(),
        count => format!("{count} tenants are confined to a selector of their own instead of the tenant label"),
    }
}

pub fn enforced_labels(config: &Config) -> Value {
    let label = |label: &EnforcedLabel| match &label.source {
        LabelSource::Header(name) => json!({"label": &*label.name, "header": &**name}),
        LabelSource::Metadata(path) => json!({"label": &*label.name, "metadata": path.to_vec()}),
        LabelSource::Values(values) => json!({"label": &*label.name, "values": values.to_vec()}),
    };
    config.enforced_labels().iter().map(label).collect()
}

pub fn shared_tenants(config: &Config) -> Value {
    config.confinement.shared.iter().flat_map(Tenants::ids).collect()
}

pub fn federation(config: &Config) -> Value {
    let (enabled, max_tenants) = match config.federation {
        Federation::Off => (false, 0),
        Federation::On { max_tenants } => (true, max_tenants),
    };
    json!({"enabled": enabled, "max_tenants": max_tenants})
}

pub fn what_federation_does(config: &Config) -> String {
    match config.federation {
        Federation::Off => "a request names one tenant".to_owned(),
        Federation::On { max_tenants: 0 } => "a request may name several tenants, separated by |".to_owned(),
        Federation::On { max_tenants } => format!("a request may name up to {max_tenants} tenants, separated by |"),
    }
}

pub fn what_conflicts_do(config: &Config) -> String {
    match config.on_conflict {
        OnConflict::Replace => "a query's own matcher on the label is replaced",
        OnConflict::Intersect => "a query's own matcher on the label is kept beside the tenant's",
        OnConflict::Reject => "a query whose own matcher on the label can't match the tenant is refused",
    }
    .to_owned()
}

pub fn always_removed(config: &Config) -> Vec<&str> {
    let is_stripped = |name: &str| config.strip_headers.iter().any(|stripped| stripped == name);
    let names = config.removed.iter().map(String::as_str);
    names.filter(|name| !is_stripped(name) && *name != &*config.forward_tenant_header).collect()
}

pub fn name<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| *word)
}
