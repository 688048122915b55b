//! Grafana's dashboards: the queries of panels, annotations and variables, in the forms of both of its schemas.
//!
//! A query is any object with a text under `expr`. Whose data source it is for stands in it, or above it; what is for another kind of data
//! source than a Prometheus is counted and left out.

use super::judge::Asked;
use super::variables::{GUESSES, Variables};
use super::{Found, Item};
use promql_tenancy_filter::promql::{self, Query};
use serde_json::Value;
use std::collections::BTreeMap;

/// JSON is nested no deeper than this by Grafana; serde_json reads 128.
const MAX_DEPTH: usize = 100;

/// The dashboard, as far as it has been walked.
struct Walk<'d> {
    variables: Variables,
    /// The kinds of data sources, by the variables that choose one.
    sources: BTreeMap<String, String>,
    /// How far back its panels look, in seconds.
    range: u64,
    before: &'d str,
    found: &'d mut Found,
}

/// Whether it is a dashboard; its queries.
pub fn read(json: &Value, before: &str, found: &mut Found) -> bool {
    // As the API answers it, and as an operator's resource holds it.
    let wrapped =
        ["/dashboard", "/spec/json"].iter().find_map(|place| json.pointer(place)).filter(|inner| inner.is_object());
    let dashboard = wrapped.unwrap_or(json);
    let has = |name: &str| dashboard.get(name).is_some_and(|value| value.is_array() || value.is_object());
    let is_new = dashboard.pointer("/spec/elements").is_some() || dashboard.get("elements").is_some();
    if !(has("panels") || has("rows") || has("templating") || is_new) {
        return false;
    }
    let from = ["/time/from", "/spec/timeSettings/from"].iter().find_map(|place| dashboard.pointer(place)?.as_str());
    let range = from.and_then(|from| from.strip_prefix("now-")).and_then(|ago| promql::duration(ago.as_bytes()));
    let range = range.and_then(|milliseconds| u64::try_from(milliseconds / 1_000).ok()).unwrap_or(3_600).max(60);
    let mut walk = Walk { variables: Variables::of(dashboard), sources: sources(dashboard), range, before, found };
    walk.visit(dashboard, "", None, MAX_DEPTH);
    true
}

/// The kinds of data sources that variables and inputs stand for.
fn sources(dashboard: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut sources = BTreeMap::new();
    for input in dashboard.get("__inputs").and_then(Value::as_array).into_iter().flatten() {
        sources.extend(text(input, "name").zip(text(input, "pluginId")));
    }
    let lists = ["/templating/list", "/spec/variables"].iter().filter_map(|place| dashboard.pointer(place)?.as_array());
    for variable in lists.flatten() {
        if text(variable, "type").as_deref() == Some("datasource") {
            sources.extend(text(variable, "name").zip(text(variable, "query")));
        }
    }
    sources
}

