//! The matcher that every selector gets, and what becomes of the query's own matchers on the same label.

use super::quote;
use super::token::Kind;

/// What happens to a query's own matchers on the tenant label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// They are dropped, as prom-label-proxy and Thanos do. Where several tenants are allowed they are kept: they
    /// select among these.
    #[default]
    Replace,
    /// They are kept beside ours: a query for somebody else's data finds nothing.
    Intersect,
    /// The query is refused where they can't match; otherwise as `Intersect`.
    Reject,
}

/// The tenant's matcher, rendered once, and what to do about the query's own ones.
#[derive(Debug, Clone)]
pub struct Enforcer {
    label: Box<str>,
    /// The tenants; none where a pattern stands for those that it matches.
    values: Vec<Box<str>>,
    /// The value of the matcher as the upstream reads it: one value, or a pattern.
    compared: Box<str>,
    /// The matcher as it is written into a selector.
    written: Box<str>,
    on_conflict: OnConflict,
}

/// What becomes of one matcher that the query has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Keep,
    Drop,
}

impl Enforcer {
    /// `label="value"`. An empty value would match all series without the label: it never reaches this point, since a
    /// tenant ID is never empty (`tenant/mod.rs`).
    pub fn equal(label: &str, value: &str, on_conflict: OnConflict) -> Self {
        let written = format!("{}={}", label_name(label), quote::literal(value));
        Enforcer {
            label: label.into(),
            values: vec![value.into()],
            compared: value.into(),
            written: written.into(),
            on_conflict,
        }
    }

    /// `label=~"a|b"`, each value quoted. The values are sorted and distinct, so that the same tenants give the same
    /// text; none is empty, and there is at least one. One value alone gives `label="value"`, with the query's own
    /// matchers treated as where several are allowed.
    pub fn one_of(label: &str, values: &[&str], on_conflict: OnConflict) -> Self {
        let on_conflict = match on_conflict {
            OnConflict::Replace => OnConflict::Intersect,
            other => other,
        };
        if let [value] = values {
            return Self::equal(label, value, on_conflict);
        }
        let pattern = values.iter().map(|value| quote::regex(value)).collect::<Vec<_>>().join("|");
        Enforcer {
            label: label.into(),
            values: values.iter().map(|&value| value.into()).collect(),
            written: format!("{}=~{}", label_name(label), quote::literal(&pattern)).into(),
            compared: pattern.into(),
            on_conflict,
        }
    }

    /// `label=~"pattern",label!=""`: whatever the pattern is, it does not match the series without the label. Whom it matches
    /// is the upstream's to say, and so is what the query's own matchers select among them.
    pub fn matching(label: &str, pattern: &str) -> Self {
        let name = label_name(label);
        Enforcer {
            label: label.into(),
            values: Vec::new(),
            compared: pattern.into(),
            written: format!("{name}=~{},{name}!=\"\"", quote::literal(pattern)).into(),
            on_conflict: OnConflict::Intersect,
        }
    }

    /// A selector that holds nothing but the matcher.
    pub fn selector(&self) -> String {
        format!("{{{}}}", self.written)
    }

    /// The same, for an upstream that refuses to look for nothing but the label.
    pub fn named_selector(&self) -> String {
        format!("{{__name__!=\"\",{}}}", self.written)
    }

    /// A selector that every upstream reads, that costs it one look-up, and that matches nothing: no metric has this
    /// name, and if one had, it would be the tenant's own.
    pub fn nothing(&self) -> String {
        format!("{{__name__=\"promql_tenancy_filter:nothing\",{}}}", self.written)
    }

    pub(super) fn label(&self) -> &[u8] {
        self.label.as_bytes()
    }

    /// The matcher as it is written into selectors.
    pub fn written(&self) -> &[u8] {
        self.written.as_bytes()
    }

