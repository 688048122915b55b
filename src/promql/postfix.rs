//! Parses what follows an operand: ranges and subqueries, `offset`, `@`, `anchored` and `smoothed`.
//!
//! All of them bind tighter than any operator. Prometheus checks while it parses that the operand may have them.

use super::ast::{Modifiers, Node, NodeId};
use super::duration::Duration;
use super::error::Fault;
use super::parser::Parser;
use super::token::TokenKind;
use std::num::NonZeroU32;

/// The time after `@`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instant {
    /// Seconds since 1970.
    Seconds(f64),
    /// `start()`
    Start,
    /// `end()`
    End,
}

const AFTER_SELECTOR: &str = "must be preceded by an instant vector selector or range vector selector or a subquery";

impl Parser<'_> {
    pub fn postfix(&mut self, mut node: NodeId) -> Result<NodeId, Fault> {
        loop {
            match self.peek() {
                TokenKind::LeftBracket => node = self.range_or_subquery(node)?,
                TokenKind::Offset => self.offset(node)?,
                TokenKind::At => self.at_modifier(node)?,
                TokenKind::Anchored | TokenKind::Smoothed => self.extension(node)?,
                _ => return Ok(node),
            }
        }
    }

    fn range_or_subquery(&mut self, node: NodeId) -> Result<NodeId, Fault> {
        let begin = self.begin(node);
        let bracket = self.here();
        self.bump();
        let outer = self.enter("subquery or range selector", "number, duration, step(), or range()");
        let range = self.here();
        self.positive_duration()?;
        self.enter("subquery or range", "\":\" or \"]\"");
        let subquery = self.take(TokenKind::Colon);
        let mut step = None;
        if subquery && self.peek() != TokenKind::RightBracket {
            step = NonZeroU32::new(self.here());
            self.enter("subquery selector", "number, duration, step(), range(), or \"]\"");
            self.positive_duration()?;
            self.enter("subquery selector", "\"]\"");
        }
        self.expect(TokenKind::RightBracket)?;
        self.context = outer;
        if subquery {
            let node = Node::Subquery { expression: node, range, step, modifiers: Modifiers::default() };
            return Ok(self.push(node, begin));
        }
        let refused = match self.node(node) {
            Some(Node::Selector(selector)) => match selector.modifiers {
                Modifiers { offset: true, .. } => Some("no offset modifiers allowed before range"),
                Modifiers { at: true, .. } => Some("no @ modifiers allowed before range"),
                _ => None,
            },
            Some(
                Node::Number | Node::String | Node::Matrix { .. } | Node::Subquery { .. } | Node::Aggregate { .. },
            )
            | Some(Node::Call { .. } | Node::Binary { .. } | Node::Unary { .. } | Node::Paren { .. })
            | None => Some("ranges only allowed for vector selectors"),
        };
        match refused {
            Some(message) => Err(self.fault_from(bracket, message)),
            None => Ok(self.push(Node::Matrix { selector: node, range }, begin)),
        }
    }

    fn offset(&mut self, node: NodeId) -> Result<(), Fault> {
        let place = NonZeroU32::new(self.here());
        self.bump();
        let outer = self.enter("offset", "number, duration, step(), or range()");
        let offset = self.offset_duration()?;
        self.context = outer;
        let begin = self.begin(node);
        let Some(modifiers) = self.modifiers(node) else {
            return Err(self.fault_from(begin, format!("offset modifier {AFTER_SELECTOR}")));
        };
        if modifiers.offset {
            return Err(self.fault_from(begin, "offset may not be set multiple times"));
        }
        // Prometheus treats an offset that rounds to 0 ns as absent, so another offset may follow.
        modifiers.offset = match offset {
            Duration::Literal(seconds) => (seconds * 1e9).round() != 0.0,
            Duration::Computed(_) => true,
        };
        if modifiers.offset && !modifiers.at {
            modifiers.place = place;
        }
        Ok(())
    }

    fn at_modifier(&mut self, node: NodeId) -> Result<(), Fault> {
        let begin = self.begin(node);
        let place = NonZeroU32::new(self.here());
        self.bump();
        let outer = self.enter("@", "timestamp");
        match self.instant()? {
            Instant::Seconds(seconds) if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 => {
                return Err(self.fault_from(begin, "timestamp out of bounds for @ modifier"));
            }
            Instant::Seconds(_) | Instant::Start | Instant::End => {}
        }
        self.context = outer;
        let Some(modifiers) = self.modifiers(node) else {
            return Err(self.fault_from(begin, format!("@ modifier {AFTER_SELECTOR}")));
        };
        if std::mem::replace(&mut modifiers.at, true) {
            return Err(self.fault_from(begin, "@ <timestamp> may not be set multiple times"));
        }
        if !modifiers.offset {
            modifiers.place = place;
        }
        Ok(())
    }

    /// Parses the time after `@`.
    pub fn instant(&mut self) -> Result<Instant, Fault> {
        let instant = match self.peek() {
            TokenKind::Start => Instant::Start,
            TokenKind::End => Instant::End,
            _ => {
                let negative = self.take(TokenKind::Sub);
                if !negative {
                    self.take(TokenKind::Add);
                }
                let seconds = self.number()?;
                return Ok(Instant::Seconds(if negative { -seconds } else { seconds }));
            }
        };
        self.bump();
        self.expect(TokenKind::LeftParen)?;
        self.expect(TokenKind::RightParen)?;
        Ok(instant)
    }

    fn extension(&mut self, node: NodeId) -> Result<(), Fault> {
        let begin = self.begin(node);
        let anchored = self.peek() == TokenKind::Anchored;
        let name = if anchored { "anchored" } else { "smoothed" };
        self.bump();
        let refused = match self.node(node) {
            Some(Node::Selector(_) | Node::Matrix { .. }) => None,
            Some(Node::Subquery { .. }) => Some(format!("{name} modifier is not supported for subqueries")),
            Some(Node::Number | Node::String | Node::Aggregate { .. } | Node::Call { .. })
            | Some(Node::Binary { .. } | Node::Unary { .. } | Node::Paren { .. })
            | None => Some(format!("{name} modifier not implemented")),
        };
        if let Some(message) = refused {
            return Err(self.fault_from(begin, message));
        }
        let Some(modifiers) = self.modifiers(node) else { return Ok(()) };
        modifiers.anchored |= anchored;
        modifiers.smoothed |= !anchored;
        if modifiers.anchored && modifiers.smoothed {
            return Err(self.fault_from(begin, "anchored and smoothed modifiers cannot be used together"));
        }
        Ok(())
    }
}
