//! Queries that try to exhaust the filter: deep, long and malformed ones. Each is answered, none traps the VM, and every forwarded query is
//! scoped.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::{stub, unique};
use std::sync::LazyLock;

/// A separate Envoy, so that its log has only these requests.
fn envoy() -> &'static Envoy {
    static ENVOY: LazyLock<Envoy> = LazyLock::new(|| Setup::shipped(stub().port).start("envoy-hostile"));
    &ENVOY
}

/// Encodes only the necessary characters, so that as much as possible fits into a form.
fn form(query: &[u8]) -> Vec<u8> {
    let mut form = b"query=".to_vec();
    for &byte in query {
        match byte {
            b'%' | b'+' | b'&' | b';' => form.extend(format!("%{byte:02X}").into_bytes()),
            b' ' => form.push(b'+'),
            _ => form.push(byte),
        }
    }
    form
}

/// Sends a form, and asserts that it is answered with one of these: forwarded, not PromQL, or too large.
fn assert_answered(what: &str, path: &str, form: Vec<u8>) -> u16 {
    let id = unique();
    let mut request = Request::post(path, "").tenant("team-a").header("x-e2e-id", &id);
    request.body = crate::support::http::Body::Sized(form);
    let answer = request.send(envoy().port());
    match answer.status {
        200 => stub().seen(&id).iter().for_each(|seen| seen.assert_scoped("team-a")),
        400 | 413 => assert!(stub().seen(&id).is_empty(), "{what}"),
        status => panic!("{what}: {status} {}", answer.text()),
    }
    envoy().assert_healthy();
    answer.status
}

fn assert_query_answered(what: &str, query: impl AsRef<[u8]>) -> u16 {
    let status = assert_answered(what, "/api/v1/query", form(query.as_ref()));
    // There is one worker, so the same VM serves the next request.
    let usual = Request::get("/api/v1/query?query=up").tenant("team-a").send(envoy().port());
    assert_eq!(usual.status, 200, "after {what}: {}", usual.text());
    status
}

#[test]
fn nesting_of_every_kind_is_answered_at_any_depth() {
    let all_levels = "(a or b and c == bool d + e * f ^ -";
    let kinds: [(&str, &str, &str); 14] = [
        ("every level of precedence", all_levels, ")"),
        ("parentheses", "(", ")"),
        ("calls", "abs(", ")"),
        ("aggregations", "sum by (a) (", ")"),
        ("parameters", "topk(scalar(", "), a)"),
        ("subqueries", "max_over_time(a[5m:", "])"),
        ("subqueries of subqueries", "sum_over_time((", ")[5m:1m])"),
        ("unary minus", "-", ""),
        ("signs", "-+", ""),
        ("powers", "a ^ ", ""),
        ("grouping", "a * on (b) group_left (c) (", ")"),
        ("durations", "a[(5m) + (", ")]"),
        ("info", "info(", ", {a=\"b\"})"),
        ("unless", "a unless (", ")"),
    ];
    let mut forwarded = 0;
    for (what, open, close) in kinds {
        for depth in [1, 100, 255, 256, 257, 1_000, 20_000] {
            let query = format!("{}a{}", open.repeat(depth), close.repeat(depth));
            let status = assert_query_answered(&format!("{what}, {depth} deep"), query);
            forwarded += usize::from(status == 200);
        }
    }
    // Not all are refused.
    assert!(forwarded > 14, "{forwarded}");
}

