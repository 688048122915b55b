//! Thanos's trees of operators, in answers that stream by: whatever names others is gone, whatever the chunks.
#![cfg(not(target_family = "wasm"))]

use promql_tenancy_filter::answer::{Content, Documents, Filter, MAX_GROWTH, Statistics, Unreadable};
use proptest::prelude::*;

/// In every text that is not the tenant's.
const FOREIGN: &str = "FOREIGN";

/// A name as Thanos writes it: after some operators, what the query says; after others, what is sent to stores.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r"[aggregate] sum by ([pod])".to_owned(),
        r#"[vectorSelector] {[__name__=\"up\" a=\"\u003c[(\\\"\"]} 0 mod 2"#.to_owned(),
        "[duplicateLabelCheck]".to_owned(),
        "[concurrent(buff=2)]".to_owned(),
        format!("[remoteExec] sum by ({FOREIGN}, pod) (up) (1, 2)"),
        format!(r"[function] abs([remote(sum by ({FOREIGN}) (up))])"),
        format!("[histogram_quantile]([0.5 remote({FOREIGN})])"),
        format!("{FOREIGN} [aggregate] "),
        format!("[new-{FOREIGN}] x"),
    ])
}

fn tree() -> impl Strategy<Value = String> {
    let node = |children: Vec<String>| {
        let fanout = format!(r#""fanout":[{{"endpointAddr":"{FOREIGN}","series":3,"x":[{{}}]}}]"#);
        (name(), prop::collection::vec(0..5_usize, 0..4)).prop_map(move |(name, members)| {
            let children = format!(r#""children" : [{}]"#, children.join(" , "));
            let mut all = vec![format!(r#""name":"{name}""#)];
            for member in members {
                let member = match member {
                    0 => fanout.clone(),
                    1 => r#""executionTime":"1.5µs""#.to_owned(),
                    2 => r#""peakSamples": 60"#.to_owned(),
                    3 => format!(r#""{FOREIGN}":{{"a":["{FOREIGN}"]}}"#),
                    _ => children.clone(),
                };
                if !all.contains(&member) {
                    all.push(member);
                }
            }
            format!("{{{}}}", all.join(","))
        })
    };
    node(Vec::new()).prop_recursive(6, 40, 3, move |inner| prop::collection::vec(inner, 0..3).prop_flat_map(node))
}

/// Both kinds, with the tenant's result beside the tree.
fn answer() -> impl Strategy<Value = (Content, String)> {
    (tree(), any::<bool>()).prop_map(|(tree, is_analyzed)| {
        let result =
            r#""resultType":"vector","result":[{"metric":{"fanout":"own","name":"[remoteExec] own"},"value":[1,"2"]}]"#;
        let data =
            if is_analyzed { format!(r#"{{{result},"analysis":{tree},"{FOREIGN}":["{FOREIGN}"]}}"#) } else { tree };
        let kind = if is_analyzed { Content::Analyzed } else { Content::Explained };
        (kind, format!(r#"{{"status":"success","data":{data},"warnings":["{FOREIGN}"]}}"#))
    })
}

fn stream(content: Content, body: &[u8], sizes: &[usize]) -> (String, Option<Unreadable>) {
    let mut filter = Filter::new(Documents::One, content, Statistics::Unread);
    let (mut out, mut at, mut sizes) = (Vec::new(), 0, sizes.iter().cycle());
    while at < body.len() {
        let to = body.len().min(at + sizes.next().copied().unwrap_or(usize::MAX).min(body.len()));
        filter.push(&body[at..to], false, &mut out);
        at = to;
        assert!(out.len() <= at + MAX_GROWTH, "it has grown too much");
    }
    filter.push(b"", true, &mut out);
    (String::from_utf8_lossy(&out).into_owned(), filter.fault())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(6), ..ProptestConfig::default() })]

    #[test]
    fn nothing_foreign_is_left_of_trees((data, body) in answer(), sizes in prop::collection::vec(1usize..40, 1..6)) {
        let (whole, fault) = stream(data, body.as_bytes(), &[usize::MAX]);
        prop_assert_eq!(fault, None, "{}", body);
        prop_assert!(!whole.contains(FOREIGN), "{body}\n{whole}");
        let (before, after): (serde_json::Value, serde_json::Value) = (serde_json::from_str(&body).expect("JSON"), serde_json::from_str(&whole).expect("JSON"));
        prop_assert_eq!(&before["data"]["result"], &after["data"]["result"]);
        prop_assert_eq!(&stream(data, body.as_bytes(), &sizes).0, &whole);
        prop_assert_eq!(&stream(data, whole.as_bytes(), &sizes).0, &whole, "a second time, nothing changes");
    }

    #[test]
    fn damaged_trees_stream_alike_and_stay_silent((data, body) in answer(), at in any::<prop::sample::Index>(), byte in prop::sample::select(b"\"\\{}[],:0na \n\xff".to_vec()), length in 0usize..9, sizes in prop::collection::vec(1usize..9, 1..4)) {
        let mut damaged = body.into_bytes();
        let at = at.index(damaged.len());
        let end = damaged.len().min(at + length);
        damaged.splice(at..end, [byte]);
        let whole = stream(data, &damaged, &[usize::MAX]);
        prop_assert_eq!(&stream(data, &damaged, &sizes), &whole);
    }
}

#[test]
fn an_error_of_thanos_has_no_tree() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"1:5: parse error: unexpected end of input"}"#;
    for data in [Content::Analyzed, Content::Explained] {
        assert_eq!(stream(data, body.as_bytes(), &[3]), (body.to_owned(), None));
        let body = r#"{"status":"success","data":["team-b"]}"#;
        assert_eq!(stream(data, body.as_bytes(), &[3]).1, Some(Unreadable::Malformed));
        assert!(!stream(data, body.as_bytes(), &[3]).0.contains("team-b"));
    }
}
