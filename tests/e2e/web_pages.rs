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

/// Whether it is what pages are made of.
fn is_a_file(url: &str) -> bool {
    ["/assets/", "/static/", "/favicon.", "/manifest.json"].iter().any(|file| url.contains(file))
}

#[track_caller]
fn assert_is_isolated(seen: &Value, first: &str) {
    let responses = seen["responses"].as_array().unwrap();
    let mut searched = 0;
    for response in responses {
        let url = response["url"].as_str().unwrap();
        let Some(tenant) = tenant_of(url) else { continue };
        // The pages' own files are the same for everybody.
        if is_a_file(url) {
            continue;
        }
        let text = response["body"].as_str().unwrap_or_default();
        searched += usize::from(!text.is_empty());
        assert_tells_nothing_of_others(tenant, url, text);
        let cache = response["headers"]["cache-control"].as_str();
        assert_eq!(cache, Some("private, no-store"), "{url}");
        let status = response["status"].as_u64().unwrap();
        assert!(matches!(status, 200 | 204 | 302), "{url}: {status} {text:.500}");
    }
    assert!(searched > 20, "{searched} bodies of {} were searched", responses.len());
    assert_asks_in_no_loop(responses);
    assert_eq!(seen["errors"], json!([]), "{:#}", seen["errors"]);
    assert_eq!(seen["failed"], json!([]), "{:#}", seen["failed"]);

    let checks = &seen["checks"];
    assert_eq!(checks["offered"], json!(TENANTS));
    assert_eq!((&checks["lang"], &checks["styled"]), (&json!("en"), &json!("block")));
    assert_everybody_can_choose(checks);
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
    assert_operators_pages_say_so(seen);
    assert!(checks["idle"].as_array().unwrap().len() <= 2, "{:#}", checks["idle"]);
    assert_eq!(checks["read"], json!([]), "another site reads");
    let framed: Vec<&str> =
        checks["framed"].as_array().unwrap().iter().filter_map(|frame| frame["text"].as_str()).collect();
    let [choose, page, control] = framed[..] else { panic!("{framed:?}") };
    assert_eq!([choose, page], ["localhost refused to connect."; 2]);
    assert!(control.contains("success"), "{control}");
}

#[track_caller]
fn assert_tells_nothing_of_others(tenant: &str, what: &str, text: &str) {
    for other in TENANTS.into_iter().chain([NOBODY]).filter(|other| *other != tenant) {
        for mark in data::marks(other) {
            assert!(!text.contains(&mark), "{what} tells {mark}: {text:.2000}");
        }
    }
}

/// No more than a few times within these seconds, whatever time is asked for. Each page that is opened asks for the same files.
#[track_caller]
fn assert_asks_in_no_loop(responses: &[Value]) {
    const SECONDS: u64 = 5;
    const TIMES: usize = 6;
    let mut asked = BTreeMap::<String, Vec<u64>>::new();
    for response in responses {
        let url = response["url"].as_str().unwrap();
        if is_a_file(url) {
            continue;
        }
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let is_a_time = |pair: &&str| ["time=", "start=", "end=", "_="].iter().any(|name| pair.starts_with(name));
        let query: Vec<&str> = query.split('&').filter(|pair| !is_a_time(pair)).collect();
        asked.entry(format!("{path}?{}", query.join("&"))).or_default().push(response["at"].as_u64().unwrap());
    }
    for (what, mut times) in asked {
        times.sort_unstable();
        let worst = times.windows(TIMES + 1).find(|times| times[TIMES] - times[0] < SECONDS * 1000);
        assert_eq!(worst, None, "{what} is asked for more than {TIMES} times in {SECONDS} s");
    }
}

