//! Who runs what, as the workers of one proxy tell each other.
//!
//! ```text
//! value = *share
//! share = worker:u32 time:u64 count:u32 entry{count}      all little endian; the time in nanoseconds since 1970
//! entry = size:u32 name{size} running:u32
//! ```
//!
//! Each worker writes its own share whole, and again every second. A worker whose VM traps takes its streams with it, and never says that
//! they ended: a share that has not been written again for [`DEAD_AFTER`] no longer counts.

use std::iter;

/// A share that is so many nanoseconds old belongs to a worker that died. A share from the future counts within the same bound, since
/// another worker may write it after this one has looked at its clock; past it, the clock was set back.
pub const DEAD_AFTER: u64 = 5_000_000_000;

/// One worker's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share<'s> {
    /// The worker's number.
    pub worker: u32,
    /// When it was written.
    pub time: u64,
    /// What runs, and how often.
    pub entries: Vec<(&'s str, u32)>,
}

/// Reads the shares of all workers that are alive, but for one's own. Bytes that make no sense end the list.
pub fn of_others(value: &[u8], own: u32, now: u64) -> Vec<Share<'_>> {
    all(value).filter(|share| share.worker != own && share.is_alive(now, DEAD_AFTER)).collect()
}

/// Reads the shares of all workers, dead or alive.
pub fn all(mut value: &[u8]) -> impl Iterator<Item = Share<'_>> {
    iter::from_fn(move || take_share(&mut value))
}

impl Share<'_> {
    /// Whether the worker has written this share within so many nanoseconds.
    pub fn is_alive(&self, now: u64, dead_after: u64) -> bool {
        self.time.abs_diff(now) < dead_after
    }
}

/// How often something runs, over all of these.
pub fn running(shares: &[Share<'_>], name: &str) -> i64 {
    let entries = shares.iter().flat_map(|share| &share.entries);
    entries.filter(|(other, _)| *other == name).map(|(_, running)| i64::from(*running)).sum()
}

/// Writes the shares; those without entries are left out.
pub fn write<'s, 'a: 's>(shares: impl IntoIterator<Item = &'s Share<'a>>) -> Vec<u8> {
    let mut value = Vec::new();
    for share in shares {
        if share.entries.is_empty() {
            continue;
        }
        value.extend_from_slice(&share.worker.to_le_bytes());
        value.extend_from_slice(&share.time.to_le_bytes());
        value.extend_from_slice(&size(share.entries.len()));
        for (name, running) in &share.entries {
            value.extend_from_slice(&size(name.len()));
            value.extend_from_slice(name.as_bytes());
            value.extend_from_slice(&running.to_le_bytes());
        }
    }
    value
}

fn size(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take_share<'s>(value: &mut &'s [u8]) -> Option<Share<'s>> {
    let worker = take_u32(value)?;
    let (time, rest) = value.split_first_chunk::<8>()?;
    *value = rest;
    let mut share = Share { worker, time: u64::from_le_bytes(*time), entries: Vec::new() };
    for _ in 0..take_u32(value)? {
        let length = usize::try_from(take_u32(value)?).ok()?;
        let (name, rest) = value.split_at_checked(length)?;
        *value = rest;
        share.entries.push((std::str::from_utf8(name).ok()?, take_u32(value)?));
    }
    Some(share)
}

fn take_u32(value: &mut &[u8]) -> Option<u32> {
    let (number, rest) = value.split_first_chunk::<4>()?;
    *value = rest;
    Some(u32::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: u64 = 1_000_000_000_000;

    fn share(worker: u32, time: u64, entries: &[(&'static str, u32)]) -> Share<'static> {
        Share { worker, time, entries: entries.to_vec() }
    }

    #[test]
    fn what_is_written_is_read() {
        let shares = [share(1, NOW, &[("a", 1), ("é|b", 7)]), share(2, NOW - 1, &[("", u32::MAX)])];
        let value = write(&shares);
        assert_eq!(of_others(&value, 0, NOW), shares);
        assert_eq!(of_others(&value, 1, NOW), shares[1..]);
        assert_eq!(running(&shares, "a"), 1);
        assert_eq!(running(&shares, ""), i64::from(u32::MAX));
    }

    #[test]
    fn a_share_without_entries_is_not_written() {
        assert_eq!(write(&[share(1, NOW, &[])]), b"");
    }

    #[test]
    fn a_share_that_is_too_old_or_too_far_in_the_future_does_not_count() {
        for (time, counts) in [
            (NOW, true),
            (NOW - DEAD_AFTER + 1, true),
            (NOW - DEAD_AFTER, false),
            (NOW + DEAD_AFTER - 1, true),
            (NOW + DEAD_AFTER, false),
        ] {
            let value = write(&[share(1, time, &[("a", 1)])]);
            assert_eq!(!of_others(&value, 0, NOW).is_empty(), counts, "{time}");
        }
    }

    #[test]
    fn bytes_that_make_no_sense_end_the_list() {
        let value = write(&[share(1, NOW, &[("a", 1)]), share(2, NOW, &[("b", 2), ("c", 3)])]);
        for length in 0..value.len() {
            assert!(of_others(&value[..length], 0, NOW).len() <= 1, "cut to {length} bytes");
        }
        for at in 0..value.len() {
            let mut forged = value.clone();
            forged[at] ^= 0xff;
            assert!(of_others(&forged, 0, NOW).len() <= 2);
        }
    }
}
