//! What the API table says of Cortex, with a real one: header mode, rules, alerts, metadata and remote read.
//!
//! - `frontend`: its query frontend, which aligns, divides and caches, under a retention period
//! - `writes`: remote write of both versions, OTLP
//! - `alertmanager`: its alertmanager
//! - `enforced`: `enforce_tenancy: true` in front of it

pub mod alertmanager;
mod enforced;
mod frontend;
pub mod writes;

use crate::support::compare::content;
use crate::support::cortex::{self, Cortex, PUSH};
use crate::support::data;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, form};
use crate::support::remote_write;
use serde_json::{Value as Json, json};
use std::sync::LazyLock;

pub struct Header {
    pub cortex: Cortex,
    pub envoy: Envoy,
}

const RULES: &str = "name: group\nrules:\n- {record: 'own:up', expr: 'sum by (job) (up)'}\n- {alert: Always, expr: vector(1), labels: {severity: page}}\n";

pub fn header() -> &'static Header {
    static HEADER: LazyLock<Header> = LazyLock::new(|| {
        let cortex = Cortex::start("cortex");
        for tenant in data::TENANTS {
            cortex.write(tenant, &data::series(tenant));
            let help = format!("help of {tenant}");
            let message =
                remote_write::metadata_message(&[("http_requests_total", &help), ("up", "Whether it is up.")]);
            let answer = cortex::pushed(message).header("x-scope-orgid", tenant).send(cortex.port());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let rules = RULES.replace("Always", "OfTeamB");
        for (tenant, rules) in [("team-a", RULES), ("team-b", &rules)] {
            let mut request = Request::new("POST", "/api/v1/rules/namespace").header("x-scope-orgid", tenant);
            request.body = Body::Sized(rules.as_bytes().to_vec());
            let answer = request.header("content-type", "application/yaml").send(cortex.port());
            assert_eq!(answer.status, 202, "{}", answer.text());
        }
        let plugin = json!({"upstream": "cortex", "tenant_header": "THANOS-TENANT", "default_tenant_id": "",
            "tenant_federation": {"enabled": true}, "allow_writes": true, "enable_remote_read": true});
        let envoy = Setup::shipped(cortex.port()).plugin(plugin).start("envoy-cortex");
        let header = Header { cortex, envoy };
        header.cortex.wait_until(|| {
            let alerts = Request::get("/prometheus/api/v1/alerts").tenant("team-b").send(header.envoy.port());
            alerts.text().contains("firing") && count(&header, "team-a") == "3" && count(&header, "team-b") == "3"
        });
        header
    });
    &HEADER
}

fn count(header: &Header, tenant: &str) -> String {
    let query = form(&[("query", "count(up)"), ("time", &data::end().to_string())]);
    let answer = Request::get(&format!("/prometheus/api/v1/query?{query}")).tenant(tenant).send(header.envoy.port());
    answer.json()["data"]["result"][0]["value"][1].as_str().unwrap_or_default().to_owned()
}

