//! What the API table says of Mimir, with a real one: header mode, rules, alerts, metadata, cardinality, its alertmanager, writes of each kind, and what
//! `federation_label` makes of the same questions.

use crate::cortex::alertmanager::assert_silences_and_alerts_are_the_tenant_s_own;
use crate::cortex::without_times;
use crate::cortex::writes::{of_version_2, otlp, series};
use crate::support::compare::content;
use crate::support::cortex::{self, Cortex, PUSH};
use crate::support::data;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, Response, form};
use crate::support::{mimir, remote_write, upstreams};
use serde_json::json;
use std::sync::LazyLock;

struct Header {
    mimir: Cortex,
    envoy: Envoy,
}

fn header() -> &'static Header {
    static HEADER: LazyLock<Header> = LazyLock::new(|| {
        let mimir = mimir::start("mimir");
        for tenant in data::TENANTS {
            mimir.write(tenant, &data::series(tenant));
            let help = format!("help of {tenant}");
            let message = remote_write::metadata_message(&[("http_requests_total", &help)]);
            let answer = cortex::pushed(message).header("x-scope-orgid", tenant).send(mimir.port());
            assert_eq!(answer.status, 200, "{}", answer.text());
            let rules = format!(
                "name: group\nrules:\n- {{record: 'own:up', expr: 'sum by (job) (up)'}}\n- {{alert: AlertOf-{tenant}, expr: vector(1)}}\n"
            );
            let mut request = Request::new("POST", "/prometheus/config/v1/rules/namespace");
            request.body = Body::Sized(rules.into_bytes());
            let request = request.header("content-type", "application/yaml").header("x-scope-orgid", tenant);
            let answer = request.send(mimir.port());
            assert_eq!(answer.status, 202, "{}", answer.text());
        }
        let plugin = json!({"upstream": "mimir", "default_tenant_id": "", "tenant_federation": {"enabled": true},
            "allow_writes": true, "enable_remote_read": true});
        let envoy = Setup::shipped(mimir.port()).plugin(plugin).start("envoy-mimir");
        let header = Header { mimir, envoy };
        header.mimir.wait_until(|| {
            data::TENANTS.iter().all(|tenant| {
                let alerts = ask(&header, tenant, "/prometheus/api/v1/alerts").text();
                alerts.contains("firing") && has(&header, tenant, "up")
            })
        });
        header
    });
    &HEADER
}

fn ask(header: &Header, tenant: &str, path: &str) -> Response {
    Request::get(path).tenant(tenant).header("x-scope-orgid", "somebody").send(header.envoy.port())
}

fn has(header: &Header, tenant: &str, query: &str) -> bool {
    let query = form(&[("query", query)]);
    let path = format!("/prometheus/api/v1/query?{query}");
    Request::get(&path).header("x-scope-orgid", tenant).send(header.mimir.port()).text().contains("\"value\"")
}

#[test]
fn each_endpoint_answers_as_mimir_answers_the_tenant() {
    let header = header();
    let (start, end) = (data::start().to_string(), data::end().to_string());
    let times = format!("start={start}&end={end}");
    let query = |query: &str| form(&[("query", query), ("time", &end)]);
    let with = |name: &str, text: &str| format!("{}&{times}", form(&[(name, text)]));
    for (path, with_data) in [
        (format!("query?{}", query("up")), "owner"),
        (format!("query?{}", query("sum by (owner) (rate(http_requests_total[5m]))")), "owner"),
        (format!("query_range?{}&step=60", with("query", "sum by (owner) (temperature)")), "values"),
        (format!("query_exemplars?{}", with("query", "http_requests_total")), "trace of "),
        (format!("series?{}", with("match[]", "up")), "owner"),
        (format!("labels?{times}"), "instance"),
        (format!("labels?{}", with("match[]", "up")), "instance"),
        (format!("label/owner/values?{times}"), "data of "),
        (format!("label/__name__/values?{times}"), "only_"),
        ("rules".to_owned(), "own:up"),
        ("rules?type=alert".to_owned(), "AlertOf-"),
        ("alerts".to_owned(), "firing"),
        ("metadata".to_owned(), "help of "),
        ("metadata?metric=http_requests_total".to_owned(), "counter"),
        (format!("format_query?{}", form(&[("query", "sum(up)by(job)")])), "sum by"),
        ("status/buildinfo".to_owned(), "Mimir"),
        ("cardinality/label_names".to_owned(), "owner"),
        ("cardinality/label_values?label_names[]=owner".to_owned(), "data of "),
        ("cardinality/active_series?selector=up".to_owned(), "data of "),
    ] {
        let path = format!("/prometheus/api/v1/{path}");
        for tenant in data::TENANTS {
            let ours = ask(header, tenant, &path);
            let theirs = Request::get(&path).header("x-scope-orgid", tenant).send(header.mimir.port());
            assert_eq!((ours.status, theirs.status), (200, 200), "{path}: {} {}", ours.text(), theirs.text());
            assert!(ours.text().contains(with_data), "{path}: {}", ours.text());
            assert_eq!(without_times(content(&ours)), without_times(content(&theirs)), "{path}");
            for other in data::TENANTS.into_iter().filter(|other| *other != tenant) {
                assert!(!ours.text().contains(other), "{tenant}: {path}: {}", ours.text());
            }
        }
    }
    // Mimir has these two at the root only, and empty.
    for path in ["/prometheus/api/v1/status/config", "/prometheus/api/v1/status/flags"] {
        assert_eq!(ask(header, "team-a", path).status, 404, "{path}");
    }
    header.envoy.assert_healthy();
}

