//! Something that has labels, while its fields come: a rule, an alert in a rule, a target. Nothing of it is written before its labels say
//! whose it is. What is longer than may be held is dropped at once, and is a fault only where it turns out to be the tenant's, so that what
//! others own never takes the answer from a tenant. A set of labels that is itself longer is taken for another tenant's.

use super::Scoped;
use crate::answer::owner::Whose;
use crate::wire::grpc::StreamError;

/// What has come of it.
#[derive(Debug, Default)]
pub struct Unclaimed {
    text: Vec<u8>,
    labels: Vec<u8>,
    is_long: bool,
    has_long_labels: bool,
}

impl Unclaimed {
    /// A field that is written if it is the tenant's.
    pub fn hold(&mut self, field: &[u8], max: usize) {
        add(field, &mut self.text, &mut self.is_long, max);
    }

    /// Its labels, or more of them: readers of protobuf put all of them together.
    pub fn note_labels(&mut self, set: &[u8], max: usize) {
        add(set, &mut self.labels, &mut self.has_long_labels, max);
    }

    /// A field that would be held is too long.
    pub fn lose(&mut self, is_labels: bool) {
        self.hold(&[], 0);
        self.is_long = true;
        self.has_long_labels |= is_labels;
    }

    /// Whose it is, by the labels that have come.
    pub fn whose(&self, scoped: &Scoped) -> Result<Whose, StreamError> {
        match &scoped.owner {
            Some(_) if self.has_long_labels => Ok(Whose::Foreign),
            Some(owner) => owner.whose(&self.labels).map_err(StreamError::Message),
            None => Ok(Whose::Own),
        }
    }

    /// What is written of it; `None` where that is more than may be held.
    pub fn text(&self) -> Option<&[u8]> {
        (!self.is_long).then_some(&self.text)
    }
}

/// Appends to what is held, or drops all of it for good.
pub fn add(bytes: &[u8], held: &mut Vec<u8>, is_long: &mut bool, max: usize) {
    *is_long |= held.len().saturating_add(bytes.len()) > max;
    if *is_long {
        *held = Vec::new();
    } else {
        held.extend_from_slice(bytes);
    }
}
