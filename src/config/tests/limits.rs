//! What `limits` and `overrides` may hold.

use crate::config::Config;
use crate::limits::{Limit, TABLE};
use crate::tenant::{Federation, Format, Tenants};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[track_caller]
fn refused(json: &str, path: &str, message: &str) {
    let error = Config::parse(json.as_bytes()).expect_err(json);
    assert_eq!(error.path, path, "{json}");
    assert!(error.message.contains(message), "{json}: {}", error.message);
}

fn in_force(json: &str, tenant: &str) -> Vec<(Limit, i64)> {
    let config = Config::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let tenants = Tenants::parse(tenant.as_bytes(), Format::Cortex, Federation::On { max_tenants: 0 }).unwrap();
    let limits = config.limits_of(&tenants);
    let value = |limit| Some((limit, limits.as_ref()?.get(limit)?));
    TABLE.into_iter().filter_map(|(_, _, limit)| value(limit)).collect()
}

#[test]
fn the_table_is_in_the_order_of_the_limits() {
    for (index, (name, unit, limit)) in TABLE.into_iter().enumerate() {
        assert_eq!((limit as usize, limit.name(), limit.unit()), (index, name, unit));
    }
}

#[test]
fn an_override_counts_before_a_default() {
    let json = r#"{"limits": {"retention_period": "30d", "max_selectors_per_query": 9},
                   "overrides": {"a": {"retention_period": "1w"}, "b": {"retention_period": "0"}, "c": {}}}"#;
    let days = |days: i64| (Limit::Retention, days * 86_400_000);
    let selectors = (Limit::Selectors, 9);
    assert_eq!(in_force(json, "a"), [days(7), selectors]);
    assert_eq!(in_force(json, "b"), [selectors]);
    assert_eq!(in_force(json, "c"), [days(30), selectors]);
    assert_eq!(in_force(json, "d"), [days(30), selectors]);
    assert_eq!(in_force(json, "a|b|d"), [days(7), selectors]);
    assert_eq!(in_force(r#"{"overrides": {"a": {"min_query_step": "1m30s"}}}"#, "a"), [(Limit::Step, 90_000)]);
    assert_eq!(in_force("{}", "a"), []);
}

#[test]
fn zero_is_off_in_every_form() {
    for zero in ["0", "0.0", "\"0\"", "\"0s\"", "\"0d\""] {
        assert_eq!(in_force(&format!("{{\"limits\": {{\"retention_period\": {zero}}}}}"), "a"), []);
    }
    let config = Config::parse(br#"{"limits": {"retention_period": 0, "max_concurrent_queries": 0}}"#).unwrap();
    assert!(!config.needs_the_time() && !config.counts_queries());
}

#[test]
fn mistakes_are_named_by_their_path() {
    let limits = |inner: &str| format!("{{\"limits\": {{{inner}}}}}");
    refused(&limits("\"retention\": \"1d\""), "limits.retention", "unknown key; known are retention_period, ");
    refused(&limits("\"retention_period\": 30"), "limits.retention_period", "expected a string");
    for text in ["", "1", "-1d", "1.5d", "1d ", "d", "1h1d", "30 d", "9999999y"] {
        refused(&limits(&format!("\"max_query_length\": \"{text}\"")), "limits.max_query_length", "is not a duration");
    }
    refused(&limits("\"max_query_points\": -1"), "limits.max_query_points", "whole number");
    refused(&limits("\"max_query_points\": \"1\""), "limits.max_query_points", "whole number");
    let overrides = |inner: &str| format!("{{\"overrides\": {{{inner}}}}}");
    refused(&overrides("\"team-a\": {\"max_query_lenth\": 1}"), "overrides.team-a.max_query_lenth", "unknown key");
    refused(&overrides("\"team-a\": 1"), "overrides.team-a", "expected an object");
    refused(&overrides("\"team a\": {}"), "overrides.team a", "not allowed");
    refused(&overrides("\"a|b\": {}"), "overrides.a|b", "can't hold a |");
    refused(&overrides("\"a\": {}, \"b\": {}, \"a\": {}"), "overrides.a", "given twice");
    refused(
        &overrides("\"a\": {\"min_query_step\": \"1s\", \"min_query_step\": \"1s\"}"),
        "overrides.a.min_query_step",
        "twice",
    );
    refused("{\"overrides\": []}", "overrides", "expected an object");
    let blocked = |inner: &str| limits(&format!("\"blocked_queries\": [{{\"pattern\": \"up\"}}, {{{inner}}}]"));
    refused(&blocked(""), "limits.blocked_queries[1]", "of no query");
    refused(&blocked("\"reason\": \"x\""), "limits.blocked_queries[1]", "of no query");
    refused(&blocked("\"pattern\": \"up{\""), "limits.blocked_queries[1].pattern", "parse error");
    refused(&blocked("\"pattern\": \"(\", \"regex\": true"), "limits.blocked_queries[1].pattern", "not a pattern");
    refused(&blocked("\"pattern\": \"up\", \"raeson\": \"x\""), "limits.blocked_queries[1].raeson", "unknown key");
    let rejection = |inner: &str| limits(&format!("\"query_rejection\": {{\"query_attributes\": [{{{inner}}}]}}"));
    let path = |key: &str| format!("limits.query_rejection.query_attributes[0]{key}");
    refused(&rejection(""), &path(""), "of no query");
    refused(&rejection("\"api_type\": \"rules\""), &path(".api_type"), "use query, ");
    refused(&rejection("\"regex\": \"[\""), &path(".regex"), "not a pattern");
    refused(&rejection("\"time_window\": {\"begin\": \"1h\"}"), &path(".time_window.begin"), "unknown key");
    refused(&rejection("\"query_step_limit\": {\"min\": 5}"), &path(".query_step_limit.min"), "expected a string");
    refused(&rejection("\"api_type\": \"query\""), "limits.query_rejection", "say whether it is enabled");
    refused("{\"lookback_delta\": \"0s\"}", "lookback_delta", "longer than 0");
    refused("{\"default_evaluation_interval\": 60}", "default_evaluation_interval", "expected a string");
}

#[test]
fn ten_thousand_overrides_are_read_and_found() {
    let entry = |n: u32| format!("\"team-{n}\": {{\"retention_period\": \"{n}d\", \"max_selectors_per_query\": {n}}}");
    let overrides: Vec<String> = (1..=10_000).rev().map(entry).collect();
    let json = format!("{{\"overrides\": {{{}}}}}", overrides.join(","));
    let config = Config::parse(json.as_bytes()).unwrap();
    for n in [1, 5_000, 10_000] {
        let tenants = Tenants::parse(format!("team-{n}").as_bytes(), Format::Cortex, Federation::Off).unwrap();
        assert_eq!(config.limits_of(&tenants).unwrap().get(Limit::Selectors), Some(n));
    }
    let twice = json.replace("team-9999\"", "team-7\"");
    refused(&twice, "overrides.team-7", "given twice");
}

#[test]
fn what_is_in_force_is_explained() {
    let json = br#"{"limits": {"retention_period": "30d", "max_query_points": 11000},
                    "overrides": {"a": {"retention_period": "90m", "blocked_queries": [{"pattern": "up"}]}}}"#;
    let config = Config::parse(json).unwrap();
    let lines = |tenant| -> Vec<String> {
        let line = |limit: crate::config::Effective| format!("{} {} {}", limit.name, limit.value, limit.is_override);
        config.effective(tenant).into_iter().map(line).collect()
    };
    assert_eq!(
        lines(Some("a")),
        ["retention_period 1h30m true", "max_query_points 11000 false", "blocked_queries 1 entries true"]
    );
    assert_eq!(lines(None), ["retention_period 30d false", "max_query_points 11000 false"]);
}
