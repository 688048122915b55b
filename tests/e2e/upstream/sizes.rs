//! Answers that are larger than `max_response_bytes`, or than Envoy's buffer.

use super::Expect::{Silent, Withheld};
use super::{JSON, Kind, MARK, assert_serves, chunked, envoys, play, play_at, send, setup, sized, upstream};
use crate::support::envoy::Envoy;
use crate::support::http::Request;
use crate::support::observe::{over_h1, over_h2};
use crate::support::scripted::{SCRIPT, Step};
use crate::support::unique;
use serde_json::json;
use std::sync::LazyLock;

/// Valid, and so long; the query's is refused for another reason, since it would be long in nothing but what passes.
fn long(body: &str, size: usize) -> String {
    let filler = format!(r#""x":["{}"],"data":"#, "team-b,".repeat(size / 7));
    body.replacen(r#""data":"#, &filler, 1).replacen(
        r#""status":"success""#,
        r#""status":"success","status":"x""#,
        usize::from(body.contains("analysis")),
    )
}

#[test]
fn more_than_max_response_bytes_is_refused() {
    for size in [1_048_576 - 1_000, 1_048_576 + 1_000, 3_000_000] {
        let fits = size < 1_048_576;
        for kind in [Kind::Rules, Kind::Alerts, Kind::Exemplars] {
            let document = long(&kind.body(), size - kind.body().len());
            for steps in [
                sized("200 OK", JSON, &document),
                chunked(JSON, document.as_bytes().chunks(100_000)),
                vec![send(format!("HTTP/1.0 200 OK\r\n{JSON}\r\n{document}"))],
            ] {
                for (stop_iteration, envoy) in envoys() {
                    let id = unique();
                    let is_declared = steps.len() == 2;
                    upstream().steps(&id, steps.clone());
                    let request = Request::get(kind.path()).tenant("team-a").header(SCRIPT, &id);
                    let seen = over_h1(envoy.port(), &request);
                    assert!(!seen.shows(MARK));
                    let status = if fits || !stop_iteration && !is_declared { 200 } else { 502 };
                    assert_eq!((seen.status, seen.is_whole), (Some(status), true), "{size} {kind:?}");
                    let answer = seen.json().expect("JSON");
                    if fits {
                        assert_eq!(seen.body, kind.filtered().as_bytes());
                    } else {
                        let error = answer["error"].as_str().expect("an error");
                        assert!(error.contains("larger than max_response_bytes"), "{error}");
                    }
                    assert_serves(envoy, "a long answer");
                }
            }
        }
    }
}

/// The filter's limit is larger than Envoy's buffer.
fn small() -> &'static [(bool, Envoy); 2] {
    static ENVOYS: LazyLock<[(bool, Envoy); 2]> = LazyLock::new(|| {
        let start = |name: &str, allowed| {
            let setup = setup(allowed).plugin(json!({"max_response_bytes": 8_000_000}));
            let buffer = "per_connection_buffer_limit_bytes: 2097152";
            (allowed, setup.replace(buffer, "per_connection_buffer_limit_bytes: 65536").start(name))
        };
        [start("envoy-small", true), start("envoy-small-continue", false)]
    });
    &ENVOYS
}

#[test]
fn more_than_envoy_holds_is_cut_off() {
    for size in [60_000, 66_000, 200_000, 4_000_000] {
        // Envoy checks its limit when more data arrives, so a body that arrives at once may be longer.
        let expect = if (65_536..1 << 20).contains(&size) { Silent } else { Withheld };
        let script = |kind: Kind, variant: usize, id: &str| {
            let document = long(&kind.body(), size) + if size < 65_536 { "x" } else { "" };
            upstream().steps(
                id,
                match variant % 3 {
                    0 => sized("200 OK", JSON, document),
                    1 => chunked(JSON, document.as_bytes().chunks(16_000)),
                    _ => chunked(JSON, document.as_bytes().chunks(size)),
                },
            );
        };
        play_at(small(), &format!("{size} bytes"), expect, script, false);
    }
}

/// This answer is streamed, so neither limit applies.
#[test]
fn long_answers_stream_by_and_their_messages_are_filtered() {
    let sample = r#"[1435781430.781,"12345"],"#.repeat(200_000);
    let document = Kind::Query.body().replacen(r#"[1,"1"]"#, &format!("[{sample}0]"), 1);
    let expected = Kind::Query.filtered().replacen(r#"[1,"1"]"#, &format!("[{sample}0]"), 1);
    assert!(document.len() > 4_000_000);
    for (_, envoy) in envoys().iter().chain(small()) {
        for client in [over_h1, over_h2] {
            for steps in [sized("200 OK", JSON, &document), chunked(JSON, document.as_bytes().chunks(99_999))] {
                let id = unique();
                upstream().steps(&id, steps);
                let seen = client(envoy.port(), &Request::get(Kind::Query.path()).tenant("team-a").header(SCRIPT, &id));
                assert_eq!((seen.status, seen.is_whole), (Some(200), true));
                assert!(seen.body == expected.as_bytes(), "{} bytes for {}", seen.body.len(), expected.len());
            }
        }
        assert_serves(envoy, "a long answer");
    }
}

#[test]
fn answers_that_never_end_are_not_held_for_ever() {
    let flood = |count: usize| {
        let mut steps = vec![send(format!("HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n"))];
        steps.extend(
            (0..count).map(|_| Step::Send(format!("{:x}\r\n{}\r\n", 100_000, "[".repeat(100_000)).into_bytes())),
        );
        steps
    };
    play("5 MB of brackets, then nothing", Withheld, |_, _| flood(50));
    play("an open string of 5 MB", Withheld, |_, _| {
        let mut steps = flood(1);
        steps.truncate(1);
        steps.push(send("c\r\n{\"warnings\"\r\n4\r\n:[\"x\r\n"));
        steps.extend(
            (0..50).map(|_| Step::Send(format!("{:x}\r\n{}\r\n", 100_002, "team-b".repeat(16_667)).into_bytes())),
        );
        steps
    });
}
