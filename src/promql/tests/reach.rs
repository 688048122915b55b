//! The rules for how far a query reaches. tests/conformance.rs compares the reach with what Prometheus's engine reads.

use super::super::{Demand, Evaluation, Query, Unknown};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const MINUTE: i64 = 60_000;
const START: i64 = 1_000 * MINUTE;
const END: i64 = 1_100 * MINUTE;

const EVALUATION: Evaluation = Evaluation {
    start_ms: START,
    end_ms: END,
    step_ns: 2 * MINUTE * 1_000_000,
    lookback_ms: 5 * MINUTE,
    subquery_step_ms: MINUTE,
    in_parts: false,
};

fn demand(query: &str) -> Result<Demand, Unknown> {
    Query::parse(query.as_bytes()).expect("it is PromQL").demand(&EVALUATION)
}

/// Asserts the reach, in minutes before the start and after the end. A range excludes its left end.
#[track_caller]
fn reaches(query: &str, before: f64, after: f64) {
    let milliseconds = |minutes: f64| (minutes * MINUTE as f64) as i64;
    let samples = demand(query).expect("it can be computed").samples;
    assert_eq!(samples, Some((START - milliseconds(before) + 1, END + milliseconds(after))), "{query}");
}

#[test]
fn a_query_without_a_selector_reaches_nowhere() {
    for query in ["1", "vector(time())", "\"text\"", "start() + range()"] {
        assert_eq!(demand(query).expect("nothing to compute").samples, None, "{query}");
    }
}

#[test]
fn ranges_offsets_and_lookback_count() {
    reaches("x", 5.0, 0.0);
    reaches("x[1m]", 1.0, 0.0);
    reaches("rate(x[10m] offset 1m)", 11.0, -1.0);
    reaches("x offset -1m", 4.0, 1.0);
    reaches("x offset 0s offset 7m", 12.0, -7.0);
    reaches("x smoothed", 5.0, 5.0);
    reaches("rate(x[10m] anchored)", 15.0, 0.0);
    reaches("rate(x[10m] smoothed)", 15.0, 5.0);
    reaches("x offset 1m + y offset -2m", 6.0, 2.0);
    reaches("x[0.0001]", 0.0, 0.0);
    reaches("x[(0.0001)]", 5.0, 0.0);
}

#[test]
fn subqueries_add_up() {
    reaches("x[10m:]", 15.0, 0.0);
    reaches("x[10m:3m] offset 1m", 16.0, -1.0);
    reaches("max_over_time(rate(x[2m] offset 4m)[10m:] offset 1m)[20m:1m] offset 3m", 40.0, -8.0);
    // The range and offset of a subquery don't count for a selector beside it.
    reaches("a[50m] + (sum(b[1h:]) + -c) - d[7m:]", 65.0, 0.0);
    reaches("(a[1h:]) + b offset -1m", 65.0, 1.0);
    // Sums are truncated to milliseconds, but their terms are not.
    reaches("(x[0.0006:])[0.0006:1]", 5.0 + 1.0 / 60_000.0, 0.0);
}

#[test]
fn at_modifier_sets_the_time() {
    let at = |minutes: i64| (minutes * MINUTE + 1, minutes * MINUTE + 5 * MINUTE);
    for (query, samples) in [
        ("x @ 600", at(5)),
        ("x @ 600 offset 1m", at(4)),
        ("x @ -600", at(-15)),
        ("x @ 0x258", at(5)),
        ("x @ 10m", at(5)),
        ("x @ start()", (START - 5 * MINUTE + 1, START)),
        ("x @ end()", (END - 5 * MINUTE + 1, END)),
        ("(x @ 600)[1h:] offset 1d", at(5)),
        ("x[3m:] @ 600", (2 * MINUTE + 1, 10 * MINUTE)),
        // The innermost `@` counts, with the ranges and offsets inside it.
        ("x[3m:] @ 600 [1h:] @ 6000 offset 7m", (2 * MINUTE + 1, 10 * MINUTE)),
        ("x[3m:][1h:] @ 6000 offset 7m", ((100 - 7 - 63 - 5) * MINUTE + 1, 93 * MINUTE)),
    ] {
        assert_eq!(demand(query).map(|d| d.samples), Ok(Some(samples)), "{query}");
    }
}

