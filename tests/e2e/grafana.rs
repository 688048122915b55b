//! The requests that Grafana's Prometheus data source makes, in the shapes that it makes them.
//!
//! Sources, in github.com/grafana/grafana: pkg/promlib/client/client.go (methods, forms, the second try by GET after a
//! 400 or 405), healthcheck.go, heuristics.go; packages/grafana-prometheus/src/resource_clients.ts (series, labels and
//! label values), metric_find_query.ts (variables). The headers are those of its backend's middlewares and of Go's client.

use crate::support::compare::assert_only_of;
use crate::support::envoy::Setup;
use crate::support::http::{Request, Response, form};
use crate::support::{data, prometheus, recorded, stub, unique};
use serde_json::json;

/// What Grafana's backend adds.
fn from_grafana(request: Request) -> Request {
    let request = request
        .header("User-Agent", "Grafana/12.2.0")
        .header("X-Grafana-Org-Id", "1")
        .header("X-Dashboard-Uid", "a1b2c3")
        .header("X-Dashboard-Title", "Überblick".as_bytes())
        .header("X-Panel-Id", "4")
        .header("X-Panel-Plugin-Id", "timeseries")
        .header("X-Datasource-Uid", "P1809F7CD0C75ACF3")
        .header("X-Query-Group-Id", "8f0b4c8a-6f0c-4c0a-9f6e-0f3f5f9a2f10")
        .header("X-Grafana-Referer", "http://grafana.example/d/a1b2c3/x?var-tenant=team-b&var-query=up%7B%7D")
        .header("Cookie", "")
        .header("X-Forwarded-For", "192.0.2.7, 192.0.2.8")
        .header("Accept-Encoding", "gzip");
    request.tenant("team-a")
}

fn ask(request: &Request) -> Response {
    // Prometheus compresses where that is asked for; here the text is read.
    let mut request = from_grafana(request.clone());
    request.headers.retain(|(name, _)| name != "Accept-Encoding");
    let answer = request.send(prometheus().envoy.port());
    assert_only_of("team-a", &answer, &request.target);
    answer
}

/// As `QueryResource` does: a POST, and where that is answered with 400 or 405, a GET with the form in its URL.
fn ask_resource(path: &str, parameters: &[(&str, &str)]) -> Response {
    let answer = ask(&Request::post(path, &form(parameters)));
    match answer.status {
        400 | 405 => ask(&Request::get(&format!("{path}?{}", form(parameters)))),
        _ => answer,
    }
}

/// `formatTime`, and the milliseconds that dashboards have.
fn times() -> [String; 2] {
    [format!("{}.123", data::end() - 900), data::end().to_string()]
}

#[test]
fn health_check_succeeds() {
    let answer = ask(&Request::post("/api/v1/query", "query=1%2B1&time=4"));
    assert_eq!(answer.json()["data"], json!({"resultType": "scalar", "result": [4, "2"]}));
}

#[test]
fn build_information_is_given_by_get_after_a_refused_post() {
    // The list of GET-only paths begins with a slash there, and the path does not: so a POST comes first.
    let post = ask(&Request::post("/api/v1/status/buildinfo", ""));
    assert_eq!(post.refused(405), "method not allowed: use GET");
    assert_eq!(post.header("allow"), Some("GET"));
    let answer = ask_resource("/api/v1/status/buildinfo", &[]);
    assert!(answer.json()["data"]["goVersion"].is_string(), "{}", answer.text());
}

