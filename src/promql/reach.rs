//! Computes what a query demands of the storage, above all its reach: how far into the past and the future it reads samples.
//!
//! For each selector, the reach is the time range for which Prometheus's engine asks its storage (`getTimeRangesForSelector` and
//! `subqueryTimes` in promql/engine.go, 3.16):
//!
//! ```text
//! begin, end = "@" of the selector | "@" of the innermost subquery around it that has one | start and end of the query
//! selector without "@":      end   −= offsets of the subqueries around it
//!                            begin −= offsets and ranges of the subqueries around it
//!                            (only of those inside the innermost subquery with "@", and of that one)
//! instant selector:          begin −= lookback − 1 ms         smoothed:  end += lookback
//! range selector:            begin −= range − 1 ms            anchored:  begin −= lookback
//!                                                             smoothed:  begin −= lookback, end += lookback
//! begin, end −= offset of the selector
//! ```
//!
//! Ranges and lookback exclude their left end, hence the millisecond. Durations are added in nanoseconds, and the sums truncated to
//! milliseconds. The step of a subquery can only make its first evaluation later, so it does not extend the reach.
//!
//! Only samples between the earliest and the latest time can influence the answer. These two are the bounds of the querier that the
//! engine opens (`FindMinMaxTime`). Thanos cuts the samples of a chunk to these bounds (`NewBoundedSeriesIterator` in
//! pkg/query/iter.go, 0.42.5), Prometheus to the bounds of each selector (tsdb/querier.go). In Thanos, older samples have an influence
//! in two ways all the same: through downsampled samples, see `src/api/downsampling.rs`, and through the sum of a counter's
//! resets since the beginning of its chunk, which only shifts the point where `rate` and similar functions extrapolate to zero.
//!
//! In two cases the reach is an upper bound, and may be more than what Prometheus's engine asks for:
//! - `info()` looks up its info series at the one time that all selectors of its argument have, or else at the time of evaluation.
//!   Which of the two applies depends on types, so both times are counted, each with the lookback.
//! - Prometheus's engine ignores `@ start()` and `@ end()` in the parameter of an aggregation (`preprocessExprHelper`). Other engines
//!   may resolve them, so both readings are counted.

use super::arithmetic;
use super::ast::{Ast, Modifiers, Node, NodeId, TokenId};
use super::duration::Duration;
use super::error::Fault;
use super::literal;
use super::parser::{Parser, text_of};
use super::postfix::Instant;
use super::token::{Token, TokenKind};
use std::num::NonZeroU32;

/// The times at which a query is evaluated, and the upstream's settings. An instant query has equal start and end, and no step.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// The time of the first evaluation, in milliseconds since 1970.
    pub start_ms: i64,
    /// The time of the last evaluation, likewise.
    pub end_ms: i64,
    /// The time between two evaluations, in nanoseconds. 0 for an instant query.
    pub step_ns: i64,
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// The default step of subqueries, in milliseconds: Prometheus's `global.evaluation_interval`, which is 1 min by default. It has
    /// an effect on [`Demand::subquery_steps`] only.
    pub subquery_step_ms: i64,
    /// The upstream may split the query into parts, each with its own start and end. The value of `range()` is then not known, unless
    /// there is only one step.
    pub in_parts: bool,
}

/// What a query demands of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The earliest and the latest time of the samples that are read, both inclusive, in milliseconds since 1970. `None` if the query
    /// has no selector. The earliest is after the latest if a range is shorter than a millisecond.
    pub samples: Option<(i64, i64)>,
    /// The longest time that one evaluation covers, in milliseconds: for each selector, its range or lookback plus the ranges of the
    /// subqueries around it. Offsets don't count.
    pub longest_ms: i64,
    /// The largest number of steps of a subquery: its range divided by its step, rounded down, as Cortex counts them
    /// (`SubQueryStepSizeCheck` in pkg/querier/tripperware/subquery.go, 1.21).
    pub subquery_steps: i64,
    /// An `@` of the query names a fixed time, which doesn't change with the time of evaluation.
    pub fixed_time: bool,
}

/// Why the demand can't be computed. A duration is not finite, not positive or too long; a time is out of range; a duration is raised
/// to a power that is neither whole nor ±0.5; or `range()` is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown(pub &'static str);

const TOO_LONG: Unknown = Unknown("a duration is out of range: write a shorter one");
const NO_TIME: Unknown = Unknown("a time is out of range: write another one");
const MILLISECOND: i64 = 1_000_000;

