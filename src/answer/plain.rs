//! Errors that come as plain text: the proxy's own ("no healthy upstream", "RBAC: access denied", or what the operator has written in its place with
//! `local_reply_config`), and the upstream's.
//!
//! ```text
//! of the proxy    = "the proxy answered " status ": " text    where the text is short and can be read
//! of the upstream = text                                      where a message of an error object may say the same, and its length is known
//! otherwise         `status::sentence`
//! text            = what comes before ", transport failure reason: "
//! ```
//!
//! What follows there can name the upstream's address or its certificate (`Filter::onUpstreamReset` in Envoy 1.40.0's
//! source/common/router/router.cc).
//!
//! Thanos's Query Frontend 0.42.5 answers in plain text: what it says itself, an error object that it writes without escapes
//! (internal/cortex/querier/queryrange/split_by_interval.go), and the error objects of the Query behind it (query_range.go there).

use super::filter::{Filter, MAX_GROWTH};
use super::messages::{self, MAX_MESSAGE};
use super::status::{self, Author};
use crate::json::Text;

/// The longest text of the proxy that is told. With its escapes and what stands around it, the error object has at most `MAX_GROWTH` bytes more than it.
const MAX_TEXT: usize = 256;

const TRANSPORT: &str = "transport failure reason";

/// What stands around a text that Query Frontend does not escape.
const UNESCAPED: (&str, &str) = ("{\"status\": \"error\", \"error\": \"", "\"}");

/// Whether a message in an error object of the proxy's own, between its quotes, may be read by the tenant.
pub fn may_pass(inner: &[u8]) -> bool {
    let text = Text::read(inner).filter(|_| inner.len() <= MAX_MESSAGE);
    text.is_some_and(|text| !text.chars().collect::<String>().contains(TRANSPORT))
}

/// The body of an error that is plain text. It is written when it is whole.
#[derive(Debug)]
pub struct PlainText {
    status: u16,
    /// What an error object of the upstream's with this text would be read by; none for the proxy's own.
    of_upstream: Option<Filter>,
    text: Vec<u8>,
    has_written: bool,
    /// The upstream has said something that is not told.
    is_withheld: bool,
}

impl PlainText {
    /// Of an error of the proxy's own.
    pub fn of_proxy(status: u16) -> Self {
        PlainText { status, of_upstream: None, text: Vec::new(), has_written: false, is_withheld: false }
    }

    /// Of an error of the upstream's. `filter` is what reads its error objects.
    pub fn of_upstream(status: u16, filter: Filter) -> Self {
        PlainText { of_upstream: Some(filter), ..PlainText::of_proxy(status) }
    }

    /// Reads on, and writes an error object at the end.
    pub fn push(&mut self, part: &[u8], end: bool, out: &mut Vec<u8>) {
        // One byte more than is told shows that it is too long.
        let room = (MAX_MESSAGE + 1).saturating_sub(self.text.len());
        self.text.extend_from_slice(part.get(..room).unwrap_or(part));
        if !end || std::mem::replace(&mut self.has_written, true) {
            return;
        }
        let object = |message: &str| messages::error_object(status::error_type(self.status), message);
        let text = std::str::from_utf8(&self.text).ok().filter(|text| text.len() <= MAX_MESSAGE).unwrap_or_default();
        let told = match &mut self.of_upstream {
            Some(filter) => said_by_upstream(text, filter, object),
            None => said_by_proxy(text).map(|text| object(&status::saying(self.status, Author::Proxy, &text))),
        };
        self.is_withheld = told.is_none() && self.of_upstream.is_some() && !self.text.is_empty();
        let author = if self.of_upstream.is_some() { Author::Upstream } else { Author::Proxy };
        out.extend(told.unwrap_or_else(|| object(&status::sentence(self.status, author))));
    }

    /// Whether it is the upstream's.
    pub fn is_of_upstream(&self) -> bool {
        self.of_upstream.is_some()
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.has_written
    }

    /// How many messages were withheld.
    pub fn withheld(&self) -> u32 {
        u32::from(self.is_withheld)
    }
}

