//! Where a query names labels: what a permutation of their names has to change, and nothing else.
//!
//! ```text
//! matcher     = label op string                                              in every selector, that of info() too
//! labels      = ( "by" / "without" / "on" / "ignoring" / "group_left" / "group_right" ) "(" [ label *( "," label ) ] ")"
//! argument    = label_replace( v, LABEL, replacement, LABEL, regex )          strings, by their place in the call
//!             / label_join( v, LABEL, separator, LABEL … )
//!             / sort_by_label( v, LABEL … ) / sort_by_label_desc( v, LABEL … )
//!             / histogram_quantiles( v, LABEL, φ … )
//!             / count_values( LABEL, v )
//! ```
//!
//! Source: promql/parser/functions.go and promql/functions.go in Prometheus 3.16. A string elsewhere, also one that reads like a label, is data.
//! Functions of other engines that take a label's name as a string are not known, and their strings stay.

use super::ast::{Ast, LabelMatcher, Node, TokenId};
use super::literal;
use super::parser::text_of;
use super::token::{Token, TokenKind};
use super::{Query, Reading};
use crate::scope::{Name, Renaming};
use std::borrow::Cow;

/// A token that names a label, and the name that is written in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renamed<'n> {
    pub token: TokenId,
    is_argument: bool,
    name: &'n Name,
}

impl<'n> Renamed<'n> {
    /// Where a name stands that is written as a word if it is one.
    pub fn label(token: TokenId, name: &'n Name) -> Self {
        Renamed { token, is_argument: false, name }
    }

    /// What is written.
    pub fn text(self) -> &'n str {
        // The words of the grammar are no labels in some places, so that they are quoted, as all that is no word.
        let is_word = |text: &str| {
            let mut bytes = text.bytes();
            bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && TokenKind::keyword(text.as_bytes()).is_none()
        };
        if !self.is_argument && is_word(&self.name.text) { &self.name.text } else { &self.name.quoted }
    }
}

/// All tokens whose name changes, in the order of the text. `change`: the new name of one that has another.
pub(super) fn places<'n>(
    text: &[u8],
    tokens: &[Token],
    ast: &Ast,
    change: &dyn Fn(&[u8]) -> Option<&'n Name>,
) -> Vec<Renamed<'n>> {
    // One byte a token: so the places come in the order of the text, and nothing has to be sorted.
    let mut marks = vec![Mark::None; tokens.len()];
    let mut mark = |token: TokenId, as_: Mark| {
        if let Some(place) = marks.get_mut(token as usize) {
            *place = as_;
        }
    };
    for matcher in &ast.matchers {
        match *matcher {
            LabelMatcher::Label { name, .. } => mark(name, Mark::Label),
            LabelMatcher::Metric { name: _ } => {}
        }
    }
    lists(tokens, &mut mark);
    arguments(text, tokens, ast, &mut mark);
    let renamed = marks.into_iter().zip(0..).filter_map(|(mark, token)| {
        let is_argument = match mark {
            Mark::None => return None,
            Mark::Label => false,
            Mark::Argument => true,
        };
        let written = text_of(text, tokens, token);
        let label = match tokens.get(token as usize)?.kind {
            TokenKind::String => literal::string(written),
            _ => Cow::Borrowed(written),
        };
        Some(Renamed { token, is_argument, name: change(&label)? })
    });
    renamed.collect()
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    None,
    Label,
    Argument,
}

/// Marks the labels in lists. In a text that could be parsed, a parenthesis follows one of these words only where a list begins: none of them is a
/// function, and after a metric's name, or a label's in a list, no parenthesis opens.
fn lists(tokens: &[Token], mark: &mut dyn FnMut(TokenId, Mark)) {
    let mut is_in_list = false;
    let mut before = TokenKind::Eof;
    for (token, id) in tokens.iter().zip(0..) {
        match token.kind {
            TokenKind::RightParen => is_in_list = false,
            TokenKind::LeftParen => {
                is_in_list = matches!(
                    before,
                    TokenKind::By
                        | TokenKind::Without
                        | TokenKind::On
                        | TokenKind::Ignoring
                        | TokenKind::GroupLeft
                        | TokenKind::GroupRight
                );
            }
            TokenKind::Comma => {}
            _ if is_in_list => mark(id, Mark::Label),
            _ => {}
        }
        before = token.kind;
    }
}

