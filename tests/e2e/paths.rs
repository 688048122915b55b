//! Paths, methods and parameters: a path that is not in normal form or not known is refused, and nothing is forwarded unread.

use crate::support::edges;
use crate::support::envoy::Setup;
use crate::support::http::{Request, raw, raw_answered};
use crate::support::{envoys, recorded, stub, unique};
use serde_json::json;

/// Paths that some servers read as `/api/v1/query`, or as a similar path.
const UNUSUAL: &[&str] = &[
    "/api/v1//query",
    "//api/v1/query",
    "/api/v1/query/",
    "/api/v1/query/.",
    "/api/v1/./query",
    "/api/v1/../v1/query",
    "/api/v1/targets/../query",
    "/api/v1/query/../targets",
    "/api/v1/query/..",
    "/api/v1/%2e%2e/v1/query",
    "/api/v1/%2E/query",
    "/api/v1/query/%2e%2e/targets",
    "/api/v1/query%2f..%2ftargets",
    "/api%2Fv1%2Fquery",
    "/api/v1/query%2f",
    "/api/v1/%71uery",
    "/api/v1/%2571uery",
    "/api/v1/query%3fquery=up",
    "/api/v1/query%00",
    "/api/v1/query%0a",
    "/api/v1/query%",
    "/api/v1/query%zz",
    "/api/v1/query;x=1",
    "/api/v1/query;/../targets",
    "/api/v1/..;/admin/tsdb/snapshot",
    "/..;/api/v1/query",
    "/api/v1\\query",
    "/api/v1/query\\..\\targets",
    "/api/v1/%5cquery",
    "/API/V1/QUERY",
    "/api/v1/Query",
    "/api/v1/query.json",
    "/api/v1/query~",
    "/prometheus/api/v1/query",
    "/api/v1/label//values",
    "/api/v1/label/../values",
    "/api/v1/label/%2e%2e/values",
    "/api/v1/label/a%2fb/values",
    "/api/v1/label/a/b/values",
    "/api/v1/label/%252e%252e%252f/values",
    "/api/v1/label/job/values/",
    "/federate/",
    "/-/healthy/../reload",
    "/-//healthy",
];

/// Query strings that Go's `net/url` and other readers split differently.
const QUERY_STRINGS: &[&str] = &[
    "query=up&query=down",
    "query=up&%71uery=down",
    "query=up;query=down",
    "query=up%3Bquery&x;y=1",
    "query=%zz",
    "query=up&x=%",
    "query=up&time=1&time=2",
    "query=up&time=1%20or",
    "query=up&limit=ten",
    "query=up%00",
    "query=%ff",
];

fn get(target: &str) -> Request {
    Request::get(target).tenant("team-a")
}

#[test]
fn path_in_another_form_is_refused() {
    for path in UNUSUAL {
        for target in [format!("{path}?query=up"), path.to_string()] {
            for outcome in edges::send_http1(&get(&target)) {
                let status = outcome.answer.status;
                assert!(matches!(status, 400 | 403 | 404), "{}: {status}", outcome.way);
                outcome.refused(status);
            }
        }
    }
}

#[test]
fn path_in_another_form_is_refused_over_http2() {
    // The client writes no backslash.
    for path in UNUSUAL.iter().filter(|path| !path.contains('\\')) {
        for outcome in edges::send_h2(&get(path)) {
            let status = outcome.answer.status;
            assert!(matches!(status, 400 | 403 | 404), "{}: {status}", outcome.way);
            outcome.refused(status);
        }
    }
}

#[test]
fn fragment_is_refused() {
    for target in ["/api/v1/query?query=up#fragment", "/api/v1/query#?query=up", "/api/v1/query?query=up%23#"] {
        for outcome in edges::send_http1(&get(target)) {
            outcome.refused(400);
        }
    }
}

/// The absolute form of the request line, as for proxies: Envoy converts it to a path, and the path counts.
#[test]
fn absolute_target_is_read_as_its_path() {
    for outcome in edges::send_http1(&get("http://localhost/api/v1/query?query=up")) {
        assert_eq!(outcome.forwarded("team-a").path(), "/api/v1/query");
    }
    for outcome in edges::send_http1(&get("http://localhost/api/v1/targets")) {
        outcome.refused(403);
    }
    for target in [
        "http://localhost/api/v1/../v1/query?query=up",
        "http://localhost//api/v1/query?query=up",
        "http://localhost",
        "*",
        "api/v1/query?query=up",
        "ftp://localhost/api/v1/query?query=up",
    ] {
        for outcome in edges::send_http1(&get(target)) {
            let status = outcome.answer.status;
            assert!(matches!(status, 400 | 404), "{}: {status}", outcome.way);
            outcome.refused(status);
        }
    }
}

