//! What is refused. If Prometheus refuses it too, the message and the position are Prometheus's.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn err_the_message_is_prometheus_s() {
    // Each message was printed by Prometheus 3.16's parser.
    err("sum(", "1:5: parse error: unclosed left parenthesis");
    err("a +", "1:4: parse error: unexpected end of input");
    err("a\n+ )", "2:4: parse error: unexpected right parenthesis ')'");
    err("a b", "1:3: parse error: unexpected identifier \"b\"");
    err("a{", "1:3: parse error: unexpected end of input inside braces");
    err("a{b}", "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator");
    err("a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, expected string");
    err("a{b=\"c\" d}", "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\"");
    err("a{,}", "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\"");
    err("sum by job (x)", "1:8: parse error: unexpected identifier \"job\" in grouping opts, expected \"(\"");
    err("sum by (1) (x)", "1:9: parse error: unexpected number \"1\" in grouping opts, expected label");
    err("sum by (without) (x)", "1:9: parse error: unexpected <without> in grouping opts, expected label");
    err("a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp");
    err(
        "a offset b",
        "1:10: parse error: unexpected identifier \"b\" in offset, expected number, duration, step(), or range()",
    );
    err("a[5m", "1:5: parse error: unclosed left bracket");
    err("a[-5m]", "1:3: parse error: duration must be greater than 0");
    err("a[5m]]", "1:6: parse error: unexpected right bracket ']'");
    err("(a)[5m]", "1:4: parse error: ranges only allowed for vector selectors");
    err("a offset 5m[5m]", "1:12: parse error: no offset modifiers allowed before range");
    err("a @ 5[5m]", "1:6: parse error: no @ modifiers allowed before range");
    err("a offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times");
    err("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times");
    err("f(a,)", "1:4: parse error: trailing commas not allowed in function call args");
    err("sum()", "1:1: parse error: no arguments for aggregate expression provided");
    err("a[5m / 0]", "1:6: parse error: division by zero");
    err("\"a", "1:1: parse error: unterminated quoted string");
    err("\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'");
    err("a anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together");
    err("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators");
}

#[test]
fn err_an_empty_query_has_a_position_as_well() {
    // Prometheus writes "unknown position" in place of the position.
    err("", "1:1: parse error: no expression found in input");
    err(" # nothing", "1:1: parse error: no expression found in input");
}

#[test]
fn err_a_metric_is_named_once() {
    for query in ["a{__name__=\"b\"}", "a{\"b\"}", "a{\"__name__\"!=\"\"}", "a{'__n\\x61me__'=~\"b\"}"] {
        err(query, "1:1: parse error: metric name must not be set twice");
    }
}

#[test]
fn err_a_comment_must_not_make_a_modifier_of_a_call() {
    // Because of the comment, Prometheus reads `fill` as the name of a function, which it doesn't have.
    err("a + fill # x\n (1) b", "1:5: parse error: unknown function with name \"fill\"");
    err("FILL_left#\n(1)", "1:1: parse error: unknown function with name \"FILL_left\"");
}

#[test]
fn err_info_reads_target_info_of_every_tenant() {
    let message = "1:1: info() is allowed only with a second argument that selects the labels to add, for example \
                   info(up, {version=~\".+\"}): without one, series of other tenants would be read";
    for query in [
        "info(a)",
        "info(a, {})",
        "info(a, {__name__=\"b_info\"})",
        "info(a, {\"b_info\"})",
        "info(a, ({b=~\".+\"}))",
        "INFO(a)",
    ] {
        err(query, message);
    }
    ok("info(a, {b=~\".+\"})", "info(a{§}, {§,b=~\".+\"})");
    ok("info(a, {__name__=\"b\", c!=\"\"})", "info(a{§}, {§,__name__=\"b\",c!=\"\"})");
}

#[test]
fn err_labels_whose_value_is_run_as_a_query() {
    // The query-frontends of Mimir and Cortex write such selectors to shard a query.
    for label in ["__queries__", "__query__", "\"__query__\"", "'__cortex_queries\\x5f_'"] {
        let query = format!("sum(up) or __embedded_queries__{{{label}=\"up\"}}");
        let error = enforce_with(&team_a(), &query).expect_err(label);
        assert_eq!((error.kind, error.column), (super::super::ErrorKind::Reserved, 33), "{error}");
        assert!(selector(&format!("{{{label}=~\"up\"}}")).is_err(), "{label}");
    }
}

#[test]
fn err_a_query_is_utf8_text() {
    for (query, at) in [(&b"a{b=\"\xff\"}"[..], 5), (b"\xff", 1), (b"a\x00", 2), ("\"\u{fffd}\"".as_bytes(), 1)] {
        let error = rewrite(query, &team_a(), &mut Vec::new()).expect_err("it is no UTF-8 text");
        assert_eq!(error.column, at, "{query:?}: {error}");
    }
    // A comment may hold any bytes, and is removed.
    let mut out = Vec::new();
    assert_eq!(rewrite(b"a # \xff", &team_a(), &mut out), Ok(1));
    assert_eq!(out, b"a{tenant_id=\"team-a\"}");
}

#[test]
fn err_a_refused_query_leaves_the_output_unchanged() {
    let mut out = b"kept".to_vec();
    assert!(rewrite(b"a + info(b)", &team_a(), &mut out).is_err());
    assert_eq!(out, b"kept");
}
