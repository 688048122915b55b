//! Reads the claim that names the tenant from Envoy's dynamic metadata.
//!
//! Envoy returns all dynamic metadata as one message of `envoy/config/core/v3/base.proto` and `google/protobuf/struct.proto`:
//!
//! ```text
//! Metadata  = *( 1: { 1: namespace, 2: Struct } )
//! Struct    = *( 1: { 1: key, 2: Value } )
//! Value     = 1: null | 2: number | 3: string | 4: boolean | 5: Struct | 6: ListValue
//! ListValue = *( 1: Value )
//! ```
//!
//! Envoy can return the claim alone, but then without its type (`serializeValue` in source/extensions/common/wasm/context.cc; observed
//! with Envoy 1.40.0): a number as its eight bytes, and a list as the bytes of a map, which a string can hold too. A user who chooses
//! the text of a claim could make it look like a list of tenants.

use crate::wire::protobuf::{self, Value};

/// The value at the end of the path.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim<'m> {
    /// There is no value, or it is null.
    Absent,
    /// A string.
    Text(&'m [u8]),
    /// A list of strings.
    Texts(Vec<&'m [u8]>),
    /// A value of another type.
    Other,
}

/// Finds the value at a path, whose first part is the namespace. Returns `None` if the message is malformed.
pub fn claim<'m>(metadata: &'m [u8], path: &[String]) -> Option<Claim<'m>> {
    let Some((last, parts)) = path.split_last() else {
        return Some(Claim::Absent);
    };
    let mut fields = metadata;
    for (part, depth) in parts.iter().zip(0u32..) {
        let Some(found) = entry(fields, part)? else {
            return Some(Claim::Absent);
        };
        // A namespace holds a Struct, a key of it a Value.
        fields = match depth {
            0 => found,
            _ => match value(found)? {
                (5, Value::Bytes(fields)) => fields,
                _ => return Some(Claim::Absent),
            },
        };
    }
    let Some(found) = entry(fields, last)? else {
        return Some(Claim::Absent);
    };
    Some(match value(found)? {
        (1, _) => Claim::Absent,
        (3, Value::Bytes(text)) => Claim::Text(text),
        (6, Value::Bytes(list)) => texts(list)?.map_or(Claim::Other, Claim::Texts),
        _ => Claim::Other,
    })
}

