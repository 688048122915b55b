//! Scopes of one label and of several: how they are written, what they do to a query's own matchers, what is inside.

use super::MatchOp::{Equal, NotEqual, NotRegex, Regex};
use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

type Condition<'c> = (&'c str, MatchOp, &'c str);

fn matcher(&(label, op, value): &Condition<'_>) -> Matcher {
    Matcher { label: label.into(), op, value: value.into() }
}

fn made(conditions: &[Condition<'_>], on_conflict: OnConflict) -> Result<Scope, Unfit> {
    Scope::new(conditions.iter().map(|condition| (matcher(condition), on_conflict)).collect())
}

fn scope(conditions: &[Condition<'_>], on_conflict: OnConflict) -> Scope {
    made(conditions, on_conflict).unwrap_or_else(|unfit| panic!("{conditions:?}: {unfit}"))
}

fn rewritten(conditions: &[Condition<'_>], on_conflict: OnConflict, query: &str) -> Option<String> {
    let mut out = Vec::new();
    let written = crate::promql::rewrite(query.as_bytes(), &scope(conditions, on_conflict), &mut out);
    match written {
        Ok(_) => Some(String::from_utf8(out).unwrap()),
        Err(error) => {
            assert_eq!(error.kind, crate::promql::ErrorKind::Conflict, "{query}: {error}");
            None
        }
    }
}

/// `None` where a label is given twice.
fn standing(inside: &Inside, labels: &[(&str, &str)]) -> Option<Standing> {
    let mut set = inside.begin();
    for (name, value) in labels {
        if let Some(label) = inside.find(|other| other == *name) {
            set.note(label, inside.fit(label, value) != Fit::Refused).ok()?;
        }
    }
    Some(set.finish())
}

const SHOP: &[Condition<'_>] = &[("namespace", Regex, "shop-.*"), ("cluster", Equal, "eu"), ("env", NotEqual, "dev")];

#[test]
fn a_scope_never_matches_what_has_none_of_its_labels() {
    let refused: [&[Condition<'_>]; 8] = [
        &[("a", Equal, "")],
        &[("a", NotEqual, "x")],
        &[("a", Regex, ".*")],
        &[("a", Regex, "x|")],
        &[("a", Regex, "")],
        &[("a", NotRegex, "x|y")],
        &[("a", NotRegex, ".+")],
        &[("a", NotEqual, "x"), ("b", NotRegex, "y.*"), ("c", Regex, "z?")],
    ];
    for conditions in refused {
        assert_eq!(made(conditions, OnConflict::Replace).unwrap_err(), Unfit::MatchesWithoutLabels, "{conditions:?}");
    }
    let accepted: [&[Condition<'_>]; 7] = [
        &[("a", Equal, "x")],
        &[("a", NotEqual, "")],
        &[("a", Regex, ".+")],
        &[("a", NotRegex, "")],
        &[("a", NotRegex, ".*x?")],
        &[("a", NotEqual, "x"), ("b", Equal, "y")],
        // What the filter can't run proves nothing, but another matcher may.
        &[("a", Regex, r"\pL+"), ("a", NotEqual, "")],
    ];
    for conditions in accepted {
        assert!(made(conditions, OnConflict::Replace).is_ok(), "{conditions:?}");
    }
    assert!(matches!(made(&[("a", Regex, r"\pL+")], OnConflict::Replace), Err(Unfit::Pattern(..))));
    assert!(matches!(made(&[("a", Regex, "x)|(y")], OnConflict::Replace), Err(Unfit::Pattern(..))));
}

#[test]
fn a_scope_has_bounded_matchers_and_no_metric_name() {
    assert_eq!(made(&[], OnConflict::Replace).unwrap_err(), Unfit::NoMatcher);
    assert!(made(&[("a", Equal, "x"); MAX_MATCHERS], OnConflict::Replace).is_ok());
    assert_eq!(made(&[("a", Equal, "x"); MAX_MATCHERS + 1], OnConflict::Replace).unwrap_err(), Unfit::TooMany);
    assert_eq!(
        made(&[("a", Equal, "x"), ("__name__", Regex, ".+")], OnConflict::Replace).unwrap_err(),
        Unfit::MetricName
    );
}

#[test]
fn matchers_are_written_in_their_order_before_the_query_s_own() {
    let odd = [("a.b", Equal, "x\"y\\z\n"), ("", NotEqual, "é"), ("5", Regex, r"a\.b|c"), ("x5", NotRegex, "")];
    assert_eq!(scope(&odd, OnConflict::Replace).written(), r#""a.b"="x\"y\\z\n",""!="é","5"=~"a\\.b|c",x5!~"""#);
    assert_eq!(scope(&odd, OnConflict::Replace).matchers().cloned().collect::<Vec<_>>(), odd.each_ref().map(matcher));
    let written = rewritten(SHOP, OnConflict::Replace, r#"up + rate({"x",job="y",}[5m]) + z{}"#);
    let ours = r#"namespace=~"shop-.*",cluster="eu",env!="dev""#;
    assert_eq!(written, Some(format!("up{{{ours}}} + rate({{{ours},\"x\",job=\"y\"}}[5m]) + z{{{ours}}}")));
    let scope = scope(SHOP, OnConflict::Replace);
    assert_eq!(scope.selector(), format!("{{{ours}}}"));
    assert_eq!(scope.named_selector(), format!("{{{ours},__name__!=\"\"}}"));
    assert!(scope.nothing().starts_with(&format!("{{{ours},__name__=\"")));
}

#[test]
fn each_label_of_a_query_follows_on_conflict_by_itself() {
    let query = r#"up{namespace="shop-a",cluster="us",x="y",env=~"p.*","cluster"!="eu"}"#;
    let with = |on_conflict| rewritten(SHOP, on_conflict, query);
    let ours = r#"up{namespace=~"shop-.*",cluster="eu",env!="dev","#;
    // A label that the scope leaves one value is replaced. What chooses among several stays.
    assert_eq!(with(OnConflict::Replace), Some(format!(r#"{ours}namespace="shop-a",x="y",env=~"p.*"}}"#)));
    let all = r#"namespace="shop-a",cluster="us",x="y",env=~"p.*","cluster"!="eu"}"#;
    assert_eq!(with(OnConflict::Intersect), Some(format!("{ours}{all}")));
    assert_eq!(with(OnConflict::Reject), None);
}

#[test]
fn reject_refuses_what_cannot_match_on_any_label() {
    let conditions = [
        ("tenant", Regex, "a|b|c"),
        ("tenant", NotEqual, "c"),
        ("cluster", Equal, "eu"),
        ("env", NotRegex, "dev|test"),
        ("ns", Regex, "shop-.*"),
    ];
    for own in [
        r#"tenant="c""#,
        r#"tenant="d""#,
        r#"tenant!="a",tenant!="b""#,
        r#"tenant=~"c|d""#,
        r#"tenant!~"a|b""#,
        r#"cluster="us""#,
        r#"cluster!="eu""#,
        r#"env="dev""#,
        r#"env=~"test|dev""#,
        r#"x="y",tenant="a",env="test""#,
    ] {
        assert_eq!(rewritten(&conditions, OnConflict::Reject, &format!("up{{{own}}}")), None, "{own}");
        assert!(rewritten(&conditions, OnConflict::Intersect, &format!("up{{{own}}}")).is_some(), "{own}");
    }
    for own in [
        r#"tenant="a""#,
        r#"tenant!="a""#,
        r#"tenant=~"b|c|d""#,
        r#"tenant=~"[cd]""#,
        r#"cluster="eu",cluster!="us""#,
        r#"env="prod""#,
        r#"env=~"dev|prod""#,
        r#"env!="prod",env!="dev""#,
        r#"env=~"de[v]""#,
        // Whether a pattern of the scope leaves anything is the upstream's to say.
        r#"ns="other""#,
        r#"Tenant="d""#,
    ] {
        let written = rewritten(&conditions, OnConflict::Reject, &format!("up{{{own}}}")).expect(own);
        assert!(written.starts_with(r#"up{tenant=~"a|b|c",tenant!="c",cluster="eu",env!~"dev|test",ns=~"shop-.*""#));
    }
    // Each selector is judged by itself.
    let apart = r#"up{tenant!="a"} + up{tenant!="b"}"#;
    assert!(rewritten(&conditions, OnConflict::Reject, apart).is_some());
}

#[test]
fn rewriting_twice_is_rewriting_once_for_every_operator() {
    let all = [
        ("a", Equal, "x"),
        ("b", NotEqual, "x\"y"),
        ("c", Regex, "x|y\\."),
        ("d", NotRegex, "x.*"),
        ("c", NotRegex, "z+"),
    ];
    let query = r#"up{c="x",job="j",b!='x"y',d!~"q"} or rate({"a"="x","foo"}[5m]) or absent(z)"#;
    for on_conflict in [OnConflict::Replace, OnConflict::Intersect, OnConflict::Reject] {
        for count in 1..=all.len() {
            let once = rewritten(&all[..count], on_conflict, query).unwrap();
            assert_eq!(rewritten(&all[..count], on_conflict, &once).as_ref(), Some(&once));
            let ours = format!("{{{}", scope(&all[..count], on_conflict).written());
            assert_eq!(once.matches(&ours).count(), 3, "{once}");
        }
    }
}

#[test]
fn what_is_done_to_the_query_s_own_matchers_tells_scopes_apart() {
    let two = |first, second| {
        let parts = vec![(matcher(&("a", Equal, "x")), first), (matcher(&("b", Equal, "y")), second)];
        Scope::new(parts).unwrap().conflicts()
    };
    let each = [OnConflict::Replace, OnConflict::Intersect, OnConflict::Reject];
    let all: std::collections::BTreeSet<u128> =
        each.into_iter().flat_map(|first| each.map(|second| two(first, second))).collect();
    assert_eq!(all.len(), 9);
}

#[test]
fn a_label_set_is_inside_where_every_matcher_accepts_it() {
    let inside = scope(SHOP, OnConflict::Replace).inside().unwrap();
    for (labels, expected) in [
        (&[("namespace", "shop-a"), ("cluster", "eu")][..], Standing::Inside),
        (&[("cluster", "eu"), ("x", "dev"), ("env", "prod"), ("namespace", "shop-")], Standing::Inside),
        (&[("namespace", "shop-a"), ("cluster", "eu"), ("env", "")], Standing::Inside),
        (&[("namespace", "shop-a\nb"), ("cluster", "eu")], Standing::Inside),
        // What merely lacks a label.
        (&[], Standing::Lacking),
        (&[("env", "prod")], Standing::Lacking),
        (&[("namespace", "shop-a")], Standing::Lacking),
        (&[("Namespace", "shop-a"), ("cluster", "eu")], Standing::Lacking),
        // What has a value that is refused.
        (&[("env", "dev")], Standing::Outside),
        (&[("namespace", "shop-a"), ("cluster", "eu"), ("env", "dev")], Standing::Outside),
        (&[("namespace", "ashop-a"), ("cluster", "eu")], Standing::Outside),
        (&[("namespace", "shop"), ("cluster", "eu")], Standing::Outside),
        (&[("namespace", "shop-a"), ("cluster", "")], Standing::Outside),
        (&[("namespace", "shop-a"), ("cluster", "eu|us")], Standing::Outside),
    ] {
        assert_eq!(standing(&inside, labels), Some(expected), "{labels:?}");
    }
    assert_eq!(standing(&inside, &[("env", "prod"), ("env", "prod")]), None);
    assert_eq!(standing(&inside, &[("x", "prod"), ("x", "prod")]), Some(Standing::Lacking));
}

#[test]
fn the_last_of_the_most_labels_counts() {
    let labels: Vec<String> = (0..MAX_MATCHERS).map(|number| format!("l{number}")).collect();
    let conditions: Vec<Condition<'_>> = labels.iter().map(|label| (label.as_str(), Equal, "x")).collect();
    let inside = scope(&conditions, OnConflict::Replace).inside().unwrap();
    let mut set: Vec<(&str, &str)> = labels.iter().map(|label| (label.as_str(), "x")).collect();
    assert_eq!(standing(&inside, &set), Some(Standing::Inside));
    set.push(("l63", "x"));
    assert_eq!(standing(&inside, &set), None);
    set.truncate(MAX_MATCHERS - 1);
    assert_eq!(standing(&inside, &set), Some(Standing::Lacking));
    set.push(("l63", "y"));
    assert_eq!(standing(&inside, &set), Some(Standing::Outside));
}

#[test]
fn a_pattern_that_can_t_be_run_is_an_error_and_a_costly_value_is_refused() {
    let view = Scope::matching("tenant".into(), r"\pL+".into());
    assert!(matches!(view.inside(), Err(Unfit::Pattern(label, _)) if &*label == "tenant"));
    let costly = "x".repeat(1 << 20);
    for (op, value) in [(Regex, "(x?){500}x*"), (NotRegex, "(x?){500}x*y")] {
        let inside = scope(&[("a", op, value), ("b", Equal, "c")], OnConflict::Replace).inside().unwrap();
        assert_eq!(standing(&inside, &[("a", "xx"), ("b", "c")]), Some(Standing::Inside));
        assert_eq!(standing(&inside, &[("a", &costly), ("b", "c")]), Some(Standing::Outside));
        // It took nothing from the next one.
        assert_eq!(standing(&inside, &[("a", "xx"), ("b", "c")]), Some(Standing::Inside));
    }
}

#[test]
fn only_a_value_that_is_named_is_exact() {
    let inside = scope(&[("a", Regex, "x|y\\.z"), ("a", NotEqual, "x"), ("b", Regex, "x.*")], OnConflict::Replace);
    let inside = inside.inside().unwrap();
    let fit = |label: &str, value| inside.fit(inside.find(|other| other == label).unwrap(), value);
    assert_eq!((fit("a", "y.z"), fit("a", "x"), fit("a", "yaz")), (Fit::Exact, Fit::Refused, Fit::Refused));
    assert_eq!((fit("b", "x.*"), fit("b", "y")), (Fit::Accepted, Fit::Refused));
    assert_eq!(inside.fit(2, "x"), Fit::Refused);
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const LABELS: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn conditions() -> impl Strategy<Value = Vec<(&'static str, MatchOp, String)>> {
        let label = prop::sample::select(LABELS.to_vec());
        let op = prop::sample::select(vec![Equal, NotEqual, Regex, NotRegex]);
        let value = "[xy|.]{0,3}[*+?]?|[(]x[|]y[)]|\\[xy\\]|x\\\\\\.|.{0,2}";
        prop::collection::vec((label, op, value), 1..=5)
    }

    /// The same matchers for whoever evaluates them as Prometheus does, with a whole engine of regular expressions.
    struct Theirs {
        matchers: Vec<(&'static str, MatchOp, regex::Regex)>,
    }

    impl Theirs {
        /// `None` where a pattern is none.
        fn new(conditions: &[(&'static str, MatchOp, String)]) -> Option<Self> {
            let compiled = |(label, op, value): &(&'static str, MatchOp, String)| {
                let text = match op {
                    Equal | NotEqual => regex::escape(value),
                    Regex | NotRegex => value.clone(),
                };
                regex::Regex::new(&text).ok()?;
                Some((*label, *op, regex::Regex::new(&format!("^(?s:{text})$")).ok()?))
            };
            Some(Theirs { matchers: conditions.iter().map(compiled).collect::<Option<_>>()? })
        }

        fn accept(&self, label: &str, value: &str) -> bool {
            let mut of_label = self.matchers.iter().filter(|(other, ..)| *other == label);
            of_label.all(|(_, op, regex)| regex.is_match(value) != op.is_negative())
        }

        fn accept_all(&self, labels: &BTreeMap<&str, String>) -> bool {
            LABELS.iter().all(|label| self.accept(label, labels.get(label).map_or("", String::as_str)))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..Default::default() })]

        #[test]
        fn inside_is_what_prometheus_would_select(
            conditions in conditions(),
            sets in prop::collection::vec(prop::collection::btree_map(prop::sample::select(LABELS.to_vec()), "[xy.|]{0,3}", 0..=5), 20),
        ) {
            let matchers = conditions.iter().map(|(label, op, value)| matcher(&(*label, *op, value.as_str())));
            let ours = Scope::new(matchers.map(|matcher| (matcher, OnConflict::Replace)).collect());
            let Some(theirs) = Theirs::new(&conditions) else { return Ok(()) };
            let scope = match ours {
                Ok(scope) => scope,
                Err(Unfit::MatchesWithoutLabels) => {
                    prop_assert!(theirs.accept_all(&BTreeMap::new()), "{:?}", conditions);
                    return Ok(());
                }
                Err(Unfit::Pattern(..)) => return Ok(()),
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            prop_assert!(!theirs.accept_all(&BTreeMap::new()), "{:?}", conditions);
            let Ok(inside) = scope.inside() else { return Ok(()) };
            for set in &sets {
                let labels: Vec<(&str, &str)> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let found = standing(&inside, &labels).expect("no label is given twice");
                prop_assert_eq!(found == Standing::Inside, theirs.accept_all(set), "{:?} {:?}", conditions, set);
                let is_refused = set.iter().any(|(label, value)| !theirs.accept(label, value));
                prop_assert_eq!(found == Standing::Outside, is_refused, "{:?} {:?}", conditions, set);
            }
        }
    }
}
