//! What stands for a body that is not passed on: an error object, never longer than that body.

use super::messages::{self, WITHHELD};
use super::{Unreadable, status};

/// What the client is told in place of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// That a message is withheld.
    Withheld,
    /// Why the answer can't be passed on.
    Fault(Unreadable),
    /// What the status of the upstream's error says.
    Status(u16),
}

/// Counts the bytes that come until the error object fits in them.
#[derive(Debug)]
pub struct Substitute {
    came: usize,
    said: Said,
    is_written: bool,
}

impl Substitute {
    /// After so many bytes that were not passed on.
    pub fn new(came: usize, said: Said) -> Self {
        Substitute { came, said, is_written: false }
    }

    /// Takes so many more bytes, and writes the object as soon as it fits; at the end, as much as fits.
    pub fn push(&mut self, came: usize, end: bool, out: &mut Vec<u8>) {
        self.came = self.came.saturating_add(came);
        if self.is_written {
            return;
        }
        let whole = self.object(usize::MAX);
        if self.came >= whole.len() {
            out.extend_from_slice(&whole);
            self.is_written = true;
        } else if end {
            out.extend_from_slice(&self.object(self.came));
            self.is_written = true;
        }
    }

    fn object(&self, room: usize) -> Vec<u8> {
        match self.said {
            Said::Fault(fault) => fault.body(room),
            Said::Withheld => messages::error_object("internal", &[WITHHELD], room),
            Said::Status(of) => {
                messages::error_object(status::error_type(of), &[&status::sentence(of), &status::name(of)], room)
            }
        }
    }
}
