//! The headers of an answer: status, content type, encoding and caching.

use super::Expect::{Filtered, Silent, Status, Withheld};
use super::{JSON, Kind, chunked, envoys, play, send, sized, upstream};
use crate::support::http::Request;
use crate::support::observe::over_h1;
use crate::support::scripted::{SCRIPT, Step};
use crate::support::{recorded, stub, unique};

/// gzip with one stored block, so that it contains the text unchanged. The checksum is left at 0: the filter never reads it.
fn stored(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend([0; 8]);
    out
}

#[test]
fn answers_of_another_type_are_refused() {
    for lines in [
        "",
        "content-type:\r\n",
        "content-type: text/html\r\n",
        "content-type: text/plain; charset=utf-8\r\n",
        "content-type: text/json\r\n",
        "content-type: application/x-ndjson\r\n",
        "content-type: application/json-seq\r\n",
        "content-type: application/jsonp\r\n",
        "content-type: multipart/byteranges; boundary=x\r\n",
        "content-type: application/json, text/html\r\n",
        "content-type: application/json\r\ncontent-type: application/json\r\n",
        "content-type: text/html\r\ncontent-type: application/json\r\n",
    ] {
        play(&format!("{lines:?}"), Status(502), |body, _| sized("200 OK", lines, body));
    }
    for lines in ["content-type: Application/JSON;charset=utf-8\r\n", "content-type:  application/json ; x=\"y\" \r\n"]
    {
        play(lines, Filtered, |body, _| sized("200 OK", lines, body));
    }
}

#[test]
fn encoded_answers_are_refused() {
    for lines in [
        "content-encoding: gzip\r\n",
        "content-encoding: x-gzip\r\n",
        "content-encoding: br\r\n",
        "content-encoding: zstd\r\n",
        "content-encoding: deflate\r\n",
        "content-encoding: compress\r\n",
        "content-encoding: GZIP\r\n",
        "content-encoding: identity, gzip\r\n",
        "content-encoding: gzip, identity\r\n",
        "content-encoding: identity, identity\r\n",
        "content-encoding: identity\r\ncontent-encoding: gzip\r\n",
        "content-encoding: team-c\r\n",
    ] {
        let lines = format!("{JSON}{lines}");
        play(&format!("{lines:?}"), Status(502), |body, _| sized("200 OK", &lines, stored(body)));
        play(&format!("{lines:?}, a lie"), Status(502), |body, _| chunked(&lines, [body.as_bytes()]));
        play(&format!("{lines:?}, an error"), Status(500), |body, _| sized("500 Oh", &lines, stored(body)));
    }
    play("encoded, unsaid", Withheld, |body, _| sized("200 OK", JSON, stored(body)));
    for lines in ["content-encoding: identity\r\n", "content-encoding: Identity\r\n"] {
        play(lines, Filtered, |body, _| sized("200 OK", &format!("{JSON}{lines}"), body));
    }
}

