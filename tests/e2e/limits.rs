//! Limits of tenants: retention before a real Prometheus, queries at the same time, and a limit that is changed while Envoy runs.

use crate::support::envoy::Setup;
use crate::support::http::{Request, Response, form};
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::stub::Stub;
use crate::support::{process, upstreams};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;
/// What a sample that is too old is worth; all that is young enough is not worth so much together.
const OLD: f64 = 1e6;

/// A Prometheus with two hours of data of team-a, of which the older one must not be seen, and the time when it was written.
fn prometheus_with_old_data() -> (process::Process, u16, i64) {
    let (process, port) = upstreams::prometheus_process("prometheus-retention", "");
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let sample = |ago: i64| Sample {
        milliseconds: (now - ago) * 1000,
        value: Value::Float(if ago > HOUR { OLD } else { 0.001 }),
    };
    let series = |number: u32| Series {
        labels: [("__name__", "worth"), ("tenant_id", "team-a"), ("number", &number.to_string())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        samples: (0..=480).rev().map(|step| sample(step * 15)).collect(),
        exemplars: Vec::new(),
    };
    remote_write::write(port, "/api/v1/write", None, &[series(1), series(2)]);
    (process, port, now)
}

/// The largest number in an answer; `None` where there is none.
fn largest(answer: &Response) -> Option<f64> {
    let json = answer.json();
    let result = json["data"]["result"].as_array().unwrap().clone();
    let pairs = result.iter().flat_map(|series| {
        let values = series["values"].as_array().cloned().unwrap_or_default();
        values.into_iter().chain(series.get("value").cloned())
    });
    pairs.filter_map(|pair| pair[1].as_str()?.parse().ok()).filter(|value: &f64| !value.is_nan()).reduce(f64::max)
}

fn shapes(ago: i64) -> Vec<String> {
    let mut all = Vec::new();
    for selector in ["worth", "{__name__=~\"wor.*\"}", "worth{number=\"1\"}"] {
        all.push(selector.to_owned());
        all.push(format!("{selector} offset {ago}s"));
        all.push(format!("sum(sum_over_time({selector}[{ago}s]))"));
        all.push(format!("max_over_time({selector}[{}s:60s] offset {}s)", ago / 2 + 1, ago / 2));
        all.push(format!("max_over_time(sum_over_time({selector}[{}s])[{}s:5m])", ago / 2 + 1, ago / 2 + 1));
        all.push(format!("topk(scalar(max({selector} offset {ago}s) or vector(1)), {selector})"));
        all.push(format!("{selector} + on(number) {selector} offset {ago}s or {selector}"));
        all.push(format!("sum_over_time({selector}[5m] @ start())"));
        all.push(format!("max_over_time({selector}[5m] @ end() offset {ago}s)"));
        all.push(format!("max_over_time({selector}[{ago}s * 2 - 1m])"));
        all.push(format!("increase({selector}[{ago}s] anchored)"));
        all.push(format!("increase({selector}[{ago}s] smoothed)"));
    }
    all
}

#[test]
fn nothing_older_than_the_retention_period_is_found() {
    let (_prometheus, port, now) = prometheus_with_old_data();
    let limits = json!({"limits": {"retention_period": "1h"}, "lookback_delta": "30m"});
    let limited = Setup::shipped(port).plugin(limits).start("envoy-retention");
    let free = Setup::shipped(port).start("envoy-no-retention");
    let (mut found, mut refused, mut empty, mut old) = (0, 0, 0, 0);
    let mut ask = |path: &str, parameters: &[(&str, &str)], by_form: bool| {
        let request = if by_form {
            let (url, body) = parameters.split_at(parameters.len() / 2);
            Request::post(&format!("{path}?{}", form(url)), &form(body))
        } else {
            Request::get(&format!("{path}?{}", form(parameters)))
        };
        let request = request.tenant("team-a");
        let answer = request.send(limited.port());
        match answer.status {
            422 => {
                assert!(answer.refused(422).contains("retention_period"), "{}", answer.text());
                refused += 1;
            }
            200 => match largest(&answer) {
                Some(value) => {
                    assert!(value < OLD, "{value}: {parameters:?}: {}", answer.text());
                    found += 1;
                }
                None => empty += 1,
            },
            status => panic!("{status}: {parameters:?}: {}", answer.text()),
        }
        let answer = request.send(free.port());
        assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text());
        old += u32::from(largest(&answer).is_some_and(|value| value >= OLD));
    };
    for (number, ago) in [60, 1_200, 2_000, 3_300, 3_700, 5_400].into_iter().enumerate() {
        for query in shapes(ago) {
            let by_form = number % 2 == 1;
            ask("/api/v1/query", &[("query", &query)], by_form);
            let time = (now - ago).to_string();
            ask("/api/v1/query", &[("time", &time), ("query", &query)], by_form);
            let (start, end) = ((now - 2 * HOUR + 7).to_string(), (now - ago / 2).to_string());
            ask("/api/v1/query_range", &[("start", &start), ("query", &query), ("end", &end), ("step", "97")], by_form);
        }
    }
    println!(
        "{found} answers with samples, {empty} without, {refused} refused; {old} with old samples without the limit"
    );
    assert!(found > 100 && refused > 100 && old > 200);
    // Label values are found, and the series' samples are not what they tell of.
    for path in ["series", "labels", "label/number/values"] {
        let answer = Request::get(&format!("/api/v1/{path}?match[]=worth")).tenant("team-a").send(limited.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_ne!(answer.json()["data"], json!([]));
        let range = form(&[("start", &(now - 7_000).to_string()), ("end", &(now - 3_700).to_string())]);
        let answer =
            Request::get(&format!("/api/v1/{path}?match[]=worth&{range}")).tenant("team-a").send(limited.port());
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"success","data":[]}"#));
    }
    limited.assert_healthy();
}

