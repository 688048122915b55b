//! What tenants are confined to beyond one label: `tenant_selectors`, `enforced_labels` and `shared_tenants`.
//!
//! All conditions of a scope have to hold together, so that selectors can be narrowed, by more labels, but never be joined:
//!
//! ```text
//!                    tenant_selectors           enforced_labels   shared_tenants
//! tenant_federation  refused with 400 where     yes               yes: beside all that are named
//!                    one of several has one
//! several            refused at load where      yes               yes
//! static_tenant_ids  one of them has one
//! tenant_regex       refused at load            yes               refused at load: the pattern can name them
//! tenant_selectors                              yes               refused at load: each selector can name them
//! enforce_tenancy    refused at load            refused at load   only where the upstream isolates tenants by the header, and
//! is false                                                        with tenant_federation: the header names them
//! ```

#[cfg(test)]
mod tests;

use super::json::Field;
use super::shape::{Member, Shape, member};
use super::{Config, ConfigError, check};
use crate::promql::{self, Query};
use crate::scope::{MAX_MATCHERS, Matcher, OnConflict, Scope, Unfit};
use crate::tenant::{self, ById, EnforcedLabel, Federation, LabelSource, Source, Tenants, Unreadable, label};
use crate::text;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest selector, in bytes. Each selector of a query grows by about as much.
const MAX_SELECTOR: usize = 16_384;

/// What the three keys say. They are read last, since what is valid depends on other keys.
#[derive(Default)]
pub struct Given {
    pub selectors: Option<Field>,
    pub labels: Option<Field>,
    pub shared: Option<Field>,
}

/// What tenants are confined to beyond the one label.
#[derive(Debug, Clone, Default)]
pub struct Confinement {
    pub selectors: Selectors,
    pub labels: Arc<[EnforcedLabel]>,
    pub shared: Option<Tenants>,
}

/// Tenants' own selectors.
#[derive(Debug, Clone)]
pub struct Selectors {
    by_id: ById<Scope>,
    on_conflict: OnConflict,
    /// How many labels are enforced beside them.
    others: usize,
}

impl Default for Selectors {
    fn default() -> Self {
        Selectors { by_id: ById::default(), on_conflict: OnConflict::Replace, others: 0 }
    }
}

/// What `enforced_labels` takes.
pub(super) const LABELS: Shape = Shape::List { of: &Shape::Object(|| MEMBERS.into()), least: 0, distinct: false };

const MEMBERS: [Member; 4] = [
    member("label", Shape::NAME, "", "the label that is enforced"),
    member("header", Shape::HEADER, "", "the client's header that has its value; it is not forwarded"),
    member(
        "metadata",
        Shape::List { of: &Shape::NAME, least: 2, distinct: false },
        "",
        "where Envoy's dynamic metadata has its value, or a list of values: a namespace, and keys below it",
    ),
    member("values", Shape::set(&Shape::NAME, 1), "", "its values for every request"),
];

impl Confinement {
    /// Whether something other than the tenant's label, or beside it, says whose series are.
    pub fn is_by_other_labels(&self) -> bool {
        !self.selectors.is_empty() || !self.labels.is_empty()
    }
}

/// Reads the keys into a configuration that is valid in all others. `judges`: whether each tenant's selector is judged now.
pub fn read(given: Given, config: &mut Config, judges: bool) -> Result<(), ConfigError> {
    let Given { selectors, labels, shared } = given;
    let mut confinement = Confinement::default();
    if let Some(field) = labels {
        confinement.labels = enforced_labels(field, config)?;
    }
    if let Some(field) = selectors {
        let others = confinement.labels.len();
        confinement.selectors = tenant_selectors(field, config, others, judges)?;
    }
    if let Some(field) = shared {
        confinement.shared = shared_tenants(field, config, &confinement.selectors)?;
    }
    config.confinement = confinement;
    Ok(())
}

const NOT_ENFORCED: &str = "has no effect while enforce_tenancy is false";

