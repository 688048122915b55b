//! A real Alertmanager for two tenants: neither sees or silences what is the other's, whatever it tries.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, Response};
use crate::support::process::{self, Process, free_port};
use crate::support::upstreams;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const CONFIG: &str = "\
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 1s
  routes: [{matchers: ['tenant_id=\"team-b\"'], receiver: of-team-b}]
receivers:
- name: nobody
- name: of-team-a
  labels: {tenant_id: team-a}
- name: of-team-b
  labels: {tenant_id: team-b}
inhibit_rules:
- {source_matchers: ['severity=\"page\"'], target_matchers: ['severity=\"info\"'], equal: []}
";

/// An Alertmanager on this port.
pub fn alertmanager(name: &str, port: u16) -> Process {
    let folder = process::folder().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, CONFIG).unwrap();
    let mut command = Command::new(process::program("TENANCY_ALERTMANAGER"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--cluster.listen-address=", "--log.level=warn"]);
    let process = Process::start(name, command);
    process.wait_until(|| upstreams::answers(port));
    process
}

struct Shared {
    process: Process,
    port: u16,
    /// With and without `allow_on_headers_stop_iteration`.
    envoys: [Envoy; 2],
}

/// The example in front of an upstream.
pub fn example(port: u16) -> Setup {
    Setup::bootstrap("alertmanager.yaml", &[("UPSTREAM_PORT", port)])
}

/// Switches both options of that name off.
fn without_the_option(setup: Setup) -> Setup {
    setup
        .replace("allow_on_headers_stop_iteration: true", "allow_on_headers_stop_iteration: false")
        .replace("\"allow_on_headers_stop_iteration\": true", "\"allow_on_headers_stop_iteration\": false")
}

fn shared() -> &'static Shared {
    static SHARED: LazyLock<Shared> = LazyLock::new(|| {
        let port = free_port();
        let process = alertmanager("alertmanager", port);
        let envoys = [
            example(port).start("envoy-alertmanager"),
            without_the_option(example(port)).start("envoy-alertmanager-continue"),
        ];
        Shared { process, port, envoys }
    });
    SHARED.process.used();
    &SHARED
}

pub fn with_json(method: &str, path: &str, body: &str) -> Request {
    let mut request = Request::new(method, path).header("content-type", "application/json");
    request.body = Body::Sized(body.as_bytes().to_vec());
    request
}

pub fn alert(labels: Value) -> String {
    json!([{"labels": labels, "annotations": {"note": "x"}, "generatorURL": "http://rules.example/x"}]).to_string()
}

fn post_alerts(port: u16, tenant: &str, labels: Value) -> Response {
    with_json("POST", "/api/v2/alerts", &alert(labels)).tenant(tenant).send(port)
}

/// What is listed to a tenant; `None`: to whoever asks Alertmanager itself.
pub fn list(port: u16, tenant: Option<&str>, path: &str) -> Vec<Value> {
    let request = tenant.iter().fold(Request::get(path), |request, tenant| request.tenant(tenant));
    let answer = request.send(port);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json().as_array().unwrap().clone()
}

pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(40), "{what} after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn silence(matchers: &[(&str, &str)], more: Value) -> String {
    let matcher =
        |(name, value): &(&str, &str)| json!({"name": name, "value": value, "isRegex": false, "isEqual": true});
    let mut silence = json!({
        "matchers": matchers.iter().map(matcher).collect::<Vec<_>>(),
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "me", "comment": "c",
    });
    silence.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    silence.to_string()
}

/// Posts a silence, which is taken; its ID.
fn post_silence(port: u16, tenant: Option<&str>, body: &str) -> String {
    let request = with_json("POST", "/api/v2/silences", body);
    let answer = tenant.iter().fold(request, |request, tenant| request.tenant(tenant)).send(port);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["silenceID"].as_str().unwrap().to_owned()
}

