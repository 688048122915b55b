//! Which tenants have series of their own.
//!
//! Envoy's workers share their stats, so they share the bound: each tenant that is admitted takes the next seat of a list
//! that all workers read (a key for each seat). Seats are never given
//! back. What is here is one worker's copy of the list, as far as it has read it.

use super::{Store, change, numbered};
use crate::stats::OTHER;
use crate::tenant::{MAX_THANOS_ID, is_joined};

/// One worker's copy of the list.
#[derive(Debug, Default)]
pub struct Roster {
    /// Sorted.
    ids: Vec<Box<str>>,
    /// How many seats have been read.
    seats: u32,
    /// How many of these count towards the bound: those of single tenants, and those of several at once.
    counted: u32,
    joined: u32,
    /// A seat has been taken by this worker since [`Roster::took_a_seat`] was last asked.
    took: bool,
}

/// What stands before a seat's number in its key.
const SEAT: &str = "tenancy_tenant_";
/// More seats than can be taken.
const MOST_SEATS: u32 = 1 << 20;

/// What a seat holds: whether its tenant is named by the configuration, and the tenant.
const NAMED: u8 = b'+';
const COUNTED: u8 = b'-';

/// Several tenants at once may take a tenth of what single tenants may. Ten tenants can be combined in a thousand ways.
const JOINED_SHARE: u32 = 10;

impl Roster {
    /// Nobody's.
    pub const fn new() -> Self {
        Roster { ids: Vec::new(), seats: 0, counted: 0, joined: 0, took: false }
    }

    /// Whether a tenant has series of its own. Takes a seat for it where it may have one. A tenant that the configuration names is
    /// admitted in any case; `max` is for the others. Where the host can't be asked, the tenant is counted with the others.
    ///
    /// Several tenants at once, joined, are one, with a bound of their own: no combination takes the place of a single tenant. Longer
    /// than any ID, they are counted with the others.
    pub fn admits<S: Store>(&mut self, store: &mut S, id: &str, is_named: bool, max: u32) -> bool {
        // A host that lies ends the search.
        for _ in 0..MOST_SEATS {
            if self.place(id).is_ok() {
                return true;
            }
            let has_room = match is_joined(id) {
                true => self.joined < max.div_ceil(JOINED_SHARE),
                false => is_named || self.counted < max,
            };
            if !has_room || id.len() > MAX_THANOS_ID || id == OTHER {
                return false;
            }
            let (mut seat, mut is_own) = (Vec::new(), false);
            let read = change(store, &numbered(SEAT, self.seats), &mut |taken| {
                let is_free = taken.is_empty();
                seat = if is_free { entry(id, is_named) } else { taken.to_vec() };
                is_own = is_free;
                is_free.then(|| seat.clone())
            });
            if read.is_err() {
                return false;
            }
            self.took |= is_own;
            self.note(&seat);
        }
        false
    }

    /// Notes what the next seat holds.
    fn note(&mut self, entry: &[u8]) {
        self.seats = self.seats.saturating_add(1);
        let Some((mark, id)) = entry.split_first() else {
            return;
        };
        let id = std::str::from_utf8(id).ok();
        if id.is_some_and(is_joined) {
            self.joined = self.joined.saturating_add(1);
        } else {
            self.counted = self.counted.saturating_add(u32::from(*mark != NAMED));
        }
        if let Some(id) = id
            && let Err(place) = self.place(id)
        {
            self.ids.insert(place, id.into());
        }
    }

    /// Whether this worker has taken a seat since it was last asked. Only then does it know how many there are.
    pub fn took_a_seat(&mut self) -> bool {
        std::mem::take(&mut self.took)
    }

    /// How many seats are taken, as far as is known.
    pub fn taken(&self) -> u32 {
        self.seats
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.ids.binary_search_by(|known| (**known).cmp(id))
    }
}

/// What is written where a tenant takes a seat.
fn entry(id: &str, is_named: bool) -> Vec<u8> {
    let mut entry = Vec::with_capacity(id.len() + 1);
    entry.push(if is_named { NAMED } else { COUNTED });
    entry.extend_from_slice(id.as_bytes());
    entry
}

