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
    pub kind: Kind,
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
pub enum Kind {
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

impl Kind {
    /// The kind of a word that is a keyword, in upper or lower case. `None` for all other words.
    pub fn keyword(word: &[u8]) -> Option<Kind> {
        const LONGEST: usize = "count_values".len();
        if word.len() > LONGEST {
            return None;
        }
        let mut lower = [0; LONGEST];
        for (to, from) in lower.iter_mut().zip(word) {
            *to = from.to_ascii_lowercase();
        }
        Some(match lower.get(..word.len())? {
            b"and" => Kind::And,
            b"or" => Kind::Or,
            b"unless" => Kind::Unless,
            b"atan2" => Kind::Atan2,
            b"sum" => Kind::Sum,
            b"avg" => Kind::Avg,
            b"count" => Kind::Count,
            b"min" => Kind::Min,
            b"max" => Kind::Max,
            b"group" => Kind::Group,
            b"stddev" => Kind::Stddev,
            b"stdvar" => Kind::Stdvar,
            b"topk" => Kind::Topk,
            b"bottomk" => Kind::Bottomk,
            b"count_values" => Kind::CountValues,
            b"quantile" => Kind::Quantile,
            b"limitk" => Kind::Limitk,
            b"limit_ratio" => Kind::LimitRatio,
            b"offset" => Kind::Offset,
            b"smoothed" => Kind::Smoothed,
            b"anchored" => Kind::Anchored,
            b"by" => Kind::By,
            b"without" => Kind::Without,
            b"on" => Kind::On,
            b"ignoring" => Kind::Ignoring,
            b"group_left" => Kind::GroupLeft,
            b"group_right" => Kind::GroupRight,
            b"fill" => Kind::Fill,
            b"fill_left" => Kind::FillLeft,
            b"fill_right" => Kind::FillRight,
            b"bool" => Kind::Bool,
            b"start" => Kind::Start,
            b"end" => Kind::End,
            b"inf" | b"nan" => Kind::Number,
            word => return Kind::duration_keyword(word),
        })
    }

    /// The operator of a matcher. `None` if the token is no such operator.
    pub fn match_op(self) -> Option<MatchOp> {
        Some(match self {
            Kind::Equal => MatchOp::Equal,
            Kind::NotEqual => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotEqualRegex => MatchOp::NotRegex,
            _ => return None,
        })
    }

    /// The kind of a word that may occur in a duration. The word is given in lower case.
    pub fn duration_keyword(word: &[u8]) -> Option<Kind> {
        Some(match word {
            b"step" => Kind::Step,
            b"range" => Kind::Range,
            b"max_of" => Kind::MaxOf,
            b"min_of" => Kind::MinOf,
            _ => return None,
        })
    }

    /// Whether the token may be a metric name where an operand is expected (`metric_identifier` in generated_parser.y).
    pub fn is_metric_name(self) -> bool {
        match self {
            Kind::Identifier | Kind::MetricIdentifier => true,
            Kind::And | Kind::Or | Kind::Unless => true,
            Kind::By | Kind::Without | Kind::Offset | Kind::Smoothed | Kind::Anchored => true,
            Kind::Fill | Kind::FillLeft | Kind::FillRight => true,
            Kind::Start | Kind::End | Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf => true,
            Kind::Atan2 | Kind::Bool | Kind::On | Kind::Ignoring | Kind::GroupLeft | Kind::GroupRight => false,
            Kind::Sum | Kind::Avg | Kind::Count | Kind::Min | Kind::Max | Kind::Group | Kind::Stddev => true,
            Kind::Stdvar | Kind::Topk | Kind::Bottomk | Kind::CountValues | Kind::Quantile => true,
            Kind::Limitk | Kind::LimitRatio => true,
            Kind::Eof | Kind::Error | Kind::String | Kind::Number | Kind::Duration => false,
            Kind::LeftParen | Kind::RightParen | Kind::LeftBrace | Kind::RightBrace => false,
            Kind::LeftBracket | Kind::RightBracket | Kind::Comma | Kind::Colon | Kind::At => false,
            Kind::Equal | Kind::EqualRegex | Kind::NotEqualRegex => false,
            Kind::Add | Kind::Sub | Kind::Mul | Kind::Div | Kind::Mod | Kind::Pow => false,
            Kind::EqualEqual | Kind::NotEqual | Kind::Less | Kind::LessEqual => false,
            Kind::Greater | Kind::GreaterEqual | Kind::TrimUpper | Kind::TrimLower => false,
        }
    }

