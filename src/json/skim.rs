//! Finds where a streamed JSON value ends. Only strings and brackets are looked at: the value's content is not validated, since all
//! of it is passed on, or dropped, or validated where it is held.

use super::Malformed;
use super::quoted::StringEnd;

/// How far into a value the bytes have come.
#[derive(Debug, Default)]
pub struct Skim {
    depth: u64,
    in_string: bool,
    string: StringEnd,
    in_word: bool,
}

impl Skim {
    /// Reads on: of these bytes, the value's are so many. None where all of them are, and it isn't over. The value's first byte
    /// is the first that is given: white space before it has been taken already.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut at = 0;
        if self.depth == 0 && !self.in_string {
            if self.in_word {
                return Ok(word_end(bytes));
            }
            match bytes.first() {
                None => return Ok(None),
                Some(b'{' | b'[') => self.depth = 1,
                Some(b'"') => self.in_string = true,
                Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                    self.in_word = true;
                    return Ok(word_end(bytes));
                }
                Some(_) => return Err(Malformed),
            }
            at = 1;
        }
        let mut rest = bytes.get(at..).unwrap_or_default();
        loop {
            if self.in_string {
                let Some(length) = self.string.find(rest) else {
                    return Ok(None);
                };
                self.in_string = false;
                rest = rest.get(length..).unwrap_or_default();
                if self.depth == 0 {
                    return Ok(Some(bytes.len() - rest.len()));
                }
            }
            let Some(stop) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')) else {
                return Ok(None);
            };
            let (before, after) = rest.split_at_checked(stop + 1).unwrap_or_default();
            rest = after;
            match before.last() {
                Some(b'"') => self.in_string = true,
                Some(b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                Some(_) | None => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Ok(Some(bytes.len() - rest.len()));
                    }
                }
            }
        }
    }
}

/// Where a number or a literal ends: at a byte that is not one of its own, which is not taken.
pub fn word_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)))
}
