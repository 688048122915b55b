//! Limits that hold over several Envoys: `examples/ratelimit` with Envoy's rate limit service and a Redis; and `examples/rate-limits`, which
//! protects an upstream whoever asks. The tenant is the one that the filter identified, and each refusal is an error object.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response};
use crate::support::process::{self, Process};
use crate::support::stub::{BEHAVIOUR, Stub};
use serde_json::json;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

const ROUTER: &str = "          - name: envoy.filters.http.router\n";
const CLUSTERS: &str = "  clusters:\n";

fn example(path: &str, indent: usize) -> String {
    let path = format!("{}/examples/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{:indent$}{line}\n", "")).collect()
}

/// The service that counts, with its Redis, and the port that Envoys call.
struct Service {
    redis: Option<Process>,
    service: Option<Process>,
    port: u16,
}

impl Service {
    fn start(name: &str) -> Service {
        let [redis_port, port, http, debug] = [(); 4].map(|()| process::free_port());
        let mut command = Command::new(process::program("TENANCY_REDIS"));
        command.args(["--port", &redis_port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let redis = Process::start(&format!("{name}-redis"), command);
        let listens = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        redis.wait_until(|| listens(redis_port));
        let folder = process::folder().join(name);
        std::fs::create_dir_all(folder.join("ratelimit/config")).unwrap();
        std::fs::write(folder.join("ratelimit/config/config.yaml"), example("ratelimit/config.yaml", 0)).unwrap();
        let mut command = Command::new(process::program("TENANCY_RATELIMIT"));
        for (name, value) in [
            ("RUNTIME_ROOT", folder.to_str().unwrap()),
            ("RUNTIME_SUBDIRECTORY", "ratelimit"),
            ("RUNTIME_WATCH_ROOT", "false"),
            ("DISABLE_STATS", "true"),
            ("REDIS_SOCKET_TYPE", "tcp"),
            ("REDIS_URL", &format!("127.0.0.1:{redis_port}")),
            ("REDIS_TIMEOUT", "100ms"),
            ("HOST", "127.0.0.1"),
            ("PORT", &http.to_string()),
            ("DEBUG_HOST", "127.0.0.1"),
            ("DEBUG_PORT", &debug.to_string()),
            ("GRPC_HOST", "127.0.0.1"),
            ("GRPC_PORT", &port.to_string()),
        ] {
            command.env(name, value);
        }
        let service = Process::start(&format!("{name}-service"), command);
        service.wait_until(|| listens(port));
        Service { redis: Some(redis), service: Some(service), port }
    }
}

/// One Envoy of the fleet. `closed`: requests are refused where the service can't say anything.
fn envoy(name: &str, stub: &Stub, service: &Service, closed: bool) -> Envoy {
    let filter = example("ratelimit/filter.yaml", 10);
    assert_eq!(filter.matches("failure_mode_deny: false").count(), 1);
    let filter = filter.replace("failure_mode_deny: false", &format!("failure_mode_deny: {closed}"));
    // The machine of a test is slower than a service's.
    let filter = filter.replace("timeout: 0.2s", "timeout: 2s");
    let cluster = example("ratelimit/cluster.yaml", 2);
    let cluster = cluster.replace("port_value: 8081 }", &format!("port_value: {} }}", service.port));
    Setup::shipped(stub.port)
        .replace(ROUTER, &(filter + ROUTER))
        .replace(CLUSTERS, &(CLUSTERS.to_owned() + &cluster))
        .plugin(json!({
            "tenant_header": "x-team", "forward_tenant_header": "thanos-tenant", "stats": {"samples": true}
        }))
        .start(name)
}

fn ask(envoy: &Envoy, path: &str, team: &str, samples: u32) -> Response {
    let answer = format!(
        r#"say {{"status":"success","data":{{"resultType":"vector","result":[],"stats":{{"samples":{{"totalQueryableSamples":{samples}}}}}}}}}"#
    );
    // What the client claims in the header that is forwarded counts for nothing.
    let request = Request::get(path).header("x-team", team).header("thanos-tenant", "claimed");
    request.header(BEHAVIOUR, &answer).send(envoy.port())
}

const QUERY: &str = "/api/v1/query?query=up";
const RANGE: &str = "/api/v1/query_range?query=up&start=1&end=2&step=1";

fn minute() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 60
}

/// The service counts by the minute of the clock: what two of them served says nothing.
fn within_a_minute<T>(run: impl Fn(usize) -> T) -> T {
    for attempt in 0.. {
        let before = minute();
        let outcome = run(attempt);
        if minute() == before {
            return outcome;
        }
        assert!(attempt < 3, "it takes more than a minute");
    }
    unreachable!()
}

#[test]
fn two_envoys_share_each_tenant_s_budgets() {
    let stub = Stub::start();
    let service = Service::start("fleet");
    let envoys = [envoy("fleet-1", &stub, &service, false), envoy("fleet-2", &stub, &service, false)];
    let served = |path: &str, team: &str, count: usize| {
        let statuses = (0..count).map(|n| ask(&envoys[n % 2], path, team, 1).status);
        statuses.filter(|status| *status == 200).count()
    };
    // Requests, by tenant: 20 a minute of team-a, whichever Envoy gets them. Others have budgets of their own.
    let minute_before = minute();
    let of_a = served(QUERY, "team-a", 30);
    if minute() == minute_before {
        assert_eq!(of_a, 20);
    }
    let refused = within_a_minute(|_| {
        let all: Vec<Response> = (0..22).map(|n| ask(&envoys[n % 2], QUERY, "team-a", 1)).collect();
        all.into_iter().find(|answer| answer.status != 200)
    });
    let refused = refused.expect("the budget is spent");
    assert_eq!(
        refused.refused(429),
        "the proxy answered 429 Too Many Requests: a limit of requests is reached; try again later"
    );
    assert_eq!(refused.json()["errorType"], "too_many_requests");
    assert_eq!(ask(&envoys[0], QUERY, "team-d", 1).status, 200);
    // By tenant and handler: range queries of team-b.
    let (ranges, queries) = within_a_minute(|attempt| {
        if attempt > 0 {
            // The earlier attempt has spent a part of this minute's.
            return (5, 8);
        }
        (served(RANGE, "team-b", 10), served(QUERY, "team-b", 8))
    });
    assert_eq!((ranges, queries), (5, 8));
    // By samples: 100 a minute of team-c, counted when a query has ended.
    let costs = within_a_minute(|attempt| {
        (attempt == 0).then(|| {
            let first = ask(&envoys[0], QUERY, "team-c", 60).status;
            let is_full = || ask(&envoys[1], QUERY, "team-c", 60).status == 429;
            // The count reaches the service when the stream is gone.
            let refused_at = (0..20).find(|_| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                is_full()
            });
            (first, refused_at)
        })
    });
    if let Some((first, refused_at)) = costs {
        assert_eq!(first, 200);
        assert!(refused_at.is_some_and(|at| (1..=3).contains(&at)), "{refused_at:?}");
    }
    envoys.iter().for_each(Envoy::assert_healthy);
}

