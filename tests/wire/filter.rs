//! gRPC messages through the filter itself: what is forwarded of a request, and what holds for every request and every answer. The fuzz target `grpc`
//! calls the properties, and so do the seeded tests.

use promql_tenancy_filter::answer::{Body, Expected, Frames, Head as AnswerHead};
use promql_tenancy_filter::api;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::rejection::Rejection;
use promql_tenancy_filter::request::{BodyDecision, Forward, Head, decide};
use promql_tenancy_filter::wire::grpc::write_frame;
use promql_tenancy_filter::wire::labels::{Label, Matcher, Operator, labels};
use promql_tenancy_filter::wire::protobuf::{read, repeated};
use promql_tenancy_filter::wire::thanos::{LabelNamesRequest, LabelValuesRequest, SeriesRequest};
use std::cell::RefCell;
use std::sync::LazyLock;

/// Each kind of message, and the method that takes it.
pub const METHODS: [(&str, &str); 9] = [
    ("QueryRequest", "/thanos.Query/Query"),
    ("QueryRangeRequest", "/thanos.Query/QueryRange"),
    ("SeriesRequest", "/thanos.Store/Series"),
    ("LabelNamesRequest", "/thanos.Store/LabelNames"),
    ("LabelValuesRequest", "/thanos.Store/LabelValues"),
    ("ExemplarsRequest", "/thanos.Exemplars/Exemplars"),
    ("RulesRequest", "/thanos.Rules/Rules"),
    ("TargetsRequest", "/thanos.Targets/Targets"),
    ("InfoRequest", "/thanos.info.Info/Info"),
];

const TENANT: Matcher<'static> = Matcher { operator: Operator::Equal, name: b"tenant_id", value: b"team-a" };
const NOW: i64 = 1_800_000_000_000;

/// Without limits, and with some.
static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| {
    ["{}", r#"{"retention_period":"1d","max_query_length":"1h","max_query_points":100}"#].map(|limits| {
        let json = format!(r#"{{"upstream":"thanos","enable_grpc":true,"limits":{limits}}}"#);
        Config::parse(json.as_bytes()).unwrap()
    })
});

fn forward(method: &str, config: &Config) -> Forward {
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"POST"),
        (b":path", method.as_bytes()),
        (b"content-type", b"application/grpc"),
        (b"thanos-tenant", b"team-a"),
    ];
    let head =
        Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: false, now_ms: Some(NOW) };
    decide(&head, config, &RefCell::default()).unwrap().forwarded().unwrap()
}

/// What the filter forwards of a body; `None` where it answers itself.
pub fn forwarded(method: &str, body: &[u8], config: &Config) -> Result<Option<Vec<u8>>, Rejection> {
    Ok(match forward(method, config).body.finish(body, Some(NOW), &RefCell::default())? {
        BodyDecision::Forward(finished) => Some(finished.body.unwrap_or_else(|| body.to_vec())),
        BodyDecision::Reply(_) => None,
        other @ (BodyDecision::Confirm(_) | BodyDecision::Spread(_)) => panic!("not forwarded: {other:?}"),
    })
}

/// The message that the filter forwards in place of this one, where no limits are set.
pub fn forwarded_message(method: &str, message: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut body = Vec::new();
    write_frame(message, &mut body).unwrap();
    let body = forwarded(method, &body, &CONFIGS[0])?.expect("without limits, nothing is answered");
    Ok(body[5..].to_vec())
}

/// Whatever the body: what is forwarded is one frame, whose matchers begin with the tenant's, and it is forwarded as it is.
pub fn requests(bytes: &[u8]) {
    for (kind, method) in METHODS {
        for (config, is_limited) in CONFIGS.iter().zip([false, true]) {
            let mut framed = Vec::new();
            write_frame(bytes, &mut framed).unwrap();
            for body in [bytes, &framed] {
                let Ok(Some(once)) = forwarded(method, body, config) else { continue };
                assert_eq!(once[..1], [0], "not compressed");
                assert_eq!(u32::from_be_bytes(once[1..5].try_into().unwrap()) as usize, once.len() - 5);
                if !is_limited {
                    assert_eq!(forwarded(method, &once, config).unwrap().unwrap(), once, "{kind} twice");
                }
                let message = &once[5..];
                let matchers = match kind {
                    "SeriesRequest" => read::<SeriesRequest<'_>>(message).unwrap().matchers,
                    "LabelNamesRequest" => read::<LabelNamesRequest<'_>>(message).unwrap().matchers,
                    "LabelValuesRequest" => read::<LabelValuesRequest<'_>>(message).unwrap().matchers,
                    _ => continue,
                };
                assert_eq!(matchers[0], TENANT, "{kind}");
                assert!(matchers[1..].iter().all(|matcher| matcher.name != TENANT.name), "{kind}");
            }
        }
    }
}

fn frames(method: &str) -> Box<Frames> {
    let config = &CONFIGS[0];
    let route = api::find_call(api::Upstream::Thanos, method.as_bytes()).unwrap().route;
    let labels = config.label_values(|_| Ok(None), None).unwrap();
    let scope = config.scope(&config.tenants(b"team-a").unwrap(), &labels).unwrap();
    let expected = Expected::new(route, config, Some(&scope));
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/grpc")];
    let head = AnswerHead { headers: &headers, end_of_stream: false, is_early: false };
    match expected.decide(&head).unwrap().body {
        Body::Frames(frames) => frames,
        other => panic!("{other:?}"),
    }
}

/// Whatever the answer: what passes does not depend on its pieces; a series that passes is the tenant's.
pub fn answers(bytes: &[u8]) {
    let Some((&size, answer)) = bytes.split_first() else { return };
    for (_, method) in METHODS {
        let run = |size: usize| {
            let (mut frames, mut out) = (frames(method), Vec::new());
            answer.chunks(size).for_each(|piece| frames.push(piece, &mut out));
            frames.end();
            let trailers = frames.trailers(&[(b"grpc-status", b"0"), (b"grpc-message", b"of team-b")]);
            assert!(trailers.set.iter().all(|(_, value)| !value.contains("team-b")));
            (out, frames.withheld(), frames.fault())
        };
        let whole = run(answer.len().max(1));
        assert_eq!(run(usize::from(size).max(1)), whole, "{method} in pieces of {size}");
        if method == "/thanos.Store/Series" {
            let mut rest = &whole.0[..];
            while let Some((header, after)) = rest.split_first_chunk::<5>() {
                let size = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                // The last frame may be cut at a fault.
                let Some((message, after)) = after.split_at_checked(size) else { break };
                rest = after;
                let batches = repeated(message, 4).map_while(Result::ok).flat_map(|batch| repeated(batch, 1));
                for series in repeated(message, 1).chain(batches).map_while(Result::ok) {
                    let own = Label { name: b"tenant_id", value: b"team-a" };
                    assert!(labels(series).map_while(Result::ok).any(|label| label == own), "{series:x?}");
                }
            }
        }
    }
}
