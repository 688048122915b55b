//! Labels that are enforced beside the tenant's: where a request's value for each of them comes from.
//!
//! ```text
//! value  = 1*1024( UTF-8 without control characters ), no space at either end; without "|" where the request names it
//! values = value            in a header, and in metadata that is a string
//!        / 1*( value )      in metadata that is a list, and in the configuration
//! ```
//!
//! One value becomes `label="value"`, several become `label=~"a|b"` with each of them quoted, so that no value can widen the scope.
//! Every label needs a value: a request that has none for one of them is refused, and an empty one, which would match all
//! series without the label, is never sent.

use super::MAX_HEADER;
use super::metadata::{self, Claim};
use crate::scope::{OnConflict, Scope};
use crate::text;
use std::fmt;
use std::sync::Arc;

/// The longest value, in bytes.
pub const MAX_VALUE: usize = 1_024;

/// A label that is enforced beside the tenant's.
#[derive(Debug, Clone)]
pub struct EnforcedLabel {
    /// The label's name.
    pub name: Arc<str>,
    /// What has its values.
    pub source: LabelSource,
}

/// What has the values of a label.
#[derive(Debug, Clone)]
pub enum LabelSource {
    /// A header of the request, by its name in lower case. It has one value.
    Header(Arc<str>),
    /// Dynamic metadata that another filter has set, at this path, whose first part is the namespace. A list has several values.
    Metadata(Arc<[String]>),
    /// The configuration. The values are valid, sorted, and each there once.
    Values(Arc<[String]>),
}

/// What a request says about the labels that are enforced beside the tenant's: made by [`values`] only, so that no request is
/// scoped without them.
#[derive(Debug, Clone)]
pub struct LabelValues(Option<Scope>);

/// Why a request has no values for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelError {
    /// It has none. The text says what is missing.
    Absent(&'static str),
    /// The value is empty.
    Empty,
    /// The source can't be read in only one way. The text says why.
    Unclear(&'static str),
    /// Data that the proxy made can't be read.
    Unreadable,
    /// The value is no value of a label. The text says why.
    Value(String, &'static str),
    /// The values are longer than allowed, all together.
    TooLong,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabelError::Absent(missing) => f.write_str(missing),
            LabelError::Empty => f.write_str("its value is empty"),
            LabelError::Unclear(problem) => f.write_str(problem),
            LabelError::Unreadable => f.write_str("the proxy's dynamic metadata can't be read"),
            LabelError::Value(value, problem) => write!(f, "{value} {problem}"),
            LabelError::TooLong => write!(f, "its values are longer than {MAX_HEADER} bytes"),
        }
    }
}

/// The values that a request has for these labels. `header`: the value of the header of the label with this index. `metadata`: what
/// the proxy returned, where one of the labels needs it.
///
/// # Errors
/// The label that has no values, and why.
pub fn values<'l>(
    labels: &'l [EnforcedLabel],
    header: impl Fn(usize) -> Result<Option<&'l [u8]>, LabelError>,
    metadata: Option<&[u8]>,
    on_conflict: OnConflict,
) -> Result<LabelValues, (Arc<str>, LabelError)> {
    let mut all: Option<Scope> = None;
    for (index, label) in labels.iter().enumerate() {
        let scope = match &label.source {
            LabelSource::Header(_) => header(index).and_then(|value| {
                let value = value.ok_or(LabelError::Absent("the header that has its value is absent"))?;
                label.one(value, on_conflict)
            }),
            LabelSource::Metadata(path) => label.claimed(metadata.unwrap_or_default(), path, on_conflict),
            LabelSource::Values(values) => Ok(label.scope(values.iter().map(String::as_str), on_conflict)),
        };
        let scope = scope.map_err(|error| (label.name.clone(), error))?;
        all = Some(all.map_or(scope.clone(), |all| all.and(&scope)));
    }
    Ok(LabelValues(all))
}

impl LabelValues {
    /// What the tenant is confined to, confined to these values as well.
    pub fn confine(&self, tenant: Scope) -> Scope {
        self.0.as_ref().map_or(tenant.clone(), |labels| tenant.and(labels))
    }
}

impl EnforcedLabel {
    /// The header that has the value, where one has.
    pub fn header(&self) -> Option<&Arc<str>> {
        match &self.source {
            LabelSource::Header(name) => Some(name),
            LabelSource::Metadata(_) | LabelSource::Values(_) => None,
        }
    }

