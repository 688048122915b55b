//! The plugin's configuration: JSON → a value that is valid by construction.
//!
//! One JSON object. A key that is unknown, not supported yet, given twice or of another type is refused, with its path, so that
//! nothing an operator wrote is silently without effect.
//!
//! - `keys`: one row for each key; a key is added there
//! - `alert_routes`, `check`, `source`, `claims`, `tenant_path`, `confinement`, `allowed`, `stats`: the rules for each value; those for limits are in
//!   [`crate::limits`]
//! - `shape`: the JSON that a key takes
//! - `explain`, `effective`: what is in force, for the operator
//! - `ineffective`: what is valid and has no effect

mod alert_routes;
mod allowed;
mod check;
mod claims;
mod confinement;
mod effective;
mod explain;
mod ineffective;
mod keys;
mod shape;
mod source;
mod stats;
mod tenant_path;
#[cfg(test)]
mod tests;
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

use crate::api::{self, Found, Switch, Upstream};
use crate::limits::{self, InForce, Limits, Told};
use crate::path;
use crate::scope::{OnConflict, Renaming, Scope};
use crate::settings as json;
use crate::tenant::{
    self, Clues, EnforcedLabel, Evidence, Federation, Format, LabelError, LabelValues, Rules, Source, Tenants,
};
use allowed::Allowed;
use confinement::Confinement;
use keys::Draft;
use std::collections::BTreeSet;
use std::sync::Arc;

const FORMATS: &[(&str, Format)] = &[("cortex", Format::Cortex), ("thanos", Format::Thanos)];
const CONFLICTS: &[(&str, OnConflict)] =
    &[("replace", OnConflict::Replace), ("intersect", OnConflict::Intersect), ("reject", OnConflict::Reject)];

