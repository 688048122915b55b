//! Stats in a real Envoy. Every value is right, however a stream ends. No tenant can make Envoy's memory grow, or be counted as another
//! tenant. After a trap, values become right again soon.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::process;
use crate::support::scripted::{SCRIPT, Scripted, Step};
use crate::support::stub::{BEHAVIOUR, HALF, Stub};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

const QUERY: &str = "/api/v1/query?query=up";

fn get(tenant: &str) -> Request {
    Request::get(QUERY).tenant(tenant)
}

/// Sends a request and leaves without waiting for the answer.
fn send_and_leave(envoy: &Envoy, bytes: &[u8]) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, envoy.port())).unwrap();
    stream.write_all(bytes).unwrap();
    // Wait until the request has been read and forwarded.
    std::thread::sleep(Duration::from_millis(300));
    stream.shutdown(Shutdown::Both).unwrap();
}

/// The access log's values for a tenant: requests by class of status, and bytes sent.
fn logged(envoy: &Envoy, tenant: &str) -> (Vec<(String, f64)>, f64) {
    let log = envoy.process().log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut classes, mut bytes) = (std::collections::BTreeMap::new(), 0.0);
    for line in lines.filter(|line| line["tenant"] == tenant) {
        let class = match line["status"].as_u64().unwrap() {
            0 => "none".to_owned(),
            status => format!("{}xx", status / 100),
        };
        *classes.entry(class).or_insert(0.0) += 1.0;
        bytes += line["bytes_sent"].as_f64().unwrap();
    }
    (classes.into_iter().collect(), bytes)
}

