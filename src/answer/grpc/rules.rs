//! A group of rules as it streams by: what of it is written. The same as over HTTP (`answer/rules.rs`), in protobuf.
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
//!
//! Held are a rule and an alert in it until their labels say whose they are, and what is kept until the group ends: others' rules, and
//! others' alerts in a shared rule, count towards nothing. Go writes fields by their numbers; labels of an alert that come after what they
//! decide on are [`StreamError::Late`].

use super::unclaimed::{Unclaimed, add};
use super::watch::frame;
use super::{Scoped, WHOLE};
use crate::answer::owner::Whose;
use crate::wire::grpc::{Part, StreamError};
use crate::wire::protobuf::{self, Value, write_bytes, write_number};

/// The group at hand.
#[derive(Debug, Default)]
pub struct Group {
    nesting: Nesting,
    /// What is written of it once a rule is kept.
    text: Vec<u8>,
    has_rule: bool,
    /// It is longer than may be held.
    is_long: bool,
    rule: Rule,
    instance: Unclaimed,
    /// The state of the instance.
    state: u64,
}

/// Which message the fields at hand belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Nesting {
    #[default]
    Outside,
    Group,
    Rule,
    Recording,
    Alert,
    Instance,
}

/// The rule at hand. Of the members of its `oneof`, the last one counts.
#[derive(Debug, Default)]
struct Rule {
    /// The number of its member; 0 before one has come.
    member: u32,
    fields: Unclaimed,
    /// What becomes of it, once its labels are known.
    fate: Option<Fate>,
    state: u64,
    /// Of the instances that are kept.
    severest: u64,
    has_own: bool,
    /// An instance was removed.
    is_reduced: bool,
    instances: Vec<u8>,
    has_long_instances: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is the tenant's.
    Kept,
    /// It is nobody's, and kept if an instance is the tenant's.
    Shared,
    Dropped,
}

const INACTIVE: u64 = 1;
const FIRING: u64 = 3;

const OF_GROUP: &[u64] = &[1, 2, 4, 8, 9];
const OF_RECORDING: &[u64] = &[1, 2, 3, 4, 6];
const OF_ALERT: &[u64] = &[2, 3, 4, 5, 6, 8, 12];
const LABELS_OF_RECORDING: u64 = 3;
const LABELS_OF_ALERT: u64 = 5;
const LABELS_OF_INSTANCE: u64 = 1;

impl Group {
    /// Whether a field is entered.
    pub fn enters(&self, number: u64) -> bool {
        matches!((self.nesting, number), (Nesting::Group, 3) | (Nesting::Rule, 1 | 2) | (Nesting::Alert, 7))
    }

    /// A part of it. Once it ends, it is written where a rule of it is kept.
    pub fn part(&mut self, scoped: &Scoped, part: Part<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match part {
            Part::Begin(number) => self.begin(scoped, number),
            Part::Field(number, field) => self.field(scoped, number, field),
            Part::Over(number) => {
                self.over(number);
                Ok(())
            }
            Part::End(_) => self.end(scoped, out),
        }
    }

    fn begin(&mut self, scoped: &Scoped, number: u64) -> Result<(), StreamError> {
        self.nesting = match (self.nesting, number) {
            (Nesting::Outside, _) => {
                *self = Group::default();
                Nesting::Group
            }
            (Nesting::Group, _) => {
                self.rule = Rule::default();
                Nesting::Rule
            }
            (Nesting::Rule, 1) => {
                self.rule = Rule { member: 1, ..Rule::default() };
                Nesting::Recording
            }
            (Nesting::Rule, _) => {
                self.rule = Rule { member: 2, severest: INACTIVE, ..Rule::default() };
                Nesting::Alert
            }
            (Nesting::Alert | Nesting::Recording | Nesting::Instance, _) => {
                self.rule.settle(scoped)?;
                (self.instance, self.state) = (Unclaimed::default(), 0);
                Nesting::Instance
            }
        };
        Ok(())
    }

