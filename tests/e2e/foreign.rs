//! Queries of one tenant that try to read another tenant's data: the answer is that of the query with the tenant's own matcher.

use crate::support::compare::{BOTH, assert_only_of, content};
use crate::support::envoy::Setup;
use crate::support::http::{Request, form};
use crate::support::{data, prometheus, thanos};
use serde_json::json;

/// Matchers on the tenant label in every form: the tenant's own matcher replaces them.
const MATCHERS: &[&str] = &[
    r#"up{tenant_id="$O"}"#,
    r#"up{tenant_id='$O'}"#,
    "up{tenant_id=`$O`}",
    r#"up{tenant_id=~"$T|$O"}"#,
    r#"up{tenant_id=~".+"}"#,
    r#"up{tenant_id=~".*"}"#,
    r#"up{tenant_id!="$T"}"#,
    r#"up{tenant_id!~"$T"}"#,
    r#"up{tenant_id=""}"#,
    r#"up{tenant_id!=""}"#,
    r#"up{"tenant_id"="$O"}"#,
    r#"up{'tenant_id'="$O"}"#,
    r#"up{`tenant_id`="$O"}"#,
    r#"up{"\x74enant_id"="$O"}"#,
    r#"up{"\164enant\u005fid"="$O"}"#,
    r#"{"up", "tenant_id"="$O"}"#,
    r#"{"tenant_id"="$O", "up"}"#,
    r#"{__name__="up", tenant_id="$O"}"#,
    r#"{tenant_id="$O", __name__=~"up"}"#,
    r#"up{tenant_id="$O", tenant_id="$O"}"#,
    r#"up{tenant_id="$T", tenant_id=~".*"}"#,
    r#"up{job="api", tenant_id="$O",}"#,
    "up { tenant_id = \"$O\" # }\n , }",
    "up{tenant_id=\"\\x74eam-a\"}",
];

