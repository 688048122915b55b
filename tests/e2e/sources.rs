//! The source of the tenant in each shipped bootstrap: certificate, token and configuration. A client that claims to be another tenant in any other
//! way is served as its own tenant, or refused.

use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response};
use crate::support::identities::{
    self, Client, claims, client, forged_token, resumes, stranger, through_tls, token, unsigned_token,
};
use crate::support::stub::Seen;
use crate::support::{compare, prometheus, stub, unique};
use serde_json::{Value, json};
use std::sync::LazyLock;

fn get() -> Request {
    Request::get("/api/v1/query?query=up")
}

/// All headers by which a client could try to be another tenant.
fn spoofed(request: Request) -> Request {
    request
        .tenant("team-b")
        .header("thanos-tenant", "team-c")
        .header("X-Scope-OrgID", "team-b")
        .header("x-forwarded-client-cert", "Subject=\"O=team-b\";By=spiffe://x")
        .header("x-jwt-payload", "eyJ0ZW5hbnQiOiJ0ZWFtLWIifQ")
        .header("x-jwt-signature-verified", "true")
        .header("x-envoy-peer-metadata", "team-b")
        .chunked(&[], &[("thanos-tenant", "team-b"), ("x-scope-orgid", "team-b"), ("authorization", "Bearer x")])
}

/// Sends over HTTP/1 and HTTP/2, and returns what came back, and what reached the upstream.
fn ways(request: &Request, port: u16) -> Vec<(Response, Vec<Seen>)> {
    let send = |h2: bool| {
        let id = unique();
        let request = request.clone().header("x-e2e-id", &id);
        let answer = if h2 { request.send_h2(port).unwrap() } else { request.send(port) };
        (answer, stub().seen(&id))
    };
    vec![send(false), send(true)]
}

#[track_caller]
fn assert_is(tenant: &str, request: &Request, port: u16) {
    for (answer, seen) in ways(request, port) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.all("vary").iter().all(|names| !names.to_ascii_lowercase().contains("tenant")), "{answer:?}");
        let [seen] = seen.try_into().unwrap();
        seen.assert_scoped(tenant);
    }
}

#[track_caller]
fn assert_refused(status: u16, request: &Request, port: u16) {
    for (answer, seen) in ways(request, port) {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(seen.is_empty(), "{seen:#?}");
    }
}

fn mtls() -> &'static Envoy {
    static ENVOY: LazyLock<Envoy> = LazyLock::new(|| Setup::example("mtls.yaml", stub().port).start("envoy-mtls"));
    &ENVOY
}

fn as_client(client: &Client) -> u16 {
    through_tls(mtls().port(), Some(client))
}

#[test]
fn each_certificate_sees_its_own_tenant_s_series() {
    let upstream = &prometheus().upstream;
    let envoy = Setup::example("mtls.yaml", upstream.port()).start("envoy-mtls-prometheus");
    let everything =
        Request::get("/api/v1/query?query=last_over_time(%7B__name__!=%22%22%7D%5B1d%5D)").tenant("team-b");
    for tenant in ["team-a", "team-b"] {
        let client = client(&format!("/O={tenant}/OU=somewhere/CN=a client"));
        let answer = everything.send(through_tls(envoy.port(), Some(&client)));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(&format!("\"tenant_id\":\"{tenant}\"")), "{}", answer.text());
        compare::assert_only_of(tenant, &answer, "its certificate");
    }
    envoy.assert_healthy();
}

#[test]
fn nothing_else_than_the_certificate_names_the_tenant() {
    let port = as_client(&client("/O=team-a/CN=a client"));
    assert_is("team-a", &get(), port);
    assert_is("team-a", &spoofed(get()), port);
    assert_is("team-a", &spoofed(Request::get("/api/v1/features")), port);
    assert_is("team-a", &spoofed(Request::get("/api/v1/labels?match[]=%7Btenant_id=%22team-b%22%7D")), port);
    let connection = get().header("connection", "close, thanos-tenant").tenant("team-b");
    let id = unique();
    assert_eq!(connection.header("x-e2e-id", &id).send(port).status, 200);
    stub().seen(&id)[0].assert_scoped("team-a");
}

