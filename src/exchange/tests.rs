//! The exchange by itself: events in, effects out. What a real host does with the effects is asserted in tests/filter and tests/e2e.

use super::*;
use crate::config::Config;
use std::sync::Arc;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOW: u64 = 1_764_000_000_000_000_000;

fn exchange(config: &str) -> Exchange {
    let config = Config::parse(config.as_bytes()).unwrap();
    let mut exchange = Exchange::new(Rc::new(Worker::new(Arc::new(config))));
    assert!(exchange.on(Event::Began { now: Some(NOW) }).effects.is_empty());
    exchange
}

fn head(exchange: &mut Exchange, method: &str, path: &str, end_of_stream: bool) -> Step {
    let headers: [(&[u8], &[u8]); 5] = [
        (b":method", method.as_bytes()),
        (b":path", path.as_bytes()),
        (b"thanos-tenant", b"team-a"),
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"x-request-id", b"id-1"),
    ];
    exchange.on(Event::RequestHead(Arrival { headers: &headers, evidence: None, label_evidence: None, end_of_stream }))
}

fn failure() -> Event<'static> {
    Event::Failed(HostError { call: "a call", fault: Fault::Status(10) })
}

fn reply(step: &Step) -> Option<(u16, &[u8])> {
    step.effects.iter().find_map(|effect| match effect {
        Effect::Reply { status, body, .. } => Some((*status, body.as_slice())),
        _ => None,
    })
}

fn edits(step: &Step) -> Option<&RequestEdits> {
    step.effects.iter().find_map(|effect| match effect {
        Effect::EditRequest(edits) => Some(edits),
        _ => None,
    })
}

fn summary(exchange: &mut Exchange) -> Option<Summary> {
    let step = exchange.on(Event::Done { now: NOW + 5_000_000 });
    step.effects.into_iter().find_map(|effect| match effect {
        Effect::End(summary) => Some(*summary),
        _ => None,
    })
}

#[test]
fn a_query_is_forwarded_with_all_of_its_edits() {
    let mut exchange = exchange("{}");
    let step = head(&mut exchange, "GET", "/api/v1/query?query=up", true);
    assert_eq!(step.flow, Flow::Continue);
    let edits = edits(&step).unwrap();
    let path = String::from_utf8(edits.path.clone().unwrap()).unwrap();
    assert!(path.contains("tenant_id%3D%22team-a%22"), "{path}");
    assert!(edits.set.iter().any(|(name, value)| (&**name, &**value) == ("thanos-tenant", "team-a")));
    assert!(
        matches!(step.effects.first(), Some(Effect::Begin { tenant: Some(tenant), handler: "query" }) if **tenant == *"team-a")
    );
}

#[test]
fn an_effect_that_fails_refuses_and_a_reply_that_fails_cuts_off() {
    let mut exchange = exchange("{}");
    head(&mut exchange, "GET", "/api/v1/query?query=up", true);
    let refused = exchange.on(failure());
    assert_eq!((refused.flow, reply(&refused).unwrap().0), (Flow::Pause, 500));
    let cut = exchange.on(failure());
    assert_eq!(cut.flow, Flow::Pause);
    assert!(matches!(cut.effects.last(), Some(Effect::Reset(Half::Request))), "{cut:?}");
    for event in [Event::RequestBody { size: 1, end_of_stream: true }, Event::AnswerHead { end_of_stream: true }] {
        let step = exchange.on(event);
        assert_eq!((step.flow, step.effects.len()), (Flow::Pause, 0));
    }
    assert_eq!(summary(&mut exchange).unwrap().status, 0);
}

#[test]
fn a_form_waits_until_it_is_whole_and_is_replaced() {
    let mut exchange = exchange("{}");
    assert_eq!(head(&mut exchange, "POST", "/api/v1/query", false).flow, Flow::Continue);
    let part = exchange.on(Event::RequestBody { size: 3, end_of_stream: false });
    assert_eq!((part.flow, part.effects.len()), (Flow::Pause, 0));
    let whole = exchange.on(Event::RequestBody { size: 8, end_of_stream: true });
    assert!(matches!(whole.effects[..], [Effect::ReadRequestBody { size: 8, with_time: false }]));
    let done = exchange.on(Event::RequestBodyRead { body: b"query=up".to_vec(), now: None });
    assert_eq!(done.flow, Flow::Continue);
    let [Effect::ReplaceBody { half: Half::Request, size: 8, bytes }] = &done.effects[..] else { panic!("{done:?}") };
    assert!(String::from_utf8_lossy(bytes).contains("tenant_id%3D%22team-a%22"));
    // Bytes after the end are out of order: refused.
    let more = exchange.on(Event::RequestBody { size: 1, end_of_stream: true });
    assert_eq!(reply(&more).unwrap().0, 500);
}

