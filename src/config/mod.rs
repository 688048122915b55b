//! The plugin's configuration: JSON → a value that is valid by construction.
//!
//! One JSON object. A key that is unknown, not supported yet, given twice or of another type is refused, with its path, so that
//! nothing an operator wrote is silently without effect.
//!
//! - `keys`: one row for each key; a key is added there
//! - `alert_routes`, `check`, `source`, `claims`, `tenant_path`, `confinement`, `allowed`, `stats`: the rules for each value; those for limits are in
//!   [`crate::limits`]
//! - `shape`: the JSON that a key takes
//! - `who`, `in_force`: what is asked of a configuration: of the tenants of one request, and for every request
//! - `explain`, `effective`: what is in force, for the operator
//! - `ineffective`: what is valid and has no effect

mod alert_routes;
mod allowed;
mod check;
mod claims;
mod confinement;
mod effective;
mod explain;
mod in_force;
mod ineffective;
mod keys;
mod shape;
mod source;
mod stats;
mod tenant_path;
#[cfg(test)]
mod tests;
mod who;
mod writes;

pub use crate::settings::{ConfigError, Mistake};
pub use alert_routes::AlertRoutes;
pub use effective::Effective;
pub use explain::Setting;
pub use keys::{Key, all as keys};
pub use shape::{Member, Shape, Text};
pub use source::MAX_PATTERN;
pub use stats::Stats;
pub use tenant_path::{FORWARDED_PREFIX, Split, TenantPath};
pub use writes::{WriteVersion, Writes};

use crate::api::{self, Upstream};
use crate::limits::{self, Limits, Told};
use crate::scope::{OnConflict, Renaming};
use crate::settings as json;
use crate::tenant::{Federation, Format, Source};
use allowed::Allowed;
use confinement::Confinement;
use in_force::length_bit;
use keys::Draft;
use std::collections::BTreeSet;
use std::sync::Arc;

const FORMATS: &[(&str, Format)] = &[("cortex", Format::Cortex), ("thanos", Format::Thanos)];
const CONFLICTS: &[(&str, OnConflict)] =
    &[("replace", OnConflict::Replace), ("intersect", OnConflict::Intersect), ("reject", OnConflict::Reject)];

/// Keys that have an entry for each tenant. Those of objects are read when they are first asked for.
const BY_TENANT: [&str; 4] = ["overrides", "tenant_selectors", "allowed_tenants", "alert_routes"];

const METADATA: &[(&str, MetadataBy)] = &[("names", MetadataBy::Names), ("targets", MetadataBy::Targets)];

/// By what it is known which metadata is the tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataBy {
    /// By the names of the tenant's metrics.
    Names,
    /// By the tenant's targets.
    Targets,
}

/// Headers that name a tenant to Thanos, Cortex or Mimir, whatever this filter is told to read.
const TENANT_HEADERS: [&str; 2] = ["thanos-tenant", "x-scope-orgid"];

/// Prometheus's `--query.lookback-delta` and `global.evaluation_interval`, in milliseconds.
const DEFAULT_LOOKBACK: i64 = 5 * 60_000;
const DEFAULT_INTERVAL: i64 = 60_000;

const DEFAULT_LABEL: &str = "tenant_id";
const DEFAULT_CALL_OUT_TIMEOUT: u32 = 5_000;

/// Envoy's own default for what it buffers of a stream.
const DEFAULT_MAX_RESPONSE: usize = 1 << 20;

/// A valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    upstream: Upstream,
    source: Source,
    tenant_path: Option<TenantPath>,
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
    /// `federation_label`.
    renaming: Option<Renaming>,
    on_conflict: OnConflict,
    confinement: Confinement,
    /// The names of the headers that decide what a request is confined to; `None` where none does.
    vary: Option<Arc<str>>,
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
    dry_run: bool,
    /// Some tenant's `dry_run` is not the one of the others.
    mixes_dry_run: bool,
    serves_remote_read: bool,
    writes: Writes,
    serves_grpc: bool,
    serves_pages: bool,
    metadata_by: Option<MetadataBy>,
    call_out_cluster: Option<Arc<str>>,
    alert_routes: Option<Arc<AlertRoutes>>,
    allows_silence_of_all: bool,
    call_out_timeout_ms: u32,
    /// The keys that the configuration names, one bit for each row, for [`Config::explain`].
    given: u64,
}

