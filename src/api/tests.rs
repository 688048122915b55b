//! What holds for every row, and which row a path finds.

use super::*;
use crate::api::parameters::{Moment, Span};
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

/// The kinds that answer queries.
const QUERIED: [Upstream; 3] = [Upstream::Prometheus, Upstream::Thanos, Upstream::Cortex];

#[test]
fn rows_are_whole() {
    for route in TABLE.iter().chain([&PAGE, &HOME, &ASSET]) {
        assert!(!route.upstreams.is_empty(), "{route:?}");
        let names: std::collections::BTreeSet<_> = route.parameters.iter().map(|parameter| parameter.name).collect();
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
                        && matches!(
                            route.answer,
                            Answer::Messages | Answer::Lines | Answer::Text | Answer::TargetMetadata
                        ),
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
                assert!(
                    !has(Kind::Query)
                        && matches!(
                            route.answer,
                            Answer::Rules | Answer::Alerts | Answer::AlertsOfRules | Answer::Targets
                        ),
                    "{route:?}"
                );
                assert_eq!(route.instead.is_some(), route.answer == Answer::AlertsOfRules);
            }
            Rule::ByHeader | Rule::ByHeaderUnread => {
                let isolates = route.upstreams.iter().all(|upstream| upstream.profile().isolates_tenants);
                // Mimir's cardinality API answers by an object of its own shape.
                let passes = route.rule == Rule::ByHeaderUnread || route.handler == "cardinality";
                assert!(
                    isolates
                        && !has(Kind::Query)
                        && !has(Kind::Selector)
                        && route.answer == if passes { Answer::Text } else { Answer::Messages },
                    "{route:?}"
                )
            }
            Rule::Metadata => {
                assert!(route.answer == Answer::Metadata && route.switch.is_some() && !has(Kind::Selector), "{route:?}")
            }
            Rule::RemoteRead => assert!(
                route.answer == Answer::Series && route.switch.is_some() && route.methods == [Method::Post],
                "{route:?}"
            ),
            Rule::Write(_) => {
                assert!(
                    route.answer == Answer::Text
                        && route.switch.is_some()
                        && route.methods == [Method::Post]
                        && !has(Kind::Query)
                        && !has(Kind::Selector)
                        && !route.upstreams.contains(&Upstream::Prometheus),
                    "{route:?}"
                )
            }
            Rule::Page | Rule::Home => {
                let is_page = matches!((route.rule, route.answer), (Rule::Page, Answer::Page | Answer::Asset))
                    || matches!((route.rule, route.answer), (Rule::Home, Answer::None));
                let is_switched = route.switch == Some(Switch::Ui) && route.methods == [Method::Get];
                assert!(is_page && is_switched && route.needs_tenant && route.parameters.is_empty(), "{route:?}");
            }
            Rule::Alertmanager(part) => {
                assert!(route.answer == Answer::Alertmanager(part) && route.errors == ErrorShape::Alertmanager);
                assert!(!has(Kind::Query) && !has(Kind::Selector) && !route.evaluates, "{route:?}");
                let isolates = route.upstreams.iter().all(|upstream| upstream.profile().isolates_tenants);
                assert_eq!(
                    (isolates, route.one_tenant, route.at_root),
                    [(part == Part::ByHeader); 3].into(),
                    "{route:?}"
                );
            }
            Rule::Grpc(_) | Rule::Passthrough => panic!("not a row: {route:?}"),
        }
        match route.path {
            Path::Exact(path) => assert!(path.starts_with('/') && !path.ends_with('/'), "{route:?}"),
            Path::Below(path) => assert!(
                path.starts_with('/')
                    && path.ends_with('/')
                    && matches!(route.rule, Rule::Refuse(_) | Rule::Page | Rule::Home),
                "{route:?}"
            ),
            Path::Around(before, after) => {
                assert!(before.ends_with('/') && (after.is_empty() || after.starts_with('/')), "{route:?}")
            }
        }
    }
}

