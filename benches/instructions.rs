//! A fixed set of works, each done as often as asked: `instructions NAME TIMES`. Without arguments, their names.
//!
//! scripts/bench-instructions counts what they cost under callgrind, which noise can't touch.

/// Metadata as Envoy writes it.
#[path = "../src/bin/tenancyctl/evidence.rs"]
#[allow(dead_code)]
mod evidence;

use promql_tenancy_filter::answer::{Content, Documents, Filter, Labelled, Owner, Statistics};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::go::form;
use promql_tenancy_filter::promql::rewrite;
use promql_tenancy_filter::request::{Head, decide};
use promql_tenancy_filter::scope::{MatchOp, Matcher, OnConflict, Scope};
use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;

const TYPICAL: &[u8] = include_bytes!("queries/typical.promql");
const TERMS: &[u8] = include_bytes!("queries/terms_2000.promql");
const ALTERNATION: &[u8] = include_bytes!("queries/alternation_500.promql");

type Work = (&'static str, fn() -> Box<dyn FnMut()>);

const WORKS: [Work; 29] = [
    ("rewrite_typical", || rewriting(TYPICAL)),
    ("rewrite_typical_5_labels", || rewriting_in(five(), TYPICAL)),
    ("rewrite_2000_terms", || rewriting(TERMS)),
    ("rewrite_alternation", || rewriting(ALTERNATION)),
    ("reject_many_alternatives", reject_alternatives),
    ("reject_many_selectors", reject_selectors),
    ("request_get", || request("{}", |number| number)),
    ("request_get_5_labels", || request(FIVE, |number| number)),
    ("request_get_by_parameter", || request_at(PARAMETER, "", "&namespace=team-a", None)),
    ("request_get_by_path", || request_at(PATH, "/t/team-a", "", None)),
    ("request_get_by_claim", || request_at(CLAIM, "/t/team-a", "", Some(claim()))),
    ("request_get_as_before", || request("{}", |_| 0)),
    ("request_form", || posted(|number| number)),
    ("request_form_as_before", || posted(|_| 0)),
    ("answer_64_kb", answer),
    ("rules_100", rules),
    ("configuration", configuration),
    // Each from here on is long enough that work which grew with the square of the length would be many times as much.
    ("configuration_4000_judged", || reading_many(false)),
    ("configuration_4000_known", || reading_many(true)),
    ("configuration_long_list", long_list),
    ("grows_terms", || growing(|n| vec!["up"; n].join(" + "))),
    ("grows_powers", || growing(|n| vec!["2"; n].join("^"))),
    ("grows_matchers", || growing(|n| format!("up{{{}}}", vec![r#"a="b""#; n].join(",")))),
    ("grows_own_matchers", || growing(|n| format!("up{{{}}}", vec![r#"tenant_id!="b""#; n].join(",")))),
    ("grows_alternatives", || growing(|n| format!(r#"up{{a=~"{}"}}"#, vec!["abc"; n].join("|")))),
    ("grows_labels", || growing(|n| format!("a + on ({}) group_left ({}) b", labels("l", n), labels("m", n)))),
    ("grows_arguments", || growing(|n| format!("f({})", vec!["a"; n].join(",")))),
    ("grows_dotted_names", || growing(|n| vec!["offset.5"; n].join(" or "))),
    ("grows_comments", || growing(|n| format!("up{}", "# c\n".repeat(n)))),
];

fn main() {
    // What `cargo bench` and `cargo test --benches` pass is for other harnesses.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let [name, times] = arguments.as_slice() else {
        return WORKS.iter().for_each(|(name, _)| println!("{name}"));
    };
    let (_, make) = WORKS.iter().find(|(other, _)| other == name).expect("a work's name");
    let mut work = make();
    (0..times.parse().expect("a number")).for_each(|_: u32| work());
}

/// A tenant with a selector of three labels, beside which two more are enforced.
const FIVE: &str = r#"{
    "tenant_selectors": {"team-a": "{namespace=~\"shop-.*\",cluster=\"eu\",env!=\"dev\"}"},
    "enforced_labels": [{"label": "zone", "header": "x-request-id"}, {"label": "tier", "values": ["1", "2"]}]
}"#;

fn five() -> Scope {
    let matcher =
        |label: &str, op, value: &str| (Matcher { label: label.into(), op, value: value.into() }, OnConflict::Replace);
    let matchers = vec![
        matcher("namespace", MatchOp::Regex, "shop-.*"),
        matcher("cluster", MatchOp::Equal, "eu"),
        matcher("env", MatchOp::NotEqual, "dev"),
        matcher("zone", MatchOp::Equal, "5b5b2d1e-1c9d-4b7e-9b0a-1d8f2b1d7a10"),
        matcher("tier", MatchOp::Regex, "1|2"),
    ];
    Scope::new(matchers).expect("a scope")
}

fn reject(tenants: usize, query: String) -> Box<dyn FnMut()> {
    let ids: Vec<String> = (0..tenants).map(|id| format!("t{id:04}")).collect();
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    rewriting_in(Scope::one_of("tenant_id".into(), &ids, OnConflict::Reject), query.into_bytes())
}

/// Alternatives times tenants would be 7.6 s for 1 MB and 2,000 tenants: each alternative is looked up, so that many tenants cost
/// about as much as a few.
fn reject_alternatives() -> Box<dyn FnMut()> {
    reject(2_000, format!("up{{tenant_id=~\"{}|t0001\"}}", vec!["zzz"; 1_000].join("|")))
}

/// What the scope allows is read once, not for each selector.
fn reject_selectors() -> Box<dyn FnMut()> {
    reject(1_000, ["up{tenant_id!=\"t0001\"}"; 300].join("+"))
}

fn rewriting(query: &'static [u8]) -> Box<dyn FnMut()> {
    rewriting_in(Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace), query)
}

fn rewriting_in(scope: Scope, query: impl AsRef<[u8]> + 'static) -> Box<dyn FnMut()> {
    Box::new(move || {
        let mut out = Vec::new();
        rewrite(black_box(query.as_ref()), &scope, &mut out).expect("a valid query");
        black_box(out);
    })
}

/// What is asked in the request of this number: the same again is remembered, another is not.
fn encoded(query: &[u8], number: usize) -> Vec<u8> {
    let mut form = Vec::new();
    form::append(&mut form, b"time", b"1767225600");
    form::append(&mut form, b"query", query);
    form.extend_from_slice(format!("%2B{number:04}").as_bytes());
    form
}

/// A query of this many parts, accepted or refused.
fn growing(shape: fn(usize) -> String) -> Box<dyn FnMut()> {
    let (query, scope) = (shape(4_000), Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace));
    Box::new(move || {
        let mut out = Vec::new();
        let _ = black_box(rewrite(black_box(query.as_bytes()), &scope, &mut out));
        black_box(out);
    })
}

fn labels(prefix: &str, count: usize) -> String {
    (0..count).map(|at| format!("{prefix}{at}")).collect::<Vec<_>>().join(",")
}

/// A configuration of 4,000 tenants, judged as a whole, or by a worker that knows it to be judged.
fn reading_many(is_known: bool) -> Box<dyn FnMut()> {
    let entry = |n: usize| {
        format!(
            r#""tenant-{n}":{{"max_query_length":"30d","max_query_points":{n},"max_concurrent_queries":8,"retention_period":"{}d"}}"#,
            n % 300 + 1
        )
    };
    let entries: Vec<String> = (0..4_000).map(entry).collect();
    let json = Arc::new(format!("{{\"overrides\":{{{}}}}}", entries.join(",")).into_bytes());
    let told = is_known.then(|| Config::read(&json, None).expect("a configuration").told());
    Box::new(move || {
        black_box(Config::read(black_box(&json), told).expect("a configuration"));
    })
}

/// A list whose entries must all differ.
fn long_list() -> Box<dyn FnMut()> {
    let paths: Vec<String> = (0..4_000).rev().map(|n| format!("\"/page-{n}\"")).collect();
    let json = format!("{{\"passthrough_paths\":[{}]}}", paths.join(",")).into_bytes();
    Box::new(move || {
        black_box(Config::parse(black_box(&json)).expect("a configuration"));
    })
}

fn request(config: &str, ask: fn(usize) -> usize) -> Box<dyn FnMut()> {
    let config = Config::parse(config.as_bytes()).expect("a configuration");
    let memo = RefCell::default();
    let prepared: Vec<Vec<u8>> =
        (0..16).map(|number| [b"/api/v1/query?", encoded(TYPICAL, ask(number)).as_slice()].concat()).collect();
    let mut paths = prepared.into_iter();
    Box::new(move || {
        let path = paths.next().expect("as many as are counted");
        let headers: [(&[u8], &[u8]); 6] = [
            (b":authority", b"prometheus:9090"),
            (b":method", b"GET"),
            (b":path", black_box(&path)),
            (b"thanos-tenant", b"team-a"),
            (b"user-agent", b"Grafana/12.1.0"),
            (b"x-request-id", b"5b5b2d1e-1c9d-4b7e-9b0a-1d8f2b1d7a10"),
        ];
        let head = Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: true, now_ms: None };
        black_box(decide(&head, &config, &memo).expect("forwarded"));
    })
}

const PARAMETER: &str = r#"{"tenant_parameter": "namespace"}"#;
const PATH: &str = r#"{"tenant_path": "/t/", "allowed_tenants": ["team-a", "team-b"]}"#;
const CLAIM: &str = r#"{
    "tenant_metadata": {"path": ["envoy.filters.http.jwt_authn", "payload", "groups"], "strip_prefix": "/", "drop_unknown": true},
    "tenant_groups": {"sre": ["team-a", "team-b"], "shop": ["team-a"]}, "tenant_path": "/t/"
}"#;

/// Twenty groups, of which the last one is known.
fn claim() -> Vec<u8> {
    let mut groups: Vec<String> = (0..19).map(|number| format!("/group-{number}")).collect();
    groups.push("/sre".to_owned());
    let token = serde_json::json!({"iss": "https://issuer.example", "sub": "someone", "exp": 4e9, "groups": groups});
    evidence::encode(&serde_json::json!({"envoy.filters.http.jwt_authn": {"payload": token}}))
}

/// As `request`, with the tenant in the URL or in a claim.
fn request_at(config: &str, prefix: &'static str, suffix: &'static str, evidence: Option<Vec<u8>>) -> Box<dyn FnMut()> {
    let config = Config::parse(config.as_bytes()).expect("a configuration");
    let memo = RefCell::default();
    let path = |number| {
        [prefix.as_bytes(), b"/api/v1/query?", encoded(TYPICAL, number).as_slice(), suffix.as_bytes()].concat()
    };
    let prepared: Vec<Vec<u8>> = (0..16).map(path).collect();
    let mut paths = prepared.into_iter();
    Box::new(move || {
        let path = paths.next().expect("as many as are counted");
        let headers: [(&[u8], &[u8]); 5] = [
            (b":authority", b"prometheus:9090"),
            (b":method", b"GET"),
            (b":path", black_box(&path)),
            (b"user-agent", b"Grafana/12.1.0"),
            (b"x-request-id", b"5b5b2d1e-1c9d-4b7e-9b0a-1d8f2b1d7a10"),
        ];
        let evidence = evidence.as_deref();
        let head = Head { headers: &headers, evidence, label_evidence: None, end_of_stream: true, now_ms: None };
        black_box(decide(&head, &config, &memo).expect("forwarded"));
    })
}

fn posted(ask: fn(usize) -> usize) -> Box<dyn FnMut()> {
    let config = Config::parse(b"{}").expect("a configuration");
    let memo = RefCell::default();
    let prepared: Vec<Vec<u8>> = (0..16).map(|number| encoded(ALTERNATION, ask(number))).collect();
    let mut forms = prepared.into_iter();
    Box::new(move || {
        let form = forms.next().expect("as many as are counted");
        let headers: [(&[u8], &[u8]); 4] = [
            (b":method", b"POST"),
            (b":path", b"/api/v1/query"),
            (b"thanos-tenant", b"team-a"),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ];
        let head = Head { headers: &headers, evidence: None, label_evidence: None, end_of_stream: false, now_ms: None };
        let forward = decide(&head, &config, &memo).expect("decided").forwarded().expect("forwarded");
        black_box(forward.body.finish(black_box(&form), None, &memo).expect("a form"));
    })
}

fn answer() -> Box<dyn FnMut()> {
    let sample = r#"[1767225600.781,"12.5"],"#;
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"job":"api"}},"values":[{}[0,"0"]]}}]}},"infos":["PromQL info: x"]}}"#,
        sample.repeat((64 << 10) / sample.len())
    );
    Box::new(move || {
        let mut filter = Filter::new(Documents::One, Content::Passed, Statistics::Unread);
        let mut out = Vec::with_capacity(body.len());
        filter.push(black_box(body.as_bytes()), true, &mut out);
        assert!(filter.fault().is_none() && out.len() == body.len());
    })
}

