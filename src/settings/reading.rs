//! JSON text → [`Json`], by the cursor that reads answers too: one reader of JSON in the module.

use super::{ConfigError, Json};
use crate::json::{Cursor, Malformed, Text};

/// As deep as [`crate::json::MAX_DEPTH`] goes for what is not looked into. No key takes values that nest nearly as deep.
const MAX_DEPTH: u32 = 64;

/// One JSON value, and nothing else.
pub fn read(json: &[u8]) -> Result<Json, ConfigError> {
    let text = std::str::from_utf8(json).map_err(|error| not_json(json, error.valid_up_to()))?;
    let mut cursor = Cursor::new(text);
    let value = value(&mut cursor, MAX_DEPTH).and_then(|value| cursor.finish().map(|()| value));
    value.map_err(|Malformed| not_json(json, cursor.mark()))
}

/// What a string says. Half a surrogate pair is no text.
pub fn string(text: Text<'_>) -> Result<String, Malformed> {
    if !text.raw().contains('\\') {
        return Ok(text.raw().to_owned());
    }
    let read: String = text.chars().collect();
    // Read as U+FFFD where it is alone.
    let has_surrogates = text.raw().contains("\\ud") || text.raw().contains("\\uD");
    match has_surrogates && read.contains(char::REPLACEMENT_CHARACTER) {
        true => Err(Malformed),
        false => Ok(read),
    }
}

fn value(cursor: &mut Cursor<'_>, depth: u32) -> Result<Json, Malformed> {
    let below = || depth.checked_sub(1).ok_or(Malformed);
    Ok(match cursor.peek() {
        Some(b'{') => {
            let (below, mut members) = (below()?, Vec::new());
            cursor.object(|key, cursor| {
                members.push((string(key)?, value(cursor, below)?));
                Ok(())
            })?;
            Json::Object(members)
        }
        Some(b'[') => {
            let (below, mut items) = (below()?, Vec::new());
            cursor.array(|cursor| {
                items.push(value(cursor, below)?);
                Ok(())
            })?;
            Json::List(items)
        }
        Some(b'"') => Json::Text(string(cursor.string()?)?),
        _ => match cursor.value()? {
            b"null" => Json::Null,
            b"true" => Json::Bool(true),
            b"false" => Json::Bool(false),
            number => {
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok());
                Json::Number(number.filter(|number| number.is_finite()).ok_or(Malformed)?)
            }
        },
    })
}

/// Where a text stops to be JSON, as line and column, both counted from 1.
#[cold]
fn not_json(json: &[u8], at: usize) -> ConfigError {
    // The first field of a google.protobuf.Struct, and its length, which no JSON begins with.
    let is_struct = matches!(json, [b'\n', length, ..] if !length.is_ascii_whitespace() && *length != b'{');
    let why = if is_struct { "it looks like a google.protobuf.Struct, use a StringValue: " } else { "" };
    let before = json.get(..at).unwrap_or(json);
    let line = before.split(|&byte| byte == b'\n').count().to_string();
    let column = (before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1).to_string();
    ConfigError::new("", ["not JSON: ", why, "line ", &line, ", column ", &column, " can't be read"].concat())
}
