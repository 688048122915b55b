//! Dry run: requests and answers pass as they came, byte for byte, and what would have happened is in a header, the stats and the log.

use crate::harness::{Fault, Harness, Outcome, Request, Response, Upon};

const GLOBAL: &str = r#"{"dry_run": true, "default_tenant_id": "", "allowed_tenants": [{"prefix": "team-"}], "max_response_bytes": 300,
    "limits": {"max_query_expression_size_bytes": 40}}"#;

fn envoy(configuration: &str) -> Harness {
    Harness::new(configuration).unwrap()
}

fn get(path: &str) -> Request {
    Request::get(path).header("THANOS-TENANT", "team-a").header("x-scope-orgid", "spoofed").header("range", "bytes=0-1")
}

fn verdict(out: &Outcome) -> String {
    out.answer().headers.get("x-tenancy-dry-run").unwrap_or_default()
}

/// What went upstream and came back is what was sent, but for the tenant's header and the one that says so.
#[track_caller]
fn assert_untouched(sent: &Request, out: &Outcome, answer: &Response, tenant: Option<&str>) {
    assert!(!out.local && !out.reset && !out.hung, "{out:#?}");
    let upstream = out.upstream();
    let mut expected = sent.headers.clone();
    if let Some(tenant) = tenant {
        expected.remove(b"thanos-tenant");
        expected.add(b"thanos-tenant", tenant.as_bytes());
    }
    macro_rules! sorted {
        ($headers:expr) => {{
            let mut all: Vec<_> = $headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            all.sort();
            all
        }};
    }
    assert_eq!(sorted!(upstream.headers), sorted!(expected));
    assert_eq!(upstream.chunks.concat(), sent.chunks.concat());
    assert_eq!(sorted!(upstream.trailers), sorted!(sent.trailers));
    let mut headers = out.answer().headers.clone();
    headers.remove(b"x-tenancy-dry-run");
    assert_eq!(sorted!(headers), sorted!(answer.headers));
    assert_eq!((out.answer().status, &out.answer().body), (answer.status, &answer.body));
}

