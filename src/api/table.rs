//! The rows. The first one that matches decides, so exact paths stand before the ones below which everything is refused.
//!
//! Sources: `Register` in Prometheus 3.16's web/api/v1/api.go and web/web.go; `Register` in Thanos 0.42.5's
//! pkg/api/query/v1.go; `NewQuerierHandler` in Cortex's pkg/api/handlers.go; Mimir's HTTP API reference.

use super::alertmanager as am;
use super::parameters as with;
use super::{
    Answer, Empty, ErrorShape, Method, Neutral, Parameter, Path, Protocol, Route, Rule, Switch, Times, Upstream,
};

// Each row names its upstreams: a new kind is served nothing until rows name it.
const EVERY: &[Upstream] = &Upstream::ALL;
/// Those that are queried in PromQL.
const ALL: &[Upstream] = &[Upstream::Prometheus, Upstream::Thanos, Upstream::Cortex];
const PROMETHEUS: &[Upstream] = &[Upstream::Prometheus];
const THANOS: &[Upstream] = &[Upstream::Thanos];
const CORTEX: &[Upstream] = &[Upstream::Cortex];
const NOT_THANOS: &[Upstream] = &[Upstream::Prometheus, Upstream::Cortex];
const NOT_PROMETHEUS: &[Upstream] = &[Upstream::Thanos, Upstream::Cortex];
pub(super) const NOT_CORTEX: &[Upstream] = &[Upstream::Prometheus, Upstream::Thanos];

pub(super) const GET: &[Method] = &[Method::Get];
const BOTH: &[Method] = &[Method::Get, Method::Post];
const POST: &[Method] = &[Method::Post];
const HEALTH: &[Method] = &[Method::Get, Method::Head];

const REMOTE_READ: &str = "this upstream serves no remote read: send queries instead";
const NO_TENANT_IN_WRITES: &str = "nothing in a write to Prometheus says whose it is: write to Thanos Receive, Cortex or Mimir, or give each tenant a \
                                   Prometheus of its own";
const WRITES: &str = "this upstream takes no writes here: ask the operator where to write";
const UNSCOPED: &str = "its answer can't be scoped to a tenant";
const OPERATORS: &str = "it is the operator's, not a tenant's";

/// What stands for a path of `passthrough_paths`.
pub static PASSTHROUGH: Route = Route {
    answer: Answer::Untouched,
    ..row("passthrough", EVERY, Path::Exact(""), BOTH, Rule::Passthrough, with::NONE)
};

