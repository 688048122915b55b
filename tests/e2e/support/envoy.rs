//! Envoy with the shipped configuration: `envoy/envoy.yaml` and the `envoy/promql_tenancy.yaml` that it discovers, in which
//! only the marked lines, the paths of module and second file, and what a test is about are changed.

use super::http::Request;
use super::metrics::Metrics;
use super::process::{self, Process};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is changed in the shipped configuration.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The bootstrap.
    yaml: String,
    /// The file that holds the filter.
    filter: String,
    workers: u32,
    /// Another version of Envoy than the tests' own.
    program: Option<PathBuf>,
}

/// A running Envoy.
pub struct Envoy {
    process: Process,
    /// Where clients connect.
    pub port: u16,
    admin: u16,
    wasm: PathBuf,
    /// The file that holds the filter.
    filter: PathBuf,
    /// How much of its log has been looked at.
    looked_at: AtomicUsize,
}

/// Where `envoy/envoy.yaml` finds the filter.
const FILTER: &str = "path: envoy/promql_tenancy.yaml\n";
const FILTER_FOLDER: &str = "{ path: envoy }";

impl Setup {
    /// As shipped, in front of an upstream on this port.
    pub fn shipped(upstream: u16) -> Setup {
        let read = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy").join(name);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Setup { yaml: read("envoy.yaml"), filter: read("promql_tenancy.yaml"), workers: 1, program: None }
            .port("PROMETHEUS_PORT", upstream)
    }

    /// One of the other bootstraps, which hold the filter themselves; its identities are those of this run.
    pub fn example(name: &str, upstream: u16) -> Setup {
        Setup::bootstrap(name, &[("PROMETHEUS_PORT", upstream)])
    }

    /// Likewise, with these ports in the lines that have these marks.
    pub fn bootstrap(name: &str, ports: &[(&str, u16)]) -> Setup {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy").join(name);
        let yaml = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let identities = format!("{}/", super::identities::folder().display());
        let yaml = yaml.replace("filename: envoy/identities/", &format!("filename: {identities}"));
        let setup = Setup { yaml, filter: String::new(), workers: 1, program: None };
        ports.iter().fold(setup, |setup, (mark, port)| setup.port(mark, *port))
    }

    /// Sets keys of the plugin's configuration, beside those that are shipped.
    pub fn plugin(self, keys: serde_json::Value) -> Setup {
        let mut plugin: serde_json::Value = serde_json::from_str(&self.block().1).unwrap();
        plugin.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        self.plugin_text(&plugin.to_string())
    }

    /// Replaces the whole text of the plugin's configuration by one line.
    pub fn plugin_text(mut self, text: &str) -> Setup {
        let (range, _) = self.block();
        self.filter.replace_range(range, &format!("          {text}\n"));
        self
    }

    /// So many workers; by default one, so that a request meets the VM that an earlier one was served by.
    pub fn workers(self, workers: u32) -> Setup {
        Setup { workers, ..self }
    }

    /// Another version of Envoy.
    pub fn of_program(self, program: &Path) -> Setup {
        Setup { program: Some(program.to_owned()), ..self }
    }

    /// Switches `allow_on_headers_stop_iteration`, Envoy's and the filter's.
    pub fn stop_iteration(self, allowed: bool) -> Setup {
        self.replace("allow_on_headers_stop_iteration: true", &format!("allow_on_headers_stop_iteration: {allowed}"))
            .plugin(serde_json::json!({ "allow_on_headers_stop_iteration": allowed }))
    }

    /// Lets HTTP/1 trailers through, which Envoy drops unless told otherwise.
    pub fn http1_trailers(self) -> Setup {
        self.replace("{ accept_http_10: true }", "{ accept_http_10: true, enable_trailers: true }")
            .replace("http_protocol_options: {} }", "http_protocol_options: { enable_trailers: true } }")
    }

    /// Changes a text that stands exactly once in the two files.
    pub fn replace(mut self, old: &str, new: &str) -> Setup {
        let count = self.yaml.matches(old).count() + self.filter.matches(old).count();
        assert_eq!(count, 1, "envoy/*.yaml: {old:?} has to stand there once");
        self.yaml = self.yaml.replace(old, new);
        self.filter = self.filter.replace(old, new);
        self
    }

