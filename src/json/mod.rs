//! JSON: a scanner for what streams by, a cursor for what is whole, strings, and a writer of slices.
//!
//! - `scanner`: reads a text in chunks, a lexeme at a time, in constant memory
//! - `skim`: finds where a value ends that is not looked into; `quoted`: a string that is held until it is whole
//! - `cursor`: reads a whole text in place
//! - `text`: a string as it stands, what it says, and whether its escapes are well-formed
//! - `pieces`: writes an object or an array from slices of another

mod cursor;
mod pieces;
mod quoted;
mod scanner;
mod skim;
mod text;

#[cfg(test)]
pub use cursor::GIVEN;
pub use cursor::{Cursor, MAX_DEPTH, Seen};
pub use pieces::Pieces;
pub use quoted::{MAX_HELD, quoted};
pub use scanner::{Container, Lexeme, Scanner};
pub use text::Text;

/// The text is not JSON, or JSON that two readers can read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;
