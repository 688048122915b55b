//! Runs Envoy as examples/kubernetes, examples/envoy-gateway and examples/istio configure it, without a cluster.
//!
//! The Kubernetes example is run as it is: its ConfigMaps as the kubelet mounts them, its container's arguments. Of the other two,
//! the control plane is missing. The test writes the configuration that the control plane would generate around the examples' values, with its source, and
//! Envoy validates and runs it.

use crate::support::http::Request;
use crate::support::manifests::json;
use crate::support::pod::Pod;
use crate::support::process::{self, Process};
use crate::support::stub::Stub;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn example(file: &str) -> Vec<Value> {
    json("documents", &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file))
}

fn of_kind<'d>(documents: &'d [Value], kind: &str) -> Vec<&'d Value> {
    let found: Vec<_> = documents.iter().filter(|document| document["kind"] == kind).collect();
    assert!(!found.is_empty(), "no {kind}");
    found
}

fn envoy(name: &str, program: &Path, arguments: &[String], port: u16) -> Process {
    let mut command = Command::new(program);
    command.args(arguments).args(["--disable-hot-restart", "--log-level", "warning"]);
    let process = Process::start(name, command);
    process.wait_until(|| Request::get("/api/v1/query").try_send(port).is_some_and(|answer| answer.status != 503));
    process
}

/// Asks for `up`, and gives the query that reached the upstream.
pub fn asked(port: u16, stub: &Stub, id: &str) -> String {
    let answer = Request::get("/api/v1/query?query=up").tenant("team-a").header("x-e2e-id", id).send(port);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = stub.seen(id);
    assert_eq!(seen.last().unwrap().all("thanos-tenant"), ["team-a"]);
    seen.last().unwrap().query()[0].1.clone()
}

