//! An answer's frames as they pass: their messages are looked into, in memory that does not grow with them.
//!
//! A frame's length stands before it, so that a frame whose header has been passed on can't change any more. What happens to a
//! frame is therefore decided at the first field of its message, from the field's number ([`Watch::care`]):
//!
//! ```text
//! Pass    the frame passes as it arrives
//! Series  likewise, and the field is a series: once its labels have been looked at, it passes or is removed
//! Batch   likewise, and the field holds series in its fields 1
//! Drop    the frame is removed
//! Field   the frame is removed, and the field is handed out, whole
//! Parts   the frame is removed, and each field of the message that is its field is handed out, whole, or field by field in turn
//!         where [`Watch::enters`] it: what is written in its place may be less, or several frames
//! Hold    the message is handed out, whole: what is written in its place may be anything
//! ```
//!
//! Thanos's streamed answers are made for this. Each of their messages is one `oneof`, of which a frame has one member:
//! `SeriesResponse` is series 1, warning 2, hints 3 or batch 4; `QueryResponse` is warnings 1, timeseries 2, stats 3 or
//! timeseries_batch 4. Warnings and hints thus have frames of their own, which are held or removed while series pass. Where a
//! second field would need its frame to have been treated otherwise, that is [`StreamError::Mixed`]. `Pass`, `Series` and `Batch`
//! go together, and so do `Drop`, `Field` and `Parts`; a message that is held is held to its end. A message without any field passes.
//!
//! What would be handed out and is longer than the bound is removed, and told as [`Event::Over`] or [`Part::Over`].
//!
//! Go writes the labels of a series before its samples or chunks. Labels are held until the first other field, or the end of the
//! series. A label after that is [`StreamError::Late`].

mod watch;

pub use watch::{Care, Event, Part, StreamError, Watch};

use super::{FrameError, HEADER, read_header};
use crate::wire::protobuf::{self, MAX_NUMBER, Varint};

/// An answer that streams by.
#[derive(Debug)]
pub struct Stream {
    bound: usize,
    header: Vec<u8>,
    way: Way,
    /// The message, and the messages within it that are entered: a batch and a series, or as many as the watch enters. Empty between
    /// frames.
    levels: Vec<Level>,
    /// The tag of a field, and the number that follows it, as far as they have arrived.
    head: Vec<u8>,
    tag: Option<u64>,
    varint: Varint,
    /// The value of a field.
    value: Option<Extent>,
    /// What is held.
    pending: Vec<u8>,
    failed: Option<StreamError>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not decided: no field has come.
    Open,
    /// The header is passed on, or waits for the labels that come first.
    Passes,
    /// The frame is removed, or replaced.
    Removed,
}

/// A message that is entered. What is entered in turn is taken off what is left of it.
#[derive(Debug, Clone, Copy)]
struct Level {
    left: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The message of the frame.
    Message,
    Batch,
    /// Its labels are pending from there on, unless they have been seen.
    Series {
        labels: usize,
        seen: bool,
        /// The number of the field, where nothing of the message has passed: then it can be removed.
        first: Option<u64>,
    },
    Parts(u64),
}

/// A value, and what is done with its bytes.
#[derive(Debug, Clone, Copy)]
struct Extent {
    left: u64,
    sink: Sink,
}

#[derive(Debug, Clone, Copy)]
enum Sink {
    Pass,
    Drop,
    /// Pending, until the series is looked at.
    Label,
    /// Pending, then handed out.
    Part(u64),
    /// Likewise.
    Field,
    /// Likewise.
    Hold,
    /// Removed, since it is longer than the bound. The field of the message that it belongs to.
    Over(u64),
    /// The same, of a part. Its own number.
    PartOver(u64),
}

impl Stream {
    /// At most this many bytes are held: of one message, one part, or the labels of one series.
    pub fn new(bound: usize) -> Self {
        Stream {
            bound,
            header: Vec::new(),
            way: Way::Open,
            levels: Vec::new(),
            head: Vec::new(),
            tag: None,
            varint: Varint::default(),
            value: None,
            pending: Vec::new(),
            failed: None,
        }
    }

    /// Takes the next bytes of the answer, and appends what passes to `out`. After an error, what stands in `out` may still be
    /// sent, and nothing more: every later call gives the error again.
    pub fn push(&mut self, data: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let result = match self.failed {
            None => self.run(data, watch, out),
            Some(error) => Err(error),
        };
        self.failed = result.err();
        result
    }

