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
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            if self.in_string {
                if self.is_escaped {
                    self.is_escaped = false;
                } else if byte == b'"' {
                    self.in_string = false;
                    if self.depth == 0 {
                        return Step::Done(at);
                    }
                } else if byte == b'\\' {
                    self.is_escaped = true;
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Step::Done(at);
                    }
                }
                _ => {}
            }
        }
        Step::Inside
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
