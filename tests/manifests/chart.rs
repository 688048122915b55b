//! The Helm chart: linted and rendered by Helm, validated with Kubernetes's types and the custom resources' schemas, and compared with
//! what else this repository ships. tests/e2e/chart.rs runs it.

use crate::helm::{CHART, VALUES, helm, render};
use crate::program::{json, manifests};
use crate::{plugin_configurations, read, root, scratch};
use promql_tenancy_filter::config::Config;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const MINIMAL: &str = VALUES[0];
const EVERYTHING: &str = VALUES[1];

fn documents(name: &str, values: &str, more: &[&str]) -> Vec<Value> {
    json("documents", &render(name, values, more).unwrap_or_else(|problem| panic!("{values} {more:?}: {problem}")))
}

fn of_kind<'d>(documents: &'d [Value], kind: &str) -> Vec<&'d Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

/// The object of this kind whose name ends so.
fn named<'d>(documents: &'d [Value], kind: &str, ending: &str) -> &'d Value {
    let fits = |document: &&&Value| document["metadata"]["name"].as_str().unwrap().ends_with(ending);
    of_kind(documents, kind).iter().find(fits).copied().unwrap_or_else(|| panic!("no {kind} {ending}"))
}

fn bootstrap(name: &str, documents: &[Value]) -> Value {
    let text = named(documents, "ConfigMap", "-bootstrap")["data"]["envoy.yaml"].as_str().unwrap();
    json("documents", &scratch(&format!("chart-bootstrap-{name}.yaml"), text)).remove(0)
}

#[test]
fn the_chart_passes_helm_s_linter() {
    for values in VALUES {
        helm(&["lint", "--strict", CHART, "--values", values]).unwrap_or_else(|problem| panic!("{values}: {problem}"));
    }
}

#[test]
fn what_the_chart_renders_is_valid() {
    let kinds = |values: &str| -> BTreeSet<String> {
        let file = render("valid", values, &[]).unwrap_or_else(|problem| panic!("{values}: {problem}"));
        let judged = manifests("kubernetes", &file).unwrap_or_else(|problem| panic!("{values}: {problem}"));
        judged.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let always = ["ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"];
    assert_eq!(kinds(MINIMAL), always.map(str::to_owned).into());
    let on_request = ["HorizontalPodAutoscaler", "PrometheusRule", "ServiceMonitor"];
    assert_eq!(kinds(EVERYTHING), always.iter().chain(&on_request).map(|kind| kind.to_string()).collect());
}

#[test]
#[cfg(feature = "cli")]
fn tenancyctl_finds_no_mistake_in_what_the_chart_renders() {
    for values in VALUES {
        let file = render("checked", values, &[]).unwrap_or_else(|problem| panic!("{values}: {problem}"));
        let output = Command::new(env!("CARGO_BIN_EXE_tenancyctl")).arg("check").arg(&file).output().unwrap();
        assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("tenant_label_name"), "{values}");
        let text = std::fs::read_to_string(&file).unwrap().replace("FAIL_RELOAD", "FAIL_OPEN");
        let broken = scratch("chart-open.yaml", &text);
        let output = Command::new(env!("CARGO_BIN_EXE_tenancyctl")).arg("check").arg(&broken).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{values}");
    }
}

#[test]
fn other_choices_are_valid_too() {
    for (number, choice) in [
        "module.source=envoyImage",
        "rules.enabled=true,rules.kind=ConfigMap",
        "dashboard.enabled=true,dashboard.namespace=grafana",
        "probes.readiness.through=admin",
        "probes.readiness.includeUpstream=true",
        "networkPolicy.enabled=false,podDisruptionBudget.enabled=false",
        "serviceMonitor.enabled=true,networkPolicy.clients=null",
        "fullnameOverride=proxy,nameOverride=query",
    ]
    .into_iter()
    .enumerate()
    {
        let file = render(&format!("choice-{number}"), MINIMAL, &["--set", choice])
            .unwrap_or_else(|problem| panic!("{problem}"));
        manifests("kubernetes", &file).unwrap_or_else(|problem| panic!("{choice}: {problem}"));
    }
}

