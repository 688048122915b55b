//! The lexer: text → tokens.
//!
//! The lexer follows Prometheus's lexer state by state (promql/parser/lex.go, 3.16), because the meaning of a character depends
//! on the state. Between braces, for example, every word is a label name. Directly after `[`, comments and names are not allowed;
//! after the first duration, a comment is. The first fault ends the token list with `TokenKind::Error`. The parser reports that fault
//! when it reaches the token, because a syntax error earlier in the text is reported first.

mod bytes;
mod durations;
mod literals;

use super::error::{ErrorKind, Fault};
use super::quote;
use super::token::{Token, TokenKind};
use bytes::{ALPHA, COLON, DIGIT, DOT, char_at, is, is_alpha, is_space};

/// The largest number of tokens that are read. A query has one token for every four to ten bytes, so this is far more than people
/// and dashboards write. Without a limit, a hostile text of single characters would take 100 MB, and a wasm VM never returns
/// memory to the system.
pub const MAX_TOKENS: usize = 1 << 17;

/// Whether names may hold `.`, and letters that are not ASCII. Prometheus has one option for both
/// (`EnableUnquotedUTF8Names`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The option is on: `http.requests` is one name.
    Dotted,
    /// The option is off: `offset.5` is a keyword and a number.
    Plain,
}

/// The tokens of a text. The last one is `TokenKind::Eof` or `TokenKind::Error`.
#[derive(Debug)]
pub struct Tokens {
    pub list: Vec<Token>,
    /// The fault that `TokenKind::Error` stands for.
    pub fault: Option<Fault>,
    /// The text holds a name such as `offset.5`, which Prometheus reads as a keyword and a number if the option is off.
    pub ambiguous: bool,
}

/// Reads all tokens, in time linear in the length of the text.
pub fn tokenize(text: &[u8], names: Names) -> Tokens {
    let mut lexer = Lexer {
        text,
        names,
        at: 0,
        start: 0,
        spaced: false,
        list: Vec::with_capacity((text.len() / 3 + 8).min(MAX_TOKENS)),
        ambiguous: false,
        open_parens: 0,
        bracket: None,
    };
    let fault = lexer.run().err();
    if fault.is_some() {
        lexer.start = lexer.at;
        lexer.emit(TokenKind::Error);
    }
    Tokens { list: lexer.list, fault, ambiguous: lexer.ambiguous }
}

struct Lexer<'a> {
    text: &'a [u8],
    names: Names,
    /// The next byte to read.
    at: usize,
    /// The first byte of the current token.
    start: usize,
    spaced: bool,
    list: Vec<Token>,
    ambiguous: bool,
    open_parens: usize,
    /// What was read since the last `[`, while that bracket is open.
    bracket: Option<Bracket>,
}

#[derive(Default)]
struct Bracket {
    duration: bool,
    colon: bool,
}

/// The lexer's state. Each state reads characters by rules of its own.
enum State {
    Statement,
    Braces,
    Duration,
    End,
}

