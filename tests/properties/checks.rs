//! The properties that hold for every input, one function each. A property that doesn't hold panics. The fuzz targets of the same names and
//! the seeded tests in `tests/properties.rs` call these functions.

use promql_tenancy_filter::config::{Config, Mistake, Setting};
use promql_tenancy_filter::go::form;
use promql_tenancy_filter::promql::{Error, MAX_LENGTH, rewrite, rewrite_selector};
use promql_tenancy_filter::request::{BodyPlan, Decision, Head, decide};
use promql_tenancy_filter::scope::{MatchOp, Matcher, OnConflict, Scope};
use promql_tenancy_filter::tenant::Clues;
use std::cell::RefCell;

const LABEL: &str = "tenant_id";

type Rewriter = fn(&[u8], &Scope, &mut Vec<u8>) -> Result<u32, Error>;

/// No text causes a panic. If a text is accepted, every selector has the matcher of this tenant, and of no other.
pub fn rewrite_every_selector_enforced(text: &[u8]) {
    let tenants = ["a", "b.c"];
    for rewriter in [rewrite as Rewriter, rewrite_selector] {
        let (a, b) = (replace("team-a"), replace("team-b"));
        one_matcher_each(rewriter, text, &a, br#"tenant_id="team-a""#);
        one_matcher_each(
            rewriter,
            text,
            &Scope::one_of(LABEL.into(), &tenants, OnConflict::Intersect),
            br#"tenant_id=~"a|b\\.c""#,
        );
        for on_conflict in [OnConflict::Intersect, OnConflict::Reject] {
            one_matcher_each(
                rewriter,
                text,
                &Scope::equal(LABEL.into(), "team-a".into(), on_conflict),
                br#"tenant_id="team-a""#,
            );
        }
        for on_conflict in [OnConflict::Replace, OnConflict::Intersect, OnConflict::Reject] {
            for count in 1..=FIVE.len() {
                let scope =
                    Scope::new(FIVE[..count].iter().map(|condition| (matcher(condition), on_conflict)).collect());
                let scope = scope.expect("a scope");
                matchers_stand_first(rewriter, text, &scope);
            }
        }
        // A query that was rewritten for one tenant, and then for another, has nothing of the first tenant.
        if let (Some((for_a, _)), Some((for_b, _))) = (run(rewriter, text, &a), run(rewriter, text, &b)) {
            let (again, _) = run(rewriter, &for_a, &b).expect("a rewritten text is accepted");
            assert_eq!(text_of(&again), text_of(&for_b), "{}", text_of(text));
        }
    }
}

/// Labels that the generator's queries match on too, and every operator.
const FIVE: [(&str, MatchOp, &str); 5] = [
    (LABEL, MatchOp::Equal, "team-a"),
    ("job", MatchOp::NotEqual, "a"),
    ("namespace", MatchOp::Regex, "[a-z]+"),
    ("le", MatchOp::NotRegex, r"\d+"),
    ("code", MatchOp::Regex, "a|b"),
];

fn matcher(&(label, op, value): &(&str, MatchOp, &str)) -> Matcher {
    Matcher { label: label.into(), op, value: value.into() }
}

fn matchers_stand_first(rewriter: Rewriter, text: &[u8], scope: &Scope) {
    let first = format!("{{{}", scope.written());
    one_matcher_each(rewriter, text, scope, first.as_bytes());
}

fn replace(tenant: &str) -> Scope {
    Scope::equal(LABEL.into(), tenant.into(), OnConflict::Replace)
}

fn one_matcher_each(rewriter: Rewriter, text: &[u8], scope: &Scope, matcher: &[u8]) {
    let Some((once, count)) = run(rewriter, text, scope) else { return };
    let found = once.windows(matcher.len()).filter(|window| *window == matcher).count();
    assert!(found >= count as usize, "{count} selectors, {found} matchers: {}", text_of(&once));
    let (twice, count_again) = run(rewriter, &once, scope).expect("a rewritten text is accepted");
    assert_eq!((text_of(&twice), count_again), (text_of(&once), count), "rewriting twice is rewriting once");
    // The length is linear: each selector gains the matcher, braces and a comma, and some tokens need a space between them.
    assert!(once.len() <= 2 * text.len() + count as usize * (matcher.len() + 3), "{}", text_of(&once));
}

fn run(rewriter: Rewriter, text: &[u8], scope: &Scope) -> Option<(Vec<u8>, u32)> {
    let before = b"before".to_vec();
    let mut out = before.clone();
    match rewriter(text, scope, &mut out) {
        Ok(count) => Some((out.split_off(before.len()), count)),
        Err(error) => {
            assert_eq!(out, before, "a refusal leaves no trace");
            error_points_into(text, &error);
            None
        }
    }
}

fn error_points_into(text: &[u8], error: &Error) {
    assert!(error.start <= error.end && error.line >= 1 && error.column >= 1, "{error:?}");
    assert!(error.end as usize <= text.len() || text.len() > MAX_LENGTH, "{error:?} in {}", text_of(text));
    assert!(!error.message.is_empty() && error.to_string().contains(&error.message), "{error:?}");
}

/// A form that can be read is written as a form with the same pairs, which all readers split in the same way.
pub fn form_roundtrip(form: &[u8]) {
    let Ok(pairs) = read_form(form) else { return };
    let written = write_form(&pairs);
    assert!(written.is_ascii(), "{written:?}");
    assert_eq!(read_form(&written).expect("what was written is read"), pairs, "{}", text_of(form));
    assert_eq!(write_form(&read_form(&written).expect("likewise")), written, "writing is stable");
    // If Go's rules accept a form, a second reader, which follows the URL standard, reads the same pairs.
    let standard: Vec<(String, String)> = form_urlencoded::parse(&written).into_owned().collect();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(standard, pairs.iter().map(|(key, value)| (lossy(key), lossy(value))).collect::<Vec<_>>());
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn read_form(form: &[u8]) -> Result<Pairs, form::Error> {
    form::pairs(form).map(|pair| pair.map(|pair| (pair.key.into_owned(), pair.value.into_owned()))).collect()
}

fn write_form(pairs: &Pairs) -> Vec<u8> {
    let mut written = Vec::new();
    for (key, value) in pairs {
        form::append(&mut written, key, value);
    }
    written
}

/// Any bytes are a valid configuration, or are refused with the path of a key.
pub fn config_never_panics(json: &[u8]) {
    match Config::parse(json) {
        Ok(config) => {
            assert!(config.source().header().is_none_or(|name| !name.is_empty()) && !config.label().is_empty());
            // What `tenancyctl check` prints: each value is JSON.
            for Setting { key, value, .. } in config.explain() {
                assert!(
                    value.is_empty() || serde_json::from_str::<serde_json::Value>(&value).is_ok(),
                    "{key}: {value}"
                );
            }
        }
        Err(error) => match &error.mistake {
            Mistake::Twice | Mistake::Value => assert!(!error.to_string().is_empty()),
            Mistake::Unknown(known) => assert!(!known.is_empty(), "{error}"),
        },
    }
}

/// A request with any method, target, headers and body is forwarded or refused. The input has lines: a method, a target, and headers as
/// `name: value`. After an empty line comes the body.
pub fn decide_never_panics(input: &[u8]) {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &b""[..]),
    };
    let mut lines = head.split(|&b| b == b'\n');
    let mut headers: Vec<(&[u8], &[u8])> =
        vec![(b":method", lines.next().unwrap_or_default()), (b":path", lines.next().unwrap_or_default())];
    for line in lines {
        let colon = line.iter().skip(1).position(|&b| b == b':').map_or(line.len(), |at| at + 1);
        headers.push((&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii()));
    }
    for config in CONFIGS {
        let config = Config::parse(config.as_bytes()).expect("a valid configuration");
        let request = Head {
            headers: &headers,
            evidence: None,
            label_evidence: None,
            end_of_stream: body.is_empty(),
            now_ms: Some(NOW),
        };
        let decided = || {
            let decision =
                decide(&request, &config, &RefCell::default()).map_err(|refused| refused.rejection.body())?;
            let forward = match decision {
                Decision::Forward(forward) => forward,
                Decision::Reply(reply) => return Err(reply.body),
                Decision::Ask(ask) => panic!("no configuration here has it asked: {ask:?}"),
            };
            let tenant = forward.tenant.as_deref();
            assert_eq!(tenant.is_some(), forward.route.needs_tenant);
            assert!(tenant.is_none_or(|tenant| !tenant.is_empty()), "never the empty tenant");
            let finished =
                forward.body.finish(body, Some(NOW), &RefCell::default()).map_err(|rejection| rejection.body());
            if let (BodyPlan::Absent | BodyPlan::MustBeEmpty, Ok(_)) = (&forward.body, &finished) {
                assert!(body.is_empty(), "a body that was not expected is refused");
            }
            Ok::<_, Vec<u8>>((forward.path, forward.selectors, format!("{finished:?}")))
        };
        let first = decided();
        // A repeated request may be found in the memo, and has the same decision.
        for _ in 0..2 {
            assert_eq!(decided(), first);
        }
    }
}

