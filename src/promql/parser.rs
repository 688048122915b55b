//! The parser: tokens → tree.
//!
//! The grammar is Prometheus's (promql/parser/generated_parser.y, 3.16):
//!
//! ```text
//! query      = expression
//! expression = operand { operator modifiers operand }        by precedence: or < and unless < comparisons, trims
//!                                                            < + - < * / % atan2 < ^ (to the right)
//! operand    = { "+" | "-" } primary { postfix }             a sign binds as tightly as "*"
//! primary    = number | duration | string | selector | "(" expression ")"
//!            | function "(" [ expression { "," expression } ] ")"
//!            | aggregator [ grouping ] "(" … ")" [ grouping ]
//! postfix    = "[" duration "]" | "[" duration ":" [ duration ] "]"
//!            | "offset" offset | "@" timestamp | "anchored" | "smoothed"
//! ```
//!
//! The parser checks the syntax, and everything that Prometheus checks while it parses or without knowing types. It leaves types and
//! names of functions to the upstream. `selector.rs` parses selectors, `postfix.rs` what follows an operand, `duration.rs`
//! durations, and `matching.rs` groupings and vector matching.

use super::arithmetic;
use super::ast::{Ast, Modifiers, Node, NodeId, TokenId};
use super::error::{ErrorKind, Fault};
use super::lexer::Tokens;
use super::literal;
use super::quote;
use super::token::{self, Aggregator, POW_PRECEDENCE, Token, TokenKind};

/// How deeply parentheses, calls, signs before `^` and `^` itself may nest. Prometheus has no such limit; queries that people write
/// stay below 20. tests/e2e/hostile.rs sends queries of this depth, through every precedence level, to a real Envoy.
pub const MAX_DEPTH: u32 = 256;

/// Parses an expression.
pub(super) fn expression(text: &[u8], tokens: &Tokens) -> Result<Ast, Fault> {
    let mut parser = Parser::new(text, tokens);
    if parser.peek() == TokenKind::Eof {
        return Err(Fault::syntax(0, 0, "no expression found in input"));
    }
    parser.expression(1)?;
    parser.expect_end()?;
    Ok(parser.ast)
}

/// Parses a `match[]` value: a selector without modifiers (`ParseMetricSelector`).
pub(super) fn metric_selector(text: &[u8], tokens: &Tokens) -> Result<Ast, Fault> {
    let mut parser = Parser::new(text, tokens);
    parser.metric_selector()?;
    parser.expect_end()?;
    Ok(parser.ast)
}

