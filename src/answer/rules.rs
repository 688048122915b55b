//! Groups of rules.
//!
//! ```text
//! group = { name, file, rules: [ rule ], interval, limit, evaluationTime, lastEvaluation, partialResponseStrategy }
//! rule  = { state, name, query, duration, keepFiringFor, labels, annotations, alerts: [ alert ], health, lastError,
//!           evaluationTime, lastEvaluation, type }              a recording rule has neither state nor alerts
//! alert = { labels, state, … }
//! ```
//!
//! Sources: web/api/v1/api.go in Prometheus 3.16; pkg/rules/rulespb in Thanos 0.42.5.
//!
//! - A rule is the tenant's by its own label, exactly. It is carried over with all of its keys, but for `lastError`, which is
//!   blanked: it may quote series that the rule's expression found.
//! - Within it, alerts of other tenants go. One that has no label of the kind stays: Thanos puts the external labels on rules, and not
//!   on the alerts in them (`enrichRulesWithExtLabels` in pkg/rules/prometheus.go).
//! - Where alerts went, `state` is worked out again from the rest. One that none of the alerts accounts for goes: nothing says
//!   whose it is.
//! - A group without rules goes. Where a group lost anything, or may have lost it at the upstream already, its `evaluationTime`,
//!   which others' rules took, reads 0. `name` and `file`
//!   of a group that holds a rule of the tenant stay.
//! - A rule that is nobody's, or whose label is a template, is shown where the operator asks for it: with its known keys, the alerts
//!   in it that are the tenant's by label, and only if there are any.

use super::held::{element, known};
use super::owner::{Owner, Whose};
use crate::json::{Cursor, Malformed, Pieces, Seen, Text};

const NAMES_OF_GROUP: &[&str] =
    &["rules", "evaluationTime", "name", "file", "interval", "limit", "lastEvaluation", "partialResponseStrategy"];
const RULES: usize = 0;
const EVALUATION_TIME: usize = 1;

const NAMES_OF_RULE: &[&str] = &[
    "labels",
    "alerts",
    "state",
    "lastError",
    "evaluationTime",
    "name",
    "query",
    "duration",
    "keepFiringFor",
    "annotations",
    "health",
    "lastEvaluation",
    "type",
];
const LABELS: usize = 0;
const ALERTS: usize = 1;
const STATE: usize = 2;
const LAST_ERROR: usize = 3;
const EVALUATION_TIME_OF_RULE: usize = 4;

const NAMES_OF_ALERT: &[&str] = &["labels", "state"];

/// The states, from the calmest: `AlertState` in rules/alerting.go. A rule has that of its most severe alert.
const STATES: [&str; 4] = ["unknown", "inactive", "pending", "firing"];
const INACTIVE: usize = 1;

/// Filters an array of groups.
pub fn groups<'a>(
    cursor: &mut Cursor<'a>,
    owner: &Owner,
    shared: bool,
    narrowed: bool,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut filter = Filter {
        owner,
        shared,
        narrowed,
        group: Vec::new(),
        rules: Vec::new(),
        members: Vec::new(),
        alerts: Vec::new(),
    };
    let mut list = Pieces::array(out);
    cursor.array(|cursor| filter.group(cursor, &mut list))?;
    list.close();
    Ok(())
}

/// What is needed while one group is read, used again for the next.
struct Filter<'a, 'o> {
    owner: &'o Owner,
    shared: bool,
    narrowed: bool,
    group: Vec<(Text<'a>, GroupMember<'a>)>,
    /// The group's rules, as they go on.
    rules: Vec<u8>,
    /// The rule at hand.
    members: Vec<(Text<'a>, Member<'a>)>,
    alerts: Vec<Alert<'a>>,
}