/// Error bodies in which upstreams, and proxies in front of them, name other tenants.
const ERRORS: [(&str, &str); 6] = [
    (JSON, r#"{"status":"error","errorType":"internal","error":"no such tenant: team-b","data":{"tenant":"TEAM"}}"#),
    (
        JSON,
        r#"{"status":"error","errorType":"execution","error":"expanding series: proxy Series(): Addr: thanos-team-b:10901","warnings":["team-b"]}"#,
    ),
    (JSON, r#"{"code":"err-mimir-tenant-max-request-rate","message":"team-b"}"#),
    ("content-type: text/plain; charset=utf-8\r\n", "no such tenant: team-b\n"),
    ("content-type: text/html\r\n", "<html><title>Blocked</title>team-b</html>"),
    ("", "team-b"),
];

#[test]
fn errors_keep_their_status_and_name_nobody() {
    for status in [400, 401, 403, 404, 405, 408, 422, 429, 500, 501, 502, 503, 504, 599] {
        let (lines, text) = ERRORS[usize::from(status) % ERRORS.len()];
        play(&format!("{status} {text}"), Status(status), |_, _| sized(&format!("{status} team-b"), lines, text));
    }
    for (lines, text) in ERRORS {
        play(text, Status(404), |_, _| sized("404 team-b", lines, text));
        play(&format!("{text}, in chunks"), Status(500), |_, _| {
            let mut steps = chunked(lines, text.as_bytes().chunks(5));
            steps[0] =
                send(format!("HTTP/1.1 500 team-b\r\n{lines}transfer-encoding: chunked\r\nconnection: close\r\n\r\n"));
            steps
        });
        play(&format!("{text}, until it ends"), Status(500), |_, _| {
            vec![send(format!("HTTP/1.1 500 team-b\r\n{lines}\r\n{text}"))]
        });
    }
    play("an error with an answer", Status(500), |body, _| {
        sized("500 Oh", JSON, body.replace("success", "error").replace(r#""data""#, r#""team-b""#))
    });
}

#[test]
fn other_statuses_tell_no_more() {
    for status in [201, 202, 203, 206, 207, 226, 299] {
        play(&status.to_string(), Silent, |body, _| {
            sized(&format!("{status} OK"), &format!("{JSON}content-range: bytes 0-5/6\r\n"), body)
        });
    }
    for status in [300, 301, 302, 303, 307, 308, 399] {
        play(&status.to_string(), Status(status), |body, _| sized(&format!("{status} See"), "location: /x\r\n", body));
        play(&format!("{status}, JSON"), Silent, |_, _| {
            sized(&format!("{status} See"), JSON, r#"{"status":"error","error":"team-b"}"#)
        });
    }
    for status in [204, 205, 304] {
        play(&format!("{status} with a body"), Silent, |body, _| sized(&format!("{status} No"), JSON, body));
        play(&format!("{status} with chunks"), Silent, |body, _| {
            vec![send(format!(
                "HTTP/1.1 {status} No\r\n{JSON}transfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ))]
        });
    }
    play("101", Silent, |body, _| {
        vec![send("HTTP/1.1 101 Switching\r\nupgrade: team-c\r\nconnection: upgrade\r\n\r\n"), send(body)]
    });
    play("100 and nothing", Withheld, |_, _| vec![send("HTTP/1.1 100 Continue\r\n\r\n")]);
    play("103 and nothing", Withheld, |_, _| {
        vec![send("HTTP/1.1 103 Early Hints\r\nlink: <team-b>\r\n\r\n"), Step::Pause]
    });
    for status in [600, 999, 1000] {
        play(&status.to_string(), Silent, |body, _| {
            sized(&format!("{status} OK"), JSON, body.replace(r#""data""#, r#""x""#))
        });
    }
}

/// Headers that describe the original body are removed, because the body may have changed.
#[test]
fn answers_that_were_filtered_can_t_be_kept_or_resumed() {
    let lines = "etag: \"team-b\"\r\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\naccept-ranges: bytes\r\ncontent-md5: x\r\n\
                 cache-control: public, max-age=600\r\ndigest: x\r\n";
    let lines = format!("{JSON}{lines}");
    play("kept", Filtered, |body, _| sized("200 OK", &lines, body));
    for (_, envoy) in envoys() {
        let id = unique();
        upstream().steps(&id, sized("200 OK", &lines, Kind::Rules.body()));
        let seen = over_h1(envoy.port(), &Request::get("/api/v1/rules").tenant("team-a").header(SCRIPT, &id));
        for name in ["etag", "last-modified", "accept-ranges", "content-md5", "max-age", "digest"] {
            assert!(!seen.shows(name), "{name}: {seen:?}");
        }
        assert!(seen.shows("cache-control: private, no-store") && seen.shows("vary: thanos-tenant"), "{seen:?}");
    }
}

#[test]
fn parts_and_conditions_are_not_asked_of_the_upstream() {
    let id = unique();
    let mut request = Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", &id);
    let names = ["range", "if-range", "if-none-match", "if-modified-since", "if-match", "accept-encoding"];
    for name in names {
        request = request.header(name, "\"x\"");
    }
    assert_eq!(request.send(recorded().port()).status, 200);
    let [seen] = &stub().seen(&id)[..] else { panic!("one request") };
    for name in names {
        assert!(!seen.has(name), "{name}");
    }
}
