//! Where the matcher is written.

use super::super::{Ast, ErrorKind, MAX_DEPTH, MAX_LENGTH, MAX_TOKENS, MAX_WRITTEN, ast, parse};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn ok_every_form_of_a_selector() {
    ok("up", "up{§}");
    ok("up{}", "up{§}");
    ok("{job=\"x\"}", "{§,job=\"x\"}");
    ok("up {job = 'x' , }", "up {§,job='x'}");
    ok(":job:up:sum", ":job:up:sum{§}");
    ok(r#"{"http.requests", "le"="0.5"}"#, r#"{§,"http.requests","le"="0.5"}"#);
    ok("http.requests{service.name=~`a|b`}", "http.requests{§,service.name=~`a|b`}");
    ok("温度", "温度{§}");
    ok("{}", "{§}");
}

#[test]
fn ok_keywords_name_metrics_and_labels() {
    ok("sum + by + offset offset 5m", "sum{§} + by{§} + offset{§} offset 5m");
    ok("and and or", "and{§} and or{§}");
    ok("START{end='x'}", "START{§,end='x'}");
    ok("fill + fill(1) fill_left", "fill{§} + fill(1) fill_left{§}");
    ok("step - step()", "step{§} - step()");
    ok("sum by (on, bool, sum) (x)", "sum by (on, bool, sum) (x{§})");
}

#[test]
fn ok_aggregation_parameter_is_enforced() {
    ok("topk(scalar(x), y)", "topk(scalar(x{§}), y{§})");
    ok("quantile by (a) (scalar(x), y)", "quantile by (a) (scalar(x{§}), y{§})");
    ok("count_values without (a) (\"v\", y)", "count_values without (a) (\"v\", y{§})");
}

#[test]
fn ok_selectors_are_enforced_wherever_they_stand() {
    ok("-a ^ -(b)", "-a{§} ^ -(b{§})");
    ok("xrate(a[5m], {b='c'}[1m])", "xrate(a{§}[5m], {§,b='c'}[1m])");
    ok("max_over_time(rate(a[5m])[1h:5m] @ end())", "max_over_time(rate(a{§}[5m])[1h:5m] @ end())");
    ok("a / on (b, \"c\") group_left () d", "a{§} / on (b, \"c\") group_left () d{§}");
    ok("a >= bool ignoring (x) b unless c", "a{§} >= bool ignoring (x) b{§} unless c{§}");
    ok("a </ 5 >/ b", "a{§} </ 5 >/ b{§}");
    ok("a + fill_right(-1) fill_left(inf) b", "a{§} + fill_right(-1) fill_left(inf) b{§}");
    ok("a anchored[5m] offset -1h", "a{§} anchored[5m] offset -1h");
    ok("vector(1) or \"x\"", "vector(1) or \"x\"");
}

#[test]
fn ok_durations() {
    ok("a[5m + step() * 2]", "a{§}[5m + step() * 2]");
    ok("a[max_of(5m, 2*step()):(1m)]", "a{§}[max_of(5m, 2*step()):(1m)]");
    ok("a offset (5m) + 1m", "a{§} offset (5m) + 1m");
    ok("a offset -(5m) + b", "a{§} offset -(5m) + b{§}");
    ok("a offset 5m + b", "a{§} offset 5m + b{§}");
    ok("a offset 0 offset 5m @ -1.5e3", "a{§} offset 0 offset 5m @ -1.5e3");
    ok("a[5m # comment\n]", "a{§}[5m ]");
}

#[test]
fn ok_comments_are_removed_and_white_space_is_one_space() {
    ok("  a # x{y}\n\t+\r\n  b#", "a{§} + b{§}");
    ok("a{ # }\n b = \"c\" # ,\n}", "a{§,b=\"c\"}");
    ok("a{b=\"# no comment\"}", "a{§,b=\"# no comment\"}");
}

#[test]
fn ok_keyword_and_number_without_a_space_are_read_alike_by_all() {
    ok("a offset.5", "a{§} offset .5");
    ok("a == bool.5", "a{§} == bool .5");
    ok("bool.total", "bool.total{§}");
}

#[test]
fn ok_literals_keep_their_spelling() {
    ok(
        "a{b=\"\\xff\\u00e9\\101\"} > 0x1F + 1_000.5e-3 + 1h30m",
        "a{§,b=\"\\xff\\u00e9\\101\"} > 0x1F + 1_000.5e-3 + 1h30m",
    );
    ok("label_replace(a, `b\\n`, '\"', \"'\", \"\")", "label_replace(a{§}, `b\\n`, '\"', \"'\", \"\")");
}

#[test]
fn ok_a_number_at_the_end_stays_one() {
    // Prometheus reads `0x1e` as a number if anything follows it, and refuses it at the very end of a text.
    ok("a > 0x1e ", "a{§} > 0x1e ");
    ok("0x0E# comment", "0x0E ");
    ok("a > 1e5 ", "a{§} > 1e5");
}

#[test]
fn ok_match_values_are_selectors() {
    assert_eq!(selector("up").as_deref(), Ok("up{tenant_id=\"team-a\"}"));
    assert_eq!(selector("{__name__=~\".+\"}").as_deref(), Ok("{tenant_id=\"team-a\",__name__=~\".+\"}"));
    // Prometheus checks for expressions, but not for `match[]`, that the metric name is set once.
    assert_eq!(selector("up{__name__=\"x\"}").as_deref(), Ok("up{tenant_id=\"team-a\",__name__=\"x\"}"));
    for text in ["up[5m]", "up offset 5m", "(up)", "up + up", "1", "", "sum(up)", "up,up", "\"up\""] {
        assert!(selector(text).is_err(), "{text}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |open: &str, close: &str, levels: usize| format!("{}a{}", open.repeat(levels), close.repeat(levels));
    let most = MAX_DEPTH as usize;
    for (open, close) in [("(", ")"), ("f(", ")"), ("sum(", ")"), ("2^", ""), ("-1^", ""), ("x or -(", ")")] {
        let levels = if open == "-1^" || open == "x or -(" { most / 2 } else { most };
        assert!(enforce_with(&team_a(), &nested(open, close, levels)).is_ok(), "{open} {levels}");
        let error = enforce_with(&team_a(), &nested(open, close, most * 40)).expect_err(open);
        assert_eq!(error.kind, ErrorKind::TooLarge, "{open}");
    }
    let duration = format!("a[{}5m{}]", "(".repeat(most), ")".repeat(most));
    assert!(enforce_with(&team_a(), &duration).is_ok());
    assert!(enforce_with(&team_a(), &duration.replace("((", "((((")).is_err());
    // A long sum is not deeply nested, and neither is a row of signs.
    assert!(enforce_with(&team_a(), &vec!["a"; 15_000].join("+")).is_ok());
    assert!(enforce_with(&team_a(), &("-".repeat(100_000) + "a")).is_ok());
    let long = "a".repeat(MAX_LENGTH);
    assert!(enforce_with(&team_a(), &long[1..]).is_err(), "the second time it is too long");
    assert!(rewrite(long.as_bytes(), &team_a(), &mut Vec::new()).is_ok());
    assert!(rewrite((long + "a").as_bytes(), &team_a(), &mut Vec::new()).is_err());
}

#[test]
fn tokens_and_written_bytes_are_bounded() {
    let error = |query: &str, scope: &Scope| {
        let mut out = Vec::new();
        let error = rewrite(query.as_bytes(), scope, &mut out).expect_err("it is too large");
        assert_eq!((error.kind, out.len()), (ErrorKind::TooLarge, 0));
        error.message
    };
    let most = "-".repeat(MAX_TOKENS - 2) + "a";
    assert!(rewrite(most.as_bytes(), &team_a(), &mut Vec::new()).is_ok());
    assert_eq!(error(&("-".to_owned() + &most), &team_a()), format!("more than {MAX_TOKENS} tokens"));
    // The length of the rewritten query grows with the product of tenants and selectors.
    let ids: Vec<String> = (0..200).map(|n| format!("tenant-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let many = Scope::one_of("tenant_id".into(), &ids, OnConflict::Replace);
    let message = error(&vec!["a"; 20_000].join("+"), &many);
    assert!(message.starts_with(&format!("longer than {MAX_WRITTEN} bytes")), "{message}");
}

#[test]
fn children_stand_before_their_parents() {
    let text = "topk(scalar(a), -sum by (x) (rate(b{c='d'}[5m])[1h:] offset 5m)) ^ (f(1, \"x\", info(u, {v=~'.+'})))";
    let Ast { nodes, matchers, begins } = parse(text.as_bytes()).expect("it is PromQL");
    assert_eq!(matchers.len(), 2);
    assert_eq!(begins.len(), nodes.len());
    for (id, node) in nodes.iter().enumerate() {
        let children: Vec<ast::NodeId> = match node {
            ast::Node::Number | ast::Node::String | ast::Node::Selector(_) => vec![],
            ast::Node::Matrix { selector, .. } => vec![*selector],
            ast::Node::Subquery { expression, .. } => vec![*expression],
            ast::Node::Aggregate { parameter, expression } => parameter.iter().copied().chain([*expression]).collect(),
            ast::Node::Call { second, .. } => second.iter().copied().collect(),
            ast::Node::Binary { left, right, .. } => vec![*left, *right],
            ast::Node::Unary { operand } => vec![*operand],
            ast::Node::Paren { inner } => vec![*inner],
        };
        assert!(children.iter().all(|&child| (child as usize) < id), "{id}: {node:?}");
        let begin = |id: ast::NodeId| begins[id as usize];
        // reach.rs relies on this: the descendants of a node are the nodes directly before it that begin no earlier.
        let held = begins[..id].iter().rev().take_while(|&&begin| begin >= begins[id]).count();
        assert!(children.iter().all(|&child| begin(child) >= begins[id] && id - child as usize <= held), "{id}");
        if let ast::Node::Matrix { selector, .. } = node {
            assert_eq!(*selector as usize + 1, id);
        }
    }
}
