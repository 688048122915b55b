//! Values by tenant ID, of which there may be a hundred thousand: where they stand in the configuration's text is found by a hash of the
//! ID, and each is read when it is first asked for. The time to index them grows with their number alone, whatever their order, and the time
//! to find one does not.

use crate::settings::{self, ConfigError, Field, Span, Whole};
use crate::text;
use std::sync::OnceLock;

/// Values by tenant ID.
#[derive(Debug, Clone)]
pub struct ById<T> {
    ids: Ids,
    text: Whole,
    values: Vec<Lazy<T>>,
}

/// A value that is read at most once; `None` inside where it can't be read.
#[derive(Debug, Clone)]
struct Lazy<T> {
    span: Span,
    value: OnceLock<Option<Box<T>>>,
}

/// A value that can't be read, though it was judged when the configuration was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl<T> Default for ById<T> {
    fn default() -> Self {
        ById { ids: Ids::default(), text: Whole::default(), values: Vec::new() }
    }
}

impl<T> ById<T> {
    /// Indexes the entries of the object of a key. `each`: judges the ID and the value of each; the paths of its errors begin in the entry.
    pub fn index(field: Field, each: Each<'_>) -> Result<ById<T>, ConfigError> {
        let (ids, text, spans) = index(field, each)?;
        let lazy = |span| Lazy { span, value: OnceLock::new() };
        Ok(ById { ids, text, values: spans.into_iter().map(lazy).collect() })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether a tenant has one, which is not read.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.find(id).is_some()
    }

    /// A tenant's value. `read` is the same each time.
    pub fn get(&self, id: &str, read: &dyn Fn(Field) -> Result<T, ConfigError>) -> Result<Option<&T>, Unreadable> {
        self.ids.find(id).and_then(|at| self.values.get(at)).map(|lazy| self.read(lazy, read)).transpose()
    }

    /// All IDs, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter()
    }

    fn read<'t>(
        &'t self,
        lazy: &'t Lazy<T>,
        read: &dyn Fn(Field) -> Result<T, ConfigError>,
    ) -> Result<&'t T, Unreadable> {
        let value = || settings::value(&self.text, lazy.span).and_then(|field| read(field).ok()).map(Box::new);
        lazy.value.get_or_init(value).as_deref().ok_or(Unreadable)
    }
}

/// Judges the ID and the value of an entry.
type Each<'e> = &'e mut dyn FnMut(&str, &settings::Entry, &Whole) -> Result<(), ConfigError>;

/// Not generic, so that it is in the module once.
fn index(field: Field, each: Each<'_>) -> Result<(Ids, Whole, Vec<Span>), ConfigError> {
    let path = field.path.clone();
    let unread = field.unread(false, "an object")?;
    let text = unread.text();
    let mut ids = Ids::with_capacity(unread.entries().len());
    let mut spans = Vec::with_capacity(unread.entries().len());
    for entry in unread.entries() {
        let id = entry.key(text).ok_or_else(unclear)?;
        each(&id, entry, text).map_err(|error| error.within(&path, &id))?;
        if !ids.add(&id) {
            return Err(ConfigError::twice([&path, ".", &id].concat()));
        }
        spans.push(entry.value());
    }
    Ok((ids, text.clone(), spans))
}

/// An entry that is not JSON. The error of the document, which is found then, says more.
pub fn unclear() -> ConfigError {
    ConfigError::new("", "not JSON")
}

/// Tenant IDs, each with its number.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// One after another.
    joined: String,
    /// Where each ends.
    ends: Vec<u32>,
    /// At each place the number of an ID, counted from 1; 0 where there is none. At least twice as many places as IDs, so that there is
    /// one without.
    places: Vec<u32>,
}

impl Ids {
    /// With room for so many.
    pub fn with_capacity(ids: usize) -> Self {
        let places = if ids == 0 { 0 } else { ids.saturating_mul(2).next_power_of_two() };
        Ids { joined: String::new(), ends: Vec::with_capacity(ids), places: vec![0; places] }
    }

    /// Adds an ID, as long as there is room. Returns whether it was not there before.
    pub fn add(&mut self, id: &str) -> bool {
        let Err(place) = self.look(id) else { return false };
        self.joined.push_str(id);
        let end = u32::try_from(self.joined.len()).unwrap_or(u32::MAX);
        self.ends.push(end);
        if let (Some(place), Ok(number)) = (self.places.get_mut(place), u32::try_from(self.ends.len())) {
            *place = number;
        }
        true
    }

    /// The number of an ID, counted from 0.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.look(id).ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|at| self.get(at))
    }

    fn get(&self, at: usize) -> Option<&str> {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.joined.get(start as usize..*self.ends.get(at)? as usize)
    }

    /// The number of this ID, or the place for it.
    fn look(&self, id: &str) -> Result<usize, usize> {
        let last = self.places.len().wrapping_sub(1);
        let mut place = (text::hash(0, id.as_bytes()) >> 32) as usize & last;
        while let Some(&number @ 1..) = self.places.get(place) {
            #[cfg(test)]
            COMPARED.with(|compared| compared.set(compared.get() + 1));
            let at = number as usize - 1;
            if self.get(at) == Some(id) {
                return Ok(at);
            }
            place = place.wrapping_add(1) & last;
        }
        Err(place)
    }
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

    #[test]
    fn of_many_the_right_one_is_found() {
        for count in [0, 1, 2, 3, 1_000] {
            let mut all = Ids::with_capacity(count);
            assert_eq!((all.is_empty(), all.find("t0")), (true, None));
            // Neither in order nor against it.
            let ids: Vec<String> = (0..count).map(|n| format!("t{}", n * 7_919 % count)).collect();
            assert!(ids.iter().all(|id| all.add(id)));
            assert!(ids.iter().all(|id| !all.add(id)));
            assert!(ids.iter().enumerate().all(|(n, id)| all.find(id) == Some(n)), "{count}");
            assert!(["t", "T0", &format!("t{count}")].iter().all(|id| all.find(id).is_none()));
            assert!(all.iter().eq(ids.iter().map(String::as_str)));
        }
    }

    #[test]
    fn looking_one_up_compares_few_whatever_their_number_is() {
        for count in [100, 10_000] {
            let mut all = Ids::with_capacity(count);
            assert!((0..count).all(|n| all.add(&format!("tenant-{n:06}"))));
            let before = COMPARED.get();
            assert!(all.iter().all(|id| all.find(id).is_some()));
            let compared = COMPARED.get() - before;
            assert!(compared < 3 * count, "{compared} for {count}");
        }
    }
}
