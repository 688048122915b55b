//! `max_response_size_bytes`: an answer that is longer is refused or cut, so that no client takes a part of it for the whole, and counted.

use crate::harness::{Harness, Outcome, Request, Response};
use promql_tenancy_filter::wire::crc32c::crc32c;
use promql_tenancy_filter::wire::grpc::{body, write_frame};
use promql_tenancy_filter::wire::labels::{Matcher, Operator};
use promql_tenancy_filter::wire::protobuf::{Message, write_bytes, write_varint};
use promql_tenancy_filter::wire::remote_read::{Query, ReadRequest};
use promql_tenancy_filter::wire::thanos::QueryRequest;

const LIMIT: usize = 1_000;

fn envoy() -> Harness {
    Harness::new(format!(
        r#"{{"allow_on_headers_stop_iteration": true, "limits": {{"max_response_size_bytes": {LIMIT}}},
            "overrides": {{"free": {{"max_response_size_bytes": 0}}}}}}"#
    ))
    .expect("a valid configuration")
    .allow_on_headers_stop_iteration(true)
}

/// An answer of so many bytes.
fn vector(length: usize) -> String {
    let (begin, end) = (r#"{"status":"success","data":["#, r#"""]}"#);
    let mut text = begin.to_owned();
    while text.len() + end.len() + 14 <= length {
        text += r#""0123456789","#;
    }
    let left = length - text.len() - end.len();
    text + &" ".repeat(left) + end
}

fn ask(envoy: &mut Harness, tenant: &str, path: &str, answer: Response) -> Outcome {
    envoy.upstream_answers(answer);
    envoy.request(Request::get(path).header("THANOS-TENANT", tenant))
}

fn json(body: &str) -> Response {
    Response::new(200, body).header("content-type", "application/json")
}

const QUERY: &str = "/api/v1/query?query=up";

#[test]
fn an_answer_within_the_limit_passes() {
    for chunk in [7, 100_000] {
        let mut envoy = envoy();
        envoy.answer_in_chunks(chunk, true);
        let body = vector(LIMIT);
        let length = body.len().to_string();
        for answer in [json(&body), json(&body).header("content-length", &length)] {
            assert_eq!(ask(&mut envoy, "team-a", QUERY, answer).answer().text(), body);
        }
        // Off for this tenant.
        let long = vector(5 * LIMIT);
        assert_eq!(ask(&mut envoy, "free", QUERY, json(&long)).answer().text(), long);
    }
}

#[test]
fn a_longer_answer_is_refused_before_its_first_byte_where_its_length_is_known() {
    let mut envoy = envoy();
    let body = vector(LIMIT + 1);
    for path in [QUERY, "/api/v1/labels", "/federate?match[]=up"] {
        let answer = json(&body).header("content-length", &body.len().to_string());
        let out = ask(&mut envoy, "team-a", path, answer);
        assert_eq!(out.answer().status, 422, "{path}");
        let error: serde_json::Value = serde_json::from_str(&out.answer().text()).unwrap();
        assert_eq!(error["errorType"], "execution");
        assert_eq!(
            error["error"],
            "the answer is 1001 bytes long or longer: your limit max_response_size_bytes is 1000"
        );
    }
}

#[test]
fn json_that_grows_beyond_the_limit_is_no_json_any_more() {
    for length in [LIMIT + 1, 2 * LIMIT, 20 * LIMIT] {
        for chunk in [1, 13, 400, 999] {
            let mut envoy = envoy();
            envoy.answer_in_chunks(chunk, true);
            let body = vector(length);
            let out = ask(&mut envoy, "team-a", QUERY, json(&body));
            let text = out.answer().text();
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_err(), "{length} {chunk}: {text}");
            let (before, error) = text.split_once('\n').expect("a line that says why");
            assert!(body.starts_with(before) && before.len() <= LIMIT, "{before}");
            let error: serde_json::Value = serde_json::from_str(error).unwrap();
            assert_eq!(error["status"], "error");
            assert!(
                error["error"].as_str().unwrap().ends_with("your limit max_response_size_bytes is 1000"),
                "{error}"
            );
            assert!(text.len() <= body.len() + 512);
        }
    }
}

#[test]
fn an_error_object_takes_the_place_of_an_answer_of_which_nothing_was_forwarded() {
    let mut envoy = envoy();
    envoy.answer_in_chunks(100_000, true);
    let out = ask(&mut envoy, "team-a", QUERY, json(&vector(2 * LIMIT)));
    let error: serde_json::Value = serde_json::from_str(&out.answer().text()).unwrap();
    assert_eq!((&error["status"], &error["errorType"]), (&"error".into(), &"execution".into()));
}

#[test]
fn text_is_reset() {
    for chunk in [10, 100_000] {
        let mut envoy = envoy();
        envoy.answer_in_chunks(chunk, true);
        let text = "up{tenant_id=\"team-a\"} 1\n".repeat(LIMIT);
        let answer = Response::new(200, &text).header("content-type", "text/plain");
        let out = ask(&mut envoy, "team-a", "/federate?match[]=up", answer);
        assert!(out.reset, "{out:?}");
    }
}

