//! Objects of the configuration that have an entry for each tenant, of whom there may be a hundred thousand: found, and read later.
//!
//! One pass over the text finds where the keys and values of such an object stand. It looks at brackets and strings only. What is between
//! them is JSON where [`value`] can read it: so it is judged when the configuration is loaded, unless that was done before with the same
//! text.

use super::reading::{self, read};
use super::{Field, Json};
use crate::json::Text;
use std::borrow::Cow;
use std::sync::Arc;

/// A configuration's text, which is kept where something of it is unread.
pub type Whole = Arc<Vec<u8>>;

/// The one key that is looked for before an entry is read.
const DRY_RUN: &[u8] = b"dry_run\"";

/// An object or a list whose entries are found, and unread.
#[derive(Debug, Clone, PartialEq)]
pub struct Unread {
    /// In which the entries stand.
    pub text: Whole,
    /// Where each entry starts, in the order of the text: the key of a member, or an element.
    pub starts: Vec<u32>,
    /// Where those start that may have a key `dry_run` at some depth.
    pub may_name_dry_run: Vec<u32>,
    /// Whether it is a list.
    pub is_list: bool,
}

/// What the string says that starts here; `None` where none does.
pub fn string(text: &Whole, start: u32) -> Option<Cow<'_, str>> {
    let mut scan = Scan { text, at: start as usize };
    scan.take(b'"').then_some(())?;
    scan.string()?;
    said(scan.since(start)?)
}

/// Reads the element that starts here. The paths of its errors begin in it.
pub fn element(text: &Whole, start: u32) -> Option<Field> {
    #[cfg(test)]
    READ.with(|read| read.set(read.get() + 1));
    let mut scan = Scan { text, at: start as usize };
    let value = scan.json()?;
    Some(Field { path: String::new(), value })
}

/// Reads the value of the member whose key starts here, likewise.
pub fn member(text: &Whole, start: u32) -> Option<Field> {
    let mut scan = Scan { text, at: start as usize };
    scan.take(b'"').then_some(())?;
    scan.string()?;
    scan.take(b':').then_some(())?;
    element(text, scan.here()?)
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
    scan.each(false, &mut |scan, start| {
        let name = string(text, start)?.into_owned();
        let json = match scan.next()? {
            first @ (b'{' | b'[') if unread.contains(&name.as_str()) => {
                Json::Unread(scan.entries(text, first == b'[')?)
            }
            _ => scan.json()?,
        };
        members.push((name, json));
        Some(())
    })?;
    scan.next().is_none().then_some(members)
}

/// What a string says.
fn said(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    match inner.contains(&b'\\') {
        true => reading::string(Text::read(inner)?).ok().map(Cow::Owned),
        false => std::str::from_utf8(inner).ok().map(Cow::Borrowed),
    }
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

/// Takes an element, or the value of a member. Told where the element, or the member's key, starts.
type Each<'m, 't> = &'m mut dyn FnMut(&mut Scan<'t>, u32) -> Option<()>;

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

    /// Where the next value starts.
    fn here(&mut self) -> Option<u32> {
        self.next()?;
        u32::try_from(self.at).ok()
    }

    fn since(&self, start: u32) -> Option<&'t [u8]> {
        self.text.get(start as usize..self.at)
    }

    /// A list or an object, with nothing between its elements or members but what JSON has there.
    fn each(&mut self, is_list: bool, each: Each<'_, 't>) -> Option<()> {
        let (first, last) = if is_list { (b'[', b']') } else { (b'{', b'}') };
        self.take(first).then_some(())?;
        if self.take(last) {
            return Some(());
        }
        loop {
            let start = self.here()?;
            if !is_list {
                self.take(b'"').then_some(())?;
                self.string()?;
                self.take(b':').then_some(())?;
            }
            each(self, start)?;
            if self.take(last) {
                return Some(());
            }
            self.take(b',').then_some(())?;
        }
    }

    fn entries(&mut self, text: &Whole, is_list: bool) -> Option<Unread> {
        let mut unread = Unread { text: text.clone(), starts: Vec::new(), may_name_dry_run: Vec::new(), is_list };
        self.each(is_list, &mut |scan, start| {
            unread.starts.push(start);
            if scan.value()? {
                unread.may_name_dry_run.push(start);
            }
            Some(())
        })?;
        Some(unread)
    }

    /// Reads any value.
    fn json(&mut self) -> Option<Json> {
        let start = self.here()?;
        self.value()?;
        read(self.since(start)?).ok()
    }

    // What is looked at once for each byte of many megabytes is not kept in `self`, where it would be stored each time.

    /// The rest of a string, after its first quote. Says whether there is an escape in it.
    fn string(&mut self) -> Option<bool> {
        let (text, mut at, mut escapes) = (self.text, self.at, false);
        loop {
            let byte = *text.get(at)?;
            at += 1;
            match byte {
                b'"' => break,
                // What an escape stands for is no quote that ends the string.
                b'\\' => (at, escapes) = (at + 1, true),
                _ => {}
            }
        }
        self.at = at;
        Some(escapes)
    }

    /// Any value: to the bracket that closes its first one, to the end of a string, or to what ends a word. Says whether it may have a key
    /// `dry_run`.
    fn value(&mut self) -> Option<bool> {
        let first = self.next()?;
        let (text, mut at, mut depth, mut may_name_dry_run) = (self.text, self.at, 0_usize, false);
        if !matches!(first, b'"' | b'{' | b'[') {
            let is_in = |byte: &u8| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            while text.get(at).is_some_and(is_in) {
                at += 1;
            }
            self.at = at;
            return Some(false);
        }
        loop {
            let byte = *text.get(at)?;
            at += 1;
            // Numbers, commas and colons: most of what is looked at.
            if matches!(byte, b'#'..=b'Z') {
                continue;
            }
            match byte {
                b'"' => {
                    may_name_dry_run |= text.get(at) == DRY_RUN.first() && text.get(at..)?.starts_with(DRY_RUN);
                    self.at = at;
                    may_name_dry_run |= self.string()?;
                    at = self.at;
                }
                b'{' | b'[' => {
                    depth += 1;
                    continue;
                }
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => continue,
            }
            if depth == 0 {
                self.at = at;
                return Some(may_name_dry_run);
            }
        }
    }
}