#[test]
fn mistakes_in_what_is_rendered_are_found() {
    let text = std::fs::read_to_string(render("mistakes", EVERYTHING, &[]).unwrap()).unwrap();
    for (number, (old, new, problem)) in [
        (
            "scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: ",
            "scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: no-",
            "there is no Deployment",
        ),
        ("ports: [{ port: pages }]", "ports: [{ port: page }]", "no port page"),
        ("averageUtilization:", "averageUtilisation:", "unknown field"),
        ("unhealthyPodEvictionPolicy:", "unhealthyPodEviction:", "unknown field"),
        ("path: /stats/prometheus\n    interval: 30s", "path: /stats/prometheus\n    intervall: 30s", "unknown fields"),
        ("interval: 30s", "interval: half a minute", "interval"),
        (
            "preStop:\n            sleep: { seconds: 30 }",
            "preStop:\n            wait: { seconds: 30 }",
            "unknown field",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(text.contains(old), "{old}");
        let file = scratch(&format!("chart-mistake-{number}.yaml"), &text.replacen(old, new, 1));
        let found = manifests("kubernetes", &file).expect_err(&format!("{new} is accepted"));
        assert!(found.contains(problem), "{new}: {found}");
    }
}

#[test]
fn values_that_cannot_work_are_refused_with_what_to_do() {
    for (choice, problem) in [
        ("replicas=3", "replicas"),
        ("networkPolicy.client=x", "client"),
        ("listener.port=http", "port"),
        ("upstream.host=", "upstream.host is needed"),
        ("module.image.repository=", "make dist"),
        ("module.source=oci", "source"),
        ("module.source=download", "module.download.url is needed"),
        ("module.source=download,module.download.url=https://x/y", "module.download.sha256 is needed"),
        ("module.download.sha256=abc", "sha256"),
        ("listener.bufferLimitBytes=1048576", "has to be larger than filter.config.max_response_bytes"),
        ("filter.config.max_response_bytes=2097152", "has to be larger than filter.config.max_response_bytes"),
        ("filter.config.tenant_headers=X-Tenant", "tenant_headers"),
        ("filter.config.upstream=victoria", "upstream"),
        ("filter.config.limits.max_query_length=soon", "max_query_length"),
        ("filter.config.allow_on_headers_stop_iteration=false", "leave it out"),
        ("filter.config.tenant_certificate_field=organization", "probes.readiness.through has to be admin"),
        ("filter.config.tenant_metadata={a,b}", "probes.readiness.through has to be admin"),
        (
            "filter.config.upstream=mimir,probes.readiness.includeUpstream=true",
            "probes.readiness.tenant is needed with includeUpstream",
        ),
        (
            "filter.config.upstream=cortex,probes.readiness.includeUpstream=true,probes.readiness.tenant=probe,filter.config.allowed_tenants={team-a}",
            "does not list",
        ),
    ] {
        let refused = render("refused", MINIMAL, &["--set", choice]).expect_err(&format!("{choice} is accepted"));
        assert!(refused.contains(problem), "{choice}: {refused}");
    }
    // What these are refused for can be put right.
    for choice in [
        "filter.config.max_response_bytes=2097152,listener.bufferLimitBytes=4194304",
        "filter.config.tenant_certificate_field=organization,probes.readiness.through=admin",
        "filter.config.allowed_tenants={team-a}",
        "filter.config.upstream=cortex,probes.readiness.includeUpstream=true,probes.readiness.tenant=team-a,filter.config.allowed_tenants={team-a}",
    ] {
        render("accepted", MINIMAL, &["--set", choice]).unwrap_or_else(|problem| panic!("{choice}: {problem}"));
    }
}

/// Where the filter's own configuration begins.
const CONFIG: &str = ".filter.config";

/// The paths of all keys, down to what the schema leaves open.
fn paths(value: &Value, schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    let open = schema.get("properties").is_none() || at == CONFIG;
    match value.as_object().filter(|_| !open) {
        Some(object) => {
            for (key, value) in object {
                paths(value, &schema["properties"][key], &format!("{at}.{key}"), found);
            }
        }
        None => drop(found.insert(at.to_owned())),
    }
}

fn properties(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    match schema.get("properties").and_then(Value::as_object).filter(|_| at != CONFIG) {
        Some(object) => {
            assert_eq!(schema["additionalProperties"], false, "{at}: a misspelt value is refused");
            object.iter().for_each(|(key, schema)| properties(schema, &format!("{at}.{key}"), found));
        }
        None => drop(found.insert(at.to_owned())),
    }
}

#[test]
fn the_schema_has_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).unwrap();
    let values = json("documents", &root().join(CHART).join("values.yaml")).remove(0);
    let (mut known, mut given) = (BTreeSet::new(), BTreeSet::new());
    properties(&schema, "", &mut known);
    paths(&values, &schema, "", &mut given);
    // What a parent chart hands to all of its charts.
    assert!(known.remove(".global"));
    assert_eq!(known, given);
}

#[test]
fn the_schema_has_the_filter_s_configuration_as_it_is() {
    let values: Value = serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).unwrap();
    let mut expected = crate::schema::schema();
    let draft = expected.as_object_mut().unwrap().remove("$schema").unwrap();
    assert_eq!(values["$schema"], draft);
    let config = &values["properties"]["filter"]["properties"]["config"];
    assert!(*config == expected, "run scripts/chart-schema");
}

