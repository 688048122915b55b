//! Settings that are valid and have no effect. The configuration is in force all the same, but its author meant something else, so
//! that `tenancyctl check` takes them for mistakes, and the log names them.
//!
//! What contradicts another key directly is refused by that key's own rule (`check`, `source`). These are found once all keys are
//! read.

use super::{Config, ConfigError, keys};
use crate::api::Honours;
use crate::limits::{Place, TABLE};
use crate::scope::OnConflict;
use crate::tenant::{Federation, Source};

impl Config {
    /// Each setting that has no effect, in the order of the keys.
    ///
    /// ```
    /// use promql_tenancy_filter::config::Config;
    ///
    /// let json = br#"{"allowed_tenants": ["team-a"], "overrides": {"Team-a": {"max_query_length": "1d"}}}"#;
    /// let found = Config::parse(json).unwrap().without_effect();
    /// assert_eq!(found[0].to_string(), "overrides.Team-a: has no effect: the tenant is not served, but team-a is");
    /// ```
    pub fn without_effect(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        let mut add = |path: &str, why: &str| found.push(ConfigError::new(path, ["has no effect: ", why].concat()));
        let is_static = matches!(self.source, Source::Static(_));
        if self.federation == (Federation::On { max_tenants: 1 }) {
            add("tenant_federation.enabled", "max_tenants is 1");
        }
        let is_several = match &self.source {
            Source::Static(tenants) => tenants.are_several(),
            Source::Header { .. }
            | Source::Parameter(_)
            | Source::Allowed { .. }
            | Source::Certificate(_)
            | Source::Metadata(_) => self.federation != Federation::Off,
        };
        if self.renaming.is_some() && !is_several && self.view.is_none() && self.confinement.shared.is_none() {
            add("federation_label", "no request names several tenants");
        }
        if is_static && self.allowed.is_some() {
            add("allowed_tenants", "static_tenant_ids names the tenants");
        }
        if !self.enforce {
            for (key, is_set) in [
                ("tenant_label_name", &*self.label != super::DEFAULT_LABEL),
                ("on_conflict", self.on_conflict != OnConflict::Replace),
                ("shared_rules", self.shared_rules),
                ("match_rules", self.match_rules),
            ] {
                if is_set {
                    add(key, "enforce_tenancy is false");
                }
            }
        }
        // A similar ID is looked for among all of them, so for the first tenants only.
        let mut looks = 20;
        let overridden = self.limits.ids().map(|id| ("overrides.", id));
        let selecting = self.confinement.selectors.ids().map(|id| ("tenant_selectors.", id));
        for (key, id) in overridden.chain(selecting) {
            let path = [key, &id].concat();
            if !self.allows(&id) {
                looks -= i32::from(looks > 0);
                match self.allowed.as_ref().filter(|_| looks > 0).and_then(|allowed| allowed.like(&id)) {
                    Some(other) => add(&path, &["the tenant is not served, but ", &other, " is"].concat()),
                    None => add(&path, "the tenant is not in allowed_tenants"),
                }
            } else if let Source::Static(tenants) = &self.source
                && !tenants.ids().any(|other| other == id)
            {
                add(&path, "static_tenant_ids does not name the tenant");
            }
        }
        for (name, _, limit) in TABLE {
            let Place::Upstream(cap) = limit.place() else { continue };
            let honours = self.upstream.profile().honours.get(cap as usize);
            if let (Some(Honours::Not), Some(tenant)) = (honours, self.limits.where_set(limit)) {
                let path = match tenant {
                    None => ["limits.", name].concat(),
                    Some(id) => ["overrides.", &id, ".", name].concat(),
                };
                add(&path, "the upstream has no parameter for it, and nothing enforces it");
            }
        }
        if !self.gives("limits") && !self.gives("overrides") {
            for key in ["lookback_delta", "default_evaluation_interval"] {
                if self.gives(key) {
                    add(key, "only limits depend on it, and there are none");
                }
            }
        }
        found
    }

