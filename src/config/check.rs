//! The rules for each value of the configuration.

use super::json::Field;
use super::shape::{Member, Shape, member, names};
use super::{Config, ConfigError, METADATA, MetadataBy, limits};
use crate::api::{self, Kind, Switch, Upstream};
use crate::path as normal;
use crate::promql;
use crate::scope::Renaming;
use crate::tenant::Federation;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Headers that carry the message itself: another hop, or Envoy, would not see the request that was decided on.
const MESSAGE_HEADERS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Removed from every request, whatever the configuration says. Go's servers read none of them, but another hop may, after the
/// decision was made on something else: another method or path, a header that `connection` tells a proxy to drop (ours, say),
/// trailers that become headers.
pub const NEVER_FORWARDED: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "trailer",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    // Tracing of a request is the operator's decision (Thanos's pkg/tracing).
    "x-thanos-force-tracing",
];

/// Parameters that change whose data is read, at Prometheus, Thanos or a relative of theirs.
const SCOPING_PARAMETERS: &[&str] =
    &["match", "extra_filters", "extra_filters[]", "extra_label", "extra_label[]", "include_metadata"];

pub fn upstream(field: &Field) -> Result<Upstream, ConfigError> {
    field.word(&words_of_upstreams())
}

/// What `upstream` may be. Mimir's API is Cortex's.
pub fn words_of_upstreams() -> Vec<(&'static str, Upstream)> {
    let mut words: Vec<_> = Upstream::ALL.map(|upstream| (upstream.name(), upstream)).into();
    words.push(("mimir", Upstream::Cortex));
    words
}

/// The members of `tenant_federation`.
pub const FEDERATION: [Member; 2] = [
    member("enabled", Shape::Boolean, "false", "a header may name several tenants, separated by |"),
    member("max_tenants", Shape::COUNT, "0", "how many; 0 for no limit"),
];

pub fn federation(field: Field) -> Result<Federation, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let enabled = object.take("enabled").map_or(Ok(false), |field| field.boolean())?;
    let max_tenants = object.take("max_tenants").map(|field| field.count()).transpose()?;
    object.finish(&names(&FEDERATION))?;
    match (enabled, max_tenants) {
        (true, max_tenants) => Ok(Federation::On { max_tenants: max_tenants.unwrap_or(0) }),
        (false, None | Some(0)) => Ok(Federation::Off),
        (false, Some(_)) => Err(ConfigError::new(
            format!("{path}.max_tenants"),
            "has no effect while tenant_federation.enabled is false",
        )),
    }
}

pub fn max_response_bytes(field: &Field) -> Result<usize, ConfigError> {
    match usize::try_from(field.count()?) {
        Ok(0) => Err(field.error("0 would refuse every answer that has to be filtered")),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(field.error("is too large")),
    }
}

/// A duration that is not 0, in milliseconds.
pub fn interval(field: &Field) -> Result<i64, ConfigError> {
    match limits::duration(field)? {
        0 => Err(field.error("has to be longer than 0")),
        milliseconds => Ok(milliseconds),
    }
}

/// A cluster's name is Envoy's own matter; it is written into no header.
pub fn call_out_cluster(field: &Field) -> Result<Option<Arc<str>>, ConfigError> {
    match field.text()? {
        "" => Err(field.error("must not be empty")),
        name => Ok(Some(name.into())),
    }
}

pub fn call_out_timeout(field: &Field) -> Result<u32, ConfigError> {
    u32::try_from(interval(field)?).map_err(|_| field.error("is too long"))
}

/// `true` means `"names"`.
pub fn enable_metadata(field: &Field, config: &Config) -> Result<Option<MetadataBy>, ConfigError> {
    let by = match field.boolean() {
        Ok(false) => return Ok(None),
        Ok(true) => MetadataBy::Names,
        Err(_) => field.word(METADATA)?,
    };
    if !config.enforce && config.upstream.profile().isolates_tenants {
        return Err(field
            .error("has no effect: this upstream isolates metadata by the header, and it is served without the key"));
    }
    let of_targets = api::find(config.upstream, b"/api/v1/targets/metadata");
    let tells_targets = of_targets.is_some_and(|found| found.route.switch == Some(Switch::Metadata));
    match by {
        MetadataBy::Targets if !tells_targets => {
            Err(field.error("only Prometheus tells the metadata of targets: use \"names\""))
        }
        MetadataBy::Names if config.call_out_cluster.is_none() => {
            Err(field.error("needs call_out_cluster: the upstream is asked for the names of the tenant's metrics"))
        }
        MetadataBy::Names | MetadataBy::Targets => Ok(Some(by)),
    }
}

