//! The scope: the matchers that a request is confined to. Knows matchers and label sets, not tenants, queries or requests.
//!
//! ```text
//! scope   = matcher *( "," matcher )         as it is written into every selector, in this order
//! matcher = label ( "=" | "!=" | "=~" | "!~" ) value
//! ```
//!
//! - `render`: matchers → the text of a selector
//! - `conflict`: what becomes of a query's own matchers on the labels of the scope
//! - `inside`: is a label set inside the scope?
//! - `renaming`: the names of labels as clients see them, where several tenants are named
//! - `silence`: is a silence of Alertmanager's confined to the scope?
//! - `texts`: the values that a matcher names, where it names them
//! - `wire`: matchers and series in Protocol Buffers
//!
//! What holds for every scope, by the way it is made: it has at least one matcher; it does not match a label set that has none
//! of its labels, so that data which belongs to no tenant stays outside; and it says nothing about the metric's name.

mod conflict;
mod inside;
mod renaming;
mod render;
mod silence;
#[cfg(test)]
mod tests;
mod texts;
mod wire;

pub use conflict::{CannotMatch, OnConflict, Own, OwnMatchers};
pub use inside::{Fit, Inside, LabelSet, Standing, Twice};
pub use renaming::{Name, Renaming};
pub use render::literal as quote;
pub use silence::{OfSilence, Silences};

use std::fmt;
use std::sync::Arc;
use texts::Texts;

/// The most matchers of one scope. Each selector of a query grows by all of them.
pub const MAX_MATCHERS: usize = 64;

/// A name that no metric has.
const NOTHING: &str = "promql_tenancy_filter:nothing";

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, with a pattern that has to match the whole value.
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// As PromQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }

    fn is_negative(self) -> bool {
        match self {
            MatchOp::Equal | MatchOp::Regex => false,
            MatchOp::NotEqual | MatchOp::NotRegex => true,
        }
    }
}

/// A condition on the value of one label. A label that is absent has the empty value, as in PromQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The label's name.
    pub label: Arc<str>,
    /// How its value is compared.
    pub op: MatchOp,
    /// What it is compared with: a text, or a pattern as the upstream reads it.
    pub value: Arc<str>,
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = String::new();
        render::matcher(self, &mut written);
        f.write_str(&written)
    }
}

/// The matchers that a request is confined to, rendered once.
///
/// ```
/// use promql_tenancy_filter::scope::{MatchOp, Matcher, OnConflict, Scope};
///
/// let matcher = |label: &str, op, value: &str| Matcher { label: label.into(), op, value: value.into() };
/// let scope = Scope::new(vec![
///     (matcher("namespace", MatchOp::Regex, "shop-.*"), OnConflict::Intersect),
///     (matcher("cluster", MatchOp::Equal, "eu"), OnConflict::Replace),
/// ])?;
/// let mut out = Vec::new();
/// promql_tenancy_filter::promql::rewrite(br#"up{cluster="us",namespace="shop-a"}"#, &scope, &mut out)?;
/// assert_eq!(out, br#"up{namespace=~"shop-.*",cluster="eu",namespace="shop-a"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// In the order in which they are written.
    enforced: Arc<[Enforced]>,
    /// All matchers as they are written into a selector.
    written: Arc<str>,
    /// What the labels are called in the client's queries; `None`: what they are called where they are stored.
    renaming: Option<Renaming>,
}

/// A matcher of a scope, and what becomes of the query's own matchers on its label.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Enforced {
    matcher: Matcher,
    on_conflict: OnConflict,
}

/// Why matchers are no scope, or why it can't be asked about label sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// There is no matcher.
    NoMatcher,
    /// More than [`MAX_MATCHERS`].
    TooMany,
    /// A matcher on `__name__`. A query names its metrics itself, and PromQL refuses a second name.
    MetricName,
    /// A label set with none of the labels would be inside.
    MatchesWithoutLabels,
    /// The filter can't run the pattern of the matcher on this label: why.
    Pattern(Arc<str>, &'static str),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoMatcher => f.write_str("there is no matcher"),
            Unfit::TooMany => write!(f, "there are more than {MAX_MATCHERS} matchers"),
            Unfit::MetricName => f.write_str("a matcher on the metric's name is not allowed"),
            Unfit::MatchesWithoutLabels => f.write_str(
                "series that have none of these labels would match: at least one matcher must not match the empty value",
            ),
            Unfit::Pattern(label, problem) => write!(f, "the filter can't run the pattern of {label}: {problem}"),
        }
    }
}

