//! Limits and time-outs that are flags of Prometheus and Thanos: each is provoked on the real program, and what it says reaches the client, or is
//! withheld for a reason that stands in `WANTED`.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Body, Request, Response, form};
use crate::support::process::{self, Process, free_port};
use crate::support::{data, remote_write, stores, upstreams};
use promql_tenancy_filter::wire::labels::{Matcher, Operator};
use promql_tenancy_filter::wire::protobuf::Message;
use promql_tenancy_filter::wire::remote_read::{Query, ReadRequest};
use serde_json::json;
use std::sync::LazyLock;

/// What the upstream says that stays withheld, and why.
const WANTED: &[(&str, &str)] = &[
    ("exceeded series limit: limit ", "it comes with the store's address and label sets"),
    ("exceeded chunks limit: limit ", "it comes with the store's address and label sets"),
    ("failed to receive any data in ", "it names the store's address"),
];
const WITHHELD: &str = "withheld";

/// More steps than the engines take in the time that they have, of few samples each.
const SLOW: [(&str, &str); 4] =
    [("query", "sum_over_time(vector(1)[6h:1s])"), ("start", "1"), ("end", "10000"), ("step", "1")];

fn path(path: &str, pairs: &[(&str, &str)]) -> String {
    format!("{path}?{}", form(pairs))
}

struct Upstream {
    envoy: Envoy,
    port: u16,
    _processes: Vec<Process>,
}

impl Upstream {
    /// As team-a, over both protocols; and as the upstream itself answers what the filter makes of the query.
    #[track_caller]
    fn says(&self, request: &Request, told: &str) {
        let told = |answer: &Response| answer.text().replace("\\\"", "\"").contains(told);
        let request = request.clone().tenant("team-a");
        for send in [Request::send, |request: &Request, port| request.send_h2(port).unwrap()] {
            // On a busy machine another limit may be met first: a time-out.
            let answer = (0..5).map(|_| send(&request, self.envoy.port())).find(told);
            let answer =
                answer.unwrap_or_else(|| panic!("{}: not told, {}", request.target, request.send(self.port).text()));
            assert!(answer.status >= 400 && answer.json()["status"] == "error", "{}", answer.text());
            assert!(!answer.text().contains(WITHHELD), "{}", answer.text());
        }
    }

    /// The upstream itself says this, with a store's address, and the client is not told.
    #[track_caller]
    fn hides(&self, request: &Request, by_hand: &Request, said: &str) {
        assert!(WANTED.iter().any(|(text, _)| said.starts_with(text)), "{said} is not wanted");
        let answer = by_hand.send(self.port);
        assert!(answer.text().contains(said), "{}: {}", by_hand.target, answer.text());
        for send in [Request::send, |request: &Request, port| request.send_h2(port).unwrap()] {
            let answer = send(&request.clone().tenant("team-a"), self.envoy.port());
            let text = answer.text();
            assert!(text.contains(WITHHELD) && !text.contains(said) && !text.contains("127.0.0.1"), "{text}");
            assert!(answer.status >= 400 || text.contains("the answer may be incomplete"), "{text}");
        }
    }
}

/// With the data of both tenants.
fn prometheus() -> &'static Upstream {
    static PROMETHEUS: LazyLock<Upstream> = LazyLock::new(|| {
        let limits = "global: { query_max_series: 3, query_max_samples_read: 100, query_max_duration: 300ms }\n";
        let arguments = [
            "--enable-feature=query-cost",
            "--query.max-samples=200000",
            "--query.max-concurrency=1",
            "--web.search.max-limit=5",
            "--storage.remote.read-sample-limit=1",
            "--web.enable-admin-api",
        ];
        let (process, port) = upstreams::prometheus_with("prometheus-flags", limits, &arguments);
        for tenant in data::TENANTS {
            remote_write::write(port, "/api/v1/write", None, &data::labelled(tenant));
        }
        let setup = Setup::shipped(port).plugin(json!({"enable_remote_read": true}));
        Upstream { envoy: setup.start("envoy-flags"), port, _processes: vec![process] }
    });
    &PROMETHEUS
}

