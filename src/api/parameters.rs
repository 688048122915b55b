//! The parameters that endpoints know: name, kind, and whether they can be repeated.
//!
//! A kind's check is never narrower than what upstream accepts: it keeps out what no upstream can read as that kind, and
//! leaves the rest of the judgement, and its words, to the upstream. An empty value always passes: upstreams take it as absent.

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A PromQL expression that is evaluated: rewritten.
    Query,
    /// A series selector: rewritten.
    Selector,
    /// A PromQL expression that is only formatted or parsed.
    Expression,
    /// A Unix time, RFC 3339, or a word such as `now`.
    Time(Moment),
    /// Seconds, or a Prometheus duration; Thanos also takes `auto`.
    Duration(Span),
    /// A decimal integer.
    Integer,
    /// What the upstream is to hold a query to: a tenant's limit is written where it is stricter.
    Capped(Cap),
    /// As Go's `strconv.ParseBool` reads it.
    Boolean,
    /// A word of an enumeration.
    Word,
    /// A word that asks for statistics, whatever it is.
    Statistics,
    /// Text of the client's own, such as a rule's name.
    Text,
    /// Which part of the rules, or which page of them, is asked for. It is dropped where the answer is filtered: a rule's state could
    /// not be worked out again, and the next page may be another tenant's.
    Part,
    /// A term that the upstream compares with each name or value.
    SearchTerm,
    /// The name of a label whose values are searched.
    LabelName,
    /// A label that Thanos takes out of the answer to merge replicas: never the tenant label.
    ReplicaLabel,
    /// Thanos's choice of stores, which would tell which stores there are: refused.
    StoreSelector,
}

/// What a time says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When an instant query is evaluated.
    Evaluation,
    /// Where the request's time range begins.
    Start,
    /// Where the request's time range ends.
    End,
}

/// What an upstream holds a query or a list to where a request says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Cap {
    /// How long a query may take: a duration.
    Time,
    /// How many series, names or values are returned.
    Items,
    /// How many series a query may select.
    Series,
    /// How many samples a query may read.
    Samples,
}

impl Cap {
    /// How many there are.
    pub const COUNT: usize = 4;
}

/// What a duration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The time between two evaluations of a range query.
    Step,
    /// How far back an instant selector looks.
    Lookback,
    /// How coarse the downsampled data may be that is read.
    SourceResolution,
    /// How long the query may take, of Prometheus's feature `query-cost` alone. It does not change what is read.
    Cost,
}

/// Time, duration, number, word: what is longer is none. A number may have many digits.
const MAX_SCALAR: usize = 1_024;
/// Free text.
const MAX_TEXT: usize = 4_096;
/// A search term. Prometheus compares each of up to 32 terms with each name (`jaroWinklerString` in util/strutil/jarowinkler.go, 3.16),
/// at a cost that is the product of both lengths.
pub const MAX_SEARCH_TERM: usize = 256;

