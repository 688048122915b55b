//! JSON that is read in place: a cursor over the whole text that hands out raw slices of it.
//!
//! ```text
//! value  = object / array / string / number / "true" / "false" / "null"      RFC 8259, nothing more lenient
//! object = "{" [ string ":" value *( "," string ":" value ) ] "}"
//! array  = "[" [ value *( "," value ) ] "]"
//! ```
//!
//! No document tree, no recursion that input can drive: a value that is carried over is skipped with a stack of bits, at most
//! [`MAX_DEPTH`] deep. What a client could read otherwise than this reader is an error: a key that is given twice, or one that is
//! spelled so that only some readers take it for a known one (Go's `encoding/json` ignores case and reads escapes).

use super::Unreadable;
use std::str::Chars;

/// The deepest nesting that is read. Rules and exemplars nest nine deep.
pub const MAX_DEPTH: u32 = 64;

/// Where the reader stands in the text.
pub struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

/// A string as it stands in the text, without its quotes. Its escapes are known to be well-formed.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// At the beginning. The text has to be UTF-8, as JSON is.
    pub fn new(text: &'a str) -> Self {
        Cursor { text: text.as_bytes(), at: 0 }
    }

    /// The next byte that isn't white space, without taking it.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => return Some(byte),
            }
        }
        None
    }

    /// Where the next value begins, for [`Cursor::since`].
    pub fn mark(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// What was read since then, as it stands.
    pub fn since(&self, mark: usize) -> &'a [u8] {
        self.text.get(mark..self.at).unwrap_or_default()
    }

    /// Nothing but white space follows.
    pub fn finish(&mut self) -> Result<(), Unreadable> {
        if self.peek().is_none() { Ok(()) } else { Err(Unreadable::Malformed) }
    }

    /// Reads an object. For each key, `each` has to read the value.
    pub fn object(
        &mut self,
        mut each: impl FnMut(Text<'a>, &mut Self) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            each(key, self)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Reads an array. `each` has to read one element.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Reads a string.
    pub fn string(&mut self) -> Result<Text<'a>, Unreadable> {
        self.expect(b'"')?;
        let from = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let stop = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.at += stop.ok_or(Unreadable::Malformed)?;
            match self.bump() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) | None => return Err(Unreadable::Malformed),
            }
        }
        let inner = self.text.get(from..self.at.saturating_sub(1)).unwrap_or_default();
        std::str::from_utf8(inner).map(Text).map_err(|_| Unreadable::Malformed)
    }

    /// Whether the value is `null`, which is then taken.
    pub fn null(&mut self) -> Result<bool, Unreadable> {
        match self.peek() {
            Some(b'n') => self.literal(b"null").map(|()| true),
            Some(_) => Ok(false),
            None => Err(Unreadable::Malformed),
        }
    }

    /// Skips any value, and hands it out as it stands.
    pub fn value(&mut self) -> Result<&'a [u8], Unreadable> {
        let from = self.mark();
        // One bit a level: set for an object.
        let mut levels = 0u64;
        let mut depth = 0u32;
        loop {
            let opened = match self.peek().ok_or(Unreadable::Malformed)? {
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = opening == b'{';
                    let is_empty = self.take(if is_object { b'}' } else { b']' });
                    if !is_empty {
                        if depth == MAX_DEPTH {
                            return Err(Unreadable::Malformed);
                        }
                        depth += 1;
                        levels = levels << 1 | u64::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                    }
                    !is_empty
                }
                b'"' => self.string().map(|_| false)?,
                b't' => self.literal(b"true").map(|()| false)?,
                b'f' => self.literal(b"false").map(|()| false)?,
                b'n' => self.literal(b"null").map(|()| false)?,
                _ => self.number().map(|()| false)?,
            };
            if opened {
                continue;
            }
            // After a value: the next one of the same level, or the end of as many levels as end here.
            loop {
                if depth == 0 {
                    return Ok(self.since(from));
                }
                let is_object = levels & 1 == 1;
                if self.take(b',') {
                    if is_object {
                        self.key()?;
                    }
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                depth -= 1;
                levels >>= 1;
            }
        }
    }

    fn key(&mut self) -> Result<(), Unreadable> {
        self.string()?;
        self.expect(b':')
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Unreadable> {
        if self.take(wanted) { Ok(()) } else { Err(Unreadable::Malformed) }
    }

    /// After the backslash.
    fn escape(&mut self) -> Result<(), Unreadable> {
        match self.bump() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let digits = self.text.get(self.at..).and_then(|rest| rest.get(..4)).ok_or(Unreadable::Malformed)?;
                self.at += 4;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(Unreadable::Malformed) }
            }
            Some(_) | None => Err(Unreadable::Malformed),
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Unreadable> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Unreadable::Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    /// `[ "-" ] ( "0" / 1-9 *digit ) [ "." 1*digit ] [ ( "e" / "E" ) [ "+" / "-" ] 1*digit ]`
    fn number(&mut self) -> Result<(), Unreadable> {
        self.take_if(|byte| byte == b'-');
        if !self.take_if(|byte| byte == b'0') {
            self.digits()?;
        }
        if self.take_if(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.take_if(|byte| byte | 0x20 == b'e') {
            self.take_if(|byte| byte == b'+' || byte == b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn take_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.text.get(self.at).is_some_and(|&byte| wanted(byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let from = self.at;
        while self.take_if(|byte| byte.is_ascii_digit()) {}
        if self.at > from { Ok(()) } else { Err(Unreadable::Malformed) }
    }
}

impl<'a> Text<'a> {
    /// The contents of a string whose bytes were found elsewhere: between its quotes, which are not among them.
    pub fn read(inner: &'a [u8]) -> Option<Text<'a>> {
        let inner = std::str::from_utf8(inner).ok()?;
        let mut bytes = inner.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' | 0..=0x1f => return None,
                b'\\' => match bytes.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            bytes.next().filter(u8::is_ascii_hexdigit)?;
                        }
                    }
                    _ => return None,
                },
                _ => {}
            }
        }
        Some(Text(inner))
    }

    /// Between the quotes, escapes as they stand.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Its characters. Half a surrogate pair reads as U+FFFD, as Go reads it.
    pub fn chars(self) -> Decoded<'a> {
        Decoded(self.0.chars())
    }

    /// Whether it reads as this text.
    pub fn is(self, text: &str) -> bool {
        if self.0.contains('\\') { self.chars().eq(text.chars()) } else { self.0 == text }
    }

    /// Which of the names this key is; none where it is another one. A key that only some readers take for one of the names is
    /// an error, so that a value can be carried over under a key that was not found among them.
    pub fn among(self, names: &[&str]) -> Result<Option<usize>, Unreadable> {
        if let Some(index) = names.iter().position(|name| *name == self.0) {
            return Ok(Some(index));
        }
        let is_plain = self.0.bytes().all(|byte| byte.is_ascii() && byte != b'\\');
        let is_alike = names.iter().any(|name| name.eq_ignore_ascii_case(self.0));
        if is_plain && !is_alike { Ok(None) } else { Err(Unreadable::Malformed) }
    }
}

