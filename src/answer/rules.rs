//! One rule that is kept: what of it is written.
//!
//! ```text
//! rule  = { state, name, query, duration, keepFiringFor, labels, annotations, alerts: [ alert ], health, lastError,
//!           evaluationTime, lastEvaluation, type }              a recording rule has neither state nor alerts
//! alert = { labels, state, … }
//! ```
//!
//! Sources: web/api/v1/api.go in Prometheus 3.16; pkg/rules/rulespb in Thanos 0.42.5.
//!
//! - A rule is the tenant's by its own label, exactly. It is written with all of its members, but for `lastError`, which is
//!   blanked: it may quote series that the rule's expression found.
//! - Within it, alerts of other tenants are removed. One without the label stays: Thanos puts the external labels on rules, and not
//!   on the alerts in them (`enrichRulesWithExtLabels` in pkg/rules/prometheus.go).
//! - Where alerts were removed, `state` is worked out again from the rest. A state that none of the alerts accounts for is removed:
//!   nothing says whose it is.
//! - `lastEvaluation` is written to the second, in groups as well. The rules of a group run one after the other (`Eval` in rules/group.go,
//!   Prometheus 3.16), so that the time between two rules, or from the group's to a rule's, is what the rules of others took that stand
//!   between them.
//! - A rule that is nobody's, or whose label is a template, is shown where the operator asks for it: with its known members, the
//!   alerts in it that are the tenant's by label, and only if there are any.

use super::owner::{Owner, Whose};
use crate::json::{Cursor, Malformed, Pieces, Text, quoted};

