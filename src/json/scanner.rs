//! Reads JSON that comes in chunks, a lexeme at a time, in constant memory.
//!
//! ```text
//! value  = object / array / string / word
//! object = "{" [ name ":" value *( "," name ":" value ) ] "}"
//! array  = "[" [ value *( "," value ) ] "]"
//! word   = number / "true" / "false" / "null"
//! ```
//!
//! Where a value begins, the caller says how it is read: entered, held until it is whole, or taken unread in parts. The scanner checks
//! the punctuation of what is entered, and keeps no stack: after a closing bracket the caller, who knows the shape that it
//! expects, says what it is back in. So there is no depth that input could drive.

use super::quoted::Quoted;
use super::skim::{Skim, word_end};
use super::{MAX_HELD, Malformed, Text};

const NULL: &[u8] = b"null";

/// What has values in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `{}`
    Object,
    /// `[]`
    Array,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Lexeme<'b> {
    /// A member's name is whole: [`Scanner::text`] and [`Scanner::name`].
    Name,
    /// A value begins with this byte, which is not taken yet. The caller says how it is read before it asks for more.
    Value(u8),
    /// The value that was held is whole: [`Scanner::text`].
    Text,
    /// The value was `null`.
    Null,
    /// A part of a value that is taken unread, and whether it is the last.
    Part(&'b [u8], bool),
    /// The container ends. The caller says what it is back in before it asks for more.
    Close,
}

/// Reads one value.
#[derive(Debug)]
pub struct Scanner {
    position: Position,
    within: Option<Container>,
    text: Quoted,
    skim: Skim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before a value.
    Value,
    /// After an opening bracket.
    Opened,
    /// After a comma between members.
    Name,
    /// After a name.
    Colon,
    /// After a value.
    Next,
    InName,
    InString,
    InWord,
    /// After so many bytes of `null`.
    InNull(usize),
    Skimming,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner { position: Position::Value, within: None, text: Quoted::default(), skim: Skim::default() }
    }
}

