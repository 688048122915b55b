//! Every expression of Prometheus's own tests, over the series that these tests load.

use super::{Twins, difference_of, instant, range, twins};
use crate::oracle;
use crate::support::compare::content;
use crate::support::data;
use crate::support::http::{Request, Response};
use crate::support::process::Process;
use crate::support::remote_write::{self, Sample, Series, Value};
use crate::support::upstreams;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Tenants of their own, so that the other tests don't see what they have.
const TENANTS: [&str; 2] = ["corpus-a", "corpus-b"];
const BOTH: &str = "corpus-a|corpus-b";

/// A series that Prometheus's own tests load.
#[derive(Deserialize)]
struct Loaded {
    labels: BTreeMap<String, String>,
    /// Floats; `None` for a series of histograms.
    values: Option<Vec<f64>>,
}

/// The series of one of the tenants: a third of all, and a third that both have, so that joins find one partner, several, and none.
fn series(tenant: usize) -> Vec<Series> {
    let samples = 60;
    let all = oracle::lines::<Loaded>(&["series"])
        .into_iter()
        .enumerate()
        .filter(|(number, _)| number % 3 == 2 || number % 3 == tenant);
    all.map(|(_, loaded)| {
        let value = |step: usize| match &loaded.values {
            Some(values) => Value::Float(values.get(step % values.len()).copied().unwrap_or_default()),
            None => Value::Histogram(vec![step as u64, 2 * step as u64, 3 * step as u64]),
        };
        let at = |step: usize| (data::end() - (samples - step as i64) * 15) * 1000;
        Series {
            labels: loaded.labels.into_iter().collect(),
            samples: (0..=samples as usize).map(|step| Sample { milliseconds: at(step), value: value(step) }).collect(),
            exemplars: Vec::new(),
        }
    })
    .collect()
}

/// A Prometheus that stores the tenant under the name that Cortex shows. What it answers to an expression as it is, no renaming has to do with.
fn control() -> (Process, u16) {
    let (process, port) = upstreams::prometheus_process("federation-control", "");
    for (number, tenant) in TENANTS.into_iter().enumerate() {
        write(port, &series(number), "__tenant_id__", tenant);
    }
    (process, port)
}

fn write(port: u16, all: &[Series], label: &str, tenant: &str) {
    for part in all.chunks(200) {
        let mut labelled = part.to_vec();
        labelled.iter_mut().for_each(|series| series.labels.push((label.to_owned(), tenant.to_owned())));
        remote_write::write(port, "/api/v1/write", None, &labelled);
    }
}

/// What came of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    SameWithData,
    SameWithout,
    BothRefuse,
    /// Cortex's parser doesn't know the syntax or the function, or has it switched off. The filter's answer is the control's.
    NewerThanCortex,
    /// Cortex's engine, its frontend or its storage answers otherwise than the newer Prometheus. The filter's answer is the control's.
    OtherVersion,
    /// The filter refuses `info()` where it would read series of others (docs/promql.md).
    RefusedInfo,
    /// `info()` leaves out series for which there is none with the labels that it adds, since the tenants' matcher in it is one that has to match
    /// (docs/promql.md).
    FewerByInfo,
    /// One of a choice that PromQL leaves open, among as many: the hash of `limit_ratio` is one of the stored names.
    OtherChoice,
    Different,
}

fn has_data(answer: &Response) -> bool {
    let json = answer.json();
    json["data"]["resultType"] != "scalar" && json["data"]["result"].as_array().is_some_and(|result| !result.is_empty())
}

fn is_part_of(part: &Response, whole: &Response) -> bool {
    let [part, whole] =
        [part, whole].map(|answer| content(answer)["data"]["result"].as_array().cloned().unwrap_or_default());
    part.iter().all(|series| whole.contains(series))
}

