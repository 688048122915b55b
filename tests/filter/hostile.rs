//! A host that fails at any point: nothing unenforced goes upstream, and nothing traps (a trap aborts the test's
//! process).

use crate::harness::{Fault, Harness, Outcome, Request, Upon};

/// Stands wherever a client can put another tenant's name. Must never reach the upstream.
const FOREIGN: &str = "team-b";

/// Requests of every kind, each asking for what is another tenant's in every place it has.
fn requests() -> Vec<Request> {
    let query = format!("query=secret%7Btenant_id%3D%22{FOREIGN}%22%7D");
    let url = format!("/api/v1/query?{query}");
    let form = || Request::form("/api/v1/query", &query);
    let chunked = || form().without_header("content-length").split(&[3, 4]);
    [
        Request::get(&url),
        Request::get(&url).open(),
        Request::get(&url).trailer("thanos-tenant", FOREIGN),
        Request::post(&url),
        Request::form(&url, &query),
        form(),
        chunked(),
        chunked().open(),
        chunked().trailer("thanos-tenant", FOREIGN).trailer("x-scope-orgid", FOREIGN),
        Request::get(format!("/api/v1/query?query=secret(&x={FOREIGN}")),
        Request::form("/api/v1/query", format!("query=secret(&x={FOREIGN}")),
        Request::get(&url).chunk(&query),
        Request::get(format!("/api/v1/targets?x={FOREIGN}")),
    ]
    .into_iter()
    .map(|request| request.header("THANOS-TENANT", "team-a").header("X-Scope-OrgID", FOREIGN))
    .collect()
}

/// Whatever went upstream, whole or not, is the tenant's own.
fn assert_nothing_leaked(out: &Outcome, tenant: &str) {
    let Some(head) = &out.sent.headers else {
        assert!(out.sent.body.is_empty() && out.sent.trailers.len() == 0 && !out.sent.complete);
        return;
    };
    assert!(out.sent.body.is_empty() || out.sent.complete, "a part of a body went upstream: {out:#?}");
    let text = format!("{head:?} {} {:?}", String::from_utf8_lossy(&out.sent.body), out.sent.trailers);
    assert!(!text.contains(FOREIGN), "{text}");
    assert_eq!(head.all("thanos-tenant"), [tenant], "{text}");
    let path = head.get(":path").unwrap_or_default();
    let url = path.split_once('?').map_or("", |(_, query)| query);
    for encoded in [url.as_bytes(), &out.sent.body] {
        for (name, value) in form_urlencoded::parse(encoded).filter(|(name, _)| name == "query") {
            let matcher = format!("tenant_id=\"{tenant}\"");
            assert!(value.contains(&matcher), "{name}={value} in {text}");
        }
    }
}

/// A failed call refuses; it neither hangs the client nor passes by.
fn assert_refused_or_whole(out: &Outcome) {
    assert!(!out.hung, "{out:#?}");
    match (out.local, out.reset) {
        (false, false) => assert!(out.sent.complete, "{out:#?}"),
        (true, false) => assert!(out.answer().status >= 400, "{out:#?}"),
        (_, true) => assert!(out.response.is_none(), "{out:#?}"),
    }
}

const STATUSES: [u32; 8] = [1, 2, 7, 8, 10, 12, 999, u32::MAX];

#[test]
fn any_failing_call_refuses() {
    for allow in [false, true] {
        for (at, request) in requests().into_iter().enumerate() {
            let mut envoy = Harness::new("{}").unwrap().allow_on_headers_stop_iteration(allow);
            let calls = envoy.request(request.clone()).decisive();
            assert!(calls >= 2, "request {at}: {calls} calls");
            for nth in 0..calls {
                for status in STATUSES {
                    envoy.fail(&[Fault { upon: Upon::Nth(nth), status }]);
                    // Lines are bounded by the second.
                    envoy.advance_ns(1_000_000_000);
                    let out = envoy.request(request.clone());
                    assert_nothing_leaked(&out, "team-a");
                    assert_refused_or_whole(&out);
                    assert!(out.local || out.reset, "request {at}, call {nth}: a failure was overlooked: {out:#?}");
                    assert!(out.logs.iter().any(|line| line.level == 4), "the operator is told: {:?}", out.logs);
                }
            }
            envoy.heal();
            assert_eq!(envoy.request(request).decisive(), calls, "a fault leaves nothing behind");
        }
    }
}

