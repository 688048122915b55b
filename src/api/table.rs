//! The rows. The first one that matches decides, so exact paths stand before the ones below which everything is refused.
//!
//! Sources: `Register` in Prometheus 3.16's web/api/v1/api.go and web/web.go; `Register` in Thanos 0.42.5's
//! pkg/api/query/v1.go; `NewQuerierHandler` in Cortex's pkg/api/handlers.go; Mimir's HTTP API reference.

use super::parameters as with;
use super::{Answer, Method, Parameter, Path, Route, Rule, Upstream};

const ALL: &[Upstream] = &Upstream::ALL;
const PROMETHEUS: &[Upstream] = &[Upstream::Prometheus];
const THANOS: &[Upstream] = &[Upstream::Thanos];
const CORTEX: &[Upstream] = &[Upstream::Cortex];
const NOT_THANOS: &[Upstream] = &[Upstream::Prometheus, Upstream::Cortex];
const NOT_CORTEX: &[Upstream] = &[Upstream::Prometheus, Upstream::Thanos];

const GET: &[Method] = &[Method::Get];
const BOTH: &[Method] = &[Method::Get, Method::Post];

const REMOTE_READ: &str = "remote read is not supported by this version";
const WRITES: &str = "writing is not supported by this version";
const UNSCOPED: &str = "its answer can't be scoped to a tenant";
const OPERATORS: &str = "it is the operator's, not a tenant's";

/// What stands for a path of `passthrough_paths`.
pub static PASSTHROUGH: Route = Route {
    handler: "passthrough",
    upstreams: ALL,
    path: Path::Exact(""),
    methods: BOTH,
    rule: Rule::Passthrough,
    parameters: with::NONE,
    answer: Answer::Untouched,
};

/// The table.
pub static TABLE: &[Route] = &[
    queries("query", PROMETHEUS, "/api/v1/query", with::PROMETHEUS_QUERY),
    analyzed("query", "/api/v1/query", with::THANOS_QUERY),
    queries("query", CORTEX, "/api/v1/query", with::CORTEX_QUERY),
    queries("query_range", PROMETHEUS, "/api/v1/query_range", with::PROMETHEUS_QUERY_RANGE),
    analyzed("query_range", "/api/v1/query_range", with::THANOS_QUERY_RANGE),
    queries("query_range", CORTEX, "/api/v1/query_range", with::CORTEX_QUERY_RANGE),
    explained("query_explain", "/api/v1/query_explain", with::THANOS_QUERY),
    explained("query_range_explain", "/api/v1/query_range_explain", with::THANOS_QUERY_RANGE),
    queries("query_exemplars", NOT_THANOS, "/api/v1/query_exemplars", with::EXEMPLARS),
    exemplars("query_exemplars", THANOS, "/api/v1/query_exemplars", with::EXEMPLARS),
    selectors("series", NOT_THANOS, Path::Exact("/api/v1/series"), BOTH, with::METADATA),
    selectors("series", THANOS, Path::Exact("/api/v1/series"), BOTH, with::THANOS_SERIES),
    selectors("labels", NOT_THANOS, Path::Exact("/api/v1/labels"), BOTH, with::METADATA),
    selectors("labels", THANOS, Path::Exact("/api/v1/labels"), BOTH, with::THANOS_LABELS),
    selectors("label_values", NOT_THANOS, Path::Around("/api/v1/label/", "/values"), GET, with::METADATA),
    selectors("label_values", THANOS, Path::Around("/api/v1/label/", "/values"), GET, with::THANOS_LABELS),
    lines("search_metric_names", PROMETHEUS, "/api/v1/search/metric_names", with::SEARCH_NAMES),
    lines("search_label_names", PROMETHEUS, "/api/v1/search/label_names", with::SEARCH_NAMES),
    lines("search_label_values", PROMETHEUS, "/api/v1/search/label_values", with::SEARCH_VALUES),
    text("federate", PROMETHEUS, "/federate", Rule::Selectors, with::FEDERATE),
    forward("format_query", NOT_THANOS, "/api/v1/format_query", BOTH, with::EXPRESSION),
    forward("parse_query", NOT_THANOS, "/api/v1/parse_query", BOTH, with::EXPRESSION),
    forward("buildinfo", ALL, "/api/v1/status/buildinfo", GET, with::NONE),
    forward("features", ALL, "/api/v1/features", GET, with::NONE),
    text("healthy", NOT_CORTEX, "/-/healthy", Rule::Forward, with::NONE),
    text("ready", NOT_CORTEX, "/-/ready", Rule::Forward, with::NONE),
    filtered("rules", ALL, "/api/v1/rules", with::RULES, Answer::Rules),
    filtered("alerts", ALL, "/api/v1/alerts", with::NONE, Answer::Alerts),
    refuse("read", ALL, Path::Exact("/api/v1/read"), REMOTE_READ),
    refuse("write", ALL, Path::Exact("/api/v1/write"), WRITES),
    refuse("write", ALL, Path::Below("/api/v1/otlp/"), WRITES),
    refuse("write", CORTEX, Path::Exact("/api/v1/push"), WRITES),
    refuse("write", CORTEX, Path::Exact("/push"), WRITES),
    refuse("metadata", ALL, Path::Exact("/api/v1/metadata"), UNSCOPED),
    refuse("targets", ALL, Path::Exact("/api/v1/targets"), UNSCOPED),
    refuse("targets", ALL, Path::Below("/api/v1/targets/"), UNSCOPED),
    refuse("scrape_pools", ALL, Path::Exact("/api/v1/scrape_pools"), UNSCOPED),
    refuse("scrape_pools", ALL, Path::Below("/api/v1/scrape_pools/"), UNSCOPED),
    refuse("status", ALL, Path::Below("/api/v1/status/"), UNSCOPED),
    refuse("stores", ALL, Path::Exact("/api/v1/stores"), UNSCOPED),
    refuse("alertmanagers", ALL, Path::Exact("/api/v1/alertmanagers"), UNSCOPED),
    refuse("notifications", ALL, Path::Exact("/api/v1/notifications"), UNSCOPED),
    refuse("notifications", ALL, Path::Below("/api/v1/notifications/"), UNSCOPED),
    refuse("cardinality", CORTEX, Path::Below("/api/v1/cardinality/"), UNSCOPED),
    refuse("admin", ALL, Path::Below("/api/v1/admin/"), OPERATORS),
    refuse("metrics", ALL, Path::Exact("/metrics"), OPERATORS),
    refuse("debug", ALL, Path::Below("/debug/"), OPERATORS),
];

