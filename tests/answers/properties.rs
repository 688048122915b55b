//! What holds of every answer, over documents of both tenants and over anything else.
#![cfg(not(target_family = "wasm"))]

use crate::checks::{labelled_answers_are_the_tenant_s, streams_are_silent};
use promql_tenancy_filter::answer::{Content, Documents, Filter, Labelled, MAX_GROWTH, Owner, Statistics, Unreadable};
use promql_tenancy_filter::scope::{OnConflict, Scope};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

/// In every text that is not the tenant's.
const FOREIGN: &str = "FOREIGN";
const WITHHELD: [&str; 5] = [
    "the answer may be incomplete: a warning is withheld",
    "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's",
    "a message of the upstream is withheld: it may name what is not this tenant's",
    "upstream message withheld",
    "withheld",
];

fn owner() -> Owner {
    Owner::new(&Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace)).expect("no pattern to run")
}

fn text() -> impl Strategy<Value = String> {
    let escape =
        prop::sample::select(vec![r"\n", r#"\""#, r"\\", r"\u003c", r"\ud83d\ude00", r"\/"]).prop_map(str::to_owned);
    let plain = r"[a-z \[\]{}:,é☃-]{0,6}".prop_map(|text: String| text);
    prop::collection::vec(prop_oneof![3 => plain, 1 => escape], 0..4).prop_map(|parts| parts.concat())
}

fn value() -> BoxedStrategy<String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        r"-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,5})?([eE][+-]?[0-9])?".prop_map(|number: String| number),
        text().prop_map(|text| format!("\"{text}\"")),
    ];
    scalar
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::vec((text(), inner), 0..4).prop_map(|all| format!(
                    "{{{}}}",
                    all.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect::<Vec<_>>().join(" , ")
                )),
            ]
        })
        .boxed()
}

