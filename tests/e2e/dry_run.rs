//! Dry run in front of real upstreams: what clients get is what they get without the filter, whatever the filter would have done.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, Response, form};
use crate::support::remote_write::{Sample, Series, Value};
use crate::support::{self, data, grpc, prometheus, remote_write};
use promql_tenancy_filter::wire::labels::{Matcher, Operator};
use promql_tenancy_filter::wire::protobuf::Message;
use promql_tenancy_filter::wire::remote_read::{Query, ReadRequest};
use promql_tenancy_filter::wire::thanos::QueryRequest;
use serde_json::json;

const HEADER: &str = "x-tenancy-dry-run";

/// Both protocols give what the upstream gives, and say what would have happened.
#[track_caller]
fn assert_untouched(envoy: &Envoy, upstream: u16, request: &Request, verdict: &str) -> Response {
    let expected = request.send(upstream);
    for answer in [request.send(envoy.port()), request.send_h2(envoy.port()).unwrap()] {
        assert_eq!((answer.status, &answer.body), (expected.status, &expected.body), "{}", request.target);
        assert_eq!(answer.header("content-type"), expected.header("content-type"), "{}", request.target);
        assert_eq!(answer.header(HEADER), Some(verdict), "{}", request.target);
    }
    expected
}

fn read_all() -> Request {
    let everything = Matcher { operator: Operator::Matches, name: b"__name__", value: b"up" };
    let (start_timestamp_ms, end_timestamp_ms) = (data::start() * 1_000, data::end() * 1_000);
    let query = Query { start_timestamp_ms, end_timestamp_ms, matchers: vec![everything], hints: None };
    let mut message = Vec::new();
    ReadRequest { queries: vec![query], accepted_response_types: vec![1] }.write(&mut message);
    let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    let request = Request::new("POST", "/api/v1/read")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-read-version", "0.1.0");
    Request { body: Body::Sized(body), ..request }
}

/// One sample of a series of its own.
fn written(name: &str) -> Vec<Series> {
    let sample = Sample { milliseconds: data::end() * 1_000, value: Value::Float(1.0) };
    vec![Series {
        labels: vec![("__name__".to_owned(), name.to_owned())],
        samples: vec![sample],
        exemplars: Vec::new(),
    }]
}

#[test]
fn in_front_of_prometheus_nothing_changes() {
    let upstream = prometheus().upstream.port();
    for allow in [true, false] {
        let keys = json!({"dry_run": true, "default_tenant_id": "", "enable_remote_read": true,
            "limits": {"max_query_expression_size_bytes": 60}});
        let envoy =
            Setup::shipped(upstream).plugin(keys).stop_iteration(allow).start(&format!("envoy-dry-run-{allow}"));
        let at = format!("time={}", data::end());
        let query = |query: &str| format!("{}&{at}", form(&[("query", query)]));
        let get = |query: &str| Request::get(&format!("/api/v1/query?{query}"));
        let (of_all, wrong) = (query("count by (tenant_id) (up)"), query("nope("));
        let a = |request: Request| request.tenant("team-a");
        let answer = assert_untouched(&envoy, upstream, &a(get(&of_all)), "rewritten");
        assert!(answer.text().contains("team-b"), "it does not isolate: {}", answer.text());
        assert_untouched(&envoy, upstream, &a(Request::post("/api/v1/query", &of_all)), "rewritten");
        assert_untouched(&envoy, upstream, &get(&of_all), "refused:no_tenant");
        assert_untouched(&envoy, upstream, &a(get(&wrong)), "refused:query_syntax");
        assert_untouched(&envoy, upstream, &a(Request::post("/api/v1/query", &wrong)), "refused:query_syntax");
        let long = query(&format!("count(up){}", " + count(up)".repeat(9)));
        assert_untouched(&envoy, upstream, &a(get(&long)), "refused:max_query_expression_size_bytes");
        assert_untouched(&envoy, upstream, &a(Request::get("/api/v1/series?match[]=up")), "rewritten");
        assert_untouched(&envoy, upstream, &a(Request::get("/api/v1/status/config")), "refused:forbidden_path");
        assert_untouched(&envoy, upstream, &a(Request::get("/nothing/here")), "refused:unknown_path");
        assert_untouched(&envoy, upstream, &a(Request::get("/-/healthy")), "forwarded");
        let read = assert_untouched(&envoy, upstream, &a(read_all()), "rewritten");
        assert!(read.body.windows(6).any(|window| window == b"team-b"), "of every tenant");
        // What is there already is refused by Prometheus itself, in its own words.
        let again = Request { body: Body::Sized(remote_write::message(&data::series(data::NOBODY))), ..read_all() };
        let again = Request { target: "/api/v1/write".to_owned(), ..again };
        assert_untouched(&envoy, upstream, &a(again), "refused:forbidden_path");
        // Answers that would have been filtered pass, too.
        let pair = support::prometheus_with_rules();
        let rules = Setup::shipped(pair.upstream.port()).plugin(json!({"dry_run": true})).stop_iteration(allow);
        let rules = rules.start(&format!("envoy-dry-run-rules-{allow}"));
        remote_write::write(rules.port(), "/api/v1/write", Some("team-a"), &written(&format!("dry_run_{allow}")));
        let all = a(Request::get("/api/v1/rules?type=record")).send(rules.port());
        assert_eq!((all.status, all.header(HEADER)), (200, Some("forwarded")));
        assert!(all.text().contains("team-b") && all.text().contains("team-a"), "{}", all.text());
        let metrics = rules.wait_for_metrics("dry run", |metrics| {
            metrics.sum("tenancy_dry_run_total", &[("tenant", "team-a"), ("handler", "rules")]) > 0.0
        });
        let labels = [("tenant", "team-a"), ("handler", "rules"), ("decision", "withheld")];
        assert_eq!(metrics.sum("tenancy_dry_run_total", &labels), 1.0);
        let metrics = envoy.metrics();
        assert_eq!(metrics.sum("tenancy_refused_total", &[]), 0.0);
        assert!(metrics.sum("tenancy_dry_run_refused_total", &[("reason", "query_syntax")]) >= 1.0);
        let log = envoy.process().log();
        assert!(log.contains("dry run: tenants are not isolated: nothing is enforced, for any tenant"));
        assert!(log.contains("request would be refused: "));
        envoy.assert_healthy();
        rules.assert_healthy();
    }
}

