//! Errors on their way to the client: each is an error object, whoever made it, and what the upstream says of the request is told.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, Response, form};
use crate::support::{data, process, prometheus, thanos};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const WITHHELD: &str = "withheld";

/// Errors that a request's own fault provokes: the endpoint, and what is asked beside the endpoint's usual parameters.
const FAULTS: &[(&str, &[(&str, &str)])] = &[
    ("/api/v1/query", &[("query", "nope(up)")]),
    ("/api/v1/query", &[("query", "rate(up)")]),
    ("/api/v1/query", &[("query", "up + rate(up[5m])[5m:1m]")]),
    ("/api/v1/query", &[("query", "up{instance=~\"(\"}")]),
    ("/api/v1/query", &[("query", "topk(scalar(up) * NaN, up)")]),
    ("/api/v1/query", &[("query", "topk(1e30, up)")]),
    ("/api/v1/query", &[("query", "limit_ratio(NaN, up)")]),
    ("/api/v1/query", &[("query", "label_replace(up, \"~\", \"$1\", \"instance\", \"(.*)\")")]),
    ("/api/v1/query", &[("query", "label_replace(up, \"x\", \"$1\", \"instance\", \"(\")")]),
    ("/api/v1/query", &[("query", "label_replace(up, \"instance\", \"one\", \"instance\", \".*\")")]),
    ("/api/v1/query", &[("query", "label_join(up, \"~\", \"-\", \"instance\")")]),
    ("/api/v1/query", &[("query", "count_values(\"~\", up)")]),
    ("/api/v1/query", &[("query", "up + on () up")]),
    ("/api/v1/query", &[("query", "up * on (job) group_left () up")]),
    ("/api/v1/query", &[("query", "double_exponential_smoothing(temperature[5m], 2, 0.5)")]),
    ("/api/v1/query", &[("query", "double_exponential_smoothing(temperature[5m], 0.5, 2)")]),
    ("/api/v1/query", &[("query", "up[5m-5m]")]),
    ("/api/v1/query", &[("query", "up[5m/0]")]),
    ("/api/v1/query", &[("query", "up[5m%0]")]),
    ("/api/v1/query", &[("query", "temperature[5m] anchored")]),
    ("/api/v1/query", &[("query", "count_over_time(temperature[5m] smoothed)")]),
    ("/api/v1/query", &[("query", "up"), ("timeout", "0")]),
    ("/api/v1/query", &[("query", "up"), ("timeout", "1ns")]),
    ("/api/v1/query", &[("query", "up"), ("timeout", "-1")]),
    ("/api/v1/query", &[("query", "up"), ("timeout", "soon")]),
    ("/api/v1/query", &[("query", "up"), ("lookback_delta", "soon")]),
    ("/api/v1/query", &[("query", "up"), ("limit", "-1")]),
    ("/api/v1/query", &[("query", "up"), ("limit", "many")]),
    ("/api/v1/query", &[("query", "")]),
    ("/api/v1/query", &[]),
    ("/api/v1/query", &[("query", "up"), ("time", "now")]),
    ("/api/v1/query", &[("query", "up"), ("dedup", "perhaps")]),
    ("/api/v1/query", &[("query", "up"), ("partial_response", "perhaps")]),
    ("/api/v1/query", &[("query", "up"), ("max_source_resolution", "coarse")]),
    ("/api/v1/query", &[("query", "up"), ("max_source_resolution", "-1")]),
    ("/api/v1/query", &[("query", "up"), ("engine", "steam")]),
    ("/api/v1/query", &[("query", "up"), ("max_series", "many")]),
    ("/api/v1/query", &[("query", "up"), ("stats", "some")]),
    ("/api/v1/query", &[("query", "up"), ("analyze", "true"), ("engine", "prometheus")]),
    ("/api/v1/query_range", &[("query", "nope(up)")]),
    ("/api/v1/query_range", &[("query", "up[5m]")]),
    ("/api/v1/query_range", &[("query", "up"), ("step", "0")]),
    ("/api/v1/query_range", &[("query", "up"), ("step", "-1")]),
    ("/api/v1/query_range", &[("query", "up"), ("step", "small")]),
    ("/api/v1/query_range", &[("query", "up"), ("step", "0.001")]),
    ("/api/v1/query_range", &[("query", "up"), ("start", "5"), ("end", "4")]),
    ("/api/v1/query_range", &[("query", "up"), ("start", "then")]),
    ("/api/v1/query_range", &[("query", "up"), ("timeout", "1ns")]),
    ("/api/v1/query_range", &[("query", "up"), ("max_source_resolution", "-1s")]),
    ("/api/v1/query_explain", &[("query", "up"), ("engine", "prometheus")]),
    ("/api/v1/query_explain", &[("query", "nope(up)"), ("engine", "thanos")]),
    ("/api/v1/query_range_explain", &[("query", "up"), ("engine", "prometheus")]),
    ("/api/v1/query_exemplars", &[("query", "nope(up)")]),
    ("/api/v1/query_exemplars", &[("query", "up"), ("start", "5"), ("end", "4")]),
    ("/api/v1/series", &[("match[]", "up"), ("start", "5"), ("end", "4")]),
    ("/api/v1/series", &[("match[]", "up"), ("limit", "-1")]),
    ("/api/v1/series", &[("match[]", "up"), ("partial_response", "perhaps")]),
    ("/api/v1/series", &[("match[]", "up{instance=~\"(\"}")]),
    ("/api/v1/labels", &[("limit", "-1")]),
    ("/api/v1/labels", &[("start", "then")]),
    ("/api/v1/labels", &[("start", "5"), ("end", "4")]),
    ("/api/v1/label/a~b/values", &[]),
    ("/api/v1/label/instance/values", &[("limit", "many")]),
    ("/api/v1/label/instance/values", &[("partial_response", "perhaps")]),
    ("/api/v1/rules", &[("type", "alerting")]),
    ("/api/v1/rules", &[("group_next_token", "x")]),
    ("/api/v1/rules", &[("group_limit", "0")]),
    ("/api/v1/rules", &[("group_limit", "many")]),
    ("/api/v1/rules", &[("exclude_alerts", "perhaps")]),
    ("/api/v1/rules", &[("match[]", "{")]),
    ("/api/v1/search/metric_names", &[("sort_by", "size")]),
    ("/api/v1/search/label_names", &[("fuzz_threshold", "1000")]),
    ("/api/v1/format_query", &[("query", "nope(up)")]),
    ("/api/v1/parse_query", &[("query", "nope(up)")]),
    ("/federate", &[("match[]", "up{instance=~\"(\"}")]),
];

