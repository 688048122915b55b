//! The web pages of Prometheus, Thanos Query and Query Frontend in a real browser: what a tenant sees in a session, and what it must not.
//!
//! `tests/browser/session.mjs` has the steps.

use crate::support::browser::session;
use crate::support::data::{self, NOBODY, TENANTS};
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::stores;
use crate::support::stores::Frontend;
use crate::support::upstreams::{Upstream, prometheus_with_pages};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// As Thanos writes the prefix into a script.
const PREFIX: &str = r#"GLOBAL_PATH_PREFIX="\/t\/team-a""#;

/// The page to choose, and what stands below a tenant.
fn setup(upstream: u16, kind: &str) -> Setup {
    let kind = if kind == "prometheus" { "prometheus" } else { "thanos" };
    Setup::shipped(upstream).plugin(json!({
        "upstream": kind, "ui": true, "tenant_path": "/t/", "allowed_tenants": TENANTS,
    }))
}

fn of_prometheus() -> &'static (Envoy, Upstream) {
    static PAIR: LazyLock<(Envoy, Upstream)> = LazyLock::new(|| {
        let upstream = prometheus_with_pages();
        (setup(upstream.port(), "prometheus").start("envoy-pages"), upstream)
    });
    &PAIR
}

fn of_thanos() -> &'static Envoy {
    static ENVOY: LazyLock<Envoy> = LazyLock::new(|| setup(stores().leaf(), "thanos").start("envoy-pages-thanos"));
    &ENVOY
}

/// The tenant whose address this is; none of the page to choose and of what stands beside it.
fn tenant_of(url: &str) -> Option<&str> {
    url.split_once("/t/")?.1.split(['/', '?']).next()
}

#[track_caller]
fn assert_is_isolated(seen: &Value, first: &str) {
    let responses = seen["responses"].as_array().unwrap();
    let (mut searched, mut counts) = (0, BTreeMap::<&str, u32>::new());
    for response in responses {
        let url = response["url"].as_str().unwrap();
        let Some(tenant) = tenant_of(url) else { continue };
        // The pages' own files are the same for everybody.
        if ["/assets/", "/static/", "/favicon.", "/manifest.json"].iter().any(|file| url.contains(file)) {
            continue;
        }
        // Prometheus's page asks for notifications every ten seconds, however long the session takes.
        if !url.ends_with("/api/v1/notifications") {
            *counts.entry(url).or_default() += 1;
        }
        let text = response["body"].as_str().unwrap_or_default();
        searched += usize::from(!text.is_empty());
        for other in TENANTS.into_iter().chain([NOBODY]).filter(|other| *other != tenant) {
            for mark in data::marks(other) {
                assert!(!text.contains(&mark), "{url} tells {mark}: {text:.2000}");
            }
        }
        let cache = response["headers"]["cache-control"].as_str();
        assert_eq!(cache, Some("private, no-store"), "{url}");
        let status = response["status"].as_u64().unwrap();
        assert!(matches!(status, 200 | 204 | 302), "{url}: {status} {text:.500}");
    }
    assert!(searched > 20, "{searched} bodies of {} were searched", responses.len());
    let repeated: Vec<_> = counts.iter().filter(|(_, count)| **count > 8).collect();
    assert!(repeated.is_empty(), "{repeated:#?}");
    assert_eq!(seen["errors"], json!([]), "{:#}", seen["errors"]);
    assert_eq!(seen["failed"], json!([]), "{:#}", seen["failed"]);

    let checks = &seen["checks"];
    assert_eq!(checks["offered"], json!(TENANTS));
    assert_eq!((&checks["lang"], &checks["styled"]), (&json!("en"), &json!("block")));
    assert_eq!((&checks["focused"], &checks["overflows"]), (&json!("team-a"), &json!(false)));
    assert_ne!(checks["light"], checks["dark"]);
    for (check, below) in [
        ("first", first),
        ("still", first),
        ("home", first),
        ("linked", first),
        ("back", "alerts"),
        ("forward", "rules"),
    ] {
        let at = checks[check].as_str().unwrap();
        assert!(at.starts_with(&format!("/t/team-a/{below}")), "{check}: {at}");
    }
    assert!(checks["linked"].as_str().unwrap().contains("g0.expr=temperature"), "{}", checks["linked"]);
    let titles: Vec<&str> = TENANTS.iter().map(|tenant| checks[format!("{tenant} title")].as_str().unwrap()).collect();
    for (tenant, title) in TENANTS.iter().zip(&titles) {
        let rest = title.strip_prefix(&format!("{tenant} · ")).unwrap_or_else(|| panic!("{title}"));
        assert!(rest.starts_with("Prometheus Time Series") || rest.starts_with("Thanos | "), "{title}");
    }
    assert_eq!(checks["titles"], json!(titles), "two tabs at once");
    for (tenant, mark) in [("team-a", "only_team_a"), ("team-b", "only_team_b")] {
        let completions = checks[format!("{tenant} completions")].to_string();
        assert!(completions.contains(mark) && completions.matches("only_team").count() == 1, "{completions}");
    }
    assert!(checks["idle"].as_array().unwrap().len() <= 2, "{:#}", checks["idle"]);
    assert_eq!(checks["read"], json!([]), "another site reads");
    let framed: Vec<&str> =
        checks["framed"].as_array().unwrap().iter().filter_map(|frame| frame["text"].as_str()).collect();
    let [choose, page, control] = framed[..] else { panic!("{framed:?}") };
    assert_eq!([choose, page], ["localhost refused to connect."; 2]);
    assert!(control.contains("success"), "{control}");
}

