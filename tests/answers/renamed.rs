//! Answers to requests of several tenants: labels have the client's names, in whole documents and whatever the chunks.

use promql_tenancy_filter::answer::{Body, Reader};
use promql_tenancy_filter::answer::{Expected, Filter, Head};
use promql_tenancy_filter::api::{Upstream, find};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::scope::Scope;
use serde_json::{Value, json};

fn config() -> Config {
    Config::parse(br#"{"tenant_federation": {"enabled": true}, "federation_label": true, "stats": {"samples": true}}"#)
        .unwrap()
}

fn scope(config: &Config, tenants: &str) -> Scope {
    let tenants = config.tenants(tenants.as_bytes()).unwrap();
    let labels = config.label_values(|_| Ok(None), None).unwrap();
    config.scope(&tenants, &labels).unwrap().renamed(config.renaming(&tenants).cloned())
}

/// The filter for a successful answer of this path, with this content type.
fn filter(path: &str, tenants: &str, content_type: &str) -> Box<Filter> {
    let config = config();
    let route = find(Upstream::Prometheus, path.as_bytes()).unwrap().route;
    let expected = Expected::new(route, &config, Some(&scope(&config, tenants)));
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", content_type.as_bytes())];
    let plan = expected.decide(&Head { headers: &headers, end_of_stream: false, is_early: false }).unwrap();
    match plan.body {
        Body::Filtered(filtered) => {
            assert!(!filtered.holds_head, "what is held back must not grow");
            match *filtered.filter {
                Reader::Json(filter) => Box::new(filter),
                Reader::Series(_) | Reader::Text(_) | Reader::Alertmanager(_) | Reader::Page(_) => panic!("{path}"),
            }
        }
        body => panic!("{path}: {body:?}"),
    }
}

/// What becomes of a body, which is the same in chunks of any size.
fn read(path: &str, tenants: &str, body: &str) -> String {
    let content_type = if body.ends_with('\n') { "application/x-ndjson" } else { "application/json" };
    let all = [1, 2, 3, 7, 64, 4096, usize::MAX].map(|size| {
        let mut filter = filter(path, tenants, content_type);
        let mut out = Vec::new();
        body.as_bytes().chunks(size).for_each(|chunk| filter.push(chunk, false, &mut out));
        filter.push(b"", true, &mut out);
        assert_eq!(filter.fault(), None, "{path}");
        String::from_utf8(out).unwrap()
    });
    assert!(all.iter().all(|text| *text == all[0]), "{path}: {all:?}");
    all[0].clone()
}

#[track_caller]
fn assert_read(path: &str, data: &Value, expected: &Value) {
    let body = |data: &Value| json!({"status": "success", "data": data, "infos": ["PromQL info: {tenant_id=\"a\"}"]});
    let found: Value = serde_json::from_str(&read(path, "a|b", &body(data).to_string())).unwrap();
    assert_eq!(found, body(expected), "{path}");
    // One tenant sees what the upstream says.
    let found: Value = serde_json::from_str(&read(path, "a", &body(data).to_string())).unwrap();
    assert_eq!(found, body(data), "{path}");
}

fn labels() -> (Value, Value) {
    (
        json!({"__name__": "m", "tenant_id": "a", "__tenant_id__": "x", "original___tenant_id__": "y"}),
        json!({"__name__": "m", "__tenant_id__": "a", "original___tenant_id__": "x", "tenant_id": "y"}),
    )
}

#[test]
fn each_endpoint_shows_the_client_s_names() {
    let (stored, shown) = labels();
    let vector =
        |labels: &Value| json!({"resultType": "vector", "result": [{"metric": labels, "value": [1, "tenant_id"]}]});
    assert_read("/api/v1/query", &vector(&stored), &vector(&shown));
    let matrix = |labels: &Value| json!({"resultType": "matrix", "result": [{"metric": labels, "values": [[1, "2"]]}, {"metric": labels, "histograms": [[1, {"tenant_id": 1}]]}]});
    assert_read("/api/v1/query_range", &matrix(&stored), &matrix(&shown));
    assert_read(
        "/api/v1/query",
        &json!({"resultType": "string", "result": [1, "tenant_id"]}),
        &json!({"resultType": "string", "result": [1, "tenant_id"]}),
    );
    assert_read("/api/v1/series", &json!([stored]), &json!([shown]));
    let exemplars = |labels: &Value| json!([{"seriesLabels": labels, "exemplars": [{"labels": {"tenant_id": "x"}, "value": "1", "timestamp": 1}]}]);
    assert_read("/api/v1/query_exemplars", &exemplars(&stored), &exemplars(&shown));
    let alerts = |labels: &Value| json!({"alerts": [{"labels": labels, "state": "firing"}]});
    assert_read("/api/v1/alerts", &alerts(&stored), &alerts(&shown));
    let rules = |labels: &Value, query: &str| json!({"groups": [{"name": "g", "rules": [{"name": "r", "query": query, "labels": labels, "type": "recording"}]}]});
    assert_read(
        "/api/v1/rules",
        &rules(&stored, "sum by (tenant_id) (m)"),
        &rules(&shown, "sum by (__tenant_id__) (m)"),
    );
    assert_eq!(
        read("/api/v1/label/job/values", "a|b", r#"{"status":"success","data":["tenant_id"]}"#),
        r#"{"status":"success","data":["tenant_id"]}"#
    );
    let names = r#"{"status":"success","data":["__name__","job","tenant_id"]}"#;
    assert_eq!(
        read("/api/v1/labels", "a|b", names),
        r#"{"status":"success","data":["__name__","__tenant_id__","job"]}"#
    );
    assert_eq!(read("/api/v1/labels", "a", names), names);
    let found = "{\"results\":[{\"name\":\"tenant_id\"}]}\n{\"results\":[{\"name\":\"job\",\"score\":1}],\"has_more\":true}\n{\"status\":\"success\",\"has_more\":false}\n";
    assert_eq!(read("/api/v1/search/label_names", "a|b", found), found.replace("tenant_id", "__tenant_id__"));
    assert_eq!(read("/api/v1/search/label_values", "a|b", found), found);
}

/// Of other tenants nothing is shown: their series are told by the stored names.
#[test]
fn rules_and_exemplars_of_others_stay_away() {
    let (stored, shown) = labels();
    let foreign = json!({"__name__": "m", "tenant_id": "c", "__tenant_id__": "a"});
    let body = json!({"status": "success", "data": [{"seriesLabels": foreign, "exemplars": []}, {"seriesLabels": stored, "exemplars": []}]});
    let found: Value = serde_json::from_str(&read("/api/v1/query_exemplars", "a|b", &body.to_string())).unwrap();
    assert_eq!(found["data"], json!([{"seriesLabels": shown, "exemplars": []}]));
}

/// Statistics that the client has not asked for are taken out, and labels are renamed in the same answer.
#[test]
fn other_readers_of_the_same_answer_still_read() {
    let config = config();
    let route = find(Upstream::Prometheus, b"/api/v1/query").unwrap().route;
    let expected = Expected::new(route, &config, Some(&scope(&config, "a|b")));
    let expected = expected.measuring(promql_tenancy_filter::answer::Statistics::Taken);
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/json")];
    let head = Head { headers: &headers, end_of_stream: false, is_early: false };
    let body = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"tenant_id":"a"},"value":[1,"2"]}],"stats":{"samples":{"totalQueryableSamples":7,"peakSamples":3}}}}"#;
    for size in [1, 5, 1000] {
        let Body::Filtered(mut filtered) = expected.decide(&head).unwrap().body else { panic!() };
        let mut out = Vec::new();
        body.chunks(size).for_each(|chunk| filtered.filter.push(chunk, false, &mut out));
        filtered.filter.push(b"", true, &mut out);
        let expected = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__tenant_id__":"a"},"value":[1,"2"]}]}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(filtered.filter.samples().total, Some(7));
    }
}

