//! A header map in the form that the proxy-wasm ABI gives it:
//!
//! ```text
//! map  = count:u32le  (name_size:u32le value_size:u32le){count}  (name 0 value 0){count}
//! ```
//!
//! An empty map may be no bytes at all.

use crate::exchange::{Fault, HostError};

/// A header's name and value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// Reads the map in place. `None` where the bytes are anything but one whole map.
fn read(bytes: &[u8]) -> Option<Vec<Pair<'_>>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let sizes_len = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(8)?;
    let (sizes, mut text) = rest.split_at_checked(sizes_len)?;
    let (sizes, _) = sizes.as_chunks::<8>();
    // `sizes` is as long as the bytes that were handed over, so a forged count allocates nothing.
    let mut pairs = Vec::with_capacity(sizes.len());
    for &[n0, n1, n2, n3, v0, v1, v2, v3] in sizes {
        let name = take_text(&mut text, u32::from_le_bytes([n0, n1, n2, n3]))?;
        let value = take_text(&mut text, u32::from_le_bytes([v0, v1, v2, v3]))?;
        pairs.push((name, value));
    }
    text.is_empty().then_some(pairs)
}

/// The same, as a failure of the host's.
pub fn checked(bytes: &[u8]) -> Result<Vec<Pair<'_>>, HostError> {
    read(bytes).ok_or(HostError { call: "proxy_get_header_map_pairs", fault: Fault::Data })
}

/// Writes a map.
pub fn write(pairs: &[Pair<'_>]) -> Vec<u8> {
    let text: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    let mut bytes = Vec::with_capacity(4 + text);
    bytes.extend_from_slice(&size_of(pairs.len()));
    for (name, value) in pairs {
        bytes.extend_from_slice(&size_of(name.len()));
        bytes.extend_from_slice(&size_of(value.len()));
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

/// Lengths are of our own short texts, and `usize` has 32 bits where this runs.
fn size_of(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}

/// Takes `size` bytes and the NUL after them.
fn take_text<'a>(text: &mut &'a [u8], size: u32) -> Option<&'a [u8]> {
    let (taken, rest) = text.split_at_checked(usize::try_from(size).ok()?)?;
    match rest.split_first()? {
        (0, rest) => {
            *text = rest;
            Some(taken)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &[Pair<'_>] = &[(b":path", b"/api/v1/query?query=up"), (b"thanos-tenant", b""), (b"x", b"\xff\0")];

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&write(MAP)).as_deref(), Some(MAP));
        assert_eq!(read(&write(&[])), Some(vec![]));
    }

    #[test]
    fn no_bytes_are_an_empty_map() {
        assert_eq!(read(b""), Some(vec![]));
    }

    #[test]
    fn a_map_cut_anywhere_or_with_bytes_left_over_is_refused() {
        let whole = write(MAP);
        for len in 1..whole.len() {
            assert_eq!(read(&whole[..len]), None, "cut to {len} bytes");
        }
        let longer = [whole.as_slice(), b"\0"].concat();
        assert_eq!(read(&longer), None);
    }

    #[test]
    fn forged_counts_and_sizes_are_refused() {
        let whole = write(MAP);
        for at in 0..4 + 8 * MAP.len() {
            for forged in [0x01, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= forged;
                assert_ne!(read(&bytes).as_deref(), Some(MAP), "byte {at} ^ {forged}");
            }
        }
    }

    #[test]
    fn a_text_without_its_nul_is_refused() {
        let mut bytes = write(&[(b"a", b"b")]);
        let end = bytes.len() - 1;
        bytes[end] = b'x';
        assert_eq!(read(&bytes), None);
    }
}