impl std::error::Error for Unfit {}

impl Scope {
    /// These matchers, all of which have to match. A label may have several. Where the query's own matchers on a label would be
    /// replaced, but the scope allows the label more than one value, they are kept: they choose among these values.
    ///
    /// # Errors
    /// [`Unfit`] where a label set with none of the labels would match, or may match as far as the filter can tell.
    pub fn new(matchers: Vec<(Matcher, OnConflict)>) -> Result<Scope, Unfit> {
        if matchers.is_empty() {
            return Err(Unfit::NoMatcher);
        }
        if matchers.len() > MAX_MATCHERS {
            return Err(Unfit::TooMany);
        }
        if matchers.iter().any(|(matcher, _)| &*matcher.label == "__name__") {
            return Err(Unfit::MetricName);
        }
        let mut problem = Unfit::MatchesWithoutLabels;
        let mut refuses_the_empty_value = |matcher: &Matcher| match inside::Test::new(matcher) {
            Ok(test) => !test.accepts(""),
            Err(unfit) => {
                problem = unfit;
                false
            }
        };
        if !matchers.iter().any(|(matcher, _)| refuses_the_empty_value(matcher)) {
            return Err(problem);
        }
        Ok(Self::rendered(matchers))
    }

    /// `label="value"`. An empty value would match all series without the label: whoever calls this has refused it.
    pub fn equal(label: Arc<str>, value: Arc<str>, on_conflict: OnConflict) -> Scope {
        Self::rendered(vec![(Matcher { label, op: MatchOp::Equal, value }, on_conflict)])
    }

    /// `label=~"a|b"`, each value quoted. The caller gives them in order and each once, so that the same values give the same
    /// text; none is empty, and there is at least one. One value alone gives `label="value"`, with the query's own matchers
    /// treated as where several are allowed.
    pub fn one_of(label: Arc<str>, values: &[&str], on_conflict: OnConflict) -> Scope {
        let on_conflict = on_conflict.among_several();
        match values {
            [value] => Self::equal(label, (*value).into(), on_conflict),
            values => {
                let value = render::alternatives(values).into();
                Self::rendered(vec![(Matcher { label, op: MatchOp::Regex, value }, on_conflict)])
            }
        }
    }

    /// `label=~"pattern",label!=""`: whatever the pattern is, it does not match the series without the label. Which values it
    /// matches is the upstream's to say, and so is what the query's own matchers choose among them.
    pub fn matching(label: Arc<str>, pattern: Arc<str>) -> Scope {
        let regex = Matcher { label: label.clone(), op: MatchOp::Regex, value: pattern };
        let present = Matcher { label, op: MatchOp::NotEqual, value: "".into() };
        Self::rendered(vec![(regex, OnConflict::Intersect), (present, OnConflict::Intersect)])
    }

    /// What is inside both scopes: the matchers of this one, and then those of the other. Together they have at most
    /// [`MAX_MATCHERS`], which a configuration is checked for; beyond that no label set is inside.
    pub fn and(&self, other: &Scope) -> Scope {
        let enforced = self.enforced.iter().chain(&*other.enforced).cloned().collect();
        let renaming = self.renaming.clone();
        Scope { enforced, written: [&*self.written, ",", &*other.written].concat().into(), renaming }
    }

    fn rendered(matchers: Vec<(Matcher, OnConflict)>) -> Scope {
        let one_value = |matcher: &Matcher, on_conflict: OnConflict| match matcher.op {
            MatchOp::Equal => on_conflict,
            MatchOp::NotEqual | MatchOp::Regex | MatchOp::NotRegex => on_conflict.among_several(),
        };
        let enforced: Arc<[Enforced]> = matchers
            .into_iter()
            .map(|(matcher, on_conflict)| Enforced { on_conflict: one_value(&matcher, on_conflict), matcher })
            .collect();
        let mut written = String::with_capacity(64);
        for Enforced { matcher, .. } in &*enforced {
            if !written.is_empty() {
                written.push(',');
            }
            render::matcher(matcher, &mut written);
        }
        Scope { enforced, written: written.into(), renaming: None }
    }

