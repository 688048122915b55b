//! The series of a remote-read answer, all of which have to be inside the scope. They were asked for with its matchers, so that what is
//! outside is a fault of the upstream's: the answer is cut off, and no client takes it for a whole one.
//!
//! ```text
//! SAMPLES              held until it is whole, since it is one compressed message; then checked and passed on as it came
//! STREAMED_XOR_CHUNKS  each frame is held until it is whole, checked and passed on as it came
//! ```
//!
//! An error that Prometheus meets in mid-stream is appended to the frames as text (`remoteReadStreamedXORChunks` in
//! storage/remote/read_handler.go, 3.16). It is no frame, so that the answer is cut off before it.

use super::Unreadable;
use super::owner::Owner;
use crate::wire::protobuf;
use crate::wire::remote_read::{Frame, FrameError, Frames, series_of_chunks, series_of_samples};
use crate::wire::snappy;

/// The longest frame that is held, where `max_response_bytes` is smaller. Prometheus begins a frame of its own where one would grow beyond
/// 1 MiB (`--storage.remote.read-max-bytes-in-frame`), and ends it behind the chunk that made it so long.
const MAX_FRAME: usize = 2 << 20;

/// Reads the body of an answer, and passes on what is the owner's.
#[derive(Debug)]
pub struct Series {
    owner: Owner,
    max: usize,
    form: Form,
    has_written: bool,
    fault: Option<Unreadable>,
}

#[derive(Debug)]
enum Form {
    /// A compressed message, as far as it has come.
    Samples(Vec<u8>),
    Streamed(Frames),
}

impl Series {
    /// For an answer of this content type; `None` where it is neither of the two. At most `max` bytes of samples are held, and as many when
    /// they are decompressed.
    pub fn new(content_type: &[u8], owner: Owner, max: usize) -> Option<Series> {
        let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let form = if media_type.eq_ignore_ascii_case(b"application/x-protobuf") {
            Form::Samples(Vec::new())
        } else if media_type.eq_ignore_ascii_case(b"application/x-streamed-protobuf") {
            Form::Streamed(Frames::new(max.max(MAX_FRAME)))
        } else {
            return None;
        };
        Some(Series { owner, max, form, has_written: false, fault: None })
    }

    /// Whether this content encoding is what the content type comes with: the compression of samples is a part of their format, and
    /// Cortex does not name it.
    pub fn takes_encoding(&self, encoding: &[u8]) -> bool {
        let is_snappy = encoding.eq_ignore_ascii_case(b"snappy");
        match self.form {
            Form::Samples(_) => is_snappy || encoding.eq_ignore_ascii_case(b"identity"),
            Form::Streamed(_) => encoding.eq_ignore_ascii_case(b"identity"),
        }
    }

    /// Reads on, and writes what is passed on: never more than has come. After a fault nothing more is written.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) {
        if self.fault.is_some() {
            return;
        }
        let before = out.len();
        self.fault = self.read(chunk, end, out).err();
        if self.fault.is_some() {
            // Frames before the fault are the owner's, but the answer is cut off at once: they would not arrive.
            out.truncate(before);
        }
        self.has_written |= out.len() > before;
    }

    /// Nothing more is passed on.
    pub fn stop(&mut self, fault: Unreadable) {
        self.fault.get_or_insert(fault);
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        self.fault
    }

    /// Whether a byte has been written.
    pub fn has_written(&self) -> bool {
        self.has_written
    }

    fn read(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let owner = &self.owner;
        match &mut self.form {
            Form::Samples(held) => {
                if held.len().saturating_add(chunk.len()) > self.max {
                    return Err(Unreadable::TooLarge);
                }
                held.extend_from_slice(chunk);
                if !end {
                    return Ok(());
                }
                let message = snappy::decode_block(held, self.max).map_err(|error| match error {
                    snappy::Error::Long => Unreadable::TooLarge,
                    snappy::Error::Malformed | snappy::Error::Checksum => Unreadable::Malformed,
                })?;
                check(owner, series_of_samples(&message))?;
                out.append(held);
                Ok(())
            }
            Form::Streamed(frames) => {
                let mut fault = None;
                let mut each = |frame: Frame<'_>| {
                    check(owner, series_of_chunks(frame.message)).map_err(|unreadable| {
                        fault = Some(unreadable);
                        FrameError::Refused
                    })?;
                    out.extend_from_slice(frame.raw);
                    Ok(())
                };
                let read = frames.push(chunk, &mut each).and_then(|()| if end { frames.finish() } else { Ok(()) });
                read.map_err(|error| match error {
                    FrameError::Long => Unreadable::TooLarge,
                    FrameError::Cut => Unreadable::Truncated,
                    FrameError::Length | FrameError::Checksum => Unreadable::Malformed,
                    FrameError::Refused => fault.unwrap_or(Unreadable::Foreign),
                })
            }
        }
    }
}

/// Every series has to be the owner's.
fn check<'m>(
    owner: &Owner,
    mut all: impl Iterator<Item = Result<&'m [u8], protobuf::Error>>,
) -> Result<(), Unreadable> {
    all.try_for_each(|series| {
        let is_own = series.and_then(|series| owner.owns(series)).map_err(|_| Unreadable::Malformed)?;
        if is_own { Ok(()) } else { Err(Unreadable::Foreign) }
    })
}

#[cfg(test)]
mod tests;
