//! `tenancyctl check` over what users have: all shipped files are without a mistake, and each mistake is found in a copy that has it.
#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The exit status, and the mistakes.
fn check(files: &[&Path], more: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenancyctl"));
    let output = command.arg("check").args(files).args(more).output().expect("the tool starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit status"), text(output.stdout), text(output.stderr))
}

/// A file in a folder of its own, which is removed with it.
struct Copy(PathBuf);

impl std::ops::Deref for Copy {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().expect("its folder"));
    }
}

/// A copy of a shipped file.
fn copy(name: &str, of: &str, edits: &[(&str, &str)]) -> Copy {
    let mut text = std::fs::read_to_string(root().join(of)).expect(of);
    for (from, to) in edits {
        assert!(text.contains(from), "{of} has no {from:?}");
        text = text.replacen(from, to, 1);
    }
    let folder = std::env::temp_dir().join(format!("tenancyctl-check-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(Path::new(of).file_name().expect("a file"));
    std::fs::write(&path, text).expect("a copy");
    Copy(path)
}

/// The copy has this mistake, at the line that holds `at`, and no other.
#[track_caller]
fn assert_found(name: &str, of: &str, edits: &[(&str, &str)], at: &str, expected: &str) {
    let path = copy(name, of, edits);
    let text = std::fs::read_to_string(&*path).expect("the copy");
    let line = text.lines().position(|line| line.contains(at)).expect(at) + 1;
    let (status, _, err) = check(&[&path], &[]);
    assert_eq!((status, err.lines().count()), (1, 1), "{name}: {err}");
    assert!(err.starts_with(&format!("{}:{line}: ", path.display())), "{name}: line {line}: {err}");
    assert!(err.contains(expected), "{name}: {err}");
}

const BOOTSTRAP: &str = "envoy/static.yaml";
const ROUTER: &str = "          - name: envoy.filters.http.router\n";
const FILTERS: &str = "          http_filters:\n";

fn filter(kind: &str, config: &str) -> String {
    format!(
        "          - name: envoy.filters.http.{kind}\n            typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.{kind}.v3.X{config} }}\n"
    )
}

#[test]
fn what_is_shipped_is_without_a_mistake() {
    let files = ["envoy", "examples/istio", "examples/envoy-gateway", "examples/kubernetes", "examples/docker-compose"];
    let mut count = 0;
    for folder in files {
        for entry in std::fs::read_dir(root().join(folder)).expect(folder) {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let is_part = !text.contains("promql_tenancy") && !text.contains("promql-tenancy")
                || path.ends_with("envoy/capabilities.yaml")
                || text.contains("services:");
            if is_part || path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let (status, out, err) = check(&[&path], &[]);
            assert_eq!((status, err.as_str()), (0, ""), "{}", path.display());
            assert!(out.contains("tenant_label_name"), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 11, "{count}");
}

#[test]
fn mistakes_around_the_native_module_are_found() {
    let native = "envoy/native.yaml";
    let misspelt = [("filter_config:", "filter_confg:")];
    assert_found("native-key", native, &misspelt, "filter_confg", "unknown");
    let misspelt = [("\"tenant_label_name\"", "\"tenant_label_nam\"")];
    assert_found("native-configuration", native, &misspelt, "tenant_label_nam", "tenant_label_nam");
    let claim = [
        ("\"tenant_header\": \"THANOS-TENANT\",", ""),
        (
            "\"default_tenant_id\": \"\",",
            "\"tenant_metadata\": [\"envoy.filters.http.jwt_authn\", \"payload\", \"tenant\"],",
        ),
    ];
    assert_found(
        "native-claim",
        native,
        &claim,
        "- name: promql_tenancy",
        "promql_tenancy.metadata.envoy.filters.http.jwt_authn",
    );
}

#[test]
fn mistakes_in_istio_s_way_to_the_native_module_are_found() {
    let istio = "examples/istio/native.yaml";
    let misspelt = [("\"tenant_label_name\"", "\"tenant_label_nam\"")];
    assert_found("istio-native", istio, &misspelt, "tenant_label_nam", "tenant_label_nam");
    let misspelt = [("filter_name:", "filter_nam:")];
    assert_found("istio-native-key", istio, &misspelt, "filter_nam:", "spec.configPatches[1].patch.value.typed_config");
    let claim = [("object_key: promql_tenancy.metadata", "object_key: promql_tenancy.metadatum")];
    assert_found("istio-native-claim", istio, &claim, " name: promql_tenancy", "no dynamic module can");
    let more = [(",\n                \"max_response_bytes\": 917504", "")];
    assert_found("istio-native-buffer", istio, &more, "              {", "max_response_bytes");
    let first = [(
        "      operation: INSERT_BEFORE\n      value:\n        name: promql_tenancy",
        "      operation: INSERT_FIRST\n      value:\n        name: promql_tenancy",
    )];
    assert_found("istio-native-first", istio, &first, "INSERT_FIRST", "before Istio has verified");
}

#[test]
fn mistakes_in_envoy_gateway_s_way_to_the_native_module_are_found() {
    let gateway = "examples/envoy-gateway/native.yaml";
    let misspelt = [("tenant_label_name:", "tenant_label_nam:")];
    assert_found("gateway-native", gateway, &misspelt, "tenant_label_nam:", "spec.dynamicModule[0].config");
    let misspelt = [("filterName:", "filterNam:")];
    assert_found("gateway-native-key", gateway, &misspelt, "filterNam:", "spec.dynamicModule[0].filterNam");
    let less = [("bufferLimit: 2Mi", "bufferLimit: 1Mi")];
    assert_found("gateway-native-buffer", gateway, &less, "upstream: thanos", "bufferLimit");
}

#[test]
fn a_filter_that_fails_open_is_found() {
    let open = [("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN")];
    assert_found("open", BOOTSTRAP, &open, "FAIL_OPEN", "is served without it");
    let open = [("failure_policy: FAIL_RELOAD", "fail_open: true")];
    assert_found("open-old", BOOTSTRAP, &open, "fail_open", "is served without it");
    let open = [("failStrategy: FAIL_RELOAD", "failStrategy: FAIL_OPEN")];
    assert_found("open-istio", "examples/istio/gateway.yaml", &open, "failStrategy: FAIL_OPEN", "spec.failStrategy");
    let open = [("failOpen: false", "failOpen: true")];
    assert_found(
        "open-gateway",
        "examples/envoy-gateway/gateway.yaml",
        &open,
        "failOpen: true",
        "spec.wasm[0].failOpen",
    );
}

#[test]
fn misspelt_keys_around_the_plugin_are_found() {
    for (name, of, from, to) in [
        ("plugin", BOOTSTRAP, "failure_policy:", "failure_polcy:"),
        ("vm", BOOTSTRAP, "runtime:", "runtme:"),
        ("any", BOOTSTRAP, "                configuration:", "                configuratoin:"),
        ("ecds", "envoy/promql_tenancy.yaml", "vm_config:", "vm_confg:"),
        ("istio", "examples/istio/sidecar.yaml", "imagePullPolicy:", "imagePullPolcy:"),
        ("gateway", "examples/envoy-gateway/gateway.yaml", "failOpen:", "failopen:"),
    ] {
        let path = copy(&format!("key-{name}"), of, &[(from, to)]);
        let (status, _, err) = check(&[&path], &[]);
        let key = to.trim().trim_end_matches(':');
        let found =
            err.lines().any(|line| line.contains(&format!("{key}: unknown key")) && line.contains("did you mean"));
        assert!(status == 1 && found, "{name}: {err}");
    }
}

#[test]
fn two_options_that_disagree_are_found() {
    const OF_ENVOY: &str = "allow_on_headers_stop_iteration: true";
    const OF_FILTER: &str = "\"allow_on_headers_stop_iteration\": true";
    let at = "\"tenant_label_name\"";
    let off = [(OF_ENVOY, "allow_on_headers_stop_iteration: false")];
    let path = copy("stops", BOOTSTRAP, &off);
    assert!(check(&[&path], &[]).2.contains("answers that have to be filtered hang"));
    let off = [(OF_FILTER, "\"allow_on_headers_stop_iteration\": false")];
    let path = copy("stops-not", BOOTSTRAP, &off);
    assert!(check(&[&path], &[]).2.contains("keeps the upstream's status"), "{at}");
    let on = [("allow_on_headers_stop_iteration: false", "allow_on_headers_stop_iteration: true")];
    let path = copy("stops-istio", "examples/istio/gateway.yaml", &on);
    assert!(check(&[&path], &[]).2.contains("set it by an EnvoyFilter"));
    let off = [(
        "      path: allow_on_headers_stop_iteration\n      value: true",
        "      path: allow_on_headers_stop_iteration\n      value: false",
    )];
    let path = copy("stops-gateway", "examples/envoy-gateway/gateway.yaml", &off);
    assert!(check(&[&path], &[]).2.contains("set it by an EnvoyPatchPolicy"));
}

#[test]
fn a_buffer_that_is_too_small_is_found() {
    const LIMIT: &str = "per_connection_buffer_limit_bytes: ";
    assert_found(
        "buffer",
        BOOTSTRAP,
        &[("per_connection_buffer_limit_bytes: 2097152", "per_connection_buffer_limit_bytes: 1048576")],
        LIMIT,
        "max_response_bytes, 1048576",
    );
    let absent = [("    per_connection_buffer_limit_bytes: 2097152\n", "")];
    let path = copy("buffer-absent", BOOTSTRAP, &absent);
    assert!(check(&[&path], &[]).2.contains("1048576 bytes are not more"));
    let more = [("max_response_bytes: 917504", "max_response_bytes: 2000000")];
    let path = copy("buffer-istio", "examples/istio/gateway.yaml", &more);
    assert!(check(&[&path], &[]).2.contains("max_response_bytes, 2000000"));
    let less = [("bufferLimit: 2Mi", "bufferLimit: 32Ki")];
    let path = copy("buffer-gateway", "examples/envoy-gateway/gateway.yaml", &less);
    assert!(check(&[&path], &[]).2.contains("32768 bytes are not more"));
}

#[test]
fn filters_that_stand_where_they_open_or_hang_are_found() {
    let before = |kind: &str| format!("{FILTERS}{}", filter(kind, ""));
    let after = |kind: &str, config: &str| format!("{}{ROUTER}", filter(kind, config));
    for kind in ["cache", "cache_v2"] {
        assert_found(
            &format!("{kind}-before"),
            BOOTSTRAP,
            &[(FILTERS, &before(kind))],
            &format!("name: envoy.filters.http.{kind}"),
            "no request and no answer is filtered",
        );
    }
    let path = copy("cache-after", BOOTSTRAP, &[(ROUTER, &after("cache", ""))]);
    assert_eq!(check(&[&path], &[]).0, 0, "after the filter, a URL holds the matchers");
    let cortex = ("\"tenant_label_name\": \"tenant_id\"", "\"upstream\": \"cortex\"");
    assert_found(
        "cache-cortex",
        BOOTSTRAP,
        &[(ROUTER, &after("cache", "")), cortex],
        "http.cache",
        "in the header only",
    );
    let believing = (r#""static_tenant_ids": ["team-a"]"#, r#""tenant_header": "THANOS-TENANT""#);
    for kind in ["jwt_authn", "ext_authz", "basic_auth", "oauth2"] {
        let after = after(kind, "");
        let at = format!("name: envoy.filters.http.{kind}");
        assert_found(kind, BOOTSTRAP, &[(ROUTER, &after), believing], &at, "nobody has verified");
        let path = copy(&format!("{kind}-static"), BOOTSTRAP, &[(ROUTER, &after)]);
        assert_eq!(check(&[&path], &[]).2, "", "the configuration names the tenant");
    }
    let phase = [("phase: STATS", "phase: AUTHN")];
    assert_found("phase", "examples/istio/gateway.yaml", &phase, "phase: AUTHN", "before Istio has verified");
    assert_found("cors", BOOTSTRAP, &[(ROUTER, &after("cors", ""))], "name: envoy.filters.http.cors", "preflight");
    assert_found(
        "decompressor",
        BOOTSTRAP,
        &[(ROUTER, &after("decompressor", ""))],
        "name: envoy.filters.http.decompressor",
        "hangs",
    );
    let quiet = after("decompressor", ", request_direction_config: { advertise_accept_encoding: false }");
    let good = format!("{FILTERS}{}{}", filter("cors", ""), filter("jwt_authn", ""));
    let path = copy("good", BOOTSTRAP, &[(ROUTER, &quiet), (FILTERS, &good)]);
    assert_eq!(check(&[&path], &[]).2, "");
}

#[test]
fn what_switches_the_filter_off_or_undoes_it_is_found() {
    const NAME: &str = "          - name: promql_tenancy\n";
    const CLUSTER: &str = "              - match: { prefix: / }\n";
    for (name, from, to, at, expected) in [
        (
            "optional",
            NAME,
            "          - name: promql_tenancy\n            is_optional: true\n",
            "- name: promql_tenancy",
            "serves without it",
        ),
        (
            "disabled",
            NAME,
            "          - name: promql_tenancy\n            disabled: true\n",
            "- name: promql_tenancy",
            "only routes that enable",
        ),
        (
            "route-off",
            CLUSTER,
            "              - match: { prefix: / }\n                typed_per_filter_config: { promql_tenancy: { \"@type\": x, disabled: true } }\n",
            "typed_per_filter_config",
            "switches the tenancy filter off",
        ),
        (
            "header",
            CLUSTER,
            "              - match: { prefix: / }\n                request_headers_to_add: [{ header: { key: Thanos-Tenant, value: x } }]\n",
            "request_headers_to_add",
            "set after the tenancy filter",
        ),
        (
            "header-removed",
            CLUSTER,
            "              - match: { prefix: / }\n                request_headers_to_remove: [thanos-tenant]\n",
            "request_headers_to_remove",
            "removed after",
        ),
    ] {
        assert_found(name, BOOTSTRAP, &[(from, to)], at, expected);
    }
    let text = std::fs::read_to_string(root().join(BOOTSTRAP)).expect("the bootstrap");
    let from = text.find(NAME).expect("the filter");
    let one = text.get(from..text.find(ROUTER).expect("the router")).expect("the filter");
    let twice = [(ROUTER, &*format!("{one}{ROUTER}"))];
    let path = copy("twice", BOOTSTRAP, &twice);
    assert!(check(&[&path], &[]).2.contains("stands twice in one chain"));
}

#[test]
fn two_plugins_of_one_name_and_different_configurations_are_found() {
    let text = std::fs::read_to_string(root().join(BOOTSTRAP)).expect("the bootstrap");
    let listener = text.get(text.find("  listeners:").expect("listeners")..text.find("  clusters:").expect("clusters"));
    let listener = listener.and_then(|text| text.split_once('\n')).expect("a listener").1;
    let message = "another plugin of this name is configured differently";
    let second = |other: &str| {
        let twice = format!("{}  clusters:", listener.replace("team-a", other));
        check(&[&copy("names", BOOTSTRAP, &[("  clusters:", &twice)])], &[]).2
    };
    assert!(!second("team-a").contains(message));
    let found = second("team-b");
    assert!(found.contains(message), "{found}");
}

#[test]
fn missing_tags_and_capabilities_are_found() {
    let tags = [("  - { tag_name: tenant, regex: '(;tenant=([^;]*))' }\n", "")];
    let path = copy("tags", BOOTSTRAP, &tags);
    assert!(check(&[&path], &[]).2.contains("stats_config.stats_tags: has no tag tenant"));
    let istio = [("    stats: { tags: istio }\n", "")];
    let path = copy("tags-istio", "examples/istio/gateway.yaml", &istio);
    assert!(check(&[&path], &[]).2.contains("use istio"));
    let gateway = [("        - { tag_name: handler, regex: '(;handler=([^;]*);)' }\n", "")];
    let path = copy("tags-gateway", "examples/envoy-gateway/gateway.yaml", &gateway);
    assert!(check(&[&path], &[]).2.contains("has no tag handler"));

    let list = std::fs::read_to_string(root().join("envoy/capabilities.yaml")).expect("the list");
    let indented = |list: &str| {
        let lines = list.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
        lines.map(|line| format!("                {line}\n")).collect::<String>()
    };
    const AT: &str = "                vm_config:\n";
    let path = copy("capable", BOOTSTRAP, &[(AT, &format!("{}{AT}", indented(&list)))]);
    assert_eq!(check(&[&path], &[]).2, "");
    let less = indented(&list.replace("    proxy_on_request_headers: {}\n", ""));
    assert_found(
        "incapable",
        BOOTSTRAP,
        &[(AT, &format!("{less}{AT}"))],
        "allowed_capabilities",
        "does not allow proxy_on_request_headers",
    );
}

#[test]
fn other_forms_of_the_configuration_are_read_or_refused_in_plain_words() {
    let text = std::fs::read_to_string(root().join(BOOTSTRAP)).expect("the bootstrap");
    let from = text
        .find("                  \"@type\": type.googleapis.com/google.protobuf.StringValue")
        .expect("the configuration");
    let until = text.find(ROUTER).expect("the router");
    let value = text.get(from..until).expect("the configuration");
    let instead = |any: &str| format!("                  {any}\n");
    let typed = instead(
        "{ \"@type\": type.googleapis.com/xds.type.v3.TypedStruct, value: { allow_on_headers_stop_iteration: true } }",
    );
    let path = copy("typed", BOOTSTRAP, &[(value, &typed)]);
    assert_eq!(check(&[&path], &[]).2, "");
    // {"allow_on_headers_stop_iteration": true, "on_conflict": 1}
    let bytes = instead(
        "{ \"@type\": type.googleapis.com/google.protobuf.BytesValue, value: eyJhbGxvd19vbl9oZWFkZXJzX3N0b3BfaXRlcmF0aW9uIjogdHJ1ZSwgIm9uX2NvbmZsaWN0IjogMX0= }",
    );
    let path = copy("bytes", BOOTSTRAP, &[(value, &bytes)]);
    assert!(check(&[&path], &[]).2.contains("on_conflict: expected a string"));
    let other = instead("{ \"@type\": type.googleapis.com/google.protobuf.Struct, value: { tenant_header: x } }");
    assert_found("struct", BOOTSTRAP, &[(value, &other)], "protobuf.Struct", "use a google.protobuf.StringValue");
    // A mistake in the JSON has the line in the file.
    let key = [("\"tenant_label_name\"", "\"tenant_labl_name\"")];
    assert_found("json", BOOTSTRAP, &key, "tenant_labl_name", "did you mean tenant_label_name?");
    assert_found(
        "json-discovered",
        "envoy/promql_tenancy.yaml",
        &key,
        "tenant_labl_name",
        "did you mean tenant_label_name?",
    );
    let key = [("tenant_label_name:", "tenant_labl_name:")];
    assert_found(
        "tree",
        "examples/istio/gateway.yaml",
        &key,
        "tenant_labl_name",
        "spec.pluginConfig.tenant_labl_name: unknown key",
    );
    assert_found(
        "configmap",
        "examples/kubernetes/envoy.yaml",
        &[("\"tenant_label_name\"", "\"tenant_labl_name\"")],
        "tenant_labl_name",
        "did you mean",
    );
}

#[test]
fn a_bootstrap_is_checked_with_what_it_discovers() {
    // Beside it.
    let bootstrap = copy(
        "beside",
        "envoy/envoy.yaml",
        &[("per_connection_buffer_limit_bytes: 2097152", "per_connection_buffer_limit_bytes: 3000")],
    );
    let text = std::fs::read_to_string(root().join("envoy/promql_tenancy.yaml")).expect("the filter");
    std::fs::write(bootstrap.with_file_name("promql_tenancy.yaml"), &text).expect("a copy");
    assert!(check(&[&bootstrap], &[]).2.contains("3000 bytes are not more"));
    // Named.
    let other = bootstrap.with_file_name("filter.yaml");
    std::fs::write(&other, text.replace("FAIL_RELOAD", "FAIL_OPEN")).expect("a copy");
    let (_, _, err) = check(&[&other, &bootstrap], &[]);
    assert!(err.contains("filter.yaml:") && err.contains("is served without it"), "{err}");
}

#[test]
fn programs_read_json() {
    let path = copy("json-out", BOOTSTRAP, &[("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN")]);
    let (status, out, err) = check(&[&path], &["--json"]);
    assert_eq!((status, err.as_str()), (1, ""));
    let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let mistake = &report["mistakes"][0];
    assert_eq!(mistake["file"], path.display().to_string());
    assert!(mistake["line"].is_u64() && mistake["advice"] == "use FAIL_RELOAD", "{mistake}");
    assert_eq!(report["plugins"][0]["settings"]["tenant_label_name"]["value"], "tenant_id");
}
