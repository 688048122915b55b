//! Istio's and Envoy Gateway's resources, and files of Envoy's in a ConfigMap.

use super::document::{Node, join};
use super::envoy::{BUFFER_LIMIT, buffer, check_tags, claims};
use super::mistake::Found;
use super::plugin::{FAILS_OPEN, Plugin, check_stops, is_native, is_our_module, names_it, native, tree_config};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::stats::Naming;

const WASM_PLUGIN: &[&str] = &[
    "selector",
    "target_ref",
    "target_refs",
    "url",
    "sha256",
    "image_pull_policy",
    "image_pull_secret",
    "verification_key",
    "plugin_config",
    "plugin_name",
    "phase",
    "fail_strategy",
    "priority",
    "vm_config",
    "match",
    "type",
];
const EXTENSION: &[&str] = &["name", "root_id", "code", "config", "fail_open", "env"];

/// What other documents say, which the resource itself can't.
pub struct Around<'d> {
    pub documents: &'d [&'d Node],
}

impl Around<'_> {
    fn of_kind<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Node> {
        self.documents.iter().copied().filter(move |document| document.word("kind") == kind)
    }

    /// The value that a patch of this kind gives to a field, wherever in the patch it stands.
    fn patched(&self, kind: &str, field: &str) -> Option<&Node> {
        let mut value = None;
        for document in self.documents.iter().filter(|document| document.word("kind") == kind) {
            document.walk("", &mut |_, node| {
                let by_operation = if node.word("path").ends_with(field) { node.get("value") } else { None };
                value = node.get(field).or(by_operation).or(value);
            });
        }
        value
    }
}

/// Istio's `WasmPlugin`.
pub fn istio(document: &Node, around: &Around<'_>, found: &mut Found<'_>) -> Option<Plugin> {
    let spec = document.get("spec")?;
    if ![spec.word("url"), spec.word("plugin_name"), document.get("metadata")?.word("name")].into_iter().any(names_it) {
        return None;
    }
    found.check_keys(spec, "spec", WASM_PLUGIN);
    if spec.word("fail_strategy") == "FAIL_OPEN" {
        let line = spec.get("fail_strategy").map_or(spec.line, |strategy| strategy.line);
        found.add(line, "spec.failStrategy", FAILS_OPEN, "use FAIL_RELOAD, from Istio 1.27");
    }
    if let Some(line) = spec.get("phase").filter(|phase| phase.text() == Some("AUTHN")).map(|phase| phase.line) {
        let wrong = "places the filter before Istio has verified tokens and identities";
        found.add(line, "spec.phase", wrong, "use STATS, which stands behind authentication and authorization");
    }
    let place = "spec.pluginConfig";
    let (config, line, place) = match spec.get("plugin_config") {
        Some(tree) => tree_config(tree, place, found),
        None => (Config::parse(b"").ok(), spec.line, place.to_owned()),
    };
    let stops = around.patched("EnvoyFilter", "allow_on_headers_stop_iteration").is_some_and(Node::is_true);
    let plugin = Plugin { place, line, config, stops };
    check_stops(&plugin, "it by an EnvoyFilter (and check both files together)", found);
    if let Some(config) = &plugin.config {
        let patched = around.patched("EnvoyFilter", "per_connection_buffer_limit_bytes").and_then(Node::number);
        let place = join(&plugin.place, "max_response_bytes");
        buffer(config, patched.unwrap_or(BUFFER_LIMIT), plugin.line, &place, found);
        if config.stats().tags != Naming::Istio {
            let wrong = "Istio's proxies take no tags out of names that are written for Envoy";
            found.add(
                plugin.line,
                join(&plugin.place, "stats.tags"),
                wrong,
                "use istio, and extraStatTags: docs/istio.md",
            );
        }
    }
    Some(plugin)
}

/// The native module, as Istio's `EnvoyFilter` inserts it.
pub fn istio_native(document: &Node, around: &Around<'_>, found: &mut Found<'_>) -> Vec<Plugin> {
    let patches = document.below(&["spec", "config_patches"]).map_or(&[][..], Node::items);
    let mut plugins = Vec::new();
    for (index, entry) in patches.iter().enumerate() {
        let Some(filter) = entry.below(&["patch", "value"]) else { continue };
        let Some(typed) = filter.get("typed_config").filter(|typed| is_native(typed)) else { continue };
        if !names_it(filter.word("name")) && !is_our_module(typed) {
            continue;
        }
        let place = format!("spec.configPatches[{index}].patch");
        let operation = entry.below(&["patch", "operation"]);
        if let Some(first) = operation.filter(|operation| operation.text() == Some("INSERT_FIRST")) {
            let wrong = "places the filter before Istio has verified tokens and identities";
            let advice = "use INSERT_BEFORE, and envoy.filters.http.router as subFilter of the match";
            found.add(first.line, join(&place, "operation"), wrong, advice);
        }
        let place = join(&place, "value");
        found.check_keys(filter, &place, &["name", "typed_config"]);
        let plugin = native(typed, &join(&place, "typed_config"), found);
        if let Some(config) = &plugin.config {
            let patched = around.patched("EnvoyFilter", "per_connection_buffer_limit_bytes").and_then(Node::number);
            buffer(
                config,
                patched.unwrap_or(BUFFER_LIMIT),
                plugin.line,
                &join(&plugin.place, "max_response_bytes"),
                found,
            );
            claims(patches.get(..index).unwrap_or_default(), (filter.line, &place), config, found);
        }
        plugins.push(plugin);
    }
    plugins
}