pub(super) fn demand(text: &[u8], tokens: &[Token], ast: &Ast, at: &Evaluation) -> Result<Demand, Unknown> {
    // The engine's sums in nanoseconds overflow outside of this range.
    let years = i64::MIN / MILLISECOND..=i64::MAX / MILLISECOND;
    if !(years.contains(&at.start_ms) && years.contains(&at.end_ms)) {
        return Err(NO_TIME);
    }
    let nothing = Demand { samples: None, longest_ms: 0, subquery_steps: 0, fixed_time: false };
    let span = at.end_ms.saturating_sub(at.start_ms).saturating_mul(MILLISECOND);
    // NaN stands for a value that is not known, as in `arithmetic`.
    let range = if at.in_parts && span != 0 { f64::NAN } else { arithmetic::seconds(span) };
    let step = arithmetic::seconds(at.step_ns);
    let mut walk =
        DemandWalk { text, tokens, at, step, range, demand: nothing, ignore_named: true, ignored_named: false };
    walk.nodes(ast)?;
    if walk.ignored_named {
        // An `@ start()` or `@ end()` was ignored: walk the tree again, for engines that resolve it.
        walk.ignore_named = false;
        walk.nodes(ast)?;
    }
    Ok(walk.demand)
}

/// A walk over all nodes that adds up the demand.
struct DemandWalk<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    at: &'a Evaluation,
    /// The value of `step()`, in seconds.
    step: f64,
    /// The value of `range()`, in seconds.
    range: f64,
    demand: Demand,
    /// Ignore `@ start()` and `@ end()` in the parameter of an aggregation.
    ignore_named: bool,
    /// An `@ start()` or `@ end()` was ignored.
    ignored_named: bool,
}

/// What the ancestors of a node contribute to its reach.
#[derive(Clone, Copy, Default)]
struct Ancestors {
    /// The first token of the innermost ancestor. Its descendants are the nodes before it that begin no earlier.
    begin: TokenId,
    /// The sum of the subqueries' offsets, in nanoseconds.
    offset: i64,
    /// The sum of the subqueries' ranges, likewise.
    range: i64,
    /// The `@` of the innermost subquery that has one, in milliseconds.
    at: Option<i64>,
    /// The last node of an aggregation's parameter. That node and the ones before it, down to `begin`, are in the parameter.
    parameter: Option<NodeId>,
    /// One of the ancestors is `info()`.
    info: bool,
}