/// Marks the strings that are arguments and name labels.
fn arguments(text: &[u8], tokens: &[Token], ast: &Ast, mark: &mut dyn FnMut(TokenId, Mark)) {
    // The subtrees that have no parent yet: their first token, and the string that each is, if it is one, in parentheses or not.
    let mut subtrees: Vec<(TokenId, Option<TokenId>)> = Vec::new();
    for (node, &begin) in ast.nodes.iter().zip(&ast.begins) {
        // The descendants of a node stand directly before it, and none of them begins earlier.
        let first = subtrees.partition_point(|(child, _)| *child < begin);
        let children = subtrees.get(first..).unwrap_or_default();
        let string = match node {
            Node::String => Some(begin),
            Node::Paren { inner: _ } => children.first().and_then(|(_, string)| *string),
            Node::Call { name, .. } => {
                let name = text_of(text, tokens, *name);
                let places =
                    FUNCTIONS.iter().find(|(function, _)| function.as_bytes() == name).map_or(0, |(_, bits)| *bits);
                for ((_, string), place) in children.iter().zip(0u32..) {
                    // Beyond the bits there are, an argument is as the last of them.
                    if let Some(string) = string.filter(|_| places >> place.min(31) & 1 == 1) {
                        mark(string, Mark::Argument);
                    }
                }
                None
            }
            Node::Aggregate { parameter: Some(_), expression: _ } => {
                let counts = tokens.get(begin as usize).is_some_and(|token| token.kind == TokenKind::CountValues);
                if let Some((_, Some(string))) = children.first().filter(|_| counts) {
                    mark(*string, Mark::Argument);
                }
                None
            }
            Node::Number
            | Node::Selector(_)
            | Node::Matrix { .. }
            | Node::Subquery { .. }
            | Node::Aggregate { parameter: None, .. }
            | Node::Binary { .. }
            | Node::Unary { .. } => None,
        };
        subtrees.truncate(first);
        subtrees.push((begin, string));
    }
}

/// The functions with arguments that name labels: a bit for the place of each, from 0.
const FUNCTIONS: &[(&str, u32)] = &[
    ("label_replace", 0b1010),
    ("label_join", !0b101),
    ("sort_by_label", !1),
    ("sort_by_label_desc", !1),
    ("histogram_quantiles", 0b10),
];

/// A stored expression, as a rule has one, with the names by which labels are shown. `None` where it can't be read, or nothing changes.
pub fn shown(query: &[u8], renaming: &Renaming) -> Option<Vec<u8>> {
    renamed(query, &|name| renaming.shown(name))
}

/// A client's expression with the names of stored labels: what [`shown`] undoes.
pub fn stored(query: &[u8], renaming: &Renaming) -> Option<Vec<u8>> {
    renamed(query, &|name| renaming.stored(name))
}