#[test]
fn what_prometheus_says_of_its_limits_is_told() {
    let upstream = prometheus();
    let time = data::end().to_string();
    let query = |text: &str, more: &[(&str, &str)]| {
        Request::get(&path("/api/v1/query", &[&[("query", text), ("time", &time)], more].concat()))
    };
    for (request, told) in [
        (query("http_requests_total", &[]), "query would load too many series into memory in "),
        (query("count_over_time(up[30m])", &[]), "query would read too many samples in "),
        (query("vector(1)[10d:1s]", &[]), "query processing would load too many samples into memory in "),
        (query("up", &[("max_series", "4")]), "requested max_series of 4 exceeds the server limit of 3"),
        (
            query("up", &[("max_samples_read", "101")]),
            "requested max_samples_read of 101 exceeds the server limit of 100",
        ),
        (
            query("up", &[("max_query_duration", "1h")]),
            "requested max_query_duration of 1h0m0s exceeds the server limit of 300ms",
        ),
        (query("up", &[("max_query_duration", "-1")]), "error parsing max_query_duration: "),
        (Request::get(&path("/api/v1/query_range", &SLOW)), "query timed out in "),
        (
            Request::get(&path("/api/v1/query_range", &[&SLOW[..], &[("timeout", "20ms")]].concat())),
            "query timed out in ",
        ),
        (
            Request::get(&path("/api/v1/query_range", &[&SLOW[..], &[("max_query_duration", "20ms")]].concat())),
            "query timed out in ",
        ),
        (
            Request::get("/api/v1/search/metric_names?limit=100"),
            "limit 100 exceeds the configured maximum (5, see --web.search.max-limit)",
        ),
    ] {
        upstream.says(&request, told);
    }
    // More at once than run at once: those that wait have the same time.
    let slow = Request::get(&path("/api/v1/query_range", &SLOW)).tenant("team-a");
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..3).map(|_| scope.spawn(|| slow.send(upstream.envoy.port()))).collect();
        for answer in running.into_iter().map(|running| running.join().unwrap()) {
            assert!(answer.text().contains("query timed out in "), "{}", answer.text());
        }
    });
    // Of federation and remote read, errors are plain text.
    upstream.says(&Request::get("/federate?match[]=up%7Binstance%3D~%22(%22%7D"), "parse error: error parsing regexp");
    // Prometheus calls this text compressed, which it is not (storage/remote/read_handler.go in 3.16), so that the status's sentence stands for it.
    upstream.says(&read(), "the upstream answered 400 Bad Request: ");
    upstream.envoy.assert_healthy();
}

fn read() -> Request {
    let matchers = vec![Matcher { operator: Operator::Equal, name: b"__name__", value: b"up" }];
    let (start_timestamp_ms, end_timestamp_ms) = (data::start() * 1_000, data::end() * 1_000);
    let queries = vec![Query { start_timestamp_ms, end_timestamp_ms, matchers, hints: None }];
    let mut message = Vec::new();
    ReadRequest { queries, accepted_response_types: vec![0] }.write(&mut message);
    let request = Request::new("POST", "/api/v1/read")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-read-version", "0.1.0");
    Request { body: Body::Sized(snap::raw::Encoder::new().compress_vec(&message).unwrap()), ..request }
}

/// A bucket with one block: what the Prometheus has in memory.
fn bucket() -> String {
    let snapshot = Request::post("/api/v1/admin/tsdb/snapshot", "").send(prometheus().port).json();
    let name = snapshot["data"]["name"].as_str().unwrap_or_else(|| panic!("{snapshot}"));
    let folder = process::folder().join("prometheus-flags/snapshots").join(name);
    let blocks = || std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    for meta in blocks().map(|block| block.join("meta.json")) {
        let mut text: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&meta).unwrap()).unwrap();
        text["thanos"] =
            json!({"labels": {"cluster": "of team-b"}, "downsample": {"resolution": 0}, "source": "sidecar"});
        std::fs::write(&meta, text.to_string()).unwrap();
    }
    assert!(blocks().count() > 0, "{snapshot}");
    format!("type: FILESYSTEM\nconfig: {{ directory: {} }}\n", folder.display())
}

/// A Query with limits, and a Query Frontend before it for requests with the header `x-frontend`. Its store is a Store Gateway with limits: Receive and
/// sidecar don't count what they send in batches, which is all that a Query of Thanos 0.42.5 asks for (pkg/store/limiter.go and batchable.go).
struct Thanos {
    upstream: Upstream,
    store: Process,
}

