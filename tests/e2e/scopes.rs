//! Tenants that are confined to more than one label, against Prometheus and Thanos: selectors of their own, more labels, shared tenants.
//! Each answer is the upstream's to the same request with the matchers written by hand.

use crate::support::compare::content;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::{Pair, data, prometheus, prometheus_with_rules, thanos};
use serde_json::{Value, json};

/// Queries with the scope of each selector written by hand, as `§`.
const QUERIES: &[&str] = &[
    "up{§}",
    "count by (owner, instance) (up{§})",
    "sum by (owner, code) (rate(http_requests_total{§}[5m]))",
    "topk(scalar(count(up{§})), temperature{§})",
    "max_over_time(sum(temperature{§})[10m:1m])",
    r#"up{§,job="api"} == on (instance, owner) group_left () (temperature{§} > bool -1)"#,
    "absent(absent_metric{§})",
    "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket{§}[5m])))",
    r#"{§,__name__=~"up|temperature"} or only_team_a{§} or only_team_b{§}"#,
    r#"{§,"dotted.metric"}"#,
    r#"count({§,__name__!=""})"#,
    "label_replace(up{§}, \"owner\", \"x\", \"\", \"\") unless up{§} offset 5m",
];

/// One tenant, as a configuration confines it.
struct Model {
    tenant: &'static str,
    /// Headers of the request.
    labels: &'static [(&'static str, &'static str)],
    /// The matchers, written by hand.
    scope: &'static str,
}

const fn model(tenant: &'static str, labels: &'static [(&'static str, &'static str)], scope: &'static str) -> Model {
    Model { tenant, labels, scope }
}

fn in_front_of(pair: &Pair, upstream: &str, name: &str, keys: &Value) -> Envoy {
    let setup = Setup::shipped(pair.upstream.port()).plugin(json!({"upstream": upstream})).plugin(keys.clone());
    setup.start(&format!("envoy-scopes-{name}-{upstream}"))
}

impl Model {
    /// The request as this tenant sends it.
    fn ask(&self, envoy: &Envoy, request: Request) -> Response {
        let request =
            self.labels.iter().fold(request.tenant(self.tenant), |request, (name, value)| request.header(name, value));
        request.send(envoy.port())
    }