impl Config {
    /// Reads the JSON of the plugin's configuration. No bytes mean the same as `{}`.
    ///
    /// ```
    /// use promql_tenancy_filter::config::Config;
    ///
    /// let json = br#"{"upstream": "thanos", "tenant_header": "X-Team", "default_tenant_id": ""}"#;
    /// let config = Config::parse(json).unwrap();
    /// assert_eq!(&**config.label(), "tenant_id");
    /// // What the client sent as another tenant header is removed before the request is forwarded.
    /// assert!(config.removes(b"x-scope-orgid"));
    ///
    /// // An error names the key. Nothing is ignored.
    /// let error = Config::parse(br#"{"tenant_federation": {"max_tenant": 3}}"#).unwrap_err();
    /// assert_eq!(error.path, "tenant_federation.max_tenant");
    /// ```
    pub fn parse(json: &[u8]) -> Result<Config, ConfigError> {
        Config::read(&Arc::new(json.to_vec()), None)
    }

    /// The same, of a text that is kept as long as overrides and selectors of tenants in it are unread. `told`: they were judged before, by
    /// who then told this ([`Config::told`]), and are not judged again. One that can't be read after all is refused when it is asked for.
    pub fn read(json: &json::Whole, told: Option<Told>) -> Result<Config, ConfigError> {
        match Config::read_keys(json, told) {
            Ok(config) => Ok(config),
            // Who told it was mistaken.
            Err(_) if told.is_some() => Config::read(json, None),
            // That a text is not JSON is said first, wherever in it that shows.
            Err(error) => Err(json::why_not_json(json).unwrap_or(error)),
        }
    }

    fn read_keys(json: &json::Whole, told: Option<Told>) -> Result<Config, ConfigError> {
        let mut object = json::Object::parse(json, &BY_TENANT)?;
        let config = Config::defaults(Upstream::Prometheus);
        let mut draft = Draft {
            config,
            source: source::Given::default(),
            tenant_path: None,
            confinement: confinement::Given::default(),
            limits: None,
            overrides: None,
            told,
        };
        let mut given = 0;
        for ((name, read), key) in keys::NAMES.iter().zip(keys::READERS).zip(0..) {
            if let Some(field) = object.take(name) {
                given |= 1 << key;
                read(&mut draft, field)?;
            }
        }
        object.finish(&keys::NAMES)?;

        let Draft { mut config, source, tenant_path, confinement, limits, overrides, told } = draft;
        config.given = given;
        if let Some(field) = tenant_path {
            config.tenant_path =
                tenant_path::read(&field, config.upstream, &config.path_prefixes, &config.passthrough_paths)?;
        }
        let context = source::Context {
            format: config.format,
            federation: config.federation,
            allowed: config.allowed.as_ref(),
            enforce: config.enforce,
            on_conflict: config.on_conflict,
            extra_parameters: &config.extra_parameters,
            has_path: config.tenant_path.is_some(),
            names_shared: confinement.shared.is_some() && config.upstream.profile().isolates_tenants,
        };
        let in_force = source::source(source, &context)?;
        (config.source, config.view) = (in_force.source, in_force.view);
        confinement::read(confinement, &mut config, told.is_none())?;
        config.check_joined()?;
        let headers: Vec<&str> =
            config.source.header().into_iter().chain(config.label_headers()).map(|name| &**name).collect();
        config.vary = (!headers.is_empty()).then(|| headers.join(", ").into());
        config.limits = limits::read(limits, overrides, config.format, told)?;
        config.mixes_dry_run = config.limits.count_dry_run(!config.dry_run) > 0;
        config.needs_the_time = config.limits.need_the_time();
        config.counts_queries = config.limits.count_queries();
        // One by one: collecting them would bring a sort of 5 kB into the module.
        let mut removed: BTreeSet<&str> = BTreeSet::new();
        for name in TENANT_HEADERS
            .into_iter()
            .chain(config.source.header().map(|name| &**name))
            .chain(in_force.unread_header.as_deref())
            .chain(config.tenant_path.is_some().then_some(FORWARDED_PREFIX))
            .chain(config.confinement.labels.iter().filter_map(|label| label.header().map(|name| &**name)))
            .chain([&*config.forward_tenant_header])
            .chain(config.strip_headers.iter().map(String::as_str))
            .chain(check::NEVER_FORWARDED.iter().copied())
        {
            removed.insert(name);
        }
        config.removed_lengths = removed.iter().fold(0, |lengths, name| lengths | length_bit(name.len()));
        config.removed = removed.into_iter().map(str::to_owned).collect();
        Ok(config)
    }

