//! Answers that are larger than `max_response_bytes`, or than Envoy's buffer.

use super::Expect::{NoSuccess, Silent};
use super::{JSON, Kind, MARK, assert_serves, chunked, envoys, play, play_at, send, setup, sized, upstream};
use crate::support::envoy::Envoy;
use crate::support::http::Request;
use crate::support::native;
use crate::support::observe::{Observed, over_h1, over_h2};
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

/// What is not the tenant's is not held, so that its size does not matter.
#[test]
fn others_may_be_larger_than_max_response_bytes() {
    for size in [1_048_576 - 1_000, 1_048_576 + 1_000, 3_000_000] {
        for kind in [Kind::Rules, Kind::Alerts, Kind::Exemplars] {
            let document = long(&kind.body(), size - kind.body().len());
            for steps in ways(&document) {
                for (_, envoy) in envoys() {
                    let seen = ask(envoy, kind, steps.clone());
                    assert_eq!((seen.status, seen.is_whole), (Some(200), true), "{size} {kind:?}");
                    assert_eq!(seen.body, kind.filtered().as_bytes());
                    assert_serves(envoy, "a long answer");
                }
            }
        }
    }
}

/// One rule, alert or exemplar of the tenant's own has to be held.
#[test]
fn one_s_own_that_is_larger_than_max_response_bytes_is_refused() {
    let long = "long ".repeat(250_000);
    for (kind, part) in
        [(Kind::Rules, r#""query":""#), (Kind::Alerts, r#""annotations":{"x":""#), (Kind::Exemplars, r#""value":""#)]
    {
        let whole = kind.body().replace(r#""annotations":{}"#, r#""annotations":{"x":"y"}"#);
        let document = whole.replace(part, &format!("{part}{long}"));
        assert!(document.len() > 1_200_000, "{kind:?}");
        for steps in ways(&document) {
            for (stop_iteration, envoy) in envoys() {
                let seen = ask(envoy, kind, steps.clone());
                assert!(seen.status == Some(200) || *stop_iteration && seen.status == Some(502), "{seen:?}");
                let answer = seen.json().expect("JSON");
                let error = answer["error"].as_str().expect("an error");
                assert!(error.contains("larger than max_response_bytes"), "{error}");
                assert_serves(envoy, "a long answer");
            }
        }
    }
}

/// What is the tenant's own is gathered and written in one piece, which is longer than the last piece that came.
#[test]
fn much_of_one_s_own_is_written_whole_and_envoy_lives() {
    for (kind, list) in [(Kind::Rules, r#""rules":["#), (Kind::Alerts, r#""alerts":["#)] {
        let (document, filtered) = (kind.body(), kind.filtered());
        let own = format!("{},", first(&filtered, list));
        let many = document.replacen(list, &format!("{list}{}", own.repeat(2_000)), 1);
        assert!(many.len() > 200_000, "{kind:?}: {}", many.len());
        for steps in ways(&many) {
            for (_, envoy) in envoys().iter().chain(small()) {
                let seen = ask(envoy, kind, steps.clone());
                // With less buffer than the answer has, Envoy may answer with an error of its own.
                assert!(
                    seen.status == Some(200) || seen.status.is_some_and(|status| status >= 500),
                    "{:?}",
                    seen.status
                );
                assert_serves(envoy, "much of one's own");
            }
        }
    }
}

/// The first element of a list in the document: the tenant's own, as `Kind::body` writes it.
fn first<'d>(document: &'d str, list: &str) -> &'d str {
    let rest = &document[document.find(list).unwrap() + list.len()..];
    let mut depth = 0usize;
    let mut in_string = false;
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return &rest[..=at];
                }
            }
            _ => {}
        }
    }
    panic!("no element in {document}")
}

/// With a length, in chunks, and until the connection ends.
fn ways(document: &str) -> [Vec<Step>; 3] {
    [
        sized("200 OK", JSON, document),
        chunked(JSON, document.as_bytes().chunks(100_000)),
        vec![send(format!("HTTP/1.0 200 OK\r\n{JSON}\r\n{document}"))],
    ]
}

fn ask(envoy: &Envoy, kind: Kind, steps: Vec<Step>) -> Observed {
    let id = unique();
    upstream().steps(&id, steps);
    let seen = over_h1(envoy.port(), &Request::get(kind.path()).tenant("team-a").header(SCRIPT, &id));
    assert!(!seen.shows(MARK));
    seen
}

/// The filter's limit is larger than Envoy's buffer.
fn small() -> &'static [(bool, Envoy); 2] {
    static ENVOYS: LazyLock<[(bool, Envoy); 2]> = LazyLock::new(|| {
        let start = |name: &str, allowed| {
            let setup = setup(allowed).plugin(json!({"max_response_bytes": 8_000_000}));
            let buffer = "per_connection_buffer_limit_bytes: 2097152";
            (
                native::holds_heads(allowed),
                setup.replace(buffer, "per_connection_buffer_limit_bytes: 65536").start(name),
            )
        };
        [start("envoy-small", true), start("envoy-small-continue", false)]
    });
    &ENVOYS
}

/// Held back with its head, an answer that is larger than Envoy's buffer is Envoy's to refuse; otherwise it streams.
#[test]
fn more_than_envoy_holds_shows_nothing_of_others_and_envoy_lives() {
    for size in [60_000, 66_000, 200_000, 4_000_000] {
        let script = |kind: Kind, variant: usize, id: &str| {
            let document = long(&kind.body(), size);
            upstream().steps(
                id,
                match variant % 3 {
                    0 => sized("200 OK", JSON, document),
                    1 => chunked(JSON, document.as_bytes().chunks(16_000)),
                    _ => chunked(JSON, document.as_bytes().chunks(size)),
                },
            );
        };
        play_at(small(), &format!("{size} bytes"), Silent, script, false);
        for kind in [Kind::Rules, Kind::Alerts, Kind::Exemplars] {
            for steps in ways(&long(&kind.body(), size)) {
                let Some((_, streaming)) = small().iter().find(|(holds, _)| !holds) else { continue };
                let seen = ask(streaming, kind, steps);
                assert_eq!(
                    (seen.status, seen.body.as_slice()),
                    (Some(200), kind.filtered().as_bytes()),
                    "{size} {kind:?}"
                );
            }
        }
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
    play("5 MB of brackets, then nothing", NoSuccess, |_, _| flood(50));
    play("an open string of 5 MB", NoSuccess, |_, _| {
        let mut steps = flood(1);
        steps.truncate(1);
        steps.push(send("c\r\n{\"warnings\"\r\n4\r\n:[\"x\r\n"));
        steps.extend(
            (0..50).map(|_| Step::Send(format!("{:x}\r\n{}\r\n", 100_002, "team-b".repeat(16_667)).into_bytes())),
        );
        steps
    });
}
