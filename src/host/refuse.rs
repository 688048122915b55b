//! A refusal → the local reply that the client gets, and the line that the operator gets. The only place from which a
//! request is answered without the upstream.

use super::calls::{self, HostError, Level};
use super::pairs;
use crate::rejection::Rejection;

/// No answer may be kept by a cache that serves others, ours included.
pub const CACHE_CONTROL: &str = "cache-control";
/// The value of `CACHE_CONTROL`.
pub const PRIVATE: &str = "private, no-store";

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// The core refused it.
    Rejected(Rejection),
    /// The host failed us, so nothing is known to have happened. Refused, whatever the request was.
    Host(HostError),
}

impl Refusal {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.rejection().status()
    }

    /// The short stable name.
    pub fn reason(&self) -> &'static str {
        self.rejection().reason()
    }

    /// What the client hears.
    pub fn rejection(&self) -> &Rejection {
        match self {
            Refusal::Rejected(rejection) => rejection,
            Refusal::Host(_) => &HOST_FAILURE,
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Refusal::Rejected(rejection)
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        Refusal::Host(error)
    }
}

/// Who asked for what, for the log: never the query's text.
#[derive(Debug, Default)]
pub struct Subject {
    /// The validated tenant; empty where the refusal came before there was one.
    pub tenant: String,
    /// The path without its query, escaped and cut.
    pub path: String,
}

impl Subject {
    /// The longest path that is written to the log.
    const MAX_PATH: usize = 200;

    /// Takes the path from `:path`, which a client chose: escaped, so that it can't forge a line.
    pub fn new(tenant: &str, path_and_query: &[u8]) -> Self {
        let path = path_and_query.split(|&byte| byte == b'?').next().unwrap_or_default();
        let path = path.get(..Self::MAX_PATH).unwrap_or(path);
        Subject { tenant: tenant.to_owned(), path: path.escape_ascii().to_string() }
    }
}

/// Answers the request, and says whether that worked; if not, the stream is cut off. Either way, the caller must pause and let
/// nothing pass afterwards but that answer.
pub fn refuse(refusal: &Refusal, subject: &Subject, vary: Option<&str>) -> bool {
    let rejection = refusal.rejection();
    let (level, detail) = match refusal {
        Refusal::Rejected(_) => (Level::Info, String::new()),
        Refusal::Host(error) => (Level::Error, format!(": {error}")),
    };
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    calls::log(
        level,
        &format!(
            "request refused: tenant={} path={} status={} reason={}{detail}",
            or_none(&subject.tenant),
            or_none(&subject.path),
            rejection.status(),
            rejection.reason(),
        ),
    );
    match send(rejection, vary) {
        Ok(()) => true,
        Err(error) => {
            calls::log(Level::Error, &format!("request cut off: {error}"));
            calls::reset_request();
            false
        }
    }
}

/// What the client hears of a host's failure; which call it was is the operator's matter and stands in the log.
const HOST_FAILURE: Rejection = Rejection::Internal("the proxy did not do what it was asked for");

fn send(rejection: &Rejection, vary: Option<&str>) -> Result<(), HostError> {
    let own = rejection.headers();
    let mut headers: Vec<pairs::Pair<'_>> =
        vec![(b"content-type", b"application/json"), (CACHE_CONTROL.as_bytes(), PRIVATE.as_bytes())];
    headers.extend(vary.map(|name| (b"vary".as_slice(), name.as_bytes())));
    headers.extend(own.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    // Shows up in Envoy's access log as `%RESPONSE_CODE_DETAILS%`.
    let details = format!("tenancy_{}", rejection.reason());
    calls::send_local_response(rejection.status(), &details, &pairs::write(&headers), &rejection.body())
}
