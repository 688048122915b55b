//! Request smuggling: requests whose end two readers could see in different places. Every request that reaches the upstream was read by the filter, and
//! is scoped to its own tenant.

use crate::support::http::{raw, raw_answered};
use crate::support::stub::Seen;
use crate::support::{envoys, stub, unique};

/// The request that is hidden in, or after, the first request: a query that is not scoped.
fn hidden(marker: &str) -> String {
    format!(
        "GET /api/v1/query?query={marker} HTTP/1.1\r\nhost: localhost\r\nthanos-tenant: team-b\r\nx-e2e-id: {marker}\r\n\r\n"
    )
}

/// Requests by what is wrong with them, and made from what is hidden in them and its length.
struct Case<'a> {
    what: String,
    request: Box<Build<'a>>,
}

type Build<'a> = dyn Fn(&str, usize) -> Vec<u8> + Sync + 'a;

fn case<'a>(what: impl std::fmt::Debug, request: impl Fn(&str, usize) -> Vec<u8> + Sync + 'a) -> Case<'a> {
    Case { what: format!("{what:?}"), request: Box::new(request) }
}

/// Sends each to each Envoy, all at once since most of the time is spent waiting; asserts that the hidden query reached nobody
/// unread.
fn assert_nothing_hidden_passes(cases: &[Case<'_>]) {
    std::thread::scope(|scope| {
        for envoy in envoys() {
            let port = envoy.port();
            for case in cases {
                scope.spawn(move || {
                    let marker = unique();
                    let hidden = hidden(&marker);
                    let mut bytes = (case.request)(&hidden, hidden.len());
                    bytes.extend(b"GET /api/v1/labels HTTP/1.1\r\nhost: localhost\r\nthanos-tenant: team-a\r\nconnection: close\r\n\r\n");
                    raw(port, &bytes);
                    let seen: Vec<Seen> = stub().seen(&marker);
                    seen.iter().for_each(|seen| seen.assert_scoped("team-b"));
                    assert!(!stub().received(&format!("query={marker} ")), "{}: it passed", case.what);
                });
            }
        }
    });
}

/// A form's head, with these lines on its length, and the body.
fn post(lines: &str, body: &str) -> Vec<u8> {
    let head = "POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\nthanos-tenant: team-a\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    format!("{head}{lines}\r\n{body}").into_bytes()
}

#[test]
fn length_and_chunks_together() {
    let mut cases = Vec::new();
    for te in [
        "transfer-encoding: chunked",
        "Transfer-Encoding:chunked",
        "transfer-encoding: CHUNKED",
        "transfer-encoding: \tchunked",
    ] {
        cases.extend([
            case(te, move |hidden, size| {
                post(&format!("content-length: {}\r\n{te}\r\n", size + 5), &format!("0\r\n\r\n{hidden}"))
            }),
            case(te, move |hidden, _| {
                post(&format!("{te}\r\ncontent-length: 8\r\n"), &format!("8\r\nquery=up\r\n0\r\n\r\n{hidden}"))
            }),
            case(te, move |hidden, size| {
                post(&format!("content-length: 4\r\n{te}\r\n"), &format!("{size:x}\r\n{hidden}\r\n0\r\n\r\n"))
            }),
        ]);
    }
    assert_nothing_hidden_passes(&cases);
}

#[test]
fn transfer_encoding_that_is_not_quite_one() {
    let mut cases = Vec::new();
    for te in [
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding : chunked",
        "transfer-encoding: chunked\u{b}",
        "transfer-encoding: \"chunked\"",
        "transfer-encoding:\r\n chunked",
        " transfer-encoding: chunked",
        "x: y\r\n\ttransfer-encoding: chunked",
        "transfer_encoding: chunked",
        "transfer-encoding: chunked;q=1",
        "transfer-encoding: gzip, chunked",
    ] {
        cases.extend([
            case(te, move |hidden, _| post(&format!("{te}\r\n"), &format!("0\r\n\r\n{hidden}"))),
            case(te, move |hidden, size| {
                post(&format!("content-length: {}\r\n{te}\r\n", size + 5), &format!("0\r\n\r\n{hidden}"))
            }),
        ]);
    }
    assert_nothing_hidden_passes(&cases);
}

#[test]
fn lengths_that_disagree_or_are_none() {
    let lines = [
        "content-length: 8\r\ncontent-length: 9",
        "content-length: 8\r\ncontent-length: 8",
        "content-length: 8, 8",
        "content-length: +8",
        "content-length: -8",
        "content-length: 0x8",
        "content-length: 8 0",
        "content-length: 08",
        "content-length: 8\u{b}",
        "content-length: 18446744073709551624",
        "content-length : 8",
        "content-length: ",
        "content_length: 8",
    ];
    let cases =
        lines.map(|lines| case(lines, move |hidden, _| post(&format!("{lines}\r\n"), &format!("query=up{hidden}"))));
    assert_nothing_hidden_passes(&cases);
}

#[test]
fn chunks_that_are_not_quite_ones() {
    const CHUNKED: &str = "transfer-encoding: chunked\r\n";
    let sizes = [
        "8;{}",
        "8;x=\"\r\n\"",
        "+8",
        "0x8",
        " 8",
        "8 ",
        "-1",
        "ffffffffffffffff",
        "100000000000000008",
        "8\n",
        "08",
        "8\r",
        "g",
    ];
    let ends = [
        "0\r\n",
        "0\n\n",
        "0\r\nx: y\r\n",
        "00\r\n\r\n",
        "0;x\r\n\r\n",
        "0\r\ncontent-length: 9\r\nthanos-tenant: team-b\r\n\r\n",
    ];
    let mut cases =
        vec![case("a chunk's end", |hidden, _| post(CHUNKED, &format!("8\r\nquery=upxx0\r\n\r\n{hidden}")))];
    cases.extend(
        sizes.map(|size| {
            case(size, move |hidden, _| post(CHUNKED, &format!("{size}\r\nquery=up\r\n0\r\n\r\n{hidden}")))
        }),
    );
    cases.extend(ends.map(|end| case(end, move |hidden, _| post(CHUNKED, &format!("8\r\nquery=up\r\n{end}{hidden}")))));
    assert_nothing_hidden_passes(&cases);
}

#[test]
fn lines_that_end_otherwise() {
    let head = |end: &str| {
        format!("GET /api/v1/query?query=up HTTP/1.1{end}host: localhost{end}thanos-tenant: team-a{end}{end}")
    };
    let ends = ["\n", "\r", "\r\r\n", "\u{85}", "\0\r\n"];
    let headers = [
        "x: a\rthanos-tenant: team-b",
        "x: a\nthanos-tenant: team-b",
        "x: a\0b",
        "thanos-tenant\0: team-b",
        ": x",
        "thanos-tenant",
        "thanos-tenant: team-a\r\n thanos-tenant: team-b",
    ];
    let mut cases: Vec<Case<'_>> =
        ends.map(|end| case(end, move |hidden, _| [&head(end), hidden].concat().into())).into();
    cases.extend(headers.map(|header| {
        let head = format!("GET /api/v1/query?query=up HTTP/1.1\r\nhost: localhost\r\n{header}\r\n\r\n");
        case(header, move |hidden, _| [&head, hidden].concat().into())
    }));
    assert_nothing_hidden_passes(&cases);
}

#[test]
fn body_of_a_get_is_not_the_next_request() {
    let get = |path: &str, lines: String, body: String| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nthanos-tenant: team-a\r\n{lines}\r\n\r\n{body}").into_bytes()
    };
    assert_nothing_hidden_passes(&[
        case("a length", move |hidden, size| {
            get("/api/v1/query?query=up", format!("content-length: {size}"), hidden.to_owned())
        }),
        case("chunks", move |hidden, size| {
            get("/api/v1/labels", "transfer-encoding: chunked".to_owned(), format!("{size:x}\r\n{hidden}\r\n0\r\n\r\n"))
        }),
        case("expect", move |hidden, size| {
            get("/-/healthy", format!("expect: 100-continue\r\ncontent-length: {size}"), hidden.to_owned())
        }),
        // As a form it is one parameter without a value, which no endpoint knows.
        case("a form", |hidden, size| post(&format!("content-length: {size}\r\n"), hidden)),
    ]);
}

#[test]
fn what_follows_a_request_is_read_as_a_request_of_its_own() {
    for envoy in envoys() {
        let marker = unique();
        let bytes = [post("content-length: 8\r\n", "query=up"), hidden(&marker).into_bytes()].concat();
        raw_answered(envoy.port(), &bytes, 2);
        let [seen] = stub().seen(&marker).try_into().unwrap();
        seen.assert_scoped("team-b");
    }
}
