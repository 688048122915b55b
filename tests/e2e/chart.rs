//! What the Helm chart makes of Envoy, without a cluster: its bootstraps, validated by Envoy; one of them, run; its probes, sent as the
//! kubelet sends them; its init container's script.

use crate::kubernetes::asked;
use crate::support::helm::{VALUES, render};
use crate::support::http::Request;
use crate::support::manifests::json;
use crate::support::pod::Pod;
use crate::support::process;
use crate::support::stub::Stub;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const UPSTREAM: &str = "thanos-query.monitoring.svc.cluster.local";

fn rendered(name: &str, values: &str, choices: &[&str]) -> Vec<Value> {
    let more: Vec<&str> = choices.iter().flat_map(|choice| ["--set", choice]).collect();
    json("documents", &render(name, values, &more).unwrap_or_else(|problem| panic!("{problem}")))
}

fn minimal(name: &str, choices: &[&str]) -> Vec<Value> {
    rendered(name, VALUES[0], choices)
}

/// The one file of the ConfigMap whose name ends so.
fn file(documents: &[Value], ending: &str, name: &str) -> String {
    let is_it = |document: &&Value| {
        document["kind"] == "ConfigMap" && document["metadata"]["name"].as_str().unwrap().ends_with(ending)
    };
    documents.iter().find(is_it).unwrap()["data"][name].as_str().unwrap().to_owned()
}

