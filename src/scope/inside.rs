//! Is a label set inside the scope? Asked of answers, label by label as they are read.
//!
//! Every matcher has to accept the label's value, and a label that is absent has the empty value, as for the selectors that the
//! same scope is written into: what a tenant could query is what it is shown. So a label that only negative matchers name
//! (`env!="dev"`) may be absent. No label set with none of the labels is inside, since no scope matches it.
//!
//! A label set that is not inside may belong to something that is: an alert may lack a label that its rule has. So what merely
//! lacks labels ([`Standing::Lacking`]) is told apart from what has a value that the scope refuses ([`Standing::Outside`]).

use super::texts::Texts;
use super::{MAX_MATCHERS, Matcher, Unfit};
use crate::pattern::Pattern;
use std::cell::Cell;
use std::sync::Arc;

/// The most steps that a pattern may take for one value: 2,000 instructions and 500 characters, or fewer of one and more of the
/// other. A value that would take more is refused. The bound is each value's own, so that no tenant's long values take another's
/// from an answer.
const MAX_STEPS_PER_VALUE: u32 = 1_000_000;

/// A scope that is ready to be asked about label sets.
#[derive(Debug, Clone)]
pub struct Inside {
    /// At most [`MAX_MATCHERS`].
    labels: Vec<ScopedLabel>,
}

#[derive(Debug, Clone)]
struct ScopedLabel {
    name: Arc<str>,
    tests: Vec<Test>,
    /// Whether its matchers accept the empty value.
    may_be_absent: bool,
}

/// A matcher that is ready to be asked about values.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Texts(Texts),
    Pattern { pattern: Pattern, negated: bool },
}

/// How a label's value fits the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// A matcher names this very value, and none refuses it.
    Exact,
    /// No matcher refuses it.
    Accepted,
    /// A matcher refuses it.
    Refused,
}

/// Where a label set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every matcher accepts it.
    Inside,
    /// It has no value that a matcher refuses, but lacks a label that the scope asks for.
    Lacking,
    /// It has a value that a matcher refuses.
    Outside,
}

/// A label was given twice: it could be read either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twice;

/// One label set, as far as it has been read.
#[derive(Debug)]
pub struct LabelSet<'i> {
    inside: &'i Inside,
    /// One bit for each label of the scope.
    seen: u64,
    is_outside: bool,
}

const _: () = assert!(MAX_MATCHERS <= u64::BITS as usize);

impl Inside {
    pub(super) fn new<'m>(matchers: impl Iterator<Item = &'m Matcher>) -> Result<Inside, Unfit> {
        let mut labels: Vec<ScopedLabel> = Vec::new();
        for matcher in matchers {
            let test = Test::new(matcher)?;
            let accepts_the_empty_value = test.accepts("");
            match labels.iter_mut().find(|label| label.name == matcher.label) {
                Some(label) => {
                    label.tests.push(test);
                    label.may_be_absent &= accepts_the_empty_value;
                }
                None => labels.push(ScopedLabel {
                    name: matcher.label.clone(),
                    tests: vec![test],
                    may_be_absent: accepts_the_empty_value,
                }),
            }
        }
        Ok(Inside { labels })
    }

    /// Begins to read a label set.
    pub fn begin(&self) -> LabelSet<'_> {
        LabelSet { inside: self, seen: 0, is_outside: false }
    }

    /// Which label of the scope this is, if it is one of them.
    pub fn find(&self, is_name: impl Fn(&str) -> bool) -> Option<usize> {
        self.labels.iter().position(|label| is_name(&label.name))
    }

    /// How a value of this label fits.
    pub fn fit(&self, label: usize, value: &str) -> Fit {
        let Some(label) = self.labels.get(label) else { return Fit::Refused };
        if !label.tests.iter().all(|test| test.accepts(value)) {
            return Fit::Refused;
        }
        if label.tests.iter().any(|test| test.names(value)) { Fit::Exact } else { Fit::Accepted }
    }
}

impl LabelSet<'_> {
    /// Takes note of a label of the scope, and of whether its value is accepted.
    ///
    /// # Errors
    /// [`Twice`] where it was noted before.
    pub fn note(&mut self, label: usize, is_accepted: bool) -> Result<(), Twice> {
        let bit = u32::try_from(label).ok().and_then(|label| 1u64.checked_shl(label)).ok_or(Twice)?;
        if self.seen & bit != 0 {
            return Err(Twice);
        }
        self.seen |= bit;
        self.is_outside |= !is_accepted;
        Ok(())
    }

    /// Where the label set stands, after all of its labels.
    pub fn finish(&self) -> Standing {
        let is_seen = |label: u32| self.seen >> label & 1 == 1;
        let lacks = |(label, number): (&ScopedLabel, u32)| !label.may_be_absent && !is_seen(number);
        if self.is_outside {
            Standing::Outside
        } else if self.inside.labels.iter().zip(0..).any(lacks) {
            Standing::Lacking
        } else {
            Standing::Inside
        }
    }
}

impl Test {
    pub fn new(matcher: &Matcher) -> Result<Test, Unfit> {
        if let Some(texts) = Texts::new(matcher.op, matcher.value.as_bytes()) {
            return Ok(Test::Texts(texts));
        }
        let unfit = |problem| Unfit::Pattern(matcher.label.clone(), problem);
        let pattern = Pattern::parse(&matcher.value, true).map_err(unfit)?;
        Ok(Test::Pattern { pattern, negated: matcher.op.is_negative() })
    }

    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Test::Texts(texts) => texts.accepts(value.as_bytes()),
            Test::Pattern { pattern, negated } => {
                let matches = pattern.matches(value, &Cell::new(MAX_STEPS_PER_VALUE));
                matches.is_ok_and(|matches| matches != *negated)
            }
        }
    }

    fn names(&self, value: &str) -> bool {
        match self {
            Test::Texts(texts) => !texts.negated && texts.names(value.as_bytes()),
            Test::Pattern { .. } => false,
        }
    }
}
