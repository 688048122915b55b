//! Whose a set of labels is.

use crate::json::{Cursor, Malformed, Text};
use crate::scope::{Fit, Inside, Scope, Standing, Unfit};
use crate::wire::labels as wire;
use crate::wire::protobuf;
use std::borrow::Cow;

/// For whom an answer is filtered: whoever is confined to a scope.
#[derive(Debug, Clone)]
pub struct Owner {
    inside: Inside,
}

/// What a set of labels says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It is inside the scope: with one label, it carries the exact value of one of the tenants.
    Own,
    /// It lacks a label that the scope asks for, and none of its labels says that it is somebody else's.
    Nobodys,
    /// As `Own` or `Nobodys`, but a label has a template as its value: every alert gets a value of its own.
    Templated,
    /// It carries a label of the scope with a value that the scope refuses; the empty one too, where that is refused.
    Foreign,
}

impl Owner {
    /// For whoever is confined to this scope.
    ///
    /// # Errors
    /// [`Unfit::Pattern`] where the filter can't run a pattern of the scope.
    pub fn new(scope: &Scope) -> Result<Owner, Unfit> {
        scope.inside().map(|inside| Owner { inside })
    }

    /// Whether a series in Protocol Buffers is theirs: it is inside the scope by its labels.
    ///
    /// # Errors
    /// The message can't be read.
    pub fn owns(&self, series: &[u8]) -> Result<bool, protobuf::Error> {
        Ok(self.inside.series(series)? == Standing::Inside)
    }

    /// Whose a set of labels is, in Protocol Buffers: a message whose fields 1 are labels.
    ///
    /// # Errors
    /// The message can't be read.
    pub fn whose(&self, set: &[u8]) -> Result<Whose, protobuf::Error> {
        let mut labels = self.inside.begin();
        let (mut is_templated, mut is_unclear) = (false, false);
        for label in wire::labels(set) {
            let label = label?;
            let Some(index) = self.inside.find(|name| name.as_bytes() == label.name) else { continue };
            let (is_accepted, is_template) =
                std::str::from_utf8(label.value).map_or((false, false), |value| self.accepts(index, value));
            is_templated |= is_template;
            is_unclear |= labels.note(index, is_accepted).is_err();
        }
        Ok(owned(if is_unclear { Standing::Outside } else { labels.finish() }, is_templated))
    }

    /// Where a set of labels stands, in Protocol Buffers.
    ///
    /// # Errors
    /// The message can't be read.
    pub fn standing(&self, set: &[u8]) -> Result<Standing, protobuf::Error> {
        self.inside.series(set)
    }

    /// Whether a label of the scope may have this value, and whether the value is a template. A tenant's ID may look like one. What a
    /// pattern or `!=` accepts of a template says nothing of the alerts.
    fn accepts(&self, label: usize, value: &str) -> (bool, bool) {
        let fit = self.inside.fit(label, value);
        let is_template = fit != Fit::Exact && value.contains("{{");
        (is_template || fit != Fit::Refused, is_template)
    }

    /// Reads a set of labels: an object of strings, or `null`. A label of the scope that is given twice could be read either
    /// way: an error.
    pub fn read(&self, cursor: &mut Cursor<'_>) -> Result<Whose, Malformed> {
        if cursor.null()? {
            return Ok(Whose::Nobodys);
        }
        let mut labels = self.inside.begin();
        let mut is_templated = false;
        cursor.object(|name, cursor| {
            let value = cursor.string()?;
            let Some(label) = self.inside.find(|label| name.is(label)) else { return Ok(()) };
            let (is_accepted, is_template) = self.accepts(label, &decoded(value));
            is_templated |= is_template;
            labels.note(label, is_accepted).map_err(|_| Malformed)
        })?;
        Ok(owned(labels.finish(), is_templated))
    }
}

fn owned(standing: Standing, is_templated: bool) -> Whose {
    match (standing, is_templated) {
        (Standing::Outside, _) => Whose::Foreign,
        (Standing::Inside | Standing::Lacking, true) => Whose::Templated,
        (Standing::Lacking, false) => Whose::Nobodys,
        (Standing::Inside, false) => Whose::Own,
    }
}

fn decoded(text: Text<'_>) -> Cow<'_, str> {
    if text.raw().contains('\\') { text.chars().collect::<String>().into() } else { text.raw().into() }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::scope::{MatchOp, Matcher, OnConflict};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// An owner of these tenants, separated by `|`.
    pub fn owner(tenants: &str) -> Owner {
        let ids: Vec<&str> = tenants.split('|').collect();
        Owner::new(&Scope::one_of("tenant_id".into(), &ids, OnConflict::Replace)).unwrap()
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

    /// `namespace=~"shop-.*",cluster="eu",env!="dev"`
    fn whose_of_three(labels: &str) -> Option<Whose> {
        let matcher = |label: &str, op, value: &str| Matcher { label: label.into(), op, value: value.into() };
        let matchers = [
            matcher("namespace", MatchOp::Regex, "shop-.*"),
            matcher("cluster", MatchOp::Equal, "eu"),
            matcher("env", MatchOp::NotEqual, "dev"),
        ];
        let scope = Scope::new(matchers.map(|matcher| (matcher, OnConflict::Replace)).into()).unwrap();
        Owner::new(&scope).unwrap().read(&mut Cursor::new(labels)).ok()
    }

    #[test]
    fn of_several_labels_every_one_has_to_be_accepted() {
        for (labels, expected) in [
            (r#"{"cluster":"eu","namespace":"shop-a"}"#, Whose::Own),
            (r#"{"clus\u0074er":"e\u0075","namespace":"sho\u0070-a","env":"prod"}"#, Whose::Own),
            // A label that only a negative matcher names may be absent; one that has to have a value may not.
            (r#"{"namespace":"shop-a","env":"prod"}"#, Whose::Nobodys),
            (r#"{"cluster":"eu"}"#, Whose::Nobodys),
            (r#"{"env":"prod"}"#, Whose::Nobodys),
            ("{}", Whose::Nobodys),
            ("null", Whose::Nobodys),
            (r#"{"cluster":"eu","namespace":"shop-a","env":"dev"}"#, Whose::Foreign),
            (r#"{"cluster":"eu","namespace":"shop-a","env":"d\u0065v"}"#, Whose::Foreign),
            (r#"{"cluster":"us","namespace":"shop-a"}"#, Whose::Foreign),
            (r#"{"cluster":"eu","namespace":"other"}"#, Whose::Foreign),
            (r#"{"env":"dev"}"#, Whose::Foreign),
            (r#"{"cluster":""}"#, Whose::Foreign),
            // What a template becomes is each alert's to say, whatever its text matches.
            (r#"{"cluster":"{{ $labels.cluster }}","namespace":"shop-a"}"#, Whose::Templated),
            (r#"{"cluster":"eu","namespace":"shop-{{ $labels.x }}"}"#, Whose::Templated),
            (r#"{"cluster":"eu","namespace":"shop-a","env":"\u007b{ $labels.env }}"}"#, Whose::Templated),
            (r#"{"env":"{{ $labels.env }}"}"#, Whose::Templated),
            (r#"{"cluster":"us","namespace":"{{ $labels.namespace }}"}"#, Whose::Foreign),
        ] {
            assert_eq!(whose_of_three(labels), Some(expected), "{labels}");
        }
        for labels in [r#"{"env":"a","env":"b"}"#, r#"{"cluster":"eu","cl\u0075ster":"eu"}"#, r#"{"env":1}"#] {
            assert_eq!(whose_of_three(labels), None, "{labels}");
        }
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
