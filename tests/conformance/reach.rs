//! Compares the reach of a query with the time range for which Prometheus's engine asks its storage, with the same query, start, end, step and
//! lookback.

use super::generator::{self, Rng};
use super::oracle::{self, Asked, EngineCase};
use super::{generated_count, number};
use promql_tenancy_filter::promql::{Demand, Evaluation, Query, Unknown};
use std::collections::BTreeMap;

/// The number of queries that are sent to the oracle at a time.
const BATCH: usize = 20_000;

#[test]
fn prometheus_own_tests_reach_as_far() {
    let report = every_query("Prometheus's own tests", oracle::corpus("prometheus"));
    // Most of the texts in this corpus are not queries, or not queries that the engine evaluates.
    assert!(report.compared > 2_000, "{} compared", report.compared);
}

#[test]
fn public_collections_reach_as_far() {
    let report = every_query("public collections", oracle::corpus("collections"));
    assert!(report.compared > 5_000, "{} compared", report.compared);
}

#[test]
fn generated_queries_reach_as_far() {
    let first = number("TENANCY_CONFORMANCE_SEED", 0);
    let seeds: Vec<u64> = (first..first + generated_count() / 2).collect();
    let mut report = Report::default();
    for seeds in seeds.chunks(BATCH) {
        let questions = seeds.iter().map(|&seed| Question::new(generator::query(seed), seed));
        compare(&questions.collect::<Vec<_>>(), &mut report);
    }
    report.finish("generated queries");
    assert!(report.compared * 10 > report.questions * 6, "most are evaluated, and compared");
}

/// Combinations that the generator rarely makes.
#[test]
fn rare_reaches_are_as_far() {
    let selectors = ["x", "x offset 7m", "x offset -7m", "x @ 1000", "x @ start()", "x @ end() offset -1m", "1"];
    let ranges =
        ["5m", "0.0004", "0.0006", "1e-9", "(0.0004)", "step()", "range()", "range() * 2", "100y", "2 ^ 3", "(7m)"];
    let subqueries =
        ["", " offset 3m", " offset -3m", " @ 2000", " @ start() offset step()", " @ end() offset (range() / 3)"];
    let extensions = ["", " smoothed", " anchored"];
    let mut queries: Vec<String> = Vec::new();
    for selector in selectors {
        for range in ranges {
            for subquery in subqueries {
                queries.push(format!("max_over_time({selector}[{range}:]{subquery})"));
                for outer in ["[1h:7m]", "[1h:] offset 2m", "[(range()):step()] @ 5000", "[150y:1y] @ end()"] {
                    queries.push(format!("sum_over_time(last_over_time({selector}[{range}:]{subquery}){outer})"));
                    queries.push(format!("sum_over_time(topk(scalar({selector}), x{subquery}){outer})"));
                }
            }
        }
    }
    for extension in extensions {
        for range in ranges {
            queries.push(format!("rate(x[{range}]{extension} offset 1m) + y{extension}"));
            queries.push(format!("sum_over_time(rate(x[{range}]{extension} @ 1000)[10m:] offset 5m)"));
            queries.push(format!("info(rate(x[{range}]{extension}), {{l=~\".+\"}})"));
        }
    }
    for operator in ["+", "-", "*", "/", "%", "^"] {
        for (left, right) in
            [("7m", "3m"), ("0.1", "0.3"), ("1.005s", "1"), ("2.5", "2"), ("9", "0.5"), ("4", "-0.5"), ("10", "-3")]
        {
            queries.push(format!("x offset ({left} {operator} {right})"));
            queries.push(format!("x[({left}) {operator} {right} {operator} 2]"));
            queries.push(format!("x[max_of({left}, step()) {operator} min_of({right}, range())]"));
        }
    }
    queries.extend(
        [
            "x offset 0s[5m] offset 3m",
            "x @ 1000 offset 0 offset 3m",
            "rate(x anchored [5m] @ 1000 offset 3m)",
            "rate(x[5m] offset 3m smoothed @ end())",
            // 400 years overflow Go's nanoseconds. The filter refuses such a sum.
            "max_over_time(max_over_time(x[200y:1y])[200y:1y])",
        ]
        .map(String::from),
    );
    let report = every_query("rare reaches", queries);
    assert!(report.compared * 10 > report.questions * 5, "most are evaluated, and compared");
}

/// Each query at four times: as a range query, and as an instant query.
fn every_query(name: &str, queries: Vec<String>) -> Report {
    let mut report = Report::default();
    let mut questions = Vec::new();
    for (seed, query) in (0u64..).zip(queries) {
        questions.extend((0..4).map(|time| Question::new(query.clone().into_bytes(), seed * 4 + time)));
    }
    for questions in questions.chunks(BATCH) {
        compare(questions, &mut report);
    }
    report.finish(name);
    report
}

struct Question {
    query: Vec<u8>,
    seed: u64,
    instant: bool,
    evaluation: Evaluation,
}