/// The table.
pub static TABLE: &[Route] = &[
    instant("query", PROMETHEUS, "/api/v1/query", with::PROMETHEUS_QUERY),
    analyzed(instant("query", THANOS, "/api/v1/query", with::THANOS_QUERY)),
    instant("query", CORTEX, "/api/v1/query", with::CORTEX_QUERY),
    range("query_range", PROMETHEUS, "/api/v1/query_range", with::PROMETHEUS_QUERY_RANGE),
    analyzed(range("query_range", THANOS, "/api/v1/query_range", with::THANOS_QUERY_RANGE)),
    range("query_range", CORTEX, "/api/v1/query_range", with::CORTEX_QUERY_RANGE),
    explained(instant("query_explain", THANOS, "/api/v1/query_explain", with::THANOS_QUERY)),
    explained(range("query_range_explain", THANOS, "/api/v1/query_range_explain", with::THANOS_QUERY_RANGE)),
    // Filtered whatever the upstream is: Thanos drops matchers on external labels on the way to its stores (`matchesExternalLabels` in
    // pkg/exemplars/proxy.go, 0.42.5), and `upstream` may have been left at its default in front of a Thanos.
    exemplars(ALL),
    selectors("series", NOT_THANOS, Path::Exact("/api/v1/series"), BOTH, with::METADATA),
    selectors("series", THANOS, Path::Exact("/api/v1/series"), BOTH, with::THANOS_SERIES),
    selectors("labels", NOT_THANOS, Path::Exact("/api/v1/labels"), BOTH, with::METADATA),
    selectors("labels", THANOS, Path::Exact("/api/v1/labels"), BOTH, with::THANOS_LABELS),
    selectors("label_values", NOT_THANOS, Path::Around("/api/v1/label/", "/values"), GET, with::METADATA),
    selectors("label_values", THANOS, Path::Around("/api/v1/label/", "/values"), GET, with::THANOS_LABELS),
    lines("search_metric_names", PROMETHEUS, "/api/v1/search/metric_names", with::SEARCH_NAMES),
    lines("search_label_names", PROMETHEUS, "/api/v1/search/label_names", with::SEARCH_NAMES),
    lines("search_label_values", PROMETHEUS, "/api/v1/search/label_values", with::SEARCH_VALUES),
    federate(PROMETHEUS, "/federate", with::FEDERATE),
    forward("format_query", NOT_THANOS, "/api/v1/format_query", BOTH, with::EXPRESSION),
    forward("parse_query", NOT_THANOS, "/api/v1/parse_query", BOTH, with::EXPRESSION),
    forward("buildinfo", ALL, "/api/v1/status/buildinfo", GET, with::NONE),
    forward("features", ALL, "/api/v1/features", GET, with::NONE),
    health("healthy", "/-/healthy"),
    health("ready", "/-/ready"),
    filtered("rules", NOT_CORTEX, "/api/v1/rules", with::RULES, Answer::Rules),
    one_tenant(filtered("rules", CORTEX, "/api/v1/rules", with::CORTEX_RULES, Answer::Rules)),
    filtered("alerts", PROMETHEUS, "/api/v1/alerts", with::NONE, Answer::Alerts),
    // Thanos puts external labels on rules, and not on the alerts in them (`enrichRulesWithExtLabels` in pkg/rules/prometheus.go, 0.42.5),
    // so that its list of alerts does not say whose they are (`NewAlertsHandler` in pkg/api/query/v1.go).
    asking(
        "/api/v1/rules",
        ("type", "alert"),
        filtered("alerts", THANOS, "/api/v1/alerts", with::NONE, Answer::AlertsOfRules),
    ),
    one_tenant(filtered("alerts", CORTEX, "/api/v1/alerts", with::NONE, Answer::Alerts)),
    // What Cortex and Mimir isolate by the header. Mimir's `status/config` and `status/flags` are empty objects, for Grafana.
    by_header("metadata", CORTEX, "/api/v1/metadata", GET, with::METRIC_METADATA),
    by_header("status", CORTEX, "/api/v1/status/config", GET, with::NONE),
    by_header("status", CORTEX, "/api/v1/status/flags", GET, with::NONE),
    cardinality("/api/v1/cardinality/label_names", with::CARDINALITY),
    cardinality("/api/v1/cardinality/label_values", with::CARDINALITY_OF_VALUES),
    cardinality("/api/v1/cardinality/active_series", with::ACTIVE_SERIES),
    cardinality("/api/v1/cardinality/active_native_histogram_metrics", with::ACTIVE_SERIES),
    unread_by_header("read", CORTEX, "/api/v1/read"),
    remote_read(PROMETHEUS, "/api/v1/read"),
    refuse("read", THANOS, Path::Exact("/api/v1/read"), REMOTE_READ),
    // `Handler` in Thanos 0.42.5's pkg/receive/handler.go; `RegisterDistributor` in Cortex 1.21's pkg/api/api.go; Mimir's HTTP API
    // reference. Cortex and Mimir take writes at the root, beside the prefix of their query API.
    write("write", THANOS, "/api/v1/receive", Protocol::RemoteWrite),
    write("otlp", THANOS, "/api/v1/otlp", Protocol::Otlp),
    at_root(write("write", CORTEX, "/api/v1/push", Protocol::RemoteWrite)),
    write("write", CORTEX, "/push", Protocol::RemoteWrite),
    at_root(write("otlp", CORTEX, "/api/v1/otlp/v1/metrics", Protocol::Otlp)),
    at_root(write("otlp", CORTEX, "/otlp/v1/metrics", Protocol::Otlp)),
    at_root(influx(write("influx", CORTEX, "/api/v1/push/influx/write", Protocol::Influx))),
    refuse("write", PROMETHEUS, Path::Exact("/api/v1/write"), NO_TENANT_IN_WRITES),
    refuse("write", NOT_PROMETHEUS, Path::Exact("/api/v1/write"), WRITES),
    refuse("otlp", PROMETHEUS, Path::Below("/api/v1/otlp/"), NO_TENANT_IN_WRITES),
    refuse("otlp", NOT_PROMETHEUS, Path::Below("/api/v1/otlp/"), WRITES),
    neutral(Neutral::Object, switched(Switch::Metadata, metadata(NOT_CORTEX, "/api/v1/metadata"))),
    neutral(
        Neutral::Targets,
        switched(Switch::Metadata, filtered("targets", NOT_CORTEX, "/api/v1/targets", with::TARGETS, Answer::Targets)),
    ),
    switched(Switch::Metadata, targets_metadata(PROMETHEUS, "/api/v1/targets/metadata")),
    refuse("targets", CORTEX, Path::Exact("/api/v1/targets"), UNSCOPED),
    refuse("targets", ALL, Path::Below("/api/v1/targets/"), UNSCOPED),
    neutral(Neutral::ScrapePools, refuse("scrape_pools", ALL, Path::Exact("/api/v1/scrape_pools"), UNSCOPED)),
    refuse("scrape_pools", ALL, Path::Below("/api/v1/scrape_pools/"), UNSCOPED),
    neutral(Neutral::Flags, refuse("status", THANOS, Path::Exact("/api/v1/status/flags"), UNSCOPED)),
    neutral(Neutral::Replay, refuse("status", PROMETHEUS, Path::Exact("/api/v1/status/walreplay"), UNSCOPED)),
    refuse("status", ALL, Path::Below("/api/v1/status/"), UNSCOPED),
    neutral(Neutral::Object, refuse("stores", ALL, Path::Exact("/api/v1/stores"), UNSCOPED)),
    refuse("alertmanagers", ALL, Path::Exact("/api/v1/alertmanagers"), UNSCOPED),
    neutral(Neutral::List, refuse("notifications", ALL, Path::Exact("/api/v1/notifications"), UNSCOPED)),
    neutral(Neutral::NoStream, refuse("notifications", ALL, Path::Exact("/api/v1/notifications/live"), UNSCOPED)),
    refuse("notifications", ALL, Path::Below("/api/v1/notifications/"), UNSCOPED),
    refuse("cardinality", CORTEX, Path::Below("/api/v1/cardinality/"), UNSCOPED),
    refuse("admin", ALL, Path::Below("/api/v1/admin/"), OPERATORS),
    refuse("metrics", EVERY, Path::Exact("/metrics"), OPERATORS),
    refuse("debug", EVERY, Path::Below("/debug/"), OPERATORS),
    am::ROW_ALERTS,
    am::ROW_GROUPS,
    am::ROW_SILENCES,
    am::ROW_SILENCE,
    am::ROW_RECEIVERS,
    am::ROW_STATUS,
    am::CORTEX_ALERTS,
    am::CORTEX_GROUPS,
    am::CORTEX_SILENCES,
    am::CORTEX_SILENCE,
    am::CORTEX_RECEIVERS,
    am::CORTEX_STATUS,
    am::CORTEX_BUILDINFO,
];