impl Kind {
    /// Its name in the printed table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Query => "query, rewritten",
            Kind::Selector => "selector, rewritten",
            Kind::Expression => "expression",
            Kind::Time(_) => "time",
            Kind::Duration(_) => "duration",
            Kind::Capped(Cap::Time) => "duration, capped",
            Kind::Capped(Cap::Items | Cap::Series | Cap::Samples) => "integer, capped",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::Word | Kind::Statistics => "word",
            Kind::Text => "text",
            Kind::Part => "text, dropped where the answer is filtered",
            Kind::SearchTerm => "search term",
            Kind::LabelName => "label",
            Kind::ReplicaLabel => "label, not the tenant's",
            Kind::StoreSelector => "refused",
        }
    }

    /// Whether an upstream could read the value as this kind. What is rewritten is checked by its parser.
    pub fn accepts(self, value: &[u8]) -> bool {
        let is_scalar = |punctuation: &[u8]| {
            value.len() <= MAX_SCALAR
                && value.iter().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(byte))
        };
        match self {
            Kind::Query | Kind::Selector | Kind::Expression => true,
            // Numbers as `strconv.ParseFloat` takes them (also hexadecimal, with "_", "Inf"), RFC 3339, whose fraction may follow a comma, and
            // `now-1h`.
            Kind::Time(_) => is_scalar(b"+-.:,_"),
            Kind::Duration(_) | Kind::Capped(Cap::Time) => is_scalar(b"+-._"),
            Kind::Integer | Kind::Capped(Cap::Items | Cap::Series | Cap::Samples) => {
                is_scalar(b"+-") && value.iter().all(|byte| !byte.is_ascii_alphabetic())
            }
            Kind::Boolean => is_scalar(b""),
            Kind::Word | Kind::Statistics => is_scalar(b"-_."),
            Kind::SearchTerm => value.len() <= MAX_SEARCH_TERM,
            Kind::Text | Kind::Part | Kind::LabelName | Kind::ReplicaLabel | Kind::StoreSelector => {
                value.len() <= MAX_TEXT
            }
        }
    }
}

/// A parameter that an endpoint knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, decoded.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it may be given more than once in the same place.
    pub repeated: bool,
}

const fn one(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, repeated: false }
}

const fn many(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, repeated: true }
}

/// A PromQL expression.
pub const QUERY: Parameter = one("query", Kind::Query);
/// A series selector.
pub const MATCH: Parameter = many("match[]", Kind::Selector);
/// When an instant query is evaluated.
pub const TIME: Parameter = one("time", Kind::Time(Moment::Evaluation));
/// Where a time range begins.
pub const START: Parameter = one("start", Kind::Time(Moment::Start));
/// Where a time range ends.
pub const END: Parameter = one("end", Kind::Time(Moment::End));
/// The step of a range query.
pub const STEP: Parameter = one("step", Kind::Duration(Span::Step));
const TIMEOUT: Parameter = one("timeout", Kind::Capped(Cap::Time));
/// How far back an instant selector looks.
pub const LOOKBACK_DELTA: Parameter = one("lookback_delta", Kind::Duration(Span::Lookback));
const LIMIT: Parameter = one("limit", Kind::Integer);
/// The same parameter, where every upstream of the row holds the answer to it.
const ITEMS: Parameter = one("limit", Kind::Capped(Cap::Items));
const STATS: Parameter = one("stats", Kind::Statistics);
// Prometheus 3.16, feature `query-cost`: estimates and limits that concern the rewritten query's own selectors only
// (promql/estimate.go).
const COST: Parameter = one("cost", Kind::Boolean);
const MAX_SERIES: Parameter = one("max_series", Kind::Capped(Cap::Series));
const MAX_SAMPLES_READ: Parameter = one("max_samples_read", Kind::Capped(Cap::Samples));
const MAX_QUERY_DURATION: Parameter = one("max_query_duration", Kind::Duration(Span::Cost));
// Thanos 0.42.5, pkg/api/query/v1.go. `shard_info` is JSON that Query Frontend sends to Query; it only narrows an answer.
const DEDUP: Parameter = one("dedup", Kind::Boolean);
const PARTIAL_RESPONSE: Parameter = one("partial_response", Kind::Boolean);
/// Thanos: how coarse the downsampled data may be that is read.
pub const MAX_SOURCE_RESOLUTION: Parameter = one("max_source_resolution", Kind::Duration(Span::SourceResolution));
const REPLICA_LABELS: Parameter = many("replicaLabels[]", Kind::ReplicaLabel);
const STORE_MATCH: Parameter = many("storeMatch[]", Kind::StoreSelector);
const SHARD_INFO: Parameter = one("shard_info", Kind::Text);
const ENGINE: Parameter = one("engine", Kind::Word);
const ANALYZE: Parameter = one("analyze", Kind::Word);
// Prometheus 3.16, web/api/v1/search.go.
const SEARCH: Parameter = many("search[]", Kind::SearchTerm);
const FUZZ_THRESHOLD: Parameter = one("fuzz_threshold", Kind::Integer);
const FUZZ_ALG: Parameter = one("fuzz_alg", Kind::Word);
const CASE_SENSITIVE: Parameter = one("case_sensitive", Kind::Boolean);
const INCLUDE_SCORE: Parameter = one("include_score", Kind::Boolean);
const SORT_BY: Parameter = one("sort_by", Kind::Word);
const SORT_DIR: Parameter = one("sort_dir", Kind::Word);
const BATCH_SIZE: Parameter = one("batch_size", Kind::Integer);
const LABEL: Parameter = one("label", Kind::LabelName);

