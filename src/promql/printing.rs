//! What it costs an upstream to print an expression, as `format_query` does, or to write its tree as JSON, as `parse_query` does.
//!
//! Prometheus (`Pretty` in promql/parser/prettier.go, `translateAST` in web/api/v1/translate_ast.go, 3.16) prints each node anew for each
//! level above it, and indents it by its level, so that
//!
//! ```text
//! printing ~ length * levels^2       2,000 parentheses around a number took 23 s, a chain of 2,000 additions 16 s
//! the tree ~ nodes * levels          each node is a JSON object, which is copied for each level above it
//! ```
//!
//! The length is that of the text as it is printed: `1e308` has 309 digits then. A chain of operators is a tree with a level for each of
//! them, and so is the arithmetic of a duration.

use super::ast::{Ast, TokenId};
use super::error::{Error, ErrorKind, Fault};
use super::token::{Token, TokenKind};

/// The largest product of the printed length of an expression and the square of its levels. Prometheus 3.15 needs less than a second for
/// it, whatever the expression (measured with chains, parentheses, functions, aggregations, subqueries and long selectors).
pub const MAX_PRINTING: u64 = 200_000_000;
/// The largest product of the nodes and matchers of an expression and its levels. Prometheus 3.15 needs less than a second for it.
pub const MAX_TREE: u64 = 1_000_000;

/// How many digits `strconv.FormatFloat` writes for a number with an exponent, at most.
const DIGITS: u64 = 330;

/// Refuses an expression that costs too much to print.
pub fn check(text: &[u8], tokens: &[Token], ast: &Ast) -> Result<(), Error> {
    let levels = depth(ast).saturating_add(longest_duration(tokens));
    let nodes = (ast.nodes.len() as u64).saturating_add(ast.matchers.len() as u64);
    let length = printed_length(text, tokens);
    if length.saturating_mul(levels).saturating_mul(levels) <= MAX_PRINTING && nodes.saturating_mul(levels) <= MAX_TREE
    {
        return Ok(());
    }
    let message = format!("{length} bytes with a tree of {nodes} nodes on {levels} levels cost the upstream too much");
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    Err(Fault { kind: ErrorKind::TooLarge, message, start: 0, end }.locate(text))
}

/// An upper bound, but for the spaces and quotes that a printer adds: escapes of a string (`strconv.Quote`), and the digits of numbers.
fn printed_length(text: &[u8], tokens: &[Token]) -> u64 {
    let escaped: u64 = text.iter().map(|&byte| escaped_length(byte)).sum();
    let numbers = tokens.iter().filter(|token| token.kind == TokenKind::Number).filter(|token| {
        let digits = text.get(token.start as usize..token.end as usize).unwrap_or_default();
        digits.iter().any(|byte| matches!(byte, b'e' | b'E' | b'p' | b'P'))
    });
    escaped.saturating_add((numbers.count() as u64).saturating_mul(DIGITS))
}

fn escaped_length(byte: u8) -> u64 {
    match byte {
        b'"' | b'\\' => 2,
        b' '..=b'~' => 1,
        _ => 4,
    }
}

/// How many levels the arithmetic of a duration adds at most: all tokens but one of the longest duration after `[`, `:` or `offset`. The
/// tree has no nodes for durations. After `offset`, a duration may seem to be longer than it is.
fn longest_duration(tokens: &[Token]) -> u64 {
    let (mut longest, mut length, mut is_duration) = (0u64, 0u64, false);
    for token in tokens {
        let begins = matches!(token.kind, TokenKind::LeftBracket | TokenKind::Colon | TokenKind::Offset);
        is_duration = begins || is_duration && is_part_of_a_duration(token.kind);
        length = if is_duration && !begins { length + 1 } else { 0 };
        longest = longest.max(length);
    }
    longest.saturating_sub(1)
}

fn is_part_of_a_duration(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Number
            | TokenKind::Duration
            | TokenKind::LeftParen
            | TokenKind::RightParen
            | TokenKind::Comma
            | TokenKind::Add
            | TokenKind::Sub
            | TokenKind::Mul
            | TokenKind::Div
            | TokenKind::Mod
            | TokenKind::Pow
            | TokenKind::Step
            | TokenKind::Range
            | TokenKind::MaxOf
            | TokenKind::MinOf
    )
}

