//! The message of a remote-read request: read whole, each query confined and moved to where limits allow it, and written anew.
//!
//! - The client prefers one of the two answer types, both of which can be checked. That one alone is asked for, so that nothing else
//!   can come back.
//! - A query without a matcher selects nothing (observed with Prometheus 3.15), and so does what limits leave nothing of. Both are asked
//!   for with a matcher that no series has, since a message's answers come in the order of its queries.

use super::admitted::Admitted;
use super::{BodyDecision, BodyPlan, Finished, Forward, Rejection};
use crate::config::Config;
use crate::limits::{Left, Ranges, RequestLimits};
use crate::promql;
use crate::scope::Scope;
use crate::wire::labels::Operator;
use crate::wire::protobuf::{self, Message};
use crate::wire::remote_read::{Query, ReadRequest, SAMPLES, STREAMED_XOR_CHUNKS};
use crate::wire::snappy;

/// The longest message, decompressed, that is read, and the longest that is forwarded: what Cortex and Mimir take (`maxRemoteReadQuerySize`
/// in Cortex's pkg/querier/remote_read.go, 1.21).
pub const MAX_MESSAGE: usize = 1 << 20;

/// The most queries of one message. Clients send one (`Client.Read` and `ReadMultiple` in Prometheus's storage/remote/client.go, 3.16).
const MAX_QUERIES: usize = 256;

/// Under `on_conflict: reject`.
const CONFLICT: Rejection = Rejection::ReadMessage(
    "its matchers on the tenant label can't match the tenant: remove them, or ask for the tenant's own data",
);

/// As for selectors of PromQL.
const RESERVED: Rejection = Rejection::ReadMessage(
    "it names a reserved label, whose value Mimir and Cortex would run as a query: remove the matcher",
);

/// What is needed to confine the message once it is here.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// `None`: nothing is enforced.
    pub scope: Option<Scope>,
    /// Where limits are in force.
    pub limits: Option<Box<RequestLimits>>,
}

/// Decides on the head of a message.
// Apart from the other decisions, as V8 compiles many small functions in less time than a large one.
#[inline(never)]
pub fn decide(asked: &Admitted<'_>, config: &Config) -> Result<Forward, Rejection> {
    asked.check_body()?;
    let edits = asked.edits(config, false)?;
    if asked.head.end_of_stream {
        return Err(Rejection::ReadMessage("it has no body: send the message in it"));
    }
    let plan = ReadPlan { scope: asked.scope.clone(), limits: asked.limits(config).map(Box::new) };
    let edits = edits.of_message(asked.facts.content_length.is_some());
    let path = asked.path(asked.route.path, asked.segment, b"")?;
    let expected = asked.expected(config, Vec::new());
    let forward = asked.forward(path, edits, BodyPlan::RemoteRead(Box::new(plan)), expected);
    Ok(Forward { concurrency: config.limits().concurrency(&asked.tenants), ..forward })
}

impl ReadPlan {
    /// Whether so many bytes can't be a message that is read.
    pub fn is_too_long(size: usize) -> bool {
        // A snappy block is longer than its content by a sixth at the most (`snap::raw::max_compress_len`).
        size > MAX_MESSAGE + MAX_MESSAGE / 6 + 32
    }

    /// Confines the whole body.
    pub(super) fn finish(&self, body: &[u8], now_ms: Option<i64>) -> Result<BodyDecision, Rejection> {
        if Self::is_too_long(body.len()) {
            return Err(Rejection::LongReadMessage(MAX_MESSAGE));
        }
        let message = snappy::decode_block(body, MAX_MESSAGE).map_err(|error| match error {
            snappy::Error::Long => Rejection::LongReadMessage(MAX_MESSAGE),
            snappy::Error::Malformed | snappy::Error::Checksum => Rejection::ReadMessage(error.text()),
        })?;
        let mut request: ReadRequest<'_> =
            protobuf::read(&message).map_err(|error| Rejection::ReadMessage(error.text()))?;
        if request.queries.len() > MAX_QUERIES {
            return Err(Rejection::ReadMessage("it holds more than 256 queries: send several requests"));
        }
        request.accepted_response_types = vec![answer_type(&request.accepted_response_types)?];
        let mut ranges = match &self.limits {
            Some(limits) => Some(Ranges::new(limits, now_ms)?),
            None => None,
        };
        for query in &mut request.queries {
            if query.matchers.iter().any(|matcher| promql::runs_as_query(matcher.name)) {
                return Err(RESERVED);
            }
            let is_empty = query.matchers.is_empty();
            let leaves_nothing = match &mut ranges {
                Some(ranges) => !restrict(query, ranges)?,
                None => false,
            };
            let Some(scope) = &self.scope else {
                if leaves_nothing {
                    query.matchers.push(Scope::nothing_on_the_wire());
                }
                continue;
            };
            scope.confine(&mut query.matchers).map_err(|_| CONFLICT)?;
            if is_empty || leaves_nothing {
                query.matchers.push(Scope::nothing_on_the_wire());
            }
        }
        let selectors = u32::try_from(request.queries.len()).unwrap_or(u32::MAX);
        let mut written = Vec::new();
        request.write(&mut written);
        if written.len() > MAX_MESSAGE {
            return Err(Rejection::LongReadMessage(MAX_MESSAGE));
        }
        let body = Some(snappy::encode_block(&written));
        let selectors = if self.scope.is_some() { selectors } else { 0 };
        Ok(BodyDecision::Forward(Finished { body, selectors, statistics: None, asked: None }))
    }
}

/// The first type that the client names and that is known, as Prometheus chooses (`NegotiateResponseType` in storage/remote/codec.go, 3.16).
fn answer_type(accepted: &[i32]) -> Result<i32, Rejection> {
    if accepted.is_empty() {
        return Ok(SAMPLES);
    }
    let known = accepted.iter().find(|kind| matches!(**kind, SAMPLES | STREAMED_XOR_CHUNKS));
    known.copied().ok_or(Rejection::ReadMessage(
        "none of the response types that it accepts is known: accept SAMPLES or STREAMED_XOR_CHUNKS",
    ))
}

/// Moves the query to where the limits allow it; says whether anything is left of it.
fn restrict(query: &mut Query<'_>, ranges: &mut Ranges<'_>) -> Result<bool, Rejection> {
    let patterns = query.matchers.iter().filter(|matcher| match matcher.operator {
        Operator::Matches | Operator::NotMatches => true,
        Operator::Equal | Operator::NotEqual => false,
    });
    let longest = patterns.map(|matcher| matcher.value.len()).max().unwrap_or(0);
    let (from, to, mut is_left) = match ranges.selector(longest, query.start_timestamp_ms, query.end_timestamp_ms)? {
        Left::Some(from, to) => (from, to, true),
        Left::Nothing(at) => (at, at, false),
    };
    (query.start_timestamp_ms, query.end_timestamp_ms) = (from, to);
    // Clients hint at a part of the query's range. One that is wider would widen what is read.
    if let Some(hints) = &mut query.hints {
        hints.start_ms = hints.start_ms.max(from);
        hints.end_ms = hints.end_ms.min(to);
        is_left &= hints.start_ms <= hints.end_ms;
        if !is_left {
            query.hints = None;
        }
    }
    Ok(is_left)
}
