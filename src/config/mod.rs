//! The plugin's configuration: JSON → a value that is valid by construction.
//!
//! One JSON object. A key that is unknown, not supported yet, given twice or of another type is refused, with its path, so that
//! nothing an operator wrote is silently without effect. `check` holds the rules for each value, `source` and `allowed` those for
//! tenants; `explain` prints what is in force.

mod allowed;
mod check;
mod effective;
mod explain;
mod source;
mod stats;
#[cfg(test)]
mod tests;

pub use crate::settings::ConfigError;
pub use effective::Effective;
pub use explain::Setting;
pub use source::MAX_PATTERN;
pub use stats::Stats;

use crate::api::{self, Found, Upstream};
use crate::limits::{self, InForce, Limits};
use crate::promql::{Enforcer, OnConflict};
use crate::settings as json;
use crate::tenant::{self, Federation, Format, Source, Tenants};
use allowed::Allowed;
use std::collections::BTreeSet;
use std::sync::Arc;

const KNOWN: &[&str] = &[
    "allow_on_headers_stop_iteration",
    "allowed_tenants",
    "default_evaluation_interval",
    "default_tenant_id",
    "enforce_tenancy",
    "extra_parameters",
    "forward_tenant_header",
    "limits",
    "log_queries",
    "lookback_delta",
    "match_rules",
    "max_response_bytes",
    "on_conflict",
    "overrides",
    "passthrough_paths",
    "path_prefixes",
    "shared_rules",
    "static_tenant_ids",
    "stats",
    "strip_headers",
    "tenant_certificate_field",
    "tenant_federation",
    "tenant_header",
    "tenant_id_format",
    "tenant_label_name",
    "tenant_metadata",
    "tenant_regex",
    "upstream",
];

/// Keys of the contract that this version does not implement.
const PLANNED: &[&str] =
    &["allow_writes", "call_out_cluster", "call_out_timeout", "dry_run", "enable_metadata", "enable_remote_read"];

const FORMATS: &[(&str, Format)] = &[("cortex", Format::Cortex), ("thanos", Format::Thanos)];
const CONFLICTS: &[(&str, OnConflict)] =
    &[("replace", OnConflict::Replace), ("intersect", OnConflict::Intersect), ("reject", OnConflict::Reject)];

/// Headers that name a tenant to Thanos, Cortex or Mimir, whatever this filter is told to read.
const TENANT_HEADERS: [&str; 2] = ["thanos-tenant", "x-scope-orgid"];

/// Prometheus's `--query.lookback-delta` and `global.evaluation_interval`, in milliseconds.
const DEFAULT_LOOKBACK: i64 = 5 * 60_000;
const DEFAULT_INTERVAL: i64 = 60_000;

/// Envoy's own default for what it buffers of a stream.
const DEFAULT_MAX_RESPONSE: usize = 1 << 20;

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    upstream: Upstream,
    source: Source,
    /// The pattern that stands for the tenants, where an operator looks at many.
    view: Option<Arc<str>>,
    format: Format,
    federation: Federation,
    allowed: Option<Allowed>,
    forward_tenant_header: Arc<str>,
    strip_headers: Vec<String>,
    /// All that [`Config::removes`] looks for.
    removed: Vec<String>,
    /// The lengths of those names, one bit each: most headers are told apart by it alone.
    removed_lengths: u128,
    enforce: bool,
    label: Arc<str>,
    on_conflict: OnConflict,
    /// Longest first, so that the most specific one decides.
    path_prefixes: Vec<String>,
    passthrough_paths: BTreeSet<String>,
    extra_parameters: Arc<[String]>,
    max_response_bytes: usize,
    shared_rules: bool,
    match_rules: bool,
    can_hold_heads: bool,
    limits: Limits,
    lookback_ms: i64,
    subquery_step_ms: i64,
    needs_the_time: bool,
    counts_queries: bool,
    stats: Stats,
    log_queries: bool,
    /// The keys that the configuration names, for [`Config::explain`].
    given: BTreeSet<&'static str>,
}

impl Config {
    /// Reads the JSON of the plugin's configuration; empty bytes are `{}`.
    pub fn parse(json: &[u8]) -> Result<Config, ConfigError> {
        let mut object = json::Object::parse(json)?;
        let mut given = BTreeSet::new();
        let mut take = |key: &'static str| {
            let field = object.take(key);
            if field.is_some() {
                given.insert(key);
            }
            field
        };