/// Messages that stay withheld, and why.
const WANTED: &[(&str, &str)] = &[];

fn target(path: &str, pairs: &[(&str, &str)]) -> String {
    let [start, end] = [data::start(), data::end()].map(|time| time.to_string());
    let mut all: Vec<(&str, &str)> = match path {
        "/api/v1/query" | "/api/v1/query_explain" => vec![("time", end.as_str())],
        "/api/v1/query_range" | "/api/v1/query_range_explain" => vec![("start", &start), ("end", &end), ("step", "60")],
        "/api/v1/query_exemplars" | "/api/v1/series" => vec![("start", &start), ("end", &end)],
        _ => Vec::new(),
    };
    all.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
    format!("{path}?{}", form(&[all.as_slice(), pairs].concat()))
}

/// As the tenant, over both protocols: always an error object where the status is not 2xx.
fn ask(envoy: &Envoy, request: &Request) -> [Response; 2] {
    let request = request.clone().tenant("team-a");
    let answers = [request.send(envoy.port()), request.send_h2(envoy.port()).unwrap()];
    for answer in &answers {
        if !(200..300).contains(&answer.status) {
            let error = answer.json();
            assert_eq!(error["status"], "error", "{}: {}", request.target, answer.text());
            assert!(
                error["error"].as_str().is_some_and(|text| text.len() > 5),
                "{}: {}",
                request.target,
                answer.text()
            );
            assert!(error["errorType"].as_str().is_some_and(|kind| !kind.is_empty()), "{}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"), "{}", request.target);
        }
    }
    answers
}

/// Sends each fault to the upstream itself and through the filter, and lists what the client is not told.
fn untold(upstream: u16, envoys: &[&Envoy]) -> (usize, Vec<String>) {
    let (mut told, mut untold) = (0, Vec::new());
    for (path, pairs) in FAULTS {
        let request = Request::get(&target(path, pairs));
        let by_hand = request.send(upstream);
        for answer in envoys.iter().flat_map(|envoy| ask(envoy, &request)) {
            if !answer.text().contains(WITHHELD) {
                told += usize::from(answer.status != 200);
                continue;
            }
            if !WANTED.iter().any(|(text, _)| by_hand.text().contains(text)) {
                untold.push(format!("{}: {} => {}", request.target, by_hand.text().trim(), answer.text()));
            }
        }
    }
    untold.dedup();
    (told, untold)
}

