//! Patterns, compared with a whole engine of the same family (the `regex` crate, RE2's semantics).

use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn is(pattern: &str, text: &str) -> bool {
    let pattern = Pattern::parse(pattern, false).unwrap_or_else(|problem| panic!("{pattern}: {problem}"));
    matches(&pattern, text).expect("a short text")
}

fn matches(pattern: &Pattern, text: &str) -> Result<bool, TooCostly> {
    pattern.matches(text, &Cell::new(MAX_STEPS))
}

fn whole(pattern: &str, text: &str) -> bool {
    matches(&Pattern::parse(pattern, true).unwrap(), text).unwrap()
}

#[test]
fn braces_of_promql_are_characters() {
    assert!(is(r#"up{job="a"}"#, r#"sum(up{job="a"})"#) && !is(r#"sum(up{job="a"})"#, r#"sum(up{job="a"})"#));
    assert!(is(r#"sum\(up{job="a"}\)"#, r#"sum(up{job="a"})"#));
    assert!(is("up{}", "up{}") && is("up{2,1a}", "up{2,1a}") && is("a{,2}", "a{,2}"));
    assert!(is("^a{2}$", "aa") && is("^a{2,}$", "aaaa") && is("^a{2,3}$", "aaa") && !is("^a{2,3}$", "aaaa"));
    assert!(is("^(ab){0}$", "") && is("^x{0,1}y$", "y"));
    // Go reads no number that begins with a 0 in vain.
    assert!(is("^a{01}$", "a{01}") && is("^a{1,02}$", "a{1,02}") && is("^a{00}$", "a{00}"));
}

#[test]
fn a_whole_pattern_matches_all_lines() {
    assert!(whole(".*up.*", "a\nup\nb") && !whole("up", "up ") && whole("up|down", "down") && whole("", ""));
    assert!(!is("a.b", "a\nb") && is("(?s)a.b", "a\nb") && is("^", "") && is("b", "abc"));
}

#[test]
fn case_is_folded_as_in_go() {
    assert!(is("(?i)^RaTe[k-m]", "rAtEL") && is("(?i)k", "\u{212a}") && is("(?i)[^a]", "b") && !is("(?i)^[^a]$", "A"));
    assert!(is("(?i)S", "\u{17f}") && !is("k", "K") && is("(?is)a.B", "A\nb"));
}

#[test]
fn what_is_not_understood_is_refused() {
    for pattern in [
        "(",
        ")",
        "a)",
        "(a",
        "*",
        "{2}",
        "a|{1,}",
        "a**",
        "a+*",
        "a{2}{3}",
        "a|*",
        "(?P<n>a)",
        "(?<n>a)",
        "(?i:a)",
        "(?m)a",
        "(?U)a",
        "[",
        "[a",
        "[]",
        "[b-a]",
        "[[:alpha:]]",
        r"\pL",
        r"\x41",
        r"\Qa\E",
        r"\1",
        r"\C",
        "\\",
        r"[\pL]",
        "a{1001}",
        "a{3,2}",
        "(?i)é",
        r"[a-\d]",
        "((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))",
    ] {
        assert!(Pattern::parse(pattern, true).is_err(), "{pattern}");
    }
    assert!(Pattern::parse("(a{1000}){1000}", true).is_err());
    assert!(Pattern::parse("((a{100}){100}){100}", true).is_err());
    assert!(Pattern::parse(&"a".repeat(3_000), true).is_err());
    // At once, however long they are.
    for long in ["a|", "a{9}|", "(a|", "[ab]"] {
        assert!(Pattern::parse(&long.repeat(200_000), true).is_err(), "{long}");
    }
    assert!(Pattern::parse(&format!("[{}]", "ab".repeat(200_000)), true).is_err());
}

#[test]
fn a_match_ends_in_bounded_time() {
    let pattern = Pattern::parse("(a*)*(a|aa)*b(a?){300}c", true).unwrap();
    assert_eq!(matches(&pattern, &"a".repeat(3_000)), Ok(false));
    assert_eq!(matches(&pattern, &"a".repeat(1_000_000)), Err(TooCostly));
    // All matches of a request together.
    let (pattern, steps) = (Pattern::parse("(a?){300}b", false).unwrap(), Cell::new(MAX_STEPS));
    let until = (0..100).take_while(|_| pattern.matches(&"a".repeat(3_000), &steps).is_ok()).count();
    assert!((1..20).contains(&until), "{until}");
    let pattern = Pattern::parse(".*expensive.*", true).unwrap();
    assert_eq!(matches(&pattern, &"up + ".repeat(10_000)), Ok(false));
    // What can't become a match any more costs nothing.
    let steps = Cell::new(MAX_STEPS);
    assert_eq!(Pattern::parse("rate.*", true).unwrap().matches(&"a".repeat(100_000), &steps), Ok(false));
    assert!(steps.get() > MAX_STEPS - 100);
}

#[cfg(not(target_family = "wasm"))]
proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 1_000, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(3), ..Default::default() })]

    #[test]
    fn patterns_mean_what_they_mean_in_re2(
        pattern in r"(\(\?i\))?([ab]|\.|\^|\$|\[a-c\]|\[\^a\]|\(a|\(\?:b|\)|\||\*|\+|\?|\{2\}|\{1,2\}|\{2,\}|\\d|\\W|\\b|\\B|\[\\s0-\]|\\\.|\*\?){0,9}",
        texts in proptest::collection::vec("[abAB0 .\n]{0,7}", 8),
        anchored in proptest::prelude::any::<bool>(),
    ) {
        let theirs = regex::Regex::new(&pattern);
        let theirs = if anchored { theirs.and_then(|_| regex::Regex::new(&format!("^(?s:{pattern})$"))) } else { theirs };
        match (Pattern::parse(&pattern, anchored), theirs) {
            (Ok(ours), Ok(theirs)) => {
                for text in &texts {
                    proptest::prop_assert_eq!(matches(&ours, text), Ok(theirs.is_match(text)), "{} {:?}", pattern, text);
                }
            }
            // Go refuses one repetition behind another; this engine doesn't.
            (Err(problem), Ok(_)) => proptest::prop_assert!(
                problem.contains("repetition") || problem.contains("flags"), "{}: {}", pattern, problem
            ),
            (Ok(_), Err(problem)) => proptest::prop_assert!(false, "{}: {}", pattern, problem),
            (Err(_), Err(_)) => {}
        }
    }
}
