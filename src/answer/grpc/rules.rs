//! A group of rules: what of it is written. The same as over HTTP (`answer/rules.rs`), in protobuf.
//!
//! ```text
//! group = name 1, file 2, rule 3, interval 4, evaluation_duration 5, last_evaluation 6, strategy 8, limit 9
//! rule  = recording 1 / alert 2
//! recording = name 1, query 2, labels 3, health 4, last_error 5, evaluation_duration 6, last_evaluation 7
//! alert     = state 1, name 2, query 3, duration 4, labels 5, annotations 6, instance 7, health 8, last_error 9,
//!             evaluation_duration 10, last_evaluation 11, keep_firing_for 12
//! instance  = labels 1, annotations 2, state 3, active_at 4, value 5, strategy 6
//! ```
//!
//! `rules/rulespb/rpc.proto` of Thanos 0.42.5. `last_error` is left out: it may quote series that the rule's expression found. So is the
//! `evaluation_duration` of groups, which others' rules took, and of rules that are shared.

use super::Scoped;
use super::watch::merged;
use crate::answer::owner::Whose;
use crate::wire::grpc::StreamError;
use crate::wire::protobuf::{self, Value, write_bytes, write_number};

/// The group at hand.
#[derive(Debug, Default)]
pub struct Group {
    /// What is written of it once a rule is kept.
    text: Vec<u8>,
    has_rule: bool,
    /// It is longer than may be held.
    is_over: bool,
}

const INACTIVE: u64 = 1;
const FIRING: u64 = 3;

