//! gRPC's frames: the one of a request here, those of an answer in [`Stream`].
//!
//! ```text
//! frame = flag (0 plain, 1 compressed), 4 bytes of length, big-endian, message
//! ```
//!
//! Servers differ in what they make of a body that is not exactly one frame. grpc-go 1.81.1 serves a message with a byte after
//! it, and waits for ever on an empty body. Here each is an error of its own, and the frame is written anew.

mod stream;

pub use stream::{Care, Event, Part, Stream, StreamError, Watch};

use super::protobuf::Message;
use super::snappy;
use std::borrow::Cow;

/// What stands before a message.
pub const HEADER: usize = 5;

/// How a request's message may be compressed: its `grpc-encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// Snappy's framing format.
    Snappy,
}

/// For `grpc-accept-encoding`, with which a refusal of [`FrameError::Encoding`] says what would be read.
pub const ACCEPTED: &str = "identity,snappy";

impl Encoding {
    /// Reads the header. Others are refused, gzip too: its decoder would add more to the module than all of this room.
    pub fn of(header: Option<&[u8]>) -> Result<Self, FrameError> {
        match header {
            None | Some(b"identity") => Ok(Encoding::Identity),
            Some(b"snappy") => Ok(Encoding::Snappy),
            Some(_) => Err(FrameError::Encoding),
        }
    }
}

/// Why a body is not one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// There is no message.
    Empty,
    /// The message ends before its length.
    Cut,
    /// A second message follows.
    Second,
    /// Something else follows.
    Trailing,
    /// The flag is neither 0 nor 1.
    Flag,
    /// The message is compressed, and no header says how.
    Compressed,
    /// Its compression is not known.
    Encoding,
    /// The message is too long.
    Long,
    /// It can't be decompressed.
    Snappy(snappy::Error),
}

impl FrameError {
    /// The error in words, for the client.
    pub fn text(self) -> &'static str {
        match self {
            FrameError::Empty => "the request holds no message",
            FrameError::Cut => "the request ends within its message",
            FrameError::Second => "the request holds more than one message",
            FrameError::Trailing => "the request holds bytes after its message",
            FrameError::Flag => "the compression flag of the message is neither 0 nor 1",
            FrameError::Compressed => "the message is compressed, but grpc-encoding does not say how",
            FrameError::Encoding => "the message's compression is not supported; send it uncompressed or with snappy",
            FrameError::Long => "the message is too large: ask for less",
            FrameError::Snappy(error) => error.text(),
        }
    }
}

/// The message of a body that has to be exactly one frame, decompressed, and no longer than the bound.
pub fn message(body: &[u8], encoding: Encoding, bound: usize) -> Result<Cow<'_, [u8]>, FrameError> {
    if body.is_empty() {
        return Err(FrameError::Empty);
    }
    let (&header, rest) = body.split_first_chunk::<HEADER>().ok_or(FrameError::Cut)?;
    let (compressed, length) = read_header(header)?;
    let (message, after) = rest.split_at_checked(length as usize).ok_or(FrameError::Cut)?;
    if !after.is_empty() {
        return Err(match one_more(after) {
            true => FrameError::Second,
            false => FrameError::Trailing,
        });
    }
    match (compressed, encoding) {
        (false, _) if message.len() > bound => Err(FrameError::Long),
        (false, _) => Ok(Cow::Borrowed(message)),
        (true, Encoding::Snappy) => snappy::decode_stream(message, bound).map(Cow::Owned).map_err(FrameError::Snappy),
        (true, Encoding::Identity) => Err(FrameError::Compressed),
    }
}

/// Appends a frame around a message that is written already.
pub fn write_frame(message: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    let length = u32::try_from(message.len()).map_err(|_| FrameError::Long)?;
    out.push(0);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

/// A body of one message.
pub fn body(message: &dyn Message<'_>) -> Result<Vec<u8>, FrameError> {
    let (mut payload, mut body) = (Vec::new(), Vec::new());
    message.write(&mut payload);
    write_frame(&payload, &mut body)?;
    Ok(body)
}

/// Whether the message is compressed, and its length.
fn read_header([flag, length @ ..]: [u8; HEADER]) -> Result<(bool, u32), FrameError> {
    match flag {
        0 | 1 => Ok((flag == 1, u32::from_be_bytes(length))),
        _ => Err(FrameError::Flag),
    }
}

/// Whether whole frames follow, at least one.
fn one_more(bytes: &[u8]) -> bool {
    bytes
        .split_first_chunk::<HEADER>()
        .is_some_and(|(&header, rest)| read_header(header).is_ok_and(|(_, length)| rest.len() >= length as usize))
}

#[cfg(test)]
mod tests;
