//! Endpoints that answer with the data of all tenants, whatever the request: the filter removes the data of other tenants.

use crate::support::compare::{BOTH, assert_only_of};
use crate::support::envoy::{Envoy, Setup};
use crate::support::http::{Request, Response, form};
use crate::support::{data, prometheus_with_rules, thanos};
use serde_json::{Value, json};

/// Sends the request as the tenant, over HTTP/1 and HTTP/2.
fn ask(envoy: &Envoy, request: &Request, tenant: &str) -> [Response; 2] {
    let request = request.clone().tenant(tenant);
    let answers = [request.send(envoy.port()), request.send_h2(envoy.port()).unwrap()];
    for answer in &answers {
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (200, Some("private, no-store")),
            "{}",
            answer.text()
        );
        assert_only_of(tenant, answer, &request.target);
    }
    answers
}

/// The names of the rules, by group.
fn names(rules: &Value) -> Vec<(&str, Vec<&str>)> {
    fn name(value: &Value) -> &str {
        value["name"].as_str().unwrap()
    }
    let groups = rules["data"]["groups"].as_array().unwrap().iter();
    groups.map(|group| (name(group), group["rules"].as_array().unwrap().iter().map(name).collect())).collect()
}

#[test]
fn rules_are_the_tenant_s() {
    let pair = prometheus_with_rules();
    let waiting = Setup::shipped(pair.upstream.port()).stop_iteration(false).start("envoy-rules-continue");
    let everybody = Request::get("/api/v1/rules").send(pair.upstream.port()).json();
    assert_eq!(names(&everybody).len(), 4, "{everybody}");
    for envoy in [&pair.envoy, &waiting] {
        for (tenant, _) in BOTH {
            let mark = tenant.replace('-', "_");
            for answer in ask(envoy, &Request::get("/api/v1/rules"), tenant) {
                let rules = answer.json();
                let (one, alert, second) = (format!("{mark}:one"), format!("AlertOf{mark}"), format!("SecondOf{mark}"));
                let only = format!("only {mark}");
                let expected = vec![(only.as_str(), vec![second.as_str()]), ("shared", vec![&one, &alert])];
                assert_eq!(names(&rules), expected);
                assert_eq!(rules["data"]["groups"][0]["rules"][0]["state"], "firing");
                assert_eq!(rules["data"]["groups"][0]["rules"][0]["alerts"][0]["labels"]["tenant_id"], tenant);
            }
            for answer in ask(envoy, &Request::get("/api/v1/rules?type=record"), tenant) {
                assert_eq!(names(&answer.json()), [("shared", vec![format!("{mark}:one").as_str()])]);
            }
        }
    }
}

#[test]
fn alerts_are_the_tenant_s() {
    let pair = prometheus_with_rules();
    for (tenant, _) in BOTH {
        let mark = tenant.replace('-', "_");
        for answer in ask(&pair.envoy, &Request::get("/api/v1/alerts"), tenant) {
            let alerts = answer.json();
            let mut names: Vec<&str> = alerts["data"]["alerts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|alert| alert["labels"]["alertname"].as_str().unwrap())
                .collect();
            names.sort_unstable();
            assert_eq!(names, [format!("AlertOf{mark}"), format!("SecondOf{mark}")]);
        }
    }
}

#[test]
fn tenant_without_rules_has_none() {
    let pair = prometheus_with_rules();
    let answer = Request::get("/api/v1/rules").tenant("team-c").send(pair.envoy.port());
    assert_eq!(answer.json(), json!({"status": "success", "data": {"groups": []}}));
    let answer = Request::get("/api/v1/alerts").tenant("team-c").send(pair.envoy.port());
    assert_eq!(answer.json(), json!({"status": "success", "data": {"alerts": []}}));
}

/// Thanos drops matchers on external labels on the way to its stores (pkg/exemplars/proxy.go, 0.42.5). Without the filter, the answer
/// therefore has the exemplars of all tenants.
#[test]
fn exemplars_of_thanos_are_the_tenant_s() {
    let pair = thanos();
    let asked = |query: &str| {
        let times = [data::start().to_string(), data::end().to_string()];
        form(&[("query", query), ("start", &times[0]), ("end", &times[1])])
    };
    for (tenant, _) in BOTH {
        let by_hand = asked(&format!("http_requests_total{{tenant_id=\"{tenant}\"}}"));
        let by_hand = Request::get(&format!("/api/v1/query_exemplars?{by_hand}")).send(pair.upstream.port()).text();
        assert!(BOTH.iter().all(|(tenant, _)| by_hand.contains(tenant)), "Thanos asks its stores otherwise: {by_hand}");
        let url = format!("/api/v1/query_exemplars?{}", asked("http_requests_total"));
        let posted = Request::post("/api/v1/query_exemplars", &asked("sum(rate(http_requests_total[5m]))"));
        for request in [Request::get(&url), posted] {
            for answer in ask(&pair.envoy, &request, tenant) {
                let exemplars = answer.json();
                let exemplars = exemplars["data"].as_array().unwrap();
                assert_eq!(exemplars.len(), 6, "{}", answer.text());
                assert!(
                    exemplars.iter().all(|series| series["seriesLabels"]["tenant_id"] == tenant),
                    "{}",
                    answer.text()
                );
            }
        }
    }
}