#[derive(Clone, Copy)]
enum GroupMember<'a> {
    Kept(&'a [u8]),
    Rules,
    EvaluationTime(&'a [u8]),
}

#[derive(Clone, Copy)]
enum Member<'a> {
    /// A known one that is carried over.
    Known(&'a [u8]),
    /// One that this version doesn't know.
    Unknown(&'a [u8]),
    Alerts,
    State(usize),
    LastError,
    EvaluationTime(&'a [u8]),
}

#[derive(Clone, Copy)]
struct Alert<'a> {
    whose: Whose,
    state: Option<usize>,
    raw: &'a [u8],
}

/// What is done with a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Own,
    Shared,
    Gone,
}

impl<'a> Filter<'a, '_> {
    fn group(&mut self, cursor: &mut Cursor<'a>, list: &mut Pieces<'_>) -> Result<(), Malformed> {
        self.group.clear();
        self.rules.clear();
        let mut seen = Seen::default();
        let mut is_whole = !self.narrowed;
        cursor.object(|key, cursor| {
            let member = match known(key, NAMES_OF_GROUP, &mut seen)? {
                None => return cursor.value().map(drop),
                Some(RULES) => self.rules(cursor).map(|whole| {
                    is_whole &= whole;
                    GroupMember::Rules
                })?,
                Some(EVALUATION_TIME) => GroupMember::EvaluationTime(cursor.value()?),
                Some(_) => GroupMember::Kept(cursor.value()?),
            };
            self.group.push((key, member));
            Ok(())
        })?;
        if self.rules.is_empty() {
            return Ok(());
        }
        let mut object = Pieces::object(list.element());
        for (key, member) in &self.group {
            object.key(*key).extend_from_slice(match member {
                GroupMember::Kept(raw) => raw,
                GroupMember::Rules => &self.rules,
                GroupMember::EvaluationTime(raw) if is_whole => raw,
                GroupMember::EvaluationTime(_) => b"0",
            });
        }
        object.close();
        Ok(())
    }

    /// Writes the group's rules, nothing where none is left, and says whether all are there as they came.
    fn rules(&mut self, cursor: &mut Cursor<'a>) -> Result<bool, Malformed> {
        if cursor.null()? {
            return Ok(true);
        }
        let mut rules = std::mem::take(&mut self.rules);
        let mut list = Pieces::array(&mut rules);
        let mut is_whole = true;
        cursor.array(|cursor| {
            let verdict = self.read_rule(cursor)?;
            let is_complete = verdict == Verdict::Own && self.alerts.iter().all(|alert| verdict.keeps(alert));
            is_whole &= is_complete;
            match verdict {
                Verdict::Own | Verdict::Shared => self.write_rule(verdict, list.element()),
                Verdict::Gone => Ok(()),
            }
        })?;
        if list.close() {
            rules.clear();
        }
        self.rules = rules;
        Ok(is_whole)
    }

    fn read_rule(&mut self, cursor: &mut Cursor<'a>) -> Result<Verdict, Malformed> {
        self.members.clear();
        self.alerts.clear();
        let mut whose = Whose::Nobodys;
        let mut seen = Seen::default();
        cursor.object(|key, cursor| {
            let index = key.among(NAMES_OF_RULE)?;
            index.map_or(Ok(()), |index| seen.note(index))?;
            let member = match index {
                None => Member::Unknown(cursor.value()?),
                Some(LABELS) => {
                    let from = cursor.mark();
                    whose = self.owner.read(cursor)?;
                    Member::Known(cursor.since(from))
                }
                Some(ALERTS) => {
                    let from = cursor.mark();
                    match cursor.null()? {
                        true => Member::Known(cursor.since(from)),
                        false => self.read_alerts(cursor).map(|()| Member::Alerts)?,
                    }
                }
                Some(STATE) => Member::State(state(cursor)?),
                Some(LAST_ERROR) => cursor.string().map(|_| Member::LastError)?,
                Some(EVALUATION_TIME_OF_RULE) => Member::EvaluationTime(cursor.value()?),
                Some(_) => Member::Known(cursor.value()?),
            };
            self.members.push((key, member));
            Ok(())
        })?;
        let has_own_alerts = || self.alerts.iter().any(|alert| alert.whose == Whose::Own);
        Ok(match whose {
            Whose::Own => Verdict::Own,
            Whose::Nobodys | Whose::Templated if self.shared && has_own_alerts() => Verdict::Shared,
            Whose::Nobodys | Whose::Templated | Whose::Foreign => Verdict::Gone,
        })
    }

    fn read_alerts(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Malformed> {
        cursor.array(|cursor| {
            let mut alert = Alert { whose: Whose::Nobodys, state: None, raw: b"" };
            alert.raw = element(cursor, NAMES_OF_ALERT, |index, cursor| match index {
                LABELS => self.owner.read(cursor).map(|whose| alert.whose = whose),
                _ => state(cursor).map(|state| alert.state = Some(state)),
            })?;
            self.alerts.push(alert);
            Ok(())
        })
    }

    fn write_rule(&self, verdict: Verdict, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let kept = || self.alerts.iter().filter(|alert| verdict.keeps(alert));
        let is_reduced = kept().count() < self.alerts.len();
        let severest = kept().filter_map(|alert| alert.state).fold(INACTIVE, usize::max);
        let mut object = Pieces::object(out);
        for (key, member) in &self.members {
            match (verdict, member) {
                (Verdict::Shared, Member::Unknown(_)) => continue,
                (_, Member::State(state)) if !is_reduced && *state > severest => continue,
                _ => {}
            }
            let out = object.key(*key);
            match member {
                Member::Known(raw) | Member::Unknown(raw) => out.extend_from_slice(raw),
                Member::LastError => out.extend_from_slice(b"\"\""),
                Member::EvaluationTime(_) if verdict == Verdict::Shared => out.push(b'0'),
                Member::EvaluationTime(raw) => out.extend_from_slice(raw),
                Member::State(state) => {
                    let state = if is_reduced { severest } else { *state };
                    out.push(b'"');
                    out.extend_from_slice(STATES.get(state).map_or("", |state| state).as_bytes());
                    out.push(b'"');
                }
                Member::Alerts => {
                    let mut list = Pieces::array(out);
                    kept().for_each(|alert| list.element().extend_from_slice(alert.raw));
                    list.close();
                }
            }
        }
        object.close();
        Ok(())
    }
}

impl Verdict {
    fn keeps(self, alert: &Alert<'_>) -> bool {
        match (self, alert.whose) {
            (Verdict::Own | Verdict::Shared, Whose::Own) | (Verdict::Own, Whose::Nobodys) => true,
            (Verdict::Shared, Whose::Nobodys)
            | (Verdict::Gone, Whose::Own | Whose::Nobodys)
            | (Verdict::Own | Verdict::Shared | Verdict::Gone, Whose::Templated | Whose::Foreign) => false,
        }
    }
}

fn state(cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    let text = cursor.string()?;
    STATES.iter().position(|state| text.is(state)).ok_or(Malformed)
}
