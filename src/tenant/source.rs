//! The source of the tenant. Exactly one source is configured, and the others are ignored.

use super::certificate::{self, Field};
use super::metadata::{self, Claim};
use super::{Error, Federation, Format, Tenants};
use std::sync::Arc;

/// What names the tenant of a request.
#[derive(Debug, Clone)]
pub enum Source {
    /// A header of the request.
    Header {
        /// Its name, in lower case.
        name: Arc<str>,
        /// The tenant of a request without the header.
        default: Option<Tenants>,
    },
    /// A field of the client certificate's subject. It has one value, which names one tenant.
    Certificate(Field),
    /// Dynamic metadata that another filter has set, at this path. The path begins with the namespace. A string names one tenant. With
    /// federation, a list of strings names several.
    Metadata(Arc<[String]>),
    /// The configuration names the same tenants for all requests.
    Static(Tenants),
}

/// What the filter must ask of the proxy besides the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The subject of the client certificate, in the format that `certificate` reads.
    Subject,
    /// The dynamic metadata of the request, in the format that `metadata` reads.
    Metadata,
}

impl Source {
    /// What the source reads besides headers. The proxy is asked for nothing else.
    pub fn evidence(&self) -> Option<Evidence> {
        match self {
            Source::Header { .. } | Source::Static(_) => None,
            Source::Certificate(_) => Some(Evidence::Subject),
            Source::Metadata(_) => Some(Evidence::Metadata),
        }
    }

    /// The header that names the tenant, if the source is a header.
    pub fn header(&self) -> Option<&Arc<str>> {
        match self {
            Source::Header { name, .. } => Some(name),
            Source::Certificate(_) | Source::Metadata(_) | Source::Static(_) => None,
        }
    }

    /// Identifies the tenants of a request. `header` is the value of the source's header, `evidence` what the proxy returned. `None`
    /// means absent, which differs from an empty value.
    pub fn identify(
        &self,
        header: Option<&[u8]>,
        evidence: Option<&[u8]>,
        format: Format,
        federation: Federation,
    ) -> Result<Tenants, Error> {
        match self {
            Source::Header { name: _, default } => match (header, default) {
                (Some(value), _) => Tenants::parse(value, format, federation),
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err(Error::Absent("the header that names it is absent")),
            },
            Source::Certificate(field) => {
                Tenants::one(&certificate::value(evidence.unwrap_or_default(), *field)?, format)
            }
            Source::Metadata(path) => {
                let claim = metadata::claim(evidence.unwrap_or_default(), path);
                match (claim.ok_or(Error::Unreadable("dynamic metadata"))?, federation) {
                    (Claim::Absent, _) => Err(Error::Absent("the metadata that names it is absent")),
                    (Claim::Text(text), _) => Tenants::one(text, format),
                    (Claim::Texts(texts), Federation::On { max_tenants }) => {
                        Tenants::several(&texts, format, max_tenants)
                    }
                    (Claim::Texts(_), Federation::Off) => Err(Error::Unclear(
                        "the metadata names a list of tenants, but tenant_federation is not enabled",
                    )),
                    (Claim::Other, _) => Err(Error::Unclear("the metadata that names the tenant is no string")),
                }
            }
            Source::Static(tenants) => Ok(tenants.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::encode;
    use super::*;
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MANY: Federation = Federation::On { max_tenants: 2 };

    fn from_certificate(subject: &str, federation: Federation) -> Result<String, Error> {
        let source = Source::Certificate(Field::Organization);
        let tenants = source.identify(Some(b"team-b"), Some(subject.as_bytes()), Format::Cortex, federation);
        tenants.map(|tenants| tenants.joined().to_string())
    }

    fn from_claim(claim: serde_json::Value, federation: Federation) -> Result<String, Error> {
        let source = Source::Metadata(["n".to_owned(), "tenant".to_owned()].into());
        let metadata = encode(&json!({"n": {"tenant": claim}}));
        let tenants = source.identify(Some(b"team-b"), Some(&metadata), Format::Cortex, federation);
        tenants.map(|tenants| tenants.joined().to_string())
    }

    #[test]
    fn a_certificate_names_one_tenant_whatever_federation_allows() {
        for federation in [Federation::Off, MANY] {
            assert_eq!(from_certificate("CN=x,O=team-a", federation), Ok("team-a".to_owned()));
            assert_eq!(from_certificate("O=team-a|team-b", federation), Err(Error::Several));
            assert_eq!(from_certificate("O=", federation), Err(Error::Empty));
            assert!(matches!(from_certificate("CN=team-a", federation), Err(Error::Absent(_))));
            assert!(matches!(from_certificate("", federation), Err(Error::Absent(_))));
            assert!(matches!(from_certificate(r"O=team-a\00", federation), Err(Error::Character(_))));
            assert!(matches!(from_certificate("O=__mimir_cluster", federation), Err(Error::Reserved(_))));
            assert_eq!(from_certificate(r"O=\FF", federation), Err(Error::NotUtf8));
        }
        let without_tls = Source::Certificate(Field::CommonName).identify(Some(b"a"), None, Format::Cortex, MANY);
        assert!(matches!(without_tls, Err(Error::Absent(_))));
    }

    #[test]
    fn a_string_in_metadata_names_one_tenant_and_a_list_several() {
        for federation in [Federation::Off, MANY] {
            assert_eq!(from_claim(json!("team-a"), federation), Ok("team-a".to_owned()));
            assert_eq!(from_claim(json!("a|b"), federation), Err(Error::Several));
            assert_eq!(from_claim(json!(""), federation), Err(Error::Empty));
            assert!(matches!(from_claim(json!("[\"a\",\"b\"]"), federation), Err(Error::Character(_))));
            assert!(matches!(
                from_claim(json!("\u{1}\0\0\0\u{1}\0\0\0\0\0\0\0b\0\0"), federation),
                Err(Error::Character(_))
            ));
            for other in [json!(1), json!(true), json!({"a": "b"}), json!(["a", 1])] {
                assert!(matches!(from_claim(other.clone(), federation), Err(Error::Unclear(_))), "{other}");
            }
            assert!(matches!(from_claim(json!(null), federation), Err(Error::Absent(_))));
        }
        assert!(matches!(from_claim(json!(["a"]), Federation::Off), Err(Error::Unclear(_))));
        assert_eq!(from_claim(json!(["b", "a", "b"]), MANY), Ok("a|b".to_owned()));
        assert_eq!(from_claim(json!(["a"]), MANY), Ok("a".to_owned()));
        assert_eq!(from_claim(json!([]), MANY), Err(Error::Empty));
        assert_eq!(from_claim(json!(["a", ""]), MANY), Err(Error::EmptyMember));
        assert_eq!(from_claim(json!(["a", "b|c"]), MANY), Err(Error::Several));
        assert_eq!(from_claim(json!(["a", "b", "c"]), MANY), Err(Error::TooMany { named: 3, max: 2 }));
    }

    #[test]
    fn metadata_that_is_absent_names_nobody() {
        let source = Source::Metadata(["n".to_owned(), "tenant".to_owned()].into());
        for evidence in [None, Some(&b""[..]), Some(&encode(&json!({"m": {"tenant": "a"}})))] {
            let found = source.identify(Some(b"team-b"), evidence, Format::Cortex, MANY);
            assert!(matches!(found, Err(Error::Absent(_))), "{evidence:?}");
        }
        let broken = source.identify(None, Some(b"\x0b"), Format::Cortex, MANY);
        assert!(matches!(broken, Err(Error::Unreadable(_))));
    }
}
