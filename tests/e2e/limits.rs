//! Per-tenant limits: concurrent queries, and a limit that changes while Envoy runs. `retention` tests retention.

use crate::support::envoy::Setup;
use crate::support::http::Request;
use crate::support::process;
use crate::support::stub::Stub;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

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
            assert_eq!(message, "4 queries are running: your limit max_concurrent_queries is 4; try again later");
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

/// A request of several tenants has the strictest limit of each kind, and counts as running for each of them.
#[test]
fn several_tenants_have_the_strictest_limits_and_count_for_each() {
    let gate = Gate::start();
    let plugin = json!({
        "tenant_federation": {"enabled": true},
        "limits": {"max_concurrent_queries": 2},
        "overrides": {
            "team-a": {"max_selectors_per_query": 3, "max_query_expression_size_bytes": 10},
            "team-b": {"max_selectors_per_query": 2, "max_query_expression_size_bytes": 100},
        },
    });
    let envoy = Setup::shipped(gate.port).plugin(plugin).workers(2).start("envoy-several-limits");
    let ask = |tenants: &str, query: &str| Request::get(&format!("/api/v1/query?query={query}")).tenant(tenants);
    std::thread::scope(|scope| {
        let port = envoy.port();
        let running =
            ["team-a|team-b", "team-b|team-c"].map(|tenants| scope.spawn(move || ask(tenants, "up").send(port)));
        envoy.process().wait_until(|| gate.arrived() == 2);
        // Team-b has two running. Team-a and team-c have one each.
        for tenants in ["team-b", "team-a|team-b", "team-b|team-d"] {
            let message = ask(tenants, "up").send(envoy.port()).refused(429);
            assert_eq!(
                message, "2 queries are running: your limit max_concurrent_queries is 2; try again later",
                "{tenants}"
            );
        }
        let more = scope.spawn(|| ask("team-a|team-c", "up").send(envoy.port()));
        envoy.process().wait_until(|| gate.arrived() == 3);
        assert_eq!(ask("team-a", "up").send(envoy.port()).status, 429);
        gate.open();
        for answer in running.into_iter().chain([more]) {
            assert_eq!(answer.join().unwrap().status, 200);
        }
    });
    let status = |tenants: &str, query: &str| ask(tenants, query).send(envoy.port()).status;
    for tenants in ["team-a", "team-b", "team-a|team-b", "team-b|team-c"] {
        envoy.process().wait_until(|| status(tenants, "up") == 200);
    }
    // Three selectors in five bytes; one in more than ten.
    for (query, tenants, expected) in [
        ("a*b*c", "team-a", 200),
        ("a*b*c", "team-b", 422),
        ("a*b*c", "team-a|team-b", 422),
        ("a_longer_name", "team-a", 422),
        ("a_longer_name", "team-b", 200),
        ("a_longer_name", "team-a|team-b", 422),
        ("a_longer_name", "team-b|team-c", 200),
    ] {
        assert_eq!(status(tenants, query), expected, "{tenants}: {query}");
    }
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
    // A client that claims to be other tenants spends its own budget: 20 requests in ten seconds. Two such periods may have begun.
    let start = Instant::now();
    let served_to_c = (0..100).filter(|n| get("team-c", &format!("claimed-{n}")) == 200).count() as u64;
    let periods = 2 + start.elapsed().as_secs() / 10;
    assert!((20..=20 * periods).contains(&served_to_c) && served_to_c < 100, "{served_to_c} in {:?}", start.elapsed());
    assert_eq!(get("team-d", "team-c"), 200);
    assert_eq!((0..40).filter(|_| get("team-a", "team-c") == 200).count(), 40, "a budget of its own");
    envoy.assert_healthy();
}