/// No parameter at all.
pub const NONE: &[Parameter] = &[];
/// `query` of Prometheus: `query` in web/api/v1/api.go, 3.16.
pub const PROMETHEUS_QUERY: &[Parameter] =
    &[QUERY, TIME, TIMEOUT, LOOKBACK_DELTA, ITEMS, STATS, COST, MAX_SERIES, MAX_SAMPLES_READ, MAX_QUERY_DURATION];
/// `query_range` of Prometheus.
pub const PROMETHEUS_QUERY_RANGE: &[Parameter] = &[
    QUERY,
    START,
    END,
    STEP,
    TIMEOUT,
    LOOKBACK_DELTA,
    ITEMS,
    STATS,
    COST,
    MAX_SERIES,
    MAX_SAMPLES_READ,
    MAX_QUERY_DURATION,
];
/// `query` of Cortex and Mimir, which take Prometheus's.
pub const CORTEX_QUERY: &[Parameter] = &[QUERY, TIME, TIMEOUT, LOOKBACK_DELTA, LIMIT, STATS];
/// `query_range` of Cortex and Mimir.
pub const CORTEX_QUERY_RANGE: &[Parameter] = &[QUERY, START, END, STEP, TIMEOUT, LOOKBACK_DELTA, LIMIT, STATS];
/// `query` and `query_explain` of Thanos.
pub const THANOS_QUERY: &[Parameter] = &[
    QUERY,
    TIME,
    TIMEOUT,
    LOOKBACK_DELTA,
    STATS,
    DEDUP,
    PARTIAL_RESPONSE,
    MAX_SOURCE_RESOLUTION,
    REPLICA_LABELS,
    STORE_MATCH,
    SHARD_INFO,
    ENGINE,
    ANALYZE,
];
/// `query_range` and `query_range_explain` of Thanos.
pub const THANOS_QUERY_RANGE: &[Parameter] = &[
    QUERY,
    START,
    END,
    STEP,
    TIMEOUT,
    LOOKBACK_DELTA,
    STATS,
    DEDUP,
    PARTIAL_RESPONSE,
    MAX_SOURCE_RESOLUTION,
    REPLICA_LABELS,
    STORE_MATCH,
    SHARD_INFO,
    ENGINE,
    ANALYZE,
];
/// `query_exemplars`.
pub const EXEMPLARS: &[Parameter] = &[QUERY, START, END];
/// `series`, `labels` and label values of Prometheus, Cortex and Mimir.
pub const METADATA: &[Parameter] = &[MATCH, START, END, ITEMS];
/// `labels` and label values of Thanos.
pub const THANOS_LABELS: &[Parameter] = &[MATCH, START, END, ITEMS, PARTIAL_RESPONSE, STORE_MATCH];
/// `series` of Thanos.
pub const THANOS_SERIES: &[Parameter] =
    &[MATCH, START, END, ITEMS, PARTIAL_RESPONSE, STORE_MATCH, DEDUP, REPLICA_LABELS];