#[test]
fn a_row_reads_the_times_that_its_parameters_give() {
    for route in TABLE {
        let has = |kind| route.parameters.iter().any(|parameter| parameter.kind == kind);
        let given = [
            has(Kind::Time(Moment::Evaluation)),
            has(Kind::Time(Moment::Start)),
            has(Kind::Time(Moment::End)),
            has(Kind::Duration(Span::Step)),
        ];
        let read = match route.times {
            Times::Instant => [true, false, false, false],
            Times::Range => [false, true, true, true],
            Times::Between | Times::LastHour => [false, true, true, false],
            Times::Now | Times::Message | Times::Unread => [false; 4],
        };
        assert_eq!(given, read, "{route:?}");
        // Rules and targets hold no samples, though selectors choose among them.
        let selects_series =
            has(Kind::Selector) && route.rule != Rule::Filtered && route.answer != Answer::TargetMetadata;
        let reads_samples = has(Kind::Query) || selects_series || route.rule == Rule::RemoteRead;
        assert_eq!(route.times != Times::Unread, reads_samples, "{route:?}");
        assert_eq!(route.evaluates, matches!(route.times, Times::Instant | Times::Range | Times::Message), "{route:?}");
    }
}

#[test]
fn every_kind_of_upstream_is_in_the_list_and_has_its_own_name() {
    for (index, upstream) in Upstream::ALL.into_iter().enumerate() {
        let expected = match upstream {
            Upstream::Prometheus => 0,
            Upstream::Thanos => 1,
            Upstream::Cortex => 2,
            Upstream::Alertmanager => 3,
        };
        assert_eq!(index, expected);
        let Profile { name, tenant_header, path_prefixes, not_at_root, default_step, downsampling, .. } =
            upstream.profile();
        assert!(Upstream::ALL.iter().filter(|other| other.name() == *name).count() == 1 && !tenant_header.is_empty());
        assert!(!path_prefixes.is_empty() && (not_at_root.is_none() || !path_prefixes.contains(&"")));
        assert!(default_step.is_none_or(|default| default.parts > 0 && default.least_seconds > 0));
        assert!(downsampling.is_none_or(|data| data.parts_of_step > 0 && data.levels_ms.is_sorted()));
    }
}

#[test]
fn no_row_forwards_what_widens_an_answer() {
    for parameter in TABLE.iter().flat_map(|route| route.parameters) {
        assert!(
            !["match", "extra_filters", "extra_filters[]", "extra_label", "include_metadata"].contains(&parameter.name),
            "{parameter:?}"
        );
        let reads_series = matches!(parameter.kind, Kind::Query | Kind::Selector);
        assert_eq!(
            reads_series,
            parameter.name == "query" && parameter.kind != Kind::Expression
                || ["match[]", "match_target"].contains(&parameter.name),
            "{parameter:?}"
        );
    }
}

#[test]
fn exemplars_are_filtered_whatever_the_upstream_is() {
    for upstream in QUERIED {
        let found = find(upstream, b"/api/v1/query_exemplars").unwrap();
        assert_eq!(found.route.answer, Answer::Exemplars, "{upstream:?}");
    }
}

