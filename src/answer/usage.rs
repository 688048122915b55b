//! What a query has read: the upstream's statistics, read in `data` as it streams by, and taken out again where the client had not
//! asked for them.
//!
//! ```text
//! data    = "{" [ member *( "," member ) ] "}"          anything else is passed on
//! member  = "stats" ":" stats / string ":" value
//! stats   = "{" … "samples" ":" samples … "}"
//! samples = "{" … "totalQueryableSamples" ":" number … "peakSamples" ":" number … "}"
//! ```
//!
//! Sources: `QueryData` in Prometheus 3.16's web/api/v1/api.go and `BuiltinStats` in util/stats/query_stats.go; Thanos 0.42.5 uses
//! the same; Cortex's `PrometheusResponseStats` is written alike. All write no white space between tokens; here it goes.
//!
//! A key is held back until it is whole, and the comma before it; nothing else is. Only these four names are looked for, each
//! where it stands: a label called `stats` is a part of another value, which is passed over whole. Of two, the first counts.

use crate::json::{Quoted, Skim, Step, quoted};

/// What is done with the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// They were not asked for by us: nothing is read.
    Unread,
    /// The client asked as well: read and passed on.
    Shown,
    /// Read and taken out.
    Taken,
}

/// How many samples a query has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Samples {
    /// `totalQueryableSamples`.
    pub total: Option<u64>,
    /// `peakSamples`.
    pub peak: Option<u64>,
}

/// Reads one value of `data`.
#[derive(Debug)]
pub struct Usage {
    statistics: Statistics,
    at: At,
    level: Level,
    /// Whether a member has been written in the object at hand, and in those around it.
    has_member: [bool; 3],
    key: Quoted,
    /// The member at hand of `data` is taken out.
    is_hidden: bool,
    skim: Skim,
    /// The number at hand; none where it is no plain number.
    number: Option<u64>,
    /// Statistics have been seen: those of a second one are not read.
    has_seen: bool,
    samples: Samples,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first byte.
    Start,
    /// In a value that is no object.
    Plain,
    /// After `{`.
    Opened,
    /// After a comma.
    Comma,
    Key,
    Colon,
    Value,
    Skim,
    Number,
    /// After a member's value.
    Next,
    Done,
}

/// The objects inside of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Data,
    Stats,
    Samples,
}

const STATS: &[u8] = b"stats";
const SAMPLES: &[u8] = b"samples";
const TOTAL: &[u8] = b"totalQueryableSamples";
const PEAK: &[u8] = b"peakSamples";

impl Usage {
    /// For one answer.
    pub fn new(statistics: Statistics) -> Self {
        Usage {
            statistics,
            at: At::Start,
            level: Level::Data,
            has_member: [false; 3],
            key: Quoted::default(),
            is_hidden: false,
            skim: Skim::default(),
            number: None,
            has_seen: false,
            samples: Samples::default(),
        }
    }

    /// What was read so far.
    pub fn samples(&self) -> Samples {
        self.samples
    }