#[test]
fn two_tenants_share_an_alertmanager_and_see_their_own() {
    let shared = shared();
    for (at, envoy) in shared.envoys.iter().enumerate() {
        let (port, name) = (envoy.port(), format!("Shared{at}"));
        for (tenant, severity) in [("team-a", "info"), ("team-b", "page")] {
            // Each claims to be the other.
            let other = if tenant == "team-a" { "team-b" } else { "team-a" };
            let labels = json!({"alertname": name, "of": tenant, "severity": severity, "tenant_id": other});
            assert_eq!(post_alerts(port, tenant, labels).status, 200);
        }
        let mine =
            post_silence(port, Some("team-a"), &silence(&[("alertname", &name), ("tenant_id", "team-b")], json!({})));
        let operators =
            post_silence(shared.port, None, &silence(&[("alertname", &name)], json!({"comment": "of all"})));
        until("silenced", || {
            let alerts = list(shared.port, None, &format!("/api/v2/alerts?filter=alertname={name}&filter=of=team-a"));
            (alerts.first()?["status"]["silencedBy"].as_array()?.len() == 2).then_some(())
        });
        for tenant in ["team-a", "team-b"] {
            let alerts = list(port, Some(tenant), &format!("/api/v2/alerts?filter=alertname={name}"));
            assert_eq!((alerts.len(), &alerts[0]["labels"]["tenant_id"]), (1, &json!(tenant)), "{alerts:?}");
            assert_eq!(alerts[0]["labels"]["of"], tenant);
            let status = &alerts[0]["status"];
            assert_eq!(status["state"], "suppressed");
            let silenced = if tenant == "team-a" { json!([mine]) } else { json!([]) };
            // What inhibits team-a's alert is team-b's.
            assert_eq!((&status["silencedBy"], &status["inhibitedBy"]), (&silenced, &json!([])), "{status}");
            let groups = until("grouped", || {
                let groups = list(port, Some(tenant), &format!("/api/v2/alerts/groups?filter=alertname={name}"));
                (!groups.is_empty()).then_some(groups)
            });
            for alert in groups.iter().flat_map(|group| group["alerts"].as_array().unwrap()) {
                assert_eq!(alert["labels"]["tenant_id"], tenant, "{groups:?}");
            }
            let others = list(port, Some(tenant), "/api/v2/alerts?filter=tenant_id!=x&filter=of!=%22%22");
            assert!(others.iter().all(|alert| alert["labels"]["tenant_id"] == *tenant), "{others:?}");
            for path in ["/api/v2/alerts?filter=tenant_id=other", "/api/v2/silences?filter=alertname=other"] {
                assert!(list(port, Some(tenant), path).is_empty(), "{path}");
            }
            let receivers = list(port, Some(tenant), "/api/v2/receivers");
            assert_eq!(receivers.len(), 1, "{receivers:?}");
            assert_eq!(receivers[0]["name"], format!("of-{tenant}"));
            let status = Request::get("/api/v2/status").tenant(tenant).send(port).json();
            assert_eq!(
                (&status["config"], &status["cluster"]),
                (&json!({"original": ""}), &json!({"status": "disabled"}))
            );
            assert!(status["versionInfo"]["goVersion"].as_str().unwrap().starts_with("go"), "{status}");
        }
        let silences = list(port, Some("team-a"), "/api/v2/silences");
        assert!(silences.iter().any(|silence| silence["id"] == *mine));
        assert!(silences.iter().all(|silence| silence["comment"] != "of all"), "{silences:?}");
        let shown = Request::get(&format!("/api/v2/silence/{mine}")).tenant("team-a").send(port);
        assert_eq!((shown.status, &shown.json()["id"]), (200, &json!(mine)));
        let matchers = shown.json()["matchers"].clone();
        assert!(
            matchers
                .as_array()
                .unwrap()
                .contains(&json!({"name": "tenant_id", "value": "team-a", "isRegex": false, "isEqual": true}))
        );
        assert_eq!(matchers.as_array().unwrap().len(), 2, "{matchers}");
        // An update in place, and the end.
        let starts = shown.json()["startsAt"].clone();
        let update = silence(&[("alertname", &name)], json!({"id": mine, "startsAt": starts, "comment": "longer"}));
        assert_eq!(post_silence(port, Some("team-a"), &update), mine);
        let gone = Request::new("DELETE", &format!("/api/v2/silence/{mine}")).tenant("team-a").send(port);
        assert_eq!((gone.status, gone.text().as_str()), (200, ""));
        let state =
            Request::get(&format!("/api/v2/silence/{mine}")).send(shared.port).json()["status"]["state"].clone();
        assert_eq!(state, "expired");
        assert_eq!(Request::new("DELETE", &format!("/api/v2/silence/{operators}")).send(shared.port).status, 200);
        for path in ["/api/v2/alerts", "/api/v2/silences"] {
            assert_eq!(Request::get(path).send(port).status, 401);
        }
        for path in
            ["/", "/metrics", "/-/reload", "/api/v1/alerts", "/status.v3.StatusService/Get", "/api/v2/silences/"]
        {
            let status = Request::get(path).tenant("team-a").send(port).status;
            assert!(matches!(status, 403 | 404), "{path}: {status}");
        }
        envoy.assert_healthy();
    }
}