    fn field(&mut self, scoped: &Scoped, number: u64, field: &[u8]) -> Result<(), StreamError> {
        let (_, value) = protobuf::next(&mut &*field).map_err(StreamError::Message)?;
        let Group { rule, instance, .. } = self;
        let max = scoped.max;
        match (self.nesting, number, value) {
            (Nesting::Group, 6, Value::Bytes(time)) => self.add(&seconds(6, time)?, max),
            (Nesting::Group, _, _) if OF_GROUP.contains(&number) => self.add(field, max),
            (Nesting::Recording, 7, Value::Bytes(time)) => rule.fields.hold(&seconds(7, time)?, max),
            (Nesting::Recording, _, _) if OF_RECORDING.contains(&number) => {
                if let (LABELS_OF_RECORDING, Value::Bytes(set)) = (number, value) {
                    rule.fields.note_labels(set, max);
                }
                rule.fields.hold(field, max);
            }
            (Nesting::Alert, _, _) if rule.fate == Some(Fate::Dropped) => {}
            (Nesting::Alert, 1, Value::Varint(state)) => rule.state = state.min(FIRING),
            (Nesting::Alert, LABELS_OF_ALERT, _) if rule.fate.is_some() => return Err(StreamError::Late),
            (Nesting::Alert, 10, _) => {
                if rule.settle(scoped)? == Fate::Kept {
                    rule.fields.hold(field, max);
                }
            }
            (Nesting::Alert, 11, Value::Bytes(time)) => rule.fields.hold(&seconds(11, time)?, max),
            (Nesting::Alert, _, _) if OF_ALERT.contains(&number) => {
                if let (LABELS_OF_ALERT, Value::Bytes(set)) = (number, value) {
                    rule.fields.note_labels(set, max);
                }
                rule.fields.hold(field, max);
            }
            (Nesting::Instance, _, _) => {
                match (number, value) {
                    (LABELS_OF_INSTANCE, Value::Bytes(set)) => instance.note_labels(set, max),
                    (3, Value::Varint(state)) => self.state = state.min(FIRING),
                    _ => {}
                }
                instance.hold(field, max);
            }
            (Nesting::Outside | Nesting::Group | Nesting::Rule | Nesting::Recording | Nesting::Alert, _, _) => {}
        }
        Ok(())
    }

    /// A field that is too long is missed only where it would be written.
    fn over(&mut self, number: u64) {
        match self.nesting {
            Nesting::Outside | Nesting::Rule => {}
            Nesting::Group => self.is_long |= OF_GROUP.contains(&number),
            Nesting::Recording if OF_RECORDING.contains(&number) => {
                self.rule.fields.lose(number == LABELS_OF_RECORDING);
            }
            Nesting::Alert if OF_ALERT.contains(&number) => self.rule.fields.lose(number == LABELS_OF_ALERT),
            Nesting::Recording | Nesting::Alert => {}
            Nesting::Instance => self.instance.lose(number == LABELS_OF_INSTANCE),
        }
    }

    fn end(&mut self, scoped: &Scoped, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.nesting = match self.nesting {
            Nesting::Instance => {
                let instance = std::mem::take(&mut self.instance);
                self.rule.end_instance(scoped, &instance, self.state)?;
                Nesting::Alert
            }
            Nesting::Alert | Nesting::Recording => {
                self.rule.settle(scoped)?;
                Nesting::Rule
            }
            Nesting::Rule => {
                self.end_rule(scoped.max);
                Nesting::Group
            }
            Nesting::Group | Nesting::Outside => {
                let Group { text, has_rule, is_long, .. } = std::mem::take(self);
                if has_rule && is_long {
                    return Err(StreamError::Long);
                }
                if has_rule {
                    let mut message = Vec::new();
                    write_bytes(1, &text, &mut message);
                    frame(&message, out)?;
                }
                Nesting::Outside
            }
        };
        Ok(())
    }