/// Enforcement begins with one tenant, by a change of the configuration.
#[test]
fn enforcement_begins_with_some_tenants() {
    let upstream = prometheus().upstream.port();
    let setup = |keys| Setup::shipped(upstream).plugin(keys);
    let envoy = setup(json!({"dry_run": true})).start("envoy-rollout");
    let query = |tenant: &str| {
        let query = form(&[("query", "count by (tenant_id) (up)"), ("time", &data::end().to_string())]);
        Request::get(&format!("/api/v1/query?{query}")).tenant(tenant).send(envoy.port())
    };
    let sees_others =
        |tenant: &str| data::TENANTS.iter().any(|other| *other != tenant && query(tenant).text().contains(other));
    let [first, second] = [data::TENANTS[0], data::TENANTS[1]];
    assert!(sees_others(first) && sees_others(second));
    let is_dry = |tenant: &str| query(tenant).header(HEADER).is_some();
    envoy.reload(&setup(json!({"dry_run": true, "overrides": {first: {"dry_run": false}}})));
    envoy.process().wait_until(|| !is_dry(first));
    assert!(!sees_others(first) && sees_others(second));
    assert_eq!((query(first).header(HEADER), query(second).header(HEADER)), (None, Some("rewritten")));
    envoy.reload(&setup(json!({})));
    envoy.process().wait_until(|| !is_dry(second));
    assert!(!sees_others(first) && !sees_others(second));
    envoy.assert_healthy();
}

#[test]
fn in_front_of_thanos_grpc_nothing_changes() {
    let query = support::stores().grpc().query;
    let envoy =
        grpc::setup(query).plugin(json!({"dry_run": true, "default_tenant_id": ""})).start("envoy-dry-run-grpc");
    let message = QueryRequest {
        query: b"count by (tenant_id) (up)",
        time_seconds: data::end(),
        enable_partial_response: true,
        ..Default::default()
    };
    for (tenant, method, verdict) in [
        (Some("team-a"), "/thanos.Query/Query", "rewritten"),
        (None, "/thanos.Query/Query", "refused:no_tenant"),
        (Some("team-a"), "/thanos.Query/Nothing", "refused:unknown_path"),
    ] {
        let expected = grpc::call(query, tenant, method, &message);
        let answer = grpc::call(envoy.port(), tenant, method, &message);
        assert_eq!((answer.code, answer.sorted()), (expected.code, expected.sorted()), "{method}");
        let said = answer.headers.iter().find(|(name, _)| name == HEADER).map(|(_, value)| value.as_str());
        assert_eq!(said, Some(verdict), "{method}");
    }
    envoy.assert_healthy();
}
