//! Web pages: which are forwarded and how, the page to choose a tenant, neutral answers, and who gets none of them.

use super::*;
use crate::tenant::evidence::encode;
use serde_json::json;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LISTED: &str =
    r#"{"ui": true, "tenant_path": "/t/", "allowed_tenants": ["team-a", "team-b", {"prefix": "lab-"}]}"#;
const THANOS: &str = r#"{"upstream": "thanos", "ui": true, "tenant_path": "/t/", "allowed_tenants": ["a", "b"]}"#;
const CLAIM: &str =
    r#"{"ui": true, "tenant_path": "/t/", "tenant_metadata": ["n", "roles"], "allowed_tenants": ["a", "b", "c"]}"#;

fn reply(request: Request, config: &Worker) -> Reply {
    match request.outcome(config) {
        Ok(Err(reply)) => reply,
        Ok(Ok(sent)) => panic!("forwarded: {sent:?}"),
        Err(rejection) => panic!("refused: {rejection:?}"),
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
}

fn html(target: &str, config: &Worker) -> String {
    let reply = reply(Request::get(target), config);
    assert_eq!((reply.status, reply.reason, reply.tenant.as_deref()), (200, "choose_tenant", None));
    assert_eq!(header(&reply, "content-type"), Some("text/html; charset=utf-8"));
    String::from_utf8(reply.body).unwrap()
}

/// Addresses and texts of the links of a page.
fn links(html: &str) -> Vec<(&str, &str)> {
    let links = html.split("<a href=\"").skip(1);
    links
        .map(|link| link.split_once("\">").unwrap())
        .map(|(to, rest)| (to, rest.split_once("</a>").unwrap().0))
        .collect()
}

fn roles(roles: serde_json::Value) -> Vec<u8> {
    encode(&json!({"n": {"roles": roles}}))
}

#[test]
fn a_page_of_a_tenant_is_forwarded_without_its_prefix_and_query() {
    let config = config(LISTED);
    let sent = Request::get("/t/team-a/query?g0.expr=up&x=%zz;").send(&config).unwrap();
    assert_eq!((sent.path.as_str(), sent.tenant.as_str(), sent.handler), ("/query", "team-a", "ui"));
    assert!(sent.headers.contains(&("x-forwarded-prefix".to_owned(), "/t/team-a".to_owned())), "{sent:?}");
    assert!(sent.headers.contains(&("thanos-tenant".to_owned(), "team-a".to_owned())), "{sent:?}");
    let sent = Request::get("/t/team-b/assets/index-C0_x.js?v=1").send(&config).unwrap();
    assert_eq!((sent.path.as_str(), sent.handler), ("/assets/index-C0_x.js", "ui_asset"));
    let thanos = super::config(THANOS);
    for path in ["/graph", "/alerts", "/stores", "/static/js/main.1.js", "/favicon.ico", "/manifest.json"] {
        assert_eq!(Request::get(format!("/t/b{path}")).send(&thanos).unwrap().path, path);
    }
}

/// What comes back of a page or a file, by a head of these pairs: the headers that go, and the body.
fn shown(target: &str, pairs: &[(&str, &str)], body: &str) -> (Vec<&'static str>, String) {
    let request = Request::get(target).header("if-none-match", "\"e\"").header("accept-encoding", "gzip");
    let forward = request.decide(&config(LISTED)).unwrap();
    let headers: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let is_asked = |name: &str| !forward.remove.iter().any(|removed| **removed == *name);
    assert_eq!(is_asked("if-none-match"), target.contains("/assets/"), "{target}");
    assert_eq!(is_asked("accept-encoding"), target.contains("/assets/"), "{target}");
    let head = crate::answer::Head { headers: &headers, end_of_stream: false, is_early: false };
    let plan = forward.expected.decide(&head).unwrap();
    let body = match plan.body {
        crate::answer::Body::Untouched => body.to_owned(),
        crate::answer::Body::Filtered(mut filtered) => {
            let mut out = Vec::new();
            filtered.filter.push(body.as_bytes(), true, &mut out);
            String::from_utf8(out).unwrap()
        }
        other => panic!("{other:?}"),
    };
    (plan.remove, body)
}

#[test]
fn the_title_of_a_page_names_the_tenant_and_no_validator_stays() {
    let page = "<title>Prometheus</title>";
    let headers = [
        (":status", "200"),
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "25"),
        ("etag", "\"e\""),
        ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ];
    let (removed, body) = shown("/t/team-a/query", &headers, page);
    assert_eq!(
        (removed, body),
        (vec!["content-length", "etag", "last-modified"], page.replace('P', "team-a &middot; P"))
    );
    assert_eq!(shown("/t/team-b/alerts", &headers, page).1, page.replace('P', "team-b &middot; P"));
    // What is no page passes as it came.
    assert_eq!(shown("/t/team-a/assets/x.html", &headers, page), (Vec::new(), page.to_owned()));
    let mut encoded = headers.to_vec();
    encoded.push(("content-encoding", "gzip"));
    assert_eq!(shown("/t/team-a/query", &encoded, page), (Vec::new(), page.to_owned()));
    assert_eq!(shown("/t/team-a/query", &[(":status", "200")], page), (Vec::new(), page.to_owned()));
}

