//! The metadata of the tenant's own targets, as the metadata of metrics.
//!
//! ```text
//! asked  = [ { "target": {labels}, "metric": name, "type": word, "help": text, "unit": word } ]    `targets/metadata`
//! answer = { name: [ { "type", "help", "unit" } ] }                                                   `metadata`
//! ```
//!
//! Source: `targetMetadata` and `metricMetadata` in Prometheus 3.16's web/api/v1/api.go. The upstream was asked for the targets inside the
//! scope; an entry of another target is dropped. Many targets have the same entries: each is held once, all together at most
//! `max_response_bytes`, and written when all have come.

use super::Unreadable;
use super::metadata::MetadataAsked;
use super::owner::{Owner, Whose};
use crate::json::{Container, Cursor, Lexeme, Malformed, Scanner, Seen, Text};
use std::collections::BTreeSet;

/// Reads one `data`.
#[derive(Debug)]
pub struct TargetMetadata {
    owner: Owner,
    asked: MetadataAsked,
    max: usize,
    scanner: Scanner,
    is_inside: bool,
    /// The entry at hand, as far as it has come.
    entry: Vec<u8>,
    /// Each a name, [`BEFORE_ENTRY`] and an entry as it is written: one text, since a set of pairs would be 4 KB more code.
    entries: BTreeSet<String>,
    /// The bytes of `entries`.
    size: usize,
}

/// No entry holds it, since it stands in JSON only as an escape.
const BEFORE_ENTRY: char = '\0';

const NAMES: &[&str] = &["target", "metric", "type", "help", "unit"];

impl TargetMetadata {
    /// For one answer.
    pub fn new(owner: Owner, asked: MetadataAsked, max: usize) -> Self {
        TargetMetadata {
            owner,
            asked,
            max,
            scanner: Scanner::default(),
            is_inside: false,
            entry: Vec::new(),
            entries: BTreeSet::new(),
            size: 0,
        }
    }

    /// Reads on, and writes the answer at its end: never more than has come. Says whether the value is over.
    pub fn read(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        while let Some(lexeme) = self.scanner.next(rest)? {
            match lexeme {
                Lexeme::Value(b'[') if !self.is_inside => {
                    self.is_inside = true;
                    self.scanner.enter(Container::Array, rest);
                }
                Lexeme::Value(b'{') if self.is_inside => {
                    self.entry.clear();
                    self.scanner.skim();
                }
                Lexeme::Part(part, is_last) => {
                    if self.entry.len().saturating_add(part.len()) > self.max {
                        return Err(Unreadable::TooLarge);
                    }
                    self.entry.extend_from_slice(part);
                    if is_last {
                        self.end_entry()?;
                    }
                }
                Lexeme::Close => {
                    self.write(out);
                    return Ok(true);
                }
                Lexeme::Value(_) | Lexeme::Name | Lexeme::Text | Lexeme::Null => return Err(Unreadable::Malformed),
            }
        }
        Ok(false)
    }

    /// How much memory is taken by what is held.
    pub fn held(&self) -> usize {
        self.entry.capacity() + self.size
    }

    fn end_entry(&mut self) -> Result<(), Unreadable> {
        let text = std::str::from_utf8(&self.entry).map_err(|_| Malformed)?;
        let mut cursor = Cursor::new(text);
        let (mut seen, mut whose, mut name) = (Seen::default(), Whose::Nobodys, None);
        let mut written: [Option<Text<'_>>; 3] = [None; 3];
        let owner = &self.owner;
        cursor.object(|key, cursor| {
            let Some(index) = key.among(NAMES)? else {
                cursor.value()?;
                return Ok(());
            };
            seen.note(index)?;
            match index.checked_sub(2) {
                Some(member) => {
                    let value = cursor.string()?;
                    if let Some(place) = written.get_mut(member) {
                        *place = Some(value);
                    }
                }
                None if index == 1 => name = Some(cursor.string()?),
                None => whose = owner.read(cursor)?,
            }
            Ok(())
        })?;
        cursor.finish()?;
        let mut name: String = name.ok_or(Malformed)?.chars().collect();
        let is_asked = self.asked.metric.as_deref().is_none_or(|metric| metric == name);
        if whose != Whose::Own || !is_asked {
            return Ok(());
        }
        name.push(BEFORE_ENTRY);
        let mut before = "{\"";
        for (member, value) in NAMES.iter().skip(2).zip(written) {
            let Some(value) = value else { continue };
            for part in [before, member, "\":\"", value.raw(), "\""] {
                name.push_str(part);
            }
            before = ",\"";
        }
        name.push_str(if before == ",\"" { "}" } else { "{}" });
        let size = name.len();
        if self.entries.insert(name) {
            self.size = self.size.saturating_add(size);
        }
        if self.size > self.max { Err(Unreadable::TooLarge) } else { Ok(()) }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut at_hand: Option<&str> = None;
        let (mut metrics, mut count) = (0, 0);
        for (name, entry) in self.entries.iter().filter_map(|text| text.rsplit_once(BEFORE_ENTRY)) {
            if at_hand != Some(name) {
                if !self.asked.takes_metric(metrics) {
                    break;
                }
                out.extend_from_slice(if metrics > 0 { b"]," } else { b"" });
                // No escape of it is longer than the one that came.
                out.extend_from_slice(&serde_json::to_vec(name).unwrap_or_default());
                out.extend_from_slice(b":[");
                at_hand = Some(name);
                metrics += 1;
                count = 0;
            }
            if self.asked.takes_entry(count) {
                out.extend_from_slice(if count > 0 { b"," } else { b"" });
                out.extend_from_slice(entry.as_bytes());
                count += 1;
            }
        }
        out.extend_from_slice(if metrics > 0 { b"]}" } else { b"}" });
    }
}

#[cfg(test)]
mod tests;