#[test]
fn changed_limit_is_in_force_at_once() {
    let stub = Stub::start();
    let setup = |limits: serde_json::Value| Setup::shipped(stub.port).plugin(json!({"overrides": {"team-a": limits}}));
    let envoy = setup(json!({})).start("envoy-limit-reload");
    let status = |tenant: &str| Request::get("/api/v1/query?query=a%2Bb").tenant(tenant).send(envoy.port()).status;
    assert_eq!(status("team-a"), 200);
    for (limits, expected) in [
        (json!({"max_selectors_per_query": 1}), 422),
        (json!({"max_selectors_per_query": 2}), 200),
        (json!({"blocked_queries": [{"pattern": "a.*", "regex": true}]}), 422),
        (json!({"blocked_queries": []}), 200),
    ] {
        let start = Instant::now();
        envoy.reload(&setup(limits));
        envoy.process().wait_until(|| status("team-a") == expected);
        println!("in force after {:?}", start.elapsed());
        assert_eq!(status("team-b"), 200);
    }
    envoy.assert_healthy();
}

/// An upstream that answers when it is told to.
struct Gate {
    port: u16,
    arrived: Arc<AtomicU32>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn start() -> Gate {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Gate { port, arrived: Arc::default(), open: Arc::default() };
        let (arrived, open) = (gate.arrived.clone(), gate.open.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (arrived, open) = (arrived.clone(), open.clone());
                std::thread::spawn(move || serve(stream, &arrived, &open));
            }
        });
        gate
    }

    fn arrived(&self) -> u32 {
        self.arrived.load(Ordering::Relaxed)
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

fn serve(mut stream: TcpStream, arrived: &AtomicU32, (open, opened): &(Mutex<bool>, Condvar)) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    // Heads only: the requests have no bodies.
    while let Some(Ok(line)) = lines.next() {
        if !line.is_empty() {
            continue;
        }
        arrived.fetch_add(1, Ordering::Relaxed);
        let _is_open = opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap();
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + body).as_bytes()).is_err() {
            return;
        }
    }
}

