//! What the names of labels are exchanged for is exchanged back: Prometheus's parser sees the same tree again. (That they are exchanged in the
//! right places, and nowhere else, is a mode of the comparison in `rules`.)

use super::generator;
use super::oracle::{self, judge};
use super::{REPLACE, generated_count};
use promql_tenancy_filter::promql::{rewrite, shown, stored};
use promql_tenancy_filter::scope::Renaming;

/// Names that generated queries have in every place where a label can stand, and the three of a federation.
fn renamings() -> [Renaming; 3] {
    [("tenant_id", "a"), ("b", "tenant_id"), ("tenant_id", "__tenant_id__")]
        .map(|(stored, shown)| Renaming::new(stored, shown).expect("three names"))
}

fn enforced(query: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    rewrite(query, &REPLACE.scope(), &mut out).ok().map(|_| out)
}

#[test]
fn names_are_exchanged_back() {
    let mut queries: Vec<Vec<u8>> = oracle::corpus("prometheus").into_iter().map(String::into_bytes).collect();
    queries.extend((0..generated_count() / 5).map(generator::query));
    let (mut trips, mut changed) = (Vec::new(), 0);
    for query in queries {
        for renaming in renamings() {
            for (there, back) in [(stored as Exchange, shown as Exchange), (shown, stored)] {
                let Some(exchanged) = there(&query, &renaming) else { continue };
                changed += 1;
                let again = back(&exchanged, &renaming).expect("what was exchanged is exchanged back");
                let once_more = there(&again, &renaming).expect("it is exchanged as before");
                assert_eq!(once_more, exchanged, "{}", String::from_utf8_lossy(&query));
                trips.push((query.clone(), enforced(&again)));
            }
        }
    }
    assert!(changed > 2_000, "{changed}");
    let cases: Vec<_> = trips
        .iter()
        .map(|(query, again)| oracle::Case::new(query, again.as_deref(), REPLACE.scope, REPLACE.name, false))
        .collect();
    let mut compared = 0;
    for ((query, _), verdict) in trips.iter().zip(judge(&cases)) {
        for comparison in verdict.out.into_iter().flatten().filter(|comparison| comparison.compared) {
            compared += 1;
            assert_eq!(comparison.diff, "", "{}", String::from_utf8_lossy(query));
        }
    }
    println!("{changed} texts were exchanged and exchanged back; {compared} trees are the same");
    assert!(compared > changed, "{compared} of {changed}");
}

type Exchange = fn(&[u8], &Renaming) -> Option<Vec<u8>>;