#[test]
fn without_redis_requests_pass_or_are_refused_as_configured() {
    let stub = Stub::start();
    let mut service = Service::start("fleet-away");
    let (open, closed) = (envoy("fleet-open", &stub, &service, false), envoy("fleet-closed", &stub, &service, true));
    assert_eq!(ask(&open, QUERY, "team-e", 1).status, 200);
    assert_eq!(ask(&closed, QUERY, "team-e", 1).status, 200);
    drop(service.redis.take());
    for without in ["Redis", "the service"] {
        assert_eq!(ask(&open, QUERY, "team-a", 1).status, 200, "{without}");
        let answer = ask(&closed, QUERY, "team-e", 1);
        assert!(answer.refused(503).starts_with("the proxy answered 503 Service Unavailable"), "{without}");
        drop(service.service.take());
    }
}

/// The bootstrap with one more filter before the router.
fn with(stub: &Stub, path: &str, change: (&str, &str)) -> Setup {
    let filter = example(path, 10);
    assert_eq!(filter.matches(change.0).count(), 1, "{path}: {:?} has to stand there once", change.0);
    Setup::shipped(stub.port).replace(ROUTER, &(filter.replace(change.0, change.1) + ROUTER))
}

#[test]
fn a_failing_upstream_is_spared() {
    let stub = Stub::start();
    let setup = with(&stub, "rate-limits/admission_control.yaml", ("sampling_window: 30s", "sampling_window: 3s"));
    let envoy = setup.start("fleet-admission");
    let get = |fails: bool| {
        let request = Request::get(QUERY).tenant("team-a");
        if fails { request.header(BEHAVIOUR, "close") } else { request }.send(envoy.port())
    };
    assert!((0..30).all(|_| get(false).status == 200));
    let rejected = || envoy.stat("http.query.admission_control.rq_rejected");
    assert_eq!(rejected(), 0);
    for _ in 0..300 {
        // Whoever refuses, it is an error object.
        get(true).refused(503);
    }
    println!("{} of 300 requests to a failing upstream were not sent to it", rejected());
    assert!(rejected() > 30);
    // It recovers by itself.
    envoy.process().wait_until(|| (0..5).all(|_| get(false).status == 200));
    envoy.assert_healthy();
}

