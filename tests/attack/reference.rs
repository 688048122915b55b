//! What has to be left of a document, by another reading of it.

use super::{Condition, Labelled, accepts};

/// JSON with its text. Nothing is decoded, and no member is lost.
pub struct Node<'a> {
    pub raw: &'a str,
    pub is: Is<'a>,
}

pub enum Is<'a> {
    Object(Vec<(&'a str, Node<'a>)>),
    Array(Vec<Node<'a>>),
    /// Between the quotes.
    Text(&'a str),
    Word,
}

/// A text that serde_json takes for JSON.
pub fn read(text: &str) -> Node<'_> {
    let mut at = 0;
    let node = value(text, &mut at);
    blank(text, &mut at);
    assert_eq!(at, text.len());
    node
}

fn blank(text: &str, at: &mut usize) {
    while text.as_bytes().get(*at).is_some_and(u8::is_ascii_whitespace) {
        *at += 1;
    }
}

fn string<'a>(text: &'a str, at: &mut usize) -> &'a str {
    let from = *at + 1;
    *at = from;
    while text.as_bytes()[*at] != b'"' {
        *at += if text.as_bytes()[*at] == b'\\' { 2 } else { 1 };
    }
    *at += 1;
    &text[from..*at - 1]
}

fn value<'a>(text: &'a str, at: &mut usize) -> Node<'a> {
    blank(text, at);
    let from = *at;
    let is = match text.as_bytes()[from] {
        b'"' => Is::Text(string(text, at)),
        open @ (b'{' | b'[') => {
            let (mut members, mut items) = (Vec::new(), Vec::new());
            *at += 1;
            loop {
                blank(text, at);
                match text.as_bytes()[*at] {
                    b'}' | b']' => break,
                    b',' => *at += 1,
                    _ if open == b'[' => items.push(value(text, at)),
                    _ => {
                        let name = string(text, at);
                        blank(text, at);
                        *at += 1;
                        members.push((name, value(text, at)));
                    }
                }
            }
            *at += 1;
            if open == b'{' { Is::Object(members) } else { Is::Array(items) }
        }
        _ => {
            while text.as_bytes().get(*at).is_some_and(|byte| !b",]} \t\r\n".contains(byte)) {
                *at += 1;
            }
            Is::Word
        }
    };
    Node { raw: &text[from..*at], is }
}

/// Without white space between tokens.
pub fn compact(text: &str) -> String {
    let (mut out, mut in_string, mut is_escaped) = (String::new(), false, false);
    for c in text.chars() {
        if in_string || !matches!(c, ' ' | '\t' | '\r' | '\n') {
            out.push(c);
        }
        in_string ^= c == '"' && !is_escaped;
        is_escaped = in_string && c == '\\' && !is_escaped;
    }
    out
}

pub enum No {
    /// The filter has to refuse.
    Refuse,
    /// serde_json doesn't read what others do: half a surrogate pair.
    Unjudged,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Nobodys,
    Templated,
    Foreign,
}

const MEMBERS: [&str; 8] = ["status", "errorType", "error", "warnings", "infos", "data", "results", "has_more"];
const GROUP: [&str; 8] =
    ["rules", "evaluationTime", "name", "file", "interval", "limit", "lastEvaluation", "partialResponseStrategy"];
const RULE: [&str; 13] = [
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
const STATES: [&str; 4] = ["unknown", "inactive", "pending", "firing"];

pub struct Reference<'c> {
    pub labelled: Labelled,
    pub scope: &'c [Condition],
    /// The longest set of labels that is read.
    pub max_labels: usize,
    /// What is longer is dropped unread, or a fault.
    pub max: usize,
}

fn decoded(raw: &str) -> Result<String, No> {
    serde_json::from_str(&format!("\"{raw}\"")).map_err(|_| No::Unjudged)
}

/// A name where what is not known is dropped.
fn known<'n>(name: &str, names: &[&'n str], seen: &mut Vec<&'n str>) -> Result<Option<&'n str>, No> {
    let Some(name) = names.iter().find(|other| **other == name) else { return Ok(None) };
    if seen.contains(name) {
        return Err(No::Refuse);
    }
    seen.push(name);
    Ok(Some(name))
}

/// A name where what is not known is kept: what Go could take for a known one is refused, and so is what isn't plain.
fn among<'n>(name: &str, names: &[&'n str], seen: &mut Vec<&'n str>) -> Result<Option<&'n str>, No> {
    let found = known(name, names, seen)?;
    let is_odd = name.contains('\\') || !name.is_ascii() || names.iter().any(|n| n.eq_ignore_ascii_case(name));
    if found.is_none() && is_odd { Err(No::Refuse) } else { Ok(found) }
}

