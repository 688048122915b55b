//! Parses selectors.
//!
//! ```text
//! selector = name [ braces ] | braces
//! braces   = "{" [ matcher { "," matcher } [ "," ] ] "}"
//! matcher  = ( word | string ) ( "=" | "!=" | "=~" | "!~" ) string | string
//! ```
//!
//! A string alone between braces is the metric name.

use super::ast::{Braces, LabelMatcher, Modifiers, Node, NodeId, Selector};
use super::error::Fault;
use super::literal;
use super::parser::Parser;
use super::token::TokenKind;
use std::num::NonZeroU32;

impl Parser<'_> {
    /// Parses a selector where an operand is expected.
    pub fn selector(&mut self) -> Result<NodeId, Fault> {
        let begin = self.here();
        let id = self.bare_selector()?;
        // Prometheus makes this check for expressions, but not for `match[]`.
        if let Some(Node::Selector(selector)) = self.node(id) {
            let named_again = |m: &LabelMatcher| match m {
                LabelMatcher::Metric { .. } => true,
                LabelMatcher::Label { name, .. } => self.label_name(*name).as_ref() == b"__name__",
            };
            if selector.name.is_some() && self.ast.matchers_of(selector).iter().any(named_again) {
                return Err(self.fault_from(begin, "metric name must not be set twice"));
            }
        }
        Ok(id)
    }

    /// Parses a selector that is a `match[]` value.
    pub fn metric_selector(&mut self) -> Result<NodeId, Fault> {
        match self.peek() {
            TokenKind::LeftBrace => self.bare_selector(),
            kind if kind.is_metric_name() => self.bare_selector(),
            _ => Err(self.unexpected()),
        }
    }

    fn bare_selector(&mut self) -> Result<NodeId, Fault> {
        let begin = self.here();
        let name = match self.peek() {
            TokenKind::LeftBrace => None,
            _ => {
                self.bump();
                Some(begin)
            }
        };
        let braces = match self.peek() {
            TokenKind::LeftBrace => Some(self.braces()?),
            _ => None,
        };
        let selector = Selector { name, braces, modifiers: Modifiers::default() };
        Ok(self.push(Node::Selector(selector), begin))
    }

    fn braces(&mut self) -> Result<Braces, Fault> {
        let open = self.here();
        let first = self.ast.matchers.len() as u32;
        self.bump();
        let outer = self.enter("label matching", "identifier or \"}\"");
        while self.peek() != TokenKind::RightBrace {
            let matcher = self.matcher()?;
            self.ast.matchers.push(matcher);
            if !self.take(TokenKind::Comma) && self.peek() != TokenKind::RightBrace {
                return Err(self.unexpected_in("label matching", "\",\" or \"}\""));
            }
        }
        self.context = outer;
        let Some(close) = NonZeroU32::new(self.here()) else { return Err(self.unexpected()) };
        self.bump();
        Ok(Braces { open, close, first, count: self.ast.matchers.len() as u32 - first })
    }

    fn matcher(&mut self) -> Result<LabelMatcher, Fault> {
        let name = self.here();
        let quoted = self.peek() == TokenKind::String;
        if !quoted && self.peek() != TokenKind::Identifier {
            return Err(self.unexpected());
        }
        self.bump();
        let operator = self.here();
        if !matches!(
            self.peek(),
            TokenKind::Equal | TokenKind::NotEqual | TokenKind::EqualRegex | TokenKind::NotEqualRegex
        ) {
            if quoted {
                return Ok(LabelMatcher::Metric { name });
            }
            return Err(self.unexpected_in("label matching", "label matching operator"));
        }
        self.bump();
        let value = self.here();
        if !self.take(TokenKind::String) {
            return Err(self.unexpected_in("label matching", "string"));
        }
        Ok(LabelMatcher::Label { name, operator, value })
    }

    /// The label name that a word or a string stands for.
    pub fn label_name(&self, token: u32) -> std::borrow::Cow<'_, [u8]> {
        let text = self.text_of(token);
        match self.token(token).map(|t| t.kind) {
            Some(TokenKind::String) => literal::string(text),
            _ => text.into(),
        }
    }
}
