//! JSON that is read in place: a cursor over the whole text that hands out raw slices of it.
//!
//! ```text
//! value  = object / array / string / number / "true" / "false" / "null"      RFC 8259, nothing more lenient
//! object = "{" [ string ":" value *( "," string ":" value ) ] "}"
//! array  = "[" [ value *( "," value ) ] "]"
//! ```
//!
//! No document tree, no recursion that input can drive: a value that is carried over is skipped with a stack of bits, at most
//! [`MAX_DEPTH`] deep. What a client could read otherwise than this reader is an error: here, a known key that is given twice.

use super::text::escape_length;
use super::{Malformed, Text};

/// The deepest nesting that is read. Rules and exemplars nest nine deep.
pub const MAX_DEPTH: u32 = 64;

/// Where the reader stands in the text.
pub struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

/// Reads the value of one member.
type EachMember<'e, 'a> = &'e mut dyn FnMut(Text<'a>, &mut Cursor<'a>) -> Result<(), Malformed>;
/// Reads one element.
type EachElement<'e, 'a> = &'e mut dyn FnMut(&mut Cursor<'a>) -> Result<(), Malformed>;

impl<'a> Cursor<'a> {
    /// At the beginning. The text has to be UTF-8, as JSON is.
    pub fn new(text: &'a str) -> Self {
        #[cfg(test)]
        GIVEN.with(|given| given.set(given.get() + text.len()));
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
    pub fn finish(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads an object. For each key, `each` has to read the value.
    pub fn object(
        &mut self,
        mut each: impl FnMut(Text<'a>, &mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.members(&mut each)
    }

    /// Once in the module, not once for each kind of object.
    #[inline(never)]
    fn members(&mut self, each: EachMember<'_, 'a>) -> Result<(), Malformed> {
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
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.elements(&mut each)
    }

    #[inline(never)]
    fn elements(&mut self, each: EachElement<'_, 'a>) -> Result<(), Malformed> {
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
    pub fn string(&mut self) -> Result<Text<'a>, Malformed> {
        self.expect(b'"')?;
        let from = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let stop = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            self.at += stop.ok_or(Malformed)?;
            match self.bump() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) | None => return Err(Malformed),
            }
        }
        let inner = self.text.get(from..self.at.saturating_sub(1)).unwrap_or_default();
        Text::checked(inner)
    }

    /// Whether the value is `null`, which is then taken.
    pub fn null(&mut self) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b'n') => self.literal(b"null").map(|()| true),
            Some(_) => Ok(false),
            None => Err(Malformed),
        }
    }

    /// Skips any value, and hands it out as it stands.
    pub fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let from = self.mark();
        // One bit a level: set for an object.
        let mut levels = 0u64;
        let mut depth = 0u32;
        loop {
            let opened = match self.peek().ok_or(Malformed)? {
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = opening == b'{';
                    let is_empty = self.take(if is_object { b'}' } else { b']' });
                    if !is_empty {
                        if depth == MAX_DEPTH {
                            return Err(Malformed);
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

    fn key(&mut self) -> Result<(), Malformed> {
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

    fn expect(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.take(wanted) { Ok(()) } else { Err(Malformed) }
    }

    /// After the backslash.
    fn escape(&mut self) -> Result<(), Malformed> {
        let after = self.text.get(self.at..).unwrap_or_default();
        self.at += escape_length(after).ok_or(Malformed)?;
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    /// `[ "-" ] ( "0" / 1-9 *digit ) [ "." 1*digit ] [ ( "e" / "E" ) [ "+" / "-" ] 1*digit ]`
    fn number(&mut self) -> Result<(), Malformed> {
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

    fn digits(&mut self) -> Result<(), Malformed> {
        let from = self.at;
        while self.take_if(|byte| byte.is_ascii_digit()) {}
        if self.at > from { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
thread_local! {
    /// How many bytes have been given to cursors, for tests that count the work.
    pub static GIVEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The keys of one object that have been seen: known ones may be given once.
#[derive(Debug, Default)]
pub struct Seen(u64);

impl Seen {
    /// Notes a known key by its index.
    pub fn note(&mut self, index: usize) -> Result<(), Malformed> {
        let bit = u32::try_from(index).ok().and_then(|index| 1u64.checked_shl(index)).ok_or(Malformed)?;
        if self.0 & bit != 0 {
            return Err(Malformed);
        }
        self.0 |= bit;
        Ok(())
    }

    /// Whether a known key has been seen.
    pub fn has(&self, index: usize) -> bool {
        self.0.checked_shr(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Whether it is one value and nothing else.
    pub fn is_value(text: &str) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.value().and_then(|_| cursor.finish()).is_ok()
    }

    #[test]
    fn values_are_those_of_the_rfc() {
        for text in [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "10",
            "1.5",
            "-1.5e+10",
            "1E5",
            "\"\"",
            r#""\"\\\/\b\f\n\r\t\u00e9""#,
            " { \"a\" : [ 1 , { } , [ [ ] ] ] , \"a\" : null } ",
            "\"é\u{2028}\"",
            "[{\"a\":[{\"b\":{}}]},{}]",
        ] {
            assert!(is_value(text), "{text}");
        }
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "[1}",
            "{\"a\":1]",
            "01",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "NaN",
            "Infinity",
            "tru",
            "nul",
            "True",
            "'a'",
            "\"",
            "\"a",
            r#""\"#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            "\"\n\"",
            "\"\u{0}\"",
            "1 2",
            "{} {}",
            "/**/1",
            "\u{feff}1",
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
}

#[cfg(all(test, not(target_family = "wasm")))]
mod properties {
    use super::tests::is_value;
    use proptest::prelude::*;

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