#[test]
fn what_is_refused_is_refused_for_every_upstream_unless_it_is_switched_on() {
    for upstream in QUERIED {
        for path in ["status/config", "status/flags"] {
            let found = find(upstream, format!("/api/v1/{path}").as_bytes()).map(|found| found.route.rule).unwrap();
            let is_by_header = matches!(found, Rule::ByHeader | Rule::ByHeaderUnread);
            assert!(is_by_header == upstream.profile().isolates_tenants, "{path}");
            assert!(is_by_header != matches!(found, Rule::Refuse(_)), "{path}");
        }
        for path in [
            "metadata",
            "write",
            "targets",
            "targets/metadata",
            "scrape_pools",
            "status/tsdb",
            "status/runtimeinfo",
            "stores",
            "alertmanagers",
            "notifications",
            "notifications/live",
            "admin/tsdb/delete_series",
            "otlp/v1/metrics",
        ] {
            let path = format!("/api/v1/{path}");
            let found = find(upstream, path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
            assert!(
                matches!(found.route.rule, Rule::Refuse(_) | Rule::ByHeader) || found.route.switch.is_some(),
                "{path}"
            );
        }
        for path in ["/metrics", "/debug/pprof/heap"] {
            assert!(matches!(find(upstream, path.as_bytes()).unwrap().route.rule, Rule::Refuse(_)), "{path}");
        }
    }
    assert_eq!(handler(Upstream::Thanos, "/federate"), None);
    assert_eq!(handler(Upstream::Cortex, "/federate"), None);
    assert_eq!(handler(Upstream::Prometheus, "/api/v1/query_explain"), None);
}

#[test]
fn grpc_rows_are_whole_and_found_by_their_path_alone() {
    for route in SERVICES {
        assert_eq!((route.upstreams, route.errors), (&[Upstream::Thanos][..], ErrorShape::Grpc));
        assert!(route.handler.starts_with("grpc_") && route.parameters.is_empty(), "{route:?}");
        match (route.rule, route.path) {
            (Rule::Grpc(call), Path::Exact(path)) => {
                assert_eq!((route.answer, route.methods), (Answer::Grpc(call), &[Method::Post][..]));
                assert!(std::ptr::eq(find_call(Upstream::Thanos, path.as_bytes()).unwrap().route, route), "{path}");
            }
            (Rule::Refuse(_), Path::Below(path)) => {
                assert!(route.methods.is_empty() && path.ends_with('/'));
                let below = format!("{path}Anything");
                assert!(std::ptr::eq(find_call(Upstream::Thanos, below.as_bytes()).unwrap().route, route), "{path}");
            }
            other => panic!("{other:?}"),
        }
    }
    for path in [
        "/thanos.Query/Query/",
        "/thanos.Query/query",
        "/thanos.Store/Other",
        "/grpc.health.v1.Health/Watch",
        "/thanos.Query/",
    ] {
        assert!(find_call(Upstream::Thanos, path.as_bytes()).is_none(), "{path}");
    }
    assert!(find_call(Upstream::Prometheus, b"/thanos.Query/Query").is_none());
}

#[test]
fn a_content_type_is_grpc_s_where_envoy_takes_it_for_that() {
    for grpc in ["application/grpc", "application/grpc+proto", "application/grpc+json"] {
        assert!(is_grpc(grpc.as_bytes()), "{grpc}");
    }
    for other in
        ["application/grpc-web", "application/grpc; a", "application/grpcx", "Application/grpc", "application/json", ""]
    {
        assert!(!is_grpc(other.as_bytes()), "{other}");
    }
}

#[test]
fn pages_are_found_by_their_names_and_files_below_their_folders() {
    for upstream in Upstream::ALL {
        let of = |path: &str| find_page(upstream, path.as_bytes()).map(|found| (found.route.rule, found.route.answer));
        let Some(pages) = &upstream.profile().pages else {
            assert_eq!((of("/"), of("/graph"), of("/static/x.js")), (None, None, None));
            continue;
        };
        let page = Some((Rule::Page, Answer::Page));
        for name in pages.others.iter().chain([&pages.home]) {
            assert_eq!(of(&format!("/{name}")), page, "{name}");
            // What the API has is never a page.
            assert!(find(upstream, format!("/{name}").as_bytes()).is_none(), "{name}");
            for other in [format!("/{name}/"), format!("/{name}/x"), format!("//{name}"), (*name).to_owned()] {
                assert_eq!(of(&other), None, "{other}");
            }
        }
        assert!(pages.moved.iter().all(|moved| of(&format!("/{moved}")) == Some((Rule::Home, Answer::None))));
        assert_eq!(of(""), of("/"));
        for file in pages.files {
            let is_folder = file.ends_with('/');
            let asset = Some((Rule::Page, Answer::Asset));
            assert_eq!(of(&format!("/{file}")), asset, "{file}");
            assert_eq!(of(&format!("/{file}x.js")), asset.filter(|_| is_folder), "{file}");
        }
    }
}
