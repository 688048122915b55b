//! Helpers for untrusted bytes: quoting them in messages and in HTML, dividing them, reading a hexadecimal digit, and hashing them.

/// How many bytes of the input a message quotes.
const MAX_QUOTED: usize = 120;

/// Quotes input for a message. The length is bounded, control and invisible characters are escaped, and bytes that are not UTF-8 are
/// replaced.
pub fn quote(input: &[u8]) -> String {
    let (head, cut) = match input.get(..MAX_QUOTED) {
        Some(head) if input.len() > MAX_QUOTED => (head, true),
        _ => (input, false),
    };
    let text = String::from_utf8_lossy(head);
    // A character that the cut divided is left out.
    let text = if cut { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
    let mut out = String::with_capacity(text.len() + 4);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push_str(if cut { "…\"" } else { "\"" });
    out
}

/// Appends a character to HTML, between tags or quotes.
pub fn escape_html(out: &mut String, c: char) {
    let escaped = match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        c => return out.push(c),
    };
    out.push_str(escaped);
}

/// Whether a character reorders or hides the text of a displayed message.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The value of a hexadecimal digit, or `None` for another byte.
pub fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What stands before the first byte of this value, and what stands after it; `None` where there is no such byte.
#[inline]
pub fn split_once(bytes: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    let at = memchr::memchr(byte, bytes);
    let (before, after) = bytes.split_at_checked(at.unwrap_or(bytes.len())).unwrap_or((bytes, b""));
    (before, at.and_then(|_| after.get(1..)))
}

/// Whether all bytes are above the space, and none is DEL or `#`: eight at a time, since every byte of a request's target is looked at.
pub fn is_plain(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // Some byte of a word is below 0x21 if subtracting borrows into its highest bit, which it did not have before. Two bytes that are to be
    // absent become zero, which is below 1.
    let is_below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| {
        let word = u64::from_le_bytes(*word);
        let has = |byte: u8| is_below(word ^ (ONES * u64::from(byte)), 1);
        found | is_below(word, 0x21) | has(0x7f) | has(b'#')
    });
    found == 0 && rest.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b'#')
}

/// A fast hash of bytes, eight at a time, as the Rust compiler's own hash works. It spreads keys over slots; no decision depends on it.
pub fn hash(begin: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(begin, |hash, word| add(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(add(hash, bytes.len() as u64), |hash, &byte| add(hash, u64::from(byte)))
}

/// Adds a word to a hash.
#[inline(always)]
pub fn add(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Which of so many slots a hash chooses. The upper bits are the better mixed ones.
pub fn slot(hash: u64, slots: usize) -> usize {
    (hash >> 48) as usize % slots.max(1)
}

/// A text that may hold anything, such as the key of a JSON object, on one line.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { line.extend(char.escape_default()) } else { line.push(char) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn quoted_input_is_bounded_and_printable() {
        assert_eq!(quote(b"up"), r#""up""#);
        assert_eq!(quote(b"a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(quote(b"a\n\x00"), r#""a\u{a}\u{0}""#);
        assert_eq!(quote("\u{202e}x".as_bytes()), r#""\u{202e}x""#);
        assert_eq!(quote(b"\xff"), "\"\u{fffd}\"");
        assert_eq!(quote(&[b'a'; 500]), format!("\"{}…\"", "a".repeat(MAX_QUOTED)));
        let split = format!("{}é", "a".repeat(MAX_QUOTED - 1));
        assert_eq!(quote(split.as_bytes()), format!("\"{}…\"", "a".repeat(MAX_QUOTED - 1)));
    }

    #[test]
    fn each_byte_that_is_not_plain_is_found_wherever_it_stands() {
        for length in [0, 1, 7, 8, 9, 16, 23] {
            // Those that differ least from what is not plain, beside it.
            for fill in [b'!', b'"', b'$', b'~', 0x80, 0xa0, 0xa3, 0xff] {
                let plain = vec![fill; length];
                assert!(is_plain(&plain), "{plain:?}");
                for at in 0..length {
                    for byte in 0..=u8::MAX {
                        let mut bytes = plain.clone();
                        bytes[at] = byte;
                        assert_eq!(is_plain(&bytes), byte > b' ' && byte != 0x7f && byte != b'#', "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_byte_of_a_value_divides_a_text() {
        assert_eq!(split_once(b"", b'='), (b"".as_slice(), None));
        assert_eq!(split_once(b"ab", b'='), (b"ab".as_slice(), None));
        assert_eq!(split_once(b"=", b'='), (b"".as_slice(), Some(b"".as_slice())));
        assert_eq!(split_once(b"a=b=c", b'='), (b"a".as_slice(), Some(b"b=c".as_slice())));
    }

    #[test]
    fn hexadecimal_digits_are_read_in_both_cases() {
        let read: Vec<u8> = (0..=255).filter_map(hex).collect();
        assert_eq!(read, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 13, 14, 15]);
    }
}
