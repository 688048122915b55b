//! A bootstrap of Envoy's, or a file that it discovers: the filter, what surrounds it in its chain, and what it needs of Envoy.

use super::document::{Node, join};
use super::mistake::Found;
use super::plugin::{Plugin, is_native, is_our_module, is_ours, names_it, native, wasm};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::stats::Naming;
use promql_tenancy_filter::tenant::Source;

/// What a listener holds back where nothing is set.
pub const BUFFER_LIMIT: u64 = 1 << 20;

/// The tags that the filter's stats have.
const TAGS: [&str; 6] = ["tenant", "handler", "code", "reason", "decision", "result"];

/// A plugin that another file or document holds, by the name under which it is discovered.
pub struct Discovered {
    pub name: String,
    pub config: Option<Config>,
    pub stops: bool,
}

const FILTER: &[&str] = &["name", "typed_config", "config_discovery", "is_optional", "disabled"];
const DISCOVERY: &[&str] = &["config_source", "default_config", "apply_default_config_without_warming", "type_urls"];

/// Whether a filter of the chain asks the upstream, holds answers, or says who the client is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cache,
    Authentication,
    Cors,
    Decompressor,
    Other,
}

fn kind(filter: &Node) -> Kind {
    let url = filter.get("typed_config").map_or("", |config| config.word("@type"));
    let of_type = url.split_once("filters.http.").and_then(|(_, rest)| rest.split('.').next());
    match of_type.unwrap_or(filter.word("name").trim_start_matches("envoy.filters.http.")) {
        "cache" | "cache_v2" => Kind::Cache,
        "jwt_authn" | "ext_authz" | "basic_auth" | "oauth2" | "api_key_auth" => Kind::Authentication,
        "cors" => Kind::Cors,
        "decompressor" => Kind::Decompressor,
        _ => Kind::Other,
    }
}

/// Each wasm filter that a document holds in a discovery response or by itself (a `TypedExtensionConfig`).
pub fn resources(document: &Node, found: &mut Found<'_>) -> Vec<(String, Plugin)> {
    let mut plugins = Vec::new();
    for (index, resource) in document.get("resources").map_or(&[][..], Node::items).iter().enumerate() {
        let place = format!("resources[{index}]");
        let Some(typed) = resource.get("typed_config") else { continue };
        if is_native(typed) && (names_it(resource.word("name")) || is_our_module(typed)) {
            found.check_keys(resource, &place, &["name", "typed_config"]);
            let plugin = native(typed, &join(&place, "typed_config"), found);
            plugins.push((resource.word("name").to_owned(), plugin));
        }
        let Some(config) = typed.get("config").filter(|_| typed.word("@type").ends_with("wasm.v3.Wasm")) else {
            continue;
        };
        if names_it(resource.word("name")) || is_ours(config) {
            found.check_keys(resource, &place, &["name", "typed_config"]);
            found.check_keys(typed, &join(&place, "typed_config"), &["config"]);
            let plugin = wasm(config, &join(&place, "typed_config.config"), found);
            plugins.push((resource.word("name").to_owned(), plugin));
        }
    }
    plugins
}

/// Each file that a document has Envoy discover.
pub fn discovered_paths(document: &Node) -> Vec<String> {
    let mut paths = Vec::new();
    document.walk("", &mut |_, node| {
        let source = node.below(&["config_discovery", "config_source"]);
        let path = source.and_then(|source| source.below(&["path_config_source", "path"]).or(source.get("path")));
        paths.extend(path.and_then(Node::text).filter(|_| names_it(node.word("name"))).map(str::to_owned));
    });
    paths
}

