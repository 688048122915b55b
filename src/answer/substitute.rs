//! What stands for a body that is not passed on: an error object.

use super::status::{self, Author};
use super::{Unreadable, messages};

/// What the client is told in place of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Why the answer can't be passed on.
    Fault(Unreadable),
    /// What an error's status says.
    Status(u16, Author),
}

/// An error object, to be written once.
#[derive(Debug)]
pub struct Substitute {
    said: Said,
    is_written: bool,
}

impl Substitute {
    /// An object that says this.
    pub fn new(said: Said) -> Self {
        Substitute { said, is_written: false }
    }

    /// Likewise, behind what has been written already.
    pub fn write_on_a_line(&mut self, out: &mut Vec<u8>) {
        if !self.is_written {
            out.push(b'\n');
        }
        self.write(out);
    }

    /// Writes the object, if it has not been written yet.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_written, true) {
            return;
        }
        let object = match self.said {
            Said::Fault(fault) => fault.body(),
            Said::Status(of, author) => messages::error_object(status::error_type(of), &status::sentence(of, author)),
        };
        out.extend_from_slice(&object);
    }
}
