//! What each kind of upstream is: one [`Profile`] each.
//!
//! Nothing outside of `src/api` compares or matches an [`Upstream`]. All other code asks the profile, so that a new kind does not
//! compile until every question is answered for it.

use super::{Cap, Downsampling, ErrorShape, Pages, pages};

/// Which API the upstream serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// Prometheus.
    Prometheus,
    /// Thanos Query or Query Frontend.
    Thanos,
    /// Cortex or Mimir.
    Cortex,
    /// Alertmanager.
    Alertmanager,
}

/// What is known of a kind of upstream. A field is a question that some part of the filter asks.
#[derive(Debug)]
pub struct Profile {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The header that names the tenant to it: the default of `forward_tenant_header`.
    pub tenant_header: &'static str,
    /// It isolates tenants by that header in its storage. Queries are not rewritten then, unless `enforce_tenancy` says so.
    pub isolates_tenants: bool,
    /// Where its query API stands: the default of `path_prefixes`.
    pub path_prefixes: &'static [&'static str],
    /// Why its query API can't stand at the root; `None` where it can.
    pub not_at_root: Option<&'static str>,
    /// It finds nothing by a selector that holds the tenant's label and no other matcher.
    pub needs_second_matcher: bool,
    /// A query frontend may move start and end of a range query to multiples of the step before them.
    pub aligns_to_step: bool,
    /// A query frontend may split a range query into parts, each with its own start and end, so that `range()` is not known.
    pub splits_queries: bool,
    /// The step of a range query that has none; `None` where such a query is refused.
    pub default_step: Option<DefaultStep>,
    /// How it reads downsampled data; `None` where there are none.
    pub downsampling: Option<Downsampling>,
    /// It takes alerts and silences, and answers no queries.
    pub serves_alerts: bool,
    /// How an error is told where the path is in no row.
    pub errors: ErrorShape,
    /// What it does with what a request asks to be held to, in the order of [`Cap`].
    pub honours: [Honours; Cap::COUNT],
    /// Its web pages, where they are of use to a tenant.
    pub pages: Option<Pages>,
}

/// What an upstream does with what a request asks to be held to. docs/tenant-limits.md has the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Honours {
    /// It holds the request to it, as this says.
    As(&'static str),
    /// It has no such parameter.
    Not,
}

/// The step of a range query that has none: its time range divided into parts.
#[derive(Debug, Clone, Copy)]
pub struct DefaultStep {
    /// How many parts there are.
    pub parts: i64,
    /// The shortest step, in seconds.
    pub least_seconds: i64,
}

/// Prometheus 3.16.
const PROMETHEUS: Profile = Profile {
    name: "prometheus",
    // Prometheus reads no such header. A hop behind it may, and Thanos's name is the one that most of them know.
    tenant_header: "Thanos-Tenant",
    isolates_tenants: false,
    path_prefixes: &[""],
    not_at_root: None,
    needs_second_matcher: false,
    aligns_to_step: false,
    splits_queries: false,
    default_step: None,
    downsampling: None,
    honours: [
        Honours::As("timeout, of queries"),
        Honours::As("limit, of queries, series, labels and their values: the answer is cut, with a warning"),
        Honours::As("max_series, of queries, if Prometheus has --enable-feature=query-cost; else it ignores it"),
        Honours::As("max_samples_read, of queries, if Prometheus has --enable-feature=query-cost; else it ignores it"),
    ],
    serves_alerts: false,
    errors: ErrorShape::Prometheus,
    pages: Some(pages::PROMETHEUS),
};

/// Alertmanager 0.35.
const ALERTMANAGER: Profile =
    Profile { name: "alertmanager", serves_alerts: true, errors: ErrorShape::Alertmanager, pages: None, ..PROMETHEUS };

/// Thanos 0.42.5.
const THANOS: Profile = Profile {
    name: "thanos",
    tenant_header: "Thanos-Tenant",
    isolates_tenants: false,
    path_prefixes: &[""],
    not_at_root: None,
    // Where the tenant label is an external label, stores answer nothing to a selector with nothing besides ("no matchers specified
    // (excluding external labels)", pkg/store/tsdb.go).
    needs_second_matcher: true,
    // `--query-range.align-range-with-step`, on by default.
    aligns_to_step: true,
    // `--query-range.split-interval`, 24h by default.
    splits_queries: true,
    // `parseStep` in pkg/api/query/v1.go; `--query.default-step` is 1s by default.
    default_step: Some(DefaultStep { parts: 250, least_seconds: 1 }),
    downsampling: Some(Downsampling {
        levels_ms: [5 * 60_000, 60 * 60_000],
        // With `--query.auto-downsampling`.
        parts_of_step: 5,
        // A query frontend drops a resolution of 0 (`EncodeRequest` in pkg/queryfrontend/queryrange_codec.go). A millisecond is as
        // good, and is not dropped.
        raw: "1ms",
    }),
    honours: [
        Honours::As("timeout, of queries; Query Frontend does not pass it on to Query"),
        Honours::As("limit, of series, labels and their values, not of queries: the answer is cut, with a warning"),
        Honours::Not,
        Honours::Not,
    ],
    serves_alerts: false,
    errors: ErrorShape::Prometheus,
    pages: Some(pages::THANOS),
};

/// Cortex 1.21 and Mimir 3.0.
const CORTEX: Profile = Profile {
    name: "cortex",
    tenant_header: "X-Scope-OrgID",
    isolates_tenants: true,
    // `-http.prometheus-http-prefix` and `-http.prefix` of Cortex; Mimir serves the first.
    path_prefixes: &["/prometheus", "/api/prom"],
    not_at_root: Some("unprefixed /api/v1/rules, for one, is rule configuration"),
    needs_second_matcher: false,
    // `align_queries_with_step`.
    aligns_to_step: true,
    // `-querier.split-queries-by-interval`; `-query-frontend.split-queries-by-interval` of Mimir.
    splits_queries: true,
    default_step: None,
    downsampling: None,
    honours: [
        Honours::As("timeout, of queries; a query frontend does not pass it on to queriers"),
        Honours::As("limit, of series, labels and their values, not of queries: the answer is cut, with a warning"),
        Honours::Not,
        Honours::Not,
    ],
    serves_alerts: false,
    errors: ErrorShape::Prometheus,
    pages: None,
};

impl Upstream {
    /// Every kind.
    pub const ALL: [Upstream; 4] = [Upstream::Prometheus, Upstream::Thanos, Upstream::Cortex, Upstream::Alertmanager];

    /// What is known of this kind.
    pub const fn profile(self) -> &'static Profile {
        match self {
            Upstream::Prometheus => &PROMETHEUS,
            Upstream::Thanos => &THANOS,
            Upstream::Cortex => &CORTEX,
            Upstream::Alertmanager => &ALERTMANAGER,
        }
    }

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        self.profile().name
    }
}

impl DefaultStep {
    /// The step in nanoseconds; start and end are in milliseconds.
    pub fn nanoseconds(self, start_ms: i64, end_ms: i64) -> i64 {
        let seconds = (end_ms.saturating_sub(start_ms) / 1_000).checked_div(self.parts).unwrap_or(0);
        seconds.max(self.least_seconds).saturating_mul(1_000_000_000)
    }
}
