//! Requests that try to get past: each is refused, for its own reason, or enforced.

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn forms_that_two_readers_could_read_differently_are_refused() {
    for (form, expected) in [
        ("query=up;query=down", "bad_form"),
        ("query=1&a;b", "bad_form"),
        ("query=%zz", "bad_form"),
        ("query=1&%", "bad_form"),
        ("unknown=%zz", "bad_form"),
        ("query=up&query=down", "repeated_parameter"),
        ("query=up&%71uery=down", "repeated_parameter"),
        ("query=up&q%75ery", "repeated_parameter"),
        ("query=1&time=1&time=2", "repeated_parameter"),
        ("query=1&time=1;2", "bad_form"),
        ("query=1&time=%7B%7D", "bad_value"),
        ("query=1&timeout=5%20m", "bad_value"),
        ("query=1&limit=ten", "bad_value"),
        ("query=up%7B", "query_syntax"),
        ("query=%ff", "query_syntax"),
        ("query=up%00", "query_syntax"),
    ] {
        let config = config("{}");
        assert_eq!(reason(&Request::get(format!("/api/v1/query?{form}")), &config), expected, "URL: {form}");
        assert_eq!(reason(&Request::form("/api/v1/query", form), &config), expected, "form: {form}");
    }
}

#[test]
fn too_many_parameters_are_refused() {
    let many = vec!["a=1"; crate::go::form::MAX_PAIRS + 1].join("&");
    for request in [Request::get(format!("/api/v1/query?{many}")), Request::form("/api/v1/query", &many)] {
        let rejection = request.send(&config("{}")).unwrap_err();
        assert_eq!((rejection.status(), rejection.reason()), (413, "too_large"));
    }
}

#[test]
fn a_form_that_go_would_not_read_whole_is_refused() {
    // Past 10 MiB Go reads nothing of a form, and `labels` answers as if there were no match[].
    let config = config(r#"{"extra_parameters": ["x"]}"#);
    let form = |length: usize| format!("x={}", "%00".repeat(length));
    let length = super::super::parameters::MAX_REWRITTEN / 3;
    assert!(Request::form("/api/v1/labels", form(length - 100)).send(&config).is_ok());
    assert_eq!(reason(&Request::form("/api/v1/labels", form(length + 1)), &config), "too_large");
    let raw = vec![0u8; length + 1];
    assert_eq!(reason(&Request::form("/api/v1/labels", [b"x=", &raw[..]].concat()), &config), "too_large");
}

#[test]
fn paths_that_are_not_literal_are_refused() {
    for (target, expected) in [
        ("/api/v1//query?query=1", "bad_path"),
        ("//api/v1/query?query=1", "bad_path"),
        ("/api/v1/../v1/query?query=1", "bad_path"),
        ("/x/../api/v1/query?query=1", "bad_path"),
        ("/api/v1/%2e%2e/query", "bad_path"),
        ("/api/v1%2fquery", "bad_path"),
        ("/api/v1%5cquery", "bad_path"),
        ("/api\\v1\\query", "bad_path"),
        ("/api/v1/label/..%2fadmin/values", "bad_path"),
        ("/api/v1/label/a%252fb/values", "bad_path"),
        ("/api/v1/query#?query=1", "bad_path"),
        ("http://upstream/api/v1/query?query=1", "bad_path"),
        ("*", "bad_path"),
        ("", "bad_path"),
        ("?query=up", "bad_path"),
        ("/api/v1/query?query=1#x", "bad_path"),
        ("/api/v1/query?query=a b", "bad_path"),
        ("/api/v1/query?query=1\r\nx: y", "bad_path"),
        ("/api/v1/%71uery?query=1", "unknown_path"),
        ("/api/v1/query/?query=1", "unknown_path"),
        ("/API/v1/query?query=1", "unknown_path"),
        ("/api/v1/query;x?query=1", "unknown_path"),
        ("/api/v1/query.json?query=1", "unknown_path"),
        ("/", "unknown_path"),
        ("/graph", "unknown_path"),
        ("/api/v1/query_cost?query=up", "unknown_path"),
        ("/api/v2/silences", "unknown_path"),
        ("/api/v1/label/job", "unknown_path"),
        ("/api/v1/label/a/b/values", "unknown_path"),
        ("/-/quit", "unknown_path"),
        ("/api/v1/rules/", "unknown_path"),
        ("/api/v1/alerts/x", "unknown_path"),
        ("/api/v1/metadata?metric=up", "forbidden_path"),
        ("/api/v1/targets/metadata", "forbidden_path"),
        ("/api/v1/status/tsdb", "forbidden_path"),
        ("/api/v1/status/buildinfo/", "forbidden_path"),
        ("/api/v1/admin/tsdb/delete_series?match[]=up", "forbidden_path"),
        ("/metrics", "forbidden_path"),
        ("/debug/pprof/", "forbidden_path"),
    ] {
        assert_eq!(reason(&Request::get(target), &config("{}")), expected, "{target}");
    }
}

#[test]
fn methods_that_a_row_does_not_have_are_refused() {
    let config = config("{}");
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "Post", "", "GET ", "QUERY"]
    {
        let rejection = Request::new(method, "/api/v1/query?query=1").send(&config).unwrap_err();
        assert_eq!((rejection.status(), rejection.reason()), (405, "method"), "{method}");
        assert_eq!(rejection.headers(), [("allow", "GET, POST".to_owned())]);
    }
    for path in ["/api/v1/label/job/values", "/federate", "/api/v1/status/buildinfo"] {
        let rejection = Request::new("POST", path).send(&config).unwrap_err();
        assert_eq!(rejection.headers(), [("allow", "GET".to_owned())], "{path}");
    }
    let rejection = Request::new("POST", "/-/healthy").send(&config).unwrap_err();
    assert_eq!(rejection.headers(), [("allow", "GET, HEAD".to_owned())]);
    assert_eq!(reason(&Request::new("POST", "/api/v1/write"), &config), "forbidden_path");
    assert_eq!(
        reason(&Request::new("DELETE", "/api/v1/series?match[]=up"), &config),
        "method",
        "Cortex once deleted series so"
    );
}