/// The characters of a string, escapes read.
pub struct Decoded<'a>(Chars<'a>);

impl Decoded<'_> {
    fn unit(&mut self) -> u32 {
        (0..4).fold(0, |unit, _| unit << 4 | self.0.next().and_then(|digit| digit.to_digit(16)).unwrap_or(0))
    }

    /// After `\u`.
    fn escaped(&mut self) -> char {
        let first = self.unit();
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
        let mut ahead = Decoded(self.0.clone());
        if (ahead.0.next(), ahead.0.next()) != (Some('\\'), Some('u')) {
            return char::REPLACEMENT_CHARACTER;
        }
        let second = ahead.unit();
        if !(0xdc00..0xe000).contains(&second) {
            return char::REPLACEMENT_CHARACTER;
        }
        self.0 = ahead.0;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl Iterator for Decoded<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.0.next()? {
            '\\' => Some(match self.0.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => self.escaped(),
                other => other,
            }),
            other => Some(other),
        }
    }
}

/// The keys of one object that have been seen: known ones may be given once.
#[derive(Default)]
pub struct Seen(u64);

impl Seen {
    /// Notes a known key by its index.
    pub fn note(&mut self, index: usize) -> Result<(), Unreadable> {
        let bit = u32::try_from(index).ok().and_then(|index| 1u64.checked_shl(index)).ok_or(Unreadable::Malformed)?;
        if self.0 & bit != 0 {
            return Err(Unreadable::Malformed);
        }
        self.0 |= bit;
        Ok(())
    }
}