/// Prometheus 3.15 was busy for half a minute with each of these (`format_query`), also after the client had left.
#[test]
fn an_expression_that_is_costly_to_print_does_not_reach_the_upstream() {
    let parentheses = format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000));
    let chain = vec!["1"; 2_000].join("+");
    let digits = vec!["1e308"; 300].join("+");
    for query in [&parentheses, &chain, &digits] {
        for endpoint in ["/api/v1/format_query", "/api/v1/parse_query"] {
            assert_eq!(assert_answered(endpoint, endpoint, form(query.as_bytes())), 413);
        }
    }
    // What is accepted costs the upstream about a second at most.
    for query in [vec!["1"; 460].join("+"), vec!["1e308"; 80].join("+")] {
        for endpoint in ["/api/v1/format_query", "/api/v1/parse_query"] {
            let mut request = Request::post(endpoint, "").tenant("team-a");
            request.body = crate::support::http::Body::Sized(form(query.as_bytes()));
            let answer = request.send(crate::support::prometheus().envoy.port());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
}

#[test]
fn what_is_opened_and_never_closed_is_refused() {
    for piece in [
        "(",
        "{",
        "[",
        "-",
        "((",
        "a[",
        "a{b=\"",
        "sum(",
        "sum by (",
        "a[5m:",
        "a @ ",
        "\"",
        "'",
        "`",
        "\\",
        "{\"",
        "a offset -",
        "a + ",
        "by(",
        "1 * (",
        "{a=~\"(",
        "on(",
    ] {
        for size in [1_000, 100_000, 300_000, 1_000_000] {
            let query = piece.repeat(size / piece.len());
            let form_size = form(query.as_bytes()).len();
            let expected = if form_size > 1 << 20 { 413 } else { 400 };
            let what = format!("{size} bytes of {piece:?}");
            let status = assert_query_answered(&what, query);
            assert!(status == expected || status == 413, "{what}: {status}");
        }
    }
}

#[test]
fn length_of_every_kind_is_answered() {
    let cases: [(&str, String); 18] = [
        ("terms", vec!["a"; 100_000].join("+")),
        ("products", vec!["a"; 400_000].join("*")),
        ("sets", vec!["a"; 100_000].join(" or ")),
        ("comparisons", vec!["a"; 100_000].join(" == bool ")),
        ("powers", vec!["a"; 100_000].join("^")),
        ("numbers", format!("{}a", "1*".repeat(300_000))),
        ("a long number", format!("a * {}", "1".repeat(1_000_000))),
        ("a long name", "a".repeat(1_000_000)),
        ("a long string", format!("label_replace(a, \"b\", \"{}\", \"c\", \"\")", "a".repeat(1_000_000))),
        ("escapes", format!("{{a=\"{}\"}}", "\\x41".repeat(250_000))),
        ("matchers", format!("{{{}}}", vec!["a=\"b\""; 150_000].join(","))),
        ("the tenant's label", format!("{{{}}}", vec!["tenant_id=~\"x\""; 60_000].join(","))),
        ("alternatives", format!("{{a=~\"{}\"}}", "a|".repeat(450_000))),
        ("labels to group by", format!("sum by ({}) (a)", vec!["b"; 400_000].join(","))),
        ("arguments", format!("f({}a)", "1,".repeat(400_000))),
        ("a long duration", format!("a[{}]", "1h".repeat(400_000))),
        ("a comment", format!("a #{}", "{}".repeat(450_000))),
        ("spaces", format!("a{}+ b", " \n".repeat(450_000))),
    ];
    for (what, query) in &cases {
        assert_query_answered(what, query);
    }
    assert_eq!(assert_query_answered("a comment", &cases[16].1), 200);
}

#[test]
fn bytes_that_are_no_text_are_answered() {
    for bytes in [
        &b"\xff"[..],
        b"\x00",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"{\"\xff\"=\"\xfe\"}",
        b"{a=\"\xff\"}",
        b"a\xc2\xa0b",
        b"\xef\xbb\xbfup",
        b"{a='\xf0\x9f\x94\xa5'}",
    ] {
        assert_query_answered(&format!("{bytes:?}"), bytes);
        assert_query_answered(&format!("much of {bytes:?}"), bytes.repeat(100_000));
    }
}

#[test]
fn forms_of_many_pairs_are_answered() {
    let repeated = |pair: &str, count: usize| vec![pair; count].join("&").into_bytes();
    for (what, form, expected) in [
        ("900 selectors", repeated("match[]=a", 900), 200),
        ("1,001 selectors", repeated("match[]=a", 1_001), 413),
        ("100,000 selectors", repeated("match[]=a", 100_000), 413),
        ("nothing but separators", vec![b'&'; 1_000_000], 200),
        ("nothing but equal signs", vec![b'='; 1_000_000], 200),
        ("100,000 unknown parameters", repeated("x=y", 100_000), 413),
        ("escapes", b"%41".repeat(300_000), 200),
        ("a long key", vec![b'k'; 1_000_000], 200),
    ] {
        assert_eq!(assert_answered(what, "/api/v1/series", form), expected, "{what}");
    }
}