        let upstream = take("upstream").map_or(Ok(Upstream::Prometheus), |field| check::upstream(&field))?;
        let format = take("tenant_id_format").map_or(Ok(Format::Cortex), |field| field.word(FORMATS))?;
        let federation = take("tenant_federation").map_or(Ok(Federation::Off), check::federation)?;
        let allowed = take("allowed_tenants").map(|field| Allowed::read(field, format)).transpose()?;
        let forward_tenant_header = check::header(take("forward_tenant_header"), upstream.profile().tenant_header)?;
        let strip_headers = take("strip_headers").map_or(Ok(Vec::new()), check::strip_headers)?;
        let enforce =
            take("enforce_tenancy").map_or(Ok(!upstream.profile().isolates_tenants), |field| field.boolean())?;
        let label = take("tenant_label_name").map_or(Ok("tenant_id".to_owned()), |field| check::label(&field))?;
        let on_conflict = take("on_conflict").map_or(Ok(OnConflict::Replace), |field| field.word(CONFLICTS))?;
        let context = source::Context { format, federation, allowed: allowed.as_ref(), enforce, on_conflict };
        let (source, view) = source::source(&mut take, &context)?;
        let path_prefixes = check::path_prefixes(take("path_prefixes"), upstream)?;
        let passthrough_paths = take("passthrough_paths")
            .map_or(Ok(BTreeSet::new()), |field| check::passthrough_paths(field, upstream, &path_prefixes))?;
        let extra_parameters = take("extra_parameters").map_or(Ok(Vec::new()), check::extra_parameters)?;
        let max_response_bytes =
            take("max_response_bytes").map_or(Ok(DEFAULT_MAX_RESPONSE), |field| check::max_response_bytes(&field))?;
        let shared_rules = take("shared_rules").map_or(Ok(false), |field| field.boolean())?;
        let match_rules = take("match_rules").map_or(Ok(false), |field| check::match_rules(&field, shared_rules))?;
        let can_hold_heads = take("allow_on_headers_stop_iteration").map_or(Ok(false), |field| field.boolean())?;
        let limits = limits::read(take("limits"), take("overrides"), format)?;
        let mut interval = |key, default| take(key).map_or(Ok(default), |field| check::interval(&field));
        let lookback_ms = interval("lookback_delta", DEFAULT_LOOKBACK)?;
        let subquery_step_ms = interval("default_evaluation_interval", DEFAULT_INTERVAL)?;
        let stats = take("stats").map_or(Ok(Stats::default()), Stats::read)?;
        let log_queries = take("log_queries").map_or(Ok(false), |field| field.boolean())?;
        object.finish(KNOWN, PLANNED)?;

