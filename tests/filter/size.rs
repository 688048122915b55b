//! `max_response_size_bytes`: an answer that is longer is refused or cut, so that no client takes a part of it for the whole, and counted.

use crate::harness::{Harness, Outcome, Request, Response};

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
