//! A real Mimir: one process with everything in it, its query frontend and its alertmanager too, storage in files, and tenant federation on. What is
//! done with a Cortex can be done with it.

use super::cortex::Cortex;
use super::process::{self, free_port};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

pub fn start(name: &str) -> Cortex {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install-mimir");
        let output = Command::new(script).output().expect("scripts/install-mimir runs");
        assert!(output.status.success(), "scripts/install-mimir: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a path").trim_end().into()
    });
    let folder = process::folder().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let (port, grpc, gossip) = (free_port(), free_port(), free_port());
    let ring = "{instance_addr: 127.0.0.1, kvstore: {store: inmemory}}";
    let ring_of_one = "{instance_addr: 127.0.0.1, kvstore: {store: inmemory}, replication_factor: 1}";
    let config = format!(
        "target: all,alertmanager
multitenancy_enabled: true
usage_stats: {{enabled: false}}
activity_tracker: {{filepath: ''}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: warn}}
memberlist: {{bind_addr: [127.0.0.1], bind_port: {gossip}}}
tenant_federation: {{enabled: true}}
limits: {{enabled_promql_experimental_functions: all, name_validation_scheme: utf8, max_global_exemplars_per_user: 1000, native_histograms_ingestion_enabled: true, cardinality_analysis_enabled: true, align_queries_with_step: true}}
querier: {{lookback_delta: 30m}}
frontend: {{address: 127.0.0.1, split_queries_by_interval: 10m}}
query_scheduler: {{ring: {ring}}}
distributor: {{influx_endpoint_enabled: true, ring: {ring}}}
ingester: {{ring: {{instance_addr: 127.0.0.1, num_tokens: 64, min_ready_duration: 0s, final_sleep: 0s, kvstore: {{store: inmemory}}, replication_factor: 1}}}}
blocks_storage: {{backend: filesystem, filesystem: {{dir: blocks}}, tsdb: {{dir: tsdb}}, bucket_store: {{sync_dir: sync}}}}
compactor: {{data_dir: compactor, sharding_ring: {ring}}}
store_gateway: {{sharding_ring: {ring_of_one}}}
ruler: {{rule_path: rules, ring: {ring}, evaluation_interval: 1s, poll_interval: 1s}}
ruler_storage: {{backend: filesystem, filesystem: {{dir: rule-storage}}}}
alertmanager: {{data_dir: alertmanager, external_url: 'http://127.0.0.1:{port}/alertmanager', fallback_config_file: routes.yaml, sharding_ring: {ring_of_one}}}
alertmanager_storage: {{backend: filesystem, filesystem: {{dir: alerts}}}}
"
    );
    std::fs::write(folder.join("mimir.yaml"), config).unwrap();
    std::fs::write(folder.join("routes.yaml"), "route: {receiver: all}\nreceivers: [{name: all}]\n").unwrap();
    let mut command = Command::new(&*PROGRAM);
    command.arg("-config.file=mimir.yaml").current_dir(folder);
    Cortex::run(name, command, port)
}
