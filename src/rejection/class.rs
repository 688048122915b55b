//! What a refusal is to the outside: its HTTP status, Prometheus's `errorType`, and its short name. One exhaustive match.

use super::{CallOutFault, Rejection};
use crate::go::form;
use crate::limits::Limit;
use crate::promql::ErrorKind;
use crate::tenant::{self, LabelError};

impl Rejection {
    /// Status, `errorType`, and the short stable name: the one table that says what a refusal is to the outside.
    fn class(&self) -> (u16, &'static str, &'static str) {
        match self {
            Rejection::Head(_) => (400, "bad_data", "bad_head"),
            Rejection::Upgrade => (400, "bad_data", "upgrade"),
            Rejection::Path(_) => (400, "bad_data", "bad_path"),
            Rejection::Form(_, form::Error::TooMany) => (413, "bad_data", "too_large"),
            Rejection::Form(_, form::Error::Semicolon(_) | form::Error::Escape(_)) => (400, "bad_data", "bad_form"),
            Rejection::Repeated(..) => (400, "bad_data", "repeated_parameter"),
            Rejection::Value(..) => (400, "bad_data", "bad_value"),
            Rejection::Parameter(..) => (400, "bad_data", "bad_parameter"),
            Rejection::Query(_, error) => match error.kind {
                ErrorKind::Syntax => (400, "bad_data", "query_syntax"),
                ErrorKind::TooLarge => (413, "bad_data", "query_too_large"),
                ErrorKind::Info => (400, "bad_data", "query_info"),
                ErrorKind::Reserved => (400, "bad_data", "query_reserved"),
                ErrorKind::Conflict => (400, "bad_data", "query_conflict"),
            },
            Rejection::Body => (400, "bad_data", "unexpected_body"),
            Rejection::Tenant(error) => match error {
                tenant::Error::Absent(_) | tenant::Error::NoHeader(_) | tenant::Error::Empty => {
                    (401, "unauthorized", "no_tenant")
                }
                tenant::Error::Unreadable(_) => (500, "internal", "internal"),
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
                | tenant::Error::OwnSelector(_) => (400, "bad_data", "bad_tenant"),
                tenant::Error::UnknownEntry(_) | tenant::Error::NoneServed | tenant::Error::NotOffered => {
                    (403, "forbidden", "tenant_not_allowed")
                }
            },
            Rejection::Label(_, error) => match error {
                LabelError::Absent(_) | LabelError::Empty => (401, "unauthorized", "no_label_value"),
                LabelError::Unclear(_) | LabelError::Value(..) | LabelError::TooLong => {
                    (400, "bad_data", "bad_label_value")
                }
                LabelError::Unreadable => (500, "internal", "internal"),
            },
            Rejection::NotAllowed(_) => (403, "forbidden", "tenant_not_allowed"),
            Rejection::Forbidden(_) => (403, "forbidden", "forbidden_path"),
            Rejection::UnknownPath => (404, "not_found", "unknown_path"),
            Rejection::Method(_) => (405, "bad_data", "method"),
            Rejection::TooLarge(_) => (413, "bad_data", "too_large"),
            Rejection::Limit { limit: Limit::Concurrency, .. } => (429, "too_many_requests", Limit::Concurrency.name()),
            Rejection::Limit { limit: Limit::ConcurrentWrites, .. } => {
                (429, "too_many_requests", Limit::ConcurrentWrites.name())
            }
            Rejection::Limit { limit: Limit::WriteSize, .. } => (413, "bad_data", Limit::WriteSize.name()),
            Rejection::Limit { limit, .. } => (422, "execution", limit.name()),
            Rejection::Unbounded(_) => (422, "execution", "unknown_reach"),
            Rejection::Blocked(rule, _) => (422, "execution", rule),
            Rejection::ContentType => (415, "bad_data", "content_type"),
            Rejection::ContentEncoding => (415, "bad_data", "content_encoding"),
            Rejection::WriteType(_) => (415, "bad_data", "content_type"),
            Rejection::WriteVersion(_) => (415, "bad_data", "write_version"),
            Rejection::ReadMessage(_) => (400, "bad_data", "bad_message"),
            Rejection::LongReadMessage(_) => (413, "bad_data", "too_large"),
            Rejection::Message(_) => (400, "bad_data", "bad_message"),
            Rejection::LongMessage(_) => (413, "bad_data", "too_large"),
            Rejection::NotGrpc => (415, "bad_data", "content_type"),
            Rejection::MessageEncoding => (415, "bad_data", "content_encoding"),
            Rejection::Field(..) => (403, "forbidden", "forbidden_field"),
            Rejection::Posted(..) => (400, "bad_data", "bad_post"),
            Rejection::LongPost(_) => (413, "bad_data", "too_large"),
            Rejection::NotJson => (415, "bad_data", "content_type"),
            Rejection::UnknownSilence => (404, "not_found", "unknown_silence"),
            Rejection::AlertsNotTaken { .. } => (502, "internal", "alerts_not_taken"),
            Rejection::Answer(_) => (502, "internal", "bad_answer"),
            Rejection::CallOut(CallOutFault::Timeout) => (504, "timeout", "call_out"),
            Rejection::CallOut(_) => (502, "internal", "call_out"),
            Rejection::Internal(_) => (500, "internal", "internal"),
        }
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.class().0
    }

    /// Prometheus's `errorType`.
    pub fn error_type(&self) -> &'static str {
        self.class().1
    }

    /// A short stable name for stats and logs, for example `bad_form`.
    pub fn reason(&self) -> &'static str {
        self.class().2
    }
}

/// Every [`Rejection::reason`], for whoever documents or counts them.
pub fn reasons() -> Vec<&'static str> {
    let limits = crate::limits::TABLE.iter().filter(|(_, _, limit)| limit.refuses()).map(|(name, ..)| *name);
    REASONS.iter().copied().chain(limits).collect()
}

/// All but those that are the name of a limit.
const REASONS: &[&str] = &[
    "bad_head",
    "upgrade",
    "bad_path",
    "too_large",
    "bad_form",
    "repeated_parameter",
    "bad_value",
    "bad_parameter",
    "query_syntax",
    "query_too_large",
    "query_info",
    "query_reserved",
    "query_conflict",
    "unexpected_body",
    "no_tenant",
    "bad_tenant",
    "no_label_value",
    "bad_label_value",
    "tenant_not_allowed",
    "forbidden_path",
    "unknown_path",
    "method",
    "unknown_reach",
    "blocked_queries",
    "query_rejection",
    "content_type",
    "content_encoding",
    "write_version",
    "bad_message",
    "forbidden_field",
    "bad_post",
    "unknown_silence",
    "alerts_not_taken",
    "bad_answer",
    "call_out",
    "internal",
];
