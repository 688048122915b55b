//! The harness holds what a host holds. What the filter does not use yet is called here.

use crate::harness::{Fault, Harness, MetricKind, Request, Response, Upon, hostcalls, status};
use std::time::Duration;

fn harness() -> Harness {
    Harness::new("{}").unwrap()
}

#[test]
fn a_stat_is_one_however_often_it_is_defined() {
    let envoy = harness();
    let first = hostcalls::define_metric(MetricKind::Counter, "requests").unwrap();
    let second = hostcalls::define_metric(MetricKind::Counter, "requests").unwrap();
    hostcalls::increment_metric(first, 2).unwrap();
    hostcalls::increment_metric(second, 3).unwrap();
    assert_eq!(envoy.metric("requests"), Some((MetricKind::Counter, 5)));
    assert_eq!(hostcalls::get_metric(first), Ok(5));

    let gauge = hostcalls::define_metric(MetricKind::Gauge, "running").unwrap();
    hostcalls::record_metric(gauge, 7).unwrap();
    hostcalls::increment_metric(gauge, -2).unwrap();
    assert_eq!(envoy.metric("running"), Some((MetricKind::Gauge, 5)));

    let histogram = hostcalls::define_metric(MetricKind::Histogram, "length").unwrap();
    hostcalls::record_metric(histogram, 3).unwrap();
    hostcalls::record_metric(histogram, 4).unwrap();
    assert_eq!(envoy.histogram("length"), [3, 4]);
    assert_eq!(hostcalls::increment_metric(histogram, 1), Err(status::BAD_ARGUMENT));
    assert_eq!(hostcalls::record_metric(99, 1), Err(status::NOT_FOUND));
}

#[test]
fn shared_data_is_compared_before_it_is_swapped() {
    let _envoy = harness();
    assert_eq!(hostcalls::get_shared_data("key"), Err(status::NOT_FOUND));
    hostcalls::set_shared_data("key", b"one", 0).unwrap();
    let (value, cas) = hostcalls::get_shared_data("key").unwrap();
    assert_eq!(value, b"one");
    hostcalls::set_shared_data("key", b"two", cas).unwrap();
    assert_eq!(hostcalls::set_shared_data("key", b"three", cas), Err(status::CAS_MISMATCH));
    assert_eq!(hostcalls::get_shared_data("key").unwrap().0, b"two");
}

#[test]
fn queues_keep_their_order() {
    let _envoy = harness();
    let queue = hostcalls::register_shared_queue("queue").unwrap();
    assert_eq!(hostcalls::resolve_shared_queue("queue"), Ok(queue));
    assert_eq!(hostcalls::resolve_shared_queue("other"), Err(status::NOT_FOUND));
    hostcalls::enqueue_shared_queue(queue, b"1").unwrap();
    hostcalls::enqueue_shared_queue(queue, b"2").unwrap();
    assert_eq!(hostcalls::dequeue_shared_queue(queue).unwrap(), b"1");
    assert_eq!(hostcalls::dequeue_shared_queue(queue).unwrap(), b"2");
    assert_eq!(hostcalls::dequeue_shared_queue(queue), Err(status::EMPTY));
}

#[test]
fn the_clock_moves_when_told_and_the_timer_fires_when_told() {
    let mut envoy = harness();
    let before = hostcalls::get_current_time().unwrap();
    envoy.advance_ns(1_000_000);
    assert_eq!(hostcalls::get_current_time().unwrap() - before, 1_000_000);
    hostcalls::set_tick_period(Duration::from_millis(20)).unwrap();
    envoy.tick();
    // The filter's own, and this one.
    assert_eq!(envoy.calls()["proxy_set_tick_period_milliseconds"], 2);
}

