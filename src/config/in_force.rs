//! What is in force for every request: the settings as they are asked for, the rows of the API table that are served, and the headers that
//! go.

use super::{AlertRoutes, Config, MetadataBy, Stats, TenantPath, Writes};
use crate::api::{self, Found, Switch, Upstream};
use crate::limits::{Limits, Told};
use crate::tenant::{EnforcedLabel, Source};
use std::sync::Arc;

impl Config {
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

    /// The names of the headers on which answers depend besides the URL, as in `vary`.
    pub fn vary(&self) -> Option<&Arc<str>> {
        self.vary.as_ref()
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
pub(super) fn length_bit(length: usize) -> u128 {
    1 << length.min(127)
}

fn is_same_header(name: &[u8], other: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().zip(other.bytes()).all(|(&left, right)| fold(left) == fold(right))
}
