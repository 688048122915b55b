//! The classes of bytes that the lexer tells apart, and reading one UTF-8 character.

pub fn char_at(text: &[u8], at: usize) -> Option<char> {
    let window = text.get(at..(at + 4).min(text.len()))?;
    let readable = match std::str::from_utf8(window) {
        Ok(readable) => readable,
        Err(e) => std::str::from_utf8(window.get(..e.valid_up_to())?).ok()?,
    };
    readable.chars().next()
}

/// The classes of bytes, as bits.
pub const ALPHA: u8 = 1;
pub const DIGIT: u8 = 2;
const SPACE: u8 = 4;
pub const COLON: u8 = 8;
pub const DOT: u8 = 16;

/// The class of each byte. Most bytes of a query belong to names, so one look-up is faster than a row of comparisons.
#[allow(clippy::indexing_slicing)] // at compile time
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut b = 0;
    while b < 256 {
        classes[b] = match b as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => ALPHA,
            b'0'..=b'9' => DIGIT,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            b':' => COLON,
            b'.' => DOT,
            _ => 0,
        };
        b += 1;
    }
    classes
};

pub fn is(b: u8, classes: u8) -> bool {
    CLASSES.get(usize::from(b)).is_some_and(|class| class & classes != 0)
}

pub fn is_alpha(b: u8) -> bool {
    is(b, ALPHA)
}

pub fn is_space(b: u8) -> bool {
    is(b, SPACE)
}