#[test]
fn every_figure_is_the_one_that_was_sent() {
    let stub = Stub::start();
    let envoy = Setup::shipped(stub.port).flushes_stats_soon().start("envoy-stats");
    let form = "query=sum(up)%2Bdown%2B1&time=1";
    let (mut sent, mut received) = ([0, 0], [0, 0]);
    let mut ask = |tenant: &str, request: Request| {
        let answer = request.clone().tenant(tenant).send(envoy.port());
        let at = usize::from(tenant == "team-b");
        received[at] += answer.body.len();
        if let crate::support::http::Body::Sized(body) = &request.body {
            sent[at] += body.len();
        }
        answer.status
    };
    for number in 0..40 {
        assert_eq!(ask("team-a", Request::get(QUERY)), 200);
        if number % 4 == 0 {
            assert_eq!(ask("team-b", Request::post("/api/v1/query", form)), 200);
        }
    }
    for _ in 0..3 {
        assert_eq!(ask("team-a", Request::get("/api/v1/query?query=up(")), 400);
        assert_eq!(ask("team-b", Request::post("/api/v1/query", "query=up%28")), 400);
    }
    assert_eq!(ask("team-b", Request::get("/api/v1/targets")), 403);
    assert_eq!(ask("team-b", Request::get("/nothing")), 404);
    assert_eq!(ask("team-a", Request::get(QUERY).header(BEHAVIOUR, "close")), 503);
    assert_eq!(ask("team-a", Request::get("/api/v1/series").header(BEHAVIOUR, "10")), 200);
    Request::get(QUERY).send(envoy.port()).refused(401);
    get("not valid!").send(envoy.port()).refused(400);
    // The upstream cuts the answer off. This client reads what arrives.
    let broken = String::from_utf8(get("team-b").header(BEHAVIOUR, "break off").encode()).unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, envoy.port())).unwrap();
    stream.write_all(broken.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(String::from_utf8_lossy(&answer).contains(HALF));
    received[1] += HALF.len();
    // These clients leave before there is an answer, or before the form is complete.
    send_and_leave(&envoy, &get("team-b").header(BEHAVIOUR, "5000").encode());
    let cut = Request::post("/api/v1/query", form).tenant("team-b").encode();
    send_and_leave(&envoy, &cut[..cut.len() - 5]);
    sent[1] += form.len() - 5;

    let all = |metrics: &super::support::metrics::Metrics, tenant: &str| {
        metrics.sum("tenancy_requests_total", &[("tenant", tenant)])
    };
    let metrics = envoy.wait_for_metrics("tenancy", |metrics| {
        all(metrics, "team-a") == 45.0
            && all(metrics, "team-b") == 18.0
            && all(metrics, "__other__") == 2.0
            && metrics.sum("tenancy_request_duration_milliseconds_count", &[]) == 65.0
            && metrics.sum("tenancy_requests_in_flight", &[]) == 0.0
    });
    let count = |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels);
    for (tenant, code, number) in [
        ("team-a", "2xx", 41.0),
        ("team-a", "4xx", 3.0),
        ("team-a", "5xx", 1.0),
        ("team-b", "2xx", 11.0),
        ("team-b", "4xx", 5.0),
        ("team-b", "none", 2.0),
        ("__other__", "4xx", 2.0),
    ] {
        assert_eq!(count("tenancy_requests_total", &[("tenant", tenant), ("code", code)]), number, "{tenant} {code}");
    }
    for (tenant, handler, reason, number) in [
        ("team-a", "query", "query_syntax", 3.0),
        ("team-b", "query", "query_syntax", 3.0),
        ("team-b", "targets", "forbidden_path", 1.0),
        ("team-b", "unknown", "unknown_path", 1.0),
        ("__other__", "query", "no_tenant", 1.0),
        ("__other__", "query", "bad_tenant", 1.0),
    ] {
        let labels = [("tenant", tenant), ("handler", handler), ("reason", reason)];
        assert_eq!(count("tenancy_refused_total", &labels), number, "{labels:?}");
    }
    assert_eq!(count("tenancy_refused_total", &[]), 10.0);
    for (at, tenant) in ["team-a", "team-b"].into_iter().enumerate() {
        let of = [("tenant", tenant)];
        assert_eq!(count("tenancy_request_bytes_total", &of), sent[at] as f64, "{tenant}");
        assert_eq!(count("tenancy_response_bytes_total", &of), received[at] as f64, "{tenant}");
        // Envoy's access log, which is written a little later, has the same values.
        envoy.process().wait_until(|| logged(&envoy, tenant).1 == received[at] as f64);
        let (classes, _) = logged(&envoy, tenant);
        for (class, number) in classes {
            assert_eq!(count("tenancy_requests_total", &[("tenant", tenant), ("code", &class)]), number, "{class}");
        }
    }
    // `series` gains one; a refused query, and a form that was not whole, had none.
    assert_eq!(count("tenancy_selectors_enforced_total", &[("tenant", "team-a")]), 42.0);
    assert_eq!(count("tenancy_selectors_enforced_total", &[("tenant", "team-b")]), 10.0 * 2.0 + 2.0);
    assert_eq!(count("tenancy_tenants_tracked", &[]), 2.0);
    assert_eq!(count("tenancy_configuration_reloads_total", &[("result", "success")]), 1.0);
    // The text of the 503 is Envoy's own.
    assert_eq!(count("tenancy_messages_withheld_total", &[]), 0.0);
    let of = [("tenant", "team-b"), ("handler", "query")];
    let slow = count("tenancy_request_duration_milliseconds_sum", &of);
    // Envoy adds up the middles of its bins, which are 10 ms wide there.
    assert!((870.0..20_000.0).contains(&slow), "three streams of 300 ms: {slow}");
    envoy.assert_healthy();
}

#[test]
fn an_answer_that_is_refused_while_its_head_is_held_is_counted_as_a_refusal() {
    // The stub answers with JSON that holds no rules.
    let stub = Stub::start();
    let envoy = Setup::shipped(stub.port).start("envoy-stats-refused");
    let answer = Request::get("/api/v1/rules").tenant("team-a").send(envoy.port());
    answer.refused(502);
    let metrics = envoy.wait_for_metrics("tenancy", |metrics| metrics.sum("tenancy_requests_total", &[]) == 1.0);
    let of = [("tenant", "team-a"), ("handler", "rules")];
    assert_eq!(metrics.sum("tenancy_requests_total", &[of[0], of[1], ("code", "5xx")]), 1.0);
    assert_eq!(metrics.sum("tenancy_refused_total", &[of[0], of[1], ("reason", "bad_answer")]), 1.0);
    assert_eq!(metrics.sum("tenancy_answers_unreadable_total", &[of[0], of[1], ("reason", "malformed")]), 1.0);
    assert_eq!(metrics.sum("tenancy_response_bytes_total", &of), answer.body.len() as f64);
}