#[cfg(test)]
mod tests {
    use super::super::tests::Shared;
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_bound_holds_over_all_workers() {
        let mut shared = Shared::default();
        let mut workers = [Roster::default(), Roster::default(), Roster::default()];
        for number in 0..1_000 {
            let worker = &mut workers[number % 3];
            let is_own = worker.admits(&mut shared, &format!("made-up-{number}"), false, 10);
            assert_eq!(is_own, number < 10, "{number}");
        }
        assert_eq!(shared.held.len(), 10);
        for worker in &mut workers {
            assert!(worker.admits(&mut shared, "made-up-9", false, 10));
            assert!(!worker.admits(&mut shared, "made-up-10", false, 10));
            assert_eq!((worker.taken(), worker.ids.len()), (10, 10));
        }
    }

    #[test]
    fn named_tenants_are_admitted_beyond_the_bound_and_take_none_of_it() {
        let (mut shared, mut roster) = (Shared::default(), Roster::default());
        for id in ["a", "b", "c"] {
            assert!(roster.admits(&mut shared, id, true, 1));
        }
        assert!(roster.admits(&mut shared, "x", false, 1));
        assert!(!roster.admits(&mut shared, "y", false, 1));
        assert!(roster.admits(&mut shared, "y", true, 1));
        // A configuration that raises the bound makes room at once, one that lowers it takes nothing back.
        assert!(roster.admits(&mut shared, "z", false, 2));
        assert!(roster.admits(&mut shared, "x", false, 0));
    }

    #[test]
    fn combinations_take_no_single_tenant_s_place() {
        let (mut shared, mut roster) = (Shared::default(), Roster::default());
        let ids: Vec<String> = (0..10).map(|id| format!("x{id}")).collect();
        let mut admitted = 0;
        for subset in 1u32..1_024 {
            let chosen: Vec<&str> = (0..10).filter(|id| subset >> id & 1 == 1).map(|id| &*ids[id]).collect();
            if chosen.len() > 1 {
                admitted += u32::from(roster.admits(&mut shared, &chosen.join("|"), false, 1_000));
            }
        }
        assert_eq!(admitted, 100);
        for id in 0..1_000 {
            assert!(roster.admits(&mut shared, &format!("team-{id}"), false, 1_000));
        }
        assert!(!roster.admits(&mut shared, "one-more", false, 1_000));
        // Another worker reads the same.
        let mut other = Roster::default();
        assert!(other.admits(&mut shared, "team-999", false, 1_000) && !other.admits(&mut shared, "y|z", false, 1_000));
        assert!(!other.admits(&mut shared, "a|b", true, 0));
    }

    #[test]
    fn what_is_longer_than_an_id_or_reserved_has_no_series() {
        let (mut shared, mut roster) = (Shared::default(), Roster::default());
        assert!(roster.admits(&mut shared, &"a".repeat(MAX_THANOS_ID), false, 1));
        assert!(!roster.admits(&mut shared, &"a".repeat(MAX_THANOS_ID + 1), false, 9));
        assert!(!roster.admits(&mut shared, OTHER, true, 9));
        assert!(!roster.admits(&mut shared, "a", false, 0));
    }

    #[test]
    fn a_seat_that_makes_no_sense_is_passed_over() {
        let mut shared = Shared::default();
        for (seat, entry) in [&b"+"[..], b"-\xff", b"-a", b"-a"].into_iter().enumerate() {
            shared.held.insert(numbered(SEAT, seat as u32), (entry.to_vec(), 1));
        }
        let mut roster = Roster::default();
        assert!(roster.admits(&mut shared, "a", false, 3));
        assert!(!roster.admits(&mut shared, "b", false, 3));
        assert!(roster.admits(&mut shared, "b", false, 4));
    }

    #[test]
    fn where_the_store_always_contends_a_tenant_has_no_series() {
        let mut shared = Shared { contended: usize::MAX, ..Shared::default() };
        assert!(!Roster::default().admits(&mut shared, "a", false, 9));
    }
}
