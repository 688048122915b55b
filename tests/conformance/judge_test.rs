//! Tests the judge itself: it must detect what a wrong filter would do. Otherwise, the other conformance tests prove nothing.

use super::oracle::{Case, Condition, Verdict, judge};
use super::rules::LABEL;

fn verdict(query: &str, out: &str, values: &[&str], conflict: &str) -> Verdict {
    let op = if values.len() == 1 { "=" } else { "in" };
    let scope = [Condition { label: LABEL, op, values }];
    let case = Case::new(query.as_bytes(), Some(out.as_bytes()), &scope, conflict, false);
    judge(&[case]).remove(0)
}

fn open(query: &str, out: &str) -> [u32; 2] {
    verdict(query, out, &["a"], "replace").out.map(|c| c.expect("a text was given").open)
}

fn differs(query: &str, out: &str, values: &[&str], conflict: &str) -> bool {
    verdict(query, out, values, conflict).out.iter().flatten().any(|c| c.compared && !c.diff.is_empty())
}

#[test]
fn an_open_selector_is_seen_everywhere() {
    for (query, out) in [
        ("x", "x"),
        ("topk(scalar(x), y)", r#"topk(scalar(x), y{tenant_id="a"})"#),
        ("x or y", r#"x{tenant_id="a"} or y"#),
        ("rate(x[5m:])", "rate(x[5m:])"),
        ("rate(x[5m])", r#"rate(x{tenant_id="b"}[5m])"#),
        ("x", r#"x{tenant_id=~"a"}"#),
        ("x", r#"x{tenant_id!="a"}"#),
        ("info(x, {l=\"v\"})", r#"info(x{tenant_id="a"}, {l="v"})"#),
    ] {
        assert_eq!(open(query, out), [1, 1], "{out}");
    }
    assert_eq!(open("x + y", r#"x{tenant_id="a"} + {"y", "tenant\x5fid"="a"}"#), [0, 0]);
}

#[test]
fn another_meaning_is_seen() {
    for (query, out) in [
        ("x", r#"y{tenant_id="a"}"#),
        ("x", r#"x{tenant_id="a",tenant_id="a"}"#),
        (r#"x{l="v"}"#, r#"x{tenant_id="a"}"#),
        (r#"x{l="v"}"#, r#"x{l=~"v",tenant_id="a"}"#),
        ("x offset 5m", r#"x{tenant_id="a"} offset 6m"#),
        ("x @ 1", r#"x{tenant_id="a"} @ 2"#),
        ("rate(x[5m])", r#"rate(x{tenant_id="a"}[5m] anchored)"#),
        ("rate(x[step()+1m])", r#"rate(x{tenant_id="a"}[step()+2m])"#),
        ("1 - 2 - 3", "1 - (2 - 3)"),
        ("vector(NaN)", "vector(0)"),
        ("x * on(l) fill(NaN) x", r#"x{tenant_id="a"} * on(l) fill(0) x{tenant_id="a"}"#),
        ("sum by (l) (x)", r#"sum without (l) (x{tenant_id="a"})"#),
        ("unknown(x, 1)", r#"unknown(x{tenant_id="a"}, 2)"#),
    ] {
        assert!(differs(query, out, &["a"], "replace"), "{out}");
    }
    assert!(!differs("sum(x) # c", r#"sum (x{tenant_id="a"})"#, &["a"], "replace"));
    assert!(!differs("x{l=\"\\x41\"} @ NaN", "", &["a"], "replace"));
}

#[test]
fn each_conflict_mode_is_judged_by_its_own_tree() {
    let own = r#"x{tenant_id="b"}"#;
    let (replaced, kept) = (r#"x{tenant_id="a"}"#, r#"x{tenant_id="b",tenant_id="a"}"#);
    assert!(!differs(own, replaced, &["a"], "replace") && differs(own, kept, &["a"], "replace"));
    assert!(!differs(own, kept, &["a"], "intersect") && differs(own, replaced, &["a"], "intersect"));
    let federated = r#"x{tenant_id="b",tenant_id=~"a|b\\.c"}"#;
    assert!(!differs(own, federated, &["a", "b.c"], "intersect") && differs(own, kept, &["a", "b.c"], "intersect"));
    assert!(verdict(own, kept, &["a"], "reject").query.iter().all(|reading| reading.conflict));
    assert!(verdict(own, federated, &["b", "b.c"], "reject").query.iter().all(|reading| !reading.conflict));
}

#[test]
fn both_option_sets_are_asked() {
    let accepted = |query| verdict(query, "", &["a"], "replace").query.map(|reading| reading.ok);
    assert_eq!(accepted("up offset.5"), [false, true]);
    assert_eq!(accepted("sum by (a:b) (x)"), [false, true]);
    assert_eq!(accepted("http.requests"), [true, false]);
    assert_eq!(accepted("rate(x[step()]) * fill(0) limitk(1, x)"), [true, true]);
}

#[test]
fn every_matcher_of_a_scope_is_looked_for_in_its_order() {
    let scope = [
        Condition { label: "tenant_id", op: "=", values: &["a"] },
        Condition { label: "env", op: "!=", values: &["dev"] },
        Condition { label: "ns", op: "=~", values: &["x.*"] },
        Condition { label: "ns", op: "!~", values: &["x1|x2"] },
    ];
    let judged = |query: &str, out: &str, conflict: &str| {
        let verdict = judge(&[Case::new(query.as_bytes(), Some(out.as_bytes()), &scope, conflict, false)]).remove(0);
        let [_, default] = verdict.out;
        let there = default.expect("a text was given");
        (there.open, there.behind, there.compared && there.diff.is_empty())
    };
    let whole = r#"{tenant_id="a",env!="dev",ns=~"x.*",ns!~"x1|x2"}"#;
    assert_eq!(judged("{l='v'}", &whole.replace('}', ",l='v'}"), "replace"), (0, 0, true));
    assert_eq!(judged("up", &format!("up{whole}"), "replace"), (0, 0, true));
    for lacking in [r#"tenant_id="a","#, r#"env!="dev","#, r#"ns=~"x.*","#, r#",ns!~"x1|x2""#] {
        assert_eq!(judged("up", &format!("up{}", whole.replace(lacking, "")), "replace"), (1, 1, false), "{lacking}");
    }
    // The order, and the same matcher twice.
    assert_eq!(judged("{l='v'}", &whole.replace('{', "{l='v',"), "replace"), (0, 1, true));
    assert_eq!(judged("up", r#"up{env!="dev",tenant_id="a",ns=~"x.*",ns!~"x1|x2"}"#, "replace"), (0, 1, true));
    assert_eq!(judged("up", &format!("up{}", whole.replace('}', r#",env!="dev"}"#)), "replace"), (0, 1, false));
    // A label with one value is replaced, one with several is not.
    let own = r#"up{tenant_id="b",env="prod",ns="y"}"#;
    let replaced = format!("up{}", whole.replace('}', r#",env="prod",ns="y"}"#));
    let kept = format!("up{}", whole.replace('}', r#",tenant_id="b",env="prod",ns="y"}"#));
    assert_eq!((judged(own, &replaced, "replace").2, judged(own, &kept, "replace").2), (true, false));
    assert_eq!((judged(own, &replaced, "intersect").2, judged(own, &kept, "intersect").2), (false, true));
    let conflicts = |query: &str| {
        judge(&[Case::new(query.as_bytes(), None, &scope, "reject", false)]).remove(0).query.map(|there| there.conflict)
    };
    for query in [r#"up{tenant_id="b"}"#, r#"up{env="dev"}"#, r#"up{ns=~"x1|x2"}"#, r#"up{ns="x1",env="prod"}"#] {
        assert_eq!(conflicts(query), [true; 2], "{query}");
    }
    for query in [r#"up{ns="y"}"#, r#"up{ns=~"x1|x3"}"#, r#"up{ns!="x1",env!="dev"}"#, r#"up{env=~"de."}"#] {
        assert_eq!(conflicts(query), [false; 2], "{query}");
    }
}
