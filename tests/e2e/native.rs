//! The native module as a part of Envoy: what it does after a panic, and what other versions of Envoy make of it. That it does what the
//! wasm module does is what all other tests say, which run against both (`TENANCY_MODULE`).

use crate::support::envoy::Setup;
use crate::support::http::Request;
use crate::support::process;
use crate::support::stub::Stub;
use std::path::Path;
use std::process::Command;

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
