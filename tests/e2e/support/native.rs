//! The tests run against the wasm module, or against the native one: `TENANCY_MODULE=native`. The configurations that are shipped, and
//! those of the tests, hold the wasm module. Here they are turned into what docs/native.md tells an operator to write.

use super::process;
use std::path::{Path, PathBuf};

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const NATIVE: &str = "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";

/// Names of stats without a prefix, as the wasm module's have none.
const RUNTIME: &str = "layered_runtime:
  layers:
  - name: static
    static_layer: { envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix: true }
";

/// What a token's claims are read by.
const CLAIMS: &str = r#"          - name: envoy.filters.http.set_filter_state
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config
              on_request_headers:
              - object_key: promql_tenancy.metadata.envoy.filters.http.jwt_authn
                factory_key: envoy.string
                skip_if_empty: true
                format_string:
                  omit_empty_values: true
                  text_format_source: { inline_string: "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn)%" }
"#;

/// The module that is tested.
pub fn module() -> PathBuf {
    match std::env::var("TENANCY_MODULE").as_deref() {
        Ok("native") => process::program("TENANCY_NATIVE"),
        Ok("wasm") | Err(_) => process::program("TENANCY_WASM"),
        Ok(other) => panic!("TENANCY_MODULE is {other:?}: use wasm or native"),
    }
}

pub fn is_native(module: &Path) -> bool {
    module.extension().is_some_and(|extension| extension == "so")
}

/// Whether an answer's head is held back. The native module needs no option of Envoy's for that.
pub fn holds_heads(is_allowed: bool) -> bool {
    is_allowed || is_native(&module())
}

/// A configuration with this module in the shipped one's place.
pub fn with_module(text: &str, module: &Path) -> String {
    let path = module.to_str().unwrap();
    if !is_native(module) {
        return text.replace("dist/promql_tenancy_filter.wasm", path);
    }
    if text.contains(NATIVE) {
        return text.replace("dist/libpromql_tenancy_filter.so", path);
    }
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if !line.trim_start().starts_with("\"@type\"") || !line.ends_with(WASM) {
            if line == "          - name: promql_tenancy" && text.contains("payload_in_metadata") {
                out += CLAIMS;
            }
            out += &format!("{line}\n");
            continue;
        }
        let pad = " ".repeat(indent);
        out += &format!("{}\n", line.replace(WASM, NATIVE));
        // Options of the VM, which the native module has none of.
        const OF_WASM: [&str; 4] = ["failure_policy:", "reload_config:", "allow_on_headers_stop_iteration:", "config:"];
        let (mut path, at) = (path.to_owned(), out.len());
        let (mut is_configuration, mut is_named) = (false, false);
        while let Some(line) = lines.next_if(|line| {
            line.trim().is_empty()
                || line.len() - line.trim_start().len() > indent
                || line.starts_with(&format!("{pad}config:"))
        }) {
            let text = line.trim_start();
            let is_key = line.len() - text.len() == indent + 2 && !text.starts_with('#');
            if let Some((_, other)) =
                text.split_once("filename: ").filter(|_| !text.contains("dist/promql_tenancy_filter.wasm"))
            {
                path = other.split(' ').next().unwrap_or_default().to_owned();
            }
            if let (false, Some(name)) = (is_named, text.strip_prefix("name: ")) {
                out += &format!("{pad}filter_name: {name}\n");
                is_named = true;
            } else if text.starts_with("configuration:") {
                is_configuration = true;
                out += &format!("{pad}{}\n", text.replacen("configuration:", "filter_config:", 1));
            } else if is_configuration
                || is_key && !text.starts_with("vm_config:") && !OF_WASM.iter().any(|key| text.starts_with(key))
            {
                out += &format!("{}\n", line.get(2..).unwrap_or_default());
            }
        }
        out.insert_str(
            at,
            &format!(
                "{pad}dynamic_module_config: {{ module: {{ local: {{ filename: {path} }} }}, do_not_close: true }}\n"
            ),
        );
    }
    let out = out.replace(WASM, NATIVE).replace("wasmcustom.", "dynamicmodulescustom.");
    // A bootstrap, and not a file that it discovers.
    if out.contains("\nstatic_resources:\n") { format!("{RUNTIME}{out}") } else { out }
}

#[test]
fn a_shipped_configuration_becomes_one_of_the_native_module() {
    let shipped = include_str!("../../../envoy/promql_tenancy.yaml");
    let native = with_module(shipped, Path::new("/x/libpromql_tenancy_filter.so"));
    let (_, native) = native.split_once("  typed_config:\n").unwrap();
    let expected = format!(
        r#"    "@type": {NATIVE}
    dynamic_module_config: {{ module: {{ local: {{ filename: /x/libpromql_tenancy_filter.so }} }}, do_not_close: true }}
    filter_name: promql_tenancy
    filter_config:
      "@type": type.googleapis.com/google.protobuf.StringValue
      value: |
        {{
          "tenant_header": "THANOS-TENANT",
          "default_tenant_id": "",
          "tenant_label_name": "tenant_id",
          "allow_on_headers_stop_iteration": true
        }}
"#
    );
    assert_eq!(native, expected);
}
