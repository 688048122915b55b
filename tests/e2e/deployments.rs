//! Runs the topologies of examples/docker-compose natively: Thanos Query over two Prometheus with sidecars, and over Receive and a Ruler. The check
//! script of the example succeeds, and fails as soon as anything is wrong.

use crate::support::compose::Topology;
use crate::support::demo_prometheus;
use crate::support::http::Request;
use crate::support::manifests::json;
use serde_json::Value;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds until the data of a topology that has just been started is there; and where it is.
const PATIENCE: u32 = 120;
const AT_ONCE: u32 = 10;

/// Runs the check; whether it said yes, and its lines.
fn check(topology: &Topology, patience: u32, environment: &[(&str, &str)]) -> (bool, String) {
    let output = topology.check(patience, environment);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn passes(topology: &Topology, patience: u32) {
    let (yes, text) = check(topology, patience, &[]);
    assert!(yes && text.contains("\nisolated: team-a and team-b, by up: "), "{text}");
    assert!(!text.contains("FAILED") && !text.contains("LEAK") && !text.contains("not checked"), "{text}");
}

fn fails(topology: &Topology, environment: &[(&str, &str)], assertions: &[&str]) {
    let (yes, text) = check(topology, AT_ONCE, environment);
    assert!(!yes, "{text}");
    for assertion in assertions {
        let mut failed = text.lines().filter(|line| {
            line.starts_with("LEAK ") || line.starts_with("FAILED ") || line.starts_with("tenancyctl: ")
        });
        assert!(failed.any(|line| line.contains(assertion)), "{assertion}: {text}");
    }
}

fn without_filter(path: &str, text: String) -> String {
    if !path.ends_with("envoy.yaml") {
        return text;
    }
    let start = text.find("          - name: promql_tenancy\n").expect("the filter");
    let end = text.find("          - name: envoy.filters.http.router\n").expect("the router");
    format!("{}{}", &text[..start], &text[end..])
}

/// Envoy's cache, before the filter: it asks the upstream by itself, past every filter that follows.
fn with_a_cache(path: &str, text: String) -> String {
    const CACHE: &str = r#"          - name: envoy.filters.http.cache
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig
"#;
    let filter = "          - name: promql_tenancy\n";
    if path.ends_with("envoy.yaml") { text.replacen(filter, &[CACHE, filter].concat(), 1) } else { text }
}

fn with_another_label(path: &str, text: String) -> String {
    if !path.ends_with("envoy.yaml") {
        return text;
    }
    assert_eq!(text.matches("\"tenant_label_name\": \"tenant_id\"").count(), 1);
    text.replace("\"tenant_label_name\": \"tenant_id\"", "\"tenant_label_name\": \"tenant\"")
}

#[test]
fn sidecars_check_passes_and_fails_without_the_filter() {
    let mut topology = Topology::start("compose.yaml");
    passes(&topology, PATIENCE);

    // The requests that Grafana's server makes for its data sources.
    let envoy = SocketAddrV4::new(topology.address("envoy"), 10000);
    for source in data_sources() {
        let (header, tenant) = (&source["jsonData"]["httpHeaderName1"], &source["secureJsonData"]["httpHeaderValue1"]);
        let tenant = tenant.as_str().unwrap();
        assert_eq!(source["url"], "http://envoy:10000");
        let answer = Request::post("/api/v1/query", "query=group+by+(tenant_id)+(up)")
            .header(header.as_str().unwrap(), tenant)
            .send_to(envoy);
        assert_eq!(answer.json()["data"]["result"][0]["metric"]["tenant_id"], tenant, "{}", answer.text());
        assert_eq!(answer.json()["data"]["result"].as_array().unwrap().len(), 1, "{}", answer.text());
    }

    // What the operators see: each tenant by name, and what it has read, once Envoy's figures have been scraped.
    let platform = SocketAddrV4::new(topology.address("prometheus-platform"), 9090);
    for stat in ["tenancy_requests_total", "tenancy_query_samples_total"] {
        let counted = || {
            let query = format!("query=sum+by+(tenant)+({stat})+>+0");
            let result = Request::post("/api/v1/query", &query).send_to(platform).json()["data"]["result"].clone();
            let tenants = result.as_array().unwrap().iter().map(|series| series["metric"]["tenant"].to_string());
            tenants.collect::<Vec<_>>()
        };
        let start = Instant::now();
        while !["\"team-a\"", "\"team-b\""].iter().all(|tenant| counted().iter().any(|counted| counted == tenant)) {
            assert!(start.elapsed() < Duration::from_secs(60), "{stat}: {:?}", counted());
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    // The upstream in reach of clients.
    let query = format!("http://{}:10902", topology.address("thanos-query"));
    fails(&topology, &[("BEHIND", &query)], &["is out of reach"]);

    topology.run("envoy", &with_another_label);
    topology.wait_for("envoy", 10000);
    fails(&topology, &[("PATIENCE", "1")], &["has no data"]);

    topology.run("envoy", &without_filter);
    topology.wait_for("envoy", 10000);
    fails(
        &topology,
        &[],
        &[
            "query: team-a: GET: its own series",
            "query: team-b: POST: the other tenant by name",
            "label_values: team-a: GET: /api/v1/label/tenant_id/values: no selector",
            "rules: team-b: GET: /api/v1/rules",
            "targets: team-a: GET: /api/v1/targets",
            "headers: team-a: GET: no tenant",
            "headers: team-b: GET: the tenant header twice",
            "chain: team-a: POST: the answer is marked as private",
        ],
    );

    // A cache before the filter: what is asked by GET gets past it, and POST does not.
    topology.run("envoy", &with_a_cache);
    topology.wait_for("envoy", 10000);
    fails(&topology, &[], &["query: team-a: GET: its own series", "query: team-b: GET: the other tenant by name"]);
    let (_, text) = check(&topology, AT_ONCE, &[]);
    assert!(!text.contains("POST: its own series"), "{text}");

    // And with the filter again: what failed was its absence.
    topology.run("envoy", &|_, text| text);
    topology.wait_for("envoy", 10000);
    passes(&topology, AT_ONCE);
}

#[test]
fn receive_check_passes_and_fails_without_the_filter() {
    let mut topology = Topology::start("compose.receive.yaml");
    passes(&topology, PATIENCE);
    topology.run("envoy", &without_filter);
    topology.wait_for("envoy", 10000);
    fails(
        &topology,
        &[],
        &["query: team-b: GET: its own series", "rules: team-a: GET: /api/v1/rules", "headers: team-a: GET: no tenant"],
    );
}

fn data_sources() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/docker-compose/grafana/datasources/tenants.yaml");
    let document = json("documents", &file).remove(0);
    let sources = document["datasources"].as_array().unwrap().clone();
    assert_eq!(sources.len(), 2);
    sources
}

/// The configuration of `make run`: examples/prometheus.
#[test]
fn demo_prometheus_has_the_rules_of_both_tenants() {
    let upstream = demo_prometheus();
    let rules = Request::get("/api/v1/rules").send(upstream.port()).json();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["team-a", "team-b"]);
}
