//! The error for a refused query: the reason, in the words that Prometheus uses, and the position.

use std::fmt;

/// The reason for refusing a query. The names are values of a stat tag, and of the `kind` that `tenancyctl rewrite --jsonl` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Prometheus's parser would refuse the text.
    Syntax,
    /// The query is longer or more deeply nested than the filter reads.
    TooLarge,
    /// The query calls `info()` in a form that can't be enforced.
    Info,
    /// A matcher names a reserved label, whose value Mimir or Cortex would run as a query.
    Reserved,
    /// The query's own matchers on the tenant label can't match the tenant, and `on_conflict` is `reject`.
    Conflict,
}

impl ErrorKind {
    /// The name under which the refusal is counted and printed.
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

/// Why a query was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The reason.
    pub kind: ErrorKind,
    /// The message, without the position.
    pub message: String,
    /// The offset of the first byte that the error is about.
    pub start: u32,
    /// The offset after the last byte that the error is about.
    pub end: u32,
    /// The line of `start`, counted from 1.
    pub line: u32,
    /// The column of `start` in bytes, counted from 1.
    pub column: u32,
}

impl fmt::Display for Error {
    /// Writes `1:9: parse error: …`, as Prometheus's `ParseErr.Error` does (promql/parser/parse.go, 3.16). The message about a query
    /// that can be read but not enforced has the position without the words "parse error".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Syntax | ErrorKind::TooLarge => "parse error: ",
            ErrorKind::Info | ErrorKind::Reserved | ErrorKind::Conflict => "",
        };
        write!(f, "{}:{}: {what}{}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Error {}

/// An error whose position is known in bytes only. A text may be read in two ways, and only one of two faults is reported: the
/// lines are counted for that one ([`Fault::locate`]).
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

    /// Adds the line and the column.
    pub fn locate(self, query: &[u8]) -> Error {
        let (line, column) = place(query, self.start as usize);
        Error { kind: self.kind, message: self.message, start: self.start, end: self.end, line, column }
    }
}

/// The line and the column of an offset, counted as `PositionRange.StartPosInput` does (promql/parser/posrange, 3.16).
pub(super) fn place(query: &[u8], offset: usize) -> (u32, u32) {
    let before = query.get(..offset).unwrap_or(query);
    let breaks = before.iter().filter(|&&b| b == b'\n').count();
    let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (count(breaks + 1), count(column))
}
