//! A query without its comments and its choice of white space, to compare it with others.

use super::Query;
use super::ast::Node;

impl Query<'_> {
    /// Whether it is a range of samples as it stands, `up[5m]`: the answer to an instant query is a matrix then.
    pub fn is_range(&self) -> bool {
        let mut nodes = self.ast.nodes.iter().rev().skip_while(|node| matches!(node, Node::Paren { .. }));
        matches!(nodes.next(), Some(Node::Matrix { .. } | Node::Subquery { .. }))
    }

    /// The query's text, comments dropped. White space is one space where there was some, or, with `everywhere`, between all
    /// tokens, so that two queries that differ in nothing else are the same text.
    pub fn plain(&self, everywhere: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len());
        for token in &self.tokens.list {
            let text = self.text.get(token.start as usize..token.end as usize).unwrap_or_default();
            if (token.spaced || everywhere) && !out.is_empty() && !text.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(text);
        }
        out
    }
}
