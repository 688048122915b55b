//! `metadata`, of which the upstream does not say whose it is. By the names of the tenant's metrics, the upstream is asked for these
//! first; by its targets, the upstream is asked for `targets/metadata` instead, with the tenant's matchers.

use super::admitted::Admitted;
use super::ask::{Answered, Ask, Pending};
use super::parameters::Enforcement;
use super::{BodyPlan, Decision, Forward, Rejection};
use crate::answer::{MetadataAsked, MetadataOf};
use crate::api::{Method, Path};
use crate::config::{Config, MetadataBy};
use crate::go::form;
use crate::memo::Memo;
use crate::names::Names;
use crate::path;
use crate::rejection::{CallOutFault, Place};
use crate::scope::Scope;
use crate::text;
use std::cell::RefCell;
use std::sync::Arc;

const METADATA: Path = Path::Exact("/api/v1/metadata");
const TARGETS_METADATA: Path = Path::Exact("/api/v1/targets/metadata");
const METRIC_NAMES: Path = Path::Around("/api/v1/label/", "/values");

/// Names of metrics that had samples in this time are asked for. Prometheus holds the metadata of targets that it scrapes now.
const RECENT_MS: i64 = 24 * 3_600_000;

/// What is kept until the names have come.
#[derive(Debug, Clone)]
pub struct PendingNames {
    forward: Forward,
    asked: MetadataAsked,
    key: String,
    /// [`Ask::same`].
    question: Option<Arc<str>>,
}

/// Decides on a request for metadata.
// Apart from the other decisions, as V8 compiles many small functions in less time than a large one.
#[inline(never)]
pub fn decide(
    asked: &Admitted<'_>,
    by: MetadataBy,
    scope: &Scope,
    config: &Config,
    memo: &RefCell<Memo>,
) -> Result<Decision, Rejection> {
    let Admitted { route, prefix, head, tenants, .. } = asked;
    asked.check_body()?;
    let edits = asked.edits(config, false)?;
    let expected = asked.expected(config, Vec::new());
    let mut given = Vec::new();
    let enforcement = Enforcement::new(route, config, Some(scope.clone()));
    enforcement.rewrite(asked.target.query, Place::Url, None, memo, &mut given)?;
    let parameters = read(&given)?;
    let mut query = Vec::new();
    let path = match by {
        MetadataBy::Targets => {
            form::append(&mut query, b"match_target", scope.selector().as_bytes());
            TARGETS_METADATA
        }
        MetadataBy::Names => {
            if let Some(metric) = &parameters.metric {
                form::append(&mut query, b"metric", metric.as_bytes());
            }
            METADATA
        }
    };
    let body = if head.end_of_stream { BodyPlan::Absent } else { BodyPlan::MustBeEmpty };
    let mut forward = asked.forward(asked.path(path, None, &query)?, edits, body, expected);
    match by {
        MetadataBy::Targets => {
            forward.selectors = 1;
            forward.expected = forward.expected.of_metadata(MetadataOf { asked: parameters, names: None });
            Ok(Decision::Forward(forward))
        }
        MetadataBy::Names => {
            let key = [prefix, "\n", tenants.joined(), "\n", scope.written()].concat();
            let pending = PendingNames { forward, asked: parameters, key, question: None };
            let known = head.now_ms.and_then(|now| memo.try_borrow().ok()?.names.get(&pending.key, now).cloned());
            if let Some(names) = known {
                return Ok(pending.forward_with(names));
            }
            let profile = config.upstream().profile();
            let selector = if profile.needs_second_matcher { scope.named_selector() } else { scope.selector() };
            let mut query = Vec::new();
            form::append(&mut query, b"match[]", selector.as_bytes());
            if let Some(now) = head.now_ms {
                let mut start = Vec::new();
                // Questions of the same minute are the same.
                let minute = now.saturating_sub(now.rem_euclid(60_000));
                crate::go::time::write(minute.saturating_sub(RECENT_MS), &mut start);
                form::append(&mut query, b"start", &start);
            }
            let path = path::write(prefix, METRIC_NAMES, Some(b"__name__"), &query).map_err(Rejection::Path)?;
            let pending = Pending::Names(Box::new(pending));
            let mut ask = Ask::new(config, tenants, route, head, Method::Get, path, pending)?;
            if let (Some(same), Some(now), Ok(memo)) = (&ask.same, head.now_ms, memo.try_borrow())
                && memo.names.has_failed(same, now)
            {
                return Err(Rejection::CallOut(CallOutFault::Lately));
            }
            if let Pending::Names(pending) = &mut ask.pending {
                pending.question = ask.same.clone();
            }
            Ok(Decision::Ask(ask))
        }
    }
}

/// What the client asks for. Of each parameter there is one at most.
fn read(given: &[u8]) -> Result<MetadataAsked, Rejection> {
    let mut asked = MetadataAsked::default();
    for pair in form::raw_pairs(given) {
        let pair = pair.map_err(|error| Rejection::Form(Place::Url, error))?;
        let value = pair.value().map_err(|error| Rejection::Form(Place::Url, error))?;
        if value.is_empty() {
            continue;
        }
        let number = |name| {
            let number = std::str::from_utf8(&value).ok().and_then(|digits| digits.parse::<i64>().ok());
            number.map(Some).ok_or_else(|| Rejection::Value(name, text::quote(&value)))
        };
        match &*pair.key {
            b"limit" => asked.limit = number("limit")?,
            b"limit_per_metric" => asked.limit_per_metric = number("limit_per_metric")?,
            b"metric" => {
                let metric =
                    std::str::from_utf8(&value).map_err(|_| Rejection::Value("metric", text::quote(&value)))?;
                asked.metric = Some(metric.into());
            }
            _ => {}
        }
    }
    Ok(asked)
}

impl PendingNames {
    /// The upstream has told the names of the tenant's metrics, or has not.
    pub fn finish(
        self,
        answered: &Answered<'_>,
        now_ms: Option<i64>,
        memo: &RefCell<Memo>,
    ) -> Result<Decision, Rejection> {
        let mut cache = memo.try_borrow_mut().ok();
        let mut cache = now_ms.and_then(|now| Some((&mut cache.as_mut()?.names, now)));
        // One that was asked at the same time may have kept them already.
        if let Some(names) = cache.as_ref().and_then(|(cache, now)| cache.get(&self.key, *now)).cloned() {
            return Ok(self.forward_with(names));
        }
        let names = answered
            .body()
            .and_then(|body| Names::read(body).map_err(|_| Rejection::CallOut(CallOutFault::Unreadable)));
        match (names, &mut cache) {
            (Ok(names), cache) => {
                let names = Arc::new(names);
                if let Some((cache, now)) = cache {
                    cache.keep(self.key.clone(), names.clone(), *now);
                }
                Ok(self.forward_with(names))
            }
            (Err(fault), cache) => {
                if let (Some((cache, now)), Some(question)) = (cache, self.question) {
                    cache.note_failure(question, *now);
                }
                Err(fault)
            }
        }
    }

    fn forward_with(self, names: Arc<Names>) -> Decision {
        let PendingNames { mut forward, asked, .. } = self;
        forward.expected = forward.expected.of_metadata(MetadataOf { asked, names: Some(names) });
        Decision::Forward(forward)
    }
}
