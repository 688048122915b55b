//! A request whose tenant is served, at an endpoint that the tenant may ask: what is known of it by then.

use super::head::{self, Edits, Facts};
use super::{BodyPlan, Forward, Head, Rejection};
use crate::answer::{Expected, Notes};
use crate::api::{Found, Method, Part, Path, Route, Rule};
use crate::config::{Config, FORWARDED_PREFIX, Split};
use crate::limits::{Engine, Limit, RequestLimits};
use crate::path::{self, Target};
use crate::scope::{Renaming, Scope};
use crate::tenant::{self, LabelValues, Tenants};

/// What is known.
pub struct Admitted<'r> {
    pub head: &'r Head<'r>,
    pub facts: Facts<'r>,
    pub target: Target<'r>,
    /// The tenant's part of the path, with `tenant_path`.
    pub chosen: Option<Split<'r>>,
    /// The prefix of `path_prefixes` below which the endpoint was found.
    pub prefix: &'r str,
    /// What stands in the path in the place of a label's name, a silence's ID and their like.
    pub segment: Option<&'r [u8]>,
    pub route: &'static Route,
    pub method: Method,
    pub tenants: Tenants,
    /// The values of labels that are enforced beside the tenant's.
    pub labels: LabelValues,
    /// `None` where nothing is enforced.
    pub scope: Option<Scope>,
}

/// What was found out before the tenant was known to be served.
pub struct Asked<'r> {
    pub head: &'r Head<'r>,
    pub facts: Facts<'r>,
    pub target: Target<'r>,
    pub chosen: Option<Split<'r>>,
    pub found: Found<'r>,
    pub prefix: &'r str,
}

/// Whether these tenants may ask for this: the row allows it, and so do the operator's switches.
pub fn admit<'r>(
    asked: Asked<'r>,
    tenants: Tenants,
    labels: LabelValues,
    config: &Config,
) -> Result<Admitted<'r>, Rejection> {
    let Asked { head, facts, target, chosen, found: Found { route, segment, .. }, prefix } = asked;
    if let Rule::Refuse(reason) = route.rule {
        return Err(Rejection::Forbidden(reason));
    }
    let is_by_header = matches!(route.rule, Rule::ByHeader | Rule::ByHeaderUnread | Rule::Alertmanager(Part::ByHeader));
    if is_by_header && config.enforces() {
        return Err(Rejection::Forbidden("with enforce_tenancy its answer can't be scoped to a tenant"));
    }
    if route.one_tenant && tenants.are_several() {
        let is_write = matches!(route.rule, Rule::Write(_));
        let error = if is_write { tenant::Error::OneWriter } else { tenant::Error::OneAtATime };
        return Err(Rejection::Tenant(error));
    }
    if let Some(switch) = route.switch.filter(|switch| !config.serves(*switch)) {
        return Err(Rejection::Forbidden(switch.refusal()));
    }
    if config.view().is_some() && route.answer.is_filtered_by_owner() {
        return Err(Rejection::Forbidden(
            "with tenant_regex it can't be told whose rules, alerts, exemplars and series are: static_tenant_ids can name the tenants",
        ));
    }
    let method = method(&facts, route)?;
    let scope = match config.enforces() {
        true => Some(config.scope(&tenants, &labels).map_err(Rejection::Tenant)?),
        false => None,
    };
    let renaming = config.renaming(&tenants).filter(|_| route.renames_labels());
    let scope = scope.map(|scope| scope.renamed(renaming.cloned()));
    Ok(Admitted { head, facts, target, chosen, prefix, segment, route, method, tenants, labels, scope })
}

/// The method, if the row has it.
pub fn method(facts: &Facts<'_>, route: &'static Route) -> Result<Method, Rejection> {
    Method::read(facts.method).filter(|method| route.methods.contains(method)).ok_or(Rejection::Method(route.methods))
}

/// The limits on a request; `None` where there are none.
pub fn limits_on(
    route: &'static Route,
    config: &Config,
    tenants: &Tenants,
    headers: &[(&[u8], &[u8])],
) -> Option<RequestLimits> {
    let engine = Engine {
        profile: config.upstream().profile(),
        lookback_ms: config.lookback_ms(),
        subquery_step_ms: config.subquery_step_ms(),
    };
    RequestLimits::new(config.limits(), tenants, route, engine, headers)
}

