//! `federation_label`: what a request of several tenants becomes, and where nothing changes.

use super::*;
use crate::go::form;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn federated(more: &str) -> Worker {
    config(&format!(r#"{{"tenant_federation": {{"enabled": true}}, "federation_label": true{more}}}"#))
}

fn get(path: &str, name: &str, value: &str) -> Request {
    let mut target = format!("{path}?").into_bytes();
    form::append(&mut target, name.as_bytes(), value.as_bytes());
    Request::get(String::from_utf8(target).unwrap().replace("?&", "?"))
}

const QUERY: &str = r#"sum by (__tenant_id__) (m{__tenant_id__="a",tenant_id="x"})"#;

#[test]
fn queries_and_selectors_of_several_tenants_have_stored_names() {
    let config = federated("");
    for path in ["/api/v1/query", "/api/v1/query_range", "/api/v1/query_exemplars"] {
        let sent = get(path, "query", QUERY).tenant("b|a").send(&config).unwrap();
        let stored = r#"sum by (tenant_id) (m{tenant_id=~"a|b",tenant_id="a",original___tenant_id__="x"})"#;
        assert_eq!(values(&sent, "query"), [stored], "{path}");
    }
    for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/job/values", "/api/v1/search/label_names"] {
        let sent = get(path, "match[]", r#"{__tenant_id__!="b"}"#).tenant("a|b").send(&config).unwrap();
        assert_eq!(values(&sent, "match[]"), [r#"{tenant_id=~"a|b",tenant_id!="b"}"#], "{path}");
    }
    let form = form_of("query", QUERY);
    let sent = Request::form("/api/v1/query", &form).tenant("a|b").send(&config).unwrap();
    assert!(values(&sent, "query")[0].starts_with("sum by (tenant_id)"));
}

fn form_of(name: &str, value: &str) -> String {
    let mut out = Vec::new();
    form::append(&mut out, name.as_bytes(), value.as_bytes());
    String::from_utf8(out).unwrap()
}

#[test]
fn one_tenant_sees_no_change() {
    let plain = config(r#"{"tenant_federation": {"enabled": true}}"#);
    for tenant in ["a", "a|a"] {
        for request in
            [get("/api/v1/query", "query", QUERY), get("/api/v1/series", "match[]", r#"{__tenant_id__="a"}"#)]
        {
            let [with, without] =
                [&federated(""), &plain].map(|config| request.clone().tenant(tenant).send(config).unwrap());
            assert_eq!(with, without);
        }
        let sent = Request::get("/api/v1/label/__tenant_id__/values").tenant(tenant).send(&federated("")).unwrap();
        assert!(sent.path.starts_with("/api/v1/label/__tenant_id__/values?"), "{}", sent.path);
    }
}

/// Text, messages of Protocol Buffers and gRPC keep the stored names, in what is asked and in what is answered.
#[test]
fn what_can_t_be_exact_is_not_renamed() {
    let sent = get("/federate", "match[]", r#"{__tenant_id__="x",tenant_id="a"}"#).tenant("a|b").send(&federated(""));
    assert_eq!(values(&sent.unwrap(), "match[]"), [r#"{tenant_id=~"a|b",__tenant_id__="x",tenant_id="a"}"#]);
    for path in ["/api/v1/format_query", "/api/v1/parse_query"] {
        let sent = get(path, "query", QUERY).tenant("a|b").send(&federated("")).unwrap();
        assert_eq!(values(&sent, "query"), [QUERY]);
    }
}

#[test]
fn shared_tenants_and_views_are_several() {
    let shared = federated(r#", "shared_tenants": ["platform"]"#);
    let sent = get("/api/v1/query", "query", r#"m{__tenant_id__="platform"}"#).tenant("a").send(&shared).unwrap();
    assert_eq!(values(&sent, "query"), [r#"m{tenant_id=~"a|platform",tenant_id="platform"}"#]);
    let sent = get("/api/v1/query", "query", r#"m{__tenant_id__="a"}"#).tenant("platform").send(&shared).unwrap();
    assert_eq!(values(&sent, "query"), [r#"m{tenant_id="platform",__tenant_id__="a"}"#]);
    let view = config(r#"{"static_tenant_ids": ["ops"], "tenant_regex": "a|b", "federation_label": true}"#);
    let sent = get("/api/v1/query", "query", r#"m{__tenant_id__="a"}"#).send(&view).unwrap();
    assert_eq!(values(&sent, "query"), [r#"m{tenant_id=~"a|b",tenant_id!="",tenant_id="a"}"#]);
    // Which tenants a pattern matches is the upstream's to say.
    let sent = Request::get("/api/v1/label/__tenant_id__/values").send(&view).unwrap();
    assert!(sent.path.starts_with("/api/v1/label/tenant_id/values?"), "{}", sent.path);
}

#[test]
fn the_label_in_the_path_is_renamed() {
    for (asked, sent) in [
        ("tenant_id", "original___tenant_id__"),
        ("original___tenant_id__", "__tenant_id__"),
        ("job", "job"),
        ("tenant%5Fid", "original___tenant_id__"),
        ("a%25b", "a%25b"),
    ] {
        let path = format!("/api/v1/label/{asked}/values");
        let found = Request::get(&path).tenant("a|b").send(&federated("")).unwrap();
        assert!(found.path.starts_with(&format!("/api/v1/label/{sent}/values?")), "{}", found.path);
    }
    let other = federated(r#", "tenant_label_name": "team/é %x""#);
    let view = other.renaming(&other.tenants(b"a|b").unwrap()).unwrap();
    assert_eq!(&*view.stored(b"__tenant_id__").unwrap().text, "team/é %x");
    let named = federated(r#", "tenant_label_name": "team é""#);
    let found = get("/api/v1/label/__tenant_id__/values", "match[]", r#"{__tenant_id__=~"\\pL"}"#);
    let found = found.tenant("a|b").send(&named).unwrap();
    assert!(found.path.starts_with("/api/v1/label/team%20%C3%A9/values?"), "{}", found.path);
}

fn named(query: &str) -> String {
    let request = Request::get(format!("/api/v1/label/__tenant_id__/values{query}")).tenant("team-b|team-a|c");
    let reply = request.outcome(&federated("")).unwrap().unwrap_err();
    assert_eq!((reply.status, reply.tenant.as_deref(), reply.reason), (200, Some("c|team-a|team-b"), "tenants_named"));
    String::from_utf8(reply.body).unwrap()
}

#[test]
fn the_federation_label_s_values_are_the_tenants_that_are_selected() {
    let data = |ids: &str| format!(r#"{{"status":"success","data":[{ids}]}}"#);
    assert_eq!(named(""), data(r#""c","team-a","team-b""#));
    let selected = |selectors: &[&str]| {
        let query: String = selectors.iter().map(|selector| form_of("match[]", selector) + "&").collect();
        named(&format!("?{query}start=1&end=2"))
    };
    // Other matchers are not looked at, as in Cortex.
    assert_eq!(selected(&[r#"m{job="x"}"#]), data(r#""c","team-a","team-b""#));
    assert_eq!(selected(&[r#"m{__tenant_id__=~"team-.*",job="x"}"#]), data(r#""team-a","team-b""#));
    assert_eq!(selected(&[r#"{__tenant_id__=~"team-.*",__tenant_id__!="team-a"}"#]), data(r#""team-b""#));
    assert_eq!(selected(&[r#"{__tenant_id__="c"}"#, r#"{__tenant_id__="team-a"}"#]), data(r#""c","team-a""#));
    assert_eq!(selected(&[r#"{__tenant_id__="nobody"}"#]), data(""));
    // What the client calls `tenant_id` is another label.
    assert_eq!(selected(&[r#"{tenant_id="c"}"#]), data(r#""c","team-a","team-b""#));
    let cut = r#"{"status":"success","data":["c","team-a"],"warnings":["results truncated due to limit"]}"#;
    assert_eq!(named("?limit=2"), cut);
    assert_eq!(named("?limit=0"), data(r#""c","team-a","team-b""#));
    // What is refused elsewhere is refused here.
    let bad = get("/api/v1/label/__tenant_id__/values", "match[]", "{").tenant("a|b");
    assert_eq!(reason(&bad, &federated("")), "query_syntax");
}

#[test]
fn parameters_that_name_labels_have_stored_names() {
    let thanos = federated(r#", "upstream": "thanos""#);
    let with = |name: &str, value: &str| get("/api/v1/query", name, value).tenant("a|b");
    for label in ["__tenant_id__", " tenant_id", "a,tenant_id"] {
        assert_eq!(reason(&with("replicaLabels[]", label), &thanos), "bad_parameter", "{label}");
    }
    let sent = with("replicaLabels[]", "tenant_id").send(&thanos).unwrap();
    assert_eq!(values(&sent, "replicaLabels[]"), ["original___tenant_id__"]);
    assert_eq!(reason(&with("shard_info", r#"{"labels":["tenant_id"]}"#), &thanos), "bad_parameter");
    let search =
        get("/api/v1/search/label_values", "label", "__tenant_id__").tenant("a|b").send(&federated("")).unwrap();
    assert_eq!(values(&search, "label"), ["tenant_id"]);
}

#[test]
fn a_name_that_can_t_be_exchanged_is_refused_with_the_configuration() {
    for (json, problem) in [
        (r#"{"federation_label": "tenant_id"}"#, "is the name of the tenant label already"),
        (r#"{"federation_label": "x", "tenant_label_name": "original_x"}"#, "is the name of the tenant label already"),
        (r#"{"federation_label": "le"}"#, "PromQL gives one of the two names a meaning"),
        (r#"{"federation_label": true, "tenant_label_name": "job"}"#, "PromQL gives one of the two names a meaning"),
        (r#"{"federation_label": "__name__"}"#, "is the metric's name"),
        (r#"{"federation_label": ""}"#, "a label needs a name"),
        (r#"{"federation_label": 1}"#, "expected"),
        (r#"{"federation_label": true, "enforce_tenancy": false}"#, "has no effect while enforce_tenancy is false"),
        (r#"{"federation_label": true, "upstream": "cortex"}"#, "has no effect while enforce_tenancy is false"),
    ] {
        let error = Config::parse(json.as_bytes()).unwrap_err();
        assert_eq!(error.path, "federation_label");
        assert!(error.to_string().contains(problem), "{json}: {error}");
    }
    for json in [r#"{"federation_label": false}"#, r#"{"federation_label": "team", "tenant_label_name": "t"}"#] {
        Config::parse(json.as_bytes()).unwrap();
    }
}

/// An endpoint that is added has to be decided on.
#[test]
fn every_row_says_where_its_labels_stand_or_has_none() {
    let mut without: Vec<&str> = crate::api::TABLE
        .iter()
        .filter(|route| route.renames_labels() && route.shape().is_none())
        .map(|route| route.handler)
        .collect();
    without.dedup();
    let expected =
        ["query_explain", "query_range_explain", "label_values", "search_metric_names", "search_label_values"];
    assert_eq!(without, expected);
}
