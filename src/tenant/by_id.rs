//! Values by tenant ID, of which there may be a hundred thousand: where they stand in the configuration's text is found by a hash of the
//! ID, and each is read when it is first asked for. The time to index them grows with their number alone, whatever their order, and the time
//! to find one does not. Every VM that starts anew does that while a client waits: nothing is copied out of the text.

use crate::settings::{self, ConfigError, Field, Unread, Whole};
use crate::text;
use std::any::Any;
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

/// Values by tenant ID.
#[derive(Debug, Clone)]
pub struct ById<T> {
    entries: Entries,
    of: PhantomData<fn() -> T>,
}

/// The same, of any type: what is generic is in the module once for each.
#[derive(Debug, Clone, Default)]
struct Entries {
    ids: Ids,
    /// Each is read at most once; `None` inside where it can't be read.
    values: Vec<OnceLock<Option<Value>>>,
}

type Value = Arc<dyn Any + Send + Sync>;

/// A value that can't be read, though it was judged when the configuration was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// Judges an ID and its value. The paths of the value's errors begin in it.
pub type Judge<'j> = &'j mut dyn FnMut(&str, Field) -> Result<(), ConfigError>;

impl<T> Default for ById<T> {
    fn default() -> Self {
        ById { entries: Entries::default(), of: PhantomData }
    }
}

impl<T: Send + Sync + 'static> ById<T> {
    /// Indexes the entries of the object at this path. Those of `judged` are judged; where there is none, all.
    pub fn index(path: &str, entries: Unread, judged: Option<&[u32]>, judge: Judge<'_>) -> Result<Self, ConfigError> {
        Entries::index(path, entries, judged, judge).map(|entries| ById { entries, of: PhantomData })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.values.len()
    }

    /// Whether a tenant has one, which is not read.
    pub fn contains(&self, id: &str) -> bool {
        self.entries.ids.contains(id)
    }

    /// A tenant's value. `read` is the same each time.
    pub fn get(&self, id: &str, read: impl Fn(Field) -> Result<T, ConfigError>) -> Result<Option<&T>, Unreadable> {
        match self.entries.get(id, &|field| read(field).ok().map(|value| Arc::new(value) as Value)) {
            None => Ok(None),
            Some(value) => value.as_ref().and_then(|value| value.downcast_ref()).map(Some).ok_or(Unreadable),
        }
    }

    /// All IDs, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.entries.ids.iter()
    }
}

impl Entries {
    fn index(path: &str, entries: Unread, judged: Option<&[u32]>, judge: Judge<'_>) -> Result<Self, ConfigError> {
        let Unread { text, starts, .. } = entries;
        for &start in judged.unwrap_or(&starts) {
            let id = settings::string(&text, start).ok_or_else(unclear)?;
            let judged = settings::member(&text, start).ok_or_else(unclear).and_then(|field| judge(&id, field));
            judged.map_err(|error| error.within(path, &id))?;
        }
        let twice =
            |start| ConfigError::twice([path, ".", &settings::string(&text, start).unwrap_or_default()].concat());
        let ids = Ids::index(text.clone(), starts).map_err(twice)?;
        let mut values = Vec::new();
        values.resize_with(ids.starts.len(), OnceLock::new);
        Ok(Entries { ids, values })
    }

    fn get(&self, id: &str, read: &dyn Fn(Field) -> Option<Value>) -> Option<&Option<Value>> {
        let (number, start) = self.ids.find(id)?;
        let value = || settings::member(&self.ids.text, start).and_then(read);
        Some(self.values.get(number)?.get_or_init(value))
    }
}

/// An entry that is not JSON. The error of the document, which is found then, says more.
pub fn unclear() -> ConfigError {
    ConfigError::new("", "not JSON")
}

/// Tenant IDs in the text of the configuration. They are not copied out of it: there may be a hundred thousand, in each worker.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    text: Whole,
    /// Where the string of each starts.
    starts: Vec<u32>,
    /// At each place the number of an ID, counted from 1, below those bits of its hash that do not choose the place; 0 where there is none.
    /// At least twice as many places as IDs, so that there is one without, and a number fits.
    places: Vec<u32>,
}

impl Ids {
    /// Indexes the IDs whose strings start here. One that is there twice is an error: where it starts for the second time.
    pub fn index(text: Whole, starts: Vec<u32>) -> Result<Ids, u32> {
        let places = if starts.is_empty() { 0 } else { starts.len().saturating_mul(2).next_power_of_two() };
        let mut ids = Ids { text, starts, places: vec![0; places] };
        // All hashes first: then nothing of an ID stands between two looks at the places, and the processor waits for several at once.
        let mut hashes = Vec::with_capacity(ids.starts.len());
        for &start in &ids.starts {
            hashes.push(hash(&ids.get(start)));
        }
        let mut number = 0;
        for (&hash, &start) in hashes.iter().zip(&ids.starts) {
            let mut place = hash;
            while let Some((_, other)) = ids.next(hash, &mut place) {
                if ids.get(other) == ids.get(start) {
                    return Err(start);
                }
            }
            number += 1;
            let upper = hash & !ids.lower();
            if let Some(place) = ids.places.get_mut(place as usize) {
                *place = upper | number;
            }
        }
        Ok(ids)
    }

