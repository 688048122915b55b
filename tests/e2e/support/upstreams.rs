//! The real upstreams, in two topologies: one Prometheus with the series of all tenants, and Thanos Query over Thanos Receive, where the tenant is an
//! external label of each tenant's TSDB.

use super::http::{Request, form};
use super::process::{self, Process};
use super::{data, remote_write};
use std::path::Path;
use std::process::Command;

/// A Prometheus, or a Thanos Query with what is behind it.
pub struct Upstream {
    processes: Vec<Process>,
    port: u16,
}

impl Upstream {
    /// The port on which it serves queries. Its log is shown if the current test fails.
    pub fn port(&self) -> u16 {
        self.processes.iter().for_each(Process::used);
        self.port
    }
}

/// A Prometheus with every option that a query can need, and the data of all tenants.
pub fn prometheus() -> Upstream {
    let upstream = start_prometheus("prometheus", "storage:\n  exemplars:\n    max_exemplars: 1000\n");
    for tenant in data::TENANTS {
        remote_write::write(upstream.port, "/api/v1/write", None, &data::labelled(tenant));
    }
    remote_write::write(upstream.port, "/api/v1/write", None, &data::series(data::NOBODY));
    upstream
}

/// A Prometheus with the rules of all tenants, which are evaluated every second. The one with the data is separate, because its answers must not
/// change.
pub fn prometheus_with_rules() -> Upstream {
    let rules = process::folder().join("rules.yml");
    std::fs::write(&rules, data::RULES).unwrap();
    let config = format!("global:\n  evaluation_interval: 1s\nrule_files:\n- {}\n", rules.display());
    let upstream = start_prometheus("prometheus-rules", &config);
    upstream.processes[0].wait_until(|| {
        let alerts = Request::get("/api/v1/alerts").try_send(upstream.port);
        alerts.is_some_and(|alerts| alerts.text().matches("firing").count() == data::ALERTS)
    });
    upstream
}

/// The Prometheus of `make run`, with its rules.
pub fn demo_prometheus() -> Upstream {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus");
    let config = std::fs::read_to_string(folder.join("prometheus.yml")).unwrap();
    assert_eq!(config.matches("[rules.yml]").count(), 1, "{config}");
    start_prometheus("prometheus-demo", &config.replace("[rules.yml]", &format!("[{}/rules.yml]", folder.display())))
}

/// A Prometheus with its web pages, and with the data and the rules of all tenants.
pub fn prometheus_with_pages() -> Upstream {
    let rules = process::folder().join("pages-rules.yml");
    std::fs::write(&rules, data::RULES).unwrap();
    let config = format!("global:\n  evaluation_interval: 1s\nrule_files:\n- {}\n", rules.display());
    // Where it is not built in, a Prometheus finds its pages below a folder of this name.
    let pages = super::installed("install-prometheus-ui");
    let folder = pages.ancestors().find(|folder| folder.ends_with("prometheus")).expect("a folder `prometheus`");
    let (process, port) = prometheus_in(Some(folder), "prometheus-pages", &config, &[]);
    for tenant in data::TENANTS {
        remote_write::write(port, "/api/v1/write", None, &data::labelled(tenant));
    }
    Upstream { processes: vec![process], port }
}

fn start_prometheus(name: &str, config: &str) -> Upstream {
    let (process, port) = prometheus_process(name, config);
    Upstream { processes: vec![process], port }
}

/// A Prometheus, and the port on which it serves.
pub fn prometheus_process(name: &str, config: &str) -> (Process, u16) {
    prometheus_with(name, config, &[])
}

/// The same, with more arguments.
pub fn prometheus_with(name: &str, config: &str, arguments: &[&str]) -> (Process, u16) {
    prometheus_in(None, name, config, arguments)
}

fn prometheus_in(working: Option<&Path>, name: &str, config: &str, arguments: &[&str]) -> (Process, u16) {
    let port = process::free_port();
    let folder = process::folder();
    let file = folder.join(format!("{name}.yml"));
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(process::program("TENANCY_PROMETHEUS"));
    if let Some(working) = working {
        command.current_dir(working);
    }
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join(name).display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
        .args(arguments)
        // Federation looks back from now; the data ends when the tests begin.
        .arg("--query.lookback-delta=30m")
        .arg("--enable-feature=exemplar-storage,promql-experimental-functions,promql-duration-expr,search-api")
        .arg("--enable-feature=promql-extended-range-selectors,promql-binop-fill-modifiers");
    let process = Process::start(name, command);
    process.wait_until(|| answers(port));
    (process, port)
}

/// Thanos Query over Thanos Receive.
pub fn thanos() -> Upstream {
    let program = process::program("TENANCY_THANOS");
    let folder = process::folder();
    let port = process::free_port;
    let (receive_http, receive_grpc, write, capnproto) = (port(), port(), port(), port());
    let mut command = Command::new(&program);
    command
        .args(["receive", "--log.level=warn", "--label=receive=\"one\""])
        .arg(format!("--tsdb.path={}", folder.join("receive").display()))
        .arg("--tsdb.max-exemplars=1000")
        .arg(format!("--http-address=127.0.0.1:{receive_http}"))
        .arg(format!("--grpc-address=127.0.0.1:{receive_grpc}"))
        .arg(format!("--remote-write.address=127.0.0.1:{write}"))
        // This is not used here, but two runs of these tests at the same time would share its default port.
        .arg(format!("--receive.capnproto-address=127.0.0.1:{capnproto}"));
    let receive = Process::start("thanos-receive", command);

    let (query_http, query_grpc) = (port(), port());
    let mut command = Command::new(&program);
    command
        .args(["query", "--log.level=warn", "--query.replica-label=receive", "--query.default-evaluation-interval=1m"])
        .arg("--query.lookback-delta=30m")
        .arg(format!("--http-address=127.0.0.1:{query_http}"))
        .arg(format!("--grpc-address=127.0.0.1:{query_grpc}"))
        .arg(format!("--endpoint=127.0.0.1:{receive_grpc}"));
    let query = Process::start("thanos-query", command);

    receive.wait_until(|| answers(receive_http));
    for owner in data::TENANTS.into_iter().chain([data::NOBODY]) {
        remote_write::write(write, "/api/v1/receive", Some(owner), &data::series(owner));
    }
    query.wait_until(|| {
        let everybody = form(&[("query", "count(count by (tenant_id) (up)) == 3"), ("time", &data::end().to_string())]);
        let answer = Request::get(&format!("/api/v1/query?{everybody}")).try_send(query_http);
        answer.is_some_and(|answer| answer.status == 200 && answer.text().contains("value"))
    });
    Upstream { processes: vec![receive, query], port: query_http }
}

/// Whether a server is ready on this port.
pub fn answers(port: u16) -> bool {
    Request::get("/-/ready").try_send(port).is_some_and(|answer| answer.status == 200)
}