#[test]
fn every_tenant_comes_out_as_itself() {
    let stub = Stub::start();
    let setup = Setup::shipped(stub.port).plugin(json!({
        "tenant_id_format": "thanos", "tenant_federation": {"enabled": true}
    }));
    let envoy = setup.start("envoy-stats-ids");
    let ids = [
        ("team-a.x", "team-a.x"),
        ("a..b", "a..b"),
        (".a", ".a"),
        ("trailing", "trailing"),
        ("trailing.", "trailing%2E"),
        ("trailing..", "trailing%2E%2E"),
        ("trailing%2E", "trailing%252E"),
        ("a|b.", "a|b%2E"),
        ("it's \"quoted\"", "it's \"quoted\""),
        ("back\\slash\\", "back\\slash\\"),
        ("grüße.日本", "grüße.日本"),
        ("a;handler=forged;", "a%3Bhandler%3Dforged%3B"),
        ("a;tenant=b", "a%3Btenant%3Db"),
        ("x=.=y;.;handler=.=z", "x%3D.%3Dy%3B.%3Bhandler%3D.%3Dz"),
        ("!*'()-_{}$^[]?#&", "!*'()-_{}$^[]?#&"),
        ("cluster.web.upstream_rq_503", "cluster.web.upstream_rq_503"),
        ("http.a.rds.b.c_rq_2xx", "http.a.rds.b.c_rq_2xx"),
        ("_rq_200", "_rq_200"),
    ];
    for (number, (id, _)) in ids.iter().enumerate() {
        for _ in 0..=number {
            let answer = Request::get(QUERY).header("THANOS-TENANT", id).send(envoy.port());
            assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        }
    }
    let total: usize = (1..=ids.len()).sum();
    let metrics = envoy
        .wait_for_metrics("tenancy_requests", |metrics| metrics.sum("tenancy_requests_total", &[]) == total as f64);
    for (number, (id, shown)) in ids.iter().enumerate() {
        let labels = [("tenant", *shown)];
        let of: Vec<_> = metrics.select("tenancy_requests_total", &labels).collect();
        let [sample] = of.as_slice() else { panic!("{id}: {:#?}", metrics.lines("tenancy_requests")) };
        assert_eq!(sample.value, number as f64 + 1.0, "{id}");
        assert_eq!(sample.labels.len(), 3, "{sample:?}");
        assert_eq!((sample.labels["handler"].as_str(), sample.labels["code"].as_str()), ("query", "2xx"));
    }
}

#[test]
fn istio_s_tags_are_taken_out_by_istio_s_patterns() {
    let stub = Stub::start();
    let shipped = Setup::shipped(stub.port).plugin(json!({"tenant_id_format": "thanos", "stats": {"tags": "istio"}}));
    let setup = shipped
        .replace("'(;code=([^;]*))'", r"'(code=\.=(.*?);\.;)'")
        .replace("'(;reason=([^;]*))'", r"'(reason=\.=(.*?);\.;)'")
        .replace("'(;result=([^;]*);)'", r"'(result=\.=(.*?);\.;)'")
        .replace("'(;tenant=([^;]*))'", r"'(tenant=\.=(.*?);\.;)'")
        .replace("'(;handler=([^;]*);)'", r"'(handler=\.=(.*?);\.;)'");
    let envoy = setup.start("envoy-stats-istio");
    let ids = [
        ("team-a.x", "team-a.x"),
        ("é'x", "é'x"),
        ("a.", "a%2E"),
        ("x;.;handler=.=z;.;", "x%3B.%3Bhandler%3D.%3Dz%3B.%3B"),
    ];
    for (id, _) in ids {
        assert_eq!(get(id).send(envoy.port()).status, 200);
    }
    envoy.wait_for_metrics("tenancy_requests", |metrics| {
        let name = metrics.names("tenancy_requests_total").first().map(|name| name.to_string()).unwrap_or_default();
        ids.iter()
            .all(|(_, shown)| metrics.sum(&name, &[("tenant", shown), ("handler", "query"), ("code", "2xx")]) == 1.0)
    });
}

/// Sends this many requests over one connection, each as another tenant.
fn flood(port: u16, name: &str, count: usize) {
    const END: &[u8] = b"\r\n\r\n";
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; 4096];
    for number in 0..count {
        let request = format!("GET /federate HTTP/1.1\r\nhost: x\r\nTHANOS-TENANT: made-up-{name}-{number}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        // An answer without a body.
        let mut size = 0;
        while !answer[..size].ends_with(END) {
            let more = stream.read(&mut answer[size..]).unwrap();
            assert!(more > 0, "{}", String::from_utf8_lossy(&answer[..size]));
            size += more;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer[..size]));
    }
}

