//! The native module as a part of Envoy: what it does after a panic, and what other versions of Envoy make of it. That it does what the
//! wasm module does is what all other tests say, which run against both (`TENANCY_MODULE`).

use crate::support::envoy::Setup;
use crate::support::http::{Request, Response};
use crate::support::metrics::Metrics;
use crate::support::process;
use crate::support::stub::Stub;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TRAP: &str = "x-tenancy-test-trap";

fn get() -> Request {
    Request::get("/api/v1/query?query=up").tenant("team-a")
}

#[test]
fn a_panic_is_refused_with_500_and_counted_and_the_next_request_is_served() {
    let stub = Stub::start();
    let envoy = Setup::shipped(stub.port).start_with("envoy-native-panic", &process::program("TENANCY_NATIVE_TRAP"));
    for _ in 0..20 {
        let refused = get().header(TRAP, "1").header("x-e2e-id", "panic").send(envoy.port());
        assert_eq!(refused.status, 500, "{}", refused.text());
        let error = refused.json();
        assert_eq!((&error["status"], &error["errorType"]), (&"error".into(), &"internal".into()));
        assert_eq!(get().header("x-e2e-id", "next").send(envoy.port()).status, 200);
    }
    // A form: the body never comes to the filter.
    let form = Request::post("/api/v1/query", "query=up").tenant("team-a").header(TRAP, "1").send(envoy.port());
    assert_eq!(form.status, 500);
    assert!(stub.seen("panic").is_empty());
    let next = stub.seen("next");
    assert_eq!(next.len(), 20);
    next.iter().for_each(|seen| seen.assert_scoped("team-a"));
    envoy.wait_for_metrics("tenancy_", |metrics| {
        metrics.sum("tenancy_refused_total", &[("reason", "internal")]) == 21.0
            && metrics.sum("tenancy_requests_total", &[("code", "5xx")]) == 21.0
            && metrics.sum("tenancy_requests_in_flight", &[]) == 0.0
    });
    assert!(envoy.process().log().contains("request refused: status=500 reason=internal"));
    envoy.assert_healthy();
}

/// A hook of each kind: what the client gets, and that the request is counted once, as one that a panic has ended.
#[test]
fn a_panic_in_any_hook_ends_one_request_and_leaves_nothing_behind() {
    let stub = Stub::start();
    let setup = Setup::shipped(stub.port).plugin(json!({"overrides": {"team-a": {"max_concurrent_queries": 1}}}));
    let envoy = setup.start_with("envoy-native-panics", &process::program("TENANCY_NATIVE_TRAP"));
    let form = || Request::post("/api/v1/query", "query=up").tenant("team-a");
    let whole =
        |answer: Option<Response>| answer.is_some_and(|answer| answer.status == 200 && answer.text().ends_with('}'));
    for (place, status) in [
        ("body", Some(500)),
        ("answer-head", Some(500)),
        ("answer-body", None),
        ("complete", Some(200)),
        ("end", Some(200)),
    ] {
        let answer = form().header(TRAP, place).try_send(envoy.port());
        match status {
            Some(status) => assert_eq!(answer.expect(place).status, status, "{place}"),
            None => assert!(!whole(answer), "{place}"),
        }
        // The place among the running queries is free again, and the connection's next request is served.
        let start = Instant::now();
        while !whole(form().try_send(envoy.port())) {
            assert!(start.elapsed() < Duration::from_secs(10), "{place}: no request is served any more");
        }
    }
    let metrics = envoy.wait_for_metrics("tenancy_", |metrics| {
        metrics.sum("tenancy_refused_total", &[("reason", "internal")]) == 4.0
            && metrics.sum("tenancy_requests_in_flight", &[]) == 0.0
    });
    assert_eq!(metrics.sum("tenancy_requests_total", &[("code", "5xx")]), 4.0);
    envoy.assert_healthy();
}

/// Envoy 1.40 answers by itself then. 1.39 calls the hooks of a stream that is not there.
#[test]
fn a_panic_where_a_filter_is_made_is_refused_too() {
    for (at, program) in ["TENANCY_ENVOY", "TENANCY_ENVOY_1_39"].into_iter().enumerate() {
        let stub = Stub::start();
        let setup =
            Setup::example("native.yaml", stub.port).replace("filter_name: promql_tenancy", "filter_name: trap");
        let setup = setup.of_program(&process::program(program));
        let envoy = setup.start_with(&format!("envoy-native-unmade-{at}"), &process::program("TENANCY_NATIVE_TRAP"));
        for request in [get(), Request::post("/api/v1/query", "query=up").tenant("team-a")] {
            let refused = request.send(envoy.port());
            assert_eq!(refused.status, 500, "{}", refused.text());
        }
        assert!(!stub.received("/api/v1/query"));
        envoy.assert_healthy();
    }
}

