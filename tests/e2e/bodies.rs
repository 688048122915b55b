//! Forms that arrive whole or in pieces, are empty or too long: the upstream receives the same form, or nothing.

use crate::support::edges::{self, Outcome};
use crate::support::envoy::Setup;
use crate::support::http::{self, Body, Request, form};
use crate::support::{envoys, stub, unique};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const QUERY: &str = "/api/v1/query";
const ENFORCED: &str = r#"up{tenant_id="team-a"}"#;

fn post(path: &str) -> Request {
    Request::post(path, "").tenant("team-a")
}

/// Every way to send a body without a byte in it.
fn empty_bodies(path: &str) -> Vec<Request> {
    let with = |body| Request { body, ..post(path) };
    vec![
        with(Body::None),
        with(Body::Sized(Vec::new())),
        with(Body::Chunked(vec![Vec::new()], Vec::new())),
        with(Body::Chunked(vec![Vec::new(), Vec::new()], Vec::new())),
    ]
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn assert_form(outcomes: &[Outcome], expected: &[(&str, &str)]) {
    for outcome in outcomes {
        let seen = outcome.forwarded("team-a");
        assert_eq!((seen.form(), seen.target.as_str()), (pairs(expected), QUERY), "{}", outcome.way);
        assert_eq!(seen.all("content-type"), ["application/x-www-form-urlencoded"]);
    }
}

/// The selector that matches nothing. It is in the URL of a request whose form has the selectors.
const NOTHING: &str = r#"{tenant_id="team-a",__name__="promql_tenancy_filter:nothing"}"#;

#[test]
fn form_is_rewritten_in_however_many_pieces_it_comes() {
    let expected = [("query", ENFORCED), ("time", "1")];
    let whole = b"query=up&time=1".as_slice();
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_form(&edges::send(&Request { body: Body::Sized(whole.to_vec()), ..post(QUERY) }), &expected);
    for chunks in [
        vec![whole],
        bytes,
        vec![b"query=u", b"p&time=1"],
        vec![b"", b"query=up", b"", b"&time=1", b""],
        vec![b"query=up&time=1", b""],
    ] {
        assert_form(&edges::send(&post(QUERY).chunked(&chunks, &[])), &expected);
        assert_form(&edges::send(&post(QUERY).chunked(&chunks, &[("x-checksum", "1")])), &expected);
    }
}

#[test]
fn refused_form_reaches_nobody_in_however_many_pieces_it_comes() {
    let marker = unique();
    let bad = format!("time=1&query={marker}(");
    let bytes: Vec<&[u8]> = bad.as_bytes().chunks(1).collect();
    for chunks in [vec![bad.as_bytes()], bytes] {
        for trailers in [&[][..], &[("x-checksum", "1")]] {
            for outcome in edges::send(&post(QUERY).chunked(&chunks, trailers)) {
                assert!(outcome.refused(400).contains("parse error"), "{}", outcome.way);
            }
        }
    }
    assert!(!stub().received(&marker));
}

#[test]
fn empty_body_leaves_the_query_in_the_url() {
    for request in empty_bodies(&format!("{QUERY}?query=up")) {
        for outcome in edges::send(&request) {
            let seen = outcome.forwarded("team-a");
            assert_eq!((seen.query(), seen.form()), (pairs(&[("query", ENFORCED)]), vec![]), "{}", outcome.way);
        }
    }
}

#[test]
fn empty_body_of_a_selector_endpoint_gains_one_selector() {
    const OWN: &str = r#"{tenant_id="team-a"}"#;
    for path in ["/api/v1/labels", "/api/v1/series", "/api/v1/search/label_names"] {
        for request in empty_bodies(path) {
            for outcome in edges::send(&request) {
                let seen = outcome.forwarded("team-a");
                // Where a form could come, the URL selects nothing, in case that the upstream loses the form.
                let expected = match seen.form().is_empty() {
                    true => (pairs(&[("match[]", OWN)]), vec![]),
                    false => (pairs(&[("match[]", NOTHING)]), pairs(&[("match[]", OWN)])),
                };
                assert_eq!((seen.query(), seen.form()), expected, "{}", outcome.way);
            }
        }
    }
}

/// Envoy has no buffer for a form here, so the filter can't add one. Refusing the request is right; answering with the data of all tenants is not.
#[test]
fn trailers_without_a_body_never_widen_the_answer() {
    for path in ["/api/v1/labels", "/api/v1/series", QUERY] {
        for chunks in [&[][..], &[b"".as_slice()]] {
            for outcome in edges::send(&post(path).chunked(chunks, &[("x-checksum", "1")])) {
                if outcome.answer.status == 200 {
                    let seen = outcome.forwarded("team-a");
                    let pairs = [seen.query(), seen.form()].concat();
                    let own = pairs.iter().filter(|(_, selector)| selector != NOTHING).count();
                    assert_eq!(own, usize::from(path != QUERY), "{}: {seen:#?}", outcome.way);
                } else {
                    outcome.refused(500);
                }
            }
        }
    }
}

#[test]
fn body_of_a_get_is_refused() {
    let marker = unique();
    let body = format!("query={marker}");
    for request in [
        Request { body: Body::Sized(body.clone().into()), ..Request::get("/api/v1/query?query=up") },
        Request::get("/api/v1/query?query=up").chunked(&[body.as_bytes()], &[]),
        Request::get("/api/v1/query?query=up").chunked(&[body.as_bytes()], &[("x-checksum", "1")]),
        Request::get("/api/v1/labels").chunked(&[b"", body.as_bytes()], &[]),
        Request::get("/-/healthy").chunked(&[body.as_bytes()], &[]),
    ] {
        for outcome in
            edges::send(&request.header("content-type", "application/x-www-form-urlencoded").tenant("team-a"))
        {
            assert!(outcome.refused(400).contains("can't have a body"), "{}", outcome.way);
        }
    }
    assert!(!stub().received(&marker));
}

#[test]
fn empty_body_of_a_get_is_none() {
    for body in [Body::Sized(Vec::new()), Body::Chunked(vec![Vec::new()], Vec::new())] {
        let request = Request { body, ..Request::get("/api/v1/query?query=up").tenant("team-a") };
        for outcome in edges::send(&request) {
            assert!(outcome.forwarded("team-a").body.is_empty());
        }
    }
}

#[test]
fn other_content_types_and_compressed_forms_are_refused() {
    let compressed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03+,M-\xaa\xb4--\0\0\x98\xdd\xcc\xf1\x08\0\0\0".to_vec();
    let without_type = Request { body: Body::Sized(b"query=up".to_vec()), ..Request::new("POST", QUERY) };
    for request in [
        without_type.clone(),
        without_type.clone().header("content-type", "application/json"),
        without_type.clone().header("content-type", "multipart/form-data; boundary=x"),
        without_type.clone().header("content-type", "text/plain"),
        without_type
            .clone()
            .header("content-type", "application/x-www-form-urlencoded")
            .header("content-type", "application/json"),
        Request { body: Body::Sized(compressed), ..Request::post(QUERY, "") }.header("content-encoding", "gzip"),
        Request::post(QUERY, "query=up").header("content-encoding", "identity"),
    ] {
        for outcome in edges::send(&request.tenant("team-a")) {
            assert!(outcome.refused(415).contains("unsupported content"), "{}", outcome.way);
        }
    }
}

#[test]
fn long_forms_are_rewritten_and_longer_ones_than_the_buffer_refused() {
    let long = |size: usize| format!("up{{instance=~\"{}\"}}", "a|".repeat(size / 2));
    for size in [20_000, 900_000] {
        let asked = Request::post(QUERY, &form(&[("query", &long(size).replace('|', "b"))])).tenant("team-a");
        for outcome in edges::send(&asked) {
            let value = outcome.forwarded("team-a").form().remove(0).1;
            assert!(value.len() > size && value.starts_with("up{tenant_id=\"team-a\","), "{}", outcome.way);
        }
    }
    let url = form(&[("query", &long(20_000).replace('|', "b"))]);
    for outcome in edges::send(&Request::get(&format!("{QUERY}?{url}")).tenant("team-a")) {
        assert!(outcome.forwarded("team-a").query()[0].1.len() > 20_000);
    }
    let marker = unique();
    for size in [1_100_000, 3_000_000] {
        let asked = format!("time={marker}&query={}", "a".repeat(size));
        for request in [Request::post(QUERY, &asked), Request::post(QUERY, "").chunked(&[asked.as_bytes()], &[])] {
            for outcome in edges::send(&request.tenant("team-a")) {
                outcome.refused(413);
            }
        }
    }
    assert!(!stub().received(&marker));
}

/// What Envoy holds back is bounded (`per_connection_buffer_limit_bytes`), also where the rewritten form is longer than the one
/// that came.
#[test]
fn form_may_grow_as_far_as_the_buffer() {
    let ask = |terms: usize| Request::post(QUERY, &form(&[("query", &vec!["up"; terms].join("+"))])).tenant("team-a");
    for outcome in edges::send(&ask(27_000)) {
        let seen = outcome.forwarded("team-a");
        assert!(seen.body.len() > 900_000, "{}", seen.body.len());
        assert_eq!(seen.form()[0].1.matches(ENFORCED).count(), 27_000, "{}", outcome.way);
    }
    for outcome in edges::send(&ask(60_000)) {
        outcome.refused(413);
    }
}

#[test]
fn client_that_waits_for_100_is_answered() {
    for outcome in
        edges::send_http1(&Request::post(QUERY, "query=up").tenant("team-a").header("expect", "100-continue"))
    {
        assert_eq!(outcome.forwarded("team-a").form(), pairs(&[("query", ENFORCED)]));
    }
}

/// Each form grows; what follows it on the connection is read from where it begins.
#[test]
fn requests_on_one_connection_stay_apart() {
    for envoy in envoys() {
        let ids = [unique(), unique(), unique()];
        let keep = |request: Request, id: &str| {
            request.tenant("team-a").header("connection", "keep-alive").header("x-e2e-id", id).encode()
        };
        let mut bytes = keep(Request::post(QUERY, "query=up"), &ids[0]);
        bytes.extend(keep(Request::post("/api/v1/labels", "").chunked(&[b"limit=1"], &[]), &ids[1]));
        bytes.extend(Request::get("/api/v1/query?query=up").tenant("team-b").header("x-e2e-id", &ids[2]).encode());
        let answers = http::raw_answered(envoy.port(), &bytes, 3);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200]);
        for (id, tenant) in ids.iter().zip(["team-a", "team-a", "team-b"]) {
            let [seen] = stub().seen(id).try_into().unwrap();
            seen.assert_scoped(tenant);
        }
    }
}

