//! The filter's configuration as Envoy, Istio or Envoy Gateway hold it: what surrounds the plugin's JSON, and the JSON itself.

use super::document::{Node, Value, join};
use super::mistake::Found;
use promql_tenancy_filter::config::Config;

/// The plugin's part of a file.
pub struct Plugin {
    /// Where its JSON stands.
    pub place: String,
    pub line: usize,
    /// None where it is wrong.
    pub config: Option<Config>,
    /// Envoy's `allow_on_headers_stop_iteration`.
    pub stops: bool,
}

/// Names of the filter in a file's name, an image's, or the plugin's own.
const NAMES: [&str; 3] = ["promql_tenancy", "promql-tenancy", "promqltenancy"];

pub fn names_it(text: &str) -> bool {
    NAMES.iter().any(|name| text.contains(name))
}

const CAPABILITIES: &str = include_str!("../../../../envoy/capabilities.yaml");

const PLUGIN: &[&str] = &[
    "name",
    "root_id",
    "vm_config",
    "configuration",
    "fail_open",
    "failure_policy",
    "reload_config",
    "capability_restriction_config",
    "allow_on_headers_stop_iteration",
];
const VM: &[&str] = &[
    "vm_id",
    "runtime",
    "code",
    "configuration",
    "allow_precompiled",
    "nack_on_code_cache_miss",
    "environment_variables",
];
const CODE: &[&str] = &["local", "remote"];
const LOCAL: &[&str] = &["filename", "inline_bytes", "inline_string", "environment_variable", "watched_directory"];

/// Whether a wasm filter's `config` is this filter's.
pub fn is_ours(config: &Node) -> bool {
    let file = config.below(&["vm_config", "code", "local", "filename"]).and_then(Node::text).unwrap_or_default();
    let uri =
        config.below(&["vm_config", "code", "remote", "http_uri", "uri"]).and_then(Node::text).unwrap_or_default();
    [config.word("name"), config.word("root_id"), file, uri].into_iter().any(names_it)
}

/// Whether a filter is a dynamic module, which is the native way to have this filter.
pub fn is_native(typed: &Node) -> bool {
    typed.word("@type").ends_with("dynamic_modules.v3.DynamicModuleFilter")
}

/// Whether a dynamic module is this filter.
pub fn is_our_module(typed: &Node) -> bool {
    let of = |path: &[&str]| typed.below(path).and_then(Node::text).unwrap_or_default();
    let file = of(&["dynamic_module_config", "module", "local", "filename"]);
    [of(&["filter_name"]), of(&["dynamic_module_config", "name"]), file].into_iter().any(names_it)
}

/// Checks Envoy's filter for dynamic modules.
pub fn native(typed: &Node, place: &str, found: &mut Found<'_>) -> Plugin {
    found.check_keys(typed, place, &["dynamic_module_config", "filter_name", "filter_config", "terminal_filter"]);
    let place = join(place, "filter_config");
    let (config, line, place) = match typed.get("filter_config") {
        None => (Config::parse(b"").ok(), typed.line, place),
        Some(any) => any_value(any, &place, found),
    };
    Plugin { place, line, config: config.map(Config::in_a_dynamic_module), stops: true }
}

/// Checks the `config` of Envoy's wasm filter.
pub fn wasm(config: &Node, place: &str, found: &mut Found<'_>) -> Plugin {
    found.check_keys(config, place, PLUGIN);
    if let Some(vm) = config.get("vm_config") {
        let place = join(place, "vm_config");
        found.check_keys(vm, &place, VM);
        if let Some(code) = vm.get("code") {
            let place = join(&place, "code");
            found.check_keys(code, &place, CODE);
            code.get("local").into_iter().for_each(|local| found.check_keys(local, &join(&place, "local"), LOCAL));
        }
    }
    let fails_open = config.word("failure_policy") == "FAIL_OPEN" || config.get("fail_open").is_some_and(Node::is_true);
    if fails_open {
        let node = config.get("failure_policy").or(config.get("fail_open")).unwrap_or(config);
        found.add(node.line, join(place, "failure_policy"), FAILS_OPEN, "use FAIL_RELOAD");
    }
    if let Some(restriction) = config.get("capability_restriction_config") {
        capabilities(restriction, place, found);
    }
    let stops = config.get("allow_on_headers_stop_iteration");
    let place = join(place, "configuration");
    let (config, line, place) = match config.get("configuration") {
        None => (Config::parse(b"").ok(), config.line, place),
        Some(any) => any_value(any, &place, found),
    };
    let stops = stops.is_some_and(|stops| stops.is_true() || stops.get("value").is_some_and(Node::is_true));
    let plugin = Plugin { place, line, config, stops };
    check_stops(&plugin, "allow_on_headers_stop_iteration beside vm_config", found);
    plugin
}

/// What a filter that fails open does.
pub const FAILS_OPEN: &str = "where the filter fails, every request is served without it";

