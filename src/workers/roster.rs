//! Which tenants have series of their own.
//!
//! Envoy's workers share their stats, so they share the bound: each tenant that is admitted takes the next seat of a list
//! that all workers read (`host::stats` keeps it in the proxy's shared data, a key for each seat). Seats are never given
//! back. What is here is one worker's copy of the list, as far as it has read it.

use crate::stats::OTHER;
use crate::tenant::MAX_THANOS_ID;

/// One worker's copy of the list.
#[derive(Debug, Default)]
pub struct Roster {
    /// Sorted.
    ids: Vec<Box<str>>,
    /// How many seats have been read.
    seats: u32,
    /// How many of these count towards the bound.
    counted: u32,
}

/// What has to be done before it is known whether a tenant has series of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// It has.
    Own,
    /// It has not.
    Other,
    /// This seat has to be read; where nobody has it, it is the tenant's to take.
    Ask(u32),
}

/// What a seat holds: whether its tenant is named by the configuration, and the tenant.
const NAMED: u8 = b'+';
const COUNTED: u8 = b'-';

impl Roster {
    /// Nobody's.
    pub const fn new() -> Self {
        Roster { ids: Vec::new(), seats: 0, counted: 0 }
    }

    /// Looks a tenant up. One that the configuration names is admitted in any case; `max` is for the others.
    ///
    /// Several tenants at once, joined, are one: longer than any ID, they are counted with the others.
    pub fn look_up(&self, id: &str, is_named: bool, max: u32) -> Seat {
        if self.place(id).is_ok() {
            return Seat::Own;
        }
        let has_room = is_named || self.counted < max;
        if has_room && id.len() <= MAX_THANOS_ID && id != OTHER { Seat::Ask(self.seats) } else { Seat::Other }
    }

    /// What is written where a tenant takes a seat.
    pub fn entry(id: &str, is_named: bool) -> Vec<u8> {
        let mut entry = Vec::with_capacity(id.len() + 1);
        entry.push(if is_named { NAMED } else { COUNTED });
        entry.extend_from_slice(id.as_bytes());
        entry
    }

    /// Notes what the next seat holds.
    pub fn note(&mut self, entry: &[u8]) {
        self.seats = self.seats.saturating_add(1);
        let Some((mark, id)) = entry.split_first() else {
            return;
        };
        self.counted = self.counted.saturating_add(u32::from(*mark != NAMED));
        if let Ok(id) = std::str::from_utf8(id)
            && let Err(place) = self.place(id)
        {
            self.ids.insert(place, id.into());
        }
    }

    /// How many seats are taken, as far as is known.
    pub fn taken(&self) -> u32 {
        self.seats
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.ids.binary_search_by(|known| (**known).cmp(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    type Shared = BTreeMap<u32, Vec<u8>>;

    fn admit(roster: &mut Roster, shared: &mut Shared, id: &str, is_named: bool, max: u32) -> bool {
        loop {
            match roster.look_up(id, is_named, max) {
                Seat::Own => return true,
                Seat::Other => return false,
                Seat::Ask(seat) => {
                    let held = shared.entry(seat).or_insert_with(|| Roster::entry(id, is_named)).clone();
                    roster.note(&held);
                }
            }
        }
    }

    #[test]
    fn the_bound_holds_over_all_workers() {
        let mut shared = Shared::new();
        let mut workers = [Roster::default(), Roster::default(), Roster::default()];
        for number in 0..1_000 {
            let worker = &mut workers[number % 3];
            let is_own = admit(worker, &mut shared, &format!("made-up-{number}"), false, 10);
            assert_eq!(is_own, number < 10, "{number}");
        }
        assert_eq!(shared.len(), 10);
        for worker in &mut workers {
            assert!(admit(worker, &mut shared, "made-up-9", false, 10));
            assert!(!admit(worker, &mut shared, "made-up-10", false, 10));
            assert_eq!((worker.taken(), worker.ids.len()), (10, 10));
        }
    }

    #[test]
    fn named_tenants_are_admitted_beyond_the_bound_and_take_none_of_it() {
        let (mut shared, mut roster) = (Shared::new(), Roster::default());
        for id in ["a", "b", "c"] {
            assert!(admit(&mut roster, &mut shared, id, true, 1));
        }
        assert!(admit(&mut roster, &mut shared, "x", false, 1));
        assert!(!admit(&mut roster, &mut shared, "y", false, 1));
        assert!(admit(&mut roster, &mut shared, "y", true, 1));
        // A configuration that raises the bound makes room at once, one that lowers it takes nothing back.
        assert!(admit(&mut roster, &mut shared, "z", false, 2));
        assert!(admit(&mut roster, &mut shared, "x", false, 0));
    }

    #[test]
    fn what_is_longer_than_an_id_or_reserved_has_no_series() {
        let roster = Roster::default();
        assert_eq!(roster.look_up(&"a".repeat(MAX_THANOS_ID), false, 1), Seat::Ask(0));
        assert_eq!(roster.look_up(&"a".repeat(MAX_THANOS_ID + 1), false, 1), Seat::Other);
        assert_eq!(roster.look_up(OTHER, true, 1), Seat::Other);
        assert_eq!(roster.look_up("a", false, 0), Seat::Other);
    }

    #[test]
    fn a_seat_that_makes_no_sense_is_passed_over() {
        let mut roster = Roster::default();
        for entry in [&b""[..], b"-\xff", b"-a", b"-a"] {
            roster.note(entry);
        }
        assert_eq!(roster.look_up("a", false, 0), Seat::Own);
        assert_eq!(roster.look_up("b", false, 4), Seat::Ask(4));
    }
}