pub(super) struct Parser<'a> {
    pub text: &'a [u8],
    tokens: &'a [Token],
    fault: Option<&'a Fault>,
    at: usize,
    depth: u32,
    /// What is being parsed, for error messages.
    pub context: ErrorContext,
    pub ast: Ast,
    /// The value of `step()` in a duration, in seconds. It is not used while only the syntax is checked.
    pub step: f64,
    /// The value of `range()` in a duration, likewise.
    pub range: f64,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8], tokens: &'a Tokens) -> Self {
        let capacity = tokens.list.len() / 4 + 4;
        Parser {
            text,
            tokens: &tokens.list,
            fault: tokens.fault.as_ref(),
            at: 0,
            depth: 0,
            context: ErrorContext::default(),
            ast: Ast {
                nodes: Vec::with_capacity(capacity),
                matchers: Vec::with_capacity(capacity),
                begins: Vec::with_capacity(capacity),
            },
            step: 0.0,
            range: 0.0,
        }
    }

    /// A parser that begins at one token of a text that was parsed before, and knows `step()` and `range()`, in seconds.
    pub fn again(text: &'a [u8], tokens: &'a [Token], at: TokenId, step: f64, range: f64) -> Self {
        let context = ErrorContext::default();
        Parser { text, tokens, fault: None, at: at as usize, depth: 0, context, ast: Ast::default(), step, range }
    }

    /// Parses operators of at least this precedence, and their operands.
    fn expression(&mut self, least: u8) -> Result<NodeId, Fault> {
        let mut left = self.operand()?;
        loop {
            let operator = self.peek();
            let Some(precedence) = operator.precedence().filter(|&p| p >= least) else { return Ok(left) };
            let begin = self.begin(left);
            self.bump();
            self.binary_modifiers(operator)?;
            let right = if precedence == POW_PRECEDENCE {
                self.nested(|p| p.expression(POW_PRECEDENCE))?
            } else {
                self.expression(precedence + 1)?
            };
            left = self.push(Node::Binary { operator, left, right }, begin);
        }
    }

    fn operand(&mut self) -> Result<NodeId, Fault> {
        let begin = self.here();
        while matches!(self.peek(), TokenKind::Add | TokenKind::Sub) {
            self.bump();
        }
        let signs = self.here() - begin;
        if signs == 0 {
            return self.primary();
        }
        let mut operand = self.nested(|p| p.expression(POW_PRECEDENCE))?;
        for sign in (begin..begin + signs).rev() {
            operand = self.push(Node::Unary { operand }, sign);
        }
        Ok(operand)
    }

    fn primary(&mut self) -> Result<NodeId, Fault> {
        let begin = self.here();
        let kind = self.peek();
        let calls = self.peek_second() == TokenKind::LeftParen;
        let node = match kind {
            TokenKind::Number | TokenKind::Duration => {
                self.number()?;
                self.push(Node::Number, begin)
            }
            TokenKind::String => {
                self.bump();
                self.push(Node::String, begin)
            }
            TokenKind::LeftParen => {
                self.bump();
                let inner = self.nested(|p| p.expression(1))?;
                self.expect(TokenKind::RightParen)?;
                self.push(Node::Paren { inner }, begin)
            }
            TokenKind::LeftBrace => self.selector()?,
            kind if kind.is_function_name() && calls => self.call()?,
            kind if kind.aggregator().is_some() && (calls || self.grouping_follows()) => self.aggregate(kind)?,
            kind if kind.is_metric_name() => self.selector()?,
            _ => return Err(self.unexpected()),
        };
        self.postfix(node)
    }

    fn call(&mut self) -> Result<NodeId, Fault> {
        let name = self.here();
        // The lexer makes these words names only if a comment stands before the parenthesis. No upstream has such a function. The
        // rewritten text has no comments, so the upstream would read the word as the modifier.
        if let Some(TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight) =
            TokenKind::keyword(self.text_of(name))
        {
            let name = quote::string(self.text_of(name));
            return Err(self.fault_from(self.here(), format!("unknown function with name {name}")));
        }
        self.bump();
        let arguments = self.nested(Self::arguments)?;
        let node = Node::Call { name, arguments: arguments.count, second: arguments.second };
        Ok(self.push(node, name))
    }

    fn grouping_follows(&self) -> bool {
        matches!(self.peek_second(), TokenKind::By | TokenKind::Without)
    }

    fn aggregate(&mut self, kind: TokenKind) -> Result<NodeId, Fault> {
        let begin = self.here();
        self.bump();
        let outer = self.enter("aggregation", "");
        let grouped = self.aggregate_grouping()?;
        if self.peek() != TokenKind::LeftParen {
            return Err(self.unexpected());
        }
        let arguments = self.nested(Self::arguments)?;
        if !grouped {
            self.aggregate_grouping()?;
        }
        self.context = outer;
        let wanted = match kind.aggregator() {
            Some(Aggregator::WithParameter) => 2,
            Some(Aggregator::Plain) | None => 1,
        };
        let (parameter, expression) = match (wanted, arguments.count, arguments.first, arguments.second) {
            (1, 1, Some(expression), None) => (None, expression),
            (2, 2, parameter @ Some(_), Some(expression)) => (parameter, expression),
            (_, 0, _, _) => return Err(self.fault_from(begin, "no arguments for aggregate expression provided")),
            (wanted, count, _, _) => {
                let what = "wrong number of arguments for aggregate expression provided";
                return Err(self.fault_from(begin, format!("{what}, expected {wanted}, got {count}")));
            }
        };
        Ok(self.push(Node::Aggregate { parameter, expression }, begin))
    }

    fn arguments(&mut self) -> Result<ArgumentList, Fault> {
        let mut arguments = ArgumentList::default();
        self.expect(TokenKind::LeftParen)?;
        if self.take(TokenKind::RightParen) {
            return Ok(arguments);
        }
        loop {
            let argument = self.expression(1)?;
            arguments.count += 1;
            match arguments.count {
                1 => arguments.first = Some(argument),
                2 => arguments.second = Some(argument),
                _ => {}
            }
            let comma = self.here();
            if !self.take(TokenKind::Comma) {
                self.expect(TokenKind::RightParen)?;
                return Ok(arguments);
            }
            if matches!(self.peek(), TokenKind::RightParen | TokenKind::Comma) {
                return Err(self.fault_from(comma, "trailing commas not allowed in function call args"));
            }
        }
    }

    /// Parses a number or duration literal, and returns its value. The value of a duration is in seconds.
    pub fn number(&mut self) -> Result<f64, Fault> {
        let text = self.text_of(self.here());
        let value = match self.peek() {
            TokenKind::Number => literal::number(text).ok_or("error parsing number:"),
            TokenKind::Duration => match literal::duration(text) {
                Ok(milliseconds) => Ok(arithmetic::seconds(milliseconds.saturating_mul(1_000_000))),
                Err(literal::DurationFault::Malformed) => Err("not a valid duration string:"),
                Err(literal::DurationFault::OutOfRange) => Err("duration out of range:"),
            },
            _ => return Err(self.unexpected()),
        };
        let value = value.map_err(|what| self.fault_from(self.here(), format!("{what} {}", quote::string(text))))?;
        self.bump();
        Ok(value)
    }

    /// Parses what is nested one level deeper. The depth is checked first, so that the stack can't overflow.
    pub fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            let fault = self.fault_from(self.here(), format!("nested more than {MAX_DEPTH} levels deep"));
            return Err(Fault { kind: ErrorKind::TooLarge, ..fault });
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    pub fn push(&mut self, node: Node, begin: TokenId) -> NodeId {
        let id = self.ast.nodes.len() as NodeId;
        self.ast.nodes.push(node);
        self.ast.begins.push(begin);
        id
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.ast.nodes.get(id as usize)
    }

    /// The modifiers of a node: those of a selector, of the selector in a range, or of a subquery. Other nodes have none.
    pub fn modifiers(&mut self, id: NodeId) -> Option<&mut Modifiers> {
        let id = if let Node::Matrix { selector, .. } = self.node(id)? { *selector } else { id };
        match self.ast.nodes.get_mut(id as usize)? {
            Node::Selector(selector) => Some(&mut selector.modifiers),
            Node::Subquery { modifiers, .. } => Some(modifiers),
            Node::Number | Node::String | Node::Matrix { .. } | Node::Aggregate { .. } => None,
            Node::Call { .. } | Node::Binary { .. } | Node::Unary { .. } | Node::Paren { .. } => None,
        }
    }

    pub fn begin(&self, id: NodeId) -> TokenId {
        self.ast.begins.get(id as usize).copied().unwrap_or_default()
    }

    /// The current token.
    pub fn here(&self) -> TokenId {
        self.at as TokenId
    }

    pub fn peek(&self) -> TokenKind {
        self.tokens.get(self.at).map_or(TokenKind::Eof, |t| t.kind)
    }

    pub fn peek_second(&self) -> TokenKind {
        self.tokens.get(self.at + 1).map_or(TokenKind::Eof, |t| t.kind)
    }

    /// Moves to the next token, but never past the last one.
    pub fn bump(&mut self) {
        self.at += usize::from(self.at + 1 < self.tokens.len());
    }

    pub fn take(&mut self, kind: TokenKind) -> bool {
        let found = self.peek() == kind;
        if found {
            self.bump();
        }
        found
    }

    pub fn expect(&mut self, kind: TokenKind) -> Result<(), Fault> {
        if self.take(kind) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_end(&self) -> Result<(), Fault> {
        if self.peek() == TokenKind::Eof { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn token(&self, id: TokenId) -> Option<&Token> {
        self.tokens.get(id as usize)
    }

    pub fn text_of(&self, id: TokenId) -> &'a [u8] {
        text_of(self.text, self.tokens, id)
    }

    /// A fault that spans from the given token to the current one.
    pub fn fault_from(&self, begin: TokenId, message: impl Into<String>) -> Fault {
        let start = self.token(begin).map_or(0, |t| t.start);
        let end = self.token(self.here()).map_or(start, |t| t.end);
        Fault::syntax(start, end, message)
    }

    /// The fault for a current token that the grammar doesn't allow here.
    pub fn unexpected(&self) -> Fault {
        let kind = self.peek();
        if let (TokenKind::Error, Some(fault)) = (kind, self.fault) {
            return fault.clone();
        }
        let mut message = format!("unexpected {}", token::describe(kind, self.text_of(self.here())));
        for (word, what) in [(" in ", self.context.reading), (", expected ", self.context.expected)] {
            if !what.is_empty() {
                message.push_str(word);
                message.push_str(what);
            }
        }
        self.fault_from(self.here(), message)
    }

    /// Like `unexpected`, with another context.
    pub fn unexpected_in(&mut self, reading: &'static str, expected: &'static str) -> Fault {
        self.enter(reading, expected);
        self.unexpected()
    }

    /// Sets the context for error messages. Returns the previous one, which the caller restores.
    pub fn enter(&mut self, reading: &'static str, expected: &'static str) -> ErrorContext {
        std::mem::replace(&mut self.context, ErrorContext { reading, expected })
    }
}

/// What Prometheus's message about an unexpected token says was being parsed, and what was expected. It is that of the innermost
/// grammar rule with an `error` alternative.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct ErrorContext {
    reading: &'static str,
    expected: &'static str,
}

/// The text of a token.
pub(super) fn text_of<'a>(text: &'a [u8], tokens: &[Token], id: TokenId) -> &'a [u8] {
    let token = tokens.get(id as usize);
    token.and_then(|t| text.get(t.start as usize..t.end as usize)).unwrap_or_default()
}

#[derive(Default)]
struct ArgumentList {
    count: u32,
    first: Option<NodeId>,
    second: Option<NodeId>,
}
