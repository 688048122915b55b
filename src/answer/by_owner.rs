//! Rules, alerts, exemplars and targets, as they stream by: what isn't the tenants' own is dropped as soon as its labels are known.
//!
//! ```text
//! data     = { "groups": [ group ] } / { "alerts": [ alert ] } / [ exemplar ]
//! group    = { name, file, rules: [ rule ], interval, limit, evaluationTime, lastEvaluation, partialResponseStrategy }
//! rule     = { labels, alerts: [ alert ], … }                                 what becomes of the rest: `rules`
//! alert    = { labels, … }
//! targets  = { activeTargets: [ { labels, … } ], droppedTargets: [ { discoveredLabels } ], droppedTargetCounts }
//! exemplar = { seriesLabels, … }                                              Thanos's pkg/exemplars/exemplarspb
//! ```
//!
//! Of groups of rules, a list of the alerts in them can be made ([`Labelled::AlertsOfRules`]): `{"groups":[…]}` becomes
//! `{"alerts":[…]}`. Thanos's own list loses the labels that only the rule has, and with them whose an alert is.
//!
//! Sources: web/api/v1/api.go in Prometheus 3.16; pkg/rules/rulespb in Thanos 0.42.5.
//!
//! - What stands where several tenants share it (`data`, a group) is dropped unless it is known: it may count or name what is
//!   others'. That includes `groupNextToken`, which is made from the next group's file and name. What is the tenant's own is kept
//!   with all of its members, but for what `rules` says.
//! - A group without a kept rule is dropped. Where a group lost anything, or may have lost it at the upstream already
//!   (`narrowed`), its `evaluationTime`, which others' rules took, reads 0. `name` and `file` of a group with a kept rule stay.
//!
//! Memory: a rule, alert or exemplar is held until its labels say whose it is, and a kept one until its end; the members of a group
//! until its first kept rule; each at most `max` bytes. What grows beyond is dropped at once, and is a fault only where it turns
//! out to be the tenants'. So nobody's data can take the answer from another tenant. A set of labels that is itself longer
//! than [`MAX_LABELS`] and than `max` is taken for another tenant's.
//!
//! Bytes: Prometheus writes strings as they are, and a template can make what is not UTF-8 (`{{ "\xff" }}` in an alert's label,
//! observed with Prometheus 3.15). In what is another's they change nothing; in what is kept, a `?` stands for each.

use super::Unreadable;
use super::candidate::{Candidate, check, mended};
use super::group::{EVALUATION_TIME, Group, NAME_OF_RULES, NAMES_OF_GROUP, RULES};
use super::labelled::{COUNTS, Labelled};
use super::owner::{Owner, Whose};
use super::rules;
use crate::json::{Container, Cursor, Lexeme, Malformed, Scanner, Seen, Text, quoted};

/// The longest set of labels that is read, where `max` is smaller.
const MAX_LABELS: usize = 64 << 10;

/// Reads one `data`.
#[derive(Debug)]
pub struct ByOwner {
    labelled: Labelled,
    owner: Owner,
    max: usize,
    scanner: Scanner,
    nesting: Nesting,
    /// The lists in `data` that have been seen.
    seen: Seen,
    /// A member of `data` was written.
    has_list: bool,
    /// The number of the list at hand.
    list: usize,
    /// The known member at hand of `data`, the group, the rule or the alert.
    member: Option<usize>,
    /// A member of the list at hand was kept.
    has_kept: bool,
    group: Group,
    rule: Candidate,
    /// An alert, alone or in a rule, or another member of a list.
    item: Candidate,
    /// The labels at hand, of which there is one set at a time.
    labels: Vec<u8>,
}

/// Where the scanner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outside,
    Data,
    Groups,
    Group,
    Rules,
    Rule,
    /// In the list of a rule's alerts, and in one of them.
    RuleAlerts,
    RuleAlert,
    /// In the list of alerts or exemplars, and in one of them.
    Items,
    Item,
}

impl ByOwner {
    /// For one answer.
    pub fn new(labelled: Labelled, owner: Owner, max: usize) -> Self {
        ByOwner {
            labelled,
            owner,
            max,
            scanner: Scanner::default(),
            nesting: Nesting::Outside,
            seen: Seen::default(),
            has_list: false,
            list: 0,
            member: None,
            has_kept: false,
            group: Group::default(),
            rule: Candidate::default(),
            item: Candidate::default(),
            labels: Vec::new(),
        }
    }

