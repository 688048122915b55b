//! The plugin's configuration in Envoy: with an invalid one, no request is served, and the log has the key and the reason.

use crate::support::envoy::Setup;
use crate::support::http::Request;
use crate::support::stub::Stub;
use std::sync::atomic::{AtomicU32, Ordering};

/// Starts Envoy with this configuration of the plugin, and asserts that it is refused for this reason.
fn assert_refused(configuration: &str, reason: &str) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("envoy-bad-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let stub = Stub::start();
    let envoy = Setup::shipped(stub.port).plugin_text(configuration).launch(&name, &crate::support::native::module());
    let refused = || envoy.process().log().lines().any(|line| line.contains("configuration refused: "));
    let start = std::time::Instant::now();
    while !refused() && start.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let log = envoy.process().log();
    let line = log
        .lines()
        .find(|line| line.contains("configuration refused: "))
        .unwrap_or_else(|| panic!("accepted {configuration}:\n{log}"));
    assert!(line.contains(&format!("configuration refused: {reason}")), "{configuration}: {line}");
    // Envoy ends, or answers all requests with an error.
    for _ in 0..50 {
        if envoy.process().ended().is_some() {
            break;
        }
        if let Some(answer) =
            Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", "bad").try_send(envoy.port)
        {
            assert!(matches!(answer.status, 500 | 503), "{configuration}: {}", answer.status);
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(stub.seen("bad").is_empty(), "{configuration}");
}

#[test]
fn bad_configuration_serves_nobody_and_the_log_says_why() {
    let cases = [
        (r#"{"tenant_labelname": "x"}"#, "tenant_labelname: "),
        (r#"{"tenant_label_name": 1}"#, "tenant_label_name: "),
        (r#"{"tenant_label_name": "__name__"}"#, "tenant_label_name: "),
        (r#"{"tenant_federation": {"enabled": true, "max": 1}}"#, "tenant_federation.max: "),
        (r#"{"upstream": "loki"}"#, "upstream: "),
        (r#"{"tenant_header": "x", "tenant_header": "y"}"#, "tenant_header: "),
        (r#"{"tenant_header": "#, ""),
    ];
    std::thread::scope(|scope| {
        for (configuration, reason) in cases {
            scope.spawn(move || assert_refused(configuration, reason));
        }
    });
}

#[test]
fn shipped_configuration_names_every_port_and_file_that_tests_replace() {
    // The marks are looked for when a test starts an Envoy; here for those who change the file.
    let read = |name: &str| std::fs::read_to_string(format!("{}/envoy/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let yaml = read("envoy.yaml") + &read("promql_tenancy.yaml");
    for mark in ["LISTEN_PORT", "ADMIN_PORT", "PROMETHEUS_PORT", "WASM"] {
        assert_eq!(yaml.lines().filter(|line| line.ends_with(&format!("# {mark}"))).count(), 1, "{mark}");
    }
}
