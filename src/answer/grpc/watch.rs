//! What is done with each field of each method's messages.
//!
//! ```text
//! Query, QueryRange         warnings 1 read; timeseries 2, stats 3, timeseries_batch 4 pass: the query was scoped
//! Series                    series 1, batch 4 pass if their labels are inside the scope, else the answer ends; warning 2 read
//! LabelNames, LabelValues   names 1 pass; warnings 2 read
//! Exemplars                 data 1 passes if its labels are the tenant's; warning 2 read
//! Rules                     group 1: see `rules`; warning 2 read
//! Targets                   targets 1: each by its labels; warning 2 read
//! Info                      see `info`
//! Health                    status 1
//! ```
//!
//! All other fields are dropped: `hints`, which name blocks, among them. Where the upstream isolates tenants by itself, labels are not looked
//! at. What is longer than may be held is the tenant's own only by accident: it is left out, and a warning says that something is missing.

use super::Scoped;
use super::info::Info;
use super::rules::Group;
use crate::answer::messages::{WITHHELD, are_messages, is_message};
use crate::answer::owner::Whose;
use crate::answer::usage::Samples;
use crate::api::Call;
use crate::scope::Standing;
use crate::wire::grpc::{Care, Event, StreamError, Watch, write_frame};
use crate::wire::protobuf::{self, Value, repeated, write_bytes};

/// Looks at the messages of one answer.
#[derive(Debug)]
pub struct Watcher {
    scoped: Scoped,
    withheld: u32,
    /// One line stands for all that are withheld: the client is not told how many there were.
    is_generic_said: bool,
    /// What is gathered of a message that is written when it ends.
    gathered: Vec<u8>,
    group: Group,
    info: Info,
    samples: Samples,
}

impl Watcher {
    pub fn new(scoped: Scoped) -> Watcher {
        Watcher {
            scoped,
            withheld: 0,
            is_generic_said: false,
            gathered: Vec::new(),
            group: Group::default(),
            info: Info::default(),
            samples: Samples::default(),
        }
    }

    pub fn withheld(&self) -> u32 {
        self.withheld
    }

    pub fn samples(&self) -> Samples {
        self.samples
    }

    /// Counts a message that is withheld.
    pub fn withhold(&mut self) {
        self.withheld = self.withheld.saturating_add(1);
    }

    /// The number of the field that holds warnings.
    fn warning(&self) -> u32 {
        match self.scoped.call {
            Call::Query | Call::QueryRange => 1,
            Call::Series
            | Call::LabelNames
            | Call::LabelValues
            | Call::Exemplars
            | Call::Rules
            | Call::Targets
            | Call::Info
            | Call::Health => 2,
        }
    }

    /// Writes what the tenant may read of a warning, as a field.
    fn warn(&mut self, text: Option<&[u8]>, out: &mut Vec<u8>) {
        let passes = match self.scoped.call {
            // Several are joined by commas (`NewQueryWarningsResponse` in Thanos 0.42.5).
            Call::Query | Call::QueryRange => are_messages,
            _ => is_message,
        };
        match text.filter(|text| passes(text)) {
            Some(text) => write_bytes(self.warning(), text, out),
            None => {
                self.withhold();
                if !std::mem::replace(&mut self.is_generic_said, true) {
                    write_bytes(self.warning(), WITHHELD.as_bytes(), out);
                }
            }
        }
    }

    /// The same, as a frame.
    fn warn_in_frame(&mut self, text: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let mut message = Vec::new();
        self.warn(text, &mut message);
        if message.is_empty() { Ok(()) } else { frame(&message, out) }
    }

