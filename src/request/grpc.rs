//! gRPC requests: the head, and the one message of the body, which is written anew from what was parsed.
//!
//! ```text
//! body = one frame, plain or compressed with snappy, of one message
//! ```
//!
//! - Fields that are not known are dropped; so are `queryPlan`, which has selectors of its own, and `hints`, which name blocks. Of a field
//!   that may be given once, the last value counts, as for every reader of protobuf.
//! - Each query is rewritten, and each list of matchers gains those of the scope before its own. What becomes of the client's own matchers
//!   on the labels of the scope is decided as in PromQL.
//! - Refused are fields that would reach beyond the tenant: stores chosen by their address, and the tenant's label among the labels that
//!   are removed from series.
//! - `bounds` applies the tenant's limits, by the functions that HTTP's parameters go through.
//!
//! The message goes upstream uncompressed, and nothing asks for a compressed answer: grpc-go compresses an answer as the request was
//! (`server.go` of 1.81.1), whatever `grpc-accept-encoding` says.

mod bounds;

use super::admitted::Admitted;
use super::head::{self, Edits, Facts};
use super::{BodyDecision, BodyPlan, Finished, Forward, Head, Rejection, Reply};
use crate::answer::{self, Expected, MAX_ASKED};
use crate::api::{Call, Cap, Route, is_protobuf};
use crate::config::Config;
use crate::go::form;
use crate::limits::{Limit, RequestLimits};
use crate::promql;
use crate::scope::{CannotMatch, Scope};
use crate::wire::grpc::{self, Encoding, FrameError};
use crate::wire::labels::Matcher;
use crate::wire::protobuf::{self, Message, Seen};
use crate::wire::thanos::{
    ExemplarsRequest, HealthRequest, InfoRequest, LabelNamesRequest, LabelValuesRequest, QueryHints, QueryRangeRequest,
    QueryRequest, RulesRequest, SeriesRequest, TargetsRequest,
};
use bounds::{Asked, Bounds, Within};
use std::sync::Arc;

/// The longest body, and the longest message once it is decompressed, in bytes: what grpc-go reads by default. Envoy's buffer limit does
/// not hold for HTTP/2, where 900 kB passed a limit of 64 KiB (observed with Envoy 1.40.0).
pub const MAX_MESSAGE: usize = 4 << 20;

/// Under `on_conflict: reject`.
const CONFLICT: Rejection = Rejection::Message(
    "its matchers on the tenant label can't match the tenant: remove them, or ask for the tenant's own data",
);
/// As for selectors of PromQL.
const RESERVED: Rejection = Rejection::Message(
    "it names a reserved label, whose value Mimir and Cortex would run as a query: remove the matcher",
);

/// A health check names a service at most. Anybody may send one.
const MAX_HEALTH: usize = 1 << 10;

const STORES: &str = "stores are the operator's to choose: leave it out";
const MERGED: &str = "the tenant label can't be merged away: leave it out";

/// What is needed to write the message anew once it is here.
#[derive(Debug, Clone)]
pub struct MessagePlan {
    call: Call,
    route: &'static Route,
    encoding: Encoding,
    /// Where queries and matchers are rewritten.
    scope: Option<Arc<Scope>>,
    limits: Option<Box<RequestLimits>>,
    tenant: Arc<str>,
    /// The longest body, and the longest message.
    bound: usize,
}