impl Twins {
    fn outcome(&self, control: u16, path: &str, parameters: &str, query: &str) -> (Outcome, String) {
        let [ours, theirs] = self.both(path, parameters, BOTH);
        if let (200, 200, None) = (ours.status, theirs.status, difference_of(path, parameters, &ours, &theirs)) {
            return (if has_data(&ours) { Outcome::SameWithData } else { Outcome::SameWithout }, String::new());
        }
        let control = Request::get(&format!("{path}?{parameters}")).send(control);
        let what = || {
            let shown = |answer: &Response| answer.text().chars().take(600).collect::<String>();
            format!(
                "{path} {query:?}\n   ours:    {}\n   theirs:  {}\n   control: {}",
                shown(&ours),
                shown(&theirs),
                shown(&control)
            )
        };
        let outcome = match (ours.status, theirs.status, control.status) {
            (200, theirs, 200) if difference_of(path, parameters, &ours, &control).is_none() => match theirs {
                400 => Outcome::NewerThanCortex,
                _ => Outcome::OtherVersion,
            },
            (200, _, 200) if query.contains("limit") => Outcome::OtherChoice,
            (200, _, 200) if query.contains("info(") && is_part_of(&ours, &control) => Outcome::FewerByInfo,
            (400, _, _) if ours.text().contains("info() is allowed only") => Outcome::RefusedInfo,
            (400 | 422, 200, ours) if ours == control.status => Outcome::OtherVersion,
            (400 | 422, 400.., 400 | 422) => Outcome::BothRefuse,
            (_, _, _) => Outcome::Different,
        };
        (outcome, what())
    }
}

#[test]
fn expressions_of_prometheus_s_tests_have_cortex_s_answers() {
    let begun = Instant::now();
    let twins = twins();
    let (_process, control) = control();
    for (number, tenant) in TENANTS.into_iter().enumerate() {
        let all = series(number);
        all.chunks(200).for_each(|part| twins.cortex.write(tenant, part));
        write(twins.prometheus.1, &all, "tenant_id", tenant);
    }
    let corpus = oracle::corpus("prometheus");
    // Only whether Prometheus reads it is asked.
    let scope = [oracle::Condition { label: "tenant_id", op: "=", values: &["any"] }];
    let cases: Vec<_> =
        corpus.iter().map(|query| oracle::Case::new(query.as_bytes(), None, &scope, "replace", false)).collect();
    let verdicts = oracle::judge(&cases);
    let valid: Vec<&String> =
        corpus.iter().zip(verdicts).filter(|(_, verdict)| verdict.query[1].ok).map(|(query, _)| query).collect();

    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((number, query)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|number| Some((number, valid.get(number)?)))
                {
                    let ask = |path: &'static str, parameters: &str| {
                        let (outcome, what) = twins.outcome(control, path, parameters, query);
                        found.lock().unwrap().push((outcome, path, what));
                    };
                    ask("/api/v1/query", &instant(query));
                    if number % 3 == 0 {
                        ask("/api/v1/query_range", &range(query));
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let mut counts = BTreeMap::new();
    for (outcome, path, what) in &found {
        *counts.entry((*path, *outcome)).or_insert(0) += 1;
        if !matches!(outcome, Outcome::SameWithData | Outcome::SameWithout | Outcome::BothRefuse) {
            println!("{outcome:?} {what}");
        }
    }
    println!("{} of {} texts are valid: {counts:?}, in {:?}", valid.len(), corpus.len(), begun.elapsed());
    let count = |outcome| found.iter().filter(|(found, ..)| *found == outcome).count();
    assert_eq!(count(Outcome::Different), 0);
    assert!(valid.len() > 3_000 && count(Outcome::SameWithData) > 1_500, "{counts:?}");
    assert!(count(Outcome::OtherChoice) < 20 && count(Outcome::FewerByInfo) < 20, "{counts:?}");
    // A Cortex with a newer parser would have fewer. Then docs/federation.md has to say so.
    assert!(count(Outcome::NewerThanCortex) > 100 && count(Outcome::OtherVersion) < 250, "{counts:?}");
}
