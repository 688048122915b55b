//! Is a request in dry run? Of one that is refused before anyone looked who asks, it is looked here.
//!
//! Otherwise, where all are in dry run but some, these could leave enforcement with a request that is refused early: an `upgrade` header, a
//! path that is not in normal form. What may be theirs is enforced.

use super::{Decision, Head, Refused, decision, naming};
use crate::config::Config;
use crate::path;
use crate::tenant::{Clues, Error, Source};
use std::sync::Arc;

/// Whether nothing is enforced on a request, on which this was decided.
pub fn is_in_dry_run(head: &Head<'_>, config: &Config, decided: &Result<Decision, Refused>) -> bool {
    let tenant = decision::tenant(decided);
    let is_open = config.dry_runs(tenant);
    match (decided, tenant) {
        (Err(_), None) if is_open && config.mixes_dry_run() => is_no_enforced_tenant_s(head, config).unwrap_or(false),
        (Ok(_) | Err(_), _) => is_open,
    }
}

/// `None` where it can't be told.
fn is_no_enforced_tenant_s(head: &Head<'_>, config: &Config) -> Option<bool> {
    let once = |wanted: &str| {
        let mut values = head.headers.iter().filter(|(name, _)| *name == wanted.as_bytes()).map(|(_, value)| *value);
        let value = values.next();
        if values.next().is_some() { None } else { Some(value) }
    };
    let source = config.source();
    let header = source.header().map_or(Some(None), |name| once(name))?;
    let (mut segment, mut parameter) = (None, None);
    if config.tenant_path().is_some() || source.parameter().is_some() {
        let target = path::split(once(":path")??).ok()?;
        segment = config.tenant_path().and_then(|prefix| prefix.split(target.path)).map(|split| split.tenant);
        parameter = naming::parameter(target.query, source).ok()?;
    }
    let clues = Clues { header, parameter: parameter.as_deref(), segment, evidence: head.evidence };
    let is_open = |id: &str| config.dry_runs(Some(&Arc::from(id)));
    // Of a list that names no one tenant, each that it names.
    let are_all_open = || Some(config.offered(&clues).ok()?.iter().all(|id| is_open(id)));
    let names_several = || [header, clues.parameter].into_iter().flatten().any(|value| value.contains(&b'|'));
    match config.identify(&clues) {
        Ok(tenants) => Some(tenants.ids().all(is_open)),
        Err(Error::Absent(_) | Error::NoHeader(_) | Error::Empty | Error::NoneServed) => Some(true),
        Err(_) if matches!(source, Source::Metadata(_)) => are_all_open(),
        Err(Error::NotChosen | Error::NotOffered) => are_all_open(),
        // No tenant has such an ID, unless it stands beside another's.
        Err(
            Error::TooLong { .. } | Error::Character(_) | Error::Reserved(_) | Error::NotABaseName(_) | Error::NotUtf8,
        ) => Some(!names_several()),
        Err(
            Error::Unclear(_)
            | Error::Unreadable(_)
            | Error::EmptyMember
            | Error::FederationOff
            | Error::Several
            | Error::OneAtATime
            | Error::OneWriter
            | Error::TooMany { .. }
            | Error::UnknownEntry(_)
            | Error::OwnSelector(_),
        ) => None,
    }
}
