//! Requests of tenants that are confined to more than one label: every selector of every endpoint, and nothing that the client sends
//! widens it.

use super::*;
use crate::tenant::evidence;
use serde_json::json;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SELECTORS: &str = r#"{
    "default_tenant_id": "", "passthrough_paths": ["/graph"],
    "tenant_selectors": {"shop": "{namespace=~\"shop-.*\",cluster=\"eu\"}"},
    "enforced_labels": [
        {"label": "zone", "header": "X-Zone"},
        {"label": "env", "metadata": ["jwt", "payload", "env"]},
        {"label": "tier", "values": ["1", "2"]}
    ]
}"#;

const SCOPE: &str = r#"namespace=~"shop-.*",cluster="eu",zone="z1",env=~"dev|prod",tier=~"1|2""#;

fn claims(env: serde_json::Value) -> Vec<u8> {
    evidence::encode(&json!({"jwt": {"payload": {"env": env}}}))
}

/// A request of `shop` with a value for each label.
fn whole(request: Request) -> Request {
    request.tenant("shop").header("x-zone", "z1").label_evidence(claims(json!(["prod", "dev"])))
}

#[test]
fn every_endpoint_gains_every_matcher() {
    let config = config(SELECTORS);
    for (target, name) in [
        ("/api/v1/query?query=up", "query"),
        ("/api/v1/query_range?query=up&start=1&end=2&step=1", "query"),
        ("/api/v1/query_exemplars?query=up&start=1&end=2", "query"),
        ("/api/v1/series?match[]=up", "match[]"),
        ("/api/v1/labels?match[]=up", "match[]"),
        ("/api/v1/label/job/values?match[]=up", "match[]"),
        ("/federate?match[]=up", "match[]"),
    ] {
        let sent = whole(Request::get(target)).send(&config).unwrap();
        assert_eq!(values(&sent, name), [format!("up{{{SCOPE}}}")], "{target}");
        assert_eq!(sent.headers, [("thanos-tenant".to_owned(), "shop".to_owned())], "{target}");
        assert_eq!(sent.tenant, "shop");
    }
    for target in ["/api/v1/labels", "/api/v1/label/job/values"] {
        let sent = whole(Request::get(target)).send(&config).unwrap();
        assert_eq!(values(&sent, "match[]"), [format!("{{{SCOPE}}}")], "{target}");
    }
    let form = whole(Request::form("/api/v1/query", "query=topk(scalar(a),b)%20or%20c%7B%7D")).send(&config).unwrap();
    let query = format!("topk(scalar(a{{{SCOPE}}}),b{{{SCOPE}}}) or c{{{SCOPE}}}");
    assert_eq!(values(&form, "query"), [query]);
}

