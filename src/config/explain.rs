//! The configuration in force, every default made explicit: what `tenancyctl check` prints.

use super::{CONFLICTS, Config, FORMATS};
use crate::tenant::Federation;

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
        let setting = |key: &'static str, value: serde_json::Value, meaning: String| Setting {
            key,
            value: if value.is_null() { String::new() } else { value.to_string() },
            given: self.given.contains(key),
            meaning,
        };
        let name = |words: &[(&'static str, _)], value| {
            words.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| *word)
        };
        let (federated, max_tenants) = match self.federation {
            Federation::Off => (false, 0),
            Federation::On { max_tenants } => (true, max_tenants),
        };
        let default_tenant = self.default_tenant.as_ref().map_or("", |tenants| tenants.joined());
        let conflict = CONFLICTS.iter().find(|(_, other)| *other == self.on_conflict).map_or("", |(word, _)| *word);
        vec![
            setting("upstream", self.upstream.name().into(), "whose API table applies".to_owned()),
            setting(
                "tenant_header",
                (*self.tenant_header).into(),
                "the client's header that names the tenant".to_owned(),
            ),
            setting(
                "default_tenant_id",
                default_tenant.into(),
                if default_tenant.is_empty() {
                    "a request without the header is refused with 401"
                } else {
                    "the tenant of a request without the header"
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
                self.allowed.as_ref().map_or(serde_json::Value::Null, |allowed| allowed.iter().cloned().collect()),
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
                conflict.into(),
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