#[test]
fn subjects_are_read_as_they_are_printed() {
    for (subject, tenant) in [
        ("/CN=x/O=team-a", "team-a"),
        ("/OU=team-b+O=team-a+CN=team-c", "team-a"),
        ("/C=DE/ST=O=team-b/O=team-a/CN=O=team-b", "team-a"),
        (r"/CN=x,O=team-b/O=team-a", "team-a"),
        (r"/O=team-a/CN=x\+O=team-b", "team-a"),
        ("/O=team-a/CN=m\u{fc}nchen \u{65e5}\u{672c}\"<>;#", "team-a"),
        ("/emailAddress=O=team-b/DC=team-b/UID=team-b/O=team-a", "team-a"),
        ("/O=te.am_(a)*!'-/CN=x", "te.am_(a)*!'-"),
    ] {
        assert_is(tenant, &spoofed(get()), as_client(&client(subject)));
    }
    for (subject, status) in [
        ("/O=team-a/O=team-b/CN=x", 400),
        ("/O=team-a/OU=x/O=team-a", 400),
        ("/O=team-a+O=team-b/CN=x", 400),
        ("/O=team-a|team-b/CN=x", 400),
        ("/O=team-a,O=team-b/CN=x", 400),
        (r"/O=team-a\\/CN=x", 400),
        ("/O=team-a\n/CN=x", 400),
        ("/O= team-a/CN=x", 400),
        ("/O=t\u{e9}am-a/CN=x", 400),
        ("/O=__mimir_cluster/CN=x", 400),
        ("/O=../CN=x", 400),
        ("/OU=team-a/CN=team-a", 401),
        ("/CN=x,O=team-a", 401),
    ] {
        assert_refused(status, &spoofed(get()), as_client(&client(subject)));
    }
    mtls().assert_healthy();
}

#[test]
fn without_a_trusted_certificate_nobody_is_asking() {
    let no_answer = |client: Option<&Client>| {
        let id = unique();
        let answer = spoofed(get()).header("x-e2e-id", &id).try_send(through_tls(mtls().port(), client));
        assert!(answer.is_none() && stub().seen(&id).is_empty(), "{answer:?}");
    };
    no_answer(None);
    no_answer(Some(&stranger("/O=team-a/CN=x")));
    // If Envoy admits clients without a certificate, or without TLS, the filter refuses them.
    let optional = Setup::example("mtls.yaml", stub().port)
        .replace("require_client_certificate: true", "require_client_certificate: false")
        .start("envoy-mtls-optional");
    assert_refused(401, &spoofed(get()), through_tls(optional.port(), None));
    let plain = Setup::shipped(stub().port)
        .plugin_text(r#"{"tenant_certificate_field": "organization"}"#)
        .start("envoy-certificate-without-tls");
    assert_refused(401, &spoofed(get()), plain.port());
}

/// Envoy looks at a certificate's dates in a full handshake only: without resumption, one that has expired ends with its connection.
#[test]
fn no_session_is_resumed_past_its_certificate_s_end() {
    let client = client("/O=team-a/CN=a client");
    let resuming = Setup::example("mtls.yaml", stub().port)
        .replace("disable_stateless_session_resumption: true", "disable_stateless_session_resumption: false")
        .replace("disable_stateful_session_resumption: true", "disable_stateful_session_resumption: false")
        .start("envoy-mtls-resuming");
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(resumes(resuming.port(), &client, version), "{version}: Envoy would resume it");
        assert!(!resumes(mtls().port(), &client, version), "{version}");
    }
}

fn jwt() -> &'static Envoy {
    static ENVOY: LazyLock<Envoy> = LazyLock::new(|| Setup::example("jwt.yaml", stub().port).start("envoy-jwt"));
    &ENVOY
}

fn with(token: &str) -> Request {
    get().header("authorization", format!("Bearer {token}"))
}

fn tenant(tenant: impl Into<Value>) -> Value {
    claims(json!({"tenant": tenant.into()}))
}