/// Envoy Gateway's `EnvoyExtensionPolicy`.
pub fn gateway(document: &Node, around: &Around<'_>, found: &mut Found<'_>) -> Vec<Plugin> {
    let wasm = document.below(&["spec", "wasm"]).map_or(&[][..], Node::items);
    let mut plugins = Vec::new();
    for (index, entry) in wasm.iter().enumerate() {
        let place = format!("spec.wasm[{index}]");
        let image = entry.below(&["code", "image", "url"]).and_then(Node::text).unwrap_or_default();
        let url = entry.below(&["code", "http", "url"]).and_then(Node::text).unwrap_or_default();
        if ![entry.word("name"), image, url].into_iter().any(names_it) {
            continue;
        }
        found.check_keys(entry, &place, EXTENSION);
        if let Some(open) = entry.get("fail_open").filter(|open| open.is_true()) {
            found.add(open.line, join(&place, "failOpen"), FAILS_OPEN, "leave it out");
        }
        let place = join(&place, "config");
        let (config, line, place) = match entry.get("config") {
            Some(tree) => tree_config(tree, &place, found),
            None => (Config::parse(b"").ok(), entry.line, place),
        };
        let stops = around.patched("EnvoyPatchPolicy", "allow_on_headers_stop_iteration").is_some_and(Node::is_true);
        let plugin = Plugin { place, line, config, stops };
        check_stops(&plugin, "it by an EnvoyPatchPolicy (and check both files together)", found);
        if let Some(config) = &plugin.config {
            buffer_of_gateway(config, plugin.line, around, found);
            let proxy = around.of_kind("EnvoyProxy").find_map(|proxy| proxy.below(&["spec", "bootstrap", "value"]));
            if let Some((proxy, text)) = proxy.and_then(|proxy| proxy.text().map(|text| (proxy, text)))
                && let Ok(documents) = Node::read(text, proxy.line)
                && let Some(bootstrap) = documents.first()
            {
                check_tags(bootstrap, proxy.line, found);
            }
        }
        plugins.push(plugin);
    }
    plugins
}

/// The native module in the same resource.
pub fn gateway_native(document: &Node, around: &Around<'_>, found: &mut Found<'_>) -> Vec<Plugin> {
    let modules = document.below(&["spec", "dynamic_module"]).map_or(&[][..], Node::items);
    let mut plugins = Vec::new();
    for (index, entry) in modules.iter().enumerate() {
        if !names_it(entry.word("name")) && !names_it(entry.word("filter_name")) {
            continue;
        }
        let place = format!("spec.dynamicModule[{index}]");
        found.check_keys(entry, &place, &["name", "filter_name", "config", "terminal_filter"]);
        let place = join(&place, "config");
        let (config, line, place) = match entry.get("config") {
            Some(tree) => tree_config(tree, &place, found),
            None => (Config::parse(b"").ok(), entry.line, place),
        };
        let config = config.map(Config::in_a_dynamic_module);
        if let Some(config) = &config {
            buffer_of_gateway(config, line, around, found);
        }
        plugins.push(Plugin { place, line, config, stops: true });
    }
    plugins
}

/// By default the gateway holds back 32 KiB.
fn buffer_of_gateway(config: &Config, line: usize, around: &Around<'_>, found: &mut Found<'_>) {
    let policy =
        around.of_kind("ClientTrafficPolicy").find_map(|policy| policy.below(&["spec", "connection", "buffer_limit"]));
    let limit = policy.map_or(Some(32 << 10), quantity).unwrap_or(0);
    buffer(config, limit, line, "ClientTrafficPolicy.spec.connection.bufferLimit", found);
}

/// A Kubernetes quantity of bytes: `2Mi`.
fn quantity(node: &Node) -> Option<u64> {
    let Some(text) = node.text() else { return node.number() };
    let digits = text.trim_end_matches(|char: char| !char.is_ascii_digit());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// The texts of a ConfigMap that may be files of Envoy's, with the lines on which they begin.
pub fn files(document: &Node) -> Vec<(&str, usize)> {
    let data = document.get("data").filter(|_| document.word("kind") == "ConfigMap");
    let members = data.map_or(&[][..], Node::members).iter();
    members
        .filter_map(|member| Some((member.value.text()?, member.value.line)))
        .filter(|(text, _)| text.contains('\n'))
        .collect()
}
