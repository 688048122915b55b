//! Reads the tokens between brackets: the durations of ranges and subqueries.

use super::bytes::is_alpha;
use super::{Lexer, Next, State, TokenKind};
use crate::promql::error::Fault;

impl Lexer<'_> {
    /// Reads one token after `[`, up to the first number: a duration or its operators. Comments are not allowed here.
    pub(super) fn duration(&mut self) -> Next {
        self.skip_blank(false);
        let Some(b) = self.peek() else { return Err(self.fault("unexpected end of input in duration expression")) };
        match b {
            b']' => {
                self.single(TokenKind::RightBracket);
                self.bracket = None;
                return Ok(State::Statement);
            }
            b':' => {
                let bracket = self.bracket.get_or_insert_default();
                let fault = match (bracket.duration, bracket.colon) {
                    (false, _) => Some("unexpected colon before duration in duration expression"),
                    (true, true) => Some("unexpected repeated colon in duration expression"),
                    (true, false) => None,
                };
                bracket.colon = true;
                if let Some(message) = fault {
                    return Err(self.fault_behind(message));
                }
                self.single(TokenKind::Colon);
            }
            b'(' => {
                self.single(TokenKind::LeftParen);
                self.open_parens += 1;
            }
            b')' => self.right_paren()?,
            b'+' => self.single(TokenKind::Add),
            b'-' => self.single(TokenKind::Sub),
            b'*' => self.single(TokenKind::Mul),
            b'/' => self.single(TokenKind::Div),
            b'%' => self.single(TokenKind::Mod),
            b'^' => self.single(TokenKind::Pow),
            b',' => self.single(TokenKind::Comma),
            b'0'..=b'9' => {
                self.number_or_duration()?;
                self.bracket.get_or_insert_default().duration = true;
                return Ok(State::Statement);
            }
            b'.' if self.byte(1).is_some_and(|b| b.is_ascii_digit()) => {
                self.number_or_duration()?;
                self.bracket.get_or_insert_default().duration = true;
                return Ok(State::Statement);
            }
            b if b.is_ascii_alphabetic() && self.duration_keyword() => {
                self.bracket.get_or_insert_default().duration = true;
            }
            _ => return Err(self.unexpected("unexpected character in duration expression:")),
        }
        Ok(State::Duration)
    }

    /// Reads what may follow the first duration in brackets: the colon of a subquery, or `step`, `range`, `max_of` or `min_of`.
    pub(super) fn word_in_bracket(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b':') {
            let bracket = self.bracket.get_or_insert_default();
            if bracket.colon {
                return Err(self.fault("unexpected colon ':'"));
            }
            bracket.colon = true;
            self.single(TokenKind::Colon);
            return Ok(());
        }
        if self.duration_keyword() {
            return Ok(());
        }
        let fault = self.unexpected("unexpected character:");
        Err(Fault { message: format!("{}, expected ':'", fault.message), ..fault })
    }

    pub(super) fn duration_keyword(&mut self) -> bool {
        let word = self.rest().iter().take_while(|b| is_alpha(**b)).count();
        let text = self.rest().get(..word).unwrap_or_default().to_ascii_lowercase();
        match TokenKind::duration_keyword(&text) {
            Some(kind) => {
                self.at += word;
                self.emit(kind);
                true
            }
            None => false,
        }
    }
}
