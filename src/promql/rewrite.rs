//! The rewriter: tree and tokens → the text that is forwarded.
//!
//! Each selector of the tree gains the matchers of the scope before its own, because the result of `absent()` depends on the order of
//! matchers (`createLabelsForAbsentFunction` in promql/functions.go, 3.16). The text is written token by token, so that nothing reaches the
//! upstream that was not parsed. Comments are removed, each run of white space becomes one space, and literals keep their spelling.

use super::ast::{Ast, Braces, LabelMatcher, Node, NodeId, Selector, TokenId};
use super::error::{ErrorKind, Fault};
use super::literal;
use super::parser::text_of;
use super::renaming::{self, Renamed};
use super::token::{Token, TokenKind};
use crate::scope::{CannotMatch, Own, OwnMatchers, Scope};
use std::borrow::Cow;
use std::iter::Peekable;
use std::ops::Range;
use std::vec;

/// The longest text that is written, in bytes. Each selector grows by the matchers of the scope, which are long for a request with many
/// tenants. Without a limit, 400 KB of `a+a+…` would become 800 MB.
pub const MAX_WRITTEN: usize = 8 << 20;

/// Appends the enforced text to `out`, and returns how many selectors were enforced. After a fault, `out` holds an incomplete text,
/// which the caller must remove. Where `runs` is given, each piece of the client's text that is written is noted there, in order.
pub(super) fn enforce(
    text: &[u8],
    tokens: &[Token],
    ast: &Ast,
    scope: &Scope,
    runs: Option<&mut Vec<Run>>,
    out: &mut Vec<u8>,
) -> Result<u32, Fault> {
    let begin = out.len();
    let own = scope.own_matchers();
    let renamed = match scope.renaming() {
        Some(renaming) => renaming::places(text, tokens, ast, &|name| renaming.stored(name)),
        None => Vec::new(),
    };
    let renamed = renamed.into_iter().peekable();
    let mut writer = Writer { text, tokens, ast, scope, own, out, runs, begin, next: 0, renamed };
    let mut selectors = 0;
    for node in &ast.nodes {
        // There is no wildcard arm, so that a new kind of node doesn't compile until its treatment is decided.
        match node {
            Node::Selector(selector) => {
                selectors += 1;
                writer.selector(selector)?;
            }
            Node::Call { name, arguments, second } => writer.check_call(*name, *arguments, *second)?,
            Node::Number | Node::String => {}
            Node::Matrix { selector: _, range: _ } => {}
            Node::Subquery { expression: _, range: _, step: _, modifiers: _ } => {}
            Node::Aggregate { parameter: _, expression: _ } => {}
            Node::Binary { operator: _, left: _, right: _ } => {}
            Node::Unary { operand: _ } | Node::Paren { inner: _ } => {}
        }
    }
    writer.tokens_up_to(tokens.len() as TokenId);
    // Prometheus reads `0x1e` as a number unless it is at the very end of the text. A space after it avoids that.
    let last = tokens.iter().rev().find(|token| token.start < token.end);
    if last.is_some_and(|token| token.kind == TokenKind::Number) && matches!(out.last(), Some(b'e' | b'E')) {
        out.push(b' ');
    }
    Ok(selectors)
}

/// Labels whose value the query-frontends of Mimir and Cortex run as a query. The frontends write selectors with these labels to
/// shard a query (Mimir's pkg/frontend/querymiddleware/astmapper, Cortex's pkg/querier/astmapper). If a client's selector had one, the
/// query in its value would run without the enforced matchers.
const RUN_AS_QUERY: [&[u8]; 3] = [b"__queries__", b"__query__", b"__cortex_queries__"];

/// Whether a label's value may be run as a query.
pub fn runs_as_query(label: &[u8]) -> bool {
    RUN_AS_QUERY.contains(&label)
}

/// A piece of the client's text that stands in the enforced text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Where it begins in the enforced text.
    pub written: usize,
    /// Where it begins in the client's text.
    pub source: usize,
    /// Its length in bytes.
    pub length: usize,
}

