//! Questions to the upstream: the request waits, whatever comes meanwhile, and goes on or is refused when the answer comes.

use crate::harness::{Fault, Harness, Outcome, Request, Response, Upon, status};

/// `WasmResult::InternalFailure`.
const INTERNAL_FAILURE: u32 = 10;

const CONFIG: &str = r#"{"enable_metadata": "names", "call_out_cluster": "upstream"}"#;
const METADATA: &str =
    r#"{"status":"success","data":{"b":[{"type":"gauge","help":"x"}],"up":[{"type":"gauge","help":"x"}]}}"#;
const FILTERED: &str = r#"{"status":"success","data":{"up":[{"type":"gauge","help":""}]}}"#;

fn harness(stops_iteration: bool) -> Harness {
    let mut harness = Harness::new(CONFIG).unwrap().allow_on_headers_stop_iteration(stops_iteration);
    harness.upstream_answers(Response::new(200, METADATA).header("content-type", "application/json"));
    harness
}

fn request() -> Request {
    Request::get("/api/v1/metadata").header("thanos-tenant", "team-a")
}

fn names() -> Option<Response> {
    Some(Response::new(200, r#"{"status":"success","data":["up"]}"#))
}

#[track_caller]
fn is_filtered(outcome: &Outcome) {
    let answer = outcome.response.as_ref().expect("an answer");
    assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (200, FILTERED));
    assert_eq!(outcome.sent.headers.as_ref().unwrap().get(":path").as_deref(), Some("/api/v1/metadata"));
}

#[track_caller]
fn is_refused(outcome: &Outcome, status: u16) {
    let answer = outcome.response.as_ref().expect("an answer");
    assert!(outcome.local && answer.status == status, "{answer:?}");
    assert!(!outcome.sent.complete && outcome.sent.body.is_empty(), "nothing goes upstream");
}

#[test]
fn the_request_waits_for_the_answer_and_goes_on_with_its_edits() {
    for stops in [false, true] {
        let mut harness = harness(stops);
        let stream = harness.open(request());
        let asked = harness.call_outs();
        assert_eq!((asked.len(), asked[0].cluster.as_str(), asked[0].timeout_ms), (1, "upstream", 5_000));
        assert!(asked[0].headers.get(":path").unwrap().contains("__name__"));
        assert_eq!(asked[0].headers.get("thanos-tenant").as_deref(), Some("team-a"));
        harness.answer_call_out(asked[0].token, names());
        let outcome = harness.close(stream);
        is_filtered(&outcome);
        assert_eq!(outcome.sent.headers.as_ref().unwrap().get("thanos-tenant").as_deref(), Some("team-a"));
        // The next one need not ask.
        let outcome = harness.request(request());
        assert!(harness.call_outs().is_empty());
        is_filtered(&outcome);
    }
}

#[test]
fn a_body_or_trailers_that_come_meanwhile_are_held_back_and_decided_on() {
    for stops in [false, true] {
        for (given, is_taken) in [
            (request().open(), true),
            (request().chunk("match[]=x"), false),
            (request().chunk("").chunk("x"), false),
            (request().open().trailer("thanos-tenant", "team-b"), true),
            (request().chunk("x").trailer("thanos-tenant", "team-b"), false),
        ] {
            let mut harness = harness(stops);
            let stream = harness.open(given);
            let asked = harness.call_outs();
            harness.answer_call_out(asked[0].token, names());
            let outcome = harness.close(stream);
            if is_taken {
                is_filtered(&outcome);
                assert!(outcome.sent.trailers.get("thanos-tenant").is_none());
            } else {
                is_refused(&outcome, 400);
            }
        }
    }
}

#[test]
fn no_answer_and_no_good_answer_refuse() {
    for (answer, status) in [
        (None, 502),
        (Some(Response::new(504, "upstream request timeout")), 504),
        (Some(Response::new(503, "no healthy upstream")), 502),
        (Some(Response::new(200, "")), 502),
        (Some(Response::new(200, "x".repeat(2 << 20))), 502),
        (Some(Response::new(200, r#"{"status":"success","data":["team-b's"#)), 502),
    ] {
        let mut harness = harness(true);
        let stream = harness.open(request());
        harness.answer_call_out(harness.call_outs()[0].token, answer);
        let outcome = harness.close(stream);
        is_refused(&outcome, status);
        assert!(!String::from_utf8_lossy(&outcome.response.unwrap().body).contains("team-b"));
    }
}

#[test]
fn a_question_that_can_t_be_asked_refuses() {
    for wrong in [status::BAD_ARGUMENT, INTERNAL_FAILURE] {
        let mut harness = harness(false);
        harness.fail(&[Fault { upon: Upon::Name("proxy_http_call"), status: wrong }]);
        is_refused(&harness.request(request()), 502);
    }
}

#[test]
fn a_client_that_leaves_takes_the_question_with_it() {
    let mut harness = harness(true);
    let left = harness.open(request());
    let asked = harness.call_outs()[0].token;
    let outcome = harness.close(left);
    assert!(outcome.response.is_none() && outcome.sent.headers.is_none());
    // Envoy cancels the call; a host that does not calls a context that is gone.
    harness.answer_call_out(asked, names());
    let stream = harness.open(request());
    assert_eq!(harness.call_outs().len(), 1, "what nobody waited for is not remembered");
    harness.answer_call_out(harness.call_outs()[0].token, names());
    is_filtered(&harness.close(stream));
}

#[test]
fn answers_come_in_any_order_and_to_their_own_requests() {
    let mut harness = harness(true);
    let tenants = ["team-a", "team-b", "team-c"];
    let streams: Vec<_> = tenants
        .iter()
        .map(|tenant| harness.open(Request::get("/api/v1/metadata").header("thanos-tenant", tenant)))
        .collect();
    let asked = harness.call_outs();
    assert_eq!(asked.len(), 3);
    let answers = [names(), Some(Response::new(200, r#"{"status":"success","data":["b"]}"#)), None];
    for at in [2, 0, 1] {
        harness.answer_call_out(asked[at].token, answers[at].clone());
    }
    let mut outcomes: Vec<_> = streams.into_iter().map(|stream| harness.close(stream)).collect();
    is_refused(&outcomes.pop().unwrap(), 502);
    let other = outcomes.pop().unwrap().response.unwrap();
    assert_eq!(String::from_utf8_lossy(&other.body), FILTERED.replace("up", "b"));
    is_filtered(&outcomes.pop().unwrap());
}

#[test]
fn a_burst_of_the_same_question_makes_one_call_out() {
    for stops in [false, true] {
        let mut harness = harness(stops);
        let streams: Vec<_> = (0..20).map(|_| harness.open(request())).collect();
        let asked = harness.call_outs();
        assert_eq!(asked.len(), 1);
        harness.answer_call_out(asked[0].token, names());
        for stream in streams {
            is_filtered(&harness.close(stream));
        }
        assert!(harness.call_outs().is_empty());
    }
}

#[test]
fn a_failure_is_that_of_all_that_wait_and_is_remembered_for_a_moment() {
    let mut harness = harness(true);
    let streams: Vec<_> = (0..3).map(|_| harness.open(request())).collect();
    harness.answer_call_out(harness.call_outs()[0].token, Some(Response::new(503, "no healthy upstream")));
    for stream in streams {
        is_refused(&harness.close(stream), 502);
    }
    harness.advance_ns(1_900_000_000);
    let outcome = harness.request(request());
    is_refused(&outcome, 502);
    assert!(String::from_utf8_lossy(&outcome.response.unwrap().body).contains("a moment ago"));
    // Another tenant, or another client of the same, asks for itself.
    for other in [
        Request::get("/api/v1/metadata").header("thanos-tenant", "team-b"),
        request().header("authorization", "Bearer of another"),
    ] {
        let stream = harness.open(other);
        assert_eq!(harness.call_outs().len(), 1);
        harness.answer_call_out(harness.call_outs()[0].token, names());
        is_filtered(&harness.close(stream));
    }
    harness.advance_ns(200_000_000);
    is_filtered(&harness.request(request()));
    assert!(harness.call_outs().is_empty(), "the other client's names are the tenant's");
}

#[test]
fn others_questions_are_not_waited_for() {
    let mut harness = harness(true);
    let requests = [
        request(),
        Request::get("/api/v1/metadata").header("thanos-tenant", "team-b"),
        request().header("authorization", "Bearer one"),
        request().header("authorization", "Bearer two"),
        request().header("authorization", format!("Bearer {}", "x".repeat(5_000))),
        request().header("authorization", format!("Bearer {}", "x".repeat(5_000))),
    ];
    let count = requests.len();
    let streams: Vec<_> = requests.into_iter().map(|request| harness.open(request)).collect();
    assert_eq!(harness.call_outs().len(), count);
    for asked in harness.call_outs() {
        harness.answer_call_out(asked.token, None);
    }
    streams.into_iter().for_each(|stream| is_refused(&harness.close(stream), 502));
}

#[test]
fn where_the_first_client_leaves_the_next_one_asks_for_all() {
    let mut harness = harness(true);
    let (first, second) = (harness.open(request()), harness.open(request()));
    harness.close(first);
    // The next one that comes asks for both.
    let third = harness.open(request());
    assert_eq!(harness.call_outs().len(), 2, "one of them is the first one's, which Envoy cancels");
    harness.answer_call_out(harness.call_outs()[1].token, names());
    is_filtered(&harness.close(second));
    is_filtered(&harness.close(third));
}

#[test]
fn where_the_first_client_leaves_the_root_context_asks_for_those_that_wait() {
    for answer in [names(), None] {
        let mut harness = harness(true);
        let (first, second) = (harness.open(request()), harness.open(request()));
        let left = harness.call_outs()[0].token;
        harness.close(first);
        harness.tick();
        harness.tick();
        let asked = harness.call_outs();
        assert_eq!((asked.len(), asked[1].headers.get(":path")), (2, asked[0].headers.get(":path")));
        assert_eq!(asked[1].headers.get("thanos-tenant").as_deref(), Some("team-a"));
        // An answer to the one who has left is nobody's.
        harness.answer_call_out(left, Some(Response::new(200, r#"{"status":"success","data":["b"]}"#)));
        harness.answer_call_out(asked[1].token, answer.clone());
        let outcome = harness.close(second);
        if answer.is_some() { is_filtered(&outcome) } else { is_refused(&outcome, 502) }
    }
}

#[test]
fn where_the_next_client_can_t_ask_those_that_wait_are_not_forgotten() {
    for answer in [names(), None] {
        let mut harness = harness(true);
        let (first, second) = (harness.open(request()), harness.open(request()));
        let left = harness.call_outs()[0].token;
        harness.close(first);
        harness.fail(&[Fault { upon: Upon::Name("proxy_http_call"), status: status::BAD_ARGUMENT }]);
        let third = harness.open(request());
        is_refused(&harness.close(third), 502);
        harness.fail(&[]);
        harness.tick();
        harness.tick();
        let asked = harness.call_outs();
        harness.answer_call_out(left, names());
        harness.answer_call_out(asked.last().unwrap().token, answer.clone());
        let outcome = harness.close(second);
        if answer.is_some() { is_filtered(&outcome) } else { is_refused(&outcome, 502) }
    }
}

#[test]
fn a_question_of_a_root_context_that_is_gone_is_asked_once_more() {
    let mut harness = harness(true);
    let (first, second) = (harness.open(request()), harness.open(request()));
    harness.close(first);
    harness.tick();
    harness.reload_and_delete(CONFIG).unwrap();
    harness.tick();
    let asked = harness.call_outs();
    assert_eq!(asked.len(), 3);
    // A request under the new configuration has questions of its own.
    let third = harness.open(request());
    assert_eq!(harness.call_outs().len(), 4);
    harness.answer_call_out(asked[2].token, names());
    is_filtered(&harness.close(second));
    harness.answer_call_out(harness.call_outs().last().unwrap().token, None);
    is_refused(&harness.close(third), 502);
}

#[test]
fn a_host_that_fails_while_the_request_goes_on_lets_nothing_pass() {
    for call in [
        "proxy_replace_header_map_value",
        "proxy_continue_stream",
        "proxy_get_buffer_bytes",
        "proxy_get_header_map_pairs",
    ] {
        let mut harness = harness(true);
        let stream = harness.open(request());
        let asked = harness.call_outs()[0].token;
        harness.fail(&[Fault { upon: Upon::Name(call), status: INTERNAL_FAILURE }]);
        harness.answer_call_out(asked, names());
        harness.heal();
        let outcome = harness.close(stream);
        assert!(outcome.sent.headers.is_none(), "{call}");
        assert!(outcome.response.is_some_and(|answer| answer.status >= 500), "{call}");
    }
}

#[test]
fn a_new_configuration_leaves_a_waiting_request_with_its_own() {
    let mut harness = harness(true);
    let stream = harness.open(request());
    let asked = harness.call_outs()[0].token;
    harness.reload("{}").unwrap();
    harness.answer_call_out(asked, names());
    is_filtered(&harness.close(stream));
    is_refused(&harness.request(request()), 403);
}
