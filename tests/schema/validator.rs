//! As much of JSON Schema (draft 2020-12) as `tenancyctl schema` writes. A keyword that is not known here is a panic, so that
//! nothing that the schema says is left unchecked.

use regex::Regex;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Each mistake of the value, with its place as a JSON pointer.
pub fn mistakes(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let mut wrong = |what: String| found.push(format!("{place}: {what}"));
    let rules = schema.as_object().expect("a schema is an object");
    let number = |rule: &Value| rule.as_f64().expect("a number");
    let count = |rule: &Value| usize::try_from(rule.as_u64().expect("a whole number")).expect("a length");
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" => {}
            "type" => {
                let is = match rule.as_str().expect("one type") {
                    "boolean" => value.is_boolean(),
                    "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("the type {other}"),
                };
                if !is {
                    wrong(format!("{value} is no {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().expect("a list").contains(value) {
                    wrong(format!("{value} is none of {rule}"));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|value| value < number(rule)) {
                    wrong(format!("{value} is less than {rule}"));
                }
            }
            "maximum" => {
                if value.as_f64().is_some_and(|value| value > number(rule)) {
                    wrong(format!("{value} is more than {rule}"));
                }
            }
            "minLength" => {
                if value.as_str().is_some_and(|text| text.chars().count() < count(rule)) {
                    wrong(format!("{value} is shorter than {rule}"));
                }
            }
            "maxLength" => {
                if value.as_str().is_some_and(|text| text.chars().count() > count(rule)) {
                    wrong(format!("{value} is longer than {rule}"));
                }
            }
            "pattern" => {
                if value.as_str().is_some_and(|text| !is_match(rule.as_str().expect("a pattern"), text)) {
                    wrong(format!("{value} does not match {rule}"));
                }
            }
            "minItems" => {
                if value.as_array().is_some_and(|list| list.len() < count(rule)) {
                    wrong(format!("fewer than {rule} members"));
                }
            }
            "uniqueItems" => {
                let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
                if rule == true && list.iter().enumerate().any(|(at, member)| list[..at].contains(member)) {
                    wrong("a member is there twice".to_owned());
                }
            }
            "anyOf" => {
                let fits = |schema| mistakes(schema, value).is_empty();
                if !rule.as_array().expect("a list").iter().any(fits) {
                    wrong(format!("{value} fits none of {rule}"));
                }
            }
            // Members are gone through below.
            "items" | "properties" | "additionalProperties" => {}
            other => panic!("the keyword {other}"),
        }
    }
    if let (Some(items), Some(list)) = (rules.get("items"), value.as_array()) {
        for (at, member) in list.iter().enumerate() {
            check(items, member, &format!("{place}/{at}"), found);
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        match (rules.get("properties").and_then(|properties| properties.get(name)), rules.get("additionalProperties")) {
            (Some(schema), _) => check(schema, member, &place, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{place}: there is no such member")),
            (None, Some(schema)) => check(schema, member, &place, found),
            (None, None) => {}
        }
    }
}

fn is_match(pattern: &str, text: &str) -> bool {
    thread_local! {
        static READ: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    READ.with_borrow_mut(|read| {
        let regex = read.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).expect("a pattern"));
        regex.is_match(text)
    })
}