    /// Replaces the whole file that holds the filter.
    pub fn filter(self, text: &str) -> Setup {
        Setup { filter: text.to_owned(), ..self }
    }

    /// Sends requests with this header to a second upstream, over `http` or `http2`, each over a connection of its own.
    pub fn second_upstream(mut self, header: &str, port: u16, protocol: &str) -> Setup {
        const CLUSTER: &str = r#"  - name: second
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { PROTOCOL_protocol_options: {} }
        common_http_protocol_options: { max_requests_per_connection: 1 }
    load_assignment:
      cluster_name: second
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: SECOND_PORT } } }
"#;
        let route = "              - match: { prefix: / }\n";
        let second = format!(
            "              - match: {{ prefix: /, headers: [{{ name: {header}, present_match: true }}] }}\n                route: {{ cluster: second }}\n"
        );
        self = self.replace(route, &(second + route));
        self.yaml.push_str(&CLUSTER.replace("SECOND_PORT", &port.to_string()).replace("PROTOCOL", protocol));
        self
    }

    /// Histograms show soon, not after Envoy's 5 seconds.
    pub fn flushes_stats_soon(self) -> Setup {
        self.replace("\nstats_config:\n", "\nstats_flush_interval: 0.2s\nstats_config:\n")
    }

    /// Takes the filter out.
    pub fn without_filter(mut self) -> Setup {
        let start = self.yaml.find("          - name: promql_tenancy\n").expect("the filter");
        let end = self.yaml.find("          - name: envoy.filters.http.router\n").expect("the router");
        self.yaml.replace_range(start..end, "");
        self
    }

    /// Starts it with the shipped module, and waits until it serves.
    pub fn start(self, name: &str) -> Envoy {
        self.start_with(name, &super::native::module())
    }

    /// Starts it with another module, wasm or native.
    pub fn start_with(self, name: &str, wasm: &Path) -> Envoy {
        let envoy = self.launch(name, wasm);
        envoy
            .process
            .wait_until(|| Request::get("/ready").try_send(envoy.admin).is_some_and(|answer| answer.status == 200));
        envoy
    }

    /// Starts it, and waits for nothing.
    pub fn launch(self, name: &str, wasm: &Path) -> Envoy {
        let (port, admin) = (process::free_port(), process::free_port());
        let setup = self.port("LISTEN_PORT", port).port("ADMIN_PORT", admin);
        let folder = process::folder().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let filter = folder.join("promql_tenancy.yaml");
        std::fs::write(&filter, setup.filter_with(wasm)).unwrap();
        let yaml = setup.yaml.replace(FILTER, &format!("path: {}\n", filter.display()));
        let yaml = yaml.replace(FILTER_FOLDER, &format!("{{ path: {} }}", folder.display()));
        let yaml = super::native::with_module(&yaml, wasm);
        let path = process::folder().join(format!("{name}.yaml"));
        std::fs::write(&path, yaml).unwrap();
        let process = Process::start(name, command(&path, &setup));
        Envoy { process, port, admin, wasm: wasm.to_owned(), filter, looked_at: AtomicUsize::new(0) }
    }

    fn filter_with(&self, wasm: &Path) -> String {
        super::native::with_module(&self.filter, wasm)
    }

    /// A line's port, by the mark at its end.
    fn port(mut self, mark: &str, port: u16) -> Setup {
        let mark = format!(" }} # {mark}\n");
        assert_eq!(self.yaml.matches(&mark).count(), 1, "envoy/envoy.yaml: one line has to end with {mark:?}");
        let end = self.yaml.find(&mark).unwrap();
        let start = self.yaml[..end].rfind(' ').unwrap() + 1;
        self.yaml.replace_range(start..end, &port.to_string());
        self
    }

    /// Where the plugin's configuration stands, and its text.
    fn block(&self) -> (std::ops::Range<usize>, String) {
        const OPENING: &str = "\n        value: |\n";
        assert_eq!(self.filter.matches(OPENING).count(), 1);
        let start = self.filter.find(OPENING).unwrap() + OPENING.len();
        let lines = self.filter[start..].split_inclusive('\n').take_while(|line| line.starts_with("          "));
        let text: String = lines.collect();
        (start..start + text.len(), text)
    }
}

