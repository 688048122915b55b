//! Grafana's variables and macros, replaced by values that a query could be sent with.
//!
//! ```text
//! variable = $name / ${name} / ${name:format} / ${name.field:format} / [[name]] / [[name:format]]
//! ```
//!
//! `variableRegex` in Grafana's public/app/features/variables/utils.ts. What Grafana does not know, it leaves: `$1` in a `label_replace`.

use serde_json::Value;
use std::collections::BTreeMap;

/// What Grafana itself gives values to. `__all` and the like are values, not names.
const BUILT_IN: &[(&str, &str)] = &[
    ("__interval", "1m"),
    ("__interval_ms", "60000"),
    ("__rate_interval", "5m"),
    ("__rate_interval_ms", "300000"),
    ("__range", "1h"),
    ("__range_s", "3600"),
    ("__range_ms", "3600000"),
    ("__from", "1700000000000"),
    ("__to", "1700003600000"),
    ("__auto", "5m"),
    ("__timezone", "browser"),
    ("__dashboard", "dashboard"),
    ("__name", "name"),
    ("__org", "1"),
    ("__user", "1"),
    ("interval", "5m"),
    ("timeFilter", "1"),
];

/// What an unknown value may be: a name, a duration, a number, a pattern; the first with which the query can be read.
pub const GUESSES: [&str; 4] = ["x", "5m", "1", "up"];

/// Values contain variables, which contain variables.
const MAX_DEPTH: usize = 4;

/// The variables of a dashboard. One without a value that is known has none.
#[derive(Default)]
pub struct Variables {
    values: BTreeMap<String, Option<String>>,
}

impl Variables {
    /// Those of a dashboard, in the forms of both of its schemas.
    pub fn of(dashboard: &Value) -> Variables {
        let lists = ["/templating/list", "/spec/variables", "/variables"].map(|place| dashboard.pointer(place));
        let mut values = BTreeMap::new();
        for variable in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let spec = variable.get("spec").unwrap_or(variable);
            if let Some(name) = spec.get("name").and_then(Value::as_str) {
                values.insert(name.to_owned(), value(spec));
            }
        }
        Variables { values }
    }

    /// The text with values in it; `guess` stands for what is unknown. Also says whether it was needed.
    pub fn replace(&self, text: &str, guess: &str) -> (String, bool) {
        let mut is_guessed = false;
        let replaced = self.replaced(text, guess, MAX_DEPTH, &mut is_guessed);
        (replaced, is_guessed)
    }

    fn replaced(&self, text: &str, guess: &str, depth: usize, is_guessed: &mut bool) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '[']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let Some((name, length)) = variable(from) else {
                let mut chars = from.chars();
                out.extend(chars.next());
                rest = chars.as_str();
                continue;
            };
            rest = from.get(length..).unwrap_or_default();
            match self.find(name) {
                Some(value) if depth > 0 => out.push_str(&self.replaced(&value, guess, depth - 1, is_guessed)),
                Some(_) | None => {
                    *is_guessed = true;
                    out.push_str(guess);
                }
            }
        }
        out + rest
    }

    fn find(&self, name: &str) -> Option<String> {
        match self.values.get(name) {
            Some(value) => value.clone(),
            None => BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        }
    }
}

/// A variable at the beginning of a text: its name, and how long it is.
fn variable(text: &str) -> Option<(&str, usize)> {
    let of_word =
        |text: &str| text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(text.len());
    let (inner, open, close) = match (text.strip_prefix("${"), text.strip_prefix("[[")) {
        (Some(inner), _) => (inner, 2, "}"),
        (_, Some(inner)) => (inner, 2, "]]"),
        (None, None) => {
            let word = text.strip_prefix('$')?;
            let name = word.get(..of_word(word))?;
            let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            return is_name.then_some((name, 1 + name.len()));
        }
    };
    let end = inner.find(close)?;
    let body = inner.get(..end)?;
    let name = body.get(..of_word(body))?;
    let is_whole = body.len() == name.len() || body.get(name.len()..)?.starts_with([':', '.']);
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    (is_name && is_whole).then_some((name, open + end + close.len()))
}