    /// Reads on, to the end of an object or a list at the most, and writes what is kept: never more than has come. Says whether the
    /// value is over.
    pub fn read(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        while let Some(lexeme) = self.scanner.next(rest)? {
            match lexeme {
                Lexeme::Name => self.name()?,
                Lexeme::Value(byte) => self.value(byte, rest, out)?,
                Lexeme::Part(part, is_last) => self.part(part, is_last, out)?,
                Lexeme::Text => {}
                Lexeme::Null => match self.nesting {
                    Nesting::Outside | Nesting::Data => {
                        out.extend_from_slice(b"null");
                        if self.nesting == Nesting::Outside {
                            return Ok(true);
                        }
                    }
                    Nesting::Groups
                    | Nesting::Group
                    | Nesting::Rules
                    | Nesting::Rule
                    | Nesting::RuleAlerts
                    | Nesting::RuleAlert
                    | Nesting::Items
                    | Nesting::Item => {}
                },
                Lexeme::Close => {
                    self.nesting = self.close(out)?;
                    self.scanner.resume(self.nesting.container());
                    return Ok(self.nesting == Nesting::Outside);
                }
            }
        }
        Ok(false)
    }

    /// How much memory is taken by what is held.
    pub fn held(&self) -> usize {
        let candidates = self.rule.text.capacity() + self.item.text.capacity() + self.labels.capacity();
        self.scanner.held() + self.group.held() + candidates
    }

    fn name(&mut self) -> Result<(), Unreadable> {
        let name = self.scanner.name()?;
        self.member = match self.nesting {
            Nesting::Data => known(name, self.labelled.lists(), &mut self.seen)?,
            Nesting::Group => {
                let is_written = self.labelled != Labelled::AlertsOfRules;
                known(name, if is_written { NAMES_OF_GROUP } else { NAME_OF_RULES }, &mut self.group.seen)?
            }
            Nesting::Rule => self.rule.name(name, rules::NAMES_OF_RULE, self.max)?,
            Nesting::RuleAlert => self.item.name(name, rules::NAMES_OF_ALERT, self.max)?,
            Nesting::Item => self.item.name(name, &[self.labelled.labels(self.list)], self.max)?,
            // There are no names.
            Nesting::Outside | Nesting::Groups | Nesting::Rules | Nesting::RuleAlerts | Nesting::Items => None,
        };
        Ok(())
    }

    /// The first byte of a value: it is entered, or taken unread.
    fn value(&mut self, byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let inner = match (self.nesting, self.member, byte) {
            (Nesting::Outside | Nesting::Data, _, b'n') if self.is_known() => {
                self.begin_member(out);
                self.scanner.null();
                return Ok(());
            }
            (Nesting::Group, Some(RULES), b'n') => {
                self.scanner.null();
                return Ok(());
            }
            (Nesting::Outside, _, b'{') if !self.labelled.is_list() => Nesting::Data,
            (Nesting::Outside, _, b'[') if self.labelled.is_list() => Nesting::Items,
            (Nesting::Data, Some(COUNTS), b'{') => {
                self.begin_member(out);
                out.push(b'{');
                self.scanner.skim();
                return Ok(());
            }
            (Nesting::Data, Some(_), b'[') => match self.labelled {
                Labelled::Rules { .. } | Labelled::AlertsOfRules => Nesting::Groups,
                Labelled::Alerts | Labelled::Exemplars | Labelled::Targets | Labelled::TargetMetadata => Nesting::Items,
            },
            (Nesting::Groups, _, b'{') => Nesting::Group,
            (Nesting::Group, Some(RULES), b'[') => Nesting::Rules,
            (Nesting::Rules, _, b'{') => Nesting::Rule,
            (Nesting::Rule, Some(rules::ALERTS), b'[') if !self.rule.is_dropped => Nesting::RuleAlerts,
            (Nesting::RuleAlerts, _, b'{') => Nesting::RuleAlert,
            (Nesting::Items, _, b'{') => Nesting::Item,
            (Nesting::Data, None, _)
            | (Nesting::Group, None | Some(EVALUATION_TIME..), _)
            | (Nesting::Rule | Nesting::RuleAlert | Nesting::Item, _, _) => {
                self.group.begin_value();
                self.labels.clear();
                self.scanner.skim();
                return Ok(());
            }
            (
                Nesting::Outside
                | Nesting::Data
                | Nesting::Groups
                | Nesting::Group
                | Nesting::Rules
                | Nesting::RuleAlerts
                | Nesting::Items,
                _,
                _,
            ) => return Err(Unreadable::Malformed),
        };
        match inner {
            Nesting::Data => out.push(b'{'),
            Nesting::Groups | Nesting::Items => {
                self.begin_member(out);
                self.list = self.member.unwrap_or_default();
                self.has_kept = false;
                out.push(b'[');
            }
            Nesting::Group => self.group.begin(!matches!(self.labelled, Labelled::Rules { narrowed: true, .. })),
            Nesting::Rule => self.rule.begin(),
            Nesting::RuleAlert | Nesting::Item => self.item.begin(),
            Nesting::RuleAlerts => self.rule.hold(b"[", self.max),
            Nesting::Outside | Nesting::Rules => {}
        }
        self.nesting = inner;
        self.member = None;
        self.scanner.enter(if byte == b'{' { Container::Object } else { Container::Array }, rest);
        Ok(())
    }

