//! The tenant in the URL: what is read there, and what is forwarded without it.
//!
//! `config::TenantPath` takes the tenant's part from the path. The parameter of `tenant_parameter` is read here. No row of the API table
//! knows it, so that it is dropped from what is rewritten; here it is taken from what is passed through.

use super::admitted::Admitted;
use super::{BodyPlan, Forward, Rejection};
use crate::config::Config;
use crate::go::form;
use crate::rejection::Place;
use crate::tenant::{self, Source};
use std::borrow::Cow;

const TWICE: &str = "the parameter that names the tenant appears more than once: give it once";

/// The value of the parameter that names the tenant, if the source is one, and the query string has it.
pub fn parameter<'q>(query: &'q [u8], source: &Source) -> Result<Option<Cow<'q, [u8]>>, Rejection> {
    let Some(name) = source.parameter() else { return Ok(None) };
    let mut value = None;
    for pair in form::raw_pairs(query) {
        let pair = pair.map_err(unreadable)?;
        if *pair.key == *name.as_bytes() && value.replace(pair.value().map_err(unreadable)?).is_some() {
            return Err(Rejection::Tenant(tenant::Error::Unclear(TWICE)));
        }
    }
    Ok(value)
}

/// Forwards a path of `passthrough_paths`, unread.
// Apart from the other decisions, as V8 compiles many small functions in less time than a large one.
#[inline(never)]
pub fn pass_through(asked: &Admitted<'_>, config: &Config) -> Result<Forward, Rejection> {
    let edits = asked.edits(config, false)?;
    let body = if asked.head.end_of_stream { BodyPlan::Absent } else { BodyPlan::Untouched };
    let path = asked.chosen.map_or(asked.target.path, |chosen| chosen.rest);
    let path = passthrough_target(asked.facts.target, path, asked.target.query, config.source())?;
    Ok(asked.forward(path, edits, body, asked.expected(config, Vec::new())))
}

/// The new `:path` of a path that is passed through: without the tenant's part, which is not in `path` any more, and without the parameter
/// that names the tenant. `None` where it stays as it came.
fn passthrough_target(came: &[u8], path: &[u8], query: &[u8], source: &Source) -> Result<Option<Vec<u8>>, Rejection> {
    let query = match source.parameter() {
        Some(name) => Cow::Owned(without(query, name)?),
        None => Cow::Borrowed(query),
    };
    let separator: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let target = [path, separator, &query].concat();
    // A `?` with nothing behind it says nothing.
    Ok((target != came && [&target[..], b"?"].concat() != came).then_some(target))
}

/// A query string without this parameter, decoded and encoded again.
fn without(query: &[u8], name: &str) -> Result<Vec<u8>, Rejection> {
    let mut out = Vec::with_capacity(query.len());
    for pair in form::pairs(query) {
        let pair = pair.map_err(unreadable)?;
        if *pair.key != *name.as_bytes() {
            form::append(&mut out, &pair.key, &pair.value);
        }
    }
    Ok(out)
}

fn unreadable(error: form::Error) -> Rejection {
    Rejection::Form(Place::Url, error)
}
