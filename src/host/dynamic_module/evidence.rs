//! What the source of the tenant needs of Envoy besides headers, in the form in which the core reads it.
//!
//! Envoy gives a module text and lists of text that stand directly in a namespace of dynamic metadata, and nothing that stands deeper: no
//! claim of a token's payload. Envoy's own filter `set_filter_state` can write a namespace down as JSON; it is read from the filter state
//! `promql_tenancy.metadata.<namespace>`. Clients can't write filter state.

use super::calls::Filter;
use serde_json::Value;

/// What stands before a namespace in the name of its filter state.
const FILTER_STATE: &str = "promql_tenancy.metadata.";

/// The values at these paths, as the message that `tenant::metadata` reads; `None` where there is none of them.
pub fn metadata(filter: &mut Filter, paths: &[&[String]]) -> Option<Vec<u8>> {
    let mut paths: Vec<(&String, &[String])> = paths.iter().filter_map(|path| path.split_first()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut message = Vec::new();
    // A namespace, or a key, that stood there twice would be one that hides the other.
    for paths in paths.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((namespace, _)) = paths.first() else { continue };
        let fields = match filter.filter_state(&[FILTER_STATE, namespace].concat()) {
            // What is no object has no fields.
            Some(json) => serde_json::from_slice(json).ok().map(|fields| object(&fields)).unwrap_or_default(),
            None => paths.iter().flat_map(|(_, keys)| field(filter, namespace, keys).unwrap_or_default()).collect(),
        };
        if !fields.is_empty() {
            let mut entry = Vec::new();
            write(&mut entry, 1, namespace.as_bytes());
            write(&mut entry, 2, &fields);
            write(&mut message, 1, &entry);
        }
    }
    (!message.is_empty()).then_some(message)
}

/// A field that stands directly in a namespace.
fn field(filter: &mut Filter, namespace: &str, keys: &[String]) -> Option<Vec<u8>> {
    let [key] = keys else { return None };
    let mut value = Vec::new();
    if let Some(found) = filter.metadata_text(namespace, key) {
        write(&mut value, 3, found);
    } else if let Some(list) = filter.metadata_list(namespace, key) {
        let mut entries = Vec::new();
        for found in list {
            let mut entry = Vec::new();
            match found {
                Some(found) => write(&mut entry, 3, found),
                None => true_value(&mut entry),
            }
            write(&mut entries, 1, &entry);
        }
        write(&mut value, 6, &entries);
    } else if filter.has_metadata(namespace, key) {
        // Whatever it is, it names no tenant.
        true_value(&mut value);
    } else {
        return None;
    }
    let mut entry = Vec::new();
    write(&mut entry, 1, key.as_bytes());
    write(&mut entry, 2, &value);
    let mut fields = Vec::new();
    write(&mut fields, 1, &entry);
    Some(fields)
}

/// A `google.protobuf.Struct`. The reader of JSON has bounded the depth.
fn object(fields: &serde_json::Map<String, Value>) -> Vec<u8> {
    let mut message = Vec::new();
    for (key, value) in fields {
        let mut field = Vec::new();
        write(&mut field, 1, key.as_bytes());
        write(&mut field, 2, &self::value(value));
        write(&mut message, 1, &field);
    }
    message
}

/// A `google.protobuf.Value`. No tenant is named by a number or a boolean, and the one stands for the other.
fn value(value: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    match value {
        Value::Null => message.extend([1 << 3, 0]),
        Value::Bool(_) | Value::Number(_) => true_value(&mut message),
        Value::String(text) => write(&mut message, 3, text.as_bytes()),
        Value::Object(fields) => write(&mut message, 5, &object(fields)),
        Value::Array(entries) => {
            let mut list = Vec::new();
            entries.iter().for_each(|entry| write(&mut list, 1, &self::value(entry)));
            write(&mut message, 6, &list);
        }
    }
    message
}

/// A boolean, as a value.
fn true_value(message: &mut Vec<u8>) {
    message.extend([4 << 3, 1]);
}

/// A field that holds bytes. The number is below 16.
fn write(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::metadata::{Claim, claim};

    fn read(json: &str, path: &[&str]) -> String {
        let Ok(Value::Object(fields)) = serde_json::from_str(json) else { panic!("{json}") };
        let mut entry = Vec::new();
        write(&mut entry, 1, b"ns");
        write(&mut entry, 2, &object(&fields));
        let mut message = Vec::new();
        write(&mut message, 1, &entry);
        let path: Vec<String> = path.iter().map(|&part| part.to_owned()).collect();
        match claim(&message, &path) {
            Some(Claim::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn claims_keep_their_type() {
        let json = r#"{"jwt": {"tenant": "team-a", "n": 7, "list": ["a", "b"], "mixed": ["a", 1], "none": null, "fake": "[\"a\"]"}}"#;
        assert_eq!(read(json, &["ns", "jwt", "tenant"]), "team-a");
        assert_eq!(read(json, &["ns", "jwt", "fake"]), r#"["a"]"#);
        assert_eq!(read(json, &["ns", "jwt", "list"]), "Some");
        for (key, expected) in [("n", "Some"), ("none", "Some"), ("absent", "Some")] {
            assert_eq!(read(json, &["ns", "jwt", key]), expected, "{key}");
        }
        assert_eq!(read(&format!(r#"{{"a": {:?}}}"#, "x".repeat(300)), &["ns", "a"]), "x".repeat(300));
    }
}
