//! Finds the end of number, duration and string literals. `promql/literal.rs` computes their values.

use super::super::error::Fault;
use super::super::quote;
use super::super::token::TokenKind;
use super::Lexer;
use super::bytes::is_alpha;

impl Lexer<'_> {
    /// Reads a number, which no letter may follow, or else a duration, which is a row of digits and units.
    pub(super) fn number_or_duration(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let number = number_length(rest);
        if let Some(length) = number {
            self.at += length;
            self.emit(TokenKind::Number);
            return Ok(());
        }
        let length = rest.iter().take_while(|b| is_alpha(**b) || b.is_ascii_digit()).count();
        let word = rest.get(..length).unwrap_or_default();
        if is_duration(word) {
            self.at += length;
            self.emit(TokenKind::Duration);
            return Ok(());
        }
        let shown = rest.get(..length.max(1)).unwrap_or_default();
        Err(self.fault(format!("bad number or duration syntax: {}", quote::string(shown))))
    }

    pub(super) fn string(&mut self, quote: u8) -> Result<(), Fault> {
        let mut at = self.at + 1;
        loop {
            match self.text.get(at) {
                None | Some(b'\n') => return Err(self.fault("unterminated quoted string")),
                Some(b'\\') => at = self.escape(at + 1, quote)?,
                Some(&b) if b == quote => break,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        self.emit_string()
    }

    /// Checks the escape sequence whose first character after the backslash is at `at`; returns the position after the sequence.
    fn escape(&self, at: usize, quote: u8) -> Result<usize, Fault> {
        let Some(&escape) = self.text.get(at) else { return Err(self.fault("escape sequence not terminated")) };
        let (first, digits, radix) = match escape {
            b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' => return Ok(at + 1),
            b if b == quote => return Ok(at + 1),
            b'0'..=b'7' => (at, 3, 8),
            b'x' => (at + 1, 2, 16),
            b'u' => (at + 1, 4, 16),
            b'U' => (at + 1, 8, 16),
            _ => return Err(self.fault(format!("unknown escape sequence {}", self.code_point(at)))),
        };
        let mut code: u32 = 0;
        for place in first..first + digits {
            let digit = self.text.get(place).map(|&b| char::from(b).to_digit(radix));
            match digit {
                None => return Err(self.fault("escape sequence not terminated")),
                Some(None) => {
                    let shown = self.code_point(place);
                    return Err(self.fault(format!("illegal character {shown} in escape sequence")));
                }
                Some(Some(digit)) => code = code.wrapping_mul(radix).wrapping_add(digit),
            }
        }
        let most = if matches!(escape, b'u' | b'U') { 0x10_ffff } else { 0xff };
        if code > most || (0xd800..0xe000).contains(&code) {
            return Err(self.fault("escape sequence is an invalid Unicode code point"));
        }
        Ok(first + digits)
    }

    pub(super) fn raw_string(&mut self) -> Result<(), Fault> {
        let length = self.rest().iter().skip(1).position(|&b| b == b'`');
        let Some(length) = length else { return Err(self.fault("unterminated raw string")) };
        self.at += length + 2;
        self.emit_string()
    }

    /// Adds the string token if the string is UTF-8 without U+FFFD. Prometheus can't distinguish U+FFFD from a decoding error, and
    /// refuses both.
    fn emit_string(&mut self) -> Result<(), Fault> {
        let text = self.text.get(self.start..self.at).unwrap_or_default();
        if !text.is_ascii() {
            let readable = std::str::from_utf8(text).is_ok_and(|t| !t.contains(char::REPLACEMENT_CHARACTER));
            if !readable {
                return Err(self.fault("invalid UTF-8 rune"));
            }
        }
        self.emit(TokenKind::String);
        Ok(())
    }
}

/// The length of the number at the beginning of `rest`, or `None` if there is no number (`scanNumber` in lex.go). The parser checks
/// later whether the number has a value. As in Prometheus, an `e` that begins a run of digits is an exponent even in a
/// hexadecimal number, so `0x1e` at the end of the text is refused.
fn number_length(rest: &[u8]) -> Option<usize> {
    let byte = |at: usize| rest.get(at).copied();
    let hex = byte(0) == Some(b'0') && matches!(byte(1), Some(b'x' | b'X'));
    let is_digit = |b: u8| b.is_ascii_digit() || hex && b.is_ascii_hexdigit();
    let mut at = match byte(0) {
        Some(b'0') if hex => 2,
        Some(b'0') => 1,
        _ => 0,
    };
    if hex && byte(at) == Some(b'_') {
        at += 1;
    }
    // Prometheus accepts one dot and one digit at the beginning without further checks.
    if byte(at) == Some(b'.') {
        at += 1;
    }
    if byte(at).is_some_and(is_digit) {
        at += 1;
    }
    let (mut dot, mut exponent) = (false, false);
    while let Some(b) = byte(at) {
        match b {
            b'.' => {
                at += 1;
                if dot || hex || matches!(byte(at), Some(b'.' | b'_')) {
                    return None;
                }
                dot = true;
            }
            b'e' | b'E' => {
                at += 1;
                if exponent {
                    return None;
                }
                exponent = true;
                if matches!(byte(at), Some(b'+' | b'-')) {
                    at += 1;
                }
                if matches!(byte(at), None | Some(b'.' | b'_' | b'e' | b'E')) {
                    return None;
                }
            }
            b'_' => {
                at += 1;
                if matches!(byte(at), None | Some(b'.' | b'_' | b'e' | b'E')) {
                    return None;
                }
            }
            b if is_digit(b) => at += rest.iter().skip(at).take_while(|b| is_digit(**b)).count(),
            b if is_alpha(b) => return None,
            _ => break,
        }
    }
    (at > 0).then_some(at)
}

/// Whether a word is made of the digits and unit letters that `acceptRemainingDuration` accepts. The parser checks the order of the
/// units and the range of the value.
fn is_duration(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_digit)
        && word.last().is_some_and(|b| b"smhdwy".contains(b))
        && word.iter().all(|b| b.is_ascii_digit() || b"smhdwy".contains(b))
}
