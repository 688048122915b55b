//! Parses the grouping of an aggregation, and the modifiers between a binary operator and its right operand.
//!
//! ```text
//! grouping  = ( "by" | "without" ) labels
//! labels    = "(" [ label { "," label } [ "," ] ] ")"
//! modifiers = [ "bool" ] [ ( "on" | "ignoring" ) labels [ ( "group_left" | "group_right" ) [ labels ] ] ] [ fill ]
//! fill      = "fill" value | "fill_left" value [ "fill_right" value ] | "fill_right" value [ "fill_left" value ]
//! value     = "(" [ "+" | "-" ] number ")"
//! ```

use super::ast::TokenId;
use super::error::Fault;
use super::parser::Parser;
use super::quote;
use super::token::TokenKind;

impl Parser<'_> {
    /// Parses the grouping of an aggregation, if there is one here. Returns whether there was.
    pub fn aggregate_grouping(&mut self) -> Result<bool, Fault> {
        let found = self.take(TokenKind::By) || self.take(TokenKind::Without);
        if found {
            self.labels(None)?;
        }
        Ok(found)
    }

    /// Parses the modifiers after an operator, and makes those checks of Prometheus's that need no types (`checkAST` in
    /// promql/parser/parse.go, 3.16).
    pub fn binary_modifiers(&mut self, operator: TokenKind) -> Result<(), Fault> {
        // Prometheus reports the position of the operator, which is the token before.
        let begin = self.here().saturating_sub(1);
        if self.take(TokenKind::Bool) && !operator.is_comparison() {
            return Err(self.fault_from(begin, "bool modifier can only be used on comparison operators"));
        }
        let on = self.peek() == TokenKind::On;
        if on || self.peek() == TokenKind::Ignoring {
            self.bump();
            let (mut matching, mut included) = (Vec::new(), Vec::new());
            self.labels(on.then_some(&mut matching))?;
            if self.take(TokenKind::GroupLeft) || self.take(TokenKind::GroupRight) {
                if self.peek() == TokenKind::LeftParen {
                    self.labels(on.then_some(&mut included))?;
                }
                if operator.is_set_operator() {
                    let operator = quote::string(self.text_of(begin));
                    return Err(self.fault_from(begin, format!("no grouping allowed for {operator} operation")));
                }
            }
            self.no_label_twice(begin, matching, included)?;
        }
        self.fill(operator)
    }

    fn no_label_twice(&self, begin: TokenId, matching: Vec<TokenId>, included: Vec<TokenId>) -> Result<(), Fault> {
        if matching.is_empty() || included.is_empty() {
            return Ok(());
        }
        // Comparing every pair of names takes quadratic time. Lists longer than people write are left to the upstream, which makes
        // the same check.
        const MOST: usize = 4096;
        if matching.len().saturating_mul(included.len()) > MOST {
            return Ok(());
        }
        let names: Vec<_> = matching.iter().map(|&t| self.label_name(t)).collect();
        let twice = included.into_iter().map(|t| self.label_name(t)).find(|name| names.contains(name));
        match twice {
            Some(name) => {
                let name = quote::string(&name);
                Err(self.fault_from(begin, format!("label {name} must not occur in ON and GROUP clause at once")))
            }
            None => Ok(()),
        }
    }

    fn fill(&mut self, operator: TokenKind) -> Result<(), Fault> {
        let begin = self.here();
        let other = match self.peek() {
            TokenKind::Fill => None,
            TokenKind::FillLeft => Some(TokenKind::FillRight),
            TokenKind::FillRight => Some(TokenKind::FillLeft),
            _ => return Ok(()),
        };
        self.bump();
        self.fill_value()?;
        if other.is_some_and(|kind| self.take(kind)) {
            self.fill_value()?;
        }
        if operator.is_set_operator() {
            return Err(self.fault_from(begin, "filling in missing series not allowed for set operators"));
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Result<(), Fault> {
        self.expect(TokenKind::LeftParen)?;
        if !self.take(TokenKind::Add) {
            self.take(TokenKind::Sub);
        }
        self.number()?;
        self.expect(TokenKind::RightParen)
    }

    /// Parses a list of labels in parentheses. Adds their tokens to `collected`, if given.
    fn labels(&mut self, mut collected: Option<&mut Vec<TokenId>>) -> Result<(), Fault> {
        if self.peek() != TokenKind::LeftParen {
            return Err(self.unexpected_in("grouping opts", "\"(\""));
        }
        self.bump();
        let outer = self.enter("grouping opts", "label");
        while self.peek() != TokenKind::RightParen {
            let label = self.here();
            self.label()?;
            if let Some(collected) = collected.as_deref_mut() {
                collected.push(label);
            }
            if !self.take(TokenKind::Comma) && self.peek() != TokenKind::RightParen {
                return Err(self.unexpected_in("grouping opts", "\",\" or \")\""));
            }
        }
        self.context = outer;
        self.bump();
        Ok(())
    }

    fn label(&mut self) -> Result<(), Fault> {
        let kind = self.peek();
        if kind == TokenKind::String {
            let name = self.label_name(self.here());
            if name.is_empty() || std::str::from_utf8(&name).is_err() {
                let name = quote::string(&name);
                return Err(self.fault_from(self.here(), format!("invalid label name for grouping: {name}")));
            }
        } else if !kind.is_grouping_label() {
            return Err(self.unexpected());
        }
        self.bump();
        Ok(())
    }
}
