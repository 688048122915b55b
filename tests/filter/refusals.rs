//! What the client gets where nothing goes upstream, and what the operator reads in the log.

use crate::harness::{Harness, Outcome, Request};

fn envoy() -> Harness {
    Harness::new("{}").unwrap()
}

/// Refuses by Prometheus's error object, privately, and says so in the log without the query's text.
fn assert_refused(out: &Outcome, status: u16, error_type: &str) -> String {
    let answer = out.refused(status);
    assert!(out.sent.headers.is_none() || out.sent.body.is_empty(), "a part of the body went upstream: {out:#?}");
    assert_eq!(answer.headers.get("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.headers.get("cache-control").as_deref(), Some("private, no-store"));
    let json = answer.json();
    let object = json.as_object().unwrap();
    assert_eq!(object.keys().collect::<Vec<_>>(), ["error", "errorType", "status"]);
    assert_eq!(json["status"], "error");
    assert_eq!(json["errorType"], error_type);
    let lines: Vec<_> = out.logs.iter().filter(|line| line.text.contains("request refused")).collect();
    assert_eq!(lines.len(), 1, "{:?}", out.logs);
    assert!(lines[0].text.contains(&format!("status={status} reason=")), "{}", lines[0].text);
    assert!(!lines[0].text.contains("query="), "{}", lines[0].text);
    json["error"].as_str().unwrap().to_owned()
}

fn get(path: &str) -> Request {
    Request::get(path).header("THANOS-TENANT", "team-a")
}

#[test]
fn absent_route_is_refused() {
    for path in ["/", "/api/v1/nothing", "/api/v1/query/", "/API/v1/query", "/graph", "/api/v1/query2?query=up"] {
        assert_refused(&envoy().request(get(path)), 404, "not_found");
    }
}

#[test]
fn path_that_cannot_be_scoped_is_refused() {
    for path in
        ["/api/v1/targets", "/api/v1/status/config", "/metrics", "/debug/pprof/heap", "/api/v1/admin/tsdb/snapshot"]
    {
        assert_refused(&envoy().request(get(path)), 403, "forbidden");
    }
}

#[test]
fn path_in_another_form_is_refused() {
    for path in [
        "/api/v1//query?query=up",
        "/api/v1/../v1/query?query=up",
        "/api%2fv1/query?query=up",
        "/api\\v1/query?query=up",
    ] {
        let out = envoy().request(get(path));
        assert!(matches!(out.answer().status, 400 | 404), "{path}: {:?}", out.answer());
        assert!(out.local && out.sent.headers.is_none(), "{path}");
    }
}

#[test]
fn unlisted_method_is_refused_with_those_allowed() {
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "BREW"] {
        let request = Request::new(method, "/api/v1/query?query=up").header("THANOS-TENANT", "team-a");
        let out = envoy().request(request);
        assert_refused(&out, 405, "bad_data");
        assert_eq!(out.answer().headers.get("allow").as_deref(), Some("GET, POST"), "{method}");
    }
}

#[test]
fn empty_tenant_is_refused_and_never_the_default() {
    assert_refused(
        &envoy().request(Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "")),
        401,
        "unauthorized",
    );
}

#[test]
fn two_tenant_headers_are_refused() {
    for second in ["team-a", "team-b", ""] {
        let request = get("/api/v1/query?query=up").header("Thanos-Tenant", second);
        assert_refused(&envoy().request(request), 400, "bad_data");
    }
}

#[test]
fn tenant_that_is_not_text_is_refused() {
    let request = Request::get("/api/v1/query?query=up").header("THANOS-TENANT", b"team-\xff");
    assert_refused(&envoy().request(request), 400, "bad_data");
}

#[test]
fn malformed_query_is_refused_with_its_position() {
    let out = envoy().request(get("/api/v1/query?query=up%7B"));
    let message = assert_refused(&out, 400, "bad_data");
    assert!(message.contains("1:4: parse error: "), "{message}");
    let out = envoy().request(Request::form("/api/v1/query", "query=up%7B").header("THANOS-TENANT", "team-a"));
    let message = assert_refused(&out, 400, "bad_data");
    assert!(message.contains("1:4: parse error: "), "{message}");
}

#[test]
fn refusal_of_a_form_names_tenant_and_path_in_the_log() {
    let out = envoy().request(Request::form("/api/v1/query?time=1", "query=secret(").header("THANOS-TENANT", "team-a"));
    assert_refused(&out, 400, "bad_data");
    let line = &out.logs.last().unwrap().text;
    assert!(line.contains("tenant=team-a path=/api/v1/query status=400 reason="), "{line}");
    assert!(!line.contains("secret") && !line.contains("time"), "{line}");
}

#[test]
fn log_line_cannot_be_forged() {
    let out = envoy().request(get("/x\r\n[error] request refused: tenant=team-b\u{1b}[0m"));
    assert!(out.local);
    for line in &out.logs {
        assert!(!line.text.contains(char::is_control), "{:?}", line.text);
    }
    let out = envoy().request(get(&format!("/{}", "a".repeat(60_000))));
    assert!(out.logs.iter().all(|line| line.text.len() < 400), "a client chooses how long the log's lines are");
}

#[test]
fn unreadable_form_is_refused() {
    for body in ["query=up;time=1", "query=%zz", "query=up%", "query=up&query=down"] {
        let out = envoy().request(Request::form("/api/v1/query", body).header("THANOS-TENANT", "team-a"));
        assert_refused(&out, 400, "bad_data");
        let out = envoy().request(get(&format!("/api/v1/query?{body}")));
        assert_refused(&out, 400, "bad_data");
    }
}

#[test]
fn body_of_another_type_is_refused() {
    for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let request = Request::post("/api/v1/query?query=up")
            .header("content-type", kind)
            .header("THANOS-TENANT", "team-a")
            .chunk("query=up");
        assert_refused(&envoy().request(request), 415, "bad_data");
    }
}

#[test]
fn compressed_body_is_refused() {
    let request =
        Request::form("/api/v1/query", "query=up").header("content-encoding", "gzip").header("THANOS-TENANT", "team-a");
    assert_refused(&envoy().request(request), 415, "bad_data");
}

#[test]
fn upgrade_is_refused() {
    let request = get("/api/v1/query?query=up").header("upgrade", "websocket").header("connection", "upgrade");
    assert_refused(&envoy().request(request), 400, "bad_data");
}

#[test]
fn refusals_vary_on_the_tenant_header_too() {
    let out = envoy().request(get("/nothing"));
    assert_eq!(
        out.refused(404).headers.get("vary").map(|name| name.to_ascii_lowercase()).as_deref(),
        Some("thanos-tenant")
    );
}
