//! Messages that pass as a whole, each with the source where it stands. A hole takes a number or a duration alone, so that no address, label
//! set or tenant's ID fits into it.
//!
//! ```text
//! hole = "%d" digits, at most 20 / "%s" a duration of Go or Prometheus, at most 24 characters: 1h30m0s, 1.5s, 30d
//! ```

/// A text, and its source.
type Row = (&'static str, &'static str);

const TABLE: &[Row] = &[
    ("context deadline exceeded", "Thanos 0.42.5, internal/cortex/frontend/transport/handler.go"),
    ("context canceled", "Thanos 0.42.5, internal/cortex/frontend/transport/handler.go"),
    ("no matchers specified (excluding external labels)", "Thanos 0.42.5, pkg/store/tsdb.go"),
    ("no matchers specified (excluding selector labels)", "Thanos 0.42.5, pkg/store/proxy.go"),
    ("label name parameter cannot be empty", "Thanos 0.42.5, pkg/store/proxy.go"),
    ("invalid engine parameter", "Thanos 0.42.5, pkg/api/query/grpc.go"),
    ("unknown service", "grpc-go 1.81.1, health/server.go"),
    ("engine type must be 'thanos'", "Thanos 0.42.5, pkg/api/query/v1.go"),
    ("Query not explainable", "Thanos 0.42.5, pkg/api/query/v1.go"),
    ("Query fallback to prometheus engine; not analyzable.", "Thanos 0.42.5, pkg/api/query/v1.go"),
    ("Query not analyzable; change engine to 'thanos'.", "Thanos 0.42.5, pkg/api/query/v1.go"),
    ("negative 'max_source_resolution' is not accepted. Try a positive integer", "Thanos 0.42.5, pkg/api/query/v1.go"),
    ("end timestamp must not be before start timestamp", "Prometheus 3.16, web/api/v1/api.go and search.go"),
    ("too many outstanding requests", "Cortex 1.21.1, pkg/scheduler/queue/queue.go"),
    (
        "the query hit the max number of series limit (limit: %d series)",
        "Cortex 1.21.1, pkg/util/limiter/query_limiter.go",
    ),
    (
        "the query hit the max number of chunks limit (limit: %d chunks)",
        "Cortex 1.21.1, pkg/util/limiter/query_limiter.go",
    ),
    (
        "the query hit the aggregated chunks size limit (limit: %d bytes)",
        "Cortex 1.21.1, pkg/util/limiter/query_limiter.go",
    ),
    (
        "the query hit the aggregated data size limit (limit: %d bytes)",
        "Cortex 1.21.1, pkg/util/limiter/query_limiter.go",
    ),
    (
        "the query response size exceeds limit (limit: %d bytes)",
        "Cortex 1.21.1, pkg/util/limiter/response_size_limiter.go",
    ),
    (
        "the query time range exceeds the limit (query length: %s, limit: %s)",
        "Cortex 1.21.1, pkg/util/validation/validate.go",
    ),
    (
        "This query does not perform well and has been rejected by the service operator.",
        "Cortex 1.21.1, pkg/querier/tripperware/query_attribute_matcher.go",
    ),
    ("no org id", "weaveworks/common of 2023-07-28, user/id.go"),
    (
        "the request has been blocked by the cluster administrator (err-mimir-query-blocked)",
        "Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go",
    ),
    (
        "the request has been blocked by the cluster administrator (err-mimir-request-blocked)",
        "Mimir 3.0.5, pkg/frontend/querymiddleware/request_blocker.go",
    ),
    (
        "the total query time range exceeds the limit (query length: %s, limit: %s) (err-mimir-max-total-query-length). To adjust the related per-tenant limit, configure -query-frontend.max-total-query-length, or contact your service administrator.",
        "Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go",
    ),
    (
        "the raw query size in bytes exceeds the limit (query size: %d, limit: %d) (err-mimir-max-query-expression-size-bytes). To adjust the related per-tenant limit, configure -query-frontend.max-query-expression-size-bytes, or contact your service administrator.",
        "Mimir 3.0.5, pkg/frontend/querymiddleware/errors.go",
    ),
];

/// What the engines put before an error that came while they read series: promql/engine.go of Prometheus 3.16.
const EXPANDING: &str = "expanding series: ";

/// Whether a message is one of the table, as it is or after `expanding series: `.
pub fn is_known(text: &str) -> bool {
    let text = text.strip_prefix(EXPANDING).unwrap_or(text);
    TABLE.iter().any(|(pattern, _)| matches(pattern, text))
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
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn holes_take_numbers_and_durations_and_nothing_else() {
        for (pattern, source) in TABLE {
            let text = pattern.replace("%d", "100000").replace("%s", "1h30m0.5s");
            assert!(is_known(&text) && is_known(&format!("expanding series: {text}")), "{text}");
            assert!(source.contains(".go"), "{pattern} has no source");
            for planted in
                ["team-b", "10.0.0.1:10901", "{tenant_id=\"team-b\"}", "", "1 team-b", "1h team-b", "thanos-b"]
            {
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
                }
            }
        }
        assert!(!is_known("expanding series: expanding series: context canceled"));
    }
}
