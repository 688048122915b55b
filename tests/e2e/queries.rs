//! Queries: the answer through the filter equals the upstream's answer to the same query with the matchers written by hand.

use crate::support::compare::BOTH;
use crate::support::http::{Request, form};
use crate::support::{Pair, data, prometheus, thanos};

/// A query, and the same query with matchers written by hand. `$T` is the tenant.
type Case = (&'static str, &'static str);

/// Queries for both upstreams. Each has a result for both tenants.
const QUERIES: &[Case] = &[
    ("up", r#"up{tenant_id="$T"}"#),
    ("temperature{instance=\"one:80\"}", r#"temperature{tenant_id="$T",instance="one:80"}"#),
    (r#"{__name__=~"temp.*", instance!~"two.*"}"#, r#"{tenant_id="$T",__name__=~"temp.*",instance!~"two.*"}"#),
    ("sum(temperature)", r#"sum(temperature{tenant_id="$T"})"#),
    ("avg by (instance) (temperature)", r#"avg by (instance) (temperature{tenant_id="$T"})"#),
    (
        "sum without (code, handler) (rate(http_requests_total[5m]))",
        r#"sum without (code, handler) (rate(http_requests_total{tenant_id="$T"}[5m]))"#,
    ),
    (
        "sum by (code) (rate(http_requests_total{code=\"500\"}[5m])) / on () group_left sum(rate(http_requests_total[5m]))",
        r#"sum by (code) (rate(http_requests_total{tenant_id="$T",code="500"}[5m])) / on () group_left sum(rate(http_requests_total{tenant_id="$T"}[5m]))"#,
    ),
    (
        "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
        r#"histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket{tenant_id="$T"}[5m])))"#,
    ),
    (
        "histogram_quantile(0.5, rate(latency_seconds[5m]))",
        r#"histogram_quantile(0.5, rate(latency_seconds{tenant_id="$T"}[5m]))"#,
    ),
    ("histogram_count(sum(latency_seconds))", r#"histogram_count(sum(latency_seconds{tenant_id="$T"}))"#),
    ("topk(2, temperature)", r#"topk(2, temperature{tenant_id="$T"})"#),
    ("max_over_time(sum(temperature)[10m:1m])", r#"max_over_time(sum(temperature{tenant_id="$T"})[10m:1m])"#),
    ("temperature offset 2m", r#"temperature{tenant_id="$T"} offset 2m"#),
    ("sum(temperature @ end())", r#"sum(temperature{tenant_id="$T"} @ end())"#),
    ("deriv(temperature[10m] offset -1m)", r#"deriv(temperature{tenant_id="$T"}[10m] offset -1m)"#),
    ("-temperature ^ 2 + scalar(sum(up))", r#"-temperature{tenant_id="$T"} ^ 2 + scalar(sum(up{tenant_id="$T"}))"#),
    (
        "temperature > bool 2 and on (instance) up",
        r#"temperature{tenant_id="$T"} > bool 2 and on (instance) up{tenant_id="$T"}"#,
    ),
    (r#"count_values("value", up)"#, r#"count_values("value", up{tenant_id="$T"})"#),
    (
        r#"label_replace(up, "host", "$1", "instance", "(.*):.*")"#,
        r#"label_replace(up{tenant_id="$T"}, "host", "$1", "instance", "(.*):.*")"#,
    ),
    (
        r#"label_join(up, "all", "-", "job", "instance")"#,
        r#"label_join(up{tenant_id="$T"}, "all", "-", "job", "instance")"#,
    ),
    (r#"{"dotted.metric"}"#, r#"{tenant_id="$T","dotted.metric"}"#),
    ("sum(offset)", r#"sum(offset{tenant_id="$T"})"#),
    ("# a comment\nsum( # another } (\n  up\n)", r#"sum(up{tenant_id="$T"})"#),
    ("1 + 1", "1 + 1"),
    ("vector(time())", "vector(time())"),
    ("quantile_over_time(0.5, temperature[5m])", r#"quantile_over_time(0.5, temperature{tenant_id="$T"}[5m])"#),
    (
        "changes(temperature[5m]) + ignoring (owner) resets(temperature[5m])",
        r#"changes(temperature{tenant_id="$T"}[5m]) + ignoring (owner) resets(temperature{tenant_id="$T"}[5m])"#,
    ),
];

/// Queries that only Prometheus accepts, with its experimental options.
const EXPERIMENTAL: &[Case] = &[
    (r#"info(up, {version=~".+"})"#, r#"info(up{tenant_id="$T"}, {tenant_id="$T",version=~".+"})"#),
    ("limitk(1, temperature)", r#"limitk(1, temperature{tenant_id="$T"})"#),
    ("sum(sum_over_time(temperature[5m + 60]))", r#"sum(sum_over_time(temperature{tenant_id="$T"}[6m]))"#),
    ("increase(http_requests_total[5m] anchored)", r#"increase(http_requests_total{tenant_id="$T"}[5m] anchored)"#),
    ("rate(http_requests_total[5m] smoothed)", r#"rate(http_requests_total{tenant_id="$T"}[5m] smoothed)"#),
    (
        "temperature + on (instance) fill (0) up{instance=\"one:80\"}",
        r#"temperature{tenant_id="$T"} + on (instance) fill (0) up{tenant_id="$T",instance="one:80"}"#,
    ),
    ("mad_over_time(temperature[10m])", r#"mad_over_time(temperature{tenant_id="$T"}[10m])"#),
    ("max_over_time(temperature[step() + 5m])", r#"max_over_time(temperature{tenant_id="$T"}[step() + 5m])"#),
];

fn assert_answered(pair: &Pair, cases: &[Case]) {
    for (asked, by_hand) in cases {
        for answer in pair.assert_query(asked, by_hand) {
            assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
            assert_ne!(answer.json()["data"]["result"], serde_json::json!([]), "{asked} asks for nothing");
        }
    }
}

#[test]
fn prometheus_answers_as_it_answers_a_query_by_hand() {
    assert_answered(prometheus(), QUERIES);
    assert_answered(prometheus(), EXPERIMENTAL);
}

#[test]
fn thanos_answers_as_it_answers_a_query_by_hand() {
    assert_answered(thanos(), QUERIES);
}

#[test]
fn range_vector_at_one_time_is_answered() {
    let time = data::end().to_string();
    for pair in [prometheus(), thanos()] {
        let asked = [("query", "http_requests_total[2m]"), ("time", time.as_str())];
        let by_hand = [("query", r#"http_requests_total{tenant_id="$T"}[2m]"#), ("time", time.as_str())];
        for answer in pair.assert_both("/api/v1/query", &asked, &by_hand) {
            assert_eq!(answer.json()["data"]["result"].as_array().unwrap().len(), 6);
        }
    }
}

#[test]
fn two_tenants_get_different_answers_to_one_query() {
    let asked = form(&[("query", "sum(temperature)"), ("time", &data::end().to_string())]);
    for pair in [prometheus(), thanos()] {
        let [a, b] = data::TENANTS.map(|tenant| {
            let answer = Request::post("/api/v1/query", &asked).tenant(tenant).send(pair.envoy.port());
            answer.json()["data"]["result"][0]["value"][1].as_str().unwrap().parse::<f64>().unwrap()
        });
        // These are the sums of 1, 2, 3 and of 1000, 2000, 3000. Each instance adds a sine.
        assert!((3.0..=9.0).contains(&a) && (5997.0..=6003.0).contains(&b), "{a} {b}");
    }
}

#[test]
fn query_in_the_url_of_a_post_is_enforced_too() {
    for pair in [prometheus(), thanos()] {
        for (tenant, other) in BOTH {
            let time = data::end().to_string();
            let query = form(&[("query", &format!(r#"up{{tenant_id="{other}"}}"#)), ("time", &time)]);
            let by_hand = form(&[("query", &format!(r#"up{{tenant_id="{tenant}"}}"#)), ("time", &time)]);
            let asked = Request::post(&format!("/api/v1/query?{query}"), "");
            let answer = pair.assert_same(tenant, &asked, &Request::get(&format!("/api/v1/query?{by_hand}")));
            assert!(answer.text().contains(tenant));
        }
    }
}

#[test]
fn upstream_s_own_errors_pass() {
    let pair = prometheus();
    for (query, error) in [
        ("rate(up)", "expected type range vector"),
        ("no_such_function(up)", "unknown function"),
        ("up + on () up", "many-to-many"),
    ] {
        for (tenant, other) in BOTH {
            let asked = form(&[("query", query), ("time", &data::end().to_string())]);
            let answer = Request::post("/api/v1/query", &asked).tenant(tenant).send(pair.envoy.port());
            assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
            let message = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(message.contains(error) && !message.contains(other), "{message}");
        }
    }
}

#[test]
fn exemplars_are_the_tenant_s() {
    let pair = prometheus();
    let (start, end) = (data::start().to_string(), data::end().to_string());
    let times = [("start", start.as_str()), ("end", end.as_str())];
    for (asked, by_hand) in [
        ("http_requests_total", r#"http_requests_total{tenant_id="$T"}"#),
        (
            r#"sum(rate(http_requests_total{tenant_id=~".+"}[5m]))"#,
            r#"sum(rate(http_requests_total{tenant_id="$T"}[5m]))"#,
        ),
    ] {
        let with = |query| [("query", query), times[0], times[1]];
        for answer in pair.assert_both("/api/v1/query_exemplars", &with(asked), &with(by_hand)) {
            assert_eq!(answer.json()["data"].as_array().unwrap().len(), 6, "{}", answer.text());
            assert!(answer.text().contains("trace of "));
        }
    }
}

#[test]
fn thanos_explains_the_enforced_query() {
    let (start, end) = (data::start().to_string(), data::end().to_string());
    let explained = |query| [("query", query), ("time", end.as_str()), ("engine", "thanos")];
    let range = |query| {
        [("query", query), ("start", start.as_str()), ("end", end.as_str()), ("step", "60"), ("engine", "thanos")]
    };
    let (asked, by_hand) =
        ("sum(rate(http_requests_total[5m]))", r#"sum(rate(http_requests_total{tenant_id="$T"}[5m]))"#);
    let answers = [
        thanos().assert_both("/api/v1/query_explain", &explained(asked), &explained(by_hand)),
        thanos().assert_both("/api/v1/query_range_explain", &range(asked), &range(by_hand)),
    ];
    for answer in answers.iter().flatten() {
        assert!(answer.status == 200 && answer.text().contains("tenant_id"), "{}", answer.text());
    }
}

/// The queries for all upstreams, as they are asked.
pub fn all() -> impl Iterator<Item = &'static str> {
    QUERIES.iter().map(|(asked, _)| *asked)
}