/// An answer of many megabytes streams: what is held does not grow with it, and what has come is passed on at once.
#[test]
fn a_large_answer_streams() {
    let mut filter = filter("/api/v1/query_range", "a|b", "application/json");
    let mut out = Vec::new();
    filter.push(br#"{"status":"success","data":{"resultType":"matrix","result":["#, false, &mut out);
    let values = (0..200).map(|n| format!(r#"[{n},"{n}.5"]"#)).collect::<Vec<_>>().join(",");
    let (mut came, mut most, mut wrote) = (0, 0, 0);
    for n in 0..10_000 {
        let comma = if n > 0 { "," } else { "" };
        let series = format!(r#"{comma}{{"metric":{{"__name__":"m","n":"{n}","tenant_id":"a"}},"values":[{values}]}}"#);
        out.clear();
        for chunk in series.as_bytes().chunks(16_384) {
            filter.push(chunk, false, &mut out);
        }
        (came, wrote) = (came + series.len(), wrote + out.len());
        most = most.max(filter.held());
        // Four bytes more for the name.
        assert_eq!(out.len(), series.len() + 4);
    }
    out.clear();
    filter.push(b"]}}", true, &mut out);
    assert_eq!((filter.fault(), &*out), (None, &b"]}}"[..]));
    assert!(came > 20_000_000 && wrote == came + 40_000 && most < 16_384, "{came} {wrote} {most}");
}

/// What can't be read has no names that could be told: the answer is cut off, or becomes an error.
#[test]
fn what_is_malformed_is_not_passed_on() {
    for body in [
        r#"{"status":"success","data":{"result":[{"metric":{"a" "b"}}]}}"#,
        r#"{"status":"success","data":{"result":[{"metric":{"tenant_id":"a"}"#,
    ] {
        let mut filter = filter("/api/v1/query", "a|b", "application/json");
        let mut out = Vec::new();
        filter.push(body.as_bytes(), false, &mut out);
        filter.push(b"", true, &mut out);
        assert!(filter.fault().is_some(), "{body}");
        assert!(
            serde_json::from_slice::<Value>(&out).is_err_and(|error| error.is_eof()),
            "{}",
            String::from_utf8_lossy(&out)
        );
    }
}