/// Checks each chain in which the filter stands, and what is around it. Says how many there are, and returns the plugins in them.
pub fn chains(document: &Node, discovered: &[Discovered], found: &mut Found<'_>) -> (usize, Vec<Plugin>) {
    let mut plugins = Vec::new();
    let mut count = 0;
    let mut tags = Naming::Istio;
    // A listener's own limit holds for the connection managers in it.
    let mut listeners: Vec<(String, u64, usize)> = Vec::new();
    let mut managers: Vec<(String, &Node)> = Vec::new();
    let mut named: Vec<(&str, String)> = Vec::new();
    document.walk("", &mut |path, node| {
        if node.get("filter_chains").is_some() || node.get("default_filter_chain").is_some() {
            let limit = node.get("per_connection_buffer_limit_bytes");
            let line = limit.map_or(node.line, |limit| limit.line);
            listeners.push((path.to_owned(), limit.and_then(Node::number).unwrap_or(BUFFER_LIMIT), line));
        }
        if node.get("http_filters").is_some() {
            managers.push((path.to_owned(), node));
        }
    });
    for (path, manager) in managers {
        let listener = listeners
            .iter()
            .filter(|(listener, ..)| path.starts_with(listener.as_str()))
            .max_by_key(|(listener, ..)| listener.len());
        let filters = manager.get("http_filters").map_or(&[][..], Node::items);
        let ours: Vec<usize> =
            filters.iter().enumerate().filter(|(_, filter)| stands_for_ours(filter)).map(|(at, _)| at).collect();
        let Some((&first, others)) = ours.split_first() else { continue };
        count += 1;
        let Some(filter) = filters.get(first) else { continue };
        let place = join(&path, &format!("http_filters[{first}]"));
        for second in others.iter().filter_map(|at| filters.get(*at)) {
            let wrong = "the filter stands twice in one chain: the second takes the first one's header for a client's, and their stats add up";
            found.add(second.line, &place, wrong, "keep one");
        }
        found.check_keys(filter, &place, FILTER);
        if filter.get("is_optional").is_some_and(Node::is_true) {
            found.add(
                filter.line,
                join(&place, "is_optional"),
                "an Envoy that can't load the filter serves without it",
                "leave it out",
            );
        }
        if filter.get("disabled").is_some_and(Node::is_true) {
            found.add(
                filter.line,
                join(&place, "disabled"),
                "only routes that enable the filter are isolated",
                "leave it out",
            );
        }
        let is_module = filter.get("typed_config").is_some_and(is_native);
        let here = filter.get("typed_config").and_then(|typed| {
            if is_module {
                return Some(native(typed, &join(&place, "typed_config"), found));
            }
            found.check_keys(typed, &join(&place, "typed_config"), &["config"]);
            typed.get("config").map(|config| {
                check_name(config, &join(&place, "typed_config.config.name"), &mut named, found);
                wasm(config, &join(&place, "typed_config.config"), found)
            })
        });
        if let Some(discovery) = filter.get("config_discovery") {
            found.check_keys(discovery, &join(&place, "config_discovery"), DISCOVERY);
        }
        let elsewhere = discovered.iter().find(|plugin| plugin.name == filter.word("name"));
        let config =
            here.as_ref().map_or(elsewhere.and_then(|plugin| plugin.config.as_ref()), |plugin| plugin.config.as_ref());
        let stops = here.as_ref().map_or(elsewhere.is_some_and(|plugin| plugin.stops), |plugin| plugin.stops);
        order(filters, first, &path, config, stops, found);
        routes(manager, &path, filter.word("name"), config, found);
        if let Some(config) = config {
            let (line, limit) = listener.map_or((manager.line, BUFFER_LIMIT), |(_, limit, line)| (*line, *limit));
            let limit = limit.max(virtual_hosts(manager));
            let place_of_ours = place;
            let place = listener.map_or(path.as_str(), |(path, ..)| path.as_str());
            buffer(config, limit, line, &join(place, "per_connection_buffer_limit_bytes"), found);
            if is_module {
                claims(filters.get(..first).unwrap_or_default(), (filter.line, &place_of_ours), config, found);
            } else if config.stats().tags == Naming::Envoy {
                tags = Naming::Envoy;
            }
        }
        plugins.extend(here);
    }
    if count > 0
        && tags == Naming::Envoy
        && document.get("static_resources").or(document.get("dynamic_resources")).is_some()
    {
        check_tags(document, document.line, found);
    }
    (count, plugins)
}