#[test]
fn prometheus_pages_work_for_each_tenant_and_show_nothing_of_another() {
    let seen = session(&of_prometheus().0, "prometheus", "prometheus");
    assert_is_isolated(&seen, "query");
}

#[test]
fn thanos_pages_work_for_each_tenant_and_show_nothing_of_another() {
    assert_is_isolated(&session(of_thanos(), "thanos", "thanos"), "graph");
}

#[test]
fn query_frontend_serves_the_pages_of_the_query_behind_it() {
    let (_frontend, port) = Frontend::before("pages-frontend", stores().leaf());
    let envoy = setup(port, "thanos").start("envoy-pages-frontend");
    let page = Request::get("/t/team-a/graph").send(envoy.port());
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains(PREFIX), "{}", page.text());
    let script = page.text().split("src=\"./static/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let script = Request::get(&format!("/t/team-a/static/{script}")).send(envoy.port());
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_is_isolated(&session(&envoy, "thanos", "query-frontend"), "graph");
}

#[test]
fn what_a_client_says_of_the_prefix_stands_in_no_page() {
    for prefix in ["/t/team-b", "//evil.example", "\"</script><script>alert(1)</script>"] {
        let page = Request::get("/t/team-a/graph").header("x-forwarded-prefix", prefix).send(of_thanos().port());
        assert_eq!(page.status, 200);
        assert!(page.text().contains(PREFIX), "{}", page.text());
        assert!(!page.text().contains("team-b") && !page.text().contains("evil") && !page.text().contains("alert(1)"));
    }
}

#[test]
fn the_title_names_the_tenant_and_all_else_is_the_upstream_s() {
    let port = of_prometheus().0.port();
    let direct = Request::get("/query").send(of_prometheus().1.port()).text();
    for tenant in ["team-a", "team-b"] {
        let page = Request::get(&format!("/t/{tenant}/query")).header("if-none-match", "*").send(port);
        assert_eq!((page.status, page.header("content-encoding"), page.header("etag")), (200, None, None));
        assert_eq!(page.text(), direct.replace("<title>", &format!("<title>{tenant} &middot; ")));
        if let Some(length) = page.header("content-length") {
            assert_eq!(length, page.body.len().to_string());
        }
    }
}

#[test]
fn assets_are_cached_as_the_upstream_says_and_pages_are_not() {
    let port = of_prometheus().0.port();
    let page = Request::get("/t/team-a/query").send(port);
    assert_eq!((page.status, page.header("cache-control")), (200, Some("private, no-store")));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let name = page.text().split("\"./assets/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let through = Request::get(&format!("/t/team-b/assets/{name}")).send(port);
    let direct = Request::get(&format!("/assets/{name}")).send(of_prometheus().1.port());
    assert_eq!((through.status, &through.body), (200, &direct.body));
    for header in ["cache-control", "etag", "last-modified"] {
        assert_eq!(through.header(header), direct.header(header), "{header}");
    }
    for path in ["assets/../query", "assets/%2e%2e/query", "assets//x.js", "assets/x.js%00", "static/x.js"] {
        let refused = Request::get(&format!("/t/team-a/{path}")).send(port);
        assert!(matches!(refused.status, 400 | 404), "{path}: {}", refused.status);
    }
}

#[test]
fn tenants_that_are_not_offered_have_no_pages() {
    let port = of_prometheus().0.port();
    let mut answers: Vec<(u16, String)> = Vec::new();
    for tenant in ["nobody", "team-c", "TEAM-A", "team%2Da", "team-a|team-b", "*", "a%20b"] {
        for page in ["", "/", "/query", "/assets/x.js", "/api/v1/notifications/live"] {
            let answer = Request::get(&format!("/t/{tenant}{page}")).tenant("team-a").send(port);
            answers.push((answer.status, answer.text()));
        }
    }
    answers.dedup();
    assert_eq!((answers.len(), answers[0].0), (1, 403), "{answers:#?}");
}