    fn is_known(&self) -> bool {
        self.nesting == Nesting::Outside || self.member.is_some()
    }

    /// Writes the name of the list in `data`, where there is one.
    fn begin_member(&mut self, out: &mut Vec<u8>) {
        if self.nesting == Nesting::Data {
            if std::mem::replace(&mut self.has_list, true) {
                out.push(b',');
            }
            quoted(self.labelled.written_list(self.member.unwrap_or_default()).as_bytes(), out);
            out.push(b':');
        }
    }

    /// A part of a value that is taken unread.
    fn part(&mut self, part: &[u8], is_last: bool, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let (candidate, labels) = match self.nesting {
            Nesting::Group => {
                let Some(member) = self.member else { return Ok(()) };
                self.group.hold(part, self.max);
                return if is_last { self.group.end_member(member, self.max, out) } else { Ok(()) };
            }
            Nesting::Rule => (&mut self.rule, rules::LABELS),
            Nesting::RuleAlert => (&mut self.item, rules::LABELS),
            Nesting::Item => (&mut self.item, 0),
            // What is emptied ends where it ended: nothing is written before as much has come.
            Nesting::Data if is_last && self.member == Some(COUNTS) => {
                out.push(b'}');
                return Ok(());
            }
            Nesting::Outside
            | Nesting::Data
            | Nesting::Groups
            | Nesting::Rules
            | Nesting::RuleAlerts
            | Nesting::Items => return Ok(()),
        };
        candidate.hold(part, self.max);
        if self.member == Some(labels) {
            let max = self.max.max(MAX_LABELS);
            // One byte more than the longest set that is read, so that a longer one shows.
            let room = (max + 1).saturating_sub(self.labels.len());
            self.labels.extend_from_slice(part.get(..room).unwrap_or(part));
            if is_last {
                let whose =
                    if self.labels.len() > max { Whose::Foreign } else { read_labels(&self.owner, &mut self.labels)? };
                self.decide(whose);
            }
        }
        Ok(())
    }

    /// The labels at hand say whose it is: what can't be kept is dropped at once.
    fn decide(&mut self, whose: Whose) {
        let keeps = match self.nesting {
            Nesting::Rule => self.keeps_rule(whose),
            Nesting::RuleAlert => self.keeps_alert(whose),
            Nesting::Item
            | Nesting::Outside
            | Nesting::Data
            | Nesting::Groups
            | Nesting::Group
            | Nesting::Rules
            | Nesting::RuleAlerts
            | Nesting::Items => whose == Whose::Own,
        };
        let candidate = if self.nesting == Nesting::Rule { &mut self.rule } else { &mut self.item };
        candidate.whose = Some(whose);
        if !keeps {
            candidate.drop();
        }
    }

    /// Whether a rule may be kept: one that is nobody's only with an alert in it that is the tenants'.
    fn keeps_rule(&self, whose: Whose) -> bool {
        match whose {
            Whose::Own => true,
            Whose::Nobodys | Whose::Templated => {
                matches!(self.labelled, Labelled::Rules { shared: true, .. } | Labelled::AlertsOfRules)
            }
            Whose::Foreign => false,
        }
    }

    /// Whether an alert in the rule at hand may be kept. Where the rule's labels come after its alerts, one that is nobody's may.
    fn keeps_alert(&self, whose: Whose) -> bool {
        match whose {
            Whose::Own => true,
            Whose::Nobodys => matches!(self.rule.whose, None | Some(Whose::Own)),
            Whose::Templated | Whose::Foreign => false,
        }
    }

