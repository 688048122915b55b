//! Limits: where times go, and what is refused or answered empty.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

pub(super) const DAY: i64 = 86_400_000;

pub(super) fn limited(limits: &str) -> Worker {
    config(&format!(r#"{{"limits": {{{limits}}}}}"#))
}

pub(super) fn thirty_days() -> Worker {
    limited(r#""retention_period": "30d""#)
}

/// Seconds, as they are written.
pub(super) fn seconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

pub(super) fn get(path: &str, parameters: &[(&str, &str)]) -> Request {
    let mut form = Vec::new();
    for (name, value) in parameters {
        crate::go::form::append(&mut form, name.as_bytes(), value.as_bytes());
    }
    Request::get(format!("/api/v1/{path}?{}", String::from_utf8(form).unwrap())).tenant("team-a")
}

pub(super) fn post(path: &str, url: &[(&str, &str)], form: &[(&str, &str)]) -> Request {
    let encode = |pairs: &[(&str, &str)]| {
        let mut out = Vec::new();
        for (name, value) in pairs {
            crate::go::form::append(&mut out, name.as_bytes(), value.as_bytes());
        }
        String::from_utf8(out).unwrap()
    };
    Request::form(format!("/api/v1/{path}?{}", encode(url)), encode(form)).tenant("team-a")
}

pub(super) fn range(query: &str, start: i64, end: i64, step: &str) -> Request {
    get("query_range", &[("query", query), ("start", &seconds(start)), ("end", &seconds(end)), ("step", step)])
}

#[track_caller]
pub(super) fn sent(request: &Request, config: &Worker) -> Sent {
    request.send(config).unwrap_or_else(|rejection| panic!("{}", rejection.message()))
}

#[track_caller]
pub(super) fn message(request: &Request, config: &Worker) -> String {
    let rejection = request.send(config).expect_err("a refusal");
    assert_eq!((rejection.status(), rejection.error_type()), (422, "execution"), "{}", rejection.message());
    rejection.message()
}

#[track_caller]
pub(super) fn empty(request: &Request, config: &Worker) -> String {
    let outcome = request.outcome(config).unwrap_or_else(|rejection| panic!("{}", rejection.message()));
    let reply = outcome.expect_err("an answer of the filter's own");
    assert_eq!((reply.status, reply.reason, reply.tenant.as_deref()), (200, "beyond_limits", Some("team-a")));
    assert_eq!(reply.headers, [("content-type", "application/json".to_owned())]);
    String::from_utf8(reply.body).unwrap()
}

#[test]
fn without_limits_times_stay_as_they_are() {
    let request = get("query", &[("query", "up"), ("time", "1e3")]);
    for config in [config("{}"), config(r#"{"overrides": {"team-b": {"retention_period": "1h"}}}"#)] {
        assert_eq!(values(&sent(&request, &config), "time"), ["1e3"]);
        assert_eq!(values(&sent(&get("query", &[("query", "up")]), &config), "time"), [""; 0]);
    }
    let off = config(r#"{"limits": {"retention_period": "1h"}, "overrides": {"team-a": {"retention_period": 0}}}"#);
    assert_eq!(values(&sent(&request, &off), "time"), ["1e3"]);
    assert_eq!(message(&request.clone_for("team-b"), &off).matches("retention_period").count(), 1);
}

#[test]
fn absent_time_is_written() {
    let config = thirty_days();
    for request in [
        get("query", &[("query", "up")]),
        get("query", &[("query", "up"), ("time", "")]),
        post("query", &[], &[("query", "up")]),
        post("query", &[("time", "12")], &[("query", "up"), ("time", "")]),
    ] {
        let sent = sent(&request, &config);
        assert_eq!(values(&sent, "time").first(), Some(&seconds(NOW)), "{sent:?}");
    }
    // What stays, stays as it was written.
    let request = get("query", &[("query", "up"), ("time", "1.8e9")]);
    assert_eq!(values(&sent(&request, &config), "time"), ["1.8e9"]);
}

#[test]
fn instant_query_beyond_retention_is_refused() {
    let config = thirty_days();
    let at = |query: &str, time: i64| get("query", &[("query", query), ("time", &seconds(time))]);
    assert_eq!(
        message(&at("rate(up[31d])", NOW), &config),
        "the query reaches 31d into the past: your limit retention_period is 30d"
    );
    // A range is open at its left end.
    sent(&at("rate(up[30d])", NOW), &config);
    sent(&at("rate(up[30d])", NOW - 1), &config);
    message(&at("rate(up[30d])", NOW - 2), &config);
    message(&at("up", NOW - 30 * DAY), &config);
    message(&at("up offset 30d", NOW), &config);
    message(&at("up @ 0", NOW), &config);
    message(&at("up @ start() offset 30d", NOW), &config);
    message(&at("max_over_time(up[29d:1h] offset 1d)", NOW), &config);
    sent(&at("max_over_time(up[29d:1h] offset 23h54m)", NOW), &config);
    sent(&at("vector(1)", 0), &config);
    sent(&at("1 + time()", 0), &config);
    for request in [
        post("query", &[], &[("query", "up[31d]")]),
        post("query", &[("query", "up[31d]")], &[("time", "1800000000")]),
        post("query", &[("time", "1")], &[("query", "up")]),
        post("query", &[("query", "up")], &[("time", "1")]),
    ] {
        message(&request, &config);
    }
}

#[test]
fn range_query_starts_later_by_whole_steps() {
    let config = thirty_days();
    let start = NOW - 40 * DAY + 7;
    let hour = DAY / 24;
    for (query, back) in [("up", 300_000), ("rate(up[6h])", 6 * hour), ("up offset 2d", 2 * DAY + 300_000)] {
        let sent = sent(&range(query, start, NOW, "1h"), &config);
        let [new] = &values(&sent, "start")[..] else { panic!("{sent:?}") };
        let new = crate::go::time::instant(new.as_bytes()).unwrap();
        assert_eq!((new - start) % hour, 0, "{query}");
        let earliest = NOW - 30 * DAY + back - 1;
        assert!(new >= earliest && new < earliest + hour, "{query}: {new} {earliest}");
        assert_eq!(values(&sent, "end"), [seconds(NOW)]);
    }
    // With a negative offset, what is read begins later than the query does.
    let sent = sent(&range("up offset -11d", start, NOW - 15 * DAY, "1h"), &config);
    assert_eq!(values(&sent, "start"), [seconds(start)]);
}

#[test]
fn range_query_of_which_no_step_is_left_is_answered_empty() {
    let config = thirty_days();
    assert_eq!(
        empty(&range("up", NOW - 50 * DAY, NOW - 40 * DAY, "1h"), &config),
        r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#
    );
    // Thanos's explanation has no such shape.
    let target = "/api/v1/query_range_explain?query=up&start=1796000000&end=1797000000&step=60";
    assert_eq!(
        message(&Request::get(target).tenant("team-a"), &config_of("thanos")),
        "the query reaches 46d7h6m40s into the past: your limit retention_period is 30d"
    );
    // The grid has no step between the limit and the end.
    empty(&range("up", NOW - 31 * DAY, NOW - 29 * DAY, "5d"), &config);
    sent(&range("up", NOW - 31 * DAY, NOW - 29 * DAY, "90000"), &config);
    // Without a selector, nothing is read.
    sent(&range("vector(1)", NOW - 50 * DAY, NOW - 40 * DAY, "1h"), &config);
}

#[test]
fn range_query_that_reaches_too_far_by_itself_is_refused() {
    let config = thirty_days();
    let from = NOW - DAY;
    assert_eq!(
        message(&range("rate(up[40d])", from, NOW, "1h"), &config),
        "the query reaches 40d into the past: your limit retention_period is 30d"
    );
    for query in ["up @ 0", "up offset 31d", "up[20d:] offset 11d", "up and topk(scalar(up @ 1), up)"] {
        message(&range(query, from, NOW, "1h"), &config);
    }
    // These move with the end, or not at all.
    message(&range("rate(up[range()])", NOW - 40 * DAY, NOW, "1h"), &config);
    for query in ["up @ end()", "up @ start()"] {
        sent(&range(query, NOW - 40 * DAY, NOW, "1h"), &config);
    }
    message(&range("up @ start() offset 29d", NOW - 40 * DAY, NOW, "1h"), &limited(r#""retention_period": "28d""#));
}

#[test]
fn what_upstream_refuses_is_left_to_it() {
    let config = thirty_days();
    for request in [
        get("query_range", &[("start", "1"), ("end", "5"), ("step", "1")]),
        get("query_range", &[("query", "up"), ("start", "5"), ("end", "1"), ("step", "1")]),
        get("query_range", &[("query", "up"), ("start", "1"), ("end", "5"), ("step", "0")]),
        get("query_range", &[("query", "up"), ("start", "1"), ("end", "5"), ("step", "-300")]),
        get("query", &[("time", "1")]),
        get("series", &[("match[]", "up"), ("start", "1800000000"), ("end", "1799999999")]),
    ] {
        let sent = sent(&request, &config);
        for name in ["start", "end", "step", "time"] {
            assert_eq!(values(&sent, name), values_of(&request, name), "{sent:?}");
        }
    }
    for value in ["NaN", "Inf", "yesterday", "2026-13-01T00:00:00Z"] {
        assert_eq!(reason(&get("query", &[("query", "up"), ("time", value)]), &config), "bad_value");
        assert_eq!(reason(&get("labels", &[("start", value)]), &config), "bad_value");
    }
}

#[test]
fn absent_time_of_a_range_query_is_refused_before_an_upstream_makes_one_up() {
    let all = [("query", "up"), ("start", "1799999000"), ("end", "1800000000"), ("step", "60")];
    for (at, (name, _)) in all.iter().enumerate().skip(1) {
        let mut without = all.to_vec();
        without.remove(at);
        let config = thirty_days();
        for request in
            [get("query_range", &without), post("query_range", &[], &without), post("query_range", &without, &[])]
        {
            let rejection = request.send(&config).expect_err("refused");
            assert_eq!(rejection.reason(), "bad_value");
            assert!(rejection.message().contains(name), "{}", rejection.message());
        }
        // In two places, it is whole.
        let config = config_of("thanos");
        let sent = sent(&post("query_range", &without, &all[at..=at]), &config);
        assert_eq!(values(&sent, name)[0], all[at].1);
    }
    // Thanos has a default step.
    let (start, old) = (seconds(NOW - 10 * DAY), seconds(NOW - 40 * DAY));
    let config = config_of("thanos");
    for request in [
        get("query_range", &[("query", "up"), ("start", &start), ("end", "1800000000")]),
        post("query_range", &[("query", "up"), ("start", &start)], &[("end", "1800000000")]),
        post("query_range", &[("query", "up"), ("start", &start), ("end", "1800000000")], &[]),
    ] {
        let sent = sent(&request, &config);
        assert_eq!(values(&sent, "step")[0], "3456.000", "{sent:?}");
    }
    let moved = sent(&get("query_range", &[("query", "up"), ("start", &old), ("end", "1800000000")]), &config);
    assert!(
        values(&moved, "start")[0] > seconds(NOW - 30 * DAY) && values(&moved, "step") == ["13824.000"],
        "{moved:?}"
    );
}

pub(super) fn config_of(upstream: &str) -> Worker {
    config(&format!(r#"{{"upstream": "{upstream}", "limits": {{"retention_period": "30d"}}}}"#))
}

#[test]
fn selectors_look_no_further_than_retention() {
    let config = thirty_days();
    let oldest = seconds(NOW - 30 * DAY);
    for path in ["series", "labels", "label/job/values", "query_exemplars"] {
        let name = if path == "query_exemplars" { "query" } else { "match[]" };
        let get = |start: &str, end: &str| get(path, &[(name, "up"), ("start", start), ("end", end)]);
        assert_eq!(values(&sent(&get("", ""), &config), "start"), [&*oldest], "{path}");
        assert_eq!(values(&sent(&get("1", &seconds(NOW)), &config), "start"), [&*oldest], "{path}");
        let new = seconds(NOW - DAY);
        assert_eq!(values(&sent(&get(&new, ""), &config), "start"), [&*new], "{path}");
        assert_eq!(empty(&get("1", "2"), &config), r#"{"status":"success","data":[]}"#);
        assert_eq!(empty(&get("", "2"), &config), r#"{"status":"success","data":[]}"#);
    }
    // Without a start, the last hour is searched.
    let search = get("search/label_names", &[("match[]", "up")]);
    assert_eq!(values(&sent(&search, &config), "start"), [seconds(NOW - DAY / 24)]);
    let search = get("search/label_names", &[("match[]", "up"), ("start", "1"), ("end", "2")]);
    assert_eq!(empty(&search, &config), "{\"status\":\"success\",\"has_more\":false}\n");
    let federate = Request::get("/federate?match[]=up").tenant("team-a");
    sent(&federate, &config);
    message(&federate, &limited(r#""retention_period": "4m""#));
}

#[test]
fn times_of_a_form_win_and_those_of_the_url_are_bounded_by_themselves() {
    let config = thirty_days();
    let (old, oldest) = (seconds(NOW - 60 * DAY), seconds(NOW - 30 * DAY));
    let first = |sent: &Sent, name: &str| values(sent, name).first().cloned();
    // Each stands where it wins.
    let sent = sent(&post("series", &[("start", &old)], &[("match[]", "up")]), &config);
    assert_eq!(first(&sent, "start"), Some(oldest.clone()));
    assert_eq!(pairs(&sent.path)[0], ("start".to_owned(), oldest.clone()));
    let request = post("labels", &[("start", &seconds(NOW - DAY))], &[("start", &old)]);
    assert_eq!(first(&super::limits::sent(&request, &config), "start"), Some(oldest));
    // A complete query in the URL, should the form get lost.
    let start = seconds(NOW - 40 * DAY);
    let url = [("query", "up"), ("start", &start), ("end", "1800000000"), ("step", "1d")];
    let sent = super::limits::sent(&post("query_range", &url, &[("limit", "5")]), &config);
    for (key, value) in pairs(&sent.path).iter().chain(&pairs(sent.body.as_deref().unwrap())) {
        assert!(key != "start" || *value != start, "{sent:?}");
    }
    let oldest_step = seconds(NOW - 29 * DAY);
    assert_eq!(values(&sent, "start"), [oldest_step.clone(), oldest_step]);
    // Times in the URL, the query in the form.
    let url = [("start", &*start), ("end", "1800000000"), ("step", "1d")];
    let sent = super::limits::sent(&post("query_range", &url, &[("query", "up")]), &config);
    assert_eq!(values(&sent, "start")[0], seconds(NOW - 29 * DAY));
    empty(&post("query_range", &[("end", "2"), ("step", "1")], &[("query", "up"), ("start", "1")]), &config);
}

#[test]
fn lookback_of_the_request_counts() {
    let config = limited(r#""retention_period": "1h""#);
    let at = |lookback: &str, offset: &str| {
        get("query", &[("query", &format!("up offset {offset}")), ("lookback_delta", lookback)])
    };
    sent(&at("", "55m"), &config);
    message(&at("10m", "55m"), &config);
    sent(&at("10m", "50m"), &config);
    // An upstream that does not know the parameter looks back as always.
    message(&at("1s", "56m"), &config);
    assert_eq!(reason(&at("abc", "1m"), &config), "bad_value");
    let config = super::config(r#"{"lookback_delta": "20m", "limits": {"retention_period": "1h"}}"#);
    message(&get("query", &[("query", "up offset 45m")]), &config);
}

#[test]
fn lookback_bounds_evaluations_and_not_what_they_read() {
    let config = limited(r#""max_query_lookback": "1d""#);
    let old = NOW - 2 * DAY;
    sent(&get("query", &[("query", "up[30d]")]), &config);
    assert_eq!(
        empty(&get("query", &[("query", "up"), ("time", &seconds(old))]), &config),
        r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#
    );
    assert!(empty(&get("query", &[("query", "(up[5m])"), ("time", &seconds(old))]), &config).contains("matrix"));
    assert_eq!(values(&sent(&range("up", old, NOW, "1h"), &config), "start"), [seconds(NOW - DAY)]);
    empty(&range("up", old, NOW - DAY - 1, "1h"), &config);
    assert_eq!(values(&sent(&get("labels", &[]), &config), "start"), [seconds(NOW - DAY)]);
}

#[test]
fn future_is_bounded() {
    let config = limited(r#""max_query_into_future": "10m""#);
    let (soon, later) = (NOW + 600_000, NOW + DAY);
    sent(&get("query", &[("query", "up"), ("time", &seconds(soon))]), &config);
    empty(&get("query", &[("query", "up"), ("time", &seconds(soon + 1))]), &config);
    assert_eq!(values(&sent(&range("up", NOW, later, "1h"), &config), "end"), [seconds(soon)]);
    empty(&range("up", soon + 1, later, "1h"), &config);
    assert!(message(&get("query", &[("query", "up offset -1h")]), &config).contains("1h into the future"));
    message(&range("up offset -1h", NOW - DAY, NOW, "1h"), &config);
    message(&range("up @ 1900000000", NOW - DAY, NOW, "1h"), &config);
    assert_eq!(
        values(&sent(&range("up offset -5m", NOW - DAY, soon, "1h"), &config), "end"),
        [seconds(soon - 300_000)]
    );
    assert_eq!(values(&sent(&get("labels", &[]), &config), "end"), [seconds(soon)]);
    assert_eq!(values(&sent(&get("labels", &[("end", &seconds(later))]), &config), "end"), [seconds(soon)]);
}

#[test]
fn length_is_bounded() {
    let config = limited(r#""max_query_length": "1d""#);
    sent(&range("up", NOW - DAY, NOW, "1h"), &config);
    assert_eq!(
        message(&range("up", NOW - DAY - 1, NOW, "1h"), &config),
        "the query covers 1d1ms: your limit max_query_length is 1d"
    );
    message(&get("query", &[("query", "up[2d]")]), &config);
    sent(&get("query", &[("query", "up[1d] offset 30d")]), &config);
    sent(&get("query", &[("query", "up - up offset 30d")]), &config);
    message(&get("series", &[("match[]", "up"), ("start", "1"), ("end", "1800000000")]), &config);
    assert_eq!(values(&sent(&get("labels", &[]), &config), "start"), [seconds(NOW - DAY)]);
    // The lookback moves the start first, as in Cortex.
    let both = limited(r#""max_query_length": "1d", "max_query_lookback": "12h""#);
    sent(&range("up", NOW - 9 * DAY, NOW, "1h"), &both);
}

#[test]
fn without_the_time_a_limited_request_is_refused() {
    let target = b"/api/v1/query?query=up".as_slice();
    let headers: [(&[u8], &[u8]); 3] = [(b":method", b"GET"), (b":path", target), (b"thanos-tenant", b"team-a")];
    let head = Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
    assert_eq!(decide(&head, &thirty_days(), &RefCell::default()).expect_err("refused").rejection.status(), 500);
    assert!(thirty_days().needs_the_time());
    let config = limited(r#""max_selectors_per_query": 5"#);
    assert!(!config.needs_the_time() && decide(&head, &config, &RefCell::default()).is_ok());
}

#[test]
fn unread_queries_are_bounded_too() {
    // `enforce_tenancy: false`: queries are not rewritten, but limits read them.
    let config = config(r#"{"enforce_tenancy": false, "limits": {"retention_period": "30d"}}"#);
    let request = get("query", &[("query", "up  # a comment")]);
    assert_eq!(values(&sent(&request, &config), "query"), ["up  # a comment"]);
    message(&get("query", &[("query", "up[31d]")]), &config);
    assert_eq!(reason(&get("query", &[("query", "up[")]), &config), "query_syntax");
}

/// What the client sent.
fn values_of(request: &Request, name: &str) -> Vec<String> {
    let target = String::from_utf8(request.headers[1].1.clone()).unwrap();
    pairs(&target).into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

impl Request {
    pub(super) fn clone_for(&self, tenant: &str) -> Request {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != b"thanos-tenant");
        Request { headers, evidence: None, label_evidence: None, body: self.body.clone() }.tenant(tenant)
    }
}