    /// The same, of queries whose labels have other names than the stored ones. The scope's own matchers name stored labels.
    pub fn renamed(self, renaming: Option<Renaming>) -> Scope {
        Scope { renaming, ..self }
    }

    /// What labels are called in the client's queries, where that is not what they are called where they are stored.
    pub fn renaming(&self) -> Option<&Renaming> {
        self.renaming.as_ref()
    }

    /// The matchers, in the order in which they are written.
    pub fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.enforced.iter().map(|enforced| &enforced.matcher)
    }

    /// The matchers, and what becomes of what a client says about their labels.
    pub fn each(&self) -> impl Iterator<Item = (&Matcher, OnConflict)> {
        self.enforced.iter().map(|enforced| (&enforced.matcher, enforced.on_conflict))
    }

    /// Whether it says something about this label.
    pub fn names(&self, label: &[u8]) -> bool {
        self.matchers().any(|matcher| matcher.label.as_bytes() == label)
    }

    /// The matchers as they are written into selectors, without braces.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Label sets that stand for all that is inside: with each label that has one value, and one set for each value of one label that lists
    /// several. Labels in order, as Prometheus has them.
    pub fn label_sets(&self) -> Vec<Vec<(&str, Vec<u8>)>> {
        let mut fixed: Vec<(&str, Vec<u8>)> = Vec::new();
        let mut listed: Option<(&str, Vec<Vec<u8>>)> = None;
        for matcher in self.matchers() {
            let texts = Texts::new(matcher.op, matcher.value.as_bytes());
            // A label that may be absent stands in no set.
            let Some(texts) = texts.filter(|texts| !texts.negated && !texts.names(b"")) else { continue };
            match <[Vec<u8>; 1]>::try_from(texts.texts) {
                Ok([text]) => insert((&matcher.label, text), &mut fixed),
                Err(texts) => listed = listed.or(Some((&matcher.label, texts))),
            }
        }
        let Some((label, texts)) = listed.filter(|(label, _)| fixed.iter().all(|(other, _)| other != label)) else {
            return vec![fixed];
        };
        let with = |text| {
            let mut set = fixed.clone();
            insert((label, text), &mut set);
            set
        };
        texts.into_iter().map(with).collect()
    }

    /// What is done about the query's own matchers, as a number: together with [`Scope::written`], all that a rewritten query
    /// depends on.
    pub fn conflicts(&self) -> u128 {
        // Two bits for each of at most `MAX_MATCHERS` matchers.
        self.enforced.iter().fold(0, |number, enforced| number << 2 | enforced.on_conflict as u128)
    }

    /// A selector that holds nothing but the matchers.
    pub fn selector(&self) -> String {
        format!("{{{}}}", self.written)
    }

    /// The same, for an upstream that refuses to look for nothing but the tenant's label.
    pub fn named_selector(&self) -> String {
        format!("{{{},__name__!=\"\"}}", self.written)
    }

    /// A selector that every upstream reads, that costs it one look-up, and that matches nothing: no metric has this
    /// name, and if one had, it would be inside the scope.
    pub fn nothing(&self) -> String {
        format!("{{{},__name__=\"{NOTHING}\"}}", self.written)
    }

    /// For one query: what becomes of its own matchers on the labels of the scope.
    pub fn own_matchers(&self) -> OwnMatchers<'_> {
        OwnMatchers::new(&self.enforced)
    }

    /// What tells whether label sets are inside.
    ///
    /// # Errors
    /// [`Unfit::Pattern`] where the filter can't run a pattern as the upstream does.
    pub fn inside(&self) -> Result<Inside, Unfit> {
        Inside::new(self.matchers())
    }
}

/// Whether a value fulfils a matcher's condition.
///
/// # Errors
/// [`Unfit::Pattern`] where the filter can't run its pattern as the upstream does.
pub fn accepts(matcher: &Matcher, value: &str) -> Result<bool, Unfit> {
    inside::Test::new(matcher).map(|test| test.accepts(value))
}

/// Inserts a label where it belongs in the order, unless it is there.
fn insert<'s>(label: (&'s str, Vec<u8>), set: &mut Vec<(&'s str, Vec<u8>)>) {
    if let Err(place) = set.binary_search_by(|(name, _)| (*name).cmp(label.0)) {
        set.insert(place, label);
    }
}
