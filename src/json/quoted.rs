//! A string that is held until it is whole, while it streams by: as much of it as matters.

/// As much of a string as is held.
pub const MAX_HELD: usize = 4_096;

/// Finds a string's closing quote. Escapes are passed over, and checked by [`super::Text`] where the string is read.
#[derive(Debug, Default)]
pub struct StringEnd {
    is_escaped: bool,
}

impl StringEnd {
    /// Reads on after the opening quote: of so many bytes, the closing quote is the last. None where it isn't among these.
    #[inline]
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        if self.is_escaped {
            // The backslash was the last byte of the chunk before.
            (_, rest) = rest.split_first()?;
            self.is_escaped = false;
        }
        loop {
            let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let (before, after) = rest.split_at_checked(stop + 1)?;
            if before.last() == Some(&b'"') {
                return Some(bytes.len() - after.len());
            }
            let Some((_, after)) = after.split_first() else {
                self.is_escaped = true;
                return None;
            };
            rest = after;
        }
    }
}

/// The string at hand.
#[derive(Debug, Default)]
pub struct Quoted {
    held: Vec<u8>,
    length: usize,
    end: StringEnd,
}

impl Quoted {
    /// Begins with the next one, after its opening quote.
    pub fn begin(&mut self) {
        self.held.clear();
        self.length = 0;
        self.end = StringEnd::default();
    }

    /// Reads on; of so many bytes, its closing quote is the last. None where it isn't among these.
    pub fn read(&mut self, bytes: &[u8]) -> Option<usize> {
        let taken = self.end.find(bytes);
        self.hold(taken.and_then(|taken| bytes.get(..taken.saturating_sub(1))).unwrap_or(bytes));
        taken
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

    /// How much memory it takes.
    pub fn capacity(&self) -> usize {
        self.held.capacity()
    }
}

/// Writes what stood between quotes, with its quotes.
pub fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}
