//! What a configuration may say about scopes, and what it makes of them.

use super::super::Config;
use crate::tenant::Clues;
use serde_json::{Value, json};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn parse(json: &Value) -> Result<Config, (String, String)> {
    Config::parse(json.to_string().as_bytes()).map_err(|error| (error.path, error.message))
}

#[track_caller]
fn refused(json: Value, path: &str, message: &str) {
    let (found, reason) = parse(&json).map(drop).expect_err(&json.to_string());
    assert!(found == path && reason.contains(message), "{json}: {found}: {reason}");
}

/// What these tenants are confined to.
#[track_caller]
fn scope(json: Value, tenants: &str) -> String {
    let config = parse(&json).unwrap();
    let tenants = match config.source() {
        crate::tenant::Source::Static(tenants) => tenants.clone(),
        _ => config.tenants(tenants.as_bytes()).unwrap(),
    };
    config.scope_of(&tenants).selector()
}

fn selector(selector: &str) -> Value {
    json!({"tenant_selectors": {"shop": selector}})
}

#[test]
fn a_selector_takes_the_place_of_the_label() {
    for (text, expected) in [
        (r#"{namespace=~"shop-.*",cluster="eu"}"#, r#"{namespace=~"shop-.*",cluster="eu"}"#),
        (r#" { namespace !~ 'a|b' , namespace != "" , } "#, r#"{namespace!~"a|b",namespace!=""}"#),
        // The same texts in other spellings.
        (r#"{"http.code"="\x41\u00e9\"", `x`=~`a\.b`}"#, r#"{"http.code"="Aé\"",x=~"a\\.b"}"#),
        ("{a='x'} # a comment", r#"{a="x"}"#),
        (r#"{a="x",a!="y",b=~"(?i)z+"}"#, r#"{a="x",a!="y",b=~"(?i)z+"}"#),
        (r#"{tenant_id=~"platform|shop"}"#, r#"{tenant_id=~"platform|shop"}"#),
    ] {
        assert_eq!(scope(selector(text), "shop"), expected, "{text}");
        assert_eq!(scope(selector(text), "other"), r#"{tenant_id="other"}"#);
    }
}

#[test]
fn a_selector_that_shows_too_much_or_can_t_be_read_is_refused() {
    for (text, message) in [
        ("{}", "no matcher"),
        ("", "parse error"),
        (r#"{a="x""#, "parse error"),
        (r#"{a="x"} or {b="y"}"#, "parse error"),
        (r#"{a="x" or b="y"}"#, "parse error"),
        (r#"{a="x"}[5m]"#, "parse error"),
        (r#"{a="x"} offset 5m"#, "parse error"),
        (r#"sum({a="x"})"#, "parse error"),
        (r#"{a=x}"#, "parse error"),
        ("up", "metric's name"),
        (r#"up{a="x"}"#, "metric's name"),
        (r#"{"up",a="x"}"#, "metric's name"),
        (r#"{__name__="up",a="x"}"#, "metric's name"),
        (r#"{a=""}"#, "none of these labels"),
        (r#"{a!="x"}"#, "none of these labels"),
        (r#"{a=~".*"}"#, "none of these labels"),
        (r#"{a=~"x|"}"#, "none of these labels"),
        (r#"{a!~"x.*",b!="y"}"#, "none of these labels"),
        (r#"{a=~"\\pL+"}"#, "can't run the pattern of a"),
        (r#"{a="x",b=~"\\pL+"}"#, "can't run the pattern of b"),
        (r#"{a=~"x)|(y"}"#, "can't run the pattern of a"),
        (r#"{a=~"x{1000}{1000}"}"#, "can't run the pattern of a"),
        (r#"{a="\xff"}"#, "not UTF-8"),
        (r#"{"\xff"="a"}"#, "not UTF-8"),
        ("{a=\"\u{fffd}\"}", "parse error"),
        (r#"{a="\ufffd"}"#, "not UTF-8"),
        (r#"{__query__="up"}"#, "run its value as a query"),
    ] {
        refused(selector(text), "tenant_selectors.shop", message);
    }
    let many: Vec<String> = (0..65).map(|number| format!("l{number}=\"x\"")).collect();
    refused(selector(&format!("{{{}}}", many.join(","))), "tenant_selectors.shop", "more than 64");
    assert!(parse(&selector(&format!("{{{}}}", many[..64].join(",")))).is_ok());
    let mut with_label = selector(&format!("{{{}}}", many[..64].join(",")));
    with_label["enforced_labels"] = json!([{"label": "x", "values": ["y"]}]);
    refused(with_label, "tenant_selectors.shop", "more than 64");
    refused(selector(&format!("{{a=\"{}\"}}", "x".repeat(16_384))), "tenant_selectors.shop", "16384 bytes");
    refused(json!({"tenant_selectors": {"a|b": "{a=\"x\"}"}}), "tenant_selectors.a|b", "can't hold a |");
    refused(json!({"tenant_selectors": {"": "{a=\"x\"}"}}), "tenant_selectors.", "empty");
    refused(json!({"tenant_selectors": {"a": 1}}), "tenant_selectors.a", "a string");
    refused(json!({"tenant_selectors": ["a"]}), "tenant_selectors", "an object");
    let twice = Config::parse(br#"{"tenant_selectors": {"a": "{a=\"x\"}", "b": "{b=\"x\"}", "a": "{a=\"y\"}"}}"#);
    assert_eq!(twice.unwrap_err().path, "tenant_selectors.a");
}

#[test]
fn labels_stand_behind_the_tenant_s_matchers() {
    let labels = json!([
        {"label": "env", "values": ["staging", "prod"]},
        {"label": "a.b", "values": ["x\"|y"]},
    ]);
    let written = r#"env=~"prod|staging","a.b"="x\"|y"}"#;
    let with = |mut json: Value| {
        json["enforced_labels"] = labels.clone();
        json
    };
    for (json, tenants, expected) in [
        (json!({}), "a", r#"{tenant_id="a","#),
        (selector(r#"{namespace!~"x.*",env!=""}"#), "shop", r#"{namespace!~"x.*",env!="","#),
        (json!({"tenant_federation": {"enabled": true}}), "b|a", r#"{tenant_id=~"a|b","#),
        (json!({"static_tenant_ids": ["ops"], "tenant_regex": "t.*"}), "", r#"{tenant_id=~"t.*",tenant_id!="","#),
        (json!({"shared_tenants": ["platform"]}), "a", r#"{tenant_id=~"a|platform","#),
    ] {
        assert_eq!(scope(with(json), tenants), format!("{expected}{written}"));
    }
}

#[test]
fn a_label_has_exactly_one_source_and_stands_in_the_list_once() {
    let one = |label: Value| json!({"enforced_labels": [label]});
    let path = "enforced_labels[0]";
    refused(one(json!({"label": "a"})), path, "exactly one of");
    refused(one(json!({"header": "x"})), path, "needs a label");
    refused(one(json!({"label": "a", "header": "x", "values": ["b"]})), path, "exactly one of");
    refused(one(json!({"label": "a", "header": "x", "metadata": ["b", "c"]})), path, "exactly one of");
    refused(one(json!({"label": "tenant_id", "header": "x"})), path, "enforced already");
    for (label, message) in
        [("", "needs a name"), ("__name__", "metric's name"), ("__query__", "run its value"), (" a", "no space")]
    {
        refused(one(json!({"label": label, "header": "x"})), "enforced_labels[0].label", message);
    }
    refused(one(json!({"label": "a", "header": "Thanos-Tenant"})), "enforced_labels[0].header", "names the tenant");
    refused(one(json!({"label": "a", "header": "Host"})), "enforced_labels[0].header", "belongs to the HTTP message");
    refused(one(json!({"label": "a", "metadata": ["b"]})), "enforced_labels[0].metadata", "needs a namespace");
    refused(one(json!({"label": "a", "values": []})), "enforced_labels[0].values", "match nothing");
    refused(
        one(json!({"label": "a", "values": ["b", ""]})),
        "enforced_labels[0].values[1]",
        "all series without the label",
    );
    refused(one(json!({"label": "a", "values": ["b", "b"]})), "enforced_labels[0].values[1]", "twice");
    refused(one(json!({"label": "a", "values": ["b\n"]})), "enforced_labels[0].values[0]", "control character");
    refused(one(json!({"label": "a", "valuse": ["b"]})), "enforced_labels[0].valuse", "unknown key");
    let twice = json!([{"label": "a", "header": "x"}, {"label": "a", "values": ["b"]}]);
    refused(json!({"enforced_labels": twice}), "enforced_labels[1]", "twice");
    let many: Vec<Value> = (0..63).map(|n| json!({"label": format!("l{n}"), "values": ["x"]})).collect();
    refused(json!({"enforced_labels": many}), "enforced_labels", "too many");
    assert!(parse(&json!({"enforced_labels": many[..62]})).is_ok());
    // Names of labels differ by case; names of headers don't.
    assert!(parse(&json!({"enforced_labels": [{"label": "a", "header": "x"}, {"label": "A", "header": "y"}]})).is_ok());
}

#[test]
fn headers_of_labels_are_removed_and_answers_vary_by_them() {
    let labels = json!([{"label": "a", "header": "X-Cluster"}, {"label": "b", "header": "X-Zone"}]);
    let config = parse(&json!({"enforced_labels": labels})).unwrap();
    assert!(config.removes(b"x-cluster") && config.removes(b"X_Zone"));
    assert_eq!(config.vary().map(|vary| &**vary), Some("thanos-tenant, x-cluster, x-zone"));
    let fixed = parse(&json!({"static_tenant_ids": ["a"], "enforced_labels": labels})).unwrap();
    assert_eq!(fixed.vary().map(|vary| &**vary), Some("x-cluster, x-zone"));
    assert_eq!(parse(&json!({"static_tenant_ids": ["a"]})).unwrap().vary(), None);
}

#[test]
fn shared_tenants_are_seen_beside_one_s_own() {
    let shared =
        |tenants: &str| scope(json!({"shared_tenants": ["platform", "base"], "on_conflict": "replace"}), tenants);
    assert_eq!(shared("team-a"), r#"{tenant_id=~"base|platform|team-a"}"#);
    assert_eq!(shared("base"), r#"{tenant_id=~"base|platform"}"#);
    let federated = json!({"shared_tenants": ["p.q"], "tenant_federation": {"enabled": true, "max_tenants": 2}});
    assert_eq!(scope(federated, "z|a"), r#"{tenant_id=~"a|p\\.q|z"}"#);
    assert_eq!(scope(json!({"shared_tenants": ["p"], "static_tenant_ids": ["a"]}), ""), r#"{tenant_id=~"a|p"}"#);
    // The shared one chooses among its own, as the others do.
    let config = parse(&json!({"shared_tenants": ["platform"]})).unwrap();
    let mut out = Vec::new();
    let scope = config.scope_of(&config.tenants(b"platform").unwrap());
    crate::promql::rewrite(br#"up{tenant_id="team-b"}"#, &scope, &mut out).unwrap();
    assert_eq!(out, br#"up{tenant_id="platform",tenant_id="team-b"}"#);
    refused(json!({"shared_tenants": ["a|b"]}), "shared_tenants[0]", "can't hold a |");
    refused(json!({"shared_tenants": ["a", "a"]}), "shared_tenants[1]", "twice");
    refused(json!({"shared_tenants": [""]}), "shared_tenants[0]", "empty");
    refused(json!({"shared_tenants": "a"}), "shared_tenants", "a list");
    assert_eq!(scope_of_empty(), r#"{tenant_id="a"}"#);
}

fn scope_of_empty() -> String {
    scope(json!({"shared_tenants": [], "tenant_selectors": {}, "enforced_labels": [], "enforce_tenancy": true}), "a")
}

#[test]
fn the_header_names_shared_tenants_where_the_upstream_isolates_by_it() {
    let named = |json: Value, of_one| {
        let config = parse(&json).unwrap();
        let clues = Clues { header: Some(b"team-a"), evidence: Some(b"CN=team-a"), ..Clues::default() };
        let tenants = config.identify(&clues).unwrap();
        config.forwarded(&tenants, of_one).to_string()
    };
    let on = json!({"enabled": true});
    let cortex = json!({"upstream": "cortex", "shared_tenants": ["platform"], "tenant_federation": on});
    assert_eq!(named(cortex.clone(), false), "platform|team-a");
    assert_eq!(named(cortex.clone(), true), "team-a");
    for upstream in ["prometheus", "thanos"] {
        assert_eq!(named(json!({"upstream": upstream, "shared_tenants": ["platform"]}), false), "team-a");
    }
    // A source that names one tenant gains others in the header all the same.
    let mut certificate = cortex.clone();
    certificate["tenant_certificate_field"] = "commonName".into();
    assert_eq!(named(certificate, false), "platform|team-a");
    let mut fixed = cortex.clone();
    fixed["static_tenant_ids"] = json!(["x"]);
    assert_eq!(named(fixed, false), "platform|x");
    let without = json!({"upstream": "cortex", "shared_tenants": ["platform"]});
    refused(without, "shared_tenants", "needs tenant_federation.enabled");
}

#[test]
fn what_can_t_be_combined_is_refused_in_words() {
    let selectors = json!({"shop": "{a=\"x\"}"});
    let shared = json!(["platform"]);
    let labels = json!([{"label": "a", "header": "x"}]);
    refused(
        json!({"tenant_selectors": selectors, "shared_tenants": shared}),
        "shared_tenants",
        "each tenant's selector",
    );
    for key in ["tenant_selectors", "shared_tenants", "enforced_labels"] {
        let value = match key {
            "tenant_selectors" => &selectors,
            "shared_tenants" => &shared,
            _ => &labels,
        };
        refused(json!({key: value, "enforce_tenancy": false}), key, "no effect while enforce_tenancy is false");
        // With Cortex, the header isolates.
        if key != "shared_tenants" {
            refused(json!({key: value, "upstream": "cortex"}), key, "no effect while enforce_tenancy is false");
        }
    }
    let view = json!({"static_tenant_ids": ["ops"], "tenant_regex": "t.*"});
    let with = |key: &str, value: &Value| {
        let mut json = view.clone();
        json[key] = value.clone();
        json
    };
    refused(with("tenant_selectors", &selectors), "tenant_selectors", "no effect beside tenant_regex");
    refused(with("shared_tenants", &shared), "shared_tenants", "let the pattern match them");
    assert!(parse(&with("enforced_labels", &labels)).is_ok());
    let fixed = |ids: Value| json!({"static_tenant_ids": ids, "tenant_selectors": selectors});
    refused(fixed(json!(["a", "shop"])), "tenant_selectors", "can't be joined");
    assert_eq!(scope(fixed(json!(["shop"])), ""), r#"{a="x"}"#);
    assert_eq!(scope(fixed(json!(["a", "b"])), ""), r#"{tenant_id=~"a|b"}"#);
    // Federation stays for tenants without a selector.
    let config = parse(&json!({"tenant_selectors": selectors, "tenant_federation": {"enabled": true}})).unwrap();
    let none = config.label_values(|_| Ok(None), None).unwrap();
    let scope = |tenants: &[u8]| config.scope(&config.tenants(tenants).unwrap(), &none).map(|scope| scope.selector());
    assert_eq!(scope(b"shop").as_deref(), Ok(r#"{a="x"}"#));
    assert_eq!(scope(b"shop|shop").as_deref(), Ok(r#"{a="x"}"#));
    assert_eq!(scope(b"a|b").as_deref(), Ok(r#"{tenant_id=~"a|b"}"#));
    for several in [&b"shop|b"[..], b"a|shop", b"a|b|shop|z"] {
        assert!(scope(several).unwrap_err().to_string().contains("\"shop\" can't be named together with others"));
    }
}

#[test]
fn of_many_selectors_the_right_one_is_found() {
    let selectors: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("t{n}"), format!("{{ns=\"n{n}\"}}").into())).collect();
    let config = parse(&json!({"tenant_selectors": selectors})).unwrap();
    for n in (0..10_000).step_by(7) {
        let tenants = config.tenants(format!("t{n}").as_bytes()).unwrap();
        assert_eq!(config.scope_of(&tenants).selector(), format!("{{ns=\"n{n}\"}}"));
    }
    for id in ["t", "t10000", "T1", "t01"] {
        let tenants = config.tenants(id.as_bytes()).unwrap();
        assert_eq!(config.scope_of(&tenants).selector(), format!("{{tenant_id=\"{id}\"}}"));
    }
    assert!(config.is_named("t9999") && !config.is_named("t10000"));
}

#[test]
fn evidence_is_asked_for_where_a_label_needs_it() {
    use crate::tenant::Evidence;
    let asked = |labels: Value| {
        let config = parse(&json!({"tenant_certificate_field": "commonName", "enforced_labels": labels})).unwrap();
        (config.source().evidence(), config.label_evidence())
    };
    assert_eq!(asked(json!([{"label": "a", "values": ["x"]}])), (Some(Evidence::Subject), None));
    let both = (Some(Evidence::Subject), Some(Evidence::Metadata));
    assert_eq!(asked(json!([{"label": "a", "metadata": ["x", "y"]}])), both);
}