    /// Whether dynamic metadata has the values.
    pub fn reads_metadata(&self) -> bool {
        self.metadata_path().is_some()
    }

    /// Where dynamic metadata has the values, if it has.
    pub fn metadata_path(&self) -> Option<&[String]> {
        match &self.source {
            LabelSource::Metadata(path) => Some(path),
            LabelSource::Header(_) | LabelSource::Values(_) => None,
        }
    }

    fn one(&self, value: &[u8], on_conflict: OnConflict) -> Result<Scope, LabelError> {
        Ok(self.scope([named(value)?].into_iter(), on_conflict))
    }

    fn claimed(&self, metadata: &[u8], path: &[String], on_conflict: OnConflict) -> Result<Scope, LabelError> {
        match metadata::claim(metadata, path).ok_or(LabelError::Unreadable)? {
            Claim::Absent => Err(LabelError::Absent("the metadata that has its value is absent")),
            Claim::Text(text) => self.one(text, on_conflict),
            Claim::Texts(texts) => {
                if texts.iter().map(|text| text.len() + 1).sum::<usize>() > MAX_HEADER + 1 {
                    return Err(LabelError::TooLong);
                }
                let mut values: Vec<&str> = Vec::new();
                for text in texts {
                    let value = named(text)?;
                    if let Err(place) = values.binary_search(&value) {
                        values.insert(place, value);
                    }
                }
                if values.is_empty() {
                    return Err(LabelError::Empty);
                }
                Ok(self.scope(values.into_iter(), on_conflict))
            }
            Claim::Other => {
                Err(LabelError::Unclear("the metadata that has its value is neither a string nor a list of strings"))
            }
        }
    }

    fn scope<'v>(&self, values: impl Iterator<Item = &'v str>, on_conflict: OnConflict) -> Scope {
        let values: Vec<&str> = values.collect();
        match *values {
            [value] => Scope::equal(self.name.clone(), value.into(), on_conflict),
            _ => Scope::one_of(self.name.clone(), &values, on_conflict),
        }
    }
}

/// A value that a request names.
fn named(value: &[u8]) -> Result<&str, LabelError> {
    if value.is_empty() {
        return Err(LabelError::Empty);
    }
    let problem = |problem| LabelError::Value(text::quote(value), problem);
    let text = std::str::from_utf8(value).map_err(|_| problem("is not UTF-8"))?;
    // Whoever writes one may take it for a list, as in the header that names tenants.
    if text.contains('|') {
        return Err(problem("holds a |: one value is named here"));
    }
    check(text).map_err(problem)?;
    Ok(text)
}