#[test]
fn no_attempt_on_another_s_silence_changes_or_shows_it() {
    let shared = shared();
    for (at, envoy) in shared.envoys.iter().enumerate() {
        let port = envoy.port();
        let name = format!("Attacked{at}");
        let theirs = post_silence(port, Some("team-b"), &silence(&[("alertname", &name)], json!({})));
        let operators = post_silence(shared.port, None, &silence(&[("alertname", &name), ("x", "y")], json!({})));
        let negative = post_silence(
            shared.port,
            None,
            &silence(&[("alertname", &name)], json!({})).replace(
                "\"matchers\":[",
                "\"matchers\":[{\"name\":\"tenant_id\",\"value\":\"team-a\",\"isRegex\":false,\"isEqual\":false},",
            ),
        );
        let all = || {
            let mut silences = list(shared.port, None, &format!("/api/v2/silences?filter=alertname={name}"));
            silences.sort_by_key(|silence| silence["id"].to_string());
            silences
        };
        let before = all();
        assert_eq!(before.len(), 3);
        for id in [&theirs, &operators, &negative] {
            for id in [
                id.clone(),
                id.to_uppercase(),
                format!("{id}%20"),
                id.replace('-', ""),
                format!("%{:x}{}", id.as_bytes()[0], &id[1..]),
            ] {
                for method in ["GET", "DELETE"] {
                    let answer = Request::new(method, &format!("/api/v2/silence/{id}")).tenant("team-a").send(port);
                    assert!(matches!(answer.status, 400 | 404), "{method} {id}: {}", answer.status);
                    assert!(!answer.text().contains(&name) && !answer.text().contains("team-b"), "{}", answer.text());
                }
            }
            let plain = silence(&[("alertname", &name)], json!({}));
            let with = |members: &str| plain.replacen('{', &format!("{{{members},"), 1);
            for body in [
                with(&format!("\"id\":\"{id}\"")),
                with(&format!("\"ID\":\"{id}\"")),
                with(&format!("\"i\\u0064\":\"{id}\"")),
                with(&format!("\"id\":\"\",\"Id\":\"{id}\"")),
                with(&format!("\"id\":null,\"ID\":\"{id}\"")),
                with(&format!("\"id\":\"{id}\",\"id\":\"\"")),
                with(&format!("\"id\":\"{}\"", id.to_uppercase())),
                with(&format!("\"id\":\"{id} \"")),
                with(&format!("\"ID\":\"{id}\"")).replace("\"isEqual\":true", "\"isEqual\":false"),
                with(&format!("\"id\":\"{id}\",\"matcher\u{17f}\":[]")),
            ] {
                for request in [
                    with_json("POST", "/api/v2/silences", &body),
                    Request::new("POST", "/api/v2/silences")
                        .header("content-type", "application/json")
                        .chunked(&[&body.as_bytes()[..20], &body.as_bytes()[20..]], &[]),
                ] {
                    let answer = request.tenant("team-a").send(port);
                    assert!(matches!(answer.status, 400 | 404), "{body}: {} {}", answer.status, answer.text());
                }
            }
        }
        // A silence that says that it is somebody else's, or of all, is team-a's or refused.
        for (body, is_taken) in [
            (silence(&[("alertname", "Own"), ("tenant_id", "team-b")], json!({})), true),
            // The matcher besides keeps it from silencing what other tests look at.
            (
                silence(&[("alertname", "Own"), ("of", "nobody")], json!({})).replacen(
                    "\"isEqual\":true",
                    "\"iſEqual\":false",
                    1,
                ),
                true,
            ),
            (silence(&[("alertname", "Own")], json!({})).replace("\"matchers\"", "\"matcherſ\""), true),
            (silence(&[("alertname", "Own")], json!({})).replacen('{', "{\"matchers\":[],", 1), false),
            (silence(&[("alertname", "Own")], json!({})).replacen('{', "{\"Matchers\":[],", 1), false),
            (
                silence(&[("alertname", "Own")], json!({}))
                    .replace("\"isRegex\":false", "\"isRegex\":false,\"isregex\":true"),
                false,
            ),
            (silence(&[("tenant_id", "team-b")], json!({})), false),
            (silence(&[], json!({})), false),
        ] {
            let answer = with_json("POST", "/api/v2/silences", &body).tenant("team-a").send(port);
            assert_eq!(answer.status == 200, is_taken, "{body}: {} {}", answer.status, answer.text());
            if is_taken {
                let id = answer.json()["silenceID"].as_str().unwrap().to_owned();
                let made = Request::get(&format!("/api/v2/silence/{id}")).send(shared.port).json();
                let own = json!({"name": "tenant_id", "value": "team-a", "isRegex": false, "isEqual": true});
                let of_label = |matcher: &&Value| matcher["name"] == "tenant_id";
                assert_eq!(made["matchers"].as_array().unwrap().iter().filter(of_label).collect::<Vec<_>>(), [&own]);
            } else {
                assert_eq!(answer.status, 400, "{}", answer.text());
            }
        }
        assert_eq!(all(), before, "nothing of it has changed");
        envoy.assert_healthy();
    }
}

