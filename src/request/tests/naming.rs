//! The tenant in the URL: `tenant_parameter` and `tenant_path`, and what an attacker would try with them.

use super::*;
use crate::tenant::evidence;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PARAMETER: &str = r#"{"tenant_parameter": "namespace", "passthrough_paths": ["/graph"]}"#;
const PATH: &str = r#"{"tenant_path": "/t/", "allowed_tenants": ["a", "b", "te.am_(a)*!'-", {"prefix": "lab-"}], "passthrough_paths": ["/graph"]}"#;
const CLAIM: &str = r#"{"tenant_path": "/t/", "tenant_metadata": {"path": ["n", "groups"], "strip_prefix": "/"},
                        "tenant_id_format": "thanos", "passthrough_paths": ["/graph"]}"#;

fn claims(groups: Value) -> Vec<u8> {
    evidence::encode(&json!({"n": {"groups": groups}}))
}

/// The tenant, the path that goes upstream, and `x-forwarded-prefix`.
#[track_caller]
fn sent(request: &Request, config: &Worker) -> (String, String, Option<String>) {
    let sent = request.send(config).unwrap_or_else(|error| panic!("{}", error.message()));
    let prefixes: Vec<_> =
        sent.headers.iter().filter(|(name, _)| name.replace('_', "-") == "x-forwarded-prefix").collect();
    assert!(prefixes.len() < 2, "{prefixes:?}");
    assert_eq!(sent.headers.iter().filter(|(name, value)| name == "thanos-tenant" && *value == sent.tenant).count(), 1);
    (sent.tenant.clone(), sent.path.clone(), prefixes.first().map(|(_, value)| value.clone()))
}

fn of(tenant: &str, path: &str, prefix: Option<&str>) -> (String, String, Option<String>) {
    (tenant.to_owned(), path.to_owned(), prefix.map(str::to_owned))
}

#[test]
fn a_parameter_names_the_tenant_and_is_not_forwarded() {
    let config = config(PARAMETER);
    let up = "/api/v1/query?query=up%7Btenant_id%3D%22a%22%7D";
    for target in [
        "/api/v1/query?namespace=a&query=up",
        "/api/v1/query?query=up&namespace=a",
        "/api/v1/query?query=up&n%61mesp%61ce=%61",
        "/api/v1/query?&namespace=a&&query=up",
        "/api/v1/query?Namespace=b&namespace[]=b&query=up&namespace=a&+namespace=b&namespace%00=b",
    ] {
        let request = Request::get(target).tenant("b").header("namespace", "b");
        assert_eq!(sent(&request, &config), of("a", up, None), "{target}");
    }
    let form = Request::form("/api/v1/query?namespace=a", "query=up").send(&config).unwrap();
    assert_eq!(
        (form.path.as_str(), form.body.as_deref()),
        ("/api/v1/query", Some("query=up%7Btenant_id%3D%22a%22%7D"))
    );
    let passed = Request::get("/graph?x=1&namespace=a&y=%20");
    assert_eq!(sent(&passed, &config), of("a", "/graph?x=1&y=+", None));
    assert_eq!(sent(&Request::get("/graph?namespace=a"), &config), of("a", "/graph", None));
    assert_eq!(sent(&Request::get("/api/v1/features?namespace=a"), &config), of("a", "/api/v1/features", None));
}