/// The one that had asked is refused alone.
#[test]
fn a_panic_of_the_request_that_asked_keeps_the_answer_from_no_other() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                let size = stream.read(&mut buffer).unwrap_or(0);
                let is_question = buffer[..size].starts_with(b"GET /api/v1/label/__name__/values");
                std::thread::sleep(Duration::from_millis(if is_question { 1_000 } else { 0 }));
                let body = if is_question {
                    r#"{"status":"success","data":["own"]}"#
                } else {
                    r#"{"status":"success","data":{}}"#
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    let envoy = Setup::shipped(port)
        .plugin(json!({"enable_metadata": "names", "call_out_cluster": "prometheus", "call_out_timeout": "10s"}))
        .start_with("envoy-native-asked", &process::program("TENANCY_NATIVE_TRAP"));
    let metadata = || Request::get("/api/v1/metadata").tenant("team-a");
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| metadata().header(TRAP, "answered").send(envoy.port()).status);
        std::thread::sleep(Duration::from_millis(300));
        let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| metadata().send(envoy.port()).status)).collect();
        assert_eq!(asks.join().unwrap(), 500);
        for waits in waiting {
            assert_eq!(waits.join().unwrap(), 200);
        }
    });
    envoy.assert_healthy();
}

/// docs/native.md says so.
#[test]
fn counters_outlive_a_reload_and_histograms_begin_anew() {
    let stub = Stub::start();
    let setup = Setup::shipped(stub.port).flushes_stats_soon();
    let envoy = setup.clone().start_with("envoy-native-reload", &process::program("TENANCY_NATIVE"));
    let counted = |metrics: &Metrics| {
        let histogram = metrics.sum("tenancy_request_duration_milliseconds_count", &[("tenant", "team-a")]);
        (metrics.sum("tenancy_requests_total", &[("tenant", "team-a")]), histogram)
    };
    (0..3).for_each(|_| assert_eq!(get().send(envoy.port()).status, 200));
    envoy.wait_for_metrics("tenancy_", |metrics| counted(metrics) == (3.0, 3.0));
    envoy.reload(&setup.plugin(json!({"tenant_label_name": "team"})));
    envoy.wait_for_metrics("tenancy_configuration", |metrics| {
        metrics.sum("tenancy_configuration_reloads_total", &[("result", "success")]) == 2.0
    });
    assert_eq!(get().send(envoy.port()).status, 200);
    envoy.wait_for_metrics("tenancy_", |metrics| counted(metrics) == (4.0, 1.0));
    envoy.assert_healthy();
}

#[test]
fn the_shipped_configuration_of_the_native_module_serves() {
    let stub = Stub::start();
    let envoy =
        Setup::example("native.yaml", stub.port).start_with("envoy-native", &process::program("TENANCY_NATIVE"));
    assert_eq!(get().header("x-e2e-id", "shipped").send(envoy.port()).status, 200);
    stub.seen("shipped").iter().for_each(|seen| seen.assert_scoped("team-a"));
    assert_eq!(Request::get("/api/v1/query?query=up").send(envoy.port()).status, 401);
    envoy.wait_for_metrics("tenancy_", |metrics| {
        metrics.sum("tenancy_requests_total", &[("tenant", "team-a"), ("code", "2xx")]) == 1.0
    });
    envoy.assert_healthy();
}

#[test]
fn the_shipped_module_knows_no_panic_on_request() {
    let stub = Stub::start();
    let envoy = Setup::shipped(stub.port).start_with("envoy-native-calm", &process::program("TENANCY_NATIVE"));
    assert_eq!(get().header(TRAP, "1").send(envoy.port()).status, 200);
    envoy.assert_healthy();
}

