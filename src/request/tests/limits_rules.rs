//! Limits that look at what a query is made of, and at what it is called: parts, blocked and rejected queries.

use super::limits::{DAY, get, limited, message, post, range, sent};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_a_query_is_made_of_is_bounded() {
    let cases: [(&str, &str, &str, &str); 6] = [
        ("max_query_expression_size_bytes", "10", "up{a=\"bc\"}", "up{a=\"bcd\"}"),
        ("max_subquery_steps", "10", "max_over_time(up[10m:1m])", "max_over_time(up[11m:])"),
        ("max_selectors_per_query", "2", "a + b", "a + b + c"),
        ("max_regex_pattern_length", "3", "up{a=~\"abc\",b=\"abcdef\"}", "up{a!~\"abcd\"}"),
        ("max_query_points", "1", "up", ""),
        ("min_query_step", "\"30s\"", "up", ""),
    ];
    for (name, value, good, bad) in cases {
        let config = limited(&format!("\"{name}\": {value}"));
        sent(&get("query", &[("query", good)]), &config);
        if !bad.is_empty() {
            assert!(message(&get("query", &[("query", bad)]), &config).contains(name), "{name}");
            assert!(message(&post("query", &[], &[("query", bad)]), &config).contains(name), "{name}");
            message(&range(bad, NOW - DAY, NOW, "1h"), &config);
        }
    }
    let config = limited(r#""max_query_points": 11"#);
    sent(&range("up", NOW - 10_000, NOW, "1"), &config);
    message(&range("up", NOW - 11_000, NOW, "1"), &config);
    let config = limited(r#""min_query_step": "30s""#);
    sent(&range("up", NOW - DAY, NOW, "30"), &config);
    assert_eq!(
        message(&range("up", NOW - DAY, NOW, "15"), &config),
        "the step is 15s: your limit min_query_step is 30s"
    );
    let config = limited(r#""max_selectors_per_query": 2"#);
    sent(&get("series", &[("match[]", "a"), ("match[]", "b")]), &config);
    message(&get("series", &[("match[]", "a"), ("match[]", "b"), ("match[]", "c")]), &config);
    message(&post("series", &[("match[]", "a"), ("match[]", "b")], &[("match[]", "c")]), &config);
    let config = limited(r#""max_regex_pattern_length": 3"#);
    message(&get("labels", &[("match[]", "{a=~\"abcd\"}")]), &config);
}

#[test]
fn blocked_queries_are_refused_with_their_reason() {
    let config = limited(
        r#""blocked_queries": [
            {"pattern": "sum(rate(up[5m]))", "reason": "ask the platform team"},
            {"pattern": ".*expensive.*", "regex": true, "time_range_longer_than": "1d"},
            {"minimum_step_size": "10s", "unaligned_range_queries": true, "pattern": "a|b", "regex": true}
        ]"#,
    );
    for query in ["sum(rate(up[5m]))", " sum ( rate(up[5m] ) ) # or not"] {
        assert_eq!(
            message(&get("query", &[("query", query)]), &config),
            "the operator does not allow this query (blocked_queries): ask the platform team"
        );
        message(&post("query", &[], &[("query", query)]), &config);
    }
    sent(&get("query", &[("query", "sum(rate(up[6m]))")]), &config);
    sent(&get("query", &[("query", "sum(rate(up[5m])) + 1")]), &config);
    sent(&get("query", &[("query", "expensive")]), &config);
    sent(&range("sum(expensive)", NOW - DAY, NOW, "1h"), &config);
    message(&range("sum(expensive)", NOW - DAY - 1, NOW, "1h"), &config);
    message(&range("b", NOW - DAY + 1, NOW, "9"), &config);
    sent(&range("b", NOW - DAY + 1, NOW, "10"), &config);
    sent(&range("b", NOW - 9_000, NOW, "9"), &config);
    sent(&range("ab", NOW - DAY + 1, NOW, "9"), &config);
}

#[test]
fn rejected_queries_have_every_attribute() {
    let config = |attributes: &str| {
        limited(&format!(r#""query_rejection": {{"enabled": true, "query_attributes": [{{{attributes}}}]}}"#))
    };
    let query = || get("query", &[("query", "sum(up)")]);
    let rejected = |request: &Request, attributes: &str| match request.send(&config(attributes)) {
        Ok(_) => false,
        Err(rejection) => {
            assert_eq!((rejection.status(), rejection.reason()), (422, "query_rejection"), "{}", rejection.message());
            true
        }
    };
    assert!(rejected(&query(), r#""api_type": "query""#));
    assert!(!rejected(&query(), r#""api_type": "query_range""#));
    assert!(rejected(&query(), r#""api_type": "query", "regex": "^sum""#));
    assert!(rejected(&query(), r#""regex": "u""#));
    assert!(!rejected(&query(), r#""api_type": "query", "regex": "^up""#));
    let agent = || query().header("user-agent", "Grafana/12").header("x-dashboard-uid", "d1").header("x-panel-id", "7");
    assert!(rejected(&agent(), r#""user_agent_regex": "Grafana/\\d+""#));
    assert!(!rejected(&query(), r#""user_agent_regex": "Grafana/\\d+""#));
    assert!(rejected(&agent(), r#""dashboard_uid": "d1", "panel_id": "7""#));
    assert!(!rejected(&agent(), r#""dashboard_uid": "d1", "panel_id": "8""#));
    let long = range("up", NOW - 20 * DAY, NOW, "1h");
    assert!(rejected(&long, r#""time_range_limit": {"min": "20d"}"#));
    assert!(!rejected(&query(), r#""time_range_limit": {"min": "20d"}"#));
    assert!(rejected(&query(), r#""time_range_limit": {"max": "1h"}"#));
    assert!(rejected(&query(), r#""time_window": {"start": "1h"}"#));
    assert!(!rejected(&long, r#""time_window": {"start": "1h"}"#));
    assert!(rejected(&long, r#""query_step_limit": {"min": "1h", "max": "1h"}"#));
    assert!(!rejected(&long, r#""query_step_limit": {"max": "59m"}"#));
    let series = get("series", &[("match[]", "a"), ("match[]", "b")]);
    assert!(rejected(&series, r#""api_type": "series", "regex": "b""#));
    assert!(!rejected(&series, r#""api_type": "series", "regex": "c""#));
    let off = limited(r#""query_rejection": {"enabled": false, "query_attributes": [{"api_type": "query"}]}"#);
    sent(&query(), &off);
}

/// Were each tenant's compared, those of many tenants would take too long.
#[test]
fn default_list_of_many_tenants_is_compared_once() {
    let config = config(
        r#"{"tenant_federation": {"enabled": true}, "limits": {"blocked_queries": [{"pattern": ".*expensive.*", "regex": true}]},
            "overrides": {"t7": {"blocked_queries": [{"pattern": "cheap"}]}}}"#,
    );
    let tenants: Vec<String> = (0..700).map(|number| format!("t{number}")).collect();
    let ask = |query: &str| post("query", &[], &[("query", query)]).clone_for(&tenants.join("|"));
    sent(&ask(&vec!["up"; 1_000].join(" + ")), &config);
    for query in ["up + expensive", "cheap"] {
        message(&ask(query), &config);
    }
}

#[test]
fn unknown_reach_matters_only_where_a_limit_depends_on_it() {
    for query in ["up[5m ^ 1.5]", "up offset (1 / (1h - 1h))", "(x[200y:])[200y:]"] {
        for free in [r#""max_concurrent_queries": 5"#, r#""max_selectors_per_query": 5"#, r#""min_query_step": "1s""#] {
            let config = limited(free);
            sent(&get("query", &[("query", query)]), &config);
            sent(&range(query, NOW - DAY, NOW, "1h"), &config);
        }
        for bound in [r#""retention_period": "5y""#, r#""max_query_length": "5y""#, r#""max_subquery_steps": 5"#] {
            assert_eq!(reason(&get("query", &[("query", query)]), &limited(bound)), "unknown_reach", "{query}");
        }
    }
    // Nor does a time matter that no limit looks at.
    sent(&get("query", &[("query", "up"), ("time", "1e13")]), &limited(r#""max_selectors_per_query": 5"#));
}

#[test]
fn strictest_of_several_tenants_counts() {
    let config = config(
        r#"{"tenant_federation": {"enabled": true}, "limits": {"retention_period": "30d", "min_query_step": "1s"},
            "overrides": {"a": {"retention_period": "90d", "blocked_queries": [{"pattern": "x"}]},
                          "b": {"retention_period": 0, "min_query_step": "1m", "blocked_queries": [{"pattern": "y"}]}}}"#,
    );
    let old = |tenant: &str, days: i64| {
        let query = format!("up offset {days}d");
        Request::get(format!("/api/v1/query?query={}", query.replace(' ', "+"))).tenant(tenant).send(&config).is_ok()
    };
    assert!(old("a", 89) && !old("a", 91) && old("b", 900) && !old("c", 31));
    assert!(old("a|b", 89) && !old("a|b", 91));
    assert!(!old("a|c", 31) && !old("b|c", 31));
    let query = |tenant: &str, query: &str| Request::get(format!("/api/v1/query?query={query}")).tenant(tenant);
    assert!(query("a", "y").send(&config).is_ok());
    for name in ["x", "y"] {
        assert_eq!(reason(&query("a|b", name), &config), "blocked_queries");
    }
    let step = range("up", NOW - DAY, NOW, "30");
    assert!(step.clone_for("a").send(&config).is_ok());
    assert_eq!(reason(&step.clone_for("a|b"), &config), "min_query_step");
}
