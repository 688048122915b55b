//! The tenant header: it is read once and forwarded once, whatever the client sends in headers and trailers, over HTTP/1 and HTTP/2.

use crate::support::edges;
use crate::support::envoy::Setup;
use crate::support::http::{Request, raw};
use crate::support::{recorded, stub, unique};
use serde_json::json;

fn get() -> Request {
    Request::get("/api/v1/query?query=up")
}

#[test]
fn tenant_is_sent_once_however_its_header_is_written() {
    for name in ["THANOS-TENANT", "Thanos-Tenant", "thanos-tenant"] {
        for outcome in edges::send_http1(&get().header(name, "team-a")) {
            outcome.forwarded("team-a");
        }
    }
    for outcome in edges::send_h2(&get().header("thanos-tenant", "team-a")) {
        outcome.forwarded("team-a");
    }
    // HTTP/1 allows white space around a value.
    for outcome in edges::send_http1(&get().header("THANOS-TENANT", "  team-a \t")) {
        outcome.forwarded("team-a");
    }
}

#[test]
fn headers_that_name_another_tenant_do_not_pass() {
    let request = get().tenant("team-a").header("X-Scope-OrgID", "team-b").header("x-forwarded-user", "team-b");
    for outcome in edges::send(&request) {
        assert_eq!(outcome.forwarded("team-a").all("x-forwarded-user"), ["team-b"]);
    }
}

#[test]
fn two_tenants_are_refused() {
    for (first, second) in [("team-a", "team-b"), ("team-a", "team-a"), ("team-a", ""), ("", "team-a")] {
        for outcome in edges::send(&get().tenant(first).tenant(second)) {
            assert!(outcome.refused(400).contains("more than once"), "{}", outcome.way);
        }
    }
    for outcome in edges::send_http1(&get().header("Thanos-Tenant", "team-a").header("THANOS-tenant", "team-b")) {
        outcome.refused(400);
    }
    for outcome in edges::send(&get().tenant("team-a,team-b")) {
        outcome.refused(400);
    }
}

#[test]
fn no_tenant_is_refused_and_the_empty_one_is_none() {
    let form = Request::post("/api/v1/query", "query=up");
    for request in [get(), form.clone(), get().tenant(""), form.tenant(""), get().header("X-Scope-OrgID", "team-a")] {
        for outcome in edges::send(&request) {
            assert!(outcome.refused(401).contains("unauthorized"), "{}", outcome.way);
        }
    }
    // HTTP/1 strips the white space around a value. In HTTP/2 it is part of the value.
    for outcome in edges::send_http1(&get().tenant("   ")) {
        outcome.refused(401);
    }
    for outcome in edges::send_h2(&get().tenant("   ")) {
        outcome.refused(400);
    }
}

#[test]
fn what_is_no_tenant_id_is_refused() {
    let long = "a".repeat(151);
    let ids: [&[u8]; 12] = [
        b".",
        b"..",
        b"../team-a",
        b"team-a/team-b",
        b"team a",
        b"team-a\"",
        b"team-a\xff",
        "team-\u{e4}".as_bytes(),
        b"team-a|team-b",
        b"{}",
        b"__mimir_cluster",
        long.as_bytes(),
    ];
    for id in ids {
        for outcome in edges::send(&get().header("THANOS-TENANT", id)) {
            outcome.refused(400);
        }
    }
}

#[test]
fn tenant_in_trailers_does_not_pass() {
    let trailers = [("thanos-tenant", "team-b"), ("x-scope-orgid", "team-b"), ("x-checksum", "1")];
    for request in [
        Request::post("/api/v1/query", "").chunked(&[b"query=up"], &trailers),
        Request::post("/api/v1/query?query=up", "").chunked(&[b""], &trailers),
        Request::post("/api/v1/query?query=up", "").chunked(&[], &trailers),
        get().chunked(&[], &trailers),
    ] {
        for outcome in edges::send(&request.tenant("team-a")) {
            outcome.forwarded("team-a");
        }
    }
    // Trailers don't replace the header, either.
    for outcome in edges::send(&Request::post("/api/v1/query", "").chunked(&[b"query=up"], &trailers)) {
        outcome.refused(401);
    }
}

/// A later proxy would remove the header that `connection` names, as a hop-by-hop header. Envoy removes it itself.
#[test]
fn connection_cannot_name_the_tenant_header() {
    for value in ["close, THANOS-TENANT", "thanos-tenant", "keep-alive, Thanos-Tenant, content-type"] {
        for outcome in edges::send_http1(&get().tenant("team-a").header("connection", value)) {
            outcome.refused(401);
        }
    }
}