/// The page to choose, by the keyboard, with a screen reader, on a phone, in the light and in the dark.
#[track_caller]
fn assert_everybody_can_choose(checks: &Value) {
    assert_eq!(checks["focused"], json!(["team-a", "team-b", "team-a"]));
    let told: Vec<&str> = checks["told"].as_str().unwrap().lines().map(str::trim).collect();
    let links = TENANTS.map(|tenant| format!("- link \"{tenant}\":"));
    let expected = ["- main:", "- heading \"Choose a tenant\" [level=1]", "- navigation \"Tenants\":", "- list:"];
    let at = |line: &str| told.iter().position(|told| *told == line).unwrap_or_else(|| panic!("{line}: {told:#?}"));
    let places: Vec<usize> = expected.into_iter().chain(links.iter().map(String::as_str)).map(at).collect();
    assert!(places.is_sorted(), "{told:#?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("- listitem")).count(), 2, "{told:#?}");

    let phone = &checks["phone"];
    assert_eq!((&phone["width"], &phone["needs"]), (&json!(320), &json!(320)), "the page is wider than a phone");
    let heights = phone["heights"].as_array().unwrap();
    assert!(heights.iter().all(|height| height.as_f64().unwrap() >= 44.0), "{heights:?}");
    assert!(checks["tapped"].as_str().unwrap().starts_with("/t/team-a/"), "{checks:#}");

    for (scheme, is_dark) in [("light", false), ("dark", true)] {
        let seen = &checks[scheme];
        let colour = |name: &str| luminance(seen[name].as_str().unwrap());
        let contrast = |one: &str, other: &str| {
            let (one, other) = (colour(one), colour(other));
            (one.max(other) + 0.05) / (one.min(other) + 0.05)
        };
        assert_eq!((colour("page") < 0.1, colour("back") < 0.1), (is_dark, is_dark), "{seen}");
        // WCAG 2.2, 1.4.6 (texts, enhanced) and 1.4.11 (what shows a state).
        for (text, back) in [("heading", "page"), ("link", "back")] {
            assert!(contrast(text, back) >= 7.0, "{scheme}: {text} {}", contrast(text, back));
        }
        for back in ["page", "back"] {
            assert!(contrast("outline", back) >= 3.0, "{scheme}: outline {}", contrast("outline", back));
        }
        assert_eq!(seen["outlined"], json!("solid"), "{scheme}: nothing shows which link has the keyboard");
    }
}

/// The relative luminance of WCAG 2.2, of `rgb(1, 2, 3)`.
fn luminance(colour: &str) -> f64 {
    let numbers =
        colour.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')).unwrap_or_else(|| panic!("{colour}"));
    let parts = numbers.split(", ").map(|number| number.parse::<f64>().unwrap() / 255.0);
    let linear = parts.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
    linear.zip([0.2126, 0.7152, 0.0722]).map(|(part, weight)| part * weight).sum()
}

/// Pages that only operators need say that they are refused, tell nothing, and don't ask again and again.
#[track_caller]
fn assert_operators_pages_say_so(seen: &Value) {
    let pages = seen["operators"].as_object().unwrap();
    assert!(pages.len() >= 4, "{pages:?}");
    for (name, page) in pages {
        let text = page["text"].as_str().unwrap();
        // Thanos shows the status, and Prometheus the error. Service discovery has nothing to show.
        let says = ["this path is not served to tenants", ": Forbidden"].iter().any(|why| text.contains(why));
        assert!(says != (name == "service-discovery"), "{name}: {text}");
        assert_tells_nothing_of_others("team-a", name, text);
        let responses = page["responses"].as_array().unwrap();
        assert_asks_in_no_loop(responses);
        for response in responses.iter().filter(|response| response["url"].as_str().unwrap().contains("/api/")) {
            let (url, body) = (&response["url"], response["body"].as_str().unwrap_or_default());
            assert_tells_nothing_of_others("team-a", name, body);
            assert!(matches!(response["status"].as_u64(), Some(200 | 204 | 403)), "{url}: {response}");
        }
    }
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

#[test]
fn a_tenant_s_part_of_the_path_is_read_as_it_stands() {
    let port = of_prometheus().0.port();
    let mut wrong = Vec::new();
    for (path, status) in [
        ("/t/../query", 400),
        ("/t/./query", 400),
        ("/t/%2e%2e/query", 400),
        ("/t/team-a/../team-b/query", 400),
        ("/t/team-a%2f..%2fteam-b/query", 400),
        ("/t/team-a/%2e%2e/team-b/query", 400),
        ("/t/team-a%2f/query", 400),
        ("/t/team-a%252f/query", 400),
        ("/t//team-a/query", 400),
        ("//t/team-a/query", 400),
        ("/t/team-a%00/query", 400),
        ("/t/team-a;/query", 403),
        ("/t/team%2Da/query", 403),
        ("/t/%74eam-a/query", 403),
        ("/t/team-a./query", 403),
    ] {
        let answer = Request::get(path).tenant("team-b").send(port);
        let text = answer.text();
        if answer.status != status {
            wrong.push((path, answer.status));
        }
        assert!(text.contains("\"status\":\"error\""), "{path}: {text}");
    }
    assert_eq!(wrong, []);
}

#[test]
fn the_path_s_tenant_is_the_one_whatever_a_header_says() {
    for port in [of_prometheus().0.port(), of_thanos().port()] {
        for (path, header) in TENANTS.into_iter().zip(TENANTS.into_iter().rev()) {
            for name in ["thanos-tenant", "x-scope-orgid"] {
                let target = format!("/t/{path}/api/v1/query?query=temperature");
                let answer = Request::get(&target).header(name, header).send(port);
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert!(answer.text().contains(&format!("data of {path}")), "{}", answer.text());
                assert_tells_nothing_of_others(path, &target, &answer.text());
            }
        }
    }
}
