//! The names of a tenant's own metrics, as the upstream lists them, and a cache of them.
//!
//! A list is what the upstream answers to `/api/v1/label/__name__/values` with the tenant's matchers. It is kept for [`LIFETIME_MS`], for
//! the very matchers and tenants that it was asked for with, in bounded memory: where there is no room, the oldest list is dropped. That the
//! upstream did not tell a list is kept for [`FAILURE_MS`], for the very question: an upstream that is overloaded is not asked again at once.

use crate::json::{Cursor, Malformed, Seen};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long a list is used again, in milliseconds.
pub const LIFETIME_MS: i64 = 60_000;
/// How long a question is not asked again that was not answered, in milliseconds.
pub const FAILURE_MS: i64 = 2_000;
/// Questions at most of which that is kept.
const MAX_FAILURES: usize = 64;
/// Bytes that all lists of one worker hold at most, in names.
const MAX_HELD: usize = 4 << 20;
/// Lists at most.
const MAX_LISTS: usize = 256;

/// The names of metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    names: BTreeSet<String>,
    size: usize,
}

impl Names {
    /// Reads the answer `{"status":"success","data":["name",…]}`.
    ///
    /// ```
    /// use promql_tenancy_filter::names::Names;
    ///
    /// let names = Names::read(br#"{"status":"success","data":["up","http_requests_total"]}"#).unwrap();
    /// assert!(names.have("up", "") && names.have("http_requests", "_total") && !names.have("http_requests", ""));
    /// ```
    ///
    /// # Errors
    /// It is another answer, or one that can be read in two ways.
    pub fn read(answer: &[u8]) -> Result<Names, Malformed> {
        let mut cursor = Cursor::new(std::str::from_utf8(answer).map_err(|_| Malformed)?);
        let (mut names, mut seen, mut is_success) = (Names::default(), Seen::default(), false);
        cursor.object(|key, cursor| {
            match key.among(&["status", "data"])? {
                Some(0) => {
                    seen.note(0)?;
                    is_success = cursor.string()?.is("success");
                }
                Some(_) => {
                    seen.note(1)?;
                    cursor.array(|cursor| {
                        names.add(cursor.string()?.chars().collect());
                        Ok(())
                    })?;
                }
                None => {
                    cursor.value()?;
                }
            }
            Ok(())
        })?;
        cursor.finish()?;
        if is_success && seen.has(1) { Ok(names) } else { Err(Malformed) }
    }

    fn add(&mut self, name: String) {
        self.size = self.size.saturating_add(name.len() + PLACE);
        self.names.insert(name);
    }

    /// Whether this name, with this behind it, is among them.
    pub fn have(&self, name: &str, suffix: &str) -> bool {
        match suffix {
            "" => self.names.contains(name),
            _ => self.names.contains(&[name, suffix].concat()),
        }
    }
}

/// Lists that were asked for lately.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    /// The oldest first.
    lists: Vec<Kept>,
    held: usize,
    /// What was asked, and when, and not answered. The oldest first.
    failures: Vec<(Arc<str>, i64)>,
}

#[derive(Debug, Clone)]
struct Kept {
    key: Box<str>,
    from_ms: i64,
    names: Arc<Names>,
}

/// What a text takes beside its bytes: its place in a set or list, and what the allocator rounds up.
const PLACE: usize = 64;

impl Kept {
    fn size(&self) -> usize {
        (self.key.len() + PLACE).saturating_add(self.names.size)
    }
}

impl Cache {
    /// The list that was asked for with this, if it is recent enough.
    pub fn get(&self, key: &str, now_ms: i64) -> Option<&Arc<Names>> {
        let kept = self.lists.iter().find(|kept| *kept.key == *key)?;
        is_within(LIFETIME_MS, kept.from_ms, now_ms).then_some(&kept.names)
    }

    /// Whether this was asked a moment ago, and not answered.
    pub fn has_failed(&self, asked: &str, now_ms: i64) -> bool {
        self.failures.iter().any(|(other, at)| **other == *asked && is_within(FAILURE_MS, *at, now_ms))
    }

    /// Notes that this was asked, and not answered.
    pub fn note_failure(&mut self, asked: Arc<str>, now_ms: i64) {
        self.failures.retain(|(other, at)| *other != asked && is_within(FAILURE_MS, *at, now_ms));
        if self.failures.len() == MAX_FAILURES {
            self.failures.remove(0);
        }
        self.failures.push((asked, now_ms));
    }