/// Tenants that are read from any bytes of a certificate's subject or of metadata could also be named by a header.
pub fn evidence_names_valid_tenants(evidence: &[u8]) {
    for keys in [
        r#""tenant_certificate_field": "organization""#,
        r#""tenant_certificate_field": "commonName", "tenant_id_format": "thanos""#,
        r#""tenant_metadata": ["n", "t"]"#,
        r#""tenant_metadata": ["n", "t", "u"], "tenant_id_format": "thanos", "tenant_federation": {"enabled": true}"#,
        r#""tenant_metadata": {"path": ["n", "t"], "strip_prefix": "/", "drop_unknown": true}, "tenant_federation": {"enabled": true}"#,
        r#""tenant_metadata": ["n", "t"], "tenant_groups": {"a": ["b", "c"]}, "tenant_federation": {"enabled": true}"#,
    ] {
        let config = Config::parse(format!("{{{keys}}}").as_bytes()).expect("a valid configuration");
        let Ok(tenants) =
            config.identify(&Clues { header: Some(b"spoofed"), evidence: Some(evidence), ..Clues::default() })
        else {
            continue;
        };
        let joined = tenants.joined();
        assert_eq!(config.tenants(joined.as_bytes()).as_ref(), Ok(&tenants), "{joined}");
        assert!(!joined.is_empty() && tenants.ids().all(|id| !id.is_empty() && !id.contains('|')));
    }
}

