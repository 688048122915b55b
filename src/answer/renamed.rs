//! An answer's labels by the names that a request of several tenants has for them: the inverse of what was done to the query.
//!
//! ```text
//! samples  = { "result": [ { "metric": labels } ] }
//! series   = [ labels ]
//! names    = [ name ]                                   in order again, the federation label always among them, as Cortex has it
//! found    = [ { "name": name } ]                       `results` of search/label_names
//! exemplar = [ { "seriesLabels": labels } ]
//! rules    = { "groups": [ { "rules": [ { "query": expression, "labels": labels, "alerts": alerts } ] } ] }
//! alerts   = { "alerts": [ { "labels": labels } ] }
//! targets  = { "activeTargets" / "droppedTargets": [ { "labels": labels, "discoveredLabels": labels } ] }
//! metadata = [ { "target": labels } ]                   `targets/metadata`
//! labels   = { name: value }
//! ```
//!
//! It reads what the other readers have passed on, as it comes: what is held is a name, or a rule's expression. All else is written as it stands:
//! values, sample texts, messages. The order of the labels in a set is that of their stored names.

use super::Unreadable;
use crate::api::Shape;
use crate::json::{Container, Lexeme, MAX_HELD, Scanner, Text, quoted};
use crate::promql;
use crate::scope::{Name, Renaming};
use std::collections::VecDeque;
use std::fmt::Write;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Whatever it is, no label is in it.
    Other,
    SampleData,
    Samples,
    Sample,
    Series,
    Labels,
    Names,
    Name,
    FoundList,
    Found,
    Exemplars,
    Exemplar,
    RuleData,
    Groups,
    Group,
    Rules,
    Rule,
    Expression,
    AlertData,
    Alerts,
    Alert,
    TargetData,
    Targets,
    Target,
    MetadataList,
    Metadata,
}

/// What stands in what: by the member's name, or for each element of a list.
const PARTS: &[(Part, &str, Part)] = &[
    (Part::SampleData, "result", Part::Samples),
    (Part::Samples, "", Part::Sample),
    (Part::Sample, "metric", Part::Labels),
    (Part::Series, "", Part::Labels),
    (Part::Names, "", Part::Name),
    (Part::FoundList, "", Part::Found),
    (Part::Found, "name", Part::Name),
    (Part::Exemplars, "", Part::Exemplar),
    (Part::Exemplar, "seriesLabels", Part::Labels),
    (Part::RuleData, "groups", Part::Groups),
    (Part::Groups, "", Part::Group),
    (Part::Group, "rules", Part::Rules),
    (Part::Rules, "", Part::Rule),
    (Part::Rule, "labels", Part::Labels),
    (Part::Rule, "query", Part::Expression),
    (Part::Rule, "alerts", Part::Alerts),
    (Part::AlertData, "alerts", Part::Alerts),
    (Part::Alerts, "", Part::Alert),
    (Part::Alert, "labels", Part::Labels),
    (Part::TargetData, "activeTargets", Part::Targets),
    (Part::TargetData, "droppedTargets", Part::Targets),
    (Part::Targets, "", Part::Target),
    (Part::Target, "labels", Part::Labels),
    (Part::Target, "discoveredLabels", Part::Labels),
    (Part::MetadataList, "", Part::Metadata),
    (Part::Metadata, "target", Part::Labels),
];

impl Part {
    fn of(shape: Shape) -> Part {
        match shape {
            Shape::Samples => Part::SampleData,
            Shape::Series => Part::Series,
            Shape::Names => Part::Names,
            Shape::Found => Part::FoundList,
            Shape::Exemplars => Part::Exemplars,
            Shape::Rules => Part::RuleData,
            Shape::Alerts => Part::AlertData,
            Shape::Targets => Part::TargetData,
            Shape::TargetMetadata => Part::MetadataList,
        }
    }

    fn member(self, name: &[u8]) -> Part {
        let mut parts = PARTS.iter();
        parts
            .find(|(outer, inner, _)| *outer == self && inner.as_bytes() == name)
            .map_or(Part::Other, |(.., part)| *part)
    }
}

/// An object or a list that is entered.
#[derive(Debug, Clone, Copy)]
struct Level {
    part: Part,
    container: Container,
    has_member: bool,
}

/// Reads one value after the other.
#[derive(Debug)]
pub struct Renamed {
    shape: Shape,
    renaming: Renaming,
    scanner: Scanner,
    /// Never deeper than [`PARTS`] lead.
    levels: Vec<Level>,
    /// What the value at hand is.
    part: Part,
    /// An expression, with its quotes, as far as it has come.
    expression: Vec<u8>,
    /// The most of it that is held. A longer one is written as it stands.
    max: usize,
    /// Names that are still to be written into a list of names, in order.
    missing: VecDeque<Name>,
}

