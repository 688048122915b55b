//! What queries have read: taken from the answer wherever it is cut into chunks, and out of it where the client had not asked.
#![cfg(not(target_family = "wasm"))]

use promql_tenancy_filter::answer::{Content, Documents, Filter, MAX_GROWTH, Samples, Statistics, Unreadable};
use proptest::prelude::*;

struct Read {
    text: String,
    samples: Samples,
    fault: Option<Unreadable>,
}

/// Streams a body in chunks of one size; the answer never grows, however far it has come.
fn stream(body: &str, content: Content, statistics: Statistics, size: usize) -> Read {
    let mut filter = Filter::new(Documents::One, content, statistics);
    let (mut out, mut came) = (Vec::new(), 0);
    for chunk in body.as_bytes().chunks(size.max(1)) {
        filter.push(chunk, false, &mut out);
        came += chunk.len();
        assert!(out.len() <= came + MAX_GROWTH, "more has gone on than has come");
    }
    filter.push(b"", true, &mut out);
    assert!(out.len() <= came + MAX_GROWTH, "more has gone on than has come");
    let text = String::from_utf8_lossy(&out).into_owned();
    Read { text, samples: filter.samples(), fault: filter.fault() }
}

/// In chunks of every size, which has to make no difference.
fn read(body: &str, statistics: Statistics) -> Read {
    let whole = stream(body, Content::Passed, statistics, usize::MAX);
    for size in 1..=body.len().min(60) {
        let read = stream(body, Content::Passed, statistics, size);
        assert_eq!(
            (&read.text, read.samples, read.fault),
            (&whole.text, whole.samples, whole.fault),
            "chunks of {size}"
        );
    }
    whole
}

fn samples(total: u64, peak: u64) -> Samples {
    Samples { total: Some(total), peak: Some(peak) }
}

/// As Prometheus 3.15 writes it.
const STATS: &str = r#""stats":{"timings":{"evalTotalTime":0.000447452,"resultSortTime":0,"queryPreparationTime":0.000404167,"innerEvalTime":0.000036643,"execQueueTime":0.000008911,"execTotalTime":0.000472183},"samples":{"totalQueryableSamples":4217,"samplesRead":9,"seriesTouched":2,"peakSamples":26}}"#;
const RESULT: &str =
    r#""resultType":"vector","result":[{"metric":{"__name__":"up","stats":"samples"},"value":[1435781451.781,"1"]}]"#;

