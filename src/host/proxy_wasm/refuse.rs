//! A refusal, or a reply of the core → the local reply that the client gets. The only place from which a request is answered without
//! the upstream.

use super::calls::{self, HostError, Level};
use super::pairs;
use crate::api::ErrorShape;
use crate::rejection::Rejection;
use crate::request::Reply;

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

/// Refuses the request, and says whether that worked; if not, the stream is cut off. Either way, the caller must pause and let
/// nothing pass afterwards but that answer.
pub fn refuse(rejection: &Rejection, errors: ErrorShape, vary: Option<&str>) -> bool {
    let own = rejection.headers();
    let mut headers: Vec<pairs::Pair<'_>> = vec![(b"content-type", errors.content_type().as_bytes())];
    headers.extend(own.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    answer(rejection.status(), rejection.reason(), headers, vary, &rejection.body_in(errors))
}

/// Answers a request that is not refused. The rest is as with [`refuse`].
pub fn reply(reply: &Reply, vary: Option<&str>) -> bool {
    let headers = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    answer(reply.status, reply.reason, headers, vary, &reply.body)
}

/// What the client hears of a host's failure; which call it was is the operator's matter and stands in the log.
const HOST_FAILURE: Rejection = Rejection::Internal("the proxy did not do what it was asked for");

fn answer<'h>(
    status: u16,
    reason: &str,
    mut headers: Vec<pairs::Pair<'h>>,
    vary: Option<&'h str>,
    body: &[u8],
) -> bool {
    headers.push((CACHE_CONTROL.as_bytes(), PRIVATE.as_bytes()));
    headers.extend(vary.map(|name| (b"vary".as_slice(), name.as_bytes())));
    // Shows up in Envoy's access log as `%RESPONSE_CODE_DETAILS%`.
    let details = format!("tenancy_{reason}");
    match calls::send_local_response(status, &details, &pairs::write(&headers), body) {
        Ok(()) => true,
        Err(error) => {
            calls::log(Level::Error, &format!("request cut off: {error}"));
            calls::reset_request();
            false
        }
    }
}
