//! `tenancyctl verify` says yes to a deployment that isolates, and no to one that does not: without the filter, behind a cache, with a header that the client can
//! write. Prometheus, Cortex and Alertmanager; Thanos is in `deployments`.

use crate::support::data::TENANTS;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request};
use crate::support::stores::thanos;
use crate::support::{grpc, process, prometheus, stores, upstreams};
use promql_tenancy_filter::api::{SERVICES, TABLE, Upstream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

const ROUTER: &str = "          - name: promql_tenancy\n";

/// Exit status and report.
fn verify(port: u16, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenancyctl"));
    command
        .arg("verify")
        .arg(format!("http://127.0.0.1:{port}"))
        .args(["--tenant", "team-a", "--tenant", "team-b", "--json"]);
    let output = command.args(arguments).output().unwrap();
    let code = output.status.code().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::String(said));
    assert!(code == 2 || report.is_object(), "{report}");
    (code, report)
}

fn of(envoy: &Envoy, arguments: &[&str]) -> (i32, Value) {
    let config = envoy.filter_file().display().to_string();
    let rate: &[&str] = if arguments.contains(&"--rate") { &[] } else { &["--rate", "5000"] };
    verify(envoy.port(), &[&["--config", &config], rate, arguments].concat())
}

/// What was found wrong.
fn wrong(report: &Value) -> Vec<&Value> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| matches!(check["outcome"].as_str(), Some("leak" | "failed"))).collect()
}

fn passes((code, report): &(i32, Value)) {
    assert!(*code != 2, "{report}");
    assert!(*code == 0 && report["verdict"] == "isolated", "{:#?}", wrong(report));
    assert!(wrong(report).is_empty() && report["leaks"] == 0 && report["wrong"] == 0);
}

/// It fails, and each of these checks is among those that failed.
fn fails((code, report): &(i32, Value), expected: &[(&str, &str, &str)]) {
    assert!(*code == 1 && report["verdict"] == "not isolated", "{code}: {report}");
    for (endpoint, what, outcome) in expected {
        let is_it = |check: &&Value| {
            check["endpoint"] == *endpoint
                && check["what"].as_str().unwrap().contains(what)
                && check["outcome"] == *outcome
        };
        assert!(wrong(report).iter().any(is_it), "{endpoint}: {what}: {outcome}: {:#?}", wrong(report));
    }
}

#[test]
fn a_prometheus_behind_the_filter_is_isolated_by_every_endpoint() {
    let pair = prometheus();
    let behind = format!("http://127.0.0.1:{}", pair.upstream.port());
    let start = Instant::now();
    let found = of(&pair.envoy, &["--upstream", &behind, "--rate", "300"]);
    let took = start.elapsed();
    passes(&found);
    let report = &found.1;
    assert_eq!((&report["tenants"], &report["metrics"]), (&json!(["team-a", "team-b"]), &json!(["up", "up"])));
    let requests = report["requests"].as_u64().unwrap();
    // Its load is bounded: one request after the other, at that rate.
    assert!((300..1_500).contains(&requests), "{requests}");
    assert!(took >= Duration::from_millis((requests - 1) * 1_000 / 300), "{requests} requests in {took:?}");
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        for member in ["endpoint", "tenant", "what", "request", "outcome", "detail"] {
            assert!(check[member].is_string(), "{check}");
        }
    }
    let asked: BTreeSet<&str> = checks.iter().map(|check| check["endpoint"].as_str().unwrap()).collect();
    for route in TABLE.iter().filter(|route| route.upstreams.contains(&Upstream::Prometheus)) {
        assert!(asked.contains(route.handler), "{} is not asked for", route.handler);
    }
    pair.envoy.assert_healthy();
}

#[test]
fn without_the_filter_it_fails() {
    let envoy = Setup::shipped(prometheus().upstream.port()).without_filter().start("envoy-verify-without");
    let found = of(&envoy, &[]);
    fails(
        &found,
        &[
            ("query", "GET: its own series", "leak"),
            ("query", "POST: the other tenant by name", "leak"),
            ("label_values", "no selector", "leak"),
            ("headers", "no tenant", "leak"),
            ("chain", "the answer is marked as private", "leak"),
        ],
    );
    assert!(found.1["leaks"].as_u64().unwrap() > 100, "{}", found.1["leaks"]);
}

#[test]
fn behind_a_cache_it_fails_for_what_the_cache_answers() {
    const CACHE: &str = r#"          - name: envoy.filters.http.cache
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig
"#;
    let envoy = Setup::shipped(prometheus().upstream.port())
        .replace(ROUTER, &[CACHE, ROUTER].concat())
        .start("envoy-verify-cache");
    let found = of(&envoy, &[]);
    fails(&found, &[("query", "GET: its own series", "leak"), ("query", "GET: the other tenant by name", "leak")]);
    let is_post = |check: &&&Value| check["request"].as_str().unwrap().starts_with("POST ");
    assert_eq!(wrong(&found.1).iter().filter(is_post).count(), 0, "{:#?}", wrong(&found.1));
}

