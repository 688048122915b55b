//! What is counted, for whom, and that nothing is counted twice or lost.

use crate::harness::{Fault, Harness, MetricKind, Request, Response, Upon};

const JSON: &str = "application/json";

fn query(tenant: &str) -> Request {
    Request::get("/api/v1/query?query=up").header("THANOS-TENANT", tenant)
}

/// A counter's value in the series of a tenant and of the handler `query`; 0 where there is none.
fn count(envoy: &Harness, stat: &str, tenant: &str) -> u64 {
    let metric = envoy.metric(&format!("{stat};tenant={tenant};handler=query;"));
    metric.map_or(0, |(kind, value)| {
        assert_eq!(kind, MetricKind::Counter, "{stat}");
        value
    })
}

#[test]
fn a_quiet_proxy_s_stats_are_never_late() {
    let mut envoy = Harness::new("{}").unwrap();
    envoy.request(query("team-a"));
    envoy.request(query("team-b"));
    envoy.request(query("team-b"));
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "team-a"), 1);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "team-b"), 2);
    assert_eq!(envoy.metric("tenancy_tenants_tracked"), Some((MetricKind::Gauge, 2)));
}

#[test]
fn every_figure_is_the_one_that_was_sent() {
    let mut envoy = Harness::new("{}").unwrap();
    let answer = r#"{"status":"success","data":[],"warnings":["store one failed","store two failed"]}"#;
    envoy.upstream_answers(Response::new(200, answer).header("content-type", JSON));
    let form = "query=up%2Bup%2Bup";
    let mut passed = 0;
    for number in 0..50 {
        let request = Request::form("/api/v1/query", form).header("THANOS-TENANT", "team-a");
        let request = if number % 2 == 0 { request.split(&[1, 2, 3]) } else { request };
        passed += envoy.request(request).answer().body.len() as u64;
    }
    envoy.tick();
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "team-a"), 50);
    assert_eq!(count(&envoy, "tenancy_request_bytes_total", "team-a"), 50 * form.len() as u64);
    assert_eq!(count(&envoy, "tenancy_response_bytes_total", "team-a"), passed);
    assert_eq!(count(&envoy, "tenancy_selectors_enforced_total", "team-a"), 150);
    assert_eq!(count(&envoy, "tenancy_messages_withheld_total", "team-a"), 100);
    envoy.tick();
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "team-a"), 50, "a tick hands over what is new only");
}

#[test]
fn durations_are_from_head_to_end() {
    let mut envoy = Harness::new("{}").unwrap();
    for milliseconds in [0, 7, 1_500] {
        let stream = envoy.open(query("team-a"));
        envoy.advance_ns(milliseconds * 1_000_000);
        envoy.close(stream);
    }
    assert_eq!(envoy.histogram("tenancy_request_duration_milliseconds;tenant=team-a;handler=query;"), [0, 7, 1_500]);
}

#[test]
fn refusals_are_counted_by_reason_and_as_requests() {
    let mut envoy = Harness::new(r#"{"default_tenant_id": ""}"#).unwrap();
    let body = envoy.request(Request::get("/api/v1/query?query=up(").header("THANOS-TENANT", "team-a"));
    let body = body.answer().body.len() as u64;
    envoy.request(Request::get("/nothing").header("THANOS-TENANT", "team-a"));
    envoy.request(Request::get("/api/v1/targets").header("THANOS-TENANT", "team-a"));
    envoy.request(Request::form("/api/v1/query", "query=up(").header("THANOS-TENANT", "team-a"));
    assert_eq!(count(&envoy, "tenancy_refused_total;reason=query_syntax", "team-a"), 2);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=4xx", "team-a"), 2);
    assert_eq!(count(&envoy, "tenancy_response_bytes_total", "team-a"), 2 * body);
    let of = |stat: &str, handler: &str| envoy.metric(&format!("{stat};tenant=team-a;handler={handler};")).unwrap().1;
    assert_eq!(of("tenancy_refused_total;reason=unknown_path", "unknown"), 1);
    assert_eq!(of("tenancy_refused_total;reason=forbidden_path", "targets"), 1);
}

#[test]
fn an_empty_answer_is_no_refusal() {
    let mut envoy = Harness::new(r#"{"limits": {"max_query_into_future": "10m"}}"#).unwrap();
    let target = "/api/v1/query?query=up&time=9000000000";
    for request in [Request::get(target), Request::form("/api/v1/query", "query=up&time=9000000000")] {
        let out = envoy.request(request.header("THANOS-TENANT", "team-a"));
        assert!(out.local);
        let answer = out.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#);
        for (name, value) in [("content-type", JSON), ("cache-control", "private, no-store"), ("vary", "thanos-tenant")]
        {
            let pair = (name.as_bytes(), value.as_bytes());
            let is_pair = answer.headers.iter().any(|header| header == pair);
            assert!(is_pair, "{name}");
        }
        assert_eq!(out.trail(), "answered:beyond_limits query team-a");
        assert!(out.logs.is_empty(), "{:?}", out.logs);
    }
    envoy.tick();
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "team-a"), 2);
    assert!(envoy.metric_names().iter().all(|name| !name.contains("refused")), "{:?}", envoy.metric_names());
}