    /// The container at hand ends; says what it stands in.
    fn close(&mut self, out: &mut Vec<u8>) -> Result<Nesting, Unreadable> {
        Ok(match self.nesting {
            Nesting::RuleAlert => {
                self.end_alert();
                Nesting::RuleAlerts
            }
            Nesting::RuleAlerts => {
                self.rule.hold(b"]", self.max);
                Nesting::Rule
            }
            Nesting::Rule => {
                self.end_rule(out)?;
                Nesting::Rules
            }
            Nesting::Rules => {
                self.has_kept |= self.group.end_rules(self.has_kept, out);
                Nesting::Group
            }
            Nesting::Group => {
                if self.group.has_rule {
                    out.push(b'}');
                }
                Nesting::Groups
            }
            Nesting::Item => {
                self.end_item(out)?;
                Nesting::Items
            }
            Nesting::Groups | Nesting::Items => {
                out.push(b']');
                if self.labelled.is_list() { Nesting::Outside } else { Nesting::Data }
            }
            Nesting::Data => {
                out.push(b'}');
                Nesting::Outside
            }
            Nesting::Outside => return Err(Unreadable::Malformed),
        })
    }

    /// What is in no rule.
    fn end_item(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.item.hold(b"}", self.max);
        if self.item.whose != Some(Whose::Own) {
            return Ok(());
        }
        if self.item.is_over {
            return Err(Unreadable::TooLarge);
        }
        check(&mut self.item.text)?;
        if std::mem::replace(&mut self.has_kept, true) {
            out.push(b',');
        }
        out.extend_from_slice(&self.item.text);
        Ok(())
    }

    fn end_alert(&mut self) {
        self.item.hold(b"}", self.max);
        let whose = self.item.whose.unwrap_or(Whose::Nobodys);
        if !self.keeps_alert(whose) {
            self.rule.is_reduced = true;
            return;
        }
        if std::mem::replace(&mut self.rule.has_alert, true) {
            self.rule.hold(b",", self.max);
        }
        self.rule.hold(&self.item.text, self.max);
        self.rule.is_over |= self.item.is_over;
        self.rule.has_own_alert |= whose == Whose::Own;
    }

    fn end_rule(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.rule.hold(b"}", self.max);
        let whose = self.rule.whose.unwrap_or(Whose::Nobodys);
        if !self.keeps_rule(whose) || whose != Whose::Own && !self.rule.has_own_alert {
            self.group.is_whole = false;
            return Ok(());
        }
        if self.rule.is_over || self.group.is_over {
            return Err(Unreadable::TooLarge);
        }
        if self.labelled == Labelled::AlertsOfRules {
            let rule = mended(&mut self.rule.text, b'?')?;
            rules::write_alerts(rule, &self.owner, whose != Whose::Own, &mut self.has_kept, out)?;
            return Ok(());
        }
        self.group.is_whole &= whose == Whose::Own && !self.rule.is_reduced;
        let into = self.group.begin_rule(out);
        let rule = mended(&mut self.rule.text, b'?')?;
        rules::write(rule, &self.owner, whose != Whose::Own, self.rule.is_reduced, into)?;
        if !self.group.waits(self.max) {
            self.has_kept |= self.group.write(false, self.has_kept, out);
        }
        Ok(())
    }
}

impl Nesting {
    fn container(self) -> Option<Container> {
        match self {
            Nesting::Outside => None,
            Nesting::Data | Nesting::Group | Nesting::Rule | Nesting::RuleAlert | Nesting::Item => {
                Some(Container::Object)
            }
            Nesting::Groups | Nesting::Rules | Nesting::RuleAlerts | Nesting::Items => Some(Container::Array),
        }
    }
}

/// A name's index among those that are known where it stands. What is not known there is dropped, so that what only resembles a
/// known one may be.
fn known(name: Text<'_>, names: &[&str], seen: &mut Seen) -> Result<Option<usize>, Malformed> {
    let index = name.among(names).unwrap_or(None);
    index.map_or(Ok(()), |index| seen.note(index))?;
    Ok(index)
}

/// What the labels say. One that is not UTF-8 is the tenants' only if it is so whatever stands for the bytes that are not.
fn read_labels(owner: &Owner, labels: &mut [u8]) -> Result<Whose, Malformed> {
    let is_text = std::str::from_utf8(labels).is_ok();
    let mut others = if is_text { Vec::new() } else { labels.to_vec() };
    let whose = read_text(owner, mended(labels, b'?')?)?;
    if !is_text && read_text(owner, mended(&mut others, b'\x7f')?)? != whose {
        return Ok(Whose::Foreign);
    }
    Ok(whose)
}

fn read_text(owner: &Owner, labels: &str) -> Result<Whose, Malformed> {
    let mut cursor = Cursor::new(labels);
    let whose = owner.read(&mut cursor)?;
    cursor.finish().map(|()| whose)
}

#[cfg(test)]
mod tests;