const USERS: [&str; 4] = ["--as", "team-a=x-user: team-a", "--as", "team-b=x-user: team-b"];

/// With a filter before ours that names the tenant after another header.
fn with_user(setup: Setup, action: &str) -> Setup {
    let before = format!(
        r#"          - name: envoy.filters.http.header_mutation
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
              mutations:
                request_mutations:
                - append: {{ header: {{ key: thanos-tenant, value: "%REQ(x-user)%" }}, append_action: {action} }}
"#
    );
    setup.replace(ROUTER, &(before + ROUTER))
}

/// What names the tenant before the filter has to replace what the client sent.
#[test]
fn a_header_that_the_client_can_write_is_found() {
    for (action, name) in [("OVERWRITE_IF_EXISTS_OR_ADD", "replaced"), ("ADD_IF_ABSENT", "spoofed")] {
        let envoy =
            with_user(Setup::shipped(prometheus().upstream.port()), action).start(&format!("envoy-verify-{name}"));
        let found = of(&envoy, &USERS);
        match name {
            "replaced" => passes(&found),
            _ => fails(&found, &[("headers", "GET: thanos-tenant names the other tenant", "leak")]),
        }
    }
}

/// Of the web pages, a Thanos that is not told its prefix is found, by a sentence that names the flag.
#[test]
fn a_thanos_query_whose_page_asks_past_the_tenant_s_path_is_found() {
    const FLAG: &str = "--web.prefix-header=X-Forwarded-Prefix";
    let endpoint = format!("--endpoint=127.0.0.1:{}", stores().grpc().receive);
    let pages = json!({"upstream": "thanos", "ui": true, "tenant_path": "/t/", "allowed_tenants": TENANTS});
    for (name, is_told) in [("told", true), ("untold", false)] {
        let port = process::free_port();
        let mut arguments = vec!["--query.lookback-delta=30m", "--query.replica-label=receive", &endpoint];
        arguments.extend(Some(FLAG).filter(|_| is_told));
        let query = thanos(&format!("verify-{name}"), "query", port, process::free_port(), &arguments);
        query.wait_until(|| upstreams::answers(port));
        query.wait_until(|| Request::get("/api/v1/query?query=count(up)").send(port).text().contains("value"));
        let envoy = Setup::shipped(port).plugin(pages.clone()).start(&format!("envoy-verify-{name}"));
        let found = of(&envoy, &[]);
        if is_told {
            passes(&found);
            let checks = found.1["checks"].as_array().unwrap().iter();
            assert_eq!(checks.filter(|check| check["endpoint"] == "ui" && check["outcome"] == "ok").count(), 2);
            continue;
        }
        fails(&found, &[("ui", "the first page stays below the tenant's path", "failed")]);
        // One for each tenant, and nothing else is wrong.
        assert_eq!((wrong(&found.1).len(), &found.1["leaks"]), (2, &json!(0)), "{:#?}", wrong(&found.1));
        assert!(wrong(&found.1).iter().all(|check| check["detail"].as_str().unwrap().contains(FLAG)));
    }
}

#[test]
fn a_dry_run_is_no_isolation() {
    let plugin = json!({"dry_run": true});
    let envoy = Setup::shipped(prometheus().upstream.port()).plugin(plugin).start("envoy-verify-dry-run");
    let found = of(&envoy, &[]);
    fails(&found, &[("query", "GET: its own series", "failed")]);
    assert!(wrong(&found.1).iter().any(|check| check["detail"].as_str().unwrap().contains("dry run")));
}

#[test]
fn a_cortex_that_isolates_by_the_header_is_judged() {
    let header = crate::cortex::header();
    // One of its own: others are given other configurations while they run.
    let plugin = json!({"upstream": "cortex", "tenant_header": "THANOS-TENANT", "default_tenant_id": "", "allow_writes": true,
        "tenant_federation": {"enabled": true}, "enable_remote_read": true});
    let envoy = Setup::shipped(header.cortex.port()).plugin(plugin).start("envoy-verify-cortex");
    passes(&of(&envoy, &[]));
    // Its own multitenancy isolates there. What is missing without the filter is the rest.
    let direct = Setup::shipped(header.cortex.port()).without_filter().start("envoy-verify-cortex-without");
    let config = process::folder().join("verify-cortex.json");
    std::fs::write(&config, r#"{"upstream": "cortex", "tenant_header": "X-Scope-OrgID", "default_tenant_id": ""}"#)
        .unwrap();
    let found = verify(direct.port(), &["--config", &config.display().to_string(), "--rate", "5000"]);
    fails(
        &found,
        &[("chain", "the answer is marked as private", "failed"), ("headers", "the tenant header twice", "failed")],
    );
}

/// Whether a check of the gRPC services.
fn calls(report: &Value) -> Vec<&Value> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["endpoint"].as_str().unwrap().starts_with("grpc")).collect()
}