#[test]
fn what_prometheus_says_of_a_request_is_told() {
    let pair = prometheus();
    let (told, untold) = untold(pair.upstream.port(), &[&pair.envoy]);
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    assert!(told > 80, "{told} errors");
}

#[test]
fn what_thanos_says_of_a_request_is_told() {
    let pair = thanos();
    let (told, untold) = untold(pair.upstream.port(), &[&pair.envoy]);
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    assert!(told > 80, "{told} errors");
}

/// In six lines, with the error in the last.
#[test]
fn places_are_those_of_the_client_s_query() {
    let query = "sum(\n  rate(http_requests_total[5m]) # comment\n)\n/\nsum(\n  nope(up)\n)";
    for pair in [prometheus(), thanos()] {
        for request in [
            Request::get(&target("/api/v1/query", &[("query", query)])),
            Request::post("/api/v1/query", &form(&[("query", query)])),
            Request::get(&target("/api/v1/query_range", &[("query", query)])),
        ] {
            for answer in ask(&pair.envoy, &request) {
                let error = answer.json()["error"].as_str().unwrap().to_owned();
                assert!(error.contains("6:3: parse error: unknown function"), "{error}");
            }
        }
    }
    // Prometheus places annotations too; Thanos does not.
    let query = "# é\n  up +\n  rate(temperature[5m])";
    for request in [
        Request::get(&target("/api/v1/query", &[("query", query)])),
        Request::post("/api/v1/query", &format!("{}&time={}", form(&[("query", query)]), data::end())),
    ] {
        for answer in ask(&prometheus().envoy, &request) {
            let infos = answer.json()["infos"].to_string();
            assert!(infos.contains("(3:8)"), "{}", answer.text());
        }
    }
}

/// What an upstream answers, by the value of the header `x-answer`.
const ANSWERS: &[(&str, &str)] = &[
    (
        "gateway",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"message\":\"x\"}",
    ),
    ("empty", "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"),
    (
        "short",
        "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n7\r\n0\r\n\r\n",
    ),
    (
        "cut",
        "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n",
    ),
    (
        "starting",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 19\r\n\r\nService Unavailable",
    ),
    ("thanos", "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 19\r\n\r\n404 page not found\n"),
    (
        "maintenance",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 71\r\n\r\n{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"maintenance of b\"}",
    ),
    ("nothing", "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"),
    (
        "broken",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n0\r\n\r\n",
    ),
];

/// Its threads end with the test program.
fn upstream() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    port
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let name = head.lines().find_map(|line| line.strip_prefix("x-answer: ")).unwrap_or_default();
        match ANSWERS.iter().find(|(known, _)| *known == name) {
            Some((_, answer)) => stream.write_all(answer.as_bytes())?,
            // Never.
            None => std::thread::sleep(Duration::from_secs(60)),
        }
    }
}

/// Filters after ours, each for the requests that have its header.
const AFTER: &str = r#"          - name: envoy.filters.http.fault
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
              headers: [{ name: x-fault, present_match: true }]
              abort: { http_status: 418, percentage: { numerator: 100 } }
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: DENY
                policies:
                  all: { permissions: [{ header: { name: x-denied, present_match: true } }], principals: [{ any: true }] }
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limited
              token_bucket: { max_tokens: 10000, tokens_per_fill: 10000, fill_interval: 1s }
              filter_enabled: { default_value: { numerator: 100 } }
              filter_enforced: { default_value: { numerator: 100 } }
              rate_limits: [{ actions: [{ header_value_match: { descriptor_value: limited, headers: [{ name: x-limited, present_match: true }] } }] }]
              descriptors:
              - entries: [{ key: header_match, value: limited }]
                token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: 3600s }
"#;

/// What the operator says in place of Envoy, where a request has the header.
const MAINTENANCE: &str = r#"          request_timeout: 0.5s
          local_reply_config:
            mappers:
            - filter: { header_filter: { header: { name: x-maintenance, present_match: true } } }
              body_format_override:
                json_format: { status: error, errorType: unavailable, error: "maintenance until 12:00" }
"#;

