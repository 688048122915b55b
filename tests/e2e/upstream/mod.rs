//! A hostile upstream. Whatever it sends, no data of another tenant reaches the client, the answer is filtered or refused, and the same VM
//! serves the next request.
//!
//! - `framing`: how HTTP/1 says where a body ends
//! - `heads`: statuses, content types, encodings
//! - `documents`: valid and invalid JSON
//! - `sizes`: answers larger than the filter's limit and than Envoy's buffer
//! - `frames`: HTTP/2
//!
//! Each case is played for answers that are held back (rules, alerts, exemplars) and for one that streams by, with and without
//! `allow_on_headers_stop_iteration`, to a client that speaks HTTP/1 and to one that speaks HTTP/2.

mod documents;
mod frames;
mod framing;
mod heads;
mod sizes;

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::native;
use crate::support::observe::{Observed, over_h1, over_h2};
use crate::support::scripted::{Frames, PROTOCOL, SCRIPT, Scripted, Step};
use crate::support::unique;
use std::sync::LazyLock;

/// A text that is in everything that belongs to another tenant.
const MARK: &str = "team-b";

fn upstream() -> &'static Scripted {
    static UPSTREAM: LazyLock<Scripted> = LazyLock::new(Scripted::start);
    &UPSTREAM
}

fn setup(stop_iteration: bool) -> Setup {
    // What a script sends beyond its answer must not meet another test's request on the same connection.
    Setup::shipped(upstream().port)
        .replace(
            "common_http_protocol_options: { idle_timeout: 60s }",
            "common_http_protocol_options: { max_requests_per_connection: 1 }",
        )
        .second_upstream(PROTOCOL, upstream().h2_port, "http2")
        .http1_trailers()
        .stop_iteration(stop_iteration)
}

/// With and without `allow_on_headers_stop_iteration`.
fn envoys() -> &'static [(bool, Envoy); 2] {
    static ENVOYS: LazyLock<[(bool, Envoy); 2]> = LazyLock::new(|| {
        let start = |name: &str, allowed| (native::holds_heads(allowed), setup(allowed).start(name));
        [start("envoy-upstream", true), start("envoy-upstream-continue", false)]
    });
    &ENVOYS
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rules,
    Alerts,
    Exemplars,
    Query,
}

const KINDS: [Kind; 4] = [Kind::Rules, Kind::Alerts, Kind::Exemplars, Kind::Query];

impl Kind {
    fn is_held(self) -> bool {
        self != Kind::Query
    }

