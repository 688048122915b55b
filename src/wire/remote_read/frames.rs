//! The frames of a streamed answer, as they arrive. Each is held until it is whole, and its checksum is looked at: Prometheus
//! writes frames of 1 MiB (`--storage.remote.read-max-bytes-in-frame`), and one longer series.
//!
//! An error that Prometheus meets in mid-stream is appended as text. It reads as a frame that is cut or has a wrong checksum.

use crate::wire::crc32c::crc32c;
use crate::wire::protobuf::{self, varint};

/// A frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'f> {
    /// With its length and checksum, to be passed on.
    pub raw: &'f [u8],
    /// The message.
    pub message: &'f [u8],
}

/// Why frames can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// A frame is longer than the bound.
    Long,
    /// The length is no number.
    Length,
    /// The message is not the one that was written.
    Checksum,
    /// The answer ends within a frame.
    Cut,
    /// Who looks at the frames refuses what it was shown.
    Refused,
}

/// Reads frames.
#[derive(Debug)]
pub struct Frames {
    bound: usize,
    /// The beginning of a frame, as far as it has arrived.
    held: Vec<u8>,
    /// What was read of that beginning.
    extent: Option<Extent>,
    failed: Option<FrameError>,
}

#[derive(Debug, Clone, Copy)]
struct Extent {
    head: usize,
    total: usize,
}

/// The bytes of a checksum.
const SUM: usize = 4;

impl Frames {
    /// Messages of at most this many bytes.
    pub fn new(bound: usize) -> Self {
        Frames { bound, held: Vec::new(), extent: None, failed: None }
    }

    /// Takes the next bytes of the answer, and hands out each frame that is whole with them. After an error, also one that `each`
    /// returns, every later call gives the error again.
    pub fn push(
        &mut self,
        data: &[u8],
        each: &mut dyn FnMut(Frame<'_>) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        let result = match self.failed {
            None => self.run(data, each),
            Some(error) => Err(error),
        };
        self.failed = result.err();
        result
    }

    fn run(
        &mut self,
        mut data: &[u8],
        each: &mut dyn FnMut(Frame<'_>) -> Result<(), FrameError>,
    ) -> Result<(), FrameError> {
        loop {
            // A frame that is whole in the data is not copied.
            while self.held.is_empty()
                && let Some(extent) = self.extent_of(data)?
                && let Some((raw, rest)) = data.split_at_checked(extent.total)
            {
                data = rest;
                each(checked(raw, extent.head)?)?;
            }
            if data.is_empty() {
                return Ok(());
            }
            let wanted = self.extent.map_or(1, |extent| extent.total.saturating_sub(self.held.len()));
            let (taken, rest) = data.split_at_checked(wanted).unwrap_or((data, &[]));
            data = rest;
            self.held.extend_from_slice(taken);
            if self.extent.is_none() {
                self.extent = self.extent_of(&self.held)?;
            }
            if let Some(extent) = self.extent
                && extent.total == self.held.len()
            {
                each(checked(&self.held, extent.head)?)?;
                self.held.clear();
                self.extent = None;
            }
        }
    }

    /// The answer has ended.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.held.is_empty() => Ok(()),
            None => Err(FrameError::Cut),
        }
    }

    /// How far a frame goes, once its length has arrived.
    fn extent_of(&self, begin: &[u8]) -> Result<Option<Extent>, FrameError> {
        let mut rest = begin;
        let size = match varint(&mut rest) {
            Ok(size) => size,
            Err(protobuf::Error::Cut) => return Ok(None),
            Err(_) => return Err(FrameError::Length),
        };
        let size = usize::try_from(size).ok().filter(|&size| size <= self.bound).ok_or(FrameError::Long)?;
        let head = begin.len() - rest.len() + SUM;
        Ok(Some(Extent { head, total: head.saturating_add(size) }))
    }
}

fn checked(raw: &[u8], head: usize) -> Result<Frame<'_>, FrameError> {
    let (before, message) = raw.split_at_checked(head).ok_or(FrameError::Cut)?;
    let sum = before.last_chunk::<SUM>().ok_or(FrameError::Cut)?;
    if crc32c(message) != u32::from_be_bytes(*sum) {
        return Err(FrameError::Checksum);
    }
    Ok(Frame { raw, message })
}

#[cfg(test)]
mod tests;