#[test]
fn each_token_sees_its_own_tenant_s_series() {
    let upstream = &prometheus().upstream;
    let envoy = Setup::example("jwt.yaml", upstream.port()).start("envoy-jwt-prometheus");
    for tenant in ["team-a", "team-b"] {
        // As the script makes them for the example's first lines.
        let token = std::fs::read_to_string(identities::folder().join(format!("{tenant}.jwt"))).unwrap();
        let everything = Request::get("/api/v1/query?query=last_over_time(%7B__name__!=%22%22%7D%5B1d%5D)");
        let answer = everything.tenant("team-b").header("authorization", format!("Bearer {token}")).send(envoy.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains(&format!("\"tenant_id\":\"{tenant}\"")), "{}", answer.text());
        compare::assert_only_of(tenant, &answer, "its token");
    }
    envoy.assert_healthy();
}

#[test]
fn nothing_else_than_the_verified_claim_names_the_tenant() {
    let (port, own) = (jwt().port(), token(&tenant("team-a")));
    assert_is("team-a", &with(&own), port);
    assert_is("team-a", &spoofed(with(&own)), port);
    let other = token(&claims(
        json!({"tenant": "team-a", "payload": {"tenant": "team-b"}, "envoy.filters.http.jwt_authn": {"payload": {"tenant": "team-b"}}}),
    ));
    assert_is("team-a", &with(&other), port);
    // The token itself is not forwarded.
    let id = unique();
    with(&own).header("x-e2e-id", &id).send(port);
    assert!(!stub().seen(&id)[0].has("authorization") && !stub().received(&own));
}

#[test]
fn tokens_that_are_not_verified_name_nobody() {
    let forgeries = [
        forged_token(&tenant("team-b")),
        unsigned_token(&tenant("team-b")),
        token(&claims(json!({"tenant": "team-b", "exp": 1_000_000_000}))),
        token(&claims(json!({"tenant": "team-b", "nbf": 4_000_000_000u64}))),
        token(&claims(json!({"tenant": "team-b", "iss": "https://other.example"}))),
        token(&claims(json!({"tenant": "team-b", "aud": "grafana"}))),
        "x".to_owned(),
        String::new(),
    ];
    let lenient = Setup::example("jwt.yaml", stub().port)
        .replace(
            "requires: { provider_name: issuer }",
            "requires: { requires_any: { requirements: [{ provider_name: issuer }, { allow_missing_or_failed: {} }] } }",
        )
        .start("envoy-jwt-lenient");
    let own = token(&tenant("team-a"));
    for forgery in &forgeries {
        for port in [jwt().port(), lenient.port()] {
            for (answer, seen) in ways(&spoofed(with(forgery)), port) {
                assert!(matches!(answer.status, 401 | 403) && seen.is_empty(), "{}: {}", answer.status, answer.text());
            }
            // A second token beside the client's own changes nothing, wherever it is.
            let in_the_url = Request::get(&format!("/api/v1/query?query=up&access_token={forgery}"))
                .header("authorization", format!("Bearer {own}"));
            let twice = with(&own).header("authorization", format!("Bearer {forgery}"));
            let before = with(forgery).header("authorization", format!("Bearer {own}"));
            for request in [in_the_url, twice, before] {
                for (answer, seen) in ways(&request, port) {
                    assert!(matches!(answer.status, 200 | 400 | 401 | 403), "{}: {}", answer.status, answer.text());
                    seen.iter().for_each(|seen| seen.assert_scoped("team-a"));
                }
            }
        }
    }
    assert_refused(401, &spoofed(get()), jwt().port());
    assert_refused(401, &spoofed(get()), lenient.port());
    assert_is("team-a", &spoofed(with(&own)), lenient.port());
}

/// The bytes for a list of one tenant if Envoy is asked for the claim alone.
const LIST_IN_A_STRING: &str = "\u{1}\0\0\0\u{6}\0\0\0\0\0\0\0team-b\0\0";

