//! Metadata and targets of a Prometheus that scrapes targets of two tenants, and of one whose series came by remote write: by names and
//! by targets, with and without `allow_on_headers_stop_iteration`. The name of the other tenant is nowhere.

use crate::support::compare::{BOTH, assert_only_of};
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response};
use crate::support::process::Process;
use crate::support::{prometheus, thanos, upstreams};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;

/// What a tenant's target exposes. `x` is a summary of team-b's; team-a has gauges that are named like its parts.
fn exposition(tenant: &str) -> String {
    let name = tenant.replace('-', "_");
    let own = match tenant {
        "team-a" => {
            "# HELP x_count Gauge of team-a.\n# TYPE x_count gauge\nx_count 1\n# TYPE y_bucket gauge\ny_bucket 1\n"
        }
        _ => {
            "# HELP x Summary of team-b.\n# TYPE x summary\nx_sum 1\nx_count 1\n# HELP y Of team-b.\n# TYPE y histogram\n\
             y_bucket{le=\"+Inf\"} 1\ny_sum 1\ny_count 1\n"
        }
    };
    format!(
        "# HELP shared_seconds Text of {tenant}.\n# TYPE shared_seconds histogram\nshared_seconds_bucket{{le=\"+Inf\"}} 1\n\
         shared_seconds_sum 1\nshared_seconds_count 1\n# HELP only_{name}_total Counter of {tenant}.\n\
         # TYPE only_{name}_total counter\nonly_{name}_total 1\n{own}"
    )
}

/// Serves this text to every request; the port.
fn serve(text: String) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), text.as_bytes()].concat());
        }
    });
    port
}

struct Scraped {
    process: Process,
    port: u16,
    /// By names and by targets, with and without `allow_on_headers_stop_iteration`.
    names: [Envoy; 2],
    targets: [Envoy; 2],
}

fn scraped() -> &'static Scraped {
    static SCRAPED: LazyLock<Scraped> = LazyLock::new(|| {
        let mut config = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
        for tenant in ["team-a", "team-b"] {
            let port = serve(exposition(tenant));
            config += &format!(
                "- job_name: pool of {tenant}\n  static_configs:\n  - targets: ['127.0.0.1:{port}', 'dropped:1']\n    labels: {{tenant_id: {tenant}}}\n  \
                 - targets: ['dropped:2']\n  relabel_configs:\n  - {{source_labels: [__address__], regex: 'dropped:.*', action: drop}}\n"
            );
        }
        let (process, port) = upstreams::prometheus_process("prometheus-scraping", &config);
        process.wait_until(|| {
            let metadata = Request::get("/api/v1/metadata").try_send(port);
            metadata.is_some_and(|metadata| {
                metadata.text().contains("only_team_a") && metadata.text().contains("only_team_b")
            })
        });
        let by = |value: &str| {
            let setup = || {
                Setup::shipped(port).plugin(
                    json!({"enable_metadata": value, "call_out_cluster": "prometheus", "call_out_timeout": "3s"}),
                )
            };
            [
                setup().start(&format!("envoy-metadata-{value}")),
                setup().stop_iteration(false).start(&format!("envoy-metadata-{value}-continue")),
            ]
        };
        Scraped { process, port, names: by("names"), targets: by("targets") }
    });
    SCRAPED.process.used();
    &SCRAPED
}

/// As the tenant, over both protocols and twice, so that names are remembered.
fn ask(envoy: &Envoy, tenant: &str, path: &str) -> Response {
    let request = Request::get(path).tenant(tenant);
    let answers = [request.send(envoy.port()), request.send_h2(envoy.port()).unwrap(), request.send(envoy.port())];
    for answer in &answers {
        assert_only_of(tenant, answer, path);
        assert_eq!((answer.status, answer.json()), (200, answers[0].json()), "{path}: {}", answer.text());
    }
    let [first, ..] = answers;
    first
}

fn keys(answer: &Response) -> Vec<String> {
    let mut keys: Vec<String> = answer.json()["data"].as_object().unwrap().keys().cloned().collect();
    keys.retain(|key| !key.starts_with("scrape_") && key != "up");
    keys.sort();
    keys
}