fn thanos() -> Thanos {
    let (store_http, store_grpc, query, query_grpc, frontend) =
        (free_port(), free_port(), free_port(), free_port(), free_port());
    let folder = process::folder().join("flags-store").display().to_string();
    let store = stores::thanos(
        "flags-store",
        "store",
        store_http,
        store_grpc,
        &[
            "--objstore.config",
            &bucket(),
            "--data-dir",
            &folder,
            "--store.limits.request-series=3",
            "--store.limits.request-samples=240",
            "--ignore-deletion-marks-delay=0s",
        ],
    );
    let query_process = stores::thanos(
        "flags-query",
        "query",
        query,
        query_grpc,
        &[
            &format!("--endpoint=127.0.0.1:{store_grpc}"),
            "--query.timeout=300ms",
            "--query.max-concurrent=1",
            "--query.max-concurrent-select=1",
            "--query.lookback-delta=30m",
            "--query.metadata.default-time-range=1h",
            "--store.response-timeout=200ms",
        ],
    );
    let mut command = std::process::Command::new(process::program("TENANCY_THANOS"));
    command
        .args(["query-frontend", "--log.level=warn", "--query-range.max-query-length=1h"])
        .args(["--query-range.max-query-parallelism=1", "--query-frontend.vertical-shards=2"])
        .arg(format!("--http-address=127.0.0.1:{frontend}"))
        .arg(format!("--query-frontend.downstream-url=http://127.0.0.1:{query}"));
    let frontend_process = Process::start("flags-frontend", command);
    query_process.wait_until(|| {
        let stores = Request::get("/api/v1/stores").try_send(query);
        stores.is_some_and(|stores| stores.text().contains("of team-b"))
    });
    frontend_process.wait_until(|| upstreams::answers(frontend));
    let setup =
        Setup::shipped(query).plugin(json!({"upstream": "thanos"})).second_upstream("x-frontend", frontend, "http");
    Thanos {
        upstream: Upstream {
            envoy: setup.start("envoy-flags-thanos"),
            port: query,
            _processes: vec![query_process, frontend_process],
        },
        store,
    }
}

#[test]
fn what_thanos_says_of_its_limits_is_told_or_withheld_for_a_reason() {
    let Thanos { upstream, store } = thanos();
    let [start, end] = [data::start(), data::end()].map(|time| time.to_string());
    let times = [("start", &*start), ("end", &*end)];
    let slow = |more: &[(&str, &str)]| Request::get(&path("/api/v1/query_range", &[&SLOW[..], more].concat()));
    upstream.says(&slow(&[]), "query timed out in ");
    upstream.says(&slow(&[("engine", "thanos")]), "context deadline exceeded");
    upstream.says(&slow(&[("engine", "thanos"), ("timeout", "20ms")]), "context deadline exceeded");

    // Its own texts, those that it does not escape, and those of the Query behind it.
    let at_frontend =
        |path_of: &str, pairs: &[(&str, &str)]| Request::get(&path(path_of, pairs)).header("x-frontend", "1");
    let ranged = |query: &str, more: &[(&str, &str)]| {
        at_frontend("/api/v1/query_range", &[&[("query", query), ("step", "60")], &times[..], more].concat())
    };
    let long = at_frontend("/api/v1/query_range", &SLOW);
    upstream.says(&long, "the query time range exceeds the limit (query length: 2h46m39s, limit: 1h0m0s)");
    upstream.says(&ranged("up", &[("dedup", "perhaps")]), "cannot parse parameter dedup");
    upstream.says(&ranged("up", &[("partial_response", "perhaps")]), "cannot parse parameter partial_response");
    upstream
        .says(&ranged("up", &[("max_source_resolution", "coarse")]), "cannot parse parameter max_source_resolution");
    upstream.says(&ranged("up", &[("max_source_resolution", "-1")]), "negative max_source_resolution is not accepted");
    upstream.says(&ranged("sum(\n  nope(up)\n)", &[]), "2:3: parse error: unknown function with name \"nope\"");
    upstream.says(
        &at_frontend("/api/v1/query", &[("query", "# x\nnope(up)")]),
        "2:1: parse error: unknown function with name \"nope\"",
    );
    upstream.says(&ranged("up", &[("engine", "steam")]), "' bad engine");

    // What the Store Gateway says comes with its address.
    let query = |text: &str, partial: &str| {
        Request::get(&path("/api/v1/query", &[("query", text), ("time", &end), ("partial_response", partial)]))
    };
    for (text, by_hand, said) in [
        (
            "count(http_requests_total)",
            r#"count(http_requests_total{tenant_id="team-a"})"#,
            "exceeded series limit: limit ",
        ),
        ("count(up)", r#"count(up{tenant_id="team-a"})"#, "exceeded chunks limit: limit "),
    ] {
        for partial in ["true", "false"] {
            upstream.hides(&query(text, partial), &query(by_hand, partial), said);
        }
    }
    // A store that does not answer.
    store.signal(libc::SIGSTOP);
    for partial in ["true", "false"] {
        let by_hand = query(r#"count(up{tenant_id="team-a"})"#, partial);
        upstream.hides(&query("count(up)", partial), &by_hand, "failed to receive any data in 200ms");
    }
    store.signal(libc::SIGCONT);
    upstream.envoy.assert_healthy();
}