/// The error object with the upstream's text, or with what may be told of it.
fn said_by_upstream(text: &str, filter: &mut Filter, object: impl Fn(&str) -> Vec<u8>) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(UNESCAPED.0).and_then(|rest| rest.strip_suffix(UNESCAPED.1));
    let whole = match inner {
        None if text.starts_with('{') => text.as_bytes().to_vec(),
        _ => object(&escaped(inner.unwrap_or(text))?),
    };
    let mut out = Vec::new();
    filter.push(&whole, true, &mut out);
    let is_told = filter.is_error_object() && filter.withheld() == 0 && filter.fault().is_none();
    (is_told && out.len() <= text.len() + MAX_GROWTH).then_some(out)
}

/// The proxy's text, as it stands in JSON.
fn said_by_proxy(text: &str) -> Option<String> {
    let text = text.split(TRANSPORT).next().unwrap_or_default().trim_end_matches([',', ' ']);
    escaped(text).filter(|_| text.len() <= MAX_TEXT)
}

/// A text of one line, as it stands in JSON.
fn escaped(text: &str) -> Option<String> {
    let text = text.trim_end_matches([',', ' ', '\n', '\r']);
    let is_line = !text.is_empty() && !text.contains(char::is_control);
    is_line.then(|| text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_GROWTH;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn error(status: u16, text: &str) -> String {
        let mut whole = Vec::new();
        PlainText::of_proxy(status).push(text.as_bytes(), true, &mut whole);
        let (mut reader, mut parts) = (PlainText::of_proxy(status), Vec::new());
        text.bytes().for_each(|byte| reader.push(&[byte], false, &mut parts));
        assert!(parts.is_empty() && !reader.has_written());
        reader.push(b"", true, &mut parts);
        reader.push(b"", true, &mut parts);
        assert_eq!(whole, parts, "the same whatever its parts, and once");
        assert_eq!(reader.withheld(), 0, "the proxy's own text is nobody's");
        assert!(whole.len() <= text.len() + MAX_GROWTH, "{} {}", text.len(), whole.len());
        let object: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(object["status"], "error");
        object["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_proxy_s_text_is_told_with_its_status() {
        assert_eq!(
            error(503, "no healthy upstream"),
            "the proxy answered 503 Service Unavailable: no healthy upstream"
        );
        assert_eq!(error(418, "a \"b\" \\"), "the proxy answered 418: a \"b\" \\");
    }

    #[test]
    fn what_names_the_upstream_is_not_told() {
        let reset =
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
        for reason in ["", ", transport failure reason: delayed connect error: 111|remote address:10.0.0.1:9090"] {
            let told = error(503, &[reset, reason].concat());
            assert_eq!(told, format!("the proxy answered 503 Service Unavailable: {reset}"));
            assert_eq!(may_pass([reset, reason].concat().as_bytes()), reason.is_empty());
        }
        assert!(!may_pass(br"\u0074ransport failure reason: 10.0.0.1"), "escapes are read first");
        assert!(!may_pass(b"\xff") && !may_pass("x".repeat(MAX_MESSAGE + 1).as_bytes()));
        assert!(may_pass(br"maintenance until 12:00,\nthen try again"));
    }

    #[test]
    fn where_the_text_can_t_be_told_the_status_is() {
        for text in ["", "\u{1}", &"x".repeat(MAX_TEXT + 1), &"x".repeat(MAX_MESSAGE + 9), &"\"".repeat(MAX_TEXT)] {
            let told = error(504, text);
            assert!(told.starts_with("the proxy answered 504 Gateway Timeout: "), "{told}");
        }
        let mut out = Vec::new();
        PlainText::of_proxy(504).push(b"\xff", true, &mut out);
        assert!(String::from_utf8(out).unwrap().contains("it took too long"));
    }

    #[test]
    fn what_the_upstream_says_and_is_not_told_is_counted() {
        use super::super::envelope::Documents;
        use super::super::filter::Content;
        use super::super::usage::Statistics;
        for (text, withheld) in [("context canceled", 0), ("no such tenant: team-b", 1), ("", 0)] {
            let filter = Filter::new(Documents::One, Content::Dropped, Statistics::Unread);
            let (mut reader, mut out) = (PlainText::of_upstream(502, filter), Vec::new());
            reader.push(text.as_bytes(), true, &mut out);
            assert_eq!(reader.withheld(), withheld, "{text}");
        }
    }
}
