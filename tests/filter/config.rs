//! The configuration as the proxy hands it over: taken, or refused with key and reason in the log.

use crate::harness::{Fault, Harness, Request, Upon};

/// The level of the log's errors.
const ERROR: u32 = 4;

fn refusal(configuration: impl AsRef<[u8]>) -> String {
    let logs = Harness::new(configuration).err().expect("the configuration is refused");
    assert_eq!(logs.len(), 1, "one clear line: {logs:?}");
    assert_eq!(logs[0].level, ERROR);
    logs[0].text.clone()
}

#[test]
fn no_configuration_is_the_defaults() {
    for configuration in ["", "{}", " {} \n"] {
        let out = Harness::new(configuration).unwrap().request(Request::get("/api/v1/query?query=up"));
        assert_eq!(out.upstream().headers.get("thanos-tenant").as_deref(), Some("default-tenant"));
    }
}

#[test]
fn accepted_configuration_is_one_line_that_names_the_version() {
    let envoy = Harness::new("{}").unwrap();
    let lines: Vec<_> = envoy.said.iter().map(|line| line.text.as_str()).collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(lines, [format!("promql-tenancy-filter {version}: configuration accepted")]);
}

#[test]
fn a_setting_without_effect_is_named_once_for_each_configuration() {
    let idle = |ids: std::ops::Range<u32>| {
        let overrides = ids.map(|id| format!(r#""team-{id}": {{}}"#)).collect::<Vec<_>>();
        format!(r#"{{"allowed_tenants": ["Team-1"], "overrides": {{{}}}}}"#, overrides.join(","))
    };
    let named = |envoy: &Harness| -> Vec<String> {
        let lines = envoy.said.iter().filter(|line| line.text.starts_with("setting without effect: "));
        lines.inspect(|line| assert_eq!(line.level, ERROR)).map(|line| line.text.clone()).collect()
    };
    let mut envoy = Harness::new(idle(1..2)).unwrap();
    let line = "setting without effect: overrides.team-1: has no effect: the tenant is not served, but Team-1 is";
    assert_eq!(named(&envoy), [line]);
    // As each further worker sees it.
    envoy.reload(idle(1..2)).unwrap();
    assert_eq!(named(&envoy), [""; 0]);
    envoy.reload(idle(100..1_000)).unwrap();
    let lines = named(&envoy);
    assert_eq!(lines.len(), 21);
    assert_eq!(lines[20], "setting without effect: 880 more, which tenancyctl check names");
}

#[test]
fn refusal_names_the_key() {
    for (configuration, key) in [
        (r#"{"tenant_haeder": "x"}"#, "tenant_haeder"),
        (r#"{"tenant_header": 7}"#, "tenant_header"),
        (r#"{"tenant_header": "no spaces"}"#, "tenant_header"),
        (r#"{"tenant_label_name": ""}"#, "tenant_label_name"),
        (r#"{"on_conflict": "ask"}"#, "on_conflict"),
        (r#"{"tenant_federation": {"max_tenants": -1}}"#, "tenant_federation.max_tenants"),
        (r#"{"passthrough_paths": ["/ok", "/"]}"#, "passthrough_paths"),
    ] {
        let line = refusal(configuration);
        assert!(line.starts_with(&format!("configuration refused: {key}")), "{configuration}: {line}");
        assert!(line.len() > "configuration refused: : ".len() + key.len(), "a reason is given: {line}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for configuration in [
        &b"no json"[..],
        b"\n\x0e\n\x01a\x12\t\x1a\x01b",
        b"[]",
        b"7",
        b"null",
        b"{",
        b"{}{}",
        b"\xff",
        b"{\"tenant_header\": \"\xff\"}",
    ] {
        let line = refusal(configuration);
        assert!(line.starts_with("configuration refused: "), "{line}");
        assert_eq!(line.contains("google.protobuf.Struct, use a StringValue"), configuration[0] == b'\n', "{line}");
    }
}

#[test]
fn stream_without_a_configuration_refuses() {
    let out = Harness::unconfigured().request(Request::get("/api/v1/query?query=up").header("THANOS-TENANT", "team-a"));
    assert_eq!(out.refused(500).json()["errorType"], "internal");
    assert!(out.sent.headers.is_none());
}

#[test]
fn configuration_that_cannot_be_read_is_refused() {
    let mut envoy = Harness::unconfigured();
    for status in [1, 2, 7, 10, 12, 999, u32::MAX] {
        envoy.fail(&[Fault { upon: Upon::Name("proxy_get_buffer_bytes"), status }]);
        let logs = envoy.reload(r#"{"tenant_header": "x-team"}"#).unwrap_err();
        assert!(logs[0].text.starts_with("configuration refused: "), "{logs:?}");
    }
    envoy.heal();
    envoy.reload(r#"{"tenant_header": "x-team"}"#).unwrap();
}

#[test]
fn reload_changes_new_streams_only() {
    let mut envoy = Harness::new(r#"{"default_tenant_id": "one"}"#).unwrap();
    let before = envoy.open(Request::get("/api/v1/query?query=up"));
    envoy.reload(r#"{"default_tenant_id": "two"}"#).unwrap();
    let tenant = |out: crate::harness::Outcome| out.upstream().headers.get("thanos-tenant");
    assert_eq!(tenant(envoy.close(before)).as_deref(), Some("one"));
    assert_eq!(tenant(envoy.request(Request::get("/api/v1/query?query=up"))).as_deref(), Some("two"));
    assert!(envoy.reload(r#"{"default_tenant_id": 3}"#).is_err());
    assert_eq!(tenant(envoy.request(Request::get("/api/v1/query?query=up"))).as_deref(), Some("two"));
}
