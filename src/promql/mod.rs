//! Reads a PromQL query, adds the matchers of a scope to each of its selectors, and writes the query again. This module knows matchers,
//! not tenants.
//!
//! The steps, each in a file of its own: `lexer` (text → tokens), `parser` (tokens → `ast`; with `selector`,
//! `postfix`, `duration` and `matching`), `rewrite` (tree and tokens → text, with the matchers of a [`Scope`]). `renaming` finds where a query
//! names labels. `origins` leads from a place in the written text back to the client's.
//!
//! Property tests, and a comparison with Prometheus's own parser, check that for every text:
//! - the module doesn't panic, and needs time and memory linear in the length of the text;
//! - every selector of an accepted query carries the matchers;
//! - rewriting a rewritten query changes nothing;
//! - a query that Prometheus 3.16 accepts is accepted, except for the differences that docs/promql.md lists.

mod arithmetic;
pub mod ast;
mod duration;
mod error;
mod lexer;
pub(crate) mod literal;
mod matching;
mod origins;
mod parser;
mod plain;
mod postfix;
mod printing;
mod quote;
mod reach;
mod renaming;
mod rewrite;
mod selector;
#[cfg(test)]
mod tests;
mod token;

pub use error::{Error, ErrorKind};
pub use lexer::MAX_TOKENS;
pub use origins::Origins;
pub use parser::MAX_DEPTH;
pub use printing::{MAX_PRINTING, MAX_TREE};
pub use renaming::{shown, stored};
pub use rewrite::{MAX_WRITTEN, runs_as_query};
pub use token::TokenKind;

pub use reach::{Demand, Evaluation, Unknown};

use crate::scope::{MatchOp, Matcher, Scope};
use ast::{Ast, LabelMatcher, Node};
use error::Fault;
use lexer::{Names, Tokens};
use std::borrow::Cow;

/// The longest query that is read, in bytes. It is also how much of a request Envoy buffers by default
/// (`per_connection_buffer_limit_bytes`, 1 MiB). Prometheus has no such limit.
pub const MAX_LENGTH: usize = 1 << 20;

/// The grammar rule by which a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// An expression.
    Expression,
    /// A `match[]` value: one selector without modifiers.
    Selector,
}

/// Rewrites an expression: appends the enforced text to `out`, and returns how many selectors it has.
///
/// ```
/// use promql_tenancy_filter::promql::rewrite;
/// use promql_tenancy_filter::scope::OnConflict;
/// use promql_tenancy_filter::tenant::{Federation, Format, Tenants};
///
/// let tenants = Tenants::parse(b"team-a", Format::Cortex, Federation::Off).unwrap();
/// let scope = tenants.scope(&"tenant_id".into(), OnConflict::Replace, Federation::Off);
///
/// // Every selector gains the tenant's matcher, also in an aggregation parameter. A matcher for another tenant is replaced.
/// let mut out = Vec::new();
/// let selectors = rewrite(br#"topk(scalar(x), y{tenant_id="team-b",job="api"})"#, &scope, &mut out).unwrap();
/// assert_eq!(selectors, 2);
/// assert_eq!(out, br#"topk(scalar(x{tenant_id="team-a"}), y{tenant_id="team-a",job="api"})"#);
/// ```
///
/// # Errors
/// Returns [`Error`] if the text can't be read or enforced. `out` is then unchanged.
pub fn rewrite(query: &[u8], scope: &Scope, out: &mut Vec<u8>) -> Result<u32, Error> {
    run(query, scope, out, parser::expression)
}

/// Rewrites a `match[]` value, which is one selector without modifiers.
///
/// # Errors
/// As [`rewrite`].
pub fn rewrite_selector(selector: &[u8], scope: &Scope, out: &mut Vec<u8>) -> Result<u32, Error> {
    run(selector, scope, out, parser::metric_selector)
}

