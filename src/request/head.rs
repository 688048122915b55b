//! Headers: what is read from them, and which go, stay or are set.
//!
//! Read, each at most once: `:method`, `:path`, the tenant's header, `content-type`, `content-length`.
//! Removed: what names a tenant, whatever else the operator strips, what could make a later hop see another request, and, where
//! the answer will be read, what could make it come compressed, in part or not at all.
//! Set: the tenant's header, once; with a form, `content-type`.

use super::Rejection;
use crate::api::{Route, Rule};
use crate::config::Config;
use crate::tenant::{self, LabelError, Tenants};
use std::sync::Arc;

/// The one content type of forms, as it is sent upstream.
const FORM: &str = "application/x-www-form-urlencoded";

const TWICE: &str = "the header that names the tenant appears more than once: send it once";

/// Headers that ask for less than the whole answer, or for a compressed one.
const NEGOTIATION: [&str; 7] =
    ["accept-encoding", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"];

/// What was read.
#[derive(Debug)]
pub struct Facts<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`.
    pub target: &'a [u8],
    /// The header that names the tenant, where one does; empty is not absent.
    pub tenant: Option<&'a [u8]>,
    /// The headers of labels that are enforced beside the tenant's, in the order of the configuration.
    labels: Vec<Once<'a>>,
    /// `content-length`.
    pub content_length: Option<&'a [u8]>,
    pub(super) content_type: Once<'a>,
    encoded: bool,
    remove: Vec<Arc<str>>,
    /// Those of `NEGOTIATION` that are present.
    negotiation: Vec<&'static str>,
}

impl<'a> Facts<'a> {
    /// The header of the label with this index, where one has its value.
    pub fn label(&self, index: usize) -> Result<Option<&'a [u8]>, LabelError> {
        match self.labels.get(index) {
            Some(Once::Present(value)) => Ok(Some(value)),
            Some(Once::Absent) | None => Ok(None),
            Some(Once::Repeated) => {
                Err(LabelError::Unclear("the header that has its value appears more than once: send it once"))
            }
        }
    }
}

/// A header of which there may be one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Once<'a> {
    Absent,
    Present(&'a [u8]),
    Repeated,
}

impl<'a> Once<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Once::Absent => Once::Present(value),
            Once::Present(_) | Once::Repeated => Once::Repeated,
        };
    }

    pub(super) fn get(self, repeated: Rejection) -> Result<Option<&'a [u8]>, Rejection> {
        match self {
            Once::Absent => Ok(None),
            Once::Present(value) => Ok(Some(value)),
            Once::Repeated => Err(repeated),
        }
    }
}

/// The changes to the headers.
#[derive(Debug)]
pub struct Edits {
    /// Each replaces all of that name.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Names that are present and must go.
    pub remove: Vec<Arc<str>>,
}

impl Edits {
    /// The same for a message that is written anew, in snappy's block format.
    pub fn of_message(mut self, has_length: bool) -> Edits {
        self.set.push(("content-type".into(), "application/x-protobuf".into()));
        self.set.push(("content-encoding".into(), "snappy".into()));
        if has_length {
            self.remove.push("content-length".into());
        }
        self
    }
}

impl<'a> Facts<'a> {
    /// Whether the body is compressed.
    pub fn is_encoded(&self) -> bool {
        self.encoded
    }

    /// The content type, where there is one.
    pub fn content_type(&self, repeated: Rejection) -> Result<Option<&'a [u8]>, Rejection> {
        self.content_type.get(repeated)
    }
}

/// Reads the headers.
pub fn read<'a>(headers: &'a [(&'a [u8], &'a [u8])], config: &Config) -> Result<Facts<'a>, Rejection> {
    let (mut method, mut target, mut tenant) = (Once::Absent, Once::Absent, Once::Absent);
    let (mut content_type, mut content_length) = (Once::Absent, Once::Absent);
    let tenant_header = config.source().header();
    let reads_claims =
        [config.source().evidence(), config.label_evidence()].contains(&Some(tenant::Evidence::Metadata));
    let mut labels: Vec<Once<'_>> = config.enforced_labels().iter().map(|_| Once::Absent).collect();
    let mut encoded = false;
    let mut remove: Vec<Arc<str>> = Vec::new();
    let mut negotiation = Vec::new();
    for &(name, value) in headers {
        match name {
            b":method" => method.add(value),
            b":path" => target.add(value),
            b":protocol" | b"upgrade" => return Err(Rejection::Upgrade),
            b"content-type" => content_type.add(value),
            b"content-length" => content_length.add(value),
            b"content-encoding" => encoded = true,
            // Envoy's jwt_authn says so where it was told to extract claims without verifying the token.
            b"x-jwt-signature-verified" if reads_claims && value != b"true" => {
                return Err(Rejection::Tenant(tenant::Error::Absent("the token was not verified")));
            }
            _ => {}
        }
        if tenant_header.is_some_and(|header| name == header.as_bytes()) {
            tenant.add(value);
        }
        for (label, value_of_label) in config.enforced_labels().iter().zip(&mut labels) {
            if label.header().is_some_and(|header| name == header.as_bytes()) {
                value_of_label.add(value);
            }
        }
        if let Some(found) = NEGOTIATION.into_iter().find(|negotiates| negotiates.as_bytes() == name)
            && !negotiation.contains(&found)
        {
            negotiation.push(found);
        }
        if config.removes(name) && !remove.iter().any(|seen| seen.as_bytes() == name) {
            // A name that is to be removed is equal to an ASCII one but for case and `_`.
            remove.push(String::from_utf8_lossy(name).into());
        }
    }
    let required = |once: Once<'a>, problem| match once {
        Once::Present(value) => Ok(value),
        Once::Absent | Once::Repeated => Err(Rejection::Head(problem)),
    };
    Ok(Facts {
        method: required(method, "it has no single method: send one")?,
        target: required(target, "it has no single path: send one")?,
        tenant: tenant.get(Rejection::Tenant(tenant::Error::Unclear(TWICE)))?,
        labels,
        content_length: content_length.get(Rejection::Head("content-length appears more than once: send it once"))?,
        content_type,
        encoded,
        remove,
        negotiation,
    })
}

/// Decides on the changes, and refuses a form that isn't declared as one.
pub fn edit(
    facts: &Facts<'_>,
    config: &Config,
    tenants: &Tenants,
    route: &Route,
    has_form: bool,
) -> Result<Edits, Rejection> {
    // What the operator passes through may answer for one tenant only.
    let of_one = route.one_tenant || route.rule == Rule::Passthrough;
    let named = config.forwarded(tenants, of_one);
    let mut set = vec![(config.forward_tenant_header().clone(), named)];
    let mut remove = facts.remove.clone();
    if route.answer.is_read() {
        let asked = facts.negotiation.iter().filter(|name| !remove.iter().any(|seen| &**seen == **name));
        remove.extend(asked.copied().map(Arc::from).collect::<Vec<_>>());
    }
    if has_form {
        let content_type = facts.content_type.get(Rejection::ContentType)?;
        let content_type = content_type.ok_or(Rejection::ContentType)?;
        if !is_form(content_type) {
            return Err(Rejection::ContentType);
        }
        if facts.encoded {
            return Err(Rejection::ContentEncoding);
        }
        // Parameters of the type go: Go's `mime.ParseMediaType` fails on some of them, and then no form is read, so that
        // `labels` answers for every tenant (observed with Prometheus 3.15.0 and `; a=b; a=c`).
        if content_type != FORM.as_bytes() {
            set.push(("content-type".into(), FORM.into()));
        }
        // Observed with Envoy 1.40.0: kept beside a longer body, it lets the excess through as a request of its own.
        if facts.content_length.is_some() {
            remove.push("content-length".into());
        }
    }
    Ok(Edits { set, remove })
}

/// The changes to the headers of a request that needs no tenant: no header names one upstream. That which is set otherwise, and so is not
/// among those that `removes` knows, is removed too.
pub fn edit_without_tenant(facts: &Facts<'_>, config: &Config, headers: &[(&[u8], &[u8])]) -> Edits {
    let mut remove = facts.remove.clone();
    let header = config.forward_tenant_header();
    if headers.iter().any(|(name, _)| *name == header.as_bytes()) {
        remove.push(header.clone());
    }
    Edits { set: Vec::new(), remove }
}

fn is_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(FORM.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_form_is_declared_by_its_media_type() {
        for content_type in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-UrlEncoded",
            "application/x-www-form-urlencoded; charset=UTF-8",
            "application/x-www-form-urlencoded;",
            " application/x-www-form-urlencoded ; a",
        ] {
            assert!(is_form(content_type.as_bytes()), "{content_type}");
        }
        for content_type in [
            "",
            ";",
            "multipart/form-data; boundary=x",
            "application/json",
            "application/x-www-form-urlencoded, application/json",
            "application/x-www-form-urlencodedx",
            "application/x-www-form-urlencoded multipart/form-data",
            "text/plain; application/x-www-form-urlencoded",
        ] {
            assert!(!is_form(content_type.as_bytes()), "{content_type}");
        }
    }
}