impl Envoy {
    /// The port, noted as used by the current test.
    pub fn port(&self) -> u16 {
        self.process.used();
        self.port
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Replaces the file that holds the filter, as an operator would: by a rename.
    pub fn reload(&self, setup: &Setup) {
        let new = self.filter.with_extension("new");
        std::fs::write(&new, setup.filter_with(&self.wasm)).unwrap();
        std::fs::rename(new, &self.filter).unwrap();
    }

    /// The file that holds the filter.
    pub fn filter_file(&self) -> &Path {
        &self.filter
    }

    /// What `reload` would write.
    pub fn filter_text(&self, setup: &Setup) -> String {
        setup.filter_with(&self.wasm)
    }

    /// A counter or gauge of Envoy's own.
    pub fn stat(&self, name: &str) -> u64 {
        let answer = Request::get(&format!("/stats?filter=^{name}$")).send(self.admin);
        let text = answer.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no stat {name}: {text}"))
    }

    /// The admin page's answer.
    pub fn admin(&self, path: &str) -> String {
        self.process.used();
        Request::get(path).send(self.admin).text()
    }

    /// Where Prometheus can scrape it.
    pub fn admin_port(&self) -> u16 {
        self.admin
    }

    /// What Prometheus would scrape.
    pub fn metrics(&self) -> Metrics {
        Metrics::read(&self.admin("/stats/prometheus"))
    }

    /// Waits until the stats are as they should be; fails with those whose name contains `shown`.
    pub fn wait_for_metrics(&self, shown: &str, are: impl Fn(&Metrics) -> bool) -> Metrics {
        let start = Instant::now();
        loop {
            let metrics = self.metrics();
            if are(&metrics) {
                return metrics;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{:#?}", metrics.lines(shown));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How often a VM that trapped was to be started again: a later request does that.
    pub fn reloads(&self) -> u64 {
        if super::native::is_native(&self.wasm) {
            return 0;
        }
        let outcomes = ["success", "failure", "backoff"];
        outcomes.iter().map(|outcome| self.stat(&format!("wasm.promql_tenancy.vm_reload_{outcome}"))).sum()
    }

    /// Asserts that no VM has trapped and that Envoy still runs.
    pub fn assert_healthy(&self) {
        assert!(self.process.ended().is_none(), "Envoy ended: {:?}", self.process.ended());
        let log = self.process.log();
        // Whole lines, and each of them once. Escapes stand for bytes that are no text.
        let from = self.looked_at.load(Ordering::Relaxed);
        let log = log.get(from..).unwrap_or(&log);
        self.looked_at.fetch_max(from + log.rfind('\n').map_or(0, |end| end + 1), Ordering::Relaxed);
        let trouble = [
            "RuntimeError",
            "Proxy-Wasm plugin in-VM",
            "VM failure",
            "panicked",
            "Function: ",
            "Caught ",
            "envoy bug failure",
        ];
        let lines: Vec<&str> = log.lines().filter(|line| trouble.iter().any(|sign| line.contains(sign))).collect();
        assert!(lines.is_empty(), "{lines:#?}");
        assert_eq!(self.reloads(), 0);
    }
}

/// Envoy with the log lines of the filter.
fn command(config: &Path, setup: &Setup) -> Command {
    let program = setup.program.clone().unwrap_or_else(|| process::program("TENANCY_ENVOY"));
    let mut command = emulated(&program);
    command
        .arg("--config-path")
        .arg(config)
        .args(["--disable-hot-restart", "--concurrency", &setup.workers.to_string(), "--reject-unknown-dynamic-fields"])
        .args(["--file-flush-interval-msec", "50"])
        .args(["--log-level", "warning", "--component-log-level", "wasm:info,dynamic_modules:info"])
        .current_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    command
}

/// The program, or, where it is one of another processor, what runs it there (`scripts/test-aarch64`).
fn emulated(program: &Path) -> Command {
    let emulator = std::env::var("TENANCY_EMULATOR").unwrap_or_default();
    let mut words = emulator.split_whitespace();
    let Some(emulator) = words.next() else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.args(words).arg(program);
    command
}
