//! Parses the durations in ranges, offsets and subqueries: literals and arithmetic on literals.
//!
//! ```text
//! duration = operand { ( "+" | "-" | "*" | "/" | "%" | "^" ) operand }
//! operand  = { "+" | "-" } ( number | duration literal | "(" duration ")" | function )
//! function = ( "step" | "range" ) "(" ")" | ( "max_of" | "min_of" ) "(" duration "," duration ")"
//! ```
//!
//! After `offset`, arithmetic needs parentheses: `x offset 5m + 1m` adds 1m to the value of `x offset 5m`. But if the duration
//! begins with a parenthesis, the operators after it belong to the duration, and `x offset (5m) + y` is refused. Prometheus's
//! grammar resolves its ambiguities in this way (`offset_duration_expr` in generated_parser.y, 3.16).

use super::arithmetic;
use super::error::Fault;
use super::literal;
use super::parser::Parser;
use super::token::{POW_PRECEDENCE, TokenKind};

/// The value of a parsed duration, and whether it was computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Duration {
    /// A literal with its signs. The value is in seconds.
    Literal(f64),
    /// The result of an operator or a function, in seconds. It is right only if the parser knows the values of `step()` and
    /// `range()`.
    Computed(f64),
}

impl Duration {
    /// The value in seconds.
    pub fn seconds(self) -> f64 {
        match self {
            Duration::Literal(seconds) | Duration::Computed(seconds) => seconds,
        }
    }
}

impl Parser<'_> {
    /// Parses the duration of a range, a subquery or a step. A literal must be positive.
    pub fn positive_duration(&mut self) -> Result<(), Fault> {
        let begin = self.here();
        match self.duration(1)? {
            Duration::Literal(seconds) if seconds <= 0.0 => {
                Err(self.fault_from(begin, "duration must be greater than 0"))
            }
            Duration::Literal(_) | Duration::Computed(_) => Ok(()),
        }
    }

    /// Parses the duration after `offset`.
    pub fn offset_duration(&mut self) -> Result<Duration, Fault> {
        let signed = matches!(self.peek(), TokenKind::Add | TokenKind::Sub);
        let first = if signed { self.peek_second() } else { self.peek() };
        match first {
            TokenKind::Number
            | TokenKind::Duration
            | TokenKind::Step
            | TokenKind::Range
            | TokenKind::MaxOf
            | TokenKind::MinOf => self.duration_operand(),
            TokenKind::LeftParen if signed => {
                let negative = self.peek() == TokenKind::Sub;
                self.bump();
                let duration = self.duration_primary()?;
                Ok(if negative { Duration::Computed(-duration.seconds()) } else { duration })
            }
            _ => self.duration(1),
        }
    }

    /// Evaluates the duration of a range, a subquery or a step that was parsed before.
    pub fn duration_again(&mut self) -> Result<Duration, Fault> {
        self.duration(1)
    }

    fn duration(&mut self, least: u8) -> Result<Duration, Fault> {
        let mut left = self.duration_operand_with_power()?;
        loop {
            let operator = self.peek();
            let precedence = match operator {
                TokenKind::Add | TokenKind::Sub | TokenKind::Mul | TokenKind::Div | TokenKind::Mod | TokenKind::Pow => {
                    operator.precedence()
                }
                _ => None,
            };
            let Some(precedence) = precedence.filter(|&p| p >= least) else { return Ok(left) };
            let place = self.here();
            self.bump();
            let right = match precedence {
                POW_PRECEDENCE => self.nested(|p| p.duration(POW_PRECEDENCE))?,
                _ => self.duration(precedence + 1)?,
            };
            if right == Duration::Literal(0.0) {
                match operator {
                    TokenKind::Div => return Err(self.fault_from(place, "division by zero")),
                    TokenKind::Mod => return Err(self.fault_from(place, "modulo by zero")),
                    _ => {}
                }
            }
            left = Duration::Computed(arithmetic::apply(operator, left.seconds(), right.seconds()));
        }
    }

    /// Parses signs and the operand after them. `^` binds tighter than a sign.
    fn duration_operand_with_power(&mut self) -> Result<Duration, Fault> {
        let mut sign = 1.0;
        let begin = self.here();
        while matches!(self.peek(), TokenKind::Add | TokenKind::Sub) {
            if self.peek() == TokenKind::Sub {
                sign = -sign;
            }
            self.bump();
        }
        if self.here() == begin {
            return self.duration_primary();
        }
        Ok(match self.nested(|p| p.duration(POW_PRECEDENCE))? {
            Duration::Literal(seconds) => Duration::Literal(sign * seconds),
            Duration::Computed(seconds) => Duration::Computed(sign * seconds),
        })
    }

    /// Parses at most one sign, and one literal or function. `offset` accepts no more without parentheses.
    fn duration_operand(&mut self) -> Result<Duration, Fault> {
        let negative = self.peek() == TokenKind::Sub;
        if negative || self.peek() == TokenKind::Add {
            self.bump();
        }
        Ok(match self.duration_primary()? {
            Duration::Literal(seconds) if negative => Duration::Literal(-seconds),
            Duration::Computed(seconds) if negative => Duration::Computed(-seconds),
            unchanged => unchanged,
        })
    }

    fn duration_primary(&mut self) -> Result<Duration, Fault> {
        match self.peek() {
            word @ (TokenKind::Step | TokenKind::Range) => {
                self.bump();
                self.expect(TokenKind::LeftParen)?;
                self.expect(TokenKind::RightParen)?;
                Ok(Duration::Computed(if word == TokenKind::Step { self.step } else { self.range }))
            }
            word @ (TokenKind::MaxOf | TokenKind::MinOf) => {
                self.bump();
                self.expect(TokenKind::LeftParen)?;
                let left = self.nested(|p| p.duration(1))?;
                self.expect(TokenKind::Comma)?;
                let right = self.nested(|p| p.duration(1))?;
                self.expect(TokenKind::RightParen)?;
                Ok(Duration::Computed(arithmetic::apply(word, left.seconds(), right.seconds())))
            }
            TokenKind::LeftParen => {
                self.bump();
                let inner = self.nested(|p| p.duration(1))?;
                self.expect(TokenKind::RightParen)?;
                Ok(Duration::Computed(inner.seconds()))
            }
            _ => {
                let place = self.here();
                let seconds = self.number()?;
                if literal::out_of_range(seconds) {
                    return Err(self.fault_from(place, "duration out of range"));
                }
                Ok(Duration::Literal(seconds))
            }
        }
    }
}
