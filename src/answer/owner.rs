//! Whose a set of labels is.

use crate::json::{Cursor, Malformed};
use crate::tenant::Tenants;
use std::sync::Arc;

/// The tenants for whom an answer is filtered, and the label that tells.
#[derive(Debug, Clone)]
pub struct Owner {
    label: Arc<str>,
    tenants: Tenants,
}

/// What a set of labels says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It carries the label, with the exact value of one of the tenants.
    Own,
    /// It does not carry the label.
    Nobodys,
    /// It carries the label with a template as its value: every alert gets a value of its own.
    Templated,
    /// It carries the label with another value; the empty one too.
    Foreign,
}

impl Owner {
    /// For these tenants.
    pub fn new(label: Arc<str>, tenants: Tenants) -> Self {
        Owner { label, tenants }
    }

    /// Reads a set of labels: an object of strings, or `null`. The label given twice could be read either way: an error.
    pub fn read(&self, cursor: &mut Cursor<'_>) -> Result<Whose, Malformed> {
        if cursor.null()? {
            return Ok(Whose::Nobodys);
        }
        let mut whose = None;
        cursor.object(|name, cursor| {
            let value = cursor.string()?;
            if !name.is(&self.label) {
                return Ok(());
            }
            let found = if self.tenants.ids().any(|tenant| value.is(tenant)) {
                Whose::Own
            } else if value.raw().contains("{{") {
                Whose::Templated
            } else {
                Whose::Foreign
            };
            match whose.replace(found) {
                None => Ok(()),
                Some(_) => Err(Malformed),
            }
        })?;
        Ok(whose.unwrap_or(Whose::Nobodys))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::tenant::{Federation, Format};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// An owner of these tenants, separated by `|`.
    pub fn owner(tenants: &str) -> Owner {
        let tenants = Tenants::parse(tenants.as_bytes(), Format::Thanos, Federation::On { max_tenants: 0 }).unwrap();
        Owner::new("tenant_id".into(), tenants)
    }

    fn whose(tenants: &str, labels: &str) -> Option<Whose> {
        owner(tenants).read(&mut Cursor::new(labels)).ok()
    }

    #[test]
    fn only_the_exact_value_is_the_tenant_s() {
        assert_eq!(whose("team-a", r#"{"a":"b","tenant_id":"team-a"}"#), Some(Whose::Own));
        assert_eq!(whose("team-a", r#"{"tenant\u005fid":"team\u002da"}"#), Some(Whose::Own));
        assert_eq!(whose("a|b", r#"{"tenant_id":"b"}"#), Some(Whose::Own));
        for labels in [
            r#"{"tenant_id":"team-b"}"#,
            r#"{"tenant_id":""}"#,
            r#"{"tenant_id":"team-a "}"#,
            r#"{"tenant_id":"TEAM-A"}"#,
            r#"{"tenant_id":"team-aa"}"#,
            r#"{"tenant_id":"team-a|team-b"}"#,
        ] {
            assert_eq!(whose("team-a", labels), Some(Whose::Foreign), "{labels}");
        }
        assert_eq!(whose("a|b", r#"{"tenant_id":"a|b"}"#), Some(Whose::Foreign));
        for labels in
            ["{}", "null", r#"{"tenant":"team-a"}"#, r#"{"Tenant_ID":"team-a"}"#, r#"{"a":"tenant_id","team-a":"x"}"#]
        {
            assert_eq!(whose("team-a", labels), Some(Whose::Nobodys), "{labels}");
        }
        assert_eq!(whose("team-a", r#"{"tenant_id":"{{ $labels.team }}"}"#), Some(Whose::Templated));
    }

    #[test]
    fn labels_that_can_be_read_in_two_ways_are_an_error() {
        for labels in [
            r#"{"tenant_id":"team-a","tenant_id":"team-b"}"#,
            r#"{"tenant_id":"team-a","tenant\u005fid":"team-a"}"#,
            r#"{"tenant_id":["team-a"]}"#,
            r#"{"tenant_id":null}"#,
            r#"{"a":1}"#,
            "[]",
            "\"team-a\"",
            "",
        ] {
            assert_eq!(whose("team-a", labels), None, "{labels}");
        }
    }
}
