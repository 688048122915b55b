//! Whose data an answer holds.
//!
//! Three things tell another tenant's data: a label set that is outside of what the tenant is confined to; a label of the metric that
//! is asked for with a value that only the other tenant's series have; the other tenant's ID as a value of the tenant label.

use super::super::http::{Answer, shortened};
use super::data::Pair;
use percent_encoding::{percent_decode, percent_decode_str};
use promql_tenancy_filter::api::Upstream;
use promql_tenancy_filter::scope::{Fit, Inside, Standing};
use promql_tenancy_filter::wire::protobuf::write_bytes;
use serde_json::{Map, Value};

/// What a check found.
pub struct Found {
    pub outcome: Outcome,
    /// What is wrong; or, of what was not checked, why.
    pub detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// Another tenant's data was in the answer, or influenced it.
    Leak,
    /// Something else is not as it has to be.
    Wrong,
    /// It could not be checked.
    Unchecked,
}

impl Found {
    pub fn good() -> Found {
        Found { outcome: Outcome::Good, detail: String::new() }
    }

    pub fn leak(detail: String) -> Found {
        Found { outcome: Outcome::Leak, detail }
    }

    pub fn bad(detail: String) -> Found {
        Found { outcome: Outcome::Wrong, detail }
    }

    pub fn unchecked(detail: &str) -> Found {
        Found { outcome: Outcome::Unchecked, detail: detail.to_owned() }
    }
}

