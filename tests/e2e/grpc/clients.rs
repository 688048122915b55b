//! Thanos Query, also in distributed mode, and Ruler as clients of the filter; and a browser's grpc-web.

use super::{QUERY, query, thanos};
use crate::support::data::{self, NOBODY};
use crate::support::envoy::Setup;
use crate::support::grpc;
use crate::support::http::{Request, form};
use crate::support::process::{self, Process, free_port};
use crate::support::stores;
use crate::support::{identities, upstreams};
use serde_json::json;

/// A Thanos Query that asks this gRPC port.
fn querier(name: &str, arguments: &[String]) -> (Process, u16) {
    let port = free_port();
    let process = stores::thanos(name, "query", port, free_port(), arguments);
    process.wait_until(|| upstreams::answers(port));
    (process, port)
}

fn of_time(path: &str, text: &str) -> String {
    format!("{path}?{}", form(&[("query", text), ("time", &data::end().to_string())]))
}

#[track_caller]
fn assert_sees_team_a(process: &Process, port: u16, count: &str) {
    process.wait_until(|| {
        let answer = Request::get(&of_time("/api/v1/query", count)).try_send(port);
        answer.is_some_and(|answer| answer.text().contains("data of team-a"))
    });
    for path in [
        of_time("/api/v1/query", "last_over_time({__name__=~\".+\"}[1h])"),
        of_time("/api/v1/query", count),
        "/api/v1/stores".to_owned(),
        "/api/v1/rules".to_owned(),
        "/api/v1/targets".to_owned(),
        "/api/v1/labels".to_owned(),
        "/api/v1/label/tenant_id/values".to_owned(),
        "/api/v1/label/owner/values".to_owned(),
        format!(
            "/api/v1/query_exemplars?{}",
            form(&[
                ("query", "http_requests_total"),
                ("start", &data::start().to_string()),
                ("end", &data::end().to_string())
            ])
        ),
    ] {
        let answer = Request::get(&path).send(port);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let text = answer.text();
        for mark in data::marks("team-b").iter().chain(&data::marks(NOBODY)) {
            assert!(!text.contains(mark), "{path} shows {mark}: {text}");
        }
    }
    let values = Request::get("/api/v1/label/owner/values").send(port);
    assert_eq!(values.json()["data"], json!(["data of team-a"]), "{}", values.text());
}

#[test]
fn a_layered_query_with_a_certificate_sees_its_tenant_alone() {
    let thanos = thanos();
    let folder = process::folder();
    let client = identities::client("/O=team-a/CN=global query");
    let (pem, key) = client.files();
    for (name, upstream, arguments) in [
        ("layered", thanos.stores.grpc().query, &["--query.lookback-delta=30m"][..]),
        ("layered-receive", thanos.stores.grpc().receive, &["--query.lookback-delta=30m"]),
        (
            "distributed",
            thanos.stores.grpc().query,
            &["--query.lookback-delta=30m", "--query.mode=distributed", "--query.promql-engine=thanos"],
        ),
    ] {
        let envoy = Setup::example("grpc.yaml", upstream).start(&format!("envoy-grpc-{name}"));
        let tls = [
            format!("--endpoint=localhost:{}", envoy.port()),
            "--grpc-client-tls-secure".to_owned(),
            format!("--grpc-client-tls-ca={}", identities::folder().join("authority.pem").display()),
            format!("--grpc-client-tls-cert={}", pem.display()),
            format!("--grpc-client-tls-key={}", key.display()),
            "--grpc-client-server-name=localhost".to_owned(),
        ];
        let all: Vec<String> = tls.into_iter().chain(arguments.iter().map(ToString::to_string)).collect();
        let (process, port) = querier(&format!("thanos-{name}"), &all);
        process.used();
        assert_sees_team_a(&process, port, "count by (owner) (up)");
        envoy.assert_healthy();
    }
    assert!(folder.exists());
}

#[test]
fn a_ruler_that_queries_over_grpc_evaluates_for_its_tenant() {
    let thanos = thanos();
    let envoy = grpc::setup(thanos.stores.grpc().query)
        .plugin_text(&json!({"upstream": "thanos", "enable_grpc": true, "static_tenant_ids": ["team-a"]}).to_string())
        .start("envoy-grpc-ruler");
    let rules = process::folder().join("grpc-ruler.yml");
    let rule = "groups:\n- name: g\n  partial_response_strategy: warn\n  rules:\n  - { record: owners, expr: 'count by (owner) (last_over_time(up[1h]))' }\n";
    std::fs::write(&rules, rule).unwrap();
    let (http, own_grpc) = (free_port(), free_port());
    let ruler = stores::thanos(
        "thanos-grpc-ruler",
        "rule",
        http,
        own_grpc,
        &[
            "--label=ruler=\"one\"".to_owned(),
            "--eval-interval=1s".to_owned(),
            format!("--grpc-query-endpoint=127.0.0.1:{}", envoy.port()),
            format!("--rule-file={}", rules.display()),
            format!("--data-dir={}", process::folder().join("thanos-grpc-ruler").display()),
        ],
    );
    let (query, port) = querier("thanos-grpc-ruler-query", &[format!("--endpoint=127.0.0.1:{own_grpc}")]);
    let owners = || Request::get("/api/v1/query?query=owners").try_send(port).map(|answer| answer.text());
    query.wait_until(|| owners().is_some_and(|text| text.contains("data of team-a")));
    let text = owners().unwrap();
    assert!(!text.contains("team-b"), "{text}");
    drop(ruler);
    envoy.assert_healthy();
}

#[test]
fn grpc_web_passes_through_envoys_own_filter() {
    let web = r#"          - name: envoy.filters.http.grpc_web
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb
          - name: promql_tenancy
"#;
    let envoy = grpc::setup(thanos().stores.grpc().query)
        .replace("          - name: promql_tenancy\n", web)
        .start("envoy-grpc-web");
    let mut asked = Request::new("POST", QUERY).header("content-type", "application/grpc-web+proto").tenant("team-a");
    asked.body = crate::support::http::Body::Sized(grpc::body(&query("count by (owner) (up)")));
    let answer = asked.send_h2(envoy.port()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    assert!(text.contains("data of team-a") && text.contains("grpc-status:0"), "{text}");
    assert!(!text.contains("team-b"), "{text}");
}