#[test]
fn the_filter_of_the_chart_is_a_valid_configuration_that_refuses_requests_without_a_tenant() {
    for values in VALUES {
        let documents = documents("filter", values, &[]);
        let mut found = Vec::new();
        documents.iter().for_each(|document| plugin_configurations(document, &mut found));
        let [configuration] = &found[..] else { panic!("{values}: {found:?}") };
        let config = Config::parse(configuration.as_bytes()).unwrap_or_else(|error| panic!("{values}: {error}"));
        let settings = config.explain();
        let value = |key: &str| &settings.iter().find(|setting| setting.key == key).unwrap().value;
        assert_eq!(value("default_tenant_id"), "\"\"", "{values}");
        assert_eq!(value("allow_on_headers_stop_iteration"), "true", "{values}: Envoy's option is set");
    }
}

/// Dashboard and rules are links to the examples, and the test's values are no part of it.
#[test]
fn the_packaged_chart_is_whole() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chart-package");
    helm(&["package", CHART, "--destination", folder.to_str().unwrap()]).unwrap_or_else(|problem| panic!("{problem}"));
    let package = folder.join(format!("promql-tenancy-filter-{}.tgz", env!("CARGO_PKG_VERSION")));
    let text =
        helm(&["template", "query", package.to_str().unwrap(), "--namespace", "monitoring", "--values", EVERYTHING])
            .unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(text, std::fs::read_to_string(render("whole", EVERYTHING, &[]).unwrap()).unwrap());
    let listed = Command::new("tar").arg("-tzf").arg(&package).output().expect("tar runs").stdout;
    assert!(!String::from_utf8(listed).unwrap().contains("/ci/"));
}

/// Values that are numbers reach templates as floating point, which Go likes to print with an exponent.
#[test]
fn large_numbers_stay_whole() {
    let text = std::fs::read_to_string(render("numbers", EVERYTHING, &[]).unwrap()).unwrap();
    assert!(text.contains("\"max_response_bytes\": 4194304") && text.contains("limit_bytes: 8388608"), "{text}");
    let exponent = |word: &str| word.contains("e+0");
    assert!(!text.split_whitespace().any(exponent));
}

#[test]
fn the_bootstrap_of_the_chart_is_set_as_the_shipped_one() {
    let shipped = json("documents", &root().join("envoy/envoy.yaml")).remove(0);
    let manager = |bootstrap: &Value| {
        bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"].clone()
    };
    for values in VALUES {
        let rendered = bootstrap("alike", &documents("alike", values, &[]));
        assert_eq!(rendered["stats_config"], shipped["stats_config"], "{values}");
        assert_eq!(rendered["overload_manager"], shipped["overload_manager"], "{values}");
        assert_eq!(rendered["admin"], shipped["admin"], "{values}: the admin page is on loopback");
        let (ours, theirs) = (manager(&rendered), manager(&shipped));
        for key in [
            "use_remote_address",
            "normalize_path",
            "merge_slashes",
            "path_with_escaped_slashes_action",
            "common_http_protocol_options",
            "request_headers_timeout",
            "request_timeout",
        ] {
            assert!(!theirs[key].is_null(), "{key}");
            assert_eq!(ours[key], theirs[key], "{values}: {key}");
        }
        let http = ours["http_filters"].as_array().unwrap();
        let [.., filter, router] = &http[..] else { panic!("{http:?}") };
        assert_eq!([&filter["name"], &router["name"]], ["promql_tenancy", "envoy.filters.http.router"], "{values}");
    }
}

#[test]
fn a_changed_filter_configuration_restarts_no_pod_and_a_changed_bootstrap_does() {
    let template = |name: &str, choice: &str| {
        let documents = documents(name, MINIMAL, &["--set", choice]);
        named(&documents, "Deployment", "")["spec"]["template"].clone()
    };
    let before = template("before", "filter.config.tenant_label_name=tenant_id");
    assert_eq!(before, template("label", "filter.config.tenant_label_name=team"));
    assert_ne!(before, template("bootstrap", "upstream.timeoutSeconds=60"));
    assert_ne!(before, template("module", "module.image.tag=0.2.0"));
}

