//! Requests for the tests of authentication: over HTTP/1 and HTTP/2, with the given `authorization` header.

use super::http::{Request, Response};
use super::stub::Seen;
use super::{stub, unique};

/// The answer, and the requests that reached the upstream, over HTTP/1.1 and HTTP/2.
pub fn send(port: u16, request: &Request) -> [(Response, Vec<Seen>); 2] {
    [false, true].map(|h2| {
        let id = unique();
        let request = request.clone().header("x-e2e-id", &id);
        let answer = if h2 { request.send_h2(port).unwrap() } else { request.send(port) };
        (answer, stub().seen(&id))
    })
}

/// Asserts that the request is served as this tenant.
#[track_caller]
pub fn assert_is(port: u16, tenant: &str, request: &Request) {
    for (answer, seen) in send(port, request) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let [seen] = seen.try_into().unwrap();
        seen.assert_scoped(tenant);
        assert!(!seen.has("authorization"), "the secret goes no further: {seen:#?}");
    }
}

/// Asserts that the request is refused, and that nothing reaches the upstream.
#[track_caller]
pub fn assert_refused(port: u16, status: u16, request: &Request) {
    for (answer, seen) in send(port, request) {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(seen.is_empty(), "{seen:#?}");
    }
}
