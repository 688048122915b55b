//! promql-parser as a second opinion: what both read, both see enforced. No Go needed.
#![cfg(not(target_family = "wasm"))]

mod generator;
/// The walk of `tenancyctl rewrite --verify`, whether or not the feature `cli` is on.
#[path = "../src/bin/tenancyctl/second_opinion.rs"]
mod second_opinion;

use promql_tenancy_filter::promql::rewrite;
use promql_tenancy_filter::scope::{MatchOp, Matcher, OnConflict, Scope};
use second_opinion::{Operator, Opinion, Wanted, second_opinion};

const LABEL: &str = "tenant_id";

/// What users write: rules, dashboards, and the places where selectors hide.
const QUERIES: &[(&str, usize)] = &[
    ("up", 1),
    ("1 + 2", 0),
    (r#"{__name__=~"a|b"}"#, 1),
    (
        r#"sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05"#,
        2,
    ),
    ("histogram_quantile(0.99, sum by (le) (rate(request_duration_seconds_bucket[5m])))", 1),
    ("topk(scalar(limit), errors_total)", 2),
    ("quantile(scalar(a) + scalar(b), c) without (pod)", 3),
    (r#"count_values("version", build_info)"#, 1),
    ("max_over_time(deriv(rate(x[1m])[5m:1m])[10m:])", 1),
    ("a * on (pod) group_left (node) b unless ignoring (x) c or d", 4),
    ("-(a offset 5m) ^ b @ 1609746000 + c @ end()", 3),
    (r#"label_replace(x, "dst", "$1", "src", "(.*)")"#, 1),
    ("absent(up) or vector(0)", 1),
    (r#"x{tenant_id="somebody-else"} + y{tenant_id=~".*",tenant_id!="team-a"}"#, 2),
    ("sum(sum(sum(topk(scalar(sum(a)), b))))", 2),
];

#[test]
fn what_users_write_is_enforced_everywhere() {
    for &(query, expected) in QUERIES {
        for (wanted, scope) in matchers() {
            assert_eq!(opinion(query, &wanted, &scope), Some(Opinion::Agrees { selectors: expected }), "{query}");
        }
    }
}

#[test]
fn what_both_read_both_see_enforced() {
    const GENERATED: u64 = 20_000;
    let matchers = matchers();
    let (mut agree, mut unread) = (0, 0);
    for seed in 0..GENERATED {
        let text = if seed % 4 == 0 { generator::mutated(seed) } else { generator::query(seed) };
        let Ok(text) = String::from_utf8(text) else { continue };
        let (wanted, scope) = &matchers[(seed / 4 % matchers.len() as u64) as usize];
        match opinion(&text, wanted, scope) {
            None => {}
            Some(Opinion::Agrees { .. }) => agree += 1,
            Some(Opinion::Unread { .. }) => unread += 1,
            Some(Opinion::Open { selectors }) => panic!("seed {seed}: {text}: open to promql-parser: {selectors:?}"),
        }
    }
    println!(
        "promql-parser agrees on {agree} of {GENERATED} texts, can't read {unread} of those that the filter accepts"
    );
    assert!(agree > GENERATED / 5, "it reads enough for its opinion to count: {agree}");
}

#[test]
fn an_open_selector_is_seen_wherever_it_hides() {
    let wanted = Wanted::new(LABEL, &["a"]);
    for (text, open) in [
        ("x", vec!["x"]),
        (r#"topk(scalar(x), y{tenant_id="a"})"#, vec!["x"]),
        (r#"sum(x{tenant_id="a"}) + rate(y[5m])"#, vec!["y[5m]"]),
        ("max_over_time(x[5m:])", vec!["x"]),
        (r#"x{tenant_id="b"}"#, vec![r#"x{tenant_id="b"}"#]),
        (r#"x{tenant_id=~"a"}"#, vec![r#"x{tenant_id=~"a"}"#]),
        (r#"x{tenant_id!="a"}"#, vec![r#"x{tenant_id!="a"}"#]),
        (r#"-(x{tenant_id="a"}) and ignoring (l) clamp(y, 1, scalar(z))"#, vec!["y", "z"]),
    ] {
        let selectors = open.into_iter().map(String::from).collect();
        assert_eq!(second_opinion(text, &wanted), Opinion::Open { selectors }, "{text}");
    }
    assert!(matches!(second_opinion(r#"{tenant_id="a",b="c" or d="e"}"#, &wanted), Opinion::Open { .. }));
    let view = Wanted::pattern(LABEL, "a.*");
    for text in [r#"x{tenant_id=~"a.*"}"#, r#"x{tenant_id!=""}"#, r#"x{tenant_id=~"a.*",tenant_id=""}"#] {
        assert!(matches!(second_opinion(text, &view), Opinion::Open { .. }), "{text}");
    }
}

#[test]
fn each_of_several_matchers_is_looked_for() {
    let (wanted, _) = several(&[("a", Operator::Equal, "x"), ("b", Operator::NotRegex, "y.*")], OnConflict::Replace);
    assert_eq!(second_opinion(r#"up{a="x",b!~"y.*"}"#, &wanted), Opinion::Agrees { selectors: 1 });
    for text in
        [r#"up{a="x"}"#, r#"up{b!~"y.*"}"#, r#"up{a="x",b=~"y.*"}"#, r#"up{a=~"x",b!~"y.*"}"#, r#"up{a="x",b!="y.*"}"#]
    {
        assert!(matches!(second_opinion(text, &wanted), Opinion::Open { .. }), "{text}");
    }
}

#[test]
fn a_text_that_could_exhaust_it_does_no_harm() {
    let wanted = Wanted::new(LABEL, &["a"]);
    for unit in ["-", "(", "sum("] {
        let deepest = unit.repeat((16 << 10) / unit.len() - 1);
        let opinion = second_opinion(&format!("{deepest}x"), &wanted);
        assert!(!matches!(opinion, Opinion::Agrees { .. }), "{unit}: {opinion:?}");
    }
    assert!(matches!(second_opinion(&"-".repeat(1 << 20), &wanted), Opinion::Unread { .. }));
}

/// A scope of these matchers, and what is looked for.
fn several(matchers: &[(&str, Operator, &str)], on_conflict: OnConflict) -> (Wanted, Scope) {
    let matcher = |&(label, operator, value): &(&str, Operator, &str)| {
        let op = match operator {
            Operator::Equal => MatchOp::Equal,
            Operator::NotEqual => MatchOp::NotEqual,
            Operator::Regex => MatchOp::Regex,
            Operator::NotRegex => MatchOp::NotRegex,
        };
        (Matcher { label: label.into(), op, value: value.into() }, on_conflict)
    };
    (Wanted::all(matchers), Scope::new(matchers.iter().map(matcher).collect()).expect("a scope"))
}

fn matchers() -> [(Wanted, Scope); 8] {
    let federated = ["team-a", "team.b", "ten|ant"];
    [
        (Wanted::new(LABEL, &["team-a"]), Scope::equal(LABEL.into(), "team-a".into(), OnConflict::Replace)),
        (Wanted::new(LABEL, &["te\"am\\a"]), Scope::equal(LABEL.into(), "te\"am\\a".into(), OnConflict::Intersect)),
        (Wanted::new(LABEL, &federated), Scope::one_of(LABEL.into(), &federated, OnConflict::Intersect)),
        (Wanted::pattern(LABEL, r#"team-.*|"\d"#), Scope::matching(LABEL.into(), r#"team-.*|"\d"#.into())),
        several(&[(LABEL, Operator::Equal, "team-a"), ("job", Operator::Equal, "a")], OnConflict::Replace),
        several(
            &[
                ("namespace", Operator::Regex, "shop-.*"),
                ("namespace", Operator::NotRegex, "shop-(x|y)"),
                ("code", Operator::NotEqual, "500"),
            ],
            OnConflict::Intersect,
        ),
        several(
            &[
                ("a", Operator::NotEqual, ""),
                ("b", Operator::NotRegex, "x|y"),
                (LABEL, Operator::Regex, "team-a|team-b"),
                ("le", Operator::NotRegex, ".*[.]5"),
            ],
            OnConflict::Intersect,
        ),
        several(
            &[
                ("instance", Operator::Equal, "a\"b"),
                ("job", Operator::NotEqual, "b"),
                (LABEL, Operator::Equal, "team-a"),
                ("a", Operator::Regex, r"\d+|x"),
                ("code", Operator::NotRegex, "4.."),
            ],
            OnConflict::Replace,
        ),
    ]
}

/// `None` where the filter refuses the query.
fn opinion(query: &str, wanted: &Wanted, scope: &Scope) -> Option<Opinion> {
    let mut out = Vec::new();
    let count = rewrite(query.as_bytes(), scope, &mut out).ok()?;
    let text = String::from_utf8(out).expect("a query that is text stays text");
    let opinion = second_opinion(&text, wanted);
    if let Opinion::Agrees { selectors } = opinion {
        assert_eq!(selectors, count as usize, "{text}: both count the same selectors");
    }
    Some(opinion)
}