/// What a dynamic module can't read of dynamic metadata has to be in the filter state, which one of these filters sets.
pub fn claims(before: &[Node], (line, place): (usize, &str), config: &Config, found: &mut Found<'_>) {
    for path in config.metadata_paths().into_iter().filter(|path| path.len() > 2) {
        let Some(namespace) = path.first() else { continue };
        let name = ["promql_tenancy.metadata.", namespace].concat();
        let mut is_set = false;
        for filter in before {
            filter.walk("", &mut |_, node| is_set |= node.word("object_key") == name);
        }
        if !is_set {
            let wrong = format!("reads {}, which no dynamic module can: every request is refused", path.join("."));
            let advice = format!("set the filter state {name} before it, as docs/native.md shows");
            found.add(line, place, wrong, advice);
        }
    }
}

/// Plugins are told apart by their names. `named`: those that were seen, with what each is configured to be.
fn check_name<'a>(config: &'a Node, place: &str, named: &mut Vec<(&'a str, String)>, found: &mut Found<'_>) {
    let name = config.word("name");
    let configured = config.get("configuration").map(|any| any.json().to_string()).unwrap_or_default();
    match named.iter().find(|(other, _)| *other == name) {
        Some((_, other)) if *other != configured => found.add(
            config.line,
            place,
            "another plugin of this name is configured differently: each worker takes the one for a reload of the other, and counts it",
            "give each its own name",
        ),
        Some(_) => {}
        None => named.push((name, configured)),
    }
}

fn stands_for_ours(filter: &Node) -> bool {
    let typed = filter.get("typed_config");
    if typed.is_some_and(is_native) {
        return names_it(filter.word("name")) || typed.is_some_and(is_our_module);
    }
    match typed.filter(|typed| typed.word("@type").ends_with("wasm.v3.Wasm")).and_then(|typed| typed.get("config")) {
        Some(config) => names_it(filter.word("name")) || is_ours(config),
        None => filter.get("config_discovery").is_some() && names_it(filter.word("name")),
    }
}

/// Filters that must not stand before this one, or after it.
fn order(filters: &[Node], ours: usize, path: &str, config: Option<&Config>, stops: bool, found: &mut Found<'_>) {
    for (at, filter) in filters.iter().enumerate() {
        let name = filter.word("name");
        let place = join(path, &format!("http_filters[{at}]"));
        let is_before = at < ours;
        let differs_in_header = config.is_some_and(|config| !config.enforces() || config.passes_through());
        // A certificate is verified before any filter, and what the configuration says needs no verification.
        let believes = config.is_none_or(|config| match config.source() {
            Source::Header { .. } | Source::Parameter(_) | Source::Allowed { .. } | Source::Metadata(_) => true,
            Source::Certificate(_) | Source::Static(_) => false,
        });
        let mistake = match (kind(filter), is_before) {
            (Kind::Cache, true) => Some((
                "stands before the tenancy filter and asks the upstream itself, past it: no request and no answer is filtered",
                "remove it, or place it after the tenancy filter",
            )),
            (Kind::Cache, false) if differs_in_header => Some((
                "keeps answers by URL, and what is forwarded here differs between tenants in the header only",
                "remove it",
            )),
            (Kind::Authentication, false) if believes => Some((
                "stands after the tenancy filter, which takes the tenant from what nobody has verified yet",
                "place it before the tenancy filter",
            )),
            (Kind::Cors, false) => Some((
                "stands after the tenancy filter, which refuses its preflight requests and removes its headers",
                "place it before the tenancy filter",
            )),
            (Kind::Decompressor, false) if stops && !is_quiet(filter) => Some((
                "stands after the tenancy filter: an answer that is held back hangs where it decompresses it",
                "remove it, or set request_direction_config: { advertise_accept_encoding: false }",
            )),
            (Kind::Cache | Kind::Authentication | Kind::Cors | Kind::Decompressor | Kind::Other, _) => None,
        };
        if let Some((wrong, advice)) = mistake {
            found.add(filter.line, place, format!("{name} {wrong}"), advice);
        }
    }
}