#[test]
fn claims_are_of_the_right_type_or_refused() {
    let federated = Setup::example("jwt.yaml", stub().port)
        .replace(
            "\"tenant_label_name\": \"tenant_id\"",
            "\"tenant_federation\": {\"enabled\": true, \"max_tenants\": 3}, \"tenant_label_name\": \"tenant_id\"",
        )
        .start("envoy-jwt-federated");
    let number = f64::from_le_bytes(*b"team-bbB");
    for port in [jwt().port(), federated.port()] {
        for (claim, status) in [
            (json!("team-a|team-b"), 400),
            (json!("[\"team-a\",\"team-b\"]"), 400),
            (json!(LIST_IN_A_STRING), 400),
            (json!(number), 400),
            (json!(7), 400),
            (json!(true), 400),
            (json!({"team-b": "team-b"}), 400),
            (json!(["team-a", 7]), 400),
            (json!(["team-a", "team-b|team-c"]), 400),
            (json!(["team-a", ["team-b"]]), 400),
            (json!("t\u{e9}am"), 400),
            (json!(""), 401),
            (json!(null), 401),
        ] {
            assert_refused(status, &spoofed(with(&token(&tenant(claim)))), port);
        }
        assert_refused(401, &spoofed(with(&token(&claims(json!({"Tenant": "team-b"}))))), port);
    }
    let several = with(&token(&tenant(json!(["team-b", "team-a", "team-b"]))));
    assert_refused(400, &several, jwt().port());
    for (answer, seen) in ways(&several, federated.port()) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(seen[0].all("thanos-tenant"), ["team-a|team-b"]);
        assert_eq!(seen[0].query()[0].1, "up{tenant_id=~\"team-a|team-b\"}");
    }
    assert_refused(401, &with(&token(&tenant(json!([])))), federated.port());
    assert_refused(400, &with(&token(&tenant(json!(["a", "b", "c", "d"])))), federated.port());
    federated.assert_healthy();
}

/// What a user's own texts in metadata do, where another filter puts them there.
#[test]
fn metadata_of_other_namespaces_names_nobody() {
    let copies = "          - name: envoy.filters.http.header_to_metadata
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
              request_rules:
              - header: x-tenant
                on_header_present: { metadata_namespace: client, key: tenant, type: STRING }
              - header: x-payload
                on_header_present: { metadata_namespace: client, key: payload, type: STRING }
          - name: promql_tenancy\n";
    let envoy = Setup::example("jwt.yaml", stub().port)
        .replace("requires: { provider_name: issuer }", "requires: { allow_missing: {} }")
        .replace("          - name: promql_tenancy\n", copies)
        .start("envoy-jwt-copies");
    let request = spoofed(get()).header("x-tenant", "team-b").header("x-payload", "team-b");
    assert_refused(401, &request, envoy.port());
}

#[test]
fn a_static_tenant_is_everybody() {
    let envoy = Setup::example("static.yaml", stub().port).start("envoy-static");
    assert_is("team-a", &get(), envoy.port());
    assert_is("team-a", &spoofed(get()), envoy.port());
    assert_is("team-a", &spoofed(Request::get("/api/v1/features")), envoy.port());
    let own = with(&token(&tenant("team-b")));
    assert_is("team-a", &spoofed(own), envoy.port());
}

#[test]
fn a_view_sees_what_its_pattern_matches_and_nothing_that_is_nobody_s() {
    let pair = prometheus();
    let view = |pattern: &str| {
        let keys = json!({"static_tenant_ids": ["operators"], "tenant_regex": pattern, "allow_on_headers_stop_iteration": true});
        let setup = Setup::shipped(pair.upstream.port()).plugin_text(&keys.to_string());
        setup.start(&format!("envoy-view-{}", pattern.len()))
    };
    let tenants = |envoy: &Envoy, query: &str| {
        let form = form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
        let answer = Request::post("/api/v1/query", &form).tenant("team-b").send(envoy.port());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut tenants: Vec<String> = answer.json()["data"]["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|series| series["metric"]["tenant_id"].as_str().unwrap_or("nobody").to_owned())
            .collect();
        tenants.sort();
        tenants
    };
    let by_tenant = "count by (tenant_id) (last_over_time(up[1d]))";
    // A pattern that matches the empty text as well.
    let all = view(".*");
    let everybody = tenants(&all, by_tenant);
    assert!(everybody.len() >= 2 && !everybody.contains(&"nobody".to_owned()), "{everybody:?}");
    assert_eq!(tenants(&all, "count by (tenant_id) (last_over_time(up{tenant_id=\"\"}[1d]))"), Vec::<String>::new());
    assert_eq!(tenants(&all, "count by (tenant_id) (last_over_time(up{tenant_id=\"team-b\"}[1d]))"), ["team-b"]);
    let one = view("team-[a]");
    assert_eq!(tenants(&one, by_tenant), ["team-a"]);
    let rules = Request::get("/api/v1/rules").send(one.port());
    assert!(rules.refused(403).contains("tenant_regex"));
}
