//! What stands for a body that is not passed on: an error object, never longer than that body.

use super::messages::{self, WITHHELD};

/// Counts the bytes that come until the error object fits in them.
#[derive(Debug)]
pub struct Substitute {
    came: usize,
    is_said: bool,
}

impl Substitute {
    /// After so many bytes that were not passed on.
    pub fn new(came: usize) -> Self {
        Substitute { came, is_said: false }
    }

    /// Takes so many more bytes, and writes the object as soon as it fits; at the end, as much as fits.
    pub fn push(&mut self, came: usize, end: bool, out: &mut Vec<u8>) {
        self.came = self.came.saturating_add(came);
        if self.is_said {
            return;
        }
        let whole = messages::error_object("internal", WITHHELD, usize::MAX);
        if self.came >= whole.len() {
            out.extend_from_slice(&whole);
            self.is_said = true;
        } else if end {
            out.extend_from_slice(&messages::error_object("internal", WITHHELD, self.came));
            self.is_said = true;
        }
    }
}