    /// Asks without the scope through the filter, and with it of the upstream; says how much came.
    fn assert_same(&self, envoy: &Envoy, pair: &Pair, path: &str, parameters: &[(&str, &str)]) -> usize {
        let filled = |scope: &dyn Fn(&str) -> String| {
            let pairs: Vec<(&str, String)> = parameters.iter().map(|(name, value)| (*name, scope(value))).collect();
            form(&pairs.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
        };
        let asked = filled(&|value| value.replace("§,", "").replace("{§}", ""));
        let by_hand = filled(&|value| value.replace('§', self.scope));
        let expected = Request::get(&format!("{path}?{by_hand}")).send(pair.upstream.port());
        assert_eq!(expected.status, 200, "{path} {by_hand}: {}", expected.text());
        let mut requests = vec![Request::get(&format!("{path}?{asked}"))];
        if !path.contains("/label/") && path != "/federate" {
            requests.push(Request::post(path, &asked));
        }
        for request in requests {
            let filtered = self.ask(envoy, request);
            assert_eq!(filtered.status, 200, "{path} {asked}: {}", filtered.text());
            assert_eq!(content(&filtered), content(&expected), "{} {path} {asked}", self.tenant);
        }
        expected.body.len()
    }

    /// Every kind of request that reads series.
    fn assert_confined(&self, envoy: &Envoy, pair: &Pair, is_thanos: bool) {
        let [start, middle, end] = [900, 450, 0].map(|before| (data::end() - before).to_string());
        for query in QUERIES {
            self.assert_same(envoy, pair, "/api/v1/query", &[("query", query), ("time", &middle)]);
            let range = [("query", *query), ("start", &start), ("end", &end), ("step", "60")];
            self.assert_same(envoy, pair, "/api/v1/query_range", &range);
        }
        let selector = [("match[]", r#"{§,__name__!=""}"#)];
        for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/owner/values", "/api/v1/label/instance/values"]
        {
            let length = self.assert_same(envoy, pair, path, &selector);
            assert!(length > r#"{"status":"success","data":[]}"#.len() + 3, "{} has data: {path}", self.tenant);
        }
        if !is_thanos {
            self.assert_same(envoy, pair, "/federate", &[("match[]", "up{§}")]);
            let exemplars = [("query", "http_requests_total{§}"), ("start", &*start), ("end", &*end)];
            self.assert_same(envoy, pair, "/api/v1/query_exemplars", &exemplars);
        }
    }
}

fn both() -> [(&'static Pair, &'static str); 2] {
    [(prometheus(), "prometheus"), (thanos(), "thanos")]
}

#[test]
fn a_tenant_with_a_selector_sees_what_it_selects() {
    let selectors = json!({
        "of-two": r#"{owner=~"data of (team-a|nobody)"}"#,
        "of-four": r#"{instance=~"one:80|two:80",owner!="data of nobody",code!~"5..",tenant_id="team-b"}"#,
        "of-one": r#"{owner="data of team-b"}"#,
    });
    for (pair, upstream) in both() {
        let envoy = in_front_of(pair, upstream, "selectors", &json!({"tenant_selectors": selectors}));
        for model in [
            model("of-two", &[], r#"owner=~"data of (team-a|nobody)""#),
            model(
                "of-four",
                &[],
                r#"instance=~"one:80|two:80",owner!="data of nobody",code!~"5..",tenant_id="team-b""#,
            ),
            model("of-one", &[], r#"owner="data of team-b""#),
            model("team-a", &[], r#"tenant_id="team-a""#),
        ] {
            model.assert_confined(&envoy, pair, upstream == "thanos");
        }
        // What a query says about the labels chooses among what the tenant sees, or is replaced.
        let of_two = model("of-two", &[], "");
        let ask = |query: &str| {
            let query = form(&[("query", query), ("time", &data::end().to_string())]);
            of_two.ask(&envoy, Request::get(&format!("/api/v1/query?{query}"))).text()
        };
        for widening in [r#"owner=~".*""#, r#"owner!="data of team-a""#, r#"owner="data of team-b""#, r#""owner"!~"x""#]
        {
            let answer = ask(&format!("up{{{widening}}} or temperature{{{widening}}}"));
            assert!(answer.contains("success") && !answer.contains("data of team-b"), "{widening}: {answer}");
        }
        assert!(ask(r#"up{owner="data of nobody"}"#).contains("data of nobody"));
    }
}

#[test]
fn labels_are_enforced_beside_the_tenant_s() {
    let keys = json!({
        "enforced_labels": [
            {"label": "instance", "header": "X-Instance"},
            {"label": "job", "values": ["api", "none"]},
        ],
        "tenant_selectors": {"shop": r#"{owner=~"data of team-.*"}"#},
    });
    const ONE: &[(&str, &str)] = &[("x-instance", "one:80")];
    const TWO: &[(&str, &str)] = &[("x-instance", "two:80")];
    for (pair, upstream) in both() {
        let envoy = in_front_of(pair, upstream, "labels", &keys);
        for model in [
            model("team-a", ONE, r#"tenant_id="team-a",instance="one:80",job=~"api|none""#),
            model("team-b", TWO, r#"tenant_id="team-b",instance="two:80",job=~"api|none""#),
            model("shop", TWO, r#"owner=~"data of team-.*",instance="two:80",job=~"api|none""#),
        ] {
            model.assert_confined(&envoy, pair, upstream == "thanos");
        }
        let query = || Request::get("/api/v1/query?query=up");
        let answer = model("team-a", ONE, "").ask(&envoy, query());
        // Beside what the upstream's answer varies on.
        let vary = answer.all("vary").join(",");
        let names: Vec<&str> = vary.split(',').map(str::trim).collect();
        assert!(names.contains(&"thanos-tenant") && names.contains(&"x-instance"), "{vary}");
        for (labels, status) in [
            (&[][..], 401),
            (&[("x-instance", "")], 401),
            (&[("x-instance", "one:80"), ("x-instance", "one:80")], 400),
            (&[("x-instance", "one:80|two:80")], 400),
        ] {
            let text = model("team-a", labels, "").ask(&envoy, query()).refused(status);
            assert!(text.contains("instance"), "{text}");
        }
        // A value is text.
        for value in [".*", r#"one:80"} or up{job="api"#, "one:80,two:80"] {
            let request = query().tenant("team-a").header("x-instance", value);
            assert_eq!(request.send(envoy.port()).json()["data"]["result"], json!([]), "{value}");
        }
    }
}

#[test]
fn shared_tenants_are_seen_beside_one_s_own() {
    for (pair, upstream) in both() {
        let envoy = in_front_of(pair, upstream, "shared", &json!({"shared_tenants": ["team-b"]}));
        let both = model("team-a", &[], r#"tenant_id=~"team-a|team-b""#);
        both.assert_confined(&envoy, pair, upstream == "thanos");
        model("team-b", &[], r#"tenant_id="team-b""#).assert_confined(&envoy, pair, upstream == "thanos");
        let query =
            form(&[("query", r#"count by (owner) (up{tenant_id="team-b"})"#), ("time", &data::end().to_string())]);
        let answer = both.ask(&envoy, Request::get(&format!("/api/v1/query?{query}"))).text();
        assert!(answer.contains("data of team-b") && !answer.contains("data of team-a"), "{answer}");
    }
}

/// Exemplars of Thanos, which does not pass matchers on external labels to its stores.
#[test]
fn thanos_exemplars_are_inside_the_scope() {
    let keys = json!({
        "tenant_selectors": {"shop": r#"{tenant_id=~"team-.*",instance!="three:80",code=~"2.."}"#},
        "shared_tenants": [],
    });
    let envoy = in_front_of(thanos(), "thanos", "exemplars", &keys);
    let parameters = form(&[
        ("query", "http_requests_total"),
        ("start", &data::start().to_string()),
        ("end", &data::end().to_string()),
    ]);
    let target = format!("/api/v1/query_exemplars?{parameters}");
    let answer = model("shop", &[], "").ask(&envoy, Request::get(&target)).json();
    let found = answer["data"].as_array().unwrap();
    // Two tenants with two instances each.
    assert_eq!(found.len(), 4, "{answer}");
    for series in found {
        let labels = &series["seriesLabels"];
        assert!(labels["tenant_id"].as_str().unwrap().starts_with("team-"), "{labels}");
        assert!(labels["instance"] != "three:80" && labels["code"] == "200", "{labels}");
    }
}

#[test]
fn rules_and_alerts_are_filtered_by_the_whole_scope() {
    let pair = prometheus_with_rules();
    let selectors = json!({
        "paged": r#"{tenant_id=~"team-.*",severity="page"}"#,
        "quiet": r#"{tenant_id!="team-b",tenant_id=~".+",severity!~"p.*"}"#,
    });
    for (name, keys, tenant, rules, alerts) in [
        ("paged", json!({"tenant_selectors": selectors}), "paged", &["SecondOfteam_a", "SecondOfteam_b"][..], 2),
        ("quiet", json!({"tenant_selectors": selectors}), "quiet", &["AlertOfteam_a", "team_a:one"], 1),
        (
            "labels",
            json!({"enforced_labels": [{"label": "severity", "values": ["page", "warn"]}]}),
            "team-a",
            &["SecondOfteam_a"],
            1,
        ),
        (
            "shared",
            json!({"shared_tenants": ["team-b"]}),
            "team-a",
            &["AlertOfteam_a", "AlertOfteam_b", "SecondOfteam_a", "SecondOfteam_b", "team_a:one", "team_b:one"],
            4,
        ),
    ] {
        for matched in [false, true] {
            let setup =
                Setup::shipped(pair.upstream.port()).plugin(keys.clone()).plugin(json!({"match_rules": matched}));
            let envoy = setup.start(&format!("envoy-scopes-rules-{name}-{matched}"));
            let ask = |path| Request::get(path).tenant(tenant).send(envoy.port()).json();
            let answer = ask("/api/v1/rules");
            let groups = answer["data"]["groups"].as_array().unwrap();
            let found = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
            let mut names: Vec<&str> = found.map(|rule| rule["name"].as_str().unwrap()).collect();
            names.sort_unstable();
            assert_eq!(names, rules, "{name} {matched}");
            assert_eq!(ask("/api/v1/alerts")["data"]["alerts"].as_array().unwrap().len(), alerts, "{name}");
        }
    }
}