pub fn match_rules(field: &Field, shared_rules: bool) -> Result<bool, ConfigError> {
    match field.boolean()? {
        true if shared_rules => {
            Err(field
                .error("asks the upstream for the tenant's own rules only, so that shared_rules would have no effect"))
        }
        asked => Ok(asked),
    }
}

/// gRPC services are those of an upstream that has rows for them.
pub fn enable_grpc(field: &Field, upstream: Upstream) -> Result<bool, ConfigError> {
    match field.boolean()? {
        true if api::SERVICES.iter().all(|route| !route.upstreams.contains(&upstream)) => {
            Err(field.error("only Thanos serves queries over gRPC: it needs \"upstream\": \"thanos\""))
        }
        asked => Ok(asked),
    }
}

/// `ui`: only where the table has pages.
pub fn ui(field: &Field, upstream: Upstream) -> Result<bool, ConfigError> {
    match field.boolean()? {
        true if upstream.profile().pages.is_none() => {
            Err(field.error("this upstream has no web pages for tenants: Prometheus and Thanos have"))
        }
        asked => Ok(asked),
    }
}

/// A header's name, in lower case.
pub fn header(field: &Field) -> Result<String, ConfigError> {
    header_name(field, field.text()?)
}

/// `forward_tenant_header`: none of those that the filter sets, removes or has another meaning for on a forwarded request.
pub fn forward_tenant_header(field: &Field) -> Result<String, ConfigError> {
    let name = header(field)?;
    let is_taken = ["range", "thanos-replica", super::FORWARDED_PREFIX].contains(&name.as_str())
        || ["accept", "grpc-", "if-", "x-mimir-"].iter().any(|prefix| name.starts_with(prefix));
    if is_taken {
        Err(field.error(format!("{name:?} has a meaning of its own on a forwarded request")))
    } else {
        Ok(name)
    }
}

fn header_name(field: &Field, name: &str) -> Result<String, ConfigError> {
    // RFC 9110, section 5.6.2: token.
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(field.error(format!("{name:?} is not a header name")));
    }
    let name = name.to_ascii_lowercase();
    if MESSAGE_HEADERS.contains(&name.as_str()) {
        return Err(field.error(format!("{name:?} belongs to the HTTP message itself")));
    }
    Ok(name)
}

pub fn strip_headers(field: Field) -> Result<Vec<String>, ConfigError> {
    let mut names: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for (field, text) in field.texts()? {
        let name = header_name(&field, &text)?;
        if !seen.insert(name.clone()) {
            return Err(field.error(format!("{name:?} is in the list twice")));
        }
        names.push(name);
    }
    Ok(names)
}

/// Why a label can't be enforced.
pub const RUN_AS_QUERY: &str = "is reserved: Mimir and Cortex would run its value as a query";

/// A label's name. Any UTF-8 is one in Prometheus 3; it is written in quotes where it has to be.
pub fn label(field: &Field) -> Result<String, ConfigError> {
    let name = field.text()?;
    if name.is_empty() {
        return Err(field.error("a label needs a name"));
    }
    if name == "__name__" {
        return Err(field.error("\"__name__\" is the metric's name, and can't tell tenants apart"));
    }
    if promql::runs_as_query(name.as_bytes()) {
        return Err(field.error(format!("{name:?} {RUN_AS_QUERY}")));
    }
    // No upstream reads U+FFFD in a string.
    if name.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) || name.trim() != name {
        return Err(field.error(format!("{name:?} is not a label name: no control characters, no space at either end")));
    }
    Ok(name.to_owned())
}

/// The label that Cortex and Mimir put on series of several tenants: `defaultTenantLabel` in Cortex 1.21's
/// pkg/querier/tenantfederation/merge_queryable.go.
const FEDERATION_LABEL: &str = "__tenant_id__";

/// Reads `federation_label`.
pub fn federation_label(field: &Field, config: &Config) -> Result<Option<Renaming>, ConfigError> {
    let name = match field.boolean() {
        Ok(false) => return Ok(None),
        Ok(true) => FEDERATION_LABEL.to_owned(),
        Err(_) => label(field)?,
    };
    if !config.enforce {
        return Err(
            field.error("has no effect while enforce_tenancy is false: the upstream puts a label of its own on series")
        );
    }
    Renaming::new(&config.label, &name).map(Some).map_err(|problem| field.error(format!("{name:?} {problem}")))
}

/// More than the length of any text, and with as many digits as it together with one.
const LONGEST: u64 = 1 << 40;