/// The tests of trailers depend on this: without the filter, trailers do arrive.
#[test]
fn trailers_reach_an_upstream_without_the_filter() {
    let envoy = Setup::shipped(stub().port).without_filter().http1_trailers().start("envoy-no-filter");
    let request = post(QUERY).chunked(&[b"query=up"], &[("thanos-tenant", "team-b")]);
    for send in [|request: &Request, port| request.send(port), |request: &Request, port| request.send_h2(port).unwrap()]
    {
        let id = unique();
        assert_eq!(send(&request.clone().header("x-e2e-id", &id), envoy.port()).status, 200);
        let [seen] = stub().seen(&id).try_into().unwrap();
        assert_eq!(seen.trailers, pairs(&[("thanos-tenant", "team-b")]));
    }
}

/// An upstream that does not wait for the form answers without it, and so without the tenant's matcher: Prometheus's
/// `labels` does, for everybody, when its read timeout strikes.
#[test]
fn answer_before_the_form_is_whole_is_not_passed_on() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = upstream.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in upstream.incoming() {
            let mut stream = stream.unwrap();
            let mut seen: Vec<u8> = Vec::new();
            while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut bytes = [0; 4096];
                match stream.read(&mut bytes) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => seen.extend(&bytes[..count]),
                }
            }
            let body = r#"{"status":"success","data":["label_of_team_b"]}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            let _ = write!(stream, "{head}{}\r\n\r\n{body}", body.len());
        }
    });
    for allowed in [true, false] {
        let envoy = Setup::shipped(port).stop_iteration(allowed).start("envoy-early");
        let ask = |sent: &str| {
            let mut client = TcpStream::connect(("127.0.0.1", envoy.port)).unwrap();
            let head = "POST /api/v1/labels HTTP/1.1\r\nhost: x\r\nthanos-tenant: team-a\r\n\
                        content-type: application/x-www-form-urlencoded\r\ncontent-length: 8\r\nconnection: close\r\n\r\n";
            write!(client, "{head}{sent}").unwrap();
            let mut answer = String::new();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let _ = client.read_to_string(&mut answer);
            answer
        };
        let early = ask("start=");
        assert!(early.starts_with("HTTP/1.1 502") && early.contains("before the request's body was whole"), "{early}");
        assert!(!early.contains("label_of_team_b"), "{early}");
        assert!(ask("").starts_with("HTTP/1.1 502"));
    }
}
