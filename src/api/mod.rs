//! The API table: which paths are served, with which methods and parameters, and what is done with request and answer.
//!
//! One constant. Whatever is not in it is refused, and so is every parameter that its row does not name.
//!
//! ```text
//! row       = handler, upstreams, path, methods, rule, parameters, answer
//! path      = exact / below (a path that ends in "/", and all under it) / around (one segment in the middle)
//! parameter = name, kind, single or repeated
//! ```
//!
//! `tenancyctl route` prints it, and `docs/api-table.md` is that print.

mod parameters;
mod table;

pub use parameters::{Kind, Parameter};
pub use table::{PASSTHROUGH, TABLE};

/// Which API the upstream serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// Prometheus.
    Prometheus,
    /// Thanos Query or Query Frontend.
    Thanos,
    /// Cortex or Mimir.
    Cortex,
}

impl Upstream {
    /// Every kind.
    pub const ALL: [Upstream; 3] = [Upstream::Prometheus, Upstream::Thanos, Upstream::Cortex];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Upstream::Prometheus => "prometheus",
            Upstream::Thanos => "thanos",
            Upstream::Cortex => "cortex",
        }
    }
}

/// A method that some row allows. All others are refused everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET: parameters in the URL, no body.
    Get,
    /// POST: parameters in the URL and in a form.
    Post,
}

impl Method {
    /// Reads `:method`, which is case-sensitive.
    pub fn read(method: &[u8]) -> Option<Method> {
        match method {
            b"GET" => Some(Method::Get),
            b"POST" => Some(Method::Post),
            _ => None,
        }
    }

    /// As it stands in a request.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// Which paths a row is for, below a path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// This one.
    Exact(&'static str),
    /// Whatever begins so. Only for what is refused.
    Below(&'static str),
    /// These two with one path segment between them: a label's name.
    Around(&'static str, &'static str),
}

/// What is done with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Each query is rewritten, wherever it stands.
    Queries,
    /// Each selector gains the matcher; one is added to a request that has none.
    Selectors,
    /// Forwarded: what it asks for is no tenant's.
    Forward,
    /// Forwarded, and its answer is filtered. Selectors only narrow it; one is added where the operator says that the
    /// upstream reads it.
    Filtered,
    /// Forwarded as it came, but for the tenant header: the operator asked for it in `passthrough_paths`.
    Passthrough,
    /// Refused with 403, for this reason.
    Refuse(&'static str),
}

/// What the answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// JSON that the request was scoped to: passed on, but for messages that aren't the PromQL engine's.
    Messages,
    /// The same, with Thanos's `analysis` of how the query was run, which names stores.
    Analyzed,
    /// How Thanos would run the query, which tells what stores are labelled with.
    Explained,
    /// As `Messages`, one JSON object a line.
    Lines,
    /// Text that the request was scoped to, or that is about no tenant: passed on.
    Text,
    /// Rules of every tenant: filtered by their labels.
    Rules,
    /// Alerts of every tenant: filtered by their labels.
    Alerts,
    /// Exemplars of every tenant: filtered by their series' labels.
    Exemplars,
    /// Whatever it is: the operator asked for it in `passthrough_paths`.
    Untouched,
    /// None: nothing was asked.
    None,
}

impl Answer {
    /// Whether what the upstream answers is read when all went well: then it has to come whole and uncompressed.
    pub fn is_read(self) -> bool {
        match self {
            Answer::Messages
            | Answer::Analyzed
            | Answer::Explained
            | Answer::Lines
            | Answer::Rules
            | Answer::Alerts
            | Answer::Exemplars => true,
            Answer::Text | Answer::Untouched | Answer::None => false,
        }
    }

