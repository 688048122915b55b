//! Who is asking, where the proxy says it: by the property that the source needs, and by no other.

use crate::evidence;
use crate::harness::{Fault, Harness, Outcome, Request, Upon};
use serde_json::json;

const CERTIFICATE: &str = r#"{"tenant_certificate_field": "organization"}"#;
const CLAIM: &str = r#"{"tenant_metadata": ["envoy.filters.http.jwt_authn", "payload", "tenant"]}"#;
const STATIC: &str = r#"{"static_tenant_ids": ["team-a"]}"#;
const SUBJECT: [&str; 2] = ["connection", "subject_peer_certificate"];

fn get() -> Request {
    Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-b").header("x-scope-orgid", "team-b")
}

fn with_certificate(subject: &str) -> Harness {
    let mut envoy = Harness::new(CERTIFICATE).unwrap();
    envoy.property(&SUBJECT, subject);
    envoy
}

fn with_claim(tenant: serde_json::Value) -> Harness {
    let mut envoy = Harness::new(CLAIM).unwrap();
    let claims = json!({"envoy.filters.http.jwt_authn": {"payload": {"tenant": tenant}}});
    envoy.property(&["metadata"], evidence::encode(&claims));
    envoy
}

#[track_caller]
fn assert_is_team_a(out: &Outcome) {
    assert_eq!(out.upstream().headers.all("thanos-tenant"), ["team-a"]);
    assert!(out.upstream().headers.all("x-scope-orgid").is_empty());
    assert!(out.path().contains("tenant_id%3D%22team-a%22"), "{}", out.path());
}

#[test]
fn each_source_names_the_tenant_whatever_the_headers_say() {
    assert_is_team_a(&with_certificate("CN=client,O=team-a").request(get()));
    assert_is_team_a(&with_claim(json!("team-a")).request(get()));
    assert_is_team_a(&Harness::new(STATIC).unwrap().request(get()));
}

#[test]
fn a_silent_source_is_a_refusal_and_never_a_default() {
    let mut silent = [
        Harness::new(CERTIFICATE).unwrap().request(get()),
        with_certificate("").request(get()),
        with_certificate("CN=client").request(get()),
        Harness::new(CLAIM).unwrap().request(get()),
        with_claim(json!(null)).request(get()),
    ];
    for out in &mut silent {
        assert_eq!(out.refused(401).json()["errorType"], "unauthorized");
        assert!(out.sent.headers.is_none());
    }
}

#[test]
fn a_property_that_can_not_be_read_is_a_refusal() {
    for status in [2, 3, 4, 7, 10, 12, 999, u32::MAX] {
        let fault = [Fault { upon: Upon::Name("proxy_get_property"), status }];
        for mut envoy in [with_certificate("O=team-a"), with_claim(json!("team-a"))] {
            envoy.fail(&fault);
            assert_eq!(envoy.request(get()).refused(500).json()["errorType"], "internal");
        }
        let mut header = Harness::new("{}").unwrap();
        header.fail(&fault);
        let out = header.request(Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-a"));
        assert_is_team_a(&out);
    }
}

#[test]
fn answers_vary_on_the_header_only_where_it_names_the_tenant() {
    let vary = |out: &Outcome| out.answer().headers.all("vary");
    for mut envoy in [with_certificate("O=team-a"), with_claim(json!("team-a")), Harness::new(STATIC).unwrap()] {
        for path in ["/api/v1/query?query=up", "/api/v1/query?query=(", "/nothing"] {
            let out = envoy.request(Request::get(path));
            assert!(vary(&out).is_empty(), "{path}: {:?}", out.answer());
            assert_eq!(out.answer().headers.all("cache-control"), ["private, no-store"], "{path}");
        }
    }
    assert_eq!(vary(&Harness::new("{}").unwrap().request(get())), ["thanos-tenant"]);
}

#[test]
fn a_refusal_s_line_names_the_tenant_that_was_identified() {
    let line = |out: Outcome| out.logs.last().unwrap().text.clone();
    let bad_query = Request::get("/api/v1/query?query=secret(");
    for mut envoy in [with_certificate("O=team-a"), with_claim(json!("team-a")), Harness::new(STATIC).unwrap()] {
        let line = line(envoy.request(bad_query.clone()));
        assert!(line.contains("tenant=team-a path=/api/v1/query status=400"), "{line}");
        assert!(!line.contains("secret"), "{line}");
    }
    let line = line(with_certificate("O=a b").request(bad_query));
    assert!(line.contains("tenant=- "), "{line}");
}