#[test]
fn what_a_client_says_of_the_prefix_is_not_forwarded() {
    let request = Request::get("/t/team-a/query").header("x-forwarded-prefix", "/t/team-b");
    let sent = request.send(&config(LISTED)).unwrap();
    let prefixes: Vec<_> = sent.headers.iter().filter(|(name, _)| name == "x-forwarded-prefix").collect();
    assert_eq!(prefixes, [&("x-forwarded-prefix".to_owned(), "/t/team-a".to_owned())]);
}

#[test]
fn files_of_a_page_have_plain_names_and_do_not_climb() {
    let config = config(LISTED);
    for path in [
        "assets/../api/v1/query",
        "assets/..%2fapi",
        "assets/%2e%2e/api",
        "assets//x.js",
        "assets/./x.js",
        "assets/x%00.js",
        "assets/x%20.js",
        "assets/x;.js",
        "assets/x%2525.js",
        "assets/\\..\\x",
    ] {
        assert_eq!(reason(&Request::get(format!("/t/team-a/{path}")), &config), "bad_path", "{path}");
    }
    for path in ["assets", "asset/x.js", "static/x.js", "Assets/x.js", "consoles/x.html", "user/x", "query/"] {
        assert_eq!(reason(&Request::get(format!("/t/team-a/{path}")), &config), "unknown_path", "{path}");
    }
    for method in ["POST", "HEAD", "PUT"] {
        assert_eq!(reason(&Request::new(method, "/t/team-a/query"), &config), "method");
    }
}