fn query() -> Request {
    Request::get("/api/v1/query?query=up").tenant("team-a")
}

fn counting(port: u16, most: u32) -> Setup {
    Setup::shipped(port).plugin(json!({"limits": {"max_concurrent_queries": most}}))
}

#[test]
fn one_query_too_many_is_refused_whichever_worker_it_meets() {
    let gate = Gate::start();
    let envoy = counting(gate.port, 4).workers(3).start("envoy-concurrency");
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..4).map(|_| scope.spawn(|| query().send(envoy.port))).collect();
        envoy.process().wait_until(|| gate.arrived() == 4);
        for _ in 0..8 {
            let message = query().send(envoy.port()).refused(429);
            assert_eq!(message, "4 queries are running: your limit max_concurrent_queries is 4");
        }
        gate.open();
        for answer in running {
            assert_eq!(answer.join().unwrap().status, 200);
        }
    });
    envoy.process().wait_until(|| query().send(envoy.port).status == 200);
    assert!((0..20).all(|_| query().send(envoy.port()).status == 200));
    envoy.assert_healthy();
}

#[test]
fn trap_locks_no_tenant_out() {
    let gate = Gate::start();
    let envoy = counting(gate.port, 1).start_with("envoy-concurrency-trap", &process::program("TENANCY_WASM_TRAP"));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| query().try_send(envoy.port).map(|answer| answer.status));
        envoy.process().wait_until(|| gate.arrived() == 1);
        assert_eq!(query().send(envoy.port()).status, 429);
        let trapped = query().header("x-tenancy-test-trap", "1").send(envoy.port());
        assert_eq!(trapped.status, 503, "{}", trapped.text());
        let start = Instant::now();
        gate.open();
        // The answer may meet the VM that is no more, or none.
        assert_ne!(running.join().unwrap(), Some(200));
        let status = || query().try_send(envoy.port).map(|answer| answer.status);
        envoy.process().wait_until(|| status() == Some(200));
        println!("let in again after {:?}", start.elapsed());
    });
    assert!(envoy.process().log().contains("RuntimeError"), "there was no trap");
}

/// The example, put where it says.
fn with_rate_limits(setup: Setup) -> Setup {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/rate-limits/local_ratelimit.yaml");
    let example = std::fs::read_to_string(example).unwrap();
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let filter: String = lines.map(|line| format!("          {line}\n")).collect();
    let router = "          - name: envoy.filters.http.router\n";
    setup.replace(router, &(filter + router))
}

#[test]
fn envoy_s_own_rate_limit_counts_by_the_header_that_the_filter_sets() {
    let stub = Stub::start();
    let setup =
        Setup::shipped(stub.port).plugin(json!({"forward_tenant_header": "thanos-tenant", "tenant_header": "x-team"}));
    let envoy = with_rate_limits(setup).start("envoy-rate-limits");
    let get = |team: &str, claimed: &str| {
        let request = Request::get("/api/v1/query?query=up").header("x-team", team);
        request.header("thanos-tenant", claimed).send(envoy.port()).status
    };
    // A client that claims to be others spends its own budget: 20 in ten seconds, which may have begun twice.
    let start = Instant::now();
    let served_to_c = (0..100).filter(|n| get("team-c", &format!("claimed-{n}")) == 200).count() as u64;
    let periods = 2 + start.elapsed().as_secs() / 10;
    assert!((20..=20 * periods).contains(&served_to_c) && served_to_c < 100, "{served_to_c} in {:?}", start.elapsed());
    assert_eq!(get("team-d", "team-c"), 200);
    assert_eq!((0..40).filter(|_| get("team-a", "team-c") == 200).count(), 40, "a budget of its own");
    envoy.assert_healthy();
}
