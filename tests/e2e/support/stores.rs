//! A Thanos with everything that can reveal other tenants: a store that fails, a ruler, a sidecar, a label that only the stores of one tenant have, and a
//! Query that sends parts of queries to another Query.

use super::http::{Request, form};
use super::process::{self, Process, free_port};
use super::{data, remote_write, upstreams};
use std::process::Command;

/// The two Queries, and what is behind them.
pub struct Stores {
    processes: Vec<Process>,
    leaf: u16,
    root: u16,
    grpc: Grpc,
}

/// The gRPC ports.
#[derive(Debug, Clone, Copy)]
pub struct Grpc {
    /// Of the Query that asks its stores.
    pub query: u16,
    /// Of the Receive with the data of all tenants.
    pub receive: u16,
    /// Of the sidecar, whose external labels don't name a tenant.
    pub sidecar: u16,
}

/// A rule without the label, in a ruler whose external label names the tenant. The alert then doesn't have the label.
const RULER: &str = "groups:
- name: of the ruler
  rules:
  - { alert: ByRulerOfteam_a, expr: vector(1) }
";
/// The label that the stores of team-b have beside the tenant's.
const LABELS_OF_B: &str = r#"{"label_of_team_b":"x"}"#;

impl Stores {
    /// The Query that asks its stores.
    pub fn leaf(&self) -> u16 {
        self.processes.iter().for_each(Process::used);
        self.leaf
    }

    /// The Query that asks the other one, in distributed mode.
    pub fn root(&self) -> u16 {
        self.processes.iter().for_each(Process::used);
        self.root
    }

    /// The gRPC ports.
    pub fn grpc(&self) -> Grpc {
        self.processes.iter().for_each(Process::used);
        self.grpc
    }

    pub fn start() -> Stores {
        let folder = process::folder();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (one_grpc, two_grpc) = (free_port(), free_port());
        let hashrings = format!(
            r#"[{{"tenants":["team-b"],"endpoints":["127.0.0.1:{one_grpc}"],"external_labels":{LABELS_OF_B}}},{{"endpoints":["127.0.0.1:{one_grpc}"]}}]"#
        );
        let one = receive(
            "stores-one",
            one_grpc,
            &["--receive.hashrings", &hashrings, "--receive.local-endpoint", &format!("127.0.0.1:{one_grpc}")],
        );
        let two = receive("stores-two", two_grpc, &[]);

        let rules = file("stores-rules.yml", data::RULES);
        let config = format!(
            "global:\n  evaluation_interval: 1s\n  external_labels: {{ cluster: one }}\nrule_files:\n- {rules}\n"
        );
        let (prometheus, prometheus_port) = upstreams::prometheus_process("prometheus-stores", &config);
        let (sidecar_grpc, ruler_grpc, leaf_grpc) = (free_port(), free_port(), free_port());
        let (leaf, root, other_leaf, other_leaf_grpc) = (free_port(), free_port(), free_port(), free_port());
        let sidecar = thanos(
            "stores-sidecar",
            "sidecar",
            free_port(),
            sidecar_grpc,
            &[
                "--prometheus.url",
                &format!("http://127.0.0.1:{prometheus_port}"),
                "--tsdb.path",
                &folder.join("prometheus-stores").display().to_string(),
            ],
        );
        let ruler = thanos(
            "stores-ruler",
            "rule",
            free_port(),
            ruler_grpc,
            &[
                "--label=tenant_id=\"team-a\"",
                "--eval-interval=1s",
                "--query",
                &format!("http://127.0.0.1:{leaf}"),
                "--rule-file",
                &file("ruler.yml", RULER),
                "--data-dir",
                &folder.join("stores-ruler").display().to_string(),
            ],
        );
        let endpoint = |grpc: u16| format!("--endpoint=127.0.0.1:{grpc}");
        let leaf_query = thanos(
            "stores-leaf",
            "query",
            leaf,
            leaf_grpc,
            &[
                "--query.lookback-delta=30m",
                "--query.replica-label=receive",
                "--web.prefix-header=X-Forwarded-Prefix",
                "--alert.query-url=https://metrics.example/",
                &endpoint(one_grpc),
                &endpoint(sidecar_grpc),
                &endpoint(ruler_grpc),
                // This store is asked even if it fails.
                &format!("--endpoint-strict=127.0.0.1:{two_grpc}"),
            ],
        );
        // Thanos rewrites a query for remote engines only if there are several.
        let other_leaf_query =
            thanos("stores-other-leaf", "query", other_leaf, other_leaf_grpc, &[&endpoint(sidecar_grpc)]);
        let root_query = thanos(
            "stores-root",
            "query",
            root,
            free_port(),
            &[
                "--query.lookback-delta=30m",
                "--query.replica-label=receive",
                "--query.mode=distributed",
                "--query.promql-engine=thanos",
                &endpoint(leaf_grpc),
                &endpoint(other_leaf_grpc),
            ],
        );
        for (process, http, write) in [&one, &two] {
            process.wait_until(|| upstreams::answers(*http));
            for owner in data::TENANTS {
                remote_write::write(*write, "/api/v1/receive", Some(owner), &data::series(owner));
            }
        }
        let lists = |port: u16, path: &str, texts: &[&str]| {
            Request::get(path)
                .try_send(port)
                .is_some_and(|answer| texts.iter().all(|text| answer.text().contains(text)))
        };
        let two_address = format!("127.0.0.1:{two_grpc}");
        let knows_all_of_two = || {
            let stores = Request::get("/api/v1/stores").try_send(leaf).map(|stores| stores.json());
            let stores = stores.as_ref().and_then(|stores| stores["data"]["receive"].as_array());
            let two = stores.and_then(|stores| stores.iter().find(|store| store["name"] == *two_address));
            two.is_some_and(|two| two["labelSets"].to_string().contains("team-b"))
        };
        let count = form(&[("query", "count(up) > 6"), ("time", &data::end().to_string())]);
        leaf_query.wait_until(|| {
            knows_all_of_two()
                && lists(leaf, "/api/v1/stores", &["label_of_team_b", "cluster"])
                && lists(leaf, "/api/v1/rules", &["ByRulerOfteam_a", "SecondOfteam_b"])
                && Request::get("/api/v1/alerts").send(leaf).text().matches("firing").count() > data::ALERTS
                && lists(leaf, &format!("/api/v1/query?{count}"), &["value"])
        });
        root_query.wait_until(|| lists(root, "/api/v1/stores", &["label_of_team_b"]));
        // The store fails from here on.
        drop(two.0);
        let processes = vec![one.0, prometheus, sidecar, ruler, leaf_query, other_leaf_query, root_query];
        let grpc = Grpc { query: leaf_grpc, receive: one_grpc, sidecar: sidecar_grpc };
        Stores { processes, leaf, root, grpc }
    }
}

