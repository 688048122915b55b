//! An upstream that isolates tenants by the header: what is forwarded to it that others can't scope.

use super::*;
use crate::answer::{Body, Head as AnswerHead};

const CORTEX: &str = r#"{"upstream": "mimir", "tenant_federation": {"enabled": true}}"#;

fn reason(request: &Request, config: &Worker) -> &'static str {
    request.decide(config).map(drop).unwrap_err().rejection.reason()
}

#[test]
fn what_the_header_isolates_is_forwarded_with_it() {
    let cortex = config(CORTEX);
    for (target, expected) in [
        ("metadata?metric=up&limit=5&limit_per_metric=1&other=1", "metadata?metric=up&limit=5&limit_per_metric=1"),
        ("status/config", "status/config"),
        ("status/flags", "status/flags"),
        (
            "cardinality/label_names?selector=%7Ba%3D%22b%22%7D&count_method=active&limit=2",
            "cardinality/label_names?selector=%7Ba%3D%22b%22%7D&count_method=active&limit=2",
        ),
        (
            "cardinality/label_values?label_names%5B%5D=a&label_names%5B%5D=b",
            "cardinality/label_values?label_names%5B%5D=a&label_names%5B%5D=b",
        ),
        ("cardinality/active_series?selector=up", "cardinality/active_series?selector=up"),
        (
            "cardinality/active_native_histogram_metrics?selector=up",
            "cardinality/active_native_histogram_metrics?selector=up",
        ),
        (
            "rules?exclude_alerts=true&group_limit=10&group_next_token=3fa%2B&type=alert",
            "rules?exclude_alerts=true&group_limit=10&group_next_token=3fa%2B&type=alert",
        ),
    ] {
        let sent = Request::get(format!("/prometheus/api/v1/{target}")).tenant("team-a").send(&cortex).unwrap();
        assert_eq!(sent.path, format!("/prometheus/api/v1/{expected}"));
        assert_eq!(sent.headers, [("x-scope-orgid".to_owned(), "team-a".to_owned())]);
    }
    let form = Request::form("/prometheus/api/v1/cardinality/label_names", "selector=up&foreign=1").tenant("team-a");
    assert_eq!(form.send(&cortex).unwrap().body.as_deref(), Some("selector=up"));
}

#[test]
fn what_the_upstream_answers_for_one_tenant_is_refused_for_several() {
    let cortex = config(CORTEX);
    for path in ["rules", "alerts", "cardinality/label_names", "cardinality/label_values", "cardinality/active_series"]
    {
        let request = Request::get(format!("/prometheus/api/v1/{path}"));
        let refused = request.clone().tenant("team-a|team-b").decide(&cortex).map(drop).unwrap_err().rejection;
        assert_eq!((refused.status(), refused.reason()), (400, "bad_tenant"), "{path}");
        assert!(refused.message().ends_with("for one tenant at a time, and several are named: name one"), "{path}");
        // The same tenant twice is one.
        assert!(request.tenant("team-a|team-a").send(&cortex).is_ok(), "{path}");
    }
    for path in ["metadata", "query?query=up", "labels"] {
        let request = Request::get(format!("/prometheus/api/v1/{path}")).tenant("team-a|team-b");
        assert_eq!(request.send(&cortex).unwrap().tenant, "team-a|team-b", "{path}");
    }
    // Others merge what several tenants have.
    let thanos = config(r#"{"upstream": "thanos", "tenant_federation": {"enabled": true}}"#);
    assert!(Request::get("/api/v1/rules").tenant("team-a|team-b").send(&thanos).is_ok());
}

#[test]
fn with_enforcement_what_can_t_be_scoped_is_refused_and_parts_are_dropped() {
    let enforcing = config(r#"{"upstream": "cortex", "enforce_tenancy": true}"#);
    for path in ["metadata", "status/config", "status/flags", "cardinality/label_names"] {
        let request = Request::get(format!("/prometheus/api/v1/{path}")).tenant("team-a");
        assert_eq!(reason(&request, &enforcing), "forbidden_path", "{path}");
    }
    assert_eq!(reason(&remote_read(), &enforcing), "forbidden_path");
    let rules =
        Request::get("/prometheus/api/v1/rules?exclude_alerts=true&group_limit=1&group_next_token=x&type=alert");
    assert_eq!(rules.tenant("team-a").send(&enforcing).unwrap().path, "/prometheus/api/v1/rules?type=alert");
    for name in ["exclude_alerts", "group_limit", "group_next_token"] {
        let config = Config::parse(format!(r#"{{"extra_parameters": ["{name}"]}}"#).as_bytes());
        assert!(config.unwrap_err().to_string().contains("decides whose data is read"), "{name}");
    }
}

fn remote_read() -> Request {
    let mut request = Request::new("POST", "/prometheus/api/v1/read?query=up")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("content-length", "9")
        .tenant("team-a");
    request.body = Some(b"\x07\x18\xff\x00\x00\x00\x00\x00\x00".to_vec());
    request
}

#[test]
fn remote_read_is_forwarded_unread_unless_limits_would_have_to_read_it() {
    let cortex = config(CORTEX);
    let forward = remote_read().decide(&cortex).unwrap();
    assert_eq!(forward.path.as_deref(), Some(&b"/prometheus/api/v1/read"[..]));
    assert!(matches!(forward.body, BodyPlan::Untouched), "{:?}", forward.body);
    assert!(forward.remove.iter().all(|name| !["content-length", "content-encoding"].contains(&&**name)));
    // The answer is binary; an error is one that Grafana shows.
    let answer = |headers: &[(&[u8], &[u8])]| {
        let head = AnswerHead { headers, end_of_stream: false, is_early: false };
        forward.expected.decide(&head).unwrap().body
    };
    let binary: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/x-protobuf")];
    let page: [(&[u8], &[u8]); 2] = [(b":status", b"400"), (b"content-type", b"text/html")];
    let plain: [(&[u8], &[u8]); 3] =
        [(b":status", b"400"), (b"content-type", b"text/plain"), (b"content-length", b"9")];
    assert!(matches!(answer(&binary), Body::Untouched));
    assert!(matches!(answer(&page), Body::Replaced(_)));
    assert!(matches!(answer(&plain), Body::Filtered(_)));
    // Text of unknown length might end with trailers, and then it could not be told any more.
    assert!(matches!(answer(plain.get(..2).unwrap()), Body::Replaced(_)));
    assert_eq!(reason(&Request::get("/prometheus/api/v1/read").tenant("team-a"), &cortex), "method");

    let limited = |limits: &str| config(&format!(r#"{{"upstream": "cortex", "limits": {{{limits}}}}}"#));
    let concurrent = remote_read().decide(&limited(r#""max_concurrent_queries": 3"#)).unwrap();
    assert_eq!(concurrent.concurrency, [("team-a".into(), 3)]);
    for limit in
        [r#""retention_period": "1d""#, r#""max_selectors_per_query": 2"#, r#""blocked_queries": [{"pattern": "up"}]"#]
    {
        assert_eq!(reason(&remote_read(), &limited(limit)), "forbidden_path", "{limit}");
    }
}
