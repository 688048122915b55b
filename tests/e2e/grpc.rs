//! Thanos's gRPC services behind the filter: Query, Receive and Sidecar as they are. The leak without the filter comes first.
//!
//! - `targets`: the targets of a Prometheus, by its sidecar
//! - `clients`: Query and Ruler as clients, and grpc-web
//! - `streams`: long answers

mod clients;
mod streams;
mod targets;

use crate::support;
use crate::support::data::{self, NOBODY, TENANTS};
use crate::support::envoy::Envoy;
use crate::support::grpc::{self, Answer, call, request, send};
use crate::support::http::Request;
use crate::support::process::free_port;
use crate::support::stores::{Grpc, Stores};
use promql_tenancy_filter::wire::grpc::write_frame;
use promql_tenancy_filter::wire::labels::{Label, LabelSet, Matcher, Operator};
use promql_tenancy_filter::wire::protobuf::{Message, read, repeated, write_bytes};
use promql_tenancy_filter::wire::thanos::*;
use serde_json::json;
use std::sync::LazyLock;

const WITHHELD: &str = "a message of the upstream is withheld: it may name what is not this tenant's";

struct Thanos {
    stores: &'static Stores,
    /// In front of the gRPC ports of Query, Receive and sidecar.
    query: Envoy,
    receive: Envoy,
    sidecar: Envoy,
}

fn thanos() -> &'static Thanos {
    static THANOS: LazyLock<Thanos> = LazyLock::new(|| {
        let stores = support::stores();
        let Grpc { query, receive, sidecar } = stores.grpc();
        Thanos {
            query: grpc::setup(query).start("envoy-grpc-query"),
            receive: grpc::setup(receive).start("envoy-grpc-receive"),
            sidecar: grpc::setup(sidecar).stop_iteration(false).start("envoy-grpc-sidecar"),
            stores,
        }
    });
    &THANOS
}

fn equal<'m>(name: &'m str, value: &'m str) -> Matcher<'m> {
    Matcher { operator: Operator::Equal, name: name.as_bytes(), value: value.as_bytes() }
}

fn query(text: &str) -> QueryRequest<'_> {
    QueryRequest {
        query: text.as_bytes(),
        time_seconds: data::end(),
        enable_partial_response: true,
        ..Default::default()
    }
}

fn query_range(text: &str) -> QueryRangeRequest<'_> {
    QueryRangeRequest {
        query: text.as_bytes(),
        start_time_seconds: data::start(),
        end_time_seconds: data::end(),
        interval_seconds: 60,
        enable_partial_response: true,
        ..Default::default()
    }
}

fn series<'m>(matchers: &[Matcher<'m>]) -> SeriesRequest<'m> {
    SeriesRequest {
        matchers: matchers.to_vec(),
        min_time: data::start() * 1000,
        max_time: data::end() * 1000,
        ..Default::default()
    }
}

fn label_names<'m>(matchers: &[Matcher<'m>]) -> LabelNamesRequest<'m> {
    LabelNamesRequest {
        matchers: matchers.to_vec(),
        start: data::start() * 1000,
        end: data::end() * 1000,
        ..Default::default()
    }
}

fn label_values<'m>(label: &'m str, matchers: &[Matcher<'m>]) -> LabelValuesRequest<'m> {
    LabelValuesRequest {
        label: label.as_bytes(),
        matchers: matchers.to_vec(),
        start: data::start() * 1000,
        end: data::end() * 1000,
        ..Default::default()
    }
}

fn exemplars(text: &str) -> ExemplarsRequest<'_> {
    ExemplarsRequest {
        query: text.as_bytes(),
        start: data::start() * 1000,
        end: data::end() * 1000,
        ..Default::default()
    }
}

/// What has no warning in it. `field`: the number of the warnings.
fn without_warnings(answer: &Answer, field: u64) -> Vec<Vec<u8>> {
    let mut messages = answer.sorted();
    messages.retain(|message| repeated(message, field).next().is_none());
    messages
}