#[test]
fn thanos_s_grpc_services_are_judged_over_http_2() {
    let stores = crate::support::stores();
    let plugin = || json!({"upstream": "thanos", "enable_grpc": true, "default_tenant_id": ""});
    let http = Setup::shipped(stores.leaf()).plugin(plugin()).start("envoy-verify-thanos");
    let behind = |grpc: u16| of(&http, &["--grpc", &format!("http://127.0.0.1:{grpc}")]);
    let served = grpc::setup(stores.grpc().query).plugin(plugin()).start("envoy-verify-grpc");
    let found = behind(served.port());
    passes(&found);
    let asked: BTreeSet<&str> = calls(&found.1)
        .into_iter()
        .filter(|call| call["outcome"] == "ok")
        .map(|call| call["endpoint"].as_str().unwrap())
        .collect();
    for route in SERVICES {
        assert!(asked.contains(route.handler), "{} is not asked for", route.handler);
    }
    // Thanos itself.
    let direct = behind(stores.grpc().query);
    fails(
        &direct,
        &[
            ("grpc_query", "its own", "leak"),
            ("grpc_query_range", "its own", "leak"),
            ("grpc_series", "the other tenant by name", "leak"),
            ("grpc_label_values", "its own", "leak"),
            ("grpc_rules", "its own", "leak"),
            ("grpc_query", "no tenant", "leak"),
            ("grpc_status", "/thanos.Status/", "failed"),
        ],
    );
    assert!(wrong(&direct.1).iter().all(|check| check["endpoint"].as_str().unwrap().starts_with("grpc")));
    // A client's own metadata that a filter before ours leaves in place.
    let http = with_user(Setup::shipped(stores.leaf()).plugin(plugin()), "OVERWRITE_IF_EXISTS_OR_ADD");
    let http = http.start("envoy-verify-thanos-user");
    let spoofed = with_user(grpc::setup(stores.grpc().query).plugin(plugin()), "ADD_IF_ABSENT");
    let spoofed = spoofed.start("envoy-verify-grpc-spoofed");
    let url = format!("http://127.0.0.1:{}", spoofed.port());
    let found = of(&http, &[&["--grpc", &url], &USERS[..]].concat());
    fails(&found, &[("grpc", "/thanos.Query/Query: thanos-tenant names the other tenant", "leak")]);
    assert!(wrong(&found.1).iter().all(|check| check["endpoint"] == "grpc"), "{:#?}", wrong(&found.1));
    served.assert_healthy();
}

#[test]
fn an_alertmanager_is_judged_by_alerts_and_silences() {
    let port = process::free_port();
    let _alertmanager = crate::alertmanager::alertmanager("alertmanager-verify", port);
    let post = |path: &str, body: Value| {
        let mut request = Request::new("POST", path).header("content-type", "application/json");
        request.body = Body::Sized(body.to_string().into_bytes());
        let answer = request.send(port);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    for tenant in ["team-a", "team-b"] {
        let labels = json!({"alertname": "Slow", "tenant_id": tenant, "owner": format!("data of {tenant}")});
        post("/api/v2/alerts", json!([{"labels": labels}]));
        let matcher =
            |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false, "isEqual": true});
        post(
            "/api/v2/silences",
            json!({"matchers": [matcher("alertname", "None"), matcher("tenant_id", tenant)], "createdBy": "operator", "comment": "none",
                "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}),
        );
    }
    let config = r#"{"upstream": "alertmanager", "default_tenant_id": "", "call_out_cluster": "alertmanager"}"#;
    let file = process::folder().join("verify-alertmanager.json");
    std::fs::write(&file, config).unwrap();
    let arguments = ["--config", &file.display().to_string(), "--rate", "5000"];
    let envoy = crate::alertmanager::example(port).start("envoy-verify-alertmanager");
    let found = verify(envoy.port(), &arguments);
    passes(&found);
    let asked: BTreeSet<&str> =
        found.1["checks"].as_array().unwrap().iter().map(|check| check["endpoint"].as_str().unwrap()).collect();
    for route in TABLE.iter().filter(|route| route.upstreams.contains(&Upstream::Alertmanager)) {
        assert!(asked.contains(route.handler), "{} is not asked for", route.handler);
    }
    // Past the filter, the other's alerts, silences and their groups are there.
    fails(
        &verify(port, &arguments),
        &[
            ("alerts", "its own", "leak"),
            ("alert_groups", "every tenant", "leak"),
            ("silences", "its own", "leak"),
            ("silence", "the other tenant's silence", "leak"),
        ],
    );
    // Nothing was written.
    for (path, count) in [("/api/v2/alerts", 2), ("/api/v2/silences", 2)] {
        let all = Request::get(path).send(port).json();
        let states = all.as_array().unwrap().iter().filter(|silence| silence["status"]["state"] != "expired");
        assert_eq!(states.count(), count, "{path}: {all}");
    }
    envoy.assert_healthy();
}

#[test]
fn what_can_t_be_judged_is_neither_yes_nor_no() {
    assert_eq!(verify(process::free_port(), &[]).0, 2);
    let envoy = &prometheus().envoy;
    let config = envoy.filter_file().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenancyctl"));
    command.arg("verify").arg(format!("http://127.0.0.1:{}", envoy.port())).args(["--config", &config]);
    let output = command.args(["--tenant", "team-a", "--tenant", "team-without-data"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
