//! Two tenants, a metric of each, and what tells their data apart.

use super::super::Failure;
use super::super::http::shortened;
use super::Verify;
use super::alerts;
use super::deployment::Deployment;
use super::judge::label_sets;
use promql_tenancy_filter::api::Upstream;
use promql_tenancy_filter::scope::Inside;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A metric with more series is not asked for: each request would cost the deployment too much.
const MAX_SERIES: usize = 200;
/// So many metrics are tried.
const MAX_TRIES: usize = 20;
/// So many marks are looked for in answers.
const MAX_MARKS: usize = 40;

/// What was found about a tenant.
pub struct Subject {
    pub id: String,
    /// A metric that it has.
    pub metric: String,
    /// The selector of it.
    pub own: String,
    /// Its series; of Alertmanager, the labels of its alerts.
    pub series: Vec<Map<String, Value>>,
    /// One of its silences.
    pub silence: Option<String>,
}

pub struct Data {
    pub subjects: [Subject; 2],
    /// Of each, labels that only its series of the metric have.
    marks: [Vec<(String, String)>; 2],
    scopes: [Option<Inside>; 2],
    pub label: String,
}

/// One tenant, who asks, and the other one, whose data must not be answered.
pub struct Pair<'d> {
    /// The number of the one who asks.
    pub number: usize,
    pub own: &'d Subject,
    pub other: &'d Subject,
    pub scope: Option<&'d Inside>,
    pub label: &'d str,
    /// Labels and values that only the other one's series of the metric have.
    pub marks: Vec<(String, String)>,
    /// A selector for which only the other one has data; `None` where nothing tells them apart.
    pub foreign: Option<String>,
}

impl Data {
    pub fn find(verify: &Verify, deployment: &Deployment) -> Result<Data, Failure> {
        let ids = tenants(verify, deployment)?;
        let mut scopes = [None, None];
        for (scope, id) in scopes.iter_mut().zip(&ids) {
            *scope = deployment.scope(id)?.map(|(inside, _)| inside);
        }
        let subjects = subjects(verify, deployment, &ids)?;
        let marks = [exclusive(&subjects[0], &subjects[1]), exclusive(&subjects[1], &subjects[0])];
        Ok(Data { subjects, marks, scopes, label: deployment.config.label().to_string() })
    }

    pub fn pair(&self, own: usize, other: usize) -> Pair<'_> {
        let [own_subject, other_subject] =
            [own, other].map(|index| if index == 0 { &self.subjects[0] } else { &self.subjects[1] });
        let marks: Vec<(String, String)> = if other == 0 { self.marks[0].clone() } else { self.marks[1].clone() };
        let scope = if own == 0 { &self.scopes[0] } else { &self.scopes[1] };
        let foreign = if own_subject.metric == other_subject.metric {
            let mark = marks.iter().find(|(label, _)| is_word(label));
            mark.map(|(label, value)| format!("{}{{{label}={}}}", other_subject.metric, Value::from(&**value)))
        } else {
            Some(other_subject.own.clone())
        };
        Pair {
            number: own,
            own: own_subject,
            other: other_subject,
            scope: scope.as_ref(),
            label: &self.label,
            marks: if own_subject.metric == other_subject.metric { marks } else { Vec::new() },
            foreign,
        }
    }

    /// Whether anything tells the tenants' data apart.
    pub fn differs(&self) -> bool {
        self.subjects[0].metric != self.subjects[1].metric || self.marks.iter().any(|marks| !marks.is_empty())
    }
}

