//! How cost grows: with a query's length and selectors, with tenants and overrides in the configuration, with the rules of an answer.
//! Prints one JSON object: for each curve, pairs of a size and its microseconds, the least of several runs.

use promql_tenancy_filter::answer::{Filter, Labelled, Owner};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::promql::rewrite;
use promql_tenancy_filter::request::{Head, decide};
use promql_tenancy_filter::scope::{OnConflict, Scope};
use std::cell::RefCell;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A name, and what is done at each size.
type Curve = (&'static str, fn(usize) -> Box<dyn FnMut()>, &'static [usize]);

const CURVES: [Curve; 9] = [
    ("query: bytes of one selector", length, &[100, 1_000, 10_000, 100_000, 500_000]),
    ("query: selectors", selectors, &[1, 10, 100, 1_000, 10_000]),
    ("request: tenants allowed", allowed_request, &[1, 10, 100, 1_000, 10_000, 100_000]),
    ("request: tenants with overrides", override_request, &[1, 10, 100, 1_000, 10_000, 100_000]),
    ("request: tenants with selectors", selector_request, &[1, 10, 100, 1_000, 10_000, 100_000]),
    ("configuration: tenants allowed", allowed_configuration, &[1, 10, 100, 1_000, 10_000, 100_000]),
    ("configuration: overrides", override_configuration, &[1, 10, 100, 1_000, 10_000, 100_000]),
    ("configuration: selectors", selector_configuration, &[1, 10, 100, 1_000, 10_000, 100_000]),
    ("answer: rules", rules, &[1, 10, 100, 1_000]),
];

fn main() {
    // What `cargo bench` and `cargo test --benches` pass is for other harnesses.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let curves: Vec<String> = CURVES
        .iter()
        .map(|(name, make, sizes)| {
            let points: Vec<String> = sizes
                .iter()
                .take(if is_test { 1 } else { usize::MAX })
                .map(|&size| format!("[{size},{}]", microseconds(make(size))))
                .collect();
            format!(r#""{name}":[{}]"#, points.join(","))
        })
        .collect();
    println!("{{{}}}", curves.join(","));
}

/// The least that it took in so many runs as fit into a fifth of a second: what else the machine does only adds.
fn microseconds(mut work: Box<dyn FnMut()>) -> f64 {
    let begin = Instant::now();
    let mut least = Duration::MAX;
    let mut runs = 0;
    while runs < 5 || begin.elapsed() < Duration::from_millis(200) {
        // As many in one measurement as the clock needs.
        let times = (20_000 / least.as_nanos().clamp(1, 20_000)) as u32;
        let before = Instant::now();
        (0..times).for_each(|_| work());
        least = least.min(before.elapsed() / times);
        runs += 1;
    }
    least.as_nanos() as f64 / 1e3
}

fn rewriting(query: String) -> Box<dyn FnMut()> {
    let scope = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace);
    Box::new(move || {
        let mut out = Vec::new();
        rewrite(black_box(query.as_bytes()), &scope, &mut out).expect("a valid query");
        black_box(out);
    })
}

fn length(size: usize) -> Box<dyn FnMut()> {
    let names: Vec<String> = (0..size / 15).map(|n| format!("10.0.{}.{}:9090", n / 250 % 250, n % 250)).collect();
    rewriting(format!(r#"rate(http_requests_total{{instance=~"{}"}}[5m])"#, names.join("|")))
}

fn selectors(count: usize) -> Box<dyn FnMut()> {
    rewriting(vec![r#"up{job="api"}"#; count].join(" + "))
}

fn configuration(key: &str, entry: fn(usize) -> String, count: usize, brackets: [&str; 2]) -> String {
    let entries: Vec<String> = (0..count).map(entry).collect();
    format!(r#"{{"{key}":{}{}{}}}"#, brackets[0], entries.join(","), brackets[1])
}

fn allowed(count: usize) -> String {
    configuration("allowed_tenants", |n| format!(r#""tenant-{n}""#), count, ["[", "]"])
}

fn overridden(count: usize) -> String {
    configuration("overrides", |n| format!(r#""tenant-{n}":{{"max_query_points":11000}}"#), count, ["{", "}"])
}

fn with_selectors(count: usize) -> String {
    configuration(
        "tenant_selectors",
        |n| format!(r#""tenant-{n}":"{{namespace=~\"shop-{n}-.*\",cluster=\"eu\",env!=\"dev\"}}""#),
        count,
        ["{", "}"],
    )
}

fn requesting(json: String, tenant: String) -> Box<dyn FnMut()> {
    let config = Config::parse(json.as_bytes()).expect("a configuration");
    let memo = RefCell::default();
    Box::new(move || {
        let headers: [(&[u8], &[u8]); 3] = [
            (b":method", b"GET"),
            (b":path", b"/api/v1/query?query=up"),
            (b"thanos-tenant", black_box(tenant.as_bytes())),
        ];
        let head = Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
        black_box(decide(&head, &config, &memo).expect("forwarded"));
    })
}

fn allowed_request(count: usize) -> Box<dyn FnMut()> {
    requesting(allowed(count), format!("tenant-{}", count / 2))
}

fn override_request(count: usize) -> Box<dyn FnMut()> {
    requesting(overridden(count), format!("tenant-{}", count / 2))
}

fn selector_request(count: usize) -> Box<dyn FnMut()> {
    requesting(with_selectors(count), format!("tenant-{}", count / 2))
}

fn selector_configuration(count: usize) -> Box<dyn FnMut()> {
    reading(with_selectors(count))
}

fn reading(json: String) -> Box<dyn FnMut()> {
    Box::new(move || {
        black_box(Config::parse(black_box(json.as_bytes())).expect("a configuration"));
    })
}

fn allowed_configuration(count: usize) -> Box<dyn FnMut()> {
    reading(allowed(count))
}

fn override_configuration(count: usize) -> Box<dyn FnMut()> {
    reading(overridden(count))
}

/// Rules of two tenants in turn, each with an alert.
fn rules(count: usize) -> Box<dyn FnMut()> {
    let rule = |n: usize| {
        let tenant = if n.is_multiple_of(2) { "team-a" } else { "team-b" };
        let labels = format!(r#"{{"alertname":"A","severity":"page","tenant_id":"{tenant}"}}"#);
        format!(
            r#"{{"state":"firing","name":"A","query":"up{{tenant_id=\"{tenant}\"}} == 0","duration":300,"labels":{labels},"annotations":{{}},"alerts":[{{"labels":{labels},"annotations":{{}},"state":"firing","activeAt":"2026-01-02T03:04:05Z","value":"0e+00"}}],"health":"ok","evaluationTime":0.0005,"lastEvaluation":"2026-01-02T03:04:05Z","type":"alerting"}}"#
        )
    };
    let rules: Vec<String> = (0..count).map(rule).collect();
    let body = format!(
        r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","rules":[{}],"interval":30,"limit":0,"evaluationTime":0.1,"lastEvaluation":"2026-01-02T03:04:05Z"}}]}}}}"#,
        rules.join(",")
    );
    let owner =
        Owner::new(&Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace)).expect("no pattern to run");
    Box::new(move || {
        let rules = Labelled::Rules { shared: false, narrowed: false };
        let mut filter = Filter::by_owner(rules, owner.clone(), 1 << 20);
        let mut out = Vec::new();
        filter.push(black_box(body.as_bytes()), true, &mut out);
        assert!(filter.fault().is_none());
        black_box(out);
    })
}
