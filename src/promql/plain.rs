//! A query in a plain form, without comments and without differences in white space. `blocked_queries` compares queries in it.

use super::Query;
use super::ast::Node;

impl Query<'_> {
    /// Whether the whole query is a range vector, such as `up[5m]`. The answer to such an instant query is a matrix.
    pub fn is_range(&self) -> bool {
        let mut nodes = self.ast.nodes.iter().rev().skip_while(|node| matches!(node, Node::Paren { .. }));
        matches!(nodes.next(), Some(Node::Matrix { .. } | Node::Subquery { .. }))
    }

    /// The text of the query without comments. Each run of white space becomes one space. With `everywhere`, there is one space
    /// between all tokens, so that queries that differ only in white space have the same text.
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