/// Checks that a text can be the value of a label that is enforced.
pub fn check(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("is empty, and would match all series without the label");
    }
    if value.len() > MAX_VALUE {
        return Err("is longer than 1,024 bytes");
    }
    // No upstream reads U+FFFD in a string. HTTP/1 strips spaces at either end of a header's value, HTTP/2 doesn't.
    if value.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) || value.trim() != value {
        return Err("holds a control character, or a space at either end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::evidence::encode;
    use super::*;
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const PATH: [&str; 3] = ["n", "payload", "cluster"];

    fn label(source: LabelSource) -> [EnforcedLabel; 1] {
        [EnforcedLabel { name: "cluster".into(), source }]
    }

    fn written(values: Result<LabelValues, (Arc<str>, LabelError)>) -> Result<String, LabelError> {
        let team = Scope::equal("team".into(), "a".into(), OnConflict::Replace);
        values.map(|values| values.confine(team).written().to_owned()).map_err(|(_, error)| error)
    }

    fn from_header(value: Option<&[u8]>) -> Result<String, LabelError> {
        let label = label(LabelSource::Header("x-cluster".into()));
        written(values(&label, |_| Ok(value), None, OnConflict::Replace))
    }

    fn from_claim(claim: serde_json::Value) -> Result<String, LabelError> {
        let label = label(LabelSource::Metadata(PATH.map(str::to_owned).into()));
        let metadata = encode(&json!({"n": {"payload": {"cluster": claim}}}));
        written(values(&label, |_| panic!("no header is asked for"), Some(&metadata), OnConflict::Replace))
    }

    #[test]
    fn a_header_has_one_value() {
        assert_eq!(from_header(Some(b"eu")), Ok(r#"team="a",cluster="eu""#.to_owned()));
        // A value is text, whatever it looks like.
        for (value, expected) in [
            (r#".*"#, r#"team="a",cluster=".*""#),
            (r#"eu"} or {a="b"#, r#"team="a",cluster="eu\"} or {a=\"b""#),
            (r"e\u", r#"team="a",cluster="e\\u""#),
            ("é, us", r#"team="a",cluster="é, us""#),
        ] {
            assert_eq!(from_header(Some(value.as_bytes())).as_deref(), Ok(expected));
        }
        assert!(matches!(from_header(None), Err(LabelError::Absent(_))));
        assert_eq!(from_header(Some(b"")), Err(LabelError::Empty));
        for value in
            [&b"a|b"[..], b"|", b" eu", b"eu ", b"e\nu", b"e\0", b"\xff", "\u{fffd}".as_bytes(), &[b'a'; 1_025]]
        {
            assert!(matches!(from_header(Some(value)), Err(LabelError::Value(..))), "{value:?}");
        }
        assert!(from_header(Some(&[b'a'; 1_024])).is_ok());
    }

    #[test]
    fn a_claim_has_one_value_or_a_list() {
        assert_eq!(from_claim(json!("eu")), Ok(r#"team="a",cluster="eu""#.to_owned()));
        assert_eq!(from_claim(json!(["us", "e.u", "us"])), Ok(r#"team="a",cluster=~"e\\.u|us""#.to_owned()));
        // One value of a list is a value, as it is in a header: the query's own matcher is treated alike.
        assert_eq!(from_claim(json!(["eu"])), Ok(r#"team="a",cluster="eu""#.to_owned()));
        for (claim, empty) in [(json!(""), true), (json!([]), true), (json!(["eu", ""]), true), (json!(null), false)] {
            let found = from_claim(claim.clone());
            assert!(
                if empty { found == Err(LabelError::Empty) } else { matches!(found, Err(LabelError::Absent(_))) },
                "{claim}"
            );
        }
        for claim in [json!(1), json!(true), json!({"a": "eu"}), json!(["eu", 1]), json!([["eu"]]), json!([null])] {
            assert!(matches!(from_claim(claim.clone()), Err(LabelError::Unclear(_))), "{claim}");
        }
        assert!(matches!(from_claim(json!("eu|us")), Err(LabelError::Value(..))));
        assert!(matches!(from_claim(json!(["a", "eu|us"])), Err(LabelError::Value(..))));
        let many: Vec<String> = (0..1_000).map(|number| format!("cluster-{number}")).collect();
        assert_eq!(from_claim(json!(many)), Err(LabelError::TooLong));
        let absent = label(LabelSource::Metadata(PATH.map(str::to_owned).into()));
        for metadata in [None, Some(&b""[..])] {
            let found = written(values(&absent, |_| Ok(None), metadata, OnConflict::Replace));
            assert!(matches!(found, Err(LabelError::Absent(_))));
        }
        let broken = written(values(&absent, |_| Ok(None), Some(b"\x0b"), OnConflict::Replace));
        assert_eq!(broken, Err(LabelError::Unreadable));
    }

    #[test]
    fn every_label_needs_a_value_and_all_have_to_match() {
        let labels: Vec<EnforcedLabel> = [
            ("cluster", LabelSource::Header("x-cluster".into())),
            ("env", LabelSource::Values(["dev".to_owned(), "prod".to_owned()].into())),
            ("zone.name", LabelSource::Header("x-zone".into())),
        ]
        .map(|(name, source)| EnforcedLabel { name: name.into(), source })
        .into();
        let asked = |zone: Option<&'static [u8]>| {
            let header = move |index| Ok(if index == 0 { Some(&b"eu"[..]) } else { zone });
            values(&labels, header, None, OnConflict::Replace)
        };
        let whole = r#"team="a",cluster="eu",env=~"dev|prod","zone.name"="1""#;
        assert_eq!(written(asked(Some(b"1"))), Ok(whole.to_owned()));
        assert_eq!(asked(None).unwrap_err().0.as_ref(), "zone.name");
        assert_eq!(asked(Some(b"")).unwrap_err().1, LabelError::Empty);
    }
}
