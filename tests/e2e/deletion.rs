//! `tenancyctl retention` on a real Prometheus: what is older than a tenant's retention_period is deleted, and nothing else.
//!
//! - `blocks`: a real Cortex and a real Thanos delete by the settings that it prints for them

mod blocks;

use crate::support::http::{Request, form};
use crate::support::process::Process;
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::{process, upstreams};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3_600;
const DAYS: i64 = 4;
/// A day for team-a, two for those without a setting of their own, and team-c keeps everything.
const CONFIG: &str = r#"{"limits": {"retention_period": "2d"},
    "overrides": {"team-a": {"retention_period": "1d"}, "team-c": {"retention_period": 0}}}"#;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A Prometheus with four days of samples, one each half hour, of each tenant and of nobody.
fn prometheus(name: &str, arguments: &[&str]) -> (Process, u16) {
    let (process, port) = upstreams::prometheus_with(name, "", arguments);
    let now = now();
    let mut all = Vec::new();
    for tenant in ["team-a", "team-b", "team-c", "team-ab", ""] {
        for metric in ["work", "sleep", "na\"me"] {
            let mut labels = vec![("__name__".to_owned(), metric.to_owned()), ("job".to_owned(), "j".to_owned())];
            if !tenant.is_empty() {
                labels.push(("tenant_id".to_owned(), tenant.to_owned()));
            }
            let sample = |step: i64| Sample { milliseconds: (now - step * HOUR / 2) * 1_000, value: Value::Float(1.0) };
            let samples = (1..=DAYS * 48).rev().map(sample).collect();
            all.push(Series { labels, samples, exemplars: Vec::new() });
        }
    }
    // In one request: Prometheus takes no series that begins long before what it has.
    remote_write::write(port, "/api/v1/write", None, &all);
    (process, port)
}

/// For each tenant, the samples that are older than these many hours, and younger.
fn samples(port: u16, hours: i64) -> BTreeMap<String, (u64, u64)> {
    let mut all: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let count = |query: String| {
        let answer = Request::get(&format!("/api/v1/query?{}", form(&[("query", &query)]))).send(port);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"]["result"].as_array().unwrap().clone()
    };
    for metric in ["work", "sleep", "na\\\"me"] {
        let selector = format!("{{job=\"j\",__name__=\"{metric}\"}}");
        let old = format!("[{}h] offset {hours}h", DAYS * 24 + 24 - hours);
        for (range, is_old) in [(old, true), (format!("[{hours}h]"), false)] {
            for series in count(format!("sum by (tenant_id) (count_over_time({selector}{range}))")) {
                let tenant = series["metric"]["tenant_id"].as_str().unwrap_or_default().to_owned();
                let (old, young) = all.entry(tenant).or_default();
                let value: u64 = series["value"][1].as_str().unwrap().parse().unwrap();
                *(if is_old { old } else { young }) += value;
            }
        }
    }
    all
}

fn tool(name: &str, config: &str, port: u16, arguments: &[&str]) -> Command {
    let path = process::folder().join(format!("{name}.json"));
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenancyctl"));
    command.arg("retention").arg(path).arg("--url").arg(format!("http://127.0.0.1:{port}"));
    command.args(["--rate", "10000"]).args(arguments).stdin(Stdio::null());
    command
}

fn run(name: &str, config: &str, port: u16, arguments: &[&str]) -> (i32, String) {
    let output = tool(name, config, port, arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn what_is_older_than_its_tenants_retention_is_deleted_and_nothing_else() {
    let (prometheus, port) = prometheus("prometheus-deletion", &["--web.enable-admin-api"]);
    prometheus.used();
    let before = samples(port, 48);
    assert_eq!(before.len(), 5, "{before:?}");
    let run = |config: &str, arguments: &[&str]| run("deletion", config, port, arguments);

    // Without --apply, it is only said.
    let (status, out) = run(CONFIG, &[]);
    assert_eq!(status, 0, "{out}");
    for tenant in ["team-a", "team-b", "team-ab"] {
        let line =
            format!("{tenant}: would delete 1 series of {{tenant_id=\"{tenant}\",__name__=\"na\\\"me\"}} before ");
        assert!(out.contains(&line), "{line}: {out}");
    }
    assert!(
        !out.contains("team-c") && out.contains("would delete 9 series of 9 metrics. Nothing was deleted"),
        "{out}"
    );
    assert_eq!(samples(port, 48), before);

    // Where there is no default, only who has a setting of its own.
    let only_a = r#"{"overrides": {"team-a": {"retention_period": "1d"}}}"#;
    let (status, out) = run(only_a, &[]);
    assert!(status == 0 && out.contains("3 series of 3 metrics") && !out.contains("team-b"), "{out}");

    // Selectors that may match another's.
    let selectors = r#"{"limits": {"retention_period": "1d"}, "tenant_selectors": {"team-b": "{job=\"j\"}"}}"#;
    let (status, out) = run(selectors, &["--apply"]);
    assert_eq!(status, 1, "{out}");
    assert!(out.contains("team-b: left out: it has a selector of its own"), "{out}");
    assert!(out.contains("team-a: left out: the selector of team-b (tenant_selectors) may match its series"), "{out}");
    assert!(out.contains("deleted 0 series"), "{out}");
    assert_eq!(samples(port, 48), before);
    for config in [r#"{"upstream": "cortex", "limits": {"retention_period": "1d"}}"#, "{\"tenant\": 1}"] {
        assert_ne!(run(config, &["--apply"]).0, 0, "{config}");
    }
    assert_eq!(samples(port, 48), before);

    let (status, out) = run(CONFIG, &["--apply", "--clean-after", "0s"]);
    assert_eq!(status, 0, "{out}");
    assert!(out.contains("deleted 9 series of 9 metrics") && out.contains("cleaned the tombstones"), "{out}");
    let after = samples(port, 48);
    for tenant in ["team-c", ""] {
        assert_eq!(after[tenant], before[tenant], "{tenant}");
    }
    for tenant in ["team-b", "team-ab"] {
        assert!(after[tenant].0 == 0 && after[tenant].1 == before[tenant].1, "{tenant}: {after:?} {before:?}");
    }
    let after = samples(port, 24);
    assert!(after["team-a"].0 == 0 && after["team-a"].1 > 0, "{after:?}");
    assert!(after["team-b"].0 > 0, "{after:?}");

    // At an interval, until it is ended. A line is one JSON object.
    let log = process::folder().join("deletion.log");
    let mut command = tool("deletion-every", CONFIG, port, &["--apply", "--every", "1s", "--json"]);
    let mut child = command.stdout(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let start = Instant::now();
    let rounds = || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines()
            .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["metrics"].is_u64()))
            .count()
    };
    while rounds() < 2 && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(rounds() >= 2, "{}", std::fs::read_to_string(&log).unwrap());
    assert_eq!(samples(port, 48)["team-c"], before["team-c"]);
}

#[test]
fn a_prometheus_without_its_admin_api_is_named() {
    let (prometheus, port) = prometheus("prometheus-no-admin", &[]);
    prometheus.used();
    assert_eq!(run("no-admin", CONFIG, port, &[]).0, 0);
    let (status, out) = run("no-admin", CONFIG, port, &["--apply"]);
    assert!(status == 2 && out.contains("start Prometheus with --web.enable-admin-api"), "{out}");
    let (status, out) = run("no-admin", CONFIG, process::free_port(), &[]);
    assert_eq!(status, 2, "nobody there: {out}");
}
