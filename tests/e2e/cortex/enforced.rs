//! `enforce_tenancy: true` in front of Cortex: the header isolates tenants, and the label besides. Where every series of a tenant has the tenant's
//! label, both modes answer alike.

use super::{header, without_times};
use crate::support::compare::content;
use crate::support::data;
use crate::support::envoy::Setup;
use crate::support::http::{Body, Request, form};
use crate::support::remote_write::Series;
use serde_json::json;

fn labelled(of: &str, tenant: &str) -> Vec<Series> {
    let mut all = data::series(of);
    for series in &mut all {
        series.labels.push(("tenant_id".to_owned(), tenant.to_owned()));
    }
    all
}

#[test]
fn label_and_header_together_answer_as_the_header_alone() {
    let header = header();
    let cortex = &header.cortex;
    let tenants = [("labelled-a", "team-a"), ("labelled-b", "team-b")];
    for (tenant, data) in tenants {
        cortex.write(tenant, &labelled(data, tenant));
        let rules = format!(
            "name: group\nrules:\n- {{record: 'own:up', expr: 'sum by (job) (up)', labels: {{tenant_id: {tenant}}}}}\n\
             - {{alert: Always, expr: vector(1), labels: {{tenant_id: {tenant}}}}}\n"
        );
        let request = Request::new("POST", "/api/v1/rules/namespace").header("x-scope-orgid", tenant);
        let request = Request { body: Body::Sized(rules.into_bytes()), ..request };
        assert_eq!(request.header("content-type", "application/yaml").send(cortex.port()).status, 202);
    }
    let plugin = |enforced: bool| {
        json!({"upstream": "cortex", "enforce_tenancy": enforced, "default_tenant_id": "",
            "tenant_federation": {"enabled": true}})
    };
    let [enforced, by_header] = [true, false]
        .map(|yes| Setup::shipped(cortex.port()).plugin(plugin(yes)).start(&format!("envoy-cortex-enforced-{yes}")));
    let (start, end) = (data::start().to_string(), data::end().to_string());
    // Later than now, so that what the rules write is among it.
    let times = format!("start={start}&end={}", data::end() + 3600);
    let with = |name: &str, text: &str| format!("{}&{times}", form(&[(name, text)]));
    let at_end = |query: &str| form(&[("query", query), ("time", &end)]);
    let paths = [
        (format!("query?{}", at_end("up")), "owner"),
        (format!("query?{}", at_end("sum by (tenant_id, owner) (rate(http_requests_total[5m]))")), "owner"),
        (format!("query?{}", at_end("topk(scalar(count(up)), temperature)")), "owner"),
        (format!("query_range?{}&step=60", with("query", "sum by (owner) (temperature)")), "values"),
        (format!("query_exemplars?{}", with("query", "http_requests_total")), "trace of "),
        (format!("series?{}", with("match[]", "up")), "owner"),
        (format!("labels?{times}"), "instance"),
        (format!("labels?{}", with("match[]", "up")), "instance"),
        (format!("label/owner/values?{times}"), "data of "),
        (format!("label/__name__/values?{times}"), "only_"),
        ("rules".to_owned(), "own:up"),
        ("rules?type=alert".to_owned(), "Always"),
        ("alerts".to_owned(), "firing"),
    ];
    let ready = |tenant: &str| {
        let ask = |path: &str| Request::get(path).tenant(tenant).send(enforced.port()).text();
        ask("/prometheus/api/v1/alerts").contains("firing")
            && ask(&format!("/prometheus/api/v1/query?{}", at_end("count(up)"))).contains("value")
    };
    cortex.wait_until(|| tenants.iter().all(|(tenant, _)| ready(tenant)));
    for (path, with_data) in &paths {
        let path = format!("/prometheus/api/v1/{path}");
        for tenant in ["labelled-a", "labelled-b", "labelled-a|labelled-b"] {
            let takes_one = path.contains("/rules") || path.contains("/alerts");
            let [ours, theirs] =
                [&enforced, &by_header].map(|envoy| Request::get(&path).tenant(tenant).send(envoy.port()));
            if takes_one && tenant.contains('|') {
                assert_eq!([ours.status, theirs.status], [400, 400], "{path}");
                continue;
            }
            assert_eq!([ours.status, theirs.status], [200, 200], "{path}: {} {}", ours.text(), theirs.text());
            assert!(ours.text().contains(with_data), "{path}: {}", ours.text());
            assert_eq!(without_times(content(&ours)), without_times(content(&theirs)), "{tenant}: {path}");
        }
    }

    // `absent` shows the label of the matcher that was added.
    let absent = format!("/prometheus/api/v1/query?{}", at_end("absent(nothing)"));
    let metric =
        |port: u16| Request::get(&absent).tenant("labelled-a").send(port).json()["data"]["result"][0]["metric"].clone();
    assert_eq!(
        [&enforced, &by_header].map(|envoy| metric(envoy.port())),
        [json!({"tenant_id": "labelled-a"}), json!({})]
    );

    // Series that are stored under the tenant's header, without its label or with another's, are seen by the header alone.
    let stray = |labels: &[(&str, &str)]| Series {
        labels: labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        samples: data::series("team-a")[0].samples.clone(),
        exemplars: Vec::new(),
    };
    cortex.write(
        "labelled-a",
        &[stray(&[("__name__", "stray")]), stray(&[("__name__", "stray"), ("tenant_id", "labelled-b")])],
    );
    let stray = format!("/prometheus/api/v1/query?{}", at_end("count(stray)"));
    let count = |port: u16| {
        Request::get(&stray).tenant("labelled-a").send(port).json()["data"]["result"][0]["value"][1].clone()
    };
    cortex.wait_until(|| count(by_header.port()) == "2");
    assert_eq!(count(enforced.port()), json!(null));
    for envoy in [&enforced, &by_header] {
        envoy.assert_healthy();
    }
}
