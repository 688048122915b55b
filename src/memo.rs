//! What expressions were rewritten to: dashboards ask the same ones again and again, and only their times change.
//!
//! An entry is found by all that its text depends on, compared byte by byte: the expression as it was sent, how it is read, the
//! matchers of the scope as they are written, what they do to the query's own, and whether labels are renamed. So one tenant's text is never another's: an
//! entry can only give what carries the very matchers that this request needs. What is kept ends with its configuration, which decides on all else.
//!
//! It is bounded, and nobody can make it grow: an entry is made when the same expression comes for the second time in a row, as
//! far as its slot saw, so that made-up ones cost a hash each; and all of it goes when it holds [`MAX_HELD`].

use crate::names;
use crate::promql::Reading;
use crate::scope::Scope;
use crate::text::{hash, slot};

/// Bytes that all entries hold at most; each VM has its own.
const MAX_HELD: usize = 1 << 20;
/// Longer ones are rewritten each time.
const MAX_ENTRY: usize = 128 << 10;
/// Entries at most. Two that meet in one slot push each other out.
const SLOTS: usize = 512;

/// What was rewritten lately.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    /// Empty before the first use.
    slots: Vec<Slot>,
    held: usize,
    /// The names of tenants' metrics that were asked for lately. They are bounded by themselves.
    pub names: names::Cache,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    /// The hash of the last expression that was not found here.
    seen: u64,
    entry: Option<Box<Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    reading: Reading,
    matchers: Box<[u8]>,
    conflicts: u128,
    /// A configuration has one way to rename labels.
    is_renamed: bool,
    asked: Box<[u8]>,
    kept: Kept,
}

/// A rewritten expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As it goes upstream, in the encoding of forms.
    pub written: Box<[u8]>,
    /// How many of its selectors carry the matcher.
    pub selectors: u32,
}

impl Entry {
    fn size(&self) -> usize {
        size(&self.asked, &self.matchers, &self.kept.written)
    }
}

fn size(asked: &[u8], matchers: &[u8], written: &[u8]) -> usize {
    asked.len().saturating_add(matchers.len()).saturating_add(written.len())
}

/// What an expression is found by.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    reading: Reading,
    matchers: &'k [u8],
    conflicts: u128,
    is_renamed: bool,
    asked: &'k [u8],
    hash: u64,
}

impl<'k> Key<'k> {
    /// `asked`: as it was sent, in the encoding of forms. `None` where it is too long to be kept.
    pub fn new(reading: Reading, asked: &'k [u8], scope: &'k Scope) -> Option<Self> {
        let (matchers, conflicts) = (scope.written().as_bytes(), scope.conflicts());
        let is_renamed = scope.renaming().is_some();
        let hash = hash(hash((conflicts as u64) << 2 | u64::from(is_renamed) << 1 | reading as u64, matchers), asked);
        (asked.len() < MAX_ENTRY / 2).then_some(Key { reading, matchers, conflicts, is_renamed, asked, hash })
    }

    fn is_of(&self, entry: &Entry) -> bool {
        self.reading == entry.reading
            && self.conflicts == entry.conflicts
            && self.is_renamed == entry.is_renamed
            && *self.matchers == *entry.matchers
            && *self.asked == *entry.asked
    }
}

impl Memo {
    /// What this was rewritten to.
    pub fn get(&self, key: &Key<'_>) -> Option<&Kept> {
        let entry = self.slots.get(place(key))?.entry.as_deref()?;
        key.is_of(entry).then_some(&entry.kept)
    }

    /// It was rewritten to this, which is worth keeping where it came before.
    pub fn note(&mut self, key: &Key<'_>, written: &[u8], selectors: u32) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::default);
        }
        let size = size(key.asked, key.matchers, written);
        let Some(slot) = self.slots.get_mut(place(key)) else { return };
        if slot.seen != key.hash {
            slot.seen = key.hash;
            return;
        }
        if size > MAX_ENTRY {
            return;
        }
        let freed = slot.entry.take().map_or(0, |entry| entry.size());
        self.held = self.held.saturating_sub(freed);
        if self.held + size > MAX_HELD {
            self.slots = Vec::new();
            self.held = 0;
            return;
        }
        self.held += size;
        let kept = Kept { written: written.into(), selectors };
        let entry = Entry {
            reading: key.reading,
            matchers: key.matchers.into(),
            conflicts: key.conflicts,
            is_renamed: key.is_renamed,
            asked: key.asked.into(),
            kept,
        };
        slot.entry = Some(Box::new(entry));
    }
}

