//! What becomes of a query's own matchers on the labels of the scope, label by label.

use super::texts::{Texts, each_text};
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

/// How many texts share a word.
const WORD: usize = u64::BITS as usize;

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

/// A query's own matchers on the labels of the scope, looked at one after the other, selector by selector.
pub struct OwnMatchers<'s> {
    enforced: &'s [Enforced],
    /// Under `Reject`: the labels that the query has matched on so far. What the scope allows is read once for the whole query: a
    /// request may name two thousand tenants, and as many selectors.
    rejecting: Vec<(&'s str, Possible)>,
}

/// The values that a label may have, as far as texts tell. Patterns that do more than list texts are not run: to run the query's
/// would cost what the client likes, and those of the scope stand beside the query's matchers, so that the upstream decides.
enum Possible {
    /// One of these texts: the scope's.
    OneOf {
        texts: Texts,
        /// A bit for each text: all matchers of the selector so far accept it.
        left: Vec<u64>,
    },
    /// The scope doesn't list the values. It excludes what one of these refuses.
    Unlisted(Vec<Texts>),
}

impl<'s> OwnMatchers<'s> {
    pub(super) fn new(enforced: &'s [Enforced]) -> Self {
        OwnMatchers { enforced, rejecting: Vec::new() }
    }

    /// The next selector begins.
    pub fn begin(&mut self) {
        for (_, possible) in &mut self.rejecting {
            possible.begin();
        }
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
            Some((label, OnConflict::Reject)) => {
                let is_possible = self.possible(label).is_some_and(|possible| possible.narrow(op, value));
                if is_possible { Ok(Own::Keep) } else { Err(CannotMatch) }
            }
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
                let mut texts = scope.swap_remove(index);
                texts.texts.retain(|text| scope.iter().all(|others| others.accepts(text)));
                let mut possible = Possible::OneOf { left: vec![0; texts.texts.len().div_ceil(WORD)], texts };
                possible.begin();
                possible
            }
        }
    }

    /// All values are possible again.
    fn begin(&mut self) {
        match self {
            Possible::OneOf { texts, left } => {
                let unused = left.len().saturating_mul(WORD).saturating_sub(texts.texts.len());
                left.fill(u64::MAX);
                if let Some(last) = left.last_mut() {
                    *last >>= unused;
                }
            }
            Possible::Unlisted(_) => {}
        }
    }

    /// Takes one of the query's matchers into account; says whether a value is left. The time is linear in the length of the matcher's
    /// value, with a look-up in the sorted texts for each alternative.
    fn narrow(&mut self, op: MatchOp, value: &[u8]) -> bool {
        match self {
            Possible::OneOf { texts, left } => {
                let mut named = vec![0u64; left.len()];
                let listed = each_text(op, value, &mut |text| {
                    if let Some(place) = texts.place(text)
                        && let Some(word) = named.get_mut(place / WORD)
                    {
                        *word |= 1 << (place % WORD);
                    }
                });
                if listed.is_some() {
                    for (word, named) in left.iter_mut().zip(named) {
                        *word &= if op.is_negative() { !named } else { named };
                    }
                }
                left.iter().any(|word| *word != 0)
            }
            Possible::Unlisted(scope) => {
                let mut is_possible = op.is_negative();
                let listed = each_text(op, value, &mut |text| {
                    is_possible |= scope.iter().all(|texts| texts.accepts(text));
                });
                is_possible || listed.is_none()
            }
        }
    }
}
