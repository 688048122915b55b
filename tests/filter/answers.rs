//! Answers on their way through the filter: read, filtered, and never passed on unread.

use crate::harness::{Fault, Harness, Outcome, Request, Response, Upon};

const UNAVAILABLE: &str =
    "the upstream answered 503 Service Unavailable: it may be starting or overloaded; try again, or ask the operator";
const INCOMPLETE: &str =
    "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's";
const GENERIC: &str = "a message of the upstream is withheld: it may name what is not this tenant's";

fn envoy(configuration: &str) -> Harness {
    Harness::new(configuration).expect("a valid configuration")
}

fn ask(envoy: &mut Harness, path: &str, answer: Response) -> Outcome {
    envoy.upstream_answers(answer);
    envoy.request(Request::get(path).header("THANOS-TENANT", "team-a"))
}

fn json(status: u16, body: &str) -> Response {
    Response::new(status, body)
        .header("content-type", "application/json")
        .header("content-length", &body.len().to_string())
}

fn rules(tenants: &[&str]) -> String {
    let rules: Vec<String> = tenants
        .iter()
        .map(|tenant| format!(r#"{{"name":"job:up:sum","query":"sum(up)","labels":{{"tenant_id":"{tenant}"}},"health":"ok","type":"recording"}}"#))
        .collect();
    format!(r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","rules":[{}]}}]}}}}"#, rules.join(","))
}

#[test]
fn rules_of_others_are_not_in_the_answer() {
    for allow in [false, true] {
        let configuration = format!(r#"{{"allow_on_headers_stop_iteration": {allow}}}"#);
        let mut envoy = envoy(&configuration).allow_on_headers_stop_iteration(allow);
        for size in [1, 7, 100_000] {
            envoy.answer_in_chunks(size, size < 50);
            let out = ask(&mut envoy, "/api/v1/rules", json(200, &rules(&["team-b", "team-a"])));
            assert_eq!(out.answer().status, 200);
            assert_eq!(out.answer().text(), rules(&["team-a"]));
            assert_eq!(out.answer().headers.get("content-length"), None);
            assert_eq!(out.answer().headers.get("cache-control").as_deref(), Some("private, no-store"));
        }
    }
}

#[test]
fn each_kind_has_its_filter() {
    let alert = |tenant: &str| format!(r#"{{"labels":{{"tenant_id":"{tenant}"}},"state":"firing"}}"#);
    let exemplar = |tenant: &str| format!(r#"{{"seriesLabels":{{"tenant_id":"{tenant}"}},"exemplars":[]}}"#);
    let success = |data: &str| format!(r#"{{"status":"success","data":{data}}}"#);
    let list = |of: &dyn Fn(&str) -> String, tenants: &[&str]| {
        tenants.iter().map(|tenant| of(tenant)).collect::<Vec<_>>().join(",")
    };
    let mut thanos = envoy(r#"{"upstream": "thanos"}"#);
    let mut prometheus = envoy("{}");
    let both = ["team-b", "team-a", "team-c"];
    let alerts = json(200, &success(&format!(r#"{{"alerts":[{}]}}"#, list(&alert, &both))));
    let out = ask(&mut prometheus, "/api/v1/alerts", alerts);
    assert_eq!(out.answer().text(), success(&format!(r#"{{"alerts":[{}]}}"#, alert("team-a"))));
    // Of Thanos, the rules are asked, since an external label stands on them only.
    let rule = |tenant: &str| format!(r#"{{"labels":{{"tenant_id":"{tenant}"}},"alerts":[{{"state":"firing"}}]}}"#);
    let rules = json(200, &success(&format!(r#"{{"groups":[{{"rules":[{}]}}]}}"#, list(&rule, &both))));
    let out = ask(&mut thanos, "/api/v1/alerts", rules);
    assert_eq!(out.upstream().headers.get(":path").as_deref(), Some("/api/v1/rules?type=alert"));
    assert_eq!(out.answer().text(), success(r#"{"alerts":[{"state":"firing"}]}"#));
    let path = "/api/v1/query_exemplars?query=up";
    // Also where `upstream` was left at its default in front of a Thanos, which drops the matcher.
    for envoy in [&mut thanos, &mut prometheus] {
        let out = ask(envoy, path, json(200, &success(&format!("[{}]", list(&exemplar, &both)))));
        assert_eq!(out.answer().text(), success(&format!("[{}]", exemplar("team-a"))));
        assert_eq!(out.upstream().query_pairs()[0].1, r#"up{tenant_id="team-a"}"#);
    }
    // Cortex isolates tenants by the header, and its series have no tenant label.
    let body = success(&format!("[{}]", exemplar("")));
    let mut cortex = envoy(r#"{"upstream": "cortex"}"#);
    assert_eq!(ask(&mut cortex, &format!("/prometheus{path}"), json(200, &body)).answer().text(), body);
}

#[test]
fn thanos_does_not_tell_which_stores_ran_a_query() {
    let mut thanos = envoy(r#"{"upstream": "thanos"}"#);
    let tree = |fanout: &str, plan: &str| {
        format!(r#"{{"name":"[aggregate] sum by ([pod])"{fanout},"children":[{{"name":"[remoteExec]{plan}"}}]}}"#)
    };
    let fanout = r#","fanout":[{"endpointAddr":"thanos-team-b:10901","series":3}]"#;
    let plan = " sum by (label_of_team_b, pod) (up) (1, 2)";
    let success = |data: &str| format!(r#"{{"status":"success","data":{data}}}"#);
    let analyzed = |tree: &str| success(&format!(r#"{{"resultType":"vector","result":[],"analysis":{tree}}}"#));
    for (path, answer) in [
        ("/api/v1/query?query=up&analyze=true", &analyzed as &dyn Fn(&str) -> String),
        ("/api/v1/query_range?query=up&analyze=true", &analyzed),
        ("/api/v1/query_explain?query=up", &success),
        ("/api/v1/query_range_explain?query=up", &success),
    ] {
        let out = ask(&mut thanos, path, json(200, &answer(&tree(fanout, plan))));
        assert_eq!(out.answer().text(), answer(&tree("", "")), "{path}");
    }
}

#[test]
fn without_enforcement_the_upstream_s_rules_are_the_tenant_s() {
    let body = rules(&["x"]);
    let mut cortex = envoy(r#"{"upstream": "cortex"}"#);
    assert_eq!(ask(&mut cortex, "/prometheus/api/v1/rules", json(200, &body)).answer().text(), body);
}

#[test]
fn parameters_that_page_or_hide_do_not_go_upstream() {
    let path = "/api/v1/rules?type=alert&file[]=f&rule_name[]=a&rule_name[]=b&exclude_alerts=true&group_limit=1&group_next_token=0a";
    let out = ask(&mut envoy("{}"), path, json(200, &rules(&["team-a"])));
    let names: Vec<String> = out.upstream().query_pairs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["type", "file[]", "rule_name[]", "rule_name[]"]);
}

#[test]
fn selectors_of_rules_gain_the_matcher_where_that_narrows() {
    let sent = |configuration: &str, query: &str| {
        let path = format!("/api/v1/rules{query}");
        let out = ask(&mut envoy(configuration), &path, json(200, &rules(&["team-a"])));
        out.upstream().query_pairs().into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    let own = r#"{tenant_id="team-a",severity="page"}"#;
    let asked = "?match[]=%7Bseverity%3D%22page%22%7D";
    assert_eq!(sent("{}", ""), Vec::<String>::new());
    assert_eq!(sent("{}", asked), [own]);
    assert_eq!(sent(r#"{"match_rules": true}"#, ""), [r#"{tenant_id="team-a"}"#]);
    assert_eq!(sent(r#"{"match_rules": true}"#, asked), [own]);
    assert_eq!(sent(r#"{"shared_rules": true}"#, ""), Vec::<String>::new());
    assert_eq!(sent(r#"{"shared_rules": true}"#, asked), [r#"{severity="page"}"#]);
    let out = ask(&mut envoy(r#"{"match_rules": true}"#), "/api/v1/alerts", json(200, r#"{"status":"success"}"#));
    assert_eq!(out.path(), "/api/v1/alerts");
}

#[test]
fn an_answer_that_will_be_read_is_asked_for_whole_and_uncompressed() {
    let headers = [
        "accept-encoding",
        "range",
        "if-none-match",
        "if-modified-since",
        "if-range",
        "if-match",
        "if-unmodified-since",
    ];
    for (path, goes) in [("/api/v1/query?query=up", true), ("/api/v1/rules", true), ("/federate", false)] {
        let mut request = Request::get(path).header("THANOS-TENANT", "team-a").header("accept", "application/json");
        for name in headers {
            request = request.header(name, "x");
        }
        let mut envoy = envoy("{}");
        envoy.upstream_answers(json(200, "{}"));
        let out = envoy.request(request);
        for name in headers {
            assert_eq!(out.upstream().headers.get(name).is_none(), goes, "{path} {name}");
        }
        assert!(out.upstream().headers.get("accept").is_some());
    }
}

#[test]
fn headers_that_say_what_no_longer_holds_go() {
    let answer = json(200, r#"{"status":"success"}"#)
        .header("etag", "\"x\"")
        .header("accept-ranges", "bytes")
        .header("x-kind", "y");
    let out = ask(&mut envoy("{}"), "/api/v1/query?query=up", answer);
    for name in ["etag", "accept-ranges", "content-length"] {
        assert_eq!(out.answer().headers.get(name), None, "{name}");
    }
    assert_eq!(out.answer().headers.get("x-kind").as_deref(), Some("y"));
    assert_eq!(out.answer().headers.get("vary").as_deref(), Some("thanos-tenant"));
}

#[test]
fn messages_of_others_do_not_stream_by() {
    let store =
        r#"receive series from Addr: thanos-b:10901 LabelSets: {tenant_id=\"team-b\"}: rpc error: code = Unavailable"#;
    let data = r#""status":"success","data":{"result":[]}"#;
    let body = format!(r#"{{{data},"warnings":["{store}","PromQL warning: x"]}}"#);
    let mut envoy = envoy("{}");
    for size in [1, 3, 50, 100_000] {
        envoy.answer_in_chunks(size, size < 50);
        let out = ask(&mut envoy, "/api/v1/query?query=up", json(200, &body));
        assert_eq!(out.answer().text(), format!(r#"{{{data},"warnings":["{INCOMPLETE}","PromQL warning: x"]}}"#));
        assert!(
            out.logs
                .iter()
                .any(|line| line.text == "messages withheld: tenant=team-a path=/api/v1/query count=1 request_id=-"),
            "{:?}",
            out.logs
        );
    }
}

#[test]
fn errors_are_read_whatever_the_path() {
    let mut thanos = envoy(r#"{"upstream": "thanos"}"#);
    for path in [
        "/api/v1/query?query=up",
        "/api/v1/rules",
        "/api/v1/query_exemplars?query=up",
        "/api/v1/status/buildinfo",
        "/-/ready",
    ] {
        let body = r#"{"status":"error","errorType":"internal","error":"error retrieving rules: proxy Rules: fetching rules from rules client thanos-b:10901"}"#;
        let out = ask(&mut thanos, path, json(500, body));
        assert_eq!(out.answer().status, 500);
        assert_eq!(out.answer().json()["error"], GENERIC, "{path}");
        // An error has no data that would have to be filtered.
        let out = ask(&mut thanos, path, json(500, &rules(&["team-b"]).replace("success", "error")));
        assert!(!out.answer().text().contains("team-b"), "{path}");
    }
}

#[test]
fn an_error_that_is_no_json_becomes_one() {
    let mut envoy = envoy("{}");
    for size in [1, 10, 100_000] {
        envoy.answer_in_chunks(size, size < 50);
        for path in ["/api/v1/query?query=up", "/api/v1/rules", "/federate", "/-/healthy"] {
            let answer = Response::new(404, "no such tenant: team-b\n".repeat(9))
                .header("content-type", "text/plain; charset=utf-8");
            let out = ask(&mut envoy, path, answer);
            assert_eq!(out.answer().status, 404);
            assert_eq!(out.answer().json()["status"], "error");
            assert_eq!(out.answer().json()["errorType"], "not_found");
            let text = out.answer().json()["error"].as_str().expect("a text").to_owned();
            assert!(text.starts_with("the upstream answered 404 Not Found: "), "{path} {text}");
            assert_eq!(out.answer().headers.get("content-type").as_deref(), Some("application/json"));
            assert_eq!(out.answer().headers.get("cache-control").as_deref(), Some("private, no-store"));
            assert_eq!(out.logs.iter().filter(|line| line.text.contains("answer")).count(), 0, "{:?}", out.logs);
            for answer in [
                Response::new(503, "team-b").header("content-type", "text/plain"),
                Response::new(503, "team-b").header("content-type", "text/plain").header("content-length", "6"),
                json(503, "\x1f team-b").header("content-encoding", "gzip"),
                json(503, "{}"),
                json(503, r#"{"message":"team-b"}"#),
                Response::new(503, ""),
            ] {
                let out = ask(&mut envoy, path, answer);
                assert_eq!((out.answer().status, &out.answer().json()["errorType"]), (503, &"unavailable".into()));
                assert_eq!(out.answer().json()["error"], UNAVAILABLE, "{path}");
                assert_eq!(out.answer().headers.get("content-encoding"), None);
                assert!(!format!("{:?}", out.answer()).contains("team-b"));
            }
        }
    }
}

/// Who has made an error is asked of the host only where the answer is one.
#[test]
fn what_the_proxy_itself_says_in_an_error_is_told() {
    const TEXT: &str = "maintenance of team-b until 12:00";
    let object = format!(r#"{{"status":"error","errorType":"unavailable","error":"{TEXT}"}}"#);
    let text = || Response::new(503, TEXT).header("content-type", "text/plain");
    let generic = Some(GENERIC);
    for (details, of_text, of_object) in [
        (None, UNAVAILABLE, generic),
        (Some("via_upstream"), UNAVAILABLE, generic),
        (Some("cache.response_from_cache_filter"), UNAVAILABLE, generic),
        (
            Some("no_healthy_upstream"),
            "the proxy answered 503 Service Unavailable: maintenance of team-b until 12:00",
            Some(TEXT),
        ),
    ] {
        let mut envoy = envoy("{}");
        if let Some(details) = details {
            envoy.property(&["response", "code_details"], details);
        }
        for path in ["/api/v1/query?query=up", "/api/v1/rules", "/federate?match[]=up"] {
            for size in [1, 100_000] {
                envoy.answer_in_chunks(size, size < 50);
                let out = ask(&mut envoy, path, text());
                assert_eq!(
                    (out.answer().status, out.answer().json()["error"].as_str()),
                    (503, Some(of_text)),
                    "{details:?}"
                );
                assert_eq!(out.answer().headers.get("content-type").as_deref(), Some("application/json"));
                assert_eq!(out.calls.get("proxy_get_property"), Some(&1));
                let out = ask(&mut envoy, path, json(503, &object));
                assert_eq!(
                    (out.answer().status, out.answer().json()["error"].as_str()),
                    (503, of_object),
                    "{details:?}"
                );
            }
        }
        // A web page, a compressed text and JSON of another shape are none of its texts.
        for answer in [
            Response::new(503, "<p>team-b").header("content-type", "text/html"),
            text().header("content-encoding", "gzip"),
            json(503, r#"{"message":"team-b"}"#),
            Response::new(503, ""),
        ] {
            let out = ask(&mut envoy, "/api/v1/query?query=up", answer);
            let told = out.answer().json()["error"].as_str().unwrap().to_owned();
            assert!(
                told.ends_with(
                    "answered 503 Service Unavailable: it may be starting or overloaded; try again, or ask the operator"
                ),
                "{told}"
            );
        }
        let out = ask(&mut envoy, "/api/v1/query?query=up", json(200, r#"{"status":"success","data":[]}"#));
        assert_eq!(out.calls.get("proxy_get_property"), None);
    }
}

/// It comes before the form is whole, and holds nothing that the form could have scoped.
#[test]
fn the_proxy_s_error_in_the_middle_of_a_form_is_told() {
    let mut envoy = envoy("{}");
    envoy.property(&["response", "code_details"], "request_overall_timeout");
    envoy.upstream_answers(Response::new(408, "request timeout").header("content-type", "text/plain"));
    let form = Request::form("/api/v1/query", "query=up").header("THANOS-TENANT", "team-a");
    let out = envoy.request(form.split(&[1]).never_ends());
    assert_eq!(out.answer().json()["error"], "the proxy answered 408 Request Timeout: request timeout");
}

#[test]
fn an_error_in_json_of_another_shape_becomes_one() {
    let mut envoy = envoy("{}");
    let object = |text: &str| format!(r#"{{"status":"error","errorType":"unavailable","error":"{text}"}}"#);
    let pad = |length: usize| format!(r#"{{"message":"{}"}}"#, "team-b ".repeat(length));
    for size in [1, 10, 100_000] {
        envoy.answer_in_chunks(size, size < 50);
        for (body, said) in [
            (pad(30), object(UNAVAILABLE)),
            (pad(1), object(UNAVAILABLE)),
            ("{}".to_owned(), object(UNAVAILABLE)),
            ("7".to_owned(), object(UNAVAILABLE)),
            (r#"{"status":"error"}"#.to_owned(), object(UNAVAILABLE)),
            (format!("[{}", "x".repeat(200)), object(UNAVAILABLE)),
            (format!(r#"{{"status":"error","error":null,"x":"{}"}}"#, "x".repeat(200)), object(UNAVAILABLE)),
            (format!(r#"{{"status":"success","error":"{}"}}"#, "x".repeat(200)), object(UNAVAILABLE)),
        ] {
            let answer = Response::new(503, &body).header("content-type", "application/json");
            let out = ask(&mut envoy, "/api/v1/query?query=up", answer);
            assert_eq!((out.answer().status, out.answer().text()), (503, said), "{body}");
        }
        let body = r#"{"status":"error","errorType":"unavailable","error":"query timed out in expression evaluation"}"#;
        assert_eq!(ask(&mut envoy, "/api/v1/query?query=up", json(503, body)).answer().text(), body);
    }
}

#[test]
fn an_error_keeps_what_says_when_or_how_to_try_again() {
    for content_type in ["text/html", "text/plain", "text/plain; charset=utf-8"] {
        keeps_what_says_when_or_how_to_try_again(content_type);
    }
}

fn keeps_what_says_when_or_how_to_try_again(content_type: &str) {
    let answer = |value: &str| {
        Response::new(429, "local_rate_limited")
            .header("content-type", content_type)
            .header("retry-after", value)
            .header("www-authenticate", "Bearer")
            .header("x-store", "team-b")
    };
    let out = ask(&mut envoy("{}"), "/api/v1/query?query=up", answer("30"));
    assert_eq!((out.answer().status, &out.answer().json()["errorType"]), (429, &"too_many_requests".into()));
    assert_eq!(out.answer().headers.get("retry-after").as_deref(), Some("30"));
    assert_eq!(out.answer().headers.get("www-authenticate").as_deref(), Some("Bearer"));
    assert_eq!(out.answer().headers.get("x-store"), None);
    assert_eq!(out.answer().headers.get("vary").as_deref(), Some("thanos-tenant"));
    let out = ask(&mut envoy("{}"), "/api/v1/query?query=up", answer(&"3".repeat(300)));
    assert_eq!(out.answer().headers.get("retry-after"), None);
}

/// As Thanos's Query Frontend says them, and Prometheus those of `/federate`.
#[test]
fn what_the_upstream_says_in_plain_text_is_told_as_far_as_it_is_told_in_json() {
    // Line breaks are sent as spaces: `sum( nope(up{tenant_id="default-tenant"}) )`.
    let query = "sum(%0A++nope(up)%0A)";
    let path = format!("/api/v1/query_range?start=0&end=9&step=1&query={query}");
    let long = "the query time range exceeds the limit (query length: 2h46m39s, limit: 1h0m0s)";
    for (text, told) in [
        (format!("{long}\n"), long),
        ("context deadline exceeded".into(), "context deadline exceeded"),
        ("cannot parse parameter dedup".into(), "cannot parse parameter dedup"),
        // The places are the client's.
        (
            r#"{"status": "error", "error": "1:6: parse error: unknown function with name "nope""}"#.into(),
            r#"2:3: parse error: unknown function with name "nope""#,
        ),
        (
            r#"{"status":"error","errorType":"bad_data","error":"1:6: parse error: unknown function with name \"nope\""}"#.into(),
            r#"2:3: parse error: unknown function with name "nope""#,
        ),
        ("the query time range exceeds the limit of team-b".into(), GATEWAY),
        (format!("{long}\nteam-b"), GATEWAY),
        (format!("{long}{}", " team-b".repeat(900)), GATEWAY),
        (r#"{"status": "error", "error": "no such tenant: team-b"}"#.into(), GATEWAY),
        (r#"{"status":"error","errorType":"bad_data","error":"no such tenant: team-b"}"#.into(), GATEWAY),
        (r#"{"status":"success","error":"context canceled","x":"team-b"}"#.into(), GATEWAY),
        (r#"{"status":"error","error":"context canceled","error":"team-b"}"#.into(), GATEWAY),
        ("team-b\u{1}".into(), GATEWAY),
        ("\"".repeat(4000), GATEWAY),
        ("{".into(), GATEWAY),
    ] {
        for size in [1, 7, 100_000] {
            let mut envoy = envoy("{}");
            envoy.answer_in_chunks(size, size < 50);
            let answer = Response::new(502, &text).header("content-type", "text/plain; charset=utf-8");
            let answer = answer.header("content-length", &text.len().to_string());
            let out = ask(&mut envoy, &path, answer);
            let error = out.answer().json();
            assert_eq!((out.answer().status, error["error"].as_str(), &error["status"]), (502, Some(told), &"error".into()));
            assert!(!out.answer().text().contains("team-b"));
            assert_eq!(out.answer().headers.get("content-type").as_deref(), Some("application/json"));
            assert!(out.answer().text().len() <= text.len() + 512);
        }
    }
    // Without a length, trailers may end it, and then there is no part left to write to.
    let mut envoy = envoy("{}");
    let out = ask(&mut envoy, &path, Response::new(502, "context canceled").header("content-type", "text/plain"));
    assert_eq!((out.answer().status, out.answer().json()["error"].as_str()), (502, Some(GATEWAY)));
    const GATEWAY: &str =
        "the upstream answered 502 Bad Gateway: what is behind it can't be reached; try again, or ask the operator";
}

#[test]
fn an_error_in_plain_text_tells_nothing_more_however_its_head_is_written() {
    let known: &[u8] = b"context canceled";
    for (content_type, other, body, is_told) in [
        ("text/plain", ("x-a", "team-b"), known, true),
        ("text/plain;charset=team-b", ("x-a", "team-b"), known, true),
        ("text/plain", ("content-encoding", "identity"), known, true),
        ("text/plain", ("content-type", "application/json"), b"context canceled team-b", false),
        ("text/plain", ("content-type", "team-b"), b"context canceled: team-b", false),
        ("text/plain", ("content-encoding", "gzip"), b"\x1f\x8b\x08team-b", false),
        ("text/plain", ("content-encoding", "gzip"), known, false),
        ("text/plain", ("content-encoding", "identity, team-b"), known, false),
        ("TEXT/PLAIN", ("x-a", "team-b"), b"team-b", false),
        (" text/plain", ("x-a", "team-b"), b"team-b", false),
        ("text/plainx", ("set-cookie", "team-b"), b"team-b", false),
        ("text/plain", ("retry-after", &"team-b".repeat(99)), b"context canceled\0team-b", false),
        ("text/plain", ("x-prometheus-store", "team-b"), b"\xffteam-b", false),
        ("text/plain", ("thanos-tenant", "team-b"), b"context canceled\xff", false),
        ("application/json", ("x-a", ""), b"\xffteam-b", false),
    ] {
        for size in [1, 3, 100_000] {
            let mut envoy = envoy("{}");
            envoy.answer_in_chunks(size, size < 50);
            let answer = Response::new(502, body).header("content-type", content_type).header(other.0, other.1);
            let answer = answer.header("content-length", &body.len().to_string());
            let out = ask(&mut envoy, "/api/v1/query?query=up", answer);
            let error = out.answer().json();
            assert_eq!((out.answer().status, &error["status"]), (502, &"error".into()), "{content_type} {other:?}");
            assert_eq!(error["error"] == "context canceled", is_told, "{content_type} {other:?}: {error}");
            let head = format!("{:?}", out.answer().headers);
            assert!(!out.answer().text().contains("team-b") && !head.contains("team-b"), "{head}");
        }
    }
}

/// `Access-Control-Allow-Origin: *` is what Thanos sends by default (`--web.disable-cors`), and Prometheus too where the browser names an origin
/// (`--web.cors.origin`).
#[test]
fn no_answer_allows_other_sites_to_read_it_or_tells_the_upstream_s_own_texts() {
    let answers = [
        json(200, r#"{"status":"success","data":{"groups":[]}}"#),
        json(400, r#"{"status":"error","errorType":"bad_data","error":"x"}"#),
        Response::new(503, "no").header("content-type", "text/plain"),
        Response::new(204, ""),
    ];
    for answer in answers {
        for (path, tells) in
            [("/api/v1/query?query=up", false), ("/api/v1/rules", false), ("/-/ready", false), ("/x", true)]
        {
            let answer = answer
                .clone()
                .header("access-control-allow-origin", "*")
                .header("access-control-allow-credentials", "true")
                .header("access-control-expose-headers", "Date")
                .header("timing-allow-origin", "*")
                .header("warning", "199 - \"store of team-b is down\"")
                .header("link", "<http://team-b:10901>; rel=next")
                .header("location", "http://team-b:10901/")
                .header("alt-svc", "h2=\"team-b:443\"");
            let out = ask(&mut envoy(r#"{"passthrough_paths": ["/x"]}"#), path, answer);
            let head = format!("{:?}", out.answer().headers);
            assert!(!head.contains("access-control") && !head.contains("timing"), "{path}: {head}");
            assert_eq!(head.contains("team-b"), tells, "{path}: {head}");
        }
    }
    // A redirection says nothing without its address.
    for body in ["", "moved"] {
        let answer = Response::new(302, body).header("content-type", "text/html").header("location", "/login");
        let out = ask(&mut envoy("{}"), "/api/v1/query?query=up", answer.header("link", "</style.css>"));
        assert_eq!(out.answer().headers.get("location").as_deref(), Some("/login"));
        assert_eq!(out.answer().headers.get("link"), None);
    }
}

#[test]
fn text_and_passthrough_go_as_they_are() {
    let mut envoy = envoy(r#"{"passthrough_paths": ["/x"]}"#);
    for path in ["/federate", "/-/healthy", "/x"] {
        let out = ask(&mut envoy, path, Response::new(200, "up 1\n").header("content-length", "5").header("etag", "x"));
        assert_eq!(out.answer().text(), "up 1\n");
        assert_eq!(out.answer().headers.get("content-length").as_deref(), Some("5"));
    }
    let out = ask(&mut envoy, "/x", json(500, r#"{"error":"team-b"}"#));
    assert_eq!(out.answer().text(), r#"{"error":"team-b"}"#);
}

#[test]
fn what_has_no_body_has_nothing_to_filter() {
    for status in [200, 204, 304] {
        let out = ask(&mut envoy("{}"), "/api/v1/rules", Response::new(status, ""));
        assert_eq!((out.answer().status, out.answer().text()), (status, String::new()));
    }
}

#[test]
fn what_is_seen_on_the_head_is_refused_there() {
    let body = rules(&["team-b"]);
    for path in ["/api/v1/rules", "/api/v1/query?query=up"] {
        for (answer, why) in [
            (Response::new(200, &body), "its content type is not the one that it should be"),
            (
                Response::new(200, &body).header("content-type", "text/html"),
                "its content type is not the one that it should be",
            ),
            (
                Response::new(200, &body).header("content-type", "application/json, text/html"),
                "its content type is not the one that it should be",
            ),
            (
                Response::new(200, &body).header("content-type", "application/x-ndjson"),
                "its content type is not the one that it should be",
            ),
            (json(200, &body).header("content-encoding", "gzip"), "it is compressed"),
            (
                json(200, &body).header("content-encoding", "identity").header("content-encoding", "br"),
                "it is compressed",
            ),
        ] {
            let out = ask(&mut envoy("{}"), path, answer);
            assert_eq!(out.answer().status, 502, "{path}");
            assert_eq!(out.answer().json()["errorType"], "internal");
            assert_eq!(
                out.answer().json()["error"],
                format!("the upstream's answer could not be filtered: {why}; ask the operator")
            );
        }
    }
    let out = ask(&mut envoy(r#"{"max_response_bytes": 20}"#), "/api/v1/rules", json(200, &body));
    assert_eq!(out.answer().status, 200, "nothing of it has to be held");
    assert_eq!(out.answer().json()["data"]["groups"], serde_json::json!([]));
}

#[test]
fn what_is_seen_in_the_body_is_refused_with_or_without_a_status() {
    let whole = rules(&["team-b", "team-a"]);
    let long = rules(&["team-b", "team-a"]).replace("sum(up)", &"up + ".repeat(60));
    for allow in [false, true] {
        let configuration = format!(r#"{{"allow_on_headers_stop_iteration": {allow}, "max_response_bytes": 300}}"#);
        let mut envoy = envoy(&configuration).allow_on_headers_stop_iteration(allow);
        for size in [1, 50, 100_000] {
            envoy.answer_in_chunks(size, size < 50);
            let chunked =
                |body: &str| Response::new(200, body).header("content-type", "application/json; charset=utf-8");
            for (answer, why) in [
                (chunked(&whole[..whole.len() - 1]), "not in the format"),
                (chunked(&(whole.clone() + "x")), "not in the format"),
                (chunked(&long), "larger than max_response_bytes"),
                (chunked(&whole).trailer("x-tenant", "team-b"), "it has trailers"),
            ] {
                let out = ask(&mut envoy, "/api/v1/rules", answer);
                if why == "it has trailers"
                    || !allow && why == "not in the format" && out.answer().text().contains("success")
                {
                    // The document was whole, and all of it had been written before anything else came.
                    assert_eq!((out.answer().status, out.answer().text()), (200, rules(&["team-a"])));
                    continue;
                }
                // What is longer than may be held back is let go before its end.
                let has_status = allow && (why != "larger than max_response_bytes" || size > long.len());
                assert_eq!(out.answer().status, if has_status { 502 } else { 200 }, "{why}");
                assert!(
                    out.answer().json()["error"].as_str().expect("an error").contains(why),
                    "{}",
                    out.answer().text()
                );
                assert!(!format!("{:?}", out.answer()).contains("team-b"));
            }
            // The error object is longer than what came.
            for short in ["team-b", "x"] {
                let out = ask(&mut envoy, "/api/v1/rules", chunked(short));
                assert_eq!(out.answer().status, if allow { 502 } else { 200 });
                assert!(out.answer().json()["error"].as_str().expect("an error").contains("not in the format"));
            }
        }
    }
}

#[test]
fn trailers_do_not_carry_names() {
    let body = r#"{"status":"success","data":[]}"#;
    let out = ask(&mut envoy("{}"), "/api/v1/query?query=up", json(200, body).trailer("x-store", "team-b"));
    assert_eq!(out.answer().text(), body);
    assert_eq!(out.answer().trailers.len(), 0);
    let out = ask(&mut envoy("{}"), "/api/v1/query?query=up", json(200, &body[..20]).trailer("x-store", "team-b"));
    assert_eq!(out.answer().text(), body[..19], "a comma waits for what it parts");
    assert_eq!(out.answer().trailers.len(), 0);
}

#[test]
fn a_group_of_which_a_part_was_asked_for_does_not_say_how_long_all_of_it_took() {
    let body = |time: &str| rules(&["team-a"]).replace(r#""file""#, &format!(r#""evaluationTime":{time},"file""#));
    for (query, time) in [("", "0.25"), ("?unknown=1", "0.25"), ("?type=alert", "0"), ("?rule_name[]=x", "0")] {
        let out = ask(&mut envoy("{}"), &format!("/api/v1/rules{query}"), json(200, &body("0.25")));
        assert_eq!(out.answer().text(), body(time), "{query}");
    }
    let out = ask(&mut envoy(r#"{"match_rules": true}"#), "/api/v1/rules", json(200, &body("0.25")));
    assert_eq!(out.answer().text(), body("0"));
}

#[test]
fn whatever_host_call_fails_nothing_unread_goes_on() {
    let store = r#"receive series from Addr: thanos-b:10901 LabelSets: {tenant_id=\"team-b\"}"#;
    let warned = format!(r#"{{"status":"success","data":[],"warnings":["{store}"]}}"#);
    let text = Response::new(500, "no such tenant: team-b").header("content-type", "text/plain");
    for allow in [false, true] {
        let configuration = format!(r#"{{"allow_on_headers_stop_iteration": {allow}}}"#);
        for (path, answer) in [
            ("/api/v1/rules", json(200, &rules(&["team-b", "team-a"]))),
            ("/api/v1/rules", json(200, &rules(&["team-b"])[..70]).trailer("x", "team-b")),
            ("/api/v1/query?query=up", json(200, &warned).trailer("x", "team-b")),
            ("/api/v1/query?query=up", text.clone()),
        ] {
            let mut envoy = envoy(&configuration).allow_on_headers_stop_iteration(allow);
            envoy.answer_in_chunks(40, true);
            let calls = ask(&mut envoy, path, answer.clone()).decisive();
            for nth in 0..calls {
                for status in [1, 2, 10, 999] {
                    for upon in [Upon::Nth(nth), Upon::From(nth)] {
                        envoy.fail(&[Fault { upon, status }]);
                        let out = ask(&mut envoy, path, answer.clone());
                        let seen = format!("{:?}", out.response.as_ref().map(Response::text));
                        assert!(!seen.contains("team-b"), "call {nth}: {out:#?}");
                    }
                }
            }
            envoy.heal();
            assert_eq!(ask(&mut envoy, path, answer).decisive(), calls, "a fault leaves nothing behind");
        }
    }
}

/// With the form, the tenant's matcher is missing: Prometheus's `labels` answers for every tenant when it gives up on a
/// slow form (observed with Prometheus 3.15).
#[test]
fn an_answer_before_the_form_is_whole_is_not_passed_on() {
    let secret = r#"{"status":"success","data":["label_of_team_b"]}"#;
    let slow =
        || Request::form("/api/v1/labels", "start=1&end=2").split(&[4]).header("THANOS-TENANT", "team-a").never_ends();
    let whole_but_for_its_end = || slow().open();
    for allow in [false, true] {
        let mut envoy = envoy("{}").allow_on_headers_stop_iteration(allow);
        for request in [slow(), whole_but_for_its_end(), slow().trailer("a", "b")] {
            for status in [200, 204, 304, 302] {
                envoy.upstream_answers(json(status, secret));
                let out = envoy.request(request.clone());
                assert_eq!(out.answer().status, 502, "{status}");
                assert!(!out.answer().text().contains("label_of_team_b"), "{status}");
            }
            for status in [400, 408, 503] {
                envoy.upstream_answers(json(status, secret));
                let out = envoy.request(request.clone());
                assert_eq!(out.answer().status, status);
                assert!(!out.answer().text().contains("label_of_team_b"), "{status}");
            }
        }
        // A GET's answer is made from the URL, which is whole; its end may come late.
        envoy.upstream_answers(json(200, secret));
        let get = Request::get("/api/v1/labels").header("THANOS-TENANT", "team-a").open().never_ends();
        assert_eq!(envoy.request(get).answer().status, 200);
    }
}

/// In the URL and in a form, whatever else is asked for.
#[test]
fn places_in_messages_are_those_of_the_client_s_query() {
    const QUERY: &str = "query=up%0A%23+a+comment%0A++%2B+nope(down)";
    let error = |place: &str| {
        let error =
            format!(r#"invalid parameter \"query\": {place}: parse error: unknown function with name \"nope\""#);
        format!(r#"{{"status":"error","errorType":"bad_data","error":"{error}"}}"#)
    };
    let warnings = |first: &str, second: &str| {
        format!(
            r#"{{"status":"success","data":{{}},"warnings":["PromQL warning: x ({first})"],"infos":["PromQL info: y ({second})"]}}"#
        )
    };
    let requests = [
        Request::get(format!("/api/v1/query?{QUERY}")),
        Request::form("/api/v1/query", QUERY),
        Request::form("/api/v1/query?query=other", format!("time=1&{QUERY}")),
        Request::get(format!("/api/v1/query_range?start=1&end=2&step=1&{QUERY}")),
    ];
    for config in ["{}", r#"{"upstream": "thanos"}"#, r#"{"limits": {"max_query_length": "1h"}}"#] {
        let mut envoy = envoy(config);
        for request in &requests {
            for size in [1, 7, 100_000] {
                envoy.answer_in_chunks(size, false);
                envoy.upstream_answers(json(400, &error("1:26")));
                let out = envoy.request(request.clone().header("THANOS-TENANT", "team-a"));
                assert_eq!((out.answer().status, out.answer().text()), (400, error("3:5")), "{config}");
                envoy.upstream_answers(json(200, &warnings("1:1", "1:31")));
                let out = envoy.request(request.clone().header("THANOS-TENANT", "team-a"));
                assert_eq!(out.answer().text(), warnings("1:1", "3:10"), "{config}");
            }
        }
        // A query that is too long to be kept has no places, rather than wrong ones.
        let long = format!("{QUERY}%20%2B%20{}", "a".repeat(20_000));
        envoy.upstream_answers(json(200, &warnings("1:1", "1:31")));
        let out = envoy.request(Request::form("/api/v1/query", &long).header("THANOS-TENANT", "team-a"));
        assert_eq!(out.answer().text(), warnings("", "").replace(" ()", ""));
        // Of several selectors, the message doesn't say which.
        let error = |place: &str| {
            format!(
                r#"{{"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": {place}parse error: x"}}"#
            )
        };
        let out = ask(&mut envoy, "/api/v1/series?match[]=a&match[]=b", json(400, &error("1:22: ")));
        assert_eq!(out.answer().text(), error(""));
    }
    // What is forwarded as it is has its own places.
    let mut unchanged = envoy(r#"{"enforce_tenancy": false}"#);
    unchanged.upstream_answers(json(400, &error("3:5")));
    let out = unchanged.request(requests[0].clone().header("THANOS-TENANT", "team-a"));
    assert_eq!(out.answer().text(), error("3:5"));
}
