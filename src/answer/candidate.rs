//! A rule, alert or exemplar that is held until it is known whose it is.

use super::owner::Whose;
use crate::json::{Cursor, Malformed, Seen, Text};

/// An object that is held until it is known whose it is.
#[derive(Debug, Default)]
pub struct Candidate {
    /// It, as far as it has come, without white space between its members.
    pub text: Vec<u8>,
    seen: Seen,
    has_member: bool,
    /// What its labels say; none before they have come.
    pub whose: Option<Whose>,
    /// Its labels say that it can't be kept.
    pub is_dropped: bool,
    /// It was longer than what may be held; nothing of it is held any more.
    pub is_over: bool,
    /// Of a rule: an alert of it is held.
    pub has_alert: bool,
    /// Of a rule: one is the tenants'.
    pub has_own_alert: bool,
    /// Of a rule: one was dropped.
    pub is_reduced: bool,
}

impl Candidate {
    /// Its opening bracket.
    pub fn begin(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.push(b'{');
        *self = Candidate { text, ..Candidate::default() };
    }

    /// Holds these, as long as it may be kept and is no longer than may be held.
    pub fn hold(&mut self, bytes: &[u8], max: usize) {
        if self.is_dropped || self.is_over {
            return;
        }
        if self.text.len().saturating_add(bytes.len()) > max {
            self.is_over = true;
            self.text.clear();
        } else {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Nothing of it is kept.
    pub fn drop(&mut self) {
        self.is_dropped = true;
        self.text.clear();
    }

    /// A member's name. What only some readers take for one of the known ones is refused, since the member is kept.
    pub fn name(&mut self, name: Text<'_>, names: &[&str], max: usize) -> Result<Option<usize>, Malformed> {
        let index = name.among(names)?;
        index.map_or(Ok(()), |index| self.seen.note(index))?;
        let has_member = std::mem::replace(&mut self.has_member, true);
        self.hold(if has_member { b",\"" } else { b"\"" }, max);
        self.hold(name.raw().as_bytes(), max);
        self.hold(b"\":", max);
        Ok(index)
    }
}

/// What is kept is one JSON value, and UTF-8.
pub fn check(text: &mut [u8]) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(mended(text, b'?')?);
    cursor.value()?;
    cursor.finish()
}

/// These bytes as text: where one is not UTF-8, another stands for it. So the text doesn't grow, and what JSON means by the other bytes
/// stays, since all of its own are ASCII.
pub fn mended(text: &mut [u8], stand_in: u8) -> Result<&str, Malformed> {
    let mut valid = 0;
    while let Some(rest) = text.get_mut(valid..) {
        let Err(error) = std::str::from_utf8(rest) else { break };
        valid += error.valid_up_to();
        // None: the text ends within a character.
        let length = error.error_len().unwrap_or(usize::MAX);
        for byte in text.iter_mut().skip(valid).take(length) {
            *byte = stand_in;
        }
    }
    std::str::from_utf8(text).map_err(|_| Malformed)
}