#[test]
fn kubernetes_example_serves_and_takes_a_changed_config_map() {
    let stub = Stub::start();
    let documents = example("kubernetes/envoy.yaml");
    let mut pod = Pod::start("kubernetes", &documents, "thanos-query.monitoring.svc.cluster.local", stub.port);

    assert_eq!(asked(pod.query, &stub, "first"), "up{tenant_id=\"team-a\"}");
    let stats = Request::get("/stats/prometheus").send(pod.pages);
    assert!(stats.status == 200 && stats.text().contains("envoy_server_live"), "{}", stats.status);
    assert_eq!(Request::get("/ready").send(pod.pages).text(), "LIVE\n");
    assert_eq!((pod.probe("readinessProbe").status, pod.probe("livenessProbe").status), (200, 200));
    assert!(!stub.received("/-/ready"), "a pod is ready because its filter is, whatever the upstream says");
    // The rest of the admin page, which could stop the process.
    for request in [Request::get("/config_dump"), Request::post("/quitquitquit", ""), Request::post("/ready", "")] {
        assert_eq!(request.send(pod.pages).status, 404, "{request:?}");
    }

    let changed = |from: &str, to: &str| {
        let mut documents = documents.clone();
        let is_filter = |document: &&mut Value| document["metadata"]["name"] == "promql-tenancy";
        let map = documents.iter_mut().find(is_filter).expect("the filter's ConfigMap");
        let text = map["data"]["promql_tenancy.yaml"].as_str().unwrap();
        assert!(text.contains(from), "{text}");
        map["data"]["promql_tenancy.yaml"] = json!(text.replace(from, to));
        documents
    };
    pod.update(&changed("\"tenant_label_name\": \"tenant_id\"", "\"tenant_label_name\": \"team\""));
    let start = Instant::now();
    while asked(pod.query, &stub, "changed") != "up{team=\"team-a\"}" {
        assert!(start.elapsed() < Duration::from_secs(10), "the changed ConfigMap is not in force");
    }
    // One that can't be read leaves that in force, and the log says why.
    pod.update(&changed("tenant_label_name", "tenant_labelname"));
    let start = Instant::now();
    while !pod.process.log().contains("configuration refused: tenant_labelname") {
        assert!(start.elapsed() < Duration::from_secs(10), "{}", pod.process.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(asked(pod.query, &stub, "refused"), "up{team=\"team-a\"}");
}

/// A rollout replaces no good pod by one of these.
#[test]
fn a_pod_of_the_kubernetes_example_whose_filter_does_not_load_is_never_ready() {
    for (name, from, to) in [
        ("misspelt", "\"tenant_label_name\"", "\"tenant_labelname\""),
        ("bad-value", "\"upstream\": \"thanos\"", "\"upstream\": \"tanos\""),
        ("no-module", "plugin.wasm", "plugins.wasm"),
    ] {
        let stub = Stub::start();
        let mut documents = example("kubernetes/envoy.yaml");
        let map = documents.iter_mut().find(|document| document["metadata"]["name"] == "promql-tenancy").unwrap();
        let text = map["data"]["promql_tenancy.yaml"].as_str().unwrap();
        assert!(text.contains(from), "{text}");
        map["data"]["promql_tenancy.yaml"] = json!(text.replace(from, to));
        let pod = Pod::start(
            &format!("kubernetes-{name}"),
            &documents,
            "thanos-query.monitoring.svc.cluster.local",
            stub.port,
        );
        assert_eq!(pod.probe("readinessProbe").status, 500, "{name}");
        assert_eq!(pod.probe("livenessProbe").status, 200, "{name}");
        assert_eq!(Request::get("/api/v1/query?query=up").tenant("team-a").send(pod.query).status, 500, "{name}");
        assert!(!stub.received("GET"), "{name}");
    }
}

/// A bootstrap with these HTTP filters before the router, and what is said of them on the route.
fn bootstrap(port: u16, upstream: u16, mut filters: Vec<Value>, per_route: &Value) -> Value {
    const HTTP: &str = "type.googleapis.com/envoy.extensions.filters";
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": format!("{HTTP}.http.router.v3.Router")},
    }));
    let manager = json!({
        "@type": format!("{HTTP}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "query",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "stub"}, "typed_per_filter_config": per_route}],
        }]},
    });
    let chain =
        json!({"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]});
    let endpoint = json!({"endpoint": {"address": address(upstream)}});
    json!({"static_resources": {
        "listeners": [{"name": "query", "address": address(port), "filter_chains": [chain]}],
        "clusters": [{
            "name": "stub",
            "load_assignment": {"cluster_name": "stub", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }],
    }})
}

/// Stands for `jwt_authn`, whose own example and test are others: the claims of a verified token, where `path` looks for them.
fn claims(path: &Value) -> Value {
    let [namespace, provider, claim] = path.as_array().unwrap().as_slice() else { panic!("{path}") };
    let value = json!({provider.as_str().unwrap(): {claim.as_str().unwrap(): "team-a"}});
    json!({"name": "claims", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
        "metadata": [{"metadata_namespace": namespace, "value": value}],
    }})
}

/// The wasm module, as the control plane's configuration holds it.
fn start(
    name: &str,
    module: &Path,
    mut config: Value,
    before: Option<Value>,
    per_route: &Value,
) -> (Process, Stub, u16) {
    config["config"]["vm_config"] = json!({
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": module}},
    });
    config["@type"] = json!("type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm");
    let mut filters: Vec<Value> = before.into_iter().collect();
    filters.push(json!({"name": FILTER, "disabled": !per_route.is_null(), "typed_config": config}));
    let (stub, port) = (Stub::start(), process::free_port());
    let arguments = written(name, &bootstrap(port, stub.port, filters, per_route));
    (envoy(name, &process::program("TENANCY_ENVOY"), &arguments, port), stub, port)
}

/// What Envoy starts with this bootstrap by.
fn written(name: &str, bootstrap: &Value) -> Vec<String> {
    let path = process::folder().join(format!("{name}.json"));
    std::fs::write(&path, bootstrap.to_string()).unwrap();
    ["--config-path", path.to_str().unwrap(), "--concurrency", "1"].map(str::to_owned).into()
}

fn string_value(configuration: &Value) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string()})
}

/// How Envoy Gateway names the filter: `irConfigNameForWasm` and `wasmFilterName` in its internal/gatewayapi/envoyextensionpolicy.go
/// and internal/xds/translator/wasm.go, 1.9.1.
const FILTER: &str = "envoy.filters.http.wasm/envoyextensionpolicy/monitoring/promql-tenancy/wasm/0";

