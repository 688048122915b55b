//! Writes into a real Cortex, and OTLP into Thanos Receive too: samples arrive as the tenant's own.

use super::{PUSH, header};
use crate::support::cortex;
use crate::support::data;
use crate::support::envoy::Setup;
use crate::support::http::{Body, Request, form};
use crate::support::process;
use crate::support::remote_write::{self, Exemplar, Sample, Series, Value};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

pub fn series(name: &str, seconds: i64) -> Series {
    Series {
        labels: vec![("__name__".to_owned(), name.to_owned())],
        samples: vec![Sample { milliseconds: seconds * 1000, value: Value::Float(1.0) }],
        exemplars: Vec::new(),
    }
}

fn has(header: &super::Header, tenant: &str, query: &str) -> bool {
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
pub fn otlp(url: &str, tenant: &str) -> (bool, String) {
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

/// A body of version 2.0, with floats, a native histogram and an exemplar.
pub fn of_version_2(name: &str, path: &str) -> Request {
    let mut series = [series(&format!("{name}_total"), data::end()), series(&format!("{name}_seconds"), data::end())];
    let labels = vec![("trace_id".to_owned(), "of version 2".to_owned())];
    series[0].exemplars.push(Exemplar { labels, value: 1.0, milliseconds: data::end() * 1000 });
    series[1].samples[0].value = Value::Histogram(vec![1, 2, 3]);
    let request = Request::new("POST", path)
        .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "2.0.0");
    Request { body: Body::Sized(remote_write::message_2(&series)), ..request }
}

/// Senders of version 2.0 rely on the headers that count what was written: without them, they take the answer for one of version 1.0.
#[test]
fn version_2_arrives_as_the_sender_s_own_and_is_counted_for_the_sender() {
    let header = header();
    let write = of_version_2("second", PUSH);
    let counts = |answer: &crate::support::http::Response| {
        let count = |what: &str| answer.header(&format!("x-prometheus-remote-write-{what}-written")).map(str::to_owned);
        ["samples", "histograms", "exemplars"].map(count)
    };
    let answer = write.clone().tenant("team-a").header("x-scope-orgid", "team-b").send(header.envoy.port());
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.text());
    let one = Some("1".to_owned());
    assert_eq!(counts(&answer), [one.clone(), one.clone(), one], "{answer:?}");
    header
        .cortex
        .wait_until(|| has(header, "team-a", "second_total") && has(header, "team-a", "count(second_seconds)"));
    assert!(!has(header, "team-b", "{__name__=~\"second_.*\"}"));
    let times = form(&[
        ("query", "second_total"),
        ("start", &(data::end() - 60).to_string()),
        ("end", &(data::end() + 60).to_string()),
    ]);
    let path = format!("/prometheus/api/v1/query_exemplars?{times}");
    let exemplars = Request::get(&path).tenant("team-a").send(header.envoy.port());
    assert!(exemplars.text().contains("of version 2"), "{}", exemplars.text());

    write.clone().tenant("team-a|team-b").send(header.envoy.port()).refused(400);
    write.send(header.envoy.port()).refused(401);
}

/// Thanos Receive before 0.43 reads a body of version 2.0 as one of version 1.0, in which all of its fields are reserved: it answers 200 and stores
/// nothing. So `remote_write_versions` leaves 2.0 out for it by default. Where the operator names 2.0, the body arrives as it is.
#[test]
fn receive_is_sent_version_2_only_where_it_is_named() {
    let thanos = crate::support::stores::Frontend::start("version-2");
    let plugin = |versions| json!({"upstream": "thanos", "allow_writes": true, "default_tenant_id": "", "remote_write_versions": versions});
    let [default, named] = [json!(["1.0"]), json!(["1.0", "2.0"])].map(|versions| {
        let name = format!("envoy-version-2-{}", versions.as_array().unwrap().len());
        Setup::shipped(thanos.write).plugin(plugin(versions)).start(&name)
    });
    let write = of_version_2("third", "/api/v1/receive").tenant("team-a");
    let refused = write.send(default.port()).refused(415);
    assert!(refused.contains("2.0"), "{refused}");
    let [direct, answer] = [thanos.write, named.port()].map(|port| write.send(port));
    assert_eq!((answer.status, direct.status), (200, 200), "{} {}", answer.text(), direct.text());
    let written = "x-prometheus-remote-write-samples-written";
    assert_eq!(answer.header(written), direct.header(written));
    // What was written before is found, and by then, what came with version 2.0 would be too.
    let first = [series("before", data::end())];
    remote_write::write(named.port(), "/api/v1/receive", Some("team-a"), &first);
    let found = |expression: &str| {
        let query = form(&[("query", expression), ("time", &data::end().to_string())]);
        Request::get(&format!("/api/v1/query?{query}")).send(thanos.query).text().contains("\"value\"")
    };
    thanos.wait_until(|| found("before"));
    assert!(
        !found("third_total"),
        "this Receive takes version 2.0: its row in docs/writes.md and the default are out of date"
    );
}
