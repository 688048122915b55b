//! The README's picture of the dashboard: minutes of traffic of four tenants through a real Envoy to a real Prometheus, drawn from
//! what another Prometheus scraped meanwhile. Started by scripts/picture; no test of `make test`, since it checks nothing.

use crate::dashboards::{DRY, Scene};
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, form};
use crate::support::process;
use crate::support::stub::{BEHAVIOUR, Stub};
use crate::support::upstreams::prometheus_process;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often Envoy is scraped.
const SCRAPED: u32 = 5;

/// What dashboards ask of the data of scripts/demo-data.
const QUERIES: [&str; 5] = [
    "sum by (handler) (rate(http_requests_total[5m]))",
    "histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))",
    "max_over_time(process_resident_memory_bytes[30m])",
    "topk(3, sum by (handler, code) (rate(http_requests_total{code!~\"2..\"}[5m])))",
    "sum by (job) (queue_messages) / scalar(count(up))",
];

/// When team-b's part of the upstream fails, as shares of the time.
const INCIDENT: std::ops::Range<f64> = 0.5..0.7;

struct Client {
    tenant: &'static str,
    per_second: f64,
    /// Where in its wave of load it begins.
    phase: f64,
}

const CLIENTS: [Client; 4] = [
    Client { tenant: "team-a", per_second: 9.0, phase: 0.0 },
    Client { tenant: "team-b", per_second: 5.0, phase: 0.4 },
    Client { tenant: "team-c", per_second: 2.5, phase: 0.7 },
    Client { tenant: DRY, per_second: 1.5, phase: 0.2 },
];

fn get(target: &str, pairs: &[(&str, &str)]) -> Request {
    Request::get(&format!("{target}?{}", form(pairs)))
}

/// What the upstream does is told by the request.
fn behaving(behaviour: &str) -> Request {
    get("/api/v1/query", &[("query", "up")]).header(BEHAVIOUR, behaviour)
}

/// A dashboard's requests, in turn.
fn of_a_dashboard(number: usize) -> Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (start, end) = ((now - 1800).to_string(), now.to_string());
    let query = QUERIES[number % QUERIES.len()];
    let span = [("query", query), ("start", &start), ("end", &end), ("step", "15")];
    match number % 12 {
        0 => get("/api/v1/labels", &[("match[]", "up")]),
        1 => get("/api/v1/label/handler/values", &[("start", &start)]),
        2 => get("/api/v1/series", &[("match[]", "http_requests_total"), ("start", &start)]),
        3 | 7 => get("/api/v1/query", &[("query", query)]),
        8 if number.is_multiple_of(5) => get("/api/v1/rules", &[]),
        4 | 9 => get("/api/v1/query_range", &span),
        _ => Request::post("/api/v1/query_range", &form(&span)),
    }
}

/// The tenant's request of this number, when so much of the time is over.
fn request(client: &Client, number: usize, share: f64) -> Request {
    let fails = client.tenant == "team-b" && INCIDENT.contains(&share);
    let request = match number % 40 {
        3 | 11 | 17 | 23 | 29 if fails => behaving("close"),
        5 | 15 | 25 | 35 if fails => behaving("600"),
        8 | 20 | 37 if fails => behaving("say no json"),
        // Warnings that could name another tenant.
        7 | 27 => behaving(r#"say {"status":"success","data":[],"warnings":["receive series from store 3"]}"#),
        10 | 30 if client.tenant == "team-c" || client.tenant == DRY => {
            get("/api/v1/query", &[("query", "sum(rate(up[5m])")])
        }
        13 if client.tenant == "team-a" => Request::get("/api/v1/targets"),
        33 => get("/api/v1/query", &[("query", "info(up)")]),
        // An answer that ends early.
        38 if client.tenant == "team-c" => behaving(r#"say {"status":"success","data":["#),
        // Reports, which take their time.
        1 | 14 | 28 => behaving(["350", "900", "200", "1400", "250"][(number + number / 40) % 5]),
        _ => of_a_dashboard(number),
    };
    request.tenant(client.tenant)
}

fn run(client: &Client, envoy: &Envoy, length: Duration) {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for number in 0.. {
            let share = start.elapsed().as_secs_f64() / length.as_secs_f64();
            if share >= 1.0 {
                break;
            }
            scope.spawn(move || request(client, number, share).try_send(envoy.port));
            if number.is_multiple_of(50) {
                scope.spawn(|| get("/api/v1/query", &[("query", "up")]).try_send(envoy.port));
            }
            let wave = 1.0 + 0.4 * ((share * 2.5 + client.phase) * std::f64::consts::TAU).sin();
            std::thread::sleep(Duration::from_secs_f64(1.0 / (client.per_second * wave)));
        }
    });
}

#[test]
#[ignore = "takes minutes and checks nothing: scripts/picture starts it, to write docs/dashboard.svg"]
fn picture_of_the_dashboard() {
    let minutes: u32 = std::env::var("TENANCY_PICTURE_MINUTES").expect("TENANCY_PICTURE_MINUTES").parse().unwrap();
    let (_upstream, data) = prometheus_process("prometheus-tenants", "");
    let demo = process::program("TENANCY_DEMO_DATA");
    let url = format!("http://127.0.0.1:{data}");
    let filled = Command::new(demo).args(["--prometheus", &url, "--tenants", "team-a,team-b,team-c"]).status();
    assert!(filled.expect("demo-data runs").success());
    let stub = Stub::start();
    let setup = Setup::shipped(data).second_upstream(BEHAVIOUR, stub.port, "http");
    let scene = Scene::start("picture", setup, SCRAPED);
    let length = Duration::from_secs(60 * u64::from(minutes)) + Duration::from_secs(30);
    std::thread::scope(|scope| {
        for client in &CLIENTS {
            scope.spawn(|| run(client, &scene.envoy, length));
        }
        std::thread::sleep(length.mul_f64(0.3));
        scene.refuse_a_configuration();
        std::thread::sleep(length.mul_f64(0.5));
        scene.trap();
    });
    std::fs::write(process::program("TENANCY_PICTURE"), scene.picture(minutes, SCRAPED).unwrap()).unwrap();
}