/// Envoy itself answers the requests after the filter, because this test is not about the upstream.
#[test]
fn hundred_thousand_made_up_tenants_don_t_grow_envoy() {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 5_000;
    let shipped = Setup::shipped(1).plugin(json!({"stats": {"max_tenants": 100}})).workers(2);
    let setup = shipped
        .replace("                route:\n                  cluster: prometheus\n", "                direct_response: { status: 200 }\n")
        .replace("                  # Longer than Prometheus's --query.timeout (2m), so that its own error arrives. Envoy's default is 15s.\n                  timeout: 130s\n", "");
    let envoy = setup.start("envoy-stats-flood");
    let measure = |requests: usize| {
        let metrics = envoy.wait_for_metrics("tenancy_requests_total", |metrics| {
            metrics.sum("tenancy_requests_total", &[]) == requests as f64
        });
        // Over both workers together, exactly as many tenants as `max_tenants` have series of their own.
        assert_eq!(metrics.values("tenancy_requests_total", "tenant").len(), 101);
        assert_eq!(metrics.sum("tenancy_tenants_tracked", &[]), 100.0);
        let memory: Value = serde_json::from_str(&envoy.admin("/memory")).unwrap();
        let allocated: u64 = memory["allocated"].as_str().unwrap().parse().unwrap();
        (allocated, envoy.admin("/stats").lines().count())
    };
    let round = |round: usize| {
        std::thread::scope(|scope| {
            for connection in 0..CONNECTIONS {
                let port = envoy.port();
                scope.spawn(move || flood(port, &format!("{round}-{connection}"), EACH));
            }
        });
    };
    round(1);
    let (memory, stats) = measure(CONNECTIONS * EACH);
    round(2);
    let (memory_after, stats_after) = measure(2 * CONNECTIONS * EACH);
    println!(
        "{memory} bytes and {stats} stats after 50,000 made-up tenants, {memory_after} and {stats_after} after 100,000"
    );
    assert!(stats_after <= stats + 5, "{stats} stats became {stats_after}");
    assert!(memory_after < memory + 4_000_000, "{memory} bytes became {memory_after}");
    envoy.assert_healthy();
}

#[test]
fn what_was_counted_stays_over_a_new_configuration() {
    let stub = Stub::start();
    let setup = || Setup::shipped(stub.port).workers(2);
    let envoy = setup().start("envoy-stats-reload");
    for tenant in ["team-a", "team-b"] {
        (0..3).for_each(|_| assert_eq!(get(tenant).send(envoy.port()).status, 200));
    }
    let count = |metrics: &crate::support::metrics::Metrics, tenant| {
        metrics.sum("tenancy_requests_total", &[("tenant", tenant), ("code", "2xx")])
    };
    let both = |metrics: &crate::support::metrics::Metrics| (count(metrics, "team-a"), count(metrics, "team-b"));
    envoy.wait_for_metrics("tenancy_requests_total", |metrics| both(metrics) == (3.0, 3.0));
    for label in ["first", "second"] {
        envoy.reload(&setup().plugin(json!({"tenant_label_name": label})));
        let reloads = if label == "first" { 2.0 } else { 3.0 };
        envoy.wait_for_metrics("reloads", |metrics| {
            metrics.sum("tenancy_configuration_reloads_total", &[("result", "success")]) == reloads
        });
        // Envoy forgets the old configuration when no worker needs it any more.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(get("team-a").send(envoy.port()).status, 200);
    }
    envoy.wait_for_metrics("tenancy_requests_total", |metrics| both(metrics) == (5.0, 3.0));
}

