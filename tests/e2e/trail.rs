//! What a request leaves behind: the line in the access log, the tag in the trace, and the filter's line in Envoy's log.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::Request;
use crate::support::identities::{client, through_tls};
use crate::support::{stub, unique};
use serde_json::{Value, json};

/// The access log's line of the request with this ID.
fn logged(envoy: &Envoy, id: &str) -> Value {
    let find = || {
        let log = envoy.process().log();
        let lines = log.lines().filter(|line| line.starts_with('{'));
        lines.filter_map(|line| serde_json::from_str(line).ok()).find(|line: &Value| line["request_id"] == id)
    };
    envoy.process().wait_until(|| find().is_some());
    find().unwrap()
}

/// The filter's line about the request with this ID.
fn refusal(envoy: &Envoy, id: &str) -> String {
    let find = || {
        let log = envoy.process().log();
        log.lines().find(|line| line.contains("request refused: ") && line.contains(id)).map(str::to_owned)
    };
    envoy.process().wait_until(|| find().is_some());
    find().unwrap()
}

/// Lets clients choose the request's ID, so that a test finds its own.
fn known_by_id(setup: Setup) -> Setup {
    setup.replace(
        "use_remote_address: true\n",
        "use_remote_address: true\n          preserve_external_request_id: true\n",
    )
}

#[test]
fn access_log_says_who_was_identified_and_what_was_decided() {
    let setup = || known_by_id(Setup::example("mtls.yaml", stub().port));
    let envoy = setup().start("envoy-trail-mtls");
    let port = through_tls(envoy.port(), Some(&client("/O=team-a/CN=x")));
    let nobody = through_tls(envoy.port(), Some(&client("/CN=x")));
    let form = |query: &str| Request::post("/api/v1/query_range", query);
    for (port, request, tenant, tenancy) in [
        (port, Request::get("/api/v1/query?query=up"), json!("team-a"), "forwarded query team-a"),
        (port, form("query=up"), json!("team-a"), "forwarded query_range team-a"),
        (port, form("query=up%7B"), json!("team-a"), "refused:query_syntax query_range team-a"),
        (port, Request::get("/api/v1/targets"), json!("team-a"), "refused:forbidden_path targets team-a"),
        (port, Request::get("/nothing"), json!("team-a"), "refused:unknown_path - team-a"),
        (nobody, Request::get("/api/v1/query?query=up"), json!(null), "refused:no_tenant query -"),
    ] {
        let id = unique();
        request.tenant("team-b").header("x-request-id", &id).send(port);
        let line = logged(&envoy, &id);
        assert_eq!((&line["tenant"], &line["tenancy"]), (&tenant, &json!(tenancy)), "{line}");
        assert!(!line.to_string().contains("team-b"), "{line}");
    }
}

#[test]
fn log_has_one_line_a_refusal_without_the_query() {
    let envoy = known_by_id(Setup::shipped(stub().port)).start("envoy-trail");
    let id = unique();
    Request::post("/api/v1/query?time=1", "query=secret%7B")
        .tenant("team-a")
        .header("x-request-id", &id)
        .send(envoy.port());
    let line = refusal(&envoy, &id);
    let expected =
        format!("request refused: tenant=team-a path=/api/v1/query status=400 reason=query_syntax request_id={id}");
    assert!(line.ends_with(&expected), "{line}");
    let passed = unique();
    Request::get("/api/v1/query?query=secret").tenant("team-a").header("x-request-id", &passed).send(envoy.port());
    logged(&envoy, &passed);
    assert!(!envoy.process().log().contains("secret"));
}

#[test]
fn log_holds_queries_where_the_operator_wants_them() {
    let setup = known_by_id(Setup::shipped(stub().port)).plugin(json!({"log_queries": true}));
    let envoy = setup.start("envoy-trail-queries");
    let id = unique();
    Request::post("/api/v1/query", "query=secret%7B").tenant("team-a").header("x-request-id", &id).send(envoy.port());
    assert!(refusal(&envoy, &id).ends_with(&format!("request_id={id} query=query=secret%7B")));
}

#[test]
fn log_is_not_flooded_by_refusals() {
    let envoy = known_by_id(Setup::shipped(stub().port)).start("envoy-trail-flood");
    let refused = || Request::get("/nothing").tenant("team-a").send(envoy.port());
    for _ in 0..200 {
        assert_eq!(refused().status, 404);
    }
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let id = unique();
    Request::get("/nothing").tenant("team-a").header("x-request-id", &id).send(envoy.port());
    let last = refusal(&envoy, &id);
    let log = envoy.process().log();
    let written = log.lines().filter(|line| line.contains("request refused: ")).count();
    let suppressed: usize = log
        .split(" suppressed=")
        .skip(1)
        .map(|rest| rest.split_whitespace().next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert_eq!(written + suppressed, 201, "each is written or counted");
    assert!(suppressed > 0 && last.contains("suppressed="), "{last}");
}

#[test]
fn each_span_has_its_tenant() {
    let provider = "          tracing:
            random_sampling: { value: 100 }
            provider:
              name: envoy.tracers.zipkin
              typed_config:
                \"@type\": type.googleapis.com/envoy.config.trace.v3.ZipkinConfig
                collector_cluster: prometheus
                collector_endpoint: /api/v2/spans
                collector_endpoint_version: HTTP_JSON\n";
    let envoy = Setup::shipped(stub().port).replace("          tracing:\n", provider).start("envoy-trail-spans");
    let span = |request: Request| {
        let agent = unique();
        request.header("user-agent", &agent).send(envoy.port());
        let find = || {
            // All spans of a flush come in one list.
            let lists = stub().bodies("/api/v2/spans");
            let mut spans = lists.iter().flat_map(|list| serde_json::from_slice::<Vec<Value>>(list).unwrap());
            spans.find(|span| span["tags"]["user_agent"] == agent.as_str())
        };
        envoy.process().wait_until(|| find().is_some());
        find().unwrap()["tags"]["tenant"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        span(Request::get("/api/v1/query?query=up").tenant("team-a").header("x-scope-orgid", "team-b")),
        "team-a"
    );
    assert_eq!(span(Request::get("/nothing").tenant("team-a")), "team-a");
    assert_eq!(span(Request::get("/nothing").tenant("team-a").tenant("team-b")), "-");
    assert_eq!(span(Request::get("/nothing").tenant("team-b|team-c")), "-");
}
