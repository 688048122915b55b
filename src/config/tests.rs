mod limits;
mod unread;

use super::*;
use crate::tenant::{self, Clues, Tenants};
use proptest::prelude::*;
use std::sync::Arc;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn parse(json: &str) -> Result<Config, String> {
    Config::parse(json.as_bytes()).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(json: &str, path: &str, message: &str) {
    let error = Config::parse(json.as_bytes()).expect_err(json);
    assert_eq!(error.path, path, "{json}");
    assert!(error.message.contains(message), "{json}: {}", error.message);
}

#[test]
fn no_bytes_are_the_defaults() {
    for json in ["", " \n", "{}"] {
        let config = parse(json).unwrap();
        assert_eq!(config.upstream(), Upstream::Prometheus);
        assert_eq!(&**config.source().header().unwrap(), "thanos-tenant");
        assert_eq!(&**config.forward_tenant_header(), "thanos-tenant");
        assert_eq!(&**config.identify(&Clues::default()).unwrap().joined(), "default-tenant");
        assert_eq!(&**config.label(), "tenant_id");
        assert!(config.enforces() && config.allows("anyone"));
        assert!(config.explain().iter().all(|setting| !setting.given));
    }
}

#[test]
fn cortex_has_its_own_defaults() {
    let config = parse(r#"{"upstream": "cortex"}"#).unwrap();
    assert_eq!(&**config.forward_tenant_header(), "x-scope-orgid");
    assert!(!config.enforces());
    assert!(config.find(b"/prometheus/api/v1/query").is_some());
    assert!(config.find(b"/api/prom/api/v1/query").is_some());
    assert!(config.find(b"/api/v1/query").is_none());
    assert!(parse(r#"{"upstream": "cortex", "enforce_tenancy": true}"#).unwrap().enforces());
    refused(r#"{"upstream": "cortex", "path_prefixes": [""]}"#, "path_prefixes[0]", "rule configuration");
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"{
            "upstream": "thanos",
            "tenant_header": "X-Tenant",
            "default_tenant_id": "a",
            "tenant_id_format": "thanos",
            "forward_tenant_header": "X-Internal-Tenant",
            "strip_headers": ["X-Debug", "authorization"],
            "enforce_tenancy": true,
            "tenant_label_name": "service.tenant",
            "federation_label": "team",
            "on_conflict": "reject",
            "tenant_federation": {"enabled": true, "max_tenants": 3},
            "path_prefixes": ["", "/prometheus"],
            "passthrough_paths": ["/graph"],
            "extra_parameters": ["trace"],
            "log_queries": true,
            "dry_run": false,
            "enable_remote_read": true,
            "enable_grpc": true,
            "ui": false,
            "allow_writes": false,
            "remote_write_versions": ["2.0"],
            "write_tenant_in_body": true,
            "call_out_cluster": "upstream",
            "call_out_timeout": "2s",
            "enable_metadata": true,
            "max_response_bytes": 65536,
            "shared_rules": true,
            "match_rules": false,
            "allow_on_headers_stop_iteration": true,
            "limits": {"retention_period": "30d"},
            "overrides": {"a": {"max_query_points": 11000}},
            "lookback_delta": "1m",
            "default_evaluation_interval": "15s",
            "allowed_tenants": ["a", "b"],
            "tenant_selectors": {"b": "{namespace=~\"b-.*\"}"},
            "enforced_labels": [{"label": "cluster", "header": "X-Cluster"}],
            "shared_tenants": [],
            "stats": {"max_tenants": 7, "samples": true, "tags": "istio", "tenant_separator": "/"}
        }"#,
    )
    .unwrap();
    assert_eq!(config.upstream(), Upstream::Thanos);
    assert_eq!(&**config.source().header().unwrap(), "x-tenant");
    assert_eq!(&**config.forward_tenant_header(), "x-internal-tenant");
    assert_eq!(&**config.identify(&Clues::default()).unwrap().joined(), "a");
    for name in [
        "x-tenant",
        "X-TENANT",
        "x_tenant",
        "thanos-tenant",
        "x-scope-orgid",
        "X_Scope_OrgID",
        "x-debug",
        "authorization",
        "x_internal_tenant",
        "trailer",
        "x-http-method-override",
    ] {
        assert!(config.removes(name.as_bytes()), "{name}");
    }
    for name in ["x-internal-tenant", "accept", "x-tenants", "xtenant", ":path", ""] {
        assert!(!config.removes(name.as_bytes()), "{name}");
    }
    assert!(config.serves(crate::api::Switch::RemoteRead));
    assert_eq!(config.writes().versions, [WriteVersion::Two]);
    assert!(config.writes().tenant_is_in_body && config.serves(crate::api::Switch::Metadata));
    assert_eq!((config.call_out_cluster().unwrap().as_ref(), config.call_out_timeout_ms()), ("upstream", 2_000));
    assert_eq!(config.metadata_by(), Some(MetadataBy::Names));
    let several = config.tenants(b"a|b").unwrap();
    assert_eq!(&*config.renaming(&several).unwrap().federation_label().text, "team");
    assert_eq!(config.max_response_bytes(), 65_536);
    assert_eq!((config.lookback_ms(), config.subquery_step_ms()), (60_000, 15_000));
    assert!(config.needs_the_time() && !config.counts_queries());
    assert!(config.shows_shared_rules() && !config.matches_rules() && config.can_hold_heads());
    assert!(config.allows("a") && config.allows("b") && !config.allows("c"));
    assert_eq!(&**config.tenants(b"b|a").unwrap().joined(), "a|b");
    assert!(config.tenants(b"a|b|c|d").is_err());
    assert!(config.serves_grpc() && config.find(b"/thanos.Query/Query").is_some());
    assert_eq!(config.find(b"/graph").unwrap().0.route.handler, "passthrough");
    assert_eq!(config.find(b"/prometheus/api/v1/query").unwrap().1, "/prometheus");
    assert_eq!(config.find(b"/api/v1/query").unwrap().1, "");
    assert_eq!(config.extra_parameters()[..], ["trace".to_owned()]);
    // These contradict what stands there, and have tests of their own.
    let sources = [
        "alert_routes",
        "allow_silence_of_all",
        "static_tenant_ids",
        "tenant_certificate_field",
        "tenant_groups",
        "tenant_metadata",
        "tenant_parameter",
        "tenant_path",
        "tenant_regex",
    ];
    for setting in config.explain() {
        assert!(setting.given || sources.contains(&setting.key), "{} is missing here", setting.key);
    }
    assert_eq!(
        config.stats(),
        Stats { max_tenants: 7, samples: true, tags: crate::stats::Naming::Istio, separator: "/" }
    );
    assert!(config.is_named("a") && config.is_named("b") && !config.is_named("c"));
}

#[test]
fn metadata_needs_what_it_is_made_of() {
    assert_eq!(parse("{}").unwrap().metadata_by(), None);
    assert_eq!(parse(r#"{"enable_metadata": false}"#).unwrap().metadata_by(), None);
    assert_eq!(parse(r#"{"enable_metadata": "targets"}"#).unwrap().metadata_by(), Some(MetadataBy::Targets));
    refused(r#"{"enable_metadata": true}"#, "enable_metadata", "call_out_cluster");
    refused(r#"{"enable_metadata": "names"}"#, "enable_metadata", "call_out_cluster");
    refused(r#"{"enable_metadata": "names", "call_out_cluster": ""}"#, "call_out_cluster", "empty");
    refused(r#"{"enable_metadata": "all"}"#, "enable_metadata", r#"use "names", "targets""#);
    refused(r#"{"enable_metadata": "targets", "upstream": "thanos"}"#, "enable_metadata", "only Prometheus");
    refused(
        r#"{"enable_metadata": "names", "call_out_cluster": "a", "upstream": "cortex"}"#,
        "enable_metadata",
        "no effect",
    );
    refused(r#"{"call_out_timeout": "0s"}"#, "call_out_timeout", "longer than 0");
    refused(r#"{"call_out_timeout": "1000d"}"#, "call_out_timeout", "too long");
}

#[test]
fn stats_are_bounded() {
    assert_eq!(parse("{}").unwrap().stats().max_tenants, 1_000);
    assert_eq!(parse(r#"{"stats": {"max_tenants": 100000}}"#).unwrap().stats().max_tenants, 100_000);
    refused(r#"{"stats": {"max_tenants": 100001}}"#, "stats.max_tenants", "from 0 to 100000");
    refused(r#"{"stats": {"tags": "statsd"}}"#, "stats.tags", r#"use "envoy", "istio""#);
    refused(r#"{"stats": {"tenant_separator": ";"}}"#, "stats.tenant_separator", r#"use "|", "/", "+""#);
    refused(r#"{"stats": {"tenants": 1}}"#, "stats.tenants", "unknown key");
    assert!(parse("{}").unwrap().is_named("default-tenant"));
    assert!(parse(r#"{"overrides": {"a": {"max_query_points": 1}}}"#).unwrap().is_named("a"));
    assert!(!parse(r#"{"allowed_tenants": [{"prefix": "team-"}]}"#).unwrap().is_named("team-a"));
    assert!(!parse(r#"{"default_tenant_id": ""}"#).unwrap().is_named(""));
}

#[test]
fn the_default_in_a_row_is_the_one_in_force() {
    let settings = parse("{}").unwrap().explain();
    assert_eq!(settings.len(), keys().len());
    for (setting, key) in settings.iter().zip(keys()) {
        assert_eq!((setting.key, setting.value.as_str()), (key.name, key.default));
    }
}

#[test]
fn a_row_is_whole_and_its_name_stands_once() {
    let names: BTreeSet<&str> = keys().iter().map(|key| key.name).collect();
    assert_eq!(names.len(), keys().len());
    for key in keys() {
        assert!(!key.meaning.is_empty() && key.docs.ends_with(".md"), "{}", key.name);
        assert!(!names.contains(key.docs), "{}", key.name);
    }
}

#[test]
fn mistakes_have_a_kind() {
    let mistake = |json: &str| Config::parse(json.as_bytes()).expect_err(json).mistake;
    let names = |keys: &[&'static str]| Mistake::Unknown(keys.into());
    assert_eq!(mistake(r#"{"stats": {}, "stats": {}}"#), Mistake::Twice);
    assert_eq!(mistake(r#"{"overrides": {"a": {}, "a": {}}}"#), Mistake::Twice);
    assert_eq!(mistake(r#"{"tenant_federation": {"enable": true}}"#), names(&["enabled", "max_tenants"]));
    assert_eq!(mistake(r#"{"tenant_heder": "x"}"#), names(&super::keys::NAMES));
    assert_eq!(mistake(r#"{"stats": {"samples": 1}}"#), Mistake::Value);
    assert_eq!(mistake("{"), Mistake::Value);
}

#[test]
fn what_is_explained_is_a_configuration_again() {
    for json in [
        "{}",
        r#"{"upstream": "cortex"}"#,
        r#"{"default_tenant_id": "", "tenant_federation": {"enabled": true}, "allowed_tenants": ["b", "a", {"prefix": "c-"}]}"#,
        r#"{"tenant_certificate_field": "organizationalUnit"}"#,
        r#"{"tenant_metadata": ["a.b", "c"]}"#,
        r#"{"static_tenant_ids": ["b", "a"]}"#,
        r#"{"static_tenant_ids": ["ops"], "tenant_regex": "team-.*"}"#,
    ] {
        let config = parse(json).unwrap();
        let entries: Vec<String> = config
            .explain()
            .iter()
            .filter(|setting| !setting.value.is_empty())
            .map(|setting| format!("{:?}: {}", setting.key, setting.value))
            .collect();
        let again = parse(&format!("{{{}}}", entries.join(", "))).unwrap();
        let values = |config: &Config| {
            config.explain().into_iter().map(|setting| (setting.key, setting.value)).collect::<Vec<_>>()
        };
        assert_eq!(values(&again), values(&config));
    }
}

#[test]
fn alert_routes_are_those_of_a_ruler_s_own_listener() {
    let whole = r#"{"upstream": "alertmanager", "static_tenant_ids": ["ruler"], "allow_on_headers_stop_iteration": true,
        "alert_routes": {"a": "am-a", "*": "rest"}}"#;
    let routes = parse(whole).unwrap().alert_routes().unwrap().clone();
    assert_eq!(
        routes.entries().map(|(id, to)| (id, &**to)).collect::<Vec<_>>(),
        [("a".into(), "am-a"), ("*".into(), "rest")]
    );
    let without = |part: &str| whole.replace(part, "");
    refused(&without(r#""upstream": "alertmanager", "#), "alert_routes", "upstream");
    refused(&without(r#""static_tenant_ids": ["ruler"], "#), "alert_routes", "static_tenant_ids");
    refused(&without(r#""allow_on_headers_stop_iteration": true,"#), "alert_routes", "allow_on_headers_stop_iteration");
    let more = whole.replacen('{', r#"{"tenant_selectors": {"ruler": "{x=\"y\"}"}, "#, 1);
    refused(&more, "alert_routes", "tenant_selectors");
    let with = |routes: &str| whole.replace(r#"{"a": "am-a", "*": "rest"}"#, routes);
    refused(&with("{}"), "alert_routes", "at least one");
    refused(&with(r#"{"a": ""}"#), "alert_routes.a", "name");
    refused(&with(r#"{"a|b": "x"}"#), "alert_routes.a|b", "");
    refused(&with(r#"{"a": "x", "a": "y"}"#), "alert_routes.a", "twice");
    refused(&with(r#"{"*": "x", "*": "y"}"#), "alert_routes.*", "twice");
    refused(r#"{"upstream": "alertmanager", "enforce_tenancy": false}"#, "enforce_tenancy", "cortex");
    refused(r#"{"allow_silence_of_all": true}"#, "allow_silence_of_all", "upstream");
    assert!(parse(r#"{"upstream": "alertmanager", "allow_silence_of_all": true}"#).unwrap().allows_silence_of_all());
}

#[test]
fn keys_that_are_not_there_are_refused() {
    refused(r#"{"tenant_heder": "x"}"#, "tenant_heder", "unknown key");
    refused(r#"{"Upstream": "thanos"}"#, "Upstream", "unknown key");
    refused(r#"{"tenant_federation": {"enable": true}}"#, "tenant_federation.enable", "unknown key");
    refused(r#"{"limits": {"dry_run": true}}"#, "limits.dry_run", "unknown key");
    refused(r#"{"upstream": "loki"}"#, "upstream", r#""prometheus", "thanos", "cortex""#);
}

#[test]
fn a_key_given_twice_is_refused() {
    refused(r#"{"upstream": "thanos", "upstream": "prometheus"}"#, "upstream", "twice");
    refused(r#"{"enforce_tenancy": true, "enforce\u005ftenancy": false}"#, "enforce_tenancy", "twice");
    refused(r#"{"tenant_federation": {"enabled": true, "enabled": false}}"#, "tenant_federation.enabled", "twice");
    refused(r#"{"limits": 1, "limits": 2}"#, "limits", "twice");
}

#[test]
fn what_is_not_json_is_refused() {
    for json in ["{", "[]", "null", "1", "\"x\"", "{} {}", "{'a': 1}", "{\"upstream\": }", "\u{feff}{}"] {
        assert!(parse(json).is_err(), "{json}");
    }
    assert!(Config::parse(b"{\"upstream\": \"\xff\"}").is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&format!("{{\"limits\": {deep}}}")).is_err());
}

#[test]
fn types_are_checked() {
    refused(r#"{"enforce_tenancy": "false"}"#, "enforce_tenancy", "expected true or false, found a string");
    refused(r#"{"tenant_header": null}"#, "tenant_header", "expected a string, found null");
    refused(r#"{"tenant_header": ["a"]}"#, "tenant_header", "expected a string, found a list");
    refused(r#"{"strip_headers": "a"}"#, "strip_headers", "expected a list of strings, found a string");
    refused(r#"{"strip_headers": [1]}"#, "strip_headers[0]", "expected a string, found a number");
    refused(r#"{"tenant_federation": true}"#, "tenant_federation", "expected an object, found a boolean");
    refused(
        r#"{"tenant_federation": {"max_tenants": "3"}}"#,
        "tenant_federation.max_tenants",
        "expected a whole number",
    );
    for number in ["-1", "1.5", "1e99", "4294967296"] {
        refused(
            &format!(r#"{{"tenant_federation": {{"enabled": true, "max_tenants": {number}}}}}"#),
            "tenant_federation.max_tenants",
            "expected a whole number",
        );
    }
    // Envoy's Struct knows doubles only.
    assert!(parse(r#"{"tenant_federation": {"enabled": true, "max_tenants": 3.0}}"#).is_ok());
}

#[test]
fn header_names_are_tokens_that_do_not_carry_the_message() {
    for key in ["tenant_header", "forward_tenant_header"] {
        for name in ["", "a b", "a:", ":path", ":authority", "é", "a\\n", "a/b", "\\\"a\\\""] {
            refused(&format!(r#"{{"{key}": "{name}"}}"#), key, "is not a header name");
        }
        for name in
            ["Host", "Connection", "Transfer-Encoding", "content-length", "Content-Type", "upgrade", "te", "trailer"]
        {
            refused(&format!(r#"{{"{key}": "{name}"}}"#), key, "belongs to the HTTP message");
        }
    }
    refused(r#"{"strip_headers": ["X-A", "content-type"]}"#, "strip_headers[1]", "belongs to the HTTP message");
    refused(r#"{"strip_headers": ["X-A", "x-a"]}"#, "strip_headers[1]", "twice");
    refused(r#"{"strip_headers": ["a", "a"]}"#, "strip_headers[1]", "twice");
}

#[test]
fn headers_of_any_length_are_removed() {
    for length in [1, 2, 64, 126, 127, 128, 200] {
        let name = "h".repeat(length);
        let config = parse(&format!(r#"{{"strip_headers": ["{name}"]}}"#)).unwrap();
        assert!(config.removes(name.as_bytes()), "{length}");
        assert!(!config.removes(format!("{name}h").as_bytes()), "{length}");
    }
}

#[test]
fn label_names_are_utf8_but_not_the_metric_s() {
    for label in ["tenant_id", "service.tenant", "mandant é", "_", "1a"] {
        assert_eq!(&**parse(&format!(r#"{{"tenant_label_name": "{label}"}}"#)).unwrap().label(), label);
    }
    for label in ["", "__name__", "a\\u0000", " a", "a\\n"] {
        refused(&format!(r#"{{"tenant_label_name": "{label}"}}"#), "tenant_label_name", "");
    }
}

#[test]
fn tenants_in_the_configuration_are_valid() {
    refused(r#"{"default_tenant_id": "a|b"}"#, "default_tenant_id", "can't hold a |");
    refused(r#"{"default_tenant_id": "a/b"}"#, "default_tenant_id", "not allowed");
    refused(r#"{"default_tenant_id": "__other__"}"#, "default_tenant_id", "reserved");
    refused(r#"{"default_tenant_id": "c", "allowed_tenants": ["a"]}"#, "default_tenant_id", "not in allowed_tenants");
    refused(r#"{"allowed_tenants": []}"#, "allowed_tenants", "would serve nobody");
    refused(r#"{"allowed_tenants": ["a", "a"]}"#, "allowed_tenants[1]", "twice");
    refused(r#"{"allowed_tenants": ["a", ""]}"#, "allowed_tenants[1]", "empty");
    refused(r#"{"allowed_tenants": ["a b"]}"#, "allowed_tenants[0]", "not allowed");
    refused(r#"{"tenant_federation": {"max_tenants": 3}}"#, "tenant_federation.max_tenants", "no effect");
    assert!(parse(r#"{"default_tenant_id": ""}"#).unwrap().identify(&Clues::default()).is_err());
    assert!(!parse(r#"{"allowed_tenants": ["a"]}"#).unwrap().allows("default-tenant"));
}

#[test]
fn prefixes_are_in_normal_form() {
    for prefix in [
        "prometheus",
        "/prometheus/",
        "/",
        "//a",
        "/a/../b",
        "/a%2fb",
        "/%61",
        "/a?b",
        "/a b",
        "/a\\\\b",
        "/a#b",
        "/a/./b",
    ] {
        refused(&format!(r#"{{"path_prefixes": ["", "{prefix}"]}}"#), "path_prefixes[1]", "");
    }
    refused(r#"{"path_prefixes": ["/a", "/a"]}"#, "path_prefixes[1]", "twice");
    refused(r#"{"path_prefixes": []}"#, "path_prefixes", "would serve nothing");
    let config = parse(r#"{"path_prefixes": ["", "/api/v1/label", "/a/b"]}"#).unwrap();
    assert_eq!(config.find(b"/api/v1/label/api/v1/query").unwrap().1, "/api/v1/label");
    // Both could take it: the root's table refuses what is below /debug/.
    let config = parse(r#"{"path_prefixes": ["", "/debug"]}"#).unwrap();
    let (found, prefix) = config.find(b"/debug/api/v1/query").unwrap();
    assert_eq!((found.route.handler, prefix), ("query", "/debug"));
}

#[test]
fn what_the_table_decides_is_not_passed_through() {
    // Whatever the prefix and the upstream: they may be the mistake.
    for path in [
        "/api/v1/query",
        "/api/v1/label/job/values",
        "/api/v1/rules",
        "/federate",
        "/prometheus/api/v1/query",
        "/a/b/api/v1/query_explain",
        "/x/federate",
        "/metrics",
        "/debug/pprof",
        "/-/healthy",
        "/api/v1/format_query",
        "/prometheus/api/v1/read",
        "/prom/api/v1/admin/tsdb/snapshot",
        "/prometheus/metrics",
        "/x/debug/pprof/heap",
        "/x/-/ready",
        "/x/push",
        "/api/prom/api/v1/status/config",
        "/prometheus/api/v1/cardinality/label_names",
        // Alertmanager takes no notice of a slash at the end.
        "/api/v2/alerts/",
        "/am/api/v2/status/",
        "/api/v1/query/",
        "/debug/",
        "/debug/pprof/",
        "/api/v1/otlp/",
    ] {
        for keys in ["", r#""path_prefixes": ["/p"],"#, r#""upstream": "cortex","#, r#""upstream": "thanos","#] {
            let json = format!(r#"{{{keys} "passthrough_paths": ["{path}"]}}"#);
            refused(&json, "passthrough_paths[0]", "ends like a path of the API table");
        }
    }
    refused(r#"{"passthrough_paths": ["/api/v1/%71uery"]}"#, "passthrough_paths[0]", "holds an escape");
    for path in ["/*", "/graph/*", "*", "/api/v1/*"] {
        let problem = if path == "*" { "is not a path" } else { "there are no wildcards" };
        refused(&format!(r#"{{"passthrough_paths": ["/graph", "{path}"]}}"#), "passthrough_paths[1]", problem);
    }
    // Only whole ends of a path count.
    for path in ["/mymetrics", "/graph", "/graph/", "/debug", "/api/v1/reader", "/static/federate.js"] {
        assert!(parse(&format!(r#"{{"passthrough_paths": ["{path}"]}}"#)).is_ok(), "{path}");
    }
    for path in ["", "/"] {
        refused(&format!(r#"{{"passthrough_paths": ["{path}"]}}"#), "passthrough_paths[0]", "never passed through");
    }
    for path in ["graph", "//graph", "/graph/..", "/gr%2fph", "/graph?a=b", "/graph#a", "/gr aph"] {
        refused(&format!(r#"{{"passthrough_paths": ["{path}"]}}"#), "passthrough_paths[0]", "is not a path");
    }
}

/// What reading it costs is counted by scripts/bench-instructions.
#[test]
fn a_long_list_holds_nothing_twice() {
    let mut texts: Vec<String> = (0..2_000).rev().map(|n| format!("/page-{n}")).collect();
    let listing = |texts: &[String]| serde_json::json!({"passthrough_paths": texts}).to_string();
    assert!(parse(&listing(&texts)).unwrap().passes_through());
    texts.push("/page-7".to_owned());
    refused(&listing(&texts), "passthrough_paths[2000]", "is in the list twice");
    let twice = serde_json::json!({"extra_parameters": ["a", "b", "a"]}).to_string();
    refused(&twice, "extra_parameters[2]", "is in the list twice");
}

#[test]
fn parameters_that_choose_the_data_are_never_extra() {
    for name in [
        "query",
        "match[]",
        "match",
        "extra_filters",
        "extra_filters[]",
        "extra_label",
        "include_metadata",
        "exclude_alerts",
        "group_limit",
        "replicaLabels[]",
        "storeMatch[]",
    ] {
        refused(&format!(r#"{{"extra_parameters": ["{name}"]}}"#), "extra_parameters[0]", "never passed on unread");
    }
    refused(r#"{"extra_parameters": [""]}"#, "extra_parameters[0]", "needs a name");
    refused(r#"{"extra_parameters": ["a", "a"]}"#, "extra_parameters[1]", "twice");
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_configuration_or_an_error(json in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Config::parse(&json);
    }

    #[test]
    fn any_value_gives_a_configuration_or_an_error_under_its_key(
        key in proptest::sample::select(super::keys::NAMES.to_vec()),
        value in r#"(\[|\{|"|,|:|true|null|-?[0-9]{1,3}|/?[a-z_|.%]{0,6}){0,8}"#,
    ) {
        if let Err(error) = Config::parse(format!("{{\"{key}\": {value}}}").as_bytes()) {
            prop_assert!(!error.message.is_empty());
            prop_assert!(error.path.is_empty() || error.to_string().starts_with(&error.path));
        }
    }
}

#[test]
fn a_configuration_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Config>();
}

#[test]
fn dry_run_is_each_tenant_s_own_and_of_several_that_of_all() {
    let dry = |json: &str, tenant: Option<&str>| parse(json).unwrap().dry_runs(tenant.map(Arc::from).as_ref());
    let all = r#"{"dry_run": true, "overrides": {"team-a": {"dry_run": false}, "team-b": {"max_query_points": 1}}}"#;
    let one =
        r#"{"overrides": {"team-a": {"dry_run": true}, "team-b": {"dry_run": true}, "team-c": {"dry_run": false}}}"#;
    for (json, tenant, expected) in [
        ("{}", None, false),
        ("{}", Some("team-a"), false),
        (r#"{"dry_run": true}"#, None, true),
        (r#"{"dry_run": true}"#, Some("team-a|team-b"), true),
        (all, None, true),
        (all, Some("team-a"), false),
        (all, Some("team-b"), true),
        // One that is enforced is enforced for the others of its request, too.
        (all, Some("team-a|team-b"), false),
        (one, None, false),
        (one, Some("team-a"), true),
        (one, Some("team-c"), false),
        (one, Some("other"), false),
        (one, Some("team-a|team-b"), true),
        (one, Some("team-a|team-c"), false),
    ] {
        assert_eq!(dry(json, tenant), expected, "{json} {tenant:?}");
    }
    let says = |json: &str| parse(json).unwrap().dry_run_says();
    assert_eq!(says("{}"), None);
    assert_eq!(says(r#"{"dry_run": true}"#).unwrap(), "nothing is enforced, for any tenant");
    assert_eq!(says(all).unwrap(), "nothing is enforced, but for 1 tenants of overrides");
    assert_eq!(says(one).unwrap(), "nothing is enforced for 2 tenants of overrides");
}
