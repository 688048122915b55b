//! The file with the filter is replaced while Envoy runs: the new configuration takes effect at once, no request fails, an invalid file changes nothing,
//! and no request passes unread meanwhile.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{self, Request};
use crate::support::stub::Stub;
use crate::support::{native, unique};
use serde_json::json;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A configuration that is told by the label that it enforces.
fn enforcing(port: u16, label: &str) -> Setup {
    Setup::shipped(port).plugin(json!({"tenant_label_name": label}))
}

/// The query as it reached the upstream for a request that was just sent.
fn rewritten(envoy: &Envoy, stub: &Stub) -> String {
    let id = unique();
    let answer = Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", &id).send(envoy.port());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = stub.seen(&id);
    seen[0].query().remove(0).1
}

/// Waits for a configuration to be in force. What it takes is printed; other tests run beside this one.
fn wait_for_label(envoy: &Envoy, stub: &Stub, label: &str) -> Duration {
    let start = Instant::now();
    let expected = format!("up{{{label}=\"team-a\"}}");
    loop {
        let query = rewritten(envoy, stub);
        if query == expected {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{expected} is not in force: {query}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn hundred_reloads_under_load_fail_no_request() {
    const SWAPS: usize = 100;
    let stub = Stub::start();
    let envoy = enforcing(stub.port, "label_0").start("envoy-reload-load");
    let (port, stop, served) = (envoy.port(), AtomicBool::new(false), AtomicU32::new(0));
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let request = Request::post("/api/v1/query?time=1", "query=up%2Bup").tenant("team-a");
                    let answer = request.header("x-e2e-id", "load").send(port);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A panic in here must not leave the others running.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 1..=SWAPS {
                let label = format!("label_{number}");
                envoy.reload(&enforcing(stub.port, &label));
                times.push(wait_for_label(&envoy, &stub, &label));
            }
        }));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|problem| std::panic::resume_unwind(problem));
    });
    times.sort();
    let served = served.into_inner();
    println!(
        "{served} requests beside {SWAPS} reloads; in force after {:?}, at most {:?}",
        times[50],
        times[SWAPS - 1]
    );
    let seen = stub.seen("load");
    assert!(seen.len() >= served as usize && served > 100, "{} of {served}", seen.len());
    for request in seen {
        let (_, query) = request.form().into_iter().find(|(name, _)| name == "query").unwrap();
        let label = query.split(['{', '=']).nth(1).unwrap();
        assert!(label.starts_with("label_"), "{query}");
        assert_eq!(query, format!("up{{{label}=\"team-a\"}}+up{{{label}=\"team-a\"}}"));
    }
    assert!(envoy.stat("extension_config_discovery.http_filter.promql_tenancy.update_success") > SWAPS as u64);
    assert_eq!(envoy.stat("extension_config_discovery.http_filter.promql_tenancy.config_fail"), 0);
    envoy.assert_healthy();
}

#[test]
fn request_in_flight_ends_with_the_configuration_that_it_began_with() {
    let stub = Stub::start();
    let envoy = enforcing(stub.port, "old").start("envoy-reload-flight");
    let mut connection = http::connect(envoy.port()).unwrap();
    let head = "POST /api/v1/series?match[]=up HTTP/1.1\r\nhost: localhost\r\nTHANOS-TENANT: team-a\r\nx-e2e-id: flight\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 19\r\n\r\nmatch[]=do";
    connection.write_all(head.as_bytes()).unwrap();
    // Until the filter has decided on the head. The module logs nothing then; a request that came later is through.
    wait_for_label(&envoy, &stub, "old");
    envoy.reload(&enforcing(stub.port, "new"));
    wait_for_label(&envoy, &stub, "new");
    connection.write_all(b"wn&limit=5").unwrap();
    let answer = http::read_answer(&mut connection).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = stub.seen("flight").remove(0);
    assert_eq!(seen.query(), [("match[]".to_owned(), "up{old=\"team-a\"}".to_owned())]);
    assert_eq!(seen.form()[0], ("match[]".to_owned(), "down{old=\"team-a\"}".to_owned()));
    envoy.assert_healthy();
}

