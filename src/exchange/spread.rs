//! A body that is sent in parts, each to its own cluster, all at the same time.
//!
//! The request itself goes nowhere. It is answered once every part was answered, in whatever order: with 200 where each was taken, and else with an
//! error, so that the sender sends all of it again.

use super::Exchange;
use super::effect::{CallOut, Effect, Step};
use super::refuse::Refusal;
use super::request::RequestStage;
use crate::rejection::Rejection;
use crate::request::{Answered, Reply, RoutedPart, Spread};
use crate::stats::{FAILED, TAKEN, UNROUTED};
use std::sync::Arc;

/// Parts that are on their way.
pub struct Spreading {
    tenant: Arc<str>,
    route: &'static crate::api::Route,
    /// Whose each is, and how many alerts it holds; `None` once it was answered.
    parts: Vec<Option<(Option<Arc<str>>, u32)>>,
    all: u32,
    failed: u32,
    unrouted: u32,
}

/// Why the filter answers in the upstream's place.
pub const SENT_IN_PARTS: &str = "sent_in_parts";

impl Exchange {
    /// Sends the parts. Those that are for nobody count as refused.
    pub(super) fn spread(&mut self, spread: Spread) -> Result<Step, Refusal> {
        let Spread { tenant, route, timeout_ms, parts } = spread;
        let mut spreading = Spreading { tenant, route, parts: Vec::new(), all: 0, failed: 0, unrouted: 0 };
        let (mut effects, mut call_outs) = (Vec::new(), Vec::new());
        for RoutedPart { tenant, cluster, count, headers, body } in parts {
            spreading.all = spreading.all.saturating_add(count);
            match cluster {
                // Nothing is read of the answer but its status.
                Some(cluster) => {
                    call_outs.push(CallOut { cluster, headers, body, timeout_ms, max_answer: 0, same: None });
                    spreading.parts.push(Some((tenant, count)));
                }
                None => {
                    spreading.unrouted = spreading.unrouted.saturating_add(count);
                    effects.push(Effect::CountAlerts { tenant, result: UNROUTED, count });
                }
            }
        }
        if call_outs.is_empty() {
            return self.end_of_spread(&spreading, effects);
        }
        self.request = RequestStage::Spreading(Box::new(spreading));
        effects.push(Effect::CallOut(call_outs));
        Ok(Step::pauses(effects))
    }

    /// Some of the parts were answered, or could not be sent.
    pub(super) fn spreading(
        &mut self,
        mut spreading: Spreading,
        which: &[usize],
        answered: &Answered<'_>,
    ) -> Result<Step, Refusal> {
        let is_taken = matches!(answered, Answered::Answer { status: 200..=299, .. });
        let mut effects = Vec::new();
        for (tenant, count) in which.iter().filter_map(|which| spreading.parts.get_mut(*which)?.take()) {
            let result = if is_taken { TAKEN } else { FAILED };
            spreading.failed = spreading.failed.saturating_add(if is_taken { 0 } else { count });
            effects.push(Effect::CountAlerts { tenant, result, count });
        }
        if spreading.parts.iter().any(Option::is_some) {
            self.request = RequestStage::Spreading(Box::new(spreading));
            return Ok(Step::pauses(effects));
        }
        self.end_of_spread(&spreading, effects)
    }

    fn end_of_spread(&mut self, spreading: &Spreading, mut effects: Vec<Effect>) -> Result<Step, Refusal> {
        let Spreading { all, failed, unrouted, .. } = *spreading;
        let mut step = match failed == 0 && unrouted == 0 {
            true => self.send_reply(Reply {
                tenant: Some(spreading.tenant.clone()),
                route: spreading.route,
                status: 200,
                headers: Vec::new(),
                body: Vec::new(),
                reason: SENT_IN_PARTS,
            }),
            false => self.refuse(&Rejection::AlertsNotTaken { all, failed, unrouted }.into()),
        };
        effects.append(&mut step.effects);
        Ok(Step::pauses(effects))
    }
}