impl Group {
    /// One field of it.
    pub fn part(&mut self, scoped: &Scoped, part: &[u8]) -> Result<(), StreamError> {
        let (number, value) = next(&mut &*part)?;
        let mut kept = Vec::new();
        match (number, value) {
            (3, Value::Bytes(rule)) if rewritten(scoped, rule, &mut kept)? => {
                self.has_rule = true;
                write_field(3, &kept, &mut self.text, &mut self.is_over, scoped.max);
            }
            (6, Value::Bytes(time)) => {
                write_seconds(6, time, &mut kept)?;
                if self.text.len().saturating_add(kept.len()) > scoped.max {
                    self.is_over = true;
                } else {
                    self.text.append(&mut kept);
                }
            }
            (1 | 2 | 4 | 8 | 9, _) => {
                if self.text.len().saturating_add(part.len()) > scoped.max {
                    self.is_over = true;
                } else {
                    self.text.extend_from_slice(part);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the group as field 1, where a rule of it is kept.
    pub fn end(&mut self, _: &Scoped, out: &mut Vec<u8>) -> Result<bool, StreamError> {
        let Group { text, has_rule, is_over } = std::mem::take(self);
        match (has_rule, is_over) {
            (false, _) => Ok(false),
            (true, true) => Err(StreamError::Long),
            (true, false) => {
                write_bytes(1, &text, out);
                Ok(true)
            }
        }
    }
}

fn write_field(number: u32, bytes: &[u8], text: &mut Vec<u8>, is_over: &mut bool, max: usize) {
    if text.len().saturating_add(bytes.len()) > max {
        *is_over = true;
    } else {
        write_bytes(number, bytes, text);
    }
}

/// Writes what the tenant may see of a rule; says whether that is anything.
fn rewritten(scoped: &Scoped, mut rule: &[u8], out: &mut Vec<u8>) -> Result<bool, StreamError> {
    // Of the members of a `oneof`, the last one counts.
    let mut last = None;
    while !rule.is_empty() {
        last = Some(next(&mut rule)?);
    }
    let mut kept = Vec::new();
    let (number, is_kept) = match last {
        Some((1, Value::Bytes(recording))) => (1, rewrite_recording(scoped, recording, &mut kept)?),
        Some((2, Value::Bytes(alert))) => (2, rewrite_alert(scoped, alert, &mut kept)?),
        Some(_) | None => (0, false),
    };
    if is_kept {
        write_bytes(number, &kept, out);
    }
    Ok(is_kept)
}

/// Writes a time to the second, as over HTTP: the time between two evaluations is what others' rules between them took.
fn write_seconds(number: u32, time: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
    let mut seconds = Vec::new();
    write_number(1, last_number(time, 1)?, &mut seconds);
    write_bytes(number, &seconds, out);
    Ok(())
}

/// Writes the last time of this number, where there is one.
fn copy_seconds(message: &[u8], number: u32, out: &mut Vec<u8>) -> Result<(), StreamError> {
    let mut last = None;
    let mut rest = message;
    while !rest.is_empty() {
        if let (found, Value::Bytes(time)) = next(&mut rest)?
            && found == u64::from(number)
        {
            last = Some(time);
        }
    }
    last.map_or(Ok(()), |time| write_seconds(number, time, out))
}

fn rewrite_recording(scoped: &Scoped, recording: &[u8], out: &mut Vec<u8>) -> Result<bool, StreamError> {
    copy(recording, &[1, 2, 3, 4, 6], out)?;
    copy_seconds(recording, 7, out)?;
    Ok(whose(scoped, recording, 3)? == Whose::Own)
}

fn rewrite_alert(scoped: &Scoped, alert: &[u8], out: &mut Vec<u8>) -> Result<bool, StreamError> {
    let is_shared = match whose(scoped, alert, 5)? {
        Whose::Own => false,
        Whose::Nobodys | Whose::Templated if scoped.shared => true,
        Whose::Nobodys | Whose::Templated | Whose::Foreign => return Ok(false),
    };
    let (mut state, mut severest, mut is_reduced, mut has_own) = (0, INACTIVE, false, false);
    let mut instances = Vec::new();
    let mut rest = alert;
    while !rest.is_empty() {
        match next(&mut rest)? {
            (1, Value::Varint(given)) => state = given.min(FIRING),
            (7, Value::Bytes(instance)) => {
                let is_kept = match whose(scoped, instance, 1)? {
                    Whose::Own => {
                        has_own = true;
                        true
                    }
                    Whose::Nobodys => !is_shared,
                    Whose::Templated | Whose::Foreign => false,
                };
                if is_kept {
                    severest = severest.max(last_number(instance, 3)?.min(FIRING));
                    write_bytes(7, instance, &mut instances);
                } else {
                    is_reduced = true;
                }
            }
            _ => {}
        }
    }
    if is_shared && !has_own {
        return Ok(false);
    }
    // A state that none of the alerts accounts for is left out: nothing says whose it is.
    let state = match is_reduced {
        true => severest,
        false if state > severest => 0,
        false => state,
    };
    if state != 0 {
        write_number(1, state, out);
    }
    copy(alert, if is_shared { &[2, 3, 4, 5, 6, 8, 12] } else { &[2, 3, 4, 5, 6, 8, 10, 12] }, out)?;
    copy_seconds(alert, 11, out)?;
    out.append(&mut instances);
    Ok(true)
}

fn whose(scoped: &Scoped, message: &[u8], number: u64) -> Result<Whose, StreamError> {
    let set = merged(message, number)?;
    match &scoped.owner {
        Some(owner) => owner.whose(&set).map_err(StreamError::Message),
        None => Ok(Whose::Own),
    }
}

/// The last value of a number.
fn last_number(mut message: &[u8], wanted: u64) -> Result<u64, StreamError> {
    let mut last = 0;
    while !message.is_empty() {
        if let (number, Value::Varint(value)) = next(&mut message)?
            && number == wanted
        {
            last = value;
        }
    }
    Ok(last)
}

/// Appends the fields of these numbers as they stand.
fn copy(mut message: &[u8], numbers: &[u64], out: &mut Vec<u8>) -> Result<(), StreamError> {
    while !message.is_empty() {
        let before = message;
        let (number, _) = next(&mut message)?;
        if numbers.contains(&number) {
            out.extend_from_slice(before.get(..before.len() - message.len()).unwrap_or_default());
        }
    }
    Ok(())
}

fn next<'m>(message: &mut &'m [u8]) -> Result<(u64, Value<'m>), StreamError> {
    protobuf::next(message).map_err(StreamError::Message)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn times_are_told_to_the_second() {
        let time = |seconds: u64, nanoseconds: u64| {
            let mut time = Vec::new();
            write_number(1, seconds, &mut time);
            write_number(2, nanoseconds, &mut time);
            time
        };
        // Before 1970, too; and the last of several counts.
        for seconds in [0, 1, 1_800_000_000, u64::MAX] {
            let (mut rule, mut out, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            write_bytes(7, &time(5, 6), &mut rule);
            write_bytes(7, &time(seconds, 999_999_999), &mut rule);
            copy_seconds(&rule, 7, &mut out).unwrap();
            let mut whole = Vec::new();
            write_number(1, seconds, &mut whole);
            write_bytes(7, &whole, &mut expected);
            assert_eq!(out, expected, "{seconds}");
        }
        let mut out = Vec::new();
        copy_seconds(&[], 7, &mut out).unwrap();
        assert!(out.is_empty());
    }
}