struct Writer<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    ast: &'a Ast,
    scope: &'a Scope,
    own: OwnMatchers<'a>,
    out: &'a mut Vec<u8>,
    runs: Option<&'a mut Vec<Run>>,
    /// Where the rewritten query begins in `out`.
    begin: usize,
    /// The first token that is not written yet.
    next: TokenId,
    /// The labels that are written by another name.
    renamed: Peekable<vec::IntoIter<Renamed<'a>>>,
}

impl<'a> Writer<'a> {
    fn selector(&mut self, selector: &Selector) -> Result<(), Fault> {
        if let Some(name) = selector.name {
            self.tokens_up_to(name + 1);
        }
        match selector.braces {
            Some(braces) => {
                self.tokens_up_to(braces.open + 1);
                self.out.extend_from_slice(self.scope.written().as_bytes());
                self.own_matchers(selector, braces)?;
                self.next = braces.close.get() + 1;
            }
            None => {
                self.out.push(b'{');
                self.out.extend_from_slice(self.scope.written().as_bytes());
            }
        }
        self.out.push(b'}');
        if self.out.len() - self.begin > MAX_WRITTEN {
            let message = format!("longer than {MAX_WRITTEN} bytes with the tenant's matchers in each selector");
            let place = self.next.saturating_sub(1);
            return Err(self.refuse(ErrorKind::TooLarge, place, place, message));
        }
        Ok(())
    }

