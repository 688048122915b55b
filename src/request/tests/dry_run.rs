//! Dry run for all but some: who is enforced, whatever a request says of itself.

use super::*;
use crate::tenant::evidence::encode;
use serde_json::json;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const QUERY: &str = "/api/v1/query?query=up";

/// `a` is enforced, and nobody else is.
fn mixed(keys: &str) -> Worker {
    config(&format!(r#"{{"dry_run": true, "overrides": {{"a": {{"dry_run": false}}}}, {keys}}}"#))
}

#[test]
fn a_claim_counts_where_the_request_is_refused_before_it_is_read() {
    let config = mixed(r#""tenant_metadata": ["n", "roles"]"#);
    let early = |roles: serde_json::Value| {
        let evidence = encode(&json!({"n": {"roles": roles}}));
        let get = |target: &str| Request::get(target).evidence(&evidence);
        [get(QUERY).header("upgrade", "x"), get("/api/v1//query?query=up"), get(QUERY)]
            .map(|it| it.is_in_dry_run(&config))
    };
    assert_eq!(early(json!("a")), [false; 3]);
    assert_eq!(early(json!("b")), [true; 3]);
    // It is no list of one: it may be `a`'s.
    assert_eq!(early(json!(["a", "b"])), [false; 3]);
    assert_eq!(early(json!(["a", "b c"])), [false; 3]);
    assert_eq!(early(json!(["b", "c"])), [true; 3]);
    for unreadable in [json!("a|b"), json!(["a|b"]), json!(1)] {
        assert_eq!(early(unreadable.clone()), [false; 3], "{unreadable}");
    }
    assert!(Request::get(QUERY).evidence(encode(&json!({}))).is_in_dry_run(&config), "nobody");
}

#[test]
fn who_may_choose_an_enforced_tenant_is_enforced_until_another_is_chosen() {
    let config = mixed(r#""tenant_path": "/t/", "tenant_metadata": ["n", "roles"]"#);
    let asks = |roles: &[&str], target: &str| {
        let evidence = encode(&json!({"n": {"roles": roles}}));
        Request::get(target).evidence(evidence).is_in_dry_run(&config)
    };
    for (roles, target, is_dry) in [
        (&["a", "b"][..], "/t/a/api/v1/query?query=up", false),
        (&["a", "b"], "/t/b/api/v1/query?query=up", true),
        (&["a", "b"], QUERY, false),
        (&["b", "c"], QUERY, true),
        (&["a"], QUERY, false),
        (&["a"], "/t/b/api/v1/query?query=up", false),
        (&["b"], "/t/a/api/v1/query?query=up", true),
        (&["b"], "/t//api/v1/query?query=up", false),
    ] {
        assert_eq!(asks(roles, target), is_dry, "{roles:?} {target}");
    }
}

#[test]
fn a_parameter_or_header_that_is_unclear_may_be_an_enforced_tenant_s() {
    let by_parameter = mixed(r#""tenant_parameter": "namespace""#);
    let by_header = mixed(r#""default_tenant_id": """#);
    for (request, config, is_dry) in [
        (Request::get("/api/v1/query?query=up&namespace=a").header("upgrade", "x"), &by_parameter, false),
        (Request::get("/api/v1/query?query=up&namespace=b").header("upgrade", "x"), &by_parameter, true),
        (Request::get("/api/v1/query?query=up&namespace=b&namespace=a"), &by_parameter, false),
        (Request::get("/api/v1//query?query=up&namespace=a"), &by_parameter, false),
        (Request::get(QUERY), &by_parameter, true),
        (Request::get(QUERY).tenant("b").header("thanos-tenant", "a"), &by_header, false),
        (Request::get(QUERY).tenant("a|b c"), &by_header, false),
        (Request::get(QUERY).tenant("b c"), &by_header, true),
        (Request::get(QUERY), &by_header, true),
    ] {
        assert_eq!(request.is_in_dry_run(config), is_dry, "{:?}", request.headers);
    }
}
