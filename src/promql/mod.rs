//! PromQL: reads a query, adds a matcher to each of its selectors, writes it again. Knows matchers, not tenants.
//!
//! The steps, each in a file of its own: `lexer` (text → tokens), `parser` (tokens → `ast`; with `selector`,
//! `postfix`, `duration` and `matching`), `rewrite` (tree and tokens → text, with the matcher of `enforce`).
//!
//! What holds for every text, checked by property tests and against Prometheus's own parser:
//! - no panic, and time and memory linear in the text's length;
//! - every selector of an accepted text carries the matcher;
//! - rewriting what was rewritten changes nothing;
//! - what Prometheus 3.16 accepts is accepted, with the differences that docs/promql.md lists.

mod arithmetic;
pub mod ast;
mod duration;
mod enforce;
mod error;
mod lexer;
pub(crate) mod literal;
mod matching;
mod parser;
mod plain;
mod postfix;
mod quote;
mod reach;
mod rewrite;
mod selector;
#[cfg(test)]
mod tests;
mod token;

pub use enforce::{Enforcer, OnConflict};
pub use error::{Error, ErrorKind};
pub use lexer::MAX_TOKENS;
pub use parser::MAX_DEPTH;
pub use rewrite::MAX_WRITTEN;
pub use token::Kind;

pub use reach::{Demand, Evaluation, Unknown};

use ast::Ast;
use error::Fault;
use lexer::{Names, Tokens};
use std::borrow::Cow;

/// The longest query that is read, in bytes: as long as what Envoy buffers of a request by default
/// (`per_connection_buffer_limit_bytes`, 1 MiB). Prometheus has no limit of its own.
pub const MAX_LENGTH: usize = 1 << 20;

/// What a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// An expression.
    Expression,
    /// A `match[]` value, which is one selector without modifiers.
    Selector,
}

/// Rewrites an expression: appends the enforced text to `out`, and returns how many selectors it has.
///
/// # Errors
/// [`Error`] where the text can't be read or enforced. `out` is as before then.
pub fn rewrite(query: &[u8], enforcer: &Enforcer, out: &mut Vec<u8>) -> Result<u32, Error> {
    run(query, enforcer, out, parser::expression)
}

/// Rewrites a `match[]` value, which is one selector without modifiers.
///
/// # Errors
/// As [`rewrite`].
pub fn rewrite_selector(selector: &[u8], enforcer: &Enforcer, out: &mut Vec<u8>) -> Result<u32, Error> {
    run(selector, enforcer, out, parser::metric_selector)
}

/// Parses an expression, for those who look at the tree.
///
/// # Errors
/// [`Error`] where the text can't be read.
pub fn parse(query: &[u8]) -> Result<Ast, Error> {
    Query::parse(query).map(|query| query.ast)
}

/// A query that was read: to be rewritten, and to be asked what it demands of the storage.
#[derive(Debug)]
pub struct Query<'t> {
    text: Cow<'t, [u8]>,
    tokens: Tokens,
    ast: Ast,
}

impl<'t> Query<'t> {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`Error`] where the text can't be read.
    pub fn parse(text: &'t [u8]) -> Result<Self, Error> {
        Query::read(text.into(), parser::expression)
    }

    /// Reads a `match[]` value.
    ///
    /// # Errors
    /// [`Error`] where the text can't be read.
    pub fn parse_selector(text: &'t [u8]) -> Result<Self, Error> {
        Query::read(text.into(), parser::metric_selector)
    }

    /// Parses a text that the query keeps, so that it can be asked again later.
    ///
    /// # Errors
    /// [`Error`] where the text can't be read.
    pub fn parse_owned(text: Vec<u8>, reading: Reading) -> Result<Query<'static>, Error> {
        Query::read(text.into(), reading.grammar())
    }

    /// The text as it was read.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// As [`rewrite()`].
    ///
    /// # Errors
    /// [`Error`] where it can't be enforced. `out` is as before then.
    pub fn rewrite(&self, enforcer: &Enforcer, out: &mut Vec<u8>) -> Result<u32, Error> {
        let before = out.len();
        out.reserve(self.text.len() + self.text.len() / 2 + 64);
        rewrite::enforce(&self.text, &self.tokens.list, &self.ast, enforcer, out).map_err(|fault| {
            out.truncate(before);
            fault.locate(&self.text)
        })
    }

    /// What it demands of the storage when it is evaluated so; see `reach.rs`.
    ///
    /// # Errors
    /// [`Unknown`] where that can't be computed: the query must be refused where it matters.
    pub fn demand(&self, evaluation: &Evaluation) -> Result<Demand, Unknown> {
        reach::demand(&self.text, &self.tokens.list, &self.ast, evaluation)
    }

    /// How many selectors it has.
    pub fn selectors(&self) -> usize {
        self.ast.nodes.iter().filter(|node| matches!(node, ast::Node::Selector(_))).count()
    }

    /// The longest pattern of a `=~` or `!~` matcher, in bytes, as written between its quotes once unescaped.
    pub fn longest_pattern(&self) -> usize {
        let tokens = &self.tokens.list;
        let length = |matcher: &ast::LabelMatcher| {
            let ast::LabelMatcher::Label { name: _, operator, value } = *matcher else { return 0 };
            match tokens.get(operator as usize).map(|token| token.kind) {
                Some(Kind::EqualRegex | Kind::NotEqualRegex) => {
                    literal::string(parser::text_of(&self.text, tokens, value)).len()
                }
                _ => 0,
            }
        };
        self.ast.matchers.iter().map(length).max().unwrap_or(0)
    }

    fn read(text: Cow<'t, [u8]>, parse: Parse) -> Result<Self, Error> {
        #[cfg(test)]
        PARSED.with(|parsed| parsed.set(parsed.get() + 1));
        check_length(&text)?;
        let (tokens, ast) = read(&text, parse).map_err(|fault| fault.locate(&text))?;
        Ok(Query { text, tokens, ast })
    }
}

#[cfg(test)]
thread_local! {
    /// How many texts this thread has parsed.
    pub(crate) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Reading {
    fn grammar(self) -> Parse {
        match self {
            Reading::Expression => parser::expression,
            Reading::Selector => parser::metric_selector,
        }
    }
}

/// A duration as Prometheus writes it, `1h30m`, in milliseconds; `None` where it is none.
pub fn duration(text: &[u8]) -> Option<i64> {
    literal::duration(text).ok()
}

fn run(text: &[u8], enforcer: &Enforcer, out: &mut Vec<u8>, parse: Parse) -> Result<u32, Error> {
    Query::read(text.into(), parse)?.rewrite(enforcer, out)
}

type Parse = fn(&[u8], &Tokens) -> Result<Ast, Fault>;

fn check_length(text: &[u8]) -> Result<(), Error> {
    if text.len() <= MAX_LENGTH {
        return Ok(());
    }
    let message = format!("longer than {MAX_LENGTH} bytes");
    let fault =
        Fault { kind: ErrorKind::TooLarge, message, start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    Err(fault.locate(b""))
}

/// Reads a text with dotted names. Where that makes one name of what is a keyword and a number without them
/// (`x offset.5`), the other reading comes first, as it is the one that Prometheus has by default.
fn read(text: &[u8], parse: Parse) -> Result<(Tokens, Ast), Fault> {
    let dotted = lexer::tokenize(text, Names::Dotted);
    if dotted.ambiguous {
        let plain = lexer::tokenize(text, Names::Plain);
        if let Ok(ast) = parse(text, &plain) {
            return Ok((plain, ast));
        }
    }
    let ast = parse(text, &dotted)?;
    Ok((dotted, ast))
}