#[test]
fn whoever_is_refused_as_a_tenant_has_no_series() {
    let mut envoy = Harness::new(r#"{"allowed_tenants": ["team-a"], "default_tenant_id": ""}"#).unwrap();
    for number in 0..100 {
        envoy.request(query(&format!("made-up-{number}")));
        envoy.request(query(&format!("not valid {number}")));
        envoy.request(Request::get("/api/v1/query?query=up"));
    }
    envoy.tick();
    assert_eq!(count(&envoy, "tenancy_refused_total;reason=tenant_not_allowed", "__other__"), 100);
    assert_eq!(count(&envoy, "tenancy_refused_total;reason=bad_tenant", "__other__"), 100);
    assert_eq!(count(&envoy, "tenancy_refused_total;reason=no_tenant", "__other__"), 100);
    assert_eq!(envoy.metric("tenancy_tenants_tracked"), None);
    assert!(envoy.metric_names().iter().all(|name| !name.contains("made-up")), "{:?}", envoy.metric_names());
}

#[test]
fn made_up_tenants_are_counted_together_beyond_the_bound() {
    let config = r#"{"stats": {"max_tenants": 3}, "default_tenant_id": "home"}"#;
    let mut envoy = Harness::new(config).unwrap();
    for number in 0..100 {
        envoy.request(query(&format!("made-up-{number}")));
    }
    // The configuration names this one.
    envoy.request(query("home"));
    envoy.tick();
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "made-up-2"), 1);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "made-up-3"), 0);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "__other__"), 97);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "home"), 1);
    assert_eq!(envoy.metric("tenancy_tenants_tracked").unwrap().1, 4);

    // A reload changes the bound, and nothing that was counted.
    envoy.reload(r#"{"stats": {"max_tenants": 4}}"#).unwrap();
    envoy.request(query("made-up-3"));
    envoy.request(query("made-up-4"));
    envoy.tick();
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "made-up-3"), 1);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "__other__"), 98);
}

#[test]
fn several_tenants_at_once_are_one() {
    let mut envoy = Harness::new(r#"{"tenant_federation": {"enabled": true}}"#).unwrap();
    envoy.request(query("b|a"));
    envoy.request(query("a|b|a"));
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a|b"), 2);
    let many: Vec<String> = (0..200).map(|number| format!("team-{number}")).collect();
    envoy.request(query(&many.join("|")));
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "__other__"), 1);
}