#[test]
fn a_parameter_that_is_unclear_is_refused() {
    let config = config(PARAMETER);
    for (query, expected) in [
        ("query=up", "no_tenant"),
        ("query=up&namespace=", "no_tenant"),
        ("query=up&namespace", "no_tenant"),
        ("query=up&Namespace=a", "no_tenant"),
        ("query=up&namespace[]=a", "no_tenant"),
        ("query=up&namespace=a&namespace=a", "bad_tenant"),
        ("query=up&namespace=a&namespace=", "bad_tenant"),
        ("query=up&namespace=a&name%73pace=b", "bad_tenant"),
        ("query=up&namespace=a&%6eamespace", "bad_tenant"),
        ("query=up&namespace=a|b", "bad_tenant"),
        ("query=up&namespace=a%7Cb", "bad_tenant"),
        ("query=up&namespace=a+", "bad_tenant"),
        ("query=up&namespace=%22a%22", "bad_tenant"),
        ("query=up&namespace=a;namespace=b", "bad_form"),
        ("query=up&namespace=a%", "bad_form"),
        ("query=up&namespace%=a", "bad_form"),
    ] {
        for path in ["/api/v1/query", "/graph"] {
            let request = Request::get(format!("{path}?{query}")).tenant("b");
            assert_eq!(reason(&request, &config), expected, "{path}?{query}");
        }
    }
    for form in
        ["query=up&namespace=a", "query=up&namespace=b", "namespace", "query=up&n%61mespace=b", "query=up&namespace="]
    {
        let request = Request::form("/api/v1/query?namespace=a", form);
        assert_eq!(reason(&request, &config), "bad_tenant", "{form}");
        assert_eq!(reason(&Request::form("/api/v1/query", form), &config), "no_tenant", "{form}");
    }
}