    /// Looks at a selector's own matchers on the label. They are given as (operator, value).
    pub(super) fn own_matchers(&self) -> OwnMatchers<'_> {
        let candidates = match self.on_conflict {
            OnConflict::Reject => self.values.iter().map(|value| &**value).collect(),
            OnConflict::Replace | OnConflict::Intersect => Vec::new(),
        };
        OwnMatchers { enforcer: self, candidates }
    }

    fn is_ours(&self, operator: Kind, value: &[u8]) -> bool {
        let ours = if self.values.len() == 1 { Kind::Equal } else { Kind::EqualRegex };
        operator == ours && value == self.compared.as_bytes()
            || self.values.is_empty() && operator == Kind::NotEqual && value.is_empty()
    }
}

/// A label's name as it is written in a selector: quoted where it is no plain word, which Prometheus 3 reads.
fn label_name(label: &str) -> String {
    let plain = label.bytes().enumerate().all(|(i, b)| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b'0'..=b'9' => i > 0,
        _ => false,
    });
    if plain && !label.is_empty() { label.into() } else { quote::literal(label) }
}

/// One selector's own matchers on the label, looked at one after the other.
pub(super) struct OwnMatchers<'e> {
    enforcer: &'e Enforcer,
    /// Under `Reject`: the tenants that all matchers so far may match.
    candidates: Vec<&'e str>,
}

impl OwnMatchers<'_> {
    /// What becomes of this one. `Err`: together with those before it, it can't match.
    pub fn take(&mut self, operator: Kind, value: &[u8]) -> Result<Own, ()> {
        // The same matcher twice says no more than once, so that rewriting twice is rewriting once.
        if self.enforcer.is_ours(operator, value) {
            return Ok(Own::Drop);
        }
        match self.enforcer.on_conflict {
            OnConflict::Replace => Ok(Own::Drop),
            OnConflict::Intersect => Ok(Own::Keep),
            OnConflict::Reject => {
                let test = Test::new(operator, value);
                self.candidates.retain(|candidate| test.may_match(candidate));
                if self.candidates.is_empty() { Err(()) } else { Ok(Own::Keep) }
            }
        }
    }
}

/// Whether a matcher may match a tenant's ID.
enum Test {
    Equal(Vec<u8>),
    NotEqual(Vec<u8>),
    /// A pattern that is a list of texts: `a|b`.
    OneOf {
        texts: Vec<Vec<u8>>,
        negated: bool,
    },
    /// Any other pattern. To run it here would cost what the client likes (and an engine in the module): it is left to
    /// the upstream, where our own matcher stands beside it.
    Unknown,
}

impl Test {
    fn new(operator: Kind, value: &[u8]) -> Self {
        match (operator, texts(value)) {
            (Kind::Equal, _) => Test::Equal(value.to_vec()),
            (Kind::NotEqual, _) => Test::NotEqual(value.to_vec()),
            (operator, Some(texts)) => Test::OneOf { texts, negated: operator == Kind::NotEqualRegex },
            (_, None) => Test::Unknown,
        }
    }

    fn may_match(&self, tenant: &str) -> bool {
        let tenant = tenant.as_bytes();
        match self {
            Test::Equal(value) => value == tenant,
            Test::NotEqual(value) => value != tenant,
            Test::OneOf { texts, negated } => texts.iter().any(|text| text == tenant) != *negated,
            Test::Unknown => true,
        }
    }
}

/// The texts that a pattern lists, if that is all it does. Patterns are anchored (`NewFastRegexMatcher` in
/// model/labels/regexp.go, 3.16), so that `a|b` matches `a` and `b` and nothing else.
fn texts(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut texts = vec![];
    let mut text = vec![];
    let mut bytes = pattern.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'|' => texts.push(std::mem::take(&mut text)),
            b'\\' => text.push(*bytes.next().filter(|b| b.is_ascii_punctuation())?),
            b'.' | b'+' | b'*' | b'?' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'^' | b'$' => return None,
            b => text.push(b),
        }
    }
    texts.push(text);
    Some(texts)
}
