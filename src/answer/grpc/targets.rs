//! Targets, each by its labels.
//!
//! ```text
//! targets = active 1 / dropped 2
//! active  = discoveredLabels 1, labels 2, …
//! dropped = discoveredLabels 1
//! ```
//!
//! `targets/targetspb/rpc.proto` of Thanos 0.42.5. A target that is the tenant's is written in a message of its own: readers put all of them
//! together.

use super::Scoped;
use super::unclaimed::Unclaimed;
use super::watch::frame;
use crate::answer::owner::Whose;
use crate::wire::grpc::{Part, StreamError};
use crate::wire::protobuf::{self, Value, write_bytes};

/// The target at hand.
#[derive(Debug, Default)]
pub struct Targets {
    is_inside: bool,
    /// It is active, or dropped.
    list: Option<List>,
    target: Unclaimed,
}

#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum List {
    Active = 1,
    Dropped = 2,
}

impl Targets {
    /// Whether a field is entered.
    pub fn enters(&self, number: u64) -> bool {
        self.list.is_none() && matches!(number, 1 | 2)
    }

    /// A part of them.
    pub fn part(&mut self, scoped: &Scoped, part: Part<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match (part, self.list) {
            (Part::Begin(number), _) => {
                self.list = match number {
                    _ if !std::mem::replace(&mut self.is_inside, true) => None,
                    1 => Some(List::Active),
                    _ => Some(List::Dropped),
                };
                self.target = Unclaimed::default();
            }
            (Part::Field(number, field), Some(list)) => {
                if let (true, (_, Value::Bytes(set))) =
                    (number == list.labels(), protobuf::next(&mut &*field).map_err(StreamError::Message)?)
                {
                    self.target.note_labels(set, scoped.max);
                }
                self.target.hold(field, scoped.max);
            }
            (Part::Over(number), Some(list)) => self.target.lose(number == list.labels()),
            (Part::Field(..) | Part::Over(_), None) => {}
            (Part::End(_), None) => self.is_inside = false,
            (Part::End(_), Some(list)) => {
                self.list = None;
                let target = std::mem::take(&mut self.target);
                if target.whose(scoped)? == Whose::Own {
                    let (mut targets, mut message) = (Vec::new(), Vec::new());
                    write_bytes(list as u32, target.text().ok_or(StreamError::Long)?, &mut targets);
                    write_bytes(1, &targets, &mut message);
                    frame(&message, out)?;
                }
            }
        }
        Ok(())
    }
}

impl List {
    /// The number of the labels that say whose a target is.
    fn labels(self) -> u64 {
        match self {
            List::Active => 2,
            List::Dropped => 1,
        }
    }
}