/// A DogStatsD sink ends a tag at `|`.
#[test]
fn what_stands_between_several_tenants_is_an_option() {
    let federated = r#""tenant_federation": {"enabled": true}"#;
    let mut envoy = Harness::new(format!(r#"{{{federated}, "stats": {{"tenant_separator": "/"}}}}"#)).unwrap();
    envoy.request(query("b|a"));
    envoy.request(query("a"));
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a/b"), 1);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a"), 1);
    // A reload changes it. The tenants keep their places.
    envoy.reload(format!(r#"{{{federated}, "stats": {{"tenant_separator": "+", "max_tenants": 1}}}}"#)).unwrap();
    envoy.request(query("b|a"));
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a+b"), 1);
    assert!(Harness::new(r#"{"stats": {"tenant_separator": ";"}}"#).is_err());
}

#[test]
fn no_tenant_forges_a_tag() {
    let mut envoy = Harness::new(r#"{"tenant_id_format": "thanos"}"#).unwrap();
    envoy.request(query("a;handler=forged;code=2xx"));
    envoy.request(query("a."));
    envoy.request(query("a"));
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a%3Bhandler%3Dforged%3Bcode%3D2xx"), 1);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a%2E"), 1);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=2xx", "a"), 1);
}

#[test]
fn istio_s_naming_is_an_option() {
    let mut envoy = Harness::new(r#"{"stats": {"tags": "istio"}}"#).unwrap();
    envoy.request(query("team-a"));
    let metric = envoy.metric("tenancy_requests_total;.;code=.=2xx;.;tenant=.=team-a;.;handler=.=query;.;");
    assert_eq!(metric, Some((MetricKind::Counter, 1)));
}

#[test]
fn answers_that_can_t_be_passed_on_are_counted() {
    let cases: [(Response, &str); 3] = [
        (Response::new(200, "no json").header("content-type", JSON), "malformed"),
        (Response::new(200, "{}").header("content-type", "text/plain"), "content_type"),
        (Response::new(200, r#"{"status":"#).header("content-type", JSON), "truncated"),
    ];
    let mut envoy = Harness::new("{}").unwrap();
    for (answer, reason) in cases {
        envoy.upstream_answers(answer);
        envoy.request(query("team-a"));
        let stat = format!("tenancy_answers_unreadable_total;reason={reason}");
        assert_eq!(count(&envoy, &stat, "team-a"), 1, "{reason}");
    }
}

#[test]
fn the_status_that_went_out_is_the_one_that_is_counted() {
    for (allow, code) in [(true, "5xx"), (false, "2xx")] {
        let config = format!(r#"{{"allow_on_headers_stop_iteration": {allow}}}"#);
        let mut envoy = Harness::new(config).unwrap().allow_on_headers_stop_iteration(allow);
        envoy
            .upstream_answers(Response::new(200, "no json, and long enough for an error").header("content-type", JSON));
        let tenant = format!("team-{allow}");
        let out = envoy.request(Request::get("/api/v1/rules").header("THANOS-TENANT", &tenant));
        let of = |stat: &str| envoy.metric(&format!("{stat};tenant={tenant};handler=rules;")).map(|(_, value)| value);
        assert_eq!(of(&format!("tenancy_requests_total;code={code}")), Some(1));
        assert_eq!(of("tenancy_answers_unreadable_total;reason=malformed"), Some(1));
        assert_eq!(of("tenancy_response_bytes_total"), Some(out.answer().body.len() as u64));
    }
}

#[test]
fn a_client_that_leaves_is_counted_without_a_status() {
    let mut envoy = Harness::new("{}").unwrap();
    let request = Request::post("/api/v1/query").header("content-type", "application/x-www-form-urlencoded");
    let stream = envoy.open(request.header("THANOS-TENANT", "team-a").chunk("query=").chunk("up"));
    envoy.close(stream);
    let never_whole = Request::form("/api/v1/query", "query=up").header("THANOS-TENANT", "team-b").split(&[3]);
    let stream = envoy.open_and_leave(never_whole);
    envoy.close(stream);
    assert_eq!(count(&envoy, "tenancy_requests_total;code=none", "team-b"), 1);
    assert_eq!(count(&envoy, "tenancy_request_bytes_total", "team-b"), 3);
    assert_eq!(count(&envoy, "tenancy_request_bytes_total", "team-a"), 8);
}

#[test]
fn samples_are_counted_and_their_statistics_taken_out() {
    let stats = |total: u64, peak: u64| {
        format!(r#","stats":{{"timings":{{}},"samples":{{"totalQueryableSamples":{total},"peakSamples":{peak}}}}}"#)
    };
    let answer = |stats: &str| {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[]{stats}}}}}"#);
        Response::new(200, body).header("content-type", JSON)
    };
    let mut envoy = Harness::new(r#"{"stats": {"samples": true}}"#).unwrap();
    let form = |form: &str| Request::form("/api/v1/query", form).header("THANOS-TENANT", "team-a");
    for (at, request) in
        [query("team-a"), form("query=up"), form("query=up").split(&[2]).trailer("x", "y")].into_iter().enumerate()
    {
        for chunk in [1, 7, usize::MAX] {
            envoy.answer_in_chunks(chunk, at == 1);
            envoy.upstream_answers(answer(&stats(100, 7)).trailer("x-sum", "1"));
            let out = envoy.request(request.clone());
            assert_eq!(out.answer().text(), answer("").text(), "in chunks of {chunk}");
            assert!(out.path().ends_with("stats=true"), "{}", out.path());
        }
    }
    assert_eq!(count(&envoy, "tenancy_query_samples_total", "team-a"), 900);
    assert_eq!(envoy.histogram("tenancy_query_peak_samples;tenant=team-a;handler=query;"), [7; 9]);
    // Who asks is told.
    envoy.upstream_answers(answer(&stats(1, 1)));
    for request in [
        form("query=up&stats=all"),
        Request::get("/api/v1/query?query=up&stats=true").header("THANOS-TENANT", "team-a"),
    ] {
        assert_eq!(envoy.request(request).answer().text(), answer(&stats(1, 1)).text());
    }
    assert_eq!(count(&envoy, "tenancy_query_samples_total", "team-a"), 902);
    // An upstream that says nothing of it.
    envoy.upstream_answers(answer(""));
    assert_eq!(envoy.request(query("team-a")).answer().text(), answer("").text());
    assert_eq!(count(&envoy, "tenancy_query_samples_total", "team-a"), 902);
}

const IN_FLIGHT: &str = "tenancy_requests_in_flight;tenant=team-a;handler=query;";

#[test]
fn requests_in_flight_are_those_that_have_not_ended() {
    let mut envoy = Harness::new("{}").unwrap();
    let streams = [envoy.open(query("team-a")), envoy.open(query("team-a"))];
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT), Some((MetricKind::Gauge, 2)));
    let [first, second] = streams;
    envoy.close(first);
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT).unwrap().1, 1);
    envoy.close(second);
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT).unwrap().1, 0);
}

