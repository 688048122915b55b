//! The tokens that the lexer makes of a query.
//!
//! The kinds are those of Prometheus's lexer (promql/parser/lex.go, 3.16), except those that only its test language uses. A token
//! holds its position in the text, and no copy of the text.

use super::quote;
use crate::scope::MatchOp;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The kind of token.
    pub kind: TokenKind,
    /// Whether white space or a comment stands before the token.
    pub spaced: bool,
    /// The offset of its first byte in the query.
    pub start: u32,
    /// The offset after its last byte.
    pub end: u32,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[rustfmt::skip]
pub enum TokenKind {
    // The end of the text, and the point where the lexer could not read on.
    Eof, Error,
    // Names and literals.
    Identifier, MetricIdentifier, String, Number, Duration,
    // Punctuation.
    LeftParen, RightParen, LeftBrace, RightBrace, LeftBracket, RightBracket, Comma, Colon, At,
    // Matching operators. `!=` is below, since it is also a comparison.
    Equal, EqualRegex, NotEqualRegex,
    // Operators.
    Add, Sub, Mul, Div, Mod, Pow, EqualEqual, NotEqual, Less, LessEqual, Greater, GreaterEqual,
    TrimUpper, TrimLower, And, Or, Unless, Atan2,
    // Aggregators.
    Sum, Avg, Count, Min, Max, Group, Stddev, Stdvar, Topk, Bottomk, CountValues, Quantile, Limitk, LimitRatio,
    // Keywords.
    Offset, Smoothed, Anchored, By, Without, On, Ignoring, GroupLeft, GroupRight, Fill, FillLeft, FillRight, Bool,
    // Names of functions that are allowed only after `@` or in a duration.
    Start, End, Step, Range, MaxOf, MinOf,
}

impl TokenKind {
    /// The kind of a word that is a keyword, in upper or lower case. `None` for all other words.
    pub fn keyword(word: &[u8]) -> Option<TokenKind> {
        const LONGEST: usize = "count_values".len();
        if word.len() > LONGEST {
            return None;
        }
        let mut lower = [0; LONGEST];
        for (to, from) in lower.iter_mut().zip(word) {
            *to = from.to_ascii_lowercase();
        }
        Some(match lower.get(..word.len())? {
            b"and" => TokenKind::And,
            b"or" => TokenKind::Or,
            b"unless" => TokenKind::Unless,
            b"atan2" => TokenKind::Atan2,
            b"sum" => TokenKind::Sum,
            b"avg" => TokenKind::Avg,
            b"count" => TokenKind::Count,
            b"min" => TokenKind::Min,
            b"max" => TokenKind::Max,
            b"group" => TokenKind::Group,
            b"stddev" => TokenKind::Stddev,
            b"stdvar" => TokenKind::Stdvar,
            b"topk" => TokenKind::Topk,
            b"bottomk" => TokenKind::Bottomk,
            b"count_values" => TokenKind::CountValues,
            b"quantile" => TokenKind::Quantile,
            b"limitk" => TokenKind::Limitk,
            b"limit_ratio" => TokenKind::LimitRatio,
            b"offset" => TokenKind::Offset,
            b"smoothed" => TokenKind::Smoothed,
            b"anchored" => TokenKind::Anchored,
            b"by" => TokenKind::By,
            b"without" => TokenKind::Without,
            b"on" => TokenKind::On,
            b"ignoring" => TokenKind::Ignoring,
            b"group_left" => TokenKind::GroupLeft,
            b"group_right" => TokenKind::GroupRight,
            b"fill" => TokenKind::Fill,
            b"fill_left" => TokenKind::FillLeft,
            b"fill_right" => TokenKind::FillRight,
            b"bool" => TokenKind::Bool,
            b"start" => TokenKind::Start,
            b"end" => TokenKind::End,
            b"inf" | b"nan" => TokenKind::Number,
            word => return TokenKind::duration_keyword(word),
        })
    }