#[test]
fn only_listed_clients_can_connect() {
    let policies = |name: &str, choice: &str| {
        let documents = documents(name, MINIMAL, &["--set", choice]);
        of_kind(&documents, "NetworkPolicy").into_iter().cloned().collect::<Vec<_>>()
    };
    let [closed] = &policies("closed", "networkPolicy.clients=null")[..] else { panic!("one policy") };
    assert_eq!(closed["spec"]["ingress"], json!([]));
    assert_eq!(closed["spec"]["policyTypes"], json!(["Ingress"]));
    for choice in ["fullnameOverride=x", "networkPolicy.scrapers[0].podSelector.matchLabels.a=b"] {
        for policy in policies("peers", choice) {
            for rule in policy["spec"]["ingress"].as_array().unwrap() {
                // A rule without peers allows every client.
                assert!(rule["from"].as_array().is_some_and(|peers| !peers.is_empty()), "{rule}");
                assert!(rule["ports"].as_array().is_some_and(|ports| !ports.is_empty()), "{rule}");
            }
        }
    }
}

#[test]
fn the_service_monitor_finds_the_pages_and_the_clients_service_has_none() {
    let documents = documents("monitor", EVERYTHING, &[]);
    let monitor = of_kind(&documents, "ServiceMonitor")[0];
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let services = of_kind(&documents, "Service");
    let has_all = |service: &&&Value| wanted.iter().all(|(name, value)| service["metadata"]["labels"][name] == *value);
    let selected: Vec<_> = services.iter().filter(has_all).collect();
    let [service] = &selected[..] else { panic!("{selected:?}") };
    let endpoint = &monitor["spec"]["endpoints"][0];
    assert_eq!(service["spec"]["ports"][0]["name"], endpoint["port"]);
    assert_eq!(endpoint["path"], "/stats/prometheus");
    for service in services.iter().filter(|service| !has_all(service)) {
        assert_eq!(service["spec"]["ports"].as_array().unwrap().len(), 1, "{service}");
    }
}

#[test]
fn dashboard_and_rules_are_those_of_the_examples() {
    let everything = documents("monitoring", EVERYTHING, &[]);
    let dashboard =
        named(&everything, "ConfigMap", "-dashboard")["data"]["promql-tenancy-tenants.json"].as_str().unwrap();
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parse(dashboard), parse(&read("examples/grafana/tenants.json")));
    let rules = json("documents", &root().join("examples/prometheus/tenancy_rules.yml")).remove(0);
    assert_eq!(of_kind(&everything, "PrometheusRule")[0]["spec"], rules);
    let as_map = documents("rules-map", EVERYTHING, &["--set", "rules.kind=ConfigMap"]);
    let text = named(&as_map, "ConfigMap", "-rules")["data"]["tenancy_rules.yml"].as_str().unwrap();
    assert_eq!(json("documents", &scratch("chart-rules.yaml", text)), [rules]);
}

#[test]
fn the_chart_has_the_versions_of_the_crate_and_of_the_tests() {
    let chart = json("documents", &root().join(CHART).join("Chart.yaml")).remove(0);
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let values = json("documents", &root().join(CHART).join("values.yaml")).remove(0);
    let versions = read("scripts/versions.env");
    let envoy = versions.lines().find_map(|line| line.strip_prefix("ENVOY_VERSION=")).unwrap();
    assert_eq!(
        values["image"],
        json!({"repository": "envoyproxy/envoy", "tag": format!("v{envoy}"), "digest": "", "pullPolicy": "IfNotPresent"})
    );
    let images = documents("images", MINIMAL, &[]);
    let pod = &named(&images, "Deployment", "")["spec"]["template"]["spec"];
    let reference = format!("registry.example.com/promql-tenancy-filter:{}", env!("CARGO_PKG_VERSION"));
    assert!(pod["volumes"].as_array().unwrap().iter().any(|volume| volume["image"]["reference"] == reference), "{pod}");
}

#[test]
fn notes_say_who_can_connect_and_whom_the_filter_believes() {
    let notes = |more: &[&str]| {
        let base = ["install", "query", CHART, "--dry-run=client", "--namespace", "monitoring", "--values", MINIMAL];
        helm(&[&base, more].concat()).unwrap_or_else(|problem| panic!("{problem}"))
    };
    let text = notes(&[]);
    assert!(text.contains("http://query-promql-tenancy-filter.monitoring:10000/api/v1/query"), "{text}");
    assert!(text.contains("believes the header THANOS-TENANT") && !text.contains("NO CLIENT CAN CONNECT"), "{text}");
    assert!(notes(&["--set", "networkPolicy.clients=null"]).contains("NO CLIENT CAN CONNECT YET"));
    assert!(!text.contains("PROMETHEUS CAN'T"), "{text}");
    let scraped = ["--set", "serviceMonitor.enabled=true"];
    assert!(notes(&scraped).contains("PROMETHEUS CAN'T READ THE STATS YET: networkPolicy.scrapers is empty"));
    let listed = ["--set-json", r#"networkPolicy.scrapers=[{"podSelector":{}}]"#];
    assert!(!notes(&[scraped, listed].concat()).contains("PROMETHEUS CAN'T"));
}
