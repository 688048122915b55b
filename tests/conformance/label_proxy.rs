//! Compares the filter with prom-label-proxy's enforcer: if the results differ, which selectors did that enforcer leave without the matcher?

use super::generator;
use super::oracle::{self, Case, PrecedentCase};
use super::rules::{LABEL, REPLACE};
use promql_tenancy_filter::promql::{ErrorKind, rewrite};

#[test]
fn label_proxy_leaves_aggregation_parameters_open() {
    let answer = precedent("topk(scalar(x), y)");
    assert_eq!(answer.open.as_deref(), Some(&["x".to_owned()][..]), "{}", answer.text);
}

#[test]
fn the_selectors_that_label_proxy_leaves_open_are_named() {
    /// This number of queries has every production of the grammar several times.
    const GENERATED: u64 = 5_000;
    let mut queries = oracle::corpus("prometheus");
    queries.extend((0..GENERATED).filter_map(|seed| String::from_utf8(generator::query(seed)).ok()));
    let value = REPLACE.scope[0].values[0];
    let cases: Vec<_> = queries.iter().map(|query| PrecedentCase { query, label: LABEL, value }).collect();
    let precedents = oracle::precedents(&cases);

    // The same judge compares the text of prom-label-proxy with the query.
    let judged: Vec<_> = queries.iter().zip(&precedents).filter(|(_, precedent)| precedent.ok).collect();
    let cases: Vec<_> = judged
        .iter()
        .map(|(query, precedent)| {
            Case::new(query.as_bytes(), Some(precedent.text.as_bytes()), REPLACE.scope, REPLACE.name, false)
        })
        .collect();
    let (mut same, mut no_longer, mut info, mut open, mut otherwise) = (0, 0, 0, Vec::new(), Vec::new());
    for ((query, precedent), verdict) in judged.iter().zip(oracle::judge(&cases)) {
        if !verdict.query.iter().any(|reading| reading.ok) {
            no_longer += 1; // The Prometheus release of prom-label-proxy accepts what the current one refuses.
            continue;
        }
        if let Err(error) = rewrite(query.as_bytes(), &REPLACE.scope(), &mut Vec::new()) {
            assert_eq!(error.kind, ErrorKind::Info, "{query}: {error}");
            info += 1;
            continue;
        }
        // prom-label-proxy has the default parser, without unquoted UTF-8 names.
        let comparison = verdict.out[1].as_ref().expect("the oracle was given a text");
        let left = precedent.open.as_deref().unwrap_or_default();
        if !left.is_empty() {
            open.push(format!("{query}: {}", left.join(", ")));
        } else if comparison.compared && (comparison.diff.is_empty() || comparison.diff.starts_with("both print as")) {
            same += 1;
        } else {
            otherwise.push(format!("{query}: {}{}", comparison.error, comparison.diff));
        }
    }
    println!(
        "prom-label-proxy enforces {} of {} queries: {same} as the filter does, {} otherwise, {info} that the filter refuses (info()), \
         {no_longer} that Prometheus refuses by now;",
        judged.len(),
        queries.len(),
        otherwise.len(),
    );
    println!("it leaves a selector open in {}:", open.len());
    for line in open.iter().take(10) {
        println!("    {line}");
    }
    for line in otherwise.iter().take(10) {
        println!("    otherwise: {line}");
    }
    assert!(!open.is_empty(), "the generator reaches aggregation parameters");
}

fn precedent(query: &str) -> oracle::Precedent {
    let case = PrecedentCase { query, label: LABEL, value: REPLACE.scope[0].values[0] };
    let mut answers = oracle::precedents(&[case]);
    answers.remove(0)
}
