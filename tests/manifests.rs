//! The deployment files under examples/ and charts/, judged by what their own programs carry (tests/manifests, a Go program, and Helm),
//! and compared with what the tests run; what GitHub reads below .github/. Every YAML and JSON file of this repository is loaded by
//! something; the last test has the list.
#![cfg(not(target_family = "wasm"))]

#[path = "manifests/chart.rs"]
mod chart;
#[path = "manifests/helm.rs"]
mod helm;
#[path = "manifests/program.rs"]
mod program;
#[path = "../src/bin/tenancyctl/schema.rs"]
mod schema;
#[path = "schema/validator.rs"]
mod validator;
#[path = "manifests/workflows.rs"]
mod workflows;

use program::{json, manifests};
use promql_tenancy_filter::config::Config;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder with this ending, as paths from the root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths: Vec<_> =
        names.filter(|name| name.ends_with(ending)).map(|name| format!("{folder}/{name}")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no {ending}");
    paths
}

/// Writes a text where the program can read it.
fn scratch(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const KUBERNETES: [&str; 3] = ["examples/kubernetes", "examples/istio", "examples/envoy-gateway"];
const COMPOSE: [&str; 2] = ["examples/docker-compose/compose.yaml", "examples/docker-compose/compose.receive.yaml"];

#[test]
fn kubernetes_manifests_are_valid() {
    for file in KUBERNETES.iter().flat_map(|folder| files(folder, ".yaml")) {
        let kinds = manifests("kubernetes", &root().join(&file)).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(!kinds.is_empty(), "{file}");
    }
}

#[test]
fn mistakes_in_manifests_are_found() {
    let cases = [
        ("examples/istio/gateway.yaml", "failStrategy: FAIL_RELOAD", "failStrategy: RELOAD", "failStrategy"),
        ("examples/istio/gateway.yaml", "phase: STATS", "Phase: STATS", "unknown fields: spec.Phase"),
        ("examples/istio/sidecar.yaml", "number: 10902", "number: 109020", "match[0].ports[0].number"),
        ("examples/istio/gateway.yaml", "jwksUri:", "jwksURI:", "unknown fields: spec.jwtRules[0].jwksURI"),
        (
            "examples/istio/native.yaml",
            "applyTo: HTTP_FILTER",
            "applyTo: HTTP_FILTERS",
            "spec.configPatches[0].applyTo",
        ),
        ("examples/istio/native.yaml", "subFilter:", "subfilter:", "unknown fields"),
        ("examples/istio/native.yaml", "operation: INSERT_BEFORE", "operation: BEFORE", "patch.operation"),
        (
            "examples/istio/native.yaml",
            "name: modules, mountPath: /modules }",
            "name: module, mountPath: /modules }",
            "no volume module",
        ),
        ("examples/envoy-gateway/gateway.yaml", "type: Image", "type: HTTP", "http field needs to be set"),
        ("examples/envoy-gateway/gateway.yaml", "failOpen: false", "failurePolicy: FAIL_RELOAD", "unknown fields"),
        ("examples/envoy-gateway/gateway.yaml", "op: add", "op: insert", "operation.op"),
        ("examples/envoy-gateway/gateway.yaml", "port: 443", "port: 443\n    Port: 443", "unknown fields"),
        (
            "examples/envoy-gateway/native.yaml",
            "type: Local, local:",
            "type: Remote, local:",
            "remote field needs to be set",
        ),
        ("examples/envoy-gateway/native.yaml", "doNotClose: true", "doNotclose: true", "unknown fields"),
        (
            "examples/envoy-gateway/native.yaml",
            "filterName: promql_tenancy",
            "filter: promql_tenancy",
            "unknown fields",
        ),
        ("examples/envoy-gateway/native.yaml", "claim: tenant, header", "claims: tenant, header", "claimToHeaders[0]"),
        ("examples/kubernetes/envoy.yaml", "mountPath: /etc/envoy/filter", "path: /etc/envoy/filter", "unknown field"),
        ("examples/kubernetes/envoy.yaml", "name: filter, mountPath", "name: filters, mountPath", "no volume filters"),
        (
            "examples/kubernetes/envoy.yaml",
            "configMap: { name: envoy }",
            "configMap: { name: proxy }",
            "no ConfigMap proxy",
        ),
        ("examples/kubernetes/envoy.yaml", "targetPort: query", "targetPort: http", "no port http"),
        (
            "examples/kubernetes/envoy.yaml",
            "minAvailable: 1",
            "minAvailable: 1\n  minAvailable: 2",
            "already set in map",
        ),
    ];
    for (number, (file, old, new, problem)) in cases.into_iter().enumerate() {
        let text = read(file);
        assert!(text.contains(old), "{file}: {old}");
        let changed = scratch(&format!("mistake-{number}.yaml"), &text.replacen(old, new, 1));
        let found = manifests("kubernetes", &changed).expect_err(&format!("{file}: {new} is accepted"));
        assert!(found.contains(problem), "{file}, {new}: {found}");
    }
    let text = read(COMPOSE[0]).replacen("volumes:", "volume:", 1);
    // Beside the original, since its files are found from there.
    let found = manifests("compose", &scratch("mistake-compose.yaml", &text)).expect_err("an unknown key is accepted");
    assert!(found.contains("volume"), "{found}");
}

#[test]
fn images_are_of_the_versions_that_the_tests_run() {
    let versions = read("scripts/versions.env");
    let pinned = |name: &str| -> String {
        let line = versions.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name}")).trim_start_matches('v').to_owned()
    };
    // The module v0.316.0 is Prometheus 3.16.0.
    let module = pinned("PROMETHEUS_VERSION");
    let [_, release, patch] = module.split('.').collect::<Vec<_>>()[..] else { panic!("{module}") };
    let release: u32 = release.parse().unwrap();
    let expected = [
        ("prom/prometheus", format!("v{}.{}.{patch}", release / 100, release % 100)),
        ("quay.io/thanos/thanos", format!("v{}", pinned("THANOS_VERSION"))),
        ("envoyproxy/envoy", format!("v{}", pinned("ENVOY_VERSION"))),
        // Their own current ones; nothing here can run them.
        ("grafana/grafana", "13.2.3".to_owned()),
        ("debian", "13-slim".to_owned()),
    ];
    let mut images = Vec::new();
    for file in COMPOSE {
        for project in json("compose", &root().join(file)) {
            images.extend(project["services"].as_object().unwrap().values().map(|service| service["image"].clone()));
        }
    }
    for document in json("documents", &root().join("examples/kubernetes/envoy.yaml")) {
        let containers = document.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        images.extend(containers.into_iter().flatten().map(|container| container["image"].clone()));
    }
    assert!(images.len() > 12, "{images:?}");
    for image in images {
        let (name, tag) = image.as_str().unwrap().rsplit_once(':').expect("a tag");
        let (_, version) = expected.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(tag, version, "{name}");
    }
}