    /// Keeps a list.
    pub fn keep(&mut self, key: String, names: Arc<Names>, now_ms: i64) {
        let kept = Kept { key: key.into(), from_ms: now_ms, names };
        self.lists.retain(|other| other.key != kept.key && is_within(LIFETIME_MS, other.from_ms, now_ms));
        self.held = self.lists.iter().map(Kept::size).fold(kept.size(), usize::saturating_add);
        if kept.size() > MAX_HELD {
            return;
        }
        self.lists.push(kept);
        while self.held > MAX_HELD || self.lists.len() > MAX_LISTS {
            let oldest = self.lists.remove(0);
            self.held = self.held.saturating_sub(oldest.size());
        }
    }
}

/// Whether so little time has passed. The clock may have been set back.
fn is_within(lifetime_ms: i64, from_ms: i64, now_ms: i64) -> bool {
    (0..lifetime_ms).contains(&now_ms.saturating_sub(from_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn list(count: usize, length: usize) -> Arc<Names> {
        let mut names = Names::default();
        (0..count).for_each(|number| names.add(format!("{number:0length$}")));
        Arc::new(names)
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let names = Names::read(br#" {"warnings":["x"],"data":["a","\u0062\"c"],"status":"success"} "#).unwrap();
        assert!(names.have("a", "") && names.have("b\"", "c") && !names.have("b", ""));
        assert_eq!(Names::read(br#"{"status":"success","data":[]}"#), Ok(Names::default()));
        for other in [
            r#"{"status":"error","data":["a"]}"#,
            r#"{"data":["a"]}"#,
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"a":1}}"#,
            r#"{"status":"success","data":["a",1]}"#,
            r#"{"status":"success","data":["a"],"data":["b"]}"#,
            r#"{"status":"success","data":["a"],"Data":["b"]}"#,
            r#"{"status":"success","data":["a"]"#,
            r#"{"status":"success","data":["a"]}x"#,
            "",
        ] {
            assert_eq!(Names::read(other.as_bytes()), Err(Malformed), "{other}");
        }
    }

    /// Short names take their places, and what is over a minute old takes none.
    #[test]
    fn what_a_list_takes_is_more_than_its_bytes() {
        assert!(list(1_000, 3).size >= 1_000 * (3 + PLACE));
        let mut cache = Cache::default();
        cache.keep("old".into(), list(1, 3), 0);
        cache.keep("new".into(), list(1, 3), LIFETIME_MS);
        assert_eq!((cache.lists.len(), cache.held), (1, 2 * PLACE + 6));
    }

    #[test]
    fn a_list_is_used_again_for_a_minute_and_for_its_own_key_alone() {
        let mut cache = Cache::default();
        cache.keep("a".to_owned(), list(1, 3), 1_000);
        assert_eq!(cache.get("a", 60_999), Some(&list(1, 3)));
        assert_eq!((cache.get("a", 61_000), cache.get("a", 999), cache.get("b", 1_000)), (None, None, None));
        cache.keep("a".to_owned(), list(2, 3), 70_000);
        assert_eq!((cache.get("a", 70_000), cache.lists.len()), (Some(&list(2, 3)), 1));
    }

    #[test]
    fn a_failure_is_kept_for_a_moment_and_for_the_very_question() {
        let mut cache = Cache::default();
        cache.note_failure("a".into(), 1_000);
        let has = |cache: &Cache, asked, now| cache.has_failed(asked, now);
        assert!(has(&cache, "a", 1_000) && has(&cache, "a", 2_999));
        assert!(!has(&cache, "a", 3_000) && !has(&cache, "a", 999) && !has(&cache, "b", 1_000));
        (0..200).for_each(|number| cache.note_failure(format!("{number}").into(), 1_000));
        assert!(cache.failures.len() == MAX_FAILURES && has(&cache, "199", 1_000) && !has(&cache, "a", 1_000));
        cache.note_failure("last".into(), 9_000);
        assert_eq!(cache.failures.len(), 1);
    }

    #[test]
    fn lists_are_bounded_and_the_oldest_makes_room() {
        let mut cache = Cache::default();
        for number in 0..1_000 {
            cache.keep(format!("{number}"), list(1, 10), 0);
            assert!(cache.lists.len() <= MAX_LISTS && cache.held <= MAX_HELD);
        }
        assert!(cache.get("0", 0).is_none() && cache.get("999", 0).is_some());
        let mib = list(1 << 10, 1 << 10);
        for number in 0..10 {
            cache.keep(format!("large {number}"), mib.clone(), 0);
            let held: usize = cache.lists.iter().map(Kept::size).sum();
            assert!(held <= MAX_HELD && held == cache.held, "{held}");
        }
        assert!(cache.get("large 9", 0).is_some() && cache.get("large 5", 0).is_none());
        cache.keep("too large".to_owned(), list(5 << 10, 1 << 10), 0);
        assert!(cache.get("too large", 0).is_none() && cache.get("large 9", 0).is_some());
    }
}