fn renamed<'n>(query: &[u8], change: &dyn Fn(&[u8]) -> Option<&'n Name>) -> Option<Vec<u8>> {
    let query = Query::parse_owned(query.to_vec(), Reading::Expression).ok()?;
    let (text, tokens) = (&*query.text, &query.tokens.list);
    let places = places(text, tokens, &query.ast, change);
    let mut out = Vec::with_capacity(text.len().saturating_add(64));
    let mut from = 0;
    for place in &places {
        let token = tokens.get(place.token as usize)?;
        out.extend_from_slice(text.get(from..token.start as usize)?);
        out.extend_from_slice(place.text().as_bytes());
        from = token.end as usize;
    }
    out.extend_from_slice(text.get(from..)?);
    (!places.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::super::{Origins, rewrite, rewrite_selector};
    use super::*;
    use crate::scope::{OnConflict, Scope};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn renaming() -> Renaming {
        Renaming::new("tenant_id", "__tenant_id__").unwrap()
    }

    fn scope() -> Scope {
        Scope::one_of("tenant_id".into(), &["a", "b"], OnConflict::Replace).renamed(Some(renaming()))
    }

    fn stored_text(query: &str) -> String {
        let changed = stored(query.as_bytes(), &renaming());
        changed.map_or(query.to_owned(), |changed| String::from_utf8(changed).unwrap())
    }

    /// Each query as the client writes it, and with stored names.
    const QUERIES: &[(&str, &str)] = &[
        (r#"m{__tenant_id__="a"}"#, r#"m{tenant_id="a"}"#),
        (
            r#"m{__tenant_id__=~"a",original___tenant_id__!="x",tenant_id!~"y",other="__tenant_id__"}"#,
            r#"m{tenant_id=~"a",__tenant_id__!="x",original___tenant_id__!~"y",other="__tenant_id__"}"#,
        ),
        (r#"{"m","__tenant_id__"="a"}"#, r#"{"m",tenant_id="a"}"#),
        (r#"{"__tenant_id__"}"#, r#"{"__tenant_id__"}"#),
        ("__tenant_id__", "__tenant_id__"),
        (r#"m{"__ten\x61nt_id__"="a"}"#, r#"m{tenant_id="a"}"#),
        ("sum by (__tenant_id__, job) (m)", "sum by (tenant_id, job) (m)"),
        ("sum without (job,tenant_id) (m)", "sum without (job,original___tenant_id__) (m)"),
        ("sum(m) by (\"__tenant_id__\")", "sum(m) by (tenant_id)"),
        ("sum by (by, on) (by)", "sum by (by, on) (by)"),
        (
            "a * on (__tenant_id__) group_left (tenant_id) (b)",
            "a * on (tenant_id) group_left (original___tenant_id__) (b)",
        ),
        ("a / ignoring (original___tenant_id__) group_right () b", "a / ignoring (__tenant_id__) group_right () b"),
        (
            r#"label_replace(m, "__tenant_id__", "__tenant_id__", "tenant_id", "(tenant_id)")"#,
            r#"label_replace(m, "tenant_id", "__tenant_id__", "original___tenant_id__", "(tenant_id)")"#,
        ),
        (
            r#"label_join(m, 'x', "tenant_id", ("__tenant_id__"), `tenant_id`)"#,
            r#"label_join(m, 'x', "tenant_id", ("tenant_id"), "original___tenant_id__")"#,
        ),
        (
            r#"label_replace(label_replace(m, "tenant_id", "$1", "x", "(.*)"), "y", "", "__tenant_id__", "")"#,
            r#"label_replace(label_replace(m, "original___tenant_id__", "$1", "x", "(.*)"), "y", "", "tenant_id", "")"#,
        ),
        (r#"count_values("__tenant_id__", m)"#, r#"count_values("tenant_id", m)"#),
        (
            r#"COUNT_VALUES by (tenant_id) ("tenant_id", m)"#,
            r#"COUNT_VALUES by (original___tenant_id__) ("original___tenant_id__", m)"#,
        ),
        (r#"count_values(("tenant_id"), m)"#, r#"count_values(("original___tenant_id__"), m)"#),
        (
            r#"sort_by_label_desc(m, "__tenant_id__", "job", "tenant_id")"#,
            r#"sort_by_label_desc(m, "tenant_id", "job", "original___tenant_id__")"#,
        ),
        (r#"histogram_quantiles(m, "tenant_id", 0.5)"#, r#"histogram_quantiles(m, "original___tenant_id__", 0.5)"#),
        (r#"info(m, {__tenant_id__="a"})"#, r#"info(m, {tenant_id="a"})"#),
        (r#""__tenant_id__""#, r#""__tenant_id__""#),
        (r#"quantile(scalar(x{__tenant_id__="a"}), y)"#, r#"quantile(scalar(x{tenant_id="a"}), y)"#),
        (r#"max_over_time(sum by (__tenant_id__)(m)[1h:5m])"#, r#"max_over_time(sum by (tenant_id)(m)[1h:5m])"#),
        (r#"tenant_id(m, "tenant_id")"#, r#"tenant_id(m, "tenant_id")"#),
    ];

    #[test]
    fn every_place_of_a_label_is_renamed_and_no_other() {
        for (query, expected) in QUERIES {
            assert_eq!(stored_text(query), *expected);
        }
    }

    #[test]
    fn what_is_stored_is_shown_again() {
        for (query, stored) in QUERIES {
            let shown = shown(stored.as_bytes(), &renaming()).unwrap_or(stored.as_bytes().to_vec());
            assert_eq!(stored_text(std::str::from_utf8(&shown).unwrap()), *stored, "{query}");
        }
    }

    fn enforced(query: &str) -> String {
        let mut out = Vec::new();
        rewrite(query.as_bytes(), &scope(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn stored_names_are_enforced() {
        for (query, expected) in [
            (r#"m{__tenant_id__="a"}"#, r#"m{tenant_id=~"a|b",tenant_id="a"}"#),
            // What the client calls `tenant_id` is another label, and says nothing about tenants.
            (r#"m{tenant_id="c"}"#, r#"m{tenant_id=~"a|b",original___tenant_id__="c"}"#),
            (
                r#"sum  by( __tenant_id__ ,tenant_id)(m)"#,
                r#"sum by( tenant_id ,original___tenant_id__)(m{tenant_id=~"a|b"})"#,
            ),
            (
                r#"count_values ( "__tenant_id__" ,m{ __tenant_id__ != "b" , x="1" }) / on(tenant_id) up"#,
                r#"count_values ( "tenant_id" ,m{tenant_id=~"a|b",tenant_id!="b",x="1"}) / on(original___tenant_id__) up{tenant_id=~"a|b"}"#,
            ),
            ("up # by (__tenant_id__)\n", r#"up{tenant_id=~"a|b"}"#),
            (
                r#"m{__tenant_id__="c"} or absent(m{__tenant_id__="a"})"#,
                r#"m{tenant_id=~"a|b",tenant_id="c"} or absent(m{tenant_id=~"a|b",tenant_id="a"})"#,
            ),
        ] {
            assert_eq!(enforced(query), expected);
        }
        let mut out = Vec::new();
        rewrite_selector(br#"{__tenant_id__="a"}"#, &scope(), &mut out).unwrap();
        assert_eq!(out, br#"{tenant_id=~"a|b",tenant_id="a"}"#);
    }

    #[test]
    fn a_conflict_is_judged_by_stored_names() {
        let scope = Scope::one_of("tenant_id".into(), &["a", "b"], OnConflict::Reject).renamed(Some(renaming()));
        let rewrite = |query: &[u8]| rewrite(query, &scope, &mut Vec::new());
        assert!(rewrite(br#"m{__tenant_id__="a"}"#).is_ok());
        assert!(rewrite(br#"m{tenant_id="c"}"#).is_ok());
        assert!(rewrite(br#"m{__tenant_id__="c"}"#).is_err());
    }

    #[test]
    fn a_name_that_is_no_word_is_quoted() {
        for (label, expected) in [
            ("team-id", r#"sum by ("team-id") (m{"team-id"=~"a|b","team-id"="a"})"#),
            ("bool", r#"sum by ("bool") (m{bool=~"a|b","bool"="a"})"#),
            ("inf", r#"sum by ("inf") (m{inf=~"a|b","inf"="a"})"#),
        ] {
            let scope = Scope::one_of(label.into(), &["a", "b"], OnConflict::Replace);
            let scope = scope.renamed(Renaming::new(label, "__tenant_id__").ok());
            let mut out = Vec::new();
            rewrite(br#"sum by (__tenant_id__) (m{__tenant_id__="a"})"#, &scope, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn places_of_messages_are_those_of_the_client_s_text() {
        let query = b"sum by (__tenant_id__) (m) + nope";
        let origins = Origins::new(query.to_vec(), &scope()).unwrap();
        let written = enforced(std::str::from_utf8(query).unwrap());
        assert_eq!(origins.start(written.find("nope").unwrap()), Some(29));
        assert_eq!(origins.start(written.find("tenant_id").unwrap()), None);
    }
}