    /// Whether this ID is among them.
    pub fn contains(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// All of them, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.starts.iter().map(|&start| self.get(start))
    }

    /// The number of an ID, counted from 0, and where it starts.
    fn find(&self, id: &str) -> Option<(usize, u32)> {
        let hash = hash(id);
        let mut place = hash;
        loop {
            let (number, start) = self.next(hash, &mut place)?;
            if self.get(start) == id {
                return Some((number, start));
            }
        }
    }

    /// The ID whose string starts here: that it does was seen when the configuration was judged.
    fn get(&self, start: u32) -> Cow<'_, str> {
        settings::string(&self.text, start).unwrap_or_default()
    }

    /// The bits of a hash that choose a place.
    fn lower(&self) -> u32 {
        (self.places.len() as u32).wrapping_sub(1)
    }

    /// The next ID that may have this hash: its number, and where it starts. `place`: the hash at first, and then where to look on; at the
    /// end, the place for another one.
    fn next(&self, hash: u32, place: &mut u32) -> Option<(usize, u32)> {
        let lower = self.lower();
        loop {
            *place &= lower;
            let found = *self.places.get(*place as usize)?;
            let number = (found & lower).checked_sub(1)? as usize;
            *place = place.wrapping_add(1);
            // Few others have the same other bits.
            if (found ^ hash) & !lower == 0 {
                #[cfg(test)]
                COMPARED.with(|compared| compared.set(compared.get() + 1));
                return Some((number, *self.starts.get(number)?));
            }
        }
    }
}

/// The better mixed half of it.
fn hash(id: &str) -> u32 {
    (text::hash(0, id.as_bytes()) >> 32) as u32
}

#[cfg(test)]
thread_local! {
    /// How many IDs were compared.
    static COMPARED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Every third has an escape.
    fn indexed(ids: &[String]) -> Result<Ids, u32> {
        let escaped = |(n, id): (usize, &String)| match n % 3 {
            0 => format!("\"\\u{:04x}{}\"", u32::from(id.as_bytes()[0]), &id[1..]),
            _ => format!("{id:?}"),
        };
        let strings: Vec<String> = ids.iter().enumerate().map(escaped).collect();
        let starts = strings.iter().scan(0, |next, string| Some(std::mem::replace(next, *next + string.len() as u32)));
        Ids::index(Whole::new(strings.concat().into_bytes()), starts.collect())
    }

    #[test]
    fn of_many_the_right_one_is_found() {
        for count in [0, 1, 2, 3, 1_000] {
            // Neither in order nor against it.
            let ids: Vec<String> = (0..count).map(|n| format!("t{}", n * 7_919 % count)).collect();
            let all = indexed(&ids).unwrap();
            assert_eq!(all.is_empty(), count == 0);
            assert!(ids.iter().enumerate().all(|(n, id)| all.find(id).map(|(number, _)| number) == Some(n)), "{count}");
            assert!(["t", "T0", &format!("t{count}")].iter().all(|id| all.find(id).is_none()));
            assert!(all.iter().eq(ids.iter().map(|id| &**id)));
        }
    }

    #[test]
    fn looking_one_up_compares_few_whatever_their_number_is() {
        for count in [100, 10_000] {
            let ids: Vec<String> = (0..count).map(|n| format!("tenant-{n:06}")).collect();
            let before = COMPARED.get();
            let all = indexed(&ids).unwrap();
            assert!(COMPARED.get() - before < count / 10, "{} for {count}", COMPARED.get() - before);
            assert!(ids.iter().all(|id| all.contains(id)));
            assert!(COMPARED.get() - before < count + count / 10, "{} for {count}", COMPARED.get() - before);
        }
    }

    #[test]
    fn twice_the_same_is_found_however_it_is_written() {
        for n in 0..30 {
            let mut ids: Vec<String> = (0..30).map(|n| format!("t{n}")).collect();
            let once: usize = ids.iter().enumerate().map(|(n, id)| id.len() + if n % 3 == 0 { 7 } else { 2 }).sum();
            ids.push(format!("t{n}"));
            assert_eq!(indexed(&ids).unwrap_err() as usize, once, "t{n}");
        }
    }
}
