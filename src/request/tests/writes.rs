//! Writes: forwarded unread, with exactly one tenant.

use super::*;

const RECEIVE: &str = r#"{"upstream": "thanos", "allow_writes": true, "tenant_federation": {"enabled": true}}"#;
const CORTEX: &str = r#"{"upstream": "cortex", "allow_writes": true, "tenant_federation": {"enabled": true}}"#;
const TWO: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn post(path: &str, tenant: &str) -> Request {
    Request::new("POST", path).tenant(tenant).body("samples")
}

fn write(path: &str) -> Request {
    post(path, "team-a").header("content-type", "application/x-protobuf")
}

fn forward(request: &Request, json: &str) -> Forward {
    request.decide(&config(json)).map_err(|refused| refused.rejection).unwrap()
}

fn refused(request: &Request, json: &str) -> Rejection {
    request.decide(&config(json)).map(drop).unwrap_err().rejection
}

#[test]
fn a_write_is_forwarded_unread_with_one_tenant() {
    for (json, header, paths) in [
        (RECEIVE, "thanos-tenant", &["/api/v1/receive", "/api/v1/otlp"][..]),
        (
            CORTEX,
            "x-scope-orgid",
            &[
                "/api/v1/push",
                "/api/v1/otlp/v1/metrics",
                "/otlp/v1/metrics",
                "/api/v1/push/influx/write?db=d&precision=ns&rp=r&bucket=b",
                "/prometheus/push",
                "/api/prom/push",
            ],
        ),
    ] {
        for path in paths {
            let forward = forward(&write(path), json);
            assert_eq!(forward.tenant.as_deref(), Some("team-a"));
            assert_eq!(forward.path, None, "{path}");
            assert!(matches!(forward.body, BodyPlan::Untouched), "{path}");
            let naming: Vec<_> = forward.set.iter().filter(|(name, _)| &**name == header).collect();
            assert_eq!(naming.len(), 1);
            assert_eq!(&*naming[0].1, "team-a");
            // What no write knows is not passed on.
            let longer = forward_of_longer(path, json);
            assert_eq!(longer.path.as_deref().map(String::from_utf8_lossy).as_deref(), Some(*path));
        }
    }
}

fn forward_of_longer(path: &str, json: &str) -> Forward {
    let separator = if path.contains('?') { '&' } else { '?' };
    forward(&write(&format!("{path}{separator}extra=1")), json)
}

#[test]
fn several_tenants_and_views_are_refused_for_good() {
    for (path, json) in [("/api/v1/receive", RECEIVE), ("/api/v1/push", CORTEX)] {
        let rejection = refused(&post(path, "team-a|team-b"), json);
        assert_eq!((rejection.status(), rejection.reason()), (400, "bad_tenant"));
        assert_eq!(rejection.message(), "a write needs exactly one tenant, and several are named: name one");
        assert!(post(path, "team-a|team-a").decide(&config(json)).is_ok());
    }
    let view =
        r#"{"upstream": "thanos", "allow_writes": true, "static_tenant_ids": ["ops"], "tenant_regex": "team-.*"}"#;
    assert_eq!(refused(&write("/api/v1/receive"), view).reason(), "bad_tenant");
}

#[test]
fn shared_tenants_are_not_written_to() {
    let sharing = r#"{"upstream": "cortex", "allow_writes": true, "shared_tenants": ["platform"], "tenant_federation": {"enabled": true}}"#;
    let forward = forward(&write("/api/v1/push"), sharing);
    let header = forward.set.iter().find(|(name, _)| &**name == "x-scope-orgid").map(|(_, value)| &**value);
    assert_eq!(header, Some("team-a"));
    // Nor is what is passed through asked for them: it may answer for one tenant only.
    let passing = r#"{"upstream": "cortex", "passthrough_paths": ["/config/v1/rules"], "shared_tenants": ["platform"],
        "tenant_federation": {"enabled": true}}"#;
    let sent = Request::get("/config/v1/rules").tenant("team-a").send(&config(passing)).unwrap();
    assert_eq!(sent.headers, [("x-scope-orgid".to_owned(), "team-a".to_owned())]);
}

