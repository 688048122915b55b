//! What Thanos reports about stores, rulers and remote engines. Its own answers name the other tenant, and answers through the filter don't.

use crate::support;
use crate::support::compare::{BOTH, assert_only_of};
use crate::support::data;
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::stores::Stores;
use serde_json::{Value, json};
use std::sync::LazyLock;

const INCOMPLETE: &str =
    "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's";
const WITHHELD: &str = "a message of the upstream is withheld: it may name what is not this tenant's";

struct Thanos {
    stores: &'static Stores,
    /// In front of the Query that asks its stores: with and without `allow_on_headers_stop_iteration`.
    leaf: [Envoy; 2],
    /// In front of the one that asks another Query.
    root: Envoy,
}

fn thanos() -> &'static Thanos {
    static THANOS: LazyLock<Thanos> = LazyLock::new(|| {
        let stores = support::stores();
        let setup = |port: u16| Setup::shipped(port).plugin(json!({"upstream": "thanos"}));
        let leaf = [
            setup(stores.leaf()).start("envoy-stores"),
            setup(stores.leaf()).stop_iteration(false).start("envoy-stores-continue"),
        ];
        let root = setup(stores.root()).start("envoy-stores-root");
        Thanos { stores, leaf, root }
    });
    &THANOS
}

/// With the times of the data.
fn path(path: &str, pairs: &[(&str, &str)]) -> String {
    let [start, end] = [data::start(), data::end()].map(|time| time.to_string());
    let times = match path {
        "/api/v1/query" | "/api/v1/query_explain" => vec![("time", end.as_str())],
        "/api/v1/rules" => vec![],
        "/api/v1/query_range" | "/api/v1/query_range_explain" => {
            vec![("start", &*start), ("end", &*end), ("step", "60")]
        }
        _ => vec![("start", start.as_str()), ("end", &end)],
    };
    format!("{path}?{}", form(&[&times, pairs].concat()))
}

/// As team-a, over both protocols.
fn ask(envoy: &Envoy, path: &str) -> [Response; 2] {
    let request = Request::get(path).tenant("team-a");
    let answers = [request.send(envoy.port()), request.send_h2(envoy.port()).unwrap()];
    for answer in &answers {
        assert_only_of("team-a", answer, path);
        assert!(!answer.text().contains(ADDRESS), "{path}: {}", answer.text());
    }
    answers
}

/// The address on which all of the stores listen.
const ADDRESS: &str = "127.0.0.1";
const OWN: &str = r#"{tenant_id="team-a",__name__!=""}"#;