fn enforced_labels(field: Field, config: &Config) -> Result<Arc<[EnforcedLabel]>, ConfigError> {
    let mut labels: Vec<EnforcedLabel> = Vec::new();
    let path = field.path.clone();
    for field in field.items("a list of objects")? {
        let path = field.path.clone();
        let label = enforced_label(field, config)?;
        if label.name == config.label {
            return Err(ConfigError::new(path, "the label of tenant_label_name is enforced already"));
        }
        if labels.iter().any(|other| other.name == label.name) {
            return Err(ConfigError::new(path, "the label is in the list twice"));
        }
        labels.push(label);
    }
    match labels.len() {
        0 => {}
        _ if !config.enforce => return Err(ConfigError::new(path, NOT_ENFORCED)),
        // One or two more are the tenant's.
        more if more > MAX_MATCHERS - 2 => return Err(ConfigError::new(path, "too many labels")),
        _ => {}
    }
    Ok(labels.into())
}

fn enforced_label(field: Field, config: &Config) -> Result<EnforcedLabel, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let [name, header, metadata, values] = ["label", "header", "metadata", "values"].map(|key| object.take(key));
    object.finish(&["label", "header", "metadata", "values"])?;
    let needed = |what: &str| ConfigError::new(path.clone(), format!("needs {what}"));
    let name = check::label(&name.ok_or_else(|| needed("a label"))?)?.into();
    let source = match (header, metadata, values) {
        (Some(field), None, None) => {
            let header: Arc<str> = check::header(&field)?.into();
            if config.source.header() == Some(&header) {
                return Err(field.error("this header names the tenant"));
            }
            LabelSource::Header(header)
        }
        (None, Some(field), None) => LabelSource::Metadata(super::claims::path(field)?.into()),
        (None, None, Some(field)) => LabelSource::Values(fixed(field)?),
        _ => return Err(needed("exactly one of header, metadata and values")),
    };
    Ok(EnforcedLabel { name, source })
}

fn fixed(field: Field) -> Result<Arc<[String]>, ConfigError> {
    let path = field.path.clone();
    let mut values = BTreeSet::new();
    for (field, value) in field.texts()? {
        label::check(&value).map_err(|problem| field.error(format!("{value:?} {problem}")))?;
        values.insert(value);
    }
    if values.is_empty() {
        return Err(ConfigError::new(path, "an empty list would match nothing"));
    }
    Ok(values.into_iter().collect())
}

fn tenant_selectors(field: Field, config: &Config, others: usize, judges: bool) -> Result<Selectors, ConfigError> {
    let path = field.path.clone();
    let on_conflict = config.on_conflict;
    let mut judge = |id: &str, field| {
        tenant::check_id(id.as_bytes(), config.format).map_err(|error| ConfigError::new("", error.to_string()))?;
        selector(&field, on_conflict, others).map(drop)
    };
    let entries = field.unread(false, "an object")?;
    let by_id = ById::index(&path, entries, (!judges).then_some(&[]), &mut judge)?;
    let selectors = Selectors { by_id, on_conflict, others };
    if selectors.is_empty() {
        return Ok(selectors);
    }
    let problem = match &config.source {
        _ if !config.enforce => NOT_ENFORCED.to_owned(),
        _ if config.view.is_some() => "has no effect beside tenant_regex".to_owned(),
        Source::Static(tenants) => match selectors.of(tenants) {
            Ok(_) => return Ok(selectors),
            Err(tenant::Error::OwnSelector(id)) => {
                format!("static_tenant_ids names {id} together with others: their selectors can't be joined")
            }
            Err(error) => error.to_string(),
        },
        Source::Header { .. }
        | Source::Parameter(_)
        | Source::Allowed { .. }
        | Source::Certificate(_)
        | Source::Metadata(_) => return Ok(selectors),
    };
    Err(ConfigError::new(path, problem))
}

