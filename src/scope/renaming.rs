//! The names of labels as clients see them, where several tenants are named: Cortex's and Mimir's federation label.
//!
//! ```text
//! stored                     shown                      with the defaults
//! tenant label               federation label           tenant_id               → __tenant_id__
//! federation label           original_ + federation     __tenant_id__           → original___tenant_id__
//! original_ + federation     tenant label               original___tenant_id__  → tenant_id
//! any other                  the same
//! ```
//!
//! It is a permutation: two labels never get the same name, so that none is lost and no two are merged, whatever is stored. With one name moved
//! and the others left, `sum by (tenant_id)` would still group by tenant, and a label set could have one name twice.

use super::render;
use std::sync::Arc;

/// What stands before the federation label's name for a stored label of that name: `retainExistingPrefix` in Cortex 1.21's
/// pkg/querier/tenantfederation/merge_queryable.go.
const ORIGINAL: &str = "original_";

/// Labels whose names PromQL gives a meaning: `le` in histograms, `instance` and `job` in `info()`, `__type__` and `__unit__` with the feature
/// type-and-unit-labels (promql/functions.go and promql/info.go in Prometheus 3.16).
const MEANINGFUL: &[&str] = &["__name__", "__type__", "__unit__", "le", "instance", "job"];

/// A permutation of three names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// The tenant label, the federation label, and the latter's original: each is shown by the name of the next.
    names: Arc<[Name; 3]>,
}

/// A label's name, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: Box<str>,
    /// As a string in PromQL.
    pub quoted: Box<str>,
    /// Between the quotes of JSON.
    pub json: Box<str>,
}

impl Renaming {
    /// Shows the label `stored` by the name `shown`.
    ///
    /// # Errors
    /// Why these names can't be exchanged.
    pub fn new(stored: &str, shown: &str) -> Result<Renaming, &'static str> {
        let original = [ORIGINAL, shown].concat();
        if shown == stored || original == stored {
            return Err("is the name of the tenant label already (tenant_label_name)");
        }
        if [stored, shown].iter().any(|name| MEANINGFUL.contains(name)) {
            return Err("PromQL gives one of the two names a meaning, so that they can't be exchanged");
        }
        Ok(Renaming { names: [stored.into(), shown.into(), original].map(Name::new).into() })
    }

    /// The name by which the tenant label is shown.
    pub fn federation_label(&self) -> &Name {
        let [_, shown, _] = &*self.names;
        shown
    }

    /// What a name of the client's is called where it is stored; `None` where it is the same.
    pub fn stored(&self, shown: &[u8]) -> Option<&Name> {
        let [tenant, federation, original] = &*self.names;
        [(federation, tenant), (original, federation), (tenant, original)]
            .into_iter()
            .find_map(|(from, to)| (from.text.as_bytes() == shown).then_some(to))
    }

    /// What a stored name is called where it is shown; `None` where it is the same.
    pub fn shown(&self, stored: &[u8]) -> Option<&Name> {
        let [tenant, federation, original] = &*self.names;
        [(tenant, federation), (federation, original), (original, tenant)]
            .into_iter()
            .find_map(|(from, to)| (from.text.as_bytes() == stored).then_some(to))
    }
}

impl Name {
    fn new(text: String) -> Name {
        let mut quoted = String::new();
        render::literal(&text, &mut quoted);
        // Control characters are in no name, so that JSON needs no other escapes than PromQL.
        let json = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().into();
        Name { text: text.into(), quoted: quoted.into(), json }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn it_is_a_permutation_of_three_names() {
        let renaming = Renaming::new("tenant_id", "__tenant_id__").unwrap();
        let names = ["tenant_id", "__tenant_id__", "original___tenant_id__"];
        let shown = ["__tenant_id__", "original___tenant_id__", "tenant_id"];
        for (stored, shown) in names.into_iter().zip(shown) {
            assert_eq!(&*renaming.shown(stored.as_bytes()).unwrap().text, shown);
            assert_eq!(&*renaming.stored(shown.as_bytes()).unwrap().text, stored);
        }
        for other in ["", "tenant", "Tenant_id", "original_tenant_id", "original_original___tenant_id__", "__name__"] {
            assert_eq!((renaming.shown(other.as_bytes()), renaming.stored(other.as_bytes())), (None, None), "{other}");
        }
    }

    #[test]
    fn names_that_are_one_or_mean_something_are_refused() {
        for (stored, shown) in [
            ("__tenant_id__", "__tenant_id__"),
            ("original_team", "team"),
            ("tenant_id", "le"),
            ("job", "__tenant_id__"),
            ("tenant_id", "instance"),
            ("tenant_id", "__name__"),
        ] {
            assert!(Renaming::new(stored, shown).is_err(), "{stored} {shown}");
        }
        assert!(Renaming::new("team", "original_team").is_ok());
    }

    #[test]
    fn names_are_written_with_escapes() {
        let renaming = Renaming::new("a\"b\\c", "é").unwrap();
        let name = renaming.stored("é".as_bytes()).unwrap();
        assert_eq!((&*name.quoted, &*name.json), (r#""a\"b\\c""#, r#"a\"b\\c"#));
        assert_eq!(serde_json::from_str::<String>(&name.quoted).unwrap(), "a\"b\\c");
    }
}
