//! Who is asking, by each source: what else the client sends never changes it.

use super::*;
use crate::tenant::evidence;
use serde_json::json;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CERTIFICATE: &str = r#"{"tenant_certificate_field": "organization", "passthrough_paths": ["/graph"]}"#;
const CLAIM: &str =
    r#"{"tenant_metadata": ["envoy.filters.http.jwt_authn", "payload", "tenant"], "passthrough_paths": ["/graph"]}"#;
const STATIC: &str = r#"{"static_tenant_ids": ["team-a"], "passthrough_paths": ["/graph"]}"#;
const HEADER: &str = r#"{"tenant_header": "X-Tenant", "default_tenant_id": "", "passthrough_paths": ["/graph"]}"#;
const VIEW: &str = r#"{"static_tenant_ids": ["ops"], "tenant_regex": "team-.*"}"#;

fn query() -> Request {
    Request::get("/api/v1/query?query=up")
}

fn claims(tenant: serde_json::Value) -> Vec<u8> {
    evidence::encode(&json!({"envoy.filters.http.jwt_authn": {"payload": {"tenant": tenant}}}))
}

/// Makes a request one of team-a's.
type Identified = fn(Request) -> Request;

/// Each source's configuration, and a request that it takes to be of team-a.
fn sources() -> [(&'static str, Identified); 4] {
    [
        (CERTIFICATE, |request| request.evidence("CN=client,O=team-a")),
        (CLAIM, |request| request.evidence(claims(json!("team-a")))),
        (STATIC, |request| request),
        (HEADER, |request| request.header("x-tenant", "team-a")),
    ]
}

#[test]
fn no_other_header_changes_the_tenant() {
    for (json, identified) in sources() {
        let config = config(json);
        for path in ["/api/v1/query?query=up", "/graph", "/api/v1/status/buildinfo", "/api/v1/labels", "/api/v1/rules"]
        {
            let request = identified(Request::get(path))
                .header("thanos-tenant", "team-b")
                .header("thanos-tenant", "team-c")
                .header("Thanos_Tenant", "team-b")
                .header("x-scope-orgid", "team-b")
                .header("x_scope_orgid", "team-b")
                .header("x_tenant", "team-b");
            let sent = request.send(&config).unwrap();
            let x_tenant = if json == HEADER { vec![] } else { vec![("x_tenant".to_owned(), "team-b".to_owned())] };
            let expected = [x_tenant, vec![("thanos-tenant".to_owned(), "team-a".to_owned())]].concat();
            assert_eq!((sent.tenant.as_str(), sent.headers), ("team-a", expected), "{json} {path}");
        }
    }
}

#[test]
fn nobody_is_asking_where_the_source_is_silent() {
    for json in [CERTIFICATE, CLAIM, HEADER] {
        for path in ["/api/v1/query?query=up", "/graph", "/api/v1/features", "/metrics", "/nothing"] {
            let request = Request::get(path).tenant("team-b").header("x-scope-orgid", "team-b");
            assert_eq!(reason(&request, &config(json)), "no_tenant", "{json} {path}");
            assert_eq!(reason(&request.evidence(""), &config(json)), "no_tenant", "{json} {path}");
        }
    }
}

/// A kubelet or a load balancer is no tenant, and whatever tenant it names does not matter.
#[test]
fn health_checks_are_forwarded_without_a_tenant() {
    for json in [CERTIFICATE, CLAIM, HEADER, STATIC, r#"{"allowed_tenants": ["team-a"], "default_tenant_id": ""}"#] {
        let config = config(json);
        for (method, path) in [("GET", "/-/healthy"), ("HEAD", "/-/healthy"), ("GET", "/-/ready"), ("HEAD", "/-/ready")]
        {
            let check = || Request::new(method, path);
            for request in [
                check(),
                check().tenant("team-b").header("x-scope-orgid", "team-b").header("x-tenant", "team-b"),
                check().tenant("").evidence(""),
                check().header("thanos_tenant", "a|b").evidence(claims(json!("team-a"))),
            ] {
                let sent = request.send(&config).unwrap();
                let names_a_tenant = |name: &str| {
                    let name = name.replace('_', "-");
                    name == "thanos-tenant" || name == "x-scope-orgid" || (name == "x-tenant" && json == HEADER)
                };
                assert!(!sent.headers.iter().any(|(name, _)| names_a_tenant(name)), "{json} {:?}", sent.headers);
                assert_eq!((sent.path.as_str(), sent.tenant.as_str()), (path, ""), "{json}");
            }
        }
        // Nothing but the check is forwarded.
        assert_eq!(Request::get("/-/ready?x=y&query=up").send(&config).unwrap().path, "/-/ready");
        assert_eq!(
            reason(&Request::get("/-/ready").header("content-length", "3").body("abc"), &config),
            "unexpected_body"
        );
        assert!(Request::new("HEAD", "/api/v1/labels").tenant("team-a").send(&config).is_err());
    }
}

#[test]
fn evidence_of_another_kind_names_nobody() {
    let subject = query().evidence("CN=client,O=team-a");
    let claim = query().evidence(claims(json!("team-a")));
    assert_eq!(reason(&subject, &config(CLAIM)), "internal");
    assert_eq!(reason(&claim, &config(CERTIFICATE)), "bad_tenant");
    assert_eq!(reason(&subject, &config(HEADER)), "no_tenant");
    assert_eq!(claim.send(&config(STATIC)).unwrap().tenant, "team-a");
}

#[test]
fn a_certificate_that_is_unclear_is_refused() {
    for (subject, expected) in [
        ("O=team-a,O=team-b", "bad_tenant"),
        ("O=team-a+O=team-b", "bad_tenant"),
        ("O=team-a|team-b", "bad_tenant"),
        (r"O=team-a\2C", "bad_tenant"),
        (r"O=team-a\00", "bad_tenant"),
        ("O=#0C067465616D2D61", "bad_tenant"),
        ("O=", "no_tenant"),
        ("CN=team-a", "no_tenant"),
        (r"CN=team-b\,O=team-a", "no_tenant"),
    ] {
        assert_eq!(reason(&query().evidence(subject).tenant("team-b"), &config(CERTIFICATE)), expected, "{subject}");
    }
}

#[test]
fn a_claim_that_is_no_tenant_is_refused() {
    let federated = r#"{"tenant_metadata": ["envoy.filters.http.jwt_authn", "payload", "tenant"], "tenant_federation": {"enabled": true}}"#;
    for json in [CLAIM, federated] {
        for (claim, expected) in [
            (json!("a|b"), "bad_tenant"),
            (json!("\u{1}\0\0\0\u{6}\0\0\0\0\0\0\0team-b\0\0"), "bad_tenant"),
            (json!(7), "bad_tenant"),
            (json!(true), "bad_tenant"),
            (json!({"team-b": "team-b"}), "bad_tenant"),
            (json!(["a", "b|c"]), "bad_tenant"),
            (json!(["a", 7]), "bad_tenant"),
            (json!(""), "no_tenant"),
            (json!(null), "no_tenant"),
        ] {
            assert_eq!(reason(&query().evidence(claims(claim.clone())), &config(json)), expected, "{claim}");
        }
    }
    let list = query().evidence(claims(json!(["team-b", "team-a"])));
    assert_eq!(reason(&list, &config(CLAIM)), "bad_tenant");
    let sent = list.send(&config(federated)).unwrap();
    assert_eq!(
        (sent.tenant.as_str(), values(&sent, "query")),
        ("team-a|team-b", vec![r#"up{tenant_id=~"team-a|team-b"}"#.to_owned()])
    );
}

#[test]
fn claims_of_a_token_that_was_not_verified_name_nobody() {
    let claim = || query().evidence(claims(json!("team-a")));
    for value in ["false", "", "TRUE", "true,false"] {
        assert_eq!(reason(&claim().header("x-jwt-signature-verified", value), &config(CLAIM)), "no_tenant", "{value}");
    }
    let twice = claim().header("x-jwt-signature-verified", "true").header("x-jwt-signature-verified", "false");
    assert_eq!(reason(&twice, &config(CLAIM)), "no_tenant");
    assert_eq!(claim().header("x-jwt-signature-verified", "true").send(&config(CLAIM)).unwrap().tenant, "team-a");
    let other = query().tenant("a").header("x-jwt-signature-verified", "false");
    assert_eq!(other.send(&config("{}")).unwrap().tenant, "a");
}

#[test]
fn a_view_sees_what_the_pattern_matches() {
    let config = config(VIEW);
    let sent = query().tenant("team-b").send(&config).unwrap();
    assert_eq!(sent.headers, [("thanos-tenant".to_owned(), "ops".to_owned())]);
    assert_eq!(values(&sent, "query"), [r#"up{tenant_id=~"team-.*",tenant_id!=""}"#]);
    let own = Request::form("/api/v1/query", "query=up{tenant_id=\"\"}%2Bx{tenant_id=\"team-a\",tenant_id!=\"\"}");
    let query = values(&own.send(&config).unwrap(), "query").concat();
    assert_eq!(
        query,
        r#"up{tenant_id=~"team-.*",tenant_id!="",tenant_id=""}+x{tenant_id=~"team-.*",tenant_id!="",tenant_id="team-a"}"#
    );
    let labels = Request::get("/api/v1/labels").send(&config).unwrap();
    assert_eq!(values(&labels, "match[]"), [r#"{tenant_id=~"team-.*",tenant_id!=""}"#]);
}

#[test]
fn a_view_does_not_get_what_has_to_be_filtered_by_owner() {
    let thanos = config(r#"{"static_tenant_ids": ["ops"], "tenant_regex": "team-.*", "upstream": "thanos"}"#);
    for (path, config) in [
        ("/api/v1/rules", config(VIEW)),
        ("/api/v1/alerts", config(VIEW)),
        ("/api/v1/query_exemplars?query=up", thanos),
        ("/api/v1/query_exemplars?query=up", config(VIEW)),
    ] {
        let rejection = Request::get(path).send(&config).unwrap_err();
        assert_eq!(rejection.status(), 403, "{path}");
        assert!(rejection.message().contains("tenant_regex"), "{}", rejection.message());
    }
    let several = config(r#"{"static_tenant_ids": ["team-a", "team-b"]}"#);
    assert_eq!(Request::get("/api/v1/rules").send(&several).unwrap().tenant, "team-a|team-b");
}

#[test]
fn a_refusal_says_as_much_as_is_known() {
    let config = config(r#"{"allowed_tenants": ["a", {"prefix": "team-"}], "default_tenant_id": ""}"#);
    let known = |path: &str, tenant: &str| {
        let refused = Request::get(path).tenant(tenant).decide(&config).unwrap_err();
        let handler = refused.route.map(|route| route.handler);
        (refused.rejection.reason(), refused.tenant.map(|tenant| tenant.to_string()), handler)
    };
    let of = |tenant: &str| Some(tenant.to_owned());
    assert_eq!(known("/api/v1/query?query=(", "team-x"), ("query_syntax", of("team-x"), Some("query")));
    assert_eq!(known("/api/v1/query?query=up", "b"), ("tenant_not_allowed", of("b"), Some("query")));
    assert_eq!(known("/nothing", "a"), ("unknown_path", of("a"), None));
    assert_eq!(known("/api/v1/query", ""), ("no_tenant", None, Some("query")));
    assert_eq!(known("/api//v1/query", "a"), ("bad_path", None, None));
}