#[test]
fn a_parameter_names_several_only_with_federation() {
    let federated =
        config(r#"{"tenant_parameter": "namespace", "tenant_federation": {"enabled": true, "max_tenants": 2}}"#);
    let request = |names: &str| Request::get(format!("/api/v1/query?query=up&namespace={names}"));
    assert_eq!(request("b%7Ca").send(&federated).unwrap().tenant, "a|b");
    for names in ["a|b|c", "a|", "a|b&namespace=c"] {
        assert_eq!(reason(&request(names), &federated), "bad_tenant", "{names}");
    }
}

#[test]
fn a_path_names_the_tenant_and_is_forwarded_without_it() {
    let config = config(PATH);
    let up = |tenant: &str| format!("/api/v1/query?query=up%7Btenant_id%3D%22{tenant}%22%7D");
    for tenant in ["a", "b"] {
        let path = format!("/t/{tenant}/api/v1/query?query=up");
        let prefix = format!("/t/{tenant}");
        let expected = of(tenant, &up(tenant), Some(&prefix));
        assert_eq!(sent(&Request::get(&path), &config), expected);
        // Whatever else a client says, the path counts, and its own prefix is removed.
        let other = Request::get(&path)
            .tenant("b")
            .tenant("a")
            .header("x-scope-orgid", "b")
            .header("x-forwarded-prefix", "/t/b")
            .header("x-forwarded-prefix", "/evil")
            .header("X_Forwarded_Prefix", "/evil");
        assert_eq!(sent(&other, &config), expected);
    }
    let form = Request::form("/t/a/api/v1/labels", "match[]=up").send(&config).unwrap();
    assert_eq!(form.tenant, "a");
    assert!(values(&form, "match[]").contains(&r#"up{tenant_id="a"}"#.to_owned()), "{form:?}");
    assert_eq!(sent(&Request::get("/t/b/api/v1/label/job/values"), &config).0, "b");
    assert_eq!(sent(&Request::get("/t/b/api/v1/features"), &config), of("b", "/api/v1/features", Some("/t/b")));
    assert_eq!(sent(&Request::get("/t/b/graph?x=%20"), &config), of("b", "/graph?x=%20", Some("/t/b")));
    let odd = Request::get("/t/te.am_(a)*!'-/api/v1/status/buildinfo");
    assert_eq!(sent(&odd, &config), of("te.am_(a)*!'-", "/api/v1/status/buildinfo", Some("/t/te.am_(a)*!'-")));
}

#[test]
fn below_a_tenant_only_the_api_is_served() {
    let config = config(PATH);
    for (path, expected) in [
        ("/t/a", "unknown_path"),
        ("/t/a/", "unknown_path"),
        ("/t/a/t/b/api/v1/query?query=up", "unknown_path"),
        ("/t/a/nothing", "unknown_path"),
        ("/t/a/metrics", "forbidden_path"),
        ("/t/a/api/v1/status/config", "forbidden_path"),
        // Nobody is named.
        ("/t", "no_tenant"),
        ("/t/", "no_tenant"),
        ("/t/?query=up", "no_tenant"),
        ("/T/a/api/v1/query?query=up", "no_tenant"),
        ("/x/t/a/api/v1/query?query=up", "no_tenant"),
        ("/api/v1/query?query=up", "no_tenant"),
        ("/graph", "no_tenant"),
        ("/api/v1/features", "no_tenant"),
    ] {
        assert_eq!(reason(&Request::get(path).tenant("a"), &config), expected, "{path}");
    }
}

#[test]
fn paths_that_two_readers_could_read_differently_name_nobody() {
    let config = config(PATH);
    for path in [
        "/t//api/v1/query",
        "//t/a/api/v1/query",
        "/t/a//api/v1/query",
        "/t/./api/v1/query",
        "/t/../t/a/api/v1/query",
        "/t/b/../a/api/v1/query",
        "/t/a/../../api/v1/query",
        "/t/%2e%2e/api/v1/query",
        "/t/a%2Fapi/v1/query",
        "/t/a%2f..%2fb/api/v1/query",
        "/t%2Fa/api/v1/query",
        "/t/a%5Cb/api/v1/query",
        "/t/a\\b/api/v1/query",
        "/t/a%252fb/api/v1/query",
        "/t/a%00/api/v1/query",
        "/t/a%/api/v1/query",
        "/t/a#/api/v1/query",
    ] {
        assert_eq!(reason(&Request::get(path).tenant("a"), &config), "bad_path", "{path}");
    }
    // `%74` is a `t`, but the prefix is matched as it is spelled.
    assert_eq!(reason(&Request::get("/%74/a/api/v1/query?query=up"), &config), "no_tenant");
}

/// The whole refusal, which must not tell whether a tenant exists.
fn refusal(path: &str, evidence: &[u8], config: &Worker) -> (u16, &'static str, String) {
    let rejection = Request::get(path).evidence(evidence).send(config).unwrap_err();
    (rejection.status(), rejection.reason(), rejection.message())
}

#[test]
fn a_tenant_that_is_not_offered_is_refused_in_the_same_words_whether_or_not_it_exists() {
    let said = (
        403,
        "tenant_not_allowed",
        "this tenant is not allowed here: name another one, or ask the operator to allow it".to_owned(),
    );
    let listed = config(PATH);
    for id in [
        "c",
        "lab-a",
        "lab-",
        "A",
        "ab",
        "a|b",
        "a%7Cb",
        "%61",
        "a%20",
        "%C3%A9",
        "%c3%a9",
        "%FF",
        "__other__",
        "a;b",
        "a,b",
        "a=b",
        "a@b",
        "*",
        "...",
        &"a".repeat(5_000),
    ] {
        assert_eq!(refusal(&format!("/t/{id}/api/v1/query?query=up"), b"", &listed), said, "{id:.20}");
        assert_eq!(refusal(&format!("/t/{id}/nothing"), b"", &listed), said, "{id:.20}");
        assert_eq!(refusal(&format!("/t/{id}"), b"", &listed), said, "{id:.20}");
    }
    let claimed = config(CLAIM);
    let evidence = claims(json!(["/a", "b", "/a b", "/x/y"]));
    for id in ["b", "c", "/b", "%2Fa", "a%20c", "x", "y", "x%2Fy"] {
        let path = format!("/t/{id}/api/v1/query?query=up");
        let found = refusal(&path, &evidence, &claimed);
        let is_bad_path = id.contains('/') || id.contains("%2F");
        assert!(if is_bad_path { found.1 == "bad_path" } else { found == said }, "{id}: {found:?}");
    }
}

#[test]
fn a_path_chooses_among_what_a_verified_claim_names() {
    let config = config(CLAIM);
    let request = |path: &str, groups: Value| Request::get(path).evidence(claims(groups)).tenant("b");
    let three = || json!(["/a", "/a b", "/\u{e9}"]);
    let health = |tenant: &str, prefix: Option<&str>| of(tenant, "/api/v1/features", prefix);
    assert_eq!(sent(&request("/t/a/api/v1/features", three()), &config), health("a", Some("/t/a")));
    assert_eq!(sent(&request("/t/a%20b/api/v1/features", three()), &config), health("a b", Some("/t/a%20b")));
    assert_eq!(sent(&request("/t/%C3%A9/api/v1/features", three()), &config), health("\u{e9}", Some("/t/%C3%A9")));
    // A path that does not choose is served where there is no choice.
    let named = |groups: Value| request("/api/v1/features", groups).header("x-forwarded-prefix", "/t/b");
    assert_eq!(sent(&named(json!("/a")), &config), health("a", None));
    assert_eq!(sent(&named(json!(["/a"])), &config), health("a", None));
    assert_eq!(sent(&named(json!(["/a", "/a"])), &config), health("a", None));
    let several = named(three()).send(&config).unwrap_err();
    assert_eq!((several.status(), several.reason()), (400, "bad_tenant"));
    assert!(several.message().contains("tenant_path"), "{}", several.message());
    for path in ["/t/a/api/v1/features", "/api/v1/features"] {
        for (groups, expected) in [
            (json!(7), "bad_tenant"),
            (json!(true), "bad_tenant"),
            (json!({"/a": "/a"}), "bad_tenant"),
            (json!(["/a", 7]), "bad_tenant"),
            (json!([["/a"]]), "bad_tenant"),
            (json!(""), "no_tenant"),
            (json!(null), "no_tenant"),
        ] {
            assert_eq!(reason(&request(path, groups.clone()), &config), expected, "{path} {groups}");
        }
        assert_eq!(reason(&Request::get(path).tenant("a"), &config), "no_tenant");
        let unverified = request(path, json!(["/a"])).header("x-jwt-signature-verified", "false");
        assert_eq!(reason(&unverified, &config), "no_tenant");
    }
    let empty = request("/t/a/api/v1/features", json!([]));
    assert_eq!(reason(&empty, &config), "tenant_not_allowed");
}

#[test]
fn a_path_chooses_what_a_certificate_or_the_configuration_names() {
    let certificate =
        config(r#"{"tenant_path": "/t/", "tenant_certificate_field": "organization", "allowed_tenants": ["a", "c"]}"#);
    let as_client = |path: &str, subject: &str| Request::get(path).evidence(subject).tenant("b");
    assert_eq!(sent(&as_client("/t/a/api/v1/status/buildinfo", "O=a"), &certificate).0, "a");
    assert_eq!(
        sent(&as_client("/api/v1/status/buildinfo", "O=a"), &certificate),
        of("a", "/api/v1/status/buildinfo", None)
    );
    for subject in ["O=b", "O=ab"] {
        assert_eq!(reason(&as_client("/t/a/api/v1/status/buildinfo", subject), &certificate), "tenant_not_allowed");
    }
    assert_eq!(
        reason(&as_client("/t/b/api/v1/status/buildinfo", "O=b"), &certificate),
        "tenant_not_allowed",
        "allowed_tenants"
    );
    assert_eq!(reason(&as_client("/t/a/api/v1/status/buildinfo", "CN=a"), &certificate), "no_tenant");
    assert_eq!(reason(&as_client("/t/a/api/v1/status/buildinfo", "O=a,O=b"), &certificate), "bad_tenant");
    let fixed = config(r#"{"tenant_path": "/t/", "static_tenant_ids": ["a", "b"]}"#);
    assert_eq!(sent(&Request::get("/t/b/api/v1/status/buildinfo"), &fixed).0, "b");
    assert_eq!(reason(&Request::get("/t/c/api/v1/status/buildinfo"), &fixed), "tenant_not_allowed");
    assert_eq!(reason(&Request::get("/api/v1/status/buildinfo"), &fixed), "bad_tenant");
}

#[test]
fn without_a_tenant_in_the_path_a_default_is_the_configurations() {
    let with = |default: &str| {
        config(&format!(
            r#"{{"tenant_path": "/t/", "allowed_tenants": ["a", "default-tenant"], "tenant_header": "X-Team"{default}}}"#
        ))
    };
    let request = || Request::get("/api/v1/status/buildinfo").header("x-team", "a").tenant("a");
    let removed = |config: &Worker| request().send(config).unwrap().headers;
    assert_eq!(
        removed(&with("")),
        [("thanos-tenant".to_owned(), "default-tenant".to_owned())],
        "the header is removed"
    );
    assert_eq!(sent(&request(), &with(r#", "default_tenant_id": "a""#)).0, "a");
    assert_eq!(reason(&request(), &with(r#", "default_tenant_id": """#)), "no_tenant");
    assert_eq!(
        sent(&Request::get("/t/a/api/v1/status/buildinfo").header("x-team", "b"), &with("")),
        of("a", "/api/v1/status/buildinfo", Some("/t/a"))
    );
}

#[test]
fn paths_below_a_prefix_of_the_upstream_are_found_behind_the_tenant() {
    let config = config(
        r#"{"tenant_path": "/t/", "allowed_tenants": ["a"], "upstream": "cortex", "path_prefixes": ["/prometheus"]}"#,
    );
    let request = Request::get("/t/a/prometheus/api/v1/query?query=up").header("x-scope-orgid", "b");
    let found = request.send(&config).unwrap();
    assert_eq!((found.path.as_str(), found.tenant.as_str()), ("/prometheus/api/v1/query?query=up", "a"));
    assert!(found.headers.contains(&("x-scope-orgid".to_owned(), "a".to_owned())), "{:?}", found.headers);
    assert_eq!(reason(&Request::get("/prometheus/t/a/api/v1/query?query=up"), &config), "no_tenant");
}

#[test]
fn grpc_services_are_not_found_behind_a_prefix() {
    let config =
        config(r#"{"tenant_path": "/t/", "static_tenant_ids": ["a"], "upstream": "thanos", "enable_grpc": true}"#);
    for method in ["/thanos.Query/Query", "/grpc.health.v1.Health/Check"] {
        let call = |path: String| {
            Request::new("POST", path).header("content-type", "application/grpc").header("te", "trailers").body("")
        };
        assert_eq!(
            call(format!("/t/a{method}")).decide(&config).unwrap_err().rejection.reason(),
            "unknown_path",
            "{method}"
        );
        assert!(call(method.to_owned()).decide(&config).is_ok(), "{method}");
    }
}

#[test]
fn probes_need_no_tenant_but_one_that_is_named_has_to_be_offered() {
    let config = config(PATH);
    let probe = Request::get("/-/healthy").tenant("a").header("x-forwarded-prefix", "/t/a").send(&config).unwrap();
    assert_eq!((probe.path.as_str(), probe.tenant.as_str(), probe.headers), ("/-/healthy", "", vec![]));
    assert_eq!(sent(&Request::get("/t/b/-/healthy"), &config), of("b", "/-/healthy", Some("/t/b")));
    assert_eq!(reason(&Request::get("/t/c/-/healthy"), &config), "tenant_not_allowed");
}

#[test]
fn without_the_key_a_client_s_prefix_is_not_looked_at() {
    let plain = config("{}");
    let request = Request::get("/api/v1/features").tenant("a").header("x-forwarded-prefix", "/x");
    assert_eq!(sent(&request, &plain), of("a", "/api/v1/features", Some("/x")));
    assert_eq!(reason(&Request::get("/t/a/api/v1/features").tenant("a"), &plain), "unknown_path");
}