/// Parses an expression and returns its syntax tree.
///
/// ```
/// use promql_tenancy_filter::promql::{ast::Node, parse};
///
/// let tree = parse(b"sum by (job) (rate(http_requests_total[5m]))").unwrap();
/// // Children stand before their parents in the list, so the root is the last node.
/// assert!(matches!(tree.nodes.last(), Some(Node::Aggregate { parameter: None, .. })));
/// ```
///
/// # Errors
/// Returns [`Error`] if the text can't be read.
pub fn parse(query: &[u8]) -> Result<Ast, Error> {
    Query::parse(query).map(|query| query.ast)
}

/// A parsed query. It can be rewritten, and asked what its evaluation demands of the storage.
///
/// ```
/// use promql_tenancy_filter::promql::{ErrorKind, Evaluation, Query};
///
/// let query = Query::parse(b"rate(http_requests_total{code=~\"5..\"}[5m] offset 1h)").unwrap();
/// assert_eq!(query.selectors(), 1);
/// assert_eq!(query.longest_pattern(), "5..".len());
///
/// // Evaluated at 10:00, the query reads samples from between 8:55 and 9:00.
/// let (ten, minute) = (36_000_000, 60_000);
/// let evaluation = Evaluation {
///     start_ms: ten,
///     end_ms: ten,
///     step_ns: 0,
///     lookback_ms: 5 * minute,
///     subquery_step_ms: minute,
///     in_parts: false,
/// };
/// let demand = query.demand(&evaluation).unwrap();
/// assert_eq!(demand.samples, Some((ten - 65 * minute + 1, ten - 60 * minute)));
///
/// // An error has the position that Prometheus reports, and Prometheus's text.
/// let error = Query::parse(b"sum(up").unwrap_err();
/// assert_eq!(error.kind, ErrorKind::Syntax);
/// assert_eq!(error.to_string(), "1:7: parse error: unclosed left parenthesis");
/// ```
#[derive(Debug)]
pub struct Query<'t> {
    text: Cow<'t, [u8]>,
    tokens: Tokens,
    ast: Ast,
}

impl<'t> Query<'t> {
    /// Parses an expression.
    ///
    /// # Errors
    /// Returns [`Error`] if the text can't be read.
    pub fn parse(text: &'t [u8]) -> Result<Self, Error> {
        Query::read(text.into(), parser::expression)
    }

    /// Parses a `match[]` value.
    ///
    /// # Errors
    /// Returns [`Error`] if the text can't be read.
    pub fn parse_selector(text: &'t [u8]) -> Result<Self, Error> {
        Query::read(text.into(), parser::metric_selector)
    }