    /// Whether it holds what is every tenant's, so that the exact tenants have to be known to filter it.
    pub fn is_filtered_by_owner(self) -> bool {
        match self {
            Answer::Rules | Answer::Alerts | Answer::Exemplars => true,
            Answer::Messages
            | Answer::Lines
            | Answer::Analyzed
            | Answer::Explained
            | Answer::Text
            | Answer::Untouched
            | Answer::None => false,
        }
    }
}

/// A row.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The `handler` tag: `query`, `query_range`, …
    pub handler: &'static str,
    /// The upstreams that serve it so.
    pub upstreams: &'static [Upstream],
    /// The path below a prefix.
    pub path: Path,
    /// The methods that are forwarded; none where the row refuses.
    pub methods: &'static [Method],
    /// What is done with the request.
    pub rule: Rule,
    /// The parameters that are forwarded. All others are dropped.
    pub parameters: &'static [Parameter],
    /// What the answer holds.
    pub answer: Answer,
}

/// A row that a path matched.
#[derive(Debug, Clone, Copy)]
pub struct Found<'p> {
    /// The row.
    pub route: &'static Route,
    /// The segment in the middle, as it stands in the path.
    pub segment: Option<&'p [u8]>,
}

/// The first row for a path, from which the prefix has been taken.
pub fn find(upstream: Upstream, path: &[u8]) -> Option<Found<'_>> {
    TABLE.iter().filter(|route| route.upstreams.contains(&upstream)).find_map(|route| match route.path {
        Path::Exact(exact) => (path == exact.as_bytes()).then_some(Found { route, segment: None }),
        Path::Below(base) => path.starts_with(base.as_bytes()).then_some(Found { route, segment: None }),
        Path::Around(before, after) => {
            let segment = path.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes())?;
            (!segment.is_empty() && !segment.contains(&b'/')).then_some(Found { route, segment: Some(segment) })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn handler(upstream: Upstream, path: &str) -> Option<&'static str> {
        find(upstream, path.as_bytes()).map(|found| found.route.handler)
    }

    #[test]
    fn paths_match_literally() {
        let prometheus = |path| handler(Upstream::Prometheus, path);
        assert_eq!(prometheus("/api/v1/query"), Some("query"));
        for path in [
            "/api/v1/query/",
            "/api/v1/Query",
            "/api/v1/%71uery",
            "/api/v1/querys",
            "api/v1/query",
            "/api/v1/query;a",
            "",
            "/",
            "/api/v1",
            "/api/v1/",
        ] {
            assert_eq!(prometheus(path), None, "{path}");
        }
    }

    #[test]
    fn one_segment_stands_for_the_label() {
        let found = find(Upstream::Prometheus, b"/api/v1/label/job/values").unwrap();
        assert_eq!((found.route.handler, found.segment), ("label_values", Some(&b"job"[..])));
        for path in [
            "/api/v1/label/values",
            "/api/v1/label//values",
            "/api/v1/label/a/b/values",
            "/api/v1/label/job",
            "/api/v1/label/job/values/",
        ] {
            assert_eq!(handler(Upstream::Prometheus, path), None, "{path}");
        }
        // Shorter than its two ends together.
        assert!(find(Upstream::Prometheus, b"/api/v1/label/alues").is_none());
    }

    #[test]
    fn no_row_hides_a_later_one_of_the_same_path() {
        for upstream in Upstream::ALL {
            for route in TABLE.iter().filter(|route| route.upstreams.contains(&upstream)) {
                let path = match route.path {
                    Path::Exact(exact) => exact.to_owned(),
                    Path::Below(base) => format!("{base}anything"),
                    Path::Around(before, after) => format!("{before}name{after}"),
                };
                assert!(std::ptr::eq(find(upstream, path.as_bytes()).unwrap().route, route), "{path}");
            }
        }
    }

    #[test]
    fn rows_are_whole() {
        for route in TABLE {
            assert!(!route.upstreams.is_empty(), "{route:?}");
            let names: std::collections::BTreeSet<_> =
                route.parameters.iter().map(|parameter| parameter.name).collect();
            assert_eq!(names.len(), route.parameters.len(), "{route:?}");
            assert!(route.parameters.len() <= 64, "a request's single parameters are counted in 64 bits");
            let has = |kind| route.parameters.iter().any(|parameter| parameter.kind == kind);
            match route.rule {
                Rule::Refuse(reason) => assert!(
                    route.methods.is_empty()
                        && route.parameters.is_empty()
                        && !reason.is_empty()
                        && route.answer == Answer::None,
                    "{route:?}"
                ),
                Rule::Queries => {
                    assert!(
                        has(Kind::Query)
                            && !has(Kind::Selector)
                            && matches!(
                                route.answer,
                                Answer::Messages | Answer::Analyzed | Answer::Explained | Answer::Exemplars
                            ),
                        "{route:?}"
                    )
                }
                Rule::Selectors => {
                    assert!(
                        has(Kind::Selector)
                            && !has(Kind::Query)
                            && matches!(route.answer, Answer::Messages | Answer::Lines | Answer::Text),
                        "{route:?}"
                    )
                }
                Rule::Forward => {
                    assert!(
                        !has(Kind::Query)
                            && !has(Kind::Selector)
                            && matches!(route.answer, Answer::Messages | Answer::Text),
                        "{route:?}"
                    )
                }
                Rule::Filtered => {
                    assert!(!has(Kind::Query) && matches!(route.answer, Answer::Rules | Answer::Alerts), "{route:?}")
                }
                Rule::Passthrough => panic!("not a row: {route:?}"),
            }
            match route.path {
                Path::Exact(path) => assert!(path.starts_with('/') && !path.ends_with('/'), "{route:?}"),
                Path::Below(path) => assert!(
                    path.starts_with('/') && path.ends_with('/') && matches!(route.rule, Rule::Refuse(_)),
                    "{route:?}"
                ),
                Path::Around(before, after) => assert!(before.ends_with('/') && after.starts_with('/'), "{route:?}"),
            }
        }
    }

    #[test]
    fn no_row_forwards_what_widens_an_answer() {
        for parameter in TABLE.iter().flat_map(|route| route.parameters) {
            assert!(
                !["match", "extra_filters", "extra_filters[]", "extra_label", "include_metadata"]
                    .contains(&parameter.name),
                "{parameter:?}"
            );
            let reads_series = matches!(parameter.kind, Kind::Query | Kind::Selector);
            assert_eq!(
                reads_series,
                parameter.name == "query" && parameter.kind != Kind::Expression || parameter.name == "match[]",
                "{parameter:?}"
            );
        }
    }

    #[test]
    fn what_is_refused_is_refused_for_every_upstream() {
        for upstream in Upstream::ALL {
            for path in [
                "metadata",
                "read",
                "write",
                "targets",
                "targets/metadata",
                "scrape_pools",
                "status/tsdb",
                "status/config",
                "status/flags",
                "stores",
                "alertmanagers",
                "notifications",
                "notifications/live",
                "admin/tsdb/delete_series",
                "otlp/v1/metrics",
            ] {
                let path = format!("/api/v1/{path}");
                let found = find(upstream, path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
                assert!(matches!(found.route.rule, Rule::Refuse(_)), "{path}");
            }
            for path in ["/metrics", "/debug/pprof/heap"] {
                assert!(matches!(find(upstream, path.as_bytes()).unwrap().route.rule, Rule::Refuse(_)), "{path}");
            }
        }
        let answer = |upstream, path: &str| find(upstream, path.as_bytes()).unwrap().route.answer;
        assert_eq!(answer(Upstream::Thanos, "/api/v1/query_exemplars"), Answer::Exemplars);
        assert_eq!(answer(Upstream::Prometheus, "/api/v1/query_exemplars"), Answer::Messages);
        assert_eq!(handler(Upstream::Thanos, "/federate"), None);
        assert_eq!(handler(Upstream::Cortex, "/federate"), None);
        assert_eq!(handler(Upstream::Prometheus, "/api/v1/query_explain"), None);
    }
}