#[test]
fn several_tenants_are_federated_by_mimir() {
    let header = header();
    let query = form(&[("query", "sum by (__tenant_id__) (up)"), ("time", &data::end().to_string())]);
    let answer = ask(header, "team-b|team-a", &format!("/prometheus/api/v1/query?{query}"));
    for tenant in data::TENANTS {
        assert!(answer.text().contains(&format!(r#"{{"__tenant_id__":"{tenant}"}}"#)), "{}", answer.text());
    }
    // What answers for one tenant is refused here. Mimir refuses it too, in words of its own.
    for path in ["rules", "alerts", "cardinality/label_names"] {
        let path = format!("/prometheus/api/v1/{path}");
        assert!(ask(header, "team-a|team-b", &path).refused(400).contains("one tenant at a time"));
        let theirs = Request::get(&path).header("x-scope-orgid", "team-a|team-b").send(header.mimir.port());
        assert!(theirs.status >= 400, "{path}: {} {}", theirs.status, theirs.text());
    }
    for path in
        ["/config", "/api/v1/user_stats", "/prometheus/config/v1/rules", "/ingester/ring", "/memberlist", "/metrics"]
    {
        let answer = ask(header, "team-a", path);
        assert!(matches!(answer.status, 403 | 404), "{path}: {} {}", answer.status, answer.text());
    }
}

#[test]
fn writes_of_each_kind_arrive_as_the_sender_s_own() {
    let header = header();
    let (port, now) = (header.envoy.port(), data::end());
    let own = |name: &str| {
        header.mimir.wait_until(|| has(header, "team-a", name));
        assert!(!has(header, "team-b", name), "{name}");
    };
    let write = |request: Request| {
        let request =
            request.tenant("team-a").header("x-scope-orgid", "team-b").header("X-Mimir-SkipLabelValidation", "true");
        let answer = request.send(port);
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
        answer
    };
    write(cortex::push(&[series("written", now)]));
    own("written");
    let answer = write(of_version_2("second", PUSH));
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("1"), "{answer:?}");
    assert_eq!(answer.header("x-prometheus-remote-write-histograms-written"), Some("1"), "{answer:?}");
    own("second_total");
    let mut lines = Request::new("POST", "/api/v1/push/influx/write?precision=s").header("content-type", "text/plain");
    lines.body = Body::Sized(format!("influx,host=one value=1 {now}\n").into_bytes());
    write(lines);
    own("influx");
    assert_eq!(otlp(&format!("http://127.0.0.1:{port}/otlp/v1/metrics"), "team-a"), (true, String::new()));
    own("{__name__=~\"otlp_.*\"}");
    for request in [cortex::push(&[series("several", now)]), of_version_2("several", PUSH)] {
        assert!(request.tenant("team-a|team-b").send(port).refused(400).contains("exactly one tenant"));
    }
}

#[test]
fn silences_and_alerts_are_the_tenant_s_own() {
    let header = header();
    assert_silences_and_alerts_are_the_tenant_s_own(&header.mimir, &header.envoy);
}

/// Mimir answers remote read in either form.
#[test]
fn a_prometheus_reads_one_tenant_through_envoy() {
    let header = header();
    let config = format!(
        "remote_read:\n- url: http://127.0.0.1:{}/prometheus/api/v1/read\n  read_recent: true\n  headers: {{THANOS-TENANT: team-a, X-Scope-OrgID: team-b}}\n",
        header.envoy.port()
    );
    let (_reader, port) = upstreams::prometheus_process("reader-of-mimir", &config);
    let query = form(&[("query", "count by (owner) (up)"), ("time", &data::end().to_string())]);
    let answer = Request::get(&format!("/api/v1/query?{query}")).send(port);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("data of team-a") && !answer.text().contains("team-b"), "{}", answer.text());
}