fn answer(members: &[&str]) -> String {
    format!(r#"{{"status":"success","data":{{{}}},"warnings":["PromQL warning: x"]}}"#, members.join(","))
}

#[test]
fn statistics_that_the_client_had_not_asked_for_leave_no_trace() {
    let without = answer(&[RESULT]);
    for body in [
        answer(&[RESULT, STATS]),
        answer(&[STATS, RESULT]),
        answer(&[r#""resultType":"vector""#, STATS, &RESULT[22..]]),
    ] {
        let read = read(&body, Statistics::Taken);
        assert_eq!((read.text.as_str(), read.fault), (without.as_str(), None));
        assert_eq!(read.samples, samples(4217, 26));
    }
    let read = read(&answer(&[STATS]), Statistics::Taken);
    assert_eq!((read.text, read.samples), (answer(&[]), samples(4217, 26)));
}

#[test]
fn statistics_that_the_client_asked_for_stay() {
    for body in [answer(&[RESULT, STATS]), answer(&[STATS, RESULT])] {
        let shown = read(&body, Statistics::Shown);
        assert_eq!((shown.text.as_str(), shown.samples), (body.as_str(), samples(4217, 26)));
        let unread = read(&body, Statistics::Unread);
        assert_eq!((unread.text.as_str(), unread.samples), (body.as_str(), Samples::default()));
    }
}

#[test]
fn only_the_two_figures_are_read_and_only_where_they_stand() {
    let hostile = r#"{"samples":{"totalQueryableSamples":666,"peakSamples":666}}"#;
    for decoy in [
        format!(r#""result":[{{"metric":{{"stats":"{{\"samples\":1}}"}},"stats":{hostile}}}]"#),
        format!(r#""other":{{"stats":{hostile}}}"#),
        r#""samples":{"totalQueryableSamples":666}"#.to_owned(),
        r#""totalQueryableSamples":666,"peakSamples":666"#.to_owned(),
        format!(r#""result":"\"stats\":{}""#, hostile.replace('"', r#"\""#)),
    ] {
        let body = answer(&[&decoy]);
        let read = read(&body, Statistics::Taken);
        assert_eq!((read.text, read.samples), (body, Samples::default()), "{decoy}");
    }
    let nested = r#""stats":{"timings":{"samples":{"peakSamples":666}},"samples":{"perStep":{"peakSamples":666},"list":[{"peakSamples":666}],"peakSamples":7}}"#;
    assert_eq!(read(&answer(&[nested]), Statistics::Taken).samples, Samples { total: None, peak: Some(7) });
    // Beside `data` it is not known, and goes in any case.
    let beside = format!(r#"{{"data":{{}},"stats":{hostile}}}"#);
    assert_eq!(read(&beside, Statistics::Shown).samples, Samples::default());
}

#[test]
fn of_two_the_first_counts_and_both_go() {
    let second = r#""stats":{"samples":{"totalQueryableSamples":666,"peakSamples":666}}"#;
    let taken = read(&answer(&[STATS, RESULT, second]), Statistics::Taken);
    assert_eq!((taken.text, taken.samples), (answer(&[RESULT]), samples(4217, 26)));
    let twice = r#""stats":{"samples":{"peakSamples":1,"peakSamples":2},"samples":{"peakSamples":3}}"#;
    assert_eq!(read(&answer(&[twice]), Statistics::Taken).samples.peak, Some(1));
}

#[test]
fn what_is_no_count_is_not_counted() {
    for value in ["-1", "1.5", "1e3", "\"7\"", "null", "{}", "[7]", "true", "99999999999999999999999", "0x10"] {
        let stats = format!(r#""stats":{{"samples":{{"totalQueryableSamples":{value},"peakSamples":5}}}}"#);
        let read = read(&answer(&[RESULT, &stats]), Statistics::Taken);
        assert_eq!((read.text, read.samples), (answer(&[RESULT]), Samples { total: None, peak: Some(5) }), "{value}");
    }
    for stats in [r#""stats":null"#, r#""stats":[]"#, r#""stats":{}"#, r#""stats":{"samples":null}"#, r#""stats":7"#] {
        let read = read(&answer(&[RESULT, stats]), Statistics::Taken);
        assert_eq!((read.text, read.samples), (answer(&[RESULT]), Samples::default()), "{stats}");
    }
}

#[test]
fn data_that_is_no_object_passes() {
    for data in ["null", "[]", r#"[{"stats":{"samples":{"peakSamples":1}}}]"#, "\"stats\"", "-1.5", "{}"] {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        let read = read(&body, Statistics::Taken);
        assert_eq!((read.text, read.samples, read.fault), (body, Samples::default(), None));
    }
    let before = format!(r#"{{"data":{{{STATS}}}, "status":"error","errorType":"timeout"}}"#);
    assert_eq!(read(&before, Statistics::Taken).text, r#"{"data":{},"status":"error","errorType":"timeout"}"#);
}

#[test]
fn broken_statistics_end_the_answer_where_they_stand() {
    for data in [
        r#"{"result":[],"stats"}"#,
        r#"{"result":[],,"stats":{}}"#,
        r#"{"result":[] "stats":{}}"#,
        r#"{"result":[],stats:{}}"#,
        r#"{"stats":{"samples":{"peakSamples":1}}]"#,
    ] {
        let read = read(&format!(r#"{{"status":"success","data":{data}}}"#), Statistics::Taken);
        assert_eq!(read.fault, Some(Unreadable::Malformed), "{data}");
        assert!(serde_json::from_str::<serde_json::Value>(&read.text).is_err(), "{}", read.text);
    }
    let long = format!(r#"{{"status":"success","data":{{"{}":1}}}}"#, "k".repeat(100_000));
    let read = stream(&long, Content::Passed, Statistics::Taken, 1_000);
    assert_eq!(read.fault, Some(Unreadable::Malformed));
}

#[test]
fn a_deep_value_takes_no_more_memory_than_a_flat_one() {
    let deep = format!(r#""result":{}{}"#, "[".repeat(200_000), "]".repeat(200_000));
    let body = answer(&[&deep, STATS]);
    let read = stream(&body, Content::Passed, Statistics::Taken, 4_096);
    assert_eq!((read.samples, read.fault), (samples(4217, 26), None));
    assert_eq!(read.text, answer(&[&deep]));
}

/// Thanos says how a query was run beside what it read.
#[test]
fn statistics_are_read_beside_thanos_s_analysis() {
    let analysis = r#""analysis":{"name":"[vectorSelector] {__name__=\"up\"}","executionTime":"1ms","peakSamples":9,"totalSamples":8,"children":null}"#;
    let body = answer(&[RESULT, STATS, analysis]);
    for size in [1, 2, 7, usize::MAX] {
        let taken = stream(&body, Content::Analyzed, Statistics::Taken, size);
        assert_eq!((taken.text.as_str(), taken.fault), (answer(&[RESULT, analysis]).as_str(), None));
        assert_eq!(taken.samples, samples(4217, 26));
        assert_eq!(stream(&body, Content::Analyzed, Statistics::Shown, size).text, body);
    }
}

fn value() -> impl Strategy<Value = String> {
    let word =
        prop::sample::select(vec!["stats", "samples", "peakSamples", "totalQueryableSamples", "a", r#"\\\"{"#, "é"]);
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<u32>().prop_map(|number| number.to_string()),
        word.clone().prop_map(|word| format!("\"{word}\"")),
    ];
    scalar.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::btree_map(word.clone(), inner, 0..5).prop_map(|all| {
                let members: Vec<String> = all.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    /// Another reader of JSON agrees on what is read and on what is left.
    #[test]
    fn what_is_left_is_the_answer_without_statistics(data in value(), size in 1usize..40) {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        let taken = stream(&body, Content::Passed, Statistics::Taken, size);
        prop_assert_eq!(taken.fault, None);
        let mut expected: serde_json::Value = serde_json::from_str(&body).unwrap();
        let stats = expected["data"].as_object_mut().and_then(|data| data.remove("stats"));
        let left: serde_json::Value = serde_json::from_str(&taken.text).unwrap();
        prop_assert_eq!(left, expected);
        let figure = |name: &str| stats.as_ref().and_then(|stats| stats.get("samples")?.get(name)?.as_u64());
        prop_assert_eq!(taken.samples, Samples { total: figure("totalQueryableSamples"), peak: figure("peakSamples") });
        prop_assert_eq!(stream(&body, Content::Passed, Statistics::Shown, size).text, body);
    }

    #[test]
    fn nothing_makes_it_grow_or_panic(body in "[{}\\[\\]\",:\\\\a-e0-9 ]{0,80}", size in 1usize..20) {
        let body = format!(r#"{{"data":{{"stats":{{"samples":{{"peakSamples":1{body}"#);
        for statistics in [Statistics::Taken, Statistics::Shown] {
            let whole = stream(&body, Content::Passed, statistics, usize::MAX);
            let cut = stream(&body, Content::Passed, statistics, size);
            prop_assert_eq!((whole.samples, whole.fault), (cut.samples, cut.fault));
        }
    }
}
