//! Attacks: documents and queries made to deceive, judged by readers that share no code with the crate.
//!
//! - Answers: rules, alerts and exemplars of the tenant's, of others, of nobody's and with templates, in wild spelling and order; whole,
//!   cut, followed by more, and mutated. `reference` says, of what serde_json reads, what has to be left of them.
//! - Queries: scopes of one to five matchers. A reader of braces and the `regex` crate say what the rewritten query selects.
//!
//! `ATTACK_CASES=400000 ATTACK_SEED=1 cargo test --test attack --all-features -- --nocapture` is the long form.
#![cfg(not(target_family = "wasm"))]

mod answers;
#[path = "../generator/mod.rs"]
mod generator;
mod maker;
mod memory;
mod queries;
mod reference;
mod selected;

use generator::Rng;
use promql_tenancy_filter::answer::{Filter, Labelled, Owner, Unreadable};
use promql_tenancy_filter::scope::{MatchOp, Matcher, OnConflict, Scope};
use std::collections::BTreeMap;

/// Seeds of so many cases.
fn seeds(short: u64) -> std::ops::Range<u64> {
    let number =
        |name: &str, otherwise| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let from = number("ATTACK_SEED", 0) << 32;
    from..from + number("ATTACK_CASES", short)
}

/// What was found: how often, and the first of each kind.
#[derive(Default)]
struct Findings {
    kinds: BTreeMap<String, (usize, String)>,
    counts: BTreeMap<&'static str, usize>,
}

impl Findings {
    fn add(&mut self, kind: impl Into<String>, example: impl FnOnce() -> String) {
        self.kinds.entry(kind.into()).or_insert_with(|| (0, example())).0 += 1;
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn judge(&self) {
        println!("{:#?}", self.counts);
        for (kind, (count, example)) in &self.kinds {
            println!("--- {kind}: {count}\n{example}");
        }
        assert!(self.kinds.is_empty(), "{:?}", self.kinds.keys());
    }
}

type Condition = (&'static str, MatchOp, &'static str);

fn matcher(&(label, op, value): &Condition) -> Matcher {
    Matcher { label: label.into(), op, value: value.into() }
}

/// The scopes that answers are filtered for.
fn scope(number: usize) -> (Scope, Vec<Condition>) {
    use MatchOp::{Equal, NotEqual, Regex};
    let several: [Condition; 3] =
        [("tenant_id", Equal, "team-a"), ("cluster", Regex, "eu-[0-9]+"), ("env", NotEqual, "dev")];
    match number {
        0 => (Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace), vec![several[0]]),
        1 => (
            Scope::one_of("tenant_id".into(), &["team-a", "team-c"], OnConflict::Replace),
            vec![("tenant_id", Regex, "team-a|team-c")],
        ),
        2 => {
            let scope = Scope::new(several.iter().map(|one| (matcher(one), OnConflict::Replace)).collect());
            (scope.expect("a scope"), several.to_vec())
        }
        _ => (
            Scope::matching("tenant_id".into(), "team-(a|c)".into()),
            vec![("tenant_id", Regex, "team-(a|c)"), ("tenant_id", NotEqual, "")],
        ),
    }
}

/// What PromQL says of a value: patterns are anchored, `.` is any character, an absent label is empty.
fn accepts((_, op, pattern): &Condition, value: &str) -> bool {
    match op {
        MatchOp::Equal => *pattern == value,
        MatchOp::NotEqual => *pattern != value,
        MatchOp::Regex => whole(pattern).is_match(value),
        MatchOp::NotRegex => !whole(pattern).is_match(value),
    }
}

/// The pattern as Prometheus compiles it, once a thread.
fn whole(pattern: &str) -> std::rc::Rc<regex::Regex> {
    thread_local! {
        static COMPILED: std::cell::RefCell<BTreeMap<String, std::rc::Rc<regex::Regex>>> = std::cell::RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        // To RE2, only ASCII has words.
        let ascii = pattern.replace("\\w", "[0-9A-Za-z_]");
        let new = || regex::Regex::new(&format!("^(?s:{ascii})$")).expect("a pattern").into();
        compiled.entry(pattern.to_owned()).or_insert_with(new).clone()
    })
}