#[test]
fn a_tenant_that_is_not_offered_gets_one_and_the_same_refusal() {
    let config = config(CLAIM);
    let evidence = roles(json!(["a", "b", "x"]));
    let mut seen = std::collections::BTreeSet::new();
    for tenant in ["c", "d", "x", "A", "a%20", "%61", "a%2D", "..a", "a|b", "a,b", "__other__"] {
        for path in ["", "/", "/query", "/assets/x.js", "/api/v1/stores", "/api/v1/query?query=up", "/graph"] {
            let request = Request::get(format!("/t/{tenant}{path}")).evidence(&evidence);
            let rejection = request.outcome(&config).unwrap_err();
            seen.insert((rejection.status(), rejection.message()));
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen.first().unwrap().0, 403);
    for tenant in ["..", ".", "a%2f..", "%2e%2e", "%2e"] {
        assert_eq!(reason(&Request::get(format!("/t/{tenant}/query")).evidence(&evidence), &config), "bad_path");
    }
}

#[test]
fn the_path_counts_whatever_the_header_says() {
    let sent = Request::get("/t/team-a/api/v1/query?query=up").tenant("team-b").send(&config(LISTED)).unwrap();
    assert_eq!(sent.tenant, "team-a");
    assert_eq!(values(&sent, "query"), [r#"up{tenant_id="team-a"}"#]);
    let page = reply(Request::get("/query").tenant("team-b"), &config(LISTED));
    assert_eq!(page.reason, "choose_tenant");
}

#[test]
fn a_page_without_a_tenant_offers_those_that_one_may_choose() {
    let config = config(LISTED);
    for (target, to) in [
        ("/", "/t/team-a/query"),
        ("/graph", "/t/team-a/query"),
        ("/t/", "/t/team-a/query"),
        ("/alerts", "/t/team-a/alerts"),
        ("/query?g0.expr=a%26b&g0.tab=1", "/t/team-a/query?g0.expr=a%26b&amp;g0.tab=1"),
    ] {
        let html = html(target, &config);
        let links = links(&html);
        assert_eq!(links.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ["team-a", "team-b"], "{target}");
        assert_eq!(links[0].0, to, "{target}");
    }
    // Paths of the API say what is missing, as before.
    assert_eq!(reason(&Request::get("/api/v1/query?query=up"), &config), "no_tenant");
    assert_eq!(reason(&Request::get("/assets/x.js"), &config), "no_tenant");
}

#[test]
fn a_claim_offers_its_tenants_and_the_only_one_is_redirected_to() {
    let config = config(CLAIM);
    let with = |list: serde_json::Value, target: &str| Request::get(target).evidence(roles(list)).outcome(&config);
    let page = with(json!(["x", "b", "a", "b", "a b", ""]), "/").unwrap().unwrap_err();
    assert_eq!(links(std::str::from_utf8(&page.body).unwrap()).len(), 2);
    for (list, target, to) in [
        (json!(["b"]), "/", "/t/b/query"),
        (json!("b"), "/rules?x=1&y=%22", "/t/b/rules?x=1&y=%22"),
        (json!(["b", "offline_access"]), "/graph?g0.expr=\"<'\u{e9}", "/t/b/query?g0.expr=%22%3C%27%C3%A9"),
    ] {
        let reply = with(list, target).unwrap().unwrap_err();
        assert_eq!((reply.status, header(&reply, "location")), (302, Some(to)), "{target}");
        assert!(reply.body.is_empty());
    }
    assert_eq!(with(json!(["x"]), "/").unwrap_err().status(), 403);
    assert_eq!(with(json!(1), "/").unwrap_err().status(), 400);
    assert_eq!(Request::get("/").outcome(&config).unwrap_err().status(), 401);
}

#[test]
fn of_a_tenant_s_root_the_first_page_is_shown() {
    for (json, tenant, home) in [(LISTED, "team-a", "/query"), (THANOS, "a", "/graph")] {
        let config = config(json);
        for path in ["", "/"] {
            let reply = reply(Request::get(format!("/t/{tenant}{path}?a=b")), &config);
            assert_eq!(header(&reply, "location"), Some(format!("/t/{tenant}{home}?a=b").as_str()));
            assert_eq!(reply.tenant.as_deref(), Some(tenant));
        }
    }
    let moved = reply(Request::get("/t/team-a/graph?g0.expr=up"), &config(LISTED));
    assert_eq!(header(&moved, "location"), Some("/t/team-a/query?g0.expr=up"));
    let prefixed = r#"{"ui": true, "tenant_path": "/t/", "allowed_tenants": ["a"], "path_prefixes": ["/prometheus"]}"#;
    let prefixed = config(prefixed);
    for path in ["/t/a/prometheus", "/t/a/prometheus/", "/prometheus", "/prometheus/graph"] {
        assert_eq!(header(&reply(Request::get(path), &prefixed), "location"), Some("/t/a/prometheus/query"), "{path}");
    }
    assert_eq!(reason(&Request::get("/t/a/query"), &prefixed), "unknown_path");
}

#[test]
fn nothing_in_a_page_to_choose_ends_an_attribute() {
    let json = json!({"ui": true, "tenant_path": "/t/", "tenant_id_format": "thanos",
        "allowed_tenants": ["<script>alert(1)</script>".replace('/', ""), "\"onclick=\"x", "a&amp;b'", "\u{e9} \u{202e}"]});
    let config = config(&json.to_string());
    let html = html("/query?a=\"><script>&b='x'&c=<!--&d=\u{ff}javascript:", &config);
    assert_eq!(html.matches('<').count(), html.matches('>').count());
    for forbidden in ["<script", "\"onclick", "<!--", "'x'", "javascript:alert"] {
        assert!(!html.contains(forbidden), "{forbidden}: {html}");
    }
    let links = links(&html);
    assert_eq!(links.len(), 4);
    assert!(links.iter().all(|(to, _)| to.starts_with("/t/") && to.is_ascii() && !to.contains(['<', '>', '"'])));
    assert!(links.iter().any(|(to, id)| to.starts_with("/t/a&amp;amp;b&#39;/query?") && *id == "a&amp;amp;b&#39;"));
}

#[test]
fn a_page_to_choose_runs_nothing_and_stands_in_no_frame() {
    let reply = reply(Request::get("/"), &config(LISTED));
    let policy = header(&reply, "content-security-policy").unwrap();
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    let html = String::from_utf8(reply.body.clone()).unwrap();
    let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    assert!(policy.contains(&format!("'sha256-{}'", base64(&sha256(style.as_bytes())))), "{policy}");
    assert!(html.starts_with("<!doctype html><html lang=\"en\">") && html.contains("prefers-color-scheme:dark"));
    assert!(!html.contains("<script") && !html.contains("style=") && !html.contains("http"), "{html}");
}

#[test]
fn a_page_to_choose_is_bounded_and_says_how_many_are_left() {
    let ids: Vec<String> = (0..20_000).map(|n| format!("team-{n:05}")).collect();
    let config = config(&json!({"ui": true, "tenant_path": "/t/", "allowed_tenants": ids}).to_string());
    let long = html(&format!("/query?g0.expr={}", "x".repeat(50_000)), &config);
    assert!(long.len() < 300 * 1024, "{}", long.len());
    let listed = links(&long).len();
    assert!(listed > 1_000 && long.contains(&format!("There are {} more", 20_000 - listed)), "{listed}");
    assert!(links(&long)[0].0 == "/t/team-00000/query");
    assert!(!html("/", &super::config(LISTED)).contains("more"));
}

#[test]
fn what_can_t_be_scoped_has_a_neutral_answer() {
    for (json, tenant, path, status, body) in [
        (THANOS, "a", "stores", 200, r#""data":{}"#),
        (THANOS, "a", "status/flags", 200, r#"{"query.promql-engine":"prometheus"}"#),
        (THANOS, "a", "targets?state=any", 200, r#""activeTargets":[]"#),
        (THANOS, "a", "metadata", 200, r#""data":{}"#),
        (LISTED, "team-a", "metadata?metric=up", 200, r#""data":{}"#),
        (LISTED, "team-a", "targets", 200, r#""droppedTargetCounts":{}"#),
        (LISTED, "team-a", "scrape_pools", 200, r#"{"scrapePools":[]}"#),
        (LISTED, "team-a", "notifications", 200, r#""data":[]"#),
        (LISTED, "team-a", "notifications/live", 204, ""),
        (LISTED, "team-a", "status/walreplay", 200, r#""current":0"#),
    ] {
        let reply = reply(Request::get(format!("/t/{tenant}/api/v1/{path}")), &config(json));
        let text = std::str::from_utf8(&reply.body).unwrap();
        assert_eq!((reply.status, reply.reason, reply.tenant.as_deref()), (status, "neutral", Some(tenant)), "{path}");
        assert!(text.contains(body) && text.is_empty() == (status == 204), "{path}: {text}");
        if !text.is_empty() {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value["status"], "success");
        }
    }
    let config = config(LISTED);
    for path in ["status/config", "status/flags", "status/tsdb", "status/runtimeinfo", "alertmanagers", "admin/tsdb/x"]
    {
        assert_eq!(reason(&Request::get(format!("/t/team-a/api/v1/{path}")), &config), "forbidden_path", "{path}");
    }
    assert_eq!(reason(&Request::new("POST", "/t/team-a/api/v1/notifications"), &config), "forbidden_path");
}

#[test]
fn with_enable_metadata_targets_and_metadata_are_the_tenant_s() {
    let json = r#"{"ui": true, "tenant_path": "/t/", "allowed_tenants": ["a"], "enable_metadata": "targets",
                   "call_out_cluster": "upstream"}"#;
    let config = config(json);
    assert_eq!(Request::get("/t/a/api/v1/targets").send(&config).unwrap().handler, "targets");
    assert_eq!(Request::get("/t/a/api/v1/metadata").send(&config).unwrap().handler, "metadata");
    assert_eq!(reply(Request::get("/t/a/api/v1/scrape_pools"), &config).reason, "neutral");
}

#[test]
fn without_ui_there_are_no_pages() {
    let config = config(r#"{"tenant_path": "/t/", "allowed_tenants": ["a", "b"]}"#);
    for path in ["/t/a/query", "/t/a/", "/t/a", "/t/a/assets/x.js", "/t/a/favicon.ico"] {
        assert_eq!(reason(&Request::get(path), &config), "unknown_path", "{path}");
    }
    for path in ["/t/a/api/v1/stores", "/t/a/api/v1/metadata", "/t/a/api/v1/notifications/live"] {
        assert_eq!(reason(&Request::get(path), &config), "forbidden_path", "{path}");
    }
    assert_eq!(reason(&Request::get("/"), &config), "no_tenant");
}

#[test]
fn without_a_tenant_path_the_pages_stand_at_the_root() {
    let config = config(r#"{"ui": true, "static_tenant_ids": ["a"]}"#);
    assert_eq!(Request::get("/query?x=y").send(&config).unwrap().path, "/query");
    assert_eq!(header(&reply(Request::get("/"), &config), "location"), Some("/query"));
    assert_eq!(reply(Request::get("/api/v1/notifications/live"), &config).status, 204);
}

#[test]
fn pages_need_a_source_that_a_browser_can_give() {
    let refused = |json: &str, key: &str| {
        let error = Config::parse(json.as_bytes()).unwrap_err();
        assert_eq!(error.path, key, "{json}: {error}");
    };
    refused(r#"{"ui": true}"#, "ui");
    refused(r#"{"ui": true, "allowed_tenants": ["a"]}"#, "ui");
    refused(r#"{"ui": true, "tenant_parameter": "x"}"#, "ui");
    refused(r#"{"ui": true, "tenant_path": "/t/"}"#, "tenant_path");
    refused(r#"{"ui": true, "tenant_path": "/t/", "allowed_tenants": [{"prefix": "a"}]}"#, "tenant_path");
    refused(r#"{"upstream": "mimir", "ui": true, "static_tenant_ids": ["a"]}"#, "ui");
    refused(r#"{"ui": "yes", "static_tenant_ids": ["a"]}"#, "ui");
    for json in [r#"{"ui": true, "tenant_certificate_field": "commonName"}"#, r#"{"ui": false}"#] {
        Config::parse(json.as_bytes()).unwrap();
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of = |three: &[u8]| {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        let digit = |at: usize| char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]);
        (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(of).collect()
}

/// FIPS 180-4. The constants are the first bits of the roots of the first primes.
fn sha256(message: &[u8]) -> [u8; 32] {
    let primes: Vec<u32> = (2..312u32).filter(|n| (2..*n).all(|divisor| n % divisor != 0)).collect();
    let bits = |root: f64| (root.fract() * f64::from(2u32.pow(16)) * f64::from(2u32.pow(16))) as u32;
    let k: Vec<u32> = primes.iter().take(64).map(|prime| bits(f64::from(*prime).cbrt())).collect();
    let mut h: Vec<u32> = primes.iter().take(8).map(|prime| bits(f64::from(*prime).sqrt())).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut w: Vec<u32> = block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        for t in 16..64 {
            let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ (w[t - 15] >> 3);
            let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ (w[t - 2] >> 10);
            w.push(w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1));
        }
        let mut v = h.clone();
        for t in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let one = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[t]).wrapping_add(w[t]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(one);
            v[0] = one.wrapping_add(s0.wrapping_add(majority));
        }
        h.iter_mut().zip(v).for_each(|(sum, part)| *sum = sum.wrapping_add(part));
    }
    let bytes: Vec<u8> = h.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.try_into().unwrap()
}