impl Admitted<'_> {
    /// Whether the request is over with its head, or says that its body is empty.
    pub fn no_bytes_follow(&self) -> bool {
        self.head.end_of_stream || self.facts.content_length == Some(b"0")
    }

    /// Only a POST may announce a body.
    pub fn check_body(&self) -> Result<(), Rejection> {
        match self.method != Method::Post && !self.no_bytes_follow() && self.facts.content_length.is_some() {
            true => Err(Rejection::Body),
            false => Ok(()),
        }
    }

    /// The limits on it; `None` where there are none.
    pub fn limits(&self, config: &Config) -> Option<RequestLimits> {
        limits_on(self.route, config, &self.tenants, self.head.headers)
    }

    /// How the names of labels are exchanged; `None` where they stay.
    pub fn renaming<'c>(&self, config: &'c Config) -> Option<&'c Renaming> {
        config.renaming(&self.tenants).filter(|_| self.route.renames_labels())
    }

    /// The changes to its headers.
    pub fn edits(&self, config: &Config, has_form: bool) -> Result<Edits, Rejection> {
        let mut edits = head::edit(&self.facts, config, &self.tenants, self.route, has_form)?;
        if let Some(chosen) = self.chosen {
            // In normal form, and so ASCII.
            edits.set.push((FORWARDED_PREFIX.into(), String::from_utf8_lossy(chosen.prefix).into()));
        }
        Ok(edits)
    }

    /// What its answer has to be. `told`: the limits that the upstream is told of.
    pub fn expected(&self, config: &Config, told: Vec<(Limit, i64)>) -> Expected {
        let longest = config.limits().least(&self.tenants, Limit::ResponseSize);
        let longest = longest.map(|size| (Limit::ResponseSize, size));
        let notes = Notes::new(told.into_iter().chain(longest).collect());
        Expected::new(self.route, config, self.scope.as_ref()).limited(notes).of_tenant(self.tenants.joined())
    }

    /// The new `:path`; `None` where it reads so already.
    pub fn path(&self, path: Path, segment: Option<&[u8]>, query: &[u8]) -> Result<Option<Vec<u8>>, Rejection> {
        let path = path::write(self.prefix, path, segment, query).map_err(Rejection::Path)?;
        Ok((path != self.facts.target).then_some(path))
    }

    /// It goes upstream. Neither selectors nor places among running queries are counted.
    pub fn forward(&self, path: Option<Vec<u8>>, edits: Edits, body: BodyPlan, expected: Expected) -> Forward {
        Forward {
            tenant: Some(self.tenants.joined().clone()),
            route: self.route,
            path,
            selectors: 0,
            set: edits.set,
            remove: edits.remove,
            body,
            expected,
            concurrency: Vec::new(),
        }
    }
}

/// Forwards a request that belongs to no tenant, whatever names one in it, and without the tenant header. It has no parameters.
pub fn without_tenant(
    head: &Head<'_>,
    facts: &Facts<'_>,
    config: &Config,
    route: &'static Route,
    prefix: &str,
) -> Result<Forward, Rejection> {
    method(facts, route)?;
    if let Rule::Grpc(call) = route.rule {
        return super::grpc::decide_health(call, route, head, facts, config);
    }
    let no_bytes_follow = head.end_of_stream || facts.content_length == Some(b"0");
    if !no_bytes_follow && facts.content_length.is_some() {
        return Err(Rejection::Body);
    }
    let edits = head::edit_without_tenant(facts, config, head.headers);
    let path = path::write(prefix, route.path, None, b"").map_err(Rejection::Path)?;
    Ok(Forward {
        tenant: None,
        route,
        path: (path != facts.target).then_some(path),
        selectors: 0,
        set: edits.set,
        remove: edits.remove,
        body: if head.end_of_stream { BodyPlan::Absent } else { BodyPlan::MustBeEmpty },
        expected: Expected::of_nobody(route.answer, config),
        concurrency: Vec::new(),
    })
}
