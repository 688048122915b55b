//! What becomes of a query's own matchers on the labels of the scope, label by label.

use super::texts::Texts;
use super::{Enforced, MatchOp};

/// What happens to a query's own matchers on a label of the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// They are dropped, as prom-label-proxy and Thanos do. Where the scope allows the label several values they are kept:
    /// they choose among these.
    #[default]
    Replace,
    /// They are kept beside ours: a query for data outside the scope finds nothing.
    Intersect,
    /// The query is refused where they can't match; otherwise as `Intersect`.
    Reject,
}

impl OnConflict {
    /// The same for a label that may have several values.
    pub(super) fn among_several(self) -> Self {
        match self {
            OnConflict::Replace | OnConflict::Intersect => OnConflict::Intersect,
            OnConflict::Reject => OnConflict::Reject,
        }
    }
}

/// What becomes of one matcher that the query has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// It stays.
    Keep,
    /// It is left out.
    Drop,
}

/// The query's own matchers on a label can't match together with the scope's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CannotMatch;

/// One selector's own matchers on the labels of the scope, looked at one after the other.
pub struct OwnMatchers<'s> {
    enforced: &'s [Enforced],
    /// Under `Reject`: the labels that the selector has matched on so far.
    rejecting: Vec<(&'s str, Possible)>,
}

/// The values that a label may have, as far as texts tell. Patterns that do more than list texts are not run: to run the query's
/// would cost what the client likes, and those of the scope stand beside the query's matchers, so that the upstream decides.
enum Possible {
    /// One of these texts: the scope's, as far as all matchers so far accept them.
    OneOf(Vec<Vec<u8>>),
    /// The scope doesn't list the values. It excludes what one of these refuses.
    Unlisted(Vec<Texts>),
}

impl<'s> OwnMatchers<'s> {
    pub(super) fn new(enforced: &'s [Enforced]) -> Self {
        OwnMatchers { enforced, rejecting: Vec::new() }
    }

    /// What becomes of this one.
    ///
    /// # Errors
    /// [`CannotMatch`] where it, together with those before it, can't match under `Reject`.
    pub fn take(&mut self, label: &[u8], op: MatchOp, value: &[u8]) -> Result<Own, CannotMatch> {
        let mut found = None;
        for Enforced { matcher, on_conflict } in self.enforced {
            if matcher.label.as_bytes() != label {
                continue;
            }
            // The same matcher twice says no more than once, so that rewriting twice is rewriting once.
            if matcher.op == op && matcher.value.as_bytes() == value {
                return Ok(Own::Drop);
            }
            // Of several matchers on a label, the one that fixes its value decides.
            found = match found {
                Some((_, OnConflict::Replace)) => found,
                Some((_, OnConflict::Intersect | OnConflict::Reject)) | None => Some((&*matcher.label, *on_conflict)),
            };
        }
        match found {
            Some((_, OnConflict::Replace)) => Ok(Own::Drop),
            Some((_, OnConflict::Intersect)) | None => Ok(Own::Keep),
            Some((label, OnConflict::Reject)) => match Texts::new(op, value) {
                Some(own) if !self.possible(label).is_some_and(|possible| possible.narrow(&own)) => Err(CannotMatch),
                Some(_) | None => Ok(Own::Keep),
            },
        }
    }

    fn possible(&mut self, label: &'s str) -> Option<&mut Possible> {
        if !self.rejecting.iter().any(|(known, _)| *known == label) {
            let of_label =
                self.enforced.iter().map(|enforced| &enforced.matcher).filter(|found| *found.label == *label);
            let texts = of_label.filter_map(|found| Texts::new(found.op, found.value.as_bytes())).collect();
            self.rejecting.push((label, Possible::new(texts)));
        }
        self.rejecting.iter_mut().find(|(known, _)| *known == label).map(|(_, possible)| possible)
    }
}

impl Possible {
    fn new(mut scope: Vec<Texts>) -> Self {
        match scope.iter().position(|texts| !texts.negated) {
            None => Possible::Unlisted(scope),
            Some(index) => {
                let mut listed = scope.swap_remove(index).texts;
                listed.retain(|text| scope.iter().all(|texts| texts.accepts(text)));
                Possible::OneOf(listed)
            }
        }
    }

    /// Takes one of the query's matchers into account; says whether a value is left.
    fn narrow(&mut self, own: &Texts) -> bool {
        match self {
            Possible::OneOf(listed) => {
                listed.retain(|text| own.accepts(text));
                !listed.is_empty()
            }
            Possible::Unlisted(scope) => {
                own.negated || own.texts.iter().any(|text| scope.iter().all(|texts| texts.accepts(text)))
            }
        }
    }
}
