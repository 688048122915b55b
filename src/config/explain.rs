//! The configuration in force, every default made explicit: what `tenancyctl check` prints.

use super::source::CERTIFICATE_FIELDS;
use super::{Allowed, CONFLICTS, Config, FORMATS, effective};
use crate::limits::Unit;
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
        let setting = |key: &'static str, value: Value, meaning: String| Setting {
            key,
            value: if value.is_null() { String::new() } else { value.to_string() },
            given: self.given.contains(key),
            meaning,
        };
        let (federated, max_tenants) = match self.federation {
            Federation::Off => (false, 0),
            Federation::On { max_tenants } => (true, max_tenants),
        };
        let (mut header, mut default, mut certificate) = (Value::Null, Value::Null, "");
        let (mut metadata, mut fixed) = (Value::Null, Value::Null);
        match &self.source {
            Source::Header { name, default: tenant } => {
                header = (**name).into();
                default = tenant.as_ref().map_or("", |tenants| tenants.joined()).into();
            }
            Source::Certificate(field) => certificate = name(CERTIFICATE_FIELDS, Some(*field)),
            Source::Metadata(path) => metadata = path.to_vec().into(),
            Source::Static(tenants) => fixed = tenants.ids().collect(),
        }
        let or_unused =
            |value: &Value, meaning: &str, unused: &str| if value.is_null() { unused } else { meaning }.to_owned();
        vec![
            setting("upstream", self.upstream.name().into(), "whose API table applies".to_owned()),
            setting(
                "tenant_header",
                header.clone(),
                or_unused(&header, "the client's header that names the tenant", "no header names the tenant"),
            ),
            setting(
                "default_tenant_id",
                default.clone(),
                match default.as_str() {
                    None => "a request that names no tenant is refused with 401",
                    Some("") => "a request without the header is refused with 401",
                    Some(_) => "the tenant of a request without the header",
                }
                .to_owned(),
            ),
            setting(
                "tenant_certificate_field",
                certificate.into(),
                match certificate {
                    "" => "the client certificate does not name the tenant",
                    _ => "the field of the client certificate's subject that names the tenant; the header is ignored",
                }
                .to_owned(),
            ),
            setting(
                "tenant_metadata",
                metadata.clone(),
                or_unused(
                    &metadata,
                    "where Envoy's dynamic metadata names the tenant; the header is ignored",
                    "no metadata names the tenant",
                ),
            ),
            setting(
                "static_tenant_ids",
                fixed.clone(),
                or_unused(&fixed, "the tenants of every request; the header is ignored", "requests name the tenant"),
            ),
            setting(
                "tenant_regex",
                self.view.as_deref().map_or(Value::Null, Value::from),
                match self.view {
                    Some(_) => "every request sees all tenants that this pattern matches",
                    None => "every request sees the tenants that are named",
                }
                .to_owned(),
            ),
            setting("tenant_id_format", name(FORMATS, self.format).into(), "which tenant IDs are valid".to_owned()),
            setting(
                "tenant_federation",
                serde_json::json!({"enabled": federated, "max_tenants": max_tenants}),
                match (federated, max_tenants) {
                    (false, _) => "a request names one tenant".to_owned(),
                    (true, 0) => "a request may name several tenants, separated by |".to_owned(),
                    (true, max) => format!("a request may name up to {max} tenants, separated by |"),
                },
            ),
            setting(
                "allowed_tenants",
                self.allowed.as_ref().map_or(Value::Null, Allowed::to_json),
                if self.allowed.is_some() { "only these are served" } else { "every valid tenant is served" }
                    .to_owned(),
            ),
            setting(
                "forward_tenant_header",
                (*self.forward_tenant_header).into(),
                "the header that is set upstream, once".to_owned(),
            ),
            setting(
                "strip_headers",
                self.strip_headers.clone().into(),
                format!("removed from what the client sent, besides {}", self.always_removed().join(", ")),
            ),
            setting(
                "enforce_tenancy",
                self.enforce.into(),
                if self.enforce {
                    "each selector gains the tenant's matcher"
                } else {
                    "queries are not rewritten: the upstream has to isolate tenants by the header"
                }
                .to_owned(),
            ),
            setting("tenant_label_name", (*self.label).into(), "the label that is enforced".to_owned()),
            setting(
                "on_conflict",
                name(CONFLICTS, self.on_conflict).into(),
                match self.on_conflict {
                    crate::promql::OnConflict::Replace => "a query's own matcher on the label is replaced",
                    crate::promql::OnConflict::Intersect => "a query's own matcher on the label is kept beside ours",
                    crate::promql::OnConflict::Reject => {
                        "a query whose own matcher on the label can't match the tenant is refused"
                    }
                }
                .to_owned(),
            ),
            setting(
                "path_prefixes",
                self.path_prefixes.clone().into(),
                "where the API's paths begin; the longest that fits decides".to_owned(),
            ),
            setting(
                "passthrough_paths",
                self.passthrough_paths.iter().cloned().collect(),
                "forwarded without enforcement, with the tenant's header".to_owned(),
            ),
            setting(
                "max_response_bytes",
                self.max_response_bytes.into(),
                "the largest answer that is held back to be filtered; Envoy has to buffer as much".to_owned(),
            ),
            setting(
                "shared_rules",
                self.shared_rules.into(),
                if self.shared_rules {
                    "rules that are nobody's are shown with the tenant's active alerts in them"
                } else {
                    "rules that are nobody's are not shown"
                }
                .to_owned(),
            ),
            setting(
                "match_rules",
                self.match_rules.into(),
                if self.match_rules {
                    "rules are asked for by match[], and filtered"
                } else {
                    "all rules are asked for, and filtered"
                }
                .to_owned(),
            ),
            setting(
                "allow_on_headers_stop_iteration",
                self.can_hold_heads.into(),
                if self.can_hold_heads {
                    "Envoy's option of that name is set: an answer that can't be filtered is a 502"
                } else {
                    "an answer that can't be filtered becomes an error object, under the status that has gone out"
                }
                .to_owned(),
            ),
            setting("stats", self.stats.explain(), self.stats.meaning()),
            setting(
                "limits",
                effective::object(&self.limits.defaults),
                "what a tenant without an override may ask for; what is not set is not limited".to_owned(),
            ),
            setting(
                "overrides",
                serde_json::Value::Object(
                    self.limits.overridden().map(|(id, set)| (id.to_string(), effective::object(set))).collect(),
                ),
                match self.limits.overridden().count() {
                    0 => "no tenant has limits of its own".to_owned(),
                    count => format!("{count} tenants have limits of their own"),
                },
            ),
            setting(
                "lookback_delta",
                Unit::Duration.write(self.lookback_ms).into(),
                "how far back the upstream looks for a sample".to_owned(),
            ),
            setting(
                "default_evaluation_interval",
                Unit::Duration.write(self.subquery_step_ms).into(),
                "the upstream's step of a subquery that names none".to_owned(),
            ),
            setting(
                "log_queries",
                self.log_queries.into(),
                if self.log_queries {
                    "a refused request's query stands in its line of the log"
                } else {
                    "no query's text is logged"
                }
                .to_owned(),
            ),
            setting(
                "extra_parameters",
                self.extra_parameters.to_vec().into(),
                "forwarded besides what an endpoint knows".to_owned(),
            ),
        ]
    }

    fn always_removed(&self) -> Vec<&str> {
        self.removed
            .iter()
            .map(String::as_str)
            .filter(|name| {
                !self.strip_headers.iter().any(|stripped| stripped == name) && *name != &*self.forward_tenant_header
            })
            .collect()
    }
}

fn name<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| *word)
}
