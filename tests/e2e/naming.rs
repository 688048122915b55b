//! `envoy/keycloak.yaml` and `envoy/ext_authz_parameter.yaml`: claims as identity providers write them, the tenant in the path and in a
//! parameter, and what a client tries who wants to be another tenant.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::identities::{self, claims, forged_token, token};
use crate::support::stub::Seen;
use crate::support::{authentication, compare, prometheus, stub};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::LazyLock;

/// A service that lets `team-a` ask for the namespaces `team-a` and `shared`. It reads the query string as the standard crate does.
fn service() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || decide(&stream));
        }
    });
    port
}

fn decide(mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let target = line.split(' ').nth(1).unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        // A careless one, which looks at the first only.
        let namespace = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "namespace");
        let may_ask = namespace.is_some_and(|(_, value)| ["team-a", "shared", ""].contains(&&*value));
        let is_known = head.iter().any(|line| line == "authorization: Bearer a");
        let status = if may_ask && is_known { "200 OK" } else { "403 Forbidden" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn with_roles(path: &str, roles: Value) -> Request {
    bearer(path, &token(&claims(json!({"realm_access": {"roles": roles}}))))
}

fn bearer(path: &str, token: &str) -> Request {
    Request::get(path).header("authorization", format!("Bearer {token}"))
}

/// The one request that reached the upstream.
#[track_caller]
fn forwarded(port: u16, request: &Request) -> Vec<Seen> {
    authentication::send(port, request)
        .into_iter()
        .map(|(answer, seen)| {
            assert_eq!(answer.status, 200, "{}", answer.text());
            let [seen] = seen.try_into().unwrap();
            seen
        })
        .collect()
}

#[track_caller]
fn assert_is(port: u16, tenant: &str, prefix: &[&str], request: &Request) {
    for seen in forwarded(port, request) {
        seen.assert_scoped(tenant);
        assert!(seen.path().starts_with("/api/v1/") || seen.path() == "/-/healthy", "{seen:#?}");
        assert_eq!(seen.all("x-forwarded-prefix"), prefix);
    }
}

#[track_caller]
fn assert_refused(port: u16, status: u16, request: &Request) {
    authentication::assert_refused(port, status, request);
}

fn keycloak() -> u16 {
    static ENVOY: LazyLock<Envoy> =
        LazyLock::new(|| Setup::example("keycloak.yaml", stub().port).start("envoy-keycloak"));
    ENVOY.port()
}

const UP: &str = "/api/v1/query?query=up";

/// The path of a query, behind a tenant.
fn up(tenant: &str) -> String {
    format!("/t/{tenant}{UP}")
}

#[test]
fn each_path_shows_its_own_tenant_s_series() {
    let envoy = Setup::example("keycloak.yaml", prometheus().upstream.port()).start("envoy-keycloak-prometheus");
    // As the script makes it for the example's first lines.
    let token = std::fs::read_to_string(identities::folder().join("keycloak.jwt")).unwrap();
    let everything = "/api/v1/query?query=last_over_time(%7B__name__!=%22%22%7D%5B1d%5D)";
    for tenant in ["team-a", "team-b"] {
        let answer = bearer(&format!("/t/{tenant}{everything}"), &token).tenant("team-b").send(envoy.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(&format!("\"tenant_id\":\"{tenant}\"")), "{}", answer.text());
        compare::assert_only_of(tenant, &answer, "its path");
    }
    assert_eq!(bearer(everything, &token).send(envoy.port()).status, 400, "several may be chosen");
    assert_eq!(bearer(&format!("/t/team-c{everything}"), &token).send(envoy.port()).status, 403);
    envoy.assert_healthy();
}

#[test]
fn roles_that_are_no_tenants_are_dropped() {
    let port = keycloak();
    let roles =
        || json!(["offline_access", "uma_authorization", "sre", "metrics:else", "metrics:shop", "metrics:", "team-b"]);
    assert_is(port, "team-a", &[], &with_roles(UP, roles()));
    assert_is(port, "team-a", &["/t/team-a"], &with_roles(&up("team-a"), roles()));
    assert_refused(port, 403, &with_roles(&up("team-b"), roles()));
    assert_is(port, "team-b", &["/t/team-b"], &with_roles(&up("team-b"), json!(["metrics:sre"])));
    assert_is(port, "team-a", &[], &with_roles(UP, json!("metrics:shop")));
    // Nothing is left, and a group is no tenant.
    for roles in
        [json!(["offline_access"]), json!(["metrics:team-a"]), json!(["team-a", "/sre", "METRICS:sre"]), json!("sre")]
    {
        assert_refused(port, 403, &with_roles(UP, roles.clone()));
        assert_refused(port, 403, &with_roles(&up("team-a"), roles));
    }
    assert_refused(port, 400, &with_roles(UP, json!(["metrics:sre"])));
    for (roles, status) in [
        (json!(7), 400),
        (json!(true), 400),
        (json!({"metrics:shop": true}), 400),
        (json!(["metrics:shop", 7]), 400),
        (json!(["metrics:shop", ["metrics:sre"]]), 400),
        (json!(["metrics:shop", null]), 400),
        (json!(null), 401),
        (json!(""), 401),
        (json!([]), 401),
    ] {
        let without_a_list = roles == json!([]);
        assert_refused(port, status, &with_roles(UP, roles.clone()));
        assert_refused(port, if without_a_list { 403 } else { status }, &with_roles(&up("team-a"), roles));
    }
    // The claim at another place, or of a token that nobody signed.
    let elsewhere = [
        json!({"roles": ["metrics:sre"]}),
        json!({"realm_access": ["metrics:sre"]}),
        json!({"realm_access": {"Roles": ["metrics:sre"]}}),
        json!({"realm_access.roles": ["metrics:sre"]}),
        json!({"resource_access": {"roles": ["metrics:sre"]}}),
    ];
    for elsewhere in elsewhere {
        assert_refused(port, 401, &bearer(&up("team-a"), &token(&claims(elsewhere))));
    }
    assert_refused(
        port,
        401,
        &bearer(&up("team-a"), &forged_token(&claims(json!({"realm_access": {"roles": ["metrics:sre"]}})))),
    );
    assert_refused(port, 401, &Request::get(&up("team-a")).tenant("team-a"));
}

#[test]
fn nothing_but_the_path_chooses() {
    let port = keycloak();
    let sre = |path: &str| with_roles(path, json!(["metrics:sre"]));
    let spoofed = sre(&up("team-a"))
        .tenant("team-b")
        .header("thanos-tenant", "team-c")
        .header("x-scope-orgid", "team-b")
        .header("x-forwarded-prefix", "/t/team-b")
        .header("x-forwarded-prefix", "/evil");
    assert_is(port, "team-a", &["/t/team-a"], &spoofed);
    let without = with_roles(UP, json!(["metrics:shop"])).tenant("team-b").header("x-forwarded-prefix", "/t/team-b");
    assert_is(port, "team-a", &[], &without);
    assert_is(port, "team-b", &["/t/team-b"], &sre("/t/team-b/-/healthy"));
    let form = Request::post(&format!("/t/team-b{}", "/api/v1/query"), "query=up").header(
        "authorization",
        format!("Bearer {}", token(&claims(json!({"realm_access": {"roles": ["metrics:sre"]}})))),
    );
    assert_is(port, "team-b", &["/t/team-b"], &form);
    for (path, status) in [
        ("/t/team-b/../team-a/api/v1/query?query=up", 400),
        ("/t/./team-a/api/v1/query?query=up", 400),
        ("/t//team-a/api/v1/query?query=up", 400),
        ("//t/team-a/api/v1/query?query=up", 400),
        ("/t/team-a%2Fapi/v1/query?query=up", 400),
        ("/t/team-a/..%2Fteam-b/api/v1/query?query=up", 400),
        ("/t/%2e%2e/api/v1/query?query=up", 400),
        ("/t/team-a%5c/api/v1/query?query=up", 400),
        ("/t/team-a%252f/api/v1/query?query=up", 400),
        ("/t/team%2Da/api/v1/query?query=up", 403),
        ("/t/%74eam-a/api/v1/query?query=up", 403),
        ("/t/team-c/api/v1/query?query=up", 403),
        ("/t/TEAM-A/api/v1/query?query=up", 403),
        ("/t/team-a;/api/v1/query?query=up", 403),
        ("/t/team-a%7Cteam-b/api/v1/query?query=up", 403),
        ("/t/sre/api/v1/query?query=up", 403),
        ("/t/", 401),
        ("/t", 400),
        ("/t/team-a", 404),
        ("/t/team-a/t/team-b/api/v1/query?query=up", 404),
        ("/t/team-a/metrics", 403),
    ] {
        assert_refused(port, status, &sre(path));
    }
    // The words do not tell who exists.
    let words = |tenant: &str| sre(&up(tenant)).send(port).text();
    assert_eq!(words("team-c"), words("no-such-team"));
    assert!(words("team-c").contains("this tenant is not allowed here"), "{}", words("team-c"));
}

#[test]
fn routes_see_the_path_that_is_forwarded() {
    const ROUTE: &str = "              - match: { prefix: / }\n                route:\n";
    let before = "              - match: { prefix: /t/ }\n                direct_response: { status: 418 }\n";
    let envoy = Setup::example("keycloak.yaml", stub().port)
        .replace(ROUTE, &[before, ROUTE].concat())
        .start("envoy-keycloak-routes");
    assert_is(envoy.port(), "team-b", &["/t/team-b"], &with_roles(&up("team-b"), json!(["metrics:sre"])));
    assert_refused(envoy.port(), 403, &with_roles(&up("team-c"), json!(["metrics:sre"])));
}

#[test]
fn a_parameter_is_what_the_service_has_seen() {
    static ENVOY: LazyLock<Envoy> = LazyLock::new(|| {
        Setup::example("ext_authz_parameter.yaml", stub().port)
            .replace("9000 } # AUTHORISATION_PORT", &format!("{} }}", service()))
            .start("envoy-ext-authz-parameter")
    });
    let port = ENVOY.port();
    let get = |query: &str| bearer(&format!("/api/v1/query?{query}"), "a");
    // As KEDA's scaler for Prometheus asks.
    for seen in forwarded(port, &get("query=up&namespace=team-a")) {
        seen.assert_scoped("team-a");
        assert!(seen.query().iter().all(|(name, _)| name == "query") && !seen.has("authorization"), "{seen:#?}");
    }
    assert_is(port, "shared", &[], &get("query=up&n%61mespace=shared"));
    assert_is(port, "team-a", &[], &get("namespace=team-a&query=up").tenant("team-b").header("namespace", "team-b"));
    // The service looks at the first one only, and lets these pass.
    for (query, status) in [
        ("query=up&namespace=team-a&namespace=team-b", 400),
        ("query=up&namespace=team-a&n%61mespace=team-b", 400),
        ("query=up&namespace=team-a&%6Eamespace", 400),
        ("query=up&namespace=", 401),
        ("query=up&namespace=team-a%", 403),
        ("query=up&namespace=team-b", 403),
        ("query=up", 403),
        ("query=up&Namespace=team-a", 403),
    ] {
        assert_refused(port, status, &get(query));
    }
    let post = |body: &str| Request::post("/api/v1/query?namespace=team-a", body).header("authorization", "Bearer a");
    assert_is(port, "team-a", &[], &post("query=up"));
    for body in ["query=up&namespace=team-b", "query=up&namespace=team-a", "n%61mespace=team-b&query=up", "namespace"] {
        assert_refused(port, 400, &post(body));
    }
    assert_refused(port, 403, &Request::get("/api/v1/query?query=up&namespace=team-a").tenant("team-a"));
    ENVOY.assert_healthy();
}
