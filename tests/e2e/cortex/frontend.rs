//! Cortex's query frontend under a retention period: it moves start and end to multiples of the step, divides queries by time, and caches what it
//! answered before, for whom it was answered.

use super::header;
use crate::generator::Rng;
use crate::support::data;
use crate::support::envoy::Setup;
use crate::support::http::{Request, Response, form};
use crate::support::remote_write::{Sample, Series, Value};
use serde_json::json;

/// The most recent time of samples that the answer has, and the oldest, in seconds.
fn span(answer: &Response) -> Option<(i64, i64)> {
    let json = answer.json();
    let result = json["data"]["result"].as_array()?.clone();
    let times = result.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default());
    let times: Vec<i64> = times.filter_map(|pair| pair[0].as_f64()).map(|time| time as i64).collect();
    Some((*times.iter().min()?, *times.iter().max()?))
}

/// Cortex's query frontend moves start and end to multiples of the step. What is older than the retention period is not found all the same.
#[test]
fn the_query_frontend_opens_no_older_data() {
    let header = header();
    let plugin = json!({"upstream": "cortex", "default_tenant_id": "", "lookback_delta": "30m", "limits": {"retention_period": "45m"}});
    let envoy = Setup::shipped(header.cortex.port()).plugin(plugin).start("envoy-cortex-retention");
    let (mut found, mut refused, mut moved) = (0, 0, 0);
    for step in [60, 97, 420, 601] {
        for before in [1800, 1700, 1234, 900, 100] {
            for query in
                ["count_over_time(up[1m])", "max_over_time(timestamp(temperature)[5m:1m])", "sum_over_time(up[10m])"]
            {
                let (start, end) = (data::end() - before, data::end());
                let parameters = form(&[
                    ("query", query),
                    ("start", &start.to_string()),
                    ("end", &end.to_string()),
                    ("step", &step.to_string()),
                ]);
                let path = format!("/prometheus/api/v1/query_range?{parameters}");
                let ours = Request::get(&path).tenant("team-a").send(envoy.port());
                let theirs = Request::get(&path).header("x-scope-orgid", "team-a").send(header.cortex.port());
                assert_eq!(theirs.status, 200, "{}", theirs.text());
                let aligned = span(&theirs).is_none_or(|(first, _)| first % step == 0);
                assert!(aligned, "the frontend aligns: {}", theirs.text());
                moved += u32::from(span(&theirs).is_some_and(|(first, _)| first < start));
                match ours.status {
                    422 => refused += 1,
                    _ => {
                        assert_eq!(ours.status, 200, "{}", ours.text());
                        if let Some((first, _)) = span(&ours) {
                            found += 1;
                            assert!(first >= now() - 45 * 60, "{first}: {path}");
                        }
                    }
                }
            }
        }
    }
    println!("{found} answers with samples, {refused} refused, {moved} begin earlier than asked");
    assert!(found > 20 && moved > 10, "{found} {moved}");
    envoy.assert_healthy();
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// The value of a sample that is too old. It is more than the sum of all other samples.
const OLD: f64 = 1e6;
const RETENTION: i64 = 40 * 60;

/// Queries are of generated shapes: how many there are. Each is asked at one time and over two ranges.
const GENERATED: u64 = 120;

/// The largest number in an answer; `None` where there is none.
fn largest(answer: &Response) -> Option<f64> {
    let json = answer.json();
    let result = json["data"]["result"].as_array().unwrap_or_else(|| panic!("{}", answer.text())).clone();
    let pairs = result.iter().flat_map(|series| {
        let values = series["values"].as_array().cloned().unwrap_or_default();
        values.into_iter().chain(series.get("value").cloned())
    });
    pairs.filter_map(|pair| pair[1].as_str()?.parse().ok()).filter(|value: &f64| !value.is_nan()).reduce(f64::max)
}

/// Expressions whose value is at least that of the largest sample that they read.
struct Reaching(Rng, i64);

impl Reaching {
    fn duration(&mut self) -> String {
        self.0.pick(&["30s", "1m", "4m", "9m", "15m", "25m", "39m", "41m", "1h", "95m"]).to_owned()
    }

    fn modifiers(&mut self) -> String {
        let ago = self.0.pick(&[0, 60, 700, 2_000, 2_500, 5_000]);
        let at = self.0.pick(&["", "", "", " @ start()", " @ end()", " @ then"]);
        let at = at.replace("then", &(self.1 - ago).to_string());
        match self.0.pick(&[0, 0, 0, 1, 1, 2]) {
            0 => at,
            1 => format!("{at} offset {}", self.duration()),
            _ => format!("{at} offset -{}", self.0.pick(&["1m", "5m"])),
        }
    }

    fn selector(&mut self) -> &'static str {
        self.0.pick(&["worth", "worth{number=\"1\"}", "{__name__=~\"wor.*\"}"])
    }

    fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.modifiers());
        }
        let function = self.0.pick(&["sum_over_time", "max_over_time", "last_over_time"]);
        match self.0.pick(&[0, 1, 1, 2, 2, 3, 4, 5]) {
            0 => format!("{}{}", self.selector(), self.modifiers()),
            1 => format!("{function}({}[{}]{})", self.selector(), self.duration(), self.modifiers()),
            2 => {
                let (inner, range) = (self.vector(depth - 1), self.duration());
                let step = self.0.pick(&["", "1m", "5m", "7m"]);
                format!("{function}(({inner})[{range}:{step}]{})", self.modifiers())
            }
            3 => format!("sum(({}) or ({}))", self.vector(depth - 1), self.vector(depth - 1)),
            4 => format!(
                "({}) + on (number) group_left () sum by (number) ({})",
                self.vector(depth - 1),
                self.vector(depth - 1)
            ),
            _ => format!("topk(scalar(count({}) or vector(1)), {})", self.vector(depth - 1), self.vector(depth - 1)),
        }
    }
}

