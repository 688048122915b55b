//! JSON: a cursor for what is whole, tokenizers for what streams by, strings, and a writer of slices.
//!
//! - `cursor`: reads a whole text in place
//! - `skim`: finds where a streamed value ends
//! - `text`: a string as it stands, and what it says; `quoted`: a string that streams by
//! - `pieces`: writes an object or an array from slices of another

mod cursor;
mod pieces;
mod quoted;
mod skim;
mod text;

pub use cursor::{Cursor, MAX_DEPTH, Seen};
pub use pieces::Pieces;
pub use quoted::{MAX_HELD, Quoted, quoted};
pub use skim::{Skim, Step};
pub use text::Text;

/// The text is not JSON, or JSON that two readers can read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;