fn message(raw: &str, list: &str) -> Result<Option<String>, No> {
    let text = decoded(raw)?;
    let is_engine = ["PromQL warning: ", "PromQL info: "].iter().any(|beginning| text.starts_with(beginning));
    if is_engine && raw.len() <= 4_096 && !text.contains(|c: char| c.is_control() && c != '\t') {
        return Ok(None);
    }
    let line = match list {
        "warnings" => {
            "the answer may be incomplete: a warning of the upstream is withheld, since it may name what is not this tenant's"
        }
        _ => "a message of the upstream is withheld: it may name what is not this tenant's",
    };
    let shorter = if list == "warnings" { "the answer may be incomplete: a warning is withheld" } else { line };
    let lines = [line, shorter, "upstream message withheld", "withheld", ""];
    Ok(lines.iter().find(|line| line.len() <= raw.len()).map(|line| (*line).to_owned()))
}

fn depth(node: &Node<'_>) -> usize {
    match &node.is {
        Is::Object(members) => members.iter().map(|(_, value)| 1 + depth(value)).max().unwrap_or(0),
        Is::Array(items) => items.iter().map(|value| 1 + depth(value)).max().unwrap_or(0),
        Is::Text(_) | Is::Word => 0,
    }
}

fn shallow(node: &Node<'_>) -> Result<(), No> {
    if depth(node) > 64 { Err(No::Refuse) } else { Ok(()) }
}

fn member(name: &str, value: &str) -> String {
    format!("\"{name}\":{value}")
}

fn object(members: &[String]) -> String {
    format!("{{{}}}", members.join(","))
}

