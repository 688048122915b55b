//! What a query demands of the storage: above all how far it reaches into the past and the future.
//!
//! The reach is what Prometheus's engine asks its storage for, selector by selector (`getTimeRangesForSelector` and
//! `subqueryTimes` in promql/engine.go, 3.16):
//!
//! ```text
//! begin, end = "@" of the selector | "@" of the innermost subquery around it that has one | start and end of the query
//! without "@" of its own:    end   −= offsets of the subqueries around it
//!                            begin −= the same, and their ranges
//!                            counted from the innermost one with "@" inwards
//! without range:             begin −= lookback − 1 ms         smoothed:  end += lookback
//! with one:                  begin −= range − 1 ms            anchored:  begin −= lookback
//!                                                             smoothed:  likewise, and end += lookback
//! begin, end −= offset of the selector
//! ```
//!
//! Ranges and lookback are open to the left, hence the millisecond. Sums are of nanoseconds, cut to milliseconds after.
//! The step of a subquery moves its first evaluation later, never earlier, and has no part in it.
//!
//! Only what lies between the earliest and the latest instant can influence the answer: these two are the bounds of the
//! querier that the engine opens (`FindMinMaxTime`), and what storages read from a chunk is cut to them, by Thanos
//! (`NewBoundedSeriesIterator` in pkg/query/iter.go, 0.42.5), or to a selector's own, by Prometheus (tsdb/querier.go).
//! Thanos makes two things of older samples nevertheless: downsampled ones, see `src/api/downsampling.rs`, and the sum
//! of a counter's resets since its chunk began, which only shifts where `rate` and its like extrapolate to zero.
//!
//! In two places the reach is an upper bound, and may be more than what this engine asks for:
//! - `info()` looks for its info series at the one time that its argument's selectors have in common, or else at the time
//!   of evaluation. Which of them counts depends on types; here each of these times counts, with the lookback.
//! - The engine forgets to resolve `@ start()` and `@ end()` in an aggregation's parameter (`preprocessExprHelper`), as if
//!   they weren't there. Others may not: both readings count.

use super::arithmetic;
use super::ast::{Ast, Modifiers, Node, NodeId, TokenId};
use super::duration::Duration;
use super::error::Fault;
use super::literal;
use super::parser::{Parser, text_of};
use super::postfix::Instant;
use super::token::{Kind, Token};
use std::num::NonZeroU32;

/// When and how a query is evaluated. An instant query has the same start and end, and no step.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// First evaluation, in milliseconds since 1970.
    pub start_ms: i64,
    /// Last evaluation, likewise.
    pub end_ms: i64,
    /// Between two evaluations, in nanoseconds; 0 for an instant query.
    pub step_ns: i64,
    /// How far back an instant selector looks, in milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, in milliseconds: Prometheus's `global.evaluation_interval`, 1 min by
    /// default. It counts for [`Demand::subquery_steps`] only.
    pub subquery_step_ms: i64,
    /// The upstream may evaluate it in parts, each with a start and an end of its own: then `range()` can't be known, unless there is
    /// one step only.
    pub in_parts: bool,
}

/// What a query demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The earliest and the latest instant, inclusive, of what is read, in milliseconds since 1970. `None`: it has no
    /// selector. The earliest is after the latest where a range is shorter than a millisecond.
    pub samples: Option<(i64, i64)>,
    /// How far the longest range, with those of the subqueries around it, or the lookback reaches by itself, wherever its
    /// offsets lead, in milliseconds.
    pub longest_ms: i64,
    /// The most steps of any subquery: its range divided by its step, rounded down, as Cortex counts them
    /// (`SubQueryStepSizeCheck` in pkg/querier/tripperware/subquery.go, 1.21).
    pub subquery_steps: i64,
    /// Some `@` names a time: what is read doesn't move with the time of the query.
    pub fixed_time: bool,
}

/// Its reach can't be computed: a duration is not finite, not positive or too long, a time is out of range, a duration
/// is raised to a power that is neither whole nor 0.5, or `range()` is not known. The message says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown(pub &'static str);

const TOO_LONG: Unknown = Unknown("a duration is out of range");
const NO_TIME: Unknown = Unknown("a time is out of range");
const MILLISECOND: i64 = 1_000_000;

pub(super) fn demand(text: &[u8], tokens: &[Token], ast: &Ast, at: &Evaluation) -> Result<Demand, Unknown> {
    // Beyond these years the engine's own sums, in nanoseconds, are not what they should be.
    let years = i64::MIN / MILLISECOND..=i64::MAX / MILLISECOND;
    if !(years.contains(&at.start_ms) && years.contains(&at.end_ms)) {
        return Err(NO_TIME);
    }
    let nothing = Demand { samples: None, longest_ms: 0, subquery_steps: 0, fixed_time: false };
    let span = at.end_ms.saturating_sub(at.start_ms).saturating_mul(MILLISECOND);
    // What isn't known is NaN, as in `arithmetic`.
    let range = if at.in_parts && span != 0 { f64::NAN } else { arithmetic::seconds(span) };
    let step = arithmetic::seconds(at.step_ns);
    let mut walk = Walk { text, tokens, at, step, range, demand: nothing, forgets: false, forgot: false };
    walk.nodes(ast)?;
    if walk.forgot {
        // Once more, as an engine that forgets nothing.
        walk.nodes(ast)?;
    }
    Ok(walk.demand)
}

