//! Who runs how many queries of a tenant at the same time, as the VMs of one proxy tell each other.
//!
//! ```text
//! shares = *( vm count expiry )      8, 4 and 8 bytes, the least significant first; expiry in milliseconds since 1970
//! ```
//!
//! Each VM writes its own share whole, and again every second. A share that was not renewed for [`TERM_MS`] counts no more:
//! so a VM that trapped locks nobody out, and what was lost of a share mends itself.

/// How long a share counts.
pub const TERM_MS: i64 = 5_000;

const SHARE: usize = 20;

/// Writes a VM's share beside those of others that still count. Returns how many queries these run, and the new shares.
pub fn write(shares: &[u8], vm: u64, count: u32, now_ms: i64) -> (i64, Vec<u8>) {
    let mut new = Vec::with_capacity(shares.len() + SHARE);
    let mut others = 0;
    for share in shares.chunks_exact(SHARE) {
        let Some((other, running, expiry)) = read(share) else { continue };
        // The clock may have been set back, too.
        if other != vm && running > 0 && (now_ms..=now_ms.saturating_add(TERM_MS)).contains(&expiry) {
            others += i64::from(running);
            new.extend_from_slice(share);
        }
    }
    if count > 0 {
        new.extend_from_slice(&vm.to_le_bytes());
        new.extend_from_slice(&count.to_le_bytes());
        new.extend_from_slice(&now_ms.saturating_add(TERM_MS).to_le_bytes());
    }
    (others, new)
}

fn read(share: &[u8]) -> Option<(u64, u32, i64)> {
    let (vm, rest) = share.split_first_chunk()?;
    let (count, expiry) = rest.split_first_chunk()?;
    Some((u64::from_le_bytes(*vm), u32::from_le_bytes(*count), i64::from_le_bytes(*expiry.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn shares_of_others_stand_as_long_as_they_are_renewed() {
        let (others, shares) = write(b"", 1, 3, 1_000);
        assert_eq!((others, shares.len()), (0, SHARE));
        let (others, shares) = write(&shares, 2, 4, 2_000);
        assert_eq!((others, shares.len()), (3, 2 * SHARE));
        assert_eq!(write(&shares, 1, 9, 6_000).0, 4);
        assert_eq!(write(&shares, 3, 1, 6_000).0, 7);
        assert_eq!(write(&shares, 3, 1, 6_001).0, 4);
        let (others, shares) = write(&shares, 3, 0, 7_001);
        assert_eq!((others, shares.len()), (0, 0));
    }

    #[test]
    fn own_share_is_replaced_and_ends_with_its_last_query() {
        let (_, shares) = write(b"", 1, 3, 0);
        let (_, shares) = write(&shares, 2, 1, 0);
        let (others, shares) = write(&shares, 1, 0, 0);
        assert_eq!((others, shares.len()), (1, SHARE));
    }

    #[test]
    fn what_is_no_share_counts_nothing() {
        let (_, shares) = write(b"", 1, u32::MAX, i64::MAX);
        for bytes in [&b"x"[..], &[0xff; SHARE], &[0; SHARE * 3 + 1], &shares] {
            assert_eq!(write(bytes, 2, 0, 0), (0, Vec::new()));
        }
        // The clock was set back by a day.
        let (_, shares) = write(b"", 1, 1, 86_400_000);
        assert_eq!(write(&shares, 2, 0, 0).0, 0);
    }
}