#[test]
fn all_calls_failing_from_any_point_on_forwards_nothing() {
    for request in requests() {
        let mut envoy = Harness::new("{}").unwrap();
        let calls = envoy.request(request.clone()).decisive();
        for first in 0..calls {
            for status in STATUSES {
                envoy.fail(&[Fault { upon: Upon::From(first), status }]);
                let out = envoy.request(request.clone());
                assert_nothing_leaked(&out, "team-a");
                // Where not even the stream can be cut off, a head may have gone on.
                assert!(out.response.as_ref().is_none_or(|answer| answer.body.is_empty()), "{out:#?}");
            }
        }
    }
}

#[test]
fn where_no_local_reply_can_be_sent_the_stream_is_cut_off() {
    for request in requests() {
        let mut envoy = Harness::new("{}").unwrap();
        let refused = envoy.request(request.clone()).local;
        envoy.fail(&[Fault { upon: Upon::Name("proxy_send_local_response"), status: 10 }]);
        let out = envoy.request(request);
        assert_eq!(out.reset, refused);
        assert_nothing_leaked(&out, "team-a");
        assert_refused_or_whole(&out);
    }
}

#[test]
fn failing_log_changes_nothing() {
    for request in requests() {
        let mut envoy = Harness::new("{}").unwrap();
        let expected = envoy.request(request.clone());
        envoy.fail(&[Fault { upon: Upon::Name("proxy_log"), status: 10 }]);
        let out = envoy.request(request);
        assert_eq!(out.sent.complete, expected.sent.complete);
        assert_eq!(out.answer().body, expected.answer().body);
        assert!(out.logs.is_empty());
    }
}

#[test]
fn malformed_header_map_refuses() {
    for bytes in
        [&b"\0"[..], b"\x01\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f\0\0\0\0\0\0\0\0\0\0", b"\0\0\0\0\0"]
    {
        let mut envoy = Harness::new("{}").unwrap();
        envoy.garbage_map(Some(bytes.to_vec()));
        for request in requests() {
            let out = envoy.request(request);
            assert_eq!(out.refused(500).json()["errorType"], "internal");
            assert!(out.sent.headers.is_none());
        }
    }
}

#[test]
fn empty_header_map_refuses() {
    for bytes in [&b""[..], b"\0\0\0\0"] {
        let mut envoy = Harness::new("{}").unwrap();
        envoy.garbage_map(Some(bytes.to_vec()));
        let out = envoy.request(Request::get("/api/v1/query?query=up"));
        assert!(out.local && out.sent.headers.is_none(), "{out:#?}");
    }
}

#[test]
fn nothing_goes_on_after_a_refusal_even_if_the_host_asks() {
    for request in requests() {
        for nth in 0..4 {
            let mut envoy = Harness::new("{}").unwrap().calls_after_local_reply();
            envoy.fail(&[Fault { upon: Upon::Nth(nth), status: 10 }]);
            // A second reply, or a Continue after the first, is a violation that the harness itself asserts against.
            let out = envoy.request(request.clone().split(&[1, 1, 1]).open());
            assert_nothing_leaked(&out, "team-a");
        }
    }
}

#[test]
fn bytes_that_come_after_the_end_are_refused() {
    let form = || Request::form("/api/v1/query", "query=up").without_header("content-length");
    for request in [Request::get("/api/v1/query?query=up"), form(), form().trailer("x", "y")] {
        let late = request.header("THANOS-TENANT", "team-a").after_end(FOREIGN);
        let out = Harness::new("{}").unwrap().request(late);
        assert!(out.local, "{out:#?}");
        assert_nothing_leaked(&out, "team-a");
    }
}

#[test]
fn body_that_is_shown_in_part_is_refused() {
    let form = || Request::form("/api/v1/query", "query=up&time=1").without_header("content-length");
    for request in [form(), form().split(&[3]).open(), form().trailer("x", "y")] {
        let mut envoy = Harness::new("{}").unwrap();
        envoy.short_buffers(2);
        let out = envoy.request(request.header("THANOS-TENANT", "team-a"));
        assert_eq!(out.refused(500).json()["errorType"], "internal");
        assert!(out.sent.body.is_empty());
    }
}