    /// Adds what is kept of a rule.
    fn end_rule(&mut self, max: usize) {
        let rule = std::mem::take(&mut self.rule);
        let is_kept = match rule.fate {
            Some(Fate::Kept) => true,
            Some(Fate::Shared) => rule.has_own,
            Some(Fate::Dropped) | None => false,
        };
        if !is_kept {
            return;
        }
        self.has_rule = true;
        let (mut kept, mut member, mut field) = (Vec::new(), Vec::new(), Vec::new());
        if rule.write(&mut kept) {
            write_bytes(rule.member, &kept, &mut member);
            write_bytes(3, &member, &mut field);
            self.add(&field, max);
        } else {
            self.is_long = true;
        }
    }

    fn add(&mut self, bytes: &[u8], max: usize) {
        add(bytes, &mut self.text, &mut self.is_long, max.saturating_mul(WHOLE));
    }
}

impl Rule {
    /// Its labels have come: what can't be kept is dropped at once.
    fn settle(&mut self, scoped: &Scoped) -> Result<Fate, StreamError> {
        if let Some(fate) = self.fate {
            return Ok(fate);
        }
        let fate = match self.fields.whose(scoped)? {
            Whose::Own => Fate::Kept,
            // A recording rule has no instances.
            Whose::Nobodys | Whose::Templated if scoped.shared => Fate::Shared,
            Whose::Nobodys | Whose::Templated | Whose::Foreign => Fate::Dropped,
        };
        if fate == Fate::Dropped {
            self.fields = Unclaimed::default();
        }
        self.fate = Some(fate);
        Ok(fate)
    }

    fn end_instance(&mut self, scoped: &Scoped, instance: &Unclaimed, state: u64) -> Result<(), StreamError> {
        if self.fate == Some(Fate::Dropped) {
            return Ok(());
        }
        let is_kept = match instance.whose(scoped)? {
            Whose::Own => {
                self.has_own = true;
                true
            }
            Whose::Nobodys => self.fate == Some(Fate::Kept),
            Whose::Templated | Whose::Foreign => false,
        };
        if !is_kept {
            self.is_reduced = true;
            return Ok(());
        }
        self.severest = self.severest.max(state);
        let mut field = Vec::new();
        match instance.text() {
            Some(text) => write_bytes(7, text, &mut field),
            None => self.has_long_instances = true,
        }
        add(&field, &mut self.instances, &mut self.has_long_instances, scoped.max.saturating_mul(WHOLE));
        Ok(())
    }

    /// Writes what is kept of it; says whether that could be held.
    fn write(&self, out: &mut Vec<u8>) -> bool {
        let Some(text) = self.fields.text().filter(|_| !self.has_long_instances) else { return false };
        // A state that none of the alerts accounts for is left out: nothing says whose it is.
        let state = match self.is_reduced {
            true => self.severest,
            false if self.state > self.severest => 0,
            false => self.state,
        };
        if state != 0 {
            write_number(1, state, out);
        }
        out.extend_from_slice(text);
        out.extend_from_slice(&self.instances);
        true
    }
}

/// A time to the second, as over HTTP: the time between two evaluations is what others' rules between them took.
fn seconds(number: u32, mut time: &[u8]) -> Result<Vec<u8>, StreamError> {
    let (mut last, mut whole, mut field) = (0, Vec::new(), Vec::new());
    while !time.is_empty() {
        if let (1, Value::Varint(seconds)) = protobuf::next(&mut time).map_err(StreamError::Message)? {
            last = seconds;
        }
    }
    write_number(1, last, &mut whole);
    write_bytes(number, &whole, &mut field);
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn times_are_told_to_the_second() {
        // Before 1970, too; and the last of several counts.
        for last in [0, 1, 1_800_000_000, u64::MAX] {
            let (mut time, mut whole, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            write_number(1, 5, &mut time);
            write_number(1, last, &mut time);
            write_number(2, 999_999_999, &mut time);
            write_number(1, last, &mut whole);
            write_bytes(7, &whole, &mut expected);
            assert_eq!(seconds(7, &time).unwrap(), expected, "{last}");
        }
    }
}
