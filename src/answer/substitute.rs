//! What stands for a body that is not passed on: an error object, never longer than that body.

use super::Unreadable;
use super::messages::{self, WITHHELD};

/// Counts the bytes that come until the error object fits in them.
#[derive(Debug)]
pub struct Substitute {
    came: usize,
    /// What the client is told; a generic line where none.
    fault: Option<Unreadable>,
    is_said: bool,
}

impl Substitute {
    /// After so many bytes that were not passed on.
    pub fn new(came: usize, fault: Option<Unreadable>) -> Self {
        Substitute { came, fault, is_said: false }
    }

    /// Takes so many more bytes, and writes the object as soon as it fits; at the end, as much as fits.
    pub fn push(&mut self, came: usize, end: bool, out: &mut Vec<u8>) {
        self.came = self.came.saturating_add(came);
        if self.is_said {
            return;
        }
        let whole = self.object(usize::MAX);
        if self.came >= whole.len() {
            out.extend_from_slice(&whole);
            self.is_said = true;
        } else if end {
            out.extend_from_slice(&self.object(self.came));
            self.is_said = true;
        }
    }

    fn object(&self, room: usize) -> Vec<u8> {
        match self.fault {
            Some(fault) => fault.body(room),
            None => messages::error_object("internal", WITHHELD, room),
        }
    }
}
