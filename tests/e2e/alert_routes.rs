//! A shared ruler's alerts, each tenant's to its own Alertmanager: with a real Prometheus and Thanos Ruler as senders, and one Alertmanager that
//! is down for a while. And questions whose silence it is, while the upstream is slow, broken or gone.

use crate::alertmanager::{alert, alertmanager, example, list, silence, until, with_json};
use crate::support::envoy::Setup;
use crate::support::http::Request;
use crate::support::process::{self, free_port};
use crate::support::{stores, upstreams};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const RULES: &str = "\
groups:
- name: shared
  rules:
  - { alert: Down, expr: 'vector(1)', labels: { tenant_id: team-a, of: team-a } }
  - { alert: Down, expr: 'vector(1)', labels: { tenant_id: team-b, of: team-b } }
";

fn routes(a: u16, b: u16) -> Setup {
    Setup::bootstrap("alert_routes.yaml", &[("UPSTREAM_A_PORT", a), ("UPSTREAM_B_PORT", b)])
}

/// Whose alerts an Alertmanager has, by the sender's label.
fn tenants(port: u16) -> Vec<(String, String)> {
    let text = |alert: &Value, label: &str| alert["labels"][label].as_str().unwrap_or_default().to_owned();
    let alerts = list(port, None, "/api/v2/alerts?filter=alertname=Down");
    alerts.iter().map(|alert| (text(alert, "sender"), text(alert, "tenant_id"))).collect()
}

#[test]
fn each_alertmanager_gets_its_tenant_s_alerts_also_after_it_was_down() {
    let (a, b) = (free_port(), free_port());
    let am_a = alertmanager("alertmanager-a", a);
    let envoy = routes(a, b).flushes_stats_soon().start("envoy-alert-routes");
    let rules = process::folder().join("alert-routes-rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let config = format!(
        "global:\n  evaluation_interval: 1s\n  external_labels: {{sender: prometheus}}\nrule_files: [{}]\n\
         alerting:\n  alertmanagers:\n  - static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
        rules.display(),
        envoy.port()
    );
    let (prometheus, prometheus_port) =
        upstreams::prometheus_with("prometheus-ruler", &config, &["--rules.alert.resend-delay=1s"]);
    let ruler = stores::thanos(
        "thanos-alerting-ruler",
        "rule",
        free_port(),
        free_port(),
        &[
            "--label=sender=\"thanos\"".to_owned(),
            "--eval-interval=1s".to_owned(),
            "--resend-delay=1s".to_owned(),
            format!("--query=http://127.0.0.1:{prometheus_port}"),
            format!("--alertmanagers.url=http://127.0.0.1:{}", envoy.port()),
            format!("--rule-file={}", rules.display()),
            format!("--data-dir={}", process::folder().join("thanos-alerting-ruler").display()),
        ],
    );
    let both = |tenant: &str| {
        let mut both =
            [("prometheus", tenant), ("thanos", tenant)].map(|(sender, of)| (sender.to_owned(), of.to_owned()));
        both.sort();
        both.to_vec()
    };
    let has_both = |port: u16, tenant: &str| {
        let mut found = tenants(port);
        found.sort();
        (found == both(tenant)).then_some(())
    };
    // team-b's is down: team-a's alerts arrive all the same, and the senders hear of a failure.
    until("team-a's alerts", || has_both(a, "team-a"));
    until("the failure is counted by Prometheus", || {
        let metrics = Request::get("/metrics").send(prometheus_port).text();
        let errors = metrics.lines().find(|line| line.starts_with("prometheus_notifications_errors_total{"))?;
        errors.rsplit(' ').next()?.parse::<f64>().ok().filter(|count| *count > 0.0)
    });
    let answer = with_json("POST", "/api/v2/alerts", &alert(json!({"alertname": "X", "tenant_id": "team-b"})))
        .send(envoy.port());
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.json(),
        "of 1 alerts, 1 were not taken by their tenant's Alertmanager and 0 have none (alert_routes): send all again"
    );
    let am_b = alertmanager("alertmanager-b", b);
    until("team-b's alerts", || has_both(b, "team-b"));
    has_both(a, "team-a").expect("none of another's");
    // Nobody's and an unlisted tenant's are refused, and go nowhere.
    let others = format!(
        "[{},{}]",
        alert(json!({"alertname": "Down"})).trim_matches(['[', ']']),
        alert(json!({"alertname": "Down", "tenant_id": "team-c"})).trim_matches(['[', ']'])
    );
    let answer = with_json("POST", "/api/v2/alerts", &others).send(envoy.port());
    assert_eq!((answer.status, answer.text().contains("and 2 have none")), (502, true), "{}", answer.text());
    // A client can't choose the tenant of a part by a header.
    let mine = alert(json!({"alertname": "Header", "tenant_id": "team-a"}));
    assert_eq!(with_json("POST", "/api/v2/alerts", &mine).tenant("team-b").send(envoy.port()).status, 200);
    assert!(list(b, None, "/api/v2/alerts?filter=alertname=Header").is_empty());
    assert_eq!(list(a, None, "/api/v2/alerts?filter=alertname=Header").len(), 1);
    has_both(a, "team-a").unwrap();
    has_both(b, "team-b").unwrap();
    until("stats by tenant", || {
        let stats = envoy.admin("/stats/prometheus");
        let has = |tenant: &str, result: &str| {
            stats.lines().any(|line| {
                line.contains("tenancy_alerts_routed_total")
                    && line.contains(&format!("\"{tenant}\""))
                    && line.contains(&format!("\"{result}\""))
            })
        };
        let all =
            has("team-a", "taken") && has("team-b", "taken") && has("team-b", "failed") && has("__other__", "unrouted");
        all.then_some(())
    });
    assert!(ruler.ended().is_none() && prometheus.ended().is_none());
    drop((am_a, am_b));
    envoy.assert_healthy();
}

