//! Why a query was refused, and where, in Prometheus's words.

use std::fmt;

/// What kind of refusal it is. The names are stat tags and the `kind` that `tenancyctl rewrite --jsonl` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not PromQL as Prometheus's parser reads it.
    Syntax,
    /// Longer or more deeply nested than the filter reads.
    TooLarge,
    /// `info()` in a form that can't be enforced.
    Info,
    /// A label by which an upstream is told to run other text as a query.
    Reserved,
    /// `on_conflict: reject`, and the query's own matchers on the tenant label can't match the tenant.
    Conflict,
}

impl ErrorKind {
    /// The name under which it is counted and printed.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Syntax => "syntax",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Info => "info",
            ErrorKind::Reserved => "reserved",
            ErrorKind::Conflict => "conflict",
        }
    }
}

/// A refused query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of refusal.
    pub kind: ErrorKind,
    /// What is wrong, without the position.
    pub message: String,
    /// First byte of the place, in the query.
    pub start: u32,
    /// Byte after the place.
    pub end: u32,
    /// Line of the place, from 1.
    pub line: u32,
    /// Column of the place in bytes, from 1.
    pub column: u32,
}

impl fmt::Display for Error {
    /// `1:9: parse error: …`, the form of Prometheus's `ParseErr.Error` (promql/parser/parse.go, 3.16). What can be
    /// read but not enforced is no parse error; its place is given all the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Syntax | ErrorKind::TooLarge => "parse error: ",
            ErrorKind::Info | ErrorKind::Reserved | ErrorKind::Conflict => "",
        };
        write!(f, "{}:{}: {what}{}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Error {}

/// A refusal whose place is known in bytes only. Lines are counted once it has won: of two readings of a text
/// only one error is shown.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub kind: ErrorKind,
    pub message: String,
    pub start: u32,
    pub end: u32,
}

impl Fault {
    pub fn syntax(start: u32, end: u32, message: impl Into<String>) -> Self {
        Fault { kind: ErrorKind::Syntax, message: message.into(), start, end }
    }

    /// Counts lines and columns as `PositionRange.StartPosInput` does (promql/parser/posrange, 3.16).
    pub fn locate(self, query: &[u8]) -> Error {
        let before = query.get(..self.start as usize).unwrap_or(query);
        let breaks = before.iter().filter(|&&b| b == b'\n').count();
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Error {
            kind: self.kind,
            message: self.message,
            start: self.start,
            end: self.end,
            line: count(breaks + 1),
            column: count(column),
        }
    }
}