/// `where_set` says which setting of Envoy's is meant.
pub fn check_stops(plugin: &Plugin, where_set: &str, found: &mut Found<'_>) {
    let Some(config) = &plugin.config else { return };
    let place = || join(&plugin.place, "allow_on_headers_stop_iteration");
    match (config.can_hold_heads(), plugin.stops) {
        (true, false) => found.add(
            plugin.line,
            place(),
            "is true, and Envoy's option of that name is not: answers that have to be filtered hang",
            format!("set {where_set} too, or neither"),
        ),
        (false, true) => found.add(
            plugin.line,
            place(),
            "is false, and Envoy's option of that name is true: an answer that can't be filtered keeps the upstream's status",
            "set both to true",
        ),
        (true, true) | (false, false) => {}
    }
}

fn capabilities(restriction: &Node, place: &str, found: &mut Found<'_>) {
    let allowed = restriction.get("allowed_capabilities");
    let needed = Node::read(CAPABILITIES, 1).unwrap_or_default();
    let needed =
        needed.first().and_then(|needed| needed.below(&["capability_restriction_config", "allowed_capabilities"]));
    let missing: Vec<&str> = needed
        .map_or(&[][..], Node::members)
        .iter()
        .map(|member| member.key.as_str())
        .filter(|name| allowed.is_none_or(|allowed| allowed.members().iter().all(|member| member.key != *name)))
        .collect();
    // Nothing is restricted where nothing is listed.
    if allowed.is_some_and(|allowed| !allowed.members().is_empty()) && !missing.is_empty() {
        let wrong = format!(
            "does not allow {}: Envoy does without, and forwards unfiltered what a missing callback would see",
            missing.join(", ")
        );
        let place = join(place, "capability_restriction_config.allowed_capabilities");
        found.add(restriction.line, place, wrong, "allow the names of envoy/capabilities.yaml");
    }
}

type Configuration = (Option<Config>, usize, String);

/// The plugin's JSON in a `google.protobuf.Any`.
fn any_value(any: &Node, place: &str, found: &mut Found<'_>) -> Configuration {
    let value = any.get("value");
    let place = join(place, "value");
    match (any.word("@type").rsplit(['/', '.']).next().unwrap_or_default(), value) {
        ("StringValue", Some(Node { value: Value::Text(text), line })) => text_config(text, *line, &place, found),
        ("BytesValue", Some(Node { value: Value::Text(text), line })) => match base64(text) {
            Some(bytes) => text_config(&String::from_utf8_lossy(&bytes), *line, &place, found),
            None => {
                found.add(*line, &place, "is not base64", "write the JSON itself, as a StringValue");
                (None, *line, place)
            }
        },
        ("TypedStruct", Some(value)) => tree_config(value, &place, found),
        ("Struct", _) => {
            let wrong =
                "a Struct reaches the filter in protobuf's binary form, which is not JSON, so that it is refused";
            found.add(any.line, &place, wrong, "use a google.protobuf.StringValue that holds the JSON");
            (None, any.line, place)
        }
        ("", _) => {
            found.add(any.line, &place, "has no \"@type\"", "use type.googleapis.com/google.protobuf.StringValue");
            (None, any.line, place)
        }
        (_, Some(_)) => {
            let wrong = "is neither a StringValue nor a BytesValue or TypedStruct";
            found.add(any.line, &place, wrong, "use type.googleapis.com/google.protobuf.StringValue");
            (None, any.line, place)
        }
        (_, None) => {
            found.add(any.line, &place, "is missing", "write the filter's JSON there");
            (None, any.line, place)
        }
    }
}

/// A configuration that is written as JSON in a text.
pub fn text_config(json: &str, line: usize, place: &str, found: &mut Found<'_>) -> Configuration {
    let tree = Node::read(json, line).ok().and_then(|mut documents| documents.pop());
    (config(json.as_bytes(), tree.as_ref(), line, place, found), line, place.to_owned())
}

/// A configuration that is a part of the file's own tree.
pub fn tree_config(tree: &Node, place: &str, found: &mut Found<'_>) -> Configuration {
    let json = tree.json().to_string();
    (config(json.as_bytes(), Some(tree), tree.line, place, found), tree.line, place.to_owned())
}

fn config(json: &[u8], tree: Option<&Node>, line: usize, place: &str, found: &mut Found<'_>) -> Option<Config> {
    let parsed = Config::parse(json);
    let mistakes = match &parsed {
        Ok(config) => config.without_effect(),
        Err(error) => super::super::mistakes::all(json, error.clone()),
    };
    for mistake in mistakes {
        let line = tree.map_or(line, |tree| tree.line_of(&mistake.path));
        let place = if mistake.path.is_empty() { place.to_owned() } else { join(place, &mistake.path) };
        found.add(line, place, super::super::mistakes::wrong(&mistake), "");
    }
    parsed.ok()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}