/// Remote read of an upstream that isolates tenants by the header, where the filter enforces the tenant's matchers as well.
pub static ENFORCED_READ: Route = remote_read(CORTEX, "/api/v1/read");

/// What most rows have in common. Each kind of row says what differs.
pub const fn row(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: Path,
    methods: &'static [Method],
    rule: Rule,
    parameters: &'static [Parameter],
) -> Route {
    Route {
        handler,
        upstreams,
        path,
        methods,
        needs_tenant: true,
        rule,
        parameters,
        times: Times::Unread,
        evaluates: false,
        empty: None,
        answer: Answer::Messages,
        errors: ErrorShape::Prometheus,
        one_tenant: false,
        instead: None,
        at_root: false,
        switch: None,
        neutral: None,
    }
}

const fn instant(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
) -> Route {
    Route {
        times: Times::Instant,
        evaluates: true,
        empty: Some(Empty::Vector),
        ..row(handler, upstreams, Path::Exact(path), BOTH, Rule::Queries, parameters)
    }
}

const fn range(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
) -> Route {
    Route {
        times: Times::Range,
        evaluates: true,
        empty: Some(Empty::Matrix),
        ..row(handler, upstreams, Path::Exact(path), BOTH, Rule::Queries, parameters)
    }
}

const fn analyzed(route: Route) -> Route {
    Route { answer: Answer::Analyzed, ..route }
}

/// A plan is never empty.
const fn explained(route: Route) -> Route {
    Route { answer: Answer::Explained, empty: None, ..route }
}

const fn exemplars(upstreams: &'static [Upstream]) -> Route {
    let path = Path::Exact("/api/v1/query_exemplars");
    Route {
        times: Times::Between,
        empty: Some(Empty::List),
        answer: Answer::Exemplars,
        ..row("query_exemplars", upstreams, path, BOTH, Rule::Queries, with::EXEMPLARS)
    }
}

const fn selectors(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: Path,
    methods: &'static [Method],
    parameters: &'static [Parameter],
) -> Route {
    Route {
        times: Times::Between,
        empty: Some(Empty::List),
        ..row(handler, upstreams, path, methods, Rule::Selectors, parameters)
    }
}

const fn lines(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
) -> Route {
    Route {
        times: Times::LastHour,
        empty: Some(Empty::Lines),
        answer: Answer::Lines,
        ..row(handler, upstreams, Path::Exact(path), BOTH, Rule::Selectors, parameters)
    }
}

