//! Writes: each tenant's samples arrive at a real Receive as its own, whatever sender and headers say.

use crate::support::envoy::Setup;
use crate::support::http::{Body, Request, connect, form, raw_answered, read_answer};
use crate::support::measured;
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::stores::Frontend;
use crate::support::stub::Stub;
use crate::support::upstreams;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// A body that takes its time is passed on as it comes: nothing waits for its end.
#[test]
fn a_slow_body_streams() {
    let stub = Stub::start();
    let envoy = receive(stub.port, json!({})).start("envoy-slow-write");
    let mut stream = connect(envoy.port()).unwrap();
    let head = format!(
        "POST {WRITE} HTTP/1.1\r\nhost: x\r\nthanos-tenant: team-a\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    for number in 0..5 {
        let chunk = format!("piece{number}of the body");
        stream.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes()).unwrap();
        envoy.process().wait_until(|| stub.received(&format!("piece{number}of")));
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().status, 200);
    envoy.assert_healthy();
}

/// Many writes, and large ones, beside an Envoy that only routes: what they cost it to compute, and what it holds.
#[test]
fn writes_cost_little_more_than_the_router() {
    const SMALL: (usize, usize) = (300, 20_000);
    const LARGE: (usize, usize) = (10, 1_000_000);
    let stub = Stub::start();
    let envoys = [
        receive(stub.port, json!({})).without_filter().start("envoy-writes-router"),
        receive(stub.port, json!({})).start("envoy-writes-filter"),
    ];
    let batch = |(count, size): (usize, usize)| {
        let mut request = Request::new("POST", WRITE).tenant("team-a").header("connection", "keep-alive");
        request.body = Body::Sized(vec![b'x'; size]);
        (request.encode().repeat(count), count)
    };
    let mut costs = Vec::new();
    for (what, size) in [("small", SMALL), ("large", LARGE)] {
        let (bytes, count) = batch(size);
        // In turns, so that both have the same machine.
        let mut spent = [0, 0];
        for round in 0..4 {
            for (envoy, spent) in envoys.iter().zip(&mut spent) {
                let before = envoy.process().cpu_ms();
                let answers = raw_answered(envoy.port(), &bytes, count);
                assert!(answers.len() == count && answers.iter().all(|answer| answer.status == 200));
                // The first round is for what is done once.
                *spent += if round > 0 { envoy.process().cpu_ms() - before } else { 0 };
            }
        }
        let [router, filter] = spent.map(|spent| spent as f64 / 3.0 / count as f64 * 1000.0);
        println!("{what}: {router:.0} us a write with the router alone, {filter:.0} us with the filter");
        costs.push((router, filter));
    }
    let [router, filter] = [0, 1].map(|at: usize| envoys[at].process().resident_kib());
    println!("memory afterwards: {router} KiB with the router alone, {filter} KiB with the filter");
    // What the filter adds is the same for a write of any length, so that it shows in small ones only.
    let [(router_small, filter_small), (router_large, filter_large)] = costs[..] else { panic!() };
    assert!(filter_small < router_small * 3.0 + 500.0, "{router_small} {filter_small}");
    assert!(filter_large < router_large * 2.0 + 1000.0, "{router_large} {filter_large}");
    // The module and its VMs are a fixed part of it.
    assert!(filter < router + (96 << 10), "{router} {filter}");
    envoys[1].assert_healthy();
}

/// An upstream that takes requests with a `content-length`, and keeps nothing of them.
fn sink() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || swallow(stream));
        }
    });
    port
}

fn swallow(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::with_capacity(1 << 18, stream.try_clone().ok()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).ok()? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        if line.is_empty() {
            return None;
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}

/// For `scripts/bench-streams`: how fast writes pass, by the router alone and with the filter in turn, over one connection.
#[test]
#[ignore = "it measures, and asserts nothing but that every write is answered"]
fn figures_of_writes() {
    let megabytes = measured("BENCH_STREAM_MB", 100);
    let upstream = sink();
    let setup = || receive(upstream, json!({}));
    let ways = [
        ("router", setup().without_filter().start("envoy-writes-figures-router")),
        ("filter", setup().start("envoy-writes-figures")),
        ("filter, with max_write_size_bytes", {
            let limits = json!({"limits": {"max_write_size_bytes": 1 << 30}});
            receive(upstream, limits).start("envoy-writes-figures-limited")
        }),
    ];
    for (what, size) in
        [("writes of 20 KB", 20_000), ("writes of 1 MB", 1_000_000), ("one write", megabytes * 1_000_000)]
    {
        // Small ones take more time for a byte.
        let count = (megabytes * 1_000_000 / size / if size < 1_000_000 { 5 } else { 1 }).max(1);
        let mut request = Request::new("POST", WRITE).tenant("team-a").header("connection", "keep-alive");
        request.body = Body::Sized(vec![b'x'; size]);
        let bytes = request.encode();
        for round in 0..measured("BENCH_STREAM_ROUNDS", 6) {
            for (name, envoy) in &ways {
                let mut stream = connect(envoy.port()).unwrap();
                let begun = Instant::now();
                for _ in 0..count {
                    stream.write_all(&bytes).unwrap();
                    assert_eq!(read_answer(&mut stream).unwrap().status, 204);
                }
                let seconds = begun.elapsed().as_secs_f64();
                let (speed, memory) = ((count * size) as f64 / 1e6 / seconds, envoy.process().resident_kib());
                println!("figure: {what} | {name} | {round} | {speed:.0} | {memory}");
            }
        }
    }
}
