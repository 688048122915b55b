//! Data usage: the samples that a tenant's queries read are counted as the upstream reports them, and clients see no difference.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::upstreams::Upstream;
use crate::support::{data, prometheus, thanos};
use serde_json::{Value, json};

const QUERIES: [(&str, &str); 4] = [
    ("sum(rate(http_requests_total[5m]))", r#"sum(rate(http_requests_total{tenant_id="$T"}[5m]))"#),
    ("temperature", r#"temperature{tenant_id="$T"}"#),
    ("max_over_time(sum(temperature)[10m:1m])", r#"max_over_time(sum(temperature{tenant_id="$T"})[10m:1m])"#),
    ("1 + 1", "1 + 1"),
];

/// The same query at one time and over a range, by GET and by POST, with these parameters besides.
fn requests(query: &str, more: &[(&str, &str)]) -> Vec<Request> {
    let [start, end] = [data::end() - 600, data::end()].map(|time| time.to_string());
    let instant = [&[("query", query), ("time", &end)], more].concat();
    let range = [&[("query", query), ("start", &start), ("end", &end), ("step", "60")], more].concat();
    [("/api/v1/query", instant), ("/api/v1/query_range", range)]
        .into_iter()
        .flat_map(|(path, pairs)| {
            [Request::get(&format!("{path}?{}", form(&pairs))), Request::post(path, &form(&pairs))]
        })
        .collect()
}

/// The total and the peak number of samples in an answer's statistics.
fn read(answer: &Response) -> (f64, f64) {
    let samples = &answer.json()["data"]["stats"]["samples"];
    let figure = |name: &str| samples[name].as_f64().unwrap_or_else(|| panic!("no {name}: {}", answer.text()));
    (figure("totalQueryableSamples"), figure("peakSamples"))
}

/// Without what depends on the clock.
fn without_timings(answer: &Response) -> Value {
    let mut json = answer.json();
    json["data"]["stats"]["timings"].take();
    json
}

fn check(envoy: &Envoy, upstream: &Upstream) {
    let (mut all, mut peaks, mut asked) = ([0.0; 2], [0.0; 2], 0.0);
    for (at, tenant) in ["team-a", "team-b"].into_iter().enumerate() {
        for (query, by_hand) in QUERIES {
            let by_hand = by_hand.replace("$T", tenant);
            let plain = requests(&by_hand, &[]).into_iter().zip(requests(&by_hand, &[("stats", "true")]));
            for (request, (plain, with_stats)) in requests(query, &[]).into_iter().zip(plain) {
                let answer = request.tenant(tenant).send(envoy.port());
                // The same bytes as the upstream's answer without statistics.
                assert_eq!(answer.text(), plain.send(upstream.port()).text());
                let (total, peak) = read(&with_stats.send(upstream.port()));
                all[at] += total;
                peaks[at] += peak;
                asked += 0.5;
            }
        }
    }
    // A client that asks for statistics gets them, and its samples are counted too.
    for request in requests(QUERIES[0].0, &[("stats", "all")]) {
        let answer = request.tenant("team-a").send(envoy.port());
        all[0] += read(&answer).0;
        peaks[0] += read(&answer).1;
    }
    let by_hand = requests(&QUERIES[0].1.replace("$T", "team-a"), &[("stats", "all")]);
    for (request, by_hand) in requests(QUERIES[0].0, &[("stats", "all")]).into_iter().zip(by_hand) {
        let answer = request.tenant("team-a").send(envoy.port());
        assert_eq!(without_timings(&answer), without_timings(&by_hand.send(upstream.port())));
        all[0] += read(&answer).0;
        peaks[0] += read(&answer).1;
    }
    let metrics = envoy.wait_for_metrics("samples", |metrics| {
        metrics.sum("tenancy_query_peak_samples_count", &[("tenant", "team-a")]) == asked + 8.0
            && metrics.sum("tenancy_query_peak_samples_count", &[("tenant", "team-b")]) == asked
            && metrics.sum("tenancy_query_samples_total", &[]) == all.iter().sum::<f64>()
    });
    for (at, tenant) in ["team-a", "team-b"].into_iter().enumerate() {
        let of = [("tenant", tenant)];
        assert_eq!(metrics.sum("tenancy_query_samples_total", &of), all[at], "{tenant}");
        // Envoy stores two significant digits of each value.
        let sum = metrics.sum("tenancy_query_peak_samples_sum", &of);
        assert!((sum - peaks[at]).abs() <= peaks[at] * 0.1, "{tenant}: {sum}, not {}", peaks[at]);
    }
    assert!(all.iter().all(|samples| *samples > 1_000.0), "{all:?}");
    envoy.assert_healthy();
}

fn measuring(upstream: &Upstream) -> Setup {
    Setup::shipped(upstream.port()).flushes_stats_soon().plugin(json!({"stats": {"samples": true}}))
}

#[test]
fn samples_are_those_that_prometheus_read() {
    let upstream = &prometheus().upstream;
    for (name, setup) in
        [("envoy-samples", measuring(upstream)), ("envoy-samples-continue", measuring(upstream).stop_iteration(false))]
    {
        check(&setup.start(name), upstream);
    }
}

#[test]
fn samples_are_those_that_thanos_read() {
    let upstream = &thanos().upstream;
    let setup = measuring(upstream).plugin(json!({"upstream": "thanos"}));
    check(&setup.start("envoy-samples-thanos"), upstream);
}