#[test]
fn metadata_by_names_is_that_of_the_tenant_s_metrics_without_texts() {
    for envoy in &scraped().names {
        let answer = ask(envoy, "team-a", "/api/v1/metadata");
        assert_eq!(keys(&answer), ["only_team_a_total", "shared_seconds", "x_count", "y_bucket"]);
        let data = &answer.json()["data"];
        assert_eq!(data["shared_seconds"], json!([{"type": "histogram", "help": "", "unit": ""}]));
        assert_eq!(data["x_count"], json!([{"type": "gauge", "help": "", "unit": ""}]));
        let answer = ask(envoy, "team-b", "/api/v1/metadata");
        // What team-b has as parts of `x` and `y` has names of team-a's gauges, and nothing else of team-a.
        assert_eq!(keys(&answer), ["only_team_b_total", "shared_seconds", "x", "x_count", "y", "y_bucket"]);
        assert!(!answer.text().contains("Text of") && !answer.text().contains("Gauge of"));
        for (query, expected) in [
            ("?metric=shared_seconds", vec!["shared_seconds"]),
            ("?metric=x", vec![]),
            ("?metric=only_team_b_total", vec![]),
            ("?limit=0", vec![]),
            ("?metric=shared_seconds&limit=1&limit_per_metric=1", vec!["shared_seconds"]),
        ] {
            assert_eq!(keys(&ask(envoy, "team-a", &format!("/api/v1/metadata{query}"))), expected, "{query}");
        }
        assert_eq!(ask(envoy, "team-a", "/api/v1/metadata?limit=2").json()["data"].as_object().unwrap().len(), 2);
        envoy.assert_healthy();
    }
}

#[test]
fn metadata_by_targets_is_that_of_the_tenant_s_targets() {
    let scraped = scraped();
    for (tenant, _) in BOTH {
        let by_hand = format!("/api/v1/targets/metadata?match_target=%7Btenant_id%3D%22{tenant}%22%7D");
        let told = Request::get(&by_hand).send(scraped.port).json();
        let told = told["data"].as_array().unwrap();
        assert!(told.len() >= 4, "{told:?}");
        for envoy in &scraped.targets {
            let data = ask(envoy, tenant, "/api/v1/metadata").json()["data"].clone();
            assert_eq!(
                data["shared_seconds"],
                json!([{"type": "histogram", "help": format!("Text of {tenant}."), "unit": ""}])
            );
            let mut names: Vec<&str> = told.iter().map(|entry| entry["metric"].as_str().unwrap()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(data.as_object().unwrap().keys().collect::<Vec<_>>(), names);
            for entry in told {
                let shown = data[entry["metric"].as_str().unwrap()].as_array().unwrap();
                assert!(shown.contains(&json!({"type": entry["type"], "help": entry["help"], "unit": entry["unit"]})));
            }
            assert_eq!(data.get("x").is_some(), tenant == "team-b");
            let metric = ask(envoy, tenant, "/api/v1/metadata?metric=shared_seconds").json()["data"].clone();
            assert_eq!(metric, json!({"shared_seconds": data["shared_seconds"]}));
            // `targets/metadata` itself.
            let listed = ask(envoy, tenant, "/api/v1/targets/metadata?metric=shared_seconds").json();
            assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
            assert_eq!(listed["data"][0]["target"]["tenant_id"], tenant);
        }
    }
}

#[test]
fn targets_are_the_tenant_s_own() {
    let scraped = scraped();
    let told = Request::get("/api/v1/targets").send(scraped.port);
    assert!(told.text().contains("pool of team-a") && told.text().contains("pool of team-b"));
    for envoy in scraped.names.iter().chain(&scraped.targets) {
        for (tenant, _) in BOTH {
            let data = ask_unsteady(envoy, tenant, "/api/v1/targets");
            let labels: Vec<&Value> =
                data["activeTargets"].as_array().unwrap().iter().map(|target| &target["labels"]["tenant_id"]).collect();
            assert_eq!(labels, [tenant]);
            assert_eq!(data["activeTargets"][0]["scrapePool"], format!("pool of {tenant}"));
            let dropped = data["droppedTargets"].as_array().unwrap();
            assert!(dropped.len() == 1 && dropped[0]["discoveredLabels"]["tenant_id"] == tenant, "{dropped:?}");
            assert_eq!(data["droppedTargetCounts"], json!({}));
            let dropped = ask_unsteady(envoy, tenant, "/api/v1/targets?state=dropped");
            assert_eq!(dropped["activeTargets"], json!([]));
        }
        for path in ["/api/v1/scrape_pools", "/api/v1/targets/relabel_steps?scrapePool=x"] {
            Request::get(path).tenant("team-a").send(envoy.port()).refused(403);
        }
    }
}

/// The times of the last scrape differ from answer to answer.
fn ask_unsteady(envoy: &Envoy, tenant: &str, path: &str) -> Value {
    let answer = Request::get(path).tenant(tenant).send(envoy.port());
    assert_only_of(tenant, &answer, path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].clone()
}

#[test]
fn series_of_remote_write_have_no_metadata_and_show_none() {
    let written = &prometheus().upstream;
    for by in ["names", "targets"] {
        let setup =
            Setup::shipped(written.port()).plugin(json!({"enable_metadata": by, "call_out_cluster": "prometheus"}));
        let envoy = setup.start(&format!("envoy-metadata-written-{by}"));
        for (tenant, _) in BOTH {
            assert_eq!(ask(&envoy, tenant, "/api/v1/metadata").json()["data"], json!({}));
            assert_eq!(ask_unsteady(&envoy, tenant, "/api/v1/targets")["activeTargets"], json!([]));
        }
    }
    let setup = Setup::shipped(thanos().upstream.port())
        .plugin(json!({"upstream": "thanos", "enable_metadata": true, "call_out_cluster": "prometheus"}));
    let envoy = setup.start("envoy-metadata-thanos");
    for (tenant, _) in BOTH {
        assert_eq!(ask(&envoy, tenant, "/api/v1/metadata").json()["data"], json!({}));
        assert_eq!(ask_unsteady(&envoy, tenant, "/api/v1/targets")["activeTargets"], json!([]));
    }
}

/// The upstream's metadata of `/api/v1/label/__name__/values` is counted by a server between Envoy and it.
#[test]
fn a_burst_of_requests_asks_for_the_names_once_for_each_worker() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                let size = stream.read(&mut buffer).unwrap_or(0);
                let body = match buffer[..size].starts_with(b"GET /api/v1/label/__name__/values") {
                    true => {
                        ASKED.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(1_500));
                        r#"{"status":"success","data":["own"]}"#
                    }
                    false => {
                        r#"{"status":"success","data":{"other":[{"type":"gauge","help":"","unit":""}],"own":[{"type":"gauge","help":"","unit":""}]}}"#
                    }
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
            });
        }
    });
    let envoy = Setup::shipped(port)
        .plugin(json!({"enable_metadata": "names", "call_out_cluster": "prometheus", "call_out_timeout": "10s"}))
        .start("envoy-metadata-burst");
    std::thread::scope(|scope| {
        // The first one leaves while the others wait.
        let mut leaves = crate::support::http::connect(envoy.port()).unwrap();
        leaves.write_all(&Request::get("/api/v1/metadata").tenant("team-a").encode()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        let ask = || Request::get("/api/v1/metadata").tenant("team-a").send(envoy.port());
        let waiting: Vec<_> = (0..40).map(|_| scope.spawn(ask)).collect();
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(leaves);
        for answer in waiting {
            let answer = answer.join().unwrap();
            assert_eq!((answer.status, keys(&answer)), (200, vec!["own".to_owned()]), "{}", answer.text());
        }
    });
    // Envoy has two workers in the tests, and the one whose first client left has asked once more.
    let asked = ASKED.load(Ordering::SeqCst);
    assert!((1..=3).contains(&asked), "asked {asked} times");
    envoy.assert_healthy();
}

