//! JSON that is written from slices of other JSON.

use super::Text;

/// Writes an object or an array from pieces of another: the commas between those that are kept.
pub struct Pieces<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
    close: u8,
}

impl<'o> Pieces<'o> {
    /// An object.
    pub fn object(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Pieces { out, is_first: true, close: b'}' }
    }

    /// An array.
    pub fn array(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Pieces { out, is_first: true, close: b']' }
    }

    /// Where the next key's value has to be written.
    pub fn key(&mut self, key: Text<'_>) -> &mut Vec<u8> {
        let out = self.element();
        out.push(b'"');
        out.extend_from_slice(key.raw().as_bytes());
        out.extend_from_slice(b"\":");
        out
    }

    /// Where the next element has to be written.
    pub fn element(&mut self) -> &mut Vec<u8> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out
    }

    /// Writes the closing bracket, and says whether nothing stands before it.
    pub fn close(self) -> bool {
        self.out.push(self.close);
        self.is_first
    }
}