/// `/federate`: web/federate.go.
pub const FEDERATE: &[Parameter] = &[MATCH];
/// `search/metric_names` (without `include_metadata`, whose texts are every tenant's) and `search/label_names`.
/// Where lines are written to, and the unit of their times (Mimir's pkg/distributor/influxpush).
pub const INFLUX: &[Parameter] =
    &[one("bucket", Kind::Text), one("db", Kind::Text), one("precision", Kind::Word), one("rp", Kind::Text)];

pub const SEARCH_NAMES: &[Parameter] = &[
    MATCH,
    START,
    END,
    SEARCH,
    FUZZ_THRESHOLD,
    FUZZ_ALG,
    CASE_SENSITIVE,
    INCLUDE_SCORE,
    SORT_BY,
    SORT_DIR,
    LIMIT,
    BATCH_SIZE,
];
/// `search/label_values`.
pub const SEARCH_VALUES: &[Parameter] = &[
    MATCH,
    START,
    END,
    LABEL,
    SEARCH,
    FUZZ_THRESHOLD,
    FUZZ_ALG,
    CASE_SENSITIVE,
    INCLUDE_SCORE,
    SORT_BY,
    SORT_DIR,
    LIMIT,
    BATCH_SIZE,
];
/// `rules`. Not among them: `exclude_alerts`, without which a rule's state can't be worked out again; `group_limit` and
/// `group_next_token`, since the next group may be another tenant's. Without these, the answer is whole.
pub const RULES: &[Parameter] = &[
    MATCH,
    one("type", Kind::Word),
    many("rule_name[]", Kind::Text),
    many("rule_group[]", Kind::Text),
    many("file[]", Kind::Text),
];
/// `rules` of Cortex (`PrometheusRules` in pkg/ruler/api.go, 1.21) and Mimir (pkg/ruler/api.go, 3.0).
pub const CORTEX_RULES: &[Parameter] = &[
    MATCH,
    one("type", Kind::Word),
    many("rule_name[]", Kind::Text),
    many("rule_group[]", Kind::Text),
    many("file[]", Kind::Text),
    one("exclude_alerts", Kind::Part),
    one("group_limit", Kind::Part),
    one("group_next_token", Kind::Part),
];
/// `targets` (`targets` in Prometheus 3.16's web/api/v1/api.go, `NewTargetsHandler` in Thanos 0.42.5's pkg/api/query/v1.go).
pub const TARGETS: &[Parameter] = &[one("scrapePool", Kind::Text), one("state", Kind::Word)];
/// `targets/metadata`, which reads the first `match_target` of several.
pub const TARGETS_METADATA: &[Parameter] = &[one("match_target", Kind::Selector), one("metric", Kind::Text), LIMIT];
/// `metadata`.
pub const METRIC_METADATA: &[Parameter] = &[one("metric", Kind::Text), LIMIT, one("limit_per_metric", Kind::Integer)];
/// A selector that the upstream reads and that needs no matcher, since the header isolates the tenant.
const CARDINALITY_SELECTOR: Parameter = one("selector", Kind::Expression);
const COUNT_METHOD: Parameter = one("count_method", Kind::Word);
/// `cardinality/label_names` of Mimir: pkg/cardinality/request.go, 3.0.
pub const CARDINALITY: &[Parameter] = &[CARDINALITY_SELECTOR, COUNT_METHOD, LIMIT];
/// `cardinality/label_values` of Mimir.
pub const CARDINALITY_OF_VALUES: &[Parameter] =
    &[many("label_names[]", Kind::Text), CARDINALITY_SELECTOR, COUNT_METHOD, LIMIT];
/// `cardinality/active_series` and `cardinality/active_native_histogram_metrics` of Mimir.
pub const ACTIVE_SERIES: &[Parameter] = &[CARDINALITY_SELECTOR];
/// A matcher of alerts, silences or receivers, which is ANDed with the tenant's.
const FILTER: Parameter = many("filter", Kind::Text);
const RECEIVER_MATCHERS: Parameter = many("receiver_matchers", Kind::Text);
const RECEIVER: Parameter = one("receiver", Kind::Text);
const ACTIVE: Parameter = one("active", Kind::Boolean);
const SILENCED: Parameter = one("silenced", Kind::Boolean);
const INHIBITED: Parameter = one("inhibited", Kind::Boolean);
/// `alerts` of Alertmanager: api/v2/openapi.yaml, 0.35.
pub const AM_ALERTS: &[Parameter] =
    &[FILTER, ACTIVE, SILENCED, INHIBITED, one("unprocessed", Kind::Boolean), RECEIVER, RECEIVER_MATCHERS];
