//! Runs the properties of the fuzz targets in every `cargo test`, with fixed seeds: over generated and mutated queries, and over arbitrary
//! bytes.
#![cfg(not(target_family = "wasm"))]

#[path = "properties/checks.rs"]
mod checks;
mod generator;
#[path = "properties/limits.rs"]
mod limits;

use generator::Rng;
use promql_tenancy_filter::promql::{MAX_DEPTH, MAX_LENGTH, rewrite};
use promql_tenancy_filter::scope::{OnConflict, Scope};
use proptest::prelude::*;

const GENERATED: u64 = 4_000;

#[test]
fn rewrite_every_selector_enforced() {
    for seed in 0..GENERATED {
        checks::rewrite_every_selector_enforced(&generator::query(seed));
        checks::rewrite_every_selector_enforced(&generator::mutated(seed));
        checks::rewrite_every_selector_enforced(&generator::selector(seed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn rewrite_takes_any_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        checks::rewrite_every_selector_enforced(&text);
    }

    #[test]
    fn rewrite_takes_any_text_of_its_alphabet(text in r#"[ a-z0-9_.:(){}\[\]"'`=!~<>/+*%^@,#\\\n-]{0,80}"#) {
        checks::rewrite_every_selector_enforced(text.as_bytes());
    }

    #[test]
    fn form_roundtrip(form in r"[a-z%0-9A-F&=+;\[\]é-]{0,80}") {
        checks::form_roundtrip(form.as_bytes());
    }

    #[test]
    fn form_roundtrip_of_any_bytes(form in prop::collection::vec(any::<u8>(), 0..200)) {
        checks::form_roundtrip(&form);
    }

    #[test]
    fn config_never_panics(json in prop::collection::vec(any::<u8>(), 0..200)) {
        checks::config_never_panics(&json);
    }

    #[test]
    fn config_never_panics_on_json(key in prop::sample::select(CONFIG_KEYS), value in prop::sample::select(CONFIG_VALUES)) {
        checks::config_never_panics(format!(r#"{{"{key}":{value}}}"#).as_bytes());
    }

    #[test]
    fn decide_never_panics(input in prop::collection::vec(any::<u8>(), 0..300)) {
        checks::decide_never_panics(&input);
    }

    #[test]
    fn decide_never_panics_on_requests(
        method in prop::sample::select(&["GET", "POST", "HEAD", "PUT", ""][..]),
        target in prop::sample::select(TARGETS),
        parameters in r"[a-z%0-9A-F&=+;\[\]?/-]{0,40}",
        tenant in r"[a-z|.]{0,6}",
        seed in any::<u64>(),
    ) {
        let query: String = form_urlencoded::byte_serialize(&generator::mutated(seed)).collect();
        let form = "content-type: application/x-www-form-urlencoded";
        let head = format!("{method}\n{target}?{parameters}&query={query}\nthanos-tenant: {tenant}\n{form}");
        checks::decide_never_panics(format!("{head}\n\nmatch[]={query}&{parameters}").as_bytes());
    }
}

const CONFIG_KEYS: &[&str] = &[
    "tenant_header",
    "default_tenant_id",
    "allowed_tenants",
    "tenant_id_format",
    "forward_tenant_header",
    "strip_headers",
    "enforce_tenancy",
    "tenant_label_name",
    "on_conflict",
    "tenant_federation",
    "path_prefixes",
    "passthrough_paths",
    "upstream",
    "extra_parameters",
    "limits",
    "nonsense",
];

const CONFIG_VALUES: &[&str] = &[
    "null",
    "true",
    "-1",
    "1e999",
    r#""""#,
    r#""a b""#,
    r#""THANOS-TENANT""#,
    r#""..""#,
    "[]",
    r#"["/"]"#,
    r#"["","/a"]"#,
    r#"[1]"#,
    "{}",
    r#"{"enabled":true}"#,
    r#"{"enabled":true,"max_tenants":-1}"#,
    r#""\ud800""#,
    r#""é""#,
    "[[[[[[[[]]]]]]]]",
];

const TARGETS: &[&str] = &[
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/series",
    "/api/v1/labels",
    "/api/v1/label/a/values",
    "/federate",
    "/p/api/v1/query",
    "/prometheus/api/v1/query",
    "/",
    "",
    "//",
    "/api/v1/../query",
    "/%2e",
    "*",
    "http://host/api/v1/query",
];

/// The stack of a wasm module is 1 MiB by default. Optimised code has to do with half of that. Without optimisation, stack frames are
/// about five times as large.
#[test]
fn depth_is_bounded_before_the_stack_is() {
    let size = if cfg!(debug_assertions) { 2 << 20 } else { 512 << 10 };
    let small_stack = std::thread::Builder::new().stack_size(size);
    let test = || {
        for unit in [
            "(",
            "-",
            "+ -",
            "sum(",
            "a{}+(",
            "topk(1,",
            "x[",
            "x[(",
            "x[-",
            "x offset (",
            "x offset -(",
            "{",
            "1^",
            "-1^-",
            "a or ",
            "x[5m:",
            "((x)[5m:])",
            "f(a,",
            "\"",
            "#\n",
            "max_of(",
            "x[max_of(",
        ] {
            for count in [1, MAX_DEPTH as usize, 100_000] {
                let text = unit.repeat(count.min((MAX_LENGTH - 1) / unit.len()));
                checks_without_panic(text.as_bytes());
                checks_without_panic(format!("{text}x").as_bytes());
                let closed = text.replace('(', ")").replace('{', "}");
                checks_without_panic(format!("{text}x{closed}").as_bytes());
            }
        }
    };
    small_stack.spawn(test).expect("a thread").join().expect("no input exhausts the stack");
}

fn checks_without_panic(text: &[u8]) {
    let scope = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Reject);
    drop(rewrite(text, &scope, &mut Vec::new()));
}

/// Configurations and forms that are made of the generator's unusual strings.
#[test]
fn form_roundtrip_of_queries() {
    for seed in 0..GENERATED {
        let mut form = b"query=".to_vec();
        form.extend(generator::mutated(seed));
        checks::form_roundtrip(&form);
        let encoded: String = form_urlencoded::byte_serialize(&form).collect();
        checks::form_roundtrip(format!("a={encoded}&{}", Rng::new(seed).next()).as_bytes());
    }
}

/// Evidence as Envoy writes it, with bytes changed, cut and doubled.
#[test]
fn evidence_names_valid_tenants() {
    let subjects = [
        r"CN=team-a\2CO=x,O=b+OU=\C3\BC".as_bytes(),
        b"\n\x1a\n\x01n\x12\x15\n\x13\n\x01t\x12\x0e2\x0c\n\x04\x1a\x02ab\n\x04\x1a\x02cd",
        b"\n\x14\n\x01n\x12\x0f\n\x0d\n\x01t\x12\x08\x1a\x06team-a",
    ];
    for seed in 0..GENERATED {
        let mut rng = Rng::new(seed);
        let mut evidence = subjects[rng.below(subjects.len())].to_vec();
        for _ in 0..rng.below(4) {
            let at = rng.below(evidence.len());
            match rng.below(4) {
                0 => evidence[at] = rng.next() as u8,
                1 => evidence.truncate(at + 1),
                2 => evidence.extend_from_within(at..),
                _ => evidence[at] = evidence[at].wrapping_add(1),
            }
        }
        checks::evidence_names_valid_tenants(&evidence);
    }
}
