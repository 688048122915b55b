//! gRPC on its way through the filter: one message there, frames and trailers back.

use crate::harness::{Fault, Harness, Outcome, Request, Response, Upon};
use promql_tenancy_filter::wire::grpc::{body, write_frame};
use promql_tenancy_filter::wire::labels::{Label, LabelSet};
use promql_tenancy_filter::wire::protobuf::{Message, write_bytes};
use promql_tenancy_filter::wire::thanos::{QueryRequest, SeriesRequest};

const WITHHELD: &str = "a message of the upstream is withheld: it may name what is not this tenant's";
const SERIES: &str = "/thanos.Store/Series";
const QUERY: &str = "/thanos.Query/Query";

fn envoy() -> Harness {
    let config = r#"{"upstream": "thanos", "enable_grpc": true, "default_tenant_id": ""}"#;
    Harness::new(config).expect("a valid configuration")
}

fn call(method: &str) -> Request {
    Request::post(method).header("content-type", "application/grpc").header("te", "trailers")
}

fn query(text: &str) -> Vec<u8> {
    body(&QueryRequest { query: text.as_bytes(), ..Default::default() }).unwrap()
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_frame(message, &mut out).unwrap();
    out
}

fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(number, content, &mut out);
    out
}

/// A frame of `SeriesResponse` with one series.
fn series(tenant: &str) -> Vec<u8> {
    let label = Label { name: b"tenant_id", value: tenant.as_bytes() };
    let mut labels = Vec::new();
    LabelSet { labels: vec![label] }.write(&mut labels);
    frame(&field(1, &[labels, field(2, b"a chunk")].concat()))
}

fn ask(envoy: &mut Harness, method: &str, message: &[u8], answer: Response) -> Outcome {
    envoy.upstream_answers(answer);
    envoy.request(call(method).header("THANOS-TENANT", "team-a").chunk(message))
}

fn answer(body: &[u8], status: &str, message: &str) -> Response {
    let answer = Response::new(200, body).header("content-type", "application/grpc").trailer("grpc-status", status);
    if message.is_empty() { answer } else { answer.trailer("grpc-message", message) }
}

#[test]
fn a_call_goes_upstream_rewritten_and_comes_back_filtered() {
    for size in [1, 3, 100_000] {
        let mut envoy = envoy();
        envoy.answer_in_chunks(size, false);
        let request = body(&SeriesRequest { max_time: 7, ..Default::default() }).unwrap();
        let upstream = [
            series("team-a"),
            frame(&field(2, b"a store of team-b failed")),
            frame(&field(3, b"hint")),
            series("team-a"),
        ];
        let out = ask(&mut envoy, SERIES, &request, answer(&upstream.concat(), "0", ""));
        let sent = out.upstream();
        assert_eq!(sent.headers.get("thanos-tenant").as_deref(), Some("team-a"));
        let (message, tenant) = (sent.chunks.concat(), b"tenant_id\x1a\x06team-a");
        assert!(message.windows(tenant.len()).any(|bytes| bytes == tenant), "{message:?}");
        let expected = [series("team-a"), frame(&field(2, WITHHELD.as_bytes())), series("team-a")].concat();
        assert_eq!(out.answer().body, expected);
        assert_eq!(out.answer().trailers.get("grpc-status").as_deref(), Some("0"));
        assert_eq!(out.trail(), "forwarded grpc_series team-a");
    }
}

#[test]
fn what_the_trailers_say_of_others_is_withheld() {
    let mut envoy = envoy();
    let error = answer(b"", "10", "fetch series for {tenant_id=%22team-b%22}").trailer("grpc-status-details-bin", "AA");
    let out = ask(&mut envoy, QUERY, &query("up"), error);
    let trailers = &out.answer().trailers;
    assert_eq!(trailers.get("grpc-status").as_deref(), Some("10"));
    assert_eq!(trailers.get("grpc-message").as_deref(), Some(WITHHELD));
    assert_eq!(trailers.len(), 2);
    // An answer that is over with its head.
    let only = Response::new(200, "")
        .header("content-type", "application/grpc")
        .header("grpc-status", "13")
        .header("grpc-message", "no store for team-b");
    let out = ask(&mut envoy, QUERY, &query("up"), only);
    assert_eq!(out.answer().headers.get("grpc-message").as_deref(), Some(WITHHELD));
    assert!(!format!("{:?}", out.answer()).contains("team-b"));
}

