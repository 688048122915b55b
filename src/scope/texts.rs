//! Matchers that compare with whole texts: `=`, `!=`, and patterns that do no more than list texts, such as `a|b`.

use super::MatchOp;

/// The texts that a matcher names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    pub texts: Vec<Vec<u8>>,
    /// It accepts every value but these.
    pub negated: bool,
}

impl Texts {
    /// `None` where a pattern has to be run.
    pub fn new(op: MatchOp, value: &[u8]) -> Option<Texts> {
        let texts = match op {
            MatchOp::Equal | MatchOp::NotEqual => vec![value.to_vec()],
            MatchOp::Regex | MatchOp::NotRegex => listed(value)?,
        };
        Some(Texts { texts, negated: op.is_negative() })
    }

    pub fn accepts(&self, value: &[u8]) -> bool {
        self.names(value) != self.negated
    }

    /// Whether the value is one of the texts.
    pub fn names(&self, value: &[u8]) -> bool {
        self.texts.iter().any(|text| text == value)
    }
}

/// The texts that a pattern lists, if that is all it does. Patterns are anchored (`NewFastRegexMatcher` in
/// model/labels/regexp.go, 3.16), so that `a|b` matches `a` and `b` and nothing else.
fn listed(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
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
