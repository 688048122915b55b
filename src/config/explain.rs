//! The configuration in force, every default made explicit: what `tenancyctl check` prints.

use super::source::CERTIFICATE_FIELDS;
use super::{Config, keys};
use crate::scope::OnConflict;
use crate::tenant::{Federation, Source};
use serde_json::Value;

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

// What the rows of `keys` print of values that are no single JSON value.

pub fn either(first: bool, so: &str, otherwise: &str) -> String {
    if first { so } else { otherwise }.to_owned()
}

pub fn default_tenant(config: &Config) -> Value {
    match &config.source {
        Source::Header { default, .. } => default.as_ref().map_or("", |tenants| tenants.joined()).into(),
        Source::Certificate(_) | Source::Metadata(_) | Source::Static(_) => Value::Null,
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
        Source::Header { .. } | Source::Metadata(_) | Source::Static(_) => "",
    }
}

pub fn metadata(config: &Config) -> Value {
    match &config.source {
        Source::Metadata(path) => path.to_vec().into(),
        Source::Header { .. } | Source::Certificate(_) | Source::Static(_) => Value::Null,
    }
}

pub fn static_ids(config: &Config) -> Value {
    match &config.source {
        Source::Static(tenants) => tenants.ids().collect(),
        Source::Header { .. } | Source::Certificate(_) | Source::Metadata(_) => Value::Null,
    }
}

pub fn federation(config: &Config) -> Value {
    let (enabled, max_tenants) = match config.federation {
        Federation::Off => (false, 0),
        Federation::On { max_tenants } => (true, max_tenants),
    };
    serde_json::json!({"enabled": enabled, "max_tenants": max_tenants})
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