impl Scanner {
    /// Takes bytes up to the next lexeme; none where all were taken and more are needed.
    pub fn next<'b>(&mut self, rest: &mut &'b [u8]) -> Result<Option<Lexeme<'b>>, Malformed> {
        while let Some((&byte, after)) = rest.split_first() {
            let mut left = after;
            let found = match self.position {
                Position::InName | Position::InString => {
                    let taken = self.text.read(rest);
                    left = taken.and_then(|taken| rest.get(taken..)).unwrap_or_default();
                    let is_name = self.position == Position::InName;
                    taken.map(|_| self.found(if is_name { Lexeme::Name } else { Lexeme::Text }))
                }
                Position::InWord => {
                    let end = word_end(rest);
                    let (word, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
                    self.text.hold(word);
                    // What begins here is neither a string nor a word.
                    if self.text.length() == 0 {
                        return Err(Malformed);
                    }
                    left = after;
                    end.map(|_| self.found(Lexeme::Text))
                }
                Position::InNull(at) => {
                    if NULL.get(at) != Some(&byte) {
                        return Err(Malformed);
                    }
                    self.position = Position::InNull(at + 1);
                    (at + 1 == NULL.len()).then(|| self.found(Lexeme::Null))
                }
                Position::Skimming => {
                    let end = self.skim.read(rest)?;
                    let (part, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
                    left = after;
                    if end.is_some() {
                        self.position = Position::Next;
                    }
                    Some(Lexeme::Part(part, end.is_some()))
                }
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => None,
                Position::Value => return Ok(Some(Lexeme::Value(byte))),
                Position::Colon if byte == b':' => self.move_to(Position::Value),
                Position::Opened | Position::Name | Position::Next | Position::Colon => {
                    match (self.position, self.within, byte) {
                        (Position::Opened | Position::Name, Some(Container::Object), b'"') => {
                            self.text.begin();
                            self.move_to(Position::InName)
                        }
                        (Position::Next, Some(Container::Object), b',') => self.move_to(Position::Name),
                        (Position::Next, Some(Container::Array), b',') => self.move_to(Position::Value),
                        (Position::Opened | Position::Next, Some(Container::Object), b'}')
                        | (Position::Opened | Position::Next, Some(Container::Array), b']') => Some(Lexeme::Close),
                        (Position::Opened, Some(Container::Array), _) => return Ok(Some(Lexeme::Value(byte))),
                        _ => return Err(Malformed),
                    }
                }
            };
            *rest = left;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Enters the object or array that begins here.
    pub fn enter(&mut self, container: Container, rest: &mut &[u8]) {
        *rest = rest.get(1..).unwrap_or_default();
        self.position = Position::Opened;
        self.within = Some(container);
    }

    /// Holds the string, number or literal that begins here until it is whole.
    pub fn hold(&mut self, rest: &mut &[u8]) {
        self.text.begin();
        self.position = Position::InWord;
        if let Some((b'"', after)) = rest.split_first() {
            *rest = after;
            self.position = Position::InString;
        }
    }

    /// The value has to be `null`.
    pub fn null(&mut self) {
        self.position = Position::InNull(0);
    }

    /// Takes the value that begins here unread, in parts.
    pub fn skim(&mut self) {
        self.skim = Skim::default();
        self.position = Position::Skimming;
    }

    /// What the scanner is back in: after a closing bracket, or after a value that the caller has had read by another.
    pub fn resume(&mut self, within: Option<Container>) {
        self.position = Position::Next;
        self.within = within;
    }

    /// The name or value that is whole, without its quotes: as much of it as is held.
    pub fn text(&self) -> &[u8] {
        self.text.text()
    }

    /// The length of all of it.
    pub fn length(&self) -> usize {
        self.text.length()
    }

    /// The name that is whole, where it is no longer than what is held, and well-formed.
    pub fn name(&self) -> Result<Text<'_>, Malformed> {
        Text::read(self.text()).filter(|_| self.length() <= MAX_HELD).ok_or(Malformed)
    }

    /// How much memory is taken.
    pub fn held(&self) -> usize {
        self.text.capacity()
    }

    fn move_to<'b>(&mut self, position: Position) -> Option<Lexeme<'b>> {
        self.position = position;
        None
    }

    fn found<'b>(&mut self, lexeme: Lexeme<'b>) -> Lexeme<'b> {
        self.position = if lexeme == Lexeme::Name { Position::Colon } else { Position::Next };
        lexeme
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Reads a text in chunks of one size, entering every container: what was found, a line each. A stack of the test's own says
    /// what the scanner is back in.
    fn read(text: &str, size: usize) -> Result<String, Malformed> {
        let (mut scanner, mut seen, mut within) = (Scanner::default(), String::new(), Vec::new());
        for chunk in text.as_bytes().chunks(size) {
            let mut rest = chunk;
            while let Some(lexeme) = scanner.next(&mut rest)? {
                match lexeme {
                    Lexeme::Value(byte @ (b'{' | b'[')) => {
                        let container = if byte == b'{' { Container::Object } else { Container::Array };
                        within.push(container);
                        scanner.enter(container, &mut rest);
                    }
                    Lexeme::Value(b'n') => scanner.null(),
                    Lexeme::Value(b't') => scanner.skim(),
                    Lexeme::Value(_) => scanner.hold(&mut rest),
                    Lexeme::Name => seen += &format!("{}:", scanner.name()?.raw()),
                    Lexeme::Text => seen += &format!("{} ", String::from_utf8_lossy(scanner.text())),
                    Lexeme::Null => seen += "null ",
                    Lexeme::Part(_, is_last) => seen += if is_last { "part " } else { "" },
                    Lexeme::Close => {
                        seen += if within.pop() == Some(Container::Object) { "} " } else { "] " };
                        scanner.resume(within.last().copied());
                    }
                }
            }
        }
        Ok(seen)
    }

    #[test]
    fn lexemes_are_the_same_whatever_the_chunks() {
        for (text, lexemes) in [
            (
                r#" { "a" : [ 1 , "b\"]" , null , true, {} ] , "c\u0041" : { } , "d" : [ [ ] ] } "#,
                Ok(r#"a:1 b\"] null part } ] c\u0041:} d:] ] } "#),
            ),
            ("[-1.5e+10]", Ok("-1.5e+10 ] ")),
            ("[1,]", Err(Malformed)),
            ("[,1]", Err(Malformed)),
            ("[1 2]", Err(Malformed)),
            ("[1}", Err(Malformed)),
            ("{]", Err(Malformed)),
            (r#"{"a"}"#, Err(Malformed)),
            (r#"{"a":}"#, Err(Malformed)),
            (r#"{"a":1,}"#, Err(Malformed)),
            (r#"{"a":1 "b":2}"#, Err(Malformed)),
            (r#"{"a"::1}"#, Err(Malformed)),
            ("{1:1}", Err(Malformed)),
            ("[nul]", Err(Malformed)),
            ("[nulll]", Err(Malformed)),
            (r#"{"\x":1}"#, Err(Malformed)),
            (r#"{"\u12":1}"#, Err(Malformed)),
            ("[1]]", Err(Malformed)),
            ("[1],", Err(Malformed)),
        ] {
            for size in 1..=text.len() {
                let read = read(text, size);
                assert_eq!(read.as_deref(), lexemes.as_deref(), "{text} in chunks of {size}");
            }
        }
    }

    #[test]
    fn a_string_is_held_as_far_as_it_matters() {
        let text = format!(r#"["{}"]"#, "x".repeat(100_000));
        let (mut scanner, mut rest) = (Scanner::default(), text.as_bytes());
        assert_eq!(scanner.next(&mut rest), Ok(Some(Lexeme::Value(b'['))));
        scanner.enter(Container::Array, &mut rest);
        assert_eq!(scanner.next(&mut rest), Ok(Some(Lexeme::Value(b'"'))));
        scanner.hold(&mut rest);
        assert_eq!(scanner.next(&mut rest), Ok(Some(Lexeme::Text)));
        assert_eq!((scanner.text().len(), scanner.length()), (MAX_HELD + 1, 100_000));
        assert!(scanner.name().is_err() && scanner.held() <= 4 * MAX_HELD);
    }
}
