//! What is done with each field of each method's messages.
//!
//! ```text
//! Query, QueryRange         warnings 1 read; timeseries 2, stats 3, timeseries_batch 4 pass: the query was scoped
//! Series                    series 1, batch 4 pass if their labels are inside the scope, else the answer ends; warning 2 read
//! LabelNames, LabelValues   names 1 pass; warnings 2 read
//! Exemplars                 data 1 passes if its labels are the tenant's; warning 2 read
//! Rules                     group 1: see `rules`; warning 2 read
//! Targets                   targets 1: see `targets`; warning 2 read
//! Info                      see `info`
//! Health                    status 1
//! ```
//!
//! All other fields are dropped: `hints`, which name blocks, among them. Where the upstream isolates tenants by itself, labels are not looked
//! at. What is longer than may be held is an error where it is the tenant's own, and is left out where it is not; of a warning, the client
//! hears that there was one.

use super::info::Info;
use super::rules::Group;
use super::targets::Targets;
use super::{Scoped, WHOLE};
use crate::answer::messages::{WITHHELD, are_messages, is_message};
use crate::answer::owner::Whose;
use crate::answer::places::Places;
use crate::answer::usage::Samples;
use crate::api::Call;
use crate::scope::Standing;
use crate::wire::grpc::{Care, Event, Part, StreamError, Watch, write_frame};
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
    targets: Targets,
    info: Info,
    samples: Samples,
    places: Places,
}

impl Watcher {
    pub fn new(scoped: Scoped, places: Places) -> Watcher {
        Watcher {
            scoped,
            withheld: 0,
            is_generic_said: false,
            gathered: Vec::new(),
            group: Group::default(),
            targets: Targets::default(),
            info: Info::default(),
            samples: Samples::default(),
            places,
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

    /// A message that passes, with the client's place in it, or the tenant's limit behind it.
    pub fn of_client(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let placed = self.places.of_client(message, usize::MAX);
        placed.or_else(|| self.scoped.notes.with_limit(message, usize::MAX))
    }

    /// Whether the method evaluates a query: its warnings are the field 1 then, and have several in one.
    fn is_query(&self) -> bool {
        match self.scoped.call {
            Call::Query | Call::QueryRange => true,
            Call::Series
            | Call::LabelNames
            | Call::LabelValues
            | Call::Exemplars
            | Call::Rules
            | Call::Targets
            | Call::Info
            | Call::Health => false,
        }
    }

    /// The number of the field that holds warnings.
    fn warning(&self) -> u32 {
        if self.is_query() { 1 } else { 2 }
    }

    /// Writes what the tenant may read of a warning, as a field.
    fn warn(&mut self, text: Option<&[u8]>, out: &mut Vec<u8>) {
        // Several are joined by commas (`NewQueryWarningsResponse` in Thanos 0.42.5).
        let passes = if self.is_query() { are_messages } else { is_message };
        match text.filter(|text| passes(text)).and_then(|text| std::str::from_utf8(text).ok()) {
            Some(text) => {
                // Behind several, it would seem to be about the last.
                let limit = (!text.contains(", ")).then(|| self.scoped.notes.with_limit(text.as_bytes(), usize::MAX));
                let said = limit.flatten().unwrap_or_else(|| self.places.of_each(text));
                write_bytes(self.warning(), &said, out);
            }
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
        if !self.scoped.samples || !self.is_query() {
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
        match (self.scoped.call, number) {
            (Call::Info, _) => self.info.field(&self.scoped, number, value, field)?,
            (Call::LabelNames | Call::LabelValues, 2) => {
                let text = if let Value::Bytes(text) = value { Some(text) } else { None };
                self.warn_gathered(text);
            }
            (Call::LabelNames | Call::LabelValues | Call::Health, _) => self.gathered.extend_from_slice(field),
            (Call::Query | Call::QueryRange | Call::Series | Call::Exemplars | Call::Rules | Call::Targets, _) => {}
        }
        if self.gathered.len() > self.scoped.max.saturating_mul(WHOLE) { Err(StreamError::Long) } else { Ok(()) }
    }

    /// A warning beside names.
    fn warn_gathered(&mut self, text: Option<&[u8]>) {
        let mut gathered = std::mem::take(&mut self.gathered);
        self.warn(text, &mut gathered);
        self.gathered = gathered;
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

    fn enters(&self, number: u64) -> bool {
        match self.scoped.call {
            Call::Rules => self.group.enters(number),
            Call::Targets => self.targets.enters(number),
            Call::Query
            | Call::QueryRange
            | Call::Series
            | Call::LabelNames
            | Call::LabelValues
            | Call::Exemplars
            | Call::Info
            | Call::Health => false,
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
        match event {
            Event::Held(message) => {
                self.count(message, out)?;
                let mut texts = repeated(message, u64::from(self.warning()));
                texts.try_for_each(|text| self.warn_in_frame(Some(text.map_err(StreamError::Message)?), out))
            }
            Event::Field(field) => self.field(field),
            Event::Part(part) => self.part(part, out),
            Event::Over(number) => self.over(number, out),
            Event::End => self.end(out),
        }
    }
}

impl Watcher {
    fn part(&mut self, part: Part<'_>, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match self.scoped.call {
            Call::Rules => self.group.part(&self.scoped, part, out),
            Call::Targets => self.targets.part(&self.scoped, part, out),
            Call::Info => self.info.part(&self.scoped, part),
            Call::Query
            | Call::QueryRange
            | Call::Series
            | Call::LabelNames
            | Call::LabelValues
            | Call::Exemplars
            | Call::Health => Ok(()),
        }
    }

    /// What could not be held, and has been removed.
    fn over(&mut self, number: u64, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match (self.scoped.call, number) {
            (Call::Series | Call::LabelNames | Call::LabelValues | Call::Health, 1) => Err(StreamError::Long),
            // Labels of such a length are not the tenant's.
            (Call::Exemplars, 1) | (Call::Info | Call::Health, _) => Ok(()),
            (Call::LabelNames | Call::LabelValues, _) => {
                self.warn_gathered(None);
                Ok(())
            }
            (Call::Query | Call::QueryRange | Call::Series | Call::Exemplars | Call::Rules | Call::Targets, _) => {
                self.warn_in_frame(None, out)
            }
        }
    }

    /// The message has ended, and nothing of it has passed: what is written in its place.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match self.scoped.call {
            Call::Info => {
                let mut message = Vec::new();
                self.info.write(&self.scoped, &mut message);
                frame(&message, out)
            }
            Call::LabelNames | Call::LabelValues | Call::Health => {
                let message = std::mem::take(&mut self.gathered);
                frame(&message, out)
            }
            Call::Query | Call::QueryRange | Call::Series | Call::Exemplars | Call::Rules | Call::Targets => Ok(()),
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

pub fn frame(message: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
    write_frame(message, out).map_err(StreamError::Frame)
}
