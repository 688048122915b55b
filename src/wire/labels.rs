//! Labels and matchers, which Prometheus and Thanos write the same way.
//!
//! ```text
//! Label        = name 1, value 2
//! LabelMatcher = type 1 (0 =, 1 !=, 2 =~, 3 !~), name 2, value 3
//! series       = *( labels 1: Label ) …
//! ```
//!
//! `prompb/types.proto` of Prometheus 3.16, `store/labelpb/types.proto` and `store/storepb/types.proto` of Thanos 0.42.5.

use super::protobuf::{self, Error, Field, Repeated, Value, message};

message! {
    /// A label.
    Label<'m> {
        /// Its name.
        name: &'m [u8] = 1,
        /// Its value.
        value: &'m [u8] = 2,
    }
}

message! {
    /// A matcher of one label.
    Matcher<'m> {
        /// How the value is compared.
        operator: Operator = 1,
        /// The label's name.
        name: &'m [u8] = 2,
        /// The value, or the pattern.
        value: &'m [u8] = 3,
    }
}

message! {
    /// A set of labels.
    LabelSet<'m> {
        /// The labels.
        labels: Vec<Label<'m>> = 1,
    }
}

/// How a matcher compares. Others than these four are refused: what they select is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    #[default]
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl<'m> Field<'m> for Operator {
    fn take(&mut self, value: Value<'m>, budget: &mut usize) -> Result<(), Error> {
        let mut number = 0u64;
        number.take(value, budget)?;
        *self = match number {
            0 => Operator::Equal,
            1 => Operator::NotEqual,
            2 => Operator::Matches,
            3 => Operator::NotMatches,
            _ => return Err(Error::Member),
        };
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        (*self as u64).put(number, out);
    }
}

/// The labels of a series, in the order of the message. The same for every message whose field 1 is its labels: `TimeSeries` and
/// `ChunkedSeries` of Prometheus, `Series` and `ZLabelSet` of Thanos. Ends after the first error.
pub fn labels(series: &[u8]) -> Labels<'_> {
    Labels(protobuf::repeated(series, 1))
}

/// What [`labels`] gives.
#[derive(Debug, Clone)]
pub struct Labels<'m>(Repeated<'m>);

impl<'m> Iterator for Labels<'m> {
    type Item = Result<Label<'m>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let label = self.0.next()?.and_then(protobuf::read);
        if label.is_err() {
            self.0 = protobuf::repeated(&[], 1);
        }
        Some(label)
    }
}