#[test]
fn what_the_query_says_about_these_labels_never_widens_it() {
    let asked = |on_conflict: &str, query: &str| {
        let json = SELECTORS.replacen('{', &format!(r#"{{"on_conflict": "{on_conflict}", "#), 1);
        let pair: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let sent = whole(Request::get(format!("/api/v1/query?query={pair}"))).send(&config(&json));
        sent.map(|sent| values(&sent, "query").remove(0)).map_err(|rejection| rejection.reason())
    };
    for own in [
        r#"namespace=~".*""#,
        r#"namespace!="""#,
        r#"namespace!~"shop-.*""#,
        r#""namespace"=~".+""#,
        r#"cluster!="eu""#,
        r#"cluster=~"eu|us""#,
        r#""cl\x75ster"="us""#,
        r#"zone=~".*",zone!="z1""#,
        r#"env="other",tier!~"1|2""#,
        r#"Cluster="us",tenant_id="other""#,
    ] {
        for on_conflict in ["replace", "intersect", "reject"] {
            match asked(on_conflict, &format!("up{{{own}}}")) {
                Ok(query) => assert!(query.starts_with(&format!("up{{{SCOPE}")), "{query}"),
                Err(reason) => assert_eq!((on_conflict, reason), ("reject", "query_conflict"), "{own}"),
            }
        }
    }
    // A label with one value is replaced. What chooses among several stays, and so does what is no label of the scope.
    let query = r#"up{namespace="shop-a",cluster="us",zone="z2",env="dev",tier=~"2",tenant_id="x"}"#;
    let kept = r#"namespace="shop-a",env="dev",tier=~"2",tenant_id="x""#;
    assert_eq!(asked("replace", query), Ok(format!("up{{{SCOPE},{kept}}}")));
    assert_eq!(asked("reject", query), Err("query_conflict"));
    for text in [r#"{a="b" or c="d"}"#, "up{} or", r#"up{namespace=~"a"} }"#] {
        assert_eq!(asked("replace", text), Err("query_syntax"), "{text}");
    }
}

#[test]
fn every_label_needs_one_clear_value_on_every_path() {
    let config = config(SELECTORS);
    for path in ["/api/v1/query?query=up", "/api/v1/rules", "/api/v1/status/buildinfo", "/graph", "/unknown"] {
        let request = || Request::get(path).tenant("shop");
        let env = || claims(json!("dev"));
        let outcomes = [
            (request().label_evidence(env()), "no_label_value"),
            (request().header("x-zone", "").label_evidence(env()), "no_label_value"),
            (request().header("x_zone", "z1").label_evidence(env()), "no_label_value"),
            (request().header("x-zone", "a").header("x-zone", "a").label_evidence(env()), "bad_label_value"),
            (request().header("x-zone", "a|b").label_evidence(env()), "bad_label_value"),
            (request().header("x-zone", b"\xff").label_evidence(env()), "bad_label_value"),
            (request().header("x-zone", "z1"), "no_label_value"),
            (request().header("x-zone", "z1").label_evidence(claims(json!(null))), "no_label_value"),
            (request().header("x-zone", "z1").label_evidence(claims(json!([]))), "no_label_value"),
            (request().header("x-zone", "z1").label_evidence(claims(json!(["a", ""]))), "no_label_value"),
            (request().header("x-zone", "z1").label_evidence(claims(json!(1))), "bad_label_value"),
            (request().header("x-zone", "z1").label_evidence(claims(json!(["a", 1]))), "bad_label_value"),
            (request().header("x-zone", "z1").label_evidence(b"\x0b"), "internal"),
            // Not verified.
            (
                request().header("x-zone", "z1").label_evidence(env()).header("x-jwt-signature-verified", "false"),
                "no_tenant",
            ),
        ];
        for (request, expected) in outcomes {
            assert_eq!(reason(&request, &config), expected, "{path} {request:?}");
        }
    }
    // Without a tenant, that is what is said.
    assert_eq!(reason(&Request::get("/api/v1/query?query=up"), &config), "no_tenant");
    // What is not JSON's is not a value: evidence of the tenant's source is none of a label.
    let other =
        Request::get("/api/v1/query?query=up").tenant("shop").header("x-zone", "z1").evidence(claims(json!("dev")));
    assert_eq!(reason(&other, &config), "no_label_value");
}

#[test]
fn headers_of_labels_are_not_forwarded() {
    let config = config(SELECTORS);
    let forward = whole(Request::get("/api/v1/query?query=up").header("x_zone", "other")).decide(&config).unwrap();
    let mut removed: Vec<&str> = forward.remove.iter().map(|name| &**name).collect();
    removed.sort_unstable();
    assert_eq!(removed, ["x-zone", "x_zone"]);
}

#[test]
fn values_are_text_whatever_they_hold() {
    let config = config(r#"{"enforced_labels": [{"label": "zone.name", "header": "X-Zone"}]}"#);
    for (value, expected) in [
        (".*", r#"".*""#),
        (r#"a"} or up{b=""#, r#""a\"} or up{b=\"""#),
        (r"\", r#""\\""#),
        ("a,tenant_id=\"b\"", r#""a,tenant_id=\"b\"""#),
        ("(?i)A", r#""(?i)A""#),
    ] {
        let request = Request::get("/api/v1/query?query=up").tenant("a").header("x-zone", value);
        let sent = request.send(&config).unwrap();
        assert_eq!(values(&sent, "query"), [format!(r#"up{{tenant_id="a","zone.name"={expected}}}"#)]);
    }
}

#[test]
fn what_is_remembered_of_one_value_is_never_another_s() {
    let config = config(SELECTORS);
    for round in 0..4 {
        for zone in ["z1", "z2", "z"] {
            for env in [json!("dev"), json!(["dev", "prod"]), json!("prod")] {
                for tenant in ["shop", "other"] {
                    let request = Request::get(format!("/api/v1/query?query=up&time={round}"))
                        .tenant(tenant)
                        .header("x-zone", zone)
                        .label_evidence(claims(env.clone()));
                    let sent = request.send(&config).unwrap();
                    let own =
                        if tenant == "shop" { r#"namespace=~"shop-.*",cluster="eu""# } else { r#"tenant_id="other""# };
                    let env = match env.as_str() {
                        Some(one) => format!(r#"env="{one}""#),
                        None => r#"env=~"dev|prod""#.to_owned(),
                    };
                    let expected = format!(r#"up{{{own},zone="{zone}",{env},tier=~"1|2"}}"#);
                    assert_eq!(values(&sent, "query"), [expected]);
                }
            }
        }
    }
}

#[test]
fn several_tenants_with_different_selectors_are_refused() {
    let json = r#"{"tenant_selectors": {"shop": "{a=\"x\"}"}, "tenant_federation": {"enabled": true}}"#;
    let config = config(json);
    for path in ["/api/v1/query?query=up", "/api/v1/rules", "/api/v1/labels"] {
        let request = Request::get(path).tenant("other|shop");
        let refused = request.decide(&config).map(drop).unwrap_err();
        assert_eq!((refused.rejection.status(), refused.rejection.reason()), (400, "bad_tenant"));
        assert!(refused.rejection.message().contains("ask for it alone"));
        assert!(Request::get(path).tenant("other|third").send(&config).is_ok());
        assert!(Request::get(path).tenant("shop").send(&config).is_ok());
    }
}

#[test]
fn shared_tenants_are_in_the_scope_and_not_in_the_name() {
    let json = r#"{"shared_tenants": ["platform"], "allowed_tenants": ["team-a"],
        "limits": {"max_selectors_per_query": 1}, "overrides": {"platform": {"max_selectors_per_query": 9}}}"#;
    let config = config(json);
    let query = |text: &str| Request::get(format!("/api/v1/query?query={text}")).tenant("team-a");
    let sent = query("up").send(&config).unwrap();
    assert_eq!(values(&sent, "query"), [r#"up{tenant_id=~"platform|team-a"}"#]);
    assert_eq!((sent.tenant.as_str(), &*sent.headers[0].1), ("team-a", "team-a"));
    // Limits are the tenant's own.
    assert_eq!(reason(&query("up%2Bup"), &config), "max_selectors_per_query");
    assert_eq!(reason(&Request::get("/api/v1/query?query=up").tenant("platform"), &config), "tenant_not_allowed");
}

#[test]
fn with_cortex_the_header_names_shared_tenants_where_the_endpoint_takes_several() {
    let config =
        config(r#"{"upstream": "cortex", "shared_tenants": ["platform"], "tenant_federation": {"enabled": true}}"#);
    for (path, expected) in [
        ("/prometheus/api/v1/query?query=up", "platform|team-a"),
        ("/prometheus/api/v1/labels", "platform|team-a"),
        ("/prometheus/api/v1/query_exemplars?query=up", "platform|team-a"),
        ("/prometheus/api/v1/rules", "team-a"),
        ("/prometheus/api/v1/alerts", "team-a"),
    ] {
        let sent = Request::get(path).tenant("team-a").send(&config).unwrap();
        assert_eq!(sent.headers, [("x-scope-orgid".to_owned(), expected.to_owned())], "{path}");
        assert_eq!(sent.tenant, "team-a", "{path}");
    }
    let several = Request::get("/prometheus/api/v1/query?query=up").tenant("team-b|team-a").send(&config).unwrap();
    assert_eq!((&*several.headers[0].1, &*several.tenant), ("platform|team-a|team-b", "team-a|team-b"));
}
