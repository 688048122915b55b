//! Is a silence confined to the scope? It is where its matchers hit nothing outside of it.
//!
//! All matchers of a silence have to match, so that one which confines it is enough, whatever else it has. But that is Alertmanager's
//! reading: here a silence that says anything else about a label of the scope is not the tenant's, since it may have been
//! written for others too.
//!
//! ```text
//! confined = for each matcher of the scope: the same matcher, or an equality on its label with a value that the scope accepts
//!            and no other matcher on a label of the scope
//! ```

use super::{Fit, Inside, MatchOp, Matcher, Scope, Unfit};

/// A scope that is ready to be asked about silences.
#[derive(Debug, Clone)]
pub struct Silences {
    scope: Scope,
    inside: Inside,
}

/// A matcher of a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfSilence {
    /// The label.
    pub name: String,
    /// How its value is compared.
    pub op: MatchOp,
    /// What it is compared with.
    pub value: String,
}

impl OfSilence {
    /// What `isRegex` and `isEqual` say.
    pub fn op(is_regex: bool, is_equal: bool) -> MatchOp {
        match (is_regex, is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        }
    }

    fn is(&self, matcher: &Matcher) -> bool {
        *self.name == *matcher.label && self.op == matcher.op && *self.value == *matcher.value
    }
}

impl Silences {
    /// For whoever is confined to this scope.
    ///
    /// # Errors
    /// [`Unfit::Pattern`] where the filter can't run a pattern of the scope.
    pub fn new(scope: &Scope) -> Result<Silences, Unfit> {
        Ok(Silences { scope: scope.clone(), inside: scope.inside()? })
    }

    /// Whether a silence with these matchers is confined to the scope.
    pub fn confine(&self, own: &[OfSilence]) -> bool {
        let fits = |matcher: &OfSilence| {
            let label = self.inside.find(|label| label == matcher.name);
            matcher.op == MatchOp::Equal
                && label.is_some_and(|label| self.inside.fit(label, &matcher.value) != Fit::Refused)
        };
        let is_one_of_ours = |matcher: &OfSilence| self.scope.matchers().any(|ours| matcher.is(ours));
        self.scope
            .matchers()
            .all(|ours| own.iter().any(|matcher| matcher.is(ours) || *matcher.name == *ours.label && fits(matcher)))
            && own
                .iter()
                .filter(|matcher| self.scope.names(matcher.name.as_bytes()))
                .all(|matcher| is_one_of_ours(matcher) || fits(matcher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::OnConflict;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn matchers(texts: &[(&str, MatchOp, &str)]) -> Vec<OfSilence> {
        texts
            .iter()
            .map(|(name, op, value)| OfSilence { name: (*name).into(), op: *op, value: (*value).into() })
            .collect()
    }

    #[test]
    fn a_silence_is_the_tenant_s_by_equality_alone() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let silences = Silences::new(&Scope::equal("t".into(), "a".into(), OnConflict::Replace)).unwrap();
        for own in [
            &[("t", Equal, "a")][..],
            &[("x", Regex, ".*"), ("t", Equal, "a")],
            &[("t", Equal, "a"), ("t", Equal, "a")],
        ] {
            assert!(silences.confine(&matchers(own)), "{own:?}");
        }
        for other in [
            &[][..],
            &[("x", Equal, "a")],
            &[("t", Equal, "b")],
            &[("t", Equal, "")],
            &[("t", NotEqual, "a")],
            &[("t", NotEqual, "b")],
            &[("t", Regex, "a")],
            &[("t", NotRegex, "b")],
            &[("t", Equal, "a"), ("t", Equal, "b")],
            &[("t", Equal, "a"), ("t", Regex, "a|b")],
            &[("T", Equal, "a")],
        ] {
            assert!(!silences.confine(&matchers(other)), "{other:?}");
        }
    }

    #[test]
    fn with_several_values_and_labels_each_matcher_of_the_scope_has_to_be_there() {
        use MatchOp::{Equal, NotEqual, Regex};
        let several = Silences::new(&Scope::one_of("t".into(), &["a", "b"], OnConflict::Replace)).unwrap();
        assert!(several.confine(&matchers(&[("t", Equal, "b")])) && several.confine(&matchers(&[("t", Regex, "a|b")])));
        assert!(
            !several.confine(&matchers(&[("t", Regex, "a|b|c")])) && !several.confine(&matchers(&[("t", Equal, "c")]))
        );

        let matcher = |label: &str, op, value: &str| {
            (Matcher { label: label.into(), op, value: value.into() }, OnConflict::Replace)
        };
        let scope = Scope::new(vec![matcher("n", Regex, "shop-.*"), matcher("e", NotEqual, "dev")]).unwrap();
        let silences = Silences::new(&scope).unwrap();
        assert!(silences.confine(&matchers(&[("n", Regex, "shop-.*"), ("e", NotEqual, "dev")])));
        assert!(silences.confine(&matchers(&[("n", Equal, "shop-a"), ("e", Equal, "prod")])));
        // Without a matcher on `e`, it would hit what has `dev` there.
        assert!(!silences.confine(&matchers(&[("n", Equal, "shop-a")])));
        assert!(!silences.confine(&matchers(&[("n", Equal, "other"), ("e", NotEqual, "dev")])));
    }
}
