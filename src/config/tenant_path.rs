//! `tenant_path`: a prefix such as `/t/`, behind which the path names the tenant.
//!
//! ```text
//! path = tenant_path tenant rest          rest: empty, or a path of its own
//! ```
//!
//! The upstream is sent the rest, and `x-forwarded-prefix` says what was removed. A path that begins otherwise names no tenant.

use super::json::Field;
use super::{ConfigError, api};
use crate::api::{Path, Upstream};
use crate::path as normal;
use std::collections::BTreeSet;

/// Tells the upstream, or what builds links from its pages, which prefix was removed. The client's own is never forwarded.
pub const FORWARDED_PREFIX: &str = "x-forwarded-prefix";

/// The prefix, with a slash at both ends.
#[derive(Debug, Clone)]
pub struct TenantPath(Box<str>);

/// A path that names a tenant, in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split<'p> {
    /// What is removed: `tenant_path` and the tenant, without the slash behind it.
    pub prefix: &'p [u8],
    /// The tenant, as it stands in the path. It may be empty.
    pub tenant: &'p [u8],
    /// What is left. It is empty, or begins with a slash.
    pub rest: &'p [u8],
}

impl TenantPath {
    /// As it is written in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix of a tenant's paths, without a slash at its end.
    pub fn of(&self, tenant: &str) -> String {
        [&self.0, normal::spell(tenant).as_str()].concat()
    }

    /// The parts of a path in normal form; `None` where it begins otherwise.
    pub fn split<'p>(&self, path: &'p [u8]) -> Option<Split<'p>> {
        let behind = path.strip_prefix(self.0.as_bytes())?;
        let length = behind.iter().position(|&byte| byte == b'/').unwrap_or(behind.len());
        let (tenant, rest) = behind.split_at_checked(length)?;
        let (prefix, _) = path.split_at_checked(self.0.len() + length)?;
        Some(Split { prefix, tenant, rest })
    }
}

