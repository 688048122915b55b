//! Thanos's trees of operators, which tell how a query is run: what names stores, or what is on them, goes. They are read as they
//! stream by, in constant memory.
//!
//! ```text
//! explained = tree / "null"                                          `data` of query_explain and query_range_explain
//! analyzed  = { resultType, result, stats, analysis: tree } / "null"     `data` of query and query_range
//! tree      = { name, executionTime, peakSamples, totalSamples, children: [ tree ] }
//! name      = "[" operator "]" text
//! ```
//!
//! Sources: `queryData` and `queryTelemetry` in Thanos 0.42.5's pkg/api/query/v1.go; `ExplainOutputNode` in promql-engine's
//! engine/explain.go.
//!
//! - Members that are not known go. One of them is `fanout`: the addresses of the stores that were asked.
//! - Of a name, what follows the operator stays only where it is the query's own: `[remoteExec]`, and the arguments of functions,
//!   quote the query as it is sent to remote engines, grouped by the external labels of each of them, whosever they are
//!   (`newRemoteAggregation` in logicalplan/distribute.go), and with the times of what they hold.

use crate::json::{Quoted, Skim, Step, quoted};

/// Reads one `data`.
#[derive(Debug)]
pub struct Operators {
    at: At,
    /// How many objects are open, and how many of them are above the tree.
    level: u32,
    above: u32,
    member: Member,
    has_member: bool,
    text: Quoted,
    skim: Skim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the value.
    Start,
    /// After `{`.
    Opened,
    /// After a comma between members.
    Member,
    Key,
    Colon,
    Value,
    /// After a member's value.
    Next,
    /// After `[`.
    ListOpened,
    /// After a comma between trees.
    Element,
    ListNext,
    /// In a string that is held back: the member's value.
    Text,
    /// In a number.
    Count,
    /// After so many bytes of `null`.
    Null(usize),
    /// In a value that is passed on or dropped as it comes.
    Skimming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Passed,
    Dropped,
    Tree,
    Name,
    Time,
    Count,
    Children,
}