impl Reference<'_> {
    /// What has to be left, without white space.
    pub fn document(&self, node: &Node<'_>) -> Result<String, No> {
        let Is::Object(members) = &node.is else { return Err(No::Refuse) };
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        for (name, value) in members {
            let Some(known) = known(name, &MEMBERS, &mut seen)? else { continue };
            let left = match (known, &value.is) {
                ("results" | "has_more", _) => continue,
                ("data", _) => self.data(value)?,
                ("error" | "warnings" | "infos", Is::Word) if value.raw == "null" => "null".to_owned(),
                ("error", Is::Text(raw)) => match message(raw, known)? {
                    Some(line) => format!("\"{line}\""),
                    None => value.raw.to_owned(),
                },
                ("warnings" | "infos", Is::Array(items)) => {
                    let (mut left, mut is_said) = (Vec::new(), false);
                    for item in items {
                        let Is::Text(raw) = item.is else { return Err(No::Refuse) };
                        match message(raw, known)? {
                            None => left.push(item.raw.to_owned()),
                            Some(line) => {
                                if !std::mem::replace(&mut is_said, true) {
                                    left.push(format!("\"{line}\""));
                                }
                            }
                        }
                    }
                    format!("[{}]", left.join(","))
                }
                ("status" | "errorType", Is::Text(raw))
                    if raw.len() <= 32
                        && raw.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') =>
                {
                    value.raw.to_owned()
                }
                _ => return Err(No::Refuse),
            };
            out.push(member(known, &left));
        }
        Ok(compact(&object(&out)))
    }

    fn data(&self, node: &Node<'_>) -> Result<String, No> {
        if node.raw == "null" {
            return Ok("null".to_owned());
        }
        let (list, written) = match self.labelled {
            Labelled::Rules { .. } => ("groups", "groups"),
            Labelled::AlertsOfRules => ("groups", "alerts"),
            Labelled::Alerts => ("alerts", "alerts"),
            Labelled::Exemplars => return self.list(node, "seriesLabels"),
            Labelled::TargetMetadata => return self.list(node, "target"),
            Labelled::Targets => return self.targets(node),
        };
        let Is::Object(members) = &node.is else { return Err(No::Refuse) };
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        for (name, value) in members {
            if known(name, &[list], &mut seen)?.is_some() {
                let left = if value.raw == "null" { "null".to_owned() } else { self.list(value, "labels")? };
                out.push(member(written, &left));
            }
        }
        Ok(object(&out))
    }

    fn targets(&self, node: &Node<'_>) -> Result<String, No> {
        let Is::Object(members) = &node.is else { return Err(No::Refuse) };
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        for (name, value) in members {
            let lists = ["activeTargets", "droppedTargets", "droppedTargetCounts"];
            let Some(known) = known(name, &lists, &mut seen)? else { continue };
            let left = match (known, &value.is) {
                _ if value.raw == "null" => "null".to_owned(),
                ("droppedTargetCounts", Is::Object(_)) => "{}".to_owned(),
                ("activeTargets", _) => self.list(value, "labels")?,
                ("droppedTargets", _) => self.list(value, "discoveredLabels")?,
                _ => return Err(No::Refuse),
            };
            out.push(member(known, &left));
        }
        Ok(object(&out))
    }

    fn list(&self, node: &Node<'_>, labels: &str) -> Result<String, No> {
        let Is::Array(items) = &node.is else { return Err(No::Refuse) };
        let mut left = Vec::new();
        for item in items {
            let Is::Object(members) = &item.is else { return Err(No::Refuse) };
            left.extend(match self.labelled {
                Labelled::Rules { shared, narrowed } => self.group(members, shared, narrowed)?,
                Labelled::AlertsOfRules => self.alerts_of(members)?,
                Labelled::Alerts | Labelled::Exemplars | Labelled::Targets | Labelled::TargetMetadata => {
                    self.item(item, members, labels)?
                }
            });
        }
        Ok(format!("[{}]", left.join(",")))
    }

    fn item(&self, item: &Node<'_>, members: &[(&str, Node<'_>)], labels: &str) -> Result<Option<String>, No> {
        let (mut whose, mut seen) = (Whose::Nobodys, Vec::new());
        for (name, value) in members {
            if among(name, &[labels], &mut seen)?.is_some() {
                whose = self.whose(value)?;
            }
        }
        if whose != Whose::Own {
            return Ok(None);
        }
        shallow(item)?;
        Ok(Some(item.raw.to_owned()))
    }

    /// The alerts in a group's rules, separated by commas; `None` where there are none.
    fn alerts_of(&self, members: &[(&str, Node<'_>)]) -> Result<Option<String>, No> {
        let (mut alerts, mut seen) = (Vec::new(), Vec::new());
        for (name, value) in members {
            if known(name, &["rules"], &mut seen)?.is_none() {
                continue;
            }
            let Is::Array(items) = &value.is else {
                if value.raw == "null" {
                    continue;
                }
                return Err(No::Refuse);
            };
            for item in items {
                let Is::Object(members) = &item.is else { return Err(No::Refuse) };
                alerts.extend(self.rule(members, true)?.map(|(.., alerts)| alerts).filter(|alerts| !alerts.is_empty()));
            }
        }
        Ok((!alerts.is_empty()).then(|| alerts.join(",")))
    }

    fn group(&self, members: &[(&str, Node<'_>)], shared: bool, narrowed: bool) -> Result<Option<String>, No> {
        let (mut out, mut seen, mut rules, mut is_whole) = (Vec::new(), Vec::new(), Vec::new(), !narrowed);
        for (name, value) in members {
            let Some(known) = known(name, &GROUP, &mut seen)? else { continue };
            if known != "rules" {
                if value.raw.len() <= self.max {
                    shallow(value)?;
                }
                out.push((known, value.raw));
                continue;
            }
            out.push((known, ""));
            let Is::Array(items) = &value.is else {
                if value.raw == "null" {
                    continue;
                }
                return Err(No::Refuse);
            };
            for item in items {
                let Is::Object(members) = &item.is else { return Err(No::Refuse) };
                match self.rule(members, shared)? {
                    Some((rule, rule_is_whole, _)) => {
                        is_whole &= rule_is_whole;
                        rules.push(rule);
                    }
                    None => is_whole = false,
                }
            }
        }
        if rules.is_empty() {
            return Ok(None);
        }
        let rules = format!("[{}]", rules.join(","));
        let members = out.into_iter().map(|(name, raw)| match name {
            "rules" => member(name, &rules),
            "evaluationTime" if !is_whole => member(name, "0"),
            "lastEvaluation" => member(name, &to_the_second(raw)),
            name => member(name, raw),
        });
        Ok(Some(object(&members.collect::<Vec<_>>())))
    }

    /// And whether nothing was taken from it, and the alerts in it.
    fn rule(&self, members: &[(&str, Node<'_>)], shared: bool) -> Result<Option<(String, bool, String)>, No> {
        let keeps = |whose| whose == Whose::Own || shared && matches!(whose, Whose::Nobodys | Whose::Templated);
        let (mut seen, mut found, mut alerts, mut is_reduced) = (Vec::new(), None, Vec::new(), false);
        for (name, value) in members {
            let known = among(name, &RULE, &mut seen)?;
            if known == Some("labels") {
                found = Some(self.whose(value)?);
            }
            let (Some("alerts"), Is::Array(items)) = (known, &value.is) else { continue };
            if found.is_some_and(|whose| !keeps(whose)) {
                continue;
            }
            for item in items {
                let Is::Object(members) = &item.is else { return Err(No::Refuse) };
                let (mut seen, mut whose, mut state) = (Vec::new(), Whose::Nobodys, None);
                for (name, value) in members {
                    match among(name, &["labels", "state"], &mut seen)? {
                        Some("labels") => whose = self.whose(value)?,
                        Some(_) => state = Some(value),
                        None => {}
                    }
                }
                if whose == Whose::Own || whose == Whose::Nobodys && matches!(found, None | Some(Whose::Own)) {
                    alerts.push((whose, state, item));
                } else {
                    is_reduced = true;
                }
            }
        }
        let whose = found.unwrap_or(Whose::Nobodys);
        let has_own = alerts.iter().any(|(whose, ..)| *whose == Whose::Own);
        if !keeps(whose) || whose != Whose::Own && !has_own {
            return Ok(None);
        }
        let is_own = whose == Whose::Own;
        let (mut list, mut severest, mut lost_later) = (Vec::new(), 1, false);
        for (whose, state, item) in &alerts {
            let state = state.map(state_of).transpose()?;
            let Is::Object(members) = &item.is else { return Err(No::Refuse) };
            members.iter().try_for_each(|(_, value)| shallow(value))?;
            if *whose == Whose::Own || is_own {
                list.push(item.raw);
                severest = severest.max(state.unwrap_or(0));
            } else {
                lost_later = true;
            }
        }
        let mut out = Vec::new();
        for (name, value) in members {
            let is_known = RULE.contains(name);
            let left = match (*name, &value.is) {
                ("alerts", Is::Array(_)) => format!("[{}]", list.join(",")),
                ("alerts", _) if value.raw != "null" => return Err(No::Refuse),
                ("state", _) => match state_of(value)? {
                    _ if is_reduced || lost_later => format!("\"{}\"", STATES[severest]),
                    state if state > severest => continue,
                    state => format!("\"{}\"", STATES[state]),
                },
                ("lastError", Is::Text(_)) => "\"\"".to_owned(),
                ("lastError", _) => return Err(No::Refuse),
                ("evaluationTime", _) if !is_own => "0".to_owned(),
                ("lastEvaluation", _) => {
                    shallow(value)?;
                    to_the_second(value.raw)
                }
                _ => {
                    shallow(value)?;
                    value.raw.to_owned()
                }
            };
            if is_known || is_own {
                out.push(member(name, &left));
            }
        }
        Ok(Some((object(&out), is_own && !is_reduced, list.join(","))))
    }

    fn whose(&self, node: &Node<'_>) -> Result<Whose, No> {
        if node.raw.len() > self.max_labels {
            return Ok(Whose::Foreign);
        }
        if node.raw == "null" {
            return Ok(Whose::Nobodys);
        }
        let Is::Object(members) = &node.is else { return Err(No::Refuse) };
        let mut labels = Vec::new();
        for (name, value) in members {
            let Is::Text(value) = value.is else { return Err(No::Refuse) };
            labels.push((decoded(name)?, decoded(value)?));
        }
        let (mut is_outside, mut is_lacking, mut is_templated) = (false, false, false);
        for label in self.scope.iter().map(|(label, ..)| *label) {
            let of_label = || self.scope.iter().filter(|condition| condition.0 == label);
            let accepted = |value: &str| of_label().all(|condition| accepts(condition, value));
            let values: Vec<&str> =
                labels.iter().filter(|(name, _)| name == label).map(|(_, value)| value.as_str()).collect();
            match values[..] {
                [] => is_lacking |= !accepted(""),
                [value] => {
                    let is_template = value.contains("{{");
                    is_templated |= is_template;
                    is_outside |= !is_template && !accepted(value);
                }
                _ => return Err(No::Refuse),
            }
        }
        Ok(match (is_outside, is_templated, is_lacking) {
            (true, ..) => Whose::Foreign,
            (_, true, _) => Whose::Templated,
            (.., true) => Whose::Nobodys,
            _ => Whose::Own,
        })
    }
}

fn state_of(node: &Node<'_>) -> Result<usize, No> {
    let Is::Text(raw) = node.is else { return Err(No::Refuse) };
    let text = decoded(raw)?;
    STATES.iter().position(|state| *state == text).ok_or(No::Refuse)
}

/// A time without the fraction of a second.
fn to_the_second(raw: &str) -> String {
    match raw.split_once('.').filter(|_| raw.starts_with('"')) {
        Some((seconds, fraction)) => {
            [seconds, fraction.trim_start_matches(|char: char| char.is_ascii_digit())].concat()
        }
        None => raw.to_owned(),
    }
}