#[test]
fn a_query_that_is_counted_is_forwarded_only_with_its_lease() {
    let config = r#"{"limits": {"max_concurrent_queries": 2}}"#;
    let mut granted = exchange(config);
    let asked = head(&mut granted, "GET", "/api/v1/query?query=up", true);
    assert_eq!(asked.flow, Flow::Pause);
    assert!(edits(&asked).is_none());
    assert!(matches!(asked.effects.last(), Some(Effect::TakeLease(wanted)) if wanted[..] == [("team-a".into(), 2)]));
    assert!(edits(&granted.on(Event::Leased)).is_some());
    let mut refused = exchange(config);
    head(&mut refused, "GET", "/api/v1/query?query=up", true);
    let step = refused.on(Event::LeaseRefused { running: 2, allowed: 2 });
    assert_eq!((step.flow, reply(&step).unwrap().0), (Flow::Pause, 429));
}

#[test]
fn without_a_configuration_everything_is_refused() {
    let mut exchange = Exchange::new(Rc::default());
    let step = head(&mut exchange, "GET", "/-/healthy", true);
    assert_eq!((step.flow, reply(&step).unwrap().0), (Flow::Pause, 500));
    assert_eq!(summary(&mut exchange), None, "what was not decided on has no series");
}

#[test]
fn an_answer_before_any_request_is_another_filter_s() {
    let mut exchange = exchange("{}");
    let step = exchange.on(Event::AnswerHead { end_of_stream: false });
    assert_eq!((step.flow, step.effects.len()), (Flow::Continue, 0));
}

#[test]
fn an_answer_is_filtered_as_it_comes_and_counted() {
    let mut exchange = exchange("{}");
    head(&mut exchange, "GET", "/api/v1/query?query=up", true);
    let asked = exchange.on(Event::AnswerHead { end_of_stream: false });
    assert!(matches!(asked.effects[..], [Effect::ReadAnswerHead]));
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/json")];
    let step = exchange.on(Event::AnswerHeadRead { headers: &headers, details: None });
    assert!(
        matches!(&step.effects[..], [Effect::EditAnswer(edits)] if edits.set.contains(&("cache-control", "private, no-store")))
    );
    let body = br#"{"status":"success","data":[],"warnings":["store team-b"]}"#;
    exchange.on(Event::AnswerBody { size: body.len(), end_of_stream: true });
    let step = exchange.on(Event::AnswerBodyRead { bytes: body.to_vec() });
    let Some(Effect::ReplaceBody { half: Half::Answer, bytes, .. }) = step.effects.first() else { panic!("{step:?}") };
    assert!(!String::from_utf8_lossy(bytes).contains("team-b"));
    assert!(
        matches!(step.effects.last(), Some(Effect::Log(Level::Info, line)) if line.contains("count=1 request_id=id-1"))
    );
    let length = bytes.len() as u64;
    let summary = summary(&mut exchange).unwrap();
    assert_eq!((summary.status, summary.withheld, summary.answer_bytes, summary.milliseconds), (200, 1, length, 5));
}