type Names = [(&'static [u8], Member)];

const DATA: &Names = &[
    (b"resultType", Member::Passed),
    (b"result", Member::Passed),
    (b"stats", Member::Passed),
    (b"analysis", Member::Tree),
];
const TREE: &Names = &[
    (b"name", Member::Name),
    (b"executionTime", Member::Time),
    (b"peakSamples", Member::Count),
    (b"totalSamples", Member::Count),
    (b"children", Member::Children),
];

/// The operators after which the query's own text stands: its matchers, its labels to group by, its numbers.
const OWN: [&[u8]; 9] = [
    b"[aggregate] ",
    b"[kaggregate] ",
    b"[countValues] ",
    b"[matrixSelector] ",
    b"[numberLiteral] ",
    b"[subquery] ",
    b"[vectorBinary] ",
    b"[vectorScalarBinary] ",
    b"[vectorSelector] ",
];
/// Its function's name is the query's; its arguments are the plan's.
const FUNCTION: &[u8] = b"[function] ";

/// The longest time.
const MAX_TIME: usize = 32;
const NULL: &[u8] = b"null";

impl Operators {
    /// Of a query that is explained.
    pub fn explained() -> Self {
        Operators::below(0)
    }

    /// Of a query that was run.
    pub fn analyzed() -> Self {
        Operators::below(1)
    }

    fn below(above: u32) -> Self {
        let (text, skim) = (Quoted::default(), Skim::default());
        Operators { at: At::Start, level: 0, above, member: Member::Dropped, has_member: false, text, skim }
    }

    /// Reads on, and writes what goes on: never more than has come.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(more) = self.step(rest, out) else {
                return Step::Malformed;
            };
            taken += more;
            if self.level == 0 && self.at == At::Next {
                return Step::Done(taken);
            }
        }
        Step::Inside
    }

    /// How many bytes it took; none where they are nothing of the kind.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let &byte = rest.first()?;
        match self.at {
            At::Skimming => return self.skim(rest, out),
            At::Key | At::Text => {
                let ended = self.text.read(rest);
                if ended.is_some() {
                    self.text_ended(out);
                }
                return Some(ended.unwrap_or(rest.len()));
            }
            At::Count if byte.is_ascii_digit() => out.push(byte),
            At::Count => {
                self.at = At::Next;
                return Some(0);
            }
            At::Null(at) => {
                NULL.get(at).filter(|wanted| **wanted == byte)?;
                out.push(byte);
                self.at = if at + 1 == NULL.len() { At::Next } else { At::Null(at + 1) };
            }
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
            At::Value => return self.value(byte, out),
            At::Start if byte == b'n' => {
                self.at = At::Null(0);
                return Some(0);
            }
            At::Start | At::ListOpened | At::Element if byte == b'{' => self.open(out),
            At::Opened | At::Member if byte == b'"' => {
                self.text.begin();
                self.at = At::Key;
            }
            At::Colon if byte == b':' => {
                if self.member != Member::Dropped {
                    out.push(b':');
                }
                self.at = At::Value;
            }
            At::Next if byte == b',' => self.at = At::Member,
            At::Opened | At::Next if byte == b'}' => self.close(out)?,
            At::ListNext if byte == b',' => {
                out.push(b',');
                self.at = At::Element;
            }
            At::ListOpened | At::ListNext if byte == b']' => {
                out.push(b']');
                self.has_member = true;
                self.at = At::Next;
            }
            At::Start
            | At::Opened
            | At::Member
            | At::Colon
            | At::Next
            | At::ListOpened
            | At::Element
            | At::ListNext => return None,
        }
        Some(1)
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        out.push(b'{');
        self.level = self.level.saturating_add(1);
        self.has_member = false;
        self.at = At::Opened;
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.push(b'}');
        self.level = self.level.checked_sub(1)?;
        // A tree is the whole value, or a member of what is above it, or in a list.
        self.at = if self.level <= self.above { At::Next } else { At::ListNext };
        self.has_member = true;
        Some(())
    }

    /// The first byte of a member's value.
    fn value(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<usize> {
        self.at = match (self.member, byte) {
            (Member::Passed | Member::Dropped, _) => {
                self.skim = Skim::default();
                At::Skimming
            }
            (Member::Tree, b'{') => {
                self.open(out);
                return Some(1);
            }
            (Member::Children, b'[') => {
                out.push(b'[');
                self.at = At::ListOpened;
                return Some(1);
            }
            (Member::Name | Member::Time, b'"') => {
                self.text.begin();
                self.at = At::Text;
                return Some(1);
            }
            (Member::Count, b'0'..=b'9') => At::Count,
            (Member::Tree | Member::Children, b'n') => At::Null(0),
            (Member::Tree | Member::Name | Member::Time | Member::Count | Member::Children, _) => return None,
        };
        Some(0)
    }

    fn skim(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let taken = match self.skim.read(rest) {
            Step::Inside => rest.len(),
            Step::Done(taken) => {
                self.at = At::Next;
                taken
            }
            Step::Malformed => return None,
        };
        if self.member == Member::Passed {
            out.extend_from_slice(rest.get(..taken)?);
        }
        Some(taken)
    }

    fn text_ended(&mut self, out: &mut Vec<u8>) {
        let text = self.text.text();
        if self.at == At::Text {
            quoted(if self.member == Member::Name { own_part(text) } else { time(text) }, out);
            self.at = At::Next;
            return;
        }
        let names = if self.level > self.above { TREE } else { DATA };
        let found = names.iter().find(|(name, _)| *name == text);
        self.member = found.map_or(Member::Dropped, |(_, member)| *member);
        self.at = At::Colon;
        if self.member != Member::Dropped {
            if std::mem::replace(&mut self.has_member, true) {
                out.push(b',');
            }
            quoted(text, out);
        }
    }
}

/// As much of an operator's name as names nothing but what the query does.
fn own_part(name: &[u8]) -> &[u8] {
    if name.len() <= super::messages::MAX_MESSAGE && OWN.iter().any(|operator| name.starts_with(operator)) {
        return name;
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_[(=)".contains(byte);
    let own = if name.starts_with(FUNCTION) {
        let function = name.get(FUNCTION.len()..).unwrap_or_default();
        let length = function.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        FUNCTION.len() + length
    } else {
        match name.iter().position(|byte| !is_word(byte)) {
            Some(end) if name.starts_with(b"[") && name.get(end) == Some(&b']') => end + 1,
            Some(_) | None => 0,
        }
    };
    name.get(..own).unwrap_or_default()
}

/// A Go duration, or nothing.
fn time(text: &[u8]) -> &[u8] {
    let is_time =
        text.len() <= MAX_TIME && text.iter().all(|byte| byte.is_ascii_digit() || b".hmnsu\xc2\xb5".contains(byte));
    if is_time { text } else { b"" }
}

#[cfg(test)]
mod tests;
