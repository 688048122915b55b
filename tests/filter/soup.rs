//! Clients that send anything: it is enforced or refused, and nothing traps (a trap aborts the test's process).

use crate::harness::{Harness, Outcome, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};
use std::cell::Cell;

/// Runs the property on the same cases every time.
fn check<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let config =
        Config { cases: 600, rng_seed: RngSeed::Fixed(0x7e4a), failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(&strategy, property) {
        panic!("{error}");
    }
}

/// Bytes that a parser is likely to stumble over, more often than chance would have them.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = select(vec![
        "query=",
        "match[]=",
        "&",
        ";",
        "%",
        "%2",
        "%7B",
        "%7D",
        "%22",
        "{",
        "}",
        "(",
        ")",
        "[5m]",
        "up",
        "tenant_id",
        "=~",
        "!=",
        "\"",
        "'",
        "`",
        "\\",
        "sum(",
        "offset",
        "@",
        "-1h",
        "0x",
        "1e9",
        "by",
        "on",
        "%2B",
        "//",
        "/../",
        "?",
        "#",
        "\u{e9}",
        "\0",
        "time=1",
        "query=up",
    ]);
    let fragment = prop_oneof![vec(any::<u8>(), 0..12), words.prop_map(|word| word.as_bytes().to_vec())];
    vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
}

/// Forms of which a good part is accepted.
fn nearly_a_form() -> impl Strategy<Value = Vec<u8>> {
    let query = vec(
        select(vec![
            "up",
            "{a=\"b\"}",
            "up{tenant_id=\"team-b\"}",
            "sum(up)",
            "-up",
            "rate(up[5m])",
            "up offset 1h",
            "1",
            "(",
            "[",
            "\"x\"",
        ]),
        1..4,
    );
    let query =
        (query, select(vec![" + ", " or ", " and on (a) ", "", " "])).prop_map(|(parts, between)| parts.join(between));
    let encoded = query.prop_map(|query| {
        form_urlencoded::Serializer::new(String::new()).append_pair("query", &query).finish().into_bytes()
    });
    (encoded, select(vec!["", "&time=1", "&timeout=5s", "&nothing=7", "&"]))
        .prop_map(|(query, more)| [query, more.into()].concat())
}

/// Enforced whole, or refused with nothing of the body sent.
fn assert_settled(out: &Outcome, tenant: &str) -> TestCaseResult {
    prop_assert!(!out.hung && !out.reset);
    prop_assert_eq!(out.local, !out.sent.complete);
    if out.local {
        prop_assert!(out.sent.body.is_empty());
        prop_assert!((400..500).contains(&out.answer().status), "{:?}", out.answer());
        prop_assert_eq!(&out.answer().json()["status"], "error");
    }
    if let Some(head) = &out.sent.headers {
        prop_assert_eq!(head.all("thanos-tenant"), [tenant]);
        prop_assert_eq!(head.all("x-scope-orgid"), [""; 0]);
        prop_assert_eq!(out.sent.trailers.len(), 0);
    }
    Ok(())
}

/// What the upstream got is what the filter would send again: nothing in it was left to be enforced.
fn assert_stable(envoy: &mut Harness, out: &Outcome) -> TestCaseResult {
    let again = envoy.request(out.upstream());
    prop_assert!(again.sent.complete, "{:?} is refused: {}", out.sent, again.answer().text());
    prop_assert_eq!(again.path(), out.path());
    prop_assert_eq!(again.body(), out.body());
    Ok(())
}

#[test]
fn any_url_and_form_is_enforced_or_refused() {
    let (forwarded, refused) = (Cell::new(0), Cell::new(0));
    let part = || prop_oneof![soup(), nearly_a_form(), nearly_a_form(), Just(Vec::new())];
    let cuts = vec(0..40_usize, 0..4);
    check((part(), part(), cuts, any::<bool>(), any::<bool>()), |(url, form, cuts, trailers, allow)| {
        let mut envoy = Harness::new("{}").unwrap().allow_on_headers_stop_iteration(allow);
        let path = [b"/api/v1/query?".as_slice(), &url].concat();
        let mut request = Request::form(path, form).without_header("content-length").split(&cuts);
        if trailers {
            request = request.trailer("thanos-tenant", "team-b").trailer("x-scope-orgid", "team-b");
        }
        let out = envoy.request(request.header("THANOS-TENANT", "team-a").header("X-Scope-OrgID", "team-b"));
        assert_settled(&out, "team-a")?;
        if out.local {
            refused.set(refused.get() + 1);
            return Ok(());
        }
        forwarded.set(forwarded.get() + 1);
        for (name, value) in out.upstream().query_pairs().into_iter().chain(out.upstream().form_pairs()) {
            prop_assert!(!value.contains("team-b"), "{name}={value}");
        }
        assert_stable(&mut envoy, &out)
    });
    // Else the property would hold of a filter that does only one of the two.
    assert!(forwarded.get() > 50 && refused.get() > 50, "{forwarded:?} forwarded, {refused:?} refused");
}

#[test]
fn any_headers_are_enforced_or_refused() {
    let forwarded = Cell::new(0);
    let path = prop_oneof![soup(), nearly_a_form().prop_map(|form| [b"/api/v1/query?".as_slice(), &form].concat())];
    let tenant = proptest::option::of(prop_oneof![soup(), Just(b"team-a".to_vec())]);
    let method = select(vec!["GET", "GET", "POST", "HEAD", ""]);
    let headers = vec((soup(), soup()), 0..8);
    let body = prop_oneof![Just(Vec::new()), vec(soup(), 0..3)];
    check((headers, tenant, path, method, body), |(headers, tenant, path, method, body)| {
        let mut envoy = Harness::new("{}").unwrap();
        let mut request = Request::new(method, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(tenant) = &tenant {
            request = request.header("THANOS-TENANT", tenant);
        }
        let out = envoy.request(body.into_iter().fold(request, Request::chunk));
        let tenant = tenant.as_deref().unwrap_or(b"default-tenant");
        assert_settled(&out, &String::from_utf8_lossy(tenant))?;
        if out.sent.complete {
            prop_assert!(!tenant.is_empty());
            forwarded.set(forwarded.get() + 1);
            return assert_stable(&mut envoy, &out);
        }
        Ok(())
    });
    assert!(forwarded.get() > 20, "{forwarded:?} forwarded");
}

#[test]
fn any_bytes_in_place_of_a_header_map_refuse() {
    check(vec(any::<u8>(), 0..200), |bytes| {
        let mut envoy = Harness::new("{}").unwrap();
        envoy.garbage_map(Some(bytes));
        let out = envoy.request(Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-a"));
        prop_assert!(out.local && out.sent.headers.is_none());
        Ok(())
    });
}

#[test]
fn any_configuration_is_taken_or_refused_with_a_line() {
    check((soup(), soup(), soup()), |(bytes, key, value)| {
        let (key, value) = (String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
        for configuration in [
            bytes,
            serde_json::json!({ key.as_ref(): value }).to_string().into_bytes(),
            serde_json::json!({ "tenant_header": value }).to_string().into_bytes(),
            serde_json::json!({ "path_prefixes": [value, key] }).to_string().into_bytes(),
        ] {
            if let Err(logs) = Harness::new(configuration) {
                prop_assert_eq!(logs.len(), 1);
                prop_assert!(logs[0].text.starts_with("configuration refused: "));
                prop_assert!(!logs[0].text.contains(char::is_control), "{:?}", logs[0].text);
            }
        }
        Ok(())
    });
}
