//! Retention, over generated queries and times: what goes upstream reads nothing older, and a range query keeps its steps.

use crate::generator::{self, Rng};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::form;
use promql_tenancy_filter::promql::{Evaluation, Query};
use promql_tenancy_filter::request::{Head, decide};
use promql_tenancy_filter::time;

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
const RETENTION: i64 = 48 * HOUR;
const CONFIG: &str = r#"{"limits": {"retention_period": "2d", "max_query_into_future": "1h"}}"#;

/// The decoded parameters that go upstream; `None` where nothing does.
fn forwarded(path: &str, parameters: &[(&str, &[u8])]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut query = Vec::new();
    for (name, value) in parameters {
        form::append(&mut query, name.as_bytes(), value);
    }
    let target = [path.as_bytes(), b"?", &query].concat();
    let headers: [(&[u8], &[u8]); 3] = [(b":method", b"GET"), (b":path", &target), (b"thanos-tenant", b"a")];
    let config = Config::parse(CONFIG.as_bytes()).unwrap();
    let head = Head { headers: &headers, evidence: None, end_of_stream: true, now_ms: Some(NOW) };
    let sent = decide(&head, &config).ok()?.path.unwrap_or(target);
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

/// Asserts that nothing beyond the limits is read.
fn assert_within(pairs: &[(Vec<u8>, Vec<u8>)], start_ms: i64, end_ms: i64, step_ms: i64) {
    let text = value(pairs, "query");
    let query = Query::parse(text).unwrap();
    let evaluation =
        Evaluation { start_ms, end_ms, step_ns: step_ms * 1_000_000, lookback_ms: 300_000, subquery_step_ms: 60_000 };
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
        // Go cuts the product of 1.001 and a billion, and so does the filter.
        let step_text = seconds(step);
        let step = time::duration(&step_text).unwrap() / 1_000_000;
        if let Some(sent) = forwarded("/api/v1/query", &[("query", &query), ("time", &seconds(at))]) {
            instants += 1;
            let at = instant(&sent, "time");
            assert_within(&sent, at, at, 0);
        }
        let parameters: [(&str, &[u8]); 4] =
            [("query", &query), ("start", &seconds(start)), ("end", &seconds(end)), ("step", &step_text)];
        if start <= end
            && step > 0
            && let Some(sent) = forwarded("/api/v1/query_range", &parameters)
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