#[test]
fn durations_are_computed() {
    reaches("x[step()]", 2.0, 0.0);
    reaches("x[range() + 1m]", 101.0, 0.0);
    reaches("x[max_of(step(), 1m)] offset min_of(step(), 1m)", 3.0, -1.0);
    reaches("x[10m - 2 * 3m]", 4.0, 0.0);
    reaches("x[7m % 4m]", 3.0, 0.0);
    reaches("x[(60) / 4 ^ 0.5]", 0.5, 0.0);
    reaches("x[2 ^ -1 * 4m]", 2.0, 0.0);
    reaches("x offset -(3m)", 2.0, 3.0);
    reaches("x offset -step()", 3.0, 2.0);
    reaches("x[-(-3m)]", 3.0, 0.0);
    reaches("x[1m:(step())] offset (1m + 1m)", 8.0, -2.0);
}

#[test]
fn a_reach_that_cannot_be_computed_is_an_error() {
    for query in [
        "x[1m / (1 - 1)]",
        "x[step() - 1h]",
        "x[2 ^ 0.3]",
        "x offset (1m ^ 1.5)",
        "x[max_of(2 ^ 0.3, 1m)]",
        "x[100y * 3]",
        "x offset (0 / step() / 0s - 1 / (0 * step()))",
        "(x[200y:])[200y:]",
        "(x[1m:] offset 200y)[1m:] offset 200y",
        "x @ 1e18",
        "x[1m:(-step())]",
    ] {
        match Query::parse(query.as_bytes()) {
            Ok(query) => assert!(query.demand(&EVALUATION).is_err()),
            Err(error) => assert_eq!(error.message, "division by zero", "{query}"),
        }
    }
    let query = Query::parse(b"x").expect("it is PromQL");
    for time in [i64::MIN, i64::MAX] {
        assert!(query.demand(&Evaluation { start_ms: time, ..EVALUATION }).is_err());
        assert!(query.demand(&Evaluation { end_ms: time, ..EVALUATION }).is_err());
        // These values don't overflow.
        let far = Evaluation { lookback_ms: time, subquery_step_ms: time, step_ns: time, ..EVALUATION };
        assert!(query.demand(&far).is_ok());
    }
}

#[test]
fn both_readings_of_an_aggregation_parameter_count() {
    // Prometheus's engine ignores `@ start()` and `@ end()` here, and reads the whole time range of the query.
    reaches("topk(scalar(x @ end()), y @ start())", 5.0, 0.0);
    reaches("topk(scalar(x @ start() offset -10m), y)", 5.0, 10.0);
    let samples = demand("topk(scalar(x @ end()), vector(1))[1m:] @ 0").expect("it can be computed").samples;
    assert_eq!(samples, Some((-6 * MINUTE + 1, END)));
}

#[test]
fn info_reads_as_its_argument_does() {
    reaches("info(rate(x[1m]), {l=~'.+'})", 5.0, 0.0);
    reaches("info(x offset 10m, {l=~'.+'})", 15.0, 0.0);
    reaches("info(rate(x[1m] offset -10m), {l=~'.+'})", 5.0, 10.0);
}

#[test]
fn longest_range_subquery_steps_and_fixed_times_are_counted() {
    let query = "sum by (a) (x{a=~\"a.\\x62\", b!~'', c='long enough'} @ 5) + y[1h:] + z[1h:7m] + w[10m:(0.0001)]";
    let counted = |query: &str| {
        let read = Query::parse(query.as_bytes()).expect("it is PromQL");
        let demand = demand(query).expect("it can be computed");
        ((read.selectors(), read.longest_pattern(), demand.subquery_steps), demand.fixed_time)
    };
    assert_eq!(counted(query), ((4, 3, 60), true));
    assert_eq!(counted("topk(scalar(x @ end()), y)"), ((2, 0, 0), false));
}

#[test]
fn range_of_a_query_that_is_split_is_not_known() {
    let of = |query: &str, evaluation: Evaluation| {
        Query::parse(query.as_bytes()).expect("it is PromQL").demand(&evaluation).is_ok()
    };
    let split = Evaluation { in_parts: true, ..EVALUATION };
    let one_step = Evaluation { end_ms: START, ..split };
    for query in ["x[range()]", "x offset -range()", "x offset min_of(range(), 1h)", "x[1h:max_of(1m, range())]"] {
        // With one step, `range()` is 0.
        assert!(of(query, EVALUATION) && !of(query, split), "{query}");
    }
    assert!(of("x offset -range()", one_step));
    for query in ["x[step()]", "x @ end()", "x[5m + 1m]"] {
        assert!(of(query, split), "{query}");
    }
}