/// What of another tenant's is in the answer. `asked`: the text of the request, whose own words an error may repeat.
pub fn foreign(answer: &Answer, pair: &Pair<'_>, is_whole: bool) -> Option<String> {
    if answer.header("content-type").is_some_and(|value| value.starts_with("application/grpc")) {
        return in_bytes(answer, pair).or_else(|| in_call(answer, pair));
    }
    let text = answer.text();
    let documents: Vec<Value> = match serde_json::from_str(&text) {
        Ok(document) => vec![document],
        Err(_) => text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    for document in &documents {
        if let Some(found) = in_json(document, pair, is_whole) {
            return Some(found);
        }
    }
    if documents.is_empty() { in_bytes(answer, pair) } else { None }
}

fn in_json(document: &Value, pair: &Pair<'_>, is_whole: bool) -> Option<String> {
    // A refusal may repeat what was asked for.
    if document.get("status").and_then(Value::as_str) == Some("error") {
        return None;
    }
    for set in label_sets(document) {
        if let Some(inside) = pair.scope
            && let Some(problem) = outside(set, inside, is_whole)
        {
            return Some(format!("{problem}: {}", shortened(&Value::Object(set.clone()).to_string(), 200)));
        }
        let is_of_metric = set.get("__name__").is_none_or(|name| name.as_str() == Some(&pair.own.metric));
        let mut marks = pair.marks.iter();
        if let Some((label, value)) =
            marks.find(|(label, value)| is_of_metric && set.get(label).and_then(Value::as_str) == Some(value))
        {
            return Some(format!("a series with {label}={value:?}, which only {} has", pair.other.id));
        }
    }
    names_other(document.get("data").unwrap_or(document), pair)
}

/// The other tenant's ID as a value of its own, where it is told from a text that holds it.
fn names_other(value: &Value, pair: &Pair<'_>) -> Option<String> {
    let is_other = |value: &Value| pair.scope.is_some() && value.as_str() == Some(&*pair.other.id);
    match value {
        Value::Array(items) => {
            if items.iter().any(is_other) {
                return Some(format!("the name of {}", pair.other.id));
            }
            items.iter().find_map(|item| names_other(item, pair))
        }
        Value::Object(object) => {
            // A matcher of a silence has its label and its value as members. So has one of a parsed query, but that is the client's own.
            let is_matcher =
                object.contains_key("isRegex") && object.get("name").and_then(Value::as_str) == Some(pair.label);
            if object.get(pair.label).is_some_and(is_other) || is_matcher && object.get("value").is_some_and(is_other) {
                return Some(format!("{}={:?}", pair.label, pair.other.id));
            }
            object.values().find_map(|value| names_other(value, pair))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn outside(set: &Map<String, Value>, inside: &Inside, is_whole: bool) -> Option<&'static str> {
    let mut labels = inside.begin();
    for (name, value) in set {
        if let Some(place) = inside.find(|other| other == name) {
            let fits = inside.fit(place, value.as_str().unwrap_or_default());
            if labels.note(place, fits != Fit::Refused).is_err() {
                return Some("a label twice");
            }
        }
    }
    match labels.finish() {
        Standing::Inside => None,
        Standing::Outside => Some("a series of another tenant"),
        Standing::Lacking if is_whole => Some("a series of nobody"),
        Standing::Lacking => None,
    }
}

/// The label sets of an answer: of series, exemplars, rules, alerts and targets.
pub fn label_sets(document: &Value) -> Vec<&Map<String, Value>> {
    let mut sets = Vec::new();
    collect(document, &mut sets);
    sets
}

fn collect<'v>(value: &'v Value, sets: &mut Vec<&'v Map<String, Value>>) {
    const NAMES: [&str; 4] = ["metric", "seriesLabels", "labels", "discoveredLabels"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, sets)),
        Value::Object(object) => {
            // What `/api/v1/series` answers: an object whose values are all texts.
            if object.contains_key("__name__") {
                sets.push(object);
            }
            for (name, inner) in object {
                match inner {
                    Value::Object(set) if NAMES.contains(&name.as_str()) => {
                        if !set.contains_key("__name__") {
                            sets.push(set);
                        }
                        collect(inner, sets);
                    }
                    Value::Array(_) | Value::Object(_) => collect(inner, sets),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Of federation, the labels as they are written there; of protobuf, as messages hold them.
fn in_bytes(answer: &Answer, pair: &Pair<'_>) -> Option<String> {
    let plain = promql_tenancy_filter::wire::snappy::decode_block(&answer.body, 32 << 20).ok();
    let bodies = [Some(&answer.body), plain.as_ref()];
    let of_label = pair.scope.is_some().then(|| (pair.label.to_owned(), pair.other.id.clone()));
    for (label, value) in of_label.iter().chain(&pair.marks) {
        let written = format!("{label}={}", Value::from(&**value)).into_bytes();
        let mut message = Vec::new();
        write_bytes(1, label.as_bytes(), &mut message);
        write_bytes(2, value.as_bytes(), &mut message);
        let holds = |body: &[u8]| [&written, &message].iter().any(|needle| contains(body, needle));
        if bodies.iter().flatten().any(|body| holds(body)) {
            return Some(format!("{label}={value:?}, which is {}'s", pair.other.id));
        }
    }
    None
}

/// Of a call's answer, the other tenant's ID as a value of the tenant label.
fn in_call(answer: &Answer, pair: &Pair<'_>) -> Option<String> {
    let _ = pair.scope?;
    let mut value = Vec::new();
    write_bytes(1, pair.other.id.as_bytes(), &mut value);
    contains(&answer.body, &value).then(|| format!("the name of {}", pair.other.id))
}

/// Whether a call's answer has a series of the tenant's metric.
pub fn holds_metric(answer: &Answer, pair: &Pair<'_>) -> bool {
    let mut label = Vec::new();
    write_bytes(1, b"__name__", &mut label);
    write_bytes(2, pair.own.metric.as_bytes(), &mut label);
    contains(&answer.body, &label)
}

/// What a page refers to outside of this path: the prefix that its script puts before all it asks, or an address of its tags.
pub fn outside_of_path(page: &str, path: &[u8]) -> Option<String> {
    let path = percent_decode(path).decode_utf8_lossy();
    let is_below =
        |found: &str| found.strip_prefix(&*path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let quoted = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
    // Thanos's. Go's escapes of a script are among those of JSON.
    let prefix = page.split_once("GLOBAL_PATH_PREFIX=\"").map(|(_, rest)| quoted(rest));
    let prefix = prefix.map(|text| serde_json::from_str(&format!("\"{text}\"")).unwrap_or(text));
    let prefix = prefix.map(|prefix: String| if prefix.is_empty() { "/".to_owned() } else { prefix });
    let addresses = ["src=\"", "href=\""].into_iter().flat_map(|name| page.split(name).skip(1)).map(quoted);
    // Relative ones are below the page's own; those with a host are another site's.
    let addresses = addresses.filter(|address| address.starts_with('/') && !address.starts_with("//"));
    let addresses = addresses.map(|address| percent_decode_str(&address).decode_utf8_lossy().into_owned());
    prefix.into_iter().chain(addresses).find(|found| !is_below(found))
}

fn contains(body: &[u8], needle: &[u8]) -> bool {
    body.windows(needle.len()).any(|window| window == needle)
}

/// Whether an answer holds nothing: no series, no name, no line.
pub fn is_empty(answer: &Answer) -> bool {
    let json = answer.json();
    let Some(data) = json.get("data") else {
        return match json {
            Value::Array(items) => items.is_empty(),
            Value::Null => answer.text().lines().all(|line| line.starts_with('#') || !line.contains("results\":[{")),
            _ => json.get("results").and_then(Value::as_array).is_none_or(Vec::is_empty),
        };
    };
    match data.get("result").unwrap_or(data) {
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.values().all(|value| value.as_array().is_some_and(Vec::is_empty)),
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What is wrong with the form of a refusal: an object that says that it is an error, and why.
pub fn malformed(answer: &Answer, upstream: Upstream) -> Option<String> {
    let json = answer.json();
    // Alertmanager's own errors are JSON strings.
    if upstream == Upstream::Alertmanager && json.as_str().is_some_and(|text| !text.is_empty()) {
        return None;
    }
    let has = |name: &str| json.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if json.get("status").and_then(Value::as_str) == Some("error") && has("error") && has("errorType") {
        return None;
    }
    let text = answer.text();
    Some(format!("{} with a body that is no error object: {:?}", answer.status, shortened(&text, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stays_below_its_path() {
        let thanos = |prefix: &str| format!(r#"<script>const GLOBAL_PATH_PREFIX="{prefix}"</script>"#);
        for (page, path, found) in [
            (thanos(r"\/t\/team-a"), "/t/team-a", None),
            (thanos(r"\/t\/a\u0026é"), "/t/a%26%C3%A9", None),
            (thanos(""), "/t/team-a", Some("/")),
            (thanos(r"\/t\/team-ab"), "/t/team-a", Some("/t/team-ab")),
            (thanos(r"\/other"), "/t/team-a", Some("/other")),
            (r#"<link href="./a.css"><a href="//b.example/"><a href="https://c.example">"#.to_owned(), "/t/a", None),
            (r#"<script src="/static/x.js">"#.to_owned(), "/t/a", Some("/static/x.js")),
            (r#"<script src="/t/a/static/x.js"><link href="/x">"#.to_owned(), "/t/a", Some("/x")),
            (String::new(), "/t/a", None),
        ] {
            assert_eq!(outside_of_path(&page, path.as_bytes()).as_deref(), found, "{page}");
        }
    }
}