const fn queries(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
) -> Route {
    Route {
        handler,
        upstreams,
        path: Path::Exact(path),
        methods: BOTH,
        rule: Rule::Queries,
        parameters,
        answer: Answer::Messages,
    }
}

const fn analyzed(handler: &'static str, path: &'static str, parameters: &'static [Parameter]) -> Route {
    Route { answer: Answer::Analyzed, ..queries(handler, THANOS, path, parameters) }
}

const fn explained(handler: &'static str, path: &'static str, parameters: &'static [Parameter]) -> Route {
    Route { answer: Answer::Explained, ..queries(handler, THANOS, path, parameters) }
}

const fn selectors(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: Path,
    methods: &'static [Method],
    parameters: &'static [Parameter],
) -> Route {
    Route { handler, upstreams, path, methods, rule: Rule::Selectors, parameters, answer: Answer::Messages }
}

const fn forward(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    methods: &'static [Method],
    parameters: &'static [Parameter],
) -> Route {
    Route {
        handler,
        upstreams,
        path: Path::Exact(path),
        methods,
        rule: Rule::Forward,
        parameters,
        answer: Answer::Messages,
    }
}

/// Exemplars on Thanos, which drops matchers on external labels on the way to its stores (`matchesExternalLabels` in
/// pkg/exemplars/proxy.go, 0.42.5).
const fn exemplars(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
) -> Route {
    Route { answer: Answer::Exemplars, ..queries(handler, upstreams, path, parameters) }
}

const fn lines(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
) -> Route {
    Route { answer: Answer::Lines, ..selectors(handler, upstreams, Path::Exact(path), BOTH, parameters) }
}

const fn text(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    rule: Rule,
    parameters: &'static [Parameter],
) -> Route {
    Route { handler, upstreams, path: Path::Exact(path), methods: GET, rule, parameters, answer: Answer::Text }
}

const fn filtered(
    handler: &'static str,
    upstreams: &'static [Upstream],
    path: &'static str,
    parameters: &'static [Parameter],
    answer: Answer,
) -> Route {
    Route { handler, upstreams, path: Path::Exact(path), methods: GET, rule: Rule::Filtered, parameters, answer }
}

const fn refuse(handler: &'static str, upstreams: &'static [Upstream], path: Path, reason: &'static str) -> Route {
    Route {
        handler,
        upstreams,
        path,
        methods: &[],
        rule: Rule::Refuse(reason),
        parameters: with::NONE,
        answer: Answer::None,
    }
}
