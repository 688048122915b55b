//! Which tenants are served: exact IDs, and prefixes. A prefix is an object, `{"prefix": "team-"}`, since every character that
//! could mark one in a text may stand in an ID (`*` may in Cortex's).

use super::ConfigError;
use super::json::{self, Field};
use super::shape::{Member, Shape, member};
use crate::tenant::{self, Format, Ids};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;

/// The tenants that are served. Looking one up takes little time, however many there are.
#[derive(Debug, Clone)]
pub struct Allowed {
    ids: Ids,
    /// Sorted. None of them begins with another, so that of those before an ID only the last can be its beginning.
    prefixes: BTreeSet<String>,
}

/// What the key takes.
pub(super) const SHAPE: Shape = Shape::set(&Shape::Either(&[Shape::NAME, Shape::Object(|| vec![PREFIX])]), 1);

const PREFIX: Member = member("prefix", Shape::NAME, "", "how the IDs of the tenants that are served begin");

impl Allowed {
    /// Reads the list. `judges`: whether each ID is judged now.
    pub fn read(field: Field, format: Format, judges: bool) -> Result<Allowed, ConfigError> {
        let path = field.path.clone();
        let unread = field.unread(true, "a list of tenant IDs")?;
        let json::Unread { text, starts, .. } = unread;
        let mut allowed = Allowed { ids: Ids::default(), prefixes: BTreeSet::new() };
        let element = |at: usize| [&*path, "[", &at.to_string(), "]"].concat();
        let mut ids = Vec::with_capacity(starts.len());
        for (at, &start) in starts.iter().enumerate() {
            let add = match json::string(&text, start) {
                Some(id) => {
                    ids.push(start);
                    let check = judges.then(|| tenant::check_id(id.as_bytes(), format));
                    check.unwrap_or(Ok(())).map_err(|error| ConfigError::new("", error.to_string()))
                }
                None => json::element(&text, start)
                    .ok_or_else(tenant::unclear)
                    .and_then(|field| allowed.add_prefix(field, format)),
            };
            add.map_err(|error| error.under(&element(at)))?;
        }
        allowed.ids = Ids::index(text.clone(), ids).map_err(|twice| {
            let at = starts.iter().position(|&start| start == twice);
            let id = json::string(&text, twice).unwrap_or_default();
            ConfigError::new(element(at.unwrap_or_default()), format!("{id:?} is in the list twice"))
        })?;
        if allowed.ids.is_empty() && allowed.prefixes.is_empty() {
            return Err(ConfigError::new(
                path,
                "an empty list would serve nobody: leave the key out to serve every tenant",
            ));
        }
        Ok(allowed)
    }

    fn add_prefix(&mut self, field: Field, format: Format) -> Result<(), ConfigError> {
        if !field.is_object() {
            // An ID, then.
            return field.text().map(drop);
        }
        let field = prefix(field)?;
        let text = field.text()?;
        if text.is_empty() {
            return Err(field.error("would serve every tenant: leave allowed_tenants out for that"));
        }
        // As the beginning of an ID: a longer one may end otherwise.
        tenant::check_characters(text, format).map_err(|error| field.error(error.to_string()))?;
        // The neighbours alone can begin with it, or it with them.
        let next = self.prefixes.range::<str, _>((Bound::Excluded(text), Bound::Unbounded)).next();
        let mut neighbours = self.last_before(text).into_iter().chain(next.map(String::as_str));
        if neighbours.any(|other| text.starts_with(other) || other.starts_with(text)) {
            return Err(field.error("begins with another prefix, or is the beginning of one: keep the shorter"));
        }
        self.prefixes.insert(text.to_owned());
        Ok(())
    }

    /// Whether this tenant is served.
    pub fn contains(&self, id: &str) -> bool {
        self.names(id) || self.last_before(id).is_some_and(|prefix| id.starts_with(prefix))
    }

    /// Whether this tenant stands in the list itself.
    pub fn names(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// A tenant that is served, and whose ID differs from this one by case alone.
    pub fn like(&self, id: &str) -> Option<Cow<'_, str>> {
        self.ids.iter().find(|other| other.eq_ignore_ascii_case(id))
    }

