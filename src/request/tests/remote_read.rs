//! Remote read: what becomes of the message, and which messages are refused.

use super::*;
use crate::wire::labels::{Matcher, Operator};
use crate::wire::protobuf::{self, Message};
use crate::wire::remote_read::{Query, ReadHints, ReadRequest};
use crate::wire::snappy;
use std::sync::Arc;

const ON: &str = r#"{"enable_remote_read": true}"#;
const PATH: &str = "/api/v1/read";
const NOTHING: Matcher<'_> = equal(b"__name__", b"promql_tenancy_filter:nothing");

const fn equal<'m>(name: &'m [u8], value: &'m [u8]) -> Matcher<'m> {
    Matcher { operator: Operator::Equal, name, value }
}

fn query<'m>(matchers: &[Matcher<'m>]) -> Query<'m> {
    Query { start_timestamp_ms: NOW - 60_000, end_timestamp_ms: NOW, matchers: matchers.to_vec(), hints: None }
}

fn message(queries: &[Query<'_>], accepted: &[i32]) -> Vec<u8> {
    let mut message = Vec::new();
    ReadRequest { queries: queries.to_vec(), accepted_response_types: accepted.to_vec() }.write(&mut message);
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

fn request(body: impl AsRef<[u8]>) -> Request {
    Request::new("POST", PATH)
        .tenant("team-a")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("content-length", body.as_ref().len().to_string())
        .header("x-prometheus-remote-read-version", "0.1.0")
        .body(body)
}

/// Has the message that is forwarded, decompressed, looked at.
#[track_caller]
fn forwarded(config: &str, body: &[u8], look: impl FnOnce(&ReadRequest<'_>)) {
    let config = super::config(config);
    let forward = request(body).decide(&config).map_err(|refused| refused.rejection).unwrap();
    let finished = forward.body.finish(body, Some(NOW), &config.memo).unwrap().forwarded().unwrap();
    let message = snappy::decode_block(&finished.body.unwrap(), 1 << 20).unwrap();
    look(&protobuf::read(&message).unwrap());
}

#[track_caller]
fn refused(config: &str, body: &[u8]) -> Rejection {
    let config = super::config(config);
    let forward = request(body).decide(&config).map_err(|refused| refused.rejection).unwrap();
    forward.body.finish(body, Some(NOW), &config.memo).unwrap_err()
}

/// Cortex isolates by the header. With `enforce_tenancy`, a message is confined besides, and the answer checked.
#[test]
fn cortex_s_remote_read_is_confined_where_tenancy_is_enforced() {
    let body = message(&[query(&[equal(b"__name__", b"up")])], &[1]);
    let request = || {
        let mut request = request(&body);
        request.headers[1].1 = b"/prometheus/api/v1/read".to_vec();
        request
    };
    let cortex = |more: &str| config(&format!(r#"{{"upstream": "cortex"{more}}}"#));
    assert_eq!(reason(&request(), &cortex(r#", "enforce_tenancy": true"#)), "forbidden_path");
    let enforcing = cortex(r#", "enforce_tenancy": true, "enable_remote_read": true"#);
    let forward = request().decide(&enforcing).unwrap();
    let is_scope =
        |(name, value): &(Arc<str>, Arc<str>)| name.eq_ignore_ascii_case("x-scope-orgid") && &**value == "team-a";
    assert!(forward.set.iter().any(is_scope), "{:?}", forward.set);
    let finished = forward.body.finish(&body, Some(NOW), &enforcing.memo).unwrap().forwarded().unwrap();
    let sent = snappy::decode_block(&finished.body.unwrap(), 1 << 20).unwrap();
    let sent: ReadRequest<'_> = protobuf::read(&sent).unwrap();
    assert_eq!(sent.queries[0].matchers, [equal(b"tenant_id", b"team-a"), equal(b"__name__", b"up")]);
    // Limits that have to read the body can.
    let limits = r#", "enforce_tenancy": true, "enable_remote_read": true, "limits": {"max_selectors_per_query": 2}"#;
    assert!(request().decide(&cortex(limits)).is_ok());
    assert!(matches!(request().decide(&cortex("")).unwrap().body, BodyPlan::Untouched));
}

#[test]
fn remote_read_is_refused_unless_it_is_switched_on() {
    let body = message(&[query(&[])], &[1]);
    assert_eq!(reason(&request(&body), &config("{}")), "forbidden_path");
    assert_eq!(
        reason(&request(&body), &config(r#"{"upstream": "thanos", "enable_remote_read": true}"#)),
        "forbidden_path"
    );
    assert_eq!(reason(&Request::get(PATH).tenant("team-a"), &config(ON)), "method");
    assert_eq!(reason(&Request::new("POST", PATH).tenant("team-a"), &config(ON)), "bad_message");
}

#[test]
fn every_query_gains_the_matcher_as_an_equality_and_nothing_else_changes() {
    let job = Matcher { operator: Operator::Matches, name: b"job", value: b"a.*" };
    let hints =
        ReadHints { step_ms: 15, func: b"rate", start_ms: 5, end_ms: 9, grouping: vec![b"x"], by: true, range_ms: 7 };
    let asked = [
        query(&[equal(b"__name__", b"up"), equal(b"tenant_id", b"team-b"), job.clone()]),
        Query {
            hints: Some(hints.clone()),
            ..query(&[Matcher { operator: Operator::NotEqual, name: b"tenant_id", value: b"" }])
        },
    ];
    forwarded(ON, &message(&asked, &[1, 0]), |sent| {
        let ours = equal(b"tenant_id", b"team-a");
        assert_eq!(sent.queries[0], query(&[ours.clone(), equal(b"__name__", b"up"), job]));
        assert_eq!(sent.queries[1], Query { hints: Some(hints), ..query(&[ours]) });
        assert_eq!(sent.queries.len(), 2);
    });
}

#[test]
fn the_head_says_what_is_sent_and_no_parameter_is_forwarded() {
    let config = config(ON);
    let body = message(&[query(&[])], &[1]);
    let mut request = request(&body).header("accept-encoding", "snappy").header("x-scope-orgid", "team-b");
    request.headers[1].1 = b"/api/v1/read?match[]=up".to_vec();
    let forward = request.decide(&config).map_err(|refused| refused.rejection).unwrap();
    assert_eq!(forward.path.unwrap(), b"/api/v1/read");
    let set: Vec<_> = forward.set.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        set,
        [("thanos-tenant", "team-a"), ("content-type", "application/x-protobuf"), ("content-encoding", "snappy")]
    );
    for name in ["content-length", "accept-encoding", "x-scope-orgid"] {
        assert!(forward.remove.iter().any(|removed| &**removed == name), "{name}");
    }
}

#[test]
fn only_an_answer_type_that_can_be_checked_is_asked_for() {
    for (accepted, sent_on) in
        [(&[][..], 0), (&[0], 0), (&[1], 1), (&[1, 0], 1), (&[0, 1], 0), (&[7, 1, 0], 1), (&[-1, 0], 0)]
    {
        forwarded(ON, &message(&[query(&[])], accepted), |sent| {
            assert_eq!(sent.accepted_response_types, [sent_on], "{accepted:?}");
        });
    }
    assert_eq!(refused(ON, &message(&[query(&[])], &[7])).reason(), "bad_message");
}

#[test]
fn a_query_without_a_matcher_still_selects_nothing() {
    forwarded(ON, &message(&[query(&[])], &[]), |sent| {
        assert_eq!(sent.queries, [query(&[equal(b"tenant_id", b"team-a"), NOTHING])]);
    });
}

#[test]
fn a_query_s_own_matchers_follow_on_conflict_and_federation() {
    let own = [equal(b"tenant_id", b"team-b")];
    let config = r#"{"enable_remote_read": true, "on_conflict": "reject"}"#;
    assert_eq!(refused(config, &message(&[query(&own)], &[])).reason(), "bad_message");
    let config = r#"{"enable_remote_read": true, "on_conflict": "intersect"}"#;
    forwarded(config, &message(&[query(&own)], &[]), |sent| {
        assert_eq!(sent.queries, [query(&[equal(b"tenant_id", b"team-a"), own[0].clone()])]);
    });
    let body = message(&[query(&own)], &[]);
    let config = super::config(r#"{"enable_remote_read": true, "static_tenant_ids": ["a", "b"]}"#);
    let forward = request(&body).decide(&config).map_err(|refused| refused.rejection).unwrap();
    let finished = forward.body.finish(&body, None, &config.memo).unwrap().forwarded().unwrap();
    let message = snappy::decode_block(&finished.body.unwrap(), 1 << 20).unwrap();
    let sent: ReadRequest<'_> = protobuf::read(&message).unwrap();
    let ours = Matcher { operator: Operator::Matches, name: b"tenant_id", value: b"a|b" };
    assert_eq!(sent.queries[0].matchers, [ours, own[0].clone()]);
}

#[test]
fn retention_moves_times_and_hints_and_what_is_older_selects_nothing() {
    const HOUR: i64 = 3_600_000;
    let config = r#"{"enable_remote_read": true, "limits": {"retention_period": "1h", "max_query_into_future": "1h"}}"#;
    let between = |start, end, hints: Option<(i64, i64)>| Query {
        start_timestamp_ms: NOW + start,
        end_timestamp_ms: NOW + end,
        matchers: vec![equal(b"a", b"b")],
        hints: hints.map(|(start, end)| ReadHints { start_ms: NOW + start, end_ms: NOW + end, ..ReadHints::default() }),
    };
    let asked = [
        between(-2 * HOUR, 2 * HOUR, None),
        between(-10, 0, Some((-3 * HOUR, 3 * HOUR))),
        between(-9 * HOUR, 0, Some((-8 * HOUR, -10))),
        between(-9 * HOUR, -8 * HOUR, None),
        between(-9 * HOUR, 0, Some((-8 * HOUR, -7 * HOUR))),
        between(0, -8 * HOUR, None),
        between(0, -10, None),
        between(2 * HOUR, 3 * HOUR, None),
        Query { hints: Some(ReadHints::default()), ..between(-10, 0, None) },
    ];
    forwarded(config, &message(&asked, &[1]), |sent| {
        let ours = [equal(b"tenant_id", b"team-a"), equal(b"a", b"b")];
        let expect = |start, end, hints, nothing| {
            let mut query = between(start, end, hints);
            query.matchers = ours.to_vec();
            if nothing {
                query.matchers.push(NOTHING);
            }
            query
        };
        for (index, expected) in [
            expect(-HOUR, HOUR, None, false),
            expect(-10, 0, Some((-10, 0)), false),
            expect(-HOUR, 0, Some((-HOUR, -10)), false),
            expect(-HOUR, -HOUR, None, true),
            expect(-HOUR, 0, None, true),
            expect(0, 0, None, true),
            expect(0, -10, None, false),
            expect(2 * HOUR, 2 * HOUR, None, true),
            expect(-10, 0, None, true),
        ]
        .iter()
        .enumerate()
        {
            assert_eq!(sent.queries[index], *expected, "{index}");
        }
    });
}

#[test]
fn other_limits_refuse() {
    let limited = |limit: &str| format!(r#"{{"enable_remote_read": true, "limits": {{{limit}}}}}"#);
    let matches = Matcher { operator: Operator::NotMatches, name: b"a", value: b"bcd" };
    let asked = message(&[query(std::slice::from_ref(&matches)), query(&[])], &[]);
    for (limit, reason) in [
        (r#""max_query_length": "59s""#, "max_query_length"),
        (r#""max_selectors_per_query": 1"#, "max_selectors_per_query"),
        (r#""max_regex_pattern_length": 2"#, "max_regex_pattern_length"),
        (
            r#""query_rejection": {"enabled": true, "query_attributes": [{"user_agent_regex": ".*"}]}"#,
            "query_rejection",
        ),
    ] {
        assert_eq!(refused(&limited(limit), &asked).reason(), reason);
    }
    let config = config(&limited(r#""max_concurrent_queries": 3"#));
    let forward = request(&asked).decide(&config).map_err(|refused| refused.rejection).unwrap();
    assert_eq!(forward.concurrency, [("team-a".into(), 3)]);
}

#[test]
fn what_can_t_be_read_is_refused_in_bounded_memory() {
    let block = |size: u64| {
        let mut block = Vec::new();
        protobuf::write_varint(size, &mut block);
        block.extend([0xfe, 0x01, 0x00].repeat(3));
        block
    };
    let good = message(&[query(&[equal(b"a", b"b")])], &[1]);
    let many = |count| message(&vec![query(&[]); count], &[]);
    let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; 20 << 20]).unwrap();
    let mut unknown = Vec::new();
    protobuf::write_bytes(3, &[0x08, 0x07], &mut unknown);
    let mut in_query = Vec::new();
    protobuf::write_bytes(1, &unknown, &mut in_query);
    let unknown_matcher = snappy::encode_block(&in_query);
    for (body, reason) in [
        (&b""[..], "bad_message"),
        (b"\0\0", "bad_message"),
        (b"match[]=up", "bad_message"),
        (&good[..good.len() - 1], "bad_message"),
        (&[&good[..], b"x"].concat(), "bad_message"),
        (&block(2 << 30), "too_large"),
        (&block(1 << 40), "bad_message"),
        (&block(1 << 20), "bad_message"),
        (&bomb, "too_large"),
        (&vec![0; 3 << 20], "too_large"),
        (&many(257), "bad_message"),
        (&many(10_000), "bad_message"),
        (&unknown_matcher, "bad_message"),
        (&message(&[query(&[equal(b"__queries__", b"{}")])], &[]), "bad_message"),
    ] {
        let rejection = refused(ON, body);
        assert_eq!(rejection.reason(), reason, "{:.40}", format!("{body:x?}"));
    }
    // What the scope adds counts too.
    let label = "x".repeat(9_000);
    let long = format!(r#"{{"enable_remote_read": true, "tenant_label_name": "{label}"}}"#);
    assert_eq!(refused(&long, &many(256)).reason(), "too_large");
}