        let mut removed: BTreeSet<&str> = BTreeSet::new();
        for name in TENANT_HEADERS
            .into_iter()
            .chain(source.header().map(|name| &**name))
            .chain([&*forward_tenant_header])
            .chain(strip_headers.iter().map(String::as_str))
            .chain(check::NEVER_FORWARDED.iter().copied())
        {
            removed.insert(name);
        }
        Ok(Config {
            removed_lengths: removed.iter().fold(0, |lengths, name| lengths | length_bit(name.len())),
            removed: removed.into_iter().map(str::to_owned).collect(),
            upstream,
            source,
            view,
            format,
            federation,
            allowed,
            forward_tenant_header: forward_tenant_header.into(),
            strip_headers,
            enforce,
            label: label.into(),
            on_conflict,
            path_prefixes,
            passthrough_paths,
            extra_parameters: extra_parameters.into(),
            max_response_bytes,
            shared_rules,
            match_rules,
            can_hold_heads,
            needs_the_time: limits.need_the_time(),
            counts_queries: limits.count_queries(),
            limits,
            lookback_ms,
            subquery_step_ms,
            stats,
            log_queries,
            given,
        })
    }

    /// Which API the upstream serves.
    pub fn upstream(&self) -> Upstream {
        self.upstream
    }

    /// What names the tenant.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Who is asking: what the source makes of its header's value and of the proxy's answer. Absent is not empty.
    pub fn identify(&self, header: Option<&[u8]>, evidence: Option<&[u8]>) -> Result<Tenants, tenant::Error> {
        self.source.identify(header, evidence, self.format, self.federation)
    }

    /// The pattern that stands for the tenants, where an operator looks at many.
    pub fn view(&self) -> Option<&Arc<str>> {
        self.view.as_ref()
    }

    /// The header that is set upstream, in lower case.
    pub fn forward_tenant_header(&self) -> &Arc<str> {
        &self.forward_tenant_header
    }

    /// Whether a header that the client sent must go. The one that is set is replaced instead.
    ///
    /// `_` counts as `-`: Go keeps them apart, but CGI-like servers on the way to it make one of both.
    pub fn removes(&self, name: &[u8]) -> bool {
        self.removed_lengths & length_bit(name.len()) != 0
            && name != self.forward_tenant_header.as_bytes()
            && self.removed.iter().any(|removed| is_same_header(name, removed))
    }

    /// The tenants that a header's value names, or would name.
    pub fn tenants(&self, value: &[u8]) -> Result<Tenants, tenant::Error> {
        Tenants::parse(value, self.format, self.federation)
    }

    /// Whether a valid tenant is served.
    pub fn allows(&self, id: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(id))
    }

    /// Whether the configuration names the tenant, so that it has stats of its own whatever their bound.
    pub fn is_named(&self, id: &str) -> bool {
        let own = match &self.source {
            Source::Header { name: _, default } => default.as_ref(),
            Source::Static(tenants) => Some(tenants),
            Source::Certificate(_) | Source::Metadata(_) => None,
        };
        self.allowed.as_ref().is_some_and(|allowed| allowed.names(id))
            || self.limits.own(id).is_some()
            || own.is_some_and(|tenants| &**tenants.joined() == id)
    }

    /// What is counted, and for how many tenants.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether queries are rewritten.
    pub fn enforces(&self) -> bool {
        self.enforce
    }

    /// The label that is enforced.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The matcher for these tenants.
    pub fn enforcer(&self, tenants: &Tenants) -> Enforcer {
        match &self.view {
            Some(pattern) => Enforcer::matching(&self.label, pattern),
            None => tenants.enforcer(&self.label, self.on_conflict, self.federation),
        }
    }

    /// Parameters that are forwarded besides those that an endpoint knows.
    pub fn extra_parameters(&self) -> &Arc<[String]> {
        &self.extra_parameters
    }

    /// The largest answer that is held back.
    pub fn max_response_bytes(&self) -> usize {
        self.max_response_bytes
    }

    /// Whether rules that are nobody's are shown, with the tenant's alerts in them.
    pub fn shows_shared_rules(&self) -> bool {
        self.shared_rules
    }

    /// Whether the upstream is asked for the tenant's rules by `match[]`.
    pub fn matches_rules(&self) -> bool {
        self.match_rules
    }

    /// Whether the proxy can hold an answer's head back until its body is whole.
    pub fn can_hold_heads(&self) -> bool {
        self.can_hold_heads
    }

    /// The limits in force for these tenants; `None` where there are none.
    pub fn limits_of(&self, tenants: &Tenants) -> Option<InForce> {
        self.limits.of(tenants)
    }

    /// All limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How far back an instant selector looks upstream, in milliseconds.
    pub fn lookback_ms(&self) -> i64 {
        self.lookback_ms
    }

    /// The step of a subquery that names none, in milliseconds.
    pub fn subquery_step_ms(&self) -> i64 {
        self.subquery_step_ms
    }

    /// Whether some tenant's limits depend on what time it is.
    pub fn needs_the_time(&self) -> bool {
        self.needs_the_time
    }

    /// Whether some tenant's queries are counted.
    pub fn counts_queries(&self) -> bool {
        self.counts_queries
    }

    /// Whether the line of a refusal holds the query.
    pub fn logs_queries(&self) -> bool {
        self.log_queries
    }

    /// The row for a path in normal form, and the prefix under which it was found.
    pub fn find<'p>(&self, path: &'p [u8]) -> Option<(Found<'p>, &str)> {
        let is_passthrough = std::str::from_utf8(path).is_ok_and(|path| self.passthrough_paths.contains(path));
        if is_passthrough {
            return Some((Found { route: &api::PASSTHROUGH, segment: None }, ""));
        }
        find(self.upstream, &self.path_prefixes, path)
    }
}

fn find<'p, 'c>(upstream: Upstream, prefixes: &'c [String], path: &'p [u8]) -> Option<(Found<'p>, &'c str)> {
    prefixes.iter().find_map(|prefix| {
        let rest = path.strip_prefix(prefix.as_bytes())?;
        api::find(upstream, rest).map(|found| (found, prefix.as_str()))
    })
}

/// Names of 127 bytes and more share a bit.
fn length_bit(length: usize) -> u128 {
    1 << length.min(127)
}

fn is_same_header(name: &[u8], other: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().zip(other.bytes()).all(|(&left, right)| fold(left) == fold(right))
}