impl DemandWalk<'_> {
    /// Walks from the last node to the first, so that ancestors come before their descendants.
    fn nodes(&mut self, ast: &Ast) -> Result<(), Unknown> {
        let mut outer: Vec<Ancestors> = Vec::new();
        let mut ancestors = Ancestors::default();
        let mut matrix = 0;
        for ((id, node), &begin) in (0..ast.nodes.len() as NodeId).zip(&ast.nodes).zip(&ast.begins).rev() {
            while begin < ancestors.begin {
                ancestors = outer.pop().unwrap_or_default();
            }
            let in_parameter = ancestors.parameter.is_some_and(|last| id <= last);
            let mut inner = Ancestors { begin, parameter: ancestors.parameter.filter(|_| in_parameter), ..ancestors };
            match node {
                Node::Selector(selector) => {
                    self.selector(&ancestors, in_parameter, &selector.modifiers, std::mem::take(&mut matrix))?;
                    continue;
                }
                // The selector of this range is the next node.
                Node::Matrix { selector: _, range } => {
                    matrix = self.positive(*range)?;
                    continue;
                }
                Node::Subquery { expression: _, range, step, modifiers } => {
                    let range = self.positive(*range)?;
                    self.steps(range, *step)?;
                    let (at, offset) = self.modifiers(modifiers, in_parameter)?;
                    if at.is_some() {
                        (inner.at, inner.offset, inner.range) = (at, offset, range);
                    } else {
                        inner.offset = ancestors.offset.checked_add(offset).ok_or(TOO_LONG)?;
                        inner.range = ancestors.range.checked_add(range).ok_or(TOO_LONG)?;
                    }
                }
                Node::Aggregate { parameter: Some(parameter), expression: _ } if !in_parameter => {
                    inner.parameter = Some(*parameter);
                }
                Node::Call { name, arguments: _, second: _ }
                    if text_of(self.text, self.tokens, *name).eq_ignore_ascii_case(b"info") =>
                {
                    inner.info = true;
                    self.selector(&ancestors, in_parameter, &Modifiers::default(), 0)?;
                }
                Node::Number | Node::String | Node::Binary { .. } | Node::Unary { .. } | Node::Paren { .. } => continue,
                Node::Aggregate { .. } | Node::Call { .. } => continue,
            }
            outer.push(std::mem::replace(&mut ancestors, inner));
        }
        Ok(())
    }

    fn selector(
        &mut self,
        ancestors: &Ancestors,
        in_parameter: bool,
        modifiers: &Modifiers,
        range: i64,
    ) -> Result<(), Unknown> {
        let (at, offset) = self.modifiers(modifiers, in_parameter)?;
        let offset = offset / MILLISECOND;
        let (mut begin, mut end) = match (at, ancestors.at) {
            (Some(at), _) => (at, at),
            (None, at) => {
                let (begin, end) = at.map_or((self.at.start_ms, self.at.end_ms), |at| (at, at));
                let offset = ancestors.offset / MILLISECOND;
                let begin = begin.saturating_sub(offset).saturating_sub(ancestors.range / MILLISECOND);
                (begin, end.saturating_sub(offset))
            }
        };
        let lookback = self.at.lookback_ms;
        let mut back = range / MILLISECOND;
        if range == 0 || modifiers.anchored || modifiers.smoothed {
            back = back.saturating_add(lookback);
        }
        if ancestors.info {
            back = back.max(lookback);
        }
        begin = begin.saturating_sub(back.saturating_sub(1));
        self.demand.longest_ms = self.demand.longest_ms.max(back.saturating_add(ancestors.range / MILLISECOND));
        if modifiers.smoothed {
            end = end.saturating_add(lookback);
        }
        let (begin, end) = (begin.saturating_sub(offset), end.saturating_sub(offset));
        self.demand.samples = Some(match self.demand.samples {
            Some((earliest, latest)) => (earliest.min(begin), latest.max(end)),
            None => (begin, end),
        });
        Ok(())
    }

    /// The time after `@`, in milliseconds, and the offset, in nanoseconds.
    fn modifiers(&mut self, modifiers: &Modifiers, in_parameter: bool) -> Result<(Option<i64>, i64), Unknown> {
        let (mut at, mut offset) = (None, 0);
        let Some(place) = modifiers.place else { return Ok((at, offset)) };
        let mut parser = Parser::again(self.text, self.tokens, place.get(), self.step, self.range);
        loop {
            let kind = parser.peek();
            match kind {
                TokenKind::Offset | TokenKind::At | TokenKind::Anchored | TokenKind::Smoothed => parser.bump(),
                _ => return Ok((at, offset)),
            }
            if kind == TokenKind::Offset {
                let duration = parser.offset_duration().map_err(|_| TOO_LONG)?;
                // The parser accepts several only if all but one are 0.
                offset = offset.saturating_add(nanoseconds(duration)?);
            } else if kind == TokenKind::At {
                at = self.instant(parser.instant(), in_parameter)?;
            }
        }
    }

    fn instant(&mut self, read: Result<Instant, Fault>, in_parameter: bool) -> Result<Option<i64>, Unknown> {
        let named = match read {
            Ok(Instant::Seconds(seconds)) => {
                self.demand.fixed_time = true;
                let milliseconds = (seconds * 1000.0).round();
                let fits = milliseconds.abs() < i64::MAX as f64;
                return if fits { Ok(Some(milliseconds as i64)) } else { Err(NO_TIME) };
            }
            Ok(Instant::Start) => self.at.start_ms,
            Ok(Instant::End) => self.at.end_ms,
            Err(_) => return Err(NO_TIME),
        };
        let ignored = in_parameter && self.ignore_named;
        self.ignored_named |= ignored;
        Ok((!ignored).then_some(named))
    }

    /// The value of a range or a step, in nanoseconds. A computed one may be 0 after it is truncated to milliseconds.
    fn positive(&self, place: TokenId) -> Result<i64, Unknown> {
        let mut parser = Parser::again(self.text, self.tokens, place, self.step, self.range);
        match parser.duration_again() {
            Ok(duration) if duration.seconds() <= 0.0 => {
                Err(Unknown("a range or step is not greater than 0: write a longer one"))
            }
            Ok(duration) => nanoseconds(duration),
            Err(_) => Err(TOO_LONG),
        }
    }

    fn steps(&mut self, range: i64, step: Option<NonZeroU32>) -> Result<(), Unknown> {
        let named = step.map_or(Ok(0), |place| self.positive(place.get()))?;
        let step = if named == 0 { self.at.subquery_step_ms.saturating_mul(MILLISECOND) } else { named };
        self.demand.subquery_steps = self.demand.subquery_steps.max(range.checked_div(step).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Converts a duration as the engine does: literals are rounded to nanoseconds, computed durations truncated to milliseconds.
fn nanoseconds(duration: Duration) -> Result<i64, Unknown> {
    if !duration.seconds().is_finite() {
        return Err(Unknown(
            "a duration is not finite, raised to a power that is not computed here, or depends on range() where the upstream splits queries: write it as a literal",
        ));
    }
    if literal::out_of_range(duration.seconds()) {
        return Err(TOO_LONG);
    }
    Ok(match duration {
        Duration::Literal(seconds) => (seconds * 1e9).round() as i64,
        Duration::Computed(seconds) => ((seconds * 1000.0) as i64).saturating_mul(MILLISECOND),
    })
}
