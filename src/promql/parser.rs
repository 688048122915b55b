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
//! Syntax is checked, and what Prometheus checks while it parses or without knowing types. Types and the names of
//! functions are for the upstream to judge. Selectors are in `selector.rs`, what stands behind an operand in
//! `postfix.rs`, durations in `duration.rs`, groupings and matching in `matching.rs`.

use super::arithmetic;
use super::ast::{Ast, Modifiers, Node, NodeId, TokenId};
use super::error::{ErrorKind, Fault};
use super::lexer::Tokens;
use super::literal;
use super::quote;
use super::token::{self, Aggregator, Kind, POW_PRECEDENCE, Token};

/// How deeply parentheses, calls, signs before `^` and `^` itself may nest. Prometheus has no limit of its own; queries
/// that people write stay below 20. tests/e2e/hostile.rs goes that deep
/// in a real Envoy, through every precedence level.
pub const MAX_DEPTH: u32 = 256;

/// Parses an expression.
pub(super) fn expression(text: &[u8], tokens: &Tokens) -> Result<Ast, Fault> {
    let mut parser = Parser::new(text, tokens);
    if parser.peek() == Kind::Eof {
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
    /// What is being read, for messages.
    pub context: Context,
    pub ast: Ast,
    /// What `step()` in a duration stands for, in seconds. Of no matter where only syntax counts.
    pub step: f64,
    /// What `range()` in a duration stands for, likewise.
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
            context: Context::default(),
            ast: Ast {
                nodes: Vec::with_capacity(capacity),
                matchers: Vec::with_capacity(capacity),
                begins: Vec::with_capacity(capacity),
            },
            step: 0.0,
            range: 0.0,
        }
    }

    /// Looks again at a token of a text that was parsed before, now knowing `step()` and `range()`, in seconds.
    pub fn again(text: &'a [u8], tokens: &'a [Token], at: TokenId, step: f64, range: f64) -> Self {
        let context = Context::default();
        Parser { text, tokens, fault: None, at: at as usize, depth: 0, context, ast: Ast::default(), step, range }
    }

    /// Operators of at least this precedence, and their operands.
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
        while matches!(self.peek(), Kind::Add | Kind::Sub) {
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
        let calls = self.peek_second() == Kind::LeftParen;
        let node = match kind {
            Kind::Number | Kind::Duration => {
                self.number()?;
                self.push(Node::Number, begin)
            }
            Kind::String => {
                self.bump();
                self.push(Node::String, begin)
            }
            Kind::LeftParen => {
                self.bump();
                let inner = self.nested(|p| p.expression(1))?;
                self.expect(Kind::RightParen)?;
                self.push(Node::Paren { inner }, begin)
            }
            Kind::LeftBrace => self.selector()?,
            kind if kind.is_function_name() && calls => self.call()?,
            kind if kind.aggregator().is_some() && (calls || self.grouping_follows()) => self.aggregate(kind)?,
            kind if kind.is_metric_name() => self.selector()?,
            _ => return Err(self.unexpected()),
        };
        self.postfix(node)
    }

    fn call(&mut self) -> Result<NodeId, Fault> {
        let name = self.here();
        // Only a comment before the parenthesis makes these the name of a function, which no upstream has. Written
        // again without the comment, it would be the modifier.
        if let Some(Kind::Fill | Kind::FillLeft | Kind::FillRight) = Kind::keyword(self.text_of(name)) {
            let name = quote::string(self.text_of(name));
            return Err(self.fault_from(self.here(), format!("unknown function with name {name}")));
        }
        self.bump();
        let arguments = self.nested(Self::arguments)?;
        let node = Node::Call { name, arguments: arguments.count, second: arguments.second };
        Ok(self.push(node, name))
    }

    fn grouping_follows(&self) -> bool {
        matches!(self.peek_second(), Kind::By | Kind::Without)
    }

    fn aggregate(&mut self, kind: Kind) -> Result<NodeId, Fault> {
        let begin = self.here();
        self.bump();
        let outer = self.enter("aggregation", "");
        let grouped = self.aggregate_grouping()?;
        if self.peek() != Kind::LeftParen {
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

    fn arguments(&mut self) -> Result<Arguments, Fault> {
        let mut arguments = Arguments::default();
        self.expect(Kind::LeftParen)?;
        if self.take(Kind::RightParen) {
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
            if !self.take(Kind::Comma) {
                self.expect(Kind::RightParen)?;
                return Ok(arguments);
            }
            if matches!(self.peek(), Kind::RightParen | Kind::Comma) {
                return Err(self.fault_from(comma, "trailing commas not allowed in function call args"));
            }
        }
    }

    /// A number or duration literal; its value, a duration's in seconds.
    pub fn number(&mut self) -> Result<f64, Fault> {
        let text = self.text_of(self.here());
        let value = match self.peek() {
            Kind::Number => literal::number(text).ok_or("error parsing number:"),
            Kind::Duration => match literal::duration(text) {
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

    /// Reads what is nested one level deeper. Checked before the stack can suffer.
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

    /// What may be modified of a node: a selector's own modifiers, also through its range, or a subquery's.
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

    /// The token at hand.
    pub fn here(&self) -> TokenId {
        self.at as TokenId
    }

    pub fn peek(&self) -> Kind {
        self.tokens.get(self.at).map_or(Kind::Eof, |t| t.kind)
    }

    pub fn peek_second(&self) -> Kind {
        self.tokens.get(self.at + 1).map_or(Kind::Eof, |t| t.kind)
    }

    /// Goes on, but never past the end.
    pub fn bump(&mut self) {
        self.at += usize::from(self.at + 1 < self.tokens.len());
    }

    pub fn take(&mut self, kind: Kind) -> bool {
        let found = self.peek() == kind;
        if found {
            self.bump();
        }
        found
    }

    pub fn expect(&mut self, kind: Kind) -> Result<(), Fault> {
        if self.take(kind) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_end(&self) -> Result<(), Fault> {
        if self.peek() == Kind::Eof { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn token(&self, id: TokenId) -> Option<&Token> {
        self.tokens.get(id as usize)
    }

    pub fn text_of(&self, id: TokenId) -> &'a [u8] {
        text_of(self.text, self.tokens, id)
    }

    /// A fault from the given token up to the one at hand.
    pub fn fault_from(&self, begin: TokenId, message: impl Into<String>) -> Fault {
        let start = self.token(begin).map_or(0, |t| t.start);
        let end = self.token(self.here()).map_or(start, |t| t.end);
        Fault::syntax(start, end, message)
    }

    /// The token at hand fits nowhere.
    pub fn unexpected(&self) -> Fault {
        let kind = self.peek();
        if let (Kind::Error, Some(fault)) = (kind, self.fault) {
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

    /// As `unexpected`, with other words for what was being read.
    pub fn unexpected_in(&mut self, reading: &'static str, expected: &'static str) -> Fault {
        self.enter(reading, expected);
        self.unexpected()
    }

    /// Says what is being read from here on; returns what was read before, to be put back.
    pub fn enter(&mut self, reading: &'static str, expected: &'static str) -> Context {
        std::mem::replace(&mut self.context, Context { reading, expected })
    }
}

/// What Prometheus says it was reading, and what could have stood there, when a token surprises it: the innermost
/// rule with an `error` alternative in its grammar.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Context {
    reading: &'static str,
    expected: &'static str,
}

/// The text of a token.
pub(super) fn text_of<'a>(text: &'a [u8], tokens: &[Token], id: TokenId) -> &'a [u8] {
    let token = tokens.get(id as usize);
    token.and_then(|t| text.get(t.start as usize..t.end as usize)).unwrap_or_default()
}

#[derive(Default)]
struct Arguments {
    count: u32,
    first: Option<NodeId>,
    second: Option<NodeId>,
}