#[test]
fn underscores_do_not_make_another_header() {
    // With the shipped configuration, Envoy refuses such names.
    for name in ["THANOS_TENANT", "X_Scope_OrgID", "thanos_tenant"] {
        for outcome in edges::send_http1(&get().tenant("team-a").header(name, "team-b")) {
            outcome.refused(400);
        }
    }
    let setup = Setup::shipped(stub().port)
        .replace("headers_with_underscores_action: REJECT_REQUEST", "headers_with_underscores_action: ALLOW");
    let envoy = setup.start("envoy-underscores");
    for name in ["THANOS_TENANT", "X_Scope_OrgID", "Thanos_tenant"] {
        let id = unique();
        let answer = get().tenant("team-a").header(name, "team-b").header("x-e2e-id", &id).send(envoy.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let [seen] = stub().seen(&id).try_into().unwrap();
        seen.assert_scoped("team-a");
        assert_eq!(get().header(name, "team-b").send(envoy.port()).status, 401);
    }
}

#[test]
fn operators_choose_the_headers() {
    let keys = json!({"tenant_header": "X-Tenant", "forward_tenant_header": "X-Scope-OrgID", "strip_headers": ["Authorization", "x-debug"], "default_tenant_id": "team-b"});
    let envoy = Setup::shipped(stub().port).plugin(keys).start("envoy-own-headers");
    let send = |request: Request| {
        let id = unique();
        let answer = request
            .header("authorization", "Bearer x")
            .header("X-Debug", "1")
            .header("x-e2e-id", &id)
            .send(envoy.port());
        (answer.status, stub().seen(&id))
    };
    for (request, tenant) in [
        (get().header("X-Tenant", "team-a").tenant("team-c").header("x-scope-orgid", "team-c"), "team-a"),
        (get().tenant("team-c"), "team-b"),
    ] {
        let (status, seen) = send(request);
        let [seen] = seen.try_into().unwrap();
        assert_eq!((status, seen.all("x-scope-orgid")), (200, vec![tenant]));
        for name in ["x-tenant", "thanos-tenant", "authorization", "x-debug"] {
            assert!(!seen.has(name), "{name}: {seen:#?}");
        }
        assert_eq!(seen.query()[0].1, format!("up{{tenant_id=\"{tenant}\"}}"));
    }
    // A header that is present and empty is not absent.
    assert_eq!(send(get().header("X-Tenant", "")).0, 401);
}

/// Cortex and Mimir isolate tenants in their storage, by their own header.
#[test]
fn cortex_is_sent_its_header_and_the_query_as_it_is() {
    let envoy = Setup::shipped(stub().port).plugin(json!({"upstream": "cortex"})).start("envoy-cortex");
    let send = |request: Request| {
        let id = unique();
        (request.header("x-e2e-id", &id).send(envoy.port()), stub().seen(&id))
    };
    for path in ["/prometheus/api/v1/query", "/api/prom/api/v1/query"] {
        let url = Request::get(&format!("{path}?query=up%7Btenant_id=%22team-b%22%7D"));
        for request in [url, Request::post(path, "query=up%7Btenant_id=%22team-b%22%7D")] {
            let (answer, seen) = send(request.tenant("team-a").header("X-Scope-OrgID", "team-b"));
            let [seen] = seen.try_into().unwrap();
            assert_eq!((answer.status, seen.all("x-scope-orgid")), (200, vec!["team-a"]));
            assert!(!seen.has("thanos-tenant") && seen.path() == path, "{seen:#?}");
            assert_eq!([seen.query(), seen.form()].concat()[0].1, "up{tenant_id=\"team-b\"}");
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        }
    }
    // Without a prefix, the path is the API for the configuration of rules.
    for path in [
        "/api/v1/rules",
        "/api/v1/query",
        "/prometheus/config/v1/rules",
        "/api/v1/push",
        "/ingester/ring",
        "/distributor/all_user_stats",
    ] {
        let (answer, seen) = send(Request::get(path).tenant("team-a"));
        assert!(matches!(answer.status, 403 | 404) && seen.is_empty(), "{path}: {}", answer.status);
    }
    for request in [
        Request::get("/prometheus/api/v1/query?query=up"),
        Request::get("/prometheus/api/v1/query?query=up(").tenant("team-a").tenant("b"),
    ] {
        let (answer, seen) = send(request);
        assert!(matches!(answer.status, 400 | 401) && seen.is_empty(), "{}", answer.status);
    }
}

#[test]
fn answer_is_not_for_caches_that_others_share() {
    for outcome in edges::send(&get().tenant("team-a")) {
        let vary = outcome.answer.all("vary").join(", ").to_ascii_lowercase();
        assert!(vary.contains("origin") && vary.contains("thanos-tenant"), "{}: {vary}", outcome.way);
        assert_eq!(outcome.answer.all("cache-control"), ["private, no-store"]);
    }
    for request in
        [get(), Request::get("/nothing").tenant("team-a"), Request::post("/api/v1/query", "query=(").tenant("team-a")]
    {
        for outcome in edges::send(&request) {
            assert_eq!(outcome.answer.all("cache-control"), ["private, no-store"], "{}", outcome.way);
            assert_eq!(outcome.answer.header("content-type"), Some("application/json"), "{}", outcome.way);
        }
    }
}

#[test]
fn ranges_and_conditions_are_answered_privately() {
    let request = get()
        .tenant("team-a")
        .header("range", "bytes=0-3")
        .header("if-none-match", "\"x\"")
        .header("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT");
    for outcome in edges::send(&request) {
        outcome.forwarded("team-a");
    }
}

/// Hosts that a router or an upstream could read differently.
#[test]
fn host_does_not_choose_the_tenant() {
    for host in ["team-b", "localhost:1", "team-b.example:80"] {
        for outcome in edges::send_http1(&get().tenant("team-a").header("host", host)) {
            outcome.forwarded("team-a");
        }
    }
    let id = unique();
    let twice = format!(
        "GET /api/v1/query?query=up HTTP/1.1\r\nhost: a\r\nhost: b\r\nthanos-tenant: team-a\r\nx-e2e-id: {id}\r\nconnection: close\r\n\r\n"
    );
    for answer in raw(recorded().port(), twice.as_bytes()) {
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    }
    stub().seen(&id).iter().for_each(|seen| seen.assert_scoped("team-a"));
}