fn place(key: &Key<'_>) -> usize {
    slot(key.hash, SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::OnConflict;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn scope(tenant: &str) -> Scope {
        Scope::equal("tenant_id".into(), tenant.into(), OnConflict::Replace)
    }

    /// As often as it takes to be kept.
    fn keep(memo: &mut Memo, key: &Key<'_>, written: &[u8]) {
        memo.note(key, written, 1);
        memo.note(key, written, 1);
    }

    #[test]
    fn it_is_kept_when_it_comes_for_the_second_time() {
        let scope = scope("team-a");
        let key = Key::new(Reading::Expression, b"up", &scope).unwrap();
        let mut memo = Memo::default();
        assert_eq!(memo.get(&key), None);
        memo.note(&key, b"written", 3);
        assert_eq!(memo.get(&key), None);
        memo.note(&key, b"written", 3);
        assert_eq!(memo.get(&key), Some(&Kept { written: (*b"written").into(), selectors: 3 }));
    }

    #[test]
    fn only_the_same_text_read_the_same_way_with_the_same_matcher_finds_it() {
        let (a, b) = (scope("team-a"), scope("team-b"));
        let keeping = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Intersect);
        let renamed = scope("team-a").renamed(crate::scope::Renaming::new("tenant_id", "__tenant_id__").ok());
        let key = Key::new(Reading::Expression, b"up", &a).unwrap();
        let mut memo = Memo::default();
        keep(&mut memo, &key, b"written");
        // Even where a hash says the same, which it does here by force.
        for (reading, asked, scope) in [
            (Reading::Selector, b"up".as_slice(), &a),
            (Reading::Expression, b"UP", &a),
            (Reading::Expression, b"up ", &a),
            (Reading::Expression, b"up", &b),
            (Reading::Expression, b"up", &keeping),
            (Reading::Expression, b"up", &renamed),
        ] {
            let other = Key::new(reading, asked, scope).unwrap();
            assert_ne!(other.hash, key.hash);
            assert_eq!(memo.get(&Key { hash: key.hash, ..other }), None, "{other:?}");
        }
        assert!(memo.get(&key).is_some());
    }

    #[test]
    fn whoever_meets_another_in_its_slot_pushes_it_out() {
        let scope = scope("team-a");
        let key = Key::new(Reading::Expression, b"up", &scope).unwrap();
        let other = Key { asked: b"down", hash: key.hash ^ 1, ..key };
        let mut memo = Memo::default();
        keep(&mut memo, &key, b"written");
        memo.note(&other, b"other", 1);
        assert!(memo.get(&key).is_some(), "once is not enough");
        memo.note(&other, b"other", 1);
        assert_eq!(memo.get(&key), None);
        assert_eq!(*memo.get(&other).unwrap().written, *b"other");
        assert_eq!(memo.held, b"down".len() + b"other".len() + key.matchers.len());
    }

    #[test]
    fn nobody_makes_it_grow() {
        let scope = scope("team-a");
        let mut memo = Memo::default();
        let long = vec![b'a'; MAX_ENTRY];
        assert!(Key::new(Reading::Expression, &long, &scope).is_none());
        let key = Key::new(Reading::Expression, b"up", &scope).unwrap();
        keep(&mut memo, &key, &long);
        assert_eq!((memo.get(&key), memo.held), (None, 0));

        let mut most = 0;
        for number in 0..10_000 {
            let asked = format!("up + {number}");
            let key = Key::new(Reading::Expression, asked.as_bytes(), &scope).unwrap();
            keep(&mut memo, &key, &long[..20_000]);
            let entries = memo.slots.iter().filter_map(|slot| slot.entry.as_ref());
            assert_eq!(entries.map(|entry| entry.size()).sum::<usize>(), memo.held);
            assert!(memo.held <= MAX_HELD && memo.slots.len() <= SLOTS);
            most = most.max(memo.held);
        }
        assert!(most > MAX_HELD / 2, "{most}");
    }

    #[test]
    fn made_up_expressions_cost_no_entry() {
        let scope = scope("team-a");
        let mut memo = Memo::default();
        for number in 0..10_000 {
            let asked = format!("up + {number}");
            memo.note(&Key::new(Reading::Expression, asked.as_bytes(), &scope).unwrap(), b"written", 1);
        }
        assert!(memo.slots.iter().all(|slot| slot.entry.is_none()));
    }

    #[test]
    fn slots_are_used_evenly() {
        let scope = scope("team-a");
        let places: std::collections::BTreeSet<usize> = (0..SLOTS * 8)
            .map(|number| format!("sum(rate(requests_total%7Bpanel%3D%22{number}%22%7D%5B5m%5D))"))
            .map(|asked| place(&Key::new(Reading::Expression, asked.as_bytes(), &scope).unwrap()))
            .collect();
        assert!(places.len() > SLOTS * 9 / 10, "{}", places.len());
    }
}