    /// Whether the token may be a label name in a grouping or matching list (`maybe_label` in generated_parser.y). That rule accepts
    /// `bool` and similar words, which can't be metric names, and does not accept `without`.
    pub fn is_grouping_label(self) -> bool {
        match self {
            Kind::Without => false,
            Kind::Atan2 | Kind::Bool | Kind::On | Kind::Ignoring | Kind::GroupLeft | Kind::GroupRight => true,
            other => other.is_metric_name(),
        }
    }

    /// Whether the token is the name of a function if `(` follows.
    pub fn is_function_name(self) -> bool {
        self == Kind::Identifier || self.is_preprocessor()
    }

    fn is_preprocessor(self) -> bool {
        matches!(self, Kind::Start | Kind::End | Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf)
    }

    /// How many arguments the aggregator takes. `None` if the token is no aggregator.
    pub fn aggregator(self) -> Option<Aggregator> {
        match self {
            Kind::Topk | Kind::Bottomk | Kind::CountValues | Kind::Quantile | Kind::Limitk | Kind::LimitRatio => {
                Some(Aggregator::WithParameter)
            }
            Kind::Sum | Kind::Avg | Kind::Count | Kind::Min | Kind::Max | Kind::Group | Kind::Stddev | Kind::Stdvar => {
                Some(Aggregator::Plain)
            }
            _ => None,
        }
    }

    fn is_operator(self) -> bool {
        self == Kind::At || self.precedence().is_some() || matches!(self, Kind::EqualRegex | Kind::NotEqualRegex)
    }

    fn is_keyword(self) -> bool {
        matches!(
            self,
            Kind::Offset
                | Kind::Smoothed
                | Kind::Anchored
                | Kind::By
                | Kind::Without
                | Kind::On
                | Kind::Ignoring
                | Kind::GroupLeft
                | Kind::GroupRight
                | Kind::Fill
                | Kind::FillLeft
                | Kind::FillRight
                | Kind::Bool
        )
    }

    /// How tightly a binary operator binds, from 1 (loosest). `None` if the token is no binary operator.
    pub fn precedence(self) -> Option<u8> {
        match self {
            Kind::Or => Some(1),
            Kind::And | Kind::Unless => Some(2),
            Kind::EqualEqual | Kind::NotEqual | Kind::Less | Kind::LessEqual => Some(3),
            Kind::Greater | Kind::GreaterEqual | Kind::TrimUpper | Kind::TrimLower => Some(3),
            Kind::Add | Kind::Sub => Some(4),
            Kind::Mul | Kind::Div | Kind::Mod | Kind::Atan2 => Some(5),
            Kind::Pow => Some(POW_PRECEDENCE),
            _ => None,
        }
    }

    /// Whether the token is a comparison, which `bool` may follow.
    pub fn is_comparison(self) -> bool {
        self.precedence() == Some(3) && !matches!(self, Kind::TrimUpper | Kind::TrimLower)
    }

    /// Whether the token is `and`, `or` or `unless`.
    pub fn is_set_operator(self) -> bool {
        matches!(self, Kind::And | Kind::Or | Kind::Unless)
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
pub fn describe(kind: Kind, text: &[u8]) -> String {
    let quoted = quote::string(text);
    match kind {
        Kind::Eof => "end of input".into(),
        Kind::Error => String::from_utf8_lossy(text).into_owned(),
        Kind::Identifier => format!("identifier {quoted}"),
        Kind::MetricIdentifier => format!("metric identifier {quoted}"),
        Kind::String => format!("string {}", quote::shortened(text)),
        Kind::Number => format!("number {}", quote::shortened(text)),
        Kind::Duration => format!("duration {}", quote::shortened(text)),
        kind if kind.is_keyword() => format!("<{}>", String::from_utf8_lossy(text)),
        kind if kind.is_operator() => format!("<op:{}>", String::from_utf8_lossy(text)),
        kind if kind.aggregator().is_some() => format!("<aggr:{}>", String::from_utf8_lossy(text)),
        _ => quoted,
    }
}
