//! What Envoy tells the filter about a client: the subject of its certificate, and dynamic metadata. The filter only reads these
//! forms (`src/tenant/certificate.rs` and `src/tenant/metadata.rs` have the grammars); this file writes them, for
//! `tenancyctl route` and for the tests of the filter.

use serde_json::Value as Json;

/// A subject in which the field with this short name (`O`, `OU`, `CN`) has this value. Every byte is escaped, so that none can
/// end the value.
pub fn subject(short_name: &str, value: &str) -> Vec<u8> {
    let escaped: String = value.bytes().map(|byte| format!("\\{byte:02X}")).collect();
    format!("{short_name}={escaped}").into_bytes()
}

/// Metadata in which this path leads to a claim.
pub fn metadata(path: &[String], claim: Json) -> Vec<u8> {
    encode(&path.iter().rev().fold(claim, |inner, part| serde_json::json!({ part: inner })))
}

/// Metadata in which each of these paths leads to a value, or to a list of those that are separated by `|`.
pub fn all(claims: &[(Vec<String>, String)]) -> Vec<u8> {
    let mut whole = serde_json::json!({});
    for (path, values) in claims {
        let claim = match values.contains('|') {
            true => values.split('|').collect(),
            false => Json::from(&**values),
        };
        let object = path.iter().rev().fold(claim, |inner, part| serde_json::json!({ part: inner }));
        merge(&mut whole, object);
    }
    encode(&whole)
}

fn merge(whole: &mut Json, other: Json) {
    match (whole, other) {
        (Json::Object(whole), Json::Object(other)) => {
            for (key, value) in other {
                merge(whole.entry(key).or_insert(Json::Null), value);
            }
        }
        (whole, other) => *whole = other,
    }
}

/// An object of namespaces, each an object, as Envoy writes it.
pub fn encode(namespaces: &Json) -> Vec<u8> {
    map(namespaces, |namespace| map(namespace, value))
}

fn map(object: &Json, encode: fn(&Json) -> Vec<u8>) -> Vec<u8> {
    let entry = |(key, member): (&String, _)| field(1, &[field(1, key.as_bytes()), field(2, &encode(member))].concat());
    object.as_object().into_iter().flatten().flat_map(entry).collect()
}

fn value(json: &Json) -> Vec<u8> {
    match json {
        Json::Null => vec![1 << 3, 0],
        Json::Number(number) => [&[2 << 3 | 1][..], &number.as_f64().unwrap_or(0.0).to_le_bytes()].concat(),
        Json::String(text) => field(3, text.as_bytes()),
        Json::Bool(value) => vec![4 << 3, u8::from(*value)],
        Json::Object(_) => field(5, &map(json, value)),
        Json::Array(list) => field(6, &list.iter().flat_map(|member| field(1, &value(member))).collect::<Vec<_>>()),
    }
}

/// A field of bytes: its tag, its size as a varint, and the bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut size = bytes.len();
    while size > 0x7f {
        out.push(size as u8 | 0x80);
        size >>= 7;
    }
    out.push(size as u8);
    out.extend(bytes);
    out
}