/// Writes an object or an array from pieces of another: the commas between those that are kept.
pub struct Pieces<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
    close: u8,
}

impl<'o> Pieces<'o> {
    /// An object.
    pub fn object(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Pieces { out, is_first: true, close: b'}' }
    }

    /// An array.
    pub fn array(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Pieces { out, is_first: true, close: b']' }
    }

    /// Where the next key's value has to be written.
    pub fn key(&mut self, key: Text<'_>) -> &mut Vec<u8> {
        let out = self.element();
        out.push(b'"');
        out.extend_from_slice(key.raw().as_bytes());
        out.extend_from_slice(b"\":");
        out
    }

    /// Where the next element has to be written.
    pub fn element(&mut self) -> &mut Vec<u8> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out
    }

    /// Writes the closing bracket, and says whether nothing stands before it.
    pub fn close(self) -> bool {
        self.out.push(self.close);
        self.is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_value(text: &str) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.value().and_then(|_| cursor.finish()).is_ok()
    }

    #[test]
    fn values_are_those_of_the_rfc() {
        for text in [
            "{}", "[]", "null", "true", "false", "0", "-0", "10", "1.5", "-1.5e+10", "1E5", "\"\"", r#""\"\\\/\b\f\n\r\t\u00e9""#,
            " { \"a\" : [ 1 , { } , [ [ ] ] ] , \"a\" : null } ", "\"é\u{2028}\"", "[{\"a\":[{\"b\":{}}]},{}]",
        ] {
            assert!(is_value(text), "{text}");
        }
        for text in [
            "", " ", "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\":1 \"b\":2}",
            "[1}", "{\"a\":1]", "01", "-", "+1", ".5", "1.", "1e", "1e+", "NaN", "Infinity", "tru", "nul", "True", "'a'", "\"", "\"a", r#""\"#, r#""\x""#,
            r#""\u12""#, r#""\u12g4""#, "\"\n\"", "\"\u{0}\"", "1 2", "{} {}", "/**/1", "\u{feff}1",
        ] {
            assert!(!is_value(text), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_needs_no_stack() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_value(&nested(64)));
        assert!(!is_value(&nested(65)));
        assert!(!is_value(&"[".repeat(1_000_000)));
        assert!(!is_value(&"{\"a\":".repeat(1_000_000)));
    }

    #[test]
    fn strings_read_as_what_they_say() {
        let is = |text: &str, wanted: &str| Cursor::new(text).string().unwrap().is(wanted);
        assert!(is(r#""tenant_id""#, "tenant_id"));
        assert!(is(r#""tenant\u005fid""#, "tenant_id"));
        assert!(is(r#""\ud83d\ude00""#, "😀"));
        assert!(is(r#""\u00E9\/\"\\\n""#, "é/\"\\\n"));
        assert!(is(r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"));
        assert!(is(r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"));
        assert!(!is(r#""tenant_id\u0000""#, "tenant_id"));
        assert!(!is(r#""tenant_idx""#, "tenant_id"));
    }

    #[test]
    fn a_key_that_readers_could_disagree_on_is_an_error() {
        let among = |key: &str| Cursor::new(&format!("\"{key}\"")).string().unwrap().among(&["labels", "keepFiringSince"]).ok();
        assert_eq!(among("labels"), Some(Some(0)));
        assert_eq!(among("value"), Some(None));
        for key in ["Labels", "LABELS", r"l\u0061bels", "label\u{17f}", "\u{212a}eepFiringSince", r"valu\u0065"] {
            assert_eq!(among(key), None, "{key}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_is_what_serde_json_reads(text in r#"[\[\]{},:" \\a0-9.eEu+\-tn]{0,24}"#) {
            // serde_json refuses numbers out of range and half surrogate pairs, which other readers take.
            let other = serde_json::from_str::<serde_json::Value>(&text);
            let is_lenient = other.as_ref().is_err_and(|error| {
                let error = error.to_string();
                error.contains("number out of range") || error.contains("surrogate") || error.contains("hex escape")
            });
            if !is_lenient {
                prop_assert_eq!(is_value(&text), other.is_ok(), "{}", text);
            }
        }
    }
}