/// What was answered without the limit is in the frontend's cache, under the same tenant, query and step, when the limited request comes.
#[test]
fn no_sample_older_than_the_retention_period_is_found_divided_aligned_or_cached() {
    let header = header();
    let now = now();
    let series = |number: u32| Series {
        labels: [("__name__", "worth"), ("number", &number.to_string())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        samples: (0..=440)
            .rev()
            .map(|step| step * 15)
            .map(|ago| Sample {
                milliseconds: (now - ago) * 1000,
                value: Value::Float(if ago > RETENTION { OLD } else { 0.001 }),
            })
            .collect(),
        exemplars: Vec::new(),
    };
    // A tenant of its own, so that its database takes samples of this age.
    header.cortex.write("retained", &[series(1), series(2)]);
    let limits = json!({"upstream": "cortex", "default_tenant_id": "", "lookback_delta": "30m", "limits": {"retention_period": "40m"}});
    let envoy = Setup::shipped(header.cortex.port()).plugin(limits).start("envoy-cortex-retained");
    let (mut found, mut empty, mut refused, mut old) = (0, 0, 0, 0);
    let mut ask = |path: &str, parameters: &[(&str, &str)], by_form: bool| {
        let request = |root: &str| match by_form {
            true => Request::post(&format!("{root}{path}"), &form(parameters)),
            false => Request::get(&format!("{root}{path}?{}", form(parameters))),
        };
        let free = request("/prometheus").header("x-scope-orgid", "retained").send(header.cortex.port());
        // Two of the shapes can't be evaluated: several series match.
        assert!(matches!(free.status, 200 | 422), "{parameters:?}: {} {}", free.status, free.text());
        if free.status == 200 {
            old += u32::from(largest(&free).is_some_and(|value| value >= OLD));
        }
        let answer = request("/prometheus").tenant("retained").send(envoy.port());
        match answer.status {
            422 => refused += 1,
            200 => match largest(&answer) {
                Some(value) => {
                    assert!(value < OLD, "{value}: {parameters:?}: {}", answer.text());
                    found += 1;
                }
                None => empty += 1,
            },
            status => panic!("{status}: {parameters:?}: {}", answer.text()),
        }
    };
    for seed in 0..GENERATED {
        let mut made = Reaching(Rng::new(seed), now);
        let depth = made.0.pick(&[0, 1, 1, 2, 3]);
        let query = made.vector(depth);
        let by_form = seed % 2 == 1;
        let ago = made.0.pick(&[0, 100, 600, 1_800, 3_000]);
        ask("/api/v1/query", &[("query", &query), ("time", &(now - ago).to_string())], by_form);
        for _ in 0..2 {
            let before = made.0.pick(&[300, 1_234, 2_000, 2_500, 4_000, 6_000]);
            let (start, end) = ((now - before).to_string(), (now - ago.min(before)).to_string());
            let step = made.0.pick(&["15", "60", "97", "420", "601", "1800"]);
            ask("/api/v1/query_range", &[("query", &query), ("start", &start), ("end", &end), ("step", step)], by_form);
        }
    }
    println!(
        "{found} answers with samples, {empty} without, {refused} refused; {old} with old samples without the limit"
    );
    assert!(found > 60 && refused > 60 && old > 120, "{found} {empty} {refused} {old}");
    envoy.assert_healthy();
}
