//! Retention in front of a real Prometheus, and of a real Thanos with its query-frontend.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::stores::Frontend;
use crate::support::{process, upstreams};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;
/// The value of a sample that is too old. It is more than the sum of all other samples.
const OLD: f64 = 1e6;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Two hours of data, which end this many seconds ago.
fn series(name: &str, now: i64, until: i64) -> Series {
    let sample = |ago: i64| Sample {
        milliseconds: (now - ago) * 1000,
        value: Value::Float(if ago > HOUR { OLD } else { 0.001 }),
    };
    Series {
        labels: vec![("__name__".to_owned(), name.to_owned())],
        samples: (0..=480).rev().map(|step| step * 15).filter(|ago| *ago >= until).map(sample).collect(),
        exemplars: Vec::new(),
    }
}

/// A Prometheus with two hours of team-a's data, and the time when it was written. Team-a must not read the first hour.
fn prometheus_with_old_data() -> (process::Process, u16, i64) {
    let (process, port) = upstreams::prometheus_process("prometheus-retention", "");
    let now = now();
    let labelled = |number: u32| {
        let mut series = series("worth", now, 0);
        for (name, value) in [("tenant_id", "team-a"), ("number", &number.to_string())] {
            series.labels.push((name.to_owned(), value.to_owned()));
        }
        series
    };
    remote_write::write(port, "/api/v1/write", None, &[labelled(1), labelled(2)]);
    (process, port, now)
}

/// The largest number in an answer; `None` where there is none.
fn largest(answer: &Response) -> Option<f64> {
    let json = answer.json();
    let result = json["data"]["result"].as_array().unwrap().clone();
    let pairs = result.iter().flat_map(|series| {
        let values = series["values"].as_array().cloned().unwrap_or_default();
        values.into_iter().chain(series.get("value").cloned())
    });
    pairs.filter_map(|pair| pair[1].as_str()?.parse().ok()).filter(|value: &f64| !value.is_nan()).reduce(f64::max)
}

fn shapes(ago: i64) -> Vec<String> {
    let mut all = Vec::new();
    for selector in ["worth", "{__name__=~\"wor.*\"}", "worth{number=\"1\"}"] {
        all.push(selector.to_owned());
        all.push(format!("{selector} offset {ago}s"));
        all.push(format!("sum(sum_over_time({selector}[{ago}s]))"));
        all.push(format!("max_over_time({selector}[{}s:60s] offset {}s)", ago / 2 + 1, ago / 2));
        all.push(format!("max_over_time(sum_over_time({selector}[{}s])[{}s:5m])", ago / 2 + 1, ago / 2 + 1));
        all.push(format!("topk(scalar(max({selector} offset {ago}s) or vector(1)), {selector})"));
        all.push(format!("{selector} + on(number) {selector} offset {ago}s or {selector}"));
        all.push(format!("sum_over_time({selector}[5m] @ start())"));
        all.push(format!("max_over_time({selector}[5m] @ end() offset {ago}s)"));
        all.push(format!("max_over_time({selector}[{ago}s * 2 - 1m])"));
        all.push(format!("increase({selector}[{ago}s] anchored)"));
        all.push(format!("increase({selector}[{ago}s] smoothed)"));
    }
    all
}

#[test]
fn nothing_older_than_the_retention_period_is_found() {
    let (_prometheus, port, now) = prometheus_with_old_data();
    let limits = json!({"limits": {"retention_period": "1h"}, "lookback_delta": "30m"});
    let limited = Setup::shipped(port).plugin(limits).start("envoy-retention");
    let free = Setup::shipped(port).start("envoy-no-retention");
    let (mut found, mut refused, mut empty, mut old) = (0, 0, 0, 0);
    let mut ask = |path: &str, parameters: &[(&str, &str)], by_form: bool| {
        let request = if by_form {
            let (url, body) = parameters.split_at(parameters.len() / 2);
            Request::post(&format!("{path}?{}", form(url)), &form(body))
        } else {
            Request::get(&format!("{path}?{}", form(parameters)))
        };
        let request = request.tenant("team-a");
        let answer = request.send(limited.port());
        match answer.status {
            422 => {
                assert!(answer.refused(422).contains("retention_period"), "{}", answer.text());
                refused += 1;
            }
            200 => match largest(&answer) {
                Some(value) => {
                    assert!(value < OLD, "{value}: {parameters:?}: {}", answer.text());
                    found += 1;
                }
                None => empty += 1,
            },
            status => panic!("{status}: {parameters:?}: {}", answer.text()),
        }
        let answer = request.send(free.port());
        assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text());
        old += u32::from(largest(&answer).is_some_and(|value| value >= OLD));
    };
    for (number, ago) in [60, 1_200, 2_000, 3_300, 3_700, 5_400].into_iter().enumerate() {
        for query in shapes(ago) {
            let by_form = number % 2 == 1;
            ask("/api/v1/query", &[("query", &query)], by_form);
            let time = (now - ago).to_string();
            ask("/api/v1/query", &[("time", &time), ("query", &query)], by_form);
            let (start, end) = ((now - 2 * HOUR + 7).to_string(), (now - ago / 2).to_string());
            ask("/api/v1/query_range", &[("start", &start), ("query", &query), ("end", &end), ("step", "97")], by_form);
        }
    }
    println!(
        "{found} answers with samples, {empty} without, {refused} refused; {old} with old samples without the limit"
    );
    assert!(found > 100 && refused > 100 && old > 200);
    // Label values are found, because they don't depend on samples.
    for path in ["series", "labels", "label/number/values"] {
        let answer = Request::get(&format!("/api/v1/{path}?match[]=worth")).tenant("team-a").send(limited.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_ne!(answer.json()["data"], json!([]));
        let range = form(&[("start", &(now - 7_000).to_string()), ("end", &(now - 3_700).to_string())]);
        let answer =
            Request::get(&format!("/api/v1/{path}?match[]=worth&{range}")).tenant("team-a").send(limited.port());
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"success","data":[]}"#));
        // Prometheus finds labels around start and end, whichever of them is first.
        let turned = form(&[("start", &(now - 3_700).to_string()), ("end", &(now - 7_000).to_string())]);
        let turned = Request::get(&format!("/api/v1/{path}?match[]=worth&{turned}")).tenant("team-a");
        assert_eq!(turned.send(free.port()).json()["data"] == json!([]), path == "series", "{path}");
        assert_eq!(turned.send(limited.port()).text(), r#"{"status":"success","data":[]}"#, "{path}");
    }
    limited.assert_healthy();
}