/// Decides on the head of a call that a tenant makes.
#[inline(never)]
pub fn decide(call: Call, asked: &Admitted<'_>, config: &Config) -> Result<Forward, Rejection> {
    let Admitted { head, facts, tenants, route, .. } = asked;
    // A gRPC client's paths have no prefix.
    if asked.chosen.is_some() {
        return Err(Rejection::UnknownPath);
    }
    let Edits { mut set, mut remove } = asked.edits(config, false)?;
    let encoding = read_head(head, facts, &mut set, &mut remove)?;
    let limits = asked.limits(config);
    let concurrency =
        if route.evaluates || call == Call::Series { config.limits().concurrency(tenants) } else { Vec::new() };
    let tenant = tenants.joined().clone();
    let limits = limits.map(Box::new);
    // Of the limits that are written into messages, a time is the one that an upstream says something about.
    let time = limits.as_ref().filter(|_| route.evaluates).and_then(|limits| limits.cap(Cap::Time));
    let told = time.map(|time| (Limit::Timeout, time)).into_iter().collect();
    let expected = asked.expected(config, told).narrowed(true);
    let scope = asked.scope.clone().map(Arc::new);
    let plan = MessagePlan { call, route, encoding, scope, limits, tenant: tenant.clone(), bound: MAX_MESSAGE };
    Ok(Forward {
        tenant: Some(tenant),
        route,
        path: None,
        selectors: 0,
        set,
        remove,
        body: BodyPlan::Message(plan),
        expected,
        concurrency,
    })
}

/// Decides on the head of a health check, whoever sends it: it has no tenant's data.
pub fn decide_health(
    call: Call,
    route: &'static Route,
    head: &Head<'_>,
    facts: &Facts<'_>,
    config: &Config,
) -> Result<Forward, Rejection> {
    let Edits { mut set, mut remove } = head::edit_without_tenant(facts, config, head.headers);
    let encoding = read_head(head, facts, &mut set, &mut remove)?;
    let plan = MessagePlan { call, route, encoding, scope: None, limits: None, tenant: "".into(), bound: MAX_HEALTH };
    Ok(Forward {
        tenant: None,
        route,
        path: None,
        selectors: 0,
        set,
        remove,
        body: BodyPlan::Message(plan),
        expected: Expected::of_nobody(route.answer, config),
        concurrency: Vec::new(),
    })
}

/// What of a gRPC head concerns the message: its type, its compression, and that there is one.
fn read_head(
    head: &Head<'_>,
    facts: &Facts<'_>,
    set: &mut Vec<(Arc<str>, Arc<str>)>,
    remove: &mut Vec<Arc<str>>,
) -> Result<Encoding, Rejection> {
    let content_type = facts.content_type(Rejection::NotGrpc)?.filter(|content_type| is_protobuf(content_type));
    if content_type.ok_or(Rejection::NotGrpc)? != b"application/grpc" {
        set.push(("content-type".into(), "application/grpc".into()));
    }
    if facts.target.contains(&b'?') {
        return Err(Rejection::Path("a gRPC method has no query string: send none"));
    }
    if head.end_of_stream {
        return Err(refused(FrameError::Empty, MAX_MESSAGE));
    }
    let mut encoding = None;
    for (name, value) in head.headers {
        let name = match *name {
            b"grpc-encoding" if encoding.replace(*value).is_some() => {
                return Err(Rejection::Head("grpc-encoding appears more than once: send it once"));
            }
            b"grpc-encoding" => "grpc-encoding",
            b"grpc-accept-encoding" => "grpc-accept-encoding",
            // Kept beside a longer body, it would let the excess through as a request of its own.
            b"content-length" => "content-length",
            b"content-encoding" => return Err(Rejection::MessageEncoding),
            _ => continue,
        };
        if !remove.iter().any(|seen| &**seen == name) {
            remove.push(name.into());
        }
    }
    Encoding::of(encoding).map_err(|error| refused(error, MAX_MESSAGE))
}

impl MessagePlan {
    /// Writes the message anew. The time is that at which the body is whole.
    pub fn finish(&self, body: &[u8], now_ms: Option<i64>) -> Result<BodyDecision, Rejection> {
        // It need not be whole then.
        if self.is_too_long(body.len()) {
            return Err(Rejection::LongMessage(self.bound));
        }
        let message = grpc::message(body, self.encoding, self.bound).map_err(|error| refused(error, self.bound))?;
        let mut writing = Writing { plan: self, now_ms, selectors: 0, asked: None };
        let new = match writing.write(&message) {
            Ok(new) => new,
            Err(Stopped::Empty(empty)) => {
                return Ok(BodyDecision::Reply(Reply::empty(self.tenant.clone(), self.route, empty)));
            }
            Err(Stopped::Refused(rejection)) => return Err(rejection),
        };
        Ok(BodyDecision::Forward(Finished {
            body: (new != body).then_some(new),
            selectors: writing.selectors,
            statistics: None,
            asked: writing.asked,
        }))
    }

