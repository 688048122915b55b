//! A trap, provoked in a test build of the module: the request is answered with 503, the VM recovers at once, and no request passes unread meanwhile.

use crate::support::envoy::Setup;
use crate::support::http::{Request, Response};
use crate::support::process;
use crate::support::stub::Stub;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
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
                    assert!(start.elapsed() < Duration::from_secs(30), "it does not heal");
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

/// How the upstream answers the question for a tenant's names.
const SILENT: u32 = 0;
const TRAPS: u32 = 1;
const ANSWERS: u32 = 2;

/// An upstream of which the question is answered in one of these ways, and the request for metadata with two entries. Its port, and how often
/// metadata itself was asked for.
fn upstream(mode: &'static AtomicU32, forwarded: &'static AtomicU32) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(size) if size > 0 => head.extend_from_slice(&buffer[..size]),
                        _ => return,
                    }
                }
                let is_question = head.starts_with(b"GET /api/v1/label/__name__/values");
                let (more, body) = match mode.load(Ordering::SeqCst) {
                    SILENT if is_question => return std::thread::sleep(Duration::from_secs(30)),
                    TRAPS if is_question => ("x-tenancy-test-trap: 1\r\n", r#"{"status":"success","data":["own"]}"#),
                    _ if is_question => ("", r#"{"status":"success","data":["own"]}"#),
                    _ => {
                        forwarded.fetch_add(1, Ordering::SeqCst);
                        (
                            "",
                            r#"{"status":"success","data":{"other":[{"type":"gauge","help":"of team-b","unit":""}],"own":[{"type":"gauge","help":"","unit":""}]}}"#,
                        )
                    }
                };
                let size = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\n{more}content-type: application/json\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    port
}

/// While requests wait for the upstream's answer to a question, the VM traps: by another request, and by the answer itself. Nothing that waited
/// is forwarded, and all is well afterwards. Envoy tells a request that waits nothing of the trap, so that it ends by `stream_idle_timeout`
/// (observed with 1.40.0).
#[test]
fn a_trap_during_a_call_out_forwards_nothing_and_is_healed() {
    static MODE: AtomicU32 = AtomicU32::new(SILENT);
    static FORWARDED: AtomicU32 = AtomicU32::new(0);
    let module = process::program("TENANCY_WASM_TRAP");
    let envoy = Setup::shipped(upstream(&MODE, &FORWARDED))
        .plugin(json!({"enable_metadata": "names", "call_out_cluster": "prometheus", "call_out_timeout": "20s"}))
        .replace("stream_idle_timeout: 150s", "stream_idle_timeout: 2s")
        .start_with("envoy-trap-call-out", &module);
    let port = envoy.port();
    let metadata = || Request::get("/api/v1/metadata").tenant("team-a");
    let refused = |answer: Option<Response>| {
        // The connection may be cut instead, and the stream be idle for too long.
        assert!(answer.as_ref().is_none_or(|answer| matches!(answer.status, 408 | 503 | 504)), "{answer:?}");
    };
    for mode in [SILENT, TRAPS] {
        MODE.store(mode, Ordering::SeqCst);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| metadata().try_send(port))).collect();
            if mode == SILENT {
                std::thread::sleep(Duration::from_millis(300));
                // Both workers' VMs, whichever takes a connection.
                for _ in 0..12 {
                    refused(Request::get("/-/ready").header("x-tenancy-test-trap", "1").try_send(port));
                    std::thread::sleep(Duration::from_millis(30));
                }
            }
            waiting.into_iter().for_each(|request| refused(request.join().unwrap()));
        });
        assert!(begun.elapsed() < Duration::from_secs(10), "they waited for {:?}", begun.elapsed());
        assert_eq!(FORWARDED.load(Ordering::SeqCst), 0, "what waited was forwarded");
    }
    MODE.store(ANSWERS, Ordering::SeqCst);
    let begun = Instant::now();
    let healed = loop {
        match metadata().try_send(port) {
            Some(answer) if answer.status == 200 => break answer,
            other => assert!(begun.elapsed() < Duration::from_secs(5), "not healed: {other:?}"),
        }
    };
    assert!(healed.text().contains("own") && !healed.text().contains("team-b"), "{}", healed.text());
    assert!(envoy.process().log().contains("RuntimeError") && envoy.reloads() > 0);
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
