//! The answer that a refusal becomes, beside its status: headers and body.

use super::{Rejection, list};
use crate::api::ErrorShape;
use crate::wire::grpc::ACCEPTED;
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: &'a str,
}

impl Rejection {
    /// The body of the answer, for a client that knows no other shape than Prometheus's.
    pub fn body(&self) -> Vec<u8> {
        self.body_in(ErrorShape::Prometheus)
    }

    /// The body of the answer, in the shape that the endpoint has for errors.
    pub fn body_in(&self, shape: ErrorShape) -> Vec<u8> {
        error_body(shape, self.error_type(), &self.message())
    }

    /// Response headers besides `content-type`, for example `allow` with 405.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Rejection::Method(allowed) => vec![("allow", list(allowed, ", "))],
            Rejection::MessageEncoding => vec![("grpc-accept-encoding", ACCEPTED.to_owned())],
            Rejection::Head(_)
            | Rejection::Upgrade
            | Rejection::Path(_)
            | Rejection::Form(..)
            | Rejection::Repeated(..)
            | Rejection::Value(..)
            | Rejection::Parameter(..)
            | Rejection::Query(..)
            | Rejection::Body
            | Rejection::Tenant(_)
            | Rejection::Label(..)
            | Rejection::NotAllowed(_)
            | Rejection::Forbidden(_)
            | Rejection::UnknownPath
            | Rejection::TooLarge(_)
            | Rejection::Limit { .. }
            | Rejection::Unbounded(_)
            | Rejection::Blocked(..)
            | Rejection::ContentType
            | Rejection::ContentEncoding
            | Rejection::WriteType(_)
            | Rejection::WriteVersion(_)
            | Rejection::ReadMessage(_)
            | Rejection::LongReadMessage(_)
            | Rejection::Message(_)
            | Rejection::LongMessage(_)
            | Rejection::NotGrpc
            | Rejection::Field(..)
            | Rejection::Posted(..)
            | Rejection::LongPost(_)
            | Rejection::NotJson
            | Rejection::UnknownSilence
            | Rejection::AlertsNotTaken { .. }
            | Rejection::Answer(_)
            | Rejection::CallOut(_)
            | Rejection::Internal(_) => Vec::new(),
        }
    }
}

/// An error in the shape that an endpoint has for errors: `{"status":"error","errorType":"…","error":"…"}`.
pub fn error_body(shape: ErrorShape, error_type: &'static str, message: &str) -> Vec<u8> {
    match shape {
        ErrorShape::Prometheus => {
            let body = Body { status: "error", error_type, error: message };
            // Serialising three strings can't fail; if it does, the status still says that this is an error.
            serde_json::to_vec(&body).unwrap_or_default()
        }
        // As `serde_json::to_vec` writes it; a text can't fail to be written.
        ErrorShape::Alertmanager => serde_json::to_vec(message).unwrap_or_default(),
        // The proxy escapes it.
        ErrorShape::Grpc => message.as_bytes().to_vec(),
    }
}
