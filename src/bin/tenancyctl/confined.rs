//! What a tenant is confined to, and why: the matchers that each of its selectors gains, with the key behind each.

use super::{Failure, evidence};
use clap::Args;
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::scope::Scope;
use promql_tenancy_filter::tenant::{LabelSource, LabelValues, Source, Tenants};
use std::fmt::Write as _;

/// What the request says about labels that are enforced beside the tenant's.
#[derive(Args, Default)]
pub struct Labels {
    /// The value of a label of enforced_labels, in whatever the configuration reads: a header or metadata; several are separated by |.
    /// May be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = super::route::parameter)]
    given: Vec<(String, String)>,
}

impl Labels {
    fn find(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A label that the configuration takes from no request.
    pub fn check(&self, config: &Config) -> Result<(), Failure> {
        let is_taken = |name: &str| {
            let mut labels = config.enforced_labels().iter().filter(|label| *label.name == *name);
            labels.any(|label| !matches!(label.source, LabelSource::Values(_)))
        };
        match self.given.iter().find(|(name, _)| !is_taken(name)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Failure::Broken(format!("--label {name}: enforced_labels takes no such label from a request")))
            }
        }
    }

    /// The headers that the values stand in.
    pub fn headers<'c>(&'c self, config: &'c Config) -> impl Iterator<Item = (&'c str, &'c str)> {
        let labels = config.enforced_labels().iter();
        labels.filter_map(|label| Some((&**label.header()?, self.find(&label.name)?)))
    }

    /// The metadata that the values stand in, as a part of what Envoy would tell.
    pub fn metadata(&self, config: &Config) -> Option<Vec<u8>> {
        let mut metadata = Vec::new();
        for label in config.enforced_labels() {
            if let (LabelSource::Metadata(path), Some(value)) = (&label.source, self.find(&label.name)) {
                metadata.push((path.to_vec(), value.to_owned()));
            }
        }
        (!metadata.is_empty()).then(|| evidence::all(&metadata))
    }

    /// What the filter makes of the values.
    pub fn values(&self, config: &Config) -> Result<LabelValues, Failure> {
        self.check(config)?;
        let metadata = self.metadata(config);
        let header = |index: usize| Ok(config.enforced_labels().get(index).and_then(|label| self.find(&label.name)));
        let values = config.label_values(|index| Ok(header(index)?.map(str::as_bytes)), metadata.as_deref());
        values.map_err(|(label, error)| Failure::No(Some(format!("no value for the label {label:?}: {error}"))))
    }
}

/// The tenants that the request names; `tenant`: what the command line says.
pub fn tenants(config: &Config, tenant: Option<&str>) -> Result<Tenants, Failure> {
    let no = |reason: String| Failure::No(Some(reason));
    let tenants = match (config.source(), tenant) {
        (Source::Static(tenants), None) => tenants.clone(),
        (Source::Static(_), Some(_)) => {
            return Err(Failure::Broken("static_tenant_ids names the tenant: leave --tenant out".to_owned()));
        }
        (
            Source::Header { .. }
            | Source::Parameter(_)
            | Source::Allowed { .. }
            | Source::Certificate(_)
            | Source::Metadata(_),
            tenant,
        ) => {
            let tenant = tenant.ok_or_else(|| Failure::Broken("--tenant is needed".to_owned()))?;
            config.tenants(tenant.as_bytes()).map_err(|error| no(error.to_string()))?
        }
    };
    let unknown =
        tenants.ids().find(|id| !config.allows(id)).map(|id| format!("tenant {id:?} is not in allowed_tenants"));
    unknown.map_or(Ok(tenants), |reason| Err(no(reason)))
}

/// What these tenants are confined to.
pub fn scope(config: &Config, tenants: &Tenants, labels: &LabelValues) -> Result<Scope, Failure> {
    config.scope(tenants, labels).map_err(|error| Failure::No(Some(error.to_string())))
}

/// What these tenants are confined to, a line for each matcher.
pub fn all(config: &Config, tenants: &Tenants, labels: &Labels) -> Result<String, Failure> {
    if !config.enforces() {
        return Ok(BY_HEADER.to_owned());
    }
    let scope = scope(config, tenants, &labels.values(config)?)?;
    Ok(lines(config, tenants, &scope))
}

/// Where nothing is rewritten.
pub const BY_HEADER: &str = "confined  by the upstream, to the tenant in the header (enforce_tenancy)\n";

/// A line for each matcher, with the reason for it.
pub fn lines(config: &Config, tenants: &Tenants, scope: &Scope) -> String {
    let mut out = String::new();
    let reasons = config.why_confined(tenants);
    let of_tenant = scope.matchers().count().saturating_sub(config.enforced_labels().len());
    let written: Vec<String> = scope.matchers().map(|matcher| matcher.to_string()).collect();
    let width = written.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    for (index, matcher) in written.iter().enumerate() {
        // The tenant's matchers come first, and then one for each label.
        let reason = match index.checked_sub(of_tenant) {
            None => reasons.first(),
            Some(label) => reasons.get(label + 1),
        };
        // Writing to a String can't fail.
        let _ = writeln!(out, "confined  {matcher:width$}  {}", reason.map_or("", String::as_str));
    }
    out
}
