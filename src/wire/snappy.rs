//! Snappy: the block format, and the framing format around it.
//!
//! ```text
//! block  = varint(size of what was compressed) elements
//! stream = *chunk                   chunk = type, 3 bytes of size, little-endian, then as many bytes
//! 0xff   = "sNaPpY"                 begins a stream
//! 0x00   = 4 bytes of sum, block    at most 64 KiB compressed
//! 0x01   = 4 bytes of sum, bytes    at most 64 KiB as they are
//! 0x80 to 0xfe                      skipped
//! ```
//!
//! `format_description.txt` and `framing_format.txt` of github.com/google/snappy. A block says at its beginning how long it will
//! be, so that nothing is decoded that is over the bound.

use super::crc32c;
use snap::raw::{Decoder, decompress_len};

/// The longest that a chunk of the framing format may be when it is decoded.
const MAX_CHUNK: usize = 1 << 16;

/// Why compressed bytes can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// More than the bound once it is decoded, or more than a chunk may hold.
    Long,
    /// They are no snappy, or end too early.
    Malformed,
    /// The sum of what was decoded is another.
    Checksum,
}

impl Error {
    /// The error in words, for the client.
    pub fn text(self) -> &'static str {
        match self {
            Error::Long => "the decompressed message is too large: ask for less",
            Error::Malformed => "the message is not valid snappy",
            Error::Checksum => "the snappy checksum does not match",
        }
    }
}

/// Decodes a block, if it says that it is no longer than the bound.
pub fn decode_block(block: &[u8], bound: usize) -> Result<Vec<u8>, Error> {
    let mut decoded = Vec::new();
    append_block(block, bound, &mut decoded)?;
    Ok(decoded)
}

/// Writes a block that any reader decodes to these bytes. They stand in it as they are, as incompressible ones do: what is sent
/// are small requests to an upstream that is near, and a compressor would be more code than the rest of this file.
pub fn encode_block(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(bytes.len() + bytes.len() / MAX_CHUNK * 3 + 16);
    super::protobuf::write_varint(bytes.len() as u64, &mut block);
    for literal in bytes.chunks(MAX_CHUNK) {
        // Element 61: a literal whose length, less one, is in the next two bytes.
        block.push(61 << 2);
        block.extend_from_slice(&((literal.len() - 1) as u16).to_le_bytes());
        block.extend_from_slice(literal);
    }
    block
}

/// Decodes a stream of the framing format, up to the bound.
pub fn decode_stream(mut stream: &[u8], bound: usize) -> Result<Vec<u8>, Error> {
    let mut decoded = Vec::new();
    let mut begun = false;
    while !stream.is_empty() {
        let (&[kind, low, middle, high], rest) = stream.split_first_chunk().ok_or(Error::Malformed)?;
        let size = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let (content, rest) = rest.split_at_checked(size).ok_or(Error::Malformed)?;
        stream = rest;
        begun |= kind == 0xff;
        match kind {
            _ if !begun => return Err(Error::Malformed),
            0xff if content != b"sNaPpY" => return Err(Error::Malformed),
            0x00 | 0x01 => {
                let (sum, content) = content.split_first_chunk().ok_or(Error::Malformed)?;
                let before = decoded.len();
                let left = bound.saturating_sub(before).min(MAX_CHUNK);
                match kind {
                    0 => append_block(content, left, &mut decoded)?,
                    _ if content.len() > left => return Err(Error::Long),
                    _ => decoded.extend_from_slice(content),
                }
                if crc32c::masked(decoded.get(before..).unwrap_or_default()) != u32::from_le_bytes(*sum) {
                    return Err(Error::Checksum);
                }
            }
            0x02..=0x7f => return Err(Error::Malformed),
            0x80..=0xff => {}
        }
    }
    Ok(decoded)
}

fn append_block(block: &[u8], bound: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    let size = decompress_len(block).map_err(|_| Error::Malformed)?;
    if size > bound {
        return Err(Error::Long);
    }
    let before = out.len();
    out.resize(before.saturating_add(size), 0);
    let room = out.get_mut(before..).unwrap_or_default();
    match Decoder::new().decompress(block, room) {
        Ok(written) if written == size && !block.is_empty() => Ok(()),
        Ok(_) | Err(_) => Err(Error::Malformed),
    }
}

#[cfg(test)]
mod tests;
