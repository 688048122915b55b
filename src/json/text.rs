//! A JSON string as it stands, and what it says.

use super::Malformed;
use std::str::Chars;

/// A string as it stands in the text, without its quotes. Its escapes are known to be well-formed.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// The contents of a string whose bytes were found elsewhere: between its quotes, which are not among them.
    pub fn read(inner: &'a [u8]) -> Option<Text<'a>> {
        let mut rest = inner;
        while let Some(stop) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            let after = rest.get(stop + 1..).filter(|_| rest.get(stop) == Some(&b'\\'))?;
            rest = after.get(escape_length(after)?..)?;
        }
        Text::checked(inner).ok()
    }

    /// The same where its escapes have been looked at already.
    pub fn checked(inner: &'a [u8]) -> Result<Text<'a>, Malformed> {
        std::str::from_utf8(inner).map(Text).map_err(|_| Malformed)
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

    /// Which of the names, in ASCII, this key is to Go's `encoding/json`, which compares them by Unicode's simple folding: `ſ` counts as `s`,
    /// and the Kelvin sign as `k`. No other character beyond ASCII folds to one in it.
    pub fn among_folded(self, names: &[&str]) -> Option<usize> {
        let folded = |c: char| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        };
        names.iter().position(|name| self.chars().map(folded).eq(name.chars().map(|c| c.to_ascii_lowercase())))
    }

    /// Which of the names this key is; none where it is another one. A key that only some readers take for one of the names is
    /// an error, so that a value can be carried over under a key that was not found among them.
    pub fn among(self, names: &[&str]) -> Result<Option<usize>, Malformed> {
        if let Some(index) = names.iter().position(|name| *name == self.0) {
            return Ok(Some(index));
        }
        let is_plain = self.0.bytes().all(|byte| byte.is_ascii() && byte != b'\\');
        let is_alike = names.iter().any(|name| name.eq_ignore_ascii_case(self.0));
        if is_plain && !is_alike { Ok(None) } else { Err(Malformed) }
    }
}

/// How long an escape is after its backslash; none where it is none.
pub fn escape_length(after: &[u8]) -> Option<usize> {
    match after.first()? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
        b'u' => after.get(1..5).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit)).map(|_| 5),
        _ => None,
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

#[cfg(test)]
mod tests {
    use crate::json::Cursor;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

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
    fn keys_are_told_apart_as_go_does() {
        let among = |key: &str| {
            Cursor::new(&format!("\"{key}\"")).string().unwrap().among_folded(&["id", "matchers", "isEqual", "k"])
        };
        for (key, index) in [
            ("id", 0),
            ("ID", 0),
            (r"\u0049d", 0),
            ("matcher\u{17f}", 1),
            ("MATCHER\u{17f}", 1),
            (r"matcher\u017F", 1),
            ("i\u{17f}equal", 2),
            ("ISEQUAL", 2),
            ("\u{212a}", 3),
        ] {
            assert_eq!(among(key), Some(index), "{key}");
        }
        // Dotless and dotted i fold to nothing in ASCII (`unicode.SimpleFold`).
        for key in ["", "i", "idx", "\u{131}d", "\u{130}d", "\u{df}", "matchers ", "matcher\u{15b}"] {
            assert_eq!(among(key), None, "{key}");
        }
    }

    #[test]
    fn a_key_that_readers_could_disagree_on_is_an_error() {
        let among =
            |key: &str| Cursor::new(&format!("\"{key}\"")).string().unwrap().among(&["labels", "keepFiringSince"]).ok();
        assert_eq!(among("labels"), Some(Some(0)));
        assert_eq!(among("value"), Some(None));
        for key in ["Labels", "LABELS", r"l\u0061bels", "label\u{17f}", "\u{212a}eepFiringSince", r"valu\u0065"] {
            assert_eq!(among(key), None, "{key}");
        }
    }
}
