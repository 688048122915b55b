//! Beside prom-label-proxy's scope: where its answer differs from ours, which selectors did it leave open?

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
    /// Enough to see every production several times.
    const GENERATED: u64 = 5_000;
    let mut queries = oracle::corpus("prometheus");
    queries.extend((0..GENERATED).filter_map(|seed| String::from_utf8(generator::query(seed)).ok()));
    let value = REPLACE.scope[0].values[0];
    let cases: Vec<_> = queries.iter().map(|query| PrecedentCase { query, label: LABEL, value }).collect();
    let precedents = oracle::precedents(&cases);

    // Its text takes the place of ours before the same judge.
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
            no_longer += 1; // its release of Prometheus took what the current one refuses
            continue;
        }
        if let Err(error) = rewrite(query.as_bytes(), &REPLACE.scope(), &mut Vec::new()) {
            assert_eq!(error.kind, ErrorKind::Info, "{query}: {error}");
            info += 1;
            continue;
        }
        // The reading of the default parser, which is the one that the proxy's release has.
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
