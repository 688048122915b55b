//! `envoy/web_pages.yaml`: a browser signs in at an identity provider, and uses the pages of the tenants that its claim names, and of no others.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::{browser, issuer, stub};
use serde_json::json;
use std::path::Path;

fn envoy(tenants: serde_json::Value, name: &str) -> Envoy {
    let issuer = issuer::start(json!({ "tenants": tenants }));
    let at = |path: &str| format!("http://127.0.0.1:{issuer}/{path}");
    Setup::example("web_pages.yaml", stub().port)
        .replace("http://127.0.0.1:9000/authorize", &at("authorize"))
        .replace("http://127.0.0.1:9000/token", &at("token"))
        .replace("9000 } # ISSUER_PORT", &format!("{issuer} }}"))
        .start(name)
}

#[test]
fn whoever_signs_in_chooses_among_the_tenants_of_the_claim() {
    let envoy = envoy(json!(["team-a", "team-b"]), "envoy-login");
    let seen = browser::login(&envoy, "login");
    let checks = &seen["checks"];
    assert_eq!(checks["offered"], json!(["team-a", "team-b"]), "{seen:#}");
    assert_eq!(checks["links"], json!(["/t/team-a/alerts?x=1", "/t/team-b/alerts?x=1"]));
    assert_eq!((&checks["own"], &checks["other"]), (&json!(200), &json!(403)), "{seen:#}");
    // No script reads the token, and no other site's page sends it.
    for cookie in checks["cookies"].as_array().unwrap() {
        assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Lax")), "{cookie}");
    }
    assert_eq!(checks["read"], json!([]), "another site reads");
    assert_eq!(checks["sent"], json!([]), "another site's page sends the cookie");
}

#[test]
fn whoever_has_one_tenant_is_led_to_it() {
    let seen = browser::login(&envoy(json!(["team-b"]), "envoy-login-one"), "login-one");
    assert_eq!(seen["checks"]["landed"], json!("/t/team-b/alerts?x=1"), "{seen:#}");
}

#[test]
fn nobody_sees_a_page_without_signing_in() {
    let envoy = envoy(json!(["team-a"]), "envoy-login-nobody");
    for path in ["/", "/t/team-a/query", "/alerts", "/t/team-a/assets/x.js"] {
        let answer = Request::get(path).send(envoy.port());
        assert_eq!(answer.status, 302, "{path}");
        assert!(answer.header("location").unwrap().contains("/authorize?"), "{path}");
        // What a page asks for is refused and not led elsewhere.
        let answer = Request::get(path).header("sec-fetch-dest", "empty").send(envoy.port());
        assert_eq!(answer.status, 401, "{path}");
    }
    for cookie in ["BearerToken=x; OauthHMAC=x; OauthExpires=9999999999", "BearerToken=x"] {
        let answer = Request::get("/t/team-a/query").header("cookie", cookie).send(envoy.port());
        assert!(matches!(answer.status, 302 | 401), "{cookie}: {}", answer.status);
    }
}

/// The way that docs/web-pages.md describes for passwords.
#[test]
fn with_a_password_one_opens_the_pages_of_the_tenant_of_that_name() {
    const FILTER: &str = "          - name: promql_tenancy\n";
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/web-pages.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, rbac) = guide.split_once("```yaml\n").expect("the filter for access");
    let (rbac, _) = rbac.split_once("```").expect("its end");
    let (_, keys) = guide.split_once("`\"tenant_path\"").expect("the keys");
    let (keys, _) = keys.split_once('`').expect("their end");
    let rbac: String = rbac.lines().map(|line| format!("          {line}\n")).collect();
    let envoy = Setup::example("basic_auth.yaml", stub().port)
        .replace(FILTER, &(rbac + FILTER))
        .replace("\"tenant_header\": \"thanos-tenant\",", &format!("\"tenant_path\"{keys},"))
        .replace("                      \"default_tenant_id\": \"\",\n", "")
        .start("envoy-login-password");
    let get = |path: &str| Request::get(path).header("authorization", "Basic dGVhbS1hOmRlbW8tYQ==");
    for (path, status) in [
        ("/", 200),
        ("/alerts?x=y", 200),
        ("/t/team-a/query", 200),
        ("/t/team-a/api/v1/query?query=up", 200),
        ("/t/team-b/query", 403),
        ("/t/team-b/api/v1/query?query=up", 403),
        ("/t/team-b", 403),
        ("/t/team-c/query", 403),
        ("//t/team-b/query", 400),
        ("/./t/team-b/query", 400),
        ("/%74/team-b/query", 401),
        ("/T/team-b/query", 401),
    ] {
        let answer = get(path).tenant("team-b").send(envoy.port());
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    assert_eq!(Request::get("/").send(envoy.port()).status, 401);
}
