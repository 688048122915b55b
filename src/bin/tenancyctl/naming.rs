//! How a request of `tenancyctl route` names its tenant: what `--tenant` or `--claim` put into it, and why the filter finds the tenant
//! that it finds.

use super::route::printable;
use super::{Failure, evidence};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::tenant::claims::{self, Claims, Entry};
use promql_tenancy_filter::tenant::{Source, metadata};
use serde_json::Value;
use url::form_urlencoded;

/// What the request says about the tenant besides the headers that are given.
pub struct Identity {
    path: String,
    header: Option<(String, String)>,
    evidence: Option<Vec<u8>>,
}

impl Identity {
    /// Names the tenant where the configuration reads it.
    pub fn new(config: &Config, tenant: Option<&str>, claim: Option<&str>, path: String) -> Result<Identity, Failure> {
        let broken = |message: &str| Failure::Broken(message.to_owned());
        let mut identity = Identity { path, header: None, evidence: None };
        let source = config.source();
        if let Some(claim) = claim {
            let Source::Metadata(claims) = source else {
                return Err(broken("no claim names the tenant: leave --claim out"));
            };
            let claim = serde_json::from_str(claim).unwrap_or_else(|_| Value::from(claim));
            identity.evidence = Some(evidence::metadata(&claims.path, claim));
        }
        let Some(tenant) = tenant else { return Ok(identity) };
        match source {
            Source::Header { name, .. } => identity.header = Some((name.to_string(), tenant.to_owned())),
            Source::Parameter(name) => {
                let (path, query) = identity.path.split_once('?').unwrap_or((&identity.path, ""));
                let named = form_urlencoded::Serializer::new(String::new()).append_pair(name, tenant).finish();
                let separator = if query.is_empty() { "" } else { "&" };
                identity.path = format!("{path}?{query}{separator}{named}");
            }
            Source::Allowed { .. } => {
                let prefix = config.tenant_path().ok_or_else(|| broken("the path does not name the tenant"))?;
                if identity.path.starts_with(prefix.as_str()) {
                    return Err(broken("the path names the tenant: leave --tenant out"));
                }
                identity.path = prefix.of(tenant) + &identity.path;
            }
            Source::Certificate(field) => identity.evidence = Some(evidence::subject(field.short_name(), tenant)),
            Source::Metadata(claims) => {
                if claims.groups.is_some() {
                    return Err(broken("the claim names groups: give it with --claim"));
                }
                identity.evidence = Some(evidence::metadata(&claims.path, naming_claim(claims, tenant)));
            }
            Source::Static(_) => return Err(broken("static_tenant_ids names the tenant: leave --tenant out")),
        }
        Ok(identity)
    }

    /// The path with its query string.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The header that names the tenant.
    pub fn header(&self) -> Option<(&[u8], &[u8])> {
        self.header.as_ref().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }

    /// What the proxy says about the client.
    pub fn evidence(&self) -> Option<&[u8]> {
        self.evidence.as_deref()
    }

    /// Where the tenant comes from, a line for each step.
    pub fn why(&self, config: &Config, headers: &[(&[u8], &[u8])]) -> Vec<String> {
        let mut lines = match config.source() {
            Source::Header { name, default } => {
                let is_there = headers.iter().any(|(other, _)| *other == name.as_bytes());
                match (is_there, default) {
                    // The header is what whoever asks has given.
                    (true, _) => Vec::new(),
                    (false, Some(_)) => vec![format!("default_tenant_id, since the header {name} is absent")],
                    (false, None) => vec![format!("the header {name} is absent, and there is no default_tenant_id")],
                }
            }
            Source::Parameter(name) => vec![format!("named by the URL's parameter {}", printable(name))],
            Source::Allowed { default: Some(_) } => vec!["default_tenant_id, unless the path names another".to_owned()],
            Source::Allowed { default: None } => vec!["named by the path alone".to_owned()],
            Source::Certificate(field) => vec![format!("named by {} of the client certificate", field.short_name())],
            Source::Metadata(claims) => self.why_claims(config, claims),
            Source::Static(tenants) => vec![format!("static_tenant_ids: {}", tenants.joined())],
        };
        if let Some(prefix) = config.tenant_path() {
            let path = self.path.split('?').next().unwrap_or_default();
            lines.push(match prefix.split(path.as_bytes()) {
                Some(split) => {
                    format!("chosen by the path: {}", printable(&String::from_utf8_lossy(split.prefix)))
                }
                None => format!("the path does not choose, since it does not begin with {}", prefix.as_str()),
            });
        }
        lines
    }

    fn why_claims(&self, config: &Config, claims: &Claims) -> Vec<String> {
        let mut lines = vec![format!("named by the metadata {}", printable(&claims.path.join(" → ")))];
        let claim = metadata::claim(self.evidence.as_deref().unwrap_or_default(), &claims.path);
        let entries = claim.and_then(|claim| claims::entries(claim).ok()).unwrap_or_default();
        let dropped = if claims.drops_unknown { ", and is dropped" } else { "" };
        for entry in entries {
            let names = match claims.read(entry) {
                Entry::Group(_, tenants) => format!("is a group: {}", tenants.join(", ")),
                Entry::Unknown if claims.groups.is_some() => format!("is not in tenant_groups{dropped}"),
                Entry::Unknown => format!("does not begin with {:?}{dropped}", claims.strip_prefix),
                Entry::Tenant(id) => {
                    let id = String::from_utf8_lossy(id);
                    match config.tenants(id.as_bytes()).is_ok_and(|tenants| tenants.ids().all(|id| config.allows(id))) {
                        true => format!("is the tenant {}", printable(&id)),
                        false => format!("is no tenant that is served{dropped}"),
                    }
                }
            };
            lines.push(format!("  {:?} {names}", String::from_utf8_lossy(entry)));
        }
        lines
    }
}

/// A claim that names these tenants, which are separated by `|`.
fn naming_claim(claims: &Claims, tenants: &str) -> Value {
    let entry = |id: &str| Value::from([&claims.strip_prefix, id].concat());
    match tenants.contains('|') {
        true => tenants.split('|').map(entry).collect(),
        false => entry(tenants),
    }
}
