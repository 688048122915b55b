//! What holds for every request, however it is made.

use super::*;
use crate::tenant::Source;
use proptest::collection::vec;
use proptest::prelude::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CONFIGS: [&str; 8] = [
    "{}",
    r#"{"upstream": "thanos", "tenant_header": "X-Tenant", "passthrough_paths": ["/graph"]}"#,
    r#"{"upstream": "cortex", "tenant_federation": {"enabled": true}}"#,
    r#"{"static_tenant_ids": ["a", "b"]}"#,
    r#"{"static_tenant_ids": ["a"], "tenant_regex": "team-.*"}"#,
    r#"{"on_conflict": "reject", "path_prefixes": ["", "/p"], "strip_headers": ["accept"], "extra_parameters": ["x"]}"#,
    PARAMETER,
    PATH,
];

const PARAMETER: &str = r#"{"tenant_parameter": "namespace", "passthrough_paths": ["/graph"]}"#;
const PATH: &str = r#"{"tenant_path": "/t/", "allowed_tenants": ["a", "b"], "default_tenant_id": "b", "passthrough_paths": ["/graph"]}"#;

const PATHS: [&str; 17] = [
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/labels",
    "/api/v1/series",
    "/api/v1/label/job/values",
    "/p/api/v1/query",
    "/federate",
    "/prometheus/api/v1/labels",
    "/graph",
    "/-/healthy",
    "/api/v1/rules",
    "/x",
    "/t/a/api/v1/query",
    "/t/b/api/v1/labels",
    "/t/c/api/v1/query",
    "/t/a/graph",
    "/t/",
];

const NAMES: [&str; 12] = [
    "thanos-tenant",
    "x-tenant",
    "x-scope-orgid",
    "thanos_tenant",
    "X-Tenant",
    "content-type",
    "content-length",
    "accept",
    "connection",
    "trailer",
    "x-forwarded-prefix",
    "x",
];

