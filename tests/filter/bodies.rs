//! Bodies, whole or in pieces, with and without an end of their own: what the upstream reads is the same, under both
//! settings of `allow_on_headers_stop_iteration`.

use crate::harness::{Harness, Outcome, Request};

const FORM: &str = "query=sum(rate(up%5B5m%5D))&time=1.5";

/// Sends the request to two proxies, one with each setting; asserts that they agree.
fn send(request: &Request) -> Outcome {
    let [off, on] = [false, true].map(|allow| {
        let mut envoy = Harness::new("{}").unwrap().allow_on_headers_stop_iteration(allow);
        envoy.request(request.clone().header("THANOS-TENANT", "team-a"))
    });
    let seen =
        |out: &Outcome| (out.sent.headers.clone(), out.sent.body.clone(), out.sent.complete, out.answer().body.clone());
    assert_eq!(seen(&off), seen(&on));
    assert!(!off.hung && !on.hung);
    on
}

fn chunked(path: &str) -> Request {
    Request::post(path).header("content-type", "application/x-www-form-urlencoded")
}

#[test]
fn every_split_of_a_form_reads_the_same() {
    let whole = send(&chunked("/api/v1/query").chunk(FORM)).body();
    assert!(whole.contains("tenant_id"), "{whole}");
    for first in 0..=FORM.len() {
        for request in [
            chunked("/api/v1/query").chunk(FORM).split(&[first]),
            chunked("/api/v1/query").chunk(FORM).split(&[first, 0, 1]),
            chunked("/api/v1/query").chunk(FORM).split(&[first]).open(),
            chunked("/api/v1/query").chunk(FORM).split(&[first]).trailer("x-checksum", "1"),
        ] {
            assert_eq!(send(&request).body(), whole, "split at {first}");
        }
    }
    let single_bytes = chunked("/api/v1/query").chunk(FORM).split(&[1; FORM.len()]);
    assert_eq!(send(&single_bytes).body(), whole);
}

#[test]
fn form_before_trailers_is_rewritten_or_refused_as_any_other() {
    let out = send(&chunked("/api/v1/query").chunk("query=up").trailer("x-checksum", "1"));
    assert_eq!(out.upstream().form_pairs(), [("query".to_owned(), r#"up{tenant_id="team-a"}"#.to_owned())]);
    let out = send(&chunked("/api/v1/query").chunk("query=up(").trailer("x-checksum", "1"));
    out.refused(400);
    assert!(out.sent.body.is_empty() && !out.sent.complete);
}

#[test]
fn refused_form_sends_no_byte_of_itself_upstream() {
    for body in ["query=up(", "query=up&query=down", "query=up;", "query=%"] {
        let out = send(&chunked("/api/v1/query").chunk(body).split(&[1, 2, 3]));
        out.refused(400);
        assert!(out.sent.body.is_empty(), "{body}");
    }
}

#[test]
fn query_in_the_url_needs_no_body() {
    let url = "/api/v1/query?query=up";
    for request in [
        Request::post(url),
        Request::post(url).header("content-length", "0"),
        chunked(url),
        chunked(url).open(),
        chunked(url).chunk("").open(),
        chunked(url).trailer("x-checksum", "1"),
        chunked(url).chunk("").trailer("x-checksum", "1"),
    ] {
        let out = send(&request);
        assert_eq!(out.upstream().query_pairs(), [("query".to_owned(), r#"up{tenant_id="team-a"}"#.to_owned())]);
        assert_eq!(out.body(), "");
    }
}

#[test]
fn get_without_a_body_passes_however_its_end_shows() {
    let get = || Request::get("/api/v1/query?query=up");
    for request in [
        get(),
        get().open(),
        get().chunk("").open(),
        get().trailer("x-checksum", "1"),
        get().header("content-length", "0"),
    ] {
        let out = send(&request);
        assert_eq!(out.upstream().query_pairs(), [("query".to_owned(), r#"up{tenant_id="team-a"}"#.to_owned())]);
        assert_eq!(out.body(), "");
    }
}

#[test]
fn get_with_a_body_is_refused_at_its_first_byte() {
    let get = || Request::get("/api/v1/query?query=up");
    for request in [
        get().chunk("query=down"),
        get().chunk("q").open(),
        get().chunk("").chunk("q").open(),
        get().chunk("q").trailer("x-checksum", "1"),
        get().chunk("x".repeat(100_000)).split(&[10; 50]),
    ] {
        let out = send(&request);
        assert_eq!(out.refused(400).json()["errorType"], "bad_data");
        assert!(out.sent.body.is_empty());
    }
}

#[test]
fn body_is_read_once() {
    let out = send(&chunked("/api/v1/query").chunk(FORM).split(&[1; 30]));
    assert_eq!(out.calls.get("proxy_get_buffer_bytes"), Some(&2), "and the answer's");
    let out = send(&chunked("/api/v1/query").chunk(FORM).split(&[1; 30]).trailer("x", "y"));
    assert_eq!(out.calls.get("proxy_get_buffer_bytes"), Some(&2), "and the answer's");
}

#[test]
fn large_form_is_rewritten_whole() {
    let terms = vec!["up"; 500].join("%2B");
    let out = send(&chunked("/api/v1/query").chunk(format!("query={terms}")).split(&[1000]));
    let (_, query) = &out.upstream().form_pairs()[0];
    assert_eq!(query.matches(r#"{tenant_id="team-a"}"#).count(), 500);
}

#[test]
fn passthrough_body_goes_on_as_it_comes() {
    let mut envoy = Harness::new(r#"{"passthrough_paths": ["/hook"]}"#).unwrap();
    let request = || Request::post("/hook?a=%zz").header("content-type", "application/json").chunk("{\"a\":1;}");
    for request in [request(), request().split(&[2, 3]), request().trailer("thanos-tenant", "team-b")] {
        let out = envoy.request(request.header("THANOS-TENANT", "team-a").header("X-Scope-OrgID", "team-b"));
        assert_eq!((out.path().as_str(), out.body().as_str()), ("/hook?a=%zz", "{\"a\":1;}"));
        assert_eq!(out.upstream().headers.get("thanos-tenant").as_deref(), Some("team-a"));
        assert_eq!(out.upstream().headers.get("x-scope-orgid"), None);
        assert_eq!(out.upstream().trailers.len(), 0);
        assert_eq!(out.calls.get("proxy_get_buffer_bytes"), None, "nothing is held back or read");
    }
}
