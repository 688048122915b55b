//! Follows docs/getting-started.md as a reader would: pastes its pieces into the configuration of an Envoy without the filter.

use crate::support::http::Request;
use crate::support::process::{self, Process};
use crate::support::prometheus;
use std::path::Path;
use std::process::Command;

/// A listener, a route and a cluster. `FILTERS` stands before the router.
const ENVOY: &str = r#"
static_resources:
  listeners:
  - name: main
    per_connection_buffer_limit_bytes: 2097152
    address: { socket_address: { address: 127.0.0.1, port_value: LISTEN } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          http_filters:
FILTERS
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - { name: main, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: upstream } }] }
  clusters:
  - name: upstream
    type: STRICT_DNS
    load_assignment:
      cluster_name: upstream
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: UPSTREAM } } } }] }]
"#;

#[test]
fn guide_leads_to_an_enforced_query() {
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md")).unwrap();
    let (_, block) = guide.split_once("```yaml\n").expect("the filter");
    let (block, rest) = block.split_once("```").expect("its end");
    let setting = "per_connection_buffer_limit_bytes: 2097152";
    assert!(rest.contains(setting) && ENVOY.contains(setting), "the guide says what else belongs to the listener");
    let (_, stats) = rest.split_once("```yaml\n").expect("the tags of stats");
    let (stats, _) = stats.split_once("```").expect("their end");
    let filter: String = block.lines().map(|line| format!("          {line}\n")).collect();
    let module = process::program("TENANCY_WASM");
    let port = process::free_port();
    let yaml = ENVOY
        .replace("FILTERS\n", &filter)
        .replace("/etc/envoy/promql_tenancy_filter.wasm", module.to_str().unwrap())
        .replace("LISTEN", &port.to_string())
        .replace("UPSTREAM", &prometheus().upstream.port().to_string());
    let path = process::folder().join("getting-started.yaml");
    std::fs::write(&path, format!("{stats}{yaml}")).unwrap();
    #[cfg(feature = "cli")]
    {
        let check = Command::new(env!("CARGO_BIN_EXE_tenancyctl")).arg("check").arg(&path).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
    let mut command = Command::new(process::program("TENANCY_ENVOY"));
    command.arg("--config-path").arg(&path).args(["--disable-hot-restart", "--concurrency", "1"]);
    let envoy = Process::start("envoy-getting-started", command);
    envoy.wait_until(|| Request::get("/").try_send(port).is_some());
    assert!(envoy.log().contains(": configuration accepted"), "{}", envoy.log());

    // The commands in step 4 of the guide.
    for query in
        ["count+by+(tenant_id)+(temperature)", "count+by+(tenant_id)+(temperature%7Btenant_id=%22team-b%22%7D)"]
    {
        let time = crate::support::data::end();
        let answer = Request::get(&format!("/api/v1/query?query={query}&time={time}")).tenant("team-a").send(port);
        let result = answer.json()["data"]["result"].clone();
        assert_eq!(result.as_array().unwrap().len(), 1, "{result}");
        assert_eq!(result[0]["metric"]["tenant_id"], "team-a", "{result}");
    }
    Request::get("/api/v1/query?query=up").send(port).refused(401);
    Request::get("/api/v1/targets").tenant("team-a").send(port).refused(403);
}