#[test]
fn bad_file_changes_nothing_and_the_log_says_why() {
    let stub = Stub::start();
    let envoy = enforcing(stub.port, "good").start("envoy-reload-bad");
    let plugin = |text: &str| Setup::shipped(stub.port).plugin_text(text);
    let good = || enforcing(stub.port, "bad");
    let mut cases = vec![
        // The filter refuses these.
        (plugin(r#"{"tenant_label_nam": "bad"}"#), "configuration refused: tenant_label_nam: unknown key"),
        (plugin(r#"{"tenant_label_name": 1}"#), "configuration refused: tenant_label_name: expected a string"),
        (plugin(r#"{"tenant_label_name": "bad""#), "configuration refused: not JSON: "),
        (plugin(r#"{"tenant_label_name": "bad", "tenant_label_name": "bad"}"#), "the key is given twice"),
        // Envoy refuses these.
        (good().filter("resources: ["), "Filesystem config update failure"),
        (good().replace("dist/promql_tenancy_filter.wasm", "dist/absent.wasm"), "Filesystem config update"),
        // Which without --reject-unknown-dynamic-fields would be no configuration at all, and the default tenant served.
        (good().replace("      configuration:\n", "      configuratio:\n"), "Filesystem config update"),
        // Another filter in its place.
        (
            good().filter(
                "resources:\n- \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig\n  \
                 name: promql_tenancy\n  typed_config:\n    \
                 \"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors\n",
            ),
            "Filesystem config update rejected",
        ),
    ];
    if !native::is_native(&native::module()) {
        // The native module has neither.
        cases.push((good().replace("wasm.runtime.v8", "wasm.runtime.none"), "Filesystem config update rejected"));
        cases.push((good().replace("policy: FAIL_RELOAD", "policy: FAIL_HARDLY"), "Filesystem config update"));
    }
    for (setup, reason) in cases {
        let before = envoy.process().log().len();
        let fails = envoy.stat("extension_config_discovery.http_filter.promql_tenancy.config_fail");
        envoy.reload(&setup);
        envoy
            .process()
            .wait_until(|| envoy.stat("extension_config_discovery.http_filter.promql_tenancy.config_fail") > fails);
        let log = envoy.process().log();
        assert!(log[before..].contains(reason), "{reason}: {}", &log[before..]);
        assert_eq!(rewritten(&envoy, &stub), "up{good=\"team-a\"}", "{reason}");
    }
    // After the refused files, a valid one is accepted.
    envoy.reload(&enforcing(stub.port, "better"));
    wait_for_label(&envoy, &stub, "better");
    std::fs::remove_file(envoy.filter_file()).unwrap();
    assert_eq!(rewritten(&envoy, &stub), "up{better=\"team-a\"}");
    assert!(!stub.received("bad=") && !stub.received("bad%3D"));
}

/// A Kubernetes ConfigMap, mounted as a directory: each version in a folder of its own, and a link that is replaced.
#[cfg(unix)]
#[test]
fn config_map_is_reloaded_by_its_link() {
    use std::os::unix::fs::symlink;
    let stub = Stub::start();
    let envoy = enforcing(stub.port, "first").start("envoy-reload-map");
    let file = envoy.filter_file();
    let folder = file.parent().unwrap();
    let publish = |number: u32| {
        let version = folder.join(format!("..{number}"));
        std::fs::create_dir(&version).unwrap();
        let text = envoy.filter_text(&enforcing(stub.port, &format!("map_{number}")));
        std::fs::write(version.join("promql_tenancy.yaml"), text).unwrap();
        symlink(format!("..{number}"), folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    publish(0);
    symlink("..data/promql_tenancy.yaml", folder.join("link")).unwrap();
    std::fs::rename(folder.join("link"), file).unwrap();
    for number in 1..=5 {
        wait_for_label(&envoy, &stub, &format!("map_{}", number - 1));
        publish(number);
    }
    println!("in force after {:?}", wait_for_label(&envoy, &stub, "map_5"));
    envoy.assert_healthy();
}

#[test]
fn nothing_is_served_before_a_first_configuration_was_accepted() {
    let stub = Stub::start();
    let empty = "resources: []\n";
    let setup = Setup::shipped(stub.port).filter(empty);
    let envoy = setup.launch("envoy-reload-first", &native::module());
    let get = || Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", "first");
    envoy.process().wait_until(|| get().try_send(envoy.port).is_some());
    for bad in [empty, "resources: ["] {
        envoy.reload(&Setup::shipped(stub.port).filter(bad));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(get().send(envoy.port()).status, 500, "{bad}");
    }
    assert!(stub.seen("first").is_empty());
    envoy.reload(&enforcing(stub.port, "healed"));
    envoy.process().wait_until(|| get().send(envoy.port()).status == 200);
    assert!(stub.seen("first").iter().all(|seen| seen.query()[0].1 == "up{healed=\"team-a\"}"));
    // Taken away again: refused, not let through.
    envoy.reload(&Setup::shipped(stub.port).filter(empty));
    std::thread::sleep(Duration::from_millis(100));
    assert!(matches!(get().send(envoy.port()).status, 200 | 500));
    assert!(stub.seen("first").iter().all(|seen| seen.query()[0].1 == "up{healed=\"team-a\"}"));
}
