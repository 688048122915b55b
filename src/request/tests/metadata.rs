//! Metadata and targets: what the upstream is asked, and what it is asked first.

use super::*;
use crate::answer;
use crate::request::Answered;

const NAMES: &str = r#"{"enable_metadata": "names", "call_out_cluster": "upstream", "call_out_timeout": "2s"}"#;
const TARGETS: &str = r#"{"enable_metadata": "targets"}"#;
const OWN: &[u8] = br#"{"status":"success","data":["up"]}"#;

fn ask(request: &Request, config: &Worker) -> Ask {
    match request.decision(config).map_err(|refused| refused.rejection).unwrap() {
        Decision::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

fn header<'a>(ask: &'a Ask, name: &str) -> &'a str {
    let mut found = ask.headers.iter().filter(|(other, _)| **other == *name);
    let value = &found.next().unwrap().1;
    assert!(found.next().is_none());
    value
}

/// What comes back to a client of the decision, if the upstream answers this.
fn answered(forward: &Forward, body: &str) -> String {
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/json")];
    let head = answer::Head { headers: &headers, end_of_stream: false, is_early: false };
    let answer::Body::Filtered(mut filtered) = forward.expected.decide(&head).unwrap().body else { panic!("filtered") };
    let mut out = Vec::new();
    filtered.filter.push(body.as_bytes(), true, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn metadata_and_targets_are_refused_unless_they_are_switched_on() {
    for path in ["/api/v1/metadata", "/api/v1/targets", "/api/v1/targets/metadata"] {
        assert_eq!(reason(&Request::get(path).tenant("team-a"), &config("{}")), "forbidden_path", "{path}");
    }
    let thanos = r#"{"enable_metadata": true, "call_out_cluster": "upstream", "upstream": "thanos"}"#;
    assert_eq!(reason(&Request::get("/api/v1/targets/metadata").tenant("a"), &config(thanos)), "forbidden_path");
    for path in ["/api/v1/targets/relabel_steps?scrapePool=x", "/api/v1/scrape_pools"] {
        assert_eq!(reason(&Request::get(path).tenant("a"), &config(TARGETS)), "forbidden_path", "{path}");
    }
    let view = r#"{"enable_metadata": "targets", "static_tenant_ids": ["ops"], "tenant_regex": "team-.*"}"#;
    for path in ["/api/v1/metadata", "/api/v1/targets", "/api/v1/targets/metadata"] {
        assert_eq!(reason(&Request::get(path), &config(view)), "forbidden_path", "{path}");
    }
}

#[test]
fn by_targets_the_metadata_of_the_tenant_s_targets_is_asked_for() {
    let config = config(r#"{"enable_metadata": "targets", "path_prefixes": ["", "/prom"]}"#);
    let request =
        Request::get("/prom/api/v1/metadata?metric=up&limit=5&limit_per_metric=1&match_target=%7B%7D").tenant("team-a");
    let forward = request.decide(&config).map_err(|refused| refused.rejection).unwrap();
    assert_eq!(
        forward.path.as_deref(),
        Some(&b"/prom/api/v1/targets/metadata?match_target=%7Btenant_id%3D%22team-a%22%7D"[..])
    );
    let item = |tenant: &str, metric: &str| {
        format!(r#"{{"target":{{"tenant_id":"{tenant}"}},"metric":"{metric}","type":"gauge"}}"#)
    };
    let body = format!(
        r#"{{"status":"success","data":[{},{},{}]}}"#,
        item("team-a", "up"),
        item("team-b", "up"),
        item("team-a", "x")
    );
    assert_eq!(answered(&forward, &body), r#"{"status":"success","data":{"up":[{"type":"gauge"}]}}"#);
}

#[test]
fn the_metadata_of_targets_has_one_selector_of_the_tenant_s() {
    let config = config(TARGETS);
    for (given, sent) in [
        ("", r#"{tenant_id="team-a"}"#),
        ("?match_target=%7Bjob%3D%22x%22%7D", r#"{tenant_id="team-a",job="x"}"#),
        ("?match_target=%7Btenant_id%3D%22team-b%22%7D", r#"{tenant_id="team-a"}"#),
        ("?match[]=%7Btenant_id%3D%22team-b%22%7D&metric=up", r#"{tenant_id="team-a"}"#),
    ] {
        let request = Request::get(format!("/api/v1/targets/metadata{given}")).tenant("team-a");
        let sent_on = request.send(&config).unwrap();
        assert_eq!(values(&sent_on, "match_target"), [sent], "{given}");
        assert!(
            values(&sent_on, "match[]").is_empty()
                && values(&sent_on, "metric").len() == usize::from(given.contains("metric"))
        );
    }
    let twice = Request::get("/api/v1/targets/metadata?match_target=%7B%7D&match_target=%7B%7D").tenant("team-a");
    assert_eq!(reason(&twice, &config), "repeated_parameter");
    let forward = Request::get("/api/v1/targets/metadata").tenant("team-a").decide(&config).unwrap();
    let item = |tenant: &str| format!(r#"{{"target":{{"tenant_id":"{tenant}"}},"metric":"up"}}"#);
    let body = format!(r#"{{"status":"success","data":[{},{}]}}"#, item("team-b"), item("team-a"));
    assert_eq!(answered(&forward, &body), format!(r#"{{"status":"success","data":[{}]}}"#, item("team-a")));
}

#[test]
fn by_names_the_upstream_is_asked_for_the_tenant_s_names_first() {
    let config = config(NAMES);
    let request = Request::get("/api/v1/metadata?metric=up&limit=1")
        .header("authorization", "Bearer x")
        .header("cookie", "y")
        .header("x-scope-orgid", "team-b")
        .tenant("team-a");
    let ask = ask(&request, &config);
    assert_eq!(
        (&*ask.cluster, ask.timeout_ms, &*ask.tenant, ask.route.handler),
        ("upstream", 2_000, "team-a", "metadata")
    );
    let path = header(&ask, ":path");
    let start = format!("{}.000", (NOW - 24 * 3_600_000) / 1_000);
    assert_eq!(
        pairs(path),
        [("match[]".to_owned(), r#"{tenant_id="team-a"}"#.to_owned()), ("start".to_owned(), start)]
    );
    assert!(path.starts_with("/api/v1/label/__name__/values?"));
    assert_eq!(
        (header(&ask, ":method"), header(&ask, ":authority"), header(&ask, "thanos-tenant")),
        ("GET", "localhost", "team-a")
    );
    assert_eq!((header(&ask, "authorization"), ask.headers.len()), ("Bearer x", 6));

    let answer = Answered::Answer { status: 200, body: Some(OWN) };
    let forward = ask.pending.finish(&answer, Some(NOW), &config.memo).unwrap().forwarded().unwrap();
    assert_eq!(
        forward.path.as_deref(),
        Some(&b"/api/v1/metadata?metric=up"[..]),
        "a limit would be one over all tenants"
    );
    let body = r#"{"status":"success","data":{"b":[{"type":"gauge"}],"up":[{"type":"gauge","help":"x"}]}}"#;
    assert_eq!(answered(&forward, body), r#"{"status":"success","data":{"up":[{"type":"gauge","help":""}]}}"#);
}

#[test]
fn names_are_asked_for_once_a_minute_for_each_tenant() {
    let worker = config(NAMES);
    let request = |tenant: &str| Request::get("/api/v1/metadata").tenant(tenant);
    let answer = Answered::Answer { status: 200, body: Some(OWN) };
    ask(&request("team-a"), &worker).pending.finish(&answer, Some(NOW), &worker.memo).unwrap();
    let forward = request("team-a").decide(&worker).unwrap();
    assert!(answered(&forward, r#"{"status":"success","data":{"up":[{}],"x":[{}]}}"#).contains(r#"{"up":[{}]}"#));
    ask(&request("team-b"), &worker);
    ask(&request("team-a"), &config(NAMES));
    // A minute later.
    let later = Some(NOW - 60_000);
    let worker = config(NAMES);
    ask(&request("team-a"), &worker).pending.finish(&answer, later, &worker.memo).unwrap();
    ask(&request("team-a"), &worker);
}

#[test]
fn without_an_answer_that_can_be_read_the_request_is_refused() {
    let config = config(NAMES);
    let request = Request::get("/api/v1/metadata").tenant("team-a");
    for (answer, status, text) in [
        (Answered::Failed, 502, "could not be asked"),
        (Answered::Answer { status: 504, body: Some(b"upstream request timeout") }, 504, "in time"),
        (Answered::Answer { status: 503, body: Some(b"team-b") }, 502, "status 503"),
        (Answered::Answer { status: 302, body: Some(b"") }, 502, "status 302"),
        (Answered::Answer { status: 200, body: None }, 502, "max_response_bytes"),
        (Answered::Answer { status: 200, body: Some(b"{}") }, 502, "could not be read"),
        (
            Answered::Answer { status: 200, body: Some(br#"{"status":"error","data":["up"]}"#) },
            502,
            "could not be read",
        ),
    ] {
        // A worker of its own: after a question that has failed, it is not asked again at once.
        let config = super::config(NAMES);
        let rejection = ask(&request, &config).pending.finish(&answer, Some(NOW), &config.memo).unwrap_err();
        assert_eq!((rejection.status(), rejection.reason()), (status, "call_out"), "{answer:?}");
        assert!(
            rejection.message().contains(text) && !rejection.message().contains("team-b"),
            "{}",
            rejection.message()
        );
    }
    ask(&request, &config);
}

#[test]
fn what_is_asked_for_has_to_be_a_number() {
    for (query, expected) in [
        ("limit=x", "bad_value"),
        ("limit=1x", "bad_value"),
        ("limit=99999999999999999999", "bad_value"),
        ("limit_per_metric=-", "bad_value"),
        ("limit=1&limit=2", "repeated_parameter"),
        ("metric=%ff", "bad_value"),
    ] {
        let request = Request::get(format!("/api/v1/metadata?{query}")).tenant("team-a");
        assert_eq!(reason(&request, &config(TARGETS)), expected, "{query}");
    }
    for query in ["limit=", "limit=-1&limit_per_metric=%2B2&metric="] {
        assert!(
            Request::get(format!("/api/v1/metadata?{query}")).tenant("a").decide(&config(TARGETS)).is_ok(),
            "{query}"
        );
    }
}

#[test]
fn without_enforcement_metadata_is_forwarded_as_it_came() {
    let config = config(r#"{"enable_metadata": "targets", "enforce_tenancy": false}"#);
    let sent = Request::get("/api/v1/metadata?metric=up&limit=1").tenant("team-a").send(&config).unwrap();
    assert_eq!(sent.path, "/api/v1/metadata?metric=up&limit=1");
}

#[test]
fn several_tenants_and_thanos_s_second_matcher_are_in_the_question() {
    let worker = config(
        r#"{"enable_metadata": true, "call_out_cluster": "upstream", "upstream": "thanos", "tenant_federation": {"enabled": true}}"#,
    );
    let ask = ask(&Request::get("/api/v1/metadata").tenant("b|a"), &worker);
    let selector = &pairs(header(&ask, ":path"))[0].1;
    assert_eq!(selector, r#"{tenant_id=~"a|b",__name__!=""}"#);
    assert_eq!(header(&ask, "thanos-tenant"), "a|b");
}
