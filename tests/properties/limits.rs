//! Retention, over generated queries and times: a forwarded query reads no older samples, and a range query keeps its steps.

use crate::generator::{self, Rng};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::go::form;
use promql_tenancy_filter::go::time;
use promql_tenancy_filter::promql::{Evaluation, Query};
use promql_tenancy_filter::request::{Head, decide};
use std::cell::RefCell;

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
const RETENTION: i64 = 48 * HOUR;

/// The decoded parameters that are forwarded to an upstream of this kind. `None` if the request is not forwarded.
fn forwarded(upstream: &str, path: &str, parameters: &[(&str, &[u8])]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut query = Vec::new();
    for (name, value) in parameters {
        form::append(&mut query, name.as_bytes(), value);
    }
    let target = [path.as_bytes(), b"?", &query].concat();
    let headers: [(&[u8], &[u8]); 3] = [(b":method", b"GET"), (b":path", &target), (b"thanos-tenant", b"a")];
    let limits = r#"{"retention_period": "2d", "max_query_into_future": "1h"}"#;
    let config = format!(r#"{{"upstream": "{upstream}", "path_prefixes": ["/prometheus"], "limits": {limits}}}"#);
    let config = Config::parse(config.as_bytes()).unwrap();
    let head = Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: true, now_ms: Some(NOW) };
    let sent = decide(&head, &config, &RefCell::default()).ok()?.forwarded()?.path.unwrap_or(target);
    let query = sent.split(|&b| b == b'?').nth(1).unwrap();
    let pairs = form::pairs(query).map(|pair| pair.unwrap());
    Some(pairs.map(|pair| (pair.key.into_owned(), pair.value.into_owned())).collect())
}

fn value<'p>(pairs: &'p [(Vec<u8>, Vec<u8>)], name: &str) -> &'p [u8] {
    &pairs.iter().find(|(key, _)| key == name.as_bytes()).unwrap_or_else(|| panic!("no {name}")).1
}

fn instant(pairs: &[(Vec<u8>, Vec<u8>)], name: &str) -> i64 {
    time::instant(value(pairs, name)).unwrap()
}

/// Asserts that the query reads no samples beyond the limits.
fn assert_within(pairs: &[(Vec<u8>, Vec<u8>)], start_ms: i64, end_ms: i64, step_ms: i64) {
    let text = value(pairs, "query");
    let query = Query::parse(text).unwrap();
    let evaluation = Evaluation {
        start_ms,
        end_ms,
        step_ns: step_ms * 1_000_000,
        lookback_ms: 300_000,
        subquery_step_ms: 60_000,
        in_parts: false,
    };
    let Some((from, to)) = query.demand(&evaluation).unwrap().samples else { return };
    let text = String::from_utf8_lossy(text);
    assert!(from >= NOW - RETENTION, "{text} from {start_ms} reads {} too early", NOW - RETENTION - from);
    assert!(to <= NOW + HOUR, "{text} to {end_ms} reads {} too late", to - NOW - HOUR);
}

#[test]
fn nothing_older_than_retention_is_read() {
    let (mut instants, mut ranges, mut moved) = (0, 0, 0);
    for seed in 0..6_000 {
        let query = generator::query(seed);
        let mut rng = Rng::new(seed);
        let mut ago = |most: i64| NOW - (rng.below(most as usize) as i64 - HOUR * 2);
        let (at, start, end) = (ago(60 * HOUR), ago(200 * HOUR), ago(60 * HOUR));
        let step = 1 + rng.below(7_200_000) as i64;
        let seconds = |milliseconds| {
            let mut text = Vec::new();
            time::write(milliseconds, &mut text);
            text
        };
        // Go truncates the product of 1.001 and a billion, and so does the filter.
        let step_text = seconds(step);
        let step = time::duration(&step_text).unwrap() / 1_000_000;
        if let Some(sent) =
            forwarded("prometheus", "/prometheus/api/v1/query", &[("query", &query), ("time", &seconds(at))])
        {
            instants += 1;
            let at = instant(&sent, "time");
            assert_within(&sent, at, at, 0);
        }
        let parameters: [(&str, &[u8]); 4] =
            [("query", &query), ("start", &seconds(start)), ("end", &seconds(end)), ("step", &step_text)];
        if start <= end
            && step > 0
            && let Some(sent) = forwarded("prometheus", "/prometheus/api/v1/query_range", &parameters)
        {
            ranges += 1;
            let (new_start, new_end) = (instant(&sent, "start"), instant(&sent, "end"));
            assert!(new_start >= start && new_end <= end && (new_start - start) % step == 0);
            moved += usize::from(new_start != start);
            assert_within(&sent, new_start, new_end, step);
        }
    }
    println!("{instants} instant queries and {ranges} range queries were forwarded, {moved} of them starting later");
    assert!(instants > 500 && ranges > 500 && moved > 100);
}

/// The range queries that query-frontends make of one: Cortex's aligns it to its step, and Thanos's, with `auto`, may also end it earlier.
#[test]
fn nothing_older_than_retention_is_read_through_a_query_frontend() {
    let (mut ranges, mut moved) = (0, 0);
    for seed in 0..6_000 {
        let upstream = if seed % 2 == 0 { "thanos" } else { "cortex" };
        let query = generator::query(seed);
        let mut rng = Rng::new(seed);
        let (start, length) = (NOW - rng.below(60 * HOUR as usize) as i64, rng.below(60 * HOUR as usize) as i64);
        let end = start + length;
        let longest = if rng.below(2) == 0 { 7_200_000 } else { NOW };
        let step = 1 + rng.below(longest as usize) as i64;
        let [start, end, step] = [start, end, step].map(|milliseconds| {
            let mut text = Vec::new();
            time::write(milliseconds, &mut text);
            text
        });
        let mut parameters: Vec<(&str, &[u8])> =
            vec![("query", &query), ("start", &start), ("end", &end), ("step", &step)];
        if upstream == "thanos" {
            parameters.push(("max_source_resolution", b"auto"));
        }
        let Some(sent) = forwarded(upstream, "/prometheus/api/v1/query_range", &parameters) else { continue };
        ranges += 1;
        let step = time::duration(&step).unwrap() / 1_000_000;
        let [start, end] = ["start", "end"].map(|name| instant(&sent, name));
        let [aligned_start, aligned_end] = [start, end].map(|time| time - time % step);
        moved += usize::from(aligned_end != end);
        assert_within(&sent, start, end, step);
        assert_within(&sent, aligned_start, aligned_end, step);
        if upstream == "thanos" {
            let between = aligned_start + rng.below((aligned_end - aligned_start + 1) as usize) as i64;
            assert_within(&sent, aligned_start, between, step);
        }
    }
    println!("{ranges} range queries were forwarded, {moved} of them to be aligned");
    assert!(ranges > 300 && moved > 300, "{ranges} {moved}");
}