    /// Whether the configuration names the key.
    fn gives(&self, key: &str) -> bool {
        keys::NAMES.iter().position(|name| *name == key).is_some_and(|at| self.given & 1 << at != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[track_caller]
    fn assert_found(json: &str, expected: &[&str]) {
        let found = Config::parse(json.as_bytes()).unwrap().without_effect();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{json}");
    }

    #[test]
    fn limits_of_a_tenant_that_is_never_served_have_no_effect() {
        let overrides = r#""overrides": {"Team-a": {}, "other": {}, "team-a": {}, "lab-1": {}}"#;
        assert_found(
            &format!(r#"{{"allowed_tenants": ["team-a", {{"prefix": "lab-"}}], {overrides}}}"#),
            &[
                "overrides.Team-a: has no effect: the tenant is not served, but team-a is",
                "overrides.other: has no effect: the tenant is not in allowed_tenants",
            ],
        );
        assert_found(&format!("{{{overrides}}}"), &[]);
        let selectors = r#""tenant_selectors": {"Team-a": "{ns=\"x\"}", "team-a": "{ns=\"y\"}"}"#;
        assert_found(
            &format!(r#"{{"allowed_tenants": ["team-a"], {selectors}}}"#),
            &["tenant_selectors.Team-a: has no effect: the tenant is not served, but team-a is"],
        );
        assert_found(
            &format!(r#"{{"static_tenant_ids": ["team-a"], {selectors}}}"#),
            &["tenant_selectors.Team-a: has no effect: static_tenant_ids does not name the tenant"],
        );
        assert_found(
            r#"{"static_tenant_ids": ["a", "b"], "overrides": {"a": {}, "c": {}}}"#,
            &["overrides.c: has no effect: static_tenant_ids does not name the tenant"],
        );
    }

    #[test]
    fn what_another_key_makes_idle_is_found() {
        assert_found(
            r#"{"upstream": "mimir", "tenant_label_name": "team", "on_conflict": "reject", "shared_rules": true}"#,
            &[
                "tenant_label_name: has no effect: enforce_tenancy is false",
                "on_conflict: has no effect: enforce_tenancy is false",
                "shared_rules: has no effect: enforce_tenancy is false",
            ],
        );
        assert_found(
            r#"{"enforce_tenancy": false, "match_rules": true}"#,
            &["match_rules: has no effect: enforce_tenancy is false"],
        );
        assert_found(r#"{"upstream": "mimir", "tenant_label_name": "tenant_id", "shared_rules": false}"#, &[]);
        assert_found(
            r#"{"tenant_federation": {"enabled": true, "max_tenants": 1}}"#,
            &["tenant_federation.enabled: has no effect: max_tenants is 1"],
        );
        let alone = &["federation_label: has no effect: no request names several tenants"];
        assert_found(r#"{"federation_label": true}"#, alone);
        assert_found(r#"{"federation_label": true, "static_tenant_ids": ["a"]}"#, alone);
        for several in [
            r#""tenant_federation": {"enabled": true}"#,
            r#""static_tenant_ids": ["a", "b"]"#,
            r#""static_tenant_ids": ["a"], "tenant_regex": "a|b""#,
            r#""shared_tenants": ["platform"]"#,
        ] {
            assert_found(&format!(r#"{{"federation_label": "team", {several}}}"#), &[]);
        }
        assert_found(
            r#"{"allowed_tenants": ["a", "b"], "static_tenant_ids": ["a"]}"#,
            &["allowed_tenants: has no effect: static_tenant_ids names the tenants"],
        );
        assert_found(
            r#"{"lookback_delta": "10m", "default_evaluation_interval": "30s"}"#,
            &[
                "lookback_delta: has no effect: only limits depend on it, and there are none",
                "default_evaluation_interval: has no effect: only limits depend on it, and there are none",
            ],
        );
        let upstream = "has no effect: the upstream has no parameter for it, and nothing enforces it";
        for name in ["thanos", "cortex"] {
            assert_found(
                &format!(
                    r#"{{"upstream": "{name}", "limits": {{"query_timeout": "1m", "max_samples_per_query": 5}},
                    "overrides": {{"a": {{"max_fetched_series_per_query": 0}}, "b": {{"max_fetched_series_per_query": 9}}}}}}"#
                ),
                &[
                    &format!("overrides.b.max_fetched_series_per_query: {upstream}"),
                    &format!("limits.max_samples_per_query: {upstream}"),
                ],
            );
        }
        assert_found(r#"{"limits": {"query_timeout": "1m", "max_samples_per_query": 5}}"#, &[]);
        assert_found(r#"{"lookback_delta": "10m", "overrides": {"a": {"retention_period": "1d"}}}"#, &[]);
        assert_found("{}", &[]);
    }
}