    /// Reads on, and writes what goes on: never more than has come.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Step {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(more) = self.step(rest, out) else {
                return Step::Malformed;
            };
            taken += more;
            if self.at == At::Done {
                return Step::Done(taken);
            }
        }
        Step::Inside
    }

    /// How many bytes it took; none where they are nothing of the kind.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let &byte = rest.first()?;
        match self.at {
            At::Plain | At::Skim => self.value(rest, out),
            At::Key => self.key(rest, out),
            At::Number => Some(self.digits(rest, out)),
            At::Start | At::Opened | At::Comma | At::Colon | At::Value | At::Next | At::Done => match byte {
                b' ' | b'\t' | b'\n' | b'\r' => Some(1),
                byte => self.punctuation(byte, out),
            },
        }
    }

    /// Between strings and values: one byte, or none where it is the next one's.
    fn punctuation(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<usize> {
        match (self.at, byte) {
            (At::Start, b'{') => self.open(self.level, out),
            (At::Start, _) => {
                self.at = At::Plain;
                return Some(0);
            }
            (At::Opened | At::Comma, b'"') => {
                self.key.begin();
                self.at = At::Key;
            }
            (At::Colon, b':') => {
                self.write(b":", out);
                self.at = At::Value;
            }
            (At::Value, _) => match (self.level, self.key.text(), byte) {
                (Level::Data, STATS, b'{') if !std::mem::replace(&mut self.has_seen, true) => {
                    self.open(Level::Stats, out);
                }
                (Level::Stats, SAMPLES, b'{') => self.open(Level::Samples, out),
                (Level::Samples, TOTAL | PEAK, b'0'..=b'9') => {
                    self.number = Some(0);
                    self.at = At::Number;
                    return Some(0);
                }
                (Level::Data | Level::Stats | Level::Samples, _, _) => {
                    self.skim = Skim::default();
                    self.at = At::Skim;
                    return Some(0);
                }
            },
            (At::Next, b',') => self.at = At::Comma,
            (At::Opened | At::Next, b'}') => {
                self.write(b"}", out);
                match self.level {
                    Level::Data => self.at = At::Done,
                    Level::Stats => self.ended(Level::Data),
                    Level::Samples => self.ended(Level::Stats),
                }
            }
            _ => return None,
        }
        Some(1)
    }

    fn open(&mut self, level: Level, out: &mut Vec<u8>) {
        self.write(b"{", out);
        self.level = level;
        if let Some(has_member) = self.has_member.get_mut(level as usize) {
            *has_member = false;
        }
        self.at = At::Opened;
    }

    /// A member's value is over, at this level.
    fn ended(&mut self, level: Level) {
        self.level = level;
        self.at = At::Next;
        if level == Level::Data {
            self.is_hidden = false;
        }
    }

    /// A value that is not looked into.
    fn value(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let (taken, is_over) = match self.skim.read(rest) {
            Step::Inside => (rest.len(), false),
            Step::Done(taken) => (taken, true),
            Step::Malformed => return None,
        };
        self.write(rest.get(..taken)?, out);
        match (is_over, self.at) {
            (false, _) => {}
            (true, At::Plain) => self.at = At::Done,
            (true, _) => self.ended(self.level),
        }
        Some(taken)
    }

    /// Inside of a key. One of which not all is held is longer than any that stands there.
    fn key(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let ended = self.key.read(rest);
        if self.key.length() > self.key.text().len() {
            return None;
        }
        if ended.is_some() {
            self.key_ended(out);
        }
        Some(ended.unwrap_or(rest.len()))
    }

    fn key_ended(&mut self, out: &mut Vec<u8>) {
        self.at = At::Colon;
        self.is_hidden |= self.statistics == Statistics::Taken && self.level == Level::Data && self.key.text() == STATS;
        if self.is_hidden {
            return;
        }
        if let Some(has_member) = self.has_member.get_mut(self.level as usize)
            && std::mem::replace(has_member, true)
        {
            out.push(b',');
        }
        quoted(self.key.text(), out);
    }

    /// Inside of a number, which ends where a byte stands that is none of its.
    fn digits(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let length = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)));
        let (digits, _) = rest.split_at_checked(length.unwrap_or(rest.len())).unwrap_or_default();
        for byte in digits {
            let digit = char::from(*byte).to_digit(10).map(u64::from);
            self.number = digit.and_then(|digit| self.number?.checked_mul(10)?.checked_add(digit));
        }
        self.write(digits, out);
        if length.is_some() {
            let known = if self.key.text() == TOTAL { &mut self.samples.total } else { &mut self.samples.peak };
            *known = known.or(self.number);
            self.ended(self.level);
        }
        digits.len()
    }

    fn write(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.is_hidden {
            out.extend_from_slice(bytes);
        }
    }
}