#[test]
fn a_slow_upstream_gets_no_more_than_it_serves() {
    let stub = Stub::start();
    let setup = with(&stub, "rate-limits/adaptive_concurrency.yaml", ("jitter: { value: 10 }", "jitter: { value: 0 }"));
    let envoy = setup.start("fleet-adaptive");
    // While it measures the latency of an idle upstream, four requests run at a time.
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    let answer = Request::get(QUERY).tenant("team-a").header(BEHAVIOUR, "1000").send(envoy.port);
                    if answer.status != 200 {
                        answer.refused(503);
                    }
                    answer.status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((4..12).contains(&served), "{statuses:?}");
    envoy.assert_healthy();
}

/// Two tenants with parts of the upstream to themselves: what another sends beyond its circuit breaker is refused, and theirs is served.
#[test]
fn a_tenant_with_a_circuit_breaker_of_its_own_fills_no_other_s() {
    let stub = Stub::start();
    let ours = format!("port_value: {} }}", stub.port);
    let clusters = example("rate-limits/tenant_clusters.yaml", 2).replace("port_value: 9090 }", &ours);
    let default = "              - match: { prefix: / }\n";
    let envoy = Setup::shipped(stub.port)
        .replace(default, &(example("rate-limits/tenant_routes.yaml", 14) + default))
        .replace(CLUSTERS, &(CLUSTERS.to_owned() + &clusters))
        .plugin(json!({"tenant_header": "x-team", "forward_tenant_header": "thanos-tenant"}))
        .start("fleet-breakers");
    // Each client claims to be the tenant whose part is free: the route is chosen by who the filter says it is.
    let get = |team: &str, claimed: &str, behaviour: &str| {
        let request = Request::get(QUERY).header("x-team", team).header("thanos-tenant", claimed);
        let answer = request.header(BEHAVIOUR, behaviour).send(envoy.port);
        if answer.status != 200 {
            assert!(answer.refused(503).starts_with("the proxy answered 503 Service Unavailable"), "{answer:?}");
        }
        answer.status
    };
    let active = |cluster: &str| envoy.stat(&format!("cluster.{cluster}.upstream_rq_active"));
    // Beside the flood of one tenant, the others are served, also where the flood is of those that share a cluster.
    for (flooding, served, cluster, others) in
        [("team-a", 2, "team_a", ["team-b", "team-c"]), ("team-c", 4, "shared", ["team-a", "team-b"])]
    {
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let flood: Vec<_> = (0..12).map(|_| scope.spawn(|| get(flooding, others[0], "2500"))).collect();
            envoy.process().wait_until(|| active(cluster) == served);
            for other in others {
                assert_eq!(get(other, flooding, "0"), 200, "{other} beside {flooding}");
            }
            assert_eq!(active(cluster), served, "{flooding}'s requests have ended too early to show anything");
            flood.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count() as u64, served, "{flooding}: {statuses:?}");
    }
    envoy.assert_healthy();
}

/// What docs/sizing.md shows of the model is what the script says with the coefficients beside it.
#[test]
fn the_fleets_in_the_docs_are_those_of_the_model() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/sizing.md")).expect("the page");
    let shown: Vec<(&str, &str)> = page
        .split("```\n$ ")
        .skip(1)
        .map(|block| {
            block.split_once("\n```").expect("an end").0.split_once('\n').expect("a command and what it prints")
        })
        .collect();
    assert!(shown.len() >= 2, "{shown:?}");
    for (command, printed) in shown {
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("scripts/size-fleet"));
        let out = Command::new("python3").arg("-B").arg(root.join("benches/fleet/fleet.py")).args(words).output();
        assert_eq!(String::from_utf8_lossy(&out.expect("python3").stdout).trim(), printed, "{command}");
    }
}