#[test]
fn what_other_tenants_own_is_not_measured() {
    let rule =
        |tenant: &str| format!(r#"{{"name":"r","query":"up","labels":{{"tenant_id":"{tenant}"}},"type":"recording"}}"#);
    let others = vec![rule("team-b"); 100].join(",");
    let answer =
        |rules: &str| format!(r#"{{"status":"success","data":{{"groups":[{{"name":"g","rules":[{rules}]}}]}}}}"#);
    let body = answer(&format!("{others},{}", rule("team-a")));
    let mut envoy = envoy();
    for answered in [json(&body), json(&body).header("content-length", &body.len().to_string())] {
        let out = ask(&mut envoy, "team-a", "/api/v1/rules", answered);
        assert_eq!(out.answer().text(), answer(&rule("team-a")));
    }
    // Nor is an error.
    let error = format!(r#"{{"status":"error","errorType":"execution","error":"{}"}}"#, "x".repeat(2 * LIMIT));
    let out = ask(&mut envoy, "team-a", QUERY, Response::new(422, &error).header("content-type", "application/json"));
    assert_eq!(out.answer().status, 422);
    assert!(!out.answer().text().contains("max_response_size_bytes"));
}

/// HTTP says that it is not whole. Where the length is known, it is refused before.
#[test]
fn remote_read_is_reset() {
    let mut message = Vec::new();
    let up = Matcher { operator: Operator::Equal, name: b"__name__", value: b"up" };
    let query = Query { start_timestamp_ms: 0, end_timestamp_ms: 1, matchers: vec![up], hints: None };
    ReadRequest { queries: vec![query], accepted_response_types: vec![1] }.write(&mut message);
    let message = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    let config = format!(
        r#"{{"enable_remote_read": true, "limits": {{"max_response_size_bytes": {LIMIT}}},
            "overrides": {{"free": {{"max_response_size_bytes": 0}}}}}}"#
    );
    let mut envoy = Harness::new(config).expect("a valid configuration");
    let mut ask = |tenant: &str, frames: usize, length: Option<&str>, chunk: usize| {
        let body = read_frame(tenant).repeat(frames);
        let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
        let answer = Response::new(200, &body).header("content-type", kind);
        envoy.answer_in_chunks(chunk, true);
        envoy.upstream_answers(length.map_or(answer.clone(), |length| answer.header("content-length", length)));
        let request = Request::post("/api/v1/read").header("content-type", "application/x-protobuf");
        let request = request.header("content-encoding", "snappy").header("x-prometheus-remote-read-version", "0.1.0");
        (body, envoy.request(request.header("THANOS-TENANT", tenant).chunk(&message)))
    };
    for chunk in [100, 100_000] {
        for (tenant, frames) in [("team-a", 5), ("free", 20)] {
            let (body, out) = ask(tenant, frames, None, chunk);
            assert_eq!(out.answer().body, body);
        }
        let (_, out) = ask("team-a", 20, None, chunk);
        assert!(out.reset, "{out:?}");
        assert!(out.logs.iter().any(|line| line.text.contains("max_response_size_bytes")), "{:?}", out.logs);
        let length = read_frame("team-a").repeat(20).len().to_string();
        let (_, refused) = ask("team-a", 20, Some(&length), chunk);
        assert_eq!(refused.answer().status, 422);
        assert!(refused.answer().text().contains("your limit max_response_size_bytes is 1000"));
    }
}

/// A frame of a streamed answer with one series, of about 120 bytes.
fn read_frame(tenant: &str) -> Vec<u8> {
    let (mut label, mut series, mut message, mut frame) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    write_bytes(1, b"tenant_id", &mut label);
    write_bytes(2, tenant.as_bytes(), &mut label);
    write_bytes(1, &label, &mut series);
    write_bytes(2, &[b'c'; 80], &mut series);
    write_bytes(1, &series, &mut message);
    write_varint(message.len() as u64, &mut frame);
    frame.extend_from_slice(&crc32c(&message).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

#[test]
fn a_grpc_call_ends_with_a_status_that_says_so() {
    let mut envoy = Harness::new(format!(
        r#"{{"upstream": "thanos", "enable_grpc": true, "limits": {{"max_response_size_bytes": {LIMIT}}},
            "overrides": {{"free": {{"max_response_size_bytes": 0}}}}}}"#
    ))
    .expect("a valid configuration");
    // A warning of 100 bytes each, of which the filter makes its own.
    let (mut warning, mut frame) = (Vec::new(), Vec::new());
    write_bytes(1, &[b'w'; 100], &mut warning);
    write_frame(&warning, &mut frame).unwrap();
    let message = body(&QueryRequest { query: b"up", ..Default::default() }).unwrap();
    for (tenant, frames, code) in [("team-a", 5, "0"), ("team-a", 20, "8"), ("free", 20, "0")] {
        for chunk in [10, 100_000] {
            envoy.answer_in_chunks(chunk, false);
            let answer = Response::new(200, frame.repeat(frames)).header("content-type", "application/grpc");
            envoy.upstream_answers(answer.trailer("grpc-status", "0"));
            let call = Request::post("/thanos.Query/Query").header("content-type", "application/grpc");
            let out = envoy.request(call.header("te", "trailers").header("THANOS-TENANT", tenant).chunk(&message));
            let trailers = &out.answer().trailers;
            assert_eq!(trailers.get("grpc-status").as_deref(), Some(code), "{tenant} {frames} {chunk}: {trailers:?}");
            let text = trailers.get("grpc-message").unwrap_or_default();
            assert_eq!(text.contains("max_response_size_bytes is 1000"), code == "8", "{text}");
        }
    }
}
