//! What reaches the upstream. Cases of prom-label-proxy (0.11.1) and Thanos (0.42.5) are named where they stand.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const TEAM_A: &str = r#"{tenant_id="team-a"}"#;
const NOTHING: &str = r#"{tenant_id="team-a",__name__="promql_tenancy_filter:nothing"}"#;

#[track_caller]
fn sent(request: Request, config: &Worker) -> Sent {
    request
        .tenant("team-a")
        .send(config)
        .unwrap_or_else(|rejection| panic!("{}: {}", rejection.reason(), rejection.message()))
}

#[test]
fn query_is_rewritten_in_the_url() {
    let sent = sent(Request::get("/api/v1/query?query=up&time=1"), &config("{}"));
    assert_eq!(pairs(&sent.path), [("query".into(), r#"up{tenant_id="team-a"}"#.into()), ("time".into(), "1".into())]);
    assert_eq!((sent.tenant.as_str(), sent.handler), ("team-a", "query"));
}

#[test]
fn query_is_rewritten_in_the_form() {
    let sent = sent(Request::form("/api/v1/query_range", "query=up&start=1&end=2&step=15"), &config("{}"));
    assert_eq!(sent.path, "/api/v1/query_range");
    assert_eq!(values(&sent, "query"), [r#"up{tenant_id="team-a"}"#]);
    assert_eq!(values(&sent, "step"), ["15"]);
    assert!(sent.headers.contains(&("content-type".into(), "application/x-www-form-urlencoded".into())));
    assert!(!sent.headers.iter().any(|(name, _)| name == "content-length"), "it counts the old body's bytes");
}

#[test]
fn query_is_rewritten_in_both_places() {
    // prom-label-proxy, routes_test.go: "Query without a vector selector in POST body or query different". Go reads the
    // form's first, but nothing is left to that.
    for config in [config("{}"), config(r#"{"upstream": "thanos"}"#)] {
        let sent = sent(Request::form("/api/v1/query?query=up", "query=down"), &config);
        assert_eq!(values(&sent, "query"), [r#"down{tenant_id="team-a"}"#, r#"up{tenant_id="team-a"}"#]);
    }
}

#[test]
fn query_of_prom_label_proxy_s_cases() {
    // prom-label-proxy, routes_test.go, TestQuery. DIFFERENCE: a request without a query is the upstream's to refuse there too,
    // but prom-label-proxy answers 200 with an empty body.
    for (query, expected) in [
        ("up", r#"up{tenant_id="team-a"}"#),
        ("1", "1"),
        ("time()", "time()"),
        (
            r#"up{instance="localhost:9090"} + foo{other_label="value"}"#,
            r#"up{tenant_id="team-a",instance="localhost:9090"} + foo{tenant_id="team-a",other_label="value"}"#,
        ),
        (r#"up{tenant_id="other"}"#, r#"up{tenant_id="team-a"}"#),
    ] {
        for request in [
            Request::get(format!("/api/v1/query?query={}", escaped(query))),
            Request::form("/api/v1/query", format!("query={}", escaped(query))),
        ] {
            let sent = sent(request, &config("{}"));
            let got: String = values(&sent, "query").concat().chars().filter(|c| *c != ' ').collect();
            assert_eq!(got, expected.replace(' ', ""), "{query}");
        }
    }
    let conflict =
        Request::get(format!("/api/v1/query?query={}", escaped(r#"up{tenant_id="other"}"#))).tenant("team-a");
    assert_eq!(reason(&conflict, &config(r#"{"on_conflict": "reject"}"#)), "query_conflict", "errorOnReplace");
}

#[test]
fn query_of_thanos_s_cases() {
    // Thanos, pkg/tenancy/tenancy_test.go, TestEnforceQueryTenancy.
    for (query, expected) in [
        (
            r#"{__name__="test_metric", job="test_job"}"#,
            r#"{tenant_id="team-a",__name__="test_metric",job="test_job"}"#,
        ),
        (
            r#"sum by (job) (xrate(test_metric{job="test_job"}[5m]))"#,
            r#"sumby(job)(xrate(test_metric{tenant_id="team-a",job="test_job"}[5m]))"#,
        ),
    ] {
        let sent =
            sent(Request::get(format!("/api/v1/query?query={}", escaped(query))), &config(r#"{"upstream": "thanos"}"#));
        let got: String = values(&sent, "query").concat().chars().filter(|c| *c != ' ').collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn a_query_that_is_absent_or_empty_is_left_to_the_upstream() {
    assert_eq!(sent(Request::get("/api/v1/query"), &config("{}")).path, "/api/v1/query");
    assert_eq!(sent(Request::get("/api/v1/query?query="), &config("{}")).path, "/api/v1/query?query=");
    // Go takes the form's query; the empty one in the URL does not stand in its way.
    let sent = sent(Request::form("/api/v1/query?query=", "query=up"), &config("{}"));
    assert_eq!(values(&sent, "query"), [r#"up{tenant_id="team-a"}"#, ""]);
}

#[test]
fn a_query_that_can_t_be_read_is_refused() {
    let request = Request::get("/api/v1/query?query=up%7B").tenant("team-a");
    let rejection = request.send(&config("{}")).unwrap_err();
    assert_eq!((rejection.status(), rejection.reason()), (400, "query_syntax"));
    assert!(rejection.message().starts_with(r#"invalid parameter "query": 1:"#), "{}", rejection.message());
    assert!(rejection.message().contains("parse error: "), "{}", rejection.message());
}

#[test]
fn every_selector_parameter_gains_the_matcher() {
    // prom-label-proxy, routes_test.go, TestSeries and TestSeriesWithPost. DIFFERENCE: several match[] each keep their place.
    for path in [
        "/api/v1/series",
        "/api/v1/labels",
        "/api/v1/label/job/values",
        "/api/v1/search/metric_names",
        "/api/v1/search/label_names",
        "/api/v1/search/label_values",
        "/federate",
    ] {
        let sent = sent(Request::get(format!("{path}?match[]=up&match%5B%5D=%7Bjob%3D%22x%22%7D")), &config("{}"));
        assert_eq!(
            values(&sent, "match[]"),
            [r#"up{tenant_id="team-a"}"#, r#"{tenant_id="team-a",job="x"}"#],
            "{path}"
        );
    }
}

#[test]
fn one_selector_is_added_where_there_is_none() {
    for path in
        ["/api/v1/series", "/api/v1/labels", "/api/v1/label/job/values", "/api/v1/search/metric_names", "/federate"]
    {
        assert_eq!(values(&sent(Request::get(path), &config("{}")), "match[]"), [TEAM_A], "{path}");
        assert_eq!(
            values(&sent(Request::get(path).body(""), &config("{}")), "match[]"),
            [TEAM_A],
            "{path}: h2 without END_STREAM"
        );
    }
    for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/search/metric_names"] {
        let without_body = sent(Request::new("POST", path), &config("{}"));
        assert_eq!((values(&without_body, "match[]"), without_body.body), (vec![TEAM_A.to_owned()], None), "{path}");
        let in_form = sent(Request::form(path, "start=1"), &config("{}"));
        assert_eq!(values(&in_form, "match[]"), [TEAM_A, NOTHING], "{path}");
        let in_empty_form = sent(Request::form(path, "").header("x", "y"), &config("{}"));
        assert_eq!(values(&in_empty_form, "match[]"), [TEAM_A], "{path}");
    }
}

#[test]
fn an_empty_form_that_is_not_announced_as_empty_gains_the_selector() {
    let request =
        Request::new("POST", "/api/v1/labels").header("content-type", "application/x-www-form-urlencoded").body("");
    let sent = sent(request, &config("{}"));
    assert_eq!(values(&sent, "match[]"), [TEAM_A, NOTHING]);
    assert_eq!(sent.body.as_deref().map(pairs), Some(vec![("match[]".to_owned(), TEAM_A.to_owned())]));
}

#[test]
fn an_upstream_that_loses_the_form_finds_a_selector_in_the_url() {
    // Prometheus's `labels` answers without the form, for everybody, when its read timeout strikes before it has it.
    for (form, expected) in [("match[]=up", 1), ("start=1", 1), ("match[]=up&match[]=down", 1)] {
        let sent = sent(Request::form("/api/v1/labels", form), &config("{}"));
        let in_url = pairs(sent.path.split_once('?').unwrap().1);
        assert_eq!(in_url, vec![("match[]".to_owned(), NOTHING.to_owned()); expected], "{form}");
    }
    let own = sent(Request::form("/api/v1/labels?match[]=up", "match[]=down"), &config("{}"));
    assert!(!own.path.contains("nothing"), "{}", own.path);
    let without_enforcement =
        sent(Request::form("/api/v1/labels", "start=1"), &config(r#"{"enforce_tenancy": false}"#));
    assert_eq!(without_enforcement.path, "/api/v1/labels");
}

#[test]
fn the_selector_is_added_once_for_the_whole_request() {
    // Upstream takes the union: a matcher of its own beside `up` would list every series of the tenant.
    let in_url = sent(Request::form("/api/v1/labels?match[]=up", "start=1"), &config("{}"));
    assert_eq!(values(&in_url, "match[]"), [r#"up{tenant_id="team-a"}"#]);
    let in_form = sent(Request::form("/api/v1/labels?start=1", "match[]=up"), &config("{}"));
    assert_eq!(values(&in_form, "match[]"), [r#"up{tenant_id="team-a"}"#, NOTHING]);
    let in_both = sent(Request::form("/api/v1/labels?match[]=up", "match[]=down"), &config("{}"));
    assert_eq!(values(&in_both, "match[]"), [r#"down{tenant_id="team-a"}"#, r#"up{tenant_id="team-a"}"#]);
}

#[test]
fn an_empty_selector_is_refused_as_upstream_refuses_it() {
    // `ParseMetricSelectors` fails on it in Prometheus 3.16 and Thanos 0.42.5.
    for target in ["/api/v1/series?match[]=", "/api/v1/labels?match[]=up&match[]=", "/api/v1/series?match[]"] {
        assert_eq!(reason(&Request::get(target).tenant("team-a"), &config("{}")), "query_syntax", "{target}");
    }
}

#[test]
fn only_known_parameters_go_on() {
    let drops = |target: &str, json: &str, expected: &str| {
        assert_eq!(sent(Request::get(target), &config(json)).path, expected, "{target}")
    };
    drops("/api/v1/query?query=1&_=9&debug=true&Query=up&match[]=up&q%75ery%20=up", "{}", "/api/v1/query?query=1");
    drops("/api/v1/query?query=1&dedup=true", "{}", "/api/v1/query?query=1");
    drops("/api/v1/query?query=1&dedup=true", r#"{"upstream": "thanos"}"#, "/api/v1/query?query=1&dedup=true");
    drops(
        "/api/v1/query?query=1&trace=a%20b&trace=c",
        r#"{"extra_parameters": ["trace"]}"#,
        "/api/v1/query?query=1&trace=a+b&trace=c",
    );
    drops("/-/healthy?query=up", "{}", "/-/healthy");
    drops("/api/v1/format_query?query=up%7B%7D&time=1", "{}", "/api/v1/format_query?query=up%7B%7D");
    for target in [
        "/api/v1/search/metric_names?include_metadata=true&match[]=up",
        "/api/v1/labels?match=up&match[]=up&extra_filters=a&extra_filters[]=b&match%5b%5d%20=x",
    ] {
        let sent = sent(Request::get(target), &config("{}"));
        let names: Vec<String> = pairs(&sent.path).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["match[]"], "{target}");
    }
}

#[test]
fn thanos_s_own_parameters() {
    let thanos = config(r#"{"upstream": "thanos"}"#);
    let target = "/api/v1/query?query=1&dedup=true&partial_response=0&max_source_resolution=auto&engine=thanos&analyze=true&lookback_delta=5m&stats=all&shard_info=%7B%7D&replicaLabels[]=replica&replicaLabels%5B%5D=prometheus_replica";
    assert_eq!(pairs(&sent(Request::get(target), &thanos).path), pairs(target));
    for target in [
        "/api/v1/query?query=up&replicaLabels[]=tenant_id",
        "/api/v1/series?replicaLabels%5B%5D=replica&replicaLabels[]=tenant_id",
        "/api/v1/query?replicaLabels[]=a,%20tenant_id",
    ] {
        assert_eq!(reason(&Request::get(target).tenant("team-a"), &thanos), "bad_parameter", "{target}");
    }
    for path in ["query", "query_range", "query_explain", "query_range_explain", "series", "labels", "label/job/values"]
    {
        let request = Request::get(format!("/api/v1/{path}?storeMatch[]=%7B%7D")).tenant("team-a");
        assert_eq!(reason(&request, &thanos), "bad_parameter", "{path}");
    }
    let explained = sent(Request::form("/api/v1/query_range_explain", "query=up&start=1&end=2&step=1"), &thanos);
    assert_eq!(values(&explained, "query"), [r#"up{tenant_id="team-a"}"#]);
}

#[test]
fn the_tenant_s_header_is_set_once_on_every_path() {
    let config = config(r#"{"passthrough_paths": ["/graph"]}"#);
    for request in [
        Request::get("/api/v1/query?query=1"),
        Request::get("/api/v1/labels"),
        Request::get("/api/v1/status/buildinfo"),
        Request::get("/graph?g0.expr=up;1"),
        Request::form("/api/v1/series", "match[]=up"),
    ] {
        let sent = sent(request, &config);
        let tenants: Vec<_> = sent.headers.iter().filter(|(name, _)| name == "thanos-tenant").collect();
        assert_eq!(tenants, [&("thanos-tenant".to_owned(), "team-a".to_owned())]);
    }
}

#[test]
fn the_tenant_comes_from_its_header_or_the_default() {
    let query = || Request::get("/api/v1/query?query=up");
    assert_eq!(query().send(&config("{}")).unwrap().tenant, "default-tenant");
    assert_eq!(reason(&query(), &config(r#"{"default_tenant_id": ""}"#)), "no_tenant");
    assert_eq!(query().tenant("").send(&config("{}")).unwrap_err().status(), 401, "empty is not absent");
    let own = config(r#"{"tenant_header": "X-Tenant", "default_tenant_id": "d"}"#);
    let sent = query().header("x-tenant", "a").tenant("b").header("x-scope-orgid", "c").send(&own).unwrap();
    assert_eq!(sent.headers, [("thanos-tenant".to_owned(), "a".to_owned())]);
    assert_eq!(query().tenant("b").send(&own).unwrap().tenant, "d", "the internal header names nobody");
}

#[test]
fn only_allowed_tenants_are_served() {
    let config = config(r#"{"allowed_tenants": ["a", "b"], "tenant_federation": {"enabled": true}}"#);
    let query = || Request::get("/api/v1/query?query=up");
    assert_eq!(query().tenant("a").send(&config).unwrap().tenant, "a");
    assert_eq!(query().tenant("b|a").send(&config).unwrap().tenant, "a|b");
    for request in [query().tenant("c"), query().tenant("a|c"), query()] {
        assert_eq!(request.send(&config).unwrap_err().status(), 403);
        assert_eq!(reason(&request, &config), "tenant_not_allowed");
    }
}

#[test]
fn several_tenants_are_alternatives_and_choose_among_themselves() {
    let config = config(r#"{"tenant_federation": {"enabled": true, "max_tenants": 2}}"#);
    let request = Request::get(format!("/api/v1/query?query={}", escaped(r#"up{tenant_id="a"}"#)));
    let sent = request.tenant("b|a").send(&config).unwrap();
    let query = values(&sent, "query").concat();
    assert!(query.contains(r#"tenant_id=~"a|b""#) && query.contains(r#"tenant_id="a""#), "{query}");
    assert_eq!(sent.headers, [("thanos-tenant".to_owned(), "a|b".to_owned())]);
    assert_eq!(reason(&Request::get("/api/v1/query").tenant("a|b|c"), &config), "bad_tenant");
}

#[test]
fn without_enforcement_queries_pass_and_the_rest_holds() {
    let cortex = config(r#"{"upstream": "cortex"}"#);
    let sent =
        sent(Request::form("/prometheus/api/v1/query", "query=up{&debug=1").header("x-scope-orgid", "team-b"), &cortex);
    assert_eq!(sent.body.as_deref(), Some("query=up%7B"));
    assert_eq!(
        sent.headers.iter().filter(|(name, _)| name == "x-scope-orgid").collect::<Vec<_>>(),
        [&("x-scope-orgid".to_owned(), "team-a".to_owned())]
    );
    assert!(!sent.headers.iter().any(|(name, _)| name == "thanos-tenant"));
    let labels = Request::get("/api/prom/api/v1/labels").tenant("team-a").send(&cortex).unwrap();
    assert_eq!(labels.path, "/api/prom/api/v1/labels");
    for (target, expected) in [
        ("/api/v1/query?query=1", "unknown_path"),
        ("/api/v1/rules", "unknown_path"),
        ("/prometheus/api/v1/targets", "forbidden_path"),
        ("/api/prom/push", "forbidden_path"),
        ("/prometheus/api/v1/cardinality/unknown", "forbidden_path"),
        ("/prometheus/api/v1/query?query=1&query=2", "repeated_parameter"),
        ("/prometheus//api/v1/query", "bad_path"),
    ] {
        assert_eq!(reason(&Request::get(target).tenant("team-a"), &cortex), expected, "{target}");
    }
    let enforcing = config(r#"{"upstream": "cortex", "enforce_tenancy": true}"#);
    let sent = Request::get("/prometheus/api/v1/query?query=up").tenant("team-a").send(&enforcing).unwrap();
    assert_eq!(values(&sent, "query"), [r#"up{tenant_id="team-a"}"#]);
}

#[test]
fn passthrough_is_exact_and_leaves_query_string_and_body() {
    let config = config(r#"{"passthrough_paths": ["/graph"]}"#);
    let get = Request::get("/graph?g0.expr=up;x=%zz").tenant("a").send(&config).unwrap();
    assert_eq!((get.path.as_str(), get.handler), ("/graph?g0.expr=up;x=%zz", "passthrough"));
    let post = Request::new("POST", "/graph")
        .header("content-type", "application/json")
        .header("content-length", "2")
        .tenant("a")
        .body("{}");
    assert!(matches!(post.decide(&config).unwrap().body, BodyPlan::Untouched));
    let post = post.send(&config).unwrap();
    assert_eq!(post.body.as_deref(), Some("{}"));
    assert!(post.headers.contains(&("content-length".to_owned(), "2".to_owned())));
    for target in ["/graph/", "/graph/x", "/Graph", "/gr%61ph"] {
        assert_eq!(reason(&Request::get(target).tenant("a"), &config), "unknown_path", "{target}");
    }
    assert_eq!(reason(&Request::new("PUT", "/graph").tenant("a"), &config), "method");
}

#[test]
fn a_request_that_already_reads_so_is_left_alone() {
    let forward = Request::get("/api/v1/query?query=1").tenant("a").decide(&config("{}")).unwrap();
    assert!(forward.path.is_none() && forward.remove.is_empty());
    assert!(matches!(forward.body, BodyPlan::Absent));
    let forward = Request::form("/api/v1/query", "query=1").tenant("a").decide(&config("{}")).unwrap();
    let finished = forward.body.finish(b"query=1", None, &RefCell::default()).unwrap().forwarded().unwrap();
    assert_eq!(finished.body, None);
}

#[test]
fn what_grafana_sends_is_served() {
    // Grafana's Prometheus data source: health check, version, builder and explorer requests (POST is its default method).
    let prometheus = config("{}");
    for (request, handler) in [
        (Request::form("/api/v1/query", "query=1%2B1&time=1700000000.123"), "query"),
        (Request::get("/api/v1/status/buildinfo"), "buildinfo"),
        (Request::get("/api/v1/features"), "features"),
        (
            Request::form(
                "/api/v1/query_range",
                "end=1700000000&query=sum+by+%28le%29+%28rate%28x_bucket%5B1m0s%5D%29%29&start=1699990000&step=15",
            ),
            "query_range",
        ),
        (Request::form("/api/v1/series", "end=1700000000&match%5B%5D=up&start=1699990000"), "series"),
        (
            Request::form(
                "/api/v1/labels",
                "end=1700000000&match%5B%5D=%7B__name__%3D%22up%22%7D&start=1699990000&limit=40000",
            ),
            "labels",
        ),
        (Request::get("/api/v1/label/__name__/values?end=1700000000&start=1699990000&limit=40000"), "label_values"),
        (Request::get("/api/v1/label/job/values?match%5B%5D=up&start=1&end=2"), "label_values"),
        (
            Request::form(
                "/api/v1/query_exemplars",
                "end=1700000000&query=histogram_quantile%280.9%2C+rate%28x_bucket%5B1m%5D%29%29&start=1699990000",
            ),
            "query_exemplars",
        ),
        (Request::get("/api/v1/format_query?query=up"), "format_query"),
    ] {
        let sent = sent(
            request.header("x-grafana-org-id", "1").header("x-dashboard-uid", "a").header("accept-encoding", "gzip"),
            &prometheus,
        );
        assert_eq!(sent.handler, handler);
        assert!(sent.headers.iter().any(|(name, _)| name == "x-dashboard-uid"));
    }
}

fn escaped(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[test]
fn the_alerts_of_thanos_are_asked_as_rules() {
    let alerts = |config: &str| {
        let config = super::config(config);
        Request::get("/api/v1/alerts?match%5B%5D=up&page=2").tenant("team-a").send(&config).unwrap()
    };
    let thanos = alerts(r#"{"upstream": "thanos"}"#);
    assert_eq!((thanos.path.as_str(), thanos.handler), ("/api/v1/rules?type=alert", "alerts"));
    assert_eq!(
        alerts(r#"{"upstream": "thanos", "extra_parameters": ["page"]}"#).path,
        "/api/v1/rules?page=2&type=alert"
    );
    assert_eq!(alerts("{}").path, "/api/v1/alerts");
    // Where nothing is filtered, nothing has to be known of the rules.
    assert_eq!(alerts(r#"{"upstream": "thanos", "enforce_tenancy": false}"#).path, "/api/v1/alerts");
}
