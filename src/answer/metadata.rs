//! The metadata of metrics, made of what the names of the tenant's own metrics show to be its.
//!
//! ```text
//! data   = "{" [ metric *( "," metric ) ] "}"
//! metric = name ":" "[" entry *( "," entry ) "]"
//! entry  = "{" "type": word, "help": text, "unit": word "}"
//! ```
//!
//! Sources: `metricMetadata` in Prometheus 3.16's web/api/v1/api.go; `Meta` in Thanos 0.42.5's pkg/metadata/metadatapb.
//!
//! The upstream does not say whose an entry is. It is kept where its metric is among the tenant's own series: by its very name, or by
//! the series that a metric of its type has. A gauge `x_count` therefore opens no `x`. Two tenants may have a metric of one name, so that
//! the entry may be the other's: its help text is never passed on, nor a unit that the name does not say. What differs in these only is one
//! entry.
//!
//! Memory: one metric's types and units, of which there are few.

use super::Unreadable;
use crate::json::{Container, Lexeme, MAX_HELD, Scanner, Text, quoted};
use crate::names::Names;
use std::sync::Arc;

/// The most entries of one metric.
const MAX_ENTRIES: usize = 64;

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataAsked {
    /// One metric.
    pub metric: Option<Arc<str>>,
    /// So many metrics; a negative number is no limit.
    pub limit: Option<i64>,
    /// So many entries of each; 0 and negative numbers are no limit.
    pub limit_per_metric: Option<i64>,
}

impl MetadataAsked {
    /// Whether one more metric is asked for, where there are so many.
    pub fn takes_metric(&self, count: usize) -> bool {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        limit.is_none_or(|limit| count < limit)
    }

    /// Whether one more entry of a metric is asked for, where it has so many.
    pub fn takes_entry(&self, count: usize) -> bool {
        let limit = self.limit_per_metric.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        limit.is_none_or(|limit| count < limit)
    }
}

/// Reads one `data`.
#[derive(Debug)]
pub struct Metadata {
    names: Arc<Names>,
    asked: MetadataAsked,
    scanner: Scanner,
    level: MetadataLevel,
    /// The metric at hand: its name as it stands, and what it says; `None` where it is not the tenant's.
    metric: Option<(Vec<u8>, String)>,
    member: MetadataMember,
    entry: Entry,
    /// The entries of the metric at hand that are kept.
    kept: Vec<Entry>,
    /// How many metrics were written.
    written: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetadataLevel {
    Outside,
    Metrics,
    Entries,
    Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetadataMember {
    Type,
    Help,
    Unit,
    Other,
}

/// Members as they are written; `None` where one is absent, so that nothing is longer than what came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    kind: Option<Vec<u8>>,
    has_help: bool,
    unit: Option<Vec<u8>>,
}

impl Metadata {
    /// For one answer.
    pub fn new(names: Arc<Names>, asked: MetadataAsked) -> Self {
        Metadata {
            names,
            asked,
            scanner: Scanner::default(),
            level: MetadataLevel::Outside,
            metric: None,
            member: MetadataMember::Other,
            entry: Entry::default(),
            kept: Vec::new(),
            written: 0,
        }
    }

    /// Reads on, and writes what is kept: never more than has come. Says whether the value is over.
    pub fn read(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        while let Some(lexeme) = self.scanner.next(rest)? {
            match lexeme {
                Lexeme::Name => self.name()?,
                Lexeme::Value(byte) => self.value(byte, rest, out)?,
                Lexeme::Text => self.text(),
                Lexeme::Part(..) => {}
                Lexeme::Null => {
                    out.extend_from_slice(b"null");
                    return Ok(true);
                }
                Lexeme::Close => match self.level {
                    MetadataLevel::Entry => {
                        self.end_entry();
                        self.back_to(MetadataLevel::Entries, Container::Array);
                    }
                    MetadataLevel::Entries => {
                        self.end_metric(out);
                        self.back_to(MetadataLevel::Metrics, Container::Object);
                    }
                    MetadataLevel::Metrics | MetadataLevel::Outside => {
                        out.push(b'}');
                        return Ok(true);
                    }
                },
            }
        }
        Ok(false)
    }

    fn back_to(&mut self, level: MetadataLevel, container: Container) {
        self.level = level;
        self.scanner.resume(Some(container));
    }