/// A Query over an empty Receive, and a query frontend before it.
pub struct Frontend {
    processes: Vec<Process>,
    /// The port for writes to Receive.
    pub write: u16,
    /// The port of Query.
    pub query: u16,
    /// The port of the query-frontend.
    pub frontend: u16,
}

impl Frontend {
    pub fn start(name: &str) -> Frontend {
        let (grpc, query) = (free_port(), free_port());
        let (receive, http, write) = receive(&format!("{name}-receive"), grpc, &[]);
        let arguments = ["--query.lookback-delta=30m", &format!("--endpoint=127.0.0.1:{grpc}")];
        let query_process = thanos(&format!("{name}-query"), "query", query, free_port(), &arguments);
        let (frontend_process, frontend) = Frontend::before(&format!("{name}-frontend"), query);
        receive.wait_until(|| [http, query].into_iter().all(upstreams::answers));
        Frontend { processes: vec![receive, query_process, frontend_process], write, query, frontend }
    }

    /// A query frontend before a Query that runs already.
    pub fn before(name: &str, query: u16) -> (Process, u16) {
        let frontend = free_port();
        let mut command = Command::new(process::program("TENANCY_THANOS"));
        command
            .args(["query-frontend", "--log.level=warn"])
            .arg(format!("--http-address=127.0.0.1:{frontend}"))
            .arg(format!("--query-frontend.downstream-url=http://127.0.0.1:{query}"));
        let process = Process::start(name, command);
        process.wait_until(|| upstreams::answers(frontend));
        (process, frontend)
    }

    pub fn wait_until(&self, ready: impl Fn() -> bool) {
        self.processes.iter().for_each(|process| process.wait_until(&ready));
    }
}

/// A Receive, its HTTP port, and its port for writes.
/// A Receive, its port, and the one for remote write.
pub fn receive(name: &str, grpc: u16, arguments: &[&str]) -> (Process, u16, u16) {
    let (http, write) = (free_port(), free_port());
    let mut all = vec![
        "--label=receive=\"one\"".to_owned(),
        format!("--tsdb.path={}", process::folder().join(name).display()),
        "--tsdb.max-exemplars=1000".to_owned(),
        format!("--remote-write.address=127.0.0.1:{write}"),
        format!("--receive.capnproto-address=127.0.0.1:{}", free_port()),
    ];
    all.extend(arguments.iter().map(ToString::to_string));
    (thanos(name, "receive", http, grpc, &all), http, write)
}

pub fn thanos(name: &str, component: &str, http: u16, grpc: u16, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Process {
    let mut command = Command::new(process::program("TENANCY_THANOS"));
    command
        .args([component, "--log.level=warn"])
        .arg(format!("--http-address=127.0.0.1:{http}"))
        .arg(format!("--grpc-address=127.0.0.1:{grpc}"))
        .args(arguments);
    Process::start(name, command)
}
