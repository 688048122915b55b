//! Generated scopes, queries that try to widen them, and answers in which series of others are planted. Two other readers judge: the crate
//! promql-parser reads what goes upstream, and the crate regex says which label sets are inside.

#[path = "../../bin/tenancyctl/second_opinion.rs"]
#[allow(dead_code)]
mod second_opinion;

use super::*;
use crate::answer::{Body, Head as AnswerHead};
use second_opinion::{Operator, Opinion, Wanted, second_opinion};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LABELS: [&str; 4] = ["a", "b", "tenant_id", "c"];
const VALUES: [&str; 6] = ["x", "y", "xy", "x|y", ".*", ""];
const PATTERNS: [&str; 9] = ["x", "x|y", "x.*", ".+", ".*", "(?i)X", "[xy]+", "x\\\\.y|y", "y?"];
const OPERATORS: [(&str, Operator); 4] =
    [("=", Operator::Equal), ("!=", Operator::NotEqual), ("=~", Operator::Regex), ("!~", Operator::NotRegex)];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A condition, as whoever writes the configuration means it.
#[derive(Debug, Clone)]
struct Condition {
    label: &'static str,
    operator: Operator,
    value: String,
    written: String,
}

impl Condition {
    fn any(random: &mut Random) -> Condition {
        let (symbol, operator) = random.of(&OPERATORS);
        let written = match operator {
            Operator::Equal | Operator::NotEqual => random.of(&VALUES),
            Operator::Regex | Operator::NotRegex => random.of(&PATTERNS),
        };
        let label = random.of(&LABELS);
        let value = written.replace("\\\\", "\\");
        Condition { label, operator, value, written: format!("{label}{symbol}\"{written}\"") }
    }

    fn accepts(&self, set: &BTreeMap<&str, &str>) -> bool {
        let found = set.get(self.label).copied().unwrap_or("");
        let matches = || regex::Regex::new(&format!("^(?s:{})$", self.value)).unwrap().is_match(found);
        match self.operator {
            Operator::Equal => found == self.value,
            Operator::NotEqual => found != self.value,
            Operator::Regex => matches(),
            Operator::NotRegex => !matches(),
        }
    }
}

/// A tenant's conditions, and a worker that is configured so.
fn confined(random: &mut Random) -> Option<(Vec<Condition>, Worker)> {
    let count = 1 + random.below(4);
    let mut conditions: Vec<Condition> = (0..count).map(|_| Condition::any(random)).collect();
    let selector = conditions.iter().map(|condition| condition.written.as_str()).collect::<Vec<_>>().join(",");
    let mut json = json!({
        "tenant_selectors": {"shop": format!("{{{selector}}}")},
        "on_conflict": random.of(&["replace", "intersect", "reject"]),
    });
    if random.below(2) == 0 {
        json["enforced_labels"] = json!([{"label": "c", "header": "x-c"}]);
        let written = "c=\"x\"".to_owned();
        conditions.push(Condition { label: "c", operator: Operator::Equal, value: "x".to_owned(), written });
    }
    match Config::parse(json.to_string().as_bytes()) {
        Ok(config) => Some((conditions, Worker { config, memo: RefCell::default() })),
        Err(error) => {
            // Nothing but what would show series without any of the labels is refused. Labels beside it change nothing about that.
            let own = &conditions[..count];
            assert!(own.iter().all(|condition| condition.accepts(&BTreeMap::new())), "{error}: {selector}");
            None
        }
    }
}

fn request(target: &str) -> Request {
    Request::get(target).tenant("shop").header("x-c", "x")
}