fn scratch(name: &str, text: &str) -> PathBuf {
    let path = process::folder().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What `envoy --mode validate` complains about.
fn validate(name: &str, bootstrap: &Value) -> Result<(), String> {
    let path = scratch(&format!("{name}.json"), &bootstrap.to_string());
    let mut command = Command::new(process::program("TENANCY_ENVOY"));
    let output = command.args(["--mode", "validate", "--config-path"]).arg(&path).output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn envoy_accepts_what_every_set_of_values_becomes() {
    for (number, values) in VALUES.into_iter().enumerate() {
        let documents = rendered(&format!("judged-{number}"), values, &[]);
        let folder = process::folder().join(format!("judged-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        // Envoy looks at once for the file and for the authorities.
        let filter = file(&documents, "-config", "promql_tenancy.yaml");
        let filter = filter.replace("/etc/envoy/wasm/plugin.wasm", process::program("TENANCY_WASM").to_str().unwrap());
        std::fs::write(folder.join("promql_tenancy.yaml"), &filter).unwrap();
        let authorities = crate::support::identities::folder().join("authority.pem");
        let text = file(&documents, "-bootstrap", "envoy.yaml")
            .replace("/etc/envoy/filter", folder.to_str().unwrap())
            .replace("/etc/ssl/certs/ca-certificates.crt", authorities.to_str().unwrap());
        let mut bootstrap = json("documents", &scratch(&format!("judged-{number}.yaml"), &text)).remove(0);
        validate(&format!("judged-{number}"), &bootstrap).unwrap_or_else(|problem| panic!("{values}: {problem}"));

        // Envoy does not look into a discovered file: the filter is put in its place.
        let resource = json("documents", &folder.join("promql_tenancy.yaml")).remove(0)["resources"][0].clone();
        let http = bootstrap
            .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters")
            .and_then(Value::as_array_mut)
            .unwrap();
        let discovered = http.iter_mut().find(|filter| filter["name"] == "promql_tenancy").unwrap();
        let mut inlined = resource.clone();
        inlined.as_object_mut().unwrap().remove("@type");
        *discovered = inlined;
        validate(&format!("inlined-{number}"), &bootstrap).unwrap_or_else(|problem| panic!("{values}: {problem}"));

        // It does look: a configuration that the filter refuses is found.
        let text = bootstrap.to_string().replace("tenant_label_name", "tenant_labelname");
        let wrong: Value = serde_json::from_str(&text).unwrap();
        assert!(validate(&format!("wrong-{number}"), &wrong).is_err(), "{values}");
    }
}

#[test]
fn the_chart_serves_is_ready_through_the_filter_and_takes_a_changed_config_map() {
    let stub = Stub::start();
    let mut pod = Pod::start("chart", &minimal("run", &[]), UPSTREAM, stub.port);

    // Ready because the filter is, whatever the upstream says: nothing reached it.
    let ready = pod.probe("readinessProbe");
    assert_eq!((ready.status, ready.text().as_str()), (200, "{\"status\":\"success\",\"data\":{}}"));
    assert!(!stub.received("/-/ready"));
    assert_eq!(pod.probe("livenessProbe").text(), "LIVE\n");
    assert_eq!(pod.probe("startupProbe").status, 200);
    assert_eq!(asked(pod.query, &stub, "chart"), "up{tenant_id=\"team-a\"}");
    // Clients get the upstream's own.
    assert_eq!(Request::get("/-/ready").tenant("team-a").send(pod.query).status, 200);
    assert!(stub.received("/-/ready"));
    assert_eq!(Request::get("/api/v1/query?query=up").send(pod.query).status, 401);
    for request in [Request::get("/config_dump"), Request::post("/quitquitquit", ""), Request::post("/ready", "")] {
        assert_eq!(request.send(pod.pages).status, 404, "{request:?}");
    }

    pod.update(&minimal("run-changed", &["filter.config.tenant_label_name=team"]));
    let start = Instant::now();
    while asked(pod.query, &stub, "chart-changed") != "up{team=\"team-a\"}" {
        assert!(start.elapsed() < Duration::from_secs(10), "the changed ConfigMap is not in force");
    }
    // What no schema can say: it needs static_tenant_ids beside it.
    pod.update(&minimal("run-refused", &["filter.config.tenant_regex=a.*"]));
    let start = Instant::now();
    while !pod.process.log().contains("configuration refused: tenant_regex") {
        assert!(start.elapsed() < Duration::from_secs(10), "{}", pod.process.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(asked(pod.query, &stub, "chart-refused"), "up{team=\"team-a\"}");
    assert_eq!(pod.probe("readinessProbe").status, 200);
}

#[test]
fn a_pod_that_starts_with_a_refused_configuration_is_alive_and_never_ready() {
    let stub = Stub::start();
    let documents = minimal("never-ready", &["filter.config.tenant_regex=a.*"]);
    let pod = Pod::start("chart-never-ready", &documents, UPSTREAM, stub.port);
    assert_eq!(pod.probe("readinessProbe").status, 500);
    assert_eq!(pod.probe("livenessProbe").status, 200);
    assert!(!stub.received("GET"), "nothing reaches the upstream");
}

#[test]
fn a_probe_that_includes_the_upstream_reaches_it() {
    let stub = Stub::start();
    let documents = minimal("upstream-too", &["probes.readiness.includeUpstream=true"]);
    let pod = Pod::start("chart-upstream-too", &documents, UPSTREAM, stub.port);
    assert_eq!(pod.probe("readinessProbe").status, 200);
    assert!(stub.received("GET /-/ready"));
}

/// Cortex's API table has no `/-/ready`.
#[test]
fn the_probe_of_cortex_is_answered_too() {
    let stub = Stub::start();
    let documents = minimal("cortex", &["filter.config.upstream=cortex,filter.config.tenant_header=X-Scope-OrgID"]);
    let pod = Pod::start("chart-cortex", &documents, UPSTREAM, stub.port);
    let ready = pod.probe("readinessProbe");
    assert_eq!((ready.status, ready.text().as_str()), (200, "{\"status\":\"success\",\"data\":{}}"));
    assert!(!stub.received("buildinfo"));
}

#[test]
fn the_init_container_keeps_a_module_only_if_its_checksum_is_right() {
    let module = process::program("TENANCY_WASM");
    let sum = Command::new("sha256sum").arg(&module).output().unwrap();
    let right = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    for (name, sum, kept) in [("right", right.as_str(), true), ("wrong", &"0".repeat(64), false)] {
        let sum = format!("module.download.sha256={sum}");
        let documents = rendered(&format!("download-{name}"), VALUES[1], &[&sum]);
        let deployment = documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["initContainers"][0];
        let folder = process::folder().join(format!("download-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let words = container["command"].as_array().unwrap().iter().chain(container["args"].as_array().unwrap());
        let words: Vec<String> =
            words.map(|word| word.as_str().unwrap().replace("/module/", &format!("{}/", folder.display()))).collect();
        let value = |name: &str| {
            let variables = container["env"].as_array().unwrap();
            variables.iter().find(|variable| variable["name"] == name).unwrap()["value"].as_str().unwrap()
        };
        assert!(value("MODULE_URL").starts_with("https://"));
        let status = Command::new(&words[0])
            .args(&words[1..])
            .env("MODULE_URL", format!("file://{}", module.display()))
            .env("MODULE_SHA256", value("MODULE_SHA256"))
            .output()
            .unwrap()
            .status;
        assert_eq!((status.success(), folder.join("plugin.wasm").exists()), (kept, kept), "{name}");
    }
}
