//! Answers that are read whole and filtered: rules, alerts, exemplars. One pass over the bytes; what is kept is copied as it stands.
//!
//! ```text
//! answer    = { status, data, errorType, error, warnings, infos }              web/api/v1/api.go: Response
//! data      = { "groups": [ group ] } / { "alerts": [ alert ] } / [ exemplar ]
//! exemplar  = { seriesLabels, … }                                              Thanos's pkg/exemplars/exemplarspb
//! ```
//!
//! What stands where several tenants share it (answer, data, group) is dropped unless it is known: it may count or name what is
//! others'. That includes `groupNextToken`, which is made from the next group's file and name. What is the tenant's own (a rule, an
//! alert, an exemplar) is carried over with all of its keys.

use super::owner::{Owner, Whose};
use super::{Unreadable, messages, rules};
use crate::json::{Cursor, Malformed, Pieces, Seen, Text};

/// What is read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Groups of rules.
    Rules {
        /// Rules that are nobody's are kept with the alerts in them that are the tenant's.
        shared: bool,
        /// The request asked for some of them only, so that groups may have lost rules on the way here.
        narrowed: bool,
    },
    /// Alerts.
    Alerts,
    /// Exemplars.
    Exemplars,
}

/// A filtered answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Filtered {
    /// What goes on: no longer than what came.
    pub body: Vec<u8>,
    /// How many messages were withheld.
    pub withheld: u32,
}

const STATUS: usize = 0;
const DATA: usize = 1;
const ERROR_TYPE: usize = 2;
const ERROR: usize = 3;
const ANSWER: &[&str] = &["status", "data", "errorType", "error", "warnings", "infos"];

impl Held {
    /// Filters an answer.
    pub fn filter(self, body: &[u8], owner: &Owner) -> Result<Filtered, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::Malformed)?;
        let mut out = Vec::with_capacity(body.len());
        let mut withheld = 0;
        let mut cursor = Cursor::new(text);
        let mut answer = Pieces::object(&mut out);
        let mut seen = Seen::default();
        cursor.object(|key, cursor| {
            let Some(index) = known(key, ANSWER, &mut seen)? else {
                return cursor.value().map(drop);
            };
            let out = answer.key(key);
            match index {
                STATUS | ERROR_TYPE => word(cursor, out),
                DATA => self.data(cursor, owner, out),
                ERROR => message(cursor, out).map(|is_withheld| withheld += u32::from(is_withheld)),
                _ => messages(cursor, out, &mut withheld),
            }
        })?;
        answer.close();
        cursor.finish()?;
        if out.len() > body.len() {
            return Err(Unreadable::Longer);
        }
        Ok(Filtered { body: out, withheld })
    }

    fn data(self, cursor: &mut Cursor<'_>, owner: &Owner, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if null(cursor, out)? {
            return Ok(());
        }
        match self {
            Held::Rules { shared, narrowed } => {
                member("groups", cursor, out, |cursor, out| rules::groups(cursor, owner, shared, narrowed, out))
            }
            Held::Alerts => member("alerts", cursor, out, |cursor, out| own(cursor, owner, "labels", out)),
            Held::Exemplars => own(cursor, owner, "seriesLabels", out),
        }
    }
}

/// A key's place among the names that are known where it stands; one that is not may be dropped with its value.
pub fn known(key: Text<'_>, names: &[&str], seen: &mut Seen) -> Result<Option<usize>, Malformed> {
    // What only resembles a name is dropped with the unknown ones.
    let index = key.among(names).unwrap_or(None);
    index.map_or(Ok(()), |index| seen.note(index))?;
    Ok(index)
}

/// Copies `null`, where it stands.
pub fn null(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Malformed> {
    let is_null = cursor.null()?;
    if is_null {
        out.extend_from_slice(b"null");
    }
    Ok(is_null)
}

/// An object of which one member is kept.
fn member(
    name: &str,
    cursor: &mut Cursor<'_>,
    out: &mut Vec<u8>,
    mut filter: impl FnMut(&mut Cursor<'_>, &mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut object = Pieces::object(out);
    let mut seen = Seen::default();
    cursor.object(|key, cursor| match known(key, &[name], &mut seen)? {
        Some(_) => {
            let out = object.key(key);
            if null(cursor, out)? { Ok(()) } else { filter(cursor, out) }
        }
        None => cursor.value().map(drop),
    })?;
    object.close();
    Ok(())
}

/// An array of which those elements are kept whose labels are the tenant's.
fn own(cursor: &mut Cursor<'_>, owner: &Owner, labels: &str, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut list = Pieces::array(out);
    cursor.array(|cursor| {
        let mut whose = Whose::Nobodys;
        let raw = element(cursor, &[labels], |_, cursor| owner.read(cursor).map(|found| whose = found))?;
        if whose == Whose::Own {
            list.element().extend_from_slice(raw);
        }
        Ok(())
    })?;
    list.close();
    Ok(())
}

/// Reads an object's known members, and hands out the whole of it as it stands.
pub fn element<'a>(
    cursor: &mut Cursor<'a>,
    names: &[&str],
    mut read: impl FnMut(usize, &mut Cursor<'a>) -> Result<(), Malformed>,
) -> Result<&'a [u8], Malformed> {
    let mut seen = Seen::default();
    let from = cursor.mark();
    cursor.object(|key, cursor| match key.among(names)? {
        Some(index) => {
            seen.note(index)?;
            read(index, cursor)
        }
        None => cursor.value().map(drop),
    })?;
    Ok(cursor.since(from))
}

/// `status`, `errorType`: a word of the upstream's, with nothing in it that could name anything.
fn word(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let text = cursor.string()?;
    if !messages::is_word(text.raw().as_bytes()) {
        return Err(Malformed);
    }
    quoted(text.raw(), out);
    Ok(())
}

/// One message, which is withheld unless it is the engine's.
fn message(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<bool, Malformed> {
    let text = cursor.string()?.raw();
    let passes = messages::is_engine(text.as_bytes());
    quoted(if passes { text } else { messages::generic(text.len()) }, out);
    Ok(!passes)
}

/// A list of messages. One line stands for all that are withheld: how many there were is told to nobody.
fn messages(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, withheld: &mut u32) -> Result<(), Malformed> {
    if null(cursor, out)? {
        return Ok(());
    }
    let mut list = Pieces::array(out);
    let mut is_said = false;
    cursor.array(|cursor| {
        let text = cursor.string()?.raw();
        if messages::is_engine(text.as_bytes()) {
            quoted(text, list.element());
        } else {
            *withheld = withheld.saturating_add(1);
            if !std::mem::replace(&mut is_said, true) {
                quoted(messages::generic(text.len()), list.element());
            }
        }
        Ok(())
    })?;
    list.close();
    Ok(())
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}