#[test]
fn a_question_that_is_not_answered_refuses_the_request() {
    let scraped = scraped();
    let setup = Setup::shipped(scraped.port).plugin(
        json!({"enable_metadata": "names", "call_out_cluster": "no such cluster", "call_out_timeout": "300ms"}),
    );
    let envoy = setup.start("envoy-metadata-no-cluster");
    // Once it has failed, it is not asked again at once; another tenant's is another question.
    for (tenant, text) in
        [("team-a", "could not be asked"), ("team-a", "a moment ago"), ("team-b", "could not be asked")]
    {
        let answer = Request::get("/api/v1/metadata").tenant(tenant).send(envoy.port());
        assert!(answer.refused(502).contains(text), "{}", answer.text());
    }
    envoy.assert_healthy();
    // A server that accepts, and never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let setup = Setup::shipped(silent.local_addr().unwrap().port())
        .plugin(json!({"enable_metadata": "names", "call_out_cluster": "prometheus", "call_out_timeout": "300ms"}));
    let envoy = setup.start("envoy-metadata-silent");
    let answer = Request::get("/api/v1/metadata").tenant("team-a").send(envoy.port());
    assert!(answer.refused(504).contains("in time"), "{}", answer.text());
    drop(silent);
    let answer = Request::get("/api/v1/metadata").tenant("team-a").send(envoy.port());
    answer.refused(502);
    envoy.assert_healthy();
}