#[test]
fn label_s_name_is_encoded_again() {
    for (label, sent) in [
        ("job", "job"),
        ("U__http_2e_method", "U__http_2e_method"),
        ("a%3fb", "a%3Fb"),
        ("%6aob", "job"),
        ("%C3%BC", "%C3%BC"),
        ("..;", "..%3B"),
    ] {
        for outcome in edges::send(&get(&format!("/api/v1/label/{label}/values"))) {
            assert_eq!(outcome.forwarded("team-a").path(), format!("/api/v1/label/{sent}/values"));
        }
    }
}

#[test]
fn health_checks_reach_the_upstream_without_a_tenant() {
    for method in ["GET", "HEAD"] {
        for path in ["/-/healthy", "/-/ready"] {
            // Nobody, or whoever: none of them is a tenant to the upstream.
            for request in [
                Request::new(method, path),
                Request::new(method, path).tenant("team-b").header("x-scope-orgid", "team-b"),
                Request::new(method, path).tenant(""),
            ] {
                for envoy in envoys() {
                    let id = unique();
                    let request = request.clone().header("x-e2e-id", &id);
                    let [answer] = raw_answered(envoy.port(), &request.encode(), 1).try_into().unwrap();
                    assert_eq!(answer.status, 200, "{method} {path}");
                    let [seen] = &stub().seen(&id)[..] else { panic!("{method} {path}") };
                    assert_eq!((seen.method.as_str(), seen.path()), (method, path));
                    assert!(seen.all("thanos-tenant").is_empty() && seen.all("x-scope-orgid").is_empty(), "{path}");
                }
            }
        }
    }
}

#[test]
fn unlisted_methods_are_refused() {
    let methods = ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "PROPFIND", "get", "Post"];
    std::thread::scope(|scope| {
        for (method, envoy) in methods.iter().flat_map(|method| envoys().iter().map(move |envoy| (method, envoy))) {
            let port = envoy.port();
            for target in ["/api/v1/query?query=up", "/api/v1/labels", "/api/v1/status/buildinfo"] {
                scope.spawn(move || {
                    let id = unique();
                    let request = Request::new(method, target).tenant("team-a").header("x-e2e-id", &id).encode();
                    let [answer] = raw_answered(port, &request, 1).try_into().unwrap();
                    assert!(matches!(answer.status, 400 | 405), "{method} {target}: {answer:?}");
                    assert!(stub().seen(&id).is_empty(), "{method} {target}");
                });
            }
        }
    });
    for method in ["HEAD", "PUT", "OPTIONS", "TRACE", "BREW"] {
        for outcome in edges::send_h2(&Request::new(method, "/api/v1/query?query=up").tenant("team-a")) {
            outcome.refused(405);
        }
    }
}

#[test]
fn connections_are_not_upgraded() {
    for envoy in envoys() {
        for upgrade in ["websocket", "connect-udp", "tcp", "h2c"] {
            let id = unique();
            let request = get("/api/v1/query?query=up")
                .header("connection", "upgrade, http2-settings")
                .header("upgrade", upgrade)
                .header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .header("x-e2e-id", &id);
            let answers = raw(envoy.port(), &request.encode());
            // Envoy takes h2c's headers away and serves the request as it is.
            match upgrade {
                "h2c" => assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 400)), "{answers:?}"),
                _ => assert!(
                    answers.iter().all(|answer| matches!(answer.status, 400 | 403 | 404)),
                    "{upgrade}: {answers:?}"
                ),
            }
            assert_eq!(answers.len(), 1, "{upgrade}: {answers:?}");
            stub().seen(&id).iter().for_each(|seen| seen.assert_scoped("team-a"));
        }
        for target in ["localhost:9090", "/api/v1/query?query=up", "http://localhost/api/v1/query?query=up"] {
            let id = unique();
            let request = Request::new("CONNECT", target).tenant("team-a").header("x-e2e-id", &id);
            for answer in raw(envoy.port(), &request.encode()) {
                assert!(matches!(answer.status, 400 | 403 | 404 | 405), "{target}: {answer:?}");
            }
            assert!(stub().seen(&id).is_empty(), "{target}");
        }
    }
    for outcome in edges::send_h2(&Request::new("CONNECT", "localhost:9090").tenant("team-a")) {
        assert!(matches!(outcome.answer.status, 0 | 400 | 403 | 404 | 405) && outcome.seen.is_empty(), "{outcome:?}");
    }
}