type Next = Result<State, Fault>;

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), Fault> {
        let mut state = State::Statement;
        loop {
            if self.list.len() >= MAX_TOKENS {
                let fault = self.fault(format!("more than {MAX_TOKENS} tokens"));
                return Err(Fault { kind: ErrorKind::TooLarge, ..fault });
            }
            state = match state {
                State::Statement => self.statement()?,
                State::Braces => self.braces()?,
                State::Duration => self.duration()?,
                State::End => return Ok(()),
            }
        }
    }

    fn statement(&mut self) -> Next {
        self.skip_blank(true);
        let Some(b) = self.peek() else { return self.end() };
        match b {
            b',' => self.single(TokenKind::Comma),
            b'*' => self.single(TokenKind::Mul),
            b'/' => self.single(TokenKind::Div),
            b'%' => self.single(TokenKind::Mod),
            b'+' => self.single(TokenKind::Add),
            b'-' => self.single(TokenKind::Sub),
            b'^' => self.single(TokenKind::Pow),
            b'@' => self.single(TokenKind::At),
            b'=' => match self.byte(1) {
                Some(b'=') => self.double(TokenKind::EqualEqual),
                Some(b'~') => return Err(self.unexpected_after("unexpected character after '='")),
                _ => self.single(TokenKind::Equal),
            },
            b'!' => match self.byte(1) {
                Some(b'=') => self.double(TokenKind::NotEqual),
                _ => return Err(self.unexpected_after("unexpected character after '!'")),
            },
            b'<' => match self.byte(1) {
                Some(b'=') => self.double(TokenKind::LessEqual),
                Some(b'/') => self.double(TokenKind::TrimUpper),
                _ => self.single(TokenKind::Less),
            },
            b'>' => match self.byte(1) {
                Some(b'=') => self.double(TokenKind::GreaterEqual),
                Some(b'/') => self.double(TokenKind::TrimLower),
                _ => self.single(TokenKind::Greater),
            },
            b'0'..=b'9' => self.number_or_duration()?,
            b'.' if self.byte(1).is_some_and(|b| b.is_ascii_digit()) => self.number_or_duration()?,
            b'"' | b'\'' => self.string(b)?,
            b'`' => self.raw_string()?,
            b'(' => {
                self.single(TokenKind::LeftParen);
                self.open_parens += 1;
            }
            b')' => self.right_paren()?,
            b'{' => {
                self.single(TokenKind::LeftBrace);
                return Ok(State::Braces);
            }
            b'[' => {
                if self.bracket.is_some() {
                    return Err(self.fault("unexpected left bracket '['"));
                }
                self.single(TokenKind::LeftBracket);
                self.bracket = Some(Bracket::default());
                return Ok(State::Duration);
            }
            b']' => {
                if self.bracket.take().is_none() {
                    return Err(self.fault("unexpected right bracket ']'"));
                }
                self.single(TokenKind::RightBracket);
            }
            b if b == b':' || self.starts_name(b) => match self.bracket {
                Some(_) => self.word_in_bracket()?,
                None => self.keyword_or_identifier(),
            },
            _ => return Err(self.unexpected("unexpected character:")),
        }
        Ok(State::Statement)
    }

    fn end(&mut self) -> Next {
        if self.open_parens > 0 {
            return Err(self.fault("unclosed left parenthesis"));
        }
        if self.bracket.is_some() {
            return Err(self.fault("unclosed left bracket"));
        }
        self.emit(TokenKind::Eof);
        Ok(State::End)
    }

    /// Reads one token between braces: a label name, an operator or a string. Keywords have no meaning here.
    fn braces(&mut self) -> Next {
        self.skip_blank(true);
        let Some(b) = self.peek() else { return Err(self.fault("unexpected end of input inside braces")) };
        match b {
            b',' => self.single(TokenKind::Comma),
            b'"' | b'\'' => self.string(b)?,
            b'`' => self.raw_string()?,
            b'=' if self.byte(1) == Some(b'~') => self.double(TokenKind::EqualRegex),
            b'=' => self.single(TokenKind::Equal),
            b'!' => match self.byte(1) {
                Some(b'~') => self.double(TokenKind::NotEqualRegex),
                Some(b'=') => self.double(TokenKind::NotEqual),
                _ => return Err(self.unexpected_after("unexpected character after '!' inside braces")),
            },
            b'{' => return Err(self.unexpected("unexpected left brace")),
            b'}' => {
                self.single(TokenKind::RightBrace);
                return Ok(State::Statement);
            }
            b if self.starts_name(b) => {
                self.skip_name(false);
                self.emit(TokenKind::Identifier);
            }
            _ => return Err(self.unexpected("unexpected character inside braces:")),
        }
        Ok(State::Braces)
    }

    fn right_paren(&mut self) -> Result<(), Fault> {
        let Some(left) = self.open_parens.checked_sub(1) else {
            return Err(self.fault_behind("unexpected right parenthesis ')'"));
        };
        self.open_parens = left;
        self.single(TokenKind::RightParen);
        Ok(())
    }

    fn keyword_or_identifier(&mut self) {
        self.skip_name(true);
        let word = self.text.get(self.start..self.at).unwrap_or_default();
        let kind = match TokenKind::keyword(word) {
            // A metric may be named `fill`. The word is the modifier only if a `(` follows.
            Some(TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight) if !self.left_paren_follows() => {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(&b':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        };
        if kind == TokenKind::Identifier
            && let Some(dot) = word.iter().position(|&b| b == b'.')
        {
            let keyword = word.get(..dot).is_some_and(|head| TokenKind::keyword(head).is_some());
            self.ambiguous |= keyword && word.get(dot + 1).is_some_and(|b| b.is_ascii_digit());
        }
        self.emit(kind);
    }

    fn left_paren_follows(&self) -> bool {
        self.rest().iter().find(|b| !is_space(**b)) == Some(&b'(')
    }

    fn starts_name(&self, b: u8) -> bool {
        is_alpha(b) || !b.is_ascii() && self.names == Names::Dotted && self.letter().is_some()
    }

    /// The current character, if it is a letter. `char::is_alphabetic` accepts a few marks that Go's `unicode.IsLetter` does not;
    /// Prometheus then refuses the name.
    fn letter(&self) -> Option<char> {
        self.char().filter(|c| c.is_alphabetic())
    }

    fn skip_name(&mut self, colons: bool) {
        let dotted = self.names == Names::Dotted;
        let colon = if colons { COLON } else { 0 };
        let dot = if dotted { DOT } else { 0 };
        loop {
            let rest = self.rest();
            let plain = rest.iter().position(|&b| !is(b, ALPHA | DIGIT | colon | dot));
            self.at += plain.unwrap_or(rest.len());
            if !dotted || self.peek().is_none_or(|b| b.is_ascii()) {
                return;
            }
            let Some(c) = self.letter() else { return };
            self.at += c.len_utf8();
        }
    }

    fn skip_blank(&mut self, comments: bool) {
        self.spaced = false;
        while let Some(b) = self.peek() {
            if is_space(b) {
                self.at += 1;
            } else if b == b'#' && comments {
                self.at += self.rest().iter().take_while(|b| !matches!(b, b'\r' | b'\n')).count();
            } else {
                break;
            }
            self.spaced = true;
        }
        self.start = self.at;
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// The current character, or `None` if the bytes are not UTF-8.
    fn char(&self) -> Option<char> {
        char_at(self.text, self.at)
    }

    fn code_point(&self, at: usize) -> String {
        let c = char_at(self.text, at).unwrap_or(char::REPLACEMENT_CHARACTER);
        format!("U+{:04X} {}", c as u32, quote::rune(c))
    }

    fn single(&mut self, kind: TokenKind) {
        self.at += 1;
        self.emit(kind);
    }

    fn double(&mut self, kind: TokenKind) {
        self.at += 2;
        self.emit(kind);
    }

    fn emit(&mut self, kind: TokenKind) {
        let (start, end) = (self.start as u32, self.at as u32);
        self.list.push(Token { kind, spaced: self.spaced, start, end });
        self.spaced = false;
        self.start = self.at;
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::syntax(self.start as u32, self.text.len() as u32, message)
    }

    /// A fault after the current character. Prometheus's lexer reports some faults at that position.
    fn fault_behind(&self, message: &str) -> Fault {
        let fault = self.fault(message);
        Fault { start: fault.start + 1, ..fault }
    }

    fn unexpected(&self, what: &str) -> Fault {
        let c = self.char().unwrap_or(char::REPLACEMENT_CHARACTER);
        self.fault(format!("{what} {}", quote::rune(c)))
    }

    fn unexpected_after(&self, what: &str) -> Fault {
        let c = char_at(self.text, self.at + 1).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.fault(format!("{what}: {}", quote::rune(c)))
    }
}