pub fn path_prefixes(field: Field, upstream: Upstream) -> Result<Vec<String>, ConfigError> {
    let path = field.path.clone();
    let mut prefixes = BTreeSet::new();
    for (field, prefix) in field.texts()? {
        if prefix.is_empty() {
            if let Some(why) = upstream.profile().not_at_root {
                return Err(field.error(format!("\"\" is not the query API of {}: {why}", upstream.name())));
            }
        } else if prefix.ends_with('/') {
            return Err(field.error(format!("{prefix:?} ends with a slash")));
        } else if let Err(problem) = normal::check(prefix.as_bytes()) {
            return Err(field.error(format!("{prefix:?} is not a path prefix: {problem}")));
        } else if prefix.contains(['?', '%']) {
            return Err(
                field.error(format!("{prefix:?} is not a path prefix: it is matched literally, without ? and %"))
            );
        }
        // In front of it its length, in as many digits for each, so that a set, which exists for other keys, sorts them by it.
        prefixes.insert([&*(LONGEST + prefix.len() as u64).to_string(), &prefix].concat());
    }
    if prefixes.is_empty() {
        return Err(ConfigError::new(path, "an empty list would serve nothing: use [\"\"] for an API at the root"));
    }
    // The longest first, so that it is the one that a path is taken to stand below.
    let digits = LONGEST.to_string().len();
    Ok(prefixes.iter().rev().filter_map(|prefix| prefix.get(digits..).map(str::to_owned)).collect())
}

pub fn passthrough_paths(field: Field) -> Result<BTreeSet<String>, ConfigError> {
    let mut paths = BTreeSet::new();
    for (field, path) in field.texts()? {
        if path == "/" || path.is_empty() {
            return Err(field.error(format!("{path:?} is never passed through: name exact paths")));
        }
        if let Err(problem) = normal::check(path.as_bytes()) {
            return Err(field.error(format!("{path:?} is not a path: {problem}")));
        }
        if path.contains('?') {
            return Err(field.error(format!("{path:?} is not a path: leave the query string out")));
        }
        if path.contains('%') {
            return Err(field.error(format!("{path:?} holds an escape, which the upstream may read as another path")));
        }
        if path.contains('*') {
            return Err(field.error(format!("{path:?} would match nothing: there are no wildcards, name exact paths")));
        }
        if let Some(handler) = row_at_end(&path) {
            return Err(field.error(format!(
                "{path:?} ends like a path of the API table (as {handler}) and can't be passed through"
            )));
        }
        paths.insert(path);
    }
    Ok(paths)
}

/// The handler of the row, served or refused, that the path would find under some prefix at some upstream: prefixes and upstream may
/// be wrong. A slash at the end makes no other path of it: Alertmanager 0.35.0 answers `/api/v2/alerts/` like `/api/v2/alerts`
/// (observed).
fn row_at_end(path: &str) -> Option<&'static str> {
    let spellings = [path, path.strip_suffix('/').unwrap_or(path)];
    let suffixes = spellings.into_iter().flat_map(|path| path.match_indices('/').filter_map(|(at, _)| path.get(at..)));
    let mut found = suffixes.flat_map(|suffix| {
        let suffix = suffix.as_bytes();
        Upstream::ALL.map(|upstream| api::find(upstream, suffix).or_else(|| api::find_call(upstream, suffix)))
    });
    found.find_map(|found| Some(found?.route.handler))
}

pub fn extra_parameters(field: Field) -> Result<Vec<String>, ConfigError> {
    let mut names = Vec::new();
    for (field, name) in field.texts()? {
        if name.is_empty() {
            return Err(field.error("a parameter needs a name"));
        }
        let scopes = SCOPING_PARAMETERS.contains(&name.as_str())
            || api::TABLE
                .iter()
                .flat_map(|route| route.parameters)
                .any(|parameter| parameter.name == name && is_scoping(parameter.kind));
        if scopes {
            return Err(field.error(format!("{name:?} decides whose data is read, and is never passed on unread")));
        }
        names.push(name);
    }
    Ok(names)
}

fn is_scoping(kind: Kind) -> bool {
    match kind {
        Kind::Query | Kind::Selector | Kind::Part | Kind::ReplicaLabel | Kind::StoreSelector => true,
        Kind::Expression
        | Kind::Time(_)
        | Kind::Duration(_)
        | Kind::Integer
        | Kind::Capped(_)
        | Kind::Boolean
        | Kind::Word
        | Kind::Statistics
        | Kind::Text
        | Kind::LabelName
        | Kind::SearchTerm => false,
    }
}
