//! `envoy/basic_auth.yaml`: a client with a password is that tenant, whatever else it sends, and other clients are refused.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::{authentication, stub, unique};
use std::sync::LazyLock;

/// Credentials in the form of `curl --user`.
const TEAM_A: &str = "Basic dGVhbS1hOmRlbW8tYQ==";
const TEAM_B: &str = "Basic dGVhbS1iOmRlbW8tYg==";
/// team-a with team-b's password.
const WRONG: &str = "Basic dGVhbS1hOmRlbW8tYg==";
/// An empty user and an empty password.
const EMPTY: &str = "Basic Og==";

fn port() -> u16 {
    static ENVOY: LazyLock<Envoy> =
        LazyLock::new(|| Setup::example("basic_auth.yaml", stub().port).start("envoy-basic-auth"));
    ENVOY.port()
}

fn get() -> Request {
    Request::get("/api/v1/query?query=up")
}

#[track_caller]
fn assert_is(tenant: &str, request: &Request) {
    authentication::assert_is(port(), tenant, request);
}

#[track_caller]
fn assert_refused(status: u16, request: &Request) {
    authentication::assert_refused(port(), status, request);
}

#[test]
fn user_is_the_tenant() {
    assert_is("team-a", &get().header("authorization", TEAM_A));
    assert_is("team-b", &get().header("authorization", TEAM_B));
    assert_is("team-a", &Request::post("/api/v1/query", "query=up").header("authorization", TEAM_A));
}

#[test]
fn header_of_the_client_changes_nothing() {
    let request = || get().header("authorization", TEAM_A);
    assert_is("team-a", &request().tenant("team-b"));
    assert_is("team-a", &request().tenant("team-b").header("Thanos-Tenant", "team-c"));
    assert_is("team-a", &request().tenant(""));
    assert_is("team-a", &request().tenant("team-a|team-b"));
    assert_is("team-a", &request().header("x-scope-orgid", "team-b"));
    let form = Request::post("/api/v1/query", "").header("authorization", TEAM_A);
    assert_is("team-a", &form.chunked(&[b"query=up"], &[("thanos-tenant", "team-b"), ("authorization", TEAM_B)]));
}

#[test]
fn connection_can_t_take_the_header_away() {
    let id = unique();
    let request = get().header("authorization", TEAM_A).header("connection", "thanos-tenant, close");
    let answer = request.header("x-e2e-id", &id).send(port());
    assert_eq!(answer.status, 200, "{}", answer.text());
    stub().seen(&id).iter().for_each(|seen| seen.assert_scoped("team-a"));
}

#[test]
fn nobody_gets_anywhere() {
    assert_refused(401, &get());
    assert_refused(401, &get().tenant("team-a"));
    assert_refused(401, &get().header("authorization", WRONG));
    assert_refused(401, &get().header("authorization", EMPTY));
    assert_refused(401, &get().header("authorization", "Bearer x").tenant("team-a"));
    // A password is needed on every path.
    assert_refused(401, &Request::get("/api/v1/status/buildinfo").tenant("team-a"));
}

#[test]
fn two_passwords_are_one_tenant_or_none() {
    for (answer, seen) in
        authentication::send(port(), &get().header("authorization", TEAM_A).header("authorization", TEAM_B))
    {
        match answer.status {
            // Envoy uses the first header, observed with 1.40.0.
            200 => seen.iter().for_each(|seen| seen.assert_scoped("team-a")),
            status => assert_eq!((status, seen.len()), (401, 0), "{}", answer.text()),
        }
    }
}