    /// Statistics pass, and are counted: samples_total 1, peak_samples 2.
    fn count(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
        if !self.scoped.samples || self.warning() != 1 {
            return Ok(());
        }
        for statistics in repeated(message, 3) {
            let mut statistics = statistics.map_err(StreamError::Message)?;
            let mut passed = Vec::new();
            write_bytes(3, statistics, &mut passed);
            frame(&passed, out)?;
            while !statistics.is_empty() {
                match protobuf::next(&mut statistics).map_err(StreamError::Message)? {
                    (1, Value::Varint(total)) => self.samples.total = Some(total),
                    (2, Value::Varint(peak)) => self.samples.peak = Some(peak),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// One field of the message.
    fn field(&mut self, field: &[u8]) -> Result<(), StreamError> {
        let (number, value) = protobuf::next(&mut &*field).map_err(StreamError::Message)?;
        match self.scoped.call {
            Call::Info => self.info.field(&self.scoped, number, value, field)?,
            Call::LabelNames | Call::LabelValues if number == 2 => {
                let text = if let Value::Bytes(text) = value { Some(text) } else { None };
                let mut gathered = std::mem::take(&mut self.gathered);
                self.warn(text, &mut gathered);
                self.gathered = gathered;
            }
            _ => self.gathered.extend_from_slice(field),
        }
        if self.gathered.len() > self.scoped.max { Err(StreamError::Long) } else { Ok(()) }
    }

    /// A target that is the tenant's is written in a message of its own: readers put all of them together.
    fn target(&mut self, part: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
        let (number, value) = protobuf::next(&mut &*part).map_err(StreamError::Message)?;
        let of_labels = match number {
            1 => 2,
            2 => 1,
            _ => return Ok(()),
        };
        let Value::Bytes(target) = value else { return Err(StreamError::Message(protobuf::Error::Type)) };
        if self.whose(target, of_labels)? == Whose::Own {
            let mut message = Vec::new();
            write_bytes(1, part, &mut message);
            frame(&message, out)?;
        }
        Ok(())
    }

    /// Whose the label sets of this number are, all taken together, as readers of protobuf do.
    fn whose(&self, message: &[u8], number: u64) -> Result<Whose, StreamError> {
        let set = merged(message, number)?;
        match &self.scoped.owner {
            Some(owner) => owner.whose(&set).map_err(StreamError::Message),
            None => Ok(Whose::Own),
        }
    }
}

impl Watch for Watcher {
    fn care(&self, number: u64) -> Care {
        let has_owner = self.scoped.owner.is_some();
        let checked = |care: Care| if has_owner { care } else { Care::Pass };
        match (self.scoped.call, number) {
            (Call::Query | Call::QueryRange, 1) => Care::Hold,
            (Call::Query | Call::QueryRange, 3) if self.scoped.samples => Care::Hold,
            (Call::Query | Call::QueryRange, 2..=4) => Care::Pass,
            (Call::Series, 1) => checked(Care::Series),
            (Call::Series, 4) => checked(Care::Batch),
            (Call::LabelNames | Call::LabelValues, 1 | 2) => Care::Field,
            (Call::Exemplars, 1) => checked(Care::Series),
            (Call::Rules | Call::Targets, 1) => checked(Care::Parts),
            (Call::Series | Call::Exemplars | Call::Rules | Call::Targets, 2) => Care::Hold,
            (Call::Info, 3) => Care::Parts,
            (Call::Info, 1 | 2 | 4 | 6 | 7 | 8) => Care::Field,
            (Call::Health, 1) => Care::Field,
            (
                Call::Query
                | Call::QueryRange
                | Call::Series
                | Call::LabelNames
                | Call::LabelValues
                | Call::Exemplars
                | Call::Rules
                | Call::Targets
                | Call::Info
                | Call::Health,
                _,
            ) => Care::Drop,
        }
    }

    fn series(&mut self, series: &[u8]) -> Result<bool, StreamError> {
        if self.scoped.call == Call::Exemplars {
            return Ok(self.whose(series, 1)? == Whose::Own);
        }
        let Some(owner) = &self.scoped.owner else { return Ok(true) };
        match owner.standing(series).map_err(StreamError::Message)? {
            Standing::Inside => Ok(true),
            Standing::Lacking | Standing::Outside => Err(StreamError::Refused),
        }
    }

    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match (event, self.scoped.call) {
            (Event::Held(message), _) => {
                self.count(message, out)?;
                let mut texts = repeated(message, u64::from(self.warning()));
                texts.try_for_each(|text| self.warn_in_frame(Some(text.map_err(StreamError::Message)?), out))
            }
            (Event::Field(field), _) => self.field(field),
            (Event::Part(_, part), Call::Targets) => self.target(part, out),
            (Event::Part(_, part), Call::Info) => self.info.part(&self.scoped, part),
            (Event::Part(_, part), _) => self.group.part(&self.scoped, part),
            (Event::PartsEnd(_), Call::Rules) => {
                let mut message = Vec::new();
                match self.group.end(&self.scoped, &mut message)? {
                    true => frame(&message, out),
                    false => Ok(()),
                }
            }
            (Event::PartsEnd(_), _) => Ok(()),
            (Event::Over(_), Call::Info) => Ok(()),
            (Event::Over(1), Call::Series | Call::LabelNames | Call::LabelValues | Call::Health) => {
                Err(StreamError::Long)
            }
            (Event::Over(_), Call::LabelNames | Call::LabelValues) => {
                let mut gathered = std::mem::take(&mut self.gathered);
                self.warn(None, &mut gathered);
                self.gathered = gathered;
                Ok(())
            }
            (Event::Over(_), _) => self.warn_in_frame(None, out),
            (Event::End, Call::Info) => {
                let mut message = Vec::new();
                self.info.write(&self.scoped, &mut message);
                frame(&message, out)
            }
            (Event::End, Call::LabelNames | Call::LabelValues | Call::Health) => {
                let message = std::mem::take(&mut self.gathered);
                frame(&message, out)
            }
            (Event::End, _) => Ok(()),
        }
    }
}

/// The messages of this number, one after the other, which is what merging them is.
pub fn merged(message: &[u8], number: u64) -> Result<Vec<u8>, StreamError> {
    let mut merged = Vec::new();
    for part in repeated(message, number) {
        merged.extend_from_slice(part.map_err(StreamError::Message)?);
    }
    Ok(merged)
}

fn frame(message: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
    write_frame(message, out).map_err(StreamError::Frame)
}
