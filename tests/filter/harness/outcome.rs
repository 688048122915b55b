//! What became of a stream, with the questions that tests ask.

use super::half::Sent;
use super::host::{BESIDE_THE_POINT, LogLine};
use super::http::{Request, Response};
use std::collections::{BTreeMap, HashMap};

/// What became of a stream.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the upstream saw, whole or not.
    pub sent: Sent,
    /// What the client gets; `None` where nothing came.
    pub response: Option<Response>,
    /// The filter answered by itself.
    pub local: bool,
    /// The filter cut the stream off.
    pub reset: bool,
    /// A pause that nobody ended.
    pub hung: bool,
    /// Host calls by name.
    pub calls: BTreeMap<&'static str, usize>,
    /// Bytes that were copied into the VM and out of it.
    pub crossed: usize,
    /// What the filter wrote to the log meanwhile.
    pub logs: Vec<LogLine>,
    /// The properties at its end; a path's segments are joined by NUL.
    pub properties: HashMap<Vec<u8>, Vec<u8>>,
}

impl Outcome {
    /// The whole request as the upstream got it; panics where it got only a part.
    pub fn upstream(&self) -> Request {
        assert!(self.sent.complete, "not forwarded whole: {self:#?}");
        let headers = self.sent.headers.clone().expect("a complete request has a head");
        let chunks = if self.sent.body.is_empty() { Vec::new() } else { vec![self.sent.body.clone()] };
        Request {
            headers,
            chunks,
            trailers: self.sent.trailers.clone(),
            open: false,
            after_end: None,
            never_ends: false,
        }
    }

    /// The upstream's `:path`.
    pub fn path(&self) -> String {
        self.upstream().headers.get(":path").expect(":path")
    }

    /// The body that the upstream got, as text.
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.upstream().chunks.concat()).into_owned()
    }

    /// The client's answer; panics where none came.
    pub fn answer(&self) -> &Response {
        self.response.as_ref().unwrap_or_else(|| panic!("no answer: {self:#?}"))
    }

    /// Asserts that the filter refused, and that the upstream never had a whole request. Returns the answer.
    pub fn refused(&self, status: u16) -> &Response {
        assert!(self.local && !self.sent.complete, "not refused: {self:#?}");
        assert_eq!(self.answer().status, status, "{}", self.answer().text());
        self.answer()
    }

    /// What the filter left for the access log.
    pub fn trail(&self) -> String {
        String::from_utf8_lossy(self.properties.get(&b"tenancy"[..]).map_or(b"", Vec::as_slice)).into_owned()
    }

    /// Host calls on which the request depends.
    pub fn decisive(&self) -> usize {
        self.calls.iter().filter(|(name, _)| !BESIDE_THE_POINT.contains(name)).map(|(_, count)| count).sum()
    }

    /// Host calls but for the log.
    pub fn cost(&self) -> usize {
        self.calls.iter().filter(|(name, _)| **name != "proxy_log").map(|(_, count)| count).sum()
    }
}
