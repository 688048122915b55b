//! The tenant in the URL: what is read there, and what is forwarded without it.
//!
//! `config::TenantPath` takes the tenant's part from the path. The parameter of `tenant_parameter` is read here. No row of the API table
//! knows it, so that it is dropped from what is rewritten; here it is taken from what is passed through.

use super::{Place, Rejection};
use crate::go::form;
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

/// The new `:path` of a path that is passed through: without the tenant's part, which is not in `path` any more, and without the parameter
/// that names the tenant. `None` where it stays as it came.
pub fn passthrough_target(
    came: &[u8],
    path: &[u8],
    query: &[u8],
    source: &Source,
) -> Result<Option<Vec<u8>>, Rejection> {
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