#[test]
fn our_image_has_the_version_of_the_crate() {
    for file in KUBERNETES.iter().flat_map(|folder| files(folder, ".yaml")) {
        let text = read(&file);
        // Of the wasm module, or of the native one.
        let names = ["promql-tenancy-filter:", "promql-tenancy-filter-native:"];
        let mentions: Vec<_> = names.iter().flat_map(|name| text.match_indices(name)).collect();
        assert!(!mentions.is_empty(), "{file}");
        for (at, name) in mentions {
            let expected = format!("{name}{}", env!("CARGO_PKG_VERSION"));
            assert!(text[at..].starts_with(&expected), "{file}: {}", &text[at..at + 40]);
        }
    }
}

/// scripts/dist makes the image without an engine, from the Dockerfile that an engine would read.
#[test]
fn image_holds_the_module_where_istio_looks_for_it() {
    let module = scratch("module.wasm", "\0asm, and something that stands for the rest");
    let make = |dockerfile: &Path, name: &str| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut command = Command::new("python3");
        command.arg(root().join("scripts/oci_image.py")).args([&module, dockerfile]).arg("1.2.3").arg(&out);
        let output = command.output().expect("python3 runs");
        (out, output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let dockerfile = root().join("scripts/Dockerfile");
    let (image, made, problem) = make(&dockerfile, "image.tar");
    assert!(made, "{problem}");
    let sum = Command::new("sha256sum").arg(&module).output().expect("sha256sum runs");
    let sum = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    let pulled = json("image", &image);
    assert_eq!(pulled, ["amd64", "amd64", "arm64"].map(|architecture| json!([architecture, "1.2.3", sum])));
    let (again, ..) = make(&dockerfile, "image-again.tar");
    assert!(std::fs::read(image).unwrap() == std::fs::read(again).unwrap(), "two images of the same module differ");

    // What the script makes of the Dockerfile is what BuildKit reads in it.
    let instructions = json("dockerfile", &dockerfile);
    assert_eq!(instructions.first(), Some(&json!(["FROM", "scratch"])));
    assert_eq!(instructions.last(), Some(&json!(["COPY", "promql_tenancy_filter.wasm", "/plugin.wasm"])));
    let text = read("scripts/Dockerfile");
    for (old, new) in [("FROM scratch", "FROM debian"), ("COPY promql", "ADD promql"), ("/plugin.wasm", "plugin.wasm")]
    {
        let (_, made, problem) = make(&scratch("Dockerfile", &text.replace(old, new)), "image-wrong.tar");
        assert!(!made && problem.contains("oci_image.py: "), "{new}: {problem}");
    }
}

/// The plugin's configurations in a document: Istio's, Envoy Gateway's, Envoy's own, and those in the files of a ConfigMap.
fn plugin_configurations(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("pluginConfig").map(Value::to_string));
            let listed = ["wasm", "dynamicModule"].map(|key| object.get(key).and_then(Value::as_array));
            let listed = listed.into_iter().flatten().flatten();
            found.extend(listed.filter_map(|plugin| plugin.get("config")).map(Value::to_string));
            let texts =
                ["configuration", "filter_config"].map(|key| object.get(key).and_then(|any| any["value"].as_str()));
            found.extend(texts.into_iter().flatten().map(str::to_owned));
            let is_config_map = object.get("kind").is_some_and(|kind| kind == "ConfigMap");
            for (name, text) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
                if is_config_map && name.ends_with(".yaml") {
                    for document in json("documents", &scratch(&format!("config-map-{name}"), text.as_str().unwrap())) {
                        plugin_configurations(&document, found);
                    }
                }
            }
            object.values().for_each(|value| plugin_configurations(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| plugin_configurations(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn embedded_plugin_configurations_are_valid() {
    let schema = schema::schema();
    let folders = KUBERNETES.iter().copied().chain(["examples/docker-compose", "envoy"]);
    for file in folders.flat_map(|folder| files(folder, ".yaml")) {
        let mut found = Vec::new();
        for document in json("documents", &root().join(&file)) {
            plugin_configurations(&document, &mut found);
        }
        // A bootstrap may leave the filter to a file that it discovers.
        let may_hold_none = file.contains("/compose.")
            || file.ends_with("/capabilities.yaml")
            || read(&file).contains("config_discovery:");
        assert!(may_hold_none || !found.is_empty(), "{file}");
        for configuration in found {
            let config = Config::parse(configuration.as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}"));
            let document = serde_json::from_str(&configuration).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(validator::mistakes(&schema, &document), [""; 0], "{file}");
            let default = config.explain().into_iter().find(|setting| setting.key == "default_tenant_id").unwrap();
            // Empty, or nothing, where it is no header that names the tenant.
            let refused = matches!(default.value.as_str(), "\"\"" | "");
            assert!(refused, "{file}: in an example, a request without a tenant is refused");
        }
    }
}

/// What takes a stat's tags out of its name, in a bootstrap, also in one that is part of a Kubernetes object.
fn stats_config(value: &Value, file: &str) -> Vec<Value> {
    let places = ["/data/envoy.yaml", "/spec/bootstrap/value"];
    let text = places.iter().find_map(|place| value.pointer(place)).and_then(Value::as_str);
    let inner = text.map(|text| json("documents", &scratch(&format!("stats-{}", file.replace('/', "-")), text)));
    let documents = inner.unwrap_or_else(|| vec![value.clone()]);
    documents.iter().filter_map(|document| document.get("stats_config")).cloned().collect()
}

/// The stats of dynamic modules have another prefix, and labels of their own in place of tags.
fn native(shipped: &Value) -> Value {
    let text = shipped["histogram_bucket_settings"].to_string().replace("wasmcustom.", "dynamicmodulescustom.");
    serde_json::json!({"histogram_bucket_settings": serde_json::from_str::<Value>(&text).unwrap()})
}

#[test]
fn every_bootstrap_reads_the_stats_tags_alike() {
    let shipped = json("documents", &root().join("envoy/envoy.yaml")).remove(0)["stats_config"].clone();
    let mut compared = 0;
    for file in ["envoy", "examples/docker-compose", "examples/kubernetes", "examples/envoy-gateway"]
        .iter()
        .flat_map(|folder| files(folder, ".yaml"))
    {
        for document in json("documents", &root().join(&file)) {
            for config in stats_config(&document, &file) {
                let expected = if file.ends_with("/native.yaml") { native(&shipped) } else { shipped.clone() };
                assert_eq!(config, expected, "{file}");
                compared += 1;
            }
        }
    }
    assert!(compared > 4, "{compared}");
}

#[test]
fn grafana_s_data_sources_are_provisioned_as_its_documentation_says() {
    // https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources and
    // https://grafana.com/docs/grafana/latest/datasources/prometheus/configure/: Grafana ignores what it does not know.
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let within = |value: &Value, known: &[&str]| {
        let unknown: Vec<_> = keys(value).into_iter().filter(|key| !known.contains(&key.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    };
    let mut tenants = BTreeSet::new();
    for file in files("examples/docker-compose/grafana/datasources", ".yaml") {
        let document = json("documents", &root().join(&file)).remove(0);
        within(&document, &["apiVersion", "prune", "datasources"]);
        let sources = document["datasources"].as_array().unwrap();
        for source in sources {
            within(
                source,
                &["name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData", "secureJsonData"],
            );
            within(&source["jsonData"], &["httpMethod", "prometheusType", "timeInterval", "httpHeaderName1"]);
            assert_eq!(source["access"], "proxy", "a browser would choose its tenant itself");
            // The operators' names no tenant, and does not ask by Envoy.
            if source["url"] == "http://envoy:10000" {
                within(&source["secureJsonData"], &["httpHeaderValue1"]);
                assert!(tenants.insert(source["secureJsonData"]["httpHeaderValue1"].to_string()), "{source}");
            }
        }
    }
    assert_eq!(tenants.len(), 2, "{tenants:?}");
}

#[test]
fn grafana_s_dashboard_is_where_its_provider_looks_and_asks_a_data_source_that_there_is() {
    let folder = "examples/docker-compose/grafana";
    // https://grafana.com/docs/grafana/latest/administration/provisioning/#dashboards
    let [file] = &files(&format!("{folder}/dashboards"), ".yaml")[..] else { panic!("one provider") };
    let provider = &json("documents", &root().join(file)).remove(0);
    assert_eq!(provider["apiVersion"], 1);
    let [provider] = &provider["providers"].as_array().unwrap()[..] else { panic!("{provider}") };
    assert_eq!(provider["type"], "file");
    let keys: Vec<_> = provider.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["allowUiUpdates", "name", "options", "type"], "Grafana ignores what it does not know");

    let uids: BTreeSet<String> = files(&format!("{folder}/datasources"), ".yaml")
        .iter()
        .flat_map(|file| json("documents", &root().join(file)).remove(0)["datasources"].as_array().unwrap().clone())
        .map(|source| source["uid"].as_str().unwrap().to_owned())
        .collect();
    for file in COMPOSE {
        let project = json("compose", &root().join(file)).remove(0);
        let volumes = project["services"]["grafana"]["volumes"].as_array().unwrap().clone();
        let mounted = |source: &str| -> String {
            let source = root().join(source).canonicalize().unwrap();
            let is_it = |volume: &&Value| Path::new(volume["source"].as_str().unwrap()) == source;
            let volume =
                volumes.iter().find(is_it).unwrap_or_else(|| panic!("{file}: {} is not mounted", source.display()));
            volume["target"].as_str().unwrap().to_owned()
        };
        assert_eq!(mounted(&format!("{folder}/datasources")), "/etc/grafana/provisioning/datasources");
        assert_eq!(mounted(&format!("{folder}/dashboards")), "/etc/grafana/provisioning/dashboards");
        let dashboard = mounted("examples/grafana/tenants.json");
        assert_eq!(Path::new(&dashboard).parent().unwrap(), Path::new(provider["options"]["path"].as_str().unwrap()));
    }

    let dashboard: Value = serde_json::from_str(&read("examples/grafana/tenants.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let chosen = variables.iter().find(|variable| variable["type"] == "datasource").unwrap();
    assert!(uids.contains(chosen["current"]["value"].as_str().unwrap()), "{chosen}, of {uids:?}");
    let variable = json!(format!("${{{}}}", chosen["name"].as_str().unwrap()));
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let asks = panels.chain(variables.iter().filter(|variable| variable["type"] == "query"));
    for ask in asks {
        assert_eq!(ask["datasource"]["uid"], variable, "{}{}", ask["title"], ask["name"]);
    }
}

/// Envoy ignores what it does not know in a file that it discovers, unless it is told not to.
#[test]
fn envoy_is_started_so_that_it_refuses_unknown_fields() {
    const OPTION: &str = "--reject-unknown-dynamic-fields";
    for file in COMPOSE {
        let project = json("compose", &root().join(file)).remove(0);
        let command = project["services"]["envoy"]["command"].as_array().unwrap();
        assert!(command.contains(&json!(OPTION)), "{file}");
    }
    let mut discovering = 0;
    for file in ["envoy", "examples/kubernetes"].iter().flat_map(|folder| files(folder, ".yaml")) {
        let text = read(&file);
        if text.contains("config_discovery:") {
            discovering += 1;
            assert!(text.contains(OPTION), "{file}");
        }
    }
    assert_eq!(discovering, 2);
    assert!(read("scripts/run").contains(OPTION));
}

/// Every YAML and JSON file, or a folder's, and what loads it in CI: a file which names it.
const CLAIMS: &[(&str, &str, &str)] = &[
    ("envoy/", "scripts/lint", "envoy examples"),
    ("examples/docker-compose/compose.yaml", "tests/e2e/deployments.rs", "compose.yaml"),
    ("examples/docker-compose/compose.receive.yaml", "tests/e2e/deployments.rs", "compose.receive.yaml"),
    ("examples/docker-compose/envoy.yaml", "examples/docker-compose/compose.yaml", "./envoy.yaml"),
    ("examples/docker-compose/prometheus/platform.yml", "examples/docker-compose/compose.yaml", "platform.yml"),
    (
        "examples/docker-compose/prometheus/rules-ruler.yml",
        "examples/docker-compose/compose.receive.yaml",
        "rules-ruler.yml",
    ),
    (
        "examples/docker-compose/prometheus/team-a.receive.yml",
        "examples/docker-compose/compose.receive.yaml",
        "team-a.receive.yml",
    ),
    (
        "examples/docker-compose/prometheus/team-b.receive.yml",
        "examples/docker-compose/compose.receive.yaml",
        "team-b.receive.yml",
    ),
    ("examples/docker-compose/prometheus/rules-team-a.yml", "examples/docker-compose/compose.yaml", "rules-team-a.yml"),
    ("examples/docker-compose/prometheus/rules-team-b.yml", "examples/docker-compose/compose.yaml", "rules-team-b.yml"),
    ("examples/docker-compose/prometheus/team-a.yml", "examples/docker-compose/compose.yaml", "team-a.yml"),
    ("examples/docker-compose/prometheus/team-b.yml", "examples/docker-compose/compose.yaml", "team-b.yml"),
    ("examples/docker-compose/grafana/datasources/", "tests/e2e/deployments.rs", "grafana/datasources"),
    ("examples/docker-compose/grafana/dashboards/", "tests/manifests.rs", "/dashboards"),
    ("examples/istio/", "tests/manifests.rs", "examples/istio"),
    ("examples/envoy-gateway/", "tests/manifests.rs", "examples/envoy-gateway"),
    ("examples/kubernetes/", "tests/manifests.rs", "examples/kubernetes"),
    ("examples/cortex/", "scripts/run", "examples/cortex/cortex.yaml"),
    ("examples/rate-limits/tenant_clusters.yaml", "tests/e2e/fleet.rs", "rate-limits/tenant_clusters.yaml"),
    ("examples/rate-limits/tenant_routes.yaml", "tests/e2e/fleet.rs", "rate-limits/tenant_routes.yaml"),
    ("examples/rate-limits/", "tests/e2e/limits.rs", "/examples/rate-limits/local_ratelimit.yaml"),
    ("examples/ratelimit/", "tests/e2e/fleet.rs", "ratelimit/config.yaml"),
    ("examples/prometheus/", "tests/e2e/deployments.rs", "examples/prometheus"),
    ("examples/grafana/", "tests/e2e/dashboards.rs", "examples/grafana/tenants.json"),
    ("benches/fleet/coefficients.json", "benches/fleet/fleet.py", "coefficients.json"),
    ("tests/browser/package.json", "scripts/install-playwright", "tests/browser/package.json"),
    ("tests/browser/package-lock.json", "scripts/install-playwright", "tests/browser/package-lock.json"),
    // Helm loads a chart whole.
    ("charts/promql-tenancy-filter/", "tests/manifests/helm.rs", "charts/promql-tenancy-filter"),
    (".github/workflows/", "tests/manifests/workflows.rs", ".github/workflows"),
    (".github/ISSUE_TEMPLATE/", "tests/manifests/workflows.rs", ".github/ISSUE_TEMPLATE"),
];

#[test]
fn every_yaml_and_json_file_is_loaded_by_something() {
    let mut all = Vec::new();
    walk(root(), &mut all);
    assert!(all.len() > 15, "{all:?}");
    for file in &all {
        let claim = CLAIMS.iter().find(|(path, ..)| file == path || path.ends_with('/') && file.starts_with(path));
        let (_, by, text) = claim.unwrap_or_else(|| panic!("nothing is said to load {file}"));
        assert!(read(by).contains(text), "{file}: {by} does not name {text:?}");
    }
    for (path, ..) in CLAIMS {
        assert!(all.iter().any(|file| file.starts_with(path)), "{path} is claimed and not there");
    }
}

fn walk(folder: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap();
        // What is built, and what git keeps.
        if matches!(name.as_str(), "target" | "dist" | ".git") {
            continue;
        }
        if path.is_dir() {
            walk(&path, all);
        } else if [".yaml", ".yml", ".json", ".jsonl"].iter().any(|ending| name.ends_with(ending)) {
            all.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
}