/// `alerts/groups`.
pub const AM_GROUPS: &[Parameter] =
    &[FILTER, ACTIVE, SILENCED, INHIBITED, one("muted", Kind::Boolean), RECEIVER, RECEIVER_MATCHERS];
/// `silences`.
pub const AM_SILENCES: &[Parameter] = &[FILTER, ACTIVE, one("expired", Kind::Boolean), one("pending", Kind::Boolean)];
/// `receivers`.
pub const AM_RECEIVERS: &[Parameter] = &[RECEIVER_MATCHERS];
/// `format_query` and `parse_query`, which read no series.
pub const EXPRESSION: &[Parameter] = &[one("query", Kind::Expression)];

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_upstreams_accept_is_accepted() {
        let accepted: &[(Kind, &[&str])] = &[
            (
                TIME.kind,
                &[
                    "",
                    "0",
                    "1435781430.781",
                    "-1",
                    "+1e9",
                    "0x1p-2",
                    "0x_1p4",
                    "Inf",
                    "-Inf",
                    "NaN",
                    "2015-07-01T20:10:30.781Z",
                    "2015-07-01T20:10:30+02:00",
                    "-292273086-05-16T16:47:06Z",
                    "now",
                    "now-1h",
                ],
            ),
            (STEP.kind, &["", "15", "0.5", "1e3", "5m", "1h30m", "100ms", "-5m", "auto", "Inf"]),
            (Kind::Integer, &["", "0", "-1", "+10", "18446744073709551615"]),
            (Kind::Boolean, &["", "1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"]),
            (Kind::Word, &["", "all", "true", "thanos", "prometheus", "jarowinkler", "1"]),
            (Kind::Text, &["", "any text; at all\n", "{\"by\":true}"]),
        ];
        for (kind, values) in accepted {
            for value in *values {
                assert!(kind.accepts(value.as_bytes()), "{kind:?} {value}");
            }
        }
    }

    #[test]
    fn what_no_upstream_reads_is_refused() {
        let refused: &[(Kind, &[&str])] = &[
            (TIME.kind, &["{}", "1;2", "a b", "é", "1\n", "%31"]),
            (STEP.kind, &["5m;", "{a=\"b\"}", "1:2", "5 m"]),
            (Kind::Integer, &["1.5", "1e3", "0x10", "ten", "1_000"]),
            (Kind::Boolean, &["tr ue", "\"true\"", "-1"]),
            (Kind::Word, &["a b", "a{", "a\"", "a/b"]),
        ];
        for (kind, values) in refused {
            for value in *values {
                assert!(!kind.accepts(value.as_bytes()), "{kind:?} {value}");
            }
        }
        for kind in [TIME.kind, STEP.kind, Kind::Integer, Kind::Boolean, Kind::Word] {
            assert!(kind.accepts(&[b'1'; MAX_SCALAR]) && !kind.accepts(&[b'1'; MAX_SCALAR + 1]), "{kind:?}");
        }
        for kind in [Kind::Text, Kind::Part, Kind::ReplicaLabel] {
            assert!(kind.accepts(&[b'1'; MAX_TEXT]) && !kind.accepts(&[b'1'; MAX_TEXT + 1]), "{kind:?}");
        }
        let term = SEARCH.kind;
        assert!(term.accepts(&[b'1'; MAX_SEARCH_TERM]) && !term.accepts(&[b'1'; MAX_SEARCH_TERM + 1]));
    }
}