/// The value that is chosen, or the first that can be.
fn value(spec: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    };
    let is_all = |text: &str| matches!(text, "$__all" | "All");
    let options = spec.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let chosen = spec.pointer("/current/value").and_then(text);
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default();
    if chosen.as_deref().is_some_and(is_all) && kind == "query" {
        // Every value that there is: a pattern.
        return Some(
            spec.get("allValue").and_then(Value::as_str).filter(|all| !all.is_empty()).unwrap_or(".+").to_owned(),
        );
    }
    let constant = spec.get("query").and_then(Value::as_str).filter(|_| matches!(kind, "constant" | "textbox"));
    let of_options = options.iter().filter_map(|option| option.get("value").and_then(text));
    let listed = spec.get("query").and_then(Value::as_str).filter(|_| matches!(kind, "custom" | "interval"));
    let of_list = listed.into_iter().flat_map(entries);
    let all = chosen.into_iter().chain(constant.map(str::to_owned)).chain(of_options).chain(of_list);
    let is_usable =
        |value: &String| !value.is_empty() && !is_all(value) && value != "auto" && !value.starts_with("$__auto");
    // In a list of values, a comma of a value is escaped.
    let plain = |value: String| if kind == "custom" { value.replace("\\,", ",") } else { value };
    all.into_iter().find(is_usable).map(plain)
}

/// The values of a list: `value, text : value`, in which a comma of a value is escaped.
fn entries(list: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut before = ' ';
    for char in list.chars() {
        match all.last_mut() {
            Some(last) if char != ',' || before == '\\' => last.push(char),
            Some(_) | None => all.push(String::new()),
        }
        before = char;
    }
    let value = |entry: String| entry.split_once(" : ").map_or(entry.trim(), |(_, value)| value.trim()).to_owned();
    all.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variables() -> Variables {
        Variables::of(&json!({"templating": {"list": [
            {"name": "job", "type": "query", "current": {"value": ["$__all"]}},
            {"name": "node", "type": "query", "current": {"value": "n1"}},
            {"name": "step", "type": "interval", "query": "30s,1m", "current": {"value": "$__auto_interval_step"}},
            {"name": "nested", "type": "custom", "query": "a : up{node=\"$node\"}"},
            {"name": "empty", "type": "query", "current": {}},
            {"name": "escaped", "type": "custom", "query": "All : a=\"x\"\\, b=\"y\",Other : c=\"z\""},
        ]}}))
    }

    #[test]
    fn every_form_is_replaced() {
        for (text, expected) in [
            ("up{job=~\"$job\"}", "up{job=~\".+\"}"),
            ("up{job=~\"${job:regex}\",node=\"[[node]]\"}", "up{job=~\".+\",node=\"n1\"}"),
            ("rate(x[$__rate_interval])", "rate(x[5m])"),
            ("rate(x[${__interval}:$step])", "rate(x[1m:30s])"),
            ("x offset [[step:raw]]", "x offset 30s"),
            ("$nested", "up{node=\"n1\"}"),
            ("up{$escaped}", "up{a=\"x\", b=\"y\"}"),
            ("x * $__interval_ms / ${__range_s}", "x * 60000 / 3600"),
            ("x[${__from:date:seconds}]", "x[1700000000000]"),
            // Not Grafana's.
            ("label_replace(x, \"a\", \"$1\", \"b\", \"(.*)$\")", "label_replace(x, \"a\", \"$1\", \"b\", \"(.*)$\")"),
            ("x[5m]", "x[5m]"),
            ("é$node$", "én1$"),
        ] {
            assert_eq!(variables().replace(text, "?"), (expected.to_owned(), false), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_guessed() {
        assert_eq!(variables().replace("topk($n, x{a=\"$empty\"})", "1"), ("topk(1, x{a=\"1\"})".to_owned(), true));
    }
}
