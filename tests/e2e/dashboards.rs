//! The operators' dashboard and rules: a real Prometheus scrapes a real Envoy, and after a mix of good and bad traffic each panel's
//! query and each rule returns data, and each alert is raised.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, form};
use crate::support::process::{self, Process};
use crate::support::stub::{BEHAVIOUR, Stub};
use crate::support::upstreams::prometheus_process;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RULES: &str = "examples/prometheus/tenancy_rules.yml";
/// A tenant in dry run.
pub const DRY: &str = "team-dry";
const DASHBOARD: &str = "examples/grafana/tenants.json";

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One request of each kind: successful, failed, refused, with a message, with an unreadable answer, and slow.
fn send_mix(envoy: &Envoy) {
    let get = |tenant: &str, query: &str| Request::get(&format!("/api/v1/query?query={query}")).tenant(tenant);
    let stats = r#"say {"status":"success","data":{"result":[],"stats":{"samples":{"totalQueryableSamples":70,"peakSamples":7}}}}"#;
    for tenant in ["team-a", "team-b"] {
        for request in [
            get(tenant, "up").header(BEHAVIOUR, stats),
            get(tenant, "up").header(BEHAVIOUR, "close"),
            get(tenant, "up").header(BEHAVIOUR, r#"say {"status":"success","warnings":["store one failed"]}"#),
            get(tenant, "up").header(BEHAVIOUR, "say no json"),
            get(tenant, "up").header(BEHAVIOUR, "1200"),
            Request::post("/api/v1/query_range", "query=up").tenant(tenant),
            get(tenant, "up("),
            get("team-refused", "up("),
            get(DRY, "up("),
        ] {
            request.try_send(envoy.port());
        }
    }
}

/// Prometheus's result for a query now.
fn result(port: u16, query: &str) -> Value {
    let answer = Request::post("/api/v1/query", &form(&[("query", query)])).send(port);
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()["data"]["result"].take()
}

fn has_data(result: &Value) -> bool {
    let is_number = |series: &Value| series["value"][1].as_str().is_some_and(|value| value != "NaN");
    result.as_array().is_some_and(|series| series.iter().any(is_number))
}

/// Title and query of each target of the dashboard, its variables filled in.
fn panels() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(example(DASHBOARD)).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let fill = |query: &str| {
        let query = query.replace("$__rate_interval", "1m").replace("$__range", "5m").replace("$tenant", ".*");
        assert!(!query.contains('$'), "a variable that is not known: {query}");
        query
    };
    let panels = dashboard["panels"].as_array().unwrap().iter();
    panels
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap();
            let targets = panel["targets"].as_array().unwrap().iter();
            targets.map(move |target| (title.to_owned(), fill(target["expr"].as_str().unwrap())))
        })
        .collect()
}

/// The panels and recording rules without data, and the alerts that are not firing.
fn missing(port: u16) -> Vec<String> {
    let mut missing: Vec<String> = panels()
        .into_iter()
        .filter(|(_, query)| !has_data(&result(port, query)))
        .map(|(title, query)| format!("panel {title}: {query}"))
        .collect();
    let rules = Request::get("/api/v1/rules").send(port).json();
    let groups = rules["data"]["groups"].as_array().unwrap();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert!(matches!(rule["health"].as_str(), Some("ok" | "unknown")), "{rule}");
        let name = rule["name"].as_str().unwrap();
        let is_there = match rule["type"].as_str() {
            Some("recording") => has_data(&result(port, name)),
            _ => rule["state"] != "inactive",
        };
        if !is_there {
            missing.push(format!("rule {name}"));
        }
    }
    missing
}

/// An Envoy that counts samples and can be made to trap, and a Prometheus that scrapes it.
pub struct Scene {
    pub envoy: Envoy,
    setup: Setup,
    _prometheus: Process,
    pub port: u16,
}

