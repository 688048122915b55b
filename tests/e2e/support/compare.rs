//! Compares two answers: one through the filter, and one of the upstream to a request with matchers written by hand.

use super::Pair;
use super::data::{self, NOBODY, TENANTS};
use super::http::{Request, Response, form};
use serde_json::Value;

/// Asserts that the answer has no data of other tenants, or of series without a tenant.
pub fn assert_only_of(tenant: &str, answer: &Response, what: &str) {
    let text = answer.text();
    for other in TENANTS.into_iter().chain([NOBODY]).filter(|other| *other != tenant) {
        for mark in data::marks(other) {
            assert!(!text.contains(&mark), "{tenant} sees {mark:?} by {what}:\n{text}");
        }
    }
}

impl Pair {
    /// Sends `asked` as the tenant through the filter, and `by_hand` to the upstream; asserts equal answers.
    pub fn assert_same(&self, tenant: &str, asked: &Request, by_hand: &Request) -> Response {
        let filtered = asked.clone().tenant(tenant).send(self.envoy.port());
        let expected = by_hand.send(self.upstream.port());
        let what = format!("{} {} {:?}", asked.method, asked.target, asked.body);
        assert_eq!(filtered.status, expected.status, "{what}\n{}\n{}", filtered.text(), expected.text());
        assert_eq!(filtered.header("content-type"), expected.header("content-type"), "{what}");
        assert_eq!(filtered.header("cache-control"), Some("private, no-store"), "{what}");
        assert_eq!(content(&filtered), content(&expected), "{what}");
        filtered
    }
}

/// An endpoint and its parameters, in which `$T` stands for the tenant, and `$O` for the other tenant.
pub type Parameters<'a> = &'a [(&'a str, &'a str)];

/// The two tenants, each with the other one.
pub const BOTH: [(&str, &str); 2] = [("team-a", "team-b"), ("team-b", "team-a")];

/// Replaces `$T` and `$O`.
pub fn filled(parameters: Parameters<'_>, tenant: &str, other: &str) -> String {
    let fill = |(name, value): &(&str, &str)| (name.to_string(), value.replace("$T", tenant).replace("$O", other));
    let pairs: Vec<(String, String)> = parameters.iter().map(fill).collect();
    form(&pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
}

impl Pair {
    /// Sends each tenant's request by GET and by POST, and compares the answers with those to the request written by hand.
    pub fn assert_both(&self, path: &str, asked: Parameters<'_>, by_hand: Parameters<'_>) -> Vec<Response> {
        let mut answers = Vec::new();
        for (tenant, other) in BOTH {
            let (asked, by_hand) = (filled(asked, tenant, other), filled(by_hand, tenant, other));
            let by_hand = Request::get(&format!("{path}?{by_hand}"));
            let mut requests = vec![Request::get(&format!("{path}?{asked}"))];
            if is_posted(path) {
                requests.push(Request::post(path, &asked));
            }
            for request in requests {
                let answer = self.assert_same(tenant, &request, &by_hand);
                assert_only_of(tenant, &answer, &format!("{} {path} {asked}", request.method));
                answers.push(answer);
            }
        }
        answers
    }

    /// Sends a query at one time and over a range, and compares the answers with those to the query written by hand.
    pub fn assert_query(&self, asked: &str, by_hand: &str) -> Vec<Response> {
        let [start, middle, end] = [900, 450, 0].map(|before| (data::end() - before).to_string());
        let instant = |query| [("query", query), ("time", middle.as_str())];
        let mut answers = self.assert_both("/api/v1/query", &instant(asked), &instant(by_hand));
        let range = |query| [("query", query), ("start", start.as_str()), ("end", end.as_str()), ("step", "60")];
        answers.extend(self.assert_both("/api/v1/query_range", &range(asked), &range(by_hand)));
        answers
    }
}

fn is_posted(path: &str) -> bool {
    !path.contains("/label/") && path != "/federate"
}

/// The content of an answer: JSON without the order of lists, and without the positions in the query that annotations name.
pub fn content(answer: &Response) -> Value {
    let mut content = serde_json::from_slice(&answer.body).unwrap_or_else(|_| {
        // Lines of text, or of JSON.
        let text = answer.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line)));
        Value::Array(lines.collect())
    });
    sort(&mut content);
    for notes in ["infos", "warnings"] {
        for note in content.get_mut(notes).and_then(Value::as_array_mut).into_iter().flatten() {
            let text = note.as_str().unwrap();
            *note = text.rsplit_once(" (").map_or(text, |(text, _)| text).into();
        }
    }
    content
}

fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            // A sample is a pair of time and value, whose order matters.
            if !items.iter().any(Value::is_number) {
                items.sort_by_cached_key(Value::to_string);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