#[test]
fn a_foreign_series_ends_the_stream_with_an_error() {
    for size in [1, 100_000] {
        let mut envoy = envoy();
        envoy.answer_in_chunks(size, false);
        let upstream = [series("team-a"), series("team-b"), series("team-a")].concat();
        let message = body(&SeriesRequest::default()).unwrap();
        let out = ask(&mut envoy, SERIES, &message, answer(&upstream, "0", ""));
        assert_eq!(out.answer().body, series("team-a"));
        let trailers = &out.answer().trailers;
        assert_eq!(trailers.get("grpc-status").as_deref(), Some("13"));
        assert!(trailers.get("grpc-message").unwrap().contains("a series of another tenant"), "{trailers:?}");
        assert!(out.logs.iter().any(|line| line.text.contains("answer cut short")), "{:?}", out.logs);
    }
}

#[test]
fn refusals_have_their_code_and_plain_text() {
    let mut envoy = envoy();
    let tenant = |request: Request| request.header("THANOS-TENANT", "team-a");
    for (request, code, text) in [
        (call(QUERY).chunk(query("up")), "16", "no tenant: "),
        (tenant(call(QUERY).chunk(query("sum("))), "3", "invalid parameter \"query\": 1:5: parse error: "),
        (
            tenant(call(QUERY).chunk(query("up")).chunk(query("up"))),
            "3",
            "unreadable gRPC message: the request holds more than one message",
        ),
        (tenant(call("/thanos.Status/TSDBStatistics").chunk("")), "7", "this path is not served to tenants: "),
        (tenant(call("/thanos.Other/Method").chunk("")), "12", "unknown path"),
    ] {
        let out = envoy.request(request);
        let answer = out.answer();
        assert!(out.local && !out.sent.complete);
        assert_eq!(answer.headers.get("grpc-status").as_deref(), Some(code), "{}", answer.text());
        assert_eq!(answer.headers.get("content-type").as_deref(), Some("application/grpc"));
        assert!(answer.text().starts_with(text), "{}", answer.text());
    }
}

#[test]
fn a_message_that_does_not_end_is_refused_at_its_bound() {
    let mut envoy = envoy();
    let mut endless = call(QUERY).header("THANOS-TENANT", "team-a");
    for _ in 0..5 {
        endless = endless.chunk(vec![0; 1 << 20]);
    }
    let stream = envoy.open_and_leave(endless.chunk("never"));
    let out = envoy.close(stream);
    assert!(out.local, "{out:#?}");
    assert_eq!(out.answer().headers.get("grpc-status").as_deref(), Some("8"), "{}", out.answer().text());
}

#[test]
fn trailers_that_can_not_be_set_reset_the_stream() {
    let mut envoy = envoy();
    envoy.fail(&[Fault { upon: Upon::Name("proxy_remove_header_map_value"), status: 10 }]);
    let upstream = answer(&series("team-a"), "0", "").trailer("x", "team-b");
    let message = body(&SeriesRequest::default()).unwrap();
    let out = ask(&mut envoy, SERIES, &message, upstream);
    assert!(out.reset || out.local, "{out:#?}");
}

#[test]
fn calls_are_counted_by_what_their_status_stands_for() {
    let mut envoy = envoy();
    let only = |status| Response::new(200, "").header("content-type", "application/grpc").header("grpc-status", status);
    for upstream in [answer(b"", "0", ""), answer(b"", "14", ""), answer(b"", "3", ""), only("13"), only("0")] {
        ask(&mut envoy, QUERY, &query("up"), upstream);
    }
    ask(&mut envoy, QUERY, &query("sum("), answer(b"", "0", ""));
    envoy.tick();
    for (class, expected) in [("2xx", 2), ("4xx", 2), ("5xx", 2)] {
        let counted = envoy.metric(&format!("tenancy_requests_total;code={class};tenant=team-a;handler=grpc_query;"));
        assert_eq!(counted.map(|(_, value)| value), Some(expected), "{class}");
    }
    let withheld = Response::new(200, "").header("content-type", "application/grpc").header("grpc-status", "2");
    ask(&mut envoy, QUERY, &query("up"), withheld.header("grpc-message", "of team-b"));
    envoy.tick();
    let counted = envoy.metric("tenancy_messages_withheld_total;tenant=team-a;handler=grpc_query;");
    assert_eq!(counted.map(|(_, value)| value), Some(1));
}
