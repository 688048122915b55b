//! The members of a group of rules: held until a rule of it is kept, and written from then on.
//!
//! Where a group lost anything, its `evaluationTime`, which others' rules took, reads 0. Where it stands before the rules, it is not
//! known whether the group loses anything: the rules that are kept wait for it, as long as they are no more than may be held.

use super::Unreadable;
use super::candidate::check;
use super::rules::write_to_the_second;
use crate::json::{Seen, quoted};

/// The known members of a group.
pub const NAMES_OF_GROUP: &[&str] =
    &["rules", "evaluationTime", "name", "file", "interval", "limit", "lastEvaluation", "partialResponseStrategy"];
/// The only known one where nothing of the group is written.
pub const NAME_OF_RULES: &[&str] = &["rules"];
/// The index of `rules`.
pub const RULES: usize = 0;
/// The index of `evaluationTime`.
pub const EVALUATION_TIME: usize = 1;
const LAST_EVALUATION: usize = 6;

/// The group at hand.
#[derive(Debug, Default)]
pub struct Group {
    /// What is written of it once a rule is kept.
    text: Vec<u8>,
    /// The member at hand.
    value: Vec<u8>,
    is_value_over: bool,
    /// The known members that it has had.
    pub seen: Seen,
    has_member: bool,
    /// A rule of it is kept.
    pub has_rule: bool,
    /// `text` has been written: what follows is written at once.
    is_written: bool,
    /// No rule or alert was removed so far.
    pub is_whole: bool,
    /// Its members were longer than what may be held: no rule of it can be kept.
    pub is_over: bool,
    /// An `evaluationTime` that stood before the rules, and where in `text` it belongs.
    time: Option<(usize, Vec<u8>)>,
}

impl Group {
    /// `is_whole` says that it lost nothing on the way here.
    pub fn begin(&mut self, is_whole: bool) {
        let (mut text, value) = (std::mem::take(&mut self.text), std::mem::take(&mut self.value));
        text.clear();
        *self = Group { text, value, is_whole, ..Group::default() };
    }

    /// The first byte of a member's value.
    pub fn begin_value(&mut self) {
        self.value.clear();
        self.is_value_over = false;
    }

    /// A part of a known member's value.
    pub fn hold(&mut self, part: &[u8], max: usize) {
        if self.is_value_over || self.value.len().saturating_add(part.len()) > max {
            self.is_value_over = true;
            self.value.clear();
        } else {
            self.value.extend_from_slice(part);
        }
    }

    /// A known member's value is whole.
    pub fn end_member(&mut self, member: usize, max: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let has_rules = self.seen.has(RULES);
        if self.is_value_over {
            self.is_over = true;
            return if self.is_written { Err(Unreadable::TooLarge) } else { Ok(()) };
        }
        check(&mut self.value)?;
        if self.is_over || has_rules && !self.has_rule {
            return Ok(());
        }
        let value = std::mem::take(&mut self.value);
        let is_whole = self.is_whole;
        let into = self.begin_member(member, out);
        if member == LAST_EVALUATION {
            write_to_the_second(&value, into);
        } else if member != EVALUATION_TIME || is_whole && has_rules {
            into.extend_from_slice(&value);
        } else if is_whole {
            self.time = Some((into.len(), value.clone()));
        } else {
            into.push(b'0');
        }
        self.value = value;
        if !self.is_written && self.text.len() > max {
            self.is_over = true;
            self.text.clear();
        }
        Ok(())
    }

    fn begin_member<'o>(&'o mut self, member: usize, out: &'o mut Vec<u8>) -> &'o mut Vec<u8> {
        let into = if self.is_written { out } else { &mut self.text };
        into.push(if std::mem::replace(&mut self.has_member, true) { b',' } else { b'{' });
        quoted(NAMES_OF_GROUP.get(member).copied().unwrap_or_default().as_bytes(), into);
        into.push(b':');
        into
    }

    /// Where a rule that is kept is to be written.
    pub fn begin_rule<'o>(&'o mut self, out: &'o mut Vec<u8>) -> &'o mut Vec<u8> {
        if std::mem::replace(&mut self.has_rule, true) {
            let into = if self.is_written { out } else { &mut self.text };
            into.push(b',');
            return into;
        }
        let into = self.begin_member(RULES, out);
        into.push(b'[');
        into
    }

    /// All of the rules have come. Says whether the group has been written, and was not before.
    pub fn end_rules(&mut self, has_kept: bool, out: &mut Vec<u8>) -> bool {
        if !self.has_rule {
            return false;
        }
        if self.is_written {
            out.push(b']')
        } else {
            self.text.push(b']')
        }
        self.write(self.is_whole, has_kept, out)
    }

    /// Whether the rules that are kept wait for it to be known whether the group loses any.
    pub fn waits(&self, max: usize) -> bool {
        self.time.is_some() && self.is_whole && self.text.len() <= max
    }

    /// How much memory is taken by what is held.
    pub fn held(&self) -> usize {
        let time = self.time.as_ref().map_or(0, |(_, time)| time.capacity());
        self.text.capacity() + self.value.capacity() + time
    }

    /// Writes what was held of the group. An `evaluationTime` among it reads 0 unless all of the rules have come, and none was
    /// removed.
    /// Says whether it has been written, and was not before.
    pub fn write(&mut self, is_whole: bool, has_kept: bool, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.is_written, true) {
            return false;
        }
        if has_kept {
            out.push(b',');
        }
        let (at, time) = self.time.take().unwrap_or_default();
        let (before, after) = self.text.split_at_checked(at).unwrap_or_default();
        out.extend_from_slice(before);
        out.extend_from_slice(if is_whole || time.is_empty() { &time } else { b"0" });
        out.extend_from_slice(after);
        self.text.clear();
        true
    }
}
