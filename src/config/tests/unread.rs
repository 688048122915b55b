//! Entries of tenants that are read when they are asked for, where the same text was judged before.

use super::super::json::{READ, Whole};
use super::*;
use crate::limits::{Limit, TABLE};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Read by who judges it, and by who is told of that.
fn both(json: &str) -> (Config, Config) {
    let whole: Whole = Arc::new(json.as_bytes().to_vec());
    let judged = Config::read(&whole, None).expect(json);
    let later = Config::read(&whole, Some(judged.told())).expect(json);
    (judged, later)
}

fn identified(config: &Config, id: &str) -> Result<String, tenant::Error> {
    let clues = Clues { header: Some(id.as_bytes()), ..Clues::default() };
    config.identify(&clues).map(|tenants| tenants.joined().to_string())
}

/// All that a configuration says of a tenant.
fn said(config: &Config, id: &str) -> String {
    let tenants = Tenants::parse(id.as_bytes(), config.format(), Federation::Off).unwrap();
    let limits = config.limits().of_one(id);
    let scope = config.scope_of(&tenants).selector();
    let dry = config.dry_runs(Some(&id.into()));
    let identified = identified(config, id);
    format!("{limits:?} {scope} {dry} {identified:?} {} {}", config.allows(id), config.is_named(id))
}