    /// The answer has ended.
    pub fn finish(&self) -> Result<(), StreamError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.levels.is_empty() && self.header.is_empty() => Ok(()),
            None => Err(StreamError::Frame(FrameError::Cut)),
        }
    }

    fn run(&mut self, mut data: &[u8], watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), StreamError> {
        loop {
            self.close(watch, out)?;
            if let Some(extent) = &mut self.value {
                let size = usize::try_from(extent.left).unwrap_or(usize::MAX);
                let (taken, rest) = data.split_at_checked(size).unwrap_or((data, &[]));
                data = rest;
                extent.left -= taken.len() as u64;
                match extent.sink {
                    Sink::Pass => out.extend_from_slice(taken),
                    Sink::Drop | Sink::Over(_) | Sink::PartOver(_) => {}
                    Sink::Label | Sink::Part(_) | Sink::Field | Sink::Hold => self.pending.extend_from_slice(taken),
                }
                if extent.left > 0 {
                    return Ok(());
                }
                continue;
            }
            let Some((&byte, rest)) = data.split_first() else { return Ok(()) };
            data = rest;
            match self.levels.last_mut() {
                None => self.header_byte(byte)?,
                Some(level) => {
                    level.left = level.left.checked_sub(1).ok_or(StreamError::Message(protobuf::Error::Cut))?;
                    self.head_byte(byte, watch, out)?;
                }
            }
        }
    }

    /// A byte of a frame's header.
    fn header_byte(&mut self, byte: u8) -> Result<(), StreamError> {
        self.header.push(byte);
        if let Some((&header, [])) = self.header.split_first_chunk::<HEADER>() {
            let (compressed, length) = read_header(header).map_err(StreamError::Frame)?;
            if compressed {
                return Err(StreamError::Frame(FrameError::Compressed));
            }
            self.way = Way::Open;
            self.levels.push(Level { left: u64::from(length), kind: Kind::Message });
        }
        Ok(())
    }

    /// A byte of what stands before a field's value, or is its value, if that is a varint.
    fn head_byte(&mut self, byte: u8, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), StreamError> {
        self.head.push(byte);
        let Some(value) = self.varint.push(byte).map_err(StreamError::Message)? else { return Ok(()) };
        self.varint = Varint::default();
        let (tag, size) = match self.tag {
            None => {
                if !(1..=MAX_NUMBER).contains(&(value >> 3)) {
                    return Err(StreamError::Message(protobuf::Error::Number));
                }
                match value & 7 {
                    0 | 2 => {
                        self.tag = Some(value);
                        return Ok(());
                    }
                    1 => (value, 8),
                    5 => (value, 4),
                    _ => return Err(StreamError::Message(protobuf::Error::Kind)),
                }
            }
            Some(tag) if tag & 7 == 0 => (tag, 0),
            Some(tag) => (tag, value),
        };
        self.tag = None;
        self.field(tag >> 3, tag & 7 == 2, size, watch, out)?;
        self.head.clear();
        Ok(())
    }

    /// A field begins, with a value of this size. Whether it has bytes, which may be a message.
    fn field(
        &mut self,
        number: u64,
        bytes: bool,
        size: u64,
        watch: &mut dyn Watch,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        level.left = level.left.checked_sub(size).ok_or(StreamError::Message(protobuf::Error::Cut))?;
        let kind = level.kind;
        match kind {
            Kind::Message => return self.top(number, bytes, size, watch, out),
            Kind::Batch if number != 1 => return Err(StreamError::Unknown),
            Kind::Series { .. } if number != 1 => {
                if self.look(watch, out)? {
                    out.extend_from_slice(&self.head);
                    self.value = Some(Extent { left: size, sink: Sink::Pass });
                } else {
                    self.drop_level(size, Sink::Drop);
                }
            }
            Kind::Parts(_) if bytes && watch.enters(number) => self.enter_parts(number, size, watch, out)?,
            Kind::Parts(_) => self.hold(size, Sink::Part(number), Sink::PartOver(number)),
            Kind::Batch | Kind::Series { .. } if !bytes => return Err(StreamError::Message(protobuf::Error::Type)),
            Kind::Batch => self.enter_series(size, None),
            Kind::Series { seen: true, .. } => return Err(StreamError::Late),
            Kind::Series { seen: false, first, .. } => {
                if self.fits(size) {
                    self.pending.extend_from_slice(&self.head);
                    self.value = Some(Extent { left: size, sink: Sink::Label });
                } else {
                    let number = first.ok_or(StreamError::Long)?;
                    self.pending.clear();
                    self.way = Way::Removed;
                    self.drop_level(size, Sink::Over(number));
                }
            }
        }
        Ok(())
    }

    /// A field of the message itself.
    fn top(
        &mut self,
        number: u64,
        bytes: bool,
        size: u64,
        watch: &mut dyn Watch,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let care = watch.care(number);
        let passes = match care {
            Care::Pass | Care::Series | Care::Batch => Way::Passes,
            Care::Drop | Care::Field | Care::Parts | Care::Hold => Way::Removed,
        };
        // What is held is held from its first field on.
        if self.way != Way::Open && (self.way != passes || care == Care::Hold) {
            return Err(StreamError::Mixed);
        }
        if matches!(care, Care::Series | Care::Batch | Care::Parts) && !bytes {
            return Err(StreamError::Message(protobuf::Error::Type));
        }
        let is_first = self.way == Way::Open;
        if is_first && passes == Way::Passes {
            self.pending.extend_from_slice(&self.header);
        }
        self.way = passes;
        match care {
            Care::Pass => {
                out.append(&mut self.pending);
                out.extend_from_slice(&self.head);
                self.value = Some(Extent { left: size, sink: Sink::Pass });
            }
            Care::Series => self.enter_series(size, Some(number).filter(|_| is_first)),
            Care::Batch => {
                self.pending.extend_from_slice(&self.head);
                self.levels.push(Level { left: size, kind: Kind::Batch });
            }
            Care::Drop => self.value = Some(Extent { left: size, sink: Sink::Drop }),
            Care::Field => self.hold(size, Sink::Field, Sink::Over(number)),
            Care::Parts => self.enter_parts(number, size, watch, out)?,
            Care::Hold => {
                // The rest of the message is not looked at here.
                let rest = self.levels.last_mut().map_or(0, |level| std::mem::take(&mut level.left));
                self.hold(size.saturating_add(rest), Sink::Hold, Sink::Over(number));
            }
        }
        Ok(())
    }

    fn enter_parts(
        &mut self,
        number: u64,
        size: u64,
        watch: &mut dyn Watch,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        self.levels.push(Level { left: size, kind: Kind::Parts(number) });
        watch.event(Event::Part(Part::Begin(number)), out)
    }

    fn enter_series(&mut self, size: u64, first: Option<u64>) {
        self.pending.extend_from_slice(&self.head);
        let labels = self.pending.len();
        self.levels.push(Level { left: size, kind: Kind::Series { labels, seen: false, first } });
    }

    /// Whether a value of this size may be held, with what is held already and what stands before it.
    fn fits(&self, size: u64) -> bool {
        let held = self.pending.len().saturating_add(self.head.len());
        size.saturating_add(held as u64) <= self.bound as u64
    }

    /// Begins to hold a value, with what stands before it. Where it is too long, it is removed.
    fn hold(&mut self, size: u64, sink: Sink, over: Sink) {
        let sink = if self.fits(size) {
            self.pending.extend_from_slice(&self.head);
            sink
        } else {
            over
        };
        self.value = Some(Extent { left: size, sink });
    }

    /// Removes a value and the rest of the innermost message.
    fn drop_level(&mut self, size: u64, sink: Sink) {
        let mut rest = 0;
        if let Some(level) = self.levels.last_mut() {
            rest = std::mem::take(&mut level.left);
            if let Kind::Series { seen, .. } = &mut level.kind {
                *seen = true;
            }
        }
        self.value = Some(Extent { left: size.saturating_add(rest), sink });
    }

    /// Has the labels of the innermost series looked at, once. Says whether it passes; then its labels have passed.
    fn look(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<bool, StreamError> {
        if let Some(Level { kind: Kind::Series { labels, seen: seen @ false, first }, .. }) = self.levels.last_mut() {
            *seen = true;
            if watch.series(self.pending.get(*labels..).unwrap_or_default())? {
                out.append(&mut self.pending);
            } else if first.is_some() {
                self.pending.clear();
                self.way = Way::Removed;
                return Ok(false);
            } else {
                return Err(StreamError::Refused);
            }
        }
        Ok(true)
    }

    /// Ends the value and the messages that have no more bytes.
    fn close(&mut self, watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match self.value {
            Some(Extent { left: 0, sink }) => {
                self.value = None;
                let event = match sink {
                    Sink::Part(number) => Some(Event::Part(Part::Field(number, &self.pending))),
                    Sink::Field => Some(Event::Field(&self.pending)),
                    Sink::Hold => Some(Event::Held(&self.pending)),
                    Sink::Over(number) => Some(Event::Over(number)),
                    Sink::PartOver(number) => Some(Event::Part(Part::Over(number))),
                    Sink::Pass | Sink::Drop | Sink::Label => None,
                };
                if let Some(event) = event {
                    watch.event(event, out)?;
                    self.pending.clear();
                }
            }
            Some(_) => return Ok(()),
            None => {}
        }
        while let Some(&Level { left: 0, kind }) = self.levels.last() {
            if !self.head.is_empty() {
                return Err(StreamError::Message(protobuf::Error::Cut));
            }
            match kind {
                Kind::Series { .. } => drop(self.look(watch, out)?),
                Kind::Batch => out.append(&mut self.pending),
                Kind::Parts(number) => watch.event(Event::Part(Part::End(number)), out)?,
                Kind::Message => {
                    match self.way {
                        Way::Open => out.extend_from_slice(&self.header),
                        Way::Passes => {}
                        Way::Removed => watch.event(Event::End, out)?,
                    }
                    self.header.clear();
                }
            }
            self.levels.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
