//! Who runs how many queries of a tenant at the same time, as the VMs of one proxy tell each other.
//!
//! ```text
//! bucket = *( vm count expiry size tenant{size} )     8, 4, 8 and 4 bytes, the least significant first; expiry in milliseconds since 1970
//! ```
//!
//! Tenants share buckets, of which there are so many and no more: what is shared is never taken back by the proxy, and there may be as many
//! tenants as clients care to make up. What is in a bucket ends with the queries that run.
//!
//! Each VM writes its own shares whole, and again every second. A share that was not renewed for [`TERM_MS`] counts no more:
//! so a VM that trapped locks nobody out, and what was lost of a share mends itself.

/// How long a share counts.
pub const TERM_MS: i64 = 5_000;
/// How many buckets there are.
pub const BUCKETS: u32 = 256;

/// The bucket of a tenant.
pub fn bucket(tenant: &str) -> u32 {
    tenant.bytes().fold(5_381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte)) % BUCKETS
}

/// One VM's queries of one tenant.
struct Share<'s> {
    vm: u64,
    count: u32,
    expiry: i64,
    tenant: &'s [u8],
}

/// Writes a VM's share of a tenant beside those of others that still count. Returns how many queries of that tenant these run, and the
/// new shares.
pub fn write(mut shares: &[u8], tenant: &str, vm: u64, count: u32, now_ms: i64) -> (i64, Vec<u8>) {
    let expiry = now_ms.saturating_add(TERM_MS);
    let own = Share { vm, count, expiry, tenant: tenant.as_bytes() };
    let mut new = Vec::new();
    let mut others = 0i64;
    while let Some(share) = read(&mut shares) {
        let is_of_tenant = share.tenant == own.tenant;
        // The clock may have been set back, too.
        if share.count > 0 && (now_ms..=expiry).contains(&share.expiry) && !(is_of_tenant && share.vm == vm) {
            if is_of_tenant {
                others = others.saturating_add(i64::from(share.count));
            }
            append(&share, &mut new);
        }
    }
    if count > 0 {
        append(&own, &mut new);
    }
    (others, new)
}

fn append(share: &Share<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&share.vm.to_le_bytes());
    out.extend_from_slice(&share.count.to_le_bytes());
    out.extend_from_slice(&share.expiry.to_le_bytes());
    // A tenant's ID, or several, fit into a header.
    out.extend_from_slice(&u32::try_from(share.tenant.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(share.tenant);
}

/// Takes the next share. What makes no sense ends them.
fn read<'s>(shares: &mut &'s [u8]) -> Option<Share<'s>> {
    let (vm, rest) = shares.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (expiry, rest) = rest.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (tenant, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
    *shares = rest;
    let (vm, count, expiry) = (u64::from_le_bytes(*vm), u32::from_le_bytes(*count), i64::from_le_bytes(*expiry));
    Some(Share { vm, count, expiry, tenant })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Of a tenant with an ID of one byte.
    const SHARE: usize = 25;

    fn write(shares: &[u8], vm: u64, count: u32, now_ms: i64) -> (i64, Vec<u8>) {
        super::write(shares, "a", vm, count, now_ms)
    }

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
    fn tenants_of_one_bucket_are_told_apart() {
        let (_, shares) = write(b"", 1, 3, 0);
        for other in ["b", "", "aa"] {
            let (others, both) = super::write(&shares, other, 1, 2, 0);
            assert_eq!((others, both.len()), (0, SHARE * 2 + other.len() - 1));
            assert_eq!(write(&both, 2, 0, 0).0, 3);
            assert_eq!(super::write(&both, other, 2, 0, 0).0, 2);
            let (others, shares) = super::write(&both, other, 1, 0, 0);
            assert_eq!((others, shares), (0, super::write(b"", "a", 1, 3, 0).1));
        }
        let used: std::collections::BTreeSet<u32> = (0..4_000).map(|n| bucket(&format!("tenant-{n}"))).collect();
        assert!(used.len() > 200 && used.last() < Some(&BUCKETS));
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
        let (_, shares) = write(b"", 1, 1, 0);
        for length in 0..SHARE {
            assert_eq!(write(&shares[..length], 2, 0, 0).0, 0);
        }
    }
}