struct Walk<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    at: &'a Evaluation,
    /// What `step()` stands for.
    step: f64,
    /// What `range()` stands for.
    range: f64,
    demand: Demand,
    /// `@ start()` and `@ end()` in an aggregation's parameter are passed over.
    forgets: bool,
    /// That happened.
    forgot: bool,
}

/// What stands around a node.
#[derive(Clone, Copy, Default)]
struct Around {
    /// It holds all nodes before it that begin no earlier.
    begin: TokenId,
    /// Offsets of subqueries, in nanoseconds.
    offset: i64,
    /// Ranges of subqueries, likewise.
    range: i64,
    /// `@` of a subquery.
    at: Option<i64>,
    /// The nodes up to this one are in an aggregation's parameter.
    parameter: Option<NodeId>,
    /// Inside `info()`.
    info: bool,
}

impl Walk<'_> {
    /// From the last node to the first, so that what is around a node comes before it.
    fn nodes(&mut self, ast: &Ast) -> Result<(), Unknown> {
        self.forgets = !self.forgot;
        let mut outer: Vec<Around> = Vec::new();
        let mut around = Around::default();
        let mut matrix = 0;
        for ((id, node), &begin) in (0..ast.nodes.len() as NodeId).zip(&ast.nodes).zip(&ast.begins).rev() {
            while begin < around.begin {
                around = outer.pop().unwrap_or_default();
            }
            let in_parameter = around.parameter.is_some_and(|last| id <= last);
            let mut inner = Around { begin, parameter: around.parameter.filter(|_| in_parameter), ..around };
            match node {
                Node::Selector(selector) => {
                    self.selector(&around, in_parameter, &selector.modifiers, std::mem::take(&mut matrix))?;
                    continue;
                }
                // Its selector is the next node.
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
                        inner.offset = around.offset.checked_add(offset).ok_or(TOO_LONG)?;
                        inner.range = around.range.checked_add(range).ok_or(TOO_LONG)?;
                    }
                }
                Node::Aggregate { parameter: Some(parameter), expression: _ } if !in_parameter => {
                    inner.parameter = Some(*parameter);
                }
                Node::Call { name, arguments: _, second: _ }
                    if text_of(self.text, self.tokens, *name).eq_ignore_ascii_case(b"info") =>
                {
                    inner.info = true;
                    self.selector(&around, in_parameter, &Modifiers::default(), 0)?;
                }
                Node::Number | Node::String | Node::Binary { .. } | Node::Unary { .. } | Node::Paren { .. } => continue,
                Node::Aggregate { .. } | Node::Call { .. } => continue,
            }
            outer.push(std::mem::replace(&mut around, inner));
        }
        Ok(())
    }

    fn selector(
        &mut self,
        around: &Around,
        in_parameter: bool,
        modifiers: &Modifiers,
        range: i64,
    ) -> Result<(), Unknown> {
        let (at, offset) = self.modifiers(modifiers, in_parameter)?;
        let offset = offset / MILLISECOND;
        let (mut begin, mut end) = match (at, around.at) {
            (Some(at), _) => (at, at),
            (None, at) => {
                let (begin, end) = at.map_or((self.at.start_ms, self.at.end_ms), |at| (at, at));
                let offset = around.offset / MILLISECOND;
                let begin = begin.saturating_sub(offset).saturating_sub(around.range / MILLISECOND);
                (begin, end.saturating_sub(offset))
            }
        };
        let lookback = self.at.lookback_ms;
        let mut back = range / MILLISECOND;
        if range == 0 || modifiers.anchored || modifiers.smoothed {
            back = back.saturating_add(lookback);
        }
        if around.info {
            back = back.max(lookback);
        }
        begin = begin.saturating_sub(back.saturating_sub(1));
        self.demand.longest_ms = self.demand.longest_ms.max(back.saturating_add(around.range / MILLISECOND));
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

    /// The time behind `@`, in milliseconds, and the offset, in nanoseconds.
    fn modifiers(&mut self, modifiers: &Modifiers, in_parameter: bool) -> Result<(Option<i64>, i64), Unknown> {
        let (mut at, mut offset) = (None, 0);
        let Some(place) = modifiers.place else { return Ok((at, offset)) };
        let mut parser = Parser::again(self.text, self.tokens, place.get(), self.step, self.range);
        loop {
            let kind = parser.peek();
            match kind {
                Kind::Offset | Kind::At | Kind::Anchored | Kind::Smoothed => parser.bump(),
                _ => return Ok((at, offset)),
            }
            if kind == Kind::Offset {
                let duration = parser.offset_duration().map_err(|_| TOO_LONG)?;
                // Where there are several, all but one are 0.
                offset = offset.saturating_add(nanoseconds(duration)?);
            } else if kind == Kind::At {
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
        let passed_over = in_parameter && self.forgets;
        self.forgot |= passed_over;
        Ok((!passed_over).then_some(named))
    }

    /// A range or step. One that is computed may still come to nothing when it is cut to milliseconds.
    fn positive(&self, place: TokenId) -> Result<i64, Unknown> {
        let mut parser = Parser::again(self.text, self.tokens, place, self.step, self.range);
        match parser.duration_again() {
            Ok(duration) if duration.seconds() <= 0.0 => Err(Unknown("a range or step is not greater than 0")),
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

/// A duration as the engine holds it: literals are rounded to nanoseconds, what is computed is cut to milliseconds.
fn nanoseconds(duration: Duration) -> Result<i64, Unknown> {
    if !duration.seconds().is_finite() {
        return Err(Unknown(
            "a duration is not finite, raised to a power that is not computed here, or depends on range() where the upstream splits queries",
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
