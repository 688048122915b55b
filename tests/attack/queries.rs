//! Queries under scopes of several labels.

use super::selected as queries;
use super::*;

fn attack_query(seed: u64, findings: &mut Findings) {
    use promql_tenancy_filter::promql::{ErrorKind, rewrite};
    use promql_tenancy_filter::scope::{Fit, Standing, Unfit};
    use queries::*;
    let mut rng = Rng::new(seed);
    let conditions: Vec<Condition> = (0..1 + rng.below(5))
        .map(|_| {
            let op = rng.pick(&[MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
            let is_text = matches!(op, MatchOp::Equal | MatchOp::NotEqual);
            (rng.pick(&LABELS), op, if is_text { rng.pick(&TEXTS) } else { rng.pick(&PATTERNS) })
        })
        .collect();
    let each = [OnConflict::Replace, OnConflict::Intersect, OnConflict::Reject];
    let is_mixed = rng.chance(30);
    let first = rng.pick(&each);
    let conflicts: Vec<OnConflict> =
        conditions.iter().map(|_| if is_mixed { rng.pick(&each) } else { first }).collect();
    let parts = conditions.iter().map(matcher).zip(conflicts.iter().copied()).collect();
    let nothing = BTreeMap::new();
    let scope = match Scope::new(parts) {
        Ok(scope) => scope,
        Err(Unfit::MatchesWithoutLabels) => {
            if !scope_accepts(&conditions, &nothing) {
                findings.add("a scope refused for nothing", || format!("{conditions:?}"));
            }
            return;
        }
        Err(other) => return findings.add("unfit", || format!("{conditions:?}: {other}")),
    };
    findings.count("scopes");
    if scope_accepts(&conditions, &nothing) {
        findings.add("a scope that matches what has no labels", || format!("{conditions:?}"));
    }
    let inside = scope.inside().expect("its patterns are run");
    for _ in 0..12 {
        let mut labels = set(&mut rng);
        // Towards the scope.
        for (label, op, value) in &conditions {
            if matches!(op, MatchOp::Equal) && rng.chance(70) {
                labels.insert(label, value);
            }
        }
        let mut standing = inside.begin();
        for (name, value) in &labels {
            if let Some(label) = inside.find(|other| other == *name) {
                standing.note(label, inside.fit(label, value) != Fit::Refused).expect("once");
            }
        }
        let is_inside = standing.finish() == Standing::Inside;
        if is_inside != scope_accepts(&conditions, &labels) {
            findings.add("inside", || format!("{conditions:?} {labels:?}: {is_inside}"));
        }
        findings.count(if is_inside { "inside" } else { "not inside" });
    }
    let (query, selectors) = query(&mut rng);
    let shown = || format!("seed {seed}: {query}\nscope {} {conflicts:?}", scope.written());
    let mut out = Vec::new();
    let written = rewrite(query.as_bytes(), &scope, &mut out);
    let written = match written {
        Ok(count) if count as usize == selectors.len() => String::from_utf8(out).expect("UTF-8"),
        Ok(count) => return findings.add("count", || format!("{count}: {}", shown())),
        Err(error) if error.kind == ErrorKind::Conflict => {
            findings.count("conflicts");
            // One of its selectors can't match, whatever the label's value.
            let can = |own: &Vec<Own>| {
                LABELS.iter().all(|label| {
                    let of_label = |own: &&Own| own.label == *label;
                    TEXTS.iter().chain(&["x", "xx", "team-", "ab"]).any(|value| {
                        let labels = BTreeMap::from([(*label, *value)]);
                        own.iter().filter(of_label).all(|own| own.accepts(&labels))
                            && conditions.iter().filter(|one| one.0 == *label).all(|one| accepts(one, value))
                    })
                })
            };
            if selectors.iter().all(can) {
                findings.add("a conflict that is none", || format!("{}\n{error}", shown()));
            }
            return;
        }
        Err(error) => return findings.add(format!("refused: {:?}", error.kind), || format!("{}\n{error}", shown())),
    };
    let mut again = Vec::new();
    if rewrite(written.as_bytes(), &scope, &mut again).ok() != Some(selectors.len() as u32)
        || again != written.as_bytes()
    {
        findings.add("twice is not once", || format!("{}\n{written}\n{}", shown(), String::from_utf8_lossy(&again)));
    }
    let found = braces(&written);
    if found.len() != selectors.len() {
        return findings.add("braces", || format!("{}\n{written}", shown()));
    }
    findings.count("queries");
    for (own, found) in selectors.iter().zip(&found) {
        let ours =
            conditions.iter().map(|(label, op, value)| Own { label: (*label).into(), op: *op, value: (*value).into() });
        let ours: Vec<Own> = ours.collect();
        let Some(kept) = found.strip_prefix(&ours[..]) else {
            findings.add("a selector lacks a matcher", || format!("{}\n{written}", shown()));
            continue;
        };
        // What is dropped is on a label that the scope fixes and replaces, or the scope's own.
        let is_replaced = |own: &Own| {
            conditions.iter().zip(&conflicts).any(|(one, conflict)| {
                one.0 == own.label && one.1 == MatchOp::Equal && *conflict == OnConflict::Replace
            })
        };
        let wanted: Vec<&Own> = own.iter().filter(|own| !ours.contains(own) && !is_replaced(own)).collect();
        if kept.iter().collect::<Vec<_>>() != wanted {
            findings.add("other matchers are kept", || format!("{}\n{written}", shown()));
        }
        for _ in 0..8 {
            let labels = set(&mut rng);
            let selects = found.iter().all(|one| one.accepts(&labels));
            let expected =
                scope_accepts(&conditions, &labels) && own.iter().all(|own| is_replaced(own) || own.accepts(&labels));
            if selects != expected {
                findings.add("it selects something else", || format!("{}\n{written}\n{labels:?}", shown()));
            }
        }
    }
    // Where no value is left of what texts tell, `Reject` refuses.
    let rejects = |label: &str| {
        let mut of_label = conditions.iter().zip(&conflicts).filter(|(one, _)| one.0 == label).peekable();
        of_label.peek().is_some() && of_label.all(|(_, conflict)| *conflict == OnConflict::Reject)
    };
    for own in &selectors {
        for one in own.iter().filter(|one| one.op == MatchOp::Equal && rejects(&one.label)) {
            let of_label = || conditions.iter().filter(|ours| ours.0 == one.label && ours.1 == MatchOp::Equal);
            if of_label().next().is_some() && of_label().all(|ours| ours.2 != one.value) {
                findings.add("a conflict that is not seen", || format!("{}\n{written}", shown()));
            }
        }
    }
}

#[test]
fn queries_of_several_labels() {
    let mut findings = Findings::default();
    for seed in seeds(12_000) {
        attack_query(seed, &mut findings);
    }
    findings.judge();
}

/// The generator's queries: whatever they hold, every pair of braces has the whole scope.
#[test]
fn queries_of_every_production() {
    use promql_tenancy_filter::promql::rewrite;
    let mut findings = Findings::default();
    for seed in seeds(6_000) {
        let mut rng = Rng::new(seed);
        let all: [Condition; 5] = [
            ("tenant_id", MatchOp::Regex, "team-a|team-b"),
            ("job", MatchOp::NotEqual, "a"),
            ("namespace", MatchOp::Regex, "[a-z]+"),
            ("http.status", MatchOp::NotRegex, "5.."),
            ("a", MatchOp::Equal, "foo.*"),
        ];
        let conditions: Vec<Condition> = (0..1 + rng.below(5)).map(|_| rng.pick(&all)).collect();
        let conflict = rng.pick(&[OnConflict::Replace, OnConflict::Intersect, OnConflict::Reject]);
        let Ok(scope) = Scope::new(conditions.iter().map(|one| (matcher(one), conflict)).collect()) else { continue };
        let query = if rng.chance(30) { generator::mutated(seed) } else { generator::query(seed) };
        let mut out = Vec::new();
        let Ok(count) = rewrite(&query, &scope, &mut out) else { continue };
        findings.count("rewritten");
        let Ok(written) = String::from_utf8(out) else { continue };
        let (mut again, text) = (Vec::new(), String::from_utf8_lossy(&query));
        if rewrite(written.as_bytes(), &scope, &mut again) != Ok(count) || again != written.as_bytes() {
            findings.add("twice is not once", || format!("{text}\n{written}\n{}", String::from_utf8_lossy(&again)));
        }
        let found = queries::braces(&written);
        let ours: Vec<_> = conditions
            .iter()
            .map(|(label, op, value)| queries::Own { label: (*label).into(), op: *op, value: (*value).into() })
            .collect();
        if found.len() != count as usize || !found.iter().all(|found| found.starts_with(&ours)) {
            findings.add("a selector lacks a matcher", || format!("{text}\n{written}\n{ours:?}"));
        }
    }
    findings.judge();
}
