//! What the workers of one proxy share. Each worker runs the filter in a VM, or on a thread, of its own; the host keeps bytes under keys
//! for all of them.
//!
//! - `shares`: who runs what, as the workers tell each other: one byte format for `leases` and `in_flight`
//! - `leases`: how many queries of a tenant run (`max_concurrent_queries`)
//! - `in_flight`: the gauge that is summed over all workers, some of which may have died
//! - `roster`: which tenants have series of their own
//!
//! The adapter of a host gives access to the shared bytes by a [`Store`]. [`change`] is the one place that writes to it.

pub mod in_flight;
pub mod leases;
mod roster;
pub mod shares;

pub use roster::Roster;

/// The bytes that all workers of a proxy share, under keys.
pub trait Store {
    /// Why the host could not be asked.
    type Error;

    /// What stands under a key, and which version of it; no bytes and no version where nothing does.
    fn read(&mut self, key: &str) -> Result<(Vec<u8>, Option<u32>), Self::Error>;

    /// Writes under a key if it still has this version, and says whether it did.
    fn write(&mut self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Self::Error>;

    /// The error where other workers wrote first at each attempt.
    fn contended(&self) -> Self::Error;
}

/// How many compare-and-swap attempts are made. Only workers contend, and a proxy has few of them.
const ATTEMPTS: usize = 100;

/// Where workers draw their numbers.
const NUMBERS: &str = "tenancy_workers";

/// Changes what stands under a key. `work` sees it, and says what it becomes; `None`: it stays as it is. Where another worker writes at
/// the same time, `work` is asked again.
///
/// # Errors
/// The host could not be asked, or other workers wrote first at each attempt.
pub fn change<S: Store>(
    store: &mut S,
    key: &str,
    work: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Result<(), S::Error> {
    for _ in 0..ATTEMPTS {
        let (before, version) = store.read(key)?;
        match work(&before) {
            None => return Ok(()),
            Some(after) if after == before => return Ok(()),
            Some(after) if store.write(key, &after, version)? => return Ok(()),
            Some(_) => {}
        }
    }
    Err(store.contended())
}

/// This worker's number, by which the others tell it apart. A VM that starts again after a trap draws another one.
#[derive(Debug, Default)]
pub struct Number(Option<u32>);

impl Number {
    /// Before any was drawn.
    pub const fn new() -> Self {
        Number(None)
    }

    /// The number; the first call draws it.
    ///
    /// # Errors
    /// The host could not be asked.
    pub fn get<S: Store>(&mut self, store: &mut S) -> Result<u32, S::Error> {
        if let Some(number) = self.0 {
            return Ok(number);
        }
        let mut drawn = 0;
        change(store, NUMBERS, &mut |last| {
            let last = last.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            drawn = last.wrapping_add(1);
            Some(drawn.to_le_bytes().to_vec())
        })?;
        self.0 = Some(drawn);
        Ok(drawn)
    }
}

/// A key with a number, in hexadecimal with the last digit first: a name like any other, written with little code.
pub fn numbered(name: &str, mut number: u32) -> String {
    let mut key = String::from(name);
    loop {
        key.push(char::from_digit(number % 16, 16).unwrap_or('-'));
        number /= 16;
        if number == 0 {
            return key;
        }
    }
}

/// A store for tests, which may let others write first.
#[cfg(test)]
pub mod tests {
    use super::*;
    use std::collections::BTreeMap;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// What all workers of a test share.
    #[derive(Debug, Default)]
    pub struct Shared {
        /// What stands under each key, and its version.
        pub held: BTreeMap<String, (Vec<u8>, u32)>,
        /// How many writes fail because another worker wrote first.
        pub contended: usize,
    }

    impl Store for Shared {
        type Error = &'static str;

        fn read(&mut self, key: &str) -> Result<(Vec<u8>, Option<u32>), Self::Error> {
            Ok(self.held.get(key).map_or((Vec::new(), None), |(value, version)| (value.clone(), Some(*version))))
        }

        fn write(&mut self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Self::Error> {
            if self.contended > 0 {
                self.contended -= 1;
                return Ok(false);
            }
            let found = self.held.get(key).map(|(_, version)| *version);
            if found != version {
                return Ok(false);
            }
            self.held.insert(key.to_owned(), (value.to_vec(), found.unwrap_or(0) + 1));
            Ok(true)
        }

        fn contended(&self) -> Self::Error {
            "contended"
        }
    }

    #[test]
    fn a_change_is_tried_again_until_it_is_written() {
        let mut shared = Shared { contended: 3, ..Shared::default() };
        let mut asked = 0;
        change(&mut shared, "key", &mut |_| {
            asked += 1;
            Some(b"value".to_vec())
        })
        .unwrap();
        assert_eq!((asked, shared.read("key").unwrap()), (4, (b"value".to_vec(), Some(1))));
    }

    #[test]
    fn a_change_that_others_always_precede_ends() {
        let mut shared = Shared { contended: usize::MAX, ..Shared::default() };
        assert_eq!(change(&mut shared, "key", &mut |_| Some(vec![1])), Err("contended"));
    }

    #[test]
    fn what_stays_as_it_is_is_not_written() {
        let mut shared = Shared { contended: usize::MAX, ..Shared::default() };
        assert_eq!(change(&mut shared, "key", &mut |before| Some(before.to_vec())), Ok(()));
        assert_eq!(change(&mut shared, "key", &mut |_| None), Ok(()));
    }

    #[test]
    fn each_worker_has_a_number_of_its_own() {
        let mut shared = Shared::default();
        let (mut one, mut other) = (Number::new(), Number::new());
        let drawn = [one.get(&mut shared), other.get(&mut shared), one.get(&mut shared)];
        assert_eq!(drawn, [Ok(1), Ok(2), Ok(1)]);
    }

    #[test]
    fn numbered_keys_differ() {
        let keys: std::collections::BTreeSet<String> = (0..5_000).map(|number| numbered("key_", number)).collect();
        assert_eq!(keys.len(), 5_000);
        assert_eq!(numbered("key_", 0x12), "key_21");
    }
}