/// An upstream that shows team-a's silence as it is told to, and notes every other request.
fn faulty(mode: Arc<Mutex<&'static str>>, seen: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mode, seen) = (*mode.lock().unwrap(), seen.clone());
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let mut body = "{}".to_owned();
                let mut status = "200 OK";
                if head.starts_with("GET /api/v2/silence/") {
                    match mode {
                        "slow" => std::thread::sleep(Duration::from_secs(3)),
                        "500" => status = "500 Internal Server Error",
                        "reset" => return,
                        "half" => body = "{\"matchers\":[".to_owned(),
                        _ => {}
                    }
                    if mode != "half" {
                        body = silence(&[("tenant_id", "team-a")], json!({}));
                    }
                } else {
                    // A body that never comes is no request that could change anything.
                    let has_body = !head.starts_with("POST") || stream.read(&mut byte).is_ok_and(|read| read > 0);
                    if has_body {
                        seen.lock().unwrap().push(head);
                    }
                }
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    port
}

const ID: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn a_question_that_is_not_answered_refuses_and_nothing_is_done() {
    let (mode, seen) = (Arc::new(Mutex::new("")), Arc::new(Mutex::new(Vec::new())));
    let port = faulty(mode.clone(), seen.clone());
    let timeout = |setup: Setup| {
        setup.replace(
            "\"call_out_cluster\": \"alertmanager\",",
            "\"call_out_cluster\": \"alertmanager\", \"call_out_timeout\": \"300ms\",",
        )
    };
    let whole = timeout(example(port)).start("envoy-alertmanager-faults");
    let unknown = example(port)
        .replace("\"call_out_cluster\": \"alertmanager\"", "\"call_out_cluster\": \"no such cluster\"")
        .start("envoy-alertmanager-unknown");
    let update = silence(&[("alertname", "x")], json!({"id": ID}));
    let requests = || {
        [
            Request::get(&format!("/api/v2/silence/{ID}")),
            Request::new("DELETE", &format!("/api/v2/silence/{ID}")),
            with_json("POST", "/api/v2/silences", &update),
        ]
        .map(|request| request.tenant("team-a"))
    };
    for (fault, envoy, status, text) in [
        ("slow", &whole, 504, "did not answer in time"),
        ("500", &whole, 502, "answered with status 500"),
        ("reset", &whole, 502, "answered with status 503"),
        ("half", &whole, 502, "could not be read"),
        ("", &unknown, 502, "could not be asked"),
    ] {
        *mode.lock().unwrap() = fault;
        for request in requests() {
            let start = Instant::now();
            let answer = request.send(envoy.port());
            let said = answer.json();
            assert!(
                answer.status == status && said.as_str().unwrap().contains(text),
                "{fault}: {} {said}",
                answer.status
            );
            assert!(start.elapsed() < Duration::from_secs(2), "{fault}");
        }
    }
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
    *mode.lock().unwrap() = "";
    for request in requests() {
        assert_eq!(request.send(whole.port()).status, 200);
    }
    assert_eq!(seen.lock().unwrap().len(), 2, "the deletion and the update");
    whole.assert_healthy();
    unknown.assert_healthy();
}

#[test]
fn a_trap_while_a_question_is_on_its_way_does_nothing() {
    let (mode, seen) = (Arc::new(Mutex::new("slow")), Arc::new(Mutex::new(Vec::new())));
    let port = faulty(mode, seen.clone());
    let envoy = example(port).start_with("envoy-alertmanager-trap", &process::program("TENANCY_WASM_TRAP"));
    let delete = Request::new("DELETE", &format!("/api/v2/silence/{ID}")).tenant("team-a");
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| delete.try_send(envoy.port()));
        std::thread::sleep(Duration::from_millis(500));
        let trap =
            Request::get("/api/v2/status").tenant("team-a").header("x-tenancy-test-trap", "1").send(envoy.port());
        assert_eq!(trap.status, 503);
        waiting.join().unwrap()
    });
    assert!(answer.as_ref().is_none_or(|answer| answer.status >= 500), "{answer:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}