#[test]
fn heads_that_are_ambiguous_are_refused() {
    let query = || Request::get("/api/v1/query?query=up");
    let form = || Request::form("/api/v1/query", "query=up");
    for (request, expected) in [
        (query().header(":path", "/metrics"), "bad_head"),
        (query().header(":method", "GET"), "bad_head"),
        (query().header("upgrade", "websocket"), "upgrade"),
        (query().header(":protocol", "websocket"), "upgrade"),
        (query().tenant("a").tenant("b"), "bad_tenant"),
        (query().tenant("a").tenant("a"), "bad_tenant"),
        (query().tenant("").tenant("a"), "bad_tenant"),
        (query().tenant(""), "no_tenant"),
        (query().tenant(" "), "bad_tenant"),
        (query().tenant("a,b"), "bad_tenant"),
        (query().tenant("a|b"), "bad_tenant"),
        (query().tenant("a\"} or up{x=\""), "bad_tenant"),
        (query().header("thanos-tenant", b"\xff"), "bad_tenant"),
        (query().header("content-length", "1").header("content-length", "2"), "bad_head"),
        (form().header("content-length", "8"), "bad_head"),
        (form().header("content-type", "application/x-www-form-urlencoded"), "content_type"),
        (form().header("content-encoding", "gzip"), "content_encoding"),
        (form().header("content-encoding", "identity"), "content_encoding"),
        (Request::new("POST", "/api/v1/query?query=up").body("query=up"), "content_type"),
        (
            Request::new("POST", "/api/v1/query").header("content-type", "multipart/form-data; boundary=x").body("--x"),
            "content_type",
        ),
        (Request::new("POST", "/api/v1/query").header("content-type", "application/json").body("{}"), "content_type"),
        (query().body("query=up"), "unexpected_body"),
        (query().header("content-length", "8").body("query=up"), "unexpected_body"),
        (query().header("content-type", "application/x-www-form-urlencoded").body("query=up"), "unexpected_body"),
        (Request::new("POST", "/api/v1/query").header("content-length", "0").body("query=up"), "unexpected_body"),
    ] {
        assert_eq!(reason(&request, &config("{}")), expected, "{:?}", request.headers);
    }
    let announced = query().header("content-length", "8").body("query=up").decide(&config("{}"));
    assert_eq!(announced.unwrap_err().rejection.reason(), "unexpected_body", "before the body is read");
    let nothing = Head { headers: &[], evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
    assert_eq!(decide(&nothing, &config("{}"), &RefCell::default()).unwrap_err().rejection.reason(), "bad_head");
}

#[test]
fn headers_that_name_a_tenant_or_hide_a_request_go() {
    let config = config(r#"{"tenant_header": "X-Tenant", "strip_headers": ["X-Debug"]}"#);
    let request = Request::get("/api/v1/query?query=1")
        .header("x-tenant", "a")
        .header("X_TENANT", "b")
        .header("x_tenant", "b")
        .header("thanos-tenant", "b")
        .header("thanos-tenant", "c")
        .header("thanos_tenant", "b")
        .header("Thanos-Tenant", "b")
        .header("x-scope-orgid", "b")
        .header("x_scope_orgid", "b")
        .header("x-debug", "b")
        .header("connection", "thanos-tenant")
        .header("trailer", "thanos-tenant")
        .header("x-http-method-override", "PUT")
        .header("x-original-url", "/metrics")
        .header("accept", "*/*");
    let sent = request.send(&config).unwrap();
    assert_eq!(sent.headers, [("accept".to_owned(), "*/*".to_owned()), ("thanos-tenant".to_owned(), "a".to_owned())]);
    let forward = request.decide(&config).unwrap();
    assert!(
        forward.remove.iter().all(|name| request.headers.iter().any(|(other, _)| name.as_bytes() == &**other)),
        "only what is present"
    );
}

#[test]
fn content_type_is_written_anew() {
    let request = Request::new("POST", "/api/v1/query")
        .header("content-type", "Application/X-WWW-Form-Urlencoded; charset=utf-16; a=b; a=c")
        .tenant("a")
        .body("query=1");
    let sent = request.send(&config("{}")).unwrap();
    assert_eq!(
        sent.headers.iter().filter(|(name, _)| name == "content-type").collect::<Vec<_>>(),
        [&("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())]
    );
}

#[test]
fn an_empty_post_is_its_url_alone() {
    for request in [
        Request::new("POST", "/api/v1/query?query=up"),
        Request::new("POST", "/api/v1/query?query=up").header("content-length", "0").body(""),
        Request::new("POST", "/api/v1/query?query=up").header("content-type", "application/json"),
    ] {
        let sent = request.tenant("a").send(&config("{}")).unwrap();
        assert_eq!(values(&sent, "query"), [r#"up{tenant_id="a"}"#]);
    }
}

#[test]
fn no_trailer_goes_on() {
    let names: [&[u8]; 4] = [b"thanos-tenant", b"x-anything", b"\xff", b"thanos-tenant"];
    let removed = trailers_to_remove(names.into_iter());
    assert_eq!(removed, [b"thanos-tenant".to_vec(), b"x-anything".to_vec(), b"\xff".to_vec()]);
}

#[test]
fn a_label_s_name_can_t_leave_its_segment() {
    for (name, expected) in [("job", "job"), ("U__tenant_5f_id", "U__tenant_5f_id"), ("a%20b", "a%20b"), ("a?b", "")] {
        let target = format!("/api/v1/label/{name}/values");
        let request = Request::get(&target).tenant("a");
        if expected.is_empty() {
            assert_eq!(reason(&request, &config("{}")), "unknown_path");
        } else {
            let sent = request.send(&config("{}")).unwrap();
            assert!(sent.path.starts_with(&format!("/api/v1/label/{expected}/values?match%5B%5D=")), "{}", sent.path);
        }
    }
    assert_eq!(reason(&Request::get("/api/v1/label/%ff/values"), &config("{}")), "bad_path");
}