/// The depth of the tree: 1 for a single node. Linear, and without recursion.
fn depth(ast: &Ast) -> u64 {
    // The subtrees that have no parent yet: their first token and their depth. The descendants of a node stand directly before it, and
    // none of them begins earlier, so its children are the last subtrees that begin where it does or later.
    let mut subtrees: Vec<(TokenId, u64)> = Vec::new();
    for &begin in &ast.begins {
        let mut below = 0;
        while let Some((_, depth)) = subtrees.pop_if(|(child, _)| *child >= begin) {
            below = depth.max(below);
        }
        subtrees.push((begin, below + 1));
    }
    subtrees.iter().map(|(_, depth)| *depth).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_DEPTH, Query};
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_depth_is_that_of_the_tree_as_it_is_printed() {
        for (text, expected) in [
            ("1", 1),
            ("(1)", 2),
            ("((1))", 3),
            ("-1", 2),
            ("1+1", 2),
            ("1+1+1+1", 4),
            ("1+(2+3)", 4),
            ("2^2^2", 3),
            ("f(1, (2), 3)", 3),
            ("f(1, 2, 3) + 1", 3),
            ("f((1), 2) + g((((1))), 2)", 6),
            ("sum by (a) (rate(up[5m]))", 4),
            ("topk((3), up)", 3),
            ("max_over_time(rate(up[5m])[1h:1m])", 5),
            ("a or b or c", 3),
        ] {
            assert_eq!(depth(&Query::parse(text.as_bytes()).unwrap().ast), expected, "{text}");
        }
    }

    #[test]
    fn the_arithmetic_of_a_duration_counts() {
        for (text, expected) in [
            ("up", 0),
            ("up[5m]", 0),
            ("up[5m] offset 1h", 0),
            ("up[1m+1m+1m]", 4),
            ("up[((1m))]", 4),
            ("up offset (1m+1m)", 4),
            ("max_over_time(up[1h:min_of(1m, step())])", 7),
            ("up offset 5m or up offset 5m", 0),
        ] {
            assert_eq!(longest_duration(&Query::parse(text.as_bytes()).unwrap().tokens.list), expected, "{text}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_printed_text() {
        for (text, expected) in [
            ("up", 2),
            ("1e308", 5 + DIGITS),
            ("5E-324 + 5E-324", 15 + 2 * DIGITS),
            ("up{a=`\x01\\`}", 8 + 4 + 2),
            ("up{a=\"\u{e9}\"}", 6 + 2 * 2 + 2 * 4),
        ] {
            let query = Query::parse(text.as_bytes()).unwrap();
            assert_eq!(printed_length(text.as_bytes(), &query.tokens.list), expected, "{text}");
        }
    }

    #[test]
    fn what_costs_too_much_to_print_is_refused() {
        let check = |text: &str| {
            let query = Query::parse(text.as_bytes()).unwrap();
            query.check_printing().map_err(|error| error.kind)
        };
        let chain = |term: &str, terms: usize| vec![term; terms].join("+");
        let nested = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
        let refused = Err(ErrorKind::TooLarge);
        assert_eq!(check(&nested(MAX_DEPTH as usize - 1)), Ok(()));
        assert_eq!(check(&chain("1", 460)), Ok(()));
        assert_eq!(check(&chain("1", 480)), refused);
        assert_eq!(check(&chain("1", 2_000)), refused);
        assert_eq!(check(&chain("1e308", 80)), Ok(()));
        assert_eq!(check(&chain("1e308", 100)), refused);
        assert_eq!(check(&format!("rate(up[{}])", chain("1m", 200))), Ok(()));
        assert_eq!(check(&format!("rate(up[{}])", chain("1m", 1_000))), refused);
        assert_eq!(check(&format!("up offset ({})", chain("1m", 1_000))), refused);
        // Many trees that are deep beside each other cost as much as one that is deeper.
        let deep = nested(200);
        assert_eq!(check(&format!("f({})", [&*deep; 10].join(","))), Ok(()));
        assert_eq!(check(&format!("f({})", [&*deep; 40].join(","))), refused);
        // What is wide is not deep. A balanced sum of 32,768 series, with parentheses, took Prometheus 2.5 s.
        assert_eq!(check(&format!("f({})", vec!["rate(a[5m])"; 10_000].join(","))), Ok(()));
        let balanced = |levels: u32| (0..levels).fold("a".to_owned(), |half, _| format!("({half}+{half})"));
        assert_eq!(check(&balanced(13)), Ok(()));
        assert_eq!(check(&balanced(15)), refused);
    }

    #[test]
    fn what_people_write_is_not_refused() {
        let term = r#"sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{job="kubelet",image!="",node=~"node-[0-9]+"}[5m]))"#;
        for terms in [1, 10, 50, 100] {
            let query = vec![term; terms].join(" or ");
            let query = Query::parse(query.as_bytes()).unwrap();
            assert!(query.check_printing().is_ok(), "{terms}");
        }
        let long = format!("topk(5, up{{pod=~\"{}\"}})", vec!["some-pod-name-0123456789"; 10_000].join("|"));
        Query::parse(long.as_bytes()).unwrap().check_printing().unwrap();
    }
}