/// What another VM has written, which has died since: number, time, one entry.
fn of_a_dead_vm(number: u32, time: u64, name: &str, in_flight: u32) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend(time.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(in_flight.to_le_bytes());
    bytes
}

#[test]
fn the_dead_have_nothing_in_flight() {
    let mut envoy = Harness::new("{}").unwrap();
    envoy.advance_ns(60_000_000_000);
    envoy.share("tenancy_in_flight", &of_a_dead_vm(99, 58_000_000_000, IN_FLIGHT, 5));
    let stream = envoy.open(query("team-a"));
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT).unwrap().1, 6, "it may still live");
    envoy.close(stream);
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT).unwrap().1, 5);
    envoy.advance_ns(4_000_000_000);
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT).unwrap().1, 0);
}

/// A worker's VM comes back with the next request, which may come late. Nobody else may have looked at the gauge meanwhile.
#[test]
fn a_vm_that_starts_anew_sets_right_what_the_dead_one_has_left() {
    let mut envoy = Harness::new("{}").unwrap();
    envoy.advance_ns(3_600_000_000_000);
    envoy.share("tenancy_in_flight", &of_a_dead_vm(99, 58_000_000_000, IN_FLIGHT, 5));
    envoy.tick();
    assert_eq!(envoy.metric(IN_FLIGHT), Some((MetricKind::Gauge, 0)));
    assert!(envoy.shared_data(b"tenancy_in_flight").is_empty());
}

#[test]
fn a_configuration_is_counted_once_however_many_vms_read_it() {
    let reloads = |envoy: &Harness, result: &str| {
        envoy.metric(&format!("tenancy_configuration_reloads_total;result={result};")).map_or(0, |(_, value)| value)
    };
    let mut envoy = Harness::new("{}").unwrap();
    envoy.reload("{}").unwrap();
    assert_eq!(reloads(&envoy, "success"), 1);
    let other = r#"{"shared_rules": true}"#;
    envoy.reload(other).unwrap();
    envoy.reload(other).unwrap();
    envoy.reload("{}").unwrap();
    assert_eq!(reloads(&envoy, "success"), 3);
    assert!(envoy.reload("no json").is_err());
    assert_eq!((reloads(&envoy, "success"), reloads(&envoy, "failure")), (3, 1));
}

#[test]
fn a_host_that_takes_no_stats_serves_all_the_same() {
    for name in [
        "proxy_define_metric",
        "proxy_increment_metric",
        "proxy_record_metric",
        "proxy_get_shared_data",
        "proxy_set_shared_data",
        "proxy_get_current_time_nanoseconds",
    ] {
        for status in [1, 2, 3, 8, 10, 12, 999] {
            let mut envoy = Harness::new("{}").unwrap();
            envoy.fail(&[Fault { upon: Upon::Name(name), status }]);
            for _ in 0..20 {
                let out = envoy.request(query("team-a"));
                assert_eq!(out.answer().status, 200, "{name} {status}");
            }
            envoy.tick();
        }
    }
}
