//! Sends one request over HTTP/1 and HTTP/2 through each Envoy in front of the recording upstream.

use super::http::{Request, Response};
use super::stub::Seen;
use super::{envoys, stub, unique};

/// The outcome of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The Envoy and the protocol.
    pub way: String,
    pub answer: Response,
    /// The requests that reached the upstream.
    pub seen: Vec<Seen>,
}

impl Outcome {
    /// The one request that reached the upstream; asserts that it is scoped to this tenant.
    pub fn forwarded(&self, tenant: &str) -> &Seen {
        assert_eq!(self.answer.status, 200, "{}: {}", self.way, self.answer.text());
        assert_eq!(self.answer.header("cache-control"), Some("private, no-store"), "{}", self.way);
        let [seen] = self.seen.as_slice() else { panic!("{}: {:#?}", self.way, self.seen) };
        seen.assert_scoped(tenant);
        seen
    }

    /// Asserts that the filter, or Envoy, answered with this status, and that nothing reached the upstream.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.answer.status, status, "{}: {}", self.way, self.answer.text());
        assert!(self.seen.is_empty(), "{}: {:#?}", self.way, self.seen);
        self.answer.text()
    }
}

impl Seen {
    /// Asserts what holds for every request that reaches the upstream: one tenant header, and the matcher in every query and selector.
    pub fn assert_scoped(&self, tenant: &str) {
        assert!(matches!(self.method.as_str(), "GET" | "POST"), "{self:#?}");
        assert_eq!(self.all("thanos-tenant"), [tenant], "{self:#?}");
        for name in ["x-scope-orgid", "thanos_tenant", "x_scope_orgid", "upgrade", "x-tenancy-test-trap"] {
            assert!(!self.has(name), "{name}: {self:#?}");
        }
        assert!(self.all("connection").iter().all(|value| !value.contains("enant")), "{self:#?}");
        assert!(self.trailers.is_empty(), "{self:#?}");
        assert!(!(self.has("content-length") && self.has("transfer-encoding")), "{self:#?}");
        let matcher = format!("tenant_id=\"{tenant}\"");
        for (name, value) in [self.query(), self.form()].concat() {
            if name == "match[]" || name == "query" && !self.path().ends_with("_query") {
                assert!(value.contains(&matcher), "{name}={value} is not scoped: {self:#?}");
            }
        }
    }
}

/// Sends the request in every way. A stream that was reset counts as answered with status 0.
pub fn send(request: &Request) -> Vec<Outcome> {
    let mut outcomes = send_http1(request);
    outcomes.extend(send_h2(request));
    outcomes
}

/// Sends the request over HTTP/1 only, because HTTP/2 can't express it.
pub fn send_http1(request: &Request) -> Vec<Outcome> {
    through_all(request, "HTTP/1", |request, port| request.send(port))
}

/// Over HTTP/2 only.
pub fn send_h2(request: &Request) -> Vec<Outcome> {
    through_all(request, "HTTP/2", |request, port| {
        let reset = |error: h2::Error| Response { status: 0, headers: Vec::new(), body: error.to_string().into() };
        request.send_h2(port).unwrap_or_else(reset)
    })
}

fn through_all(request: &Request, protocol: &str, send: impl Fn(&Request, u16) -> Response + Sync) -> Vec<Outcome> {
    let send = &send;
    std::thread::scope(|scope| {
        let through = |(index, envoy): (usize, &super::envoy::Envoy)| {
            let (id, port) = (unique(), envoy.port());
            let way = format!("{protocol} through Envoy {index}: {} {}", request.method, request.target);
            let request = request.clone().header("x-e2e-id", &id);
            let answer = scope.spawn(move || send(&request, port));
            (id, way, answer)
        };
        let sent: Vec<_> = envoys().iter().enumerate().map(through).collect();
        let outcome = |(id, way, answer): (String, String, std::thread::ScopedJoinHandle<'_, Response>)| {
            let answer = answer.join().unwrap();
            Outcome { way, answer, seen: stub().seen(&id) }
        };
        sent.into_iter().map(outcome).collect()
    })
}