/// In front of Thanos's Query or its query-frontend, with the limit and without.
struct Pair {
    limited: Envoy,
    free: Envoy,
}

impl Pair {
    fn new(port: u16, name: &str) -> Pair {
        let setup = |limits| {
            let plugin = json!({"upstream": "thanos", "lookback_delta": "30m", "limits": limits});
            Setup::shipped(port).plugin(plugin)
        };
        Pair {
            limited: setup(json!({"retention_period": "1h"})).start(&format!("envoy-retention-{name}")),
            free: setup(json!({})).start(&format!("envoy-no-retention-{name}")),
        }
    }

    /// Asserts that an old sample is found only without the limit. Returns the largest sample that is found with the limit, or `None` if the request is
    /// refused or nothing is found.
    fn ask(&self, parameters: &[(&str, &str)]) -> Option<f64> {
        for by_form in [false, true] {
            let request = match by_form {
                false => Request::get(&format!("/api/v1/query_range?{}", form(parameters))),
                true => Request::post("/api/v1/query_range", &form(parameters)),
            };
            let request = request.tenant("team-a");
            let free = request.send(self.free.port());
            assert!(largest(&free).is_some_and(|value| value >= OLD), "{parameters:?}: {}", free.text());
            let limited = request.send(self.limited.port());
            match limited.status {
                200 => {
                    let found = largest(&limited);
                    assert!(found.is_none_or(|value| value < OLD), "{parameters:?}: {}", limited.text());
                    if by_form {
                        return found;
                    }
                }
                status => {
                    assert_eq!(status, 422, "{parameters:?}: {}", limited.text());
                    assert!(limited.refused(422).contains("retention_period"), "{}", limited.text());
                }
            }
        }
        None
    }
}

#[test]
fn nothing_older_is_found_by_thanos_and_its_query_frontend() {
    let thanos = Frontend::start("retention");
    let now = now();
    // The series `ended` has no recent samples.
    let both = [series("worth", now, 0), series("ended", now, 5_400)];
    remote_write::write(thanos.write, "/api/v1/receive", Some("team-a"), &both);
    let [start, old, end] = [now - 6_600, now - 6_000, now].map(|time| time.to_string());
    let found = form(&[("query", "worth and on() (ended offset 90m)"), ("time", &end)]);
    thanos.wait_until(|| {
        let answer = Request::get(&format!("/api/v1/query?{found}")).try_send(thanos.query);
        answer.is_some_and(|answer| answer.text().contains("\"value\""))
    });
    let [query, frontend] =
        [(thanos.query, "query"), (thanos.frontend, "frontend")].map(|(port, name)| Pair::new(port, name));

    // Thanos's default step.
    let times = [("start", &*start), ("end", &*end)];
    let young = query.ask(&[&[("query", "worth")], &times[..]].concat());
    assert!(young.is_some_and(|value| value < OLD), "{young:?}");
    assert_eq!(query.ask(&[&[("query", "sum_over_time(worth[90m])")], &times[..]].concat()), None);
    let empty_step = query.ask(&[&[("query", "worth"), ("step", "")], &times[..]].concat());
    assert!(empty_step.is_some_and(|value| value < OLD), "{empty_step:?}");

    for pair in [&query, &frontend] {
        let young = pair.ask(&[&[("query", "worth"), ("step", "60")], &times[..]].concat());
        assert!(young.is_some_and(|value| value < OLD), "{young:?}");
    }
    // The frontend rounds the end down to a multiple of the step, which is the start.
    let times = [("start", &*old), ("end", &*end), ("step", &*old), ("max_source_resolution", "1s")];
    assert_eq!(frontend.ask(&[&[("query", "worth @ end()")], &times[..]].concat()), None);
    // The frontend asks for coarser data, which doesn't exist, for a time before the finer data.
    let later = format!("(vector(1) and on() (vector(time()) > {old})) or ended @ end()");
    let times = [("start", &*start), ("end", &*end), ("step", "60"), ("max_source_resolution", "auto")];
    assert_eq!(frontend.ask(&[&[("query", &*later)], &times[..]].concat()), None);
    for pair in [&query, &frontend] {
        pair.limited.assert_healthy();
        pair.free.assert_healthy();
    }
}