/// Reads the key. The empty text stands for none.
pub fn read(
    field: &Field,
    upstream: Upstream,
    prefixes: &[String],
    passthrough: &BTreeSet<String>,
) -> Result<Option<TenantPath>, ConfigError> {
    let text = field.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let is_whole = text.len() > 2 && text.starts_with('/') && text.ends_with('/');
    if !is_whole || text.contains(['?', '%']) {
        return Err(field.error(format!("{text:?} is not a prefix such as \"/t/\", without ? and %")));
    }
    if let Err(problem) = normal::check(text.as_bytes()) {
        return Err(field.error(format!("{text:?} is not a path prefix: {problem}")));
    }
    let mut served = api::TABLE.iter().filter(|route| route.upstreams.contains(&upstream));
    let hides = |path: &str| path.starts_with(text) || text.starts_with(path);
    let hides_below = |prefix: &str, route: &api::Route| match route.path {
        Path::Exact(exact) => [prefix, exact].concat().starts_with(text),
        Path::Below(base) | Path::Around(base, _) => hides(&[prefix, base].concat()),
    };
    let hides_row = |route: &api::Route| {
        prefixes.iter().any(|prefix| hides_below(prefix, route)) || route.at_root && hides_below("", route)
    };
    let mut services = api::SERVICES.iter().filter(|route| route.upstreams.contains(&upstream));
    if served.any(hides_row)
        || services.any(|route| hides_below("", route))
        || passthrough.iter().any(|path| path.starts_with(text))
    {
        return Err(field.error(format!("{text:?} is where paths of the API, or of passthrough_paths, begin")));
    }
    Ok(Some(TenantPath(text.into())))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::{Split, TenantPath};
    use serde_json::{Value, json};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[track_caller]
    fn refused(json: Value, path: &str, message: &str) {
        let error = Config::parse(json.to_string().as_bytes()).expect_err(&json.to_string());
        assert!(error.path == path && error.message.contains(message), "{json}: {error}");
    }

    fn with(path: &str) -> Value {
        json!({"tenant_path": path, "allowed_tenants": ["a"]})
    }

    #[test]
    fn what_is_served_without_a_prefix_is_not_hidden() {
        for (upstream, path) in [
            ("cortex", "/api/v1/"),
            ("cortex", "/otlp/"),
            ("thanos", "/grpc.health.v1.Health/"),
            ("thanos", "/thanos.Query/"),
        ] {
            let json = json!({"upstream": upstream, "tenant_path": path, "static_tenant_ids": ["a"]});
            refused(json, "tenant_path", "is where paths of the API");
        }
    }

    #[test]
    fn a_path_is_split_behind_the_tenant() {
        let prefix = TenantPath("/t/".into());
        let split = |path: &'static str| prefix.split(path.as_bytes());
        let parts = |prefix: &'static str, tenant: &'static str, rest: &'static str| {
            Some(Split { prefix: prefix.as_bytes(), tenant: tenant.as_bytes(), rest: rest.as_bytes() })
        };
        assert_eq!(split("/t/a/api/v1/query"), parts("/t/a", "a", "/api/v1/query"));
        assert_eq!(split("/t/a"), parts("/t/a", "a", ""));
        assert_eq!(split("/t/a/"), parts("/t/a", "a", "/"));
        assert_eq!(split("/t/"), parts("/t/", "", ""));
        assert_eq!(split("/t/a/t/b/x"), parts("/t/a", "a", "/t/b/x"));
        for other in ["/t", "/T/a/x", "/tt/a", "/x/t/a", "/", "/api/v1/query"] {
            assert_eq!(split(other), None, "{other}");
        }
        assert_eq!(prefix.of("a b\u{e9}"), "/t/a%20b%C3%A9");
    }

    #[test]
    fn a_prefix_has_a_slash_at_both_ends_and_hides_nothing() {
        for path in ["/t/", "/tenants/by-id/", "/api/", "/api/v2/", "/-/t/"] {
            let config = Config::parse(with(path).to_string().as_bytes());
            assert_eq!(config.is_ok(), path != "/api/", "{path}");
        }
        for path in ["/", "//", "t/", "/t", "/t//", "/t/../", "/t/./", "/t?/", "/%74/", "/t\\/", "/a b/"] {
            refused(with(path), "tenant_path", "is not a p");
        }
        for path in ["/api/v1/", "/api/", "/api/v1/label/", "/api/v1/status/", "/debug/", "/debug/pprof/", "/-/"] {
            refused(with(path), "tenant_path", "begin");
        }
        let mut prefixed = with("/prometheus/");
        prefixed["path_prefixes"] = json!(["/prometheus"]);
        refused(prefixed, "tenant_path", "begin");
        let mut passed = with("/t/");
        passed["passthrough_paths"] = json!(["/t/x"]);
        refused(passed, "tenant_path", "passthrough_paths");
        assert!(Config::parse(with("").to_string().as_bytes()).unwrap().tenant_path().is_none());
    }

    #[test]
    fn there_has_to_be_a_list_to_choose_from() {
        refused(json!({"tenant_path": "/t/"}), "tenant_path", "nothing to choose from");
        let only_prefixes = json!({"tenant_path": "/t/", "allowed_tenants": [{"prefix": "team-"}]});
        refused(only_prefixes, "tenant_path", "nothing to choose from");
        let parameter = json!({"tenant_path": "/t/", "tenant_parameter": "x", "allowed_tenants": ["a"]});
        refused(parameter, "tenant_path", "one source only");
        let federated = json!({"tenant_path": "/t/", "allowed_tenants": ["a"], "tenant_federation": {"enabled": true}});
        refused(federated, "tenant_federation.enabled", "no effect");
        for source in [
            json!({"tenant_path": "/t/", "tenant_metadata": ["a", "b"]}),
            json!({"tenant_path": "/t/", "tenant_certificate_field": "commonName"}),
            json!({"tenant_path": "/t/", "static_tenant_ids": ["a", "b"]}),
            json!({"tenant_path": "/t/", "allowed_tenants": ["a", {"prefix": "b"}], "tenant_header": "X-Tenant"}),
        ] {
            Config::parse(source.to_string().as_bytes()).unwrap();
        }
    }

    #[test]
    fn a_parameter_is_none_that_the_api_reads() {
        for name in ["query", "match[]", "time", "timeout", "limit"] {
            refused(json!({"tenant_parameter": name}), "tenant_parameter", "parameter of the API");
        }
        let forwarded = json!({"tenant_parameter": "namespace", "extra_parameters": ["namespace"]});
        refused(forwarded, "tenant_parameter", "not forwarded");
        refused(json!({"tenant_parameter": "x", "tenant_header": "x"}), "tenant_header", "no effect");
        refused(json!({"tenant_parameter": "x", "default_tenant_id": "a"}), "default_tenant_id", "no effect");
        refused(json!({"tenant_parameter": "x", "static_tenant_ids": ["a"]}), "static_tenant_ids", "one source only");
        let said = json!({"tenant_parameter": "x", "default_tenant_id": ""});
        assert!(Config::parse(said.to_string().as_bytes()).unwrap().source().parameter().is_some());
        let none = json!({"tenant_parameter": "", "tenant_header": "x"});
        assert!(Config::parse(none.to_string().as_bytes()).unwrap().source().header().is_some());
    }
}