    /// Writes those of the selector's own matchers that are kept, each after a comma.
    fn own_matchers(&mut self, selector: &Selector, braces: Braces) -> Result<(), Fault> {
        self.own.begin();
        for matcher in self.ast.matchers_of(selector) {
            match *matcher {
                LabelMatcher::Metric { name } => {
                    self.out.push(b',');
                    self.copy(self.range(name));
                }
                LabelMatcher::Label { name, operator, value } => {
                    let label = self.name(name);
                    // Conflicts are judged by the names that the scope's matchers have.
                    let renamed = self.scope.renaming().and_then(|renaming| renaming.stored(&label));
                    let label = renamed.map_or(label, |renamed| Cow::Borrowed(renamed.text.as_bytes()));
                    if runs_as_query(&label) {
                        let message = "this label is reserved: Mimir and Cortex would run its value as a query";
                        return Err(self.refuse(ErrorKind::Reserved, name, value, message.into()));
                    }
                    if self.scope.names(&label) {
                        let op = self.tokens.get(operator as usize).and_then(|token| token.kind.match_op());
                        let Some(op) = op else {
                            let message = "a matcher without an operator".into();
                            return Err(self.refuse(ErrorKind::Syntax, name, value, message));
                        };
                        let kept = self.own.take(&label, op, &literal::string(self.text_of(value)));
                        if kept.map_err(|CannotMatch| self.conflict(&label, braces))? == Own::Drop {
                            continue;
                        }
                    }
                    self.out.push(b',');
                    match renamed {
                        None => self.label_matcher(name, operator, value),
                        Some(renamed) => {
                            self.out.extend_from_slice(Renamed::label(name, renamed).text().as_bytes());
                            [operator, value].into_iter().for_each(|id| self.copy(self.range(id)));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn label_matcher(&mut self, name: TokenId, operator: TokenId, value: TokenId) {
        let [name, operator, value] = [name, operator, value].map(|id| self.range(id));
        if name.end == operator.start && operator.end == value.start {
            self.copy(name.start..value.end);
        } else {
            [name, operator, value].into_iter().for_each(|place| self.copy(place));
        }
    }

    /// Writes the tokens before `end` that are not written yet, with their new names where labels are renamed.
    fn tokens_up_to(&mut self, end: TokenId) {
        while let Some(renamed) = self.renamed.next_if(|renamed| renamed.token < end) {
            // Those in matchers have been written with them.
            if renamed.token < self.next {
                continue;
            }
            self.unchanged_up_to(renamed.token);
            if self.tokens.get(renamed.token as usize).is_some_and(|token| token.spaced) {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(renamed.text().as_bytes());
            self.next = renamed.token + 1;
        }
        self.unchanged_up_to(end);
    }

    /// Writes the tokens before `end` that are not written yet. Consecutive tokens that already stand in the text as they are to be
    /// written are copied together: copying each token by itself took as long as lexing the text.
    fn unchanged_up_to(&mut self, end: TokenId) {
        let tokens = self.tokens.get(self.next as usize..end as usize).unwrap_or_default();
        let mut run = 0..0;
        for token in tokens {
            let (start, end) = (token.start as usize, token.end as usize);
            if start >= end {
                continue;
            }
            let is_next = match token.spaced {
                true => start == run.end + 1 && self.text.get(run.end) == Some(&b' '),
                false => start == run.end && !self.is_glued(token, self.text.get(run.clone())),
            };
            if is_next && !run.is_empty() {
                run.end = end;
                continue;
            }
            self.copy(run);
            let is_apart = token.spaced || self.is_glued(token, self.out.get(self.begin..));
            if is_apart && self.out.len() > self.begin {
                self.out.push(b' ');
            }
            run = start..end;
        }
        self.copy(run);
        self.next = self.next.max(end);
    }

    /// Whether a space is needed before the token. One Prometheus reads `offset.5` as a keyword and a number, and another, with dotted
    /// names, as one name. With a space, all read it alike.
    fn is_glued(&self, token: &Token, before: Option<&[u8]>) -> bool {
        let is_fraction = token.kind == TokenKind::Number && self.text.get(token.start as usize) == Some(&b'.');
        let ends_a_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii();
        is_fraction && before.and_then(<[u8]>::last).is_some_and(ends_a_word)
    }

    fn copy(&mut self, run: Range<usize>) {
        if let Some(runs) = &mut self.runs {
            runs.push(Run { written: self.out.len() - self.begin, source: run.start, length: run.len() });
        }
        self.out.extend_from_slice(self.text.get(run).unwrap_or_default());
    }

    /// Refuses `info()` without a second argument that names a data label. `info()` reads series beyond its first argument, and only
    /// the second argument restricts them (`fetchInfoSeries` in promql/info.go, 3.16). Without it, the function reads `target_info` of
    /// every tenant. If that argument names no data label, the enforced label would become the only one that is copied.
    fn check_call(&self, name: TokenId, arguments: u32, second: Option<NodeId>) -> Result<(), Fault> {
        // Prometheus knows the name in lower case only. If another engine accepts other spellings, they mean the same function.
        if !self.text_of(name).eq_ignore_ascii_case(b"info") || arguments == 0 {
            return Ok(());
        }
        let second = second.and_then(|id| self.ast.nodes.get(id as usize));
        let selector = if let Some(Node::Selector(selector)) = second { Some(selector) } else { None };
        let names_data_label = |matcher: &LabelMatcher| match *matcher {
            LabelMatcher::Metric { .. } => false,
            LabelMatcher::Label { name, .. } => self.name(name).as_ref() != b"__name__",
        };
        if selector.is_some_and(|s| self.ast.matchers_of(s).iter().any(names_data_label)) {
            return Ok(());
        }
        let message = "info() is allowed only with a second argument that selects the labels to add, for example \
                       info(up, {version=~\".+\"}): without one, series of other tenants would be read";
        Err(self.refuse(ErrorKind::Info, name, name, message.into()))
    }

    fn conflict(&self, label: &[u8], braces: Braces) -> Fault {
        let label = String::from_utf8_lossy(label);
        let message =
            format!("the matchers on {label:?} can't match the tenant: remove them, or ask for the tenant's own data");
        self.refuse(ErrorKind::Conflict, braces.open, braces.close.get(), message)
    }

    fn refuse(&self, kind: ErrorKind, first: TokenId, last: TokenId, message: String) -> Fault {
        let start = self.tokens.get(first as usize).map_or(0, |t| t.start);
        let end = self.tokens.get(last as usize).map_or(start, |t| t.end);
        Fault { kind, message, start, end }
    }

    fn range(&self, id: TokenId) -> Range<usize> {
        self.tokens.get(id as usize).map_or(0..0, |token| token.start as usize..token.end as usize)
    }

    fn text_of(&self, id: TokenId) -> &'a [u8] {
        text_of(self.text, self.tokens, id)
    }

    /// The label name that a word or a string stands for.
    fn name(&self, id: TokenId) -> Cow<'a, [u8]> {
        let text = self.text_of(id);
        match self.tokens.get(id as usize).map(|t| t.kind) {
            Some(TokenKind::String) => literal::string(text),
            _ => Cow::Borrowed(text),
        }
    }
}
