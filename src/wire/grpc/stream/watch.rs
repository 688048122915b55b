//! Who decides on the fields of a stream's messages, and what is handed out.

use crate::wire::grpc::FrameError;
use crate::wire::protobuf;

/// What is done with a field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// It passes unread.
    Pass,
    /// It is a series, the labels of which are its fields 1.
    Series,
    /// Its fields 1 are series. It has no others.
    Batch,
    /// It is removed.
    Drop,
    /// It is handed out by itself.
    Field,
    /// Its own fields are handed out one by one.
    Parts,
    /// The whole message is handed out.
    Hold,
}

/// What is handed out. Nothing of it has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'e> {
    /// A whole message.
    Held(&'e [u8]),
    /// One field, as a message of that field alone.
    Field(&'e [u8]),
    /// Of a field whose own fields are handed out.
    Part(Part<'e>),
    /// A message or a field was longer than the bound, and has been removed. The number of the field that it was, or began with.
    Over(u64),
    /// The message has ended, and nothing of it has passed.
    End,
}

/// A message whose fields are handed out one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'e> {
    /// The field of this number is entered. What follows are fields of its own, until it ends.
    Begin(u64),
    /// The field of this number, as a message of that field alone.
    Field(u64, &'e [u8]),
    /// The field of this number was longer than the bound, and has been removed.
    Over(u64),
    /// The field of this number, which was entered, has no more fields.
    End(u64),
}

/// Who decides on fields.
pub trait Watch {
    /// What is done with the fields of a message that have this number.
    fn care(&self, number: u64) -> Care;

    /// Whether a field of this number is entered: its own fields are handed out instead of itself. It is one of the message that was
    /// entered last. A watch enters only so many, one within the other, as the messages that it knows are nested.
    fn enters(&self, number: u64) -> bool;

    /// Looks at the labels of a series, as a message of which they are fields 1: whether it passes. One of a batch can't be removed, so
    /// that the answer ends there, with [`StreamError::Refused`].
    fn series(&mut self, labels: &[u8]) -> Result<bool, StreamError>;

    /// Looks at what is handed out. What is appended to `out` goes to the client, and has to be whole frames.
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), StreamError>;
}

/// Why an answer can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamError {
    /// A frame's header can't be read, or the answer ends within a frame, or a message is compressed.
    Frame(FrameError),
    /// A message can't be read.
    Message(protobuf::Error),
    /// What has to be held is longer than the bound.
    Long,
    /// The fields of one message would need different treatment.
    Mixed,
    /// A label that follows other fields of its series.
    Late,
    /// A batch has a field that is no series.
    Unknown,
    /// The watch refuses what it was shown.
    Refused,
}