fn rules() -> Box<dyn FnMut()> {
    let rule = |n: usize| {
        let tenant = if n.is_multiple_of(2) { "team-a" } else { "team-b" };
        format!(
            r#"{{"name":"r","query":"sum(up{{tenant_id=\"{tenant}\"}})","labels":{{"tenant_id":"{tenant}"}},"health":"ok","evaluationTime":0.0005,"lastEvaluation":"2026-01-02T03:04:05Z","type":"recording"}}"#
        )
    };
    let rules: Vec<String> = (0..100).map(rule).collect();
    let body = format!(
        r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"f","rules":[{}],"interval":30,"limit":0,"evaluationTime":0.1,"lastEvaluation":"2026-01-02T03:04:05Z"}}]}}}}"#,
        rules.join(",")
    );
    let owner =
        Owner::new(&Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace)).expect("no pattern to run");
    Box::new(move || {
        let rules = Labelled::Rules { shared: false, narrowed: false };
        let mut filter = Filter::by_owner(rules, owner.clone(), 1 << 20);
        let mut out = Vec::new();
        filter.push(black_box(body.as_bytes()), true, &mut out);
        assert!(filter.fault().is_none());
        black_box(out);
    })
}

fn configuration() -> Box<dyn FnMut()> {
    let json: &[u8] = br#"{"tenant_header": "THANOS-TENANT", "default_tenant_id": "", "strip_headers": ["x-a", "x-b"],
        "tenant_federation": {"enabled": true, "max_tenants": 10}, "path_prefixes": ["", "/prometheus"]}"#;
    Box::new(move || {
        black_box(Config::parse(black_box(json)).expect("a configuration"));
    })
}