    /// Whether the list has tenants by their IDs, not only by how those begin.
    pub fn names_some(&self) -> bool {
        !self.ids.is_empty()
    }

    /// The tenants that the list has by their IDs.
    pub fn ids(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.ids.iter()
    }

    /// The last of the prefixes that come before this text, or are it.
    fn last_before(&self, text: &str) -> Option<&str> {
        let upto = (Bound::Unbounded, Bound::Included(text));
        self.prefixes.range::<str, _>(upto).next_back().map(String::as_str)
    }

    /// The list as it is written in the configuration.
    pub fn to_json(&self) -> serde_json::Value {
        let prefixes = self.prefixes.iter().map(|prefix| serde_json::json!({ "prefix": prefix }));
        self.ids.iter().collect::<BTreeSet<_>>().into_iter().map(serde_json::Value::from).chain(prefixes).collect()
    }
}

/// The prefix in an entry that is an object.
fn prefix(field: Field) -> Result<Field, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let prefix = object.take("prefix");
    object.finish(&["prefix"])?;
    prefix.ok_or_else(|| ConfigError::new(path, "an object has to be {\"prefix\": \"…\"}"))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn allowed(list: serde_json::Value) -> Config {
        Config::parse(json!({ "allowed_tenants": list }).to_string().as_bytes()).unwrap()
    }

    #[track_caller]
    fn refused(list: serde_json::Value, path: &str, message: &str) {
        let error = Config::parse(json!({ "allowed_tenants": list }).to_string().as_bytes()).unwrap_err();
        assert!(error.path == path && error.message.contains(message), "{error}");
    }

    #[test]
    fn ids_are_exact_and_prefixes_begin_them() {
        let config = allowed(json!(["a", "star*", {"prefix": "team-"}, {"prefix": "x"}, {"prefix": "."}]));
        for id in ["a", "star*", "team-", "team-a", "team-a*", "x", "xyz", ".a"] {
            assert!(config.allows(id), "{id}");
        }
        for id in ["b", "aa", "A", "star", "starling", "team", "teams", "Team-a", "w", "y", "steam-a", "-"] {
            assert!(!config.allows(id), "{id}");
        }
    }

    #[test]
    fn of_many_prefixes_the_right_one_is_found() {
        let prefixes: Vec<_> = (100..1_000).map(|n| json!({ "prefix": format!("p{n}-") })).collect();
        let ids = (0..10_000).map(|n| json!(format!("t{n}")));
        let config = allowed(ids.chain(prefixes).collect());
        for n in 100..1_000 {
            assert!(
                config.allows(&format!("p{n}-a"))
                    && config.allows(&format!("p{n}-~"))
                    && !config.allows(&format!("p{n}"))
            );
        }
        assert!(config.allows("t9999") && !config.allows("t10000"));
    }

    #[test]
    fn entries_are_ids_or_prefixes() {
        refused(json!([{"prefix": ""}]), "allowed_tenants[0].prefix", "every tenant");
        refused(json!([{"prefix": "a b"}]), "allowed_tenants[0].prefix", "not allowed");
        refused(json!([{"prefix": "a|b"}]), "allowed_tenants[0].prefix", "not allowed");
        refused(json!([{"prefix": 1}]), "allowed_tenants[0].prefix", "a string");
        refused(json!(["a", {}]), "allowed_tenants[1]", "prefix");
        refused(json!([{"prefix": "a", "suffix": "b"}]), "allowed_tenants[0].suffix", "unknown key");
        refused(json!([{"prefix": "a"}, {"prefix": "a"}]), "allowed_tenants[1].prefix", "shorter");
        refused(json!([{"prefix": "team-"}, {"prefix": "team-a"}]), "allowed_tenants[1].prefix", "shorter");
        refused(json!([{"prefix": "team-a"}, {"prefix": "team-"}]), "allowed_tenants[1].prefix", "shorter");
        refused(json!(["a", 1]), "allowed_tenants[1]", "a string");
        refused(json!(["a*|b"]), "allowed_tenants[0]", "can't hold a |");
        refused(json!({"prefix": "a"}), "allowed_tenants", "a list of tenant IDs");
    }
}
