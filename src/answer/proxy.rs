//! What the proxy says in errors of its own: "no healthy upstream", "upstream request timeout", "RBAC: access denied", or what the operator
//! has written in its place (`local_reply_config`).
//!
//! ```text
//! error = "the proxy answered " status ": " text            where the text is short and can be read
//!       / `status::sentence`                               otherwise
//! text  = what comes before ", transport failure reason: "
//! ```
//!
//! What follows there can name the upstream's address or its certificate (`Filter::onUpstreamReset` in Envoy 1.40.0's
//! source/common/router/router.cc).

use super::messages::{self, MAX_MESSAGE};
use super::status::{self, Author};
use crate::json::Text;

/// The longest text that is told. With its escapes and what stands around it, the error object has at most `MAX_GROWTH` bytes more than it.
const MAX_TEXT: usize = 256;

const TRANSPORT: &str = "transport failure reason";

/// Whether a message in an error object of the proxy's own, between its quotes, may be read by the tenant.
pub fn may_pass(inner: &[u8]) -> bool {
    let text = Text::read(inner).filter(|_| inner.len() <= MAX_MESSAGE);
    text.is_some_and(|text| !text.chars().collect::<String>().contains(TRANSPORT))
}

/// The body of an error of the proxy's own that is plain text. It is written when it is whole.
#[derive(Debug)]
pub struct ProxyText {
    status: u16,
    text: Vec<u8>,
    has_written: bool,
}

impl ProxyText {
    /// Of an error of this status.
    pub fn new(status: u16) -> Self {
        ProxyText { status, text: Vec::new(), has_written: false }
    }

    /// Reads on, and writes an error object at the end.
    pub fn push(&mut self, part: &[u8], end: bool, out: &mut Vec<u8>) {
        // One byte more than is told shows that it is too long.
        let room = (MAX_MESSAGE + 1).saturating_sub(self.text.len());
        self.text.extend_from_slice(part.get(..room).unwrap_or(part));
        if !end || std::mem::replace(&mut self.has_written, true) {
            return;
        }
        let message = match told(&self.text) {
            Some(text) => status::saying(self.status, Author::Proxy, &text),
            None => status::sentence(self.status, Author::Proxy),
        };
        out.extend_from_slice(&messages::error_object(status::error_type(self.status), &message));
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.has_written
    }
}

/// The text that is told, as it stands in JSON.
fn told(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_MESSAGE)?;
    let text = text.split(TRANSPORT).next().unwrap_or_default();
    let text = text.trim_end_matches([',', ' ', '\n', '\r']);
    if text.is_empty() || text.len() > MAX_TEXT || text.contains(char::is_control) {
        return None;
    }
    Some(text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_GROWTH;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn error(status: u16, text: &str) -> String {
        let mut whole = Vec::new();
        ProxyText::new(status).push(text.as_bytes(), true, &mut whole);
        let (mut reader, mut parts) = (ProxyText::new(status), Vec::new());
        text.bytes().for_each(|byte| reader.push(&[byte], false, &mut parts));
        assert!(parts.is_empty() && !reader.has_written());
        reader.push(b"", true, &mut parts);
        reader.push(b"", true, &mut parts);
        assert_eq!(whole, parts, "the same whatever its parts, and once");
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
        ProxyText::new(504).push(b"\xff", true, &mut out);
        assert!(String::from_utf8(out).unwrap().contains("it took too long"));
    }
}
