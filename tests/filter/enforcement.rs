//! What the upstream gets: every query with the tenant's matcher, and exactly one tenant header, whatever the client
//! sent.

use crate::harness::{Harness, Outcome, Request, Response};

const GET_UP: &str = "/api/v1/query?query=up";

fn envoy() -> Harness {
    Harness::new("{}").unwrap()
}

fn from_team_a(request: Request) -> Request {
    request.header("THANOS-TENANT", "team-a")
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The one tenant header that goes upstream.
fn tenant(out: &Outcome) -> String {
    let head = out.upstream().headers;
    assert_eq!(head.all("x-scope-orgid"), [""; 0]);
    head.get("thanos-tenant").expect("a tenant header goes upstream")
}

#[test]
fn query_in_the_url_is_rewritten() {
    let out = envoy().request(from_team_a(Request::get("/api/v1/query?time=1.5&query=up%7Bjob%3D%22a%22%7D+or+down")));
    let mut pairs = out.upstream().query_pairs();
    pairs.sort();
    let query = r#"up{tenant_id="team-a",job="a"} or down{tenant_id="team-a"}"#;
    assert_eq!(pairs, [pair("query", query), pair("time", "1.5")]);
    assert_eq!(tenant(&out), "team-a");
    assert_eq!(out.answer().status, 200);
}

#[test]
fn query_in_the_form_is_rewritten() {
    let out = envoy().request(from_team_a(Request::form("/api/v1/query", "query=up&time=1.5")));
    let mut pairs = out.upstream().form_pairs();
    pairs.sort();
    assert_eq!(pairs, [pair("query", r#"up{tenant_id="team-a"}"#), pair("time", "1.5")]);
    assert_eq!(out.path(), "/api/v1/query");
    assert_eq!(tenant(&out), "team-a");
}

#[test]
fn queries_in_url_and_form_are_both_rewritten() {
    let out = envoy().request(from_team_a(Request::form("/api/v1/query?query=up", "query=down")));
    assert_eq!(out.upstream().query_pairs(), [pair("query", r#"up{tenant_id="team-a"}"#)]);
    assert_eq!(out.upstream().form_pairs(), [pair("query", r#"down{tenant_id="team-a"}"#)]);
}

#[test]
fn range_query_is_rewritten() {
    let path = "/api/v1/query_range?start=0&end=60&step=15&query=rate(up%5B1m%5D)";
    let out = envoy().request(from_team_a(Request::get(path)));
    let pairs = out.upstream().query_pairs();
    assert!(pairs.contains(&pair("query", r#"rate(up{tenant_id="team-a"}[1m])"#)), "{pairs:?}");
    assert!(out.path().starts_with("/api/v1/query_range?"));
}

#[test]
fn foreign_matcher_is_replaced() {
    let out = envoy().request(from_team_a(Request::get("/api/v1/query?query=up%7Btenant_id%3D%22team-b%22%7D")));
    assert_eq!(out.upstream().query_pairs(), [pair("query", r#"up{tenant_id="team-a"}"#)]);
}

#[test]
fn absent_tenant_is_the_default() {
    let out = envoy().request(Request::get(GET_UP));
    assert_eq!(out.upstream().query_pairs(), [pair("query", r#"up{tenant_id="default-tenant"}"#)]);
    assert_eq!(tenant(&out), "default-tenant");
}

#[test]
fn exactly_one_tenant_header_goes_upstream() {
    for name in ["THANOS-TENANT", "thanos-tenant", "Thanos-Tenant", "tHANOS-tENANT"] {
        let out = envoy().request(Request::get(GET_UP).header(name, "team-a"));
        assert_eq!(tenant(&out), "team-a", "{name}");
    }
    let others = from_team_a(Request::get(GET_UP)).header("X-Scope-OrgID", "team-b").header("x-scope-orgid", "team-c");
    assert_eq!(tenant(&envoy().request(others)), "team-a");
}

#[test]
fn other_names_of_the_tenant_go_when_it_is_read_elsewhere() {
    let mut envoy = Harness::new(r#"{"tenant_header": "X-Team", "strip_headers": ["X-Internal"]}"#).unwrap();
    let request = Request::get(GET_UP)
        .header("x-team", "team-a")
        .header("THANOS-TENANT", "team-b")
        .header("Thanos-Tenant", "team-c")
        .header("X-Scope-OrgID", "team-d")
        .header("x-internal", "team-e")
        .header("x-internal", "team-f");
    let out = envoy.request(request);
    assert_eq!(tenant(&out), "team-a");
    assert_eq!(out.upstream().headers.all("x-team"), [""; 0]);
    assert_eq!(out.upstream().headers.all("x-internal"), [""; 0]);
}

#[test]
fn tenant_named_in_trailers_does_not_pass() {
    for request in [Request::get(GET_UP), Request::form("/api/v1/query", "query=up").without_header("content-length")] {
        let request = from_team_a(request)
            .trailer("thanos-tenant", "team-b")
            .trailer("Thanos-Tenant", "team-c")
            .trailer("x-scope-orgid", "team-d")
            .trailer("x-checksum", "1");
        let out = envoy().request(request);
        assert_eq!(out.upstream().trailers.len(), 0, "{:?}", out.sent.trailers);
        assert_eq!(tenant(&out), "team-a");
    }
}

#[test]
fn headers_of_the_request_itself_are_kept() {
    let out = envoy().request(from_team_a(Request::get(GET_UP)).header("x-request-id", "7").header("accept", "*/*"));
    assert_eq!(out.upstream().headers.get("x-request-id").as_deref(), Some("7"));
    assert_eq!(out.upstream().headers.get("accept").as_deref(), Some("*/*"));
    assert_eq!(out.upstream().headers.get(":authority").as_deref(), Some("prometheus.example"));
}

#[test]
fn content_length_goes_where_the_body_may_change() {
    let out = envoy().request(from_team_a(Request::form("/api/v1/query", "query=up")));
    assert_eq!(out.upstream().headers.get("content-length"), None);
}

#[test]
fn answer_is_private_to_the_tenant() {
    let mut envoy = envoy();
    let answer = Response::new(200, "{}")
        .header("content-type", "application/json")
        .header("cache-control", "public, max-age=60")
        .header("vary", "origin");
    envoy.upstream_answers(answer);
    let out = envoy.request(from_team_a(Request::get(GET_UP)));
    assert_eq!(out.answer().headers.get("cache-control").as_deref(), Some("private, no-store"));
    let vary = out.answer().headers.all("vary").join(",").to_ascii_lowercase();
    assert_eq!(vary, "origin,thanos-tenant");
}

#[test]
fn answer_varies_on_the_header_that_is_configured() {
    let mut envoy = Harness::new(r#"{"tenant_header": "X-Team"}"#).unwrap();
    let out = envoy.request(Request::get(GET_UP).header("x-team", "team-a"));
    assert_eq!(out.answer().headers.get("vary").map(|name| name.to_ascii_lowercase()).as_deref(), Some("x-team"));
}

#[test]
fn streams_do_not_share_their_tenant() {
    let mut envoy = envoy();
    let first = envoy.open(from_team_a(Request::get(GET_UP)));
    let second = envoy.open(Request::get(GET_UP).header("thanos-tenant", "team-b"));
    assert_eq!(tenant(&envoy.close(first)), "team-a");
    assert_eq!(tenant(&envoy.close(second)), "team-b");
}