impl Walk<'_> {
    fn visit(&mut self, value: &Value, place: &str, source: Option<&str>, depth: usize) {
        if depth == 0 {
            return;
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item, place, source, depth - 1)),
            Value::Object(object) => {
                let own = object.get("datasource").and_then(|source| self.kind(source));
                let source = own.as_deref().or(source);
                let place = named(value, place);
                if let Some(expression) = object.get("expr").and_then(Value::as_str) {
                    self.query(value, expression, &place, source);
                    return;
                }
                for (name, inner) in object {
                    match (name.as_str(), inner.as_array()) {
                        ("templating", _) => {
                            let list = inner.get("list").and_then(Value::as_array);
                            list.into_iter().flatten().for_each(|variable| self.variable(variable));
                        }
                        ("variables", Some(list)) => list.iter().for_each(|variable| self.variable(variable)),
                        ("options" | "fieldConfig", _) => {}
                        _ => self.visit(inner, &place, source, depth - 1),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The kind of a data source, as far as the dashboard says it.
    fn kind(&self, source: &Value) -> Option<String> {
        let of_name = |name: &str| {
            let variable = name.trim_start_matches(['$', '{', '[']).trim_end_matches(['}', ']']);
            if let Some(kind) = self.sources.get(variable) {
                return Some(kind.clone());
            }
            // Names that people give: only what is plainly another kind is one.
            let others = [
                "loki",
                "tempo",
                "elasticsearch",
                "influxdb",
                "graphite",
                "cloudwatch",
                "mysql",
                "postgres",
                "grafana",
            ];
            let lower = name.to_ascii_lowercase();
            others.into_iter().find(|other| lower.contains(other)).map(str::to_owned)
        };
        match source {
            Value::String(name) => of_name(name),
            Value::Object(object) => match object.get("type").and_then(Value::as_str) {
                Some(kind) => Some(kind.to_owned()),
                None => object.get("uid").and_then(Value::as_str).and_then(of_name),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        }
    }

    fn is_for_prometheus(&mut self, source: Option<&str>) -> bool {
        let is = source
            .is_none_or(|kind| kind.contains("prometheus") || matches!(kind, "datasource" | "mixed" | "-- Mixed --"));
        if !is {
            *self.found.others.entry(source.unwrap_or_default().to_owned()).or_default() += 1;
        }
        is
    }

    fn query(&mut self, target: &Value, expression: &str, place: &str, source: Option<&str>) {
        if expression.trim().is_empty() || !self.is_for_prometheus(source) {
            return;
        }
        let is_instant = target.get("instant").and_then(Value::as_bool).unwrap_or(false);
        let text = self.readable(expression, |text| Query::parse(text.as_bytes()).is_ok());
        let asked = if is_instant { Asked::Instant(text) } else { Asked::Range { query: text, seconds: self.range } };
        let id = target.get("refId").and_then(Value::as_str).map_or(String::new(), |id| format!(" query {id}"));
        self.add(format!("{place}{id}"), asked);
    }

    /// What a variable's values are asked for by: `label_values(…)` and its like, `query_result(…)`, or a selector.
    fn variable(&mut self, variable: &Value) {
        let spec = variable.get("spec").unwrap_or(variable);
        let kind = spec.get("type").or_else(|| variable.get("kind")).and_then(Value::as_str).unwrap_or_default();
        if !matches!(kind, "query" | "QueryVariable") {
            return;
        }
        let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
        let source = spec.get("datasource").and_then(|source| self.kind(source));
        let asked = ["/query", "/query/query", "/query/spec/query", "/definition"];
        let mut texts = asked.iter().filter_map(|place| spec.pointer(place)?.as_str());
        let Some(text) = texts.find(|text| !text.trim().is_empty()) else { return };
        if !self.is_for_prometheus(source.as_deref()) {
            return;
        }
        let text = text.trim();
        let place = format!("variable {name:?}");
        let inner = |function: &str| {
            text.strip_prefix(function)?.trim_start().strip_prefix('(')?.strip_suffix(')').map(str::trim)
        };
        if let Some(inner) = inner("label_values") {
            // The last comma, since a selector has commas too.
            let (selector, label) = match inner.rsplit_once(',').filter(|(_, label)| !label.contains(['}', '"'])) {
                Some((selector, label)) => (Some(selector.trim()), label.trim()),
                None => (None, inner),
            };
            let label = self.variables.replace(label, "x").0;
            let selector =
                selector.map(|text| self.readable(text, |text| Query::parse_selector(text.as_bytes()).is_ok()));
            self.add(place, Asked::LabelValues { selector, label });
        } else if let Some(inner) = inner("query_result") {
            let query = self.readable(inner, |text| Query::parse(text.as_bytes()).is_ok());
            self.add(place, Asked::Instant(query));
        } else if inner("metrics").is_some() || inner("label_names").is_some_and(str::is_empty) {
            self.add(place, Asked::Names);
        } else {
            let selector = inner("label_names").unwrap_or(text);
            let selector = self.readable(selector, |text| Query::parse_selector(text.as_bytes()).is_ok());
            self.add(place, Asked::Selector(selector));
        }
    }

    /// The text with the dashboard's values; what is unknown, with the first guess that can be read.
    fn readable(&self, text: &str, is_read: impl Fn(&str) -> bool) -> String {
        let (first, is_guessed) = self.variables.replace(text, GUESSES[0]);
        if !is_guessed || is_read(&first) {
            return first;
        }
        let guesses = GUESSES.iter().map(|guess| self.variables.replace(text, guess).0);
        guesses.into_iter().find(|text| is_read(text)).unwrap_or(first)
    }

    fn add(&mut self, place: String, asked: Asked) {
        let before = self.before;
        self.found.items.push(Item { place: format!("{before}{}", place.trim()), asked });
    }
}

/// The place of an object: its title, or its name.
fn named(value: &Value, place: &str) -> String {
    let is_shown = value.get("targets").is_some()
        || value.get("expr").is_some()
        || value.get("panels").is_some()
        || value.get("data").is_some();
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let kind = value.get("type").and_then(Value::as_str);
    match (text("title"), text("name")) {
        (Some(title), _)
            if is_shown && (kind.is_some() || value.get("targets").is_some() || value.get("data").is_some()) =>
        {
            format!("panel {title:?}")
        }
        (_, Some(name)) if value.get("expr").is_some() && value.get("refId").is_none() => {
            format!("annotation {name:?}")
        }
        _ => place.to_owned(),
    }
}
