//! What it costs an upstream to print an expression, as `format_query` does.
//!
//! Prometheus (`Pretty` in promql/parser/prettier.go, 3.16) prints each node anew at each level above it, indented by its level, so that
//! the cost grows with the length of the text times the square of the depth of its tree. 2,000 parentheses around a number took 23.6 s,
//! and a chain of 2,000 additions, which is a tree of 2,000 levels, 16.5 s.

use super::ast::{Ast, TokenId};
use super::error::{Error, ErrorKind, Fault};

/// The largest product of an expression's length in bytes and the square of its tree's depth. Prometheus needs about 0.15 s for it.
pub const MAX_PRINTING: u64 = 100_000_000;

/// Refuses an expression that costs too much to print.
pub fn check(text: &[u8], ast: &Ast) -> Result<(), Error> {
    let (length, depth) = (text.len() as u64, depth(ast));
    if length.saturating_mul(depth).saturating_mul(depth) <= MAX_PRINTING {
        return Ok(());
    }
    let message = format!("{length} bytes with a tree of {depth} levels cost the upstream too much");
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    Err(Fault { kind: ErrorKind::TooLarge, message, start: 0, end }.locate(text))
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
    fn what_costs_too_much_to_print_is_refused() {
        let check = |text: &str| {
            let query = Query::parse(text.as_bytes()).unwrap();
            query.check_printing().map_err(|error| error.kind)
        };
        let chain = |terms: usize| vec!["1"; terms].join("+");
        let nested = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
        assert_eq!(check(&nested(MAX_DEPTH as usize - 1)), Ok(()));
        assert_eq!(check(&chain(360)), Ok(()));
        assert_eq!(check(&chain(380)), Err(ErrorKind::TooLarge));
        assert_eq!(check(&chain(2_000)), Err(ErrorKind::TooLarge));
        // Many trees that are deep beside each other cost as much as one that is deeper.
        let deep = nested(200);
        assert_eq!(check(&format!("f({})", vec![&*deep; 5].join(","))), Ok(()));
        assert_eq!(check(&format!("f({})", vec![&*deep; 20].join(","))), Err(ErrorKind::TooLarge));
        // What is wide is not deep.
        assert_eq!(check(&format!("f({})", vec!["rate(a[5m])"; 10_000].join(","))), Ok(()));
    }
}
