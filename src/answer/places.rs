//! Places in messages. The upstream names a line and a column of the text that it got, which has the tenant's matchers, no comments and no line
//! breaks. What the client reads is the place in the query that it wrote.
//!
//! ```text
//! annotation = ( "PromQL warning: " / "PromQL info: " ) text " (" line ":" column ")"      util/annotations/annotations.go
//! error      = [ 'invalid parameter "' name '": ' ] line ":" column ": parse error: " text  promql/parser/parse.go
//!            / [ 'invalid parameter "' name '": ' ] start ":" end ": " one of `PLACED`      promql/durations.go
//! ```
//!
//! Thanos 0.42.5 puts `EXEMPLARS` before the error of a query for exemplars. Sources: Prometheus 3.16. Lines and columns are counted from 1, the latter in bytes; `start` and `end` are offsets in bytes.
//!
//! Nothing is worked out before a message with a place is met. Then the query is parsed once more.

use super::messages::{CONTINUATION, EXEMPLARS, PLACED};
use crate::go::form;
use crate::promql::Origins;
use crate::scope::Scope;
use std::ops::Range;
use std::sync::Arc;

/// The longest query that is kept until its answer comes, in bytes of its encoded form. Of a longer one, messages have no place.
pub const MAX_ASKED: usize = 16 << 10;

/// What the places in an answer's messages refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Asked {
    /// What the upstream got is what the client wrote.
    #[default]
    Unchanged,
    /// The text was rewritten and is not kept: places are removed.
    Unknown,
    /// This query was rewritten.
    Query(Arc<Query>),
}

/// A query as the client wrote it.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    /// In the encoding of forms.
    encoded: Box<[u8]>,
    scope: Arc<Scope>,
}

impl Asked {
    /// A query, in the encoding of forms, that was confined to the scope.
    pub fn query(encoded: &[u8], scope: &Arc<Scope>) -> Self {
        match encoded.len() {
            // Nothing is written into it.
            0 => return Asked::Unchanged,
            1..=MAX_ASKED => {}
            _ => return Asked::Unknown,
        }
        Asked::Query(Arc::new(Query { encoded: encoded.into(), scope: scope.clone() }))
    }
}

/// Turns the places of one answer's messages into the client's.
#[derive(Debug)]
pub enum Places {
    /// They already are.
    Same,
    /// They can't be worked out, and are removed.
    Unknown,
    /// No message with a place has been met yet.
    Unread(Arc<Query>),
    /// The query has been parsed again.
    Known(Box<Origins>),
}

impl From<Asked> for Places {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Unchanged => Places::Same,
            Asked::Unknown => Places::Unknown,
            Asked::Query(query) => Places::Unread(query),
        }
    }
}

/// What an annotation begins with, and what a part of one does that holds a comma.
const ANNOTATION: [&str; 2] = ["PromQL ", CONTINUATION];

/// A place that was found in a message.
struct Found {
    /// The bytes that are removed where the place is unknown.
    whole: Range<usize>,
    /// The two numbers and the colon between them.
    numbers: Range<usize>,
    first: usize,
    second: usize,
    /// The numbers are offsets, not a line and a column.
    are_offsets: bool,
}

impl Places {
    /// The message, between its quotes, with the client's place instead of the upstream's; without any where that is unknown, or would not
    /// fit into so many bytes. `None` where the message stays as it is.
    pub fn of_client(&mut self, message: &[u8], room: usize) -> Option<Vec<u8>> {
        if let Places::Same = self {
            return None;
        }
        let found = annotation(message).or_else(|| error(message))?;
        let place = self.origin(&found).map(|(first, second)| [&first.to_string(), ":", &second.to_string()].concat());
        let place = place.filter(|place| message.len() - found.numbers.len() + place.len() <= room);
        let (replaced, place) = match place {
            Some(place) => (found.numbers, place),
            None => (found.whole, String::new()),
        };
        let before = message.get(..replaced.start)?;
        Some([before, place.as_bytes(), message.get(replaced.end..)?].concat())
    }

    /// The same for annotations that are joined by commas, each with a place of its own.
    pub fn of_each(&mut self, messages: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages.split(", ") {
            if !out.is_empty() {
                out.extend_from_slice(b", ");
            }
            let message = message.as_bytes();
            out.extend_from_slice(self.of_client(message, usize::MAX).as_deref().unwrap_or(message));
        }
        out
    }

    fn origin(&mut self, found: &Found) -> Option<(usize, usize)> {
        if let Places::Unread(query) = self {
            *self = query.origins().map_or(Places::Unknown, |origins| Places::Known(Box::new(origins)));
        }
        let Places::Known(origins) = self else { return None };
        if found.are_offsets {
            return Some((origins.start(found.first)?, origins.end(found.second)?));
        }
        origins.place(found.first, found.second).map(|(line, column)| (line as usize, column as usize))
    }
}

impl Query {
    fn origins(&self) -> Option<Origins> {
        let client_s = form::decode(&self.encoded).ok()?;
        Origins::new(client_s.into_owned(), &self.scope)
    }
}

fn annotation(message: &[u8]) -> Option<Found> {
    let is_annotation = ANNOTATION.iter().any(|beginning| message.starts_with(beginning.as_bytes()));
    let text = message.strip_suffix(b")").filter(|_| is_annotation)?;
    let begin = text.iter().rposition(|&byte| byte == b'(')?;
    let (first, second, length) =
        numbers(text.get(begin + 1..)?).filter(|(.., length)| begin + 1 + length == text.len())?;
    let numbers = begin + 1..begin + 1 + length;
    let whole = message.get(..begin)?.strip_suffix(b" ")?.len()..message.len();
    Some(Found { whole, numbers, first, second, are_offsets: false })
}