/// Envoy answers in the place of an answer that it can't hold, and tells no filter.
#[test]
fn while_an_answer_is_held_back_the_host_says_what_the_client_got() {
    for (told, status) in [(Some(500), 500), (Some(502), 502), (None, 0)] {
        let mut exchange = exchange(r#"{"allow_on_headers_stop_iteration": true}"#);
        head(&mut exchange, "GET", "/api/v1/rules", true);
        exchange.on(Event::AnswerHead { end_of_stream: false });
        let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/json")];
        assert_eq!(exchange.on(Event::AnswerHeadRead { headers: &headers, details: None }).flow, Flow::Pause);
        exchange.on(Event::AnswerBody { size: 9, end_of_stream: false });
        let asked = exchange.on(Event::Done { now: NOW + 5_000_000 });
        assert!(matches!(asked.effects[..], [Effect::ReadStatus]), "{asked:?}");
        let end = exchange.on(Event::StatusRead(told));
        let [Effect::End(summary)] = &end.effects[..] else { panic!("{end:?}") };
        assert_eq!((summary.status, summary.milliseconds), (status, 5));
    }
}

#[test]
fn an_upstream_s_error_of_another_shape_is_told_in_its_head_s_place() {
    for (status, content_type, end_of_stream) in [
        (&b"503"[..], &b"text/x-log"[..], false),
        (b"503", b"application/json", true),
        (b"404", b"text/html", false),
        (b"302", b"text/html", true),
    ] {
        let mut exchange = exchange("{}");
        head(&mut exchange, "GET", "/api/v1/query?query=up", true);
        exchange.on(Event::AnswerHead { end_of_stream });
        let headers: [(&[u8], &[u8]); 3] =
            [(b":status", status), (b"content-type", content_type), (b"location", b"/login")];
        let step = exchange.on(Event::AnswerHeadRead { headers: &headers, details: None });
        let [Effect::Reply { status: told, details, headers, body, code: _ }] = &step.effects[..] else {
            panic!("{step:?}")
        };
        assert_eq!((step.flow, told.to_string().as_bytes()), (Flow::Pause, status));
        assert_eq!(details, "tenancy_upstream_error");
        assert_eq!(headers.contains(&("location", "/login".to_owned())), *told == 302);
        assert!(headers.contains(&("content-type", "application/json".to_owned())));
        let object: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(object["status"], "error");
        let length = body.len() as u64;
        let told = *told;
        assert!(exchange.on(Event::AnswerBody { size: 9, end_of_stream: true }).effects.is_empty());
        let summary = summary(&mut exchange).unwrap();
        assert_eq!((summary.status, summary.answer_bytes), (told, length));
        assert_eq!((summary.refused, summary.unreadable, summary.withheld), (None, None, 0));
    }
    for status in [&b"204"[..], b"304"] {
        let mut exchange = exchange("{}");
        head(&mut exchange, "GET", "/api/v1/query?query=up", true);
        exchange.on(Event::AnswerHead { end_of_stream: true });
        let step = exchange.on(Event::AnswerHeadRead { headers: &[(b":status", status)], details: None });
        assert!(matches!(step.effects[..], [Effect::EditAnswer(_)]), "{step:?}");
    }
}

/// Events in any order, and any effect failing: nothing that has to be read is forwarded unread, and after a refusal nothing is.
#[test]
fn no_order_of_events_forwards_what_was_not_decided_on() {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..20_000 {
        let mut exchange = exchange(r#"{"limits": {"max_concurrent_queries": 2}}"#);
        let (mut is_refused, mut was_read) = (false, false);
        for _ in 0..8 {
            let (event, is_body) = match random(12) {
                0 | 1 => (None, false),
                2 => (Some(Event::RequestBody { size: 8, end_of_stream: random(2) == 0 }), true),
                3 => {
                    was_read = true;
                    (Some(Event::RequestBodyRead { body: b"query=up".to_vec(), now: Some(NOW) }), false)
                }
                4 => (Some(Event::Trailers(Half::Request)), false),
                5 => (Some(Event::AnswerHead { end_of_stream: false }), false),
                6 => (Some(Event::AnswerHeadRead { headers: &[(b":status", b"200")], details: None }), false),
                7 => (Some(Event::AnswerBody { size: 8, end_of_stream: true }), false),
                8 => (Some(Event::Leased), false),
                9 => (Some(Event::LeaseRefused { running: 2, allowed: 2 }), false),
                10 => (Some(Event::TrailersRead { trailers: &[] }), false),
                _ => (Some(failure()), false),
            };
            let step = match event {
                Some(event) => exchange.on(event),
                None => head(&mut exchange, "POST", "/api/v1/query", false),
            };
            if is_body && step.flow == Flow::Continue {
                assert!(was_read && !is_refused, "a body was forwarded unread");
            }
            if is_refused {
                assert!(edits(&step).is_none(), "a head was forwarded after a refusal");
            }
            is_refused |=
                reply(&step).is_some() || step.effects.iter().any(|effect| matches!(effect, Effect::Reset(_)));
        }
    }
}
