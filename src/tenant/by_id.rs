//! Values by tenant ID, of which there may be a hundred thousand: read once, found by a hash of the ID. The time to read them grows with
//! their number alone, whatever their order, and the time to find one does not.

use crate::text;

/// Values by tenant ID.
#[derive(Debug, Clone)]
pub struct ById<T> {
    entries: Vec<(Box<str>, T)>,
    /// At each place the number of an entry, counted from 1; 0 where there is none. At least twice as many places as entries, so
    /// that there is one without.
    places: Vec<u32>,
}

impl<T> Default for ById<T> {
    fn default() -> Self {
        ById { entries: Vec::new(), places: Vec::new() }
    }
}

impl<T> ById<T> {
    /// With room for so many.
    pub fn with_capacity(entries: usize) -> Self {
        let places = if entries == 0 { 0 } else { entries.saturating_mul(2).next_power_of_two() };
        ById { entries: Vec::with_capacity(entries), places: vec![0; places] }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A tenant's value.
    pub fn get(&self, id: &str) -> Option<&T> {
        let number = find(&self.places, id, |number| self.id(number)).ok()?;
        self.entries.get(number as usize - 1).map(|(_, value)| value)
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(id, value)| (&**id, value))
    }

    /// Adds a value, as long as there is room. Returns whether the tenant had none before.
    pub fn add(&mut self, id: Box<str>, value: T) -> bool {
        let Err(place) = find(&self.places, &id, |number| self.id(number)) else { return false };
        self.entries.push((id, value));
        if let (Some(place), Ok(number)) = (self.places.get_mut(place), u32::try_from(self.entries.len())) {
            *place = number;
        }
        true
    }

    fn id(&self, number: u32) -> Option<&str> {
        self.entries.get(number as usize - 1).map(|(id, _)| &**id)
    }
}

/// The number of the entry of this ID, or the place for it. Not generic, so that it is in the module once.
fn find<'e>(places: &[u32], id: &str, id_of: impl Fn(u32) -> Option<&'e str>) -> Result<u32, usize> {
    let last = places.len().wrapping_sub(1);
    let mut place = (text::hash(0, id.as_bytes()) >> 32) as usize & last;
    while let Some(&number @ 1..) = places.get(place) {
        if id_of(number) == Some(id) {
            return Ok(number);
        }
        place = place.wrapping_add(1) & last;
    }
    Err(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn of_many_the_right_one_is_found() {
        for count in [0, 1, 2, 3, 1_000] {
            let mut all = ById::with_capacity(count);
            assert_eq!((all.is_empty(), all.get("t0").is_none()), (true, true));
            // Neither in order nor against it.
            let ids: Vec<String> = (0..count).map(|n| format!("t{}", n * 7_919 % count)).collect();
            assert!(ids.iter().enumerate().all(|(n, id)| all.add(id.as_str().into(), n)));
            assert!(ids.iter().all(|id| !all.add(id.as_str().into(), 0)));
            assert!(ids.iter().enumerate().all(|(n, id)| all.get(id) == Some(&n)), "{count}");
            assert!(["t", "T0", &format!("t{count}")].iter().all(|id| all.get(id).is_none()));
            assert!(all.iter().map(|(id, _)| id).eq(ids.iter().map(String::as_str)));
        }
    }

    #[test]
    fn looking_one_up_compares_few_whatever_their_number_is() {
        for count in [100, 10_000] {
            let mut all = ById::with_capacity(count);
            assert!((0..count).all(|n| all.add(format!("tenant-{n:06}").into(), ())));
            let compared = std::cell::Cell::new(0);
            for (id, ()) in all.iter() {
                let counting = |number| {
                    compared.set(compared.get() + 1);
                    all.id(number)
                };
                assert!(find(&all.places, id, counting).is_ok());
            }
            assert!(compared.get() < 3 * count, "{} for {count}", compared.get());
        }
    }
}
