//! The checks of an Alertmanager: each tenant's alerts, groups and silences, and what names the other tenant's. Alertmanager has no series, so
//! what tells two tenants apart is the labels of their alerts. Nothing is written: no alert, no silence, and none is deleted.

use super::super::Failure;
use super::check::{Check, Expect};
use super::data::{Pair, Subject};
use super::deployment::Deployment;
use super::judge::label_sets;
use super::queries;
use promql_tenancy_filter::api::{Method, Path, Route};
use promql_tenancy_filter::tenant::Source;
use serde_json::Value;

pub const ALERTS: &str = "/api/v2/alerts";
/// A silence that nobody has.
const NO_SILENCE: &str = "00000000-0000-4000-8000-000000000000";

/// A tenant's alerts, and one of its silences.
pub fn subject(deployment: &Deployment, id: &str) -> Result<Subject, Failure> {
    let alerts = deployment.ask(id, "GET", ALERTS, &[])?;
    if !alerts.is_success() {
        return Err(Failure::Broken(format!("{id}: {}", alerts.problem())));
    }
    let json = alerts.json();
    let series: Vec<_> = label_sets(&json).into_iter().cloned().collect();
    if series.is_empty() {
        return Err(Failure::Broken(format!("{id} has no alerts: each tenant needs one")));
    }
    let silences = deployment.ask(id, "GET", "/api/v2/silences", &[])?.json();
    let silence = silences.pointer("/0/id").and_then(Value::as_str).map(str::to_owned);
    Ok(Subject { id: id.to_owned(), metric: "alerts".to_owned(), own: "alerts".to_owned(), series, silence })
}

/// The checks of a row.
pub fn row(deployment: &Deployment, pair: &Pair, route: &Route, path: &str, checks: &mut Vec<Check>) {
    let group = route.handler;
    let mut add = |what: String, method: &str, path: &str, parameters: &[(&str, &str)], expect| {
        // A tenant that can't be named was refused before.
        let Ok(ask) = deployment.request(&pair.own.id, method, path, parameters) else { return };
        checks.push(Check { group, what: format!("{method}: {what}"), own: pair.number, ask, expect });
    };
    if matches!(route.path, Path::Around(..)) {
        let (before, _) = path.rsplit_once('/').unwrap_or((path, ""));
        add("a silence that nobody has".to_owned(), "GET", &format!("{before}/{NO_SILENCE}"), &[], Expect::Refused);
        add("a silence that nobody has".to_owned(), "DELETE", &format!("{before}/{NO_SILENCE}"), &[], Expect::Refused);
        if let Some(silence) = &pair.other.silence {
            add("the other tenant's silence".to_owned(), "GET", &format!("{before}/{silence}"), &[], Expect::Refused);
        }
        return;
    }
    for method in route.methods {
        match method {
            Method::Get if route.parameters.iter().any(|parameter| parameter.name == "filter") => {
                let own_data = if path == ALERTS { Expect::Data } else { Expect::Anything };
                add(format!("{path}: its own"), "GET", path, &[], own_data);
                let other = queries::matcher(pair, "=", &pair.other.id);
                let everybody = queries::matcher(pair, "=~", ".+");
                for (what, filters) in [
                    ("the other tenant by name", vec![&other]),
                    ("every tenant", vec![&everybody]),
                    ("both", vec![&everybody, &other]),
                ] {
                    let filters: Vec<(&str, &str)> =
                        filters.into_iter().map(|text| ("filter", text.as_str())).collect();
                    add(format!("{path}: {what}"), "GET", path, &filters, Expect::Anything);
                }
                if let Some((label, value)) = pair.marks.first() {
                    let mark = format!("{label}={}", Value::from(&**value));
                    add(
                        format!("{path}: what only the other tenant has"),
                        "GET",
                        path,
                        &[("filter", &mark)],
                        Expect::Nothing,
                    );
                }
            }
            Method::Get | Method::Head | Method::Delete => {
                add(path.to_owned(), method.name(), path, &[], Expect::Anything);
            }
            Method::Post => {
                // For the empty tenant, which nobody takes; and no alert and no silence.
                let Source::Header { name, .. } = deployment.config.source() else { continue };
                let mut ask = deployment.plain("POST", path);
                ask.headers.push((name.to_string(), String::new()));
                ask.headers.push(("content-type".to_owned(), "application/json".to_owned()));
                ask.body = Some(b"[]".to_vec());
                let what = format!("POST: {path}: nothing, for the empty tenant");
                checks.push(Check { group, what, own: pair.number, ask, expect: Expect::Refused });
                return;
            }
        }
    }
}