#[test]
fn a_call_out_waits_for_its_answer() {
    let mut envoy = harness();
    // The SDK's own wrapper: its dispatcher knows only what went through it.
    let headers = vec![(":path", "/api/v2/silence/1")];
    proxy_wasm::hostcalls::dispatch_http_call("upstream", headers, None, vec![], Duration::from_secs(5)).unwrap();
    let made = envoy.call_outs();
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].cluster.as_str(), made[0].timeout_ms), ("upstream", 5000));
    assert_eq!(made[0].headers.get(":path").as_deref(), Some("/api/v2/silence/1"));
    envoy.answer_call_out(made[0].token, Some(Response::new(200, "{}")));
    assert!(envoy.call_outs().is_empty());
}

#[test]
fn a_paused_stream_goes_on_when_told() {
    let mut envoy = harness();
    let pausing = ["proxy_get_header_map_pairs", "proxy_send_local_response", "proxy_close_stream"];
    envoy.fail(&pausing.map(|name| Fault { upon: Upon::Name(name), status: 10 }));
    let stream = envoy.open(Request::get("/api/v1/query?query=up"));
    envoy.heal();
    hostcalls::resume_http_request().unwrap();
    envoy.tick();
    assert!(envoy.close(stream).sent.complete);

    envoy.fail(&pausing.map(|name| Fault { upon: Upon::Name(name), status: 10 }));
    let out = envoy.request(Request::get("/api/v1/query?query=up"));
    assert!(out.hung && out.sent.headers.is_none());
}

#[test]
fn properties_are_a_streams_own() {
    let mut envoy = harness();
    envoy.property(&["connection", "subject_peer_certificate"], "CN=client-a,O=Acme");
    let stream = envoy.open(Request::get("/api/v1/query?query=up"));
    let path = ["connection", "subject_peer_certificate"];
    assert_eq!(hostcalls::get_property(&path).unwrap(), b"CN=client-a,O=Acme");
    assert_eq!(hostcalls::get_property(&["nothing"]), Err(status::NOT_FOUND));
    hostcalls::set_property(&["tenant"], b"team-a").unwrap();
    assert_eq!(hostcalls::get_property(&["tenant"]).unwrap(), b"team-a");
    envoy.close(stream);
}

#[test]
fn a_fault_has_no_effect_but_its_status() {
    let mut envoy = harness();
    hostcalls::set_shared_data("key", b"one", 0).unwrap();
    envoy.fail(&[Fault { upon: Upon::Name("proxy_set_shared_data"), status: 8 }]);
    assert_eq!(hostcalls::set_shared_data("key", b"two", 0), Err(status::CAS_MISMATCH));
    envoy.heal();
    assert_eq!(hostcalls::get_shared_data("key").unwrap().0, b"one");
}

#[test]
fn a_head_that_has_gone_on_is_out_of_reach() {
    let mut envoy = harness();
    let stream = envoy.open(Request::form("/api/v1/query", "query=up"));
    assert_eq!(hostcalls::remove_request_header("host"), Err(status::BAD_ARGUMENT));
    envoy.close(stream);
}

#[test]
fn a_refused_reload_leaves_the_old_configuration() {
    let mut envoy = harness();
    assert!(envoy.reload("no json").is_err());
    let out = envoy.request(Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-a"));
    assert_eq!(out.answer().status, 200);
}

#[test]
fn the_upstreams_answer_reaches_the_client() {
    let mut envoy = Harness::new(r#"{"passthrough_paths": ["/tea"]}"#).unwrap();
    envoy.upstream_answers(Response::new(418, "short and stout").header("x-kind", "teapot").trailer("x-sum", "1"));
    let out = envoy.request(Request::get("/tea").header("THANOS-TENANT", "team-a"));
    assert_eq!(out.answer().status, 418);
    assert_eq!(out.answer().text(), "short and stout");
    assert_eq!(out.answer().headers.get("x-kind").as_deref(), Some("teapot"));
    assert_eq!(out.answer().trailers.get("x-sum").as_deref(), Some("1"));
    assert!(!out.local && !out.hung && !out.reset);
}
