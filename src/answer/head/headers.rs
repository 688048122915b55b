//! The headers of an answer: which go, which stay with an error, and what they say.

use super::super::status::{self, Author};
use super::{Body, Filtered, Head, Plan, UpstreamError};

/// Headers that describe the original body, or how it may be stored. They are removed, because the body may change.
pub(super) const REMOVED: [&str; 11] = [
    "content-length",
    "etag",
    "last-modified",
    "accept-ranges",
    "content-range",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "content-encoding",
    "trailer",
];

/// Headers by which an upstream allows pages of other sites to read its answers. With a default tenant, such a page could read that
/// tenant's data by its reader's browser. Only Envoy's cors filter, which stands before this one, allows it.
pub(super) const CROSS_ORIGIN: [&str; 8] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "timing-allow-origin",
];

/// Headers in which an upstream says what it likes, or sends the client elsewhere. Nothing tells whose that is.
pub(super) const TELLING: [&str; 5] = ["warning", "link", "refresh", "content-location", "alt-svc"];
/// Likewise, but for a redirection, which says nothing without it.
pub(super) const LOCATION: &str = "location";

/// Headers of an error that are kept with the reply that takes its place.
const KEPT: [&str; 2] = ["retry-after", "www-authenticate"];
/// Headers that the proxy sets or needs, and that tell nothing of tenants' data.
const OF_HTTP: [&str; 7] =
    ["content-type", "date", "server", "vary", "connection", "transfer-encoding", "x-envoy-upstream-service-time"];
/// The longest value that is kept.
const MAX_KEPT: usize = 256;

impl Plan {
    /// The other headers that are removed too, of an error of which the text is told only as far as it may be: they must not tell the rest.
    /// What says when or how to try again stays, as in `replaced`.
    pub fn unknown(&self, head: &Head<'_>) -> Vec<Vec<u8>> {
        let mut unknown: Vec<Vec<u8>> = Vec::new();
        let Body::Filtered(Filtered { filter, .. }) = &self.body else { return unknown };
        if !filter.is_text_of_upstream() {
            return unknown;
        }
        for &(name, value) in head.headers {
            let is = |other: &&str| other.as_bytes() == name;
            let is_kept = value.len() <= MAX_KEPT && (KEPT.iter().any(is) || LOCATION.as_bytes() == name);
            let stays = is_kept || name.starts_with(b":") || OF_HTTP.iter().any(is) || self.remove.iter().any(is);
            if !stays && !unknown.iter().any(|seen| seen == name) {
                unknown.push(name.to_vec());
            }
        }
        unknown
    }
}

/// The headers of an answer whose body may change that are removed, as far as they are present.
pub(in crate::answer) fn removed(head: &Head<'_>) -> Vec<&'static str> {
    let names = REMOVED.iter().chain(&CROSS_ORIGIN).chain(&TELLING).chain([&LOCATION]);
    names.copied().filter(|name| find(head, name).is_some()).collect()
}

/// The first header of this name.
pub(in crate::answer) fn find<'a>(head: &Head<'a>, name: &str) -> Option<&'a [u8]> {
    head.headers.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value)
}

/// A reply takes the place of an error of this status.
pub(in crate::answer) fn replaced(status: u16, head: &Head<'_>, author: Author) -> Plan {
    let kept = |name: &'static str| {
        let mut values = head.headers.iter().filter(move |(other, _)| *other == name.as_bytes());
        let value = values.next().map(|(_, value)| *value).filter(|value| value.len() <= MAX_KEPT)?;
        std::str::from_utf8(value).ok().map(|value| (name, value.to_owned()))
    };
    let error = UpstreamError {
        status,
        error_type: status::error_type(status),
        message: status::sentence(status, author),
        headers: KEPT.into_iter().chain(is_redirection(head).then_some(LOCATION)).filter_map(kept).collect(),
    };
    Plan { remove: Vec::new(), message: None, withheld: 0, is_json: true, body: Body::Replaced(error) }
}

pub(super) fn is_text(head: &Head<'_>) -> bool {
    find(head, "content-type").is_some_and(|value| value.starts_with(b"text/plain"))
}

pub(super) fn is_redirection(head: &Head<'_>) -> bool {
    head.headers.iter().any(|(name, value)| *name == b":status" && value.starts_with(b"3"))
}

/// A status of three digits.
pub(in crate::answer) fn number(status: Option<&[u8]>) -> Option<u16> {
    let digits = status.filter(|status| status.len() == 3 && status.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