#[test]
fn no_query_widens_a_generated_scope() {
    let mut random = Random(7);
    let (mut forwarded, mut refused) = (0, 0);
    for _ in 0..150 {
        let Some((conditions, worker)) = confined(&mut random) else { continue };
        let wanted: Vec<(&str, Operator, &str)> =
            conditions.iter().map(|condition| (condition.label, condition.operator, &*condition.value)).collect();
        let wanted = Wanted::all(&wanted);
        for _ in 0..5 {
            let mut widening = || {
                let own: Vec<String> = (0..random.below(3)).map(|_| Condition::any(&mut random).written).collect();
                own.join(",")
            };
            let (first, second, third) = (widening(), widening(), widening());
            let query = format!(
                r#"topk(scalar(m{{{first}}}), up{{{second}}}) or sum by (a) (rate({{__name__=~".+",{third}}}[5m]))"#
            );
            let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
            match request(&format!("/api/v1/query?query={encoded}")).send(&worker) {
                Ok(sent) => {
                    let written = values(&sent, "query").remove(0);
                    let opinion = second_opinion(&written, &wanted);
                    assert_eq!(opinion, Opinion::Agrees { selectors: 3 }, "{conditions:?} {query} {written}");
                    forwarded += 1;
                }
                Err(rejection) => {
                    assert_eq!(rejection.reason(), "query_conflict", "{query}");
                    refused += 1;
                }
            }
        }
    }
    assert!(forwarded > 100 && refused > 10, "{forwarded} {refused}");
}

/// What the filter makes of an answer to this request.
fn filtered(worker: &Worker, target: &str, body: &Value) -> Value {
    let forward = request(target).decide(worker).unwrap();
    let headers: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"content-type", b"application/json")];
    let head = AnswerHead { headers: &headers, end_of_stream: false, is_early: false };
    let Body::Filtered(mut filtered) = forward.expected.decide(&head).unwrap().body else { panic!("{target}") };
    let mut out = Vec::new();
    filtered.filter.push(body.to_string().as_bytes(), true, &mut out);
    assert_eq!(filtered.filter.fault(), None, "{target}");
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn planted_series_rules_and_alerts_of_others_are_in_no_answer() {
    let mut random = Random(11);
    let (mut kept, mut dropped) = (0, 0);
    for _ in 0..150 {
        let Some((conditions, worker)) = confined(&mut random) else { continue };
        let sets: Vec<BTreeMap<&str, &str>> = (0..25)
            .map(|_| {
                let count = random.below(5);
                (0..count).map(|_| (random.of(&LABELS), random.of(&["x", "y", "xy", "X", "x.y", "x|y", ""]))).collect()
            })
            .collect();
        let is_inside = |set: &&BTreeMap<&str, &str>| conditions.iter().all(|condition| condition.accepts(set));
        let own: Vec<Value> = sets.iter().filter(is_inside).map(|set| json!(set)).collect();
        kept += own.len();
        dropped += sets.len() - own.len();
        let labels = |list: &Value, key: &str| -> Vec<Value> {
            list.as_array().into_iter().flatten().map(|item| item[key].clone()).collect()
        };

        let series: Vec<Value> = sets.iter().map(|set| json!({"seriesLabels": set, "exemplars": []})).collect();
        let answer = filtered(
            &worker,
            "/api/v1/query_exemplars?query=up&start=1&end=2",
            &json!({"status": "success", "data": series}),
        );
        assert_eq!(labels(&answer["data"], "seriesLabels"), own, "{conditions:?}");

        let alerts: Vec<Value> =
            sets.iter().map(|set| json!({"labels": set, "state": "firing", "value": "1"})).collect();
        let answer = filtered(&worker, "/api/v1/alerts", &json!({"status": "success", "data": {"alerts": alerts}}));
        assert_eq!(labels(&answer["data"]["alerts"], "labels"), own, "{conditions:?}");

        let rules: Vec<Value> = sets
            .iter()
            .map(|set| {
                json!({"name": "r", "query": "up", "labels": set, "health": "ok", "type": "recording",
                       "evaluationTime": 0.1, "lastEvaluation": "2026-01-02T03:04:05Z"})
            })
            .collect();
        let group = json!({"name": "g", "file": "f", "rules": rules, "interval": 30, "limit": 0,
                           "evaluationTime": 0.1, "lastEvaluation": "2026-01-02T03:04:05Z"});
        let answer = filtered(&worker, "/api/v1/rules", &json!({"status": "success", "data": {"groups": [group]}}));
        let groups = answer["data"]["groups"].as_array().unwrap();
        let found: Vec<Value> = groups.iter().flat_map(|group| labels(&group["rules"], "labels")).collect();
        assert_eq!(found, own, "{conditions:?}");
    }
    assert!(kept > 60 && dropped > 500, "{kept} {dropped}");
}
