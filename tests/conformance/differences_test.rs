//! One example for each intended difference from Prometheus, so that none of them changes unnoticed. docs/promql.md lists them.

use super::oracle::{Case, judge};
use super::rules::REPLACE;
use promql_tenancy_filter::promql::{ErrorKind, MAX_DEPTH, MAX_LENGTH, rewrite};

/// Whether Prometheus accepts the query, with or without unquoted UTF-8 names.
fn accepted_there(query: &str) -> bool {
    let case = Case::new(query.as_bytes(), None, REPLACE.scope, REPLACE.name, false);
    judge(&[case]).remove(0).query.iter().any(|reading| reading.ok)
}

fn here(query: &str) -> Result<String, ErrorKind> {
    let mut out = Vec::new();
    rewrite(query.as_bytes(), &REPLACE.scope(), &mut out).map_err(|error| error.kind)?;
    Ok(String::from_utf8(out).expect("a query that is text stays text"))
}

#[test]
fn types_functions_and_empty_selectors_are_the_upstreams_to_judge() {
    for query in
        ["rate(x)", "sum(1)", "xrate(x[5m])", "abs()", "{}", r#"{a=~".*"}"#, "1 == 1", "x and 1", r#"x{a=~"("}"#]
    {
        assert!(!accepted_there(query), "{query}");
        assert!(here(query).is_ok(), "{query}");
    }
}

#[test]
fn forms_of_info_without_a_data_label_are_refused() {
    for query in ["info(x)", r#"info(x, {__name__="target_info"})"#, "info(x, {})"] {
        assert!(accepted_there(query), "{query}");
        assert_eq!(here(query), Err(ErrorKind::Info), "{query}");
    }
    let query = r#"info(x, {version=~".+"})"#;
    assert!(accepted_there(query) && here(query).is_ok());
}

#[test]
fn depth_and_length_are_limited() {
    let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
    let deepest =
        (1..=MAX_DEPTH as usize).rev().find(|&depth| here(&nested(depth)).is_ok()).expect("some depth is read");
    assert!(deepest >= 200, "deep enough for any query that people write: {deepest}");
    let deeper = nested(deepest + 1);
    assert!(accepted_there(&deeper));
    assert_eq!(here(&deeper), Err(ErrorKind::TooLarge));

    let of_length = |length: usize| format!("x{}", " ".repeat(length - 1));
    assert!(here(&of_length(MAX_LENGTH)).is_ok());
    assert!(accepted_there(&of_length(MAX_LENGTH + 1)));
    assert_eq!(here(&of_length(MAX_LENGTH + 1)), Err(ErrorKind::TooLarge));
}

#[test]
fn rust_knows_more_letters_than_go() {
    let query = "{\u{345}=\"x\"}";
    assert!(!accepted_there(query) && here(query).is_ok());
}

#[test]
fn what_only_one_reading_takes_may_be_mixed() {
    let query = "sum by (a:b) (x.y)";
    assert!(!accepted_there(query) && here(query).is_ok());
}

#[test]
fn a_text_that_reads_two_ways_is_read_as_by_default() {
    assert!(accepted_there("x > bool.5"));
    assert_eq!(here("x > bool.5").as_deref(), Ok(r#"x{tenant_id="team-a"} > bool .5"#));
}