fn error(message: &[u8]) -> Option<Found> {
    let exemplars = message.starts_with(EXEMPLARS.as_bytes()).then_some(EXEMPLARS.len());
    let begin = parameter(message).or(exemplars).unwrap_or(0);
    let text = message.get(begin..)?;
    let (first, second, length) = numbers(text)?;
    let rest = text.get(length..)?.strip_prefix(b": ")?;
    let are_offsets = PLACED.iter().any(|placed| placed.as_bytes() == rest);
    if !are_offsets && !rest.starts_with(b"parse error: ") {
        return None;
    }
    Some(Found { whole: begin..begin + length + 2, numbers: begin..begin + length, first, second, are_offsets })
}

/// The length of `invalid parameter "query": `, with its quotes escaped.
fn parameter(message: &[u8]) -> Option<usize> {
    let name = message.strip_prefix(br#"invalid parameter \""#)?;
    let length = name.iter().position(|&byte| byte == b'\\')?;
    let rest = name.get(length..)?.strip_prefix(br#"\": "#)?;
    Some(message.len() - rest.len())
}

/// Two numbers with a colon between them, and how long they are together.
fn numbers(text: &[u8]) -> Option<(usize, usize, usize)> {
    let (first, rest) = number(text)?;
    let (second, rest) = number(rest.strip_prefix(b":")?)?;
    Some((first, second, text.len() - rest.len()))
}

fn number(text: &[u8]) -> Option<(usize, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length)?;
    // A number that no query is long enough for is a place all the same, on 32 bits too.
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((usize::try_from(number).unwrap_or(usize::MAX), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::OnConflict;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn places(query: &[u8]) -> Places {
        let scope = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace);
        Places::from(Asked::query(query, &Arc::new(scope)))
    }

    fn read(places: &mut Places, message: &str) -> String {
        let read = places.of_client(message.as_bytes(), usize::MAX).unwrap_or_else(|| message.into());
        String::from_utf8(read).unwrap()
    }

    /// `sum(a)\n# b\n+ nope(c)` is sent as `sum(a{tenant_id="team-a"}) + nope(c{tenant_id="team-a"})`.
    const QUERY: &[u8] = b"sum(a)%0A%23+b%0A%2B+nope(c)";

    #[test]
    fn every_form_of_a_place_is_the_client_s() {
        let mut places = places(QUERY);
        for (of_upstream, of_client) in [
            (
                r#"invalid parameter \"query\": 1:30: parse error: unknown function with name \"nope\""#,
                r#"invalid parameter \"query\": 3:3: parse error: unknown function with name \"nope\""#,
            ),
            ("1:30: parse error: x", "3:3: parse error: x"),
            (
                "retrieving exemplars: proxy Exemplars: 1:30: parse error: x",
                "retrieving exemplars: proxy Exemplars: 3:3: parse error: x",
            ),
            (r#"PromQL info: x: \"a (1:1)\" (1:35)"#, r#"PromQL info: x: \"a (1:1)\" (3:8)"#),
            ("PromQL warning: x (1:1)", "PromQL warning: x (1:1)"),
            ("29:34: duration must be greater than 0", "13:18: duration must be greater than 0"),
            (
                r#"invalid parameter \"query\": 0:3: division by zero"#,
                r#"invalid parameter \"query\": 0:3: division by zero"#,
            ),
        ] {
            assert_eq!(read(&mut places, of_upstream), of_client);
        }
    }

    #[test]
    fn a_place_that_is_not_the_client_s_is_removed() {
        let long = vec![b'a'; MAX_ASKED + 1];
        let of_nothing = "PromQL info: x (1:8)";
        for (mut places, message) in [
            (places(QUERY), of_nothing),
            (places(&long), "PromQL info: x (1:1)"),
            (Places::from(Asked::Unknown), "PromQL info: x (1:1)"),
            (places(QUERY), "PromQL info: x (9:1)"),
            (places(QUERY), "PromQL info: x (0:18446744073709551615)"),
        ] {
            assert_eq!(read(&mut places, message), "PromQL info: x");
        }
        let message = r#"invalid parameter \"match[]\": 1:9: parse error: x"#;
        assert_eq!(read(&mut Places::Unknown, message), r#"invalid parameter \"match[]\": parse error: x"#);
        assert_eq!(read(&mut Places::Unknown, "4:9: modulo by zero"), "modulo by zero");
        let longer = [b"%0A".repeat(9), QUERY.to_vec()].concat();
        let message = b"PromQL info: x (1:1)";
        let fitting = |room| places(&longer).of_client(message, room).unwrap();
        assert_eq!((fitting(20), fitting(21)), (b"PromQL info: x".to_vec(), b"PromQL info: x (10:1)".to_vec()));
    }

    #[test]
    fn what_is_no_place_stays() {
        let mut places = places(QUERY);
        for message in [
            "PromQL info: x",
            "PromQL info: (1:2",
            "PromQL info: x (1:)",
            "PromQL info: x (a:1)",
            "x (1:30)",
            "1:30: x",
            "1:30:",
            "PromQL info:(1:30)",
            "10 more warning annotations omitted",
            "context deadline exceeded",
            "",
            "PromQL info: x (1:99999999999999999999999)",
        ] {
            assert_eq!(read(&mut places, message), message);
        }
        assert_eq!(read(&mut Places::from(Asked::Unchanged), "PromQL info: x (1:30)"), "PromQL info: x (1:30)");
        assert!(!matches!(places, Places::Known(_)), "nothing is parsed without a place");
    }
}
