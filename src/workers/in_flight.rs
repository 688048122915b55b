//! Requests in flight, over all workers, some of which may have died.
//!
//! A gauge that each worker moves up and down would be wrong for ever after a trap. So each worker writes down what it has in flight, by
//! `shares`, once a second; whoever does so sums up what the others wrote.

use super::shares::{self, Share};
use super::{Number, Store, change};

/// The key.
pub const KEY: &str = "tenancy_in_flight";

/// A share of this age belongs to a worker that died. Workers with requests in flight write theirs each second.
const DEAD_AFTER: u64 = 3_000_000_000;

/// Writes what this worker has in flight, and calls `each` with every entry of all workers. `now`: nanoseconds since 1970.
///
/// The entries of a worker that died are removed, and `each` is called with 0 for them: whoever sees them last sets the gauge right, also
/// where no other worker has seen them before.
///
/// # Errors
/// The host could not be asked.
pub fn share<S: Store>(
    store: &mut S,
    number: &mut Number,
    entries: Vec<(&str, u32)>,
    now: u64,
    each: &mut dyn FnMut(&str, u32),
) -> Result<(), S::Error> {
    let worker = number.get(store)?;
    let own = Share { worker, time: now, entries };
    let mut seen = Vec::new();
    let counts = |share: &Share<'_>| share.worker != worker && share.is_alive(now, DEAD_AFTER);
    change(store, KEY, &mut |value| {
        seen = value.to_vec();
        let others: Vec<Share<'_>> = shares::all(value).filter(counts).collect();
        Some(shares::write(others.iter().chain([&own])))
    })?;
    for share in shares::all(&seen) {
        let is_counted = counts(&share);
        share.entries.iter().for_each(|(name, count)| each(name, if is_counted { *count } else { 0 }));
    }
    own.entries.iter().for_each(|(name, count)| each(name, *count));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Shared;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: u64 = 1_000_000_000_000;

    fn sum(shared: &mut Shared, number: &mut Number, entries: &[(&str, u32)], now: u64) -> u32 {
        let mut sum = 0;
        share(shared, number, entries.to_vec(), now, &mut |_, count| sum += count).unwrap();
        sum
    }

    #[test]
    fn what_all_live_workers_have_in_flight_is_summed() {
        let (mut shared, mut one, mut other) = (Shared::default(), Number::new(), Number::new());
        assert_eq!(sum(&mut shared, &mut one, &[("x", 2)], NOW), 2);
        assert_eq!(sum(&mut shared, &mut other, &[("x", 3), ("y", 1)], NOW), 6);
        assert_eq!(sum(&mut shared, &mut one, &[], NOW), 4);
        assert_eq!(sum(&mut shared, &mut one, &[("x", 1)], NOW + DEAD_AFTER), 1, "the other one died");
        assert_eq!(sum(&mut shared, &mut one, &[], NOW), 0);
        assert_eq!(shared.held[KEY].0, b"");
    }

    #[test]
    fn whoever_comes_after_a_dead_worker_hears_of_its_entries() {
        let (mut shared, mut dead) = (Shared::default(), Number::new());
        assert_eq!(sum(&mut shared, &mut dead, &[("x", 2)], NOW), 2);
        let (mut next, mut seen) = (Number::new(), Vec::new());
        let hour = 3_600_000_000_000;
        share(&mut shared, &mut next, Vec::new(), NOW + hour, &mut |name, count| seen.push((name.to_owned(), count)))
            .unwrap();
        assert_eq!(seen, [("x".to_owned(), 0)]);
        assert_eq!(shared.held[KEY].0, b"");
    }
}
