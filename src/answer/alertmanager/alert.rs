//! Alerts that are the tenant's, by their labels, and what in them is others'.
//!
//! ```text
//! alert  = { labels, annotations, startsAt, endsAt, updatedAt, generatorURL, fingerprint, receivers, status }
//! status = { state, silencedBy: [ ID ], inhibitedBy: [ fingerprint ], mutedBy: [ name ] }
//! ```
//!
//! `silencedBy` keeps the IDs of the tenant's own silences, `inhibitedBy` the fingerprints of alerts in the same answer, all of which are the
//! tenant's. A member that is not known is dropped.

use super::super::owner::Whose;
use super::Own;
use crate::json::{Cursor, Malformed, Pieces, Seen, Text};
use std::collections::BTreeSet;

const NAMES: &[&str] =
    &["labels", "status", "fingerprint", "annotations", "startsAt", "endsAt", "updatedAt", "generatorURL", "receivers"];
const OF_STATUS: &[&str] = &["silencedBy", "inhibitedBy", "state", "mutedBy"];
const OF_GROUP: &[&str] = &["alerts", "labels", "receiver", "routeLabels"];

/// As many fingerprints are known at most.
const MAX_OWN: usize = 1 << 16;

/// What is the tenant's and waits to be written.
#[derive(Debug, Default)]
pub struct Held {
    text: Vec<u8>,
    /// Where in the text the list stands of what inhibits an alert, and the list.
    inhibited: Vec<(usize, Vec<String>)>,
    /// The fingerprints of all alerts that have come.
    own: BTreeSet<String>,
    has_entry: bool,
}

impl Held {
    /// How much is held.
    pub fn len(&self) -> usize {
        let of_lists = |(_, list): &(usize, Vec<String>)| list.iter().map(String::len).sum::<usize>();
        self.text.len() + self.inhibited.iter().map(of_lists).sum::<usize>()
    }

    /// Holds an entry that is the tenant's as it is.
    pub fn entry(&mut self, parts: &[&[u8]]) {
        let before = self.begin_entry();
        parts.iter().for_each(|part| self.text.extend_from_slice(part));
        self.end_entry(before, true);
    }

    /// Reads an alert of a list, and holds it if it is the tenant's.
    pub fn alert(&mut self, cursor: &mut Cursor<'_>, own: &Own) -> Result<(), Malformed> {
        let before = self.begin_entry();
        let is_own = self.read(cursor, own)?;
        self.end_entry(before, is_own);
        cursor.finish()
    }

    /// Reads a group, and holds it if one of its alerts is the tenant's.
    pub fn group(&mut self, cursor: &mut Cursor<'_>, own: &Own) -> Result<(), Malformed> {
        let (before, mut seen) = (self.begin_entry(), Seen::default());
        let (mut has_member, mut has_alert) = (false, false);
        self.text.push(b'{');
        cursor.object(|key, cursor| {
            let Some(index) = key.among(OF_GROUP)? else {
                cursor.value()?;
                return Ok(());
            };
            seen.note(index)?;
            self.name(key, std::mem::replace(&mut has_member, true));
            if index > 0 {
                let value = cursor.value()?;
                self.text.extend_from_slice(value);
                return Ok(());
            }
            self.text.push(b'[');
            cursor.array(|cursor| {
                let before = (self.text.len(), self.inhibited.len());
                if has_alert {
                    self.text.push(b',');
                }
                let is_own = self.read(cursor, own)?;
                has_alert |= is_own;
                self.end(before, is_own);
                Ok(())
            })?;
            self.text.push(b']');
            Ok(())
        })?;
        self.text.push(b'}');
        self.end_entry(before, has_alert);
        cursor.finish()
    }