    /// The operator of a matcher. `None` if the token is no such operator.
    pub fn match_op(self) -> Option<MatchOp> {
        Some(match self {
            TokenKind::Equal => MatchOp::Equal,
            TokenKind::NotEqual => MatchOp::NotEqual,
            TokenKind::EqualRegex => MatchOp::Regex,
            TokenKind::NotEqualRegex => MatchOp::NotRegex,
            _ => return None,
        })
    }

    /// The kind of a word that may occur in a duration. The word is given in lower case.
    pub fn duration_keyword(word: &[u8]) -> Option<TokenKind> {
        Some(match word {
            b"step" => TokenKind::Step,
            b"range" => TokenKind::Range,
            b"max_of" => TokenKind::MaxOf,
            b"min_of" => TokenKind::MinOf,
            _ => return None,
        })
    }

    /// Whether the token may be a metric name where an operand is expected (`metric_identifier` in generated_parser.y).
    pub fn is_metric_name(self) -> bool {
        match self {
            TokenKind::Identifier | TokenKind::MetricIdentifier => true,
            TokenKind::And | TokenKind::Or | TokenKind::Unless => true,
            TokenKind::By | TokenKind::Without | TokenKind::Offset | TokenKind::Smoothed | TokenKind::Anchored => true,
            TokenKind::Fill | TokenKind::FillLeft | TokenKind::FillRight => true,
            TokenKind::Start
            | TokenKind::End
            | TokenKind::Step
            | TokenKind::Range
            | TokenKind::MaxOf
            | TokenKind::MinOf => true,
            TokenKind::Atan2
            | TokenKind::Bool
            | TokenKind::On
            | TokenKind::Ignoring
            | TokenKind::GroupLeft
            | TokenKind::GroupRight => false,
            TokenKind::Sum
            | TokenKind::Avg
            | TokenKind::Count
            | TokenKind::Min
            | TokenKind::Max
            | TokenKind::Group
            | TokenKind::Stddev => true,
            TokenKind::Stdvar | TokenKind::Topk | TokenKind::Bottomk | TokenKind::CountValues | TokenKind::Quantile => {
                true
            }
            TokenKind::Limitk | TokenKind::LimitRatio => true,
            TokenKind::Eof | TokenKind::Error | TokenKind::String | TokenKind::Number | TokenKind::Duration => false,
            TokenKind::LeftParen | TokenKind::RightParen | TokenKind::LeftBrace | TokenKind::RightBrace => false,
            TokenKind::LeftBracket | TokenKind::RightBracket | TokenKind::Comma | TokenKind::Colon | TokenKind::At => {
                false
            }
            TokenKind::Equal | TokenKind::EqualRegex | TokenKind::NotEqualRegex => false,
            TokenKind::Add | TokenKind::Sub | TokenKind::Mul | TokenKind::Div | TokenKind::Mod | TokenKind::Pow => {
                false
            }
            TokenKind::EqualEqual | TokenKind::NotEqual | TokenKind::Less | TokenKind::LessEqual => false,
            TokenKind::Greater | TokenKind::GreaterEqual | TokenKind::TrimUpper | TokenKind::TrimLower => false,
        }
    }

    /// Whether the token may be a label name in a grouping or matching list (`maybe_label` in generated_parser.y). That rule accepts
    /// `bool` and similar words, which can't be metric names, and does not accept `without`.
    pub fn is_grouping_label(self) -> bool {
        match self {
            TokenKind::Without => false,
            TokenKind::Atan2
            | TokenKind::Bool
            | TokenKind::On
            | TokenKind::Ignoring
            | TokenKind::GroupLeft
            | TokenKind::GroupRight => true,
            other => other.is_metric_name(),
        }
    }

    /// Whether the token is the name of a function if `(` follows.
    pub fn is_function_name(self) -> bool {
        self == TokenKind::Identifier || self.is_preprocessor()
    }

    fn is_preprocessor(self) -> bool {
        matches!(
            self,
            TokenKind::Start
                | TokenKind::End
                | TokenKind::Step
                | TokenKind::Range
                | TokenKind::MaxOf
                | TokenKind::MinOf
        )
    }

