//! Matchers that compare with whole texts: `=`, `!=`, and patterns that do no more than list texts, such as `a|b`.

use super::MatchOp;

/// The texts that a matcher names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// Sorted: a value is looked up in each label set of an answer, and in each matcher of a query.
    pub texts: Vec<Vec<u8>>,
    /// It accepts every value but these.
    pub negated: bool,
}

impl Texts {
    /// `None` where a pattern has to be run.
    pub fn new(op: MatchOp, value: &[u8]) -> Option<Texts> {
        let mut texts: Vec<Vec<u8>> = vec![];
        // In order: the IDs of several tenants come sorted. The code of a sort would make the module larger.
        let mut insert = |text: &[u8]| {
            let place = match texts.last() {
                Some(last) if **last < *text => Err(texts.len()),
                _ => texts.binary_search_by(|other: &Vec<u8>| (**other).cmp(text)),
            };
            if let Err(place) = place {
                texts.insert(place, text.to_vec());
            }
        };
        each_text(op, value, &mut insert)?;
        Some(Texts { texts, negated: op.is_negative() })
    }

    pub fn accepts(&self, value: &[u8]) -> bool {
        self.names(value) != self.negated
    }

    /// Whether the value is one of the texts.
    pub fn names(&self, value: &[u8]) -> bool {
        self.place(value).is_some()
    }

    /// Where the value stands among the texts, if it is one of them.
    pub fn place(&self, value: &[u8]) -> Option<usize> {
        self.texts.binary_search_by(|text| (**text).cmp(value)).ok()
    }
}

/// Calls `each` with the texts that a matcher names, in their order. `None` where a pattern has to be run: what `each` has seen by then
/// says nothing.
pub fn each_text(op: MatchOp, value: &[u8], each: &mut dyn FnMut(&[u8])) -> Option<()> {
    match op {
        MatchOp::Equal | MatchOp::NotEqual => each(value),
        MatchOp::Regex | MatchOp::NotRegex => listed(value, each)?,
    }
    Some(())
}

/// Calls `each` with the texts that a pattern lists, if that is all it does. Patterns are anchored (`NewFastRegexMatcher` in
/// model/labels/regexp.go, 3.16), so that `a|b` matches `a` and `b` and nothing else.
fn listed(pattern: &[u8], each: &mut dyn FnMut(&[u8])) -> Option<()> {
    let mut text = vec![];
    let mut bytes = pattern.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'|' => {
                each(&text);
                text.clear();
            }
            b'\\' => text.push(*bytes.next().filter(|b| b.is_ascii_punctuation())?),
            b'.' | b'+' | b'*' | b'?' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'^' | b'$' => return None,
            b => text.push(b),
        }
    }
    each(&text);
    Some(())
}
