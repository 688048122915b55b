//! Thanos's trees of operators, which tell how a query is run: what names stores, or what is on them, is removed. They are read as
//! they stream by, in constant memory.
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
//! - Members that are not known are removed. One of them is `fanout`: the addresses of the stores that were asked.
//! - Of a name, what follows the operator stays only where it is the query's own: `[remoteExec]`, and the arguments of functions,
//!   quote the query as it is sent to remote engines, grouped by the external labels of each of them, whosever they are
//!   (`newRemoteAggregation` in logicalplan/distribute.go), and with the times of what they hold.

use crate::json::{Container, Lexeme, Malformed, Scanner, quoted};

/// Reads one `data`.
#[derive(Debug)]
pub struct Operators {
    scanner: Scanner,
    /// How many objects are open, and how many of them are above the tree.
    level: u32,
    above: u32,
    /// A list of children is open, and none of its trees.
    in_list: bool,
    member: TreeMember,
    has_member: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TreeMember {
    Passed,
    Dropped,
    Tree,
    Name,
    Time,
    Count,
    Children,
}

type TreeNames = [(&'static [u8], TreeMember)];

const DATA: &TreeNames = &[
    (b"resultType", TreeMember::Passed),
    (b"result", TreeMember::Passed),
    (b"stats", TreeMember::Passed),
    (b"analysis", TreeMember::Tree),
];
const TREE: &TreeNames = &[
    (b"name", TreeMember::Name),
    (b"executionTime", TreeMember::Time),
    (b"peakSamples", TreeMember::Count),
    (b"totalSamples", TreeMember::Count),
    (b"children", TreeMember::Children),
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
/// The longest count.
const MAX_COUNT: usize = 32;

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
        Operators {
            scanner: Scanner::default(),
            level: 0,
            above,
            in_list: false,
            member: TreeMember::Tree,
            has_member: false,
        }
    }

    /// Reads on, and writes what is passed on: never more than has come. Says whether the value is over.
    pub fn read(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Malformed> {
        while let Some(lexeme) = self.scanner.next(rest)? {
            match lexeme {
                Lexeme::Name => self.name(out),
                Lexeme::Value(byte) => self.value(byte, rest, out)?,
                Lexeme::Text => self.text(out)?,
                Lexeme::Null => {
                    out.extend_from_slice(b"null");
                    if self.level == 0 {
                        return Ok(true);
                    }
                }
                Lexeme::Part(part, _) => {
                    if self.member == TreeMember::Passed {
                        out.extend_from_slice(part);
                    }
                }
                Lexeme::Close => {
                    self.close(out);
                    if self.level == 0 {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn name(&mut self, out: &mut Vec<u8>) {
        let text = self.scanner.text();
        let names = if self.level > self.above { TREE } else { DATA };
        let found = names.iter().find(|(name, _)| *name == text);
        self.member = found.map_or(TreeMember::Dropped, |(_, member)| *member);
        if self.member != TreeMember::Dropped {
            if std::mem::replace(&mut self.has_member, true) {
                out.push(b',');
            }
            quoted(text, out);
        }
    }

    /// The first byte of a value: the whole one, a tree in a list, or a member's.
    fn value(&mut self, byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.in_list {
            if std::mem::replace(&mut self.has_member, true) {
                out.push(b',');
            }
        } else if self.level > 0 && self.member != TreeMember::Dropped {
            out.push(b':');
        }
        match (self.member, byte) {
            (TreeMember::Passed | TreeMember::Dropped, _) => self.scanner.skim(),
            (TreeMember::Tree, b'{') => {
                out.push(b'{');
                self.level = self.level.saturating_add(1);
                self.in_list = false;
                self.has_member = false;
                self.scanner.enter(Container::Object, rest);
            }
            (TreeMember::Children, b'[') => {
                out.push(b'[');
                self.in_list = true;
                self.has_member = false;
                self.member = TreeMember::Tree;
                self.scanner.enter(Container::Array, rest);
            }
            (TreeMember::Name | TreeMember::Time, b'"') | (TreeMember::Count, b'0'..=b'9') => self.scanner.hold(rest),
            (TreeMember::Tree, b'n') if !self.in_list => self.scanner.null(),
            (TreeMember::Children, b'n') => self.scanner.null(),
            (TreeMember::Tree | TreeMember::Name | TreeMember::Time | TreeMember::Count | TreeMember::Children, _) => {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    fn text(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let text = self.scanner.text();
        match self.member {
            TreeMember::Name => quoted(own_part(text), out),
            TreeMember::Time => quoted(time(text), out),
            TreeMember::Count if text.len() <= MAX_COUNT && text.iter().all(u8::is_ascii_digit) => {
                out.extend_from_slice(text);
            }
            TreeMember::Count | TreeMember::Passed | TreeMember::Dropped | TreeMember::Tree | TreeMember::Children => {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        out.push(if self.in_list { b']' } else { b'}' });
        if !self.in_list {
            self.level = self.level.saturating_sub(1);
        }
        // A tree is the whole value, or a member of what is above it, or in a list.
        self.in_list = !self.in_list && self.level > self.above;
        self.has_member = true;
        self.member = TreeMember::Tree;
        self.scanner.resume(Some(if self.in_list { Container::Array } else { Container::Object }));
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