impl Question {
    fn new(query: Vec<u8>, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x0072_6561_6368);
        let instant = rng.chance(40);
        // Times near now, near 1970 and before 1970, and times that barely fit into the engine's nanoseconds.
        let start_ms = match rng.weighted(&[70, 15, 10, 5]) {
            0 => 1_700_000_000_000 + milliseconds(&mut rng),
            1 => milliseconds(&mut rng),
            2 => -milliseconds(&mut rng),
            _ => {
                if rng.chance(50) {
                    -9_223_372_036_854
                } else {
                    9_223_372_036_854 - 100_000_000_000
                }
            }
        };
        let end_ms = if instant { start_ms } else { start_ms + milliseconds(&mut rng) };
        let step_ns = match (instant, rng.weighted(&[60, 30, 10])) {
            (true, _) => 0,
            (false, 0) => (1 + rng.below(3_600) as i64) * 1_000_000_000,
            (false, 1) => (1 + rng.below(90_000_000) as i64) * 1_000_000,
            (false, _) => 1 + rng.below(10_000_000_000) as i64,
        };
        let lookback_ms = match rng.weighted(&[50, 50]) {
            0 => 300_000,
            _ => 1 + milliseconds(&mut rng),
        };
        let evaluation =
            Evaluation { start_ms, end_ms, step_ns, lookback_ms, subquery_step_ms: 60_000, in_parts: false };
        Question { query, seed, instant, evaluation }
    }
}

/// A random duration of any magnitude, up to three years.
fn milliseconds(rng: &mut Rng) -> i64 {
    let most = 10usize.pow(rng.below(12) as u32);
    rng.below(most) as i64
}

#[derive(Default)]
struct Report {
    questions: usize,
    /// The engine ran, and the filter computed the same reach.
    compared: usize,
    /// The filter's reach is longer, as intended.
    covered: usize,
    /// The engine ran, and the filter can't compute the reach, by reason.
    unknown: BTreeMap<&'static str, usize>,
    refused_there: usize,
    broken: Vec<String>,
}

fn compare(questions: &[Question], report: &mut Report) {
    let cases: Vec<EngineCase<'_>> =
        questions.iter().map(|q| EngineCase::new(&q.query, q.instant, &q.evaluation)).collect();
    for (question, asked) in questions.iter().zip(oracle::asked(&cases)) {
        report.one(question, &asked);
    }
}

impl Report {
    fn one(&mut self, question: &Question, asked: &Asked) {
        self.questions += 1;
        let query = match Query::parse(&question.query) {
            Ok(query) if asked.ran => query,
            // Other tests assert which queries are accepted and refused.
            Ok(_) | Err(_) => {
                self.refused_there += 1;
                return;
            }
        };
        match query.demand(&question.evaluation) {
            Ok(demand) => self.reach(question, asked, &demand),
            Err(Unknown(reason)) if excused(&question.query, reason) => *self.unknown.entry(reason).or_default() += 1,
            Err(Unknown(reason)) => self.broke(question, asked, &format!("nothing: {reason}")),
        }
    }

    fn reach(&mut self, question: &Question, asked: &Asked, demand: &Demand) {
        let there = (asked.selects > 0).then_some((asked.hints.min, asked.hints.max));
        // Only info() may make the reach longer than the hints.
        let querier = Some((asked.querier.min, asked.querier.max)).filter(|_| asked.selects > 0);
        let info = holds(&question.query, &["info"]);
        let selectors = Query::parse(&question.query).map_or(0, |query| query.selectors() as u32);
        if there != querier && !info {
            self.broke(question, asked, "the querier's bounds are not those of the hints");
        } else if selectors != asked.selects {
            self.broke(question, asked, &format!("{selectors} selectors"));
        } else if demand.samples == querier {
            self.compared += 1;
        } else if (info || in_parameter(&question.query)) && covers(demand.samples, querier) {
            self.covered += 1;
        } else {
            self.broke(question, asked, &format!("{:?}", demand.samples));
        }
    }

    fn broke(&mut self, question: &Question, asked: &Asked, ours: &str) {
        let Question { query, seed, instant, evaluation } = question;
        let there = (asked.selects, asked.hints, asked.querier, &asked.error);
        self.broken.push(format!(
            "seed {seed}, instant {instant}, {evaluation:?}\n    query  {:?}\n    filter {ours}\n    there  {there:?}",
            String::from_utf8_lossy(query)
        ));
    }

    fn finish(&mut self, name: &str) {
        println!(
            "{name}: {} evaluations, {} that the engine refuses, {} reach as far, {} further by intention, unknown {:?}",
            self.questions, self.refused_there, self.compared, self.covered, self.unknown
        );
        self.broken.sort_by_key(String::len);
        let shown = &self.broken[..self.broken.len().min(12)];
        assert!(shown.is_empty(), "{name}: {} reach elsewhere\n  {}", self.broken.len(), shown.join("\n  "));
        let unknown: usize = self.unknown.values().sum();
        assert!((unknown + self.covered) * 10 < self.compared.max(10) * 3, "exceptions are few");
    }
}

/// What docs/reach.md says can't be computed: powers that are neither whole nor ±0.5, and sums of more than 292 years, which wrap around in
/// Go.
fn excused(query: &[u8], reason: &str) -> bool {
    match reason.starts_with("a duration is not finite, raised to a power") {
        true => holds(query, &["^"]),
        false => reason.contains("out of range"),
    }
}

fn in_parameter(query: &[u8]) -> bool {
    const AGGREGATORS: [&str; 6] = ["topk", "bottomk", "quantile", "limitk", "limit_ratio", "count_values"];
    holds(query, &["@"]) && holds(query, &["start", "end"]) && holds(query, &AGGREGATORS)
}

fn holds(query: &[u8], words: &[&str]) -> bool {
    let query = query.to_ascii_lowercase();
    words.iter().any(|word| query.windows(word.len()).any(|part| part == word.as_bytes()))
}

fn covers(ours: Option<(i64, i64)>, theirs: Option<(i64, i64)>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours.0 <= theirs.0 && ours.1 >= theirs.1,
        (_, None) => true,
        (None, Some(_)) => false,
    }
}
