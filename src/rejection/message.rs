//! What clients read of a refusal: what is wrong, where, and what to do. docs/runbook.md lists every text.

use super::{CallOutFault, Rejection, list};
use crate::text;

const CALL_OUT: &str = "the upstream has to be asked first what is the tenant's";

impl Rejection {
    /// What is wrong, where, and what to do.
    pub fn message(&self) -> String {
        match self {
            Rejection::Head(problem) => format!("malformed request: {problem}"),
            Rejection::Upgrade => "the connection can't be upgraded here: send plain HTTP requests".to_owned(),
            Rejection::Path(problem) => format!("malformed path: {problem}"),
            Rejection::Form(place, error) => format!("unreadable {}: {error}", place.name()),
            Rejection::Repeated(place, name) => {
                format!("parameter {name:?} is given more than once in the {}: give it once", place.name())
            }
            Rejection::Value(name, value) => format!(
                "invalid parameter {name:?}: cannot read {value}: write a number, a time of RFC 3339, a duration like 5m, or true or false"
            ),
            Rejection::Parameter(name, reason) => format!("parameter {name:?} is not allowed: {reason}"),
            // As `invalidParamError` in Prometheus 3.16's web/api/v1/api.go puts it.
            Rejection::Query(name, error) => format!("invalid parameter {name:?}: {error}"),
            Rejection::Body => {
                "this request can't have a body: send parameters in the URL, or a form with POST".to_owned()
            }
            Rejection::Tenant(error) => error.to_string(),
            Rejection::Label(label, error) => {
                format!(
                    "no value for the label {}, which is enforced here: {error}; ask the operator",
                    text::quote(label.as_bytes())
                )
            }
            Rejection::NotAllowed(tenant) => {
                format!("tenant {tenant} is not allowed here: name another one, or ask the operator to allow it")
            }
            Rejection::Forbidden(reason) => {
                format!("this path is not served to tenants: {reason}; the API table lists what is")
            }
            Rejection::UnknownPath => {
                "unknown path: use an endpoint of the API table, under a prefix that the operator has in path_prefixes"
                    .to_owned()
            }
            Rejection::Method(allowed) => format!("method not allowed: use {}", list(allowed, " or ")),
            Rejection::TooLarge(limit) => {
                format!(
                    "the request is too large: with the tenant's matchers it is longer than {limit} bytes: ask for less"
                )
            }
            Rejection::Limit { limit, asked, allowed } => limit.refusal(*asked, *allowed),
            Rejection::Unbounded(problem) => {
                format!("how far the query reaches can't be told, and your limits depend on it: {problem}")
            }
            Rejection::Blocked(rule, reason) if reason.is_empty() => {
                format!("the operator does not allow this query ({rule}): send another, or ask the operator")
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
            Rejection::LongReadMessage(limit) => {
                format!("the remote-read request is longer than {limit} bytes: ask for less")
            }
            Rejection::Message(problem) => format!("unreadable gRPC message: {problem}"),
            Rejection::LongMessage(limit) => format!("the gRPC message is longer than {limit} bytes: ask for less"),
            Rejection::NotGrpc => {
                "unsupported content type: a gRPC method has to be called with application/grpc".to_owned()
            }
            Rejection::MessageEncoding => {
                "the message's compression is not supported: send it uncompressed or with snappy".to_owned()
            }
            Rejection::Field(name, reason) => format!("field {name} is not allowed: {reason}"),
            Rejection::Posted(what, problem) => format!("{what} is refused: {problem}"),
            Rejection::LongPost(limit) => {
                format!("the request's body is longer than {limit} bytes: send several requests")
            }
            Rejection::NotJson => "unsupported content type: send application/json".to_owned(),
            Rejection::UnknownSilence => "no silence of the tenant has this ID: list the silences".to_owned(),
            Rejection::AlertsNotTaken { all, failed, unrouted } => format!(
                "of {all} alerts, {failed} were not taken by their tenant's Alertmanager and {unrouted} have none (alert_routes): send all again"
            ),
            Rejection::Answer(problem) => {
                format!("the upstream's answer could not be filtered: {problem}; ask the operator")
            }
            Rejection::CallOut(fault) => {
                let what = match fault {
                    CallOutFault::Failed => "it could not be asked",
                    CallOutFault::Timeout => "it did not answer in time",
                    CallOutFault::Status(status) => {
                        return format!("{CALL_OUT}: it answered with status {status}; ask the operator");
                    }
                    CallOutFault::TooLong => "its answer is larger than max_response_bytes",
                    CallOutFault::Unreadable => "its answer could not be read",
                    CallOutFault::Lately => "it did not answer a moment ago; try again in some seconds",
                };
                format!("{CALL_OUT}: {what}; ask the operator")
            }
            Rejection::Internal(problem) => {
                format!("internal error of the tenancy filter: {problem}; try again, or ask the operator")
            }
        }
    }
}
