//! Writes: each tenant's samples arrive at a real Receive as its own, whatever sender and headers say.

use crate::support::envoy::Setup;
use crate::support::http::{Body, Request, form};
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::stores::Frontend;
use crate::support::stub::Stub;
use crate::support::upstreams;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

const WRITE: &str = "/api/v1/receive";

fn milliseconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn series(name: &str, labels: &[(&str, &str)], milliseconds: i64, value: f64) -> Series {
    let labels = labels.iter().copied().chain([("__name__", name)]);
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sample = Sample { milliseconds, value: Value::Float(value) };
    Series { labels: labels.collect(), samples: vec![sample], exemplars: Vec::new() }
}

fn receive(port: u16, more: serde_json::Value) -> Setup {
    let mut plugin = json!({"upstream": "thanos", "allow_writes": true, "default_tenant_id": "",
        "tenant_federation": {"enabled": true}});
    plugin.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Setup::shipped(port).plugin(plugin)
}

/// The `tenant_id` of each series that Query has for an expression.
fn tenants(query: u16, expression: &str) -> Vec<String> {
    let answer = Request::get(&format!("/api/v1/query?{}", form(&[("query", expression)]))).send(query);
    let json = answer.json();
    let result = json["data"]["result"].as_array().cloned().unwrap_or_default();
    let mut tenants: Vec<String> =
        result.iter().map(|series| series["metric"]["tenant_id"].as_str().unwrap_or_default().to_owned()).collect();
    tenants.sort();
    tenants
}

#[test]
fn senders_write_as_their_own_tenant_whatever_they_say() {
    let thanos = Frontend::start("writes");
    let envoy = receive(thanos.write, json!({})).start("envoy-writes");
    // Two real senders. One claims to be the other's by a label.
    let sender = |tenant: &str, claims: &str| {
        let config = format!(
            "global: {{scrape_interval: 1s, external_labels: {{sender: {tenant}{claims}}}}}\n\
             scrape_configs:\n- job_name: self\n  static_configs: [{{targets: ['127.0.0.1:SELF']}}]\n\
             remote_write:\n- url: http://127.0.0.1:{}{WRITE}\n  headers: {{THANOS-TENANT: {tenant}}}\n  queue_config: {{batch_send_deadline: 1s}}\n",
            envoy.port()
        );
        upstreams::prometheus_process(&format!("sender-{tenant}"), &config)
    };
    let senders = [sender("team-a", ", tenant_id: team-b"), sender("team-b", "")];
    thanos.wait_until(|| {
        let seen = |sender: &str| !tenants(thanos.query, &format!("up{{sender=\"{sender}\"}}")).is_empty();
        seen("team-a") && seen("team-b")
    });
    assert_eq!(tenants(thanos.query, r#"up{sender="team-a"}"#), ["team-a"]);
    assert_eq!(tenants(thanos.query, r#"up{sender="team-b"}"#), ["team-b"]);
    drop(senders);

    // Headers that Receive would believe, and tenants that it would make of several.
    let now = milliseconds();
    let body = |name: &str| remote_write::message(&[series(name, &[], now, 1.0)]);
    let write = |name: &str| {
        let mut request = Request::new("POST", WRITE)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0");
        request.body = Body::Sized(body(name));
        request
    };
    let spoofed = write("spoofed").tenant("team-a").header("x-scope-orgid", "team-b").header("THANOS-REPLICA", "9");
    assert_eq!(spoofed.send(envoy.port()).status, 200);
    thanos.wait_until(|| tenants(thanos.query, "spoofed") == ["team-a"]);
    for (refused, status) in [
        (write("refused").tenant("team-a|team-b"), 400),
        (write("refused"), 401),
        (write("refused").tenant("team-a").tenant("team-b"), 400),
        (write("refused").tenant(""), 401),
        (
            Request {
                headers: vec![(
                    "content-type".into(),
                    b"application/x-protobuf;proto=io.prometheus.write.v2.Request".to_vec(),
                )],
                ..write("refused")
            }
            .tenant("team-a"),
            415,
        ),
        (Request { method: "GET".into(), body: Body::None, ..write("refused") }.tenant("team-a"), 405),
    ] {
        refused.send(envoy.port()).refused(status);
    }
    assert_eq!(tenants(thanos.query, "refused"), [""; 0]);

    // The upstream's error keeps its status, and names no host.
    let conflict = |value: f64| {
        let mut request = write("conflict").tenant("team-a");
        request.body = Body::Sized(remote_write::message(&[series("conflict", &[], now, value)]));
        request
    };
    assert_eq!(conflict(1.0).send(envoy.port()).status, 200);
    let direct = conflict(2.0).send(thanos.write);
    assert_eq!(direct.status, 409, "{}", direct.text());
    let answer = conflict(3.0).send(envoy.port());
    let text = answer.refused(409);
    assert!(!text.contains("127.0.0.1") && !text.contains("endpoint"), "{text}");
    envoy.assert_healthy();
}

#[test]
fn a_write_that_is_too_long_is_cut_off_and_long_ones_are_not_held() {
    let stub = Stub::start();
    let envoy = receive(
        stub.port,
        json!({"limits": {"max_write_size_bytes": 1000}, "overrides": {"big": {"max_write_size_bytes": 0}}}),
    )
    .start("envoy-long-writes");
    let write = |body: Body| Request { body, ..Request::new("POST", WRITE) }.tenant("team-a");
    let long = write(Body::Sized(vec![b'x'; 1001])).send(envoy.port());
    assert!(long.refused(413).contains("max_write_size_bytes is 1000"), "{}", long.text());
    assert!(!stub.received("POST"), "the upstream saw nothing of it");
    let chunk = vec![b'y'; 400];
    let pieces = write(Body::Chunked(vec![chunk.clone(), chunk.clone(), chunk.clone()], Vec::new())).send(envoy.port());
    assert!(pieces.refused(413).contains("max_write_size_bytes is 1000"), "{}", pieces.text());
    assert!(stub.bodies(WRITE).is_empty(), "no whole request reached the upstream");
    assert_eq!(write(Body::Chunked(vec![chunk.clone(), chunk], Vec::new())).send(envoy.port()).status, 200);
    assert_eq!(stub.bodies(WRITE), [vec![b'y'; 800]]);

    // 100 MB through one stream: what Envoy holds does not grow with it.
    let before = envoy.process().resident_kib();
    let mut request = Request::new("POST", WRITE).tenant("big");
    request.body = Body::Chunked(vec![vec![b'z'; 1 << 20]; 100], Vec::new());
    assert_eq!(request.send(envoy.port()).status, 200);
    assert_eq!(stub.bodies(WRITE).last().map(Vec::len), Some(100 << 20));
    let after = envoy.process().resident_kib();
    assert!(after < before + (16 << 10), "{before} kB before, {after} kB after 100 MB");
    envoy.assert_healthy();
}