/// What a tenant writes under the labels of another would be read as the other's.
#[test]
fn what_reads_are_confined_to_has_to_bind_writes_too() {
    for (json, key) in [
        (r#"{"upstream": "thanos", "allow_writes": true, "tenant_selectors": {"a": "{ns=\"a\"}"}}"#, "allow_writes"),
        (
            r#"{"upstream": "thanos", "allow_writes": true, "enforced_labels": [{"label": "ns", "header": "X-Ns"}]}"#,
            "allow_writes",
        ),
        (r#"{"upstream": "cortex", "allow_writes": true, "enforce_tenancy": true}"#, "allow_writes"),
        (r#"{"upstream": "thanos", "enable_grpc": true, "tenant_parameter": "t"}"#, "enable_grpc"),
        (r#"{"passthrough_paths": ["/thanos.Store/Series"]}"#, "passthrough_paths[0]"),
        (r#"{"passthrough_paths": ["/x/thanos.Query/Query"]}"#, "passthrough_paths[0]"),
        (r#"{"forward_tenant_header": "X-Forwarded-Prefix"}"#, "forward_tenant_header"),
        (r#"{"forward_tenant_header": "THANOS-REPLICA"}"#, "forward_tenant_header"),
        (r#"{"forward_tenant_header": "grpc-encoding"}"#, "forward_tenant_header"),
    ] {
        assert_eq!(Config::parse(json.as_bytes()).unwrap_err().path, key, "{json}");
    }
}

#[test]
fn writes_are_off_until_allowed_and_never_go_to_prometheus() {
    for path in ["/api/v1/receive", "/api/v1/otlp"] {
        assert_eq!(refused(&write(path), r#"{"upstream": "thanos"}"#).reason(), "forbidden_path");
    }
    assert!(refused(&write("/api/v1/push"), r#"{"upstream": "cortex"}"#).message().contains("allow_writes"));
    for path in ["/api/v1/write", "/api/v1/otlp/v1/metrics"] {
        let rejection = refused(&write(path), r#"{"allow_writes": true}"#);
        assert_eq!(rejection.status(), 403);
        assert!(rejection.message().contains("write to Thanos Receive, Cortex or Mimir"), "{}", rejection.message());
    }
    let in_body = r#"{"upstream": "thanos", "allow_writes": true, "write_tenant_in_body": true}"#;
    for path in ["/api/v1/receive", "/api/v1/otlp"] {
        assert!(refused(&write(path), in_body).message().contains("write_tenant_in_body"));
    }
    assert_eq!(refused(&Request::get("/api/v1/receive").tenant("team-a"), RECEIVE).status(), 405);
}

#[test]
fn the_version_is_read_as_the_receiver_reads_it_and_written_anew() {
    let both = r#"{"upstream": "cortex", "allow_writes": true}"#;
    let sent = |content_type: Option<&str>, json: &str| {
        let request = post("/api/v1/push", "team-a");
        let request = match content_type {
            Some(value) => request.header("content-type", value),
            None => request,
        };
        request.decide(&config(json)).map_err(|refused| refused.rejection).map(|forward| {
            let set = forward.set.iter().find(|(name, _)| &**name == "content-type");
            set.map(|(_, value)| value.to_string()).unwrap()
        })
    };
    for one in [
        None,
        Some("application/x-protobuf"),
        Some("Application/X-Protobuf; charset=utf-8"),
        Some("application/x-protobuf;proto=prometheus.WriteRequest"),
    ] {
        assert_eq!(sent(one, both).unwrap(), "application/x-protobuf", "{one:?}");
    }
    for two in [
        TWO,
        "application/x-protobuf; proto=\"io.prometheus.write.v2.Request\"",
        "application/x-protobuf;PROTO=io.prometheus.write.v2.Request;",
    ] {
        assert_eq!(sent(Some(two), both).unwrap(), TWO, "{two}");
    }
    for other in [
        "",
        "application/json",
        "application/x-protobuf;proto=io.prometheus.write.v3.Request",
        "application/x-protobuf;proto",
        "application/x-protobuf;proto=prometheus.WriteRequest;proto=io.prometheus.write.v2.Request",
        "application/x-protobuf,application/json",
    ] {
        assert_eq!(sent(Some(other), both).unwrap_err().status(), 415, "{other}");
    }
    let one_only = r#"{"upstream": "cortex", "allow_writes": true, "remote_write_versions": ["1.0"]}"#;
    let rejection = sent(Some(TWO), one_only).unwrap_err();
    assert_eq!((rejection.status(), rejection.reason()), (415, "write_version"));
    // What Receive would answer 200 to, and store nothing of.
    assert_eq!(refused(&post("/api/v1/receive", "a").header("content-type", TWO), RECEIVE).status(), 415);
    let newer = r#"{"upstream": "thanos", "allow_writes": true, "remote_write_versions": ["1.0", "2.0"]}"#;
    assert!(post("/api/v1/receive", "a").header("content-type", TWO).decide(&config(newer)).is_ok());
    let twice = post("/api/v1/push", "a").header("content-type", TWO).header("content-type", "application/x-protobuf");
    assert_eq!(refused(&twice, both).status(), 415);
    // Other protocols have their own types.
    for content_type in ["application/json", "application/x-protobuf", "text/plain"] {
        let request = post("/otlp/v1/metrics", "a").header("content-type", content_type);
        let forward = forward(&request, both);
        assert!(!forward.set.iter().any(|(name, _)| &**name == "content-type"));
        assert!(!forward.remove.iter().any(|name| &**name == "content-type"));
    }
}

#[test]
fn what_decides_on_a_write_is_removed_and_what_describes_it_stays() {
    let request = write("/api/v1/receive")
        .header("thanos-replica", "1")
        .header("Thanos_Replica", "1")
        .header("x-mimir-skiplabelcountvalidation", "true")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .header("content-length", "7");
    let forward = forward(&request, RECEIVE);
    let mut removed: Vec<String> = forward.remove.iter().map(|name| name.to_ascii_lowercase()).collect();
    removed.sort();
    for name in ["thanos-replica", "thanos_replica", "x-mimir-skiplabelcountvalidation"] {
        assert!(removed.iter().any(|removed| removed == name), "{removed:?}");
    }
    for name in ["content-encoding", "x-prometheus-remote-write-version", "content-length"] {
        assert!(!removed.iter().any(|removed| removed == name), "{removed:?}");
    }
}

#[test]
fn limits_of_writes_are_the_tenant_s_own() {
    let limited = |limits: &str| {
        format!(
            r#"{{"upstream": "thanos", "allow_writes": true, "limits": {{{limits}}}, "overrides": {{"team-b": {{"max_write_size_bytes": 100}}}}}}"#
        )
    };
    let size = limited(r#""max_write_size_bytes": 10"#);
    let rejection = refused(&write("/api/v1/receive").header("content-length", "11"), &size);
    assert_eq!((rejection.status(), rejection.reason()), (413, "max_write_size_bytes"));
    assert!(matches!(
        forward(&write("/api/v1/receive").header("content-length", "10"), &size).body,
        BodyPlan::Bounded(10)
    ));
    let other = post("/api/v1/receive", "team-b").header("content-length", "100");
    assert!(matches!(forward(&other, &size).body, BodyPlan::Bounded(100)));
    let at_once = limited(r#""max_concurrent_writes": 2, "max_concurrent_queries": 5"#);
    assert_eq!(forward(&write("/api/v1/receive"), &at_once).concurrency, [("\0team-a".into(), 2)]);
    assert_eq!(Rejection::Limit { limit: crate::limits::Limit::ConcurrentWrites, asked: 2, allowed: 2 }.status(), 429);
    // Limits on queries say nothing of writes, nor the other way round.
    let queries = limited(r#""max_query_length": "1h", "max_concurrent_queries": 1"#);
    assert!(forward(&write("/api/v1/receive"), &queries).concurrency.is_empty());
    let query = Request::get("/api/v1/query?query=up").tenant("team-a");
    assert!(forward(&query, &limited(r#""max_concurrent_writes": 1"#)).concurrency.is_empty());
}
