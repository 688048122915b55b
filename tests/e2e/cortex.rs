//! What the API table says of Cortex, with a real one: header mode, its query frontend, rules, alerts, metadata, remote read and writes. Its alertmanager
//! stands outside of the query API, and is not served.

use crate::support::compare::content;
use crate::support::cortex::{self, Cortex, PUSH};
use crate::support::data;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, Response, form};
use crate::support::process;
use crate::support::remote_write::{Sample, Series, Value};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

struct Header {
    cortex: Cortex,
    envoy: Envoy,
}

const RULES: &str = "name: group\nrules:\n- {record: 'own:up', expr: 'sum by (job) (up)'}\n- {alert: Always, expr: vector(1), labels: {severity: page}}\n";

fn header() -> &'static Header {
    static HEADER: LazyLock<Header> = LazyLock::new(|| {
        let cortex = Cortex::start("cortex");
        for tenant in data::TENANTS {
            cortex.write(tenant, &data::series(tenant));
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
fn without_times(mut content: Json) -> Json {
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
        ("metadata".to_owned(), "status"),
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

/// What stands beside the query API: the configuration of rules and of alertmanagers, the alertmanager itself, and pages of the operator.
#[test]
fn what_is_no_query_api_is_not_served() {
    let header = header();
    for (path, is_there) in [
        ("/api/v1/rules", true),
        ("/api/v1/rules/namespace", true),
        ("/api/v1/alerts", false),
        ("/alertmanager/api/v2/alerts", false),
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

fn series(name: &str, seconds: i64) -> Series {
    Series {
        labels: vec![("__name__".to_owned(), name.to_owned())],
        samples: vec![Sample { milliseconds: seconds * 1000, value: Value::Float(1.0) }],
        exemplars: Vec::new(),
    }
}

fn has(header: &Header, tenant: &str, query: &str) -> bool {
    let query = form(&[("query", query)]);
    let path = format!("/prometheus/api/v1/query?{query}");
    let answer = Request::get(&path).header("x-scope-orgid", tenant).send(header.cortex.port());
    answer.text().contains("\"value\"")
}

#[test]
fn writes_arrive_as_the_sender_s_own() {
    let header = header();
    let port = header.envoy.port();
    let now = data::end();
    let write = cortex::push(&[series("written", now)]).tenant("team-a").header("x-scope-orgid", "team-b");
    assert_eq!(write.send(port).status, 200);
    header.cortex.wait_until(|| has(header, "team-a", "written"));
    assert!(!has(header, "team-b", "written"));
    // Also below the prefix of the query API, as Cortex has it.
    let prefixed = Request { target: "/api/prom/push".into(), ..cortex::push(&[series("prefixed", now)]) };
    let answer = prefixed.tenant("team-b").send(port);
    assert_eq!(answer.status, 200, "{}", answer.text());
    header.cortex.wait_until(|| has(header, "team-b", "prefixed"));

    cortex::push(&[series("nobody_s", now)]).send(port).refused(401);
    let several = cortex::push(&[series("several", now)]).tenant("team-a|team-b").send(port);
    assert!(several.refused(400).contains("exactly one tenant"));
    // An error of Cortex's keeps its status: this sample is too old to be taken.
    let old = cortex::push(&[series("written", now - 86_400)]);
    let theirs = old.clone().header("x-scope-orgid", "team-a").send(header.cortex.port());
    assert_eq!(old.tenant("team-a").send(port).status, theirs.status, "{}", theirs.text());
    assert_eq!(theirs.status, 400, "{}", theirs.text());
}

/// The OTLP sender of OpenTelemetry's own SDK.
fn otlp(url: &str, tenant: &str) -> (bool, String) {
    static SENDER: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
        let binary = process::folder().join("otlp");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/otlp");
        let output =
            Command::new("go").args(["build", "-o"]).arg(&binary).arg(".").current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        binary
    });
    let output = Command::new(&*SENDER)
        .arg(url)
        .arg(format!("THANOS-TENANT={tenant}"))
        .arg("X-Scope-OrgID=team-b")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn an_otlp_sender_writes_as_its_own_tenant_into_cortex_and_receive() {
    let header = header();
    let url = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    let into_cortex = url(header.envoy.port(), "/api/v1/otlp/v1/metrics");
    assert_eq!(otlp(&into_cortex, "team-a"), (true, String::new()));
    header.cortex.wait_until(|| has(header, "team-a", "{__name__=~\"otlp_gauge.*\"}"));
    assert!(has(header, "team-a", "{__name__=~\"otlp_counter.*\"}"));
    assert!(!has(header, "team-b", "{__name__=~\"otlp_.+\"}"));
    let (went_well, said) = otlp(&into_cortex, "team-a|team-b");
    assert!(!went_well && said.contains("400"), "{said}");

    let thanos = crate::support::stores::Frontend::start("otlp");
    let plugin = json!({"upstream": "thanos", "allow_writes": true, "default_tenant_id": "", "tenant_federation": {"enabled": true}});
    let envoy = Setup::shipped(thanos.write).plugin(plugin).start("envoy-otlp");
    assert_eq!(otlp(&url(envoy.port(), "/api/v1/otlp"), "team-a"), (true, String::new()));
    let tenants = || {
        let query = form(&[("query", "count by (tenant_id) ({__name__=~\"otlp_gauge.*\"})")]);
        let answer = Request::get(&format!("/api/v1/query?{query}")).send(thanos.query);
        let result = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
        result
            .iter()
            .map(|series| series["metric"]["tenant_id"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    // The attribute `tenant_id="team-b"` of each point says nothing.
    thanos.wait_until(|| tenants() == ["team-a"]);
    envoy.assert_healthy();
}

/// The most recent time of samples that the answer has, and the oldest, in seconds.
fn span(answer: &Response) -> Option<(i64, i64)> {
    let json = answer.json();
    let result = json["data"]["result"].as_array()?.clone();
    let times = result.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default());
    let times: Vec<i64> = times.filter_map(|pair| pair[0].as_f64()).map(|time| time as i64).collect();
    Some((*times.iter().min()?, *times.iter().max()?))
}

/// Cortex's query frontend moves start and end to multiples of the step. What is older than the retention period is not found all the same.
#[test]
fn the_query_frontend_opens_no_older_data() {
    let header = header();
    let plugin = json!({"upstream": "cortex", "default_tenant_id": "", "lookback_delta": "30m", "limits": {"retention_period": "45m"}});
    let envoy = Setup::shipped(header.cortex.port()).plugin(plugin).start("envoy-cortex-retention");
    let (mut found, mut refused, mut moved) = (0, 0, 0);
    for step in [60, 97, 420, 601] {
        for before in [1800, 1700, 1234, 900, 100] {
            for query in
                ["count_over_time(up[1m])", "max_over_time(timestamp(temperature)[5m:1m])", "sum_over_time(up[10m])"]
            {
                let (start, end) = (data::end() - before, data::end());
                let parameters = form(&[
                    ("query", query),
                    ("start", &start.to_string()),
                    ("end", &end.to_string()),
                    ("step", &step.to_string()),
                ]);
                let path = format!("/prometheus/api/v1/query_range?{parameters}");
                let ours = Request::get(&path).tenant("team-a").send(envoy.port());
                let theirs = Request::get(&path).header("x-scope-orgid", "team-a").send(header.cortex.port());
                assert_eq!(theirs.status, 200, "{}", theirs.text());
                let aligned = span(&theirs).is_none_or(|(first, _)| first % step == 0);
                assert!(aligned, "the frontend aligns: {}", theirs.text());
                moved += u32::from(span(&theirs).is_some_and(|(first, _)| first < start));
                match ours.status {
                    422 => refused += 1,
                    _ => {
                        assert_eq!(ours.status, 200, "{}", ours.text());
                        if let Some((first, _)) = span(&ours) {
                            found += 1;
                            assert!(first >= crate::cortex::now() - 45 * 60, "{first}: {path}");
                        }
                    }
                }
            }
        }
    }
    println!("{found} answers with samples, {refused} refused, {moved} begin earlier than asked");
    assert!(found > 20 && moved > 10, "{found} {moved}");
    envoy.assert_healthy();
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// The path of writes is the one that Cortex documents.
#[test]
fn a_version_that_is_not_named_is_refused_and_one_that_is_named_arrives() {
    let header = header();
    let plugin =
        json!({"upstream": "cortex", "default_tenant_id": "", "allow_writes": true, "remote_write_versions": ["1.0"]});
    let envoy = Setup::shipped(header.cortex.port()).plugin(plugin).start("envoy-cortex-versions");
    let typed = |content_type: &str| {
        let request =
            Request::new("POST", PUSH).header("content-type", content_type).header("content-encoding", "snappy");
        Request { body: cortex::push(&[series("versioned", data::end())]).body, ..request }.tenant("team-a")
    };
    let two = typed("application/x-protobuf;proto=io.prometheus.write.v2.Request");
    two.send(envoy.port()).refused(415);
    assert_eq!(typed("application/x-protobuf").send(envoy.port()).status, 200);
    header.cortex.wait_until(|| has(header, "team-a", "versioned"));
    // With 2.0 named, Cortex reads it as 2.0: a body of 1.0 has none of its series.
    let answer = two.send(header.envoy.port());
    assert!(answer.status < 500, "{}", answer.text());
    assert!(
        answer.header("x-prometheus-remote-write-samples-written").is_some_and(|count| count == "0")
            || answer.status >= 400
    );
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