/// The known members of a rule.
pub const NAMES_OF_RULE: &[&str] = &[
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
/// The index of `labels` among the names of a rule, and of an alert.
pub const LABELS: usize = 0;
/// The index of `alerts`.
pub const ALERTS: usize = 1;
const STATE: usize = 2;
const LAST_ERROR: usize = 3;
const EVALUATION_TIME: usize = 4;
const LAST_EVALUATION: usize = 11;

/// The known members of an alert in a rule.
pub const NAMES_OF_ALERT: &[&str] = &["labels", "state"];

/// The states, from the calmest: `AlertState` in rules/alerting.go. A rule has that of its most severe alert.
const STATES: [&str; 4] = ["unknown", "inactive", "pending", "firing"];
const INACTIVE: usize = 1;

#[derive(Clone, Copy)]
enum RuleMember<'a> {
    /// A known one that is written as it stands.
    Known(&'a [u8]),
    /// One that this version doesn't know.
    Unknown(&'a [u8]),
    Alerts,
    State(usize),
    LastError,
    EvaluationTime(&'a [u8]),
    LastEvaluation(&'a [u8]),
}

#[derive(Clone, Copy)]
struct RuleAlert<'a> {
    whose: Whose,
    state: Option<usize>,
    raw: &'a [u8],
}

/// Writes a rule that is the tenant's, or a shared one that is nobody's. `is_reduced` says that alerts were removed from it already.
pub fn write(rule: &str, owner: &Owner, is_shared: bool, is_reduced: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (members, alerts, has_lost) = read(rule, owner, is_shared)?;
    let is_reduced = is_reduced || has_lost;
    let severest = alerts.iter().filter_map(|alert| alert.state).fold(INACTIVE, usize::max);
    let mut object = Pieces::object(out);
    for (name, member) in members {
        match member {
            RuleMember::Unknown(_) if is_shared => {}
            RuleMember::State(state) if !is_reduced && state > severest => {}
            RuleMember::Known(raw) | RuleMember::Unknown(raw) => object.key(name).extend_from_slice(raw),
            RuleMember::LastError => object.key(name).extend_from_slice(b"\"\""),
            RuleMember::EvaluationTime(_) if is_shared => object.key(name).push(b'0'),
            RuleMember::EvaluationTime(raw) => object.key(name).extend_from_slice(raw),
            RuleMember::LastEvaluation(raw) => write_to_the_second(raw, object.key(name)),
            RuleMember::State(state) => {
                let state = STATES.get(if is_reduced { severest } else { state });
                quoted(state.map_or("", |state| state).as_bytes(), object.key(name));
            }
            RuleMember::Alerts => {
                let mut list = Pieces::array(object.key(name));
                alerts.iter().for_each(|alert| list.element().extend_from_slice(alert.raw));
                list.close();
            }
        }
    }
    object.close();
    Ok(())
}

/// Writes the alerts in a rule that is the tenant's, or that is nobody's, to a list that has elements already or not.
pub fn write_alerts(
    rule: &str,
    owner: &Owner,
    is_shared: bool,
    has_written: &mut bool,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    for alert in read(rule, owner, is_shared)?.1 {
        if std::mem::replace(has_written, true) {
            out.push(b',');
        }
        out.extend_from_slice(alert.raw);
    }
    Ok(())
}

/// Writes a time as Go's JSON has it, `"2026-01-02T03:04:05.678Z"`, without the fraction of a second. Whatever else it is stays.
pub fn write_to_the_second(raw: &[u8], out: &mut Vec<u8>) {
    let point = if raw.starts_with(b"\"") { raw.iter().position(|byte| *byte == b'.') } else { None };
    let (seconds, fraction) = raw.split_at_checked(point.unwrap_or(raw.len())).unwrap_or((raw, b""));
    out.extend_from_slice(seconds);
    let digits = fraction.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    out.extend_from_slice(fraction.get(digits.saturating_add(1)..).unwrap_or_default());
}

/// The members of a rule, the alerts in it that are kept, and whether there were others.
type Read<'a> = (Vec<(Text<'a>, RuleMember<'a>)>, Vec<RuleAlert<'a>>, bool);

fn read<'a>(rule: &'a str, owner: &Owner, is_shared: bool) -> Result<Read<'a>, Malformed> {
    let mut cursor = Cursor::new(rule);
    let (mut members, mut alerts) = (Vec::with_capacity(NAMES_OF_RULE.len()), Vec::new());
    cursor.object(|name, cursor| {
        let member = match name.among(NAMES_OF_RULE)? {
            None => RuleMember::Unknown(cursor.value()?),
            Some(ALERTS) => match cursor.null()? {
                true => RuleMember::Known(b"null"),
                false => read_alerts(cursor, owner, &mut alerts).map(|()| RuleMember::Alerts)?,
            },
            Some(STATE) => RuleMember::State(read_state(cursor)?),
            Some(LAST_ERROR) => cursor.string().map(|_| RuleMember::LastError)?,
            Some(EVALUATION_TIME) => RuleMember::EvaluationTime(cursor.value()?),
            Some(LAST_EVALUATION) => RuleMember::LastEvaluation(cursor.value()?),
            Some(_) => RuleMember::Known(cursor.value()?),
        };
        members.push((name, member));
        Ok(())
    })?;
    cursor.finish()?;
    let count = alerts.len();
    alerts.retain(|alert: &RuleAlert<'_>| match alert.whose {
        Whose::Own => true,
        Whose::Nobodys => !is_shared,
        Whose::Templated | Whose::Foreign => false,
    });
    let has_lost = alerts.len() < count;
    Ok((members, alerts, has_lost))
}

fn read_alerts<'a>(cursor: &mut Cursor<'a>, owner: &Owner, alerts: &mut Vec<RuleAlert<'a>>) -> Result<(), Malformed> {
    cursor.array(|cursor| {
        let (mut whose, mut state) = (Whose::Nobodys, None);
        let from = cursor.mark();
        cursor.object(|name, cursor| {
            match name.among(NAMES_OF_ALERT)? {
                Some(LABELS) => whose = owner.read(cursor)?,
                Some(_) => state = Some(read_state(cursor)?),
                None => drop(cursor.value()?),
            }
            Ok(())
        })?;
        alerts.push(RuleAlert { whose, state, raw: cursor.since(from) });
        Ok(())
    })
}

fn read_state(cursor: &mut Cursor<'_>) -> Result<usize, Malformed> {
    let text = cursor.string()?;
    STATES.iter().position(|state| text.is(state)).ok_or(Malformed)
}
