//! `tenancyctl schema`: what the filter reads, the schema accepts; types, words, bounds and unknown keys are refused by both.
#![cfg(not(target_family = "wasm"))]

#[path = "../src/bin/tenancyctl/schema.rs"]
mod schema; // what `tenancyctl schema` prints, whether or not the feature `cli` is on
#[path = "schema/validator.rs"]
mod validator;

use promql_tenancy_filter::config::{Config, Mistake};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;
use validator::mistakes;

static SCHEMA: LazyLock<Value> = LazyLock::new(schema::schema);

fn is_read(config: &Value) -> bool {
    Config::parse(config.to_string().as_bytes()).is_ok()
}

/// Configurations that hold every key, and every member of every key.
fn whole() -> [Value; 9] {
    let limits = json!({
        "retention_period": "30d", "max_query_lookback": "1h30m", "max_query_length": 0, "max_query_into_future": "0",
        "max_query_expression_size_bytes": 4294967295u32, "max_subquery_steps": 1, "min_query_step": "500ms",
        "max_query_points": 11000, "max_selectors_per_query": 3.0, "max_regex_pattern_length": 9, "max_concurrent_queries": 2,
        "blocked_queries": [
            {"pattern": ".*", "regex": true, "reason": "why", "time_range_longer_than": "1d", "minimum_step_size": "5s",
             "unaligned_range_queries": true},
            {"pattern": "up"},
        ],
        "query_rejection": {"enabled": true, "query_attributes": [
            {"api_type": "query", "regex": "a.*b", "time_window": {"start": "2h", "end": 0}, "time_range_limit": {"min": "1m", "max": "2m"},
             "query_step_limit": {"min": 0, "max": "1m"}, "user_agent_regex": "x", "dashboard_uid": "a", "panel_id": "1"},
        ]},
    });
    let header = json!({
        "upstream": "thanos", "tenant_header": "X-Tenant", "default_tenant_id": "", "tenant_id_format": "thanos",
        "tenant_federation": {"enabled": true, "max_tenants": 3}, "allowed_tenants": ["a", {"prefix": "team-"}],
        "forward_tenant_header": "X-Internal", "strip_headers": ["X-Debug"], "enforce_tenancy": true,
        "tenant_label_name": "mandant é", "federation_label": "team", "on_conflict": "reject", "path_prefixes": ["", "/prometheus"],
        "passthrough_paths": ["/graph"], "max_response_bytes": 65536, "shared_rules": true, "match_rules": false,
        "allow_on_headers_stop_iteration": true, "stats": {"max_tenants": 100000, "samples": true, "tags": "istio", "tenant_separator": "/"},
        "limits": limits, "overrides": {"a": limits, "b.c": {}}, "lookback_delta": "1m", "default_evaluation_interval": "15s",
        "log_queries": true, "dry_run": true, "enable_remote_read": true, "enable_grpc": true, "call_out_cluster": "upstream", "call_out_timeout": "2s", "enable_metadata": "names", "extra_parameters": ["trace"], "tenant_selectors": {"a": "{namespace=~\"a-.*\"}"},
        "enforced_labels": [{"label": "cluster", "header": "X-Cluster"}, {"label": "env", "values": ["dev", "prod"]}],
        "shared_tenants": [],
    });
    [
        header,
        json!({"static_tenant_ids": ["ops"], "tenant_regex": "team-.*", "tenant_certificate_field": ""}),
        json!({"tenant_metadata": ["envoy.filters.http.jwt_authn", "payload", "tenant"]}),
        json!({"tenant_metadata": {"path": ["n", "groups"], "strip_prefix": "/", "drop_unknown": true}, "tenant_path": "/t/", "ui": true}),
        json!({"tenant_metadata": ["n", "groups"], "tenant_groups": {"sre": ["a", "b"]}}),
        json!({"tenant_parameter": "namespace"}),
        json!({"upstream": "alertmanager", "static_tenant_ids": ["ruler"], "allow_on_headers_stop_iteration": true,
            "alert_routes": {"a": "am-a", "*": "rest"}, "allow_silence_of_all": true}),
        json!({"upstream": "thanos", "allow_writes": true, "remote_write_versions": ["2.0"], "write_tenant_in_body": true}),
        json!({
            "tenant_metadata": ["envoy.filters.http.jwt_authn", "payload", "tenant"], "shared_tenants": ["platform"],
            "enforced_labels": [{"label": "cluster", "metadata": ["envoy.filters.http.jwt_authn", "payload", "clusters"]}],
        }),
    ]
}

