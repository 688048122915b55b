//! What is posted to Alertmanager, read as Go's `encoding/json` reads it: keys without regard to case, `null` as absent.
//!
//! What it could read in two ways is refused: a key that is given twice, in whatever case, and what is not UTF-8. What is forwarded is written
//! anew under the known keys, in the one case that the schema has; all other keys are dropped.

use super::super::Rejection;
use super::super::head::{Edits, Facts};
use crate::json::{Cursor, Malformed, Seen, Text};

const JSON: &str = "application/json";

/// The edits for a body that is written anew.
pub fn edit(headers: &Facts<'_>, edits: &mut Edits) -> Result<(), Rejection> {
    let content_type = headers.content_type(Rejection::NotJson)?.ok_or(Rejection::NotJson)?;
    let media_type = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    if !media_type.trim_ascii().eq_ignore_ascii_case(JSON.as_bytes()) {
        return Err(Rejection::NotJson);
    }
    if headers.is_encoded() {
        return Err(Rejection::ContentEncoding);
    }
    edits.set.push(("content-type".into(), JSON.into()));
    if headers.content_length.is_some() {
        edits.remove.push("content-length".into());
    }
    Ok(())
}

/// A cursor over a body, or why there is none.
pub fn cursor<'b>(what: &'static str, body: &'b [u8], most: usize) -> Result<Cursor<'b>, Rejection> {
    if body.len() > most {
        return Err(Rejection::LongPost(most));
    }
    std::str::from_utf8(body).map(Cursor::new).map_err(|_| Rejection::Posted(what, "it is not UTF-8: encode it so"))
}

/// Reads an object: for each known key that is not `null`, `each` has to read the value.
///
/// # Errors
/// It is no object, or a known key is given twice.
pub fn object<'a>(
    cursor: &mut Cursor<'a>,
    names: &[&str],
    mut each: impl FnMut(usize, &mut Cursor<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut seen = Seen::default();
    cursor.object(|key, cursor| {
        let Some(index) = key.among_folded(names) else {
            cursor.value()?;
            return Ok(());
        };
        seen.note(index)?;
        if cursor.null()? { Ok(()) } else { each(index, cursor) }
    })
}

/// Writes a known key and a string.
pub fn member(out: &mut Vec<u8>, name: &str, value: Text<'_>) {
    key(out, name);
    string(out, value.raw());
}

/// Writes a known key, after a comma unless it is the first in its object.
pub fn key(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
}

/// Writes what stands between the quotes of a string, with quotes.
pub fn string(out: &mut Vec<u8>, raw: &str) {
    crate::json::quoted(raw.as_bytes(), out);
}

/// Writes a text as a string.
pub fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\0'..='\u{1f}' => {
                out.extend_from_slice(b"\\u00");
                let digit = |value: u32| char::from_digit(value, 16).map_or(b'0', |digit| digit as u8);
                out.extend_from_slice(&[digit(c as u32 >> 4), digit(c as u32 & 0xf)]);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
