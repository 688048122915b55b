//! `envoy/web_pages.yaml`: a browser signs in at an identity provider, and uses the pages of the tenants that its claim names, and of no others.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::identities::{claims, forged_token, token, unsigned_token};
use crate::support::{browser, issuer, stub, unique};
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

/// The way that docs/web-pages.md describes for a cookie that one's own login sets.
#[test]
fn a_token_in_a_cookie_opens_the_pages_of_its_tenants_and_goes_no_further() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let guide = read("docs/web-pages.md");
    let (_, from) = guide.split_once("`forward: false` where the token stands: `").expect("where the token stands");
    let (from, _) = from.split_once('`').expect("its end");
    let (cookie, _) = from.strip_prefix("from_cookies: [").unwrap().split_once(']').unwrap();
    let file = read("envoy/web_pages.yaml");
    let [start, end] = ["oauth2", "jwt_authn"]
        .map(|name| file.find(&format!("          - name: envoy.filters.http.{name}\n")).unwrap());
    let [secrets, clusters] = ["  secrets:\n", "  clusters:\n"].map(|mark| file.find(mark).unwrap());
    let issuer = file.find("  - name: issuer\n").unwrap();
    let prometheus = file.rfind("  - name: prometheus\n    type: ").unwrap();
    let envoy = Setup::example("web_pages.yaml", stub().port)
        .replace(&file[start..end], "")
        .replace(&file[secrets..clusters], "")
        .replace(&file[issuer..prometheus], "")
        .replace("forward: false\n", &format!("forward: false\n                  {from}\n"))
        .start("envoy-login-cookie");
    let of = |path: &str, value: &str| Request::get(path).header("cookie", format!("theme=dark; {cookie}={value}"));

    let own = claims(json!({"tenants": ["team-a", "team-b", "offline_access"]}));
    let good = token(&own);
    for (path, status) in [
        ("/", 200),
        ("/alerts?x=y", 200),
        ("/t/team-a/query", 200),
        ("/t/team-b/api/v1/query?query=up", 200),
        ("/t/team-c/query", 403),
        ("/t/team-c/assets/x.js", 403),
        ("/t/team-c/api/v1/query?query=up", 403),
    ] {
        // The header counts for nothing, whether it names a tenant of the claim or another one.
        for header in ["team-b", "team-c"] {
            let id = unique();
            let answer = of(path, &good).header("x-e2e-id", &id).tenant(header).send(envoy.port());
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            for seen in stub().seen(&id) {
                let tenant = path.split('/').nth(2).unwrap();
                assert_eq!(seen.all("thanos-tenant"), [tenant], "{path}");
                assert!(!seen.has("cookie") && !seen.has("authorization"), "{path}: {seen:?}");
            }
        }
    }
    assert!(!stub().received(&good), "the token went upstream");
    let page = of("/", &good).send(envoy.port()).text();
    assert_eq!(["team-a", "team-b"].map(|id| page.matches(&format!("/t/{id}/query")).count()), [1, 1], "{page}");
    let one = of("/rules", &token(&claims(json!({"tenants": ["team-b"]})))).send(envoy.port());
    assert_eq!((one.status, one.header("location")), (302, Some("/t/team-b/rules")));

    let with = |key: &str, value: serde_json::Value| {
        let mut own = own.clone();
        own[key] = value;
        token(&own)
    };
    let (head, signature) = good.rsplit_once('.').unwrap();
    let foreign = forged_token(&own);
    let cookies = [
        "theme=dark".to_owned(),
        format!("{cookie}="),
        format!("{cookie}={foreign}"),
        format!("{cookie}={foreign}; {cookie}={good}"),
        format!("{cookie}={}", unsigned_token(&own)),
        format!("{cookie}={head}."),
        format!("{cookie}={signature}"),
        format!("{cookie}={}", with("exp", json!(1_000_000_000))),
        format!("{cookie}={}", with("iss", json!("https://other.example"))),
        format!("{cookie}={}", with("aud", json!("grafana"))),
        format!("{}={good}", cookie.to_uppercase()),
        format!("other={good}"),
    ];
    for path in ["/", "/alerts", "/t/team-a/query", "/t/team-a/assets/x.js", "/t/team-a/api/v1/query?query=up"] {
        for cookies in &cookies {
            let id = unique();
            let request = Request::get(path).header("cookie", cookies).header("x-e2e-id", &id).tenant("team-a");
            let answer = request.send(envoy.port());
            assert!(matches!(answer.status, 401 | 403), "{path}, {cookies}: {}", answer.status);
            assert!(stub().seen(&id).is_empty() && !answer.text().contains("team-a"), "{path}, {cookies}");
        }
        let elsewhere = Request::get(path).header("authorization", format!("Bearer {good}")).send(envoy.port());
        assert_eq!((elsewhere.status, Request::get(path).send(envoy.port()).status), (401, 401), "{path}");
    }
    let in_the_url = Request::get(&format!("/t/team-a/api/v1/query?query=up&access_token={good}")).send(envoy.port());
    assert_eq!(in_the_url.status, 401);
    envoy.assert_healthy();
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