    fn name(&mut self) -> Result<(), Unreadable> {
        if self.level != MetadataLevel::Metrics {
            let known = self.scanner.name()?.among(&["type", "help", "unit"])?;
            self.member = match known {
                Some(0) => MetadataMember::Type,
                Some(1) => MetadataMember::Help,
                Some(_) => MetadataMember::Unit,
                None => MetadataMember::Other,
            };
            return Ok(());
        }
        // A name of which not all is held is longer than any of the tenant's that was read.
        let name = Text::read(self.scanner.text()).filter(|_| self.scanner.length() <= MAX_HELD);
        let name = name.map(|name| (name.raw().as_bytes().to_vec(), name.chars().collect::<String>()));
        self.metric = name.filter(|(_, name)| self.asked.takes_metric(self.written) && may_be_own(&self.names, name));
        Ok(())
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match (self.level, byte) {
            (MetadataLevel::Outside, b'{') => {
                out.push(b'{');
                self.level = MetadataLevel::Metrics;
                self.scanner.enter(Container::Object, rest);
            }
            (MetadataLevel::Outside, b'n') => self.scanner.null(),
            (MetadataLevel::Metrics, _) if self.metric.is_none() => self.scanner.skim(),
            (MetadataLevel::Metrics, b'[') => {
                self.kept.clear();
                self.level = MetadataLevel::Entries;
                self.scanner.enter(Container::Array, rest);
            }
            (MetadataLevel::Entries, b'{') => {
                self.entry = Entry::default();
                self.level = MetadataLevel::Entry;
                self.scanner.enter(Container::Object, rest);
            }
            (MetadataLevel::Entry, b'"') => match self.member {
                MetadataMember::Type | MetadataMember::Unit => self.scanner.hold(rest),
                MetadataMember::Help => {
                    self.entry.has_help = true;
                    self.scanner.skim();
                }
                MetadataMember::Other => self.scanner.skim(),
            },
            (MetadataLevel::Entry, _) if self.member == MetadataMember::Other => self.scanner.skim(),
            (MetadataLevel::Outside | MetadataLevel::Metrics | MetadataLevel::Entries | MetadataLevel::Entry, _) => {
                return Err(Unreadable::Malformed);
            }
        }
        Ok(())
    }

    fn text(&mut self) {
        let text = self.scanner.text().to_vec();
        match self.member {
            MetadataMember::Type => self.entry.kind = Some(text),
            MetadataMember::Unit => self.entry.unit = Some(text),
            MetadataMember::Help | MetadataMember::Other => {}
        }
    }

    fn end_entry(&mut self) {
        let Some((_, name)) = &self.metric else { return };
        let mut entry = std::mem::take(&mut self.entry);
        let kind = entry.kind.as_deref().unwrap_or_default();
        let is_word = kind.len() <= 64 && kind.iter().all(u8::is_ascii_lowercase);
        if !is_word || !is_own(&self.names, name, kind) {
            return;
        }
        // Exposition formats have the unit at the end of the name; another one is whoever wrote it.
        let is_in_name = |unit: &[u8]| {
            unit.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                && (name.as_bytes().ends_with(unit) || name.as_bytes().ends_with(&[unit, b"_total"].concat()))
        };
        if let Some(unit) = &mut entry.unit
            && !is_in_name(unit)
        {
            unit.clear();
        }
        let count = self.kept.len();
        if count < MAX_ENTRIES && self.asked.takes_entry(count) && !self.kept.contains(&entry) {
            self.kept.push(entry);
        }
    }

    fn end_metric(&mut self, out: &mut Vec<u8>) {
        let Some((name, _)) = self.metric.take().filter(|_| !self.kept.is_empty()) else { return };
        if self.written > 0 {
            out.push(b',');
        }
        self.written += 1;
        quoted(&name, out);
        out.push(b':');
        let mut before = b'[';
        for entry in self.kept.drain(..) {
            out.push(before);
            before = b',';
            let members: [(&[u8], Option<&[u8]>); 3] = [
                (b"type", entry.kind.as_deref()),
                (b"help", entry.has_help.then_some(b"")),
                (b"unit", entry.unit.as_deref()),
            ];
            let mut separator = b'{';
            for (member, value) in members {
                if let Some(value) = value {
                    out.push(separator);
                    separator = b',';
                    quoted(member, out);
                    out.push(b':');
                    quoted(value, out);
                }
            }
            out.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
        }
        out.push(b']');
    }
}

/// Whether an entry of some type could be the tenant's.
fn may_be_own(names: &Names, name: &str) -> bool {
    ["", "_total", "_count", "_gcount", "_info"].iter().any(|suffix| names.have(name, suffix))
}

/// Whether the tenant has the series that a metric of this type has.
fn is_own(names: &Names, name: &str, kind: &[u8]) -> bool {
    let suffixes: &[&str] = match kind {
        b"counter" => &["_total"],
        b"histogram" => &["_bucket", "_count", "_sum"],
        b"gaugehistogram" => &["_bucket", "_gcount", "_gsum"],
        b"summary" => &["_count", "_sum"],
        b"info" => &["_info"],
        _ => &[],
    };
    names.have(name, "") || !suffixes.is_empty() && suffixes.iter().all(|suffix| names.have(name, suffix))
}

#[cfg(test)]
mod tests;
