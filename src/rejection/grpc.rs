//! The gRPC status of every refusal: one exhaustive match, beside the one for HTTP. Given explicitly, since the status that Envoy derives
//! from HTTP's would tell a client that sent nonsense that the server has failed (400 becomes INTERNAL, observed with Envoy 1.40.0).
//!
//! ```text
//! 3 INVALID_ARGUMENT     unreadable requests                      400
//! 16 UNAUTHENTICATED     no tenant                                401
//! 7 PERMISSION_DENIED    tenants, methods, fields                 403
//! 12 UNIMPLEMENTED       unknown methods, types, encodings        404, 405, 415
//! 8 RESOURCE_EXHAUSTED   too large, too many                      413, 422, 429
//! 9 FAILED_PRECONDITION  beyond what the tenant may ever ask      422
//! 13 INTERNAL            the filter, or an unreadable answer      500, 502
//! ```

use super::{CallOutFault, Rejection};
use crate::go::form;
use crate::limits::Limit;
use crate::promql::ErrorKind;
use crate::tenant::{self, LabelError};

/// A gRPC status (`codes.Code` of grpc-go).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// No error.
    Ok = 0,
    /// An error whose kind is not known.
    Unknown = 2,
    /// The request can't be read, or asks for nothing that exists.
    InvalidArgument = 3,
    /// An answer took too long.
    DeadlineExceeded = 4,
    /// The tenant may not have this.
    PermissionDenied = 7,
    /// Too large, or too many.
    ResourceExhausted = 8,
    /// The tenant's limits don't allow it.
    FailedPrecondition = 9,
    /// No such method, or not in this form.
    Unimplemented = 12,
    /// Something that should not have happened.
    Internal = 13,
    /// Nobody is there to answer.
    Unavailable = 14,
    /// Nothing says who is asking.
    Unauthenticated = 16,
}

