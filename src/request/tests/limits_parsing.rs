//! An expression is parsed once for each request, by whichever of rewriting and limits needs it first.

use super::limits::{DAY, get, limited, post, range, sent};
use super::*;
use crate::promql::PARSED;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LIMITS: &str = r#""retention_period": "30d", "max_selectors_per_query": 9, "blocked_queries": [{"pattern": "a|b", "regex": true}]"#;

/// How many expressions are parsed while the request is decided on.
fn parsed(request: &Request, config: &Worker) -> usize {
    let before = PARSED.get();
    sent(request, config);
    PARSED.get() - before
}

#[test]
fn an_expression_is_parsed_once() {
    for (request, expressions) in [
        (get("query", &[("query", "up")]), 1),
        (range("rate(up[5m])", NOW - 40 * DAY, NOW, "1h"), 1),
        (post("query", &[], &[("query", "up")]), 1),
        (post("query", &[("query", "up")], &[("time", "1800000000")]), 1),
        // Go reads the form's query, but the URL is decided on by itself as well.
        (post("query", &[("query", "up")], &[("query", "down")]), 2),
        (get("series", &[("match[]", "up"), ("match[]", "down")]), 2),
        (post("series", &[("match[]", "up"), ("match[]", "down")], &[("match[]", "x")]), 3),
        (get("query_exemplars", &[("query", "up")]), 1),
        (get("labels", &[]), 0),
    ] {
        // Each worker is new, and remembers nothing.
        assert_eq!(parsed(&request, &config("{}")), expressions, "{request:?}");
        assert_eq!(parsed(&request, &limited(LIMITS)), expressions, "{request:?}");
    }
}

#[test]
fn a_remembered_expression_is_parsed_for_limits_alone() {
    let request = get("query", &[("query", "up")]);
    for (worker, remembered) in [(config("{}"), 0), (limited(LIMITS), 1)] {
        // The memo keeps an expression when it comes for the second time.
        assert_eq!([(); 4].map(|()| parsed(&request, &worker)), [1, 1, remembered, remembered]);
    }
}

#[test]
fn an_expression_that_is_not_rewritten_is_parsed_for_limits_alone() {
    let request = get("query", &[("query", "up")]);
    assert_eq!(parsed(&request, &config(r#"{"enforce_tenancy": false}"#)), 0);
    let worker = config(&format!(r#"{{"enforce_tenancy": false, "limits": {{{LIMITS}}}}}"#));
    assert_eq!(parsed(&request, &worker), 1);
}

#[test]
fn expressions_that_are_only_printed_are_read_and_bounded() {
    let (plain, cortex) = (config("{}"), config(r#"{"upstream": "cortex"}"#));
    let limited = config(
        r#"{"limits": {"max_query_expression_size_bytes": 20, "max_concurrent_queries": 3, "retention_period": "1d"}}"#,
    );
    for path in ["format_query", "parse_query"] {
        for (config, prefix) in [(&plain, ""), (&cortex, "/prometheus")] {
            let reason = |query: &str| {
                let path = format!("{prefix}/api/v1/{path}");
                let target = format!("{path}?query={}", query.replace('+', "%2B"));
                let get = Request::get(target).tenant("a").send(config).map(|sent| sent.path);
                let form = Request::form(path, format!("query={}", query.replace('+', "%2B"))).tenant("a").send(config);
                let reasons = (get.map_err(|error| error.reason()), form.map(drop).map_err(|error| error.reason()));
                assert_eq!(reasons.0.clone().map(drop), reasons.1);
                reasons.0
            };
            // As it came: nothing is selected, so that no matcher is written.
            assert!(reason("up%5B5m%5D").unwrap().ends_with("query=up%5B5m%5D"));
            assert!(reason("").is_ok() && reason("info(up,%20up)").is_ok());
            assert_eq!(reason("sum("), Err("query_syntax"));
            assert_eq!(reason(&format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000))), Err("query_too_large"));
            assert_eq!(reason(&vec!["1"; 2_000].join("+")), Err("query_too_large"));
            assert!(reason(&vec!["1"; 300].join("+")).is_ok());
        }
        // The time is not needed, though another limit depends on it.
        let asked = |query: &str| Request::get(format!("/api/v1/{path}?query={query}")).tenant("a").decide(&limited);
        assert_eq!(asked("up").unwrap().concurrency, [("a".into(), 3)]);
        assert_eq!(asked("a_name_of_20_letters1").unwrap_err().rejection.reason(), "max_query_expression_size_bytes");
    }
}