impl Scene {
    /// Starts both. Prometheus scrapes at this interval, and has the operators' rules.
    pub fn start(name: &str, setup: Setup, seconds: u32) -> Scene {
        let setup = setup
            .flushes_stats_soon()
            .plugin(json!({"stats": {"samples": true}, "overrides": {DRY: {"dry_run": true}}}));
        let envoy = setup.clone().start_with(&format!("envoy-{name}"), &process::program("TENANCY_WASM_TRAP"));
        let config = format!(
            "global: {{ scrape_interval: {seconds}s, evaluation_interval: {seconds}s }}\nrule_files: ['{}']\nscrape_configs:\n- job_name: envoy\n  metrics_path: /stats/prometheus\n  static_configs: [{{ targets: ['127.0.0.1:{}'] }}]\n",
            example(RULES).display(),
            envoy.admin_port()
        );
        let (prometheus, port) = prometheus_process(&format!("prometheus-{name}"), &config);
        let scene = Scene { envoy, setup, _prometheus: prometheus, port };
        // A series that first appears with a value has no increase, so there has to be a scrape before the traffic.
        let start = Instant::now();
        while !has_data(&result(port, "envoy_wasm_promql_tenancy_vm_reload_success")) {
            assert!(start.elapsed() < Duration::from_secs(30), "Prometheus scrapes nothing");
            std::thread::sleep(Duration::from_millis(100));
        }
        scene
    }

    pub fn trap(&self) {
        let request = Request::get("/api/v1/query?query=up").tenant("team-a").header("x-tenancy-test-trap", "1");
        request.try_send(self.envoy.port());
    }

    pub fn refuse_a_configuration(&self) {
        self.envoy.reload(&self.setup.clone().plugin(json!({"no such key": true})));
    }

    /// Draws the dashboard of the last minutes. Fails if a panel has no data.
    pub fn picture(&self, minutes: u32, scraped: u32) -> Result<String, String> {
        let output = Command::new("python3")
            .arg(example("scripts/dashboard-svg"))
            .args(["--prometheus", &format!("http://127.0.0.1:{}", self.port)])
            .args(["--dashboard", example(DASHBOARD).to_str().unwrap()])
            .args(["--minutes", &minutes.to_string(), "--scrape-interval", &scraped.to_string()])
            .output()
            .expect("python3 runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8(output.stdout).unwrap())
    }
}

/// Does `work` while another thread calls `send` again and again.
pub fn under_traffic(send: impl Fn() + Sync, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                send();
            }
        });
        // A panic in `work` must not leave the other thread running.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|problem| std::panic::resume_unwind(problem));
    });
}

#[test]
fn every_panel_and_every_rule_has_data_after_traffic() {
    let stub = Stub::start();
    let scene = Scene::start("dashboards", Setup::shipped(stub.port), 1);
    let rules = Request::get("/api/v1/rules").send(scene.port).json();
    let count =
        rules["data"]["groups"].as_array().unwrap().iter().map(|group| group["rules"].as_array().unwrap().len());
    assert_eq!(count.sum::<usize>(), 12, "rules were not read: {rules}");
    assert!(panels().len() >= 21);
    under_traffic(
        || send_mix(&scene.envoy),
        || {
            scene.trap();
            scene.refuse_a_configuration();
            let start = Instant::now();
            // The picture ends with the last whole second and looks back less far than the panels' queries, so that it may have
            // nothing yet of what they already show.
            let picture = loop {
                let missing = missing(scene.port);
                let drawn = if missing.is_empty() { scene.picture(1, 1) } else { Err(format!("{missing:#?}")) };
                match drawn {
                    Ok(picture) => break picture,
                    Err(problem) => assert!(start.elapsed() < Duration::from_secs(90), "no data: {problem}"),
                }
                std::thread::sleep(Duration::from_millis(500));
            };
            for (title, _) in panels() {
                assert!(picture.contains(&format!(">{title}</text>")), "{title} is not drawn");
            }
        },
    );
}

#[test]
fn the_dashboard_names_only_stats_that_there_are() {
    let known: Vec<&str> = promql_tenancy_filter::stats::ALL.iter().map(|stat| stat.name).collect();
    let rules = std::fs::read_to_string(example(RULES)).unwrap();
    let texts = panels().into_iter().map(|(_, query)| query).chain([rules]);
    for text in texts {
        let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_' || char == ':'));
        for word in words.filter(|word| word.starts_with("tenancy_")) {
            let stat = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            assert!(known.contains(&stat), "{word}");
        }
    }
}
