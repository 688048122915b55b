//! From a place in the enforced text back to the client's text. An upstream says where an error is in the text that it got, and the
//! client looks for it in the text that it wrote, with its comments, its line breaks and without the tenant's matchers.

use super::error;
use super::rewrite::{self, Run};
use super::{Query, Reading};
use crate::scope::Scope;

/// A client's query, and where each piece of it stands in the text that was made of it.
///
/// ```
/// use promql_tenancy_filter::promql::Origins;
/// use promql_tenancy_filter::scope::{OnConflict, Scope};
///
/// let scope = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace);
/// let origins = Origins::new(b"up\n# a comment\n  + nope(down)".to_vec(), &scope).unwrap();
/// // The upstream got `up{tenant_id="team-a"} + nope(down{tenant_id="team-a"})`, in one line.
/// assert_eq!(origins.place(1, 26), Some((3, 5)));
/// assert_eq!(origins.start(25), Some(19));
/// // Of what the filter has added, there is no place in the client's text.
/// assert_eq!(origins.place(1, 10), None);
/// ```
#[derive(Debug)]
pub struct Origins {
    client_s: Vec<u8>,
    enforced: Vec<u8>,
    runs: Vec<Run>,
}

impl Origins {
    /// Parses and enforces the query once more. `None` if that can't be done, which then was refused before.
    pub fn new(client_s: Vec<u8>, scope: &Scope) -> Option<Self> {
        let query = Query::parse_owned(client_s, Reading::Expression).ok()?;
        let (mut enforced, mut runs) = (Vec::new(), Vec::new());
        rewrite::enforce(&query.text, &query.tokens.list, &query.ast, scope, Some(&mut runs), &mut enforced).ok()?;
        Some(Origins { client_s: query.text.into_owned(), enforced, runs })
    }

    /// The line and the column in the client's text of a line and a column in the enforced text. `None` where nothing of the client's
    /// stands there.
    pub fn place(&self, line: usize, column: usize) -> Option<(u32, u32)> {
        let mut lines = self.enforced.split(|&byte| byte == b'\n');
        let before: usize = lines.by_ref().take(line.checked_sub(1)?).map(|line| line.len() + 1).sum();
        let offset = column.checked_sub(1).filter(|offset| lines.next().is_some_and(|line| *offset <= line.len()))?;
        Some(error::place(&self.client_s, self.start(before + offset)?))
    }

    /// The offset in the client's text of a byte of the enforced text.
    pub fn start(&self, offset: usize) -> Option<usize> {
        if offset == self.enforced.len() {
            return Some(self.client_s.len());
        }
        let run = self.runs.iter().find(|run| (run.written..run.written + run.length).contains(&offset))?;
        Some(run.source + offset - run.written)
    }

    /// The offset in the client's text after a byte of the enforced text, given the offset after that byte.
    pub fn end(&self, offset: usize) -> Option<usize> {
        self.start(offset.checked_sub(1)?).map(|last| last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::OnConflict;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn origins(query: &str) -> Origins {
        let scope = Scope::equal("tenant_id".into(), "team-a".into(), OnConflict::Replace);
        Origins::new(query.as_bytes().to_vec(), &scope).unwrap()
    }

    /// The client's place of the first byte of a word, by the place that it has in the enforced text.
    fn place_of(query: &str, word: &str) -> Option<(u32, u32)> {
        let origins = origins(query);
        let offset = String::from_utf8(origins.enforced.clone()).unwrap().find(word).unwrap();
        let (line, column) = error::place(&origins.enforced, offset);
        origins.place(line as usize, column as usize)
    }

    #[test]
    fn places_are_those_of_the_client_s_text() {
        for (query, place) in [
            ("nope", (1, 1)),
            ("  nope", (1, 3)),
            ("# first\n\n\tnope(up)", (3, 2)),
            ("sum(\n  rate(a[5m])\n)\n/\nsum(\n  nope(b)\n)", (6, 3)),
            ("a{x=\"é\"} + nope", (1, 13)),
            ("a{x=`one\ntwo`} + nope", (2, 9)),
            ("a{tenant_id=\"b\",x=\"1\"}   +   nope", (1, 30)),
            ("a{ x = \"1\" , nope = \"2\" }", (1, 14)),
            ("{\"a\",nope=\"1\"}", (1, 6)),
            ("topk(scalar(x), y) + on(a) group_left() nope{b=\"c\"}", (1, 41)),
        ] {
            assert_eq!(place_of(query, "nope"), Some(place), "{query}");
        }
    }

    #[test]
    fn the_end_of_the_text_is_the_end_of_the_client_s() {
        let origins = origins("up # tail\n");
        let end = origins.enforced.len();
        assert_eq!((origins.start(end), origins.place(1, end + 1)), (Some(10), Some((2, 1))));
        assert_eq!((origins.start(end + 1), origins.place(1, end + 2), origins.place(2, 1)), (None, None, None));
    }

    #[test]
    fn what_the_filter_added_has_no_place() {
        let origins = origins("up + down");
        for offset in 2..2 + "{tenant_id=\"team-a\"}".len() {
            assert_eq!(origins.start(offset), None, "{offset}");
        }
        assert_eq!((origins.place(0, 1), origins.place(1, 0), origins.end(0)), (None, None, None));
    }
}
