//! A string that is held back until it is whole, while it streams by: as much of it as matters.

/// As much of a string as is held back.
pub const MAX_HELD: usize = 4_096;

/// The string at hand.
#[derive(Debug, Default)]
pub struct Quoted {
    held: Vec<u8>,
    length: usize,
    is_escaped: bool,
}

impl Quoted {
    /// Begins with the next one, after its opening quote.
    pub fn begin(&mut self) {
        self.held.clear();
        self.length = 0;
        self.is_escaped = false;
    }

    /// Reads on; of so many bytes, its closing quote is the last. None where it isn't among these.
    pub fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.is_escaped {
                self.is_escaped = false;
            } else if byte == b'\\' {
                self.is_escaped = true;
            } else if byte == b'"' {
                self.hold(bytes.get(..at).unwrap_or_default());
                return Some(at + 1);
            }
        }
        self.hold(bytes);
        None
    }

    /// Holds these.
    pub fn hold(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        // One byte more than the longest that passes, so that a longer one shows.
        let room = (MAX_HELD + 1).saturating_sub(self.held.len());
        self.held.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// What stands between the quotes, as much of it as is held.
    pub fn text(&self) -> &[u8] {
        &self.held
    }

    /// How much stands between the quotes.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Writes what stood between quotes, with its quotes.
pub fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}
