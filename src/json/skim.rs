//! One JSON value, found the end of while it streams by: only strings and brackets are seen. What stands inside is not judged, since
//! it is passed on, or dropped, whole.

/// How far into a value the bytes have come.
#[derive(Debug, Default)]
pub struct Skim {
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    in_word: bool,
}

/// Where some bytes took it.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// All of them belong to the value, and it isn't over.
    Inside,
    /// So many of them do, and it is over.
    Done(usize),
    /// It is no value.
    Malformed,
}

impl Skim {
    /// Reads on. The value's first byte is its own: white space before it is not for here.
    pub fn read(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        if self.depth == 0 && !self.in_string {
            if self.in_word {
                return self.word(bytes, 0);
            }
            match bytes.first() {
                None => return Step::Inside,
                Some(b'{' | b'[') => self.depth = 1,
                Some(b'"') => self.in_string = true,
                Some(b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                    self.in_word = true;
                    return self.word(bytes, 1);
                }
                Some(_) => return Step::Malformed,
            }
            at = 1;
        }
        let mut rest = bytes.get(at..).unwrap_or_default();
        loop {
            if self.in_string {
                rest = match self.string(rest) {
                    Some(after) => after,
                    None => return Step::Inside,
                };
                if self.depth == 0 {
                    return Step::Done(bytes.len() - rest.len());
                }
            }
            let Some(stop) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')) else {
                return Step::Inside;
            };
            let (before, after) = rest.split_at_checked(stop + 1).unwrap_or_default();
            rest = after;
            match before.last() {
                Some(b'"') => self.in_string = true,
                Some(b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                Some(_) | None => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Step::Done(bytes.len() - rest.len());
                    }
                }
            }
        }
    }

    /// What follows the string at hand; none where it goes on.
    fn string<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let mut rest = bytes;
        if self.is_escaped {
            rest = rest.get(1..)?;
            self.is_escaped = false;
        }
        loop {
            let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let (before, after) = rest.split_at_checked(stop + 1)?;
            if before.last() == Some(&b'"') {
                self.in_string = false;
                return Some(after);
            }
            match after.split_first() {
                Some((_, after)) => rest = after,
                None => {
                    self.is_escaped = true;
                    return None;
                }
            }
        }
    }

    /// A number or a literal ends where another byte stands, which is not taken.
    fn word(&mut self, bytes: &[u8], from: usize) -> Step {
        let rest = bytes.get(from..).unwrap_or_default();
        match rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte))) {
            Some(length) => Step::Done(from + length),
            None => Step::Inside,
        }
    }
}