/// Milliseconds since 1970.
const NOW: i64 = 1_800_000_000_000;

const CONFIGS: [&str; 8] = [
    "{}",
    r#"{"tenant_parameter":"namespace","tenant_federation":{"enabled":true},"passthrough_paths":["/graph"]}"#,
    r#"{"tenant_path":"/t/","allowed_tenants":["a","b c"],"tenant_id_format":"thanos","passthrough_paths":["/graph"]}"#,
    r#"{"limits":{"max_selectors_per_query":3,"max_regex_pattern_length":9,"max_query_points":9,"min_query_step":"5s",
        "blocked_queries":[{"pattern":"(?i).*a+[b-d]?.*","regex":true}]}}"#,
    r#"{"upstream":"thanos","tenant_federation":{"enabled":true,"max_tenants":2},"on_conflict":"reject","path_prefixes":["","/p"]}"#,
    r#"{"upstream":"cortex","default_tenant_id":"","enforce_tenancy":true,"on_conflict":"intersect"}"#,
    r#"{"upstream":"thanos","limits":{"retention_period":"30d","max_query_into_future":"1h","max_subquery_steps":50}}"#,
    r#"{"limits":{"max_query_lookback":"7d","max_query_length":"1d","query_rejection":{"enabled":true,"query_attributes":[
        {"regex":"a.*b","time_window":{"start":"2h","end":"1h"},"time_range_limit":{"min":"1m"}}]}}}"#,
];

fn text_of(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