    /// Whether so many bytes can't be a message that is read.
    pub fn is_too_long(&self, size: usize) -> bool {
        size > self.bound
    }
}

/// Why no message is written.
enum Stopped {
    /// Limits leave nothing of the request: the answer is this empty one.
    Empty(crate::api::Empty),
    /// The request is refused.
    Refused(Rejection),
}

impl From<Rejection> for Stopped {
    fn from(rejection: Rejection) -> Self {
        Stopped::Refused(rejection)
    }
}

/// One message while it is written.
struct Writing<'p> {
    plan: &'p MessagePlan,
    now_ms: Option<i64>,
    selectors: u32,
    /// What the places in the answer's messages refer to.
    asked: Option<answer::Asked>,
}

impl<'p> Writing<'p> {
    fn write<'m>(&mut self, message: &'m [u8]) -> Result<Vec<u8>, Stopped>
    where
        'p: 'm,
    {
        match self.plan.call {
            Call::Query => self.query(read(message)?),
            Call::QueryRange => self.query_range(read(message)?),
            Call::Series => self.series(read(message)?),
            Call::LabelNames => self.label_names(read(message)?),
            Call::LabelValues => self.label_values(read(message)?),
            Call::Exemplars => self.exemplars(read(message)?),
            Call::Rules => self.rules(read(message)?),
            Call::Targets => write(&read::<TargetsRequest>(message)?),
            Call::Info => write(&read::<InfoRequest>(message)?),
            Call::Health => write(&read::<HealthRequest<'_>>(message)?),
        }
    }

    fn query(&mut self, mut request: QueryRequest<'_>) -> Result<Vec<u8>, Stopped> {
        self.check_replicas("replica_labels", &request.replica_labels)?;
        check_stores(request.store_matchers)?;
        // 0 stands for now, in whole seconds.
        let now = self.now_ms.filter(|_| request.time_seconds == 0).map(|now| now.div_euclid(1000));
        let asked = Asked {
            query: request.query,
            time_ms: Some(now.unwrap_or(request.time_seconds).saturating_mul(1000)),
            lookback_seconds: request.lookback_delta_seconds,
            resolution_seconds: request.max_resolution_seconds,
            ..Asked::default()
        };
        if let Some(bounds) = self.bounds() {
            let within = bounds.decide(&asked)?.or_stop()?;
            request.time_seconds = now.unwrap_or(request.time_seconds);
            request.max_resolution_seconds = within.resolution_seconds.unwrap_or(request.max_resolution_seconds);
        }
        request.timeout_seconds = self.seconds(request.timeout_seconds);
        let query = self.rewrite(request.query)?;
        write(&QueryRequest { query: &query, ..request })
    }

    fn query_range(&mut self, mut request: QueryRangeRequest<'_>) -> Result<Vec<u8>, Stopped> {
        self.check_replicas("replica_labels", &request.replica_labels)?;
        check_stores(request.store_matchers)?;
        let asked = Asked {
            query: request.query,
            start_ms: Some(request.start_time_seconds.saturating_mul(1000)),
            end_ms: Some(request.end_time_seconds.saturating_mul(1000)),
            step_seconds: Some(request.interval_seconds),
            lookback_seconds: request.lookback_delta_seconds,
            resolution_seconds: request.max_resolution_seconds,
            ..Asked::default()
        };
        if let Some(bounds) = self.bounds() {
            let within = bounds.decide(&asked)?.or_stop()?;
            // A start moves by whole steps, so that it stays at a whole second.
            request.start_time_seconds =
                within.start_ms.map_or(request.start_time_seconds, |start| start.saturating_add(999).div_euclid(1000));
            request.end_time_seconds = within.end_ms.map_or(request.end_time_seconds, |end| end.div_euclid(1000));
            request.max_resolution_seconds = within.resolution_seconds.unwrap_or(request.max_resolution_seconds);
        }
        request.timeout_seconds = self.seconds(request.timeout_seconds);
        let query = self.rewrite(request.query)?;
        write(&QueryRangeRequest { query: &query, ..request })
    }

    fn series<'m>(&mut self, mut request: SeriesRequest<'m>) -> Result<Vec<u8>, Stopped>
    where
        'p: 'm,
    {
        self.check_replicas("without_replica_labels", &request.without_replica_labels)?;
        request.matchers = self.matchers(std::mem::take(&mut request.matchers))?;
        if let Some(bounds) = self.bounds() {
            let asked = Asked::between(&request.matchers, request.min_time, request.max_time);
            let within = bounds.decide(&asked)?.or_stop()?;
            // A downsampled sample stands for those of a window before it, of at most an hour.
            let window = request.max_resolution_window.clamp(0, 3_600_000);
            request.min_time = within.start_ms.map_or(request.min_time, |start| start.saturating_add(window));
            request.max_time = within.end_ms.unwrap_or(request.max_time);
        }
        // Which labels the engine needs: a store that answers no more than those would leave out the tenant's, and nothing would tell
        // whose the series are.
        request.query_hints = request.query_hints.map(|hints| QueryHints {
            projection_labels: Vec::new(),
            projection_include: false,
            ..hints
        });
        request.limit = self.items(request.limit);
        write(&request)
    }

    /// Confines a request for names, and moves its times to where limits allow them.
    fn names<'m>(&mut self, matchers: &mut Vec<Matcher<'m>>, start: &mut i64, end: &mut i64) -> Result<(), Stopped>
    where
        'p: 'm,
    {
        *matchers = self.matchers(std::mem::take(matchers))?;
        if let Some(bounds) = self.bounds() {
            match bounds.decide(&Asked::between(matchers, *start, *end))? {
                Within::Times(within) => {
                    *start = within.start_ms.unwrap_or(*start);
                    *end = within.end_ms.unwrap_or(*end);
                }
                Within::Nothing(_) => matchers.push(Scope::nothing_on_the_wire()),
            }
        }
        Ok(())
    }

    fn label_names<'m>(&mut self, mut request: LabelNamesRequest<'m>) -> Result<Vec<u8>, Stopped>
    where
        'p: 'm,
    {
        self.check_replicas("without_replica_labels", &request.without_replica_labels)?;
        self.names(&mut request.matchers, &mut request.start, &mut request.end)?;
        request.limit = self.items(request.limit);
        write(&request)
    }

    fn label_values<'m>(&mut self, mut request: LabelValuesRequest<'m>) -> Result<Vec<u8>, Stopped>
    where
        'p: 'm,
    {
        self.check_replicas("without_replica_labels", &request.without_replica_labels)?;
        self.names(&mut request.matchers, &mut request.start, &mut request.end)?;
        request.limit = self.items(request.limit);
        write(&request)
    }

    fn exemplars(&mut self, mut request: ExemplarsRequest<'_>) -> Result<Vec<u8>, Stopped> {
        if let Some(bounds) = self.bounds() {
            let asked = Asked { query: request.query, ..Asked::between(&[], request.start, request.end) };
            let within = bounds.decide(&asked)?.or_stop()?;
            request.start = within.start_ms.unwrap_or(request.start);
            request.end = within.end_ms.unwrap_or(request.end);
        }
        let query = self.rewrite(request.query)?;
        write(&ExemplarsRequest { query: &query, ..request })
    }

    /// `matcher_string` is left out: servers do not look at it (`pkg/rules/rules.go` of Thanos 0.42.5 applies it where its HTTP API asks),
    /// and a rule that is shared has no label that the tenant's matcher would match.
    fn rules(&mut self, mut request: RulesRequest<'_>) -> Result<Vec<u8>, Stopped> {
        request.matcher_string.clear();
        write(&request)
    }

    /// How long the query may take: the client's time, or the tenant's where that is shorter. 0 and less stand for the server's.
    fn seconds(&self, asked: i64) -> i64 {
        self.capped(Cap::Time, 1_000, asked)
    }

    /// How many series, names or values are returned, likewise.
    fn items(&self, asked: i64) -> i64 {
        self.capped(Cap::Items, 1, asked)
    }

    /// `unit`: how many of the limit's one of the field's is.
    fn capped(&self, cap: Cap, unit: i64, asked: i64) -> i64 {
        match self.plan.limits.as_deref().and_then(|limits| limits.cap(cap)) {
            None => asked,
            Some(limit) => {
                let limit = limit.saturating_add(unit - 1).div_euclid(unit);
                if asked > 0 { asked.min(limit) } else { limit }
            }
        }
    }

    fn bounds(&self) -> Option<Bounds<'p>> {
        self.plan.limits.as_deref().map(|limits| Bounds { limits, now_ms: self.now_ms })
    }

    /// An empty query selects nothing; the upstream refuses it in its own words.
    fn rewrite(&mut self, query: &[u8]) -> Result<Vec<u8>, Rejection> {
        let Some(scope) = self.plan.scope.as_ref().filter(|_| !query.is_empty()) else { return Ok(query.to_vec()) };
        let mut written = Vec::new();
        let enforced = promql::rewrite(query, scope, &mut written);
        let enforced = enforced.map_err(|error| Rejection::Query("query", error))?;
        let mut encoded = Vec::new();
        if query.len() <= MAX_ASKED {
            form::escape(&mut encoded, query);
        } else {
            encoded.resize(MAX_ASKED + 1, 0);
        }
        self.asked = Some(answer::Asked::query(&encoded, scope));
        self.selectors = self.selectors.saturating_add(enforced);
        Ok(written)
    }

    /// The scope's matchers, and those of the client's that are kept beside them.
    fn matchers<'m>(&mut self, mut matchers: Vec<Matcher<'m>>) -> Result<Vec<Matcher<'m>>, Rejection>
    where
        'p: 'm,
    {
        if matchers.iter().any(|matcher| promql::runs_as_query(matcher.name)) {
            return Err(RESERVED);
        }
        let plan: &'p MessagePlan = self.plan;
        if let Some(scope) = &plan.scope {
            scope.confine(&mut matchers).map_err(|CannotMatch| CONFLICT)?;
            self.selectors = self.selectors.saturating_add(1);
        }
        Ok(matchers)
    }

    /// Thanos takes these labels out of the answer.
    fn check_replicas(&self, field: &'static str, labels: &[&[u8]]) -> Result<(), Rejection> {
        match &self.plan.scope {
            Some(scope) if labels.iter().any(|label| scope.names(label)) => Err(Rejection::Field(field, MERGED)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The answer, and its warnings, would tell which stores there are.
fn check_stores(stores: Seen) -> Result<(), Rejection> {
    match stores {
        Seen(true) => Err(Rejection::Field("storeMatchers", STORES)),
        Seen(false) => Ok(()),
    }
}

fn read<'m, M: Message<'m> + Default>(message: &'m [u8]) -> Result<M, Rejection> {
    protobuf::read(message).map_err(|error| Rejection::Message(error.text()))
}

fn write(message: &dyn Message<'_>) -> Result<Vec<u8>, Stopped> {
    Ok(grpc::body(message).map_err(|error| refused(error, MAX_MESSAGE))?)
}

fn refused(error: FrameError, bound: usize) -> Rejection {
    match error {
        FrameError::Encoding => Rejection::MessageEncoding,
        FrameError::Long | FrameError::Snappy(crate::wire::snappy::Error::Long) => Rejection::LongMessage(bound),
        FrameError::Empty
        | FrameError::Cut
        | FrameError::Second
        | FrameError::Trailing
        | FrameError::Flag
        | FrameError::Compressed
        | FrameError::Snappy(_) => Rejection::Message(error.text()),
    }
}
