//! Reads `tenant_metadata` and `tenant_groups`: where the claim stands, and how its entries name tenants.

use super::allowed::Allowed;
use super::json::Field;
use super::shape::{Member, Shape, member, names};
use super::{ConfigError, source};
use crate::tenant::claims::{Claims, Groups};
use std::collections::BTreeSet;

/// What `tenant_metadata` takes: a path, or an object.
pub(super) const SHAPE: Shape = Shape::Either(&[PATH, Shape::Object(|| MEMBERS.into())]);
/// What `tenant_groups` takes.
pub(super) const GROUPS: Shape = Shape::ByName(&Shape::set(&Shape::NAME, 1));

const PATH: Shape = Shape::List { of: &Shape::NAME, least: 2, distinct: false };

const MEMBERS: [Member; 3] = [
    member("path", PATH, "", "a namespace, and keys below it"),
    member("strip_prefix", Shape::TEXT, r#""""#, "what each entry begins with; an entry without it names no tenant"),
    member(
        "drop_unknown",
        Shape::Boolean,
        "false",
        "entries that name no tenant that is served are left out; otherwise one such entry refuses the request",
    ),
];

/// Reads both keys.
pub fn read(
    metadata: Field,
    groups: Option<Field>,
    context: &source::Context<'_>,
) -> Result<(Claims, String), ConfigError> {
    let key = metadata.path.clone();
    let groups = groups.map(|groups| read_groups(groups, context)).transpose()?;
    if !metadata.is_object() {
        return Ok((Claims { groups, ..Claims::plain(path(metadata)?) }, key));
    }
    let mut object = metadata.object()?;
    let path = object.take("path").map(path).transpose()?;
    let strip_prefix = object.take("strip_prefix").map(|field| field.text().map(Box::from)).transpose()?;
    let drop = object.take("drop_unknown");
    let drops_unknown = drop.as_ref().map_or(Ok(false), Field::boolean)?;
    object.finish(&names(&MEMBERS))?;
    let path = path.ok_or_else(|| ConfigError::new(key.as_str(), "needs \"path\", which leads to the claim"))?;
    let claims = Claims { path, strip_prefix: strip_prefix.unwrap_or_default(), drops_unknown, groups };
    match drop {
        Some(drop) if drops_unknown && !knows_some(&claims, context.allowed) => Err(drop.error(
            "has no effect, since every entry may be a tenant: name those that are in allowed_tenants, or by tenant_groups or strip_prefix",
        )),
        _ => Ok((claims, key)),
    }
}

/// Whether there can be an entry that names no tenant that is served.
fn knows_some(claims: &Claims, allowed: Option<&Allowed>) -> bool {
    allowed.is_some() || claims.groups.is_some() || !claims.strip_prefix.is_empty()
}

/// A path into dynamic metadata: a namespace, and the keys below it.
pub fn path(field: Field) -> Result<Box<[String]>, ConfigError> {
    let path = field.path.clone();
    let mut parts = Vec::new();
    for part in field.items("a list of strings")? {
        parts.push(part.text()?.to_owned());
    }
    if parts.len() < 2 || parts.iter().any(String::is_empty) {
        return Err(ConfigError::new(
            path,
            "needs a namespace and the keys below it, none of them empty, for example \
             [\"envoy.filters.http.jwt_authn\", \"payload\", \"tenant\"]",
        ));
    }
    Ok(parts.into())
}

fn read_groups(field: Field, context: &source::Context<'_>) -> Result<Groups, ConfigError> {
    let path = field.path.clone();
    let mut groups = Groups::new();
    for (name, field) in field.entries()? {
        if name.is_empty() {
            return Err(field.error("a group needs a name"));
        }
        let path = field.path.clone();
        let mut tenants = BTreeSet::new();
        for field in field.items("a list of tenant IDs")? {
            let text = field.text()?;
            source::one(&field, text, context)?;
            if !tenants.insert(text.to_owned()) {
                return Err(field.error(format!("{text:?} is in the list twice")));
            }
        }
        if tenants.is_empty() {
            return Err(ConfigError::new(path, "a group without tenants: leave it out"));
        }
        if groups.insert(name.into(), tenants.into_iter().map(Into::into).collect()).is_some() {
            return Err(ConfigError::twice(path));
        }
    }
    match groups.is_empty() {
        true => Err(ConfigError::new(path, "an empty map would serve nobody: leave the key out")),
        false => Ok(groups),
    }
}

/// `tenant_metadata` as it is written in the configuration.
pub fn to_json(claims: &Claims) -> serde_json::Value {
    let path = claims.path.to_vec();
    match claims.strip_prefix.is_empty() && !claims.drops_unknown {
        true => path.into(),
        false => serde_json::json!({
            "path": path, "strip_prefix": claims.strip_prefix, "drop_unknown": claims.drops_unknown
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use serde_json::{Value, json};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const PATH: [&str; 3] = ["envoy.filters.http.jwt_authn", "payload", "groups"];

    #[track_caller]
    fn refused(json: Value, path: &str, message: &str) {
        let error = Config::parse(json.to_string().as_bytes()).expect_err(&json.to_string());
        assert!(error.path == path && error.message.contains(message), "{json}: {error}");
    }

    fn shown(json: &Value, key: &str) -> String {
        let config = Config::parse(json.to_string().as_bytes()).unwrap();
        config.explain().into_iter().find(|setting| setting.key == key).unwrap().value
    }

    #[test]
    fn a_claim_is_a_path_or_an_object_with_one() {
        let path = json!(PATH);
        assert_eq!(shown(&json!({"tenant_metadata": path}), "tenant_metadata"), path.to_string());
        assert_eq!(shown(&json!({"tenant_metadata": {"path": path}}), "tenant_metadata"), path.to_string());
        let whole = json!({"drop_unknown": true, "path": path, "strip_prefix": "/"});
        assert_eq!(shown(&json!({"tenant_metadata": whole}), "tenant_metadata"), whole.to_string());
        refused(json!({"tenant_metadata": {}}), "tenant_metadata", "needs \"path\"");
        refused(json!({"tenant_metadata": {"path": ["a"]}}), "tenant_metadata.path", "needs a namespace");
        refused(json!({"tenant_metadata": {"path": path, "prefix": "/"}}), "tenant_metadata.prefix", "unknown key");
        refused(
            json!({"tenant_metadata": {"path": path, "strip_prefix": 1}}),
            "tenant_metadata.strip_prefix",
            "a string",
        );
        refused(json!({"tenant_metadata": 1}), "tenant_metadata", "a list of strings");
    }

    #[test]
    fn dropping_needs_to_know_what_is_unknown() {
        let dropping = json!({"path": PATH, "drop_unknown": true});
        refused(json!({"tenant_metadata": dropping}), "tenant_metadata.drop_unknown", "has no effect");
        for extra in [
            json!({"tenant_metadata": dropping, "allowed_tenants": ["a"]}),
            json!({"tenant_metadata": dropping, "tenant_groups": {"sre": ["a"]}}),
            json!({"tenant_metadata": {"path": PATH, "drop_unknown": true, "strip_prefix": "/"}}),
        ] {
            Config::parse(extra.to_string().as_bytes()).unwrap();
        }
    }

    #[test]
    fn groups_are_of_a_verified_claim_and_of_tenants_that_are_served() {
        let groups = json!({"sre": ["a", "b"], "shop": ["b"]});
        assert_eq!(
            shown(&json!({"tenant_metadata": PATH, "tenant_groups": groups}), "tenant_groups"),
            groups_in_order()
        );
        for other in [
            json!({"tenant_groups": groups}),
            json!({"tenant_groups": groups, "tenant_header": "x"}),
            json!({"tenant_groups": groups, "tenant_parameter": "x"}),
            json!({"tenant_groups": groups, "static_tenant_ids": ["a"]}),
            json!({"tenant_groups": groups, "tenant_certificate_field": "commonName"}),
            json!({"tenant_groups": groups, "tenant_path": "/t/", "allowed_tenants": ["a", "b"]}),
        ] {
            refused(other, "tenant_groups", "needs tenant_metadata");
        }
        let with =
            |groups: Value| json!({"tenant_metadata": PATH, "tenant_groups": groups, "allowed_tenants": ["a", "b"]});
        refused(with(json!({})), "tenant_groups", "nobody");
        refused(with(json!({"": ["a"]})), "tenant_groups.", "a name");
        refused(with(json!({"sre": []})), "tenant_groups.sre", "without tenants");
        refused(with(json!({"sre": ["a", "b", "a"]})), "tenant_groups.sre[2]", "twice");
        refused(with(json!({"sre": ["a", "c"]})), "tenant_groups.sre[1]", "allowed_tenants");
        refused(with(json!({"sre": ["a|b"]})), "tenant_groups.sre[0]", "can't hold a |");
        refused(with(json!({"sre": "a"})), "tenant_groups.sre", "a list of tenant IDs");
        let twice = r#"{"tenant_metadata": ["a", "b"], "tenant_groups": {"sre": ["a"], "sre": ["b"]}}"#;
        let error = Config::parse(twice.as_bytes()).unwrap_err();
        assert_eq!((error.path.as_str(), error.message.as_str()), ("tenant_groups.sre", "the key is given twice"));
    }

    fn groups_in_order() -> String {
        r#"{"shop":["b"],"sre":["a","b"]}"#.to_owned()
    }

    #[test]
    fn many_groups_are_read() {
        let groups: Value =
            (0..10_000).map(|n| (format!("/g{n}"), json!([format!("t{n}")]))).collect::<serde_json::Map<_, _>>().into();
        let read = shown(&json!({"tenant_metadata": PATH, "tenant_groups": groups}), "tenant_groups");
        assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), groups);
    }
}