#[test]
fn amtool_and_grafana_s_requests_work() {
    let shared = shared();
    let port = shared.envoys[0].port();
    let tool = process::program("TENANCY_ALERTMANAGER").with_file_name("amtool");
    let client = process::folder().join("amtool.yml");
    std::fs::write(&client, "http_headers:\n  THANOS-TENANT:\n    values: [team-a]\n").unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(&tool)
            .arg(format!("--alertmanager.url=http://127.0.0.1:{port}"))
            .arg(format!("--http.config.file={}", client.display()))
            .args(arguments)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.success(), text)
    };
    let (done, text) = run(&["alert", "add", "Amtool", "of=team-a", "tenant_id=team-b"]);
    assert!(done, "{text}");
    assert_eq!(post_alerts(port, "team-b", json!({"alertname": "Amtool", "of": "team-b"})).status, 200);
    let (done, text) = run(&["alert", "query", "-o", "json", "alertname=Amtool"]);
    assert!(done && text.contains("team-a") && !text.contains("team-b"), "{text}");
    let (done, id) = run(&["silence", "add", "alertname=Amtool", "--comment=c", "--author=me"]);
    assert!(done, "{id}");
    let (done, text) = run(&["silence", "query", "-o", "json", "alertname=Amtool"]);
    assert!(done && text.contains(id.trim()), "{text}");
    let (done, text) = run(&["silence", "update", "--duration=2h", id.trim()]);
    assert!(done, "{text}");
    let (done, text) = run(&["silence", "expire", id.trim()]);
    assert!(done, "{text}");
    let theirs = post_silence(port, Some("team-b"), &silence(&[("alertname", "Amtool")], json!({})));
    for arguments in [["silence", "expire", &theirs], ["silence", "update", &theirs]] {
        let (done, text) = run(&arguments);
        assert!(!done && text.contains("404") || text.contains("otFound"), "{text}");
    }
    // Grafana's data source, implementation Prometheus.
    for path in [
        "/api/v2/status",
        "/api/v2/silences",
        "/api/v2/receivers",
        "/api/v2/alerts?active=true&silenced=true&inhibited=true",
        "/api/v2/alerts/groups?active=true&inhibited=true&silenced=true&filter=alertname%3D%22Amtool%22",
    ] {
        let answer =
            Request::get(path).tenant("team-a").header("accept", "application/json, text/plain, */*").send(port);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        assert!(!answer.text().contains("team-b"), "{path}: {}", answer.text());
    }
}