const fn federate(upstreams: &'static [Upstream], path: &'static str, parameters: &'static [Parameter]) -> Route {
    Route {
        times: Times::Now,
        answer: Answer::Text,
        ..row("federate", upstreams, Path::Exact(path), GET, Rule::Selectors, parameters)
    }
}

const fn forward(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    methods: &'static [Method],
    parameters: &'static [Parameter],
) -> Route {
    row(handler, upstreams, Path::Exact(path), methods, Rule::Forward, parameters)
}

/// Whether the upstream runs: no tenant's data. Load balancers ask by HEAD too. Cortex and Mimir answer 404, but the operator's own probes
/// may be answered by the proxy behind the filter.
const fn health(handler: &'static str, path: &'static str) -> Route {
    Route {
        answer: Answer::Text,
        needs_tenant: false,
        ..row(handler, EVERY, Path::Exact(path), HEALTH, Rule::Forward, with::NONE)
    }
}

const fn filtered(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
    answer: Answer,
) -> Route {
    Route { answer, ..row(handler, upstreams, Path::Exact(path), GET, Rule::Filtered, parameters) }
}

/// `TenantID` in Cortex's and Mimir's handlers: several tenants are an error there.
const fn one_tenant(route: Route) -> Route {
    Route { one_tenant: true, ..route }
}

const fn asking(path: &'static str, parameter: (&'static str, &'static str), route: Route) -> Route {
    Route { instead: Some((path, parameter)), ..route }
}

const fn by_header(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    methods: &'static [Method],
    parameters: &'static [Parameter],
) -> Route {
    row(handler, upstreams, Path::Exact(path), methods, Rule::ByHeader, parameters)
}

/// Mimir's, which answers for one tenant, by an object without `status` and `data` (pkg/querier/cardinality_analysis_handler.go, 3.0): nothing but the
/// tenant's own series is in it.
const fn cardinality(path: &'static str, parameters: &'static [Parameter]) -> Route {
    Route { answer: Answer::Text, ..one_tenant(by_header("cardinality", CORTEX, path, BOTH, parameters)) }
}

/// The answer is binary, or one chunk after the other.
const fn unread_by_header(handler: &'static str, upstreams: &'static [Upstream], path: &'static str) -> Route {
    Route { answer: Answer::Text, ..row(handler, upstreams, Path::Exact(path), POST, Rule::ByHeaderUnread, with::NONE) }
}

/// Refused without this key of the configuration.
const fn switched(switch: Switch, route: Route) -> Route {
    Route { switch: Some(switch), ..route }
}

/// Answered so with `ui`, where it would be refused.
const fn neutral(answer: Neutral, route: Route) -> Route {
    Route { neutral: Some(answer), ..route }
}

const fn metadata(upstreams: &'static [Upstream], path: &'static str) -> Route {
    Route {
        answer: Answer::Metadata,
        ..row("metadata", upstreams, Path::Exact(path), GET, Rule::Metadata, with::METRIC_METADATA)
    }
}

const fn targets_metadata(upstreams: &'static [Upstream], path: &'static str) -> Route {
    Route {
        answer: Answer::TargetMetadata,
        ..row("targets_metadata", upstreams, Path::Exact(path), GET, Rule::Selectors, with::TARGETS_METADATA)
    }
}

/// Queries of a message count as evaluated ones: each reads as many samples as they do.
const fn remote_read(upstreams: &'static [Upstream], path: &'static str) -> Route {
    Route {
        times: Times::Message,
        evaluates: true,
        answer: Answer::Series,
        switch: Some(Switch::RemoteRead),
        ..row("read", upstreams, Path::Exact(path), POST, Rule::RemoteRead, with::NONE)
    }
}

const fn write(handler: &'static str, upstreams: &'static [Upstream], path: &'static str, protocol: Protocol) -> Route {
    Route {
        answer: Answer::Text,
        switch: Some(Switch::Writes),
        one_tenant: true,
        ..row(handler, upstreams, Path::Exact(path), POST, Rule::Write(protocol), with::NONE)
    }
}

const fn at_root(route: Route) -> Route {
    Route { at_root: true, ..route }
}

const fn influx(route: Route) -> Route {
    Route { parameters: with::INFLUX, ..route }
}

const fn refuse(handler: &'static str, upstreams: &'static [Upstream], path: Path, reason: &'static str) -> Route {
    Route { answer: Answer::None, ..row(handler, upstreams, path, &[], Rule::Refuse(reason), with::NONE) }
}