/// Keys that have an entry for each tenant. Those of objects are read when they are first asked for.
const BY_TENANT: [&str; 3] = ["overrides", "tenant_selectors", "allowed_tenants"];

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

    /// Which API the upstream serves.
    pub fn upstream(&self) -> Upstream {
        self.upstream
    }

    /// What names the tenant.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The prefix behind which a path names the tenant.
    pub fn tenant_path(&self) -> Option<&TenantPath> {
        self.tenant_path.as_ref()
    }

    /// What all overrides together need of each request, for who reads the same text later.
    pub fn told(&self) -> Told {
        self.limits.told()
    }

    /// Who is asking: what the source makes of the request, and of the proxy's answer. With `tenant_path`, the path chooses one of the
    /// tenants that the source names. What the configuration says of them is read now: a tenant of whom that can't be is refused.
    pub fn identify(&self, clues: &Clues<'_>) -> Result<Tenants, tenant::Error> {
        let tenants = self.named(clues)?;
        let can_read = |id| self.limits.can_read(id).and_then(|()| self.confinement.selectors.get(id).map(drop));
        let unreadable = |_| tenant::Error::Unreadable(confinement::OF_TENANT);
        tenants.ids().try_for_each(can_read).map_err(unreadable)?;
        Ok(tenants)
    }

    fn named(&self, clues: &Clues<'_>) -> Result<Tenants, tenant::Error> {
        if let Some(segment) = clues.segment {
            return self.choose(segment, clues);
        }
        // Where the path chooses, the source may name several in any case.
        let federation = match self.tenant_path {
            Some(_) => Federation::On { max_tenants: 0 },
            None => self.federation,
        };
        let allows = |id: &str| self.allows(id);
        let tenants = self.source.identify(clues, &Rules { format: self.format, federation, allows: &allows })?;
        match self.tenant_path.is_some() && tenants.are_several() {
            true => Err(tenant::Error::NotChosen),
            false => Ok(tenants),
        }
    }

    /// The tenants among which the request's path may choose, sorted. It is an error where there is none.
    pub fn offered(&self, clues: &Clues<'_>) -> Result<BTreeSet<String>, tenant::Error> {
        let mut offered = BTreeSet::new();
        match &self.source {
            Source::Allowed { .. } => offered.extend(self.allowed.iter().flat_map(Allowed::ids).map(str::to_owned)),
            source => source.each_offered(clues, &mut |id| {
                if let Ok(tenants) = Tenants::one(id, self.format)
                    && self.allows(tenants.joined())
                {
                    offered.insert(tenants.joined().to_string());
                }
            })?,
        }
        match offered.is_empty() {
            true => Err(tenant::Error::NoneServed),
            false => Ok(offered),
        }
    }

    /// The tenant in the path, if the source offers it. Otherwise it is refused in the same words whether or not it exists.
    fn choose(&self, segment: &[u8], clues: &Clues<'_>) -> Result<Tenants, tenant::Error> {
        if segment.is_empty() {
            return Err(tenant::Error::Empty);
        }
        // What is not the one spelling of a text is no tenant's ID, like the empty text.
        let id = path::segment(segment).unwrap_or_default();
        let is_offered = match &self.source {
            Source::Allowed { .. } => self.allowed.as_ref().is_some_and(|allowed| allowed.names(&id)),
            source => source.offers(&id, clues)? && self.allows(&id),
        };
        match Tenants::one(id.as_bytes(), self.format) {
            Ok(tenants) if is_offered => Ok(tenants),
            Ok(_) | Err(_) => Err(tenant::Error::NotOffered),
        }
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

    /// Which tenant IDs are valid.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a valid tenant is served.
    pub fn allows(&self, id: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(id))
    }

    /// Whether the configuration names the tenant, so that it has stats of its own whatever their bound.
    pub fn is_named(&self, id: &str) -> bool {
        let own = match &self.source {
            Source::Header { name: _, default } | Source::Allowed { default } => default.as_ref(),
            Source::Static(tenants) => Some(tenants),
            Source::Parameter(_) | Source::Certificate(_) | Source::Metadata(_) => None,
        };
        self.allowed.as_ref().is_some_and(|allowed| allowed.names(id))
            || self.limits.has_own(id)
            || self.confinement.selectors.has_own(id)
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

    /// What labels are called in requests of these tenants; `None`: what they are called where they are stored. One tenant alone has no need to
    /// tell tenants apart.
    pub fn renaming(&self, tenants: &Tenants) -> Option<&Renaming> {
        let renaming = self.renaming.as_ref()?;
        let with_shared = || self.confinement.shared.as_ref().is_some_and(|shared| tenants.with(shared).are_several());
        (tenants.are_several() || self.view.is_some() || with_shared()).then_some(renaming)
    }

    /// The tenants whose data these see: those that are shared beside them. `None` where a pattern stands for them.
    pub fn seen_by(&self, tenants: &Tenants) -> Option<Tenants> {
        match (&self.view, &self.confinement.shared) {
            (Some(_), _) => None,
            (None, Some(shared)) => Some(tenants.with(shared)),
            (None, None) => Some(tenants.clone()),
        }
    }

    /// The labels that are enforced beside the tenant's.
    pub fn enforced_labels(&self) -> &[EnforcedLabel] {
        &self.confinement.labels
    }

    fn label_headers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.confinement.labels.iter().filter_map(EnforcedLabel::header)
    }

    /// What the proxy has to be asked for besides what names the tenant.
    pub fn label_evidence(&self) -> Option<Evidence> {
        self.confinement.labels.iter().any(EnforcedLabel::reads_metadata).then_some(Evidence::Metadata)
    }

    /// The names of the headers on which answers depend besides the URL, as in `vary`.
    pub fn vary(&self) -> Option<&Arc<str>> {
        self.vary.as_ref()
    }

    /// What a request says about the labels that are enforced beside the tenant's. `header`: the value of the header of the label with
    /// this index; `metadata`: what the proxy answers to [`Config::label_evidence`].
    pub fn label_values<'a>(
        &'a self,
        header: impl Fn(usize) -> Result<Option<&'a [u8]>, LabelError>,
        metadata: Option<&[u8]>,
    ) -> Result<LabelValues, (Arc<str>, LabelError)> {
        tenant::label::values(self.enforced_labels(), header, metadata, self.on_conflict)
    }

    /// What a request of these tenants, with these values of other labels, is confined to.
    ///
    /// # Errors
    /// [`tenant::Error::OwnSelector`] where several tenants are named, and one of them has a selector of its own.
    pub fn scope(&self, tenants: &Tenants, labels: &LabelValues) -> Result<Scope, tenant::Error> {
        let Confinement { selectors, shared, .. } = &self.confinement;
        let scope = match (&self.view, selectors.of(tenants)?, shared) {
            (Some(pattern), ..) => Scope::matching(self.label.clone(), pattern.clone()),
            (None, Some(own), _) => own.clone(),
            (None, None, None) => tenants.scope(&self.label, self.on_conflict, self.federation),
            // A query may choose among several, also where the tenant is the shared one.
            (None, None, Some(shared)) => {
                let all = tenants.with(shared);
                Scope::one_of(self.label.clone(), &all.ids().collect::<Vec<_>>(), self.on_conflict)
            }
        };
        Ok(labels.confine(scope))
    }

    /// What a request without values of other labels is confined to.
    #[cfg(test)]
    pub fn scope_of(&self, tenants: &Tenants) -> Scope {
        self.scope(tenants, &self.label_values(|_| Ok(None), None).unwrap()).unwrap()
    }

    /// What a write of one tenant is confined to: never to what others share with it.
    ///
    /// # Errors
    /// As [`Config::scope`].
    pub fn write_scope(&self, tenants: &Tenants, labels: &LabelValues) -> Result<Scope, tenant::Error> {
        let own = self.confinement.selectors.of(tenants)?;
        let by_label = || Scope::equal(self.label.clone(), tenants.joined().clone(), self.on_conflict);
        Ok(labels.confine(own.map_or_else(by_label, Scope::clone)))
    }

    /// The IDs that the upstream's tenant header names for a request of these tenants: also those that are shared, where the upstream
    /// isolates tenants by the header. `of_one`: the endpoint answers for one tenant only, so that nothing can be shared.
    pub fn forwarded(&self, tenants: &Tenants, of_one: bool) -> Arc<str> {
        match &self.confinement.shared {
            Some(shared) if self.upstream.profile().isolates_tenants && !of_one => {
                tenants.with(shared).joined().clone()
            }
            Some(_) | None => tenants.joined().clone(),
        }
    }

    /// Whether some paths are forwarded without enforcement.
    pub fn passes_through(&self) -> bool {
        !self.passthrough_paths.is_empty()
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

    /// The same as a dynamic module of Envoy's, which can hold an answer's head back always, and has labels for its stats.
    pub fn in_a_dynamic_module(self) -> Config {
        let stats = Stats { tags: crate::stats::Naming::Envoy, ..self.stats };
        Config { can_hold_heads: true, stats, ..self }
    }

    /// Where dynamic metadata is read: each path begins with the namespace. For a host that has no metadata as a whole.
    pub fn metadata_paths(&self) -> Vec<&[String]> {
        let of_labels = self.enforced_labels().iter().filter_map(EnforcedLabel::metadata_path);
        self.source().metadata_path().into_iter().chain(of_labels).collect()
    }

    /// Whether the proxy can hold an answer's head back until its body is whole.
    pub fn can_hold_heads(&self) -> bool {
        self.can_hold_heads
    }

    /// Whether nothing is enforced on a request of this tenant; several are joined by `|`, and each has to be in dry run. `None`: no tenant was
    /// identified.
    pub fn dry_runs(&self, tenant: Option<&Arc<str>>) -> bool {
        match tenant {
            Some(joined) if self.mixes_dry_run => joined.split('|').all(|id| self.dry_runs_tenant(id)),
            Some(_) | None => self.dry_run,
        }
    }

    /// Whether some tenants are in dry run, and others are not.
    pub fn mixes_dry_run(&self) -> bool {
        self.mixes_dry_run
    }

    fn dry_runs_tenant(&self, id: &str) -> bool {
        self.limits.own(id).and_then(|set| set.dry_run).unwrap_or(self.dry_run)
    }

    /// For whom nothing is enforced; `None` where everything is.
    pub fn dry_run_says(&self) -> Option<String> {
        let differ = self.limits.count_dry_run(!self.dry_run);
        match (self.dry_run, differ) {
            (false, 0) => None,
            (true, 0) => Some("nothing is enforced, for any tenant".to_owned()),
            (true, count) => Some(format!("nothing is enforced, but for {count} tenants of overrides")),
            (false, count) => Some(format!("nothing is enforced for {count} tenants of overrides")),
        }
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

    /// Whether the endpoints of this key are served.
    pub fn serves(&self, switch: Switch) -> bool {
        match switch {
            Switch::RemoteRead => self.serves_remote_read,
            Switch::Writes => self.writes.are_allowed,
            Switch::Metadata => self.metadata_by.is_some(),
            Switch::Ui => self.serves_pages,
        }
    }

    /// What of writes is forwarded.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Whether gRPC services are served.
    pub fn serves_grpc(&self) -> bool {
        self.serves_grpc
    }

    /// By what it is known which metadata is the tenant's; `None` where none is served.
    pub fn metadata_by(&self) -> Option<MetadataBy> {
        self.metadata_by
    }

    /// Where the alerts of each tenant go that a shared ruler posts; `None` where they are one tenant's.
    pub fn alert_routes(&self) -> Option<&Arc<AlertRoutes>> {
        self.alert_routes.as_ref()
    }

    /// Whether a silence needs no matcher beside the tenant's.
    pub fn allows_silence_of_all(&self) -> bool {
        self.allows_silence_of_all
    }

    /// The cluster that is asked where a decision needs the upstream.
    pub fn call_out_cluster(&self) -> Option<&Arc<str>> {
        self.call_out_cluster.as_ref()
    }

    /// How long its answer is waited for, in milliseconds.
    pub fn call_out_timeout_ms(&self) -> u32 {
        self.call_out_timeout_ms
    }

    /// The row for a path in normal form, and the prefix under which it was found.
    pub fn find<'p>(&self, path: &'p [u8]) -> Option<(Found<'p>, &str)> {
        let (found, prefix) = self.find_row(path)?;
        let route = if self.enforces() { found.route.enforced() } else { found.route };
        Some((Found { route, ..found }, prefix))
    }

    fn find_row<'p>(&self, path: &'p [u8]) -> Option<(Found<'p>, &str)> {
        let is_passthrough = std::str::from_utf8(path).is_ok_and(|path| self.passthrough_paths.contains(path));
        if is_passthrough {
            return Some((Found { route: &api::PASSTHROUGH, segment: None }, ""));
        }
        if self.serves_grpc
            && let Some(found) = api::find_call(self.upstream, path)
        {
            return Some((found, ""));
        }
        let below = |find: fn(Upstream, &'p [u8]) -> Option<Found<'p>>| {
            self.path_prefixes.iter().find_map(|prefix| {
                let rest = path.strip_prefix(prefix.as_bytes())?;
                find(self.upstream, rest).map(|found| (found, prefix.as_str()))
            })
        };
        below(api::find)
            .or_else(|| {
                let found = api::find(self.upstream, path).filter(|found| found.route.at_root);
                found.map(|found| (found, ""))
            })
            .or_else(|| below(api::find_page).filter(|_| self.serves_pages))
    }
}

/// Names of 127 bytes and more share a bit.
fn length_bit(length: usize) -> u128 {
    1 << length.min(127)
}

fn is_same_header(name: &[u8], other: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().zip(other.bytes()).all(|(&left, right)| fold(left) == fold(right))
}
