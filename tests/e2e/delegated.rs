//! Limits that a real Prometheus and a real Thanos enforce because the filter tells them, and limits on the size of their answers.

use crate::support::data;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::{remote_write, thanos, upstreams};
use serde_json::{Value, json};

fn ask(envoy: &Envoy, path: &str, pairs: &[(&str, &str)], by_form: bool) -> Response {
    let request = match by_form {
        true => Request::post(path, &form(pairs)),
        false => Request::get(&format!("{path}?{}", form(pairs))),
    };
    request.tenant("team-a").send(envoy.port())
}

#[test]
fn prometheus_holds_queries_to_the_tenant_s_limits_and_the_refusal_names_them() {
    let (_process, port) = upstreams::prometheus_with("prometheus-limits", "", &["--enable-feature=query-cost"]);
    remote_write::write(port, "/api/v1/write", None, &data::labelled("team-a"));
    let setup = |limits: Value| Setup::shipped(port).plugin(json!({"overrides": {"team-a": limits}}));
    let envoy = setup(json!({})).start("envoy-delegated");
    let time = data::end().to_string();
    let reload = |limits: Value, probe: &dyn Fn() -> bool| {
        envoy.reload(&setup(limits));
        envoy.process().wait_until(probe);
    };
    let query = [("query", "http_requests_total"), ("time", &*time)];
    assert!(ask(&envoy, "/api/v1/query", &query, false).json()["data"]["result"].as_array().unwrap().len() > 1);
    for (limit, value, parameter, text) in [
        ("max_fetched_series_per_query", json!(1), "max_series", "query would load too many series into memory in "),
        ("max_samples_per_query", json!(1), "max_samples_read", "query would read too many samples in "),
        ("query_timeout", json!("1ms"), "timeout", "query timed out in "),
    ] {
        // A timer of a millisecond needs work that takes longer.
        let long = "sum_over_time(count_over_time({__name__=~\".+\"}[1h])[6h:1s])";
        let text_of_query = if parameter == "timeout" { long } else { "http_requests_total" };
        let query = [("query", text_of_query), ("time", &*time)];
        reload(json!({limit: value}), &|| ask(&envoy, "/api/v1/query", &query, false).text().contains(limit));
        // Whether or not the client asks for more, and where.
        let larger = [("query", text_of_query), ("time", &*time), (parameter, "3600")];
        for (pairs, by_form) in [(&query[..], false), (&query, true), (&larger, false), (&larger, true)] {
            let answer = ask(&envoy, "/api/v1/query", pairs, by_form);
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let named = format!("(your limit {limit} is {value})");
            assert!(error.starts_with(text) && error.ends_with(&named), "{error}");
        }
    }
    // Lists are cut, with a warning.
    let labels =
        || ask(&envoy, "/api/v1/labels", &[("match[]", "http_requests_total"), ("limit", "100")], false).json();
    reload(json!({"max_returned_items": 2}), &|| labels()["data"].as_array().is_some_and(|names| names.len() == 2));
    assert_eq!(labels()["warnings"], json!(["results truncated due to limit (your limit max_returned_items is 2)"]));
    let cut = ask(&envoy, "/api/v1/query", &query, false).json();
    assert_eq!(cut["data"]["result"].as_array().unwrap().len(), 2);
    envoy.assert_healthy();
}

#[test]
fn thanos_holds_requests_to_what_it_honours() {
    let upstream = &thanos().upstream;
    let limits = json!({"query_timeout": "1ms", "max_returned_items": 2});
    let envoy = Setup::shipped(upstream.port())
        .plugin(json!({"upstream": "thanos", "overrides": {"team-a": limits}}))
        .start("envoy-delegated-thanos");
    let (start, end) = ((data::end() - 600).to_string(), data::end().to_string());
    let times = [("match[]", "http_requests_total"), ("start", &*start), ("end", &*end)];
    let labels = ask(&envoy, "/api/v1/labels", &times, false).json();
    assert_eq!(labels["data"].as_array().unwrap().len(), 2, "{labels}");
    let query = [
        ("query", "sum_over_time(count_over_time({__name__=~\".+\"}[1h])[6h:1s])"),
        ("time", &*end),
        ("timeout", "1h"),
    ];
    let answer = ask(&envoy, "/api/v1/query", &query, true);
    assert_ne!(answer.status, 200, "{}", answer.text());
    println!("{}", answer.text());
    assert_eq!(answer.json()["status"], "error");
}

#[test]
fn a_longer_answer_is_no_answer() {
    let (_process, port) = upstreams::prometheus_with("prometheus-size", "", &[]);
    remote_write::write(port, "/api/v1/write", None, &data::labelled("team-a"));
    let envoy = Setup::shipped(port)
        .plugin(json!({"limits": {"max_response_size_bytes": 1500}, "overrides": {"team-b": {"max_response_size_bytes": 0}}}))
        .start("envoy-size");
    let [start, end] = [data::end() - 3600, data::end()].map(|time| time.to_string());
    let small = ask(&envoy, "/api/v1/query", &[("query", "count(up)"), ("time", &end)], false);
    assert_eq!(small.status, 200, "{}", small.text());
    let range = [("query", "{__name__=~\".+\"}"), ("start", &*start), ("end", &*end), ("step", "15")];
    let large = ask(&envoy, "/api/v1/query_range", &range, false);
    let named = "your limit max_response_size_bytes is 1500";
    assert!(large.text().contains(named), "{}", large.text());
    // Either a refusal, or no JSON: never a part that looks like the whole.
    if let Ok(answer) = serde_json::from_str::<Value>(&large.text()) {
        assert_eq!(answer["status"], "error");
    }
    envoy.wait_for_metrics("unreadable", |metrics| {
        metrics.sum("tenancy_answers_unreadable_total", &[("tenant", "team-a"), ("reason", "over_limit")]) >= 1.0
    });
    envoy.assert_healthy();
}
