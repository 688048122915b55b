//! The tree that the parser builds: one list of nodes, children before their parents.
//!
//! A list, and no tree of boxes: to look at every selector is to look at every element, whatever the nesting, so
//! that none can be missed and no recursion can run out of stack.

use super::token::Kind;
use std::num::NonZeroU32;

/// A node's place in `Ast::nodes`.
pub type NodeId = u32;

/// A token's place in the token list.
pub type TokenId = u32;

/// A parsed expression or selector.
#[derive(Debug, Default)]
pub struct Ast {
    /// All nodes, children before parents; selectors in the order of the text.
    pub nodes: Vec<Node>,
    /// The matchers of all selectors, in the order of the text.
    pub matchers: Vec<LabelMatcher>,
    /// The token with which each node begins. What a node holds stands right before it in `nodes`, and begins no earlier.
    pub begins: Vec<TokenId>,
}

/// A node. What the text says of it is in the tokens.
#[derive(Debug)]
pub enum Node {
    /// A number, or a duration used as one.
    Number,
    /// A string.
    String,
    /// A vector selector.
    Selector(Selector),
    /// `selector[5m]`.
    Matrix {
        /// The `Node::Selector`.
        selector: NodeId,
        /// Where the range begins, behind `[`.
        range: TokenId,
    },
    /// `expression[1h:5m]`.
    Subquery {
        /// What is evaluated at each step.
        expression: NodeId,
        /// Where the range begins, behind `[`.
        range: TokenId,
        /// Where the step begins, behind `:`.
        step: Option<NonZeroU32>,
        /// `offset` and `@` behind it.
        modifiers: Modifiers,
    },
    /// `sum by (…) (…)`.
    Aggregate {
        /// The first of two arguments: an expression of its own, with selectors of its own.
        parameter: Option<NodeId>,
        /// What is aggregated.
        expression: NodeId,
    },
    /// `name(…)`.
    Call {
        /// The function's name.
        name: TokenId,
        /// How many arguments it has.
        arguments: u32,
        /// The second argument, which `info()` reads in its own way.
        second: Option<NodeId>,
    },
    /// `left op right`.
    Binary {
        /// The operator.
        operator: Kind,
        /// Its left operand.
        left: NodeId,
        /// Its right operand.
        right: NodeId,
    },
    /// `-operand` or `+operand`.
    Unary {
        /// What the sign stands before.
        operand: NodeId,
    },
    /// `(inner)`.
    Paren {
        /// What stands between the parentheses.
        inner: NodeId,
    },
}

/// A vector selector: `name`, `name{…}` or `{…}`.
#[derive(Debug)]
pub struct Selector {
    /// The metric's name before the braces.
    pub name: Option<TokenId>,
    /// The braces.
    pub braces: Option<Braces>,
    /// `offset`, `@`, `anchored` and `smoothed` behind it.
    pub modifiers: Modifiers,
}

/// The part of a selector between braces.
#[derive(Debug, Clone, Copy)]
pub struct Braces {
    /// `{`
    pub open: TokenId,
    /// `}`
    pub close: NonZeroU32,
    /// Its first matcher in `Ast::matchers`.
    pub first: u32,
    /// How many matchers it has.
    pub count: u32,
}

/// What stands behind a selector or subquery. Prometheus takes each of them once.
#[derive(Debug, Default, Clone, Copy)]
pub struct Modifiers {
    /// The first of `offset` and `@`; the other stands behind it. Not each has its place here, since small nodes are
    /// written and read faster.
    pub place: Option<NonZeroU32>,
    /// An `offset` other than 0.
    pub offset: bool,
    /// An `@`.
    pub at: bool,
    /// `anchored`.
    pub anchored: bool,
    /// `smoothed`.
    pub smoothed: bool,
}

/// A matcher as it was written.
#[derive(Debug, Clone, Copy)]
pub enum LabelMatcher {
    /// `name="value"`, the name a word or a string.
    Label {
        /// The label's name.
        name: TokenId,
        /// `=`, `!=`, `=~` or `!~`.
        operator: TokenId,
        /// The string compared with.
        value: TokenId,
    },
    /// `"name"`: the metric's name, between braces.
    Metric {
        /// The string.
        name: TokenId,
    },
}

impl Ast {
    /// The matchers between a selector's braces.
    pub fn matchers_of(&self, selector: &Selector) -> &[LabelMatcher] {
        let Some(braces) = selector.braces else { return &[] };
        let first = braces.first as usize;
        self.matchers.get(first..first + braces.count as usize).unwrap_or_default()
    }
}