/// The tenants to ask as: those of the command line, or two that the upstream or the configuration names.
fn tenants(verify: &Verify, deployment: &Deployment) -> Result<[String; 2], Failure> {
    let mut ids: Vec<String> = verify.tenants.clone();
    if ids.len() < 2 {
        let label = deployment.config.label();
        if deployment.upstream != Upstream::Alertmanager
            && let Some(answer) =
                deployment.ask_upstream("tenancyctl", &format!("/api/v1/label/{label}/values"), &[("limit", "1000")])
        {
            ids.extend(strings(&answer?.json()).into_iter().filter(|id| deployment.config.allows(id)));
        }
        for named in [deployment.value("allowed_tenants"), deployment.value("overrides")] {
            match named {
                Value::Array(list) => ids.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
                Value::Object(object) => ids.extend(object.keys().cloned()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let mut seen = BTreeSet::new();
        ids.retain(|id| deployment.config.tenants(id.as_bytes()).is_ok() && seen.insert(id.clone()));
    }
    match <[String; 2]>::try_from(ids.into_iter().take(2).collect::<Vec<_>>()) {
        Ok([one, other]) if one != other => Ok([one, other]),
        Ok(_) | Err(_) => Err(Failure::Broken(
            "two tenants are needed: give --tenant twice, or --upstream or a --config that names some".to_owned(),
        )),
    }
}

/// A metric of each, if possible the same one: `up`, or the first one that both have and that has few series.
fn subjects(verify: &Verify, deployment: &Deployment, ids: &[String; 2]) -> Result<[Subject; 2], Failure> {
    if deployment.upstream == Upstream::Alertmanager {
        return Ok([alerts::subject(deployment, &ids[0])?, alerts::subject(deployment, &ids[1])?]);
    }
    if let Some(metric) = &verify.metric {
        let found = ids.each_ref().map(|id| subject(deployment, id, metric));
        let [one, other] = found;
        return match (one?, other?) {
            (Some(one), Some(other)) => Ok([one, other]),
            _ => Err(Failure::Broken(format!("a tenant has no {metric}, or more than {MAX_SERIES} series of it"))),
        };
    }
    let [one, other] = ids.each_ref().map(|id| names(deployment, id));
    let (one, other) = (one?, other?);
    let common: Vec<&String> = one.iter().filter(|name| other.contains(*name)).collect();
    for name in ["up".to_owned()].iter().filter(|up| common.contains(up)).chain(common.iter().copied()).take(MAX_TRIES)
    {
        if let (Some(one), Some(other)) = (subject(deployment, &ids[0], name)?, subject(deployment, &ids[1], name)?) {
            return Ok([one, other]);
        }
    }
    let alone = |id: &str, own: &BTreeSet<String>, others: &BTreeSet<String>| {
        own.difference(others).take(MAX_TRIES).find_map(|name| subject(deployment, id, name).transpose()).transpose()
    };
    match (alone(&ids[0], &one, &other)?, alone(&ids[1], &other, &one)?) {
        (Some(one), Some(other)) => Ok([one, other]),
        _ => Err(Failure::Broken(format!("{} or {} has no data", ids[0], ids[1]))),
    }
}

fn names(deployment: &Deployment, id: &str) -> Result<BTreeSet<String>, Failure> {
    let start = deployment.now.saturating_sub(3_600).to_string();
    let parameters = [("start", start.as_str()), ("limit", "2000")];
    let answer = deployment.ask(id, "GET", "/api/v1/label/__name__/values", &parameters)?;
    if !answer.is_success() {
        return Err(Failure::Broken(format!("{id}: {}", answer.problem())));
    }
    Ok(strings(&answer.json()).into_iter().filter(|name| is_word(name)).collect())
}

/// The tenant's series of a metric; `None` where there are none, or too many. The upstream is asked where it can be: what passes the
/// filter is yet to be judged.
fn subject(deployment: &Deployment, id: &str, metric: &str) -> Result<Option<Subject>, Failure> {
    let time = deployment.now.to_string();
    let scope = deployment.scope(id)?.map(|(_, written)| format!("{{{written}}}")).unwrap_or_default();
    let answer = match deployment.ask_upstream(
        id,
        "/api/v1/query",
        &[("query", &format!("{metric}{scope}")), ("time", &time)],
    ) {
        Some(answer) => answer?,
        None => deployment.ask(id, "GET", "/api/v1/query", &[("query", metric), ("time", &time)])?,
    };
    if !answer.is_success() {
        return Err(Failure::Broken(format!("{id}: {}", shortened(&answer.problem(), 200))));
    }
    let json = answer.json();
    let series: Vec<Map<String, Value>> = label_sets(&json).into_iter().cloned().collect();
    let is_fit = !series.is_empty() && series.len() <= MAX_SERIES;
    Ok(is_fit.then(|| Subject {
        id: id.to_owned(),
        metric: metric.to_owned(),
        own: metric.to_owned(),
        series,
        silence: None,
    }))
}

/// Labels that only this one's series have, the tenant label left out.
fn exclusive(of: &Subject, other: &Subject) -> Vec<(String, String)> {
    let labels = |subject: &Subject| -> BTreeSet<(String, String)> {
        let all = subject.series.iter().flatten();
        all.filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned()))).collect()
    };
    let others = labels(other);
    let own = labels(of).into_iter().filter(|pair| !others.contains(pair));
    // A label that holds the tenant's ID tells nothing that the label itself does not: a matcher on it may be replaced.
    own.filter(|(label, value)| label != "__name__" && *value != of.id).take(MAX_MARKS).collect()
}

fn strings(json: &Value) -> Vec<String> {
    let list = json.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A name that needs no quotes in PromQL.
fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}
