//! The tree that the parser builds: one list of nodes, children before their parents.
//!
//! The tree is a list, not boxes that point to each other: a loop over the list visits every selector, however deeply the query
//! is nested. No selector can be missed, and there is no recursion that could overflow the stack.

use super::token::TokenKind;
use std::num::NonZeroU32;

/// The index of a node in `Ast::nodes`.
pub type NodeId = u32;

/// The index of a token in the token list.
pub type TokenId = u32;

/// A parsed expression or selector.
#[derive(Debug, Default)]
pub struct Ast {
    /// All nodes. Children stand before their parents, and selectors in the order of the text.
    pub nodes: Vec<Node>,
    /// The matchers of all selectors, in the order of the text.
    pub matchers: Vec<LabelMatcher>,
    /// The first token of each node. The descendants of a node stand directly before it in `nodes`, and none of them begins
    /// earlier than the node.
    pub begins: Vec<TokenId>,
}

/// A node. It refers to tokens and holds no text.
#[derive(Debug)]
pub enum Node {
    /// A number, or a duration that is used as a number.
    Number,
    /// A string.
    String,
    /// A vector selector.
    Selector(Selector),
    /// `selector[5m]`.
    Matrix {
        /// The `Node::Selector`.
        selector: NodeId,
        /// The first token of the range, after `[`.
        range: TokenId,
    },
    /// `expression[1h:5m]`.
    Subquery {
        /// The expression that is evaluated at each step.
        expression: NodeId,
        /// The first token of the range, after `[`.
        range: TokenId,
        /// The first token of the step, after `:`.
        step: Option<NonZeroU32>,
        /// `offset` and `@` after the subquery.
        modifiers: Modifiers,
    },
    /// `sum by (…) (…)`.
    Aggregate {
        /// The first of two arguments. It is an expression and can hold selectors.
        parameter: Option<NodeId>,
        /// The expression that is aggregated.
        expression: NodeId,
    },
    /// `name(…)`.
    Call {
        /// The function's name.
        name: TokenId,
        /// How many arguments the call has.
        arguments: u32,
        /// The second argument. `info()` uses it as a selector of data labels.
        second: Option<NodeId>,
    },
    /// `left op right`.
    Binary {
        /// The operator.
        operator: TokenKind,
        /// The left operand.
        left: NodeId,
        /// The right operand.
        right: NodeId,
    },
    /// `-operand` or `+operand`.
    Unary {
        /// The operand after the sign.
        operand: NodeId,
    },
    /// `(inner)`.
    Paren {
        /// The expression between the parentheses.
        inner: NodeId,
    },
}

/// A vector selector: `name`, `name{…}` or `{…}`.
#[derive(Debug)]
pub struct Selector {
    /// The metric name before the braces.
    pub name: Option<TokenId>,
    /// The braces.
    pub braces: Option<Braces>,
    /// `offset`, `@`, `anchored` and `smoothed` after the selector.
    pub modifiers: Modifiers,
}

/// The part of a selector between braces.
#[derive(Debug, Clone, Copy)]
pub struct Braces {
    /// `{`
    pub open: TokenId,
    /// `}`
    pub close: NonZeroU32,
    /// The index of the first matcher in `Ast::matchers`.
    pub first: u32,
    /// How many matchers the braces hold.
    pub count: u32,
}

/// The modifiers after a selector or subquery. Prometheus accepts each of them once.
#[derive(Debug, Default, Clone, Copy)]
pub struct Modifiers {
    /// The token of the first of `offset` and `@`; the other follows in the text. Only one index is stored, because small
    /// nodes are written and read faster.
    pub place: Option<NonZeroU32>,
    /// There is an `offset` other than 0.
    pub offset: bool,
    /// There is an `@`.
    pub at: bool,
    /// There is `anchored`.
    pub anchored: bool,
    /// There is `smoothed`.
    pub smoothed: bool,
}

/// A matcher as it was written.
#[derive(Debug, Clone, Copy)]
pub enum LabelMatcher {
    /// `name="value"`. The name is a word or a string.
    Label {
        /// The label name.
        name: TokenId,
        /// `=`, `!=`, `=~` or `!~`.
        operator: TokenId,
        /// The string that the label is compared with.
        value: TokenId,
    },
    /// `"name"`: the metric name, written between the braces.
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
