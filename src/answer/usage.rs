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
//! the same; Cortex's `PrometheusResponseStats` is written alike. All write no white space between tokens; here it is removed.
//!
//! A key is held back until it is whole, and the comma before it; nothing else is. Only these four names are looked for, each
//! where it stands: a label called `stats` is a part of another value, which is passed over whole. Of two, the first counts.

use crate::json::{Container, Lexeme, MAX_HELD, Malformed, Scanner, quoted};

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
    scanner: Scanner,
    level: UsageLevel,
    /// The member at hand.
    member: UsageMember,
    /// Whether a member has been written in the object at hand, and in those around it.
    has_member: [bool; 4],
    /// The member at hand of `data` is taken out.
    is_hidden: bool,
    /// Statistics have been seen: those of a second one are not read.
    has_seen: bool,
    samples: Samples,
}

/// The objects inside of one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UsageLevel {
    Outside,
    Data,
    Stats,
    Samples,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UsageMember {
    Stats,
    Samples,
    Total,
    Peak,
    Other,
}

impl Usage {
    /// For one answer.
    pub fn new(statistics: Statistics) -> Self {
        Usage {
            statistics,
            scanner: Scanner::default(),
            level: UsageLevel::Outside,
            member: UsageMember::Other,
            has_member: [false; 4],
            is_hidden: false,
            has_seen: false,
            samples: Samples::default(),
        }
    }

    /// What was read so far.
    pub fn samples(&self) -> Samples {
        self.samples
    }

    /// Reads on, and writes what is passed on: never more than has come. Says whether the value is over.
    pub fn read(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Malformed> {
        while let Some(lexeme) = self.scanner.next(rest)? {
            match lexeme {
                Lexeme::Name => self.name(out)?,
                Lexeme::Value(byte) => self.value(byte, rest, out),
                Lexeme::Text => self.number(out)?,
                Lexeme::Null => {}
                Lexeme::Part(part, is_last) => {
                    self.write(part, out);
                    if is_last && self.level == UsageLevel::Outside {
                        return Ok(true);
                    }
                    self.is_hidden &= !is_last || self.level != UsageLevel::Data;
                }
                Lexeme::Close => {
                    self.write(b"}", out);
                    self.level = match self.level {
                        UsageLevel::Outside | UsageLevel::Data => return Ok(true),
                        UsageLevel::Stats => UsageLevel::Data,
                        UsageLevel::Samples => UsageLevel::Stats,
                    };
                    self.is_hidden &= self.level != UsageLevel::Data;
                    self.scanner.resume(Some(Container::Object));
                }
            }
        }
        Ok(false)
    }

    /// A name of which not all is held is longer than any that stands there.
    fn name(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let text = self.scanner.text();
        if text.len() > MAX_HELD {
            return Err(Malformed);
        }
        self.member = match (self.level, text) {
            (UsageLevel::Data, b"stats") => UsageMember::Stats,
            (UsageLevel::Stats, b"samples") => UsageMember::Samples,
            (UsageLevel::Samples, b"totalQueryableSamples") => UsageMember::Total,
            (UsageLevel::Samples, b"peakSamples") => UsageMember::Peak,
            (UsageLevel::Outside | UsageLevel::Data | UsageLevel::Stats | UsageLevel::Samples, _) => UsageMember::Other,
        };
        self.is_hidden |= self.statistics == Statistics::Taken && self.member == UsageMember::Stats;
        if self.is_hidden {
            return Ok(());
        }
        if let Some(has_member) = self.has_member.get_mut(self.level as usize)
            && std::mem::replace(has_member, true)
        {
            out.push(b',');
        }
        quoted(text, out);
        Ok(())
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) {
        if self.level != UsageLevel::Outside {
            self.write(b":", out);
        }
        let inner = match (self.level, self.member, byte) {
            (UsageLevel::Outside, _, b'{') => UsageLevel::Data,
            (_, UsageMember::Stats, b'{') if !std::mem::replace(&mut self.has_seen, true) => UsageLevel::Stats,
            (_, UsageMember::Samples, b'{') => UsageLevel::Samples,
            (_, UsageMember::Total | UsageMember::Peak, b'0'..=b'9') => return self.scanner.hold(rest),
            (
                _,
                UsageMember::Stats | UsageMember::Samples | UsageMember::Total | UsageMember::Peak | UsageMember::Other,
                _,
            ) => return self.scanner.skim(),
        };
        self.write(b"{", out);
        self.level = inner;
        if let Some(has_member) = self.has_member.get_mut(inner as usize) {
            *has_member = false;
        }
        self.scanner.enter(Container::Object, rest);
    }

    /// A number is whole: of two, the first counts, where it is a plain one.
    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let text = self.scanner.text();
        if text.len() > MAX_HELD {
            return Err(Malformed);
        }
        self.write(text, out);
        let number = text.iter().try_fold(0u64, |number, byte| {
            let digit = char::from(*byte).to_digit(10)?;
            number.checked_mul(10)?.checked_add(u64::from(digit))
        });
        let known = if self.member == UsageMember::Total { &mut self.samples.total } else { &mut self.samples.peak };
        *known = known.or(number);
        Ok(())
    }

    fn write(&self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.is_hidden {
            out.extend_from_slice(bytes);
        }
    }
}
