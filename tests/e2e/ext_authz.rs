//! `envoy/ext_authz.yaml`: the tenant is the one that the service names, whatever the client sends. If the service names none, there is none.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::{authentication, stub, unique};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::LazyLock;

/// An authorisation service that decides by the bearer's name: `a` and `b` are tenants, `allowed` is admitted without a tenant, `slow` times out, and
/// all others are refused.
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
    // Connections are kept: one request after the other.
    while let Some(Ok(_)) = lines.next() {
        let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let bearer = head.iter().find_map(|line| line.strip_prefix("authorization: Bearer "));
        let (status, tenant) = match bearer {
            Some(team @ ("a" | "b")) => ("200 OK", format!("thanos-tenant: team-{team}\r\n")),
            Some("two") => ("200 OK", "thanos-tenant: team-a\r\nthanos-tenant: team-b\r\n".to_owned()),
            Some("allowed") => ("200 OK", String::new()),
            Some("slow") => {
                std::thread::sleep(std::time::Duration::from_secs(3));
                ("200 OK", "thanos-tenant: team-a\r\n".to_owned())
            }
            _ => ("401 Unauthorized", String::new()),
        };
        let answer = format!("HTTP/1.1 {status}\r\n{tenant}content-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn port() -> u16 {
    static ENVOY: LazyLock<Envoy> = LazyLock::new(|| {
        Setup::example("ext_authz.yaml", stub().port)
            .replace("9000 } # AUTHORISATION_PORT", &format!("{} }}", service()))
            .start("envoy-ext-authz")
    });
    ENVOY.port()
}

fn get(bearer: &str) -> Request {
    Request::get("/api/v1/query?query=up").header("authorization", format!("Bearer {bearer}"))
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
fn tenant_is_whom_the_service_names() {
    assert_is("team-a", &get("a"));
    assert_is("team-b", &get("b"));
    let form = Request::post("/api/v1/query", "query=up").header("authorization", "Bearer b");
    assert_is("team-b", &form);
}

#[test]
fn header_of_the_client_is_not_believed() {
    assert_is("team-a", &get("a").tenant("team-b"));
    assert_is("team-a", &get("a").tenant("team-b").header("Thanos-Tenant", "team-c"));
    assert_is("team-a", &get("a").header("x-scope-orgid", "team-b"));
    // The service allows the request without naming a tenant.
    assert_refused(401, &get("allowed"));
    assert_refused(401, &get("allowed").tenant("team-b"));
    assert_refused(401, &get("allowed").header("Thanos-Tenant", "team-b"));
}

#[test]
fn connection_can_t_take_the_header_away() {
    let id = unique();
    let request = get("a").header("connection", "thanos-tenant, close").header("x-e2e-id", &id);
    let answer = request.send(port());
    assert_eq!(answer.status, 200, "{}", answer.text());
    stub().seen(&id).iter().for_each(|seen| seen.assert_scoped("team-a"));
}

#[test]
fn without_the_service_s_word_nobody_gets_anywhere() {
    assert_refused(401, &get("c"));
    assert_refused(401, &get("c").tenant("team-a"));
    assert_refused(401, &Request::get("/api/v1/query?query=up").tenant("team-a"));
    assert_refused(401, &Request::get("/api/v1/status/buildinfo").tenant("team-a"));
    assert_refused(503, &get("slow"));
}

#[test]
fn of_two_tenants_in_its_answer_the_last_counts() {
    // Envoy sets the header to each in turn, observed with 1.40.0.
    assert_is("team-b", &get("two"));
}
