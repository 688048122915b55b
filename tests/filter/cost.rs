//! What a request costs in host calls, as upper bounds: each is a crossing of the VM's border.

use crate::harness::{Harness, Outcome, Request, Response};

/// As one of many: the first ones of a tenant, and of each second, also cost the calls that name and set stats.
fn send_as_one_of_many(mut envoy: Harness, request: &Request) -> Outcome {
    for _ in 0..20 {
        envoy.request(request.clone());
    }
    envoy.request(request.clone())
}

fn send(request: Request) -> Outcome {
    send_as_one_of_many(Harness::new("{}").unwrap(), &request)
}

fn get() -> Request {
    Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-a")
}

#[track_caller]
fn assert_cost(out: &Outcome, most: usize) {
    assert!(out.cost() <= most, "{} host calls, not {most}: {:?}", out.cost(), out.calls);
}

/// What the stats cost: the time, twice, and the histogram of durations.
const STATS: usize = 3;
/// Pairs, `:path`, tenant, the trail's state; pairs, `cache-control` and `vary` on the answer, and its body read.
const GET: usize = 8 + STATS;

#[test]
fn get_is_cheap() {
    let out = send(get());
    assert_cost(&out, GET);
    assert_eq!(out.answer().status, 200);
    assert!(out.logs.is_empty(), "a request that passes is not worth a line: {:?}", out.logs);
}

#[test]
fn headers_that_are_not_there_cost_nothing_to_remove() {
    let envoy = || Harness::new(r#"{"strip_headers": ["x-a", "x-b", "x-c", "x-d"]}"#).unwrap();
    assert_cost(&send_as_one_of_many(envoy(), &get()), GET);
    let many = (0..60).fold(get(), |request, n| request.header(format!("x-other-{n}"), "1"));
    assert_cost(&send_as_one_of_many(envoy(), &many), GET);
}

#[test]
fn each_kind_of_header_to_remove_costs_one_call() {
    let out = send(get().header("x-scope-orgid", "a").header("x-scope-orgid", "b"));
    assert_cost(&out, GET + 1);
}

/// As a GET, less `:path` where the URL has no query, and besides: `content-length`, the body read, the body written.
const FORM: usize = GET - 1 + 3;

#[test]
fn form_costs_the_same_in_any_number_of_chunks() {
    let form = || Request::form("/api/v1/query", "query=up").header("THANOS-TENANT", "team-a");
    for request in [form(), form().split(&[1; 6]), form().split(&[1; 6]).open()] {
        let out = send(request);
        assert_cost(&out, FORM);
        assert_eq!(out.answer().status, 200);
    }
}

/// The pairs of the request's head and of the answer's, the target, what is set in their place, and an answer of 30 bytes.
#[test]
fn few_bytes_cross_the_border() {
    let form = Request::form("/api/v1/query", "query=up").header("THANOS-TENANT", "team-a");
    for (request, most) in [(get(), 400), (form, 480)] {
        let out = send(request);
        assert!(out.crossed <= most, "{} bytes", out.crossed);
    }
}

#[test]
fn query_crosses_the_border_once_in_each_direction() {
    const LONGER: usize = 5000;
    let query = |names: usize| format!("up%7Bjob%3D%22{}%22%7D", "x".repeat(names));
    for request in [
        |query: &str| Request::get(format!("/api/v1/query?query={query}")),
        |query: &str| Request::form("/api/v1/query", format!("query={query}")),
        |query: &str| Request::form("/api/v1/query", format!("query={query}")).split(&[100; 20]),
    ] {
        let [short, long] = [10, 10 + LONGER].map(|size| send(request(&query(size)).header("THANOS-TENANT", "team-a")));
        assert_eq!(long.answer().status, 200);
        let more = long.crossed - short.crossed;
        // The digits of content-length, too.
        assert!((2 * LONGER..=2 * LONGER + 20).contains(&more), "{more} bytes for {LONGER}");
    }
}

#[test]
fn answer_crosses_the_border_once() {
    let answer = |size: usize| {
        let mut envoy = Harness::new("{}").unwrap();
        let values = "\"x\",".repeat(size / 4);
        let body = format!(r#"{{"status":"success","data":[{values}"z"]}}"#);
        envoy.upstream_answers(Response::new(200, body).header("content-type", "application/json"));
        let out = send_as_one_of_many(envoy, &get());
        assert_eq!(out.answer().status, 200);
        out.crossed
    };
    let more = answer(40_000) - answer(400);
    assert!((39_600..=39_620).contains(&more), "{more} bytes for 39600");
}

#[test]
fn trailers_cost_one_read_and_one_call_each() {
    let out = send(get().trailer("x-a", "1").trailer("x-b", "2"));
    assert_cost(&out, GET + 1 + 2);
}

#[test]
fn refusal_costs_one_read_one_answer_and_its_trail() {
    for path in ["/nothing", "/api/v1/query?query=up(", "/api/v1/targets"] {
        let out = send(Request::get(path).header("THANOS-TENANT", "team-a"));
        // Besides: the state, and the tenant in the head.
        assert_cost(&out, 2 + 2 + STATS);
        assert!(out.local);
        assert!(!out.calls.contains_key("proxy_log"), "one of many is not worth a line");
    }
}

#[test]
fn a_second_s_stats_are_handed_over_in_one_call_each() {
    let mut envoy = Harness::new("{}").unwrap();
    for _ in 0..500 {
        envoy.request(get());
    }
    let before: usize = envoy.calls().values().sum();
    envoy.tick();
    let increments = envoy.calls()["proxy_increment_metric"];
    // requests, response bytes, selectors
    assert_eq!(increments, 3, "{:?}", envoy.calls());
    assert!(envoy.calls().values().sum::<usize>() - before < 10, "{:?}", envoy.calls());
    let counted = envoy.metric("tenancy_requests_total;code=2xx;tenant=team-a;handler=query;").unwrap().1;
    assert_eq!(counted, 500);
}

#[test]
fn a_tenant_beyond_the_bound_costs_no_look_up() {
    let mut envoy = Harness::new(r#"{"stats": {"max_tenants": 2}}"#).unwrap();
    let of =
        |number: usize| Request::get("/api/v1/query?query=up").header("THANOS-TENANT", format!("made-up-{number}"));
    for number in 0..40 {
        envoy.request(of(number));
    }
    let out = envoy.request(of(40));
    assert_cost(&out, GET);
    assert!(!out.calls.contains_key("proxy_get_shared_data"), "{:?}", out.calls);
}

#[test]
fn only_a_source_that_needs_it_costs_a_property() {
    let cost = |configuration: &str, property: &[&str], value: &[u8]| {
        let mut envoy = Harness::new(configuration).unwrap();
        envoy.property(property, value);
        let out = send_as_one_of_many(envoy, &Request::get("/api/v1/query?query=up"));
        assert_eq!(out.answer().status, 200);
        (out.cost(), out.calls.get("proxy_get_property").copied())
    };
    // Less `vary`, which only a header needs.
    assert_eq!(cost(r#"{"static_tenant_ids": ["team-a"]}"#, &["metadata"], b""), (GET - 1, None));
    let certificate = r#"{"tenant_certificate_field": "organization"}"#;
    let subject = cost(certificate, &["connection", "subject_peer_certificate"], b"O=team-a");
    assert_eq!(subject, (GET, Some(1)));
    let claims = crate::evidence::encode(&serde_json::json!({"a": {"b": "team-a"}}));
    assert_eq!(cost(r#"{"tenant_metadata": ["a", "b"]}"#, &["metadata"], &claims), (GET, Some(1)));
}