#[test]
fn a_trap_leaves_no_request_in_flight_for_ever() {
    let stub = Stub::start();
    let module = process::program("TENANCY_WASM_TRAP");
    let envoy = Setup::shipped(stub.port).workers(2).start_with("envoy-stats-trap", &module);
    let in_flight = |metrics: &crate::support::metrics::Metrics| {
        metrics.sum("tenancy_requests_in_flight", &[("tenant", "team-a"), ("handler", "query")])
    };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| get("team-a").header(BEHAVIOUR, "4000").send(envoy.port()));
        }
        envoy.wait_for_metrics("in_flight", |metrics| in_flight(metrics) == 6.0);
        // The VM of at least one worker traps with requests in flight.
        let trapped = get("team-a").header("x-tenancy-test-trap", "1").send(envoy.port());
        assert_eq!(trapped.status, 503);
    });
    let start = Instant::now();
    envoy.wait_for_metrics("in_flight", |metrics| in_flight(metrics) == 0.0);
    println!("the gauge was right again after {:?}", start.elapsed());
    // Envoy reloads a VM when the next request comes to its worker.
    envoy.wait_for_metrics("vm_reload", |metrics| {
        get("team-a").try_send(envoy.port());
        metrics.sum("envoy_wasm_promql_tenancy_vm_reload_success", &[]) >= 1.0
    });
    // The stats are the same ones, also for a VM that starts anew.
    let before = envoy.metrics().sum("tenancy_requests_total", &[("tenant", "team-a"), ("code", "2xx")]);
    for _ in 0..10 {
        assert_eq!(get("team-a").send(envoy.port()).status, 200);
    }
    envoy.wait_for_metrics("tenancy", |metrics| {
        metrics.sum("tenancy_requests_total", &[("tenant", "team-a"), ("code", "2xx")]) >= before + 10.0
    });
    assert_eq!(envoy.metrics().sum("tenancy_tenants_tracked", &[]), 1.0);
}

/// The answer is held back, and is more than Envoy holds: Envoy answers in its place, and tells no filter.
#[test]
fn an_answer_that_envoy_took_the_place_of_is_counted_as_what_the_client_got() {
    let upstream = Scripted::start();
    let rule =
        r#"{"name":"r","query":"1","labels":{"tenant_id":"team-a"},"health":"ok","type":"recording"},"#.repeat(2_000);
    let body = format!(
        r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","rules":[{}]}}]}}}}"#,
        rule.trim_end_matches(',')
    );
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    upstream.steps("large", vec![Step::Send(answer.into_bytes())]);
    let half = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}",
        body.len(),
        &body[..1_000]
    );
    upstream.steps("broken", vec![Step::Send(half.into_bytes()), Step::Pause, Step::Reset]);
    let envoy = Setup::shipped(upstream.port)
        .replace("per_connection_buffer_limit_bytes: 2097152", "per_connection_buffer_limit_bytes: 16384")
        .start("envoy-stats-buffer");
    for (tenant, script) in [("team-a", "large"), ("team-b", "broken")] {
        let answer = Request::get("/api/v1/rules").tenant(tenant).header(SCRIPT, script).send(envoy.port());
        assert!((500..600).contains(&answer.status), "{script}: {} {}", answer.status, answer.text());
        let metrics = envoy
            .wait_for_metrics("tenancy", |metrics| metrics.sum("tenancy_requests_total", &[("tenant", tenant)]) == 1.0);
        assert_eq!(metrics.sum("tenancy_requests_total", &[("tenant", tenant), ("code", "5xx")]), 1.0, "{script}");
    }
}

/// A new `vm_id` is a new VM with shared data of its own, which knows nothing of the gauges that the old one has set.
#[test]
fn a_change_of_the_vm_id_leaves_no_request_in_flight_for_ever() {
    let stub = Stub::start();
    let setup = |vm: &str| {
        Setup::shipped(stub.port).workers(2).replace("vm_config:\n", &format!("vm_config:\n        vm_id: {vm}\n"))
    };
    let envoy = setup("first").start("envoy-stats-vm-id");
    let in_flight = |metrics: &crate::support::metrics::Metrics| {
        metrics.sum("tenancy_requests_in_flight", &[("tenant", "team-a"), ("handler", "query")])
    };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| get("team-a").header(BEHAVIOUR, "4000").send(envoy.port()));
        }
        envoy.wait_for_metrics("in_flight", |metrics| in_flight(metrics) == 6.0);
        envoy.reload(&setup("second"));
    });
    let start = Instant::now();
    envoy.wait_for_metrics("in_flight", |metrics| in_flight(metrics) == 0.0);
    println!("the gauge was right again after {:?}", start.elapsed());
    assert_eq!(get("team-b").send(envoy.port()).status, 200);
    envoy.assert_healthy();
}