#[test]
fn panels_are_filled() {
    let [start, end] = times();
    let range = [
        ("query", "sum by (code) (rate(http_requests_total[1m15s]))"),
        ("start", &start),
        ("end", &end),
        ("step", "15"),
    ];
    let answer = ask(&Request::post("/api/v1/query_range", &form(&range)));
    assert_eq!(answer.json()["data"]["resultType"], "matrix", "{}", answer.text());
    assert_eq!(answer.json()["data"]["result"].as_array().unwrap().len(), 2);
    let get = ask(&Request::get(&format!("/api/v1/query_range?{}", form(&range))));
    assert_eq!(get.json()["data"], answer.json()["data"]);
    let instant =
        [("query", "histogram_quantile(0.95, sum(rate(latency_seconds[5m])))"), ("time", &end), ("timeout", "60s")];
    let answer = ask(&Request::post("/api/v1/query", &form(&instant)));
    assert_eq!(answer.json()["data"]["result"].as_array().unwrap().len(), 1, "{}", answer.text());
    // `customQueryParameters` of the data source come in the URL of the POST.
    let answer = ask(&Request::post("/api/v1/query?max_source_resolution=5m&custom=1", &form(&instant)));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn error_in_a_panel_s_query_is_shown() {
    let answer = ask(&Request::post(
        "/api/v1/query_range",
        &form(&[("query", "sum(rate(up[5m])"), ("start", "1"), ("end", "2"), ("step", "1")]),
    ));
    let message = answer.refused(400);
    assert!(message.starts_with("invalid parameter \"query\": 1:17: parse error: "), "{message}");
    assert_eq!(answer.json()["errorType"], "bad_data");
}

#[test]
fn exemplars_are_drawn() {
    let [start, end] = times();
    let asked = form(&[("query", "sum(rate(http_requests_total[1m]))"), ("start", &start), ("end", &end)]);
    let answer = ask(&Request::post("/api/v1/query_exemplars", &asked));
    assert_eq!(answer.json()["data"][0]["exemplars"][0]["labels"]["trace_id"], "trace of team-a", "{}", answer.text());
}

#[test]
fn query_builder_finds_metrics_labels_and_values() {
    let [start, end] = times();
    let window = [("start", start.as_str()), ("end", end.as_str())];
    let with = |more: &[(&'static str, &'static str)]| more.iter().copied().chain(window).collect::<Vec<_>>();

    let metrics = ask_resource("/api/v1/label/__name__/values", &with(&[("limit", "40000")])).json();
    let metrics = metrics["data"].as_array().unwrap();
    assert!(metrics.contains(&json!("only_team_a")) && metrics.contains(&json!("dotted.metric")), "{metrics:?}");
    let labels = ask_resource("/api/v1/labels", &with(&[("limit", "40000")])).json();
    assert!(labels["data"].as_array().unwrap().contains(&json!("label_of_team_a")), "{labels}");
    let labels =
        ask_resource("/api/v1/labels", &with(&[("limit", "40000"), ("match[]", "{__name__=\"temperature\"}")])).json();
    assert_eq!(labels["data"], json!(["__name__", "instance", "job", "owner", "tenant_id"]));
    let values = ask_resource(
        "/api/v1/label/instance/values",
        &with(&[("limit", "40000"), ("match[]", "temperature{job=\"api\"}")]),
    )
    .json();
    assert_eq!(values["data"], json!(["one:80", "three:80", "two:80"]));
    // A label that is not an identifier is escaped twice: as Prometheus asks, and as a path.
    let values = ask_resource("/api/v1/label/U__dotted_2e_label/values", &with(&[("limit", "40000")])).json();
    assert_eq!(values["data"], json!(["team_a"]));
    // MATCH_ALL_LABELS.
    let series = ask_resource("/api/v1/series", &with(&[("match[]", "{__name__!=\"\"}"), ("limit", "40000")])).json();
    assert!(series["data"].as_array().unwrap().len() > 15, "{series}");
    let series =
        ask_resource("/api/v1/series", &with(&[("match[]", "{\"dotted.label\"!=\"\"}"), ("limit", "40000")])).json();
    assert_eq!(series["data"].as_array().unwrap().len(), 1, "{series}");
}

#[test]
fn label_values_by_post_are_refused_so_that_grafana_asks_by_get() {
    let post = ask(&Request::post("/api/v1/label/job/values", "match%5B%5D=up"));
    assert_eq!(post.refused(405), "method not allowed: use GET");
    assert_eq!(ask_resource("/api/v1/label/job/values", &[("match[]", "up")]).json()["data"], json!(["api"]));
}

#[test]
fn dashboard_variables_are_filled() {
    let [start, end] = times();
    let asked = form(&[("query", "count by (tenant_id) (up)"), ("time", &end)]);
    let answer = ask(&Request::post("/api/v1/query", &asked));
    assert_eq!(answer.json()["data"]["result"][0]["metric"], json!({"tenant_id": "team-a"}));
    let asked = [("match[]", "temperature"), ("start", start.as_str()), ("end", end.as_str())];
    assert_eq!(ask_resource("/api/v1/series", &asked).json()["data"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_not_served_yet_is_refused_in_prometheus_s_words() {
    for path in ["/api/v1/metadata", "/api/v1/metadata?limit=40000"] {
        let answer = ask(&Request::get(path));
        assert!(answer.refused(403).contains("not served to tenants"));
        assert_eq!(answer.json()["errorType"], "forbidden");
    }
}

#[test]
fn expression_tools_answer() {
    let asked = form(&[("query", "sum(rate(up[5m]))by(job)")]);
    let formatted = ask_resource("/api/v1/format_query", &[("query", "sum(rate(up[5m]))by(job)")]).json();
    assert_eq!(formatted["data"], "sum by (job) (rate(up[5m]))");
    let parsed = ask(&Request::get(&format!("/api/v1/parse_query?{asked}"))).json();
    assert_eq!(parsed["data"]["type"], "aggregation", "{parsed}");
}

#[test]
fn grafana_s_headers_reach_the_upstream_and_the_answer_stays_private() {
    let id = unique();
    let request = from_grafana(Request::post("/api/v1/labels", ""))
        .header("x-e2e-id", &id)
        .header("X-Grafana-Cache", "private, max-age=60");
    let answer = request.send(recorded().port());
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    let [seen] = stub().seen(&id).try_into().unwrap();
    assert_eq!(seen.all("x-dashboard-uid"), ["a1b2c3"]);
    assert_eq!(seen.all("thanos-tenant"), ["team-a"]);
    let everything = [seen.query(), seen.form()].concat();
    assert_eq!(everything, [("match[]".to_owned(), "{tenant_id=\"team-a\"}".to_owned())]);
}

/// What Grafana's data source, its Metrics Drilldown and Perses ask in their first minute, as docs/grafana.md lists it: everything is answered with the
/// tenant's own data, or refused in Prometheus's words where the document says so.
#[test]
fn the_first_minute_of_each_client_is_answered_or_refused_as_documented() {
    let envoy = Setup::shipped(prometheus().upstream.port())
        .plugin(json!({"enable_metadata": "names", "call_out_cluster": "prometheus"}))
        .start("envoy-first-minute");
    let [start, end] = times();
    let range = [("start", start.as_str()), ("end", end.as_str())];
    let with = |more: &[(&'static str, &'static str)]| form(&[&range[..], more].concat());
    let step = [("step", "60"), ("query", "sum(rate(http_requests_total[5m]))")];
    for (client, method, path, parameters, status) in [
        ("Grafana 11", "GET", "/api/v1/label/__name__/values", with(&[]), 200),
        ("Grafana 11", "GET", "/api/v1/metadata", String::new(), 200),
        ("Grafana 12", "GET", "/api/v1/metadata", form(&[("limit", "40000")]), 200),
        ("Grafana 12", "POST", "/api/v1/labels", with(&[("limit", "40000")]), 200),
        ("Grafana 12", "POST", "/api/v1/series", with(&[("match[]", "{job=\"api\"}"), ("limit", "40000")]), 200),
        ("Grafana 12", "GET", "/api/v1/label/job/values", with(&[("limit", "40000")]), 200),
        ("Grafana 13", "GET", "/api/v1/search/metric_names", with(&[("search[]", "http")]), 0),
        ("Grafana", "POST", "/api/v1/query", form(&[("query", "1+1"), ("time", &end)]), 200),
        ("Grafana", "POST", "/api/v1/query_range", with(&step), 200),
        ("Grafana", "GET", "/api/v1/query_exemplars", with(&[("query", "http_requests_total")]), 200),
        ("Grafana", "GET", "/api/v1/rules", String::new(), 200),
        ("Grafana", "GET", "/api/v1/alerts", String::new(), 200),
        ("Grafana", "GET", "/api/v1/status/buildinfo", String::new(), 200),
        ("Drilldown", "GET", "/api/v1/metadata", form(&[("metric", "http_requests_total")]), 200),
        ("Drilldown", "GET", "/api/v1/label/__name__/values", with(&[("match[]", "{job=\"api\"}")]), 200),
        ("Perses", "POST", "/api/v1/labels", with(&[("match[]", "up")]), 200),
        ("Perses", "GET", "/api/v1/series", with(&[("match[]", "up")]), 200),
        ("Perses", "GET", "/api/v1/parse_query", form(&[("query", "sum(up)")]), 200),
        ("Perses", "GET", "/api/v1/metadata", String::new(), 200),
        ("Perses", "POST", "/api/v1/query_range", with(&step), 200),
        ("any", "GET", "/api/v1/status/tsdb", String::new(), 403),
        ("any", "GET", "/api/v1/status/flags", String::new(), 403),
    ] {
        let request = match method {
            "GET" if parameters.is_empty() => Request::get(path),
            "GET" => Request::get(&format!("{path}?{parameters}")),
            _ => Request::post(path, &parameters),
        };
        let mut request = from_grafana(request);
        request.headers.retain(|(name, _)| name != "Accept-Encoding");
        let answer = request.send(envoy.port());
        let what = format!("{client}: {method} {path}");
        assert_only_of("team-a", &answer, &what);
        match status {
            403 => drop(answer.refused(403)),
            // Only where Prometheus runs with the search API.
            0 => assert!(matches!(answer.status, 200 | 404), "{what}: {}", answer.text()),
            status => assert_eq!(
                (answer.status, &answer.json()["status"]),
                (status, &json!("success")),
                "{what}: {}",
                answer.text()
            ),
        }
    }
    envoy.assert_healthy();
}