/// The value of a key in a map. Returns `None` if the map is malformed or has the key twice, since readers could then differ.
fn entry<'m>(mut map: &'m [u8], wanted: &str) -> Option<Option<&'m [u8]>> {
    let mut found = None;
    while !map.is_empty() {
        let (1, Value::Bytes(mut entry)) = protobuf::take(&mut map)? else {
            continue;
        };
        let (mut key, mut value) = (b"".as_slice(), b"".as_slice());
        while !entry.is_empty() {
            match protobuf::take(&mut entry)? {
                (1, Value::Bytes(bytes)) => key = bytes,
                (2, Value::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        if key == wanted.as_bytes() && found.replace(value).is_some() {
            return None;
        }
    }
    Some(found)
}

/// The single field of a `Value`.
fn value<'m>(mut value: &'m [u8]) -> Option<(u64, Value<'m>)> {
    let field = protobuf::take(&mut value)?;
    value.is_empty().then_some(field)
}

/// The elements of a list, if all of them are strings.
fn texts(mut list: &[u8]) -> Option<Option<Vec<&[u8]>>> {
    let mut texts = Vec::new();
    while !list.is_empty() {
        let (1, Value::Bytes(member)) = protobuf::take(&mut list)? else {
            return None;
        };
        match value(member)? {
            (3, Value::Bytes(text)) => texts.push(text),
            _ => return Some(None),
        }
    }
    Some(Some(texts))
}

#[cfg(test)]
mod tests {
    use super::super::evidence::encode;
    use super::*;
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NAMESPACE: &str = "envoy.filters.http.jwt_authn";

    fn path(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|&part| part.to_owned()).collect()
    }

    fn with_tenant(tenant: serde_json::Value) -> Vec<u8> {
        encode(
            &json!({"other": {"tenant": "x"}, NAMESPACE: {"payload": {"iss": "x", "exp": 4e9, "tenant": tenant, "a.b": "c"}}}),
        )
    }

    fn tenant(value: serde_json::Value) -> String {
        format!("{:?}", claim(&with_tenant(value), &path(&[NAMESPACE, "payload", "tenant"])))
    }

    /// Envoy 1.40.0 returned these bytes for a token that it had verified.
    #[test]
    fn what_envoy_writes_is_read() {
        let envoy = b"\n\x72\n\x1cenvoy.filters.http.jwt_authn\x12R\nP\n\x07payload\x12E*C\n \n\x06tenant\x12\x162\x14\n\x08\x1a\x06team-a\n\x08\x1a\x06team-b\n\r\n\x03iss\x12\x06\x1a\x04test\n\x10\n\x03exp\x12\t\x11\0\0\0\0e\xcd\xedA";
        let found = claim(envoy, &path(&[NAMESPACE, "payload", "tenant"]));
        assert_eq!(found, Some(Claim::Texts(vec![b"team-a", b"team-b"])));
        assert_eq!(claim(envoy, &path(&[NAMESPACE, "payload", "iss"])), Some(Claim::Text(b"test")));
        assert_eq!(claim(envoy, &path(&[NAMESPACE, "payload", "exp"])), Some(Claim::Other));
        assert_eq!(claim(b"", &path(&[NAMESPACE, "payload", "tenant"])), Some(Claim::Absent));
    }

    #[test]
    fn types_are_told_apart() {
        assert_eq!(tenant(json!("a")), format!("{:?}", Some(Claim::Text(b"a"))));
        assert_eq!(tenant(json!("")), format!("{:?}", Some(Claim::Text(b""))));
        assert_eq!(tenant(json!(["a", ""])), format!("{:?}", Some(Claim::Texts(vec![b"a", b""]))));
        assert_eq!(tenant(json!([])), format!("{:?}", Some(Claim::Texts(vec![]))));
        // The bytes of this number are the text "AAAAAAAA". Without its type, it could not be distinguished from that text.
        let number = f64::from_le_bytes(*b"AAAAAAAA");
        for other in
            [json!(1), json!(number), json!(true), json!({"a": "b"}), json!(["a", 1]), json!([["a"]]), json!([null])]
        {
            assert_eq!(tenant(other.clone()), format!("{:?}", Some(Claim::Other)), "{other}");
        }
        assert_eq!(tenant(json!(null)), format!("{:?}", Some(Claim::Absent)));
        // If Envoy is asked for the claim alone, these bytes stand for the list ["team-b"].
        let list_in_a_string = "\u{1}\0\0\0\u{6}\0\0\0\0\0\0\0team-b\0\0";
        assert_eq!(tenant(json!(list_in_a_string)), format!("{:?}", Some(Claim::Text(list_in_a_string.as_bytes()))));
    }

    #[test]
    fn the_whole_path_has_to_fit() {
        let metadata = with_tenant(json!("a"));
        let found = |parts: &[&str]| claim(&metadata, &path(parts));
        assert_eq!(found(&[NAMESPACE, "payload", "a.b"]), Some(Claim::Text(b"c")));
        assert_eq!(found(&["other", "tenant"]), Some(Claim::Text(b"x")));
        for parts in [
            &[NAMESPACE, "tenant"][..],
            &[NAMESPACE, "payload", "Tenant"],
            &[NAMESPACE, "payload", "tenant", "a"],
            &[NAMESPACE, "payload", "a", "b"],
            &["envoy.filters.http.jwt_authn.unverified", "payload", "tenant"],
            &["payload", "tenant"],
            &[],
        ] {
            assert_eq!(found(parts), Some(Claim::Absent), "{parts:?}");
        }
        assert_eq!(found(&[NAMESPACE, "payload"]), Some(Claim::Other));
    }

    #[test]
    fn what_is_cut_anywhere_gives_no_other_tenant() {
        let metadata = with_tenant(json!("team-a"));
        let wanted = path(&[NAMESPACE, "payload", "tenant"]);
        for end in 0..metadata.len() {
            let found = claim(&metadata[..end], &wanted);
            assert!(matches!(found, None | Some(Claim::Absent | Claim::Text(b"team-a"))), "cut to {end}: {found:?}");
        }
        let twice = [&metadata[..], &metadata[..]].concat();
        assert_eq!(claim(&twice, &wanted), None);
    }
}