/// The tenant's or another's, with a text in it that says which.
fn labels() -> impl Strategy<Value = (String, Option<bool>)> {
    let of = |tenant: &str, mark: &str| format!(r#"{{"a":"{mark}","tenant_id":"{tenant}","z":"\u0041"}}"#);
    prop_oneof![
        2 => Just((of("team-a", "own"), Some(true))),
        1 => Just((of(r"team\u002da", "own"), Some(true))),
        2 => Just((of("team-b", FOREIGN), Some(false))),
        1 => Just((of("", FOREIGN), Some(false))),
        1 => Just((r#"{"a":"b"}"#.to_owned(), None)),
    ]
}

fn state() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["firing", "pending", "inactive"])
}

/// Whatever is not the tenant's says so; what is nobody's says so within another's rule only.
fn alert(mark_nobody_s: bool) -> impl Strategy<Value = String> {
    (labels(), state(), value()).prop_map(move |((labels, own), state, value)| {
        let mark = if own == Some(false) || own.is_none() && mark_nobody_s { FOREIGN } else { "own" };
        format!(r#"{{"labels":{labels},"annotations":{{"a":"{mark}"}},"state":"{state}","new":{value}}}"#)
    })
}

fn rule() -> impl Strategy<Value = String> {
    (labels(), any::<bool>(), state()).prop_flat_map(|((labels, own), is_alerting, state)| {
        let alerts = prop::collection::vec(alert(own != Some(true)), 0..4);
        (alerts, value()).prop_map(move |(alerts, value)| {
            let mark = if own == Some(false) { FOREIGN } else { "own" };
            // A real upstream's state is that of its alerts.
            let state = ["firing", "pending"].into_iter().find(|state| alerts.iter().any(|alert| alert.contains(&format!(r#""state":"{state}""#)))).unwrap_or(if alerts.is_empty() { state } else { "inactive" });
            let alerting = format!(r#""state":"{state}","alerts":[{}],"#, alerts.join(","));
            let alerting = if is_alerting { alerting.as_str() } else { "" };
            // What is not known may be carried over in the tenant's own rules only.
            let unknown = if own == Some(true) { "new" } else { FOREIGN };
            format!(r#"{{{alerting}"name":"{mark}","labels":{labels},"lastError":"{FOREIGN}","{unknown}":{value},"evaluationTime":0.5}}"#)
        })
    })
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        text().prop_map(|text| format!("{FOREIGN} {text}")),
        text().prop_map(|text| format!("PromQL warning: {}", text.replace(r"\n", " ")))
    ]
}

fn messages() -> impl Strategy<Value = String> {
    prop::collection::vec(message(), 0..4)
        .prop_map(|all| format!("[{}]", all.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(",")))
}

fn rules_answer() -> impl Strategy<Value = String> {
    let group = prop::collection::vec(rule(), 0..5).prop_map(|rules| {
        format!(r#"{{"name":"g","file":"f","rules":[{}],"totals":"{FOREIGN}","evaluationTime":0.25}}"#, rules.join(","))
    });
    (prop::collection::vec(group, 0..4), messages(), value()).prop_map(|(groups, warnings, unknown)| {
        format!(r#"{{"status":"success","{FOREIGN}":{unknown},"data":{{"groups":[{}],"groupNextToken":"{FOREIGN}"}},"warnings":{warnings}}}"#, groups.join(","))
    })
}

fn streamed_answer() -> impl Strategy<Value = String> {
    (value(), messages(), messages(), message(), value(), any::<bool>()).prop_map(|(data, warnings, infos, error, unknown, last)| {
        let data = format!(r#""data":{data}"#);
        let others = format!(r#""status":"error","errorType":"internal","error":"{error}","{FOREIGN}":{unknown},"warnings":{warnings} , "infos":{infos}"#);
        if last { format!("{{{others},{data}}}") } else { format!("{{ {data} ,{others}}}\n") }
    })
}

/// Whether a text is left when bytes of another are taken away; the lines that stand for messages may be in it.
fn is_made_of(out: &[u8], body: &[u8]) -> bool {
    let out = String::from_utf8_lossy(out).into_owned();
    let without = WITHHELD.iter().fold(out, |out, line| out.replace(&format!("\"{line}\""), "\"\""));
    // States are worked out again, and the time of a group that has lost a rule reads 0.
    let without = ["firing", "pending", "inactive"]
        .iter()
        .fold(without, |out, state| out.replace(&format!(r#""state":"{state}""#), r#""state":"""#));
    let without = without
        .replace(r#""evaluationTime":0}"#, r#""evaluationTime":}"#)
        .replace(r#""evaluationTime":0,"#, r#""evaluationTime":,"#);
    let mut rest = body.iter();
    without.bytes().all(|byte| rest.any(|other| *other == byte))
}

/// What becomes of an answer that is filtered by its labels, whatever the chunks.
fn labelled(labelled: Labelled, body: &[u8], sizes: &[usize]) -> Result<Vec<u8>, Unreadable> {
    let new = || Filter::by_owner(labelled, owner(), 1 << 20);
    let whole = stream_with(new(), body, &[usize::MAX]);
    assert_eq!(stream_with(new(), body, sizes), whole, "{labelled:?} in chunks of {sizes:?}");
    whole.1.map_or(Ok(whole.0), Err)
}

fn stream(documents: Documents, body: &[u8], sizes: &[usize]) -> (Vec<u8>, bool) {
    let (out, fault) = stream_with(Filter::new(documents, Content::Passed, Statistics::Unread), body, sizes);
    (out, fault.is_none())
}

fn stream_with(mut filter: Filter, body: &[u8], sizes: &[usize]) -> (Vec<u8>, Option<Unreadable>) {
    let mut out = Vec::new();
    let (mut at, mut sizes) = (0, sizes.iter().cycle());
    while at < body.len() {
        let to = body.len().min(at.saturating_add(sizes.next().copied().unwrap_or(usize::MAX)));
        filter.push(&body[at..to], false, &mut out);
        at = to;
        assert!(out.len() <= at + MAX_GROWTH, "it has grown too much");
    }
    filter.push(b"", true, &mut out);
    assert!(out.len() <= body.len() + MAX_GROWTH, "it has grown too much");
    (out, filter.fault())
}

/// Changes a byte, takes bytes out, or repeats some.
fn damage(body: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let body = body.as_bytes().to_vec();
    let edit = (
        any::<prop::sample::Index>(),
        0usize..4,
        prop::sample::select(b"\"\\{}[],:0na \n\xff\x00".to_vec()),
        0usize..30,
    );
    prop::collection::vec(edit, 1..4).prop_map(move |edits| {
        let mut body = body.clone();
        for (index, kind, byte, length) in edits {
            let at = index.index(body.len() + 1);
            let end = body.len().min(at + length);
            match kind {
                0 => body.insert(at, byte),
                1 if at < body.len() => body[at] = byte,
                2 => drop(body.drain(at..end)),
                _ => {
                    let again = body[at..end].to_vec();
                    body.splice(at..at, again);
                }
            }
        }
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(5), ..ProptestConfig::default() })]

    #[test]
    fn nothing_foreign_is_left_of_rules(body in rules_answer(), shared: bool, narrowed: bool, sizes in prop::collection::vec(1usize..40, 1..6)) {
        let filtered = labelled(Labelled::Rules { shared, narrowed }, body.as_bytes(), &sizes);
        let filtered = filtered.unwrap_or_else(|error| panic!("{error:?}: {body}"));
        prop_assert!(filtered.len() <= body.len() + MAX_GROWTH);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&filtered).is_ok(), "{}", String::from_utf8_lossy(&filtered));
        prop_assert!(!String::from_utf8_lossy(&filtered).contains(FOREIGN), "{body}\n{}", String::from_utf8_lossy(&filtered));
        prop_assert!(is_made_of(&filtered, body.as_bytes()), "{body}\n{}", String::from_utf8_lossy(&filtered));
        let again = labelled(Labelled::Rules { shared, narrowed }, &filtered, &sizes).expect("what was written is read");
        prop_assert_eq!(again, filtered, "a second time, nothing changes");
    }

    #[test]
    fn nothing_foreign_is_left_of_lists(alerts in prop::collection::vec(alert(true), 0..6), messages in messages(), sizes in prop::collection::vec(1usize..40, 1..6)) {
        let list = alerts.join(",");
        for (kind, data) in [
            (Labelled::Alerts, format!(r#"{{"alerts":[{list}]}}"#)),
            (Labelled::Exemplars, format!("[{}]", list.replace("\"labels\"", "\"seriesLabels\""))),
        ] {
            let body = format!(r#"{{"status":"success","data":{data},"infos":{messages}}}"#);
            let filtered = labelled(kind, body.as_bytes(), &sizes).unwrap_or_else(|error| panic!("{error:?}: {body}"));
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&filtered).is_ok());
            prop_assert!(!String::from_utf8_lossy(&filtered).contains(FOREIGN));
            prop_assert!(is_made_of(&filtered, body.as_bytes()));
        }
    }

    #[test]
    fn messages_stream_alike_whatever_the_chunks(body in streamed_answer(), sizes in prop::collection::vec(1usize..40, 1..6)) {
        let (whole, is_whole) = stream(Documents::One, body.as_bytes(), &[usize::MAX]);
        prop_assert!(is_whole, "{body}");
        prop_assert_eq!(&stream(Documents::One, body.as_bytes(), &sizes).0, &whole);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{}", String::from_utf8_lossy(&whole));
        prop_assert!(!String::from_utf8_lossy(&whole).contains(FOREIGN), "{}", String::from_utf8_lossy(&whole));
        prop_assert!(is_made_of(&whole, body.as_bytes()));
        let (before, after) = (serde_json::from_str::<serde_json::Value>(&body), serde_json::from_slice::<serde_json::Value>(&whole));
        prop_assert_eq!(&before.expect("JSON")["data"], &after.expect("JSON")["data"]);
    }

    #[test]
    fn damaged_answers_stream_alike(damaged in streamed_answer().prop_flat_map(|body| damage(&body)), sizes in prop::collection::vec(1usize..40, 1..6)) {
        for documents in [Documents::One, Documents::Lines] {
            let whole = stream(documents, &damaged, &[usize::MAX]);
            prop_assert_eq!(&stream(documents, &damaged, &sizes), &whole);
        }
    }

    #[test]
    fn damaged_rules_are_refused_or_filtered(damaged in rules_answer().prop_flat_map(|body| damage(&body)), sizes in prop::collection::vec(1usize..40, 1..6)) {
        for kind in [Labelled::Rules { shared: true, narrowed: false }, Labelled::Alerts, Labelled::Exemplars] {
            if let Ok(filtered) = labelled(kind, &damaged, &sizes) {
                prop_assert!(filtered.len() <= damaged.len() + MAX_GROWTH);
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&filtered).is_ok(), "{}", String::from_utf8_lossy(&filtered));
            }
        }
    }

    #[test]
    fn any_answer_is_silent_by_another_reader(body in prop_oneof![rules_answer(), streamed_answer()].prop_flat_map(|body| prop_oneof![Just(body.clone().into_bytes()), damage(&body)])) {
        streams_are_silent(&body);
        labelled_answers_are_the_tenant_s(&body);
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(prop_oneof![prop::sample::select(b"{}[]\":,\\ntf0-dataerrorwarnings".to_vec()), any::<u8>()], 0..120)) {
        streams_are_silent(&bytes);
        labelled_answers_are_the_tenant_s(&bytes);
    }
}