/// Selectors that other enforcers have missed, and the same queries written by hand.
const PLACES: &[(&str, &str)] = &[
    ("count by (tenant_id) (up)", r#"count by (tenant_id) (up{tenant_id="$T"})"#),
    ("count without (job) (up)", r#"count without (job) (up{tenant_id="$T"})"#),
    (
        r#"group by (tenant_id, owner) ({__name__=~".+"})"#,
        r#"group by (tenant_id, owner) ({tenant_id="$T",__name__=~".+"})"#,
    ),
    (r#"count({__name__!=""})"#, r#"count({tenant_id="$T",__name__!=""})"#),
    (r#"count({owner=~".+"})"#, r#"count({tenant_id="$T",owner=~".+"})"#),
    (r#"count_values("tenant_id", up)"#, r#"count_values("tenant_id", up{tenant_id="$T"})"#),
    (
        r#"topk(scalar(count(up{tenant_id=~".+"})) - 2, temperature)"#,
        r#"topk(scalar(count(up{tenant_id="$T"})) - 2, temperature{tenant_id="$T"})"#,
    ),
    (
        "bottomk(scalar(sum(up)), temperature)",
        r#"bottomk(scalar(sum(up{tenant_id="$T"})), temperature{tenant_id="$T"})"#,
    ),
    (
        "quantile(scalar(sum(up)) / 9, temperature)",
        r#"quantile(scalar(sum(up{tenant_id="$T"})) / 9, temperature{tenant_id="$T"})"#,
    ),
    (
        "clamp_max(temperature, scalar(max(temperature)))",
        r#"clamp_max(temperature{tenant_id="$T"}, scalar(max(temperature{tenant_id="$T"})))"#,
    ),
    ("vector(scalar(sum(temperature)))", r#"vector(scalar(sum(temperature{tenant_id="$T"})))"#),
    ("up or temperature{tenant_id=\"$O\"}", r#"up{tenant_id="$T"} or temperature{tenant_id="$T"}"#),
    ("temperature{tenant_id=\"$O\"} and up", r#"temperature{tenant_id="$T"} and up{tenant_id="$T"}"#),
    ("{owner=~\".+\"} unless up", r#"{tenant_id="$T",owner=~".+"} unless up{tenant_id="$T"}"#),
    (
        "up * on (instance) group_left (owner) temperature",
        r#"up{tenant_id="$T"} * on (instance) group_left (owner) temperature{tenant_id="$T"}"#,
    ),
    (
        "sum(sum_over_time(temperature{tenant_id=\"$O\"}[5m:1m]))",
        r#"sum(sum_over_time(temperature{tenant_id="$T"}[5m:1m]))"#,
    ),
    (
        "max_over_time(sum(rate(http_requests_total{tenant_id=\"$O\"}[1m]))[5m:] offset 1m)",
        r#"max_over_time(sum(rate(http_requests_total{tenant_id="$T"}[1m]))[5m:] offset 1m)"#,
    ),
    ("((((up{tenant_id=\"$O\"}))))", r#"up{tenant_id="$T"}"#),
    ("sum(temperature{tenant_id=\"$O\"} @ start())", r#"sum(temperature{tenant_id="$T"} @ start())"#),
    (
        "histogram_quantile(scalar(sum(up)) / 9, rate(latency_seconds[5m]))",
        r#"histogram_quantile(scalar(sum(up{tenant_id="$T"})) / 9, rate(latency_seconds{tenant_id="$T"}[5m]))"#,
    ),
    ("up{} # {tenant_id=\"$O\"}\n", r#"up{tenant_id="$T"}"#),
];

/// Requests for data that only the other tenant has: the answer is empty.
const NOTHING: &[(&str, &str)] = &[
    (r#"{owner="data of $O"}"#, r#"{tenant_id="$T",owner="data of $O"}"#),
    (r#"absent(up{tenant_id="$O"})"#, r#"absent(up{tenant_id="$T"})"#),
    (
        r#"{"dotted.metric", "dotted.label"!~"", owner=~".*$O"}"#,
        r#"{tenant_id="$T","dotted.metric","dotted.label"!~"",owner=~".*$O"}"#,
    ),
    (
        r#"label_replace(up, "tenant_id", "$O", "", "") * on (tenant_id, instance) group_left () temperature"#,
        r#"label_replace(up{tenant_id="$T"}, "tenant_id", "$O", "", "") * on (tenant_id, instance) group_left () temperature{tenant_id="$T"}"#,
    ),
    (
        "count(temperature > 500) and on () sum(temperature) < 100",
        r#"count(temperature{tenant_id="$T"} > 500) and on () sum(temperature{tenant_id="$T"}) < 100"#,
    ),
];

#[test]
fn own_matcher_replaces_every_spelling_of_a_foreign_one() {
    for pair in [prometheus(), thanos()] {
        for asked in MATCHERS {
            for answer in pair.assert_query(asked, r#"up{tenant_id="$T"}"#) {
                assert_eq!(answer.json()["data"]["result"].as_array().unwrap().len(), 3, "{asked}");
            }
        }
    }
}

#[test]
fn selector_is_enforced_wherever_it_stands() {
    for pair in [prometheus(), thanos()] {
        for (asked, by_hand) in PLACES {
            for answer in pair.assert_query(asked, by_hand) {
                assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
                assert_ne!(answer.json()["data"]["result"], json!([]), "{asked} asks for nothing");
            }
        }
    }
}

#[test]
fn what_only_another_tenant_has_is_not_there() {
    for pair in [prometheus(), thanos()] {
        for (asked, by_hand) in NOTHING {
            for answer in pair.assert_query(asked, by_hand) {
                assert_eq!((answer.status, &answer.json()["data"]["result"]), (200, &json!([])), "{asked}");
            }
        }
    }
}

#[test]
fn absence_speaks_of_the_tenant_s_own_series() {
    for pair in [prometheus(), thanos()] {
        for (tenant, other) in BOTH {
            let name = format!("only_{}", other.replace('-', "_"));
            let query = |query: String| {
                Request::get(&format!(
                    "/api/v1/query?{}",
                    form(&[("query", &query), ("time", &data::end().to_string())])
                ))
            };
            let asked = query(format!("absent({name})"));
            let answer = pair.assert_same(tenant, &asked, &query(format!(r#"absent({name}{{tenant_id="{tenant}"}})"#)));
            assert_eq!(answer.json()["data"]["result"][0]["value"][1], "1");
        }
    }
}

#[test]
fn info_without_a_data_label_selector_is_refused() {
    for query in ["info(up)", r#"info(up, {__name__="target_info"})"#] {
        let asked = form(&[("query", query)]);
        let answer = Request::post("/api/v1/query", &asked).tenant("team-a").send(prometheus().envoy.port());
        assert!(answer.refused(400).contains("info"), "{query}");
    }
}

/// The tenants share `instance` and `job`, by which `info` joins.
#[test]
fn info_joins_the_tenant_s_own() {
    for asked in [r#"info(up, {cluster=~".+"})"#, r#"info(up, {cluster=~".+", tenant_id="$O"})"#] {
        let by_hand = r#"info(up{tenant_id="$T"}, {tenant_id="$T",cluster=~".+"})"#;
        for answer in prometheus().assert_query(asked, by_hand) {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.text().contains("cluster\":\"team_"), "{}", answer.text());
        }
    }
}

#[test]
fn extensions_of_other_databases_are_refused() {
    let port = prometheus().envoy.port();
    for query in [
        r#"{__name__="up" or tenant_id="team-b"}"#,
        r#"up{tenant_id="team-b"} or"#,
        "up{tenant_id==\"team-b\"}",
        "with (x = up) x",
        "up; up",
        "up\0",
    ] {
        let asked = form(&[("query", query)]);
        for request in [Request::get(&format!("/api/v1/query?{asked}")), Request::post("/api/v1/query", &asked)] {
            assert!(request.tenant("team-a").send(port).refused(400).contains("query"), "{query}");
        }
    }
}

#[test]
fn several_tenants_are_answered_together_where_that_is_on() {
    let pair = prometheus();
    let setup = Setup::shipped(pair.upstream.port()).plugin(json!({"tenant_federation": {"enabled": true}}));
    let envoy = setup.start("envoy-federation");
    let time = data::end().to_string();
    let ask = |tenant: &str, query: &str| {
        let asked = form(&[("query", query), ("time", &time)]);
        Request::post("/api/v1/query", &asked).tenant(tenant).send(envoy.port())
    };
    let by_hand = |query: &str| {
        let asked = form(&[("query", query), ("time", &time)]);
        Request::get(&format!("/api/v1/query?{asked}")).send(pair.upstream.port())
    };
    let both = ask("team-b|team-a", "count by (tenant_id) (up)");
    assert_eq!(content(&both), content(&by_hand(r#"count by (tenant_id) (up{tenant_id=~"team-a|team-b"})"#)));
    assert!(both.text().contains("team-a") && both.text().contains("team-b"));
    // Within the tenant's data, the query's own matcher counts.
    let one = ask("team-a|team-b", r#"up{tenant_id="team-b"}"#);
    assert_eq!(content(&one), content(&by_hand(r#"up{tenant_id="team-b"}"#)));
    assert_only_of("team-b", &one, "its own matcher");
    assert_only_of("team-a", &ask("team-a", "up"), "one tenant");
    // Without the option, this is not a name.
    let asked = Request::get("/api/v1/query?query=up").tenant("team-a|team-b").send(pair.envoy.port());
    assert!(asked.refused(400).contains("tenant_federation"), "{}", asked.text());
}