#[test]
fn every_fault_on_the_way_is_an_error_object() {
    for allow in [true, false] {
        // A client that stalls in the middle of a form meets the one or the other.
        for (old, new) in [
            ("request_timeout: 30s", "request_timeout: 0.3s"),
            ("stream_idle_timeout: 150s", "stream_idle_timeout: 0.3s"),
        ] {
            let setup = Setup::shipped(upstream()).stop_iteration(allow).replace(old, new);
            let envoy = setup.start(&format!("envoy-slow-{allow}-{}", &old[..4]));
            for path in ["/api/v1/query", "/api/v1/labels", "/api/v1/series"] {
                let form = Request { body: Body::Stalled(b"query=u".to_vec()), ..Request::post(path, "") };
                for answer in ask(&envoy, &form) {
                    let told = answer.json()["error"].as_str().unwrap().to_owned();
                    assert_eq!(answer.status, 408, "{path}: {told}");
                    assert!(told.starts_with("the proxy answered 408 Request Timeout: "), "{told}");
                    assert!(told.ends_with(" timeout"), "Envoy's own words: {told}");
                }
            }
            envoy.assert_healthy();
        }
        let name = format!("envoy-faults-{allow}");
        let nobody = process::free_port();
        let envoy = Setup::shipped(upstream())
            .stop_iteration(allow)
            .second_upstream("x-nobody", nobody, "http")
            .replace("timeout: 130s", "timeout: 0.4s")
            .replace("          request_timeout: 30s\n", MAINTENANCE)
            .replace(
                "          - name: envoy.filters.http.router\n",
                &format!("{AFTER}          - name: envoy.filters.http.router\n"),
            )
            .start(&name);
        let get = |path: &str, name: &str, value: &str| Request::get(path).header(name, value);
        for path in ["/api/v1/query?query=up", "/api/v1/rules", "/federate?match[]=up", "/api/v1/labels"] {
            for (what, status) in [
                (("x-nobody", "1"), 503),
                (("x-answer", "never"), 504),
                (("x-fault", "1"), 418),
                (("x-denied", "1"), 403),
                (("x-answer", "gateway"), 503),
                (("x-answer", "empty"), 503),
                (("x-answer", "short"), 500),
                (("x-answer", "cut"), 500),
                (("x-answer", "starting"), 503),
                (("x-answer", "thanos"), 404),
                (("x-answer", "nothing"), 502),
            ] {
                for answer in ask(&envoy, &get(path, what.0, what.1)) {
                    assert_eq!(answer.status, status, "{path} {what:?}: {}", answer.text());
                    assert!(
                        answer.json()["error"].as_str().unwrap().contains(&status.to_string()),
                        "{}",
                        answer.text()
                    );
                }
            }
        }
        // What Envoy itself says is told, but for what names the upstream, and so is what the operator says in its place. What an upstream
        // says in the same words is not.
        for path in ["/api/v1/query?query=up", "/api/v1/rules"] {
            for (name, value, told) in [
                (
                    "x-nobody",
                    "1",
                    "the proxy answered 503 Service Unavailable: upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
                ),
                ("x-answer", "never", "the proxy answered 504 Gateway Timeout: upstream request timeout"),
                ("x-fault", "1", "the proxy answered 418: fault filter abort"),
                ("x-denied", "1", "the proxy answered 403 Forbidden: RBAC: access denied"),
                (
                    "x-answer",
                    "maintenance",
                    "a message of the upstream is withheld: it may name what is not this tenant's",
                ),
            ] {
                for answer in ask(&envoy, &get(path, name, value)) {
                    assert_eq!(answer.json()["error"], told, "{path}");
                }
                let operators = ask(&envoy, &get(path, name, value).header("x-maintenance", "1"));
                for answer in operators {
                    assert_eq!(
                        answer.json()["error"],
                        if value == "maintenance" { told } else { "maintenance until 12:00" },
                        "{path}"
                    );
                }
            }
        }
        let limited = get("/api/v1/query?query=up", "x-limited", "1");
        assert!((0..2).flat_map(|_| ask(&envoy, &limited)).any(|answer| answer.status == 429));
        // An answer that can't be read is an error too, whatever its status was.
        for answer in ask(&envoy, &get("/api/v1/query?query=up", "x-answer", "broken")) {
            assert_eq!((answer.status, &answer.json()["status"]), (200, &"error".into()), "{}", answer.text());
        }
        // Envoy's own answers to requests that are too large or too slow.
        let large = Request::post("/api/v1/query", &format!("query={}", "a".repeat(3 << 20)));
        for answer in ask(&envoy, &large) {
            assert_eq!(answer.status, 413, "{}", answer.text());
        }
        envoy.assert_healthy();
    }
}