/// A tenant's selector.
fn selector(field: &Field, on_conflict: OnConflict, others: usize) -> Result<Scope, ConfigError> {
    let text = field.text()?;
    if text.len() > MAX_SELECTOR {
        return Err(field.error(format!("is longer than {MAX_SELECTOR} bytes")));
    }
    let query = Query::parse_selector(text.as_bytes()).map_err(|error| field.error(error.to_string()))?;
    // No upstream reads U+FFFD in a string.
    let is_readable = |text: &str| !text.contains(char::REPLACEMENT_CHARACTER);
    let all_are_readable = |matchers: &Vec<Matcher>| {
        matchers.iter().all(|matcher| is_readable(&matcher.label) && is_readable(&matcher.value))
    };
    let matchers = query.matchers().filter(all_are_readable);
    let matchers = matchers.ok_or_else(|| field.error("holds a name or a value that is not UTF-8"))?;
    if let Some(matcher) = matchers.iter().find(|matcher| promql::runs_as_query(matcher.label.as_bytes())) {
        return Err(field.error(format!("{:?} {}", matcher.label, check::RUN_AS_QUERY)));
    }
    let enforced: Vec<(Matcher, OnConflict)> = matchers.into_iter().map(|matcher| (matcher, on_conflict)).collect();
    let scope = match enforced.len() + others {
        more if more > MAX_MATCHERS => Err(Unfit::TooMany),
        _ => Scope::new(enforced),
    };
    // Rules, alerts and exemplars are filtered by it as well.
    let scope = scope.and_then(|scope| scope.inside().map(|_| scope));
    scope.map_err(|unfit| field.error(unfit.to_string()))
}

fn shared_tenants(field: Field, config: &Config, selectors: &Selectors) -> Result<Option<Tenants>, ConfigError> {
    let path = field.path.clone();
    let texts = field.texts()?;
    for (field, text) in &texts {
        Tenants::one(text.as_bytes(), config.format).map_err(|error| field.error(error.to_string()))?;
    }
    if texts.is_empty() {
        return Ok(None);
    }
    let ids: Vec<&[u8]> = texts.iter().map(|(_, text)| text.as_bytes()).collect();
    let shared =
        Tenants::several(&ids, config.format, 0).map_err(|error| ConfigError::new(path.clone(), error.to_string()))?;
    let isolates = config.upstream.profile().isolates_tenants;
    let problem = if config.view.is_some() {
        "can't widen tenant_regex: let the pattern match them"
    } else if !selectors.is_empty() {
        "can't be joined with tenant_selectors: let each tenant's selector match the shared data"
    } else if isolates && config.federation == Federation::Off {
        "the header has to name several tenants, which needs tenant_federation.enabled, here and at the upstream"
    } else if !isolates && !config.enforce {
        NOT_ENFORCED
    } else {
        return Ok(Some(shared));
    };
    Err(ConfigError::new(path, problem))
}

impl Selectors {
    /// Whether no tenant has one.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many tenants have one.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether a tenant has a selector of its own, which is not read.
    pub fn has_own(&self, id: &str) -> bool {
        self.by_id.contains(id)
    }

    /// A tenant's own selector.
    pub fn get(&self, id: &str) -> Result<Option<&Scope>, Unreadable> {
        self.by_id.get(id, |field| selector(&field, self.on_conflict, self.others))
    }

    /// The selector of these tenants, where they are one that has its own.
    ///
    /// # Errors
    /// [`tenant::Error::OwnSelector`] where one has its own and is named together with others.
    pub fn of(&self, tenants: &Tenants) -> Result<Option<&Scope>, tenant::Error> {
        if self.is_empty() {
            return Ok(None);
        }
        match tenants.single() {
            Some(id) => self.get(id).map_err(|_| tenant::Error::Unreadable(OF_TENANT)),
            None => match tenants.ids().find(|id| self.has_own(id)) {
                Some(id) => Err(tenant::Error::OwnSelector(text::quote(id.as_bytes()))),
                None => Ok(None),
            },
        }
    }

    /// The tenants that have one, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.by_id.ids()
    }

    /// Their selectors, each of which is read.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &Scope)> {
        self.ids().filter_map(|id| self.get(&id).ok()?.map(|scope| (id, scope)))
    }
}

/// What can't be read, where a selector can't be.
pub const OF_TENANT: &str = "configuration of the tenant";
