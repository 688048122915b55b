//! A real Cortex: one process with everything in it, its query frontend, which divides and caches, storage in files, and tenant federation on. Or
//! its alertmanager alone, because that one takes the paths below `/api/prom` from the others where it runs in their process.

use super::http::{Body, Request};
use super::process::{self, Process, free_port};
use super::remote_write::{self, Series};
use super::upstreams;
use std::path::PathBuf;
use std::process::Command;

/// The path of remote write.
pub const PUSH: &str = "/api/v1/push";

pub struct Cortex {
    process: Process,
    port: u16,
}

impl Cortex {
    pub fn start(name: &str) -> Cortex {
        Cortex::target(name, "all", &[])
    }

    /// Likewise, with more arguments.
    pub fn start_with(name: &str, arguments: &[String]) -> Cortex {
        Cortex::target(name, "all", arguments)
    }

    /// The folder of a tenant's blocks.
    pub fn blocks(name: &str, tenant: &str) -> PathBuf {
        process::folder().join(name).join("blocks").join(tenant)
    }

    pub fn alertmanager(name: &str) -> Cortex {
        Cortex::target(name, "alertmanager", &[])
    }

    fn target(name: &str, target: &str, arguments: &[String]) -> Cortex {
        let folder = process::folder().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (port, grpc, gossip) = (free_port(), free_port(), free_port());
        let path = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "target: {target}
auth_enabled: true
name_validation_scheme: utf8
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: warn}}
memberlist: {{bind_addr: [127.0.0.1], bind_port: {gossip}}}
tenant_federation: {{enabled: true}}
querier: {{lookback_delta: 30m, enable_promql_experimental_functions: true, active_query_tracker_dir: {active}}}
query_range:
  split_queries_by_interval: 10m
  align_queries_with_step: true
  cache_results: true
  results_cache: {{cache: {{enable_fifocache: true, fifocache: {{max_size_bytes: 10MB, validity: 1h}}}}}}
distributor: {{shard_by_all_labels: true, remote_writev2_enabled: true, remote_timeout: 30s, ring: {{kvstore: {{store: inmemory}}, instance_addr: 127.0.0.1}}}}
ingester:
  lifecycler:
    address: 127.0.0.1
    min_ready_duration: 0s
    final_sleep: 0s
    num_tokens: 64
    ring: {{kvstore: {{store: inmemory}}, replication_factor: 1}}
blocks_storage: {{backend: filesystem, filesystem: {{dir: {blocks}}}, tsdb: {{dir: {tsdb}}}, bucket_store: {{sync_dir: {sync}}}}}
compactor: {{data_dir: {compactor}, sharding_ring: {{kvstore: {{store: inmemory}}}}}}
ruler: {{enable_api: true, rule_path: {rules}, ring: {{kvstore: {{store: inmemory}}, instance_addr: 127.0.0.1}}, evaluation_interval: 1s, poll_interval: 1s}}
ruler_storage: {{backend: filesystem, filesystem: {{dir: {ruler}}}}}
alertmanager: {{enable_api: true, data_dir: {alertmanager}, external_url: 'http://127.0.0.1:{port}/alertmanager', fallback_config_file: {routes}, cluster: {{listen_address: ''}}}}
alertmanager_storage: {{backend: filesystem, filesystem: {{dir: {alerts}}}}}
limits: {{max_exemplars: 1000, enable_native_histograms: true}}
",
            active = path("active"),
            blocks = path("blocks"),
            tsdb = path("tsdb"),
            sync = path("sync"),
            compactor = path("compactor"),
            rules = path("rules"),
            ruler = path("ruler"),
            alertmanager = path("alertmanager"),
            alerts = path("alerts"),
            routes = path("routes.yaml"),
        );
        std::fs::write(folder.join("routes.yaml"), "route: {receiver: all}\nreceivers: [{name: all}]\n").unwrap();
        let file = folder.join("cortex.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(process::program("TENANCY_CORTEX"));
        command.arg(format!("-config.file={}", file.display())).args(arguments);
        Cortex::run(name, command, port)
    }

    /// Waits until it is ready. Mimir is one too.
    pub fn run(name: &str, command: Command, port: u16) -> Cortex {
        let process = Process::start(name, command);
        process.wait_until(|| Request::get("/ready").try_send(port).is_some_and(|answer| answer.status == 200));
        Cortex { process, port }
    }

    /// The port on which it serves everything. Its log is shown if the current test fails.
    pub fn port(&self) -> u16 {
        self.process.used();
        self.port
    }

    pub fn wait_until(&self, ready: impl Fn() -> bool) {
        self.process.wait_until(ready);
    }

    /// Writes series of a tenant, past the filter.
    pub fn write(&self, tenant: &str, series: &[Series]) {
        let answer = push(series).header("x-scope-orgid", tenant).send(self.port);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A request that writes series, of a tenant that is still to be named.
pub fn push(series: &[Series]) -> Request {
    pushed(remote_write::message(series))
}

/// The same, with a body of version 1.0 that is whole.
pub fn pushed(body: Vec<u8>) -> Request {
    let request = Request::new("POST", PUSH)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0");
    Request { body: Body::Sized(body), ..request }
}

/// A Prometheus with this data, each series written with its tenant in the label `tenant_id`. What a series has there already is kept under the
/// name by which `federation_label` shows it so.
pub fn prometheus(name: &str, tenants: &[(&str, Vec<Series>)]) -> (Process, u16) {
    let (process, port) = upstreams::prometheus_process(name, "storage:\n  exemplars:\n    max_exemplars: 1000\n");
    for (tenant, series) in tenants {
        let mut series = series.clone();
        for series in &mut series {
            for (name, _) in series.labels.iter_mut().filter(|(name, _)| name == "tenant_id") {
                *name = "original___tenant_id__".to_owned();
            }
            series.labels.push(("tenant_id".to_owned(), tenant.to_string()));
        }
        remote_write::write(port, "/api/v1/write", None, &series);
    }
    (process, port)
}
