//! `alert_routes`: the alerts that a shared ruler posts, split by the tenant's label. Each tenant's go to the cluster that the configuration names.
//!
//! - The request itself goes nowhere. Its head is held back until its body is whole, so that the proxy asks no upstream, and it is answered when
//!   every part was answered: with 200 where each was taken, else with 502, so that the sender counts a failure and sends again.
//! - An alert without the label, and one of a tenant that is not served, not valid or not listed, goes to the cluster of `"*"`, or is
//!   refused, which is a failure too. The others are sent all the same: one tenant's alerts do not hold up another's.
//! - A part carries the header of its own tenant and no other header of the sender's. Alertmanager takes the same alerts any number of times.

use super::super::ask::authority;
use super::super::{BodyDecision, Head, Rejection};
use super::alerts;
use crate::api::Route;
use crate::config::{AlertRoutes, Config};
use crate::json::Malformed;
use crate::tenant::Tenants;
use std::sync::Arc;

/// The most parts of one body. Prometheus sends 256 alerts at a time, which may be as many tenants'.
pub const MAX_PARTS: usize = 256;

/// What is needed to split alerts once they are here.
#[derive(Debug, Clone)]
pub struct RoutesPlan {
    routes: Arc<AlertRoutes>,
    label: Arc<str>,
    header: Arc<str>,
    timeout_ms: u32,
    head: Vec<(Arc<str>, String)>,
    tenant: Arc<str>,
    route: &'static Route,
}

/// A part: one tenant's alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedPart {
    /// Whose; `None` for alerts without a tenant.
    pub tenant: Option<Arc<str>>,
    /// The cluster that they are sent to; `None`: they are refused.
    pub cluster: Option<Arc<str>>,
    /// How many there are.
    pub count: u32,
    /// The head, where they are sent.
    pub headers: Vec<(Arc<str>, String)>,
    /// The list.
    pub body: Vec<u8>,
}

/// The parts of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// Who posted them.
    pub tenant: Arc<str>,
    /// The row of the API table that applies.
    pub route: &'static Route,
    /// How long each answer is waited for, in milliseconds.
    pub timeout_ms: u32,
    /// In the order in which they begin.
    pub parts: Vec<RoutedPart>,
}

impl RoutesPlan {
    /// For alerts that these tenants' ruler posts to this path.
    pub fn new(
        routes: &Arc<AlertRoutes>,
        config: &Config,
        tenants: &Tenants,
        route: &'static Route,
        head: &Head<'_>,
        path: Vec<u8>,
    ) -> Result<RoutesPlan, Rejection> {
        let path = String::from_utf8(path).map_err(|_| Rejection::Internal("the path is not UTF-8"))?;
        let head = vec![
            (":method".into(), "POST".to_owned()),
            (":path".into(), path),
            (":authority".into(), authority(head)),
            ("content-type".into(), "application/json".to_owned()),
        ];
        Ok(RoutesPlan {
            routes: routes.clone(),
            label: config.label().clone(),
            header: config.forward_tenant_header().clone(),
            timeout_ms: config.call_out_timeout_ms(),
            head,
            tenant: tenants.joined().clone(),
            route,
        })
    }

    /// Splits the whole body.
    pub fn finish(&self, body: &[u8]) -> Result<BodyDecision, Rejection> {
        let mut parts: Vec<RoutedPart> = Vec::new();
        let mut has_too_many = false;
        let read = alerts::read(body, |alert| {
            let given = alert.labels.iter().find(|(name, _)| **name == *self.label);
            let given: String = given.map(|(_, value)| value.chars().collect()).unwrap_or_default();
            let (tenant, cluster) = self.routes.find(&given);
            let found =
                parts.iter().position(|part| part.tenant.as_deref() == tenant && part.cluster.as_ref() == cluster);
            if found.is_none() && parts.len() == MAX_PARTS {
                has_too_many = true;
                return Err(Malformed);
            }
            let at = found.unwrap_or(parts.len());
            if found.is_none() {
                parts.push(self.part(tenant, cluster));
            }
            let part = parts.get_mut(at).ok_or(Malformed)?;
            part.count = part.count.saturating_add(1);
            if part.cluster.is_some() {
                part.body.push(if part.body.is_empty() { b'[' } else { b',' });
                alert.write_with(std::iter::empty(), &mut part.body);
            }
            Ok(())
        });
        if has_too_many {
            return Err(Rejection::Posted(
                alerts::WHAT,
                "it holds alerts of more than 256 tenants: send several requests",
            ));
        }
        read?;
        parts.iter_mut().filter(|part| part.cluster.is_some()).for_each(|part| part.body.push(b']'));
        let Self { tenant, route, timeout_ms, .. } = self;
        let spread = Spread { tenant: tenant.clone(), route, timeout_ms: *timeout_ms, parts };
        Ok(BodyDecision::Spread(Box::new(spread)))
    }

    fn part(&self, tenant: Option<&str>, cluster: Option<&Arc<str>>) -> RoutedPart {
        let mut headers = Vec::new();
        if cluster.is_some() {
            headers.clone_from(&self.head);
            headers.extend(tenant.map(|tenant| (self.header.clone(), tenant.to_owned())));
        }
        RoutedPart { tenant: tenant.map(Arc::from), cluster: cluster.cloned(), count: 0, headers, body: Vec::new() }
    }
}