#[test]
fn warnings_of_a_store_that_fails_name_nobody() {
    let thanos = thanos();
    for (endpoint, asked, by_hand) in [
        ("/api/v1/query", ("query", "count(up)"), r#"count(up{tenant_id="team-a"})"#),
        ("/api/v1/query_range", ("query", "count(up)"), r#"count(up{tenant_id="team-a"})"#),
        ("/api/v1/labels", ("match[]", r#"{__name__!=""}"#), OWN),
        ("/api/v1/label/owner/values", ("match[]", r#"{__name__!=""}"#), OWN),
    ] {
        let told = Request::get(&path(endpoint, &[(asked.0, by_hand)])).send(thanos.stores.leaf());
        let warnings = told.json()["warnings"].to_string();
        let named = if endpoint.contains("query") { "team-b" } else { ADDRESS };
        assert!(told.status == 200 && warnings.contains(named), "{endpoint}: {}", told.text());
        for envoy in &thanos.leaf {
            for answer in ask(envoy, &path(endpoint, &[asked])) {
                assert_eq!(answer.status, 200, "{endpoint}: {}", answer.text());
                assert_eq!(answer.json()["warnings"], json!([INCOMPLETE]), "{endpoint}");
                assert_eq!(answer.json()["data"], told.json()["data"], "{endpoint}");
            }
        }
    }
    let exemplars = path("/api/v1/query_exemplars", &[("query", "http_requests_total")]);
    let told = Request::get(&exemplars).send(thanos.stores.leaf());
    assert!(told.text().contains("data of team-b"), "{}", told.text());
    for envoy in &thanos.leaf {
        for answer in ask(envoy, &exemplars) {
            assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(6), "{}", answer.text());
        }
    }
}

#[test]
fn errors_of_a_store_that_fails_name_nobody() {
    let thanos = thanos();
    for (endpoint, asked, by_hand) in [
        ("/api/v1/query", ("query", "count(up)"), r#"count(up{tenant_id="team-a"})"#),
        ("/api/v1/series", ("match[]", "up"), r#"up{tenant_id="team-a"}"#),
        ("/api/v1/labels", ("match[]", r#"{__name__!=""}"#), OWN),
    ] {
        let whole = ("partial_response", "false");
        let told = Request::get(&path(endpoint, &[(asked.0, by_hand), whole])).send(thanos.stores.leaf());
        let named = if endpoint.contains("labels") { ADDRESS } else { "team-b" };
        assert!(told.status >= 400 && told.text().contains(named), "{endpoint}: {}", told.text());
        for envoy in &thanos.leaf {
            for answer in ask(envoy, &path(endpoint, &[asked, whole])) {
                assert_eq!(answer.status, told.status, "{endpoint}");
                assert_eq!(answer.json()["error"], WITHHELD, "{endpoint}: {}", answer.text());
            }
        }
    }
}

fn rules(answer: &Response) -> Vec<Value> {
    let answer = answer.json();
    let groups = answer["data"]["groups"].as_array().unwrap().iter();
    let mut rules: Vec<Value> = groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
    rules.sort_by_key(|rule| rule["name"].to_string());
    rules
}

/// From a sidecar, where the label is the rules' own, and from a ruler, where it is an external label: on the rule, not on its alert.
#[test]
fn rules_and_alerts_of_thanos_are_the_tenant_s() {
    let thanos = thanos();
    let told = Request::get("/api/v1/rules").send(thanos.stores.leaf());
    assert_eq!(rules(&told).len(), 9, "{}", told.text());
    for envoy in &thanos.leaf {
        for (tenant, _) in BOTH {
            let mark = tenant.replace('-', "_");
            let own = [
                format!("AlertOf{mark}"),
                format!("ByRulerOf{mark}"),
                format!("SecondOf{mark}"),
                format!("{mark}:one"),
            ];
            let has_ruler = tenant == "team-a";
            let names: Vec<&String> = own.iter().filter(|name| has_ruler || !name.contains("Ruler")).collect();
            for client in
                [|request: &Request, port| request.send(port), |request: &Request, port| request.send_h2(port).unwrap()]
            {
                let answer = client(&Request::get("/api/v1/rules").tenant(tenant), envoy.port());
                assert_only_of(tenant, &answer, "rules");
                let rules = rules(&answer);
                assert_eq!(rules.iter().map(|rule| rule["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
                for rule in rules.iter().filter(|rule| rule["type"] == "alerting") {
                    assert_eq!(
                        (&rule["state"], rule["alerts"].as_array().map(Vec::len)),
                        (&json!("firing"), Some(1)),
                        "{rule}"
                    );
                    let is_labelled = rule["alerts"][0]["labels"]["tenant_id"] == tenant;
                    assert_eq!(is_labelled, !rule["name"].as_str().unwrap().contains("Ruler"), "{rule}");
                }
                let answer = client(&Request::get("/api/v1/alerts").tenant(tenant), envoy.port());
                assert_only_of(tenant, &answer, "alerts");
                let alerts = answer.json();
                let alerts = alerts["data"]["alerts"].as_array().unwrap();
                let unlabelled = alerts.iter().filter(|alert| alert["labels"]["tenant_id"] != tenant);
                assert_eq!(
                    (alerts.len(), unlabelled.count()),
                    (names.len() - 1, has_ruler.into()),
                    "{}",
                    answer.text()
                );
            }
        }
    }
}

/// Queries of which a part is evaluated by the remote engine, and functions of its results.
const DISTRIBUTED: [&str; 3] =
    ["sum by (owner) (up)", "abs(sum by (owner) (up))", "histogram_quantile(0.9, sum by (le) (up))"];

fn owned(query: &str) -> String {
    query.replace("up", r#"up{tenant_id="team-a"}"#)
}

#[test]
fn plans_don_t_tell_how_others_are_labelled() {
    let thanos = thanos();
    for endpoint in ["/api/v1/query_explain", "/api/v1/query_range_explain"] {
        for query in DISTRIBUTED {
            let engine = ("engine", "thanos");
            let told = Request::get(&path(endpoint, &[("query", &owned(query)), engine])).send(thanos.stores.root());
            assert!(told.text().contains("label_of_team_b"), "{query}: {}", told.text());
            for answer in ask(&thanos.root, &path(endpoint, &[("query", query), engine])) {
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert!(answer.text().contains(r#"{"name":"[remoteExec]"}"#), "{}", answer.text());
                let [before, after] = [&told, &answer].map(|answer| answer.text().matches(r#""name":"#).count());
                assert_eq!(before, after, "{query}");
            }
        }
    }
}

#[test]
fn an_analysis_names_no_stores() {
    let thanos = thanos();
    let asked = |query: &str| path("/api/v1/query", &[("query", query), ("engine", "thanos"), ("analyze", "true")]);
    for query in DISTRIBUTED {
        let told = Request::get(&asked(&owned(query))).send(thanos.stores.root());
        assert!(told.text().contains("label_of_team_b"), "{}", told.text());
        let local = Request::get(&asked(&owned(query))).send(thanos.stores.leaf());
        assert!(local.text().contains("endpointAddr"), "{}", local.text());
        for (envoy, told) in [(&thanos.root, &told), (&thanos.leaf[0], &local), (&thanos.leaf[1], &local)] {
            for answer in ask(envoy, &asked(query)) {
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.json()["data"]["result"], told.json()["data"]["result"], "{query}");
                let operators = |answer: &Response| answer.text().matches(r#""name":"["#).count();
                assert!(operators(&answer) > 2 && operators(&answer) == operators(told), "{}", answer.text());
            }
        }
    }
}
