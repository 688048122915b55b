use super::*;
use crate::answer::Filter;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MAX: usize = 1 << 20;

fn names(all: &[&str]) -> Arc<Names> {
    let answer = format!(r#"{{"status":"success","data":{}}}"#, serde_json::to_string(all).unwrap());
    Arc::new(Names::read(answer.as_bytes()).unwrap())
}

/// What is made of this `data` by these names; the same in whatever parts.
fn filtered(own: &[&str], asked: &MetadataAsked, data: &str) -> (String, Option<Unreadable>) {
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    let read = |size: usize| {
        let mut filter = Filter::by_names(names(own), asked.clone(), MAX);
        let mut out = Vec::new();
        for part in body.as_bytes().chunks(size) {
            filter.push(part, false, &mut out);
        }
        filter.push(b"", true, &mut out);
        assert!(filter.fault().is_some() || out.len() <= body.len(), "{body}");
        (String::from_utf8(out).unwrap(), filter.fault())
    };
    let whole = read(usize::MAX);
    for size in [1, 2, 7, 50] {
        assert_eq!(read(size), whole, "{data} in parts of {size}");
    }
    let (text, fault) = whole;
    let data = text.strip_prefix(r#"{"status":"success","data":"#).and_then(|data| data.strip_suffix('}'));
    (data.map_or(text.clone(), str::to_owned), fault)
}

#[track_caller]
fn is(own: &[&str], data: &str, expected: &str) {
    assert_eq!(filtered(own, &MetadataAsked::default(), data), (expected.to_owned(), None), "{own:?} {data}");
}

fn metric(name: &str, kind: &str) -> String {
    format!(r#"{{"{name}":[{{"type":"{kind}","help":"text of team-b","unit":""}}]}}"#)
}

fn shown(name: &str, kind: &str) -> String {
    format!(r#"{{"{name}":[{{"type":"{kind}","help":"","unit":""}}]}}"#)
}

#[test]
fn only_the_tenant_s_names_are_kept_without_help_texts() {
    is(
        &["up", "b"],
        r#"{"a":[{"type":"gauge","help":"x","unit":""}],"up":[{"type":"gauge","help":"team-b's","unit":""}],"c":[],"b":[{"type":"counter","help":"","unit":""}]}"#,
        r#"{"up":[{"type":"gauge","help":"","unit":""}],"b":[{"type":"counter","help":"","unit":""}]}"#,
    );
    is(&[], &metric("up", "gauge"), "{}");
    is(&["up"], "{}", "{}");
    is(&["up"], "null", "null");
    is(
        &["a\"b"],
        r#"{"a\u0022b":[{"type":"gauge","help":"x","unit":""}]}"#,
        r#"{"a\u0022b":[{"type":"gauge","help":"","unit":""}]}"#,
    );
}

#[test]
fn a_suffix_counts_by_the_type_alone() {
    for (own, kind, is_own) in [
        (&["x"][..], "gauge", true),
        (&["x_count"], "gauge", false),
        (&["x_total"], "gauge", false),
        (&["x_info"], "gauge", false),
        (&["x_total"], "counter", true),
        (&["x_count"], "counter", false),
        (&["x_count"], "histogram", false),
        (&["x_bucket"], "histogram", false),
        (&["x_count", "x_sum"], "histogram", false),
        (&["x_bucket", "x_count", "x_sum"], "histogram", true),
        (&["x"], "histogram", true),
        (&["x_bucket", "x_count", "x_sum"], "gaugehistogram", false),
        (&["x_bucket", "x_gcount", "x_gsum"], "gaugehistogram", true),
        (&["x_count"], "summary", false),
        (&["x_count", "x_sum"], "summary", true),
        (&["x_count", "x_sum"], "gauge", false),
        (&["x_info"], "info", true),
        (&["x_count", "x_sum", "x_total", "x_info"], "unknown", false),
        (&["x_count", "x_sum", "x_total", "x_info"], "stateset", false),
        (&["x_count", "x_sum", "x_total", "x_info"], "a type of tomorrow", false),
        (&["x"], "", true),
        (&["x_", "xx", "X", "x "], "gauge", false),
    ] {
        let expected = if is_own { shown("x", kind) } else { "{}".to_owned() };
        is(own, &metric("x", kind), &expected);
    }
}

#[test]
fn a_text_in_the_type_or_the_unit_is_not_shown() {
    let entry = |kind: &str, unit: &str| format!(r#"{{"x_seconds":[{{"type":"{kind}","help":"h","unit":"{unit}"}}]}}"#);
    for (kind, unit, expected) in [
        ("gauge", "seconds", r#"{"x_seconds":[{"type":"gauge","help":"","unit":"seconds"}]}"#),
        ("gauge", "of team-b", r#"{"x_seconds":[{"type":"gauge","help":"","unit":""}]}"#),
        ("gauge", "bytes", r#"{"x_seconds":[{"type":"gauge","help":"","unit":""}]}"#),
        ("of team-b", "", "{}"),
        ("GAUGE", "", "{}"),
    ] {
        is(&["x_seconds"], &entry(kind, unit), expected);
    }
    is(&["x_seconds"], &entry(&"a".repeat(65), ""), "{}");
    is(&["x_seconds"], &entry(&"a".repeat(70_000), &"b".repeat(70_000)), "{}");
}

#[test]
fn entries_that_differ_in_what_is_not_shown_are_one() {
    let entry = |kind: &str, help: &str| format!(r#"{{"type":"{kind}","help":"{help}","unit":"x"}}"#);
    let entries =
        [entry("gauge", "a"), entry("gauge", "b"), entry("counter", "c"), entry("gauge", &"d".repeat(10_000))];
    is(
        &["up"],
        &format!(r#"{{"up":[{}]}}"#, entries.join(",")),
        r#"{"up":[{"type":"gauge","help":"","unit":""},{"type":"counter","help":"","unit":""}]}"#,
    );
    is(
        &["up"],
        r#"{"up":[{"type":"gauge"},{"help":"x"},{},{"other":{"a":["team-b"]}}]}"#,
        r#"{"up":[{"type":"gauge"},{"help":""},{}]}"#,
    );
}

#[test]
fn limits_are_applied_to_what_is_the_tenant_s() {
    let data = r#"{"b1":[{"type":"gauge"}],"a1":[{"type":"gauge"},{"type":"counter"}],"b2":[{"type":"gauge"}],"a2":[{"type":"gauge"}],"a3":[]}"#;
    let asked = |limit, limit_per_metric| MetadataAsked { metric: None, limit, limit_per_metric };
    for (asked, expected) in [
        (asked(Some(1), None), r#"{"a1":[{"type":"gauge"},{"type":"counter"}]}"#),
        (asked(Some(2), Some(1)), r#"{"a1":[{"type":"gauge"}],"a2":[{"type":"gauge"}]}"#),
        (asked(Some(0), None), "{}"),
        (asked(Some(-1), Some(0)), r#"{"a1":[{"type":"gauge"},{"type":"counter"}],"a2":[{"type":"gauge"}]}"#),
        (asked(None, Some(-1)), r#"{"a1":[{"type":"gauge"},{"type":"counter"}],"a2":[{"type":"gauge"}]}"#),
    ] {
        assert_eq!(filtered(&["a1", "a2", "a3"], &asked, data).0, expected, "{asked:?}");
    }
}

#[test]
fn what_others_have_is_not_bounded_and_not_held() {
    let help = "x".repeat(2 * MAX);
    let data = format!(
        r#"{{"b":[{{"type":"gauge","help":"{help}","unit":""}}],"up":[{{"type":"gauge","help":"{help}","unit":""}}]}}"#
    );
    is(&["up"], &data, &shown("up", "gauge"));
    let long = "b".repeat(10_000);
    is(
        &["up"],
        &format!(r#"{{"{long}":[{{}}],"up":[{{"type":"gauge","help":"","unit":""}}]}}"#),
        &shown("up", "gauge"),
    );
}

#[test]
fn other_shapes_are_faults() {
    for data in [
        r#"[]"#,
        r#"{"up":{}}"#,
        r#"{"up":null}"#,
        r#"{"up":["gauge"]}"#,
        r#"{"up":[{"type":1}]}"#,
        r#"{"up":[{"Type":"gauge"}]}"#,
        r#"{"up":[{"t\u0079pe":"gauge"}]}"#,
        r#"{"up":[{"type":"gauge"}"#,
        r#""x""#,
    ] {
        let (out, fault) = filtered(&["up"], &MetadataAsked::default(), data);
        assert!(fault.is_some() && !out.contains("\"up\""), "{data}: {out}");
    }
}