    /// Refuses keys that together would open what each closes alone.
    fn check_joined(&self) -> Result<(), ConfigError> {
        let refused = |key: &str, problem: &str| Err(ConfigError::new(key.to_owned(), problem));
        if let Some((key, problem)) = alert_routes::contradiction(self) {
            return refused(key, problem);
        }
        if self.writes.are_allowed && self.confinement.is_by_other_labels() {
            return refused("allow_writes", writes::LABELS_OF_THE_WRITER);
        }
        if self.writes.are_allowed && self.upstream.profile().isolates_tenants && self.enforce {
            return refused("allow_writes", writes::NOT_ISOLATED);
        }
        if self.serves_grpc && matches!(self.source, Source::Parameter(_)) {
            return refused(
                "enable_grpc",
                "a gRPC method has no query string, in which tenant_parameter could name a tenant",
            );
        }
        if self.serves_pages && matches!(self.source, Source::Header { .. } | Source::Parameter(_)) {
            return refused(
                "ui",
                "needs tenant_path, or a claim, a certificate or static_tenant_ids: a browser that opens a page sends no header, and keeps no parameter",
            );
        }
        Ok(())
    }

    /// The default of each key. What depends on several keys is worked out in [`Config::parse`], once all are read.
    fn defaults(upstream: Upstream) -> Config {
        let profile = upstream.profile();
        Config {
            upstream,
            source: Source::Header { name: "".into(), default: None },
            tenant_path: None,
            view: None,
            format: Format::Cortex,
            federation: Federation::Off,
            allowed: None,
            forward_tenant_header: profile.tenant_header.to_ascii_lowercase().into(),
            strip_headers: Vec::new(),
            removed: Vec::new(),
            removed_lengths: 0,
            enforce: !profile.isolates_tenants,
            label: DEFAULT_LABEL.into(),
            renaming: None,
            on_conflict: OnConflict::Replace,
            confinement: Confinement::default(),
            vary: None,
            path_prefixes: profile.path_prefixes.iter().map(|&prefix| prefix.to_owned()).collect(),
            passthrough_paths: BTreeSet::new(),
            extra_parameters: [].into(),
            max_response_bytes: DEFAULT_MAX_RESPONSE,
            shared_rules: false,
            match_rules: false,
            can_hold_heads: false,
            limits: Limits::default(),
            lookback_ms: DEFAULT_LOOKBACK,
            subquery_step_ms: DEFAULT_INTERVAL,
            needs_the_time: false,
            counts_queries: false,
            stats: Stats::default(),
            log_queries: false,
            dry_run: false,
            mixes_dry_run: false,
            serves_remote_read: false,
            writes: Writes::of(upstream),
            serves_grpc: false,
            serves_pages: false,
            metadata_by: None,
            call_out_cluster: None,
            alert_routes: None,
            allows_silence_of_all: false,
            call_out_timeout_ms: DEFAULT_CALL_OUT_TIMEOUT,
            given: 0,
        }
    }
}
