//! A trap, provoked in a test build of the module: the request is answered with 503, the VM recovers at once, and no request passes unread meanwhile.

use crate::support::envoy::Setup;
use crate::support::http::Request;
use crate::support::process;
use crate::support::stub::Stub;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[test]
fn trap_is_answered_with_503_and_healed_within_a_second() {
    let stub = Stub::start();
    let module = process::program("TENANCY_WASM_TRAP");
    let envoy = Setup::shipped(stub.port).start_with("envoy-trap", &module);
    let get = || Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", "trap");
    let (port, stop) = (envoy.port(), AtomicBool::new(false));
    let (served, unserved) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // If the VM is being replaced, the connection may be cut instead.
                    match get().try_send(port).map(|answer| answer.status) {
                        Some(200) => served.fetch_add(1, Ordering::Relaxed),
                        Some(503) | None => unserved.fetch_add(1, Ordering::Relaxed),
                        Some(status) => panic!("answered with {status}"),
                    };
                }
            });
        }
        // A panic in here must not leave the others running.
        let outcome = std::panic::catch_unwind(|| {
            for _ in 0..5 {
                while get().send(port).status != 200 {}
                let start = Instant::now();
                let answer = get().header("x-tenancy-test-trap", "1").send(port);
                assert_eq!(answer.status, 503, "{}", answer.text());
                while get().try_send(port).is_none_or(|answer| answer.status != 200) {
                    assert!(start.elapsed() < Duration::from_secs(1), "not healed after {:?}", start.elapsed());
                }
                println!("healed after {:?}", start.elapsed());
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|problem| std::panic::resume_unwind(problem));
    });
    println!("meanwhile {served:?} requests were served and {unserved:?} were not");
    let seen = stub.seen("trap");
    assert!(seen.len() > 10 && served.into_inner() > 10);
    seen.iter().for_each(|seen| seen.assert_scoped("team-a"));
    assert!(envoy.process().log().contains("RuntimeError"), "there was no trap");
    assert!(envoy.reloads() > 0);
}

#[test]
fn shipped_module_knows_no_trap() {
    let stub = Stub::start();
    let envoy = Setup::shipped(stub.port).start("envoy-no-trap");
    let answer =
        Request::get("/api/v1/query?query=up").tenant("team-a").header("x-tenancy-test-trap", "1").send(envoy.port());
    assert_eq!(answer.status, 200, "{}", answer.text());
    envoy.assert_healthy();
}