#[test]
fn ambiguous_query_strings_and_forms_are_refused() {
    for query in QUERY_STRINGS {
        for request in [get(&format!("/api/v1/query?{query}")), Request::post("/api/v1/query", query).tenant("team-a")]
        {
            for outcome in edges::send(&request) {
                outcome.refused(400);
            }
        }
    }
}

#[test]
fn unknown_parameters_are_dropped() {
    let asked = "query=up&match[]=x&match%5B%5D=%7B%7D&Query=x&query[]=x&%20query=x&extra_filters=%7B%7D&extra_label=tenant_id=team-b&dedup=false&storeMatch[]=x&=x&x";
    for request in [get(&format!("/api/v1/query?{asked}")), Request::post("/api/v1/query", asked).tenant("team-a")] {
        for outcome in edges::send(&request) {
            let seen = outcome.forwarded("team-a");
            let pairs = [seen.query(), seen.form()].concat();
            assert_eq!(pairs, [("query".to_owned(), "up{tenant_id=\"team-a\"}".to_owned())], "{}", outcome.way);
        }
    }
    let selectors = "mat%63h%5b%5d=up&match=x&include_metadata=true&query=x";
    for outcome in edges::send(&get(&format!("/api/v1/search/metric_names?{selectors}"))) {
        let pairs = outcome.forwarded("team-a").query();
        assert_eq!(pairs, [("match[]".to_owned(), "up{tenant_id=\"team-a\"}".to_owned())]);
    }
}

#[test]
fn what_is_read_is_written_again() {
    // Spaces, plus signs and escapes of any kind arrive as one encoding.
    let asked = "query=up%7bjob%3d'a+b'%7D%20%2b%201&&time=1.5";
    for outcome in edges::send(&get(&format!("/api/v1/query?{asked}"))) {
        let seen = outcome.forwarded("team-a");
        let query = &seen.query()[0].1;
        assert!(
            query.starts_with("up{tenant_id=")
                && query.contains("job=")
                && query.contains("a b")
                && query.ends_with("+ 1"),
            "{query}"
        );
        assert!(!seen.target.contains('\'') && !seen.target.contains("&&"), "{}", seen.target);
    }
}

#[test]
fn prefixes_and_passthrough_paths_are_literal() {
    let keys = json!({"path_prefixes": ["/prometheus", "/prometheus/eu"], "passthrough_paths": ["/graph"]});
    let envoy = Setup::shipped(stub().port).plugin(keys).start("envoy-prefixes");
    let send = |request: Request| {
        let id = unique();
        (request.header("x-e2e-id", &id).send(envoy.port()).status, stub().seen(&id))
    };
    for path in ["/prometheus/api/v1/query", "/prometheus/eu/api/v1/query"] {
        let (status, seen) = send(get(&format!("{path}?query=up")));
        let [seen] = seen.try_into().unwrap();
        seen.assert_scoped("team-a");
        assert_eq!((status, seen.path()), (200, path));
    }
    for path in [
        "/api/v1/query",
        "/prometheus//api/v1/query",
        "/prometheus/us/api/v1/query",
        "/prometheusapi/v1/query",
        "/graph/",
        "/graph/x",
        "/prometheus/graph",
    ] {
        let (status, seen) = send(get(&format!("{path}?query=up")));
        assert!(matches!(status, 400 | 404) && seen.is_empty(), "{path}");
    }
    // These paths are not rewritten, as configured, but have the tenant header like all others.
    let (status, seen) = send(get("/graph?g0.expr=up").header("x-scope-orgid", "team-b"));
    let [seen] = seen.try_into().unwrap();
    seen.assert_scoped("team-a");
    assert_eq!((status, seen.target.as_str()), (200, "/graph?g0.expr=up"));
    assert_eq!(send(Request::get("/graph")).0, 401);
}

#[test]
fn request_target_that_is_none_is_refused() {
    for line in [
        "GET  HTTP/1.1",
        "GET /api/v1/query?query=up",
        "GET /api/v1/query?query=a b HTTP/1.1",
        "GET /api/v1/query?query=up HTTP/1.0x",
        " GET /api/v1/query HTTP/1.1",
    ] {
        let id = unique();
        let request = format!(
            "{line}\r\nhost: localhost\r\nthanos-tenant: team-a\r\nx-e2e-id: {id}\r\nconnection: close\r\n\r\n"
        );
        for answer in raw(recorded().port(), request.as_bytes()) {
            assert!(matches!(answer.status, 400 | 426), "{line}: {answer:?}");
        }
        assert!(stub().seen(&id).is_empty(), "{line}");
    }
}
