//! Targets of a Prometheus that scrapes for two tenants, by its sidecar: without the filter all of them, with it the tenant's.

use super::TARGETS;
use crate::support::grpc::{self, Answer, call};
use crate::support::process::{self, free_port};
use crate::support::{stores, upstreams};
use promql_tenancy_filter::wire::protobuf::repeated;
use promql_tenancy_filter::wire::thanos::TargetsRequest;

/// The active targets, and those that relabelling dropped, each as text.
fn targets(answer: &Answer) -> [Vec<String>; 2] {
    assert_eq!(answer.code, 0, "{}", answer.text());
    [1, 2].map(|field| {
        let discovered = answer.messages.iter().flat_map(|message| repeated(message, 1).map(Result::unwrap));
        let all = discovered.flat_map(|targets| repeated(targets, field).map(Result::unwrap));
        all.map(|target| String::from_utf8_lossy(target).into_owned()).collect()
    })
}

#[test]
fn targets_are_the_tenant_s() {
    let mut config = "global: {scrape_interval: 1s, external_labels: {cluster: one}}\nscrape_configs:\n".to_owned();
    for (job, label) in [("a", "tenant_id: team-a"), ("b", "tenant_id: team-b"), ("n", "owner: nobody")] {
        config += &format!(
            "- job_name: pool of {job}\n  static_configs:\n  - targets: ['{job}1.invalid:1', '{job}2.invalid:2', 'dropped-{job}:1']\n    labels: {{{label}}}\n  \
             relabel_configs:\n  - {{source_labels: [__address__], regex: 'dropped-.*', action: drop}}\n"
        );
    }
    let (_prometheus, port) = upstreams::prometheus_process("grpc-targets", &config);
    let grpc_port = free_port();
    let arguments = [
        format!("--prometheus.url=http://127.0.0.1:{port}"),
        format!("--tsdb.path={}", process::folder().join("grpc-targets").display()),
    ];
    let sidecar = stores::thanos("grpc-targets-sidecar", "sidecar", free_port(), grpc_port, &arguments);
    let envoy = grpc::setup(grpc_port).start("envoy-grpc-targets");
    let ask = |port: u16, tenant: Option<&str>| call(port, tenant, TARGETS, &TargetsRequest::default());
    // The sidecar answers before it has the first labels of its Prometheus.
    sidecar.wait_until(|| {
        let answer = ask(grpc_port, None);
        answer.code == 0 && ["pool of a", "pool of b", "cluster"].iter().all(|text| answer.text().contains(text))
    });
    let all = targets(&ask(grpc_port, Some("team-a")));
    assert_eq!([all[0].len(), all[1].len()], [6, 3], "without the filter: {all:?}");
    for (tenant, job) in [("team-a", "a"), ("team-b", "b")] {
        let answer = ask(envoy.port(), Some(tenant));
        let own = targets(&answer);
        assert_eq!([own[0].len(), own[1].len()], [2, 1], "{own:?}");
        for host in [format!("{job}1.invalid"), format!("{job}2.invalid")] {
            assert!(own[0].iter().any(|target| target.contains(&host)), "{own:?}");
        }
        assert!(own.iter().flatten().all(|target| target.contains(tenant)), "{own:?}");
        for other in ["a", "b", "n"].into_iter().filter(|other| *other != job) {
            for mark in [format!("pool of {other}"), format!("{other}1.invalid"), format!("dropped-{other}")] {
                assert!(!answer.text().contains(&mark), "{tenant} sees {mark}: {}", answer.text());
            }
        }
    }
    assert_eq!(targets(&ask(envoy.port(), Some("team-c"))), [Vec::<String>::new(), Vec::new()]);
    envoy.assert_healthy();
}
