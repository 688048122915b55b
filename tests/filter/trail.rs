//! What the operator can read afterwards: the state for access logs, the tenant in the head, the lines of refusals.

use crate::harness::{Fault, Harness, Outcome, Request, Response, Upon};

const UNKNOWN_PATH: &str =
    "unknown path: use an endpoint of the API table, under a prefix that the operator has in path_prefixes";

const SECOND: u64 = 1_000_000_000;

fn envoy() -> Harness {
    Harness::new(r#"{"default_tenant_id": "", "allowed_tenants": [{"prefix": "team-"}]}"#).unwrap()
}

fn get(path: &str) -> Request {
    Request::get(path).header("THANOS-TENANT", "team-a")
}

fn bad_form(query: &str) -> Request {
    Request::form("/api/v1/query", query).header("THANOS-TENANT", "team-a")
}

fn refused_lines(out: &Outcome) -> Vec<&str> {
    out.logs.iter().map(|line| line.text.as_str()).filter(|line| line.starts_with("request refused: ")).collect()
}

#[track_caller]
fn line(out: &Outcome) -> &str {
    let [line] = refused_lines(out)[..] else { panic!("one line: {:?}", out.logs) };
    line
}

#[test]
fn decision_route_and_tenant_are_a_filter_state() {
    for (request, expected) in [
        (get("/api/v1/query?query=up"), "forwarded query team-a"),
        (
            Request::form("/api/v1/query_range", "query=up").header("THANOS-TENANT", "team-a"),
            "forwarded query_range team-a",
        ),
        (get("/api/v1/query?query=("), "refused:query_syntax query team-a"),
        (bad_form("query=("), "refused:query_syntax query team-a"),
        (get("/api/v1/targets"), "refused:forbidden_path targets team-a"),
        (get("/nothing"), "refused:unknown_path - team-a"),
        (Request::get("/api/v1/query?query=up"), "refused:no_tenant query -"),
        (Request::get("/api/v1/query").header("THANOS-TENANT", "a|b"), "refused:bad_tenant query -"),
        (Request::get("/api/v1/query").header("THANOS-TENANT", "b"), "refused:tenant_not_allowed query b"),
    ] {
        assert_eq!(envoy().request(request).trail(), expected);
    }
}

#[test]
fn an_answer_that_is_refused_is_one_in_the_trail() {
    let mut envoy = envoy();
    envoy.upstream_answers(crate::harness::Response::new(200, "hello").header("content-type", "text/html"));
    let out = envoy.request(get("/api/v1/query?query=up").header("x-request-id", "id-1"));
    assert_eq!(out.answer().status, 502);
    assert_eq!(out.trail(), "refused:bad_answer query team-a");
    let expected = "request refused: tenant=team-a path=/api/v1/query status=502 reason=bad_answer request_id=id-1";
    assert_eq!(line(&out), expected);
}

#[test]
fn a_trail_that_can_not_be_left_refuses_nothing() {
    for call in ["proxy_set_property", "proxy_get_current_time_nanoseconds", "proxy_log"] {
        let mut envoy = envoy();
        envoy.fail(&[Fault { upon: Upon::Name(call), status: 12 }]);
        assert_eq!(envoy.request(get("/api/v1/query?query=up")).answer().status, 200, "{call}");
        assert_eq!(envoy.request(get("/nothing")).refused(404).json()["error"], UNKNOWN_PATH, "{call}");
    }
}

#[test]
fn a_line_names_tenant_path_reason_and_request() {
    let out = envoy().request(get("/api/v1/query?query=secret(").header("x-request-id", "8f1c-a"));
    let expected = "request refused: tenant=team-a path=/api/v1/query status=400 reason=query_syntax request_id=8f1c-a";
    assert_eq!(line(&out), expected);
    let out = envoy().request(bad_form("query=secret(").header("x-request-id", "8f1c-a"));
    assert_eq!(line(&out), expected);
    let out = envoy().request(Request::get("/api/v1/query?query=secret"));
    assert_eq!(line(&out), "request refused: tenant=- path=/api/v1/query status=401 reason=no_tenant request_id=-");
}

#[test]
fn a_line_s_fields_can_not_be_forged() {
    let mut envoy = Harness::new(r#"{"tenant_id_format": "thanos"}"#).unwrap();
    let request = Request::get("/x y status=200\u{1}?a")
        .header("THANOS-TENANT", "a path=b")
        .header("x-request-id", "1 suppressed=\"9\"\n2");
    assert_eq!(
        line(&envoy.request(request)),
        r#"request refused: tenant="a path=b" path="/x y status=200\x01" status=400 reason=bad_path request_id="1 suppressed=\"9\"\n2""#
            .replace(r#"tenant="a path=b""#, "tenant=-"),
    );
    let request = Request::get("/nothing").header("THANOS-TENANT", "a path=b");
    assert!(line(&envoy.request(request)).contains(r#"tenant="a path=b" path=/nothing"#));
    let long = envoy.request(get(&format!("/{}", "a".repeat(60_000))).header("x-request-id", "b".repeat(60_000)));
    assert!(line(&long).len() < 600, "{}", line(&long));
}

#[test]
fn queries_are_logged_only_where_they_may_be() {
    for (json, shown) in [(r#"{"log_queries": true}"#, true), (r#"{"log_queries": false}"#, false), ("{}", false)] {
        let mut envoy = Harness::new(json).unwrap();
        let url = envoy.request(get("/api/v1/query?query=secret(&time=1"));
        let form =
            envoy.request(Request::form("/api/v1/query?time=1", "query=se cret(\n").header("THANOS-TENANT", "team-a"));
        assert_eq!(line(&url).ends_with(" query=query=secret(&time=1"), shown, "{}", line(&url));
        assert_eq!(line(&form).ends_with(r#" query=time=1 query="query=se cret(\n""#), shown, "{}", line(&form));
        assert_eq!(line(&url).contains("secret"), shown);
        let long = envoy.request(bad_form(&format!("query={}(", "x".repeat(100_000))));
        assert!(line(&long).len() < 2_500);
        let passed = envoy.request(get("/api/v1/query?query=secret"));
        assert!(passed.logs.is_empty(), "{:?}", passed.logs);
    }
}

#[test]
fn lines_are_bounded_by_the_second_and_say_how_many_are_missing() {
    let mut envoy = envoy();
    let lines = |envoy: &mut Harness, count: usize| -> Vec<String> {
        let outs: Vec<Outcome> = (0..count).map(|_| envoy.request(get("/nothing"))).collect();
        assert!(outs.iter().all(|out| out.answer().status == 404 && out.trail() == "refused:unknown_path - team-a"));
        outs.iter().flat_map(|out| refused_lines(out).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    assert_eq!(lines(&mut envoy, 100).len(), 5);
    // Somebody else's lines are not hidden by them.
    assert_eq!(refused_lines(&envoy.request(Request::get("/nothing").header("THANOS-TENANT", "team-b"))).len(), 1);
    envoy.advance_ns(SECOND);
    let later = lines(&mut envoy, 3);
    assert!(later[0].ends_with(" suppressed=95"), "{later:?}");
    assert!(later.len() == 3 && later[1..].iter().all(|line| !line.contains("suppressed")), "{later:?}");
    envoy.advance_ns(SECOND);
    assert!(lines(&mut envoy, 1).iter().all(|line| !line.contains("suppressed")));
}

/// What upstreams say can be made to come as often as a client likes.
#[test]
fn lines_about_answers_are_bounded_and_say_whose_they_are() {
    let answers = [
        ("messages withheld", r#"{"status":"success","data":[],"warnings":["store team-b"]}"#, " count=1"),
        ("answer cut short", r#"{"status":"success","data":["a","b","c","d","e","f","g"],"#, " reason="),
    ];
    for (what, body, details) in answers {
        let mut envoy = envoy();
        envoy.upstream_answers(Response::new(200, body).header("content-type", "application/json"));
        let lines = |envoy: &mut Harness, count: usize, tenant: &str| -> Vec<String> {
            let request = || {
                Request::get("/api/v1/query?query=up").header("THANOS-TENANT", tenant).header("x-request-id", "id-1")
            };
            let outs: Vec<Outcome> = (0..count).map(|_| envoy.request(request())).collect();
            let lines = outs.iter().flat_map(|out| out.logs.iter().map(|line| line.text.clone()));
            lines.filter(|line| line.starts_with(what)).collect()
        };
        let first = lines(&mut envoy, 100, "team-a");
        assert_eq!(first.len(), 5, "{what}: {first:?}");
        assert!(first[0].starts_with(&format!("{what}: tenant=team-a path=/api/v1/query{details}")), "{first:?}");
        assert!(first[0].contains(" request_id=id-1"), "{first:?}");
        assert_eq!(lines(&mut envoy, 1, "team-b").len(), 1, "{what}");
        envoy.advance_ns(SECOND);
        assert!(lines(&mut envoy, 1, "team-a")[0].ends_with(" suppressed=95"), "{what}");
    }
}

#[test]
fn combinations_of_tenants_suppress_no_single_tenant_s_lines() {
    let mut envoy = Harness::new(r#"{"tenant_federation": {"enabled": true}}"#).unwrap();
    let mut written = 0;
    for subset in 1u32..1_024 {
        let ids: Vec<String> = (0..10).filter(|id| subset >> id & 1 == 1).map(|id| format!("x{id}")).collect();
        if ids.len() > 1 {
            let out = envoy.request(Request::get("/nothing").header("THANOS-TENANT", ids.join("|")));
            written += refused_lines(&out).len();
        }
    }
    assert!((5..=20).contains(&written), "{written}");
    for tenant in ["team-a", "team-b", "team-c", "team-d"] {
        let out = envoy.request(Request::get("/nothing").header("THANOS-TENANT", tenant));
        assert_eq!(refused_lines(&out).len(), 1, "{tenant}");
    }
}

#[test]
fn the_head_of_a_refused_request_names_who_was_identified() {
    // Access logs and traces read it afterwards.
    let logged = |configuration: &str, request: Request| {
        let mut envoy = Harness::new(configuration).unwrap();
        envoy.property(&["connection", "subject_peer_certificate"], "O=team-a");
        let stream = envoy.open(request);
        envoy.request_headers(stream).all("thanos-tenant")
    };
    let certificate = r#"{"tenant_certificate_field": "organization"}"#;
    assert_eq!(logged(certificate, Request::get("/nothing").header("THANOS-TENANT", "team-b")), ["team-a"]);
    assert_eq!(logged(certificate, Request::get("/nothing")), ["team-a"]);
    let nobody = r#"{"tenant_certificate_field": "commonName"}"#;
    assert!(logged(nobody, Request::get("/nothing").header("THANOS-TENANT", "team-b")).is_empty());
    assert!(logged("{}", Request::get("/nothing").header("THANOS-TENANT", "a|b")).is_empty());
    assert!(logged("{}", get("/nothing").header("THANOS-TENANT", "team-b")).is_empty());
}