    /// Parses a text that the query then owns.
    ///
    /// # Errors
    /// Returns [`Error`] if the text can't be read.
    pub fn parse_owned(text: Vec<u8>, reading: Reading) -> Result<Query<'static>, Error> {
        Query::read(text.into(), reading.grammar())
    }

    /// The text that was parsed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Appends the enforced text to `out`, and returns how many selectors the query has.
    ///
    /// # Errors
    /// Returns [`Error`] if the query can't be enforced. `out` is then unchanged.
    pub fn rewrite(&self, scope: &Scope, out: &mut Vec<u8>) -> Result<u32, Error> {
        let before = out.len();
        out.reserve(self.text.len() + self.text.len() / 2 + 64);
        rewrite::enforce(&self.text, &self.tokens.list, &self.ast, scope, None, out).map_err(|fault| {
            out.truncate(before);
            fault.locate(&self.text)
        })
    }

    /// What this evaluation of the query demands of the storage. `reach.rs` has the rules.
    ///
    /// # Errors
    /// Returns [`Unknown`] if that can't be computed. A limit that depends on the demand must then refuse the query.
    pub fn demand(&self, evaluation: &Evaluation) -> Result<Demand, Unknown> {
        reach::demand(&self.text, &self.tokens.list, &self.ast, evaluation)
    }

    /// Checks what it costs an upstream to print the query, as `format_query` does.
    ///
    /// # Errors
    /// Returns [`Error`] if that is more than [`MAX_PRINTING`] or [`MAX_TREE`].
    pub fn check_printing(&self) -> Result<(), Error> {
        printing::check(&self.text, &self.tokens.list, &self.ast)
    }

    /// How many selectors the query has.
    pub fn selectors(&self) -> usize {
        self.ast.nodes.iter().filter(|node| matches!(node, ast::Node::Selector(_))).count()
    }

    /// The length in bytes of the longest pattern in a `=~` or `!~` matcher, after the string's escapes are decoded.
    pub fn longest_pattern(&self) -> usize {
        let tokens = &self.tokens.list;
        let length = |matcher: &ast::LabelMatcher| {
            let ast::LabelMatcher::Label { name: _, operator, value } = *matcher else { return 0 };
            match tokens.get(operator as usize).map(|token| token.kind) {
                Some(TokenKind::EqualRegex | TokenKind::NotEqualRegex) => {
                    literal::string(parser::text_of(&self.text, tokens, value)).len()
                }
                _ => 0,
            }
        };
        self.ast.matchers.iter().map(length).max().unwrap_or(0)
    }

    /// The matchers of all selectors, in the order of the text. A metric's name is a matcher on `__name__`. `None` where a name or
    /// a value is not UTF-8.
    ///
    /// ```
    /// use promql_tenancy_filter::promql::Query;
    ///
    /// let query = Query::parse_selector(b"up{job=~'a|b', \"http.code\"!=\"5\\x30\"}").unwrap();
    /// let matchers = query.matchers().unwrap();
    /// assert_eq!((&*matchers[0].label, &*matchers[0].value), ("__name__", "up"));
    /// assert_eq!((&*matchers[2].label, matchers[2].op.symbol(), &*matchers[2].value), ("http.code", "!=", "50"));
    /// ```
    pub fn matchers(&self) -> Option<Vec<Matcher>> {
        let mut matchers = Vec::new();
        for node in &self.ast.nodes {
            if let Node::Selector(selector) = node {
                if let Some(name) = selector.name {
                    matchers.push(self.metric(parser::text_of(&self.text, &self.tokens.list, name))?);
                }
                for matcher in self.ast.matchers_of(selector) {
                    matchers.push(self.matcher(matcher)?);
                }
            }
        }
        Some(matchers)
    }

    fn matcher(&self, matcher: &LabelMatcher) -> Option<Matcher> {
        let tokens = &self.tokens.list;
        let text = |id| parser::text_of(&self.text, tokens, id);
        match *matcher {
            LabelMatcher::Metric { name } => self.metric(&literal::string(text(name))),
            LabelMatcher::Label { name, operator, value } => {
                let label = match tokens.get(name as usize)?.kind {
                    TokenKind::String => literal::string(text(name)),
                    _ => Cow::Borrowed(text(name)),
                };
                Some(Matcher {
                    label: std::str::from_utf8(&label).ok()?.into(),
                    op: tokens.get(operator as usize)?.kind.match_op()?,
                    value: std::str::from_utf8(&literal::string(text(value))).ok()?.into(),
                })
            }
        }
    }

    fn metric(&self, name: &[u8]) -> Option<Matcher> {
        let value = std::str::from_utf8(name).ok()?.into();
        Some(Matcher { label: "__name__".into(), op: MatchOp::Equal, value })
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

/// Reads a duration in Prometheus's notation. Returns milliseconds, or `None` if the text is no duration.
///
/// ```
/// use promql_tenancy_filter::promql::duration;
///
/// assert_eq!(duration(b"1h30m"), Some(5_400_000));
/// assert_eq!(duration(b"30m1h"), None);
/// ```
pub fn duration(text: &[u8]) -> Option<i64> {
    literal::duration(text).ok()
}

fn run(text: &[u8], scope: &Scope, out: &mut Vec<u8>, parse: Parse) -> Result<u32, Error> {
    Query::read(text.into(), parse)?.rewrite(scope, out)
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

/// Reads a text, allowing dots in names. The text `x offset.5` is ambiguous: with dots it holds the name `offset.5`, without
/// them a keyword and a number. Prometheus reads it without dots by default, so that reading is tried first.
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
