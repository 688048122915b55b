//! Silences as Alertmanager writes them, and whose they are.
//!
//! ```text
//! silence = { id, status, updatedAt, startsAt, endsAt, createdBy, comment, annotations, matchers: [ matcher ] }
//! matcher = { name, value, isRegex, isEqual }          isEqual is true where it is absent, and before 0.22 it is
//! ```

use super::Ids;
use crate::json::{Cursor, Malformed, Seen, Text};
use crate::scope::{OfSilence, Silences};

/// Whether a silence is theirs: by its matchers.
///
/// # Errors
/// It is no silence that can be read in one way.
pub fn owns(silence: &[u8], silences: &Silences) -> Result<bool, Malformed> {
    let mut cursor = Cursor::new(std::str::from_utf8(silence).map_err(|_| Malformed)?);
    let (_, is_own) = read(&mut cursor, silences)?;
    cursor.finish()?;
    Ok(is_own)
}

/// The IDs of their silences, in a list of silences.
///
/// # Errors
/// It is no list that can be read.
pub fn ids(list: &[u8], silences: &Silences) -> Result<Ids, Malformed> {
    let mut cursor = Cursor::new(std::str::from_utf8(list).map_err(|_| Malformed)?);
    let mut ids = Ids::new();
    cursor.array(|cursor| {
        let (id, is_own) = read(cursor, silences)?;
        ids.extend(id.filter(|_| is_own).map(|id| id.raw().to_owned()));
        Ok(())
    })?;
    cursor.finish()?;
    Ok(ids)
}

/// The ID of a silence, and whether it is theirs.
fn read<'a>(cursor: &mut Cursor<'a>, silences: &Silences) -> Result<(Option<Text<'a>>, bool), Malformed> {
    let (mut seen, mut id, mut matchers) = (Seen::default(), None, Vec::new());
    cursor.object(|key, cursor| {
        let Some(index) = key.among(&["id", "matchers"])? else {
            cursor.value()?;
            return Ok(());
        };
        seen.note(index)?;
        if index == 0 {
            id = Some(cursor.string()?);
            return Ok(());
        }
        cursor.array(|cursor| {
            matchers.push(matcher(cursor)?);
            Ok(())
        })
    })?;
    Ok((id, silences.confine(&matchers)))
}

fn matcher(cursor: &mut Cursor<'_>) -> Result<OfSilence, Malformed> {
    let (mut seen, mut texts) = (Seen::default(), [None, None]);
    let (mut is_regex, mut is_equal) = (None, true);
    cursor.object(|key, cursor| {
        let Some(index) = key.among(&["name", "value", "isRegex", "isEqual"])? else {
            cursor.value()?;
            return Ok(());
        };
        seen.note(index)?;
        match (index, texts.get_mut(index)) {
            (_, Some(text)) => *text = Some(cursor.string()?.chars().collect()),
            (2, None) => is_regex = Some(boolean(cursor)?),
            (_, None) => is_equal = boolean(cursor)?,
        }
        Ok(())
    })?;
    let [Some(name), Some(value)] = texts else { return Err(Malformed) };
    Ok(OfSilence { name, op: OfSilence::op(is_regex.ok_or(Malformed)?, is_equal), value })
}

/// `true` or `false`.
pub fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
    match cursor.value()? {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(Malformed),
    }
}
