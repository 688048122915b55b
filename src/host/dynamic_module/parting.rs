//! What ends a stream before its answer: a reply of the filter's own, also for a hook that has panicked, or a reset.

use super::calls::{self, Filter, Pair};
use crate::api::ErrorShape;
use crate::exchange::{Level, Line};
use crate::rejection::{Code, Rejection};

/// What the client hears of a panic, which is in the log.
pub const PANIC: Rejection = Rejection::Internal("a defect");

/// What ends a stream. It is done when nothing is borrowed, since Envoy may call hooks before it returns.
pub enum Parting {
    Reply { status: u16, details: String, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    Reset,
}

impl Parting {
    /// What the client of a stream hears whose hook has panicked.
    pub fn of_a_panic(is_grpc: bool) -> Parting {
        let line = format!("{}: status=500 reason=internal error=\"a panic, see above\"", Line::RequestRefused.begin());
        calls::log(Level::Error, &line);
        let errors = if is_grpc { ErrorShape::Grpc } else { ErrorShape::Prometheus };
        let mut headers =
            vec![("content-type", errors.content_type().to_owned()), ("cache-control", "private, no-store".to_owned())];
        headers.extend(is_grpc.then(|| grpc_status(PANIC.code())));
        let details = ["tenancy_", PANIC.reason()].concat();
        Parting::Reply { status: PANIC.status(), details, headers, body: PANIC.body_in(errors) }
    }

    /// The filter may be gone when this returns.
    pub fn send(self, filter: &Filter) {
        match self {
            Parting::Reply { status, details, headers, body } => {
                let headers: Vec<Pair<'_>> =
                    headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
                filter.send_response(status, &headers, &body, &details);
            }
            Parting::Reset => filter.reset(),
        }
    }
}

/// Envoy makes a reply's status of this header for a client that speaks gRPC, and its message of the body.
pub fn grpc_status(code: Code) -> (&'static str, String) {
    ("grpc-status", (code as u8).to_string())
}
