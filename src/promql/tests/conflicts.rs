//! The query's own matchers on the tenant label.

use super::super::ErrorKind;
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SPELLINGS: [&str; 6] =
    ["tenant_id", "\"tenant_id\"", "'tenant_id'", "`tenant_id`", "\"tenant\\x5fid\"", "'\\u0074enant\\137id'"];

fn with(on_conflict: OnConflict, query: &str) -> Result<String, Error> {
    enforce_with(&Scope::equal("tenant_id".into(), "team-a".into(), on_conflict), query)
}

fn both(on_conflict: OnConflict, query: &str) -> Result<String, Error> {
    enforce_with(&Scope::one_of("tenant_id".into(), &["team-a", "team.b"], on_conflict), query)
}

#[test]
fn replace_drops_every_spelling_and_operator() {
    for label in SPELLINGS {
        for operator in ["=", "!=", "=~", "!~"] {
            let query = format!("up{{a=\"b\",{label}{operator}\"team-b\",c=\"d\"}}");
            let written = with(OnConflict::Replace, &query);
            assert_eq!(written.as_deref(), Ok("up{tenant_id=\"team-a\",a=\"b\",c=\"d\"}"), "{query}");
        }
    }
    // These are a metric of that name, and another label.
    ok("{\"tenant_id\"}", "{§,\"tenant_id\"}");
    ok("{Tenant_id=\"x\"}", "{§,Tenant_id=\"x\"}");
}

#[test]
fn intersect_keeps_them() {
    let written = with(OnConflict::Intersect, "up{tenant_id=\"team-b\"} or up{'tenant_id'=`team-a`}");
    let expected = "up{tenant_id=\"team-a\",tenant_id=\"team-b\"} or up{tenant_id=\"team-a\"}";
    assert_eq!(written.as_deref(), Ok(expected));
}

#[test]
fn reject_refuses_what_cannot_match() {
    let refused = [
        "=\"team-b\"",
        "!=\"team-a\"",
        "=~\"team-b|team-c\"",
        "!~\"team-a|x\"",
        "=~\"team\"",
        "=\"\"",
        "=~\"a\\\\.b\"",
    ];
    for matcher in refused {
        for label in SPELLINGS {
            let error = with(OnConflict::Reject, &format!("a + up{{x=\"y\",{label}{matcher}}}")).expect_err(matcher);
            assert_eq!(error.kind, ErrorKind::Conflict, "{matcher}");
            assert_eq!((error.start, error.line, error.column), (6, 1, 7));
        }
    }
    let kept = ["=\"team-a\"", "!=\"team-b\"", "=~\"team-a|team-b\"", "=~\"team\\\\-a\"", "!~\"\"", "!~\"team-b|c\""];
    for matcher in kept {
        let query = format!("up{{tenant_id{matcher}}}");
        let written = with(OnConflict::Reject, &query).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(written.starts_with("up{tenant_id=\"team-a\""), "{written}");
    }
}

#[test]
fn reject_leaves_patterns_to_the_upstream() {
    // The filter runs no patterns, because the client chooses how long that takes. The tenant's matcher is added all the same.
    for pattern in ["team-(b|c)", ".+", "team.b", "\\\\p{Greek}", "(.?.?){900}.*", "[b]", "^b$", "\\xff|\\\\d"] {
        let written = with(OnConflict::Reject, &format!("up{{tenant_id=~\"{pattern}\"}}"));
        let expected = format!("up{{tenant_id=\"team-a\",tenant_id=~\"{pattern}\"}}");
        assert_eq!(written, Ok(expected), "{pattern}");
    }
}

#[test]
fn several_tenants_are_quoted_and_the_query_selects_among_them() {
    let ours = "tenant_id=~\"team-a|team\\\\.b\"";
    for on_conflict in [OnConflict::Replace, OnConflict::Intersect, OnConflict::Reject] {
        assert_eq!(both(on_conflict, "up"), Ok(format!("up{{{ours}}}")));
        let query = "up{tenant_id=\"team-a\"}";
        assert_eq!(both(on_conflict, query), Ok(format!("up{{{ours},tenant_id=\"team-a\"}}")));
    }
    assert!(both(OnConflict::Reject, "up{tenant_id=\"team-c\"}").is_err());
    assert!(both(OnConflict::Reject, "up{tenant_id!=\"team-a\",tenant_id!=\"team.b\"}").is_err());
    assert!(both(OnConflict::Reject, "up{tenant_id!=\"team-a\"}").is_ok());
}

#[test]
fn each_selector_is_decided_on_by_itself() {
    let ids: Vec<String> = (0..200).map(|id| format!("t{id:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let scope = Scope::one_of("tenant_id".into(), &ids, OnConflict::Reject);
    let with = |query: &str| enforce_with(&scope, query).is_ok();
    for id in ["t000", "t063", "t064", "t127", "t128", "t199"] {
        assert!(
            with(&format!("a{{tenant_id=\"{id}\"}} + b{{tenant_id!=\"{id}\"}} + c{{tenant_id=~\"{id}|x\"}}")),
            "{id}"
        );
        assert!(!with(&format!("a + b{{tenant_id=\"{id}\",tenant_id!=\"{id}\"}}")), "{id}");
        assert!(with(&format!("a{{tenant_id=\"{id}\",tenant_id=~\".+\"}} + b{{tenant_id=\"t001\"}}")), "{id}");
    }
    assert!(!with("a{tenant_id=\"t001\"} + b{tenant_id=\"t200\"}"));
    let none = format!("a{{tenant_id!~\"{}\"}}", ids.join("|"));
    assert!(!with(&none));
}

/// `absent()` gives the labels that its selector's matchers name by `=`, but for those that come up again behind
/// (`createLabelsForAbsentFunction` in promql/functions.go, 3.16): with our pattern behind it, the label would be lost.
#[test]
fn absent_keeps_the_label_that_the_query_chooses() {
    let written = both(OnConflict::Replace, "absent(up{tenant_id=\"team-a\"})");
    assert_eq!(written.as_deref(), Ok(r#"absent(up{tenant_id=~"team-a|team\\.b",tenant_id="team-a"})"#));
}

#[test]
fn one_of_several_is_an_equality() {
    let one = Scope::one_of("tenant_id".into(), &["team-a"], OnConflict::Replace);
    let written = enforce_with(&one, "up{tenant_id=\"team-b\"}");
    assert_eq!(written.as_deref(), Ok("up{tenant_id=\"team-a\",tenant_id=\"team-b\"}"));
}

#[test]
fn values_and_labels_are_escaped() {
    let odd = Scope::equal("tenant.id".into(), "a\"b\\c\nd".into(), OnConflict::Replace);
    let written = enforce_with(&odd, "up{tenant.id=\"x\"}");
    assert_eq!(written.as_deref(), Ok("up{\"tenant.id\"=\"a\\\"b\\\\c\\nd\"}"));
    let all = r"\.+*?()|[]{}^$";
    let several = Scope::one_of("t".into(), &[all, "z"], OnConflict::Replace);
    let expected = r#"{t=~"\\\\\\.\\+\\*\\?\\(\\)\\|\\[\\]\\{\\}\\^\\$|z"}"#;
    assert_eq!(several.selector(), expected);
}