    /// Writes what is held.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        let mut from = 0;
        for (at, list) in self.inhibited.drain(..) {
            out.extend_from_slice(self.text.get(from..at).unwrap_or_default());
            from = at;
            let mut before = "\"";
            for fingerprint in list.iter().filter(|fingerprint| self.own.contains(*fingerprint)) {
                out.extend_from_slice(before.as_bytes());
                out.extend_from_slice(fingerprint.as_bytes());
                out.push(b'"');
                before = ",\"";
            }
        }
        out.extend_from_slice(self.text.get(from..).unwrap_or_default());
        self.text.clear();
    }

    fn begin_entry(&mut self) -> (usize, usize, bool) {
        let before = (self.text.len(), self.inhibited.len(), self.has_entry);
        if self.has_entry {
            self.text.push(b',');
        }
        before
    }

    fn end_entry(&mut self, (text, inhibited, had_entry): (usize, usize, bool), is_own: bool) {
        self.has_entry = had_entry || is_own;
        self.end((text, inhibited), is_own);
    }

    fn end(&mut self, (text, inhibited): (usize, usize), is_own: bool) {
        if !is_own {
            self.text.truncate(text);
            self.inhibited.truncate(inhibited);
        }
    }

    fn name(&mut self, key: Text<'_>, has_member: bool) {
        let before: &[u8] = if has_member { b",\"" } else { b"\"" };
        for part in [before, key.raw().as_bytes(), b"\":"] {
            self.text.extend_from_slice(part);
        }
    }

    /// Reads an alert, and says whether it is the tenant's.
    fn read(&mut self, cursor: &mut Cursor<'_>, own: &Own) -> Result<bool, Malformed> {
        let (mut seen, mut whose, mut has_member) = (Seen::default(), Whose::Nobodys, false);
        let mut fingerprint = None;
        self.text.push(b'{');
        cursor.object(|key, cursor| {
            let Some(index) = key.among(NAMES)? else {
                cursor.value()?;
                return Ok(());
            };
            seen.note(index)?;
            self.name(key, std::mem::replace(&mut has_member, true));
            let mark = cursor.mark();
            match index {
                0 => whose = own.owner.read(cursor)?,
                1 => return self.status(cursor, own),
                2 => fingerprint = Some(hex(cursor.string()?)?),
                _ => {
                    cursor.value()?;
                }
            }
            self.text.extend_from_slice(cursor.since(mark));
            Ok(())
        })?;
        self.text.push(b'}');
        let is_own = whose == Whose::Own;
        self.own.extend(fingerprint.filter(|_| is_own && self.own.len() < MAX_OWN).map(str::to_owned));
        Ok(is_own)
    }

    fn status(&mut self, cursor: &mut Cursor<'_>, own: &Own) -> Result<(), Malformed> {
        let (mut seen, mut has_member) = (Seen::default(), false);
        self.text.push(b'{');
        cursor.object(|key, cursor| {
            let Some(index) = key.among(OF_STATUS)? else {
                cursor.value()?;
                return Ok(());
            };
            seen.note(index)?;
            self.name(key, std::mem::replace(&mut has_member, true));
            match index {
                0 => {
                    let mut kept = Pieces::array(&mut self.text);
                    cursor.array(|cursor| {
                        let id = cursor.string()?;
                        if own.ids.as_ref().is_some_and(|ids| ids.contains(id.raw())) {
                            let out = kept.element();
                            for part in ["\"", id.raw(), "\""] {
                                out.extend_from_slice(part.as_bytes());
                            }
                        }
                        Ok(())
                    })?;
                    kept.close();
                }
                1 => {
                    let mut list = Vec::new();
                    cursor.array(|cursor| {
                        list.push(hex(cursor.string()?)?.to_owned());
                        Ok(())
                    })?;
                    self.text.push(b'[');
                    self.inhibited.push((self.text.len(), list));
                    self.text.push(b']');
                }
                _ => {
                    let value = cursor.value()?;
                    self.text.extend_from_slice(value);
                }
            }
            Ok(())
        })?;
        self.text.push(b'}');
        Ok(())
    }
}

/// A fingerprint, which is a number in hexadecimal digits.
fn hex(text: Text<'_>) -> Result<&str, Malformed> {
    let digits = text.raw();
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { Ok(digits) } else { Err(Malformed) }
}
