//! The scope in Protocol Buffers: its matchers beside a selector's own, and the labels of a series as they are asked about.
//!
//! An equality is written as an equality, never as a pattern: Prometheus compares external labels with equal matchers alone
//! (`filterExtLabelsFromMatchers` in storage/remote/read_handler.go, 3.16), and so do the stores of Thanos.

use super::inside::{Fit, Inside, Standing};
use super::{CannotMatch, MatchOp, Matcher, NOTHING, Own, Scope};
use crate::wire::labels::{self, Operator};
use crate::wire::protobuf;

impl Scope {
    /// Adds the scope's matchers in front of a selector's own, of which those that conflict are dropped or kept as
    /// [`OwnMatchers`](super::OwnMatchers) says.
    ///
    /// ```
    /// use promql_tenancy_filter::scope::{OnConflict, Scope};
    /// use promql_tenancy_filter::wire::labels::{Matcher, Operator};
    ///
    /// let scope = Scope::equal("tenant_id".into(), "a".into(), OnConflict::Replace);
    /// let own = |name, operator, value| Matcher { operator, name, value };
    /// let mut matchers = vec![own(b"tenant_id", Operator::Matches, b".*"), own(b"job", Operator::Equal, b"x")];
    /// scope.confine(&mut matchers).unwrap();
    /// assert_eq!(matchers, [own(b"tenant_id", Operator::Equal, b"a"), own(b"job", Operator::Equal, b"x")]);
    /// ```
    ///
    /// # Errors
    /// [`CannotMatch`] under `on_conflict: reject`.
    pub fn confine<'m>(&'m self, matchers: &mut Vec<labels::Matcher<'m>>) -> Result<(), CannotMatch> {
        let mut judge = self.own_matchers();
        let mut confined: Vec<labels::Matcher<'m>> = self.matchers().map(on_the_wire).collect();
        for own in matchers.drain(..) {
            let op = match own.operator {
                Operator::Equal => MatchOp::Equal,
                Operator::NotEqual => MatchOp::NotEqual,
                Operator::Matches => MatchOp::Regex,
                Operator::NotMatches => MatchOp::NotRegex,
            };
            match judge.take(own.name, op, own.value)? {
                Own::Keep => confined.push(own),
                Own::Drop => {}
            }
        }
        *matchers = confined;
        Ok(())
    }

    /// A matcher of a name that no metric has: beside the scope's matchers, it selects nothing.
    pub fn nothing_on_the_wire() -> labels::Matcher<'static> {
        labels::Matcher { operator: Operator::Equal, name: b"__name__", value: NOTHING.as_bytes() }
    }
}

impl Inside {
    /// Where the labels of a series stand: field 1 of a `TimeSeries`, `ChunkedSeries`, `Series` or `ZLabelSet`. A label of the scope
    /// that is given twice, or whose value is no text, is outside.
    ///
    /// # Errors
    /// The message can't be read.
    pub fn series(&self, series: &[u8]) -> Result<Standing, protobuf::Error> {
        let mut set = self.begin();
        let mut is_unclear = false;
        for label in labels::labels(series) {
            let label = label?;
            let Some(scoped) = self.find(|name| name.as_bytes() == label.name) else { continue };
            let is_accepted =
                std::str::from_utf8(label.value).is_ok_and(|value| self.fit(scoped, value) != Fit::Refused);
            is_unclear |= set.note(scoped, is_accepted).is_err();
        }
        Ok(if is_unclear { Standing::Outside } else { set.finish() })
    }
}

fn on_the_wire(matcher: &Matcher) -> labels::Matcher<'_> {
    let operator = match matcher.op {
        MatchOp::Equal => Operator::Equal,
        MatchOp::NotEqual => Operator::NotEqual,
        MatchOp::Regex => Operator::Matches,
        MatchOp::NotRegex => Operator::NotMatches,
    };
    labels::Matcher { operator, name: matcher.label.as_bytes(), value: matcher.value.as_bytes() }
}

#[cfg(test)]
mod tests {
    use super::super::OnConflict;
    use super::*;
    use crate::wire::protobuf::{Message, write_bytes};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const fn matcher<'m>(name: &'m [u8], operator: Operator, value: &'m [u8]) -> labels::Matcher<'m> {
        labels::Matcher { operator, name, value }
    }

    fn confined<'m>(scope: &'m Scope, own: &[labels::Matcher<'m>]) -> Option<Vec<labels::Matcher<'m>>> {
        let mut matchers = own.to_vec();
        scope.confine(&mut matchers).ok().map(|()| matchers)
    }

    #[test]
    fn the_scope_stands_first_and_conflicts_are_resolved_as_in_promql() {
        let own = [
            matcher(b"a", Operator::NotMatches, b"x.*"),
            matcher(b"team", Operator::Equal, b"b"),
            matcher(b"team", Operator::NotEqual, b""),
        ];
        let enforced = matcher(b"team", Operator::Equal, b"a");
        let replace = Scope::equal("team".into(), "a".into(), OnConflict::Replace);
        assert_eq!(confined(&replace, &own).unwrap(), [enforced.clone(), own[0].clone()]);
        assert_eq!(confined(&replace, &[]).unwrap(), std::slice::from_ref(&enforced));
        let intersect = Scope::equal("team".into(), "a".into(), OnConflict::Intersect);
        assert_eq!(confined(&intersect, &own).unwrap(), [[enforced].as_slice(), &own].concat());
        let reject = Scope::equal("team".into(), "a".into(), OnConflict::Reject);
        assert_eq!(confined(&reject, &own), None);
        assert!(confined(&reject, &own[..1]).is_some());
        let several = Scope::one_of("team".into(), &["a", "b.c"], OnConflict::Replace);
        assert_eq!(confined(&several, &own).unwrap()[0], matcher(b"team", Operator::Matches, br"a|b\.c"));
        assert_eq!(confined(&several, &own).unwrap().len(), 4);
    }

    fn series(set: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in set {
            let mut label = Vec::new();
            labels::Label { name, value }.write(&mut label);
            write_bytes(1, &label, &mut out);
        }
        write_bytes(2, b"\x08\x01", &mut out);
        out
    }

    #[test]
    fn a_series_is_inside_by_its_exact_label_alone() {
        let inside = Scope::equal("team".into(), "a".into(), OnConflict::Replace).inside().unwrap();
        for (set, expected) in [
            (&[(&b"__name__"[..], &b"up"[..]), (b"team", b"a")][..], Standing::Inside),
            (&[(b"team", b"b")], Standing::Outside),
            (&[(b"team", b"")], Standing::Outside),
            (&[(b"team", b"a\xff")], Standing::Outside),
            (&[(b"Team", b"a")], Standing::Lacking),
            (&[], Standing::Lacking),
            (&[(b"team", b"a"), (b"team", b"a")], Standing::Outside),
            (&[(b"team", b"a"), (b"team", b"b")], Standing::Outside),
        ] {
            assert_eq!(inside.series(&series(set)), Ok(expected), "{set:?}");
        }
        let whole = series(&[(b"team", b"a")]);
        assert!(inside.series(&whole[..whole.len() - 1]).is_err());
    }
}