/// docs/native.md has this as a table.
#[test]
fn both_envoys_serve_with_the_module_and_find_the_version_of_their_own_abi() {
    for (envoy, abi) in [("TENANCY_ENVOY", "v0.2.0"), ("TENANCY_ENVOY_1_39", "v0.1.0")] {
        let (stub, program) = (Stub::start(), process::program(envoy));
        let setup = Setup::shipped(stub.port).of_program(&program);
        let envoy = setup.start_with(&format!("envoy-native-{abi}"), &process::program("TENANCY_NATIVE"));
        assert_eq!(get().header("x-e2e-id", "version").send(envoy.port()).status, 200);
        stub.seen("version").iter().for_each(|seen| seen.assert_scoped("team-a"));
        let log = envoy.process().log();
        assert!(log.contains(&format!("Dynamic module ABI version {abi} matched.")), "{log}");
        assert!(!log.contains("is deprecated. Please recompile the module"), "{log}");
        envoy.wait_for_metrics("tenancy_", |metrics| {
            metrics.sum("tenancy_requests_total", &[("tenant", "team-a"), ("handler", "query"), ("code", "2xx")]) == 1.0
        });
        envoy.assert_healthy();
    }
}

/// An Envoy without one of them would refuse the module, or crash when it is called.
#[test]
fn every_function_that_the_module_calls_is_one_that_both_envoys_export() {
    let called = symbols(&process::program("TENANCY_NATIVE"), "U");
    assert!(called.len() > 30, "{called:?}");
    for envoy in ["TENANCY_ENVOY", "TENANCY_ENVOY_1_39"] {
        let exported = symbols(&process::program(envoy), "T");
        let missing: Vec<&String> = called.iter().filter(|name| !exported.contains(name)).collect();
        assert!(missing.is_empty(), "{envoy}: {missing:?}");
    }
}

/// Envoy looks hooks up by name, when it loads the module.
#[test]
fn every_hook_of_an_http_filter_is_one_that_the_module_exports() {
    let exported = symbols(&process::program("TENANCY_NATIVE"), "T");
    for envoy in ["TENANCY_ENVOY", "TENANCY_ENVOY_1_39"] {
        let program = std::fs::read(process::program(envoy)).unwrap();
        // Texts of C++ end with a NUL, which those of the SDK for Rust, that Envoy holds as well, do not.
        let texts = program.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
        let is_hook = |text: &&str| {
            let name = text.strip_prefix("envoy_dynamic_module_on_");
            name.is_some_and(|name| {
                (name == "program_init" || name.starts_with("http_filter_"))
                    && !name.contains("envoy_")
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            })
        };
        let mut hooks: Vec<String> = texts.filter(is_hook).map(str::to_owned).collect();
        hooks.sort();
        hooks.dedup();
        assert!(hooks.len() > 20, "{hooks:?}");
        let missing: Vec<&String> = hooks.iter().filter(|name| !exported.contains(name)).collect();
        assert!(missing.is_empty(), "{envoy}: {missing:?}");
    }
}

/// Images of Envoy without a distribution have a C library, and nothing else. `libgcc_s.so.1`, by which Rust unwinds, is in none of them.
#[test]
fn the_module_needs_no_library_that_envoy_does_not_need() {
    let needed = |file: &Path| {
        let listed =
            Command::new("readelf").args(["--wide", "--dynamic"]).arg(file).output().expect("readelf, of binutils");
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let library =
            |line: &str| Some(line.split_once("(NEEDED)")?.1.split_once('[')?.1.trim_end_matches(']').to_owned());
        text.lines().filter_map(library).collect::<Vec<_>>()
    };
    for module in ["TENANCY_NATIVE", "TENANCY_NATIVE_TRAP"] {
        let of_module = needed(&process::program(module));
        assert!(of_module.contains(&"libc.so.6".to_owned()), "{of_module:?}");
        for envoy in ["TENANCY_ENVOY", "TENANCY_ENVOY_1_39"] {
            let of_envoy = needed(&process::program(envoy));
            let others: Vec<_> = of_module.iter().filter(|name| !of_envoy.contains(name)).collect();
            assert!(others.is_empty(), "{envoy}: {others:?}, and it has {of_envoy:?}");
        }
    }
}

/// The names of Envoy's ABI among the dynamic symbols of a file that are defined (`T`), or wanted (`U`).
fn symbols(file: &Path, kind: &str) -> Vec<String> {
    let listed = Command::new("nm").arg("--dynamic").arg(file).output().expect("nm, of binutils");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let name = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let (name, found) = (words.next()?, words.next()?);
        (found == kind && name.starts_with("envoy_dynamic_module_")).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}
