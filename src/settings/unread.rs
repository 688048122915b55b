//! Objects of the configuration that have an entry for each tenant, of whom there may be a hundred thousand: found, and read later.
//!
//! One pass over the text finds where the keys and values of such an object stand. It looks at brackets and strings only. What is between
//! them is JSON where [`value`] can read it: so it is judged when the configuration is loaded, unless that was done before with the same
//! text.

use super::reading::{self, read};
use super::{Field, Json};
use crate::json::Text;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// A configuration's text, which is kept where something of it is unread.
pub type Whole = Arc<Vec<u8>>;

/// Where something stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// A key and its value, or an element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// With its quotes; empty in a list.
    key: Span,
    value: Span,
    /// Whether the value may have a key `dry_run` at some depth.
    pub may_name_dry_run: bool,
}

/// The one key that is looked for before an entry is read.
const DRY_RUN: &[u8] = b"dry_run\"";

/// An object or a list whose entries are found, and unread.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    text: Whole,
    entries: Vec<Entry>,
    is_list: bool,
}

impl Unread {
    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.is_list
    }

    /// The entries, in the order of the text.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The text in which they stand.
    pub fn text(&self) -> &Whole {
        &self.text
    }
}

impl Entry {
    /// What the key says.
    pub fn key<'t>(&self, text: &'t Whole) -> Option<Cow<'t, str>> {
        key(text, self.key)
    }

    /// Where the value stands.
    pub fn value(&self) -> Span {
        self.value
    }

    /// What the value says, where it is a string.
    pub fn string<'t>(&self, text: &'t Whole) -> Option<Cow<'t, str>> {
        key(text, self.value)
    }
}

/// Reads a value. The paths of its errors begin in it.
pub fn value(text: &Whole, span: Span) -> Option<Field> {
    #[cfg(test)]
    READ.with(|read| read.set(read.get() + 1));
    let value = read(text.get(span.range())?).ok()?;
    Some(Field { path: String::new(), value })
}

#[cfg(test)]
thread_local! {
    /// How many values have been read, for tests that count the work.
    pub static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The members of the document, those of these names unread; `None` where it is not an object, or not JSON.
pub fn members(text: &Whole, unread: &[&str]) -> Option<Vec<(String, Json)>> {
    let mut scan = Scan { text, at: 0 };
    let mut members = Vec::new();
    scan.each(false, &mut |scan, span| {
        let name = key(text, span)?.into_owned();
        let json = match scan.next()? {
            first @ (b'{' | b'[') if unread.contains(&name.as_str()) => {
                let (mut entries, is_list) = (Vec::new(), first == b'[');
                let mut entry = |scan: &mut Scan<'_>, key| {
                    let (value, may_name_dry_run) = scan.value()?;
                    entries.push(Entry { key, value, may_name_dry_run });
                    Some(())
                };
                scan.each(is_list, &mut entry)?;
                Json::Unread(Unread { text: text.clone(), entries, is_list })
            }
            _ => {
                let (span, _) = scan.value()?;
                read(text.get(span.range())?).ok()?
            }
        };
        members.push((name, json));
        Some(())
    })?;
    scan.next().is_none().then_some(members)
}

fn key(text: &[u8], span: Span) -> Option<Cow<'_, str>> {
    let quoted = text.get(span.range())?;
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    match inner.contains(&b'\\') {
        true => reading::string(Text::read(inner)?).ok().map(Cow::Owned),
        false => std::str::from_utf8(inner).ok().map(Cow::Borrowed),
    }
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

/// Takes an element, or the value of a member.
type Each<'m, 't> = &'m mut dyn FnMut(&mut Scan<'t>, Span) -> Option<()>;

impl<'t> Scan<'t> {
    /// The next byte that is not white space, which is not taken.
    fn next(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.next() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn since(&self, start: usize) -> Option<Span> {
        Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(self.at).ok()? })
    }

    /// A list or an object, with nothing between its elements or members but what JSON has there.
    fn each(&mut self, is_list: bool, each: Each<'_, 't>) -> Option<()> {
        let (first, last) = if is_list { (b'[', b']') } else { (b'{', b'}') };
        self.take(first).then_some(())?;
        if self.take(last) {
            return Some(());
        }
        loop {
            self.next();
            let start = self.at;
            if !is_list {
                self.take(b'"').then_some(())?;
                self.string()?;
            }
            let key = self.since(start)?;
            (is_list || self.take(b':')).then_some(())?;
            each(self, key)?;
            if self.take(last) {
                return Some(());
            }
            self.take(b',').then_some(())?;
        }
    }

    /// The rest of a string, after its first quote. Says whether there is an escape in it.
    fn string(&mut self) -> Option<bool> {
        let mut escapes = false;
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(escapes),
                // What an escape stands for is no quote that ends the string.
                b'\\' => (self.at, escapes) = (self.at + 1, true),
                _ => {}
            }
        }
    }

    /// Any value: to the bracket that closes its first one, to the end of a string, or to what ends a word.
    fn value(&mut self) -> Option<(Span, bool)> {
        let first = self.next()?;
        let (start, mut depth, mut may_name_dry_run) = (self.at, 0_usize, false);
        if !matches!(first, b'"' | b'{' | b'[') {
            let is_in = |byte: &u8| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            while self.text.get(self.at).is_some_and(is_in) {
                self.at += 1;
            }
            return Some((self.since(start)?, false));
        }
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => {
                    may_name_dry_run |= self.text.get(self.at..)?.starts_with(DRY_RUN);
                    may_name_dry_run |= self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    continue;
                }
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => continue,
            }
            if depth == 0 {
                return Some((self.since(start)?, may_name_dry_run));
            }
        }
    }
}
