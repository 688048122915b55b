use super::super::owner::tests::owner;
use super::*;
use crate::answer::Filter;
use std::sync::Arc;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MAX: usize = 4_000;

fn made(asked: &MetadataAsked, data: &str) -> (String, Option<Unreadable>) {
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    let read = |size: usize| {
        let mut filter = Filter::of_targets(owner("team-a"), asked.clone(), MAX);
        let mut out = Vec::new();
        for part in body.as_bytes().chunks(size) {
            filter.push(part, false, &mut out);
        }
        filter.push(b"", true, &mut out);
        assert!(filter.fault().is_some() || out.len() <= body.len(), "{body}");
        (String::from_utf8(out).unwrap(), filter.fault())
    };
    let whole = read(usize::MAX);
    for size in [1, 3, 50] {
        assert_eq!(read(size), whole, "{data} in parts of {size}");
    }
    let (text, fault) = whole;
    let data = text.strip_prefix(r#"{"status":"success","data":"#).and_then(|data| data.strip_suffix('}'));
    (data.map_or(text.clone(), str::to_owned), fault)
}

fn item(tenant: &str, instance: &str, metric: &str, kind: &str, help: &str) -> String {
    format!(
        r#"{{"target":{{"instance":"{instance}","job":"x","tenant_id":"{tenant}"}},"metric":"{metric}","type":"{kind}","help":"{help}","unit":""}}"#
    )
}

#[test]
fn the_metadata_of_the_tenant_s_targets_becomes_that_of_metrics() {
    let data = [
        item("team-a", "1", "up", "gauge", "Up."),
        item("team-b", "9", "up", "gauge", "text of team-b"),
        item("team-a", "2", "up", "gauge", "Up."),
        item("team-a", "2", "a_total", "counter", "A \\\"total\\\"."),
        item("team-a", "3", "up", "gauge", "Otherwise."),
        item("", "9", "nobody", "gauge", "text of nobody"),
    ];
    let expected = r#"{"a_total":[{"type":"counter","help":"A \"total\".","unit":""}],"up":[{"type":"gauge","help":"Otherwise.","unit":""},{"type":"gauge","help":"Up.","unit":""}]}"#;
    assert_eq!(made(&MetadataAsked::default(), &format!("[{}]", data.join(","))), (expected.to_owned(), None));
    assert_eq!(made(&MetadataAsked::default(), "[]"), ("{}".to_owned(), None));
}

#[test]
fn what_is_asked_for_is_chosen_from_what_is_the_tenant_s() {
    let data = format!(
        "[{},{},{},{}]",
        item("team-a", "1", "a", "gauge", "1"),
        item("team-a", "1", "a", "gauge", "2"),
        item("team-a", "1", "b", "gauge", "1"),
        item("team-b", "1", "A", "gauge", "1")
    );
    let entry = |help: &str| format!(r#"{{"type":"gauge","help":"{help}","unit":""}}"#);
    let (one, two) = (entry("1"), entry("2"));
    let asked = |metric: Option<&str>, limit, limit_per_metric| MetadataAsked {
        metric: metric.map(Arc::from),
        limit,
        limit_per_metric,
    };
    for (asked, expected) in [
        (asked(Some("b"), None, None), format!(r#"{{"b":[{one}]}}"#)),
        (asked(Some("c"), None, None), "{}".to_owned()),
        (asked(Some("A"), None, None), "{}".to_owned()),
        (asked(None, Some(1), None), format!(r#"{{"a":[{one},{two}]}}"#)),
        (asked(None, Some(0), None), "{}".to_owned()),
        (asked(None, None, Some(1)), format!(r#"{{"a":[{one}],"b":[{one}]}}"#)),
    ] {
        assert_eq!(made(&asked, &data).0, expected, "{asked:?}");
    }
}

#[test]
fn what_is_the_tenant_s_is_bounded_once_whatever_the_number_of_targets() {
    let same: Vec<String> = (0..1_000).map(|at| item("team-a", &at.to_string(), "up", "gauge", "Up.")).collect();
    assert_eq!(made(&MetadataAsked::default(), &format!("[{}]", same.join(","))).1, None);
    let others: Vec<String> = (0..100).map(|at| item("team-a", "1", &format!("m{at}"), "gauge", "Up.")).collect();
    assert_eq!(made(&MetadataAsked::default(), &format!("[{}]", others.join(","))).1, Some(Unreadable::TooLarge));
    let long = item("team-a", "1", "up", "gauge", &"x".repeat(MAX));
    assert_eq!(made(&MetadataAsked::default(), &format!("[{long}]")).1, Some(Unreadable::TooLarge));
}

#[test]
fn other_shapes_are_faults() {
    for data in [
        "{}",
        "null",
        r#"["up"]"#,
        r#"[{"target":{"tenant_id":"team-a"},"type":"gauge"}]"#,
        r#"[{"target":{"tenant_id":"team-a"},"metric":1}]"#,
        r#"[{"target":{"tenant_id":"team-b"},"target":{"tenant_id":"team-a"},"metric":"up"}]"#,
        r#"[{"target":{"tenant_id":"team-b"},"Target":{"tenant_id":"team-a"},"metric":"up"}]"#,
        r#"[{"target":{"tenant_id":"team-a"},"metric":"up"}"#,
    ] {
        let (out, fault) = made(&MetadataAsked::default(), data);
        assert!(fault.is_some() && !out.contains("team-"), "{data}: {out}");
    }
}
