//! The label in the path of `label/<name>/values` where labels have other names for the client, and the values of the federation label: the
//! filter knows them.
//!
//! As Cortex has it (`LabelValues` in Cortex 1.21's pkg/querier/tenantfederation/merge_queryable.go), these are the tenants that the selectors'
//! matchers on this label select, whether or not they have data; other matchers are not looked at.

use super::Reply;
use crate::api::Route;
use crate::go::form;
use crate::path;
use crate::promql::Query;
use crate::scope::{self, Name, Renaming};
use crate::tenant::Tenants;
use std::sync::Arc;

/// What the label in the path is called where it is stored; `None` where that is what it is called in the path.
pub fn stored<'r>(segment: Option<&[u8]>, renaming: Option<&'r Renaming>) -> Option<&'r Name> {
    renaming?.stored(path::decoded(segment?)?.as_bytes())
}

/// The answer to a request for the federation label's values. `None` where only the upstream can select: by a pattern that the filter can't run.
pub fn values(
    query: &[u8],
    renaming: &Renaming,
    seen: &Tenants,
    tenant: &Arc<str>,
    route: &'static Route,
) -> Option<Reply> {
    let label = &*renaming.federation_label().text;
    let mut selectors = Vec::new();
    let mut limit = 0;
    for pair in form::raw_pairs(query) {
        let pair = pair.ok()?;
        let value = pair.value().ok()?;
        match &*pair.key {
            b"match[]" => selectors.push(Query::parse_selector(&value).ok()?.matchers()?),
            b"limit" => limit = std::str::from_utf8(&value).ok()?.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut ids: Vec<&str> = Vec::new();
    for id in seen.ids() {
        let mut is_selected = selectors.is_empty();
        for selector in &selectors {
            let mut is_matched = true;
            for matcher in selector.iter().filter(|matcher| &*matcher.label == label) {
                is_matched &= scope::accepts(matcher, id).ok()?;
            }
            is_selected |= is_matched;
        }
        if is_selected {
            ids.push(id);
        }
    }
    // `truncateResults` and its like in Prometheus 3.16's web/api/v1/api.go.
    let is_cut = limit > 0 && ids.len() > limit;
    if is_cut {
        ids.truncate(limit);
    }
    let mut body = String::from(r#"{"status":"success","data":["#);
    for (at, id) in ids.into_iter().enumerate() {
        body.push_str(if at > 0 { "," } else { "" });
        // No ID has a control character, so that JSON needs no other escapes than PromQL.
        scope::quote(id, &mut body);
    }
    body.push_str(if is_cut { r#"],"warnings":["results truncated due to limit"]}"# } else { "]}" });
    Some(Reply {
        tenant: Some(tenant.clone()),
        route,
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.into_bytes(),
        reason: "tenants_named",
    })
}