impl Code {
    /// For an answer of this HTTP status, which came from a proxy or server that does not speak gRPC
    /// (`http-grpc-status-mapping.md` of gRPC, and for 413 as with [`Rejection::code`]).
    pub fn of_status(status: u16) -> Code {
        match status {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            413 => Code::ResourceExhausted,
            504 => Code::DeadlineExceeded,
            429 | 502 | 503 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }
}

impl Rejection {
    /// The status for a client that speaks gRPC.
    pub fn code(&self) -> Code {
        match self {
            Rejection::Head(_)
            | Rejection::Upgrade
            | Rejection::Path(_)
            | Rejection::Repeated(..)
            | Rejection::Value(..)
            | Rejection::Parameter(..)
            | Rejection::Body
            | Rejection::ReadMessage(_)
            | Rejection::Message(_)
            | Rejection::Posted(..) => Code::InvalidArgument,
            Rejection::Form(_, error) => match error {
                form::Error::TooMany => Code::ResourceExhausted,
                form::Error::Semicolon(_) | form::Error::Escape(_) => Code::InvalidArgument,
            },
            Rejection::Query(_, error) => match error.kind {
                ErrorKind::TooLarge => Code::ResourceExhausted,
                ErrorKind::Syntax | ErrorKind::Info | ErrorKind::Reserved | ErrorKind::Conflict => {
                    Code::InvalidArgument
                }
            },
            Rejection::Tenant(error) => match error {
                tenant::Error::Absent(_) | tenant::Error::NoHeader(_) | tenant::Error::Empty => Code::Unauthenticated,
                tenant::Error::Unreadable(_) => Code::Internal,
                tenant::Error::Unclear(_)
                | tenant::Error::EmptyMember
                | tenant::Error::FederationOff
                | tenant::Error::Several
                | tenant::Error::OneAtATime
                | tenant::Error::OneWriter
                | tenant::Error::TooMany { .. }
                | tenant::Error::TooLong { .. }
                | tenant::Error::Character(_)
                | tenant::Error::Reserved(_)
                | tenant::Error::NotABaseName(_)
                | tenant::Error::NotUtf8
                | tenant::Error::NotChosen
                | tenant::Error::OwnSelector(_) => Code::InvalidArgument,
                tenant::Error::UnknownEntry(_) | tenant::Error::NoneServed | tenant::Error::NotOffered => {
                    Code::PermissionDenied
                }
            },
            Rejection::Label(_, error) => match error {
                LabelError::Absent(_) | LabelError::Empty => Code::Unauthenticated,
                LabelError::Unclear(_) | LabelError::Value(..) | LabelError::TooLong => Code::InvalidArgument,
                LabelError::Unreadable => Code::Internal,
            },
            Rejection::NotAllowed(_) | Rejection::Forbidden(_) | Rejection::Field(..) => Code::PermissionDenied,
            Rejection::UnknownPath
            | Rejection::Method(_)
            | Rejection::ContentType
            | Rejection::WriteType(_)
            | Rejection::WriteVersion(_)
            | Rejection::ContentEncoding
            | Rejection::NotGrpc
            | Rejection::NotJson
            | Rejection::UnknownSilence
            | Rejection::MessageEncoding => Code::Unimplemented,
            Rejection::TooLarge(_)
            | Rejection::LongReadMessage(_)
            | Rejection::LongMessage(_)
            | Rejection::LongPost(_) => Code::ResourceExhausted,
            // What the tenant asks for is out of bounds, however often it is tried again.
            Rejection::Limit { limit, .. } => match limit {
                Limit::Retention | Limit::Lookback | Limit::IntoFuture => Code::FailedPrecondition,
                Limit::Length
                | Limit::ExpressionSize
                | Limit::SubquerySteps
                | Limit::Step
                | Limit::Points
                | Limit::Selectors
                | Limit::PatternLength
                | Limit::Concurrency
                | Limit::WriteSize
                | Limit::ConcurrentWrites
                | Limit::Timeout
                | Limit::ReturnedItems
                | Limit::FetchedSeries
                | Limit::Samples
                | Limit::ResponseSize => Code::ResourceExhausted,
            },
            Rejection::CallOut(CallOutFault::Timeout) => Code::DeadlineExceeded,
            Rejection::CallOut(_) => Code::Internal,
            Rejection::Unbounded(_) | Rejection::Blocked(..) => Code::FailedPrecondition,
            Rejection::Answer(_) | Rejection::AlertsNotTaken { .. } | Rejection::Internal(_) => Code::Internal,
        }
    }
}

/// The HTTP status that a `grpc-status` counts as (`google/rpc/code.proto`); 500 where it is no status.
pub fn http_status(grpc_status: &[u8]) -> u16 {
    match grpc_status {
        b"0" => 200,
        b"1" => 499,
        b"3" | b"9" | b"11" => 400,
        b"4" => 504,
        b"5" => 404,
        b"6" | b"10" => 409,
        b"7" => 403,
        b"8" => 429,
        b"12" => 501,
        b"14" => 503,
        b"16" => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Method;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn codes_are_those_of_the_contract() {
        let limit = |limit| Rejection::Limit { limit, asked: 2, allowed: 1 };
        for (rejection, code, number) in [
            (Rejection::Head(""), Code::InvalidArgument, 3),
            (Rejection::Message(""), Code::InvalidArgument, 3),
            (Rejection::Tenant(tenant::Error::Empty), Code::Unauthenticated, 16),
            (Rejection::Tenant(tenant::Error::Several), Code::InvalidArgument, 3),
            (Rejection::Tenant(tenant::Error::Unreadable("")), Code::Internal, 13),
            (Rejection::NotAllowed(String::new()), Code::PermissionDenied, 7),
            (Rejection::Forbidden(""), Code::PermissionDenied, 7),
            (Rejection::Field("", ""), Code::PermissionDenied, 7),
            (Rejection::UnknownPath, Code::Unimplemented, 12),
            (Rejection::Method(&[Method::Post]), Code::Unimplemented, 12),
            (Rejection::NotGrpc, Code::Unimplemented, 12),
            (Rejection::MessageEncoding, Code::Unimplemented, 12),
            (Rejection::LongMessage(1), Code::ResourceExhausted, 8),
            (limit(Limit::Concurrency), Code::ResourceExhausted, 8),
            (limit(Limit::Points), Code::ResourceExhausted, 8),
            (limit(Limit::Retention), Code::FailedPrecondition, 9),
            (Rejection::Blocked("", String::new()), Code::FailedPrecondition, 9),
            (Rejection::Answer(""), Code::Internal, 13),
            (Rejection::Internal(""), Code::Internal, 13),
        ] {
            assert_eq!((rejection.code(), rejection.code() as u8), (code, number), "{rejection:?}");
        }
    }
}