#[test]
fn everything_passes_as_it_came_and_says_what_would_have_happened() {
    // A worker keeps its stats for its thread's life.
    for allow in [false, true] {
        let worker = std::thread::spawn(move || everything_passes(allow));
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

fn everything_passes(allow: bool) {
    let json = |body: &str| {
        Response::new(200, body)
            .header("content-type", "application/json")
            .header("access-control-allow-origin", "*")
            .header("etag", "1")
            .header("content-length", &body.len().to_string())
    };
    let success = json(r#"{"status":"success","data":[]}"#);
    let form = |body: &str| Request::form("/api/v1/query", body).header("THANOS-TENANT", "team-a");
    let foreign = json(
        r#"{"status":"success","data":{"groups":[{"name":"g","file":"f","rules":[{"labels":{"tenant_id":"team-b"},"type":"recording"}]}]}}"#,
    );
    let named = json(r#"{"status":"success","warnings":["store of team-b is down"],"data":[]}"#);
    let tenant = Some("team-a");
    let configuration = GLOBAL.replacen('{', &format!("{{\"allow_on_headers_stop_iteration\": {allow},"), 1);
    let mut envoy = envoy(&configuration).allow_on_headers_stop_iteration(allow);
    for (request, answer, tenant, head, decision) in [
        (get("/api/v1/query?query=up"), &success, tenant, "rewritten", "rewritten"),
        (get("/api/v1/query?query=up{tenant_id=\"team-a\"}"), &success, tenant, "rewritten", "rewritten"),
        (get("/-/healthy"), &success, None, "forwarded", "forwarded"),
        (form("query=up"), &success, tenant, "rewritten", "rewritten"),
        (form("query=up").split(&[1; 5]).open(), &success, tenant, "rewritten", "rewritten"),
        (form("query=up(").split(&[3]).trailer("x-a", "1"), &success, tenant, "refused:query_syntax", "refused"),
        (form("query=up&query=up"), &success, tenant, "refused:repeated_parameter", "refused"),
        (get("/api/v1/query?query=("), &success, tenant, "refused:query_syntax", "refused"),
        (get("/api//v1/query?query=("), &success, None, "refused:bad_path", "refused"),
        (get("/nothing"), &success, tenant, "refused:unknown_path", "refused"),
        (get("/api/v1/admin/tsdb/snapshot"), &success, tenant, "refused:forbidden_path", "refused"),
        (Request::get("/api/v1/query?query=up"), &success, None, "refused:no_tenant", "refused"),
        (get("/api/v1/query").header("upgrade", "websocket"), &success, None, "refused:upgrade", "refused"),
        (
            Request::get("/api/v1/rules").header("THANOS-TENANT", "other"),
            &foreign,
            Some("other"),
            "refused:tenant_not_allowed",
            "refused",
        ),
        (
            get(&format!("/api/v1/query?query={}", "up%2B".repeat(20) + "up")),
            &success,
            tenant,
            "refused:max_query_expression_size_bytes",
            "refused",
        ),
        (get("/api/v1/rules"), &foreign, tenant, "forwarded", "withheld"),
        (get("/api/v1/labels"), &named, tenant, "rewritten", "withheld"),
        (get("/api/v1/labels"), &json("no json"), tenant, "rewritten", "withheld"),
        (
            get("/api/v1/labels"),
            &Response::new(503, "gone").header("content-type", "text/plain"),
            tenant,
            "rewritten",
            "rewritten",
        ),
    ] {
        for size in [1, 100_000] {
            envoy.answer_in_chunks(size, size < 50);
            envoy.upstream_answers(answer.clone());
            let stat = |envoy: &Harness| counted(envoy, &format!("tenancy_dry_run_total;decision={decision};"));
            let before = stat(&envoy);
            let out = envoy.request(request.clone());
            assert_untouched(&request, &out, answer, tenant);
            assert_eq!(verdict(&out), head, "{request:?}");
            envoy.tick();
            assert_eq!(stat(&envoy) - before, 1, "{request:?}");
            assert!(out.trail().starts_with(&format!("dry_run:{head} ")), "{}", out.trail());
        }
    }
    assert_eq!(counted(&envoy, "tenancy_refused_total"), 0, "nothing was refused");
    assert_eq!(counted(&envoy, "tenancy_messages_withheld_total"), 0, "nothing was withheld");
    assert_eq!(counted(&envoy, "tenancy_dry_run_refused_total;reason=no_tenant;"), 2);
}

fn counted(envoy: &Harness, name: &str) -> u64 {
    let names = envoy.metric_names();
    names
        .iter()
        .filter(|other| other.starts_with(name))
        .filter_map(|name| envoy.metric(name))
        .map(|(_, value)| value)
        .sum()
}

#[test]
fn a_refusal_that_does_not_happen_has_a_line() {
    let out = envoy(GLOBAL).request(get("/api/v1/query?query=("));
    let lines: Vec<&str> = out.logs.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(
        lines,
        ["request would be refused: tenant=team-a path=/api/v1/query status=400 reason=query_syntax request_id=-"]
    );
}

#[test]
fn one_tenant_s_dry_run_is_not_another_s() {
    let mut envoy = envoy(r#"{"overrides": {"team-a": {"dry_run": true}}, "default_tenant_id": ""}"#);
    assert_eq!(verdict(&envoy.request(get("/api/v1/query?query=("))), "refused:query_syntax");
    for request in [
        Request::get("/api/v1/query?query=(").header("THANOS-TENANT", "team-b"),
        Request::get("/api/v1/query?query=("),
        Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-a").header("THANOS-TENANT", "team-b"),
    ] {
        let out = envoy.request(request);
        assert!(out.local && matches!(out.answer().status, 400 | 401), "{:?}", out.answer());
        assert_eq!(verdict(&out), "");
    }
}

#[test]
fn a_limit_of_running_queries_is_counted_and_refuses_nothing() {
    let mut envoy = envoy(r#"{"dry_run": true, "limits": {"max_concurrent_queries": 1}}"#);
    let running = envoy.open(get("/api/v1/query?query=up"));
    let second = envoy.request(get("/api/v1/query?query=up"));
    assert_eq!((second.local, verdict(&second).as_str()), (false, "refused:max_concurrent_queries"));
    envoy.close(running);
    assert_eq!(verdict(&envoy.request(get("/api/v1/query?query=up"))), "rewritten");
}

#[test]
fn a_write_over_its_bound_passes() {
    let mut envoy = envoy(
        r#"{"dry_run": true, "upstream": "thanos", "allow_writes": true, "limits": {"max_write_size_bytes": 10}}"#,
    );
    for (size, decision) in [(10, "forwarded"), (11, "refused:max_write_size_bytes")] {
        let request = Request::post("/api/v1/receive")
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("THANOS-TENANT", "team-a")
            .chunk("x".repeat(size))
            .split(&[3; 2])
            .open();
        let out = envoy.request(request.clone());
        assert_eq!(out.upstream().chunks.concat(), request.chunks.concat());
        assert_eq!(verdict(&out), decision);
    }
}

/// A body is read as far as a message may be long, and passes whole.
#[test]
fn a_body_of_any_length_passes() {
    let body = format!("query=up&x={}", "x".repeat(5 << 20));
    let form = Request::form("/api/v1/query", &body).header("THANOS-TENANT", "team-a").split(&[1 << 20; 5]);
    let out = envoy(GLOBAL).request(form);
    assert_eq!(out.upstream().chunks.concat().len(), body.len());
    assert_eq!(verdict(&out), "refused:too_large");
}

/// Whatever call of the host fails, nothing is refused, held back or cut off.
#[test]
fn a_host_that_fails_changes_nothing() {
    let calls = [
        "proxy_get_buffer_bytes",
        "proxy_replace_header_map_value",
        "proxy_add_header_map_value",
        "proxy_set_property",
        "proxy_get_property",
        "proxy_get_shared_data",
        "proxy_set_shared_data",
    ];
    for call in calls {
        let mut envoy = envoy(GLOBAL);
        envoy.fail(&[Fault { upon: Upon::Name(call), status: 1 }]);
        let form = Request::form("/api/v1/query", "query=up").header("THANOS-TENANT", "team-a").split(&[3]);
        for request in [get("/api/v1/query?query=up"), form] {
            let out = envoy.request(request.clone());
            assert!(!out.local && !out.reset && !out.hung, "{call}: {out:#?}");
            assert_eq!(out.upstream().chunks.concat(), request.chunks.concat(), "{call}");
            assert_eq!(out.answer().status, 200);
        }
    }
}

#[test]
fn a_configuration_in_dry_run_says_so_in_the_log() {
    let said = |configuration: &str| {
        let said = envoy(configuration).said;
        said.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
    };
    let line = "dry run: tenants are not isolated: nothing is enforced, for any tenant";
    assert!(said(GLOBAL).contains(line), "{}", said(GLOBAL));
    assert!(!said("{}").contains("dry run"));
}

/// Where all are in dry run but one, that one can't leave enforcement with a request that is refused before the tenant is read.
#[test]
fn an_enforced_tenant_stays_so_when_it_is_refused_early() {
    let mixed = r#"{"dry_run": true, "default_tenant_id": "", "overrides": {"team-a": {"dry_run": false}}}"#;
    let early = |tenant: &str| {
        let get = |path: &str| Request::get(path).header("THANOS-TENANT", tenant);
        [get("/api/v1/query?query=up").header("upgrade", "websocket"), get("/api/v1//query?query=up")]
    };
    let mut envoy = envoy(mixed);
    for (enforced, open) in early("team-a").into_iter().zip(early("team-b")) {
        let out = envoy.request(enforced.clone());
        assert!(out.local && verdict(&out).is_empty(), "{enforced:?}: {:?}", out.answer());
        let out = envoy.request(open.clone());
        assert!(!out.local && verdict(&out).starts_with("refused:"), "{open:?}: {:?}", out.answer());
    }
    let get = || Request::get("/api/v1/query?query=up");
    for unclear in [
        get().header("THANOS-TENANT", "team-b").header("THANOS-TENANT", "team-a"),
        get().header("THANOS-TENANT", "team-b|team-a"),
        get().header("THANOS-TENANT", "team-a").header("THANOS-TENANT", "team-a"),
    ] {
        let out = envoy.request(unclear.clone());
        assert!(out.local && verdict(&out).is_empty(), "{unclear:?}: {:?}", out.answer());
    }
    for nobody in [get(), get().header("THANOS-TENANT", ""), get().header("THANOS-TENANT", "team a")] {
        let out = envoy.request(nobody.clone());
        assert!(!out.local && verdict(&out).starts_with("refused:"), "{nobody:?}: {:?}", out.answer());
    }
}
