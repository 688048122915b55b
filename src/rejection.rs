//! Every refusal: its status, `errorType`, stat name and words, in one place.
//!
//! The body is in the shape that the endpoint has for errors: Prometheus's error object, so that Grafana and every other client
//! shows the message. An answer that is not a refusal is no concern of this map.

mod grpc;

pub use grpc::{Code, http_status};

use crate::api::{ErrorShape, Method};
use crate::go::form;
use crate::limits::{Limit, Refusal};
use crate::promql::{self, ErrorKind};
use crate::tenant::{self, LabelError};
use crate::text;
use crate::wire::grpc::ACCEPTED;
use serde::Serialize;
use std::sync::Arc;

/// Where in a request something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The URL's query string.
    Url,
    /// The form in the body.
    Form,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Url => "query string",
            Place::Form => "form",
        }
    }
}

/// Why a question to the upstream, which decides on the request, is without an answer that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutFault {
    /// It could not be asked, or the connection was lost.
    Failed,
    /// No answer came in time.
    Timeout,
    /// The upstream answered with this status.
    Status(u16),
    /// The answer is longer than `max_response_bytes`.
    TooLong,
    /// The answer is not the one that it should be.
    Unreadable,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The head is not one that HTTP or this filter knows how to read.
    Head(&'static str),
    /// `upgrade`, or an extended CONNECT.
    Upgrade,
    /// The path is not in normal form.
    Path(&'static str),
    /// The query string or form can't be read.
    Form(Place, form::Error),
    /// A parameter that may be given once is given again in the same place.
    Repeated(Place, &'static str),
    /// A parameter's value is not of its kind. Name, and the value as quoted for a message.
    Value(&'static str, String),
    /// A parameter that would reach beyond the tenant. Name, and why.
    Parameter(&'static str, &'static str),
    /// A query or selector that can't be enforced. The parameter's name, and why.
    Query(&'static str, promql::Error),
    /// A body where none is read.
    Body,
    /// Nothing names a tenant, or what should names none.
    Tenant(tenant::Error),
    /// A label that is enforced beside the tenant's has no value.
    Label(Arc<str>, LabelError),
    /// A valid tenant that is not served. As quoted for a message.
    NotAllowed(String),
    /// The path can't be scoped to a tenant. Why.
    Forbidden(&'static str),
    /// Not in the API table.
    UnknownPath,
    /// In the API table, but not with this method. Those that are.
    Method(&'static [Method]),
    /// The rewritten request would be longer than this many bytes.
    TooLarge(usize),
    /// A per-tenant limit is exceeded: by how much, and what it allows.
    Limit {
        /// Which.
        limit: Limit,
        /// What the request asks for.
        asked: i64,
        /// What the limit allows.
        allowed: i64,
    },
    /// How far the query reaches can't be told, and a limit depends on it. Why.
    Unbounded(&'static str),
    /// The operator refuses this query: by which rule, and why, if that was given.
    Blocked(&'static str, String),
    /// A form of another content type than Go reads.
    ContentType,
    /// A compressed body.
    ContentEncoding,
    /// The body of a remote write has another content type. What is expected.
    WriteType(&'static str),
    /// The upstream takes no remote write of this version.
    WriteVersion(&'static str),
    /// The message of remote read can't be read. Why.
    ReadMessage(&'static str),
    /// The message of remote read is longer than this many bytes, as it came or as it is forwarded.
    LongReadMessage(usize),
    /// The body of a gRPC request is not one message that can be read. Why.
    Message(&'static str),
    /// The message of a gRPC request is longer than this many bytes.
    LongMessage(usize),
    /// A gRPC method, called with another content type.
    NotGrpc,
    /// The message of a gRPC request is compressed in a way that is not read.
    MessageEncoding,
    /// A field of a gRPC request that would reach beyond the tenant. Name, and why.
    Field(&'static str, &'static str),
    /// The upstream's answer had to be read and can't be. Why.
    Answer(&'static str),
    /// A question to the upstream, which decides on the request, was not answered as it should be.
    CallOut(CallOutFault),
    /// Something in this filter or its host that should not have happened. It refuses.
    Internal(&'static str),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Over { limit, asked, allowed } => Rejection::Limit { limit, asked, allowed },
            Refusal::Value(name, value) => Rejection::Value(name, value),
            Refusal::Query(name, error) => Rejection::Query(name, error),
            Refusal::UnknownReach(problem) => Rejection::Unbounded(problem),
            Refusal::Blocked(rule, reason) => Rejection::Blocked(rule, reason),
            Refusal::NoTime => Rejection::Internal("the time is not known"),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: &'a str,
}

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

    /// What is wrong, where, and what to do.
    pub fn message(&self) -> String {
        match self {
            Rejection::Head(problem) => format!("malformed request: {problem}"),
            Rejection::Upgrade => "the connection can't be upgraded here".to_owned(),
            Rejection::Path(problem) => format!("malformed path: {problem}"),
            Rejection::Form(place, error) => format!("unreadable {}: {error}", place.name()),
            Rejection::Repeated(place, name) => {
                format!("parameter {name:?} is given more than once in the {}", place.name())
            }
            Rejection::Value(name, value) => format!("invalid parameter {name:?}: cannot read {value}"),
            Rejection::Parameter(name, reason) => format!("parameter {name:?} is not allowed: {reason}"),
            // As `invalidParamError` in Prometheus 3.16's web/api/v1/api.go puts it.
            Rejection::Query(name, error) => format!("invalid parameter {name:?}: {error}"),
            Rejection::Body => {
                "this request can't have a body: send parameters in the URL, or a form with POST".to_owned()
            }
            Rejection::Tenant(error) => error.to_string(),
            Rejection::Label(label, error) => {
                format!("no value for the label {}, which is enforced here: {error}", text::quote(label.as_bytes()))
            }
            Rejection::NotAllowed(tenant) => format!("tenant {tenant} is not allowed here"),
            Rejection::Forbidden(reason) => format!("this path is not served to tenants: {reason}"),
            Rejection::UnknownPath => {
                "unknown path: use an endpoint of the API table, under a prefix that the operator has in path_prefixes"
                    .to_owned()
            }
            Rejection::Method(allowed) => format!("method not allowed: use {}", list(allowed, " or ")),
            Rejection::TooLarge(limit) => {
                format!("the request is too large: with the tenant's matchers it is longer than {limit} bytes")
            }
            Rejection::Limit { limit, asked, allowed } => limit.refusal(*asked, *allowed),
            Rejection::Unbounded(problem) => {
                format!("how far the query reaches can't be told, and your limits depend on it: {problem}")
            }
            Rejection::Blocked(rule, reason) if reason.is_empty() => {
                format!("the operator does not allow this query ({rule})")
            }
            Rejection::Blocked(rule, reason) => format!("the operator does not allow this query ({rule}): {reason}"),
            Rejection::ContentType => {
                "unsupported content type: a body has to be one application/x-www-form-urlencoded form".to_owned()
            }
            Rejection::ContentEncoding => "unsupported content encoding: a form has to be sent uncompressed".to_owned(),
            Rejection::WriteType(expected) => format!("unsupported content type of a remote write: {expected}"),
            Rejection::WriteVersion(version) => {
                format!(
                    "remote write {version} is not taken here (remote_write_versions): configure the sender for another"
                )
            }
            Rejection::ReadMessage(problem) => format!("unreadable remote-read request: {problem}"),
            Rejection::LongReadMessage(limit) => format!("the remote-read request is longer than {limit} bytes"),
            Rejection::Message(problem) => format!("unreadable gRPC message: {problem}"),
            Rejection::LongMessage(limit) => format!("the gRPC message is longer than {limit} bytes"),
            Rejection::NotGrpc => {
                "unsupported content type: a gRPC method has to be called with application/grpc".to_owned()
            }
            Rejection::MessageEncoding => {
                "the message's compression is not supported: send it uncompressed or with snappy".to_owned()
            }
            Rejection::Field(name, reason) => format!("field {name} is not allowed: {reason}"),
            Rejection::Answer(problem) => format!("the upstream's answer could not be filtered: {problem}"),
            Rejection::CallOut(fault) => {
                let what = match fault {
                    CallOutFault::Failed => "it could not be asked",
                    CallOutFault::Timeout => "it did not answer in time",
                    CallOutFault::Status(status) => return format!("{CALL_OUT}: it answered with status {status}"),
                    CallOutFault::TooLong => "its answer is larger than max_response_bytes",
                    CallOutFault::Unreadable => "its answer could not be read",
                };
                format!("{CALL_OUT}: {what}")
            }
            Rejection::Internal(problem) => format!("internal error of the tenancy filter: {problem}"),
        }
    }

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
        // The proxy escapes it.
        ErrorShape::Grpc => message.as_bytes().to_vec(),
    }
}

fn list(methods: &[Method], separator: &str) -> String {
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(separator)
}

/// Every [`Rejection::reason`], for whoever documents or counts them.
pub fn reasons() -> Vec<&'static str> {
    let limits = crate::limits::TABLE.iter().map(|(name, ..)| *name);
    REASONS.iter().copied().chain(limits).collect()
}

const CALL_OUT: &str = "the upstream has to be asked first what is the tenant's";

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
    "bad_answer",
    "call_out",
    "internal",
];

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn body(rejection: &Rejection) -> String {
        String::from_utf8(rejection.body()).unwrap()
    }

    #[test]
    fn body_is_prometheus_s_error_object() {
        assert_eq!(
            body(&Rejection::UnknownPath),
            r#"{"status":"error","errorType":"not_found","error":"unknown path: use an endpoint of the API table, under a prefix that the operator has in path_prefixes"}"#
        );
        let error = promql::Error {
            kind: ErrorKind::Syntax,
            message: "unexpected \"}\"".to_owned(),
            start: 8,
            end: 9,
            line: 1,
            column: 9,
        };
        assert_eq!(
            body(&Rejection::Query("query", error)),
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:9: parse error: unexpected \"}\""}"#
        );
    }

    #[test]
    fn hostile_input_stays_inside_its_json_string() {
        for input in [&b"\"}<script>\x00\x1f\\"[..], b"\xff\xfe", "\u{2028}\u{202e}".as_bytes()] {
            let rejection = Rejection::Value("step", crate::text::quote(input));
            let parsed: serde_json::Value = serde_json::from_slice(&rejection.body()).unwrap();
            assert_eq!(parsed["error"], rejection.message());
            assert!(!rejection.message().contains(char::is_control));
        }
    }

    #[test]
    fn statuses_are_those_of_the_contract() {
        let classes = [
            (Rejection::Head("x"), 400, "bad_data"),
            (Rejection::Tenant(tenant::Error::Absent("x")), 401, "unauthorized"),
            (Rejection::Tenant(tenant::Error::Unclear("x")), 400, "bad_data"),
            (Rejection::Tenant(tenant::Error::Unreadable("x")), 500, "internal"),
            (Rejection::Tenant(tenant::Error::Empty), 401, "unauthorized"),
            (Rejection::Tenant(tenant::Error::OneAtATime), 400, "bad_data"),
            (Rejection::Tenant(tenant::Error::EmptyMember), 400, "bad_data"),
            (Rejection::Tenant(tenant::Error::OwnSelector(String::new())), 400, "bad_data"),
            (label(LabelError::Absent("x")), 401, "unauthorized"),
            (label(LabelError::Empty), 401, "unauthorized"),
            (label(LabelError::Unclear("x")), 400, "bad_data"),
            (label(LabelError::Value(String::new(), "x")), 400, "bad_data"),
            (label(LabelError::TooLong), 400, "bad_data"),
            (label(LabelError::Unreadable), 500, "internal"),
            (Rejection::NotAllowed(String::new()), 403, "forbidden"),
            (Rejection::Tenant(tenant::Error::UnknownEntry(String::new())), 403, "forbidden"),
            (Rejection::Tenant(tenant::Error::NoneServed), 403, "forbidden"),
            (Rejection::Tenant(tenant::Error::NotOffered), 403, "forbidden"),
            (Rejection::Tenant(tenant::Error::NotChosen), 400, "bad_data"),
            (Rejection::Forbidden("x"), 403, "forbidden"),
            (Rejection::UnknownPath, 404, "not_found"),
            (Rejection::Method(&[Method::Get]), 405, "bad_data"),
            (Rejection::Form(Place::Url, form::Error::TooMany), 413, "bad_data"),
            (Rejection::ContentType, 415, "bad_data"),
            (Rejection::ContentEncoding, 415, "bad_data"),
            (Rejection::Answer("x"), 502, "internal"),
            (Rejection::Internal("x"), 500, "internal"),
        ];
        for (rejection, status, error_type) in classes {
            assert_eq!((rejection.status(), rejection.error_type()), (status, error_type), "{rejection:?}");
        }
    }

    fn label(error: LabelError) -> Rejection {
        Rejection::Label("cluster".into(), error)
    }

    /// One rejection of each kind, in the order of `position`.
    fn one_of_each_kind() -> Vec<Rejection> {
        let query = |kind| promql::Error { kind, message: String::new(), start: 0, end: 0, line: 1, column: 1 };
        let limit = |(_, _, limit)| Rejection::Limit { limit, asked: 2, allowed: 1 };
        let mut all = vec![
            Rejection::Head(""),
            Rejection::Upgrade,
            Rejection::Path(""),
            Rejection::Form(Place::Url, form::Error::TooMany),
            Rejection::Form(Place::Form, form::Error::Semicolon(String::new())),
            Rejection::Repeated(Place::Url, ""),
            Rejection::Value("", String::new()),
            Rejection::Parameter("", ""),
        ];
        let kinds = [ErrorKind::Syntax, ErrorKind::TooLarge, ErrorKind::Info, ErrorKind::Reserved, ErrorKind::Conflict];
        all.extend(kinds.map(|kind| Rejection::Query("query", query(kind))));
        all.extend([
            Rejection::Body,
            Rejection::Tenant(tenant::Error::Empty),
            Rejection::Tenant(tenant::Error::Several),
            label(LabelError::Empty),
            label(LabelError::TooLong),
            Rejection::NotAllowed(String::new()),
            Rejection::Forbidden(""),
            Rejection::UnknownPath,
            Rejection::Method(&[]),
            Rejection::TooLarge(1),
        ]);
        all.extend(crate::limits::TABLE.map(limit));
        all.extend([
            Rejection::Unbounded(""),
            Rejection::Blocked("blocked_queries", String::new()),
            Rejection::Blocked("query_rejection", String::new()),
            Rejection::ContentType,
            Rejection::ContentEncoding,
            Rejection::WriteType(""),
            Rejection::WriteVersion(""),
            Rejection::ReadMessage(""),
            Rejection::LongReadMessage(1),
            Rejection::Message(""),
            Rejection::LongMessage(1),
            Rejection::NotGrpc,
            Rejection::MessageEncoding,
            Rejection::Field("", ""),
            Rejection::Answer(""),
            Rejection::CallOut(CallOutFault::Timeout),
            Rejection::CallOut(CallOutFault::Status(500)),
            Rejection::Internal(""),
        ]);
        all
    }

    /// What clients read, once each: `…` stands for a value, for a number, and for what a module further in says.
    fn texts() -> std::collections::BTreeSet<String> {
        let value = || "…".to_owned();
        let tenant = [
            tenant::Error::Absent("…"),
            tenant::Error::NoHeader("…".into()),
            tenant::Error::Unclear("…"),
            tenant::Error::Unreadable("…"),
            tenant::Error::EmptyMember,
            tenant::Error::FederationOff,
            tenant::Error::OneAtATime,
            tenant::Error::TooMany { named: 2, max: 1 },
            tenant::Error::TooLong { max: 1 },
            tenant::Error::Character(value()),
            tenant::Error::Reserved(value()),
            tenant::Error::NotABaseName(value()),
            tenant::Error::NotUtf8,
            tenant::Error::UnknownEntry(value()),
            tenant::Error::NoneServed,
            tenant::Error::NotOffered,
            tenant::Error::NotChosen,
        ];
        let others = [Rejection::Form(Place::Url, form::Error::Escape(value())), Rejection::Blocked("…", value())];
        let all = one_of_each_kind().into_iter().chain(tenant.map(Rejection::Tenant)).chain(others);
        let messages = all.map(|rejection| rejection.message().replace("\"\"", "\"…\""));
        let plain = messages.map(|message| {
            let mut text = String::new();
            for c in message.chars() {
                let c = if c.is_ascii_digit() { '…' } else { c };
                if c != '…' || !text.ends_with('…') {
                    text.push(c);
                }
            }
            // What was left empty above, and digits that are no numbers.
            if text.ends_with(' ') {
                text.push('…');
            }
            let spelled =
                [("  is", " … is"), ("in : ", "in …: "), ("UTF-…", "UTF-8"), ("%…B", "%3B"), ("as %…", "as %25")];
            spelled.iter().fold(text, |text, (from, to)| text.replace(from, to))
        });
        plain.collect()
    }

    #[test]
    fn the_runbook_lists_what_refusals_say() {
        let runbook = include_str!("../docs/runbook.md");
        let list = runbook.split("## What refusals say\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
        let listed: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`')).collect();
        let texts = texts();
        let missing: Vec<&String> = texts.iter().filter(|text| !listed.contains(&text.as_str())).collect();
        let stale: Vec<&&str> = listed.iter().filter(|text| !texts.contains(**text)).collect();
        assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:#?}\nno longer said: {stale:#?}");
    }

    /// A new kind does not compile until it stands here, and then fails the test until it stands above.
    fn position(rejection: &Rejection) -> usize {
        match rejection {
            Rejection::Head(_) => 0,
            Rejection::Upgrade => 1,
            Rejection::Path(_) => 2,
            Rejection::Form(..) => 3,
            Rejection::Repeated(..) => 4,
            Rejection::Value(..) => 5,
            Rejection::Parameter(..) => 6,
            Rejection::Query(..) => 7,
            Rejection::Body => 8,
            Rejection::Tenant(_) => 9,
            Rejection::Label(..) => 10,
            Rejection::NotAllowed(_) => 11,
            Rejection::Forbidden(_) => 12,
            Rejection::UnknownPath => 13,
            Rejection::Method(_) => 14,
            Rejection::TooLarge(_) => 15,
            Rejection::Limit { .. } => 16,
            Rejection::Unbounded(_) => 17,
            Rejection::Blocked(..) => 18,
            Rejection::ContentType => 19,
            Rejection::ContentEncoding => 20,
            Rejection::WriteType(_) => 21,
            Rejection::WriteVersion(_) => 22,
            Rejection::ReadMessage(_) => 23,
            Rejection::LongReadMessage(_) => 24,
            Rejection::Message(_) => 25,
            Rejection::LongMessage(_) => 26,
            Rejection::NotGrpc => 27,
            Rejection::MessageEncoding => 28,
            Rejection::Field(..) => 29,
            Rejection::Answer(_) => 30,
            Rejection::CallOut(_) => 31,
            Rejection::Internal(_) => 32,
        }
    }

    #[test]
    fn the_list_of_reasons_is_whole() {
        use std::collections::BTreeSet;
        let all = one_of_each_kind();
        assert_eq!(all.iter().map(position).collect::<BTreeSet<_>>(), (0..=32).collect());
        assert!(all.is_sorted_by_key(position));
        let reasons_of_all: BTreeSet<&str> = all.iter().map(Rejection::reason).collect();
        assert_eq!(reasons_of_all, reasons().into_iter().collect());
        assert_eq!(reasons_of_all.len(), reasons().len(), "each once");
    }

    #[test]
    fn method_refusal_names_the_allowed_ones() {
        let rejection = Rejection::Method(&[Method::Get, Method::Post]);
        assert_eq!(rejection.headers(), [("allow", "GET, POST".to_owned())]);
        assert_eq!(rejection.message(), "method not allowed: use GET or POST");
        assert!(Rejection::UnknownPath.headers().is_empty());
    }
}