/// What differs from one request to the next, although nothing has changed: when rules were evaluated.
pub fn without_times(mut content: Json) -> Json {
    match &mut content {
        Json::Object(members) => {
            members.retain(|name, _| !matches!(&**name, "lastEvaluation" | "evaluationTime" | "activeAt"));
            members.values_mut().for_each(|value| *value = without_times(value.take()));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| *item = without_times(item.take())),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
    content
}

#[test]
fn each_endpoint_answers_as_cortex_answers_the_tenant() {
    let header = header();
    let (start, end) = (data::start().to_string(), data::end().to_string());
    let times = format!("start={start}&end={end}");
    let query = |query: &str| form(&[("query", query), ("time", &end)]);
    let exemplars = form(&[("query", "http_requests_total")]);
    let range = form(&[("query", "sum by (owner) (temperature)")]);
    let printed = form(&[("query", "sum(up)by(job)")]);
    let up = form(&[("match[]", "up")]);
    for (path, with_data) in [
        (format!("query?{}", query("up")), "owner"),
        (format!("query?{}", query("sum by (owner) (rate(http_requests_total[5m]))")), "owner"),
        (format!("query_range?{range}&{times}&step=60"), "values"),
        (format!("query_exemplars?{exemplars}&{times}"), "trace of "),
        (format!("series?{up}&{times}"), "owner"),
        (format!("labels?{times}"), "instance"),
        (format!("labels?{up}&{times}"), "instance"),
        (format!("label/owner/values?{times}"), "data of "),
        (format!("label/__name__/values?{times}"), "only_"),
        ("rules".to_owned(), "own:up"),
        ("rules?type=alert".to_owned(), "severity"),
        ("alerts".to_owned(), "firing"),
        ("metadata".to_owned(), "help of "),
        ("metadata?metric=http_requests_total".to_owned(), "counter"),
        ("metadata?limit=1&metric=up".to_owned(), "Whether"),
        (format!("format_query?{printed}"), "sum by"),
        ("status/buildinfo".to_owned(), "version"),
    ] {
        for prefix in ["/prometheus", "/api/prom"] {
            let path = format!("{prefix}/api/v1/{path}");
            for tenant in data::TENANTS {
                let spoofed = Request::get(&path).tenant(tenant).header("x-scope-orgid", "somebody");
                let ours = spoofed.send(header.envoy.port());
                let theirs = Request::get(&path).header("x-scope-orgid", tenant).send(header.cortex.port());
                assert_eq!(ours.status, theirs.status, "{path}: {} {}", ours.text(), theirs.text());
                if theirs.status == 200 {
                    assert!(ours.text().contains(with_data), "{path}: {}", ours.text());
                    assert_eq!(without_times(content(&ours)), without_times(content(&theirs)), "{path}");
                } else {
                    println!("{path}: Cortex answers {}: {}", theirs.status, theirs.text());
                }
                for other in data::TENANTS.into_iter().filter(|other| *other != tenant) {
                    assert!(!ours.text().contains(other), "{tenant}: {path}: {}", ours.text());
                }
            }
        }
    }
}

#[test]
fn several_tenants_are_federated_by_cortex() {
    let header = header();
    let query = form(&[("query", "sum by (__tenant_id__) (up)"), ("time", &data::end().to_string())]);
    let path = format!("/prometheus/api/v1/query?{query}");
    let answer = Request::get(&path).tenant("team-b|team-a").send(header.envoy.port());
    for tenant in data::TENANTS {
        assert!(answer.text().contains(&format!(r#"{{"__tenant_id__":"{tenant}"}}"#)), "{}", answer.text());
    }
    // What answers for one tenant is refused here. Cortex refuses it too, in words of its own.
    for path in ["rules", "alerts"] {
        let path = format!("/prometheus/api/v1/{path}");
        let refused = Request::get(&path).tenant("team-a|team-b").send(header.envoy.port());
        assert!(refused.refused(400).contains("one tenant at a time"));
        let theirs = Request::get(&path).header("x-scope-orgid", "team-a|team-b").send(header.cortex.port());
        assert!(theirs.status >= 400, "{path}: {} {}", theirs.status, theirs.text());
    }
}

/// The first rows of the table in docs/migrating.md. The others are Cortex's limits, as its source has them.
#[test]
fn a_query_that_a_tenant_breaks_has_the_status_that_cortex_gives() {
    let header = header();
    for (query, status, part) in [
        ("sum(up", 400, "parse error"),
        ("nope(up)", 400, "unknown function"),
        ("sum(\"up\")", 400, "expected type"),
        ("up + on() up", 422, "many-to-many"),
    ] {
        for path in ["query?time=", "query_range?step=60&start="] {
            let end = data::end();
            let path = format!("/prometheus/api/v1/{path}{end}&end={end}&{}", form(&[("query", query)]));
            let ours = Request::get(&path).tenant("team-a").send(header.envoy.port());
            let theirs = Request::get(&path).header("x-scope-orgid", "team-a").send(header.cortex.port());
            assert_eq!([ours.status, theirs.status], [status, status], "{path}: {} {}", ours.text(), theirs.text());
            assert!(ours.text().contains(part), "{path}: {} {}", ours.text(), theirs.text());
        }
    }
}

/// What stands beside the query API: the configuration of rules and of alertmanagers, and pages of the operator.
#[test]
fn what_is_no_query_api_is_not_served() {
    let header = header();
    for (path, is_there) in [
        ("/api/v1/rules", true),
        ("/api/v1/rules/namespace", true),
        ("/api/v1/alerts", false),
        ("/api/prom/configs/alertmanager", false),
        ("/multitenant_alertmanager/status", true),
        ("/config", true),
        ("/services", true),
        ("/ingester/ring", false),
        ("/api/v1/user_stats", true),
        ("/distributor/all_user_stats", true),
        ("/runtime_config", false),
        ("/ready", true),
        ("/metrics", true),
    ] {
        let ours = Request::get(path).tenant("team-a").send(header.envoy.port());
        assert!(matches!(ours.status, 403 | 404), "{path}: {} {}", ours.status, ours.text());
        let theirs = Request::get(path).header("x-scope-orgid", "team-a").send(header.cortex.port());
        assert!(!is_there || theirs.status == 200, "{path}: {} {}", theirs.status, theirs.text());
    }
}

/// A Prometheus reads a tenant's data from Cortex, through the filter, which forwards the message unread.
#[test]
fn a_prometheus_reads_one_tenant_through_envoy() {
    let header = header();
    let config = format!(
        "remote_read:\n- url: http://127.0.0.1:{}/prometheus/api/v1/read\n  read_recent: true\n  headers: {{THANOS-TENANT: team-a, X-Scope-OrgID: team-b}}\n",
        header.envoy.port()
    );
    let (_reader, port) = crate::support::upstreams::prometheus_process("reader-of-cortex", &config);
    let query = form(&[("query", "count by (owner) (up)"), ("time", &data::end().to_string())]);
    let answer = Request::get(&format!("/api/v1/query?{query}")).send(port);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("data of team-a") && !answer.text().contains("team-b"), "{}", answer.text());
}