    fn path(self) -> &'static str {
        match self {
            Kind::Rules => "/api/v1/rules",
            Kind::Alerts => "/api/v1/alerts",
            Kind::Exemplars => "/api/v1/query_exemplars?query=up",
            Kind::Query => "/api/v1/query?query=up",
        }
    }

    /// The body of an honest upstream, with data of both tenants.
    fn body(self) -> String {
        self.document(
            &["team-b", "team-a", "team-b"],
            "0.5",
            "receive series from thanos-team-b:10901: rpc error: code = Unavailable desc = connection refused, LabelSets: {tenant=team-b}",
        )
    }

    /// What the client may receive of it.
    fn filtered(self) -> String {
        self.document(&["team-a"], "0", 
            "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's",
        )
    }

    fn document(self, tenants: &[&str], time: &str, warning: &str) -> String {
        let of = |tenant: &str| {
            let labels = format!(r#"{{"owner":"{tenant}","x":"é\u00e9\"}}]{{\\","tenant_id":"{tenant}"}}"#);
            let alert = format!(r#"{{"labels":{labels},"annotations":{{}},"state":"firing","value":"1e+00"}}"#);
            match self {
                Kind::Rules => format!(
                    r#"{{"state":"firing","name":"Down","query":"up == 0","labels":{labels},"alerts":[{alert}],"health":"ok","lastError":"","type":"alerting"}}"#
                ),
                Kind::Alerts => alert,
                Kind::Exemplars => {
                    format!(
                        r#"{{"seriesLabels":{labels},"exemplars":[{{"labels":{{}},"value":"0.5","timestamp":1.5}}]}}"#
                    )
                }
                // The forwarded query asks for the tenant's data only.
                Kind::Query => format!(r#"{{"metric":{},"value":[1,"1"]}}"#, labels.replace(MARK, "team-a")),
            }
        };
        let list = tenants.iter().map(|tenant| of(tenant)).collect::<Vec<_>>().join(",");
        let data = match self {
            Kind::Rules => {
                format!(r#"{{"groups":[{{"name":"g","file":"f","rules":[{list}],"evaluationTime":{time}}}]}}"#)
            }
            Kind::Alerts => format!(r#"{{"alerts":[{list}]}}"#),
            Kind::Exemplars => format!("[{list}]"),
            Kind::Query => format!(r#"{{"resultType":"vector","result":[{}],"analysis":{{}}}}"#, of("team-a")),
        };
        format!(r#"{{"status":"success","data":{data},"warnings":["{warning}","PromQL warning: é"]}}"#)
    }
}

/// The required result of a case. In every case, nothing about other tenants may reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// The complete answer, with only the tenant's data.
    Filtered,
    /// Nothing that a client could mistake for an answer.
    Withheld,
    /// Nothing that a client could mistake for an answer, whatever the status: more has come than may be held back with its head.
    NoSuccess,
    /// This status, and JSON or nothing.
    Status(u16),
    /// Any result is right if it has nothing about other tenants.
    Silent,
}

struct Case<'a> {
    name: &'a str,
    kind: Kind,
    stop_iteration: bool,
}

impl Expect {
    fn check(self, case: &Case<'_>, seen: &Observed) {
        let Case { name, kind, stop_iteration } = case;
        let what = format!(
            "{name}: {kind:?}, stop_iteration {stop_iteration}: {:?}: {}",
            seen.status,
            String::from_utf8_lossy(&seen.body[..seen.body.len().min(2000)])
        );
        assert!(!seen.shows(MARK), "{what}");
        let is_success = seen.status.is_some_and(|status| status < 300)
            && seen.is_whole
            && seen.json().is_some_and(|json| json["status"] == "success");
        match self {
            Expect::Filtered => {
                assert_eq!((seen.status, seen.is_whole), (Some(200), true), "{what}");
                assert_eq!(String::from_utf8_lossy(&seen.body).trim_end(), kind.filtered(), "{what}");
            }
            Expect::Withheld => {
                assert!(!is_success, "{what}");
                // The headers were held back with the body, so the status can still change.
                if kind.is_held() && *stop_iteration {
                    assert!(seen.status.is_some_and(|status| status >= 500), "{what}");
                }
            }
            Expect::NoSuccess => assert!(!is_success, "{what}"),
            Expect::Status(status) => {
                assert_eq!((seen.status, seen.is_whole), (Some(status), true), "{what}");
                assert!(seen.body.is_empty() || seen.json().is_some(), "{what}");
            }
            Expect::Silent => {}
        }
    }
}

/// Plays a case in all of its variants over HTTP/1. `script` is given the body, and the variant's number.
fn play(name: &str, expect: Expect, script: impl Fn(&str, usize) -> Vec<Step>) {
    play_at(envoys(), name, expect, |kind, variant, id| upstream().steps(id, script(&kind.body(), variant)), false);
}

/// Likewise over HTTP/2.
fn play_frames(name: &str, expect: Expect, script: impl Fn(&str, usize) -> Frames) {
    play_at(envoys(), name, expect, |kind, variant, id| upstream().frames(id, script(&kind.body(), variant)), true);
}

fn play_at(envoys: &[(bool, Envoy)], name: &str, expect: Expect, script: impl Fn(Kind, usize, &str), is_second: bool) {
    let mut variant = 0;
    for (stop_iteration, envoy) in envoys {
        for kind in KINDS {
            for client in [over_h1, over_h2] {
                let id = unique();
                script(kind, variant, &id);
                variant += 1;
                let request = Request::get(kind.path()).tenant("team-a").header(SCRIPT, &id);
                let request = if is_second { request.header(PROTOCOL, "h2") } else { request };
                let seen = client(envoy.port(), &request);
                expect.check(&Case { name, kind, stop_iteration: *stop_iteration }, &seen);
            }
        }
        assert_serves(envoy, name);
    }
}

/// The next request is served, by the same VM.
fn assert_serves(envoy: &Envoy, name: &str) {
    let usual = over_h1(envoy.port(), &Request::get("/api/v1/query?query=up").tenant("team-a"));
    assert_eq!(usual.status, Some(200), "after {name}: {usual:?}");
    assert_eq!(usual.body, br#"{"status":"success","data":null}"#, "after {name}");
    envoy.assert_healthy();
}

const JSON: &str = "content-type: application/json\r\n";

fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// A response with these header lines, this body, and its length.
fn sized(status: &str, lines: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{lines}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    vec![send(head), send(body)]
}

/// In chunks, with pauses between them.
fn chunked<'a>(lines: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Step> {
    let mut steps =
        vec![send(format!("HTTP/1.1 200 OK\r\n{lines}transfer-encoding: chunked\r\nconnection: close\r\n\r\n"))];
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        steps.extend([Step::Send(chunk), Step::Pause]);
    }
    steps.push(send("0\r\n\r\n"));
    steps
}

/// Pieces of a body, cut at other places in each variant.
fn pieces(body: &str, count: usize, variant: usize) -> Vec<&[u8]> {
    let size = body.len() / count;
    let (first, rest) = body.as_bytes().split_at(1 + variant * 7 % size);
    std::iter::once(first).chain(rest.chunks(size)).collect()
}