#[track_caller]
fn assert_only_of(tenant: &str, answer: &Answer, what: &str) {
    let text = answer.text();
    for other in TENANTS.into_iter().chain([NOBODY]).filter(|other| *other != tenant) {
        for mark in data::marks(other) {
            assert!(!text.contains(&mark), "{tenant} sees {mark:?} by {what}:\n{text}");
        }
    }
    // All stores listen there.
    assert!(!text.contains("127.0.0.1"), "{what}: {text}");
}

const QUERY: &str = "/thanos.Query/Query";
const QUERY_RANGE: &str = "/thanos.Query/QueryRange";
const SERIES: &str = "/thanos.Store/Series";
const LABEL_NAMES: &str = "/thanos.Store/LabelNames";
const LABEL_VALUES: &str = "/thanos.Store/LabelValues";
const EXEMPLARS: &str = "/thanos.Exemplars/Exemplars";
const RULES: &str = "/thanos.Rules/Rules";
const TARGETS: &str = "/thanos.Targets/Targets";
const STATISTICS: &str = "/thanos.Status/TSDBStatistics";
const INFO: &str = "/thanos.info.Info/Info";

#[test]
fn without_the_filter_thanos_answers_for_every_tenant() {
    let port = thanos().stores.grpc().query;
    let up = [equal("__name__", "up")];
    let asked: [(&str, &dyn Message<'_>); 9] = [
        (STATISTICS, &InfoRequest {}),
        (QUERY, &query("up")),
        (QUERY_RANGE, &query_range("up")),
        (SERIES, &series(&up)),
        (LABEL_VALUES, &label_values("owner", &up)),
        (EXEMPLARS, &exemplars("http_requests_total")),
        (RULES, &RulesRequest::default()),
        (INFO, &InfoRequest {}),
        (LABEL_NAMES, &label_names(&[])),
    ];
    for (method, message) in asked {
        let answer = call(port, Some("team-a"), method, message);
        assert_eq!(answer.code, 0, "{method}: {}", answer.text());
        let text = answer.text();
        assert!(text.contains("team-b") || text.contains("team_b"), "{method} is scoped: {text}");
    }
}

#[test]
fn answers_equal_those_to_requests_that_are_scoped_by_hand() {
    let thanos = thanos();
    let direct = thanos.stores.grpc().query;
    let (up, own) = ([equal("__name__", "up")], [equal("tenant_id", "team-a"), equal("__name__", "up")]);
    let names = [equal("tenant_id", "team-a")];
    let asked: [(&str, &dyn Message<'_>, &dyn Message<'_>, u64); 7] = [
        (
            QUERY,
            &query("sum by (owner, instance) (up)"),
            &query("sum by (owner, instance) (up{tenant_id=\"team-a\"})"),
            1,
        ),
        (
            QUERY_RANGE,
            &query_range("topk(scalar(count(up)), up)"),
            &query_range("topk(scalar(count(up{tenant_id=\"team-a\"})), up{tenant_id=\"team-a\"})"),
            1,
        ),
        (SERIES, &series(&up), &series(&own), 2),
        (SERIES, &series(&[equal("tenant_id", "team-b"), up[0].clone()]), &series(&own), 2),
        (LABEL_NAMES, &label_names(&[]), &label_names(&names), 9),
        (LABEL_VALUES, &label_values("owner", &[]), &label_values("owner", &names), 9),
        (LABEL_VALUES, &label_values("tenant_id", &[]), &label_values("tenant_id", &names), 9),
    ];
    for (method, message, by_hand, warnings) in asked {
        let expected = call(direct, None, method, by_hand);
        let answer = call(thanos.query.port(), Some("team-a"), method, message);
        assert_eq!((answer.code, expected.code), (0, 0), "{method}: {}\n{}", answer.text(), expected.text());
        assert_only_of("team-a", &answer, method);
        if warnings == 9 {
            let [answer, expected] =
                [&answer, &expected].map(|answer| read::<NamesResponse<'_>>(&answer.messages[0]).unwrap());
            assert!(!answer.names.is_empty());
            assert_eq!(answer.names, expected.names, "{method}");
            assert!(answer.warnings.iter().all(|warning| *warning == WITHHELD.as_bytes()));
            continue;
        }
        let (mut own, mut expected) = (without_warnings(&answer, warnings), without_warnings(&expected, warnings));
        assert!(!own.is_empty(), "{method}");
        own.sort();
        expected.sort();
        assert_eq!(own, expected, "{method}");
        // The store that fails is told of, without its name.
        assert!(answer.text().contains(WITHHELD), "{method}: {}", answer.text());
    }
    thanos.query.assert_healthy();
}

#[test]
fn answers_are_filtered_where_requests_can_not_be_scoped() {
    let thanos = thanos();
    let asked: [(&str, &dyn Message<'_>, &str); 3] = [
        (EXEMPLARS, &exemplars("http_requests_total"), "trace of team-a"),
        (RULES, &RulesRequest::default(), "AlertOfteam_a"),
        (INFO, &InfoRequest {}, "team-a"),
    ];
    for (method, message, own) in asked {
        let answer = call(thanos.query.port(), Some("team-a"), method, message);
        assert_eq!(answer.code, 0, "{method}: {}", answer.text());
        assert_only_of("team-a", &answer, method);
        assert!(answer.text().contains(own), "{method}: {}", answer.text());
    }
    let targets = call(thanos.query.port(), Some("team-a"), TARGETS, &TargetsRequest::default());
    assert_eq!(targets.code, 0, "{}", targets.text());
    assert_only_of("team-a", &targets, TARGETS);
    // By the sidecar, where the rules are, and Envoy without `allow_on_headers_stop_iteration`.
    let rules = call(thanos.sidecar.port(), Some("team-b"), RULES, &RulesRequest::default());
    assert_only_of("team-b", &rules, RULES);
    assert!(rules.text().contains("SecondOfteam_b"), "{}", rules.text());
    thanos.sidecar.assert_healthy();
}

#[test]
fn info_names_the_tenant_and_no_service_that_is_refused() {
    let thanos = thanos();
    for (envoy, direct) in
        [(&thanos.receive, thanos.stores.grpc().receive), (&thanos.sidecar, thanos.stores.grpc().sidecar)]
    {
        let told = call(direct, None, INFO, &InfoRequest {});
        let answer = call(envoy.port(), Some("team-a"), INFO, &InfoRequest {});
        let (told, info): (InfoResponse<'_>, InfoResponse<'_>) =
            (read(&told.messages[0]).unwrap(), read(&answer.messages[0]).unwrap());
        assert_eq!(info.component_type, told.component_type);
        assert!(info.store.is_some() && info.metric_metadata.is_none() && info.status.is_none());
        let tenant = |set: &LabelSet<'_>| set.labels.contains(&Label { name: b"tenant_id", value: b"team-a" });
        assert!(!info.label_sets.is_empty() && info.label_sets.iter().all(tenant), "{info:?}");
        assert!(info.store.unwrap().tsdb_infos.iter().all(|info| info.labels.as_ref().is_some_and(tenant)));
    }
}

#[test]
fn receive_and_sidecar_are_stores_of_one_tenant() {
    let thanos = thanos();
    let up = [equal("__name__", "up")];
    let answer = call(thanos.receive.port(), Some("team-b"), SERIES, &series(&up));
    assert_eq!((answer.code, answer.messages.len()), (0, 3), "{}", answer.text());
    assert_only_of("team-b", &answer, SERIES);
    let values = call(thanos.receive.port(), Some("team-b"), LABEL_VALUES, &label_values("owner", &[]));
    assert_eq!(read::<NamesResponse<'_>>(&values.messages[0]).unwrap().names, [b"data of team-b"]);
    // A tenant that has nothing.
    let nothing = call(thanos.receive.port(), Some("team-c"), SERIES, &series(&up));
    assert_eq!((nothing.code, nothing.messages.len()), (0, 0), "{}", nothing.text());
    thanos.receive.assert_healthy();
}

#[test]
fn refusals_are_grpc_with_the_code_of_the_contract() {
    let port = thanos().query.port();
    let sent = |method: &str, message: &dyn Message<'_>| call(port, Some("team-a"), method, message);
    let raw = |request: Request| send(port, &request.tenant("team-a"));
    let good = grpc::body(&query("up"));
    for (answer, code, message) in [
        (call(port, None, QUERY, &query("up")), 16, "no tenant"),
        (call(port, Some("a%20b"), QUERY, &query("up")), 3, "tenant"),
        (sent(QUERY, &query("sum(")), 3, "parse error"),
        (sent(QUERY, &QueryRequest { replica_labels: vec![b"tenant_id"], ..query("up") }), 7, "merged away"),
        (sent("/thanos.Metadata/MetricMetadata", &InfoRequest {}), 7, "scoped to a tenant"),
        (sent(STATISTICS, &InfoRequest {}), 7, "scoped to a tenant"),
        (sent("/thanos.WriteableStore/RemoteWrite", &InfoRequest {}), 7, "internal"),
        (sent("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &InfoRequest {}), 7, "operator"),
        (sent("/thanos.Query/Other", &InfoRequest {}), 12, "unknown path"),
        (sent("/api/v1/query", &InfoRequest {}), 12, "content type"),
        (raw(request(QUERY, good.clone()).header("grpc-encoding", "gzip")), 12, "compression"),
        (raw(request(QUERY, [&good[..], &good].concat())), 3, "more than one message"),
        (raw(request(QUERY, [&good[..], b"x"].concat())), 3, "bytes after"),
        (raw(request(QUERY, good[..good.len() - 1].to_vec())), 3, "ends within"),
        (raw(request(QUERY, Vec::new())), 3, "no message"),
        (raw(request(QUERY, b"\0\0\0\0\x02\x08\x05".to_vec())), 3, "wrong type"),
    ] {
        assert_eq!(answer.code, code, "{}", answer.text());
        assert!(answer.messages.is_empty() && answer.message.contains(message), "{}", answer.text());
        assert!(!answer.message.contains('{'), "plain text: {}", answer.message);
    }
    // A gRPC method that is called without gRPC is refused as any other request.
    let plain = Request::post(QUERY, "query=up").tenant("team-a").send(port);
    assert_eq!((plain.status, &plain.json()["errorType"]), (415, &json!("bad_data")));
    let health = call(port, None, "/grpc.health.v1.Health/Check", &HealthRequest::default());
    assert_eq!((health.code, &health.messages[..]), (0, &[b"\x08\x01".to_vec()][..]), "{}", health.text());
    thanos().query.assert_healthy();
}

/// Fields that are given again, nested lengths that lie, messages that never end or are cut: refused, or read as every reader of protobuf does.
#[test]
fn hostile_messages_are_refused_or_read_in_one_way() {
    let port = thanos().query.port();
    let framed = |message: &[u8]| {
        let mut frame = Vec::new();
        write_frame(message, &mut frame).unwrap();
        frame
    };
    let sent = |message: &[u8]| send(port, &request(QUERY, framed(message)).tenant("team-a"));
    let text = |text: &str| {
        let mut field = Vec::new();
        write_bytes(1, text.as_bytes(), &mut field);
        field
    };
    let mut whole = Vec::new();
    query("count by (owner) (up)").write(&mut whole);
    // The last of several queries counts, whatever stood before it.
    let repeated = sent(&[&text("sum("), &whole[..], &text("count by (owner) (up)")].concat());
    assert_eq!(repeated.code, 0, "{}", repeated.text());
    assert_only_of("team-a", &repeated, "a query that is given three times");
    assert!(repeated.text().contains("data of team-a"));
    let last = sent(&[&whole[..], &text("sum(")].concat());
    assert!(last.code == 3 && last.message.contains("parse error"), "{}", last.text());
    // Lengths within lengths, each beyond what it is in.
    let mut nested = vec![0x0a, 0xff, 0xff, 0xff, 0x7f];
    (0..10_000).for_each(|_| nested.extend([0x32, 0xff, 0xff, 0x03]));
    let stores = [&whole[..], &[0x32, 0x02, 0x0a, 0x7f]].concat();
    for (message, code) in [
        (&nested[..], 3),
        (&stores, 7),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 3),
        (b"\x0d\0\0\0\0", 3),
        (b"\x0b", 3),
    ] {
        let answer = sent(message);
        assert_eq!(answer.code, code, "{}", answer.text());
        assert!(answer.messages.is_empty());
    }
    // A frame that promises more than it has, and a connection that is cut within it: nothing is forwarded, and others are served.
    let mut cut = framed(&whole);
    cut.truncate(cut.len() / 2);
    let mut connection = crate::support::http::connect(port).unwrap();
    let head = format!(
        "POST {QUERY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc\r\nte: trailers\r\nthanos-tenant: team-a\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    std::io::Write::write_all(
        &mut connection,
        &[head.as_bytes(), format!("{:x}\r\n", cut.len()).as_bytes(), &cut, b"\r\n"].concat(),
    )
    .unwrap();
    let served = sent(&whole);
    assert_eq!(served.code, 0, "{}", served.text());
    drop(connection);
    thanos().query.assert_healthy();
}

/// Envoy's own bound, where it is lower, is Envoy's to tell.
#[test]
fn a_long_message_is_refused_by_the_filter_s_own_bound() {
    let upstream = thanos().stores.grpc().query;
    let wide = grpc::setup(upstream)
        .replace("per_connection_buffer_limit_bytes: 2097152", "per_connection_buffer_limit_bytes: 16777216")
        .replace("initial_stream_window_size: 2097152", "initial_stream_window_size: 16777216")
        .replace("initial_connection_window_size: 2097152", "initial_connection_window_size: 16777216")
        .start("envoy-grpc-wide");
    for (port, code) in [(wide.port(), 8), (thanos().query.port(), 2)] {
        let answer = send(port, &request(QUERY, vec![0; 16 << 20]).tenant("team-a"));
        assert_eq!(answer.code, code, "{}", answer.text());
        assert!(answer.messages.is_empty());
    }
    wide.assert_healthy();
    thanos().query.assert_healthy();
}

#[test]
fn a_compressed_request_is_read_and_answered_uncompressed() {
    let message = {
        let mut out = Vec::new();
        query("count(up)").write(&mut out);
        out
    };
    let sum = crc(&message);
    let mut stream = b"\xff\x06\0\0sNaPpY\x01".to_vec();
    stream.extend(&(message.len() as u32 + 4).to_le_bytes()[..3]);
    stream.extend(sum.to_le_bytes());
    stream.extend(&message);
    let mut body = vec![1];
    body.extend((stream.len() as u32).to_be_bytes());
    body.extend(stream);
    let answer = send(thanos().query.port(), &request(QUERY, body).header("grpc-encoding", "snappy").tenant("team-a"));
    let expected = call(thanos().query.port(), Some("team-a"), QUERY, &query("count(up)"));
    assert_eq!((answer.code, without_warnings(&answer, 1)), (0, without_warnings(&expected, 1)), "{}", answer.text());
}

/// The checksum of the framing format, as snappy masks it.
fn crc(bytes: &[u8]) -> u32 {
    promql_tenancy_filter::wire::crc32c::masked(bytes)
}

#[test]
fn errors_of_the_upstream_name_nobody() {
    let thanos = thanos();
    let strict = || QueryRequest { enable_partial_response: false, ..query("up") };
    let direct = call(thanos.stores.grpc().query, None, QUERY, &strict());
    assert!(direct.code != 0 && direct.message.contains("127.0.0.1"), "{}", direct.text());
    let answer = call(thanos.query.port(), Some("team-a"), QUERY, &strict());
    assert_eq!((answer.code, answer.message.as_str()), (direct.code, WITHHELD), "{}", answer.text());
    assert_only_of("team-a", &answer, QUERY);
    // What the engine says of the query passes.
    let engine = call(thanos.query.port(), Some("team-a"), QUERY, &query("up + on (owner) group_left () up"));
    assert!(!engine.text().contains("127.0.0.1"), "{}", engine.text());
}

#[test]
fn an_upstream_that_is_not_there_or_speaks_no_grpc_is_an_error_of_grpc() {
    let nobody = grpc::setup(free_port()).start("envoy-grpc-nobody");
    let answer = call(nobody.port(), Some("team-a"), QUERY, &query("up"));
    assert_eq!(answer.code, 14, "{}", answer.text());
    assert!(answer.message.starts_with("the upstream answered UNAVAILABLE: "), "{}", answer.message);
}

/// Stats have the methods' handlers.
#[test]
fn calls_are_counted_by_their_handler() {
    let thanos = thanos();
    let envoy = grpc::setup(thanos.stores.grpc().query).flushes_stats_soon().start("envoy-grpc-stats");
    call(envoy.port(), Some("team-a"), QUERY, &query("up"));
    call(envoy.port(), Some("team-a"), QUERY, &query("sum("));
    envoy.wait_for_metrics("tenancy", |metrics| {
        let lines = metrics.lines("tenancy_requests_total");
        lines.iter().any(|line| line.contains("grpc_query") && line.contains("team-a"))
    });
}

/// What the fields of Thanos's messages can say is written into them: Query ends a query at the tenant's time, and a store cuts a list.
#[test]
fn thanos_holds_calls_to_the_tenant_s_limits() {
    let Grpc { query: of_query, receive, .. } = thanos().stores.grpc();
    let limits = json!({"overrides": {
        "team-a": {"query_timeout": "1s", "max_returned_items": 2}, "team-b": {"max_response_size_bytes": 1_500}
    }});
    let [querier, store] = [("query", of_query), ("receive", receive)]
        .map(|(name, port)| grpc::setup(port).plugin(limits.clone()).start(&format!("envoy-grpc-limits-{name}")));
    // An hour is what the client allows, and about what it takes.
    let long = "sum_over_time(count_over_time({__name__=~\".+\"}[1h])[30d:1s])";
    let instant = QueryRequest { timeout_seconds: 3_600, ..query(long) };
    let range = QueryRangeRequest { timeout_seconds: 3_600, ..query_range(long) };
    // Thanos 0.42.5 says of an instant query in a warning, with the status OK, that it took too long.
    for (method, message, code) in [(QUERY, &instant as &dyn Message<'_>, 0), (QUERY_RANGE, &range, 10)] {
        let answer = call(querier.port(), Some("team-a"), method, message);
        let text = answer.text();
        assert!(answer.code == code && text.contains("query timed out in "), "{method}: {text}");
        assert!(text.contains(" (your limit query_timeout is 1s)"), "{method}: {text}");
    }
    let all = [Matcher { operator: Operator::Matches, name: b"__name__", value: b".+" }];
    let count = |port: u16, limit: i64| {
        let answer = call(port, Some("team-a"), SERIES, &SeriesRequest { limit, ..series(&all) });
        answer.messages.iter().filter(|message| repeated(message, 1).next().is_some()).count()
    };
    assert!(count(thanos().receive.port(), 0) > 2);
    for limit in [0, 1, 2, 1_000] {
        assert_eq!(count(store.port(), limit), if limit == 1 { 1 } else { 2 }, "{limit}");
    }
    // An answer beyond the limit ends with a status that says so.
    let cut = call(querier.port(), Some("team-b"), QUERY_RANGE, &query_range("{__name__=~\".+\"}"));
    assert_eq!(cut.code, 8, "{}", cut.text());
    assert!(cut.message.contains("max_response_size_bytes"), "{}", cut.message);
    let whole = call(querier.port(), Some("team-b"), QUERY, &query("count(up)"));
    assert_eq!(whole.code, 0, "{}", whole.text());
    for envoy in [&querier, &store] {
        envoy.assert_healthy();
    }
}
