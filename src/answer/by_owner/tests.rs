use super::*;
use crate::answer::Filter;
use crate::answer::owner::tests::owner;
use crate::json::GIVEN;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The scanner takes each byte once. What is held is read once more by a cursor: labels, and what is kept. So the work is linear,
/// which is counted here in the bytes that cursors were given.
#[test]
fn each_byte_is_read_a_bounded_number_of_times() {
    let alert =
        |tenant: &str| format!(r#"{{"labels":{{"tenant_id":"{tenant}"}},"annotations":{{"a":"b"}},"state":"firing"}}"#);
    let rule = |tenant: &str, count: usize| {
        let alerts: Vec<String> = (0..count).map(|at| alert(if at % 3 == 0 { "team-b" } else { "team-a" })).collect();
        format!(r#"{{"alerts":[{}],"labels":{{"tenant_id":"{tenant}"}},"state":"firing"}}"#, alerts.join(","))
    };
    let answer = |rules: usize, alerts: usize| {
        let rules: Vec<String> =
            (0..rules).map(|at| rule(if at % 3 == 0 { "team-b" } else { "team-a" }, alerts)).collect();
        format!(r#"{{"data":{{"groups":[{{"evaluationTime":1,"rules":[{}]}}]}}}}"#, rules.join(","))
    };
    for body in [answer(10, 10), answer(1_000, 10), answer(10, 1_000), answer(1, 10_000)] {
        for size in [1, 100, body.len()] {
            GIVEN.set(0);
            let rules = Labelled::Rules { shared: false, narrowed: false };
            let mut filter = Filter::by_owner(rules, owner("team-a"), 1 << 20);
            let mut out = Vec::new();
            body.as_bytes().chunks(size).for_each(|chunk| filter.push(chunk, false, &mut out));
            filter.push(b"", true, &mut out);
            assert_eq!(filter.fault(), None);
            assert!(GIVEN.get() <= 2 * body.len(), "{} of {} in chunks of {size}", GIVEN.get(), body.len());
        }
    }
}
