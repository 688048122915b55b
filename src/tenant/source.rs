//! The source of the tenant. Exactly one source is configured, and the others are ignored.

use super::certificate::{self, Field};
use super::metadata::{self, Claim};
use super::{Claims, Error, Rules, Tenants};
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
    /// A parameter in the URL of the request. It is believed as a header is, and has no default.
    Parameter(Arc<str>),
    /// Nothing but the path, which names one of those that `allowed_tenants` lists. It is believed as a header is.
    Allowed {
        /// The tenant of a request whose path names none.
        default: Option<Tenants>,
    },
    /// A field of the client certificate's subject. It has one value, which names one tenant.
    Certificate(Field),
    /// Dynamic metadata that another filter has set. A string names one tenant, or one group of tenants. With federation, a list of strings
    /// names several.
    Metadata(Arc<Claims>),
    /// The configuration names the same tenants for all requests.
    Static(Tenants),
}

/// What a request, and the proxy, say about the tenant. `None` means absent, which differs from an empty value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clues<'a> {
    /// The value of the source's header.
    pub header: Option<&'a [u8]>,
    /// The value of the source's parameter.
    pub parameter: Option<&'a [u8]>,
    /// What follows `tenant_path` in the path, up to the next slash, as it stands there.
    pub segment: Option<&'a [u8]>,
    /// What the proxy returned for [`Source::evidence`].
    pub evidence: Option<&'a [u8]>,
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
            Source::Header { .. } | Source::Parameter(_) | Source::Allowed { .. } | Source::Static(_) => None,
            Source::Certificate(_) => Some(Evidence::Subject),
            Source::Metadata(_) => Some(Evidence::Metadata),
        }
    }

    /// Where dynamic metadata names the tenant, if it does.
    pub fn metadata_path(&self) -> Option<&[String]> {
        match self {
            Source::Metadata(claims) => Some(&claims.path),
            Source::Header { .. }
            | Source::Parameter(_)
            | Source::Allowed { .. }
            | Source::Certificate(_)
            | Source::Static(_) => None,
        }
    }

    /// The header that names the tenant, if the source is a header.
    pub fn header(&self) -> Option<&Arc<str>> {
        match self {
            Source::Header { name, .. } => Some(name),
            Source::Parameter(_)
            | Source::Allowed { .. }
            | Source::Certificate(_)
            | Source::Metadata(_)
            | Source::Static(_) => None,
        }
    }

    /// The parameter that names the tenant, if the source is a parameter.
    pub fn parameter(&self) -> Option<&Arc<str>> {
        match self {
            Source::Parameter(name) => Some(name),
            Source::Header { .. }
            | Source::Allowed { .. }
            | Source::Certificate(_)
            | Source::Metadata(_)
            | Source::Static(_) => None,
        }
    }

    /// Identifies the tenants of a request whose path names none.
    pub fn identify(&self, clues: &Clues<'_>, rules: &Rules<'_>) -> Result<Tenants, Error> {
        let Rules { format, federation, .. } = *rules;
        match self {
            Source::Header { name, default } => match (clues.header, default) {
                (Some(value), _) => Tenants::parse(value, format, federation),
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err(Error::NoHeader(name.clone())),
            },
            Source::Parameter(_) => match clues.parameter {
                Some(value) => Tenants::parse(value, format, federation),
                None => Err(Error::Absent("the parameter that names it is absent")),
            },
            Source::Allowed { default } => default.clone().ok_or(Error::Absent("the path does not name it")),
            Source::Certificate(field) => {
                Tenants::one(&certificate::value(clues.evidence.unwrap_or_default(), *field)?, format)
            }
            Source::Metadata(claims) => claims.tenants(claim(claims, clues)?, rules),
            Source::Static(tenants) => Ok(tenants.clone()),
        }
    }

    /// Whether the source names this tenant, among others or alone, so that a request's path may choose it. What only the client says is
    /// not asked: of [`Source::Allowed`], the configuration has the list.
    pub fn offers(&self, id: &str, clues: &Clues<'_>) -> Result<bool, Error> {
        match self {
            Source::Header { .. } | Source::Parameter(_) | Source::Allowed { .. } => Ok(false),
            Source::Certificate(field) => {
                Ok(certificate::value(clues.evidence.unwrap_or_default(), *field)? == id.as_bytes())
            }
            Source::Metadata(claims) => claims.offers(claim(claims, clues)?, id),
            Source::Static(tenants) => Ok(tenants.ids().any(|named| named == id)),
        }
    }

    /// Calls `each` with whatever the source names, valid or not, so that a page can offer it. The same holds as for [`Source::offers`].
    pub fn each_offered(&self, clues: &Clues<'_>, each: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        match self {
            Source::Header { .. } | Source::Parameter(_) | Source::Allowed { .. } => {}
            Source::Certificate(field) => each(&certificate::value(clues.evidence.unwrap_or_default(), *field)?),
            Source::Metadata(claims) => claims.each_offered(claim(claims, clues)?, each)?,
            Source::Static(tenants) => tenants.ids().for_each(|id| each(id.as_bytes())),
        }
        Ok(())
    }
}

fn claim<'m>(claims: &Claims, clues: &Clues<'m>) -> Result<Claim<'m>, Error> {
    metadata::claim(clues.evidence.unwrap_or_default(), &claims.path).ok_or(Error::Unreadable("dynamic metadata"))
}

#[cfg(test)]
mod tests {
    use super::super::evidence::encode;
    use super::super::{Federation, Format};
    use super::*;
    use serde_json::json;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MANY: Federation = Federation::On { max_tenants: 2 };

    fn rules(federation: Federation) -> Rules<'static> {
        Rules { format: Format::Cortex, federation, allows: &|id| id != "not-served" }
    }

    fn clues(evidence: &[u8]) -> Clues<'_> {
        Clues { header: Some(b"team-b"), evidence: Some(evidence), ..Clues::default() }
    }

    fn plain() -> Source {
        Source::Metadata(Claims::plain(["n".to_owned(), "tenant".to_owned()].into()).into())
    }

    fn from_certificate(subject: &str, federation: Federation) -> Result<String, Error> {
        let source = Source::Certificate(Field::Organization);
        let tenants = source.identify(&clues(subject.as_bytes()), &rules(federation));
        tenants.map(|tenants| tenants.joined().to_string())
    }

    fn from_claim(claim: serde_json::Value, federation: Federation) -> Result<String, Error> {
        let metadata = encode(&json!({"n": {"tenant": claim}}));
        let tenants = plain().identify(&clues(&metadata), &rules(federation));
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
        let header = Clues { header: Some(b"a"), ..Clues::default() };
        let without_tls = Source::Certificate(Field::CommonName).identify(&header, &rules(MANY));
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
        for evidence in [None, Some(&b""[..]), Some(&encode(&json!({"m": {"tenant": "a"}})))] {
            let found = plain().identify(&Clues { evidence, ..clues(b"") }, &rules(MANY));
            assert!(matches!(found, Err(Error::Absent(_))), "{evidence:?}");
        }
        let broken = plain().identify(&clues(b"\x0b"), &rules(MANY));
        assert!(matches!(broken, Err(Error::Unreadable(_))));
    }
}
