//! Endpoints with `match[]`: series, labels, label values, federation and search, in Prometheus and Thanos.

use crate::support::compare::{BOTH, Parameters, assert_only_of, content, filled};
use crate::support::http::{Request, form};
use crate::support::{Pair, data, prometheus, thanos};

/// A request, and the same request with matchers written by hand.
type Case = (Parameters<'static>, Parameters<'static>);

/// Thanos's stores return nothing if the only matcher is on the external label, hence the metric name.
const UNKNOWN_PATH: &str =
    "unknown path: use an endpoint of the API table, under a prefix that the operator has in path_prefixes";

const OWN: &str = r#"{tenant_id="$T",__name__!=""}"#;

/// For every endpoint of the kind.
const CASES: &[Case] = &[
    // Without a selector, the upstream answers with the data of all tenants, or refuses.
    (&[], &[("match[]", OWN)]),
    (&[("match[]", "up")], &[("match[]", r#"up{tenant_id="$T"}"#)]),
    (&[("match[]", r#"up{tenant_id="$O"}"#)], &[("match[]", r#"up{tenant_id="$T"}"#)]),
    (&[("match[]", r#"{tenant_id=~".*"}"#)], &[("match[]", OWN)]),
    (&[("match[]", r#"{tenant_id!="$T"}"#)], &[("match[]", OWN)]),
    (&[("match[]", r#"{__name__=~".+"}"#)], &[("match[]", r#"{tenant_id="$T",__name__=~".+"}"#)]),
    (
        &[("match[]", "up"), ("match[]", r#"temperature{"tenant_id"="$O"}"#)],
        &[("match[]", r#"up{tenant_id="$T"}"#), ("match[]", r#"temperature{tenant_id="$T"}"#)],
    ),
    (&[("match[]", "up"), ("match", OWN), ("extra_filters", "{}")], &[("match[]", r#"up{tenant_id="$T"}"#)]),
    (&[("match[]", r#"{owner="data of $O"}"#)], &[("match[]", r#"{tenant_id="$T",owner="data of $O"}"#)]),
];

/// Label names as they stand in a path.
const LABELS: &[&str] =
    &["tenant_id", "owner", "__name__", "instance", "U__dotted_2e_label", "label_of_team_a", "label_of_team_b", "none"];

fn assert_answered(pair: &Pair, path: &str, cases: &[Case]) {
    for (asked, by_hand) in cases {
        for answer in pair.assert_both(path, asked, by_hand) {
            assert_eq!(answer.status, 200, "{path} {asked:?}: {}", answer.text());
        }
    }
}

#[test]
fn series_are_the_tenant_s() {
    assert_answered(prometheus(), "/api/v1/series", CASES);
    // Thanos's stores give no series for the external label alone (pkg/store/tsdb.go, 0.42.5). Beside a second selector,
    // which the filter adds to the URL of a form, they say so in a warning.
    let is_bare = |(asked, _): &&Case| {
        asked.iter().any(|(name, selector)| *name == "match[]" && selector.starts_with("{tenant_id"))
    };
    let (bare, others): (Vec<&Case>, Vec<&Case>) = CASES.iter().partition(is_bare);
    assert_answered(thanos(), "/api/v1/series", &others.into_iter().copied().collect::<Vec<_>>());
    for (asked, _) in bare {
        let asked = filled(asked, "team-a", "team-b");
        for request in [Request::get(&format!("/api/v1/series?{asked}")), Request::post("/api/v1/series", &asked)] {
            let answer = request.tenant("team-a").send(thanos().envoy.port());
            assert_eq!(answer.json()["data"], serde_json::json!([]), "{}", answer.text());
        }
    }
    for pair in [prometheus(), thanos()] {
        let by_hand = [("match[]", r#"{tenant_id="$T",__name__!=""}"#)];
        for answer in pair.assert_both("/api/v1/series", &[("match[]", r#"{__name__!=""}"#)], &by_hand) {
            assert!(answer.json()["data"].as_array().unwrap().len() > 15, "{}", answer.text());
        }
    }
}

#[test]
fn labels_are_the_tenant_s() {
    for pair in [prometheus(), thanos()] {
        assert_answered(pair, "/api/v1/labels", CASES);
        for (tenant, other) in BOTH {
            let answer = Request::get("/api/v1/labels").tenant(tenant).send(pair.envoy.port()).text();
            assert!(answer.contains(&format!("label_of_{}", tenant.replace('-', "_"))), "{answer}");
            assert!(!answer.contains(&format!("label_of_{}", other.replace('-', "_"))), "{answer}");
        }
    }
}

#[test]
fn label_values_are_the_tenant_s() {
    for pair in [prometheus(), thanos()] {
        for label in LABELS {
            assert_answered(pair, &format!("/api/v1/label/{label}/values"), CASES);
        }
        for (tenant, _) in BOTH {
            let answer = Request::get("/api/v1/label/tenant_id/values").tenant(tenant).send(pair.envoy.port());
            assert_eq!(answer.json()["data"], serde_json::json!([tenant]));
        }
    }
}

#[test]
fn selectors_in_url_and_form_are_both_enforced() {
    for pair in [prometheus(), thanos()] {
        for path in ["/api/v1/series", "/api/v1/labels"] {
            for (tenant, other) in BOTH {
                let url = filled(&[("match[]", r#"up{tenant_id="$O"}"#)], tenant, other);
                let body = filled(&[("match[]", r#"{__name__="temperature", tenant_id=~".+"}"#)], tenant, other);
                let by_hand =
                    |selectors: Parameters<'_>| Request::get(&format!("{path}?{}", filled(selectors, tenant, other)));
                let up = ("match[]", r#"up{tenant_id="$T"}"#);
                let temperature = ("match[]", r#"{tenant_id="$T",__name__="temperature"}"#);
                for (asked, expected) in [
                    (Request::post(&format!("{path}?{url}"), &body), by_hand(&[up, temperature])),
                    (Request::post(&format!("{path}?{url}"), ""), by_hand(&[up])),
                    (Request::post(path, &body), by_hand(&[temperature])),
                    (Request::post(path, ""), by_hand(&[("match[]", OWN)])),
                ] {
                    assert_only_of(tenant, &pair.assert_same(tenant, &asked, &expected), path);
                }
            }
        }
    }
}

#[test]
fn times_and_limits_reach_the_upstream() {
    let (before, end) = ((data::start() - 600).to_string(), data::end().to_string());
    for pair in [prometheus(), thanos()] {
        for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/instance/values"] {
            let empty = [("start", "0"), ("end", before.as_str()), ("match[]", OWN)];
            pair.assert_both(path, &empty[..2], &empty);
            let full = [("start", before.as_str()), ("end", end.as_str()), ("match[]", OWN)];
            pair.assert_both(path, &full[..2], &full);
        }
    }
    // It is not defined which ones a limit keeps, but it is how many.
    let asked = form(&[("match[]", "up"), ("limit", "1")]);
    let answer = Request::get(&format!("/api/v1/series?{asked}")).tenant("team-a").send(prometheus().envoy.port());
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 1, "{}", answer.text());
}

#[test]
fn federation_gives_the_tenant_s_series() {
    assert_answered(prometheus(), "/federate", CASES);
    for (tenant, _) in BOTH {
        let answer = Request::get("/federate").tenant(tenant).send(prometheus().envoy.port());
        assert!(answer.text().contains(&format!("owner=\"data of {tenant}\"")), "{}", answer.text());
    }
    // Thanos has none.
    assert_eq!(
        Request::get("/federate?match[]=up").tenant("team-a").send(thanos().envoy.port()).refused(404),
        UNKNOWN_PATH
    );
}

#[test]
fn search_finds_the_tenant_s_names() {
    let metadata: Case = (&[("include_metadata", "true")], &[("match[]", OWN)]);
    for cases in [CASES, &[metadata]] {
        assert_answered(prometheus(), "/api/v1/search/metric_names", cases);
    }
    assert_answered(prometheus(), "/api/v1/search/label_names", CASES);
    let searched: &[Case] = &[
        (&[("search[]", "only")], &[("search[]", "only"), ("match[]", OWN)]),
        (
            &[
                ("search[]", "owner"),
                ("search[]", "label_of"),
                ("sort_by", "score"),
                ("include_score", "true"),
                ("fuzz_threshold", "50"),
            ],
            &[
                ("search[]", "owner"),
                ("search[]", "label_of"),
                ("sort_by", "score"),
                ("include_score", "true"),
                ("fuzz_threshold", "50"),
                ("match[]", OWN),
            ],
        ),
    ];
    for path in ["/api/v1/search/metric_names", "/api/v1/search/label_names"] {
        assert_answered(prometheus(), path, searched);
    }
    for label in ["owner", "tenant_id", "__name__", "instance", "label_of_team_b"] {
        let with =
            |selectors: Parameters<'static>| selectors.iter().copied().chain([("label", label)]).collect::<Vec<_>>();
        for (asked, by_hand) in CASES {
            prometheus().assert_both("/api/v1/search/label_values", &with(asked), &with(by_hand));
        }
    }
}

#[test]
fn selector_that_is_not_one_is_refused() {
    for pair in [prometheus(), thanos()] {
        for selector in [
            "sum(up)",
            "up offset 5m",
            "up[5m]",
            "up or up",
            "1",
            "up{",
            "(up)",
            "",
            "up @ 1",
            "{}, {tenant_id=\"team-b\"}",
        ] {
            let asked = form(&[("match[]", selector)]);
            for request in [
                Request::get(&format!("/api/v1/series?{asked}")),
                Request::post("/api/v1/series", &asked),
                Request::post("/api/v1/labels", &asked),
                Request::get(&format!("/api/v1/label/job/values?{asked}")),
            ] {
                assert!(
                    request.tenant("team-a").send(pair.envoy.port()).refused(400).contains("match[]"),
                    "{selector}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_tenant_s_is_the_same_for_all() {
    let prometheus_paths = [
        "/api/v1/format_query?query=sum%20by(x)(up)",
        "/api/v1/parse_query?query=up%7Ba%3D%22b%22%7D",
        "/api/v1/status/buildinfo",
        "/api/v1/features",
        "/-/healthy",
        "/-/ready",
    ];
    let thanos_paths = ["/api/v1/status/buildinfo", "/-/healthy", "/-/ready"];
    for (pair, paths) in [(prometheus(), &prometheus_paths[..]), (thanos(), &thanos_paths)] {
        for path in paths {
            let direct = Request::get(path).send(pair.upstream.port());
            for (tenant, _) in BOTH {
                let answer = Request::get(path).tenant(tenant).send(pair.envoy.port());
                assert_eq!((answer.status, content(&answer)), (direct.status, content(&direct)), "{path}");
                assert_only_of(tenant, &answer, path);
            }
        }
    }
    let posted =
        Request::post("/api/v1/format_query", "query=up%7B%7D").tenant("team-a").send(prometheus().envoy.port());
    assert_eq!(posted.json()["data"], "up");
}

#[test]
fn what_cannot_be_scoped_is_refused() {
    let paths = [
        "/api/v1/metadata",
        "/api/v1/targets",
        "/api/v1/targets/metadata",
        "/api/v1/scrape_pools",
        "/api/v1/status/config",
        "/api/v1/status/flags",
        "/api/v1/status/runtimeinfo",
        "/api/v1/status/tsdb",
        "/api/v1/status/walreplay",
        "/api/v1/stores",
        "/api/v1/alertmanagers",
        "/api/v1/notifications",
        "/api/v1/notifications/live",
        "/api/v1/read",
        "/api/v1/write",
        "/api/v1/otlp/v1/metrics",
        "/api/v1/admin/tsdb/snapshot",
        "/api/v1/admin/tsdb/delete_series",
        "/metrics",
        "/debug/pprof/",
        "/debug/pprof/heap",
    ];
    for pair in [prometheus(), thanos()] {
        for path in paths {
            for method in ["GET", "POST", "PUT"] {
                let answer =
                    Request::new(method, path).header("content-length", "0").tenant("team-a").send(pair.envoy.port());
                assert!(answer.refused(403).contains("not served to tenants"), "{method} {path}: {}", answer.text());
            }
        }
        for path in [
            "/",
            "/graph",
            "/query",
            "/config",
            "/api/v1/",
            "/api/v2/alerts",
            "/-/reload",
            "/-/quit",
            "/consoles/",
            "/favicon.ico",
            "/api/v1/push",
        ] {
            assert_eq!(
                Request::get(path).tenant("team-a").send(pair.envoy.port()).refused(404),
                UNKNOWN_PATH,
                "{path}"
            );
        }
    }
}