/// After a trap: whether it serves again within a few seconds.
fn heals(port: u16) -> bool {
    let get = || Request::get("/api/v1/query?query=up").tenant("team-a");
    assert_eq!(get().send(port).status, 200);
    assert_eq!(get().header("x-tenancy-test-trap", "1").send(port).status, 503);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        if get().try_send(port).is_some_and(|answer| answer.status == 200) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn envoy_gateway_policy_needs_its_patch_to_heal() {
    let documents = example("envoy-gateway/gateway.yaml");
    let policy = of_kind(&documents, "EnvoyExtensionPolicy")[0];
    let wasm = &policy["spec"]["wasm"][0];
    let claims = || Some(claims(&wasm["config"]["tenant_metadata"]));
    // As `wasmConfig` and `patchRoute` in internal/xds/translator/wasm.go write them: off, but for the routes of the policy.
    let generated = json!({"config": {
        "name": wasm["name"], "configuration": string_value(&wasm["config"]), "fail_open": wasm["failOpen"],
    }});
    let per_route = json!({FILTER: {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}});
    let mut patched = generated.clone();
    for patch in of_kind(&documents, "EnvoyPatchPolicy")[0]["spec"]["jsonPatches"].as_array().unwrap() {
        let operation = &patch["operation"];
        assert_eq!(patch["type"], "type.googleapis.com/envoy.config.listener.v3.Listener");
        assert_eq!(operation["jsonPath"], format!("$..http_filters[?(@.name=='{FILTER}')].typed_config.config"));
        patched["config"][operation["path"].as_str().unwrap()] = operation["value"].clone();
    }

    let module = process::program("TENANCY_WASM");
    let (_envoy, stub, port) = start("envoy-gateway", &module, patched.clone(), claims(), &per_route);
    assert_eq!(asked(port, &stub, "gateway"), "up{tenant_id=\"team-a\"}");

    let trap = process::program("TENANCY_WASM_TRAP");
    let (_envoy, _stub, port) = start("envoy-gateway-trap", &trap, patched, claims(), &per_route);
    assert!(heals(port));
    let (_envoy, _stub, port) = start("envoy-gateway-unpatched", &trap, generated, claims(), &per_route);
    assert!(!heals(port), "the patch is not needed any more");
}

/// The resources are judged by their schemas in tests/manifests.rs; this is what `dynamicModuleConfig` and `patchRoute` in Envoy Gateway's
/// internal/xds/translator/dynamicmodule.go write for them, 1.9.1.
#[test]
fn envoy_gateway_policy_loads_the_native_module() {
    const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";
    const NAME: &str =
        "envoy.filters.http.dynamic_modules/envoyextensionpolicy/monitoring/promql-tenancy/dynamic-module/0";
    let documents = example("envoy-gateway/native.yaml");
    let of = |kind: &str| of_kind(&documents, kind)[0]["spec"].clone();
    let (proxy, used) = (of("EnvoyProxy"), of("EnvoyExtensionPolicy")["dynamicModule"][0].clone());
    // A policy may use only what the proxy's resource names.
    let entry = &proxy["dynamicModules"][0];
    assert_eq!(entry["name"], used["name"]);
    let file = Path::new(entry["source"]["local"]["path"].as_str().unwrap());
    let native = process::program("TENANCY_NATIVE");
    assert_eq!(file.file_name(), native.file_name());
    let container = &proxy["provider"]["kubernetes"]["envoyDeployment"]["container"];
    assert_eq!(container["volumeMounts"][0]["mountPath"], file.parent().unwrap().to_str().unwrap());

    let filter = json!({"name": NAME, "disabled": true, "typed_config": {
        "@type": format!("{FILTERS}.dynamic_modules.v3.DynamicModuleFilter"),
        "dynamic_module_config": {"do_not_close": entry["doNotClose"], "module": {"local": {"filename": native}}},
        "filter_name": used["filterName"],
        "filter_config": string_value(&used["config"]),
    }});
    let per_route = json!({NAME: {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}});
    // Stands for `jwt_authn`, which writes the claim of a verified token. If the client's own header were still there, that would count.
    let header = &of("SecurityPolicy")["jwt"]["providers"][0]["claimToHeaders"][0]["header"];
    let claim = json!({"name": "claim", "typed_config": {
        "@type": format!("{FILTERS}.header_mutation.v3.HeaderMutation"),
        "mutations": {"request_mutations": [
            {"append": {"header": {"key": header, "value": "team-a"}, "append_action": "ADD_IF_ABSENT"}},
        ]},
    }});
    let (stub, port, admin) = (Stub::start(), process::free_port(), process::free_port());
    let mut config = bootstrap(port, stub.port, vec![claim, filter], &per_route);
    let removed = of("ClientTrafficPolicy")["headers"]["earlyRequestHeaders"]["remove"].clone();
    let mutations: Vec<Value> = removed.as_array().unwrap().iter().map(|name| json!({"remove": name})).collect();
    let manager = &mut config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    manager["early_header_mutation_extensions"] = json!([{"name": "early", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": mutations,
    }}]);
    config["admin"] = json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}});
    // `mergeBootstrap` appends to lists.
    let merged = process::folder().join("envoy-gateway-native-bootstrap.yaml");
    std::fs::write(&merged, proxy["bootstrap"]["value"].as_str().unwrap()).unwrap();
    for (key, value) in json("documents", &merged).remove(0).as_object().unwrap() {
        config[key] = value.clone();
    }

    let name = "envoy-gateway-native";
    let _envoy = envoy(name, &process::program("TENANCY_ENVOY"), &written(name, &config), port);
    assert_eq!(asked(port, &stub, "gateway"), "up{tenant_id=\"team-a\"}");
    let spoofed = Request::get("/api/v1/query?query=up").tenant("team-b").header("x-e2e-id", "spoofed").send(port);
    assert_eq!(spoofed.status, 200, "{}", spoofed.text());
    stub.seen("spoofed").iter().for_each(|seen| seen.assert_scoped("team-a"));
    let counted = "\ntenancy_requests_total{code=\"2xx\",tenant=\"team-a\"";
    let stats = || Request::get("/stats/prometheus").send(admin).text();
    let start = Instant::now();
    while !stats().contains(counted) {
        assert!(start.elapsed() < Duration::from_secs(10), "{}", stats());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn istio_plugins_isolate_and_heal() {
    let trap = process::program("TENANCY_WASM_TRAP");
    for name in ["gateway", "sidecar"] {
        let documents = example(&format!("istio/{name}.yaml"));
        let plugin = &of_kind(&documents, "WasmPlugin")[0]["spec"];
        assert_eq!(plugin["failStrategy"], "FAIL_RELOAD");
        // As `buildWasmConfig` in pilot/pkg/model/extensions.go writes it, 1.31: nothing else is set.
        let config = json!({"config": {
            "name": "monitoring.promql-tenancy",
            "configuration": string_value(&plugin["pluginConfig"]),
            "failure_policy": "FAIL_RELOAD",
        }});
        let claims = plugin["pluginConfig"].get("tenant_metadata").map(claims);
        let (_envoy, stub, port) = start(&format!("istio-{name}"), &trap, config, claims, &Value::Null);
        assert_eq!(asked(port, &stub, "istio"), "up{tenant_id=\"team-a\"}");
        // Without allow_on_headers_stop_iteration, a form is read and rewritten too.
        let form = Request::post("/api/v1/query", "query=down").tenant("team-a").header("x-e2e-id", "form").send(port);
        assert_eq!(form.status, 200, "{}", form.text());
        stub.seen("form").iter().for_each(|seen| seen.assert_scoped("team-a"));
        assert!(heals(port));
    }
}

/// The patches are judged by the schema of Istio's resource in tests/manifests.rs, and what they insert by Envoy: 1.39 is the one that Istio 1.31 is built
/// from (`ENVOY_SHA` in its WORKSPACE).
#[test]
fn istio_patches_load_the_native_module() {
    let documents = example("istio/native.yaml");
    let patches = of_kind(&documents, "EnvoyFilter")[0]["spec"]["configPatches"].as_array().unwrap();
    let mut filters: Vec<Value> = Vec::new();
    for patch in patches {
        // As `patchHTTPFilters` in pilot/pkg/networking/core/envoyfilter/listener_patch.go applies them, 1.31: each before the router.
        assert_eq!((&patch["applyTo"], &patch["patch"]["operation"]), (&json!("HTTP_FILTER"), &json!("INSERT_BEFORE")));
        let filter = &patch["match"]["listener"]["filterChain"]["filter"];
        assert_eq!(filter["subFilter"]["name"], "envoy.filters.http.router");
        filters.push(patch["patch"]["value"].clone());
    }
    let module = filters.last_mut().unwrap()["typed_config"]["dynamic_module_config"]["module"].take();
    let file = Path::new(module["local"]["filename"].as_str().unwrap());
    let native = process::program("TENANCY_NATIVE");
    assert_eq!(file.file_name(), native.file_name());
    filters.last_mut().unwrap()["typed_config"]["dynamic_module_config"]["module"] =
        json!({"local": {"filename": native}});

    // What the annotation of the proxy says, as pkg/bootstrap/config.go puts it into the bootstrap: flags, and which stats are shown.
    let deployment = of_kind(&documents, "Deployment")[0];
    let annotation = &deployment["spec"]["template"]["metadata"]["annotations"]["proxy.istio.io/config"];
    let written_there = process::folder().join("istio-native-proxy.yaml");
    std::fs::write(&written_there, annotation.as_str().unwrap()).unwrap();
    let proxy = json("documents", &written_there).remove(0);
    let flags: serde_json::Map<String, Value> = proxy["runtimeValues"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), json!(value == "true")))
        .collect();
    let shown: Vec<Value> = ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm"]
        .map(Value::from)
        .into_iter()
        .chain(proxy["proxyStatsMatcher"]["inclusionPrefixes"].as_array().unwrap().clone())
        .map(|prefix| json!({"prefix": prefix}))
        .collect();

    for (at, program) in ["TENANCY_ENVOY_1_39", "TENANCY_ENVOY"].into_iter().enumerate() {
        let (stub, port, admin) = (Stub::start(), process::free_port(), process::free_port());
        let claims = claims(&json!(["envoy.filters.http.jwt_authn", "payload", "tenant"]));
        let mut config = bootstrap(port, stub.port, [vec![claims], filters.clone()].concat(), &Value::Null);
        config["admin"] = json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}});
        config["layered_runtime"] = json!({"layers": [{"name": "global config", "static_layer": flags}]});
        config["stats_config"] = json!({"stats_matcher": {"inclusion_list": {"patterns": shown}}});
        let name = format!("istio-native-{at}");
        let _envoy = envoy(&name, &process::program(program), &written(&name, &config), port);
        assert_eq!(asked(port, &stub, "istio"), "up{tenant_id=\"team-a\"}");
        let form = Request::post("/api/v1/query", "query=down").header("x-e2e-id", "form").send(port);
        assert_eq!(form.status, 200, "{}", form.text());
        stub.seen("form").iter().for_each(|seen| seen.assert_scoped("team-a"));
        let start = Instant::now();
        while !Request::get("/stats/prometheus")
            .send(admin)
            .text()
            .contains("\ntenancy_requests_total{code=\"2xx\",tenant=\"team-a\"")
        {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{}",
                Request::get("/stats/prometheus").send(admin).text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }

        // Without the first patch, the claim is none.
        let claims = self::claims(&json!(["envoy.filters.http.jwt_authn", "payload", "tenant"]));
        let (port, stub) = (process::free_port(), Stub::start());
        let config = bootstrap(port, stub.port, vec![claims, filters[1].clone()], &Value::Null);
        let name = format!("istio-native-unread-{at}");
        let _envoy = envoy(&name, &process::program(program), &written(&name, &config), port);
        assert_eq!(Request::get("/api/v1/query?query=up").send(port).status, 401);
        assert!(!stub.received("GET /api/v1/query"));
    }
}
