//! Messages of request checks, time-outs and limits that pass, each with the source where it stands.
//!
//! ```text
//! message = [ "expanding series: " ] ( one of `TABLE` / one of `MIMIR` )      passes as it is
//!         / one of `CUT`                                                     passes without what stands in its hole
//! hole    = "%d" digits, at most 20 / "%s" a duration of Go or Prometheus, at most 24 characters: 1h30m0s, 1.5s, 30d
//! ```
//!
//! No address, label set or tenant's ID fits into a hole that passes. What an upstream quotes in the hole of a message of `CUT` is not compared with what
//! the client sent, so it is replaced by `…`: the client knows what it sent.

/// Where a text stands. Tests read it; the module has none of it.
#[derive(Debug, Clone, Copy)]
struct Source(#[cfg(test)] &'static str);

#[cfg(test)]
const fn at(file: &'static str) -> Source {
    Source(file)
}

#[cfg(not(test))]
const fn at(_file: &'static str) -> Source {
    Source()
}

/// A text, and its source.
type Row = (&'static str, Source);

const TABLE: &[Row] = &[
    ("context deadline exceeded", at("Thanos 0.42.5, internal/cortex/frontend/transport/handler.go")),
    ("context canceled", at("Thanos 0.42.5, internal/cortex/frontend/transport/handler.go")),
    ("no matchers specified (excluding external labels)", at("Thanos 0.42.5, pkg/store/tsdb.go")),
    ("no matchers specified (excluding selector labels)", at("Thanos 0.42.5, pkg/store/proxy.go")),
    ("label name parameter cannot be empty", at("Thanos 0.42.5, pkg/store/proxy.go")),
    ("invalid engine parameter", at("Thanos 0.42.5, pkg/api/query/grpc.go")),
    ("unknown service", at("grpc-go 1.81.1, health/server.go")),
    ("engine type must be 'thanos'", at("Thanos 0.42.5, pkg/api/query/v1.go")),
    ("Query not explainable", at("Thanos 0.42.5, pkg/api/query/v1.go")),
    ("Query fallback to prometheus engine; not analyzable.", at("Thanos 0.42.5, pkg/api/query/v1.go")),
    ("Query not analyzable; change engine to 'thanos'.", at("Thanos 0.42.5, pkg/api/query/v1.go")),
    (
        "negative 'max_source_resolution' is not accepted. Try a positive integer",
        at("Thanos 0.42.5, pkg/api/query/v1.go"),
    ),
    ("end timestamp must not be before start timestamp", at("Prometheus 3.16, web/api/v1/api.go and search.go")),
    ("error parsing request form='match[]'", at("Thanos 0.42.5, pkg/api/query/v1.go")),
    ("limit %d overflows int32", at("Thanos 0.42.5, pkg/api/query/v1.go")),
    ("cannot parse parameter dedup", at("Thanos 0.42.5, pkg/queryfrontend/queryrange_codec.go")),
    ("cannot parse parameter max_source_resolution", at("Thanos 0.42.5, pkg/queryfrontend/queryrange_codec.go")),
    ("cannot parse parameter partial_response", at("Thanos 0.42.5, pkg/queryfrontend/queryrange_codec.go")),
    ("cannot parse parameter match[]", at("Thanos 0.42.5, pkg/queryfrontend/queryrange_codec.go")),
    (
        "negative max_source_resolution is not accepted. Try a positive integer",
        at("Thanos 0.42.5, pkg/queryfrontend/queryrange_codec.go"),
    ),
    ("no match[] parameter provided", at("Prometheus 3.16, web/api/v1/api.go")),
    ("limit must be a number", at("Prometheus 3.16, web/api/v1/api.go")),
    ("limit_per_metric must be a number", at("Prometheus 3.16, web/api/v1/api.go")),
    ("unavailable with Prometheus Agent", at("Prometheus 3.16, web/api/v1/api.go and search.go")),
    ("query cost duration exceeded", at("Prometheus 3.16, promql/engine.go")),
    ("too many search[] terms: got %d, maximum is %d", at("Prometheus 3.16, web/api/v1/search.go")),
    (
        "limit %d exceeds the configured maximum (%d, see --web.search.max-limit)",
        at("Prometheus 3.16, web/api/v1/search.go"),
    ),
    ("sort_dir is only valid when sort_by is set", at("Prometheus 3.16, web/api/v1/search.go")),
    ("sort_dir is not supported for sort_by=score", at("Prometheus 3.16, web/api/v1/search.go")),
    ("sort_by=score requires search[] to be set", at("Prometheus 3.16, web/api/v1/search.go")),
    ("search not supported by storage", at("Prometheus 3.16, web/api/v1/search.go")),
    ("missing required parameter \"label\"", at("Prometheus 3.16, web/api/v1/search.go")),
    ("too many outstanding requests", at("Cortex 1.21.1, pkg/scheduler/queue/queue.go")),
    (
        "the query hit the max number of series limit (limit: %d series)",
        at("Cortex 1.21.1, pkg/util/limiter/query_limiter.go"),
    ),
    (
        "the query hit the max number of chunks limit (limit: %d chunks)",
        at("Cortex 1.21.1, pkg/util/limiter/query_limiter.go"),
    ),
    (
        "the query hit the aggregated chunks size limit (limit: %d bytes)",
        at("Cortex 1.21.1, pkg/util/limiter/query_limiter.go"),
    ),
    (
        "the query hit the aggregated data size limit (limit: %d bytes)",
        at("Cortex 1.21.1, pkg/util/limiter/query_limiter.go"),
    ),
    (
        "the query response size exceeds limit (limit: %d bytes)",
        at("Cortex 1.21.1, pkg/util/limiter/response_size_limiter.go"),
    ),
    (
        "the query time range exceeds the limit (query length: %s, limit: %s)",
        at("Cortex 1.21.1, pkg/util/validation/validate.go"),
    ),
    (
        "This query does not perform well and has been rejected by the service operator.",
        at("Cortex 1.21.1, pkg/querier/tripperware/query_attribute_matcher.go"),
    ),
    ("http: request body too large", at("Cortex 1.21.1, pkg/frontend/transport/handler.go")),
    ("resource limit reached", at("Cortex 1.21.1, pkg/util/limiter/resource_based_limiter.go")),
    (
        "rpc error: code = ResourceExhausted desc = resource limit reached",
        at("Cortex 1.21.1, pkg/util/limiter/resource_based_limiter.go"),
    ),
    (
        "exceeded maximum resolution of %d points per timeseries in subquery. Try increasing the step size of your subquery",
        at("Cortex 1.21.1, pkg/querier/tripperware/subquery.go"),
    ),
    ("too many tenants, max: %d, actual: %d", at("Cortex 1.21.1, pkg/querier/tenantfederation/regex_resolver.go")),
    ("multiple org IDs present", at("weaveworks/common of 2023-07-28, user/id.go")),
    ("no org id", at("weaveworks/common of 2023-07-28, user/id.go")),
    (
        "the request has been blocked by the cluster administrator (err-mimir-query-blocked)",
        at("Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go"),
    ),
    (
        "the request has been blocked by the cluster administrator (err-mimir-request-blocked)",
        at("Mimir 3.0.5, pkg/frontend/querymiddleware/request_blocker.go"),
    ),
    (
        "results may be truncated due to querier.max-series-query-limit (requested limit: %d, enforced: %d)",
        at("Mimir 3.0.5, pkg/querier/errors.go"),
    ),
    (
        "results may be truncated due to querier.max-label-names-limit (requested limit: %d, enforced: %d)",
        at("Mimir 3.0.5, pkg/querier/errors.go"),
    ),
    (
        "results may be truncated due to querier.max-label-values-limit (requested limit: %d, enforced: %d)",
        at("Mimir 3.0.5, pkg/querier/errors.go"),
    ),
];

/// A per-tenant limit of Mimir: what it says, its ID, the setting that moves it, whether it comes with `STRATEGY`, and its source.
type MimirRow = (&'static str, &'static str, &'static str, bool, Source);

#[rustfmt::skip]
const MIMIR: &[MimirRow] = &[
    (
        "the query exceeded the maximum number of series (limit: %d series)",
        "max-series-per-query", "querier.max-fetched-series-per-query", true, at("Mimir 3.0.5, pkg/util/limiter/errors.go"),
    ),
    (
        "the query exceeded the aggregated chunks size limit (limit: %d bytes)",
        "max-chunks-bytes-per-query", "querier.max-fetched-chunk-bytes-per-query", true, at("Mimir 3.0.5, pkg/util/limiter/errors.go"),
    ),
    (
        "the query exceeded the maximum number of chunks (limit: %d chunks)",
        "max-chunks-per-query", "querier.max-fetched-chunks-per-query", true, at("Mimir 3.0.5, pkg/util/limiter/errors.go"),
    ),
    (
        "the estimated number of chunks for the query exceeded the maximum allowed (limit: %d chunks)",
        "max-estimated-chunks-per-query", "querier.max-estimated-fetched-chunks-per-query-multiplier", true, at("Mimir 3.0.5, pkg/util/limiter/errors.go"),
    ),
    (
        "the query exceeded the maximum allowed estimated amount of memory consumed by a single query (limit: %d bytes)",
        "max-estimated-memory-consumption-per-query", "querier.max-estimated-memory-consumption-per-query", true, at("Mimir 3.0.5, pkg/util/limiter/errors.go"),
    ),
    (
        "the query time range exceeds the limit (query length: %s, limit: %s)",
        "max-query-length", "querier.max-partial-query-length", false, at("Mimir 3.0.5, pkg/querier/errors.go"),
    ),
    (
        "the total query time range exceeds the limit (query length: %s, limit: %s)",
        "max-total-query-length", "query-frontend.max-total-query-length", false, at("Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go"),
    ),
    (
        "the raw query size in bytes exceeds the limit (query size: %d, limit: %d)",
        "max-query-expression-size-bytes", "query-frontend.max-query-expression-size-bytes", false, at("Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go"),
    ),
];

/// `cardinalityStrategy` in Mimir 3.0.5's pkg/util/limiter/query_limiter.go, between what `MessageWithStrategyAndPerTenantLimitConfig` puts around it
/// (pkg/util/globalerror/user.go).
const STRATEGY: &str = "). Consider reducing the time range and/or number of series selected by the query. One way to reduce the number of selected series is to add more label matchers to the query. Otherwise, to adjust the related per-tenant limit, configure -";
/// What `MessageWithPerTenantLimitConfig` puts there.
const CONFIG: &str = "). To adjust the related per-tenant limit, configure -";
const CONTACT: &str = ", or contact your service administrator.";

/// What stands before a hole and after it, and the source.
type CutRow = (&'static str, &'static str, Source);

const CUT: &[CutRow] = &[
    ("'dedup' parameter: ", "", THANOS),
    ("'partial_response' parameter: ", "", THANOS),
    ("'lookback_delta' parameter: ", "", THANOS),
    ("'max_source_resolution' parameter: ", "", THANOS),
    ("'step' parameter: ", "", THANOS),
    ("'", "' bad engine", THANOS),
    ("invalid rules parameter type='", "'", THANOS),
    ("invalid targets parameter state='", "'", THANOS),
    ("invalid metric metadata limit='", "'", THANOS),
    ("Invalid time value for 'time': ", "", THANOS),
    ("Invalid time value for 'start': ", "", THANOS),
    ("Invalid time value for 'end': ", "", THANOS),
    ("could not unmarshal parameter shard_info: ", "", THANOS),
    ("error parsing form values: ", "", API),
    ("error parsing lookback delta duration: ", "", API),
    ("error parsing max_series: ", "", API),
    ("error parsing max_samples_read: ", "", API),
    ("error parsing max_query_duration: ", "", API),
    ("cost estimation exceeded the query duration limit: ", "", API),
    ("invalid fuzz_threshold \"", "\": must be 0-100", SEARCH),
    ("unsupported fuzz_alg \"", "", SEARCH),
    ("invalid sort_by \"", "", SEARCH),
    ("invalid sort_dir \"", "\": must be \"asc\" or \"dsc\"", SEARCH),
    ("invalid limit \"", "\": must be a positive integer", SEARCH),
    ("invalid batch_size \"", "\": must be a positive integer", SEARCH),
    ("invalid case_sensitive \"", "\": must be boolean", SEARCH),
    ("invalid include_score \"", "\": must be boolean", SEARCH),
    ("invalid include_metadata \"", "\": must be boolean", SEARCH),
    (
        "the query hit the max number of chunks limit while fetching chunks from store-gateways for ",
        "",
        at("Cortex 1.21.1, pkg/querier/blocks_store_queryable.go"),
    ),
    ("the request has been blocked by the cluster administrator ", " (err-mimir-query-blocked)", MIDDLEWARE),
    (
        "the query has been limited by the cluster administrator, and is being run more frequently than the allowed frequency ",
        " (err-mimir-query-limited)",
        MIDDLEWARE,
    ),
    (
        "the bucket index is too old. It was last updated at ",
        " (err-mimir-bucket-index-too-old)",
        at("Mimir 3.0.5, pkg/querier/blocks_finder_bucket_index.go"),
    ),
    (
        "failed to fetch some blocks (err-mimir-store-consistency-check-failed)",
        "",
        at("Mimir 3.0.5, pkg/querier/blocks_store_queryable.go"),
    ),
];

const THANOS: Source = at("Thanos 0.42.5, pkg/api/query/v1.go");
const API: Source = at("Prometheus 3.16, web/api/v1/api.go");
const SEARCH: Source = at("Prometheus 3.16, web/api/v1/search.go");
const MIDDLEWARE: Source = at("Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go");

/// What the engines put before an error that came while they read series: promql/engine.go of Prometheus 3.16.
const EXPANDING: &str = "expanding series: ";

/// Whether a message passes as it is, or does so after `expanding series: `.
pub fn is_known(text: &str) -> bool {
    let text = text.strip_prefix(EXPANDING).unwrap_or(text);
    TABLE.iter().any(|(pattern, _)| matches(pattern, text)) || MIMIR.iter().any(|row| is_limit_of_mimir(row, text))
}

/// A message that passes without what stands in its hole: what stands before the hole, and after it.
pub fn cut(text: &str) -> Option<(&'static str, &'static str)> {
    let (before, after, _) =
        CUT.iter().find(|(before, after, _)| text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)))?;
    Some((before, after))
}

fn is_limit_of_mimir(&(pattern, id, setting, has_strategy, _): &MimirRow, text: &str) -> bool {
    let Some((message, rest)) = text.split_once(" (err-mimir-") else { return false };
    let rest = rest.strip_prefix(id).and_then(|rest| rest.strip_prefix(if has_strategy { STRATEGY } else { CONFIG }));
    rest.and_then(|rest| rest.strip_prefix(setting)) == Some(CONTACT) && matches(pattern, message)
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('%');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for part in parts {
        let (length, after) = match part.strip_prefix('d') {
            Some(after) => (rest.bytes().take_while(u8::is_ascii_digit).count(), after),
            None => (duration(rest), part.get(1..).unwrap_or_default()),
        };
        let Some(tail) = rest.get(length..).filter(|_| (1..=24).contains(&length)) else { return false };
        let Some(tail) = tail.strip_prefix(after) else { return false };
        rest = tail;
        // Of the text after the last hole nothing may be left.
    }
    rest.is_empty()
}

/// The length of the duration that a text begins with: numbers, each with a unit.
fn duration(text: &str) -> usize {
    let mut length = 0;
    let mut rest = text;
    loop {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let Some(name) =
            ["ms", "µs", "ns", "h", "m", "s", "d", "w", "y"].into_iter().find(|name| unit.starts_with(name))
        else {
            return length;
        };
        if unit.len() == rest.len() {
            return length;
        }
        rest = unit.get(name.len()..).unwrap_or_default();
        length = text.len() - rest.len();
    }
}

#[cfg(test)]
mod tests {
    use super::super::plain::PlainText;
    use super::super::{Content, Documents, Filter, Statistics};
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const PLANTED: [&str; 7] =
        ["team-b", "10.0.0.1:10901", "{tenant_id=\"team-b\"}", "", "1 team-b", "1h team-b", "thanos-b"];

    /// Every message that passes as it is, with its holes, and its source.
    fn all() -> Vec<(String, Source)> {
        let of_mimir = MIMIR.iter().map(|&(message, id, setting, has_strategy, source)| {
            let middle = if has_strategy { STRATEGY } else { CONFIG };
            ([message, " (err-mimir-", id, middle, setting, CONTACT].concat(), source)
        });
        TABLE.iter().map(|&(pattern, source)| (pattern.to_owned(), source)).chain(of_mimir).collect()
    }

    #[test]
    fn holes_take_numbers_and_durations_and_nothing_else() {
        for (pattern, source) in all() {
            let text = pattern.replace("%d", "100000").replace("%s", "1h30m0.5s");
            assert!(is_known(&text) && is_known(&format!("expanding series: {text}")), "{text}");
            assert!(source.0.contains(".go"), "{pattern} has no source");
            for planted in PLANTED {
                for hole in ["%d", "%s"] {
                    if pattern.contains(hole) {
                        let text = pattern.replacen(hole, planted, 1).replace("%d", "1").replace("%s", "1h");
                        assert!(!is_known(&text), "{text}");
                    }
                }
                if !planted.is_empty() {
                    assert!(
                        !is_known(&format!("{text}{planted}")) && !is_known(&format!("{planted}{text}")),
                        "{planted}"
                    );
                    assert!(!is_known(&format!("{text}: {planted}")));
                    for word in text.split(' ') {
                        assert!(
                            !is_known(&text.replacen(word, &[word, planted].concat(), 1)),
                            "{planted} after {word}"
                        );
                    }
                }
            }
        }
        assert!(!is_known("expanding series: expanding series: context canceled"));
    }

    #[test]
    fn plain_text_tells_of_a_hole_no_more_than_an_error_object() {
        let said = |text: &str| {
            let filter = Filter::new(Documents::One, Content::Dropped, Statistics::Unread);
            let (mut reader, mut out) = (PlainText::of_upstream(502, filter), Vec::new());
            reader.push(text.as_bytes(), true, &mut out);
            let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
            object["error"].as_str().unwrap().to_owned()
        };
        let fill = |pattern: &str| pattern.replace("%d", "1").replace("%s", "1h");
        let cut = CUT.iter().map(|(before, after, _)| [*before, "%s", *after].concat());
        for pattern in all().into_iter().map(|(pattern, _)| pattern).chain(cut) {
            for hole in ["%d", "%s"].into_iter().filter(|hole| pattern.contains(hole)) {
                for planted in PLANTED.into_iter().filter(|planted| !planted.is_empty()) {
                    let text = fill(&pattern.replacen(hole, planted, 1));
                    for shape in [
                        text.clone(),
                        [&text, "\n"].concat(),
                        ["{\"status\": \"error\", \"error\": \"", &text, "\"}"].concat(),
                        serde_json::json!({"status": "error", "error": text}).to_string(),
                    ] {
                        assert!(!said(&shape).contains(planted), "{shape}: {}", said(&shape));
                    }
                }
            }
        }
        assert_eq!(said("limit 7 overflows int32"), "limit 7 overflows int32");
    }

    #[test]
    fn limits_of_mimir_read_as_mimir_writes_them() {
        // Mimir 3.0.5, pkg/util/limiter/errors.go and pkg/util/globalerror/user.go.
        for text in [
            "the query exceeded the maximum number of series (limit: 5 series) (err-mimir-max-series-per-query). Consider reducing the time range and/or number of series selected by the query. One way to reduce the number of selected series is to add more label matchers to the query. Otherwise, to adjust the related per-tenant limit, configure -querier.max-fetched-series-per-query, or contact your service administrator.",
            "the total query time range exceeds the limit (query length: 48h0m0s, limit: 24h0m0s) (err-mimir-max-total-query-length). To adjust the related per-tenant limit, configure -query-frontend.max-total-query-length, or contact your service administrator.",
        ] {
            assert!(is_known(text), "{text}");
        }
    }

    #[test]
    fn nothing_that_stands_in_a_hole_that_is_cut_passes() {
        for (before, after, source) in CUT {
            assert!(source.0.contains(".go"), "{before} has no source");
            assert!(!before.contains('\\') && !after.contains('\\'));
            for planted in PLANTED {
                let text = [*before, planted, *after].concat();
                assert!(!is_known(&text), "{text}");
                let told = cut(&text).map(|(before, after)| [before, after].concat()).unwrap();
                assert!(planted.is_empty() || !told.contains(planted), "{told}");
                assert!(
                    after.is_empty() || cut(&[&text, "team-b"].concat()).is_none_or(|cut| cut != (*before, *after))
                );
                assert_eq!(cut(&["team-b ", &text].concat()), None);
            }
        }
    }
}
