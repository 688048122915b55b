//! The rules of the rewriter: what it accepts, what it writes and what it refuses, with the exact texts. tests/conformance.rs compares
//! it with Prometheus's own parser.

mod conflicts;
mod errors;
mod reach;
mod selectors;

use super::{Error, rewrite, rewrite_selector};
use crate::scope::{OnConflict, Scope};

fn team_a() -> Scope {
    Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace)
}

fn enforce_with(scope: &Scope, query: &str) -> Result<String, Error> {
    let mut out = Vec::new();
    rewrite(query.as_bytes(), scope, &mut out)?;
    let once = String::from_utf8(out).expect("the output is UTF-8");
    let mut again = Vec::new();
    rewrite(once.as_bytes(), scope, &mut again)?;
    assert_eq!(once.as_bytes(), again, "rewriting a rewritten query changes nothing: {query}");
    Ok(once)
}

/// Asserts the rewritten query. `§` stands for team-a's matcher.
#[track_caller]
fn ok(query: &str, expected: &str) {
    let expected = expected.replace('§', r#"tenant_id="team-a""#);
    match enforce_with(&team_a(), query) {
        Ok(written) => assert_eq!(written, expected, "{query}"),
        Err(error) => panic!("{query}: {error}"),
    }
}

/// Asserts the message of the error for a refused query.
#[track_caller]
fn err(query: &str, message: &str) {
    match enforce_with(&team_a(), query) {
        Ok(written) => panic!("{query} was accepted as {written}"),
        Err(error) => assert_eq!(error.to_string(), message, "{query}"),
    }
}

fn selector(text: &str) -> Result<String, Error> {
    let mut out = Vec::new();
    rewrite_selector(text.as_bytes(), &team_a(), &mut out)?;
    Ok(String::from_utf8(out).expect("the output is UTF-8"))
}