impl Renamed {
    /// For one answer. At most `max` bytes of one expression are held.
    pub fn new(shape: Shape, renaming: Renaming, max: usize) -> Self {
        Renamed {
            part: Part::of(shape),
            missing: VecDeque::from([renaming.federation_label().clone()]),
            shape,
            renaming,
            scanner: Scanner::default(),
            levels: Vec::new(),
            expression: Vec::new(),
            max,
        }
    }

    /// Whether the labels stand in the document's `results`, not in its `data`.
    pub fn reads_results(&self) -> bool {
        self.shape == Shape::Found
    }

    /// How much memory is taken by what is held.
    pub fn held(&self) -> usize {
        self.scanner.held() + self.expression.capacity()
    }

    /// Reads on, and writes what is passed on. Says whether the value is over; then another one may follow.
    pub fn read(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        while let Some(lexeme) = self.scanner.next(rest)? {
            match lexeme {
                Lexeme::Name => self.name(out)?,
                Lexeme::Value(byte) => self.value(byte, rest, out),
                Lexeme::Text => self.listed(out)?,
                Lexeme::Null => {}
                Lexeme::Part(part, is_last) => self.taken(part, is_last, out),
                Lexeme::Close => self.close(out),
            }
            if matches!(lexeme, Lexeme::Close | Lexeme::Part(_, true)) && self.levels.is_empty() {
                self.scanner = Scanner::default();
                self.part = Part::of(self.shape);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn comma(&mut self, out: &mut Vec<u8>) {
        if self.levels.last_mut().is_some_and(|level| std::mem::replace(&mut level.has_member, true)) {
            out.push(b',');
        }
    }

    fn name(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.comma(out);
        let outer = self.levels.last().map_or(Part::Other, |level| level.part);
        let text = self.scanner.text();
        if text.len() > MAX_HELD {
            return Err(Unreadable::Malformed);
        }
        self.part = outer.member(text);
        let renamed = if outer == Part::Labels { shown(&self.renaming, text)? } else { None };
        quoted(renamed.map_or(text, |name| name.json.as_bytes()), out);
        out.push(b':');
        Ok(())
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) {
        if let Some(level) = self.levels.last().filter(|level| level.container == Container::Array) {
            self.part = level.part.member(b"");
            // Whether a name of a list is written is not known yet.
            if level.part != Part::Names {
                self.comma(out);
            }
        }
        let container = match (self.part, byte) {
            (Part::Name, b'"') => return self.scanner.hold(rest),
            (Part::Other | Part::Name | Part::Expression, _) => return self.scanner.skim(),
            (_, b'{') => Container::Object,
            (_, b'[') => Container::Array,
            (_, _) => {
                self.part = Part::Other;
                return self.scanner.skim();
            }
        };
        out.push(byte);
        self.levels.push(Level { part: self.part, container, has_member: false });
        self.scanner.enter(container, rest);
    }

    /// A label's name is whole that is a value.
    fn listed(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let text = self.scanner.text();
        if text.len() > MAX_HELD {
            return Err(Unreadable::Malformed);
        }
        let renamed = shown(&self.renaming, text)?;
        if self.levels.last().is_none_or(|level| level.part != Part::Names) {
            quoted(renamed.map_or(text, |name| name.json.as_bytes()), out);
            return Ok(());
        }
        if let Some(name) = renamed {
            // The federation label is among them already.
            if !self.missing.contains(name) && name != self.renaming.federation_label() {
                let name = name.clone();
                let place = self.missing.partition_point(|other| other.text < name.text);
                self.missing.insert(place, name);
            }
            return Ok(());
        }
        let text = text.to_vec();
        self.write_missing(Some(&text), out);
        self.comma(out);
        quoted(&text, out);
        Ok(())
    }

    /// Writes the names that stand before this one; without one, all that are left.
    fn write_missing(&mut self, before: Option<&[u8]>, out: &mut Vec<u8>) {
        while self.missing.front().is_some_and(|name| before.is_none_or(|before| name.json.as_bytes() < before)) {
            let Some(name) = self.missing.pop_front() else { return };
            self.comma(out);
            quoted(name.json.as_bytes(), out);
        }
    }

    /// A part of a value that is taken unread.
    fn taken(&mut self, part: &[u8], is_last: bool, out: &mut Vec<u8>) {
        if self.part != Part::Expression {
            // What is no name stands in no list of names.
            out.extend_from_slice(part);
            return;
        }
        self.expression.extend_from_slice(part);
        if is_last {
            let expression = std::mem::take(&mut self.expression);
            match expression_shown(&expression, &self.renaming) {
                Some(shown) => out.extend_from_slice(shown.as_bytes()),
                None => out.extend_from_slice(&expression),
            }
        } else if self.expression.len() > self.max {
            out.append(&mut self.expression);
            self.part = Part::Other;
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.levels.last().is_some_and(|level| level.part == Part::Names) {
            self.write_missing(None, out);
        }
        let Some(level) = self.levels.pop() else { return };
        out.push(if level.container == Container::Object { b'}' } else { b']' });
        self.scanner.resume(self.levels.last().map(|level| level.container));
    }
}

/// What a name between the quotes of JSON is called; `None` where it is the same.
fn shown<'n>(renaming: &'n Renaming, text: &[u8]) -> Result<Option<&'n Name>, Unreadable> {
    if !text.contains(&b'\\') {
        return Ok(renaming.shown(text));
    }
    let decoded: String = Text::read(text).ok_or(Unreadable::Malformed)?.chars().collect();
    Ok(renaming.shown(decoded.as_bytes()))
}

/// An expression with its quotes, as it is shown; `None` where it stays, or can't be read.
fn expression_shown(string: &[u8], renaming: &Renaming) -> Option<String> {
    let inner = string.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let expression: String = Text::read(inner)?.chars().collect();
    let shown = String::from_utf8(promql::shown(expression.as_bytes(), renaming)?).ok()?;
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('"');
    for c in shown.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// What becomes of a value, which is the same whatever its chunks.
    fn renamed(shape: Shape, text: &str) -> Result<String, Unreadable> {
        let renaming = Renaming::new("tenant_id", "__tenant_id__").unwrap();
        let mut all = Vec::new();
        for size in 1..=text.len() {
            let mut reader = Renamed::new(shape, renaming.clone(), 1 << 20);
            let (mut out, mut is_over) = (Vec::new(), Ok(false));
            for chunk in text.as_bytes().chunks(size) {
                let mut rest = chunk;
                while is_over == Ok(false) && !rest.is_empty() {
                    is_over = reader.read(&mut rest, &mut out);
                }
                assert!(reader.held() <= 16 * MAX_HELD);
            }
            all.push(match is_over {
                Ok(true) => Ok(String::from_utf8(out).unwrap()),
                Ok(false) => Err(Unreadable::Truncated),
                Err(fault) => Err(fault),
            });
        }
        all.dedup();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[track_caller]
    fn assert_renamed(shape: Shape, came: Value, expected: Value) {
        let found = renamed(shape, &format!("{came} ")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), expected);
        // Nothing else changes, down to the byte.
        let other = Renaming::new("no_label", "no_other").unwrap();
        let (mut same, mut rest) = (Vec::new(), came.to_string().into_bytes());
        rest.push(b' ');
        let mut reader = Renamed::new(if shape == Shape::Names { Shape::Series } else { shape }, other, 1 << 20);
        assert_eq!(reader.read(&mut rest.as_slice(), &mut same), Ok(true));
        assert_eq!(String::from_utf8(same).unwrap(), came.to_string());
    }

    fn labels() -> (Value, Value) {
        (
            json!({"__name__": "m", "tenant_id": "tenant_id", "__tenant_id__": "x", "original___tenant_id__": "y", "job": "a"}),
            json!({"__name__": "m", "__tenant_id__": "tenant_id", "original___tenant_id__": "x", "tenant_id": "y", "job": "a"}),
        )
    }

    #[test]
    fn labels_are_renamed_where_they_stand_and_nowhere_else() {
        let (stored, shown) = labels();
        let around = |labels: &Value| {
            let series = |labels: &Value| json!({"metric": labels, "values": [[1, "tenant_id"]], "tenant_id": {"metric": {"tenant_id": ""}}});
            json!({"resultType": "matrix", "result": [series(labels), series(labels)], "tenant_id": {"tenant_id": 1}, "stats": {"metric": {"tenant_id": 1}}})
        };
        assert_renamed(Shape::Samples, around(&stored), around(&shown));
        assert_renamed(Shape::Samples, json!({"result": [1, "tenant_id"]}), json!({"result": [1, "tenant_id"]}));
        assert_renamed(Shape::Samples, json!({"result": []}), json!({"result": []}));
        assert_renamed(Shape::Samples, Value::Null, Value::Null);
        assert_renamed(Shape::Series, json!([stored, {}, stored]), json!([shown, {}, shown]));
        let exemplars =
            |labels: &Value| json!([{"seriesLabels": labels, "exemplars": [{"labels": {"tenant_id": "x"}}]}]);
        assert_renamed(Shape::Exemplars, exemplars(&stored), exemplars(&shown));
        let targets = |labels: &Value| json!({"activeTargets": [{"discoveredLabels": labels, "labels": labels, "tenant_id": "x"}], "droppedTargets": [{"discoveredLabels": labels}], "droppedTargetCounts": {"tenant_id": 1}});
        assert_renamed(Shape::Targets, targets(&stored), targets(&shown));
        let metadata = |labels: &Value| json!([{"target": labels, "metric": "tenant_id"}]);
        assert_renamed(Shape::TargetMetadata, metadata(&stored), metadata(&shown));
        let alerts = |labels: &Value| json!({"alerts": [{"labels": labels, "annotations": {"tenant_id": ""}}]});
        assert_renamed(Shape::Alerts, alerts(&stored), alerts(&shown));
        let found = |name: &str| json!([{"name": name, "score": 1}, {"name": "job"}]);
        assert_renamed(Shape::Found, found("tenant_id"), found("__tenant_id__"));
    }

    #[test]
    fn a_rule_s_expression_has_shown_names() {
        let (stored, shown) = labels();
        let rules = |labels: &Value, query: &str| {
            json!({"groups": [{"name": "tenant_id", "rules": [
                {"query": query, "labels": labels, "alerts": [{"labels": labels, "state": "firing"}], "annotations": {"tenant_id": "{{ $labels.tenant_id }}"}},
            ]}]})
        };
        let written = "sum by (tenant_id) (\n  m{x=\"tenant_id\\n\\\"\"}\t)";
        let expected = "sum by (__tenant_id__) (\n  m{x=\"tenant_id\\n\\\"\"}\t)";
        assert_renamed(Shape::Rules, rules(&stored, written), rules(&shown, expected));
        // One that can't be read stays, and so does one that names none of the labels.
        for same in ["sum by (tenant_id", "up", "\u{1}"] {
            assert_renamed(Shape::Rules, rules(&stored, same), rules(&shown, same));
        }
    }

    #[test]
    fn an_expression_is_held_as_far_as_is_allowed() {
        let renaming = Renaming::new("tenant_id", "__tenant_id__").unwrap();
        let rule =
            |query: &str| json!({"groups": [{"rules": [{"query": query, "labels": {"tenant_id": "a"}}]}]}).to_string();
        let long = format!("sum by (tenant_id) (m{{x=\"{}\"}})", "x".repeat(10_000));
        let mut reader = Renamed::new(Shape::Rules, renaming, 1_000);
        let mut out = Vec::new();
        for chunk in rule(&long).as_bytes().chunks(100) {
            let mut rest = chunk;
            while !rest.is_empty() {
                reader.read(&mut rest, &mut out).unwrap();
            }
            assert!(reader.held() < 4_000);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            rule(&long).replace("\"labels\":{\"tenant_id\"", "\"labels\":{\"__tenant_id__\"")
        );
    }

    #[test]
    fn names_are_in_order_again_with_the_federation_label() {
        for (came, expected) in [
            (json!([]), json!(["__tenant_id__"])),
            (json!(["tenant_id"]), json!(["__tenant_id__"])),
            (json!(["__name__", "job", "tenant_id", "z"]), json!(["__name__", "__tenant_id__", "job", "z"])),
            (
                json!(["__name__", "__tenant_id__", "job", "original___tenant_id__", "pod", "tenant_id", "z"]),
                json!(["__name__", "__tenant_id__", "job", "original___tenant_id__", "pod", "tenant_id", "z"]),
            ),
            (json!(["__tenant_id__", "job"]), json!(["__tenant_id__", "job", "original___tenant_id__"])),
            (json!(["original___tenant_id__", "u"]), json!(["__tenant_id__", "tenant_id", "u"])),
        ] {
            let found = renamed(Shape::Names, &came.to_string()).unwrap();
            assert_eq!(found, expected.to_string());
        }
        assert_eq!(renamed(Shape::Names, "null ").unwrap(), "null");
    }

    #[test]
    fn an_escaped_name_is_the_same_name() {
        assert_eq!(
            renamed(Shape::Series, r#"[{"tenant\u005fid":"a","x\"":""}]"#).unwrap(),
            r#"[{"__tenant_id__":"a","x\"":""}]"#
        );
        assert_eq!(renamed(Shape::Names, r#"["tenant\u005fid","z\\"]"#).unwrap(), r#"["__tenant_id__","z\\"]"#);
    }

    #[test]
    fn what_is_malformed_is_no_answer() {
        for text in [r#"[{"a":1]"#, r#"[{a:1}]"#, r#"[{"a" "b"}]"#, r#"[{"a":1,}]"#, "[1 2]", r#"[{"\x":1}]"#] {
            assert!(renamed(Shape::Series, text).is_err(), "{text}");
        }
        let long = format!(r#"[{{"{}":1}}]"#, "x".repeat(MAX_HELD + 1));
        let mut reader = Renamed::new(Shape::Series, Renaming::new("a", "b").unwrap(), 1);
        assert_eq!(reader.read(&mut long.as_bytes(), &mut Vec::new()), Err(Unreadable::Malformed));
    }
}
