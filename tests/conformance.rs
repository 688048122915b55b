//! Compares the filter with Prometheus's own parser, over the queries in Prometheus's tests, in public collections, and generated ones.
//!
//! `TENANCY_CONFORMANCE_QUERIES` sets the number of generated queries, and `TENANCY_CONFORMANCE_SEED` the first seed. A failure names its
//! seed. The test needs Go, to build the oracle in `tests/oracle`.
#![cfg(not(target_family = "wasm"))]

#[path = "conformance/differences_test.rs"]
mod differences_test;
#[path = "conformance/judge_test.rs"]
mod judge_test;
#[path = "conformance/label_proxy.rs"]
mod label_proxy;
#[path = "conformance/oracle.rs"]
mod oracle;
#[path = "conformance/places.rs"]
mod places;
#[path = "conformance/reach.rs"]
mod reach;
#[path = "conformance/renaming.rs"]
mod renaming;
#[path = "conformance/rules.rs"]
mod rules;

mod generator;

use rules::{MODES, Question, REPLACE, Report, compare};

/// The number of queries that are sent to the oracle at a time, so that a million queries need little memory.
const BATCH: u64 = 20_000;

#[test]
fn prometheus_own_tests_conform() {
    let queries = oracle::corpus("prometheus");
    assert!(queries.len() > 4_000, "Prometheus's tests hold {} texts", queries.len());
    corpus_conforms("Prometheus's own tests", &queries);
}

#[test]
fn public_collections_conform() {
    let queries = oracle::corpus("collections");
    assert!(queries.len() > 5_000, "the collections hold {} queries", queries.len());
    corpus_conforms("public collections", &queries);
}

#[test]
fn generated_queries_conform() {
    let report = generated("generated queries", generated_count() / 2, false, generator::query);
    assert!(report.accepted_there * 10 > report.questions * 8, "the generator's queries are mostly valid");
    report.finish("generated queries");
}

#[test]
fn mutated_queries_conform() {
    let report = generated("mutated queries", generated_count() / 2, false, generator::mutated);
    assert!(report.accepted_there * 10 > report.questions, "mutations leave some queries valid");
    report.finish("mutated queries");
}

#[test]
fn generated_match_values_conform() {
    generated("generated selectors", generated_count() / 20, true, generator::selector).finish("generated selectors");
}

#[test]
fn mutated_match_values_conform() {
    let mutated = |seed| if seed % 2 == 0 { generator::mutated(seed) } else { generator::mutated_selector(seed) };
    generated("mutated selectors", generated_count() / 20, true, mutated).finish("mutated selectors");
}

/// Queries that failed in earlier runs, without the longer queries around them, and queries that the generator rarely makes.
#[test]
fn rare_texts_conform() {
    let queries = [
        "fill #\n(x)",
        "x + FILL # c\n (0) y",
        "x < bool ignoring (l) fill_left#\r(0) and y",
        "fill_right # c\n + x",
        "x > bool.5",
        "1 > bool.5",
        "range() > bool 1 > bool.5",
        "limit_ratio(1 <= bool.5, x)",
        "rate(1 > bool.5)",
        "x{tenant_id='team\\xff'}",
        r#"{a="b",tenant_id=~"\xff"}"#,
        "x\u{345}",
        "sum by (a:b) (x.y) + on (:) z",
        // The Kelvin sign is a letter whose lower case is `k`: no keyword for that (lexKeywordOrIdentifier).
        "top\u{212a}",
        "top\u{212a}(1, x)",
        "limit\u{212a}{top\u{212a}='a'} + on (top\u{212a}) x",
        "x[5m:1m:1m]",
        "x[:5m]",
        "x[5m # c\n]",
        "x[# c\n5m]",
    ];
    corpus_conforms("rare texts", &queries.map(String::from));
}

/// Tests a text as an expression and as a `match[]` value under `replace`, and as an expression in the other modes.
fn corpus_conforms(name: &str, queries: &[String]) {
    let mut report = Report::default();
    let question = |text: &String, mode, selector| Question {
        origin: name.to_owned(),
        text: text.clone().into_bytes(),
        mode,
        selector,
    };
    for mode in MODES {
        compare(&queries.iter().map(|text| question(text, mode, false)).collect::<Vec<_>>(), &mut report);
    }
    compare(&queries.iter().map(|text| question(text, REPLACE, true)).collect::<Vec<_>>(), &mut report);
    report.finish(name);
}

fn generated(name: &str, count: u64, selector: bool, generate: impl Fn(u64) -> Vec<u8>) -> Report {
    let first = number("TENANCY_CONFORMANCE_SEED", 0);
    let mut report = Report::default();
    let seeds: Vec<u64> = (first..first + count).collect();
    for batch in seeds.chunks(BATCH as usize) {
        let questions: Vec<Question> = batch
            .iter()
            .map(|&seed| Question {
                origin: format!("{name}, seed {seed}"),
                text: generate(seed),
                mode: MODES[(seed % MODES.len() as u64) as usize],
                selector,
            })
            .collect();
        compare(&questions, &mut report);
    }
    report
}

fn generated_count() -> u64 {
    number("TENANCY_CONFORMANCE_QUERIES", 100_000)
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
        Err(_) => default,
    }
}