    /// How many arguments the aggregator takes. `None` if the token is no aggregator.
    pub fn aggregator(self) -> Option<Aggregator> {
        match self {
            TokenKind::Topk
            | TokenKind::Bottomk
            | TokenKind::CountValues
            | TokenKind::Quantile
            | TokenKind::Limitk
            | TokenKind::LimitRatio => Some(Aggregator::WithParameter),
            TokenKind::Sum
            | TokenKind::Avg
            | TokenKind::Count
            | TokenKind::Min
            | TokenKind::Max
            | TokenKind::Group
            | TokenKind::Stddev
            | TokenKind::Stdvar => Some(Aggregator::Plain),
            _ => None,
        }
    }

    fn is_operator(self) -> bool {
        self == TokenKind::At
            || self.precedence().is_some()
            || matches!(self, TokenKind::EqualRegex | TokenKind::NotEqualRegex)
    }

    fn is_keyword(self) -> bool {
        matches!(
            self,
            TokenKind::Offset
                | TokenKind::Smoothed
                | TokenKind::Anchored
                | TokenKind::By
                | TokenKind::Without
                | TokenKind::On
                | TokenKind::Ignoring
                | TokenKind::GroupLeft
                | TokenKind::GroupRight
                | TokenKind::Fill
                | TokenKind::FillLeft
                | TokenKind::FillRight
                | TokenKind::Bool
        )
    }

    /// How tightly a binary operator binds, from 1 (loosest). `None` if the token is no binary operator.
    pub fn precedence(self) -> Option<u8> {
        match self {
            TokenKind::Or => Some(1),
            TokenKind::And | TokenKind::Unless => Some(2),
            TokenKind::EqualEqual | TokenKind::NotEqual | TokenKind::Less | TokenKind::LessEqual => Some(3),
            TokenKind::Greater | TokenKind::GreaterEqual | TokenKind::TrimUpper | TokenKind::TrimLower => Some(3),
            TokenKind::Add | TokenKind::Sub => Some(4),
            TokenKind::Mul | TokenKind::Div | TokenKind::Mod | TokenKind::Atan2 => Some(5),
            TokenKind::Pow => Some(POW_PRECEDENCE),
            _ => None,
        }
    }

    /// Whether the token is a comparison, which `bool` may follow.
    pub fn is_comparison(self) -> bool {
        self.precedence() == Some(3) && !matches!(self, TokenKind::TrimUpper | TokenKind::TrimLower)
    }

    /// Whether the token is `and`, `or` or `unless`.
    pub fn is_set_operator(self) -> bool {
        matches!(self, TokenKind::And | TokenKind::Or | TokenKind::Unless)
    }
}

/// The precedence of `^`, which binds tightest and is right-associative.
pub const POW_PRECEDENCE: u8 = 6;

/// How many arguments an aggregator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregator {
    /// The vector alone.
    Plain,
    /// A parameter and the vector.
    WithParameter,
}

/// The token in the words of Prometheus's messages (`Item.desc` in lex.go).
pub fn describe(kind: TokenKind, text: &[u8]) -> String {
    let quoted = quote::string(text);
    match kind {
        TokenKind::Eof => "end of input".into(),
        TokenKind::Error => String::from_utf8_lossy(text).into_owned(),
        TokenKind::Identifier => format!("identifier {quoted}"),
        TokenKind::MetricIdentifier => format!("metric identifier {quoted}"),
        TokenKind::String => format!("string {}", quote::shortened(text)),
        TokenKind::Number => format!("number {}", quote::shortened(text)),
        TokenKind::Duration => format!("duration {}", quote::shortened(text)),
        kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(text)),
        kind if kind.is_operator() => format!("<op:{}>", String::from_utf8_lossy(text)),
        kind if kind.aggregator().is_some() => format!("<aggr:{}>", String::from_utf8_lossy(text)),
        _ => quoted,
    }
}