/// Whether a decompressor asks the upstream for nothing compressed.
fn is_quiet(filter: &Node) -> bool {
    let advertises = filter.below(&["typed_config", "request_direction_config", "advertise_accept_encoding"]);
    advertises.is_some_and(|advertises| {
        let value = advertises.get("value").unwrap_or(advertises);
        matches!(value.value, super::document::Value::Plain(serde_json::Value::Bool(false)))
    })
}

/// What routes do to the filter, and to its header after it.
fn routes(manager: &Node, path: &str, name: &str, config: Option<&Config>, found: &mut Found<'_>) {
    let Some(table) = manager.get("route_config") else { return };
    table.walk(&join(path, "route_config"), &mut |path, node| {
        let own = node
            .get("typed_per_filter_config")
            .and_then(|filters| filters.members().iter().find(|member| member.key == name).map(|member| &member.value));
        if let Some(own) = own.filter(|own| own.get("disabled").is_some_and(Node::is_true)) {
            found.add(
                own.line,
                join(path, "typed_per_filter_config"),
                "switches the tenancy filter off here",
                "leave it out",
            );
        }
        for (index, added) in node.get("request_headers_to_add").map_or(&[][..], Node::items).iter().enumerate() {
            let header = added.below(&["header", "key"]).and_then(Node::text).unwrap_or_default().to_ascii_lowercase();
            let is_ours = config.is_some_and(|config| header == **config.forward_tenant_header());
            if is_ours || ["thanos-tenant", "x-scope-orgid"].contains(&header.as_str()) {
                let place = join(path, &format!("request_headers_to_add[{index}]"));
                let wrong = format!(
                    "{header} is set after the tenancy filter, so that another tenant, or two, reach the upstream"
                );
                found.add(added.line, place, wrong, "leave it out; static_tenant_ids names a fixed tenant");
            }
        }
        for removed in node.get("request_headers_to_remove").map_or(&[][..], Node::items) {
            let header = removed.text().unwrap_or_default();
            if config.is_some_and(|config| header.eq_ignore_ascii_case(config.forward_tenant_header())) {
                let place = join(path, "request_headers_to_remove");
                found.add(
                    removed.line,
                    place,
                    "the header that names the tenant is removed after the tenancy filter",
                    "leave it out",
                );
            }
        }
    });
}

/// The smallest `request_body_buffer_limit` of the virtual hosts, where each has one: it counts in the listener's place.
fn virtual_hosts(manager: &Node) -> u64 {
    let hosts = manager.below(&["route_config", "virtual_hosts"]).map_or(&[][..], Node::items);
    hosts
        .iter()
        .map(|host| host.get("request_body_buffer_limit").and_then(Node::number).unwrap_or(0))
        .min()
        .unwrap_or(0)
}

/// Whether an answer that is filtered fits.
pub fn buffer(config: &Config, limit: u64, line: usize, place: &str, found: &mut Found<'_>) {
    let largest = config.max_response_bytes() as u64;
    if config.enforces() && limit <= largest {
        let wrong = format!(
            "{limit} bytes are not more than the filter's max_response_bytes, {largest}: Envoy answers 500, or cuts an answer off, before the filter can refuse it"
        );
        found.add(line, place, wrong, "raise the one, or lower the other");
    }
}

/// Whether Envoy takes the tags out of the names of the filter's stats.
pub fn check_tags(bootstrap: &Node, line: usize, found: &mut Found<'_>) {
    let tags = bootstrap.below(&["stats_config", "stats_tags"]).map_or(&[][..], Node::items);
    let missing: Vec<&str> =
        TAGS.into_iter().filter(|name| tags.iter().all(|tag| tag.word("tag_name") != *name)).collect();
    if !missing.is_empty() {
        let wrong = format!(
            "has no tag {}: the stats of all tenants have names of their own, which no dashboard knows",
            missing.join(", ")
        );
        found.add(line, "stats_config.stats_tags", wrong, "copy stats_config from envoy/envoy.yaml");
    }
}