#[test]
fn who_is_told_reads_only_the_entries_that_are_asked_for() {
    let entries = |entry: fn(usize) -> String| (0..1_000).map(entry).collect::<Vec<_>>().join(",");
    let json = format!(
        r#"{{"overrides": {{{}}}, "tenant_selectors": {{{}}}, "allowed_tenants": [{}]}}"#,
        entries(|n| format!(r#""t{n}": {{"max_query_points": {}, "query_timeout": "1m"}}"#, n + 1)),
        entries(|n| format!(r#""t{n}": "{{ns=\"n{n}\"}}""#)),
        entries(|n| format!(r#""t{n}""#)),
    );
    let whole: Whole = Arc::new(json.into_bytes());
    let counted = |told| {
        let before = READ.get();
        let config = Config::read(&whole, told).unwrap();
        (READ.get() - before, config)
    };
    let (read, judged) = counted(None);
    assert_eq!(read, 2_000);
    let (read, later) = counted(Some(judged.told()));
    assert_eq!(read, 0);
    let before = READ.get();
    for _ in 0..3 {
        for n in [7, 500, 999] {
            let id = format!("t{n}");
            assert_eq!(identified(&later, &id).as_deref(), Ok(&*id));
            assert_eq!(later.limits().one(&id, Limit::Points), Some(n + 1));
            assert!(later.scope_of(&tenants(&id)).selector().contains(&format!("\"n{n}\"")));
        }
    }
    assert_eq!(READ.get() - before, 6, "once each, an override and a selector");
}

fn tenants(id: &str) -> Tenants {
    Tenants::parse(id.as_bytes(), Format::Cortex, Federation::Off).unwrap()
}

#[test]
fn who_is_told_wrongly_refuses_the_tenant_that_can_t_be_read() {
    let read = |json: &str| Config::read(&Arc::new(json.as_bytes().to_vec()), Some(Told::default()));
    for (broken, sound) in [
        (r#"{"overrides": {"a": {"max_query_points": "x"}, "b": {"max_query_points": 1}}}"#, "b"),
        (r#"{"overrides": {"a": {"max_query_points": 01}, "b": {}}}"#, "b"),
        (r#"{"overrides": {"a": , "b": {}}}"#, "b"),
        (r#"{"tenant_selectors": {"a": "{ns=", "b": "{ns=\"b\"}"}}"#, "b"),
        (r#"{"tenant_selectors": {"a": 1, "b": "{ns=\"b\"}"}}"#, "b"),
    ] {
        let config = read(broken).expect(broken);
        assert_eq!(identified(&config, "a"), Err(tenant::Error::Unreadable(confinement::OF_TENANT)), "{broken}");
        assert_eq!(identified(&config, sound).as_deref(), Ok(sound), "{broken}");
        // Also where the tenant is one that the configuration fixes, and nobody names it.
        let fixed = read(&broken.replacen('{', r#"{"static_tenant_ids": ["a"], "#, 1));
        assert!(fixed.is_err() || identified(&fixed.unwrap(), "b").is_err(), "{broken}");
    }
    // What the index itself shows is refused at once, in the words of who judges.
    for json in [
        r#"{"overrides": {"a": {}, "a": {}}}"#,
        r#"{"allowed_tenants": ["a", "a"]}"#,
        r#"{"overrides": {"a": {"dry_run": 1}}}"#,
        r#"{"overrides": {"a": {}"#,
        r#"{"overrides": {"a": {}}, "upstraem": 1}"#,
    ] {
        let error = read(json).expect_err(json);
        assert_eq!(Some(error), Config::parse(json.as_bytes()).err(), "{json}");
    }
}

/// Whom nothing is enforced for is never a matter of what another VM told.
#[test]
fn dry_run_of_a_tenant_is_known_to_who_was_told_of_none() {
    for key in ["dry_run", r"dry\u005frun"] {
        let json = format!(r#"{{"dry_run": true, "overrides": {{"a": {{"{key}": false}}, "b": {{}}}}}}"#);
        let config = Config::read(&Arc::new(json.into_bytes()), Some(Told::default())).unwrap();
        assert!(config.mixes_dry_run() && !config.dry_runs(Some(&"a".into())) && config.dry_runs(Some(&"b".into())));
    }
}

#[test]
fn where_texts_are_not_json_is_said_by_line_and_column() {
    for (json, at) in [
        ("{\"upstream\": \"thanos\"", "line 1, column 22"),
        ("{\n \"overrides\": {\"a\": {\"max_query_points\": 01}}}", "line 2, column 43"),
        ("{\n\"overrides\": {\"a\": {}\n\"b\": {}}}", "line 3, column 1"),
        ("{\"overrides\": {\"\\ud800\": {}}}", "line 1, column 26"),
        ("{} {}", "line 1, column 4"),
        ("nul", "line 1, column 1"),
    ] {
        let error = Config::parse(json.as_bytes()).unwrap_err();
        assert_eq!((error.path.as_str(), error.message), ("", format!("not JSON: {at} can't be read")), "{json}");
    }
    refused("[]", "", "expected an object, found a list");
}

/// A tenant's ID as some program writes it.
fn key() -> impl Strategy<Value = String> {
    ("[a-z]{1,3}", any::<bool>()).prop_map(|(id, escapes)| match escapes {
        true => id.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        false => id,
    })
}

fn entry() -> impl Strategy<Value = String> {
    let number = (0..TABLE.len(), 0..4_u32).prop_map(|(at, value)| {
        let (name, unit, _) = TABLE[at];
        match unit {
            crate::limits::Unit::Duration => format!(r#""{name}": "{value}d""#),
            crate::limits::Unit::Count => format!(r#""{name}": {value}"#),
        }
    });
    let member = prop_oneof![
        6 => number,
        1 => any::<bool>().prop_map(|dry| format!(r#""dry_run": {dry}"#)),
        1 => any::<bool>().prop_map(|dry| format!(r#""\u0064ry_run" :{dry}"#)),
        1 => Just(r#""blocked_queries": [{"pattern": "up{a=\"}]\\\"\"}", "reason": "\"dry_run\"}{"}]"#.to_owned()),
        1 => Just(r#""query_rejection": {"enabled": true, "query_attributes": [{"time_window": {"start": "1h"}}]}"#.to_owned()),
        // Wrong ones: refused by both.
        1 => prop_oneof![Just(r#""max_query_points": 1.5"#), Just(r#""a": {}"#), Just(r#""min_query_step": "d""#)].prop_map(str::to_owned),
    ];
    prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(" , ")))
}

proptest! {
    /// Whatever the entries and the white space between them: what is refused is refused by who judges, and of what is accepted, who is told
    /// of it says the same of every tenant.
    #[test]
    fn who_is_told_says_the_same_as_who_judges(
        overrides in prop::collection::vec((key(), entry()), 0..8),
        selectors in prop::collection::vec((key(), "[a-z]{1,3}"), 0..4),
        allowed in prop::collection::vec(key(), 0..5),
        space in "[ \n\t]{0,2}",
        dry_run in any::<bool>(),
    ) {
        let overrides: Vec<String> = overrides.iter().map(|(id, entry)| format!("\"{id}\"{space}:{space}{entry}{space}")).collect();
        let selectors: Vec<String> = selectors.iter().map(|(id, ns)| format!(r#""{id}":{space}"{{ns=\"{ns}\"}}""#)).collect();
        let allowed: Vec<String> = allowed.iter().map(|id| format!("\"{id}\"{space}")).chain([r#"{"prefix": "z"}"#.to_owned()]).collect();
        let json = format!(
            r#"{{"dry_run": {dry_run}, "overrides":{space}{{{}}}, "tenant_selectors": {{{space}{}}}, "allowed_tenants":[{space}{}]{space}}}"#,
            overrides.join(","), selectors.join(&format!("{space},")), allowed.join(","),
        );
        let whole: Whole = Arc::new(json.clone().into_bytes());
        if let Ok(judged) = Config::read(&whole, None) {
            let later = Config::read(&whole, Some(judged.told())).unwrap();
            prop_assert_eq!(judged.needs_the_time(), later.needs_the_time());
            prop_assert_eq!(judged.counts_queries(), later.counts_queries());
            prop_assert_eq!(judged.mixes_dry_run(), later.mixes_dry_run());
            let ids: Vec<String> = judged.overridden().map(|id| id.into_owned()).collect();
            prop_assert!(later.overridden().eq(ids.iter().map(|id| &**id)));
            let others = ["a", "zz", "q"].map(str::to_owned);
            for id in ids.iter().chain(&others) {
                prop_assert_eq!(said(&judged, id), said(&later, id), "{} of {}", id, &json);
            }
        }
    }

    /// The reader reads what `serde_json` reads, and as it does.
    #[test]
    fn json_is_what_serde_json_reads(
        text in r#"(\{"a":|\[|"|1|-0\.5e1|,|\]|\}|null|tru|true| |\\u00e9|\\ud83d\\ude00|\\ud83d|\\n|"b":|é|0){1,8}"#
    ) {
        let ours = super::super::json::read(text.as_bytes()).ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
        prop_assert_eq!(ours.is_some(), theirs.is_some(), "{}", &text);
        // `Value` keeps the last of two equal keys.
        let has_twice = text.matches("\"b\":").count() + text.matches("\"a\":").count() > 1;
        if let (Some(ours), Some(theirs), false) = (ours, theirs, has_twice) {
            prop_assert_eq!(as_value(ours), as_floats(theirs), "{}", &text);
        }
    }
}

fn as_value(json: super::super::json::Json) -> serde_json::Value {
    use super::super::json::Json;
    match json {
        Json::Null => serde_json::Value::Null,
        Json::Bool(value) => value.into(),
        Json::Number(value) => digits(value),
        Json::Text(text) => text.into(),
        Json::List(items) => items.into_iter().map(as_value).collect(),
        Json::Object(members) => members.into_iter().map(|(key, value)| (key, as_value(value))).collect(),
        Json::Unread(_) => unreachable!("nothing was to be left unread"),
    }
}

/// `serde_json` may be off in the last bit: it rounds exactly with its feature `float_roundtrip` only.
fn digits(number: f64) -> serde_json::Value {
    format!("{number:.12e}").into()
}

fn as_floats(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => digits(number.as_f64().unwrap()),
        serde_json::Value::Array(items) => items.into_iter().map(as_floats).collect(),
        serde_json::Value::Object(members) => members.into_iter().map(|(key, value)| (key, as_floats(value))).collect(),
        other => other,
    }
}

#[test]
fn both_say_the_same_of_what_is_typical() {
    let (judged, later) = both(r#"{"limits": {"max_query_points": 5}, "overrides": {"a": {"max_query_points": 7}}}"#);
    assert_eq!((said(&judged, "a"), said(&judged, "b")), (said(&later, "a"), said(&later, "b")));
}
