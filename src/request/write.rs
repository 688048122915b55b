//! Samples that are written: forwarded unread, with exactly one tenant.
//!
//! - The upstream stores them under the tenant header, so nothing in the body has to be read. Only where Thanos Receive takes the tenant
//!   from a label of the series (`--receive.split-tenant-label-name`) would the body count before the header: such writes are refused.
//! - Senders don't send again what is refused with a 4xx other than 429 (Prometheus's storage/remote/queue_manager.go, 3.16). So a
//!   request that can never succeed is refused with one, and what is over for the moment with 429.
//! - The version of remote write stands in the content type: `parseProtoMsg` in Prometheus's storage/remote/write_handler.go takes one
//!   without `proto`, and none at all, for 1.0. It is written anew, so that the upstream can't read another.

use super::admitted::Admitted;
use super::parameters::Enforcement;
use super::{BodyPlan, Forward, Rejection};
use crate::api::Protocol;
use crate::config::{Config, WriteVersion};
use crate::limits::Limit;
use crate::memo::Memo;
use crate::rejection::Place;
use crate::tenant;
use crate::workers::leases;
use std::cell::RefCell;

const IN_BODY: &str = "Receive takes the tenant from a label in the body (write_tenant_in_body), whatever the header says: ask the operator where to write";
const EXPECTED: &str =
    "send application/x-protobuf, with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request";

/// Decides on the head of a write.
// Apart from the other decisions, as V8 compiles many small functions in less time than a large one.
#[inline(never)]
pub fn decide(
    protocol: Protocol,
    asked: &Admitted<'_>,
    config: &Config,
    memo: &RefCell<Memo>,
) -> Result<Forward, Rejection> {
    let Admitted { head, facts, tenants, .. } = asked;
    asked.check_body()?;
    let mut edits = asked.edits(config, false)?;
    let mut query = Vec::new();
    Enforcement::new(asked.route, config, None).rewrite(asked.target.query, Place::Url, None, memo, &mut query)?;
    let path = asked.path(asked.route.path, asked.segment, &query)?;
    if config.writes().tenant_is_in_body {
        return Err(Rejection::Forbidden(IN_BODY));
    }
    if config.view().is_some() {
        return Err(Rejection::Tenant(tenant::Error::OneWriter));
    }
    match protocol {
        Protocol::RemoteWrite => {
            let version = version(facts.content_type.get(Rejection::WriteType(EXPECTED))?)?;
            if !config.writes().versions.contains(&version) {
                return Err(Rejection::WriteVersion(version.name()));
            }
            edits.set.push(("content-type".into(), version.content_type().into()));
        }
        Protocol::Otlp | Protocol::Influx => {}
    }
    let overriding = head.headers.iter().map(|(name, _)| *name).filter(|name| decides_on_writes(name));
    for name in overriding.filter_map(|name| std::str::from_utf8(name).ok()) {
        if !edits.remove.iter().any(|seen| **seen == *name) {
            edits.remove.push(name.into());
        }
    }

    let id = tenants.joined();
    let most = config.limits().one(id, Limit::WriteSize);
    let length = facts.content_length.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<i64>().ok());
    if let (Some(allowed), Some(asked)) = (most, length)
        && asked > allowed
    {
        return Err(Rejection::Limit { limit: Limit::WriteSize, asked, allowed });
    }
    let concurrency = config.limits().one(id, Limit::ConcurrentWrites);
    let body = match most.map(|most| usize::try_from(most).unwrap_or(usize::MAX)) {
        _ if head.end_of_stream => BodyPlan::Absent,
        Some(most) => BodyPlan::Bounded(most),
        None => BodyPlan::Untouched,
    };
    let concurrency = concurrency.map(|allowed| (leases::of_writes(id), allowed)).into_iter().collect();
    Ok(Forward { concurrency, ..asked.forward(path, edits, body, asked.expected(config, Vec::new())) })
}

/// Whether a header decides what the upstream does with a write: `THANOS-REPLICA` says that it has been replicated already (`ReplicaHeader` in
/// Thanos's pkg/receive/handler.go), and Mimir's `X-Mimir-SkipLabelCountValidation` and the like what is checked.
fn decides_on_writes(name: &[u8]) -> bool {
    let mut name = name.to_ascii_lowercase();
    name.iter_mut().filter(|byte| **byte == b'_').for_each(|byte| *byte = b'-');
    name == b"thanos-replica" || name.starts_with(b"x-mimir-")
}

/// The version that a content type says.
fn version(content_type: Option<&[u8]>) -> Result<WriteVersion, Rejection> {
    let Some(content_type) = content_type else { return Ok(WriteVersion::One) };
    let mut parts = content_type.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"application/x-protobuf")) {
        return Err(Rejection::WriteType(EXPECTED));
    }
    let mut found = None;
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.iter().position(|byte| *byte == b'=').map_or((part, &[][..]), |at| {
            let (name, value) = part.split_at(at);
            (name, value.get(1..).unwrap_or_default())
        });
        if !name.trim_ascii().eq_ignore_ascii_case(b"proto") {
            continue;
        }
        let value = value.trim_ascii();
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        let version = WriteVersion::ALL.into_iter().find(|version| version.message().as_bytes() == unquoted);
        match (version, found) {
            (Some(version), None) => found = Some(version),
            (None, _) | (_, Some(_)) => return Err(Rejection::WriteType(EXPECTED)),
        }
    }
    Ok(found.unwrap_or(WriteVersion::One))
}