fn form() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("query"),
        Just("match[]"),
        Just("match%5B%5D"),
        Just("time"),
        Just("x"),
        Just("namespace"),
        Just("n%61mespace"),
        Just("unknown"),
        Just("")
    ];
    let value = prop_oneof![
        Just("up"),
        Just("up%7Btenant_id%3D%22b%22%7D"),
        Just("%7B%7D"),
        Just(""),
        Just("1"),
        Just("topk(scalar(a),b)"),
        Just("%zz"),
        Just("a;b")
    ];
    vec((name, value), 0..4).prop_map(|pairs| {
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![3 => Just("GET"), 3 => Just("POST"), 1 => Just("HEAD")];
    let value = prop_oneof![
        Just("a"),
        Just("b"),
        Just("a|b"),
        Just(""),
        Just("application/x-www-form-urlencoded"),
        Just("0"),
        Just("9")
    ];
    let headers = vec((proptest::sample::select(NAMES.to_vec()), value), 0..4);
    (method, proptest::sample::select(PATHS.to_vec()), form(), headers, proptest::option::of(form()), any::<bool>())
        .prop_map(|(method, path, query, headers, body, declared)| {
            let mut request = Request::new(method, format!("{path}?{query}"));
            if declared && body.is_some() {
                request = request.header("content-type", "application/x-www-form-urlencoded");
            }
            for (name, value) in headers {
                request = request.header(name, value);
            }
            match body {
                Some(body) => request.body(body),
                None => request,
            }
        })
}

fn seeded(seed: u64) -> ProptestConfig {
    ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(seed),
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(seeded(3))]

    #[test]
    fn any_bytes_are_decided(
        method in vec(any::<u8>(), 0..8),
        path in proptest::sample::select(PATHS.to_vec()),
        target in vec(prop_oneof![any::<u8>(), Just(b'%'), Just(b'/'), Just(b'?'), Just(b'&'), Just(b'=')], 0..32),
        headers in vec((vec(any::<u8>(), 0..8), vec(any::<u8>(), 0..8)), 0..4),
        body in vec(any::<u8>(), 0..32),
        post in any::<bool>(),
    ) {
        let target = [path.as_bytes(), &target].concat();
        let mut pairs: Vec<(&[u8], &[u8])> = vec![(b":path", &target), (b":method", if post { b"POST" } else { &method })];
        pairs.extend(headers.iter().map(|(name, value)| (&**name, &**value)));
        pairs.push((b"content-type", b"application/x-www-form-urlencoded"));
        for json in CONFIGS {
            let config = config(json);
            for end_of_stream in [true, false] {
                match decide(&Head { headers: &pairs, evidence: None, label_evidence: None, end_of_stream, now_ms: None }, &config, &RefCell::default()) {
                    Ok(decision) => { let _ = decision.forwarded().expect("without limits nothing is answered").body.finish(&body, None, &RefCell::default()).map_err(|rejection| rejection.body()); }
                    Err(refused) => prop_assert!(serde_json::from_slice::<serde_json::Value>(&refused.rejection.body()).is_ok()),
                }
            }
        }
    }

    #[test]
    fn exactly_one_header_names_the_tenant(request in request()) {
        for json in CONFIGS {
            let config = config(json);
            let Ok(sent) = request.send(&config) else { continue };
            let folded = |name: &str| name.to_ascii_lowercase().replace('_', "-");
            let naming: Vec<&(String, String)> = sent.headers.iter().filter(|(name, _)| ["thanos-tenant", "x-scope-orgid", "x-tenant"].contains(&folded(name).as_str()))
                .filter(|(name, _)| json.contains("X-Tenant") || folded(name) != "x-tenant").collect();
            if ["healthy", "ready"].contains(&sent.handler) {
                prop_assert!(naming.is_empty() && sent.tenant.is_empty());
                continue;
            }
            prop_assert_eq!(naming, [&(config.forward_tenant_header().to_string(), sent.tenant.clone())]);
            prop_assert!(!sent.tenant.is_empty());
        }
    }

    #[test]
    fn what_names_the_tenant_in_the_url_goes_no_further(request in request()) {
        if let Ok(sent) = request.send(&config(PARAMETER)) {
            // A form that is passed through is not read.
            prop_assert!(sent.handler == "passthrough" || values(&sent, "namespace").is_empty());
            prop_assert!(pairs(&sent.path).iter().all(|(name, _)| name != "namespace"));
        }
        if let Ok(sent) = request.send(&config(PATH)) {
            prop_assert!(!sent.path.starts_with("/t/"), "{}", sent.path);
            let prefixes: Vec<&str> = sent.headers.iter().filter(|(name, _)| name == "x-forwarded-prefix").map(|(_, value)| value.as_str()).collect();
            let came = String::from_utf8_lossy(&request.headers[1].1).into_owned();
            let expected = format!("/t/{}", sent.tenant);
            match came.starts_with("/t/") {
                true => prop_assert!(prefixes == [expected.as_str()] && came.starts_with(&(expected + "/"))),
                // Probes are forwarded for nobody in particular.
                false => prop_assert!(prefixes.is_empty() && (sent.tenant == "b" || came.starts_with("/-/") && sent.tenant.is_empty())),
            }
        }
    }

    #[test]
    fn no_selector_is_open(request in request()) {
        for json in CONFIGS {
            let config = config(json);
            let Ok(sent) = request.send(&config) else { continue };
            if !config.enforces() || ["passthrough", "healthy", "ready"].contains(&sent.handler) {
                continue;
            }
            let tenants = match config.source() {
                Source::Static(tenants) => tenants.clone(),
                _ => config.tenants(sent.tenant.as_bytes()).unwrap(),
            };
            let matcher = config.scope_of(&tenants).selector();
            let matcher = matcher.trim_start_matches('{').trim_end_matches('}');
            let selectors = values(&sent, "match[]");
            for selector in &selectors {
                prop_assert!(selector.contains(matcher), "{}", selector);
            }
            for query in values(&sent, "query") {
                // Both metrics of `topk(scalar(a),b)`, the one of the others, none of `1`.
                let metrics = query.matches("up").count() + usize::from(query.contains("scalar")) * 2 + usize::from(query.starts_with('{'));
                prop_assert_eq!(query.matches(matcher).count(), metrics, "{}", query);
            }
            if ["labels", "series", "label_values", "federate"].contains(&sent.handler) {
                let asked = pairs(&String::from_utf8_lossy(&request.headers[1].1)).into_iter()
                    .chain(request.body.as_deref().map(|body| pairs(&String::from_utf8_lossy(body))).unwrap_or_default())
                    .filter(|(name, _)| name == "match[]").count();
                let finding = selectors.iter().filter(|selector| !selector.contains("promql_tenancy_filter:nothing")).count();
                prop_assert_eq!(finding, asked.max(1), "one is added where there is none, once");
            }
        }
    }

    #[test]
    fn what_is_remembered_changes_nothing(requests in vec(request(), 1..6)) {
        let limited = r#"{"limits": {"max_query_length": "32d", "retention_period": "30d"}}"#;
        for json in CONFIGS.into_iter().chain([limited]) {
            let remembering = config(json);
            for request in requests.iter().cycle().take(3 * requests.len()) {
                let fresh = config(json);
                let seen = |config: &Worker| {
                    let selectors = request.decide(config).map_err(|refused| refused.rejection.body())?.selectors;
                    request.send(config).map_err(|rejection| rejection.body()).map(|sent| (sent, selectors))
                };
                prop_assert_eq!(seen(&remembering), seen(&fresh));
            }
        }
    }

    #[test]
    fn what_was_sent_is_sent_again_unchanged(request in request()) {
        let config = config("{}");
        let Ok(sent) = request.send(&config) else { return Ok(()) };
        let mut again = Request::new(if sent.body.as_ref().is_some_and(|body| !body.is_empty()) { "POST" } else { "GET" }, &sent.path).tenant(&sent.tenant);
        if let Some(body) = sent.body.as_ref().filter(|body| !body.is_empty()) {
            again = again.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let again = again.send(&config).unwrap();
        prop_assert_eq!(again.path, sent.path);
        prop_assert_eq!(again.body.unwrap_or_default(), sent.body.unwrap_or_default());
    }
}