#[test]
fn the_schema_has_every_key_and_a_default_that_it_accepts() {
    let properties = SCHEMA["properties"].as_object().unwrap();
    for setting in Config::parse(b"{}").unwrap().explain() {
        let property = &properties[setting.key];
        let default = property.get("default").map_or(String::new(), Value::to_string);
        assert_eq!(default, setting.value, "{}", setting.key);
        assert!(property["description"].as_str().unwrap().contains("(docs/"), "{property}");
        if let Some(default) = property.get("default") {
            assert_eq!(mistakes(property, default), [""; 0], "{}", setting.key);
        }
    }
    assert_eq!(properties.len(), Config::parse(b"{}").unwrap().explain().len());
    assert_eq!(SCHEMA["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn what_is_whole_is_read_and_fits() {
    let mut keys: Vec<String> = Vec::new();
    for config in whole() {
        assert!(is_read(&config), "{config}: {:?}", Config::parse(config.to_string().as_bytes()).err());
        assert_eq!(mistakes(&SCHEMA, &config), [""; 0]);
        keys.extend(config.as_object().unwrap().keys().cloned());
    }
    let missing = |key: &&String| !keys.contains(key);
    let missing: Vec<_> = SCHEMA["properties"].as_object().unwrap().keys().filter(missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every object of the configurations, as a pointer.
fn objects(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.push(place.to_owned());
            object.iter().for_each(|(name, member)| objects(member, &format!("{place}/{name}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, member)| objects(member, &format!("{place}/{at}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of what stands at a place of a configuration.
fn schema_at<'s>(schema: &'s Value, value: &Value, place: &str) -> &'s Value {
    let (mut schema, mut value) = (schema, value);
    for part in place.split('/').skip(1) {
        schema = match value {
            Value::Array(_) => &schema["items"],
            _ => schema["properties"].get(part).unwrap_or(&schema["additionalProperties"]),
        };
        value = value.pointer(&format!("/{part}")).unwrap();
        if let Some(shapes) = schema["anyOf"].as_array() {
            schema = shapes.iter().find(|shape| mistakes(shape, value).is_empty()).unwrap();
        }
    }
    schema
}

#[test]
fn every_object_has_the_members_that_its_reader_knows() {
    let mut compared = 0;
    for config in whole() {
        let mut places = Vec::new();
        objects(&config, "", &mut places);
        for place in places.iter().filter(|place| {
            !["/alert_routes", "/overrides", "/tenant_groups", "/tenant_selectors"].contains(&place.as_str())
        }) {
            let mut with = config.clone();
            with.pointer_mut(place).unwrap().as_object_mut().unwrap().insert("no such key".to_owned(), json!(1));
            assert!(!mistakes(&SCHEMA, &with).is_empty(), "{place}");
            let error = Config::parse(with.to_string().as_bytes()).unwrap_err();
            let Mistake::Unknown(known) = error.mistake else { panic!("{place}: {error}") };
            let mut known: Vec<&str> = known.to_vec();
            known.sort_unstable();
            let at = schema_at(&SCHEMA, &config, place);
            let members: Vec<&String> = at["properties"].as_object().unwrap_or_else(|| panic!("{at}")).keys().collect();
            assert_eq!(members, known, "{place}");
            compared += 1;
        }
    }
    assert!(compared > 15, "{compared}");
}

#[test]
fn a_value_of_another_type_is_refused_by_both() {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("\u{0}no such word"),
        json!([[]]),
        json!([1]),
        json!({"": 1}),
    ];
    let mut refused = 0;
    for config in whole() {
        let mut places = Vec::new();
        objects(&config, "", &mut places);
        for place in places {
            for name in config.pointer(&place).unwrap().as_object().unwrap().keys() {
                for other in &others {
                    let mut with = config.clone();
                    with.pointer_mut(&place).unwrap()[name.as_str()] = other.clone();
                    let fits = mistakes(&SCHEMA, &with).is_empty();
                    match Config::parse(with.to_string().as_bytes()) {
                        Ok(_) => assert!(fits, "{place}/{name}: {other} is read, but does not fit"),
                        Err(error) if error.message.contains(", found ") => {
                            assert!(!fits, "{place}/{name}: {other} fits, but: {error}");
                            refused += 1;
                        }
                        Err(_) => {}
                    }
                }
            }
        }
    }
    assert!(refused > 400, "{refused}");
}

#[test]
fn what_operators_get_wrong_is_refused_by_both() {
    for config in [
        json!({"tenant_heder": "x"}),
        json!({"upstream": "loki"}),
        json!({"upstream": "Thanos"}),
        json!({"enforce_tenancy": "false"}),
        json!({"tenant_header": ""}),
        json!({"tenant_header": "a b"}),
        json!({"tenant_label_name": ""}),
        json!({"max_response_bytes": 0}),
        json!({"max_response_bytes": "1MiB"}),
        json!({"stats": {"max_tenants": 100001}}),
        json!({"stats": {"tags": "statsd"}}),
        json!({"stats": {"tenant_separator": ";"}}),
        json!({"tenant_federation": true}),
        json!({"tenant_federation": {"enabled": true, "max_tenants": -1}}),
        json!({"allowed_tenants": []}),
        json!({"allowed_tenants": ["a", "a"]}),
        json!({"allowed_tenants": [{"prefix": ""}]}),
        json!({"allowed_tenants": [{"suffix": "a"}]}),
        json!({"tenant_metadata": ["a"]}),
        json!({"tenant_metadata": ["a", ""]}),
        json!({"tenant_metadata": {"path": ["a"]}}),
        json!({"tenant_metadata": {"path": ["a", "b"], "strip": "/"}}),
        json!({"tenant_metadata": ["a", "b"], "tenant_groups": {"sre": []}}),
        json!({"tenant_metadata": ["a", "b"], "tenant_groups": {"sre": ["a", "a"]}}),
        json!({"static_tenant_ids": ["a"], "tenant_path": "/t"}),
        json!({"static_tenant_ids": ["a"], "tenant_path": "t/"}),
        json!({"static_tenant_ids": []}),
        json!({"static_tenant_ids": ["a"], "tenant_regex": ""}),
        json!({"static_tenant_ids": ["a"], "tenant_regex": "a".repeat(4_097)}),
        json!({"path_prefixes": ["/prometheus/"]}),
        json!({"path_prefixes": []}),
        json!({"passthrough_paths": ["/"]}),
        json!({"passthrough_paths": ["/graph?a=b"]}),
        json!({"lookback_delta": 0}),
        json!({"lookback_delta": "5 minutes"}),
        json!({"limits": {"retention_period": "30"}}),
        json!({"limits": {"retention_period": 30}}),
        json!({"limits": {"max_query_points": 1.5}}),
        json!({"limits": {"blocked_queries": [{"patern": "up"}]}}),
        json!({"overrides": {"a": {"query_rejection": {"enabled": true, "query_attributes": [{"api_type": "rules"}]}}}}),
    ] {
        assert!(!mistakes(&SCHEMA, &config).is_empty(), "the schema takes {config}");
        assert!(!is_read(&config), "the filter takes {config}");
    }
}

/// The object below each `value: |` of a file, where no YAML stands there, and each block of a page that is JSON.
fn blocks(text: &str) -> Vec<String> {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut found: Vec<String> =
        text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.trim() == "value: |") {
        let deeper = |other: &&&str| other.trim().is_empty() || indentation(other) > indentation(line);
        found.push(lines[at + 1..].iter().take_while(deeper).copied().collect::<Vec<_>>().join("\n"));
    }
    found.retain(|block| block.trim_start().starts_with('{'));
    found
}

/// Those in Kubernetes's files are looked at in tests/manifests.rs, which can read YAML.
#[test]
fn the_configurations_that_are_shipped_fit() {
    let mut fitting = 0;
    for folder in ["envoy", "docs", "examples/docker-compose", "examples/kubernetes", "examples/envoy-gateway"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if !path.extension().is_some_and(|ending| ending == "yaml" || ending == "md") {
                continue;
            }
            for block in blocks(&std::fs::read_to_string(&path).unwrap()) {
                let config: Value =
                    serde_json::from_str(&block).unwrap_or_else(|error| panic!("{}: {error}: {block}", path.display()));
                // A page also shows answers.
                if config.as_object().is_some_and(|object| object.contains_key("status")) {
                    continue;
                }
                assert_eq!(mistakes(&SCHEMA, &config), [""; 0], "{}: {config}", path.display());
                fitting += 1;
            }
        }
    }
    assert!(fitting > 8, "{fitting}");
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(1), cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_duration_is_read_if_it_fits(text in "(0|([0-9]{1,2}(y|w|d|h|m|s|ms|x)){0,3})") {
        let config = json!({"limits": {"retention_period": text}});
        prop_assert_eq!(is_read(&config), mistakes(&SCHEMA, &config).is_empty());
    }

    #[test]
    fn what_is_read_fits(
        key in proptest::sample::select(SCHEMA["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()),
        value in r#"("[-/a-zA-Z_|.%?]{0,6}"|\[("[-/a-z_%]{0,5}"(,"[-/a-z_]{0,5}"){0,2})?\]|true|false|-?(0|[1-9][0-9]{0,2})|\{\})"#,
    ) {
        let config: Value = serde_json::from_str(&format!("{{{key:?}: {value}}}")).unwrap();
        if is_read(&config) {
            prop_assert_eq!(mistakes(&SCHEMA, &config), [""; 0]);
        }
    }
}
