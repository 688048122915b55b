//! Alertmanager: requests that wait for the upstream with a body that is held back, and bodies that are sent in parts.

use crate::harness::{Fault, Harness, Outcome, Request, Response, Upon};

const INTERNAL_FAILURE: u32 = 10;
const CONFIG: &str = r#"{"upstream": "alertmanager", "call_out_cluster": "am"}"#;
const ID: &str = "11111111-2222-3333-4444-555555555555";
const ROUTES: &str = r#"{"upstream": "alertmanager", "static_tenant_ids": ["ruler"], "allow_on_headers_stop_iteration": true,
    "alert_routes": {"a": "am-a", "b": "am-b"}}"#;

fn silence(tenant: &str) -> Option<Response> {
    let body = format!(
        r#"{{"id":"x","matchers":[{{"name":"tenant_id","value":"{tenant}","isRegex":false,"isEqual":true}}]}}"#
    );
    Some(Response::new(200, body))
}

fn update() -> Request {
    let body = format!(r#"{{"ID":"{ID}","matchers":[{{"name":"x","value":"y","isRegex":false}}],"comment":"c"}}"#);
    Request::post("/api/v2/silences")
        .header("thanos-tenant", "a")
        .header("content-type", "application/json")
        .header("content-length", body.len().to_string())
        .chunk(body)
}

fn delete() -> Request {
    Request::new("DELETE", format!("/api/v2/silence/{ID}")).header("thanos-tenant", "a")
}

fn harness(stops: bool) -> Harness {
    let mut harness = Harness::new(CONFIG).unwrap().allow_on_headers_stop_iteration(stops);
    harness.upstream_answers(Response::new(200, r#"{"silenceID":"y"}"#).header("content-type", "application/json"));
    harness
}

#[track_caller]
fn is_refused(outcome: &Outcome, status: u16) {
    let answer = outcome.refused(status);
    assert!(outcome.sent.body.is_empty(), "nothing of the body goes upstream");
    assert!(serde_json::from_slice::<String>(&answer.body).is_ok(), "{}", answer.text());
}

#[test]
fn an_update_and_a_deletion_go_on_only_where_the_silence_is_the_tenant_s() {
    for stops in [false, true] {
        for request in
            [update(), update().split(&[1, 20]), update().without_header("content-length").trailer("x", "y"), delete()]
        {
            for (answer, status) in [
                (silence("a"), 200),
                (silence("b"), 404),
                (Some(Response::new(404, "")), 404),
                (None, 502),
                (Some(Response::new(500, "\"team-b\"")), 502),
                (Some(Response::new(504, "")), 504),
                (Some(Response::new(200, "{")), 502),
                (Some(Response::new(200, "x".repeat(2 << 20))), 502),
            ] {
                let mut harness = harness(stops);
                let stream = harness.open(request.clone());
                let asked = harness.call_outs();
                assert_eq!((asked.len(), asked[0].cluster.as_str()), (1, "am"));
                assert_eq!(asked[0].headers.get(":path"), Some(format!("/api/v2/silence/{ID}")));
                assert_eq!((asked[0].headers.get(":method").as_deref(), asked[0].body.len()), (Some("GET"), 0));
                harness.answer_call_out(asked[0].token, answer);
                let outcome = harness.close(stream);
                if status == 200 {
                    assert_eq!(outcome.answer().status, 200);
                    assert!(outcome.upstream().trailers.get("x").is_none());
                    assert!(request.chunks.is_empty() || outcome.body().contains(r#""name":"tenant_id","value":"a""#));
                } else {
                    is_refused(&outcome, status);
                    assert!(!outcome.answer().text().contains("team-b"));
                }
            }
        }
    }
}

#[test]
fn nothing_is_asked_before_the_body_s_end_and_a_client_that_leaves_changes_nothing() {
    let mut harness = harness(true);
    let left = harness.open_and_leave(update().split(&[30]));
    assert!(harness.call_outs().is_empty());
    assert!(harness.close(left).sent.body.is_empty());
    let left = harness.open(update());
    let asked = harness.call_outs();
    let outcome = harness.close(left);
    assert!(outcome.response.is_none() && outcome.sent.body.is_empty());
    // A host that does not cancel the question calls a context that is gone.
    harness.answer_call_out(asked[0].token, silence("a"));
}

#[test]
fn a_host_that_fails_changes_no_silence() {
    for call in ["proxy_http_call", "proxy_set_buffer_bytes", "proxy_get_buffer_bytes", "proxy_get_header_map_pairs"] {
        let mut harness = harness(true);
        harness.fail(&[Fault { upon: Upon::Name(call), status: INTERNAL_FAILURE }]);
        let stream = harness.open(update());
        for asked in harness.call_outs() {
            harness.answer_call_out(asked.token, silence("a"));
        }
        harness.heal();
        let outcome = harness.close(stream);
        assert!(!outcome.sent.complete && outcome.sent.body.is_empty(), "{call}");
        assert!(outcome.response.is_some_and(|answer| answer.status >= 500), "{call}");
    }
}

fn alerts() -> Request {
    let alert = |tenant: &str, n: u32| format!(r#"{{"labels":{{"tenant_id":"{tenant}","n":"{n}"}}}}"#);
    let body = format!("[{},{},{}]", alert("a", 1), alert("b", 2), alert("a", 3));
    Request::post("/api/v2/alerts")
        .header("content-type", "application/json")
        .header("content-length", body.len().to_string())
        .header("authorization", "Bearer of the ruler")
        .header("thanos-tenant", "b")
        .chunk(body)
}

fn routes() -> Harness {
    let mut harness = Harness::new(ROUTES).unwrap().allow_on_headers_stop_iteration(true);
    harness.upstream_answers(Response::new(500, "never asked"));
    harness
}

#[test]
fn each_tenant_s_alerts_are_sent_to_its_own_cluster_and_answered_when_all_are_taken() {
    let taken = || Some(Response::new(200, ""));
    for order in [[0, 1], [1, 0]] {
        for (answers, status) in [
            ([taken(), taken()], 200),
            ([taken(), None], 502),
            ([None, taken()], 502),
            ([Some(Response::new(503, "no healthy upstream")), Some(Response::new(400, "\"team-a\""))], 502),
            ([taken(), Some(Response::new(302, ""))], 502),
        ] {
            for request in
                [alerts(), alerts().split(&[1, 50]), alerts().without_header("content-length").trailer("x", "y")]
            {
                let mut harness = routes();
                let stream = harness.open(request);
                let asked = harness.call_outs();
                let sent: Vec<_> = asked
                    .iter()
                    .map(|call| (call.cluster.as_str(), call.headers.get("thanos-tenant").unwrap(), call.body.len()))
                    .collect();
                assert_eq!(
                    (asked.len(), sent[0].0, &*sent[0].1, sent[1].0, &*sent[1].1),
                    (2, "am-a", "a", "am-b", "b")
                );
                for call in &asked {
                    assert_eq!(call.headers.get(":path").as_deref(), Some("/api/v2/alerts"));
                    assert!(call.headers.get("authorization").is_none(), "{call:?}");
                }
                let bodies: Vec<String> =
                    asked.iter().map(|call| String::from_utf8(call.body.clone()).unwrap()).collect();
                assert!(
                    bodies[0].contains(r#""n":"1""#)
                        && bodies[0].contains(r#""n":"3""#)
                        && !bodies[0].contains(r#""b""#)
                );
                assert!(bodies[1].contains(r#""n":"2""#) && !bodies[1].contains(r#""a""#));
                for at in order {
                    harness.answer_call_out(asked[at].token, answers[at].clone());
                }
                let outcome = harness.close(stream);
                assert!(outcome.local && outcome.sent.headers.is_none(), "the request itself goes nowhere");
                assert_eq!(outcome.answer().status, status);
                assert!(!outcome.answer().text().contains("team-a"));
            }
        }
    }
}

#[test]
fn parts_that_can_t_be_sent_and_clients_that_leave_are_no_success() {
    let mut harness = routes();
    harness.fail(&[Fault { upon: Upon::Name("proxy_http_call"), status: INTERNAL_FAILURE }]);
    let outcome = harness.request(alerts());
    let text = outcome.refused(502).text();
    assert!(text.contains("of 3 alerts, 3 were not taken"), "{text}");
    harness.heal();

    let stream = harness.open(alerts());
    let asked = harness.call_outs();
    harness.answer_call_out(asked[0].token, Some(Response::new(200, "")));
    let outcome = harness.close(stream);
    assert!(outcome.response.is_none() && outcome.sent.headers.is_none());
    harness.answer_call_out(asked[1].token, Some(Response::new(200, "")));

    let left = harness.open_and_leave(alerts().split(&[40]));
    assert!(harness.call_outs().is_empty(), "no part is sent before all of the body is here");
    harness.close(left);
    for (body, status) in [("[", 400), ("", 400), (r#"[{"labels":{"tenant_id":"c"}}]"#, 502)] {
        let request = Request::post("/api/v2/alerts").header("content-type", "application/json").chunk(body);
        harness.request(request).refused(status);
        assert!(harness.call_outs().is_empty());
    }
}
