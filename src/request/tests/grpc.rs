//! gRPC requests: heads that are refused, and messages as they go upstream.

use super::*;
use crate::api::SERVICES;
use crate::rejection::Code;
use crate::wire::grpc::{self, Encoding};
use crate::wire::labels::{Matcher, Operator};
use crate::wire::protobuf::{Message, read, write_bytes};
use crate::wire::thanos::{
    ExemplarsRequest, HealthRequest, LabelNamesRequest, LabelValuesRequest, QueryRangeRequest, QueryRequest,
    RulesRequest, SeriesRequest,
};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const GRPC: &str = r#"{"upstream": "thanos", "enable_grpc": true, "default_tenant_id": ""}"#;

fn limited(limits: &str) -> Worker {
    config(&format!(r#"{{"upstream": "thanos", "enable_grpc": true, "limits": {limits}}}"#))
}

fn call(path: &str) -> Request {
    Request::new("POST", path).header("content-type", "application/grpc").header("te", "trailers").body("")
}

/// The body that goes upstream, or why none does.
fn send(call: &Request, body: &[u8], config: &Worker) -> Result<Result<Vec<u8>, Reply>, Rejection> {
    let forward = call.decide(config).map_err(|refused| refused.rejection)?;
    Ok(match forward.body.finish(body, Some(NOW), &config.memo)? {
        BodyDecision::Forward(finished) => Ok(finished.body.unwrap_or_else(|| body.to_vec())),
        BodyDecision::Reply(reply) => Err(reply),
        other @ (BodyDecision::Confirm(_) | BodyDecision::Spread(_)) => panic!("not forwarded: {other:?}"),
    })
}

/// The message that goes upstream for team-a.
fn sent(path: &str, message: &dyn Message<'_>, config: &Worker) -> Result<Vec<u8>, Rejection> {
    let body = send(&call(path).tenant("team-a"), &grpc::body(message).unwrap(), config)?;
    let body = body.unwrap_or_else(|reply| panic!("answered: {reply:?}"));
    Ok(grpc::message(&body, Encoding::Identity, usize::MAX).unwrap().into_owned())
}

fn equal<'m>(name: &'m str, value: &'m str) -> Matcher<'m> {
    Matcher { operator: Operator::Equal, name: name.as_bytes(), value: value.as_bytes() }
}

#[test]
fn without_the_key_no_grpc_method_is_known() {
    for json in ["{}", r#"{"upstream": "thanos"}"#] {
        for route in SERVICES {
            let path = match route.path {
                crate::api::Path::Exact(path) | crate::api::Path::Below(path) => path,
                crate::api::Path::Around(..) => continue,
            };
            assert_eq!(reason(&call(path).tenant("a"), &config(json)), "unknown_path", "{path}");
        }
    }
    let error = Config::parse(br#"{"enable_grpc": true}"#).unwrap_err();
    assert_eq!(error.path, "enable_grpc");
}

/// Series read as many samples as queries do.
#[test]
fn what_reads_samples_takes_a_lease() {
    let config = limited(r#"{"max_concurrent_queries": 3}"#);
    for (path, is_counted) in [
        ("/thanos.Query/Query", true),
        ("/thanos.Query/QueryRange", true),
        ("/thanos.Store/Series", true),
        ("/thanos.Store/LabelNames", false),
        ("/thanos.Rules/Rules", false),
    ] {
        let forward = call(path).tenant("a").decide(&config).map_err(|refused| refused.rejection).unwrap();
        assert_eq!(forward.concurrency == [("a".into(), 3)], is_counted, "{path}");
    }
}

#[test]
fn what_is_no_call_is_refused_with_its_code() {
    let config = config(GRPC);
    let query = || call("/thanos.Query/Query").tenant("a");
    let typed = |content_type| {
        Request::new("POST", "/thanos.Query/Query").header("content-type", content_type).tenant("a").body("")
    };
    for (request, reason, code) in [
        (call("/thanos.Query/Query"), "no_tenant", Code::Unauthenticated),
        (call("/thanos.Query/Other").tenant("a"), "unknown_path", Code::Unimplemented),
        (call("/thanos.Metadata/MetricMetadata").tenant("a"), "forbidden_path", Code::PermissionDenied),
        (call("/thanos.Status/TSDBStatistics").tenant("a"), "forbidden_path", Code::PermissionDenied),
        (call("/thanos.WriteableStore/RemoteWrite").tenant("a"), "forbidden_path", Code::PermissionDenied),
        (
            call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").tenant("a"),
            "forbidden_path",
            Code::PermissionDenied,
        ),
        (Request::new("POST", "/thanos.Query/Query").tenant("a").body(""), "content_type", Code::Unimplemented),
        (typed("application/json"), "content_type", Code::Unimplemented),
        (typed("application/grpc-web"), "content_type", Code::Unimplemented),
        (typed("application/grpc+json"), "content_type", Code::Unimplemented),
        (query().header("content-type", "application/grpc"), "content_type", Code::Unimplemented),
        (query().header("grpc-encoding", "gzip"), "content_encoding", Code::Unimplemented),
        (query().header("content-encoding", "gzip"), "content_encoding", Code::Unimplemented),
        (
            query().header("grpc-encoding", "snappy").header("grpc-encoding", "identity"),
            "bad_head",
            Code::InvalidArgument,
        ),
        (call("/thanos.Query/Query?query=up").tenant("a"), "bad_path", Code::InvalidArgument),
        (
            Request::new("GET", "/thanos.Query/Query").header("content-type", "application/grpc").tenant("a"),
            "method",
            Code::Unimplemented,
        ),
        (
            Request::new("POST", "/thanos.Query/Query").header("content-type", "application/grpc").tenant("a"),
            "bad_message",
            Code::InvalidArgument,
        ),
    ] {
        let rejection = request.send(&config).unwrap_err();
        assert_eq!((rejection.reason(), rejection.code()), (reason, code), "{request:?}");
    }
    let refused = query().header("grpc-encoding", "gzip").send(&config).unwrap_err();
    assert_eq!(refused.headers(), [("grpc-accept-encoding", "identity,snappy".to_owned())]);
}

#[test]
fn one_tenant_header_goes_on_and_nothing_asks_for_compression() {
    let request = call("/thanos.Query/Query")
        .tenant("team-a")
        .header("x-scope-orgid", "team-b")
        .header("content-length", "5")
        .header("grpc-encoding", "identity")
        .header("grpc-accept-encoding", "gzip")
        .header("accept-encoding", "gzip");
    let forward = request.decide(&config(GRPC)).unwrap();
    assert_eq!(forward.set, [("thanos-tenant".into(), "team-a".into())]);
    let removed: std::collections::BTreeSet<&str> = forward.remove.iter().map(|name| &**name).collect();
    assert_eq!(
        removed,
        ["accept-encoding", "content-length", "grpc-accept-encoding", "grpc-encoding", "x-scope-orgid"].into()
    );
    let proto = Request::new("POST", "/thanos.Query/Query")
        .header("content-type", "application/grpc+proto")
        .tenant("a")
        .body("");
    assert!(proto.decide(&config(GRPC)).unwrap().set.contains(&("content-type".into(), "application/grpc".into())));
}

#[test]
fn a_body_is_exactly_one_message() {
    let config = config(GRPC);
    let good = grpc::body(&QueryRequest { query: b"up", ..QueryRequest::default() }).unwrap();
    let plain = call("/thanos.Query/Query").tenant("a");
    for (body, problem) in [
        (Vec::new(), "no message"),
        (good[..good.len() - 1].to_vec(), "ends within"),
        ([&good[..], &good].concat(), "more than one"),
        ([&good[..], b"x"].concat(), "bytes after"),
        ([b"\x01", &good[1..]].concat(), "grpc-encoding does not say how"),
        ([b"\x07", &good[1..]].concat(), "neither 0 nor 1"),
        (b"\0\0\0\0\x02\x0a\x05".to_vec(), "ends within a field"),
        (b"\0\0\0\0\x02\x08\x05".to_vec(), "wrong type"),
    ] {
        let rejection = send(&plain, &body, &config).unwrap_err();
        assert_eq!((rejection.reason(), rejection.code()), ("bad_message", Code::InvalidArgument));
        assert!(rejection.message().contains(problem), "{}", rejection.message());
    }
    let mut long = Vec::new();
    grpc::write_frame(&vec![0; MAX_MESSAGE + 1], &mut long).unwrap();
    assert_eq!(send(&plain, &long, &config).unwrap_err(), Rejection::LongMessage(MAX_MESSAGE));
    // A bomb says how long it is.
    let bomb = [b"\xff\x06\0\0sNaPpY\x00\x0a\0\0\0\0\0\0".as_slice(), b"\xff\xff\xff\x7f\0\0"].concat();
    let bomb = [b"\x01\0\0\0".as_slice(), &[bomb.len() as u8], &bomb].concat();
    let compressed = plain.header("grpc-encoding", "snappy");
    assert_eq!(send(&compressed, &bomb, &config).unwrap_err(), Rejection::LongMessage(MAX_MESSAGE));
    assert_eq!(send(&compressed, &good, &config).unwrap().unwrap()[..5], *b"\0\0\0\0\x13");
}

#[test]
fn queries_are_rewritten_and_plans_dropped() {
    let config = config(GRPC);
    let mut message = Vec::new();
    let request = QueryRequest { query: b"topk(scalar(x), y)", time_seconds: 7, engine: 2, ..QueryRequest::default() };
    request.write(&mut message);
    write_bytes(14, b"a plan", &mut message);
    write_bytes(99, b"unknown", &mut message);
    // The last one counts.
    write_bytes(1, b"up", &mut message);
    let mut body = Vec::new();
    grpc::write_frame(&message, &mut body).unwrap();
    let body = send(&call("/thanos.Query/Query").tenant("team-a"), &body, &config).unwrap().unwrap();
    let written: QueryRequest<'_> = read(&body[5..]).unwrap();
    assert_eq!(written, QueryRequest { query: br#"up{tenant_id="team-a"}"#, ..request });
    assert!(!body.windows(6).any(|bytes| bytes == b"a plan"));

    let range = QueryRangeRequest { query: b"up", interval_seconds: 15, ..QueryRangeRequest::default() };
    let range = sent("/thanos.Query/QueryRange", &range, &config).unwrap();
    assert_eq!(read::<QueryRangeRequest<'_>>(&range).unwrap().query, br#"up{tenant_id="team-a"}"#);
    let exemplars =
        sent("/thanos.Exemplars/Exemplars", &ExemplarsRequest { query: b"up", ..Default::default() }, &config).unwrap();
    assert_eq!(read::<ExemplarsRequest<'_>>(&exemplars).unwrap().query, br#"up{tenant_id="team-a"}"#);
    let bad = sent("/thanos.Query/Query", &QueryRequest { query: b"sum(", ..Default::default() }, &config).unwrap_err();
    assert_eq!((bad.reason(), bad.code()), ("query_syntax", Code::InvalidArgument));
}

#[test]
fn matchers_of_the_scope_stand_first() {
    let config = config(GRPC);
    let own = vec![
        equal("__name__", "up"),
        equal("tenant_id", "team-b"),
        Matcher { operator: Operator::NotMatches, name: b"job", value: b"x" },
    ];
    let expected = |name: &'static str| [equal("tenant_id", "team-a"), equal(name, "up")];
    let series = sent(
        "/thanos.Store/Series",
        &SeriesRequest { matchers: own.clone(), max_time: 9, ..Default::default() },
        &config,
    )
    .unwrap();
    let series: SeriesRequest<'_> = read(&series).unwrap();
    assert_eq!(series.matchers, [&expected("__name__")[..], &own[2..]].concat());
    assert_eq!(series.max_time, 9);
    let names = sent("/thanos.Store/LabelNames", &LabelNamesRequest::default(), &config).unwrap();
    assert_eq!(read::<LabelNamesRequest<'_>>(&names).unwrap().matchers, [equal("tenant_id", "team-a")]);
    let values =
        sent("/thanos.Store/LabelValues", &LabelValuesRequest { label: b"job", ..Default::default() }, &config)
            .unwrap();
    assert_eq!(read::<LabelValuesRequest<'_>>(&values).unwrap().matchers, [equal("tenant_id", "team-a")]);

    // Several tenants: a pattern, and the client's own matchers choose among them.
    let several =
        super::config(r#"{"upstream": "thanos", "enable_grpc": true, "tenant_federation": {"enabled": true}}"#);
    let body = grpc::body(&SeriesRequest { matchers: own.clone(), ..Default::default() }).unwrap();
    let body = send(&call("/thanos.Store/Series").tenant("b|a"), &body, &several).unwrap().unwrap();
    let several = read::<SeriesRequest<'_>>(&body[5..]).unwrap().matchers;
    assert_eq!(several[0], Matcher { operator: Operator::Matches, name: b"tenant_id", value: b"a|b" });
    assert_eq!(several[1..], own);

    let rejecting = super::config(r#"{"upstream": "thanos", "enable_grpc": true, "on_conflict": "reject"}"#);
    let refused =
        sent("/thanos.Store/Series", &SeriesRequest { matchers: own, ..Default::default() }, &rejecting).unwrap_err();
    assert_eq!((refused.reason(), refused.code()), ("bad_message", Code::InvalidArgument));
}

#[test]
fn fields_that_reach_beyond_the_tenant_are_refused() {
    let config = config(GRPC);
    let label = || vec![&b"replica"[..], b"tenant_id"];
    let mut stores = Vec::new();
    write_bytes(1, b"up", &mut stores);
    write_bytes(6, b"", &mut stores);
    let mut body = Vec::new();
    grpc::write_frame(&stores, &mut body).unwrap();
    let stores = send(&call("/thanos.Query/Query").tenant("a"), &body, &config).unwrap_err();
    let refused = [
        stores,
        sent("/thanos.Query/Query", &QueryRequest { replica_labels: label(), ..Default::default() }, &config)
            .unwrap_err(),
        sent("/thanos.Query/QueryRange", &QueryRangeRequest { replica_labels: label(), ..Default::default() }, &config)
            .unwrap_err(),
        sent("/thanos.Store/Series", &SeriesRequest { without_replica_labels: label(), ..Default::default() }, &config)
            .unwrap_err(),
        sent(
            "/thanos.Store/LabelNames",
            &LabelNamesRequest { without_replica_labels: label(), ..Default::default() },
            &config,
        )
        .unwrap_err(),
        sent(
            "/thanos.Store/LabelValues",
            &LabelValuesRequest { without_replica_labels: label(), ..Default::default() },
            &config,
        )
        .unwrap_err(),
    ];
    for rejection in refused {
        assert_eq!(
            (rejection.reason(), rejection.code()),
            ("forbidden_field", Code::PermissionDenied),
            "{rejection:?}"
        );
    }
    let rules = RulesRequest { kind: 1, matcher_string: vec![b"{a=\"b\"}"], ..Default::default() };
    assert!(
        read::<RulesRequest<'_>>(&sent("/thanos.Rules/Rules", &rules, &config).unwrap())
            .unwrap()
            .matcher_string
            .is_empty()
    );
}

#[test]
fn health_is_served_without_a_tenant() {
    let config = config(GRPC);
    let path = "/grpc.health.v1.Health/Check";
    let forward = call(path).header("x-scope-orgid", "b").header("thanos-tenant", "b").decide(&config).unwrap();
    assert_eq!((forward.tenant.as_deref(), forward.set.len()), (None, 0));
    assert!(
        ["thanos-tenant", "x-scope-orgid"].iter().all(|name| forward.remove.iter().any(|removed| &**removed == *name))
    );
    let body = grpc::body(&HealthRequest { service: b"x" }).unwrap();
    assert_eq!(send(&call(path), &body, &config).unwrap().unwrap(), body);
    assert_eq!(reason(&call("/grpc.health.v1.Health/Watch").tenant("a"), &config), "unknown_path");
}

#[test]
fn limits_are_those_of_http() {
    let second = NOW / 1000;
    let day = 86_400;
    let retention = limited(r#"{"retention_period": "1d"}"#);
    let query = |time_seconds, query| QueryRequest { query, time_seconds, ..Default::default() };
    // Now is written, and raw data asked for: what the server would take for both is not known.
    let now = sent("/thanos.Query/Query", &query(0, b"up"), &retention).unwrap();
    let now: QueryRequest<'_> = read(&now).unwrap();
    assert_eq!((now.time_seconds, now.max_resolution_seconds), (second, 1));
    let reaches = sent("/thanos.Query/Query", &query(0, b"up[2d]"), &retention).unwrap_err();
    assert_eq!((reaches.reason(), reaches.code()), ("retention_period", Code::FailedPrecondition));

    let range = |start, end| QueryRangeRequest {
        query: b"up",
        start_time_seconds: start,
        end_time_seconds: end,
        interval_seconds: 60,
        ..Default::default()
    };
    let moved = sent("/thanos.Query/QueryRange", &range(second - 3 * day, second), &retention).unwrap();
    let moved: QueryRangeRequest<'_> = read(&moved).unwrap();
    assert!(moved.start_time_seconds >= second - day && moved.start_time_seconds < second - day + 600, "{moved:?}");
    assert_eq!((second - 3 * day - moved.start_time_seconds) % 60, 0, "by whole steps");
    let body = grpc::body(&range(second - 9 * day, second - 8 * day)).unwrap();
    let nothing = send(&call("/thanos.Query/QueryRange").tenant("a"), &body, &retention).unwrap().unwrap_err();
    assert_eq!((nothing.status, nothing.body, nothing.reason), (200, Vec::new(), "beyond_limits"));

    let series =
        SeriesRequest { matchers: vec![equal("__name__", "up")], min_time: 0, max_time: NOW, ..Default::default() };
    let bounded = sent("/thanos.Store/Series", &series, &retention).unwrap();
    assert_eq!(read::<SeriesRequest<'_>>(&bounded).unwrap().min_time, NOW - day * 1000);
    let coarse = SeriesRequest { max_resolution_window: 300_000, ..series };
    let coarse = sent("/thanos.Store/Series", &coarse, &retention).unwrap();
    assert_eq!(read::<SeriesRequest<'_>>(&coarse).unwrap().min_time, NOW - day * 1000 + 300_000);
    // An answer of one message has to come from the upstream: it is asked for what does not exist.
    let names = LabelNamesRequest { start: 0, end: 1, ..Default::default() };
    let names = sent("/thanos.Store/LabelNames", &names, &retention).unwrap();
    assert_eq!(
        read::<LabelNamesRequest<'_>>(&names).unwrap().matchers[1],
        equal("__name__", "promql_tenancy_filter:nothing")
    );

    let points = limited(r#"{"max_query_points": 10, "max_regex_pattern_length": 3}"#);
    let refused = sent("/thanos.Query/QueryRange", &range(second - day, second), &points).unwrap_err();
    assert_eq!((refused.reason(), refused.code()), ("max_query_points", Code::ResourceExhausted));
    let pattern = Matcher { operator: Operator::Matches, name: b"job", value: b"long.*" };
    let refused =
        sent("/thanos.Store/Series", &SeriesRequest { matchers: vec![pattern], ..Default::default() }, &points)
            .unwrap_err();
    assert_eq!(refused.reason(), "max_regex_pattern_length");
    // Times at the ends of what the message can hold.
    for (min_time, max_time) in [(i64::MIN, i64::MAX), (0, i64::MAX)] {
        let all = SeriesRequest { matchers: vec![equal("a", "b")], min_time, max_time, ..Default::default() };
        let kept = sent("/thanos.Store/Series", &all, &limited(r#"{"max_query_points": 10}"#)).unwrap();
        assert_eq!(
            (read::<SeriesRequest<'_>>(&kept).unwrap().min_time, read::<SeriesRequest<'_>>(&kept).unwrap().max_time),
            (min_time, max_time)
        );
        let bounded = sent("/thanos.Store/Series", &all, &retention).unwrap();
        assert_eq!(read::<SeriesRequest<'_>>(&bounded).unwrap().min_time, NOW - day * 1000);
    }
}

#[test]
fn a_view_is_refused_what_is_filtered_by_owner() {
    let view = config(
        r#"{"upstream": "thanos", "enable_grpc": true, "static_tenant_ids": ["ops"], "tenant_regex": "team-.*"}"#,
    );
    for path in
        ["/thanos.Rules/Rules", "/thanos.Targets/Targets", "/thanos.Exemplars/Exemplars", "/thanos.info.Info/Info"]
    {
        assert_eq!(reason(&call(path), &view), "forbidden_path", "{path}");
    }
    assert!(call("/thanos.Query/Query").decide(&view).is_ok());
}

#[test]
fn the_stricter_of_the_client_s_and_the_tenant_s_limit_is_written() {
    let config = limited(r#"{"query_timeout": "1500ms", "max_returned_items": 100}"#);
    let query =
        |timeout_seconds| QueryRequest { query: b"up", time_seconds: 5, timeout_seconds, ..QueryRequest::default() };
    let range = |timeout_seconds| QueryRangeRequest {
        query: b"up",
        start_time_seconds: 5,
        end_time_seconds: 6,
        interval_seconds: 1,
        timeout_seconds,
        ..QueryRangeRequest::default()
    };
    for (asked, written) in [(0, 2), (1, 1), (2, 2), (3, 2), (-1, 2), (i64::MAX, 2)] {
        let message = sent("/thanos.Query/Query", &query(asked), &config).unwrap();
        assert_eq!(read::<QueryRequest<'_>>(&message).unwrap().timeout_seconds, written);
        let message = sent("/thanos.Query/QueryRange", &range(asked), &config).unwrap();
        assert_eq!(read::<QueryRangeRequest<'_>>(&message).unwrap().timeout_seconds, written);
    }
    for (asked, written) in [(0, 100), (99, 99), (101, 100), (-1, 100)] {
        let series = SeriesRequest { matchers: vec![equal("a", "b")], limit: asked, ..SeriesRequest::default() };
        let message = sent("/thanos.Store/Series", &series, &config).unwrap();
        assert_eq!(read::<SeriesRequest<'_>>(&message).unwrap().limit, written);
        let names = LabelNamesRequest { limit: asked, ..LabelNamesRequest::default() };
        let message = sent("/thanos.Store/LabelNames", &names, &config).unwrap();
        assert_eq!(read::<LabelNamesRequest<'_>>(&message).unwrap().limit, written);
        let values = LabelValuesRequest { label: b"a", limit: asked, ..LabelValuesRequest::default() };
        let message = sent("/thanos.Store/LabelValues", &values, &config).unwrap();
        assert_eq!(read::<LabelValuesRequest<'_>>(&message).unwrap().limit, written);
    }
    let message = sent("/thanos.Query/Query", &query(7), &limited("{}")).unwrap();
    assert_eq!(read::<QueryRequest<'_>>(&message).unwrap().timeout_seconds, 7);
}
