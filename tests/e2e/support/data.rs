//! The data of the tests: the same metrics for each tenant, with differences that show in every answer.
//!
//! Each series names its tenant in a label value, besides the tenant label, and each tenant has a metric, a label name and an exemplar
//! that no other has. So an answer that was not scoped shows it in its bytes, and values that were summed over tenants
//! show it in their size.

use super::remote_write::{Exemplar, Sample, Series, Value};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The tenants that are queried.
pub const TENANTS: [&str; 2] = ["team-a", "team-b"];
/// Series without the tenant label: the platform's own.
pub const NOBODY: &str = "nobody";

const STEP_SECONDS: i64 = 15;
const STEPS: i64 = 120;

/// Rules of both tenants and rules without a tenant, in separate groups and in a shared one.
pub const RULES: &str = r#"
groups:
- name: shared
  rules:
  - { record: "team_a:one", expr: vector(1), labels: { tenant_id: team-a } }
  - { alert: AlertOfteam_a, expr: vector(1), labels: { tenant_id: team-a }, annotations: { summary: for team-a } }
  - { record: "team_b:one", expr: vector(1), labels: { tenant_id: team-b } }
  - { alert: AlertOfteam_b, expr: vector(1), labels: { tenant_id: team-b }, annotations: { summary: for team-b } }
  - { record: "nobody:one", expr: vector(1) }
- name: only team_a
  rules:
  - { alert: SecondOfteam_a, expr: vector(2) > 1, labels: { tenant_id: team-a, severity: page } }
- name: only team_b
  rules:
  - { alert: SecondOfteam_b, expr: vector(2) > 1, labels: { tenant_id: team-b, severity: page } }
- name: of nobody
  rules:
  - { alert: AlertOfnobody, expr: vector(1) }
"#;
/// How many alerts of these rules fire. The list of alerts has each firing alert once.
pub const ALERTS: usize = 5;

/// Unix seconds of the newest sample, a whole minute.
pub fn end() -> i64 {
    static END: OnceLock<i64> = OnceLock::new();
    *END.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        i64::try_from(now).unwrap() / 60 * 60
    })
}

/// Unix seconds of the oldest sample.
pub fn start() -> i64 {
    end() - STEPS * STEP_SECONDS
}

/// What an answer for another tenant must not contain.
pub fn marks(owner: &str) -> [String; 2] {
    [owner.to_owned(), owner.replace('-', "_")]
}

/// The series of one owner, without the tenant label.
pub fn series(owner: &str) -> Vec<Series> {
    let slope = match owner {
        "team-a" => 1.0,
        "team-b" => 1000.0,
        NOBODY => 7.0,
        other => panic!("no data of {other}"),
    };
    let [_, name] = marks(owner);
    let mut all = Vec::new();
    let mut add = |metric: &str, labels: &[(&str, &str)], value: &dyn Fn(f64) -> Value| {
        let mut pairs =
            vec![("__name__".to_owned(), metric.to_owned()), ("owner".to_owned(), format!("data of {owner}"))];
        pairs.extend(labels.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let samples = (0..=STEPS).map(|step| Sample { milliseconds: at(step), value: value(step as f64) }).collect();
        all.push(Series { labels: pairs, samples, exemplars: Vec::new() });
    };
    for (number, instance) in ["one:80", "two:80", "three:80"].into_iter().enumerate() {
        let number = number as f64 + 1.0;
        let place = [("job", "api"), ("instance", instance)];
        add("up", &place, &|_| Value::Float(1.0));
        add("temperature", &place, &|step| Value::Float(slope * number + (step / 7.0).sin()));
        for (code, share) in [("200", 10.0), ("500", 1.0)] {
            let labels = [place[0], place[1], ("code", code), ("handler", "/orders")];
            add("http_requests_total", &labels, &|step| Value::Float(step * slope * number * share));
        }
        let version = format!("{number}.0");
        let labels = [place[0], place[1], ("version", &version), ("cluster", &name)];
        add("target_info", &labels, &|_| Value::Float(1.0));
    }
    let job = ("job", "api");
    for (le, share) in [("0.1", 5.0), ("1", 9.0), ("+Inf", 10.0)] {
        add("http_request_duration_seconds_bucket", &[job, ("le", le)], &|step| Value::Float(step * slope * share));
    }
    add("http_request_duration_seconds_sum", &[job], &|step| Value::Float(step * slope * 3.5));
    add("http_request_duration_seconds_count", &[job], &|step| Value::Float(step * slope * 10.0));
    add("latency_seconds", &[job], &|step| {
        let grown = |share: f64| (step * slope * share) as u64;
        Value::Histogram(vec![grown(4.0), grown(3.0), grown(2.0)])
    });
    add(&format!("only_{name}"), &[(&format!("label_of_{name}"), "x")], &|_| Value::Float(slope));
    add("dotted.metric", &[("dotted.label", &name)], &|_| Value::Float(slope));
    // A metric whose name is a keyword, as some exporters have.
    add("offset", &[job], &|_| Value::Float(slope));

    for series in &mut all {
        let is_counter = series.labels.iter().any(|(name, value)| name == "__name__" && value.ends_with("_total"));
        if is_counter {
            series.exemplars.push(Exemplar {
                labels: vec![("trace_id".to_owned(), format!("trace of {owner}"))],
                value: slope,
                milliseconds: at(STEPS) - 5_000,
            });
        }
    }
    all
}

/// The same, with the tenant label.
pub fn labelled(tenant: &str) -> Vec<Series> {
    let mut all = series(tenant);
    for series in &mut all {
        series.labels.push(("tenant_id".to_owned(), tenant.to_owned()));
    }
    all
}

fn at(step: i64) -> i64 {
    (start() + step * STEP_SECONDS) * 1000
}
