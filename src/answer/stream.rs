//! The messages of an answer that streams by: read where they stand in its structure, and withheld unless they are the engine's.
//! Memory is constant; nothing else is held back.
//!
//! ```text
//! document = "{" [ member *( "," member ) ] "}"        one; or, of `x-ndjson`, any number
//! member   = ( "status" / "errorType" ) ":" word
//!          / "error" ":" ( message / "null" )
//!          / ( "warnings" / "infos" ) ":" ( "[" [ message *( "," message ) ] "]" / "null" )
//!          / "data" ":" value                                  passed on as it comes, or read by `operators` and `usage`, or dropped
//!          / ( "results" / "has_more" ) ":" value              passed on as it comes, or dropped
//!          / string ":" value                                   not known: dropped
//! ```
//!
//! Sources: `Response` in Prometheus 3.16's web/api/v1/api.go; `searchBatch` and `searchTrailer` in search.go; `response` in Thanos
//! 0.42.5's pkg/api/api.go.
//!
//! A key, a word or a message is held back until it is whole, which is bounded: of all the bytes that came, never more have gone
//! on. What is not such a document is not passed on: where nothing has gone on yet, an error object takes its place, in no more
//! bytes; else the document ends where it stands, and no client can take it for a whole one.

use super::Unreadable;
use super::messages;
use super::operators::Operators;
use super::substitute::Substitute;
use super::usage::{Samples, Statistics, Usage};
use crate::json::{Quoted, Skim, Step, quoted};

/// How many documents there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `application/json`.
    One,
    /// `application/x-ndjson`.
    Lines,
}

/// What is done with `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The request was scoped to the tenant: it is the tenant's.
    Passes,
    /// Likewise, and Thanos says how the query was run.
    Analyzed,
    /// It is how Thanos would run the query.
    Explained,
    /// It would have had to be filtered, and an error has none.
    IsDropped,
}

/// The filter of one answer.
#[derive(Debug)]
pub struct MessageFilter {
    shape: Shape,
    data: Data,
    operators: Option<Operators>,
    usage: Option<Usage>,
    at: At,
    member: Member,
    /// The known members that this document has had.
    seen: u16,
    /// Whether a byte of this document has gone on, and a member.
    is_open: bool,
    has_member: bool,
    has_message: bool,
    is_generic_said: bool,
    text: Quoted,
    skim: Skim,
    documents: bool,
    came: usize,
    has_gone: bool,
    withheld: u32,
    fault: Option<Unreadable>,
    substitute: Option<Substitute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Between(Place),
    /// Inside of a string that is held back.
    Within(Held),
    /// In a member's value that isn't held back.
    Skimming,
    /// The beginning of `null`.
    Null,
}

/// Between two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a document, or after it.
    Outside,
    /// After `{`.
    Opened,
    /// After a comma between members.
    Key,
    Colon,
    Value,
    /// After a member's value.
    Next,
    /// After `[`.
    ListOpened,
    /// After a comma between messages.
    ListMessage,
    ListNext,
}

/// What a string that is held back is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Key,
    Word,
    Message,
    ListMessage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Word,
    Message,
    Messages,
    Data,
    Passed,
    Dropped,
}

const MEMBERS: [(&[u8], Member); 8] = [
    (b"status", Member::Word),
    (b"data", Member::Data),
    (b"errorType", Member::Word),
    (b"error", Member::Message),
    (b"warnings", Member::Messages),
    (b"infos", Member::Messages),
    (b"results", Member::Passed),
    (b"has_more", Member::Passed),
];

impl MessageFilter {
    /// For one answer.
    pub fn new(shape: Shape, data: Data) -> Self {
        MessageFilter {
            shape,
            data,
            operators: match data {
                Data::Passes | Data::IsDropped => None,
                Data::Analyzed => Some(Operators::analyzed()),
                Data::Explained => Some(Operators::explained()),
            },
            usage: None,
            at: At::Between(Place::Outside),
            member: Member::Dropped,
            seen: 0,
            is_open: false,
            has_member: false,
            has_message: false,
            is_generic_said: false,
            text: Quoted::default(),
            skim: Skim::default(),
            documents: false,
            came: 0,
            has_gone: false,
            withheld: 0,
            fault: None,
            substitute: None,
        }
    }

    /// Reads the statistics in `data` as well.
    pub fn measuring(self, statistics: Statistics) -> Self {
        let usage = match statistics {
            Statistics::Unread => None,
            Statistics::Shown | Statistics::Taken => Some(Usage::new(statistics)),
        };
        MessageFilter { usage, ..self }
    }

    /// Reads on, and writes what goes on. Over all chunks, never more is written than has come; of one chunk, at most
    /// a message more than it holds.
    pub fn push(&mut self, chunk: &[u8], end: bool, out: &mut Vec<u8>) {
        let written = out.len();
        if self.fault.is_none() {
            let done = self.read(chunk, out).and_then(|()| if end { self.finish() } else { Ok(()) });
            self.has_gone |= out.len() > written;
            if let Err(fault) = done {
                self.fault = Some(fault);
                // The bytes of this chunk are counted below.
                self.substitute = (!self.has_gone).then(|| Substitute::new(self.came));
            }
        }
        if let Some(substitute) = &mut self.substitute {
            substitute.push(chunk.len(), end, out);
        }
        self.came = self.came.saturating_add(chunk.len());
    }

    /// Why the rest is not passed on.
    pub fn fault(&self) -> Option<Unreadable> {
        self.fault
    }

    /// How many messages were withheld so far.
    pub fn withheld(&self) -> u32 {
        self.withheld
    }

    /// How many samples the query has read, as far as that was said.
    pub fn samples(&self) -> Samples {
        self.usage.as_ref().map(Usage::samples).unwrap_or_default()
    }

    fn finish(&self) -> Result<(), Unreadable> {
        if self.at == At::Between(Place::Outside) { Ok(()) } else { Err(Unreadable::Truncated) }
    }

    fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = match self.at {
                At::Between(place) => self.punctuation(place, rest, out)?,
                At::Within(held) => self.string(held, rest, out)?,
                At::Skimming => self.skim(rest, out)?,
                At::Null => self.null(rest, out)?,
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Between strings and values: one byte, or none where it is the next one's.
    fn punctuation(&mut self, place: Place, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        let Some(&byte) = rest.first() else {
            return Ok(0);
        };
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            if place == Place::Outside && self.documents {
                out.push(byte);
            }
            return Ok(1);
        }
        match (place, byte) {
            (Place::Outside, b'{') if self.shape == Shape::Lines || !self.documents => {
                self.documents = true;
                self.seen = 0;
                self.is_open = false;
                self.has_member = false;
                self.at = At::Between(Place::Opened);
            }
            (Place::Opened | Place::Key, b'"') => self.begin(At::Within(Held::Key)),
            (Place::Opened | Place::Next, b'}') => {
                self.open(out);
                out.push(b'}');
                self.at = At::Between(Place::Outside);
            }
            (Place::Colon, b':') => {
                if self.member != Member::Dropped {
                    out.push(b':');
                }
                self.at = At::Between(Place::Value);
            }
            (Place::Next, b',') => self.at = At::Between(Place::Key),
            (Place::Value, _) => return self.value(byte, out),
            (Place::ListOpened | Place::ListMessage, b'"') => self.begin(At::Within(Held::ListMessage)),
            (Place::ListNext, b',') => self.at = At::Between(Place::ListMessage),
            (Place::ListOpened | Place::ListNext, b']') => {
                out.push(b']');
                self.at = At::Between(Place::Next);
            }
            _ => return Err(Unreadable::Malformed),
        }
        Ok(1)
    }

    /// The first byte of a member's value.
    fn value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        match (self.member, byte) {
            (Member::Data | Member::Passed | Member::Dropped, _) => {
                self.skim = Skim::default();
                self.at = At::Skimming;
                return Ok(0);
            }
            (Member::Word, b'"') => self.begin(At::Within(Held::Word)),
            (Member::Message, b'"') => self.begin(At::Within(Held::Message)),
            (Member::Messages, b'[') => {
                out.push(b'[');
                self.has_message = false;
                self.is_generic_said = false;
                self.at = At::Between(Place::ListOpened);
            }
            (Member::Message | Member::Messages, b'n') => {
                self.begin(At::Null);
                return Ok(0);
            }
            _ => return Err(Unreadable::Malformed),
        }
        Ok(1)
    }

    fn skim(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        let is_data = self.member == Member::Data;
        let operators = self.operators.as_mut().filter(|_| is_data);
        let usage = self.usage.as_mut().filter(|_| is_data);
        let passes = operators.is_none() && usage.is_none() && self.member != Member::Dropped;
        let step = match (operators, usage) {
            (None, None) => self.skim.read(rest),
            (Some(operators), None) => operators.read(rest, out),
            (None, Some(usage)) => usage.read(rest, out),
            (Some(operators), Some(usage)) => {
                let mut left = Vec::with_capacity(rest.len());
                match (operators.read(rest, &mut left), usage.read(&left, out)) {
                    (_, Step::Malformed) => Step::Malformed,
                    (step, _) => step,
                }
            }
        };
        let taken = match step {
            Step::Inside => rest.len(),
            Step::Done(taken) => {
                self.at = At::Between(Place::Next);
                taken
            }
            Step::Malformed => return Err(Unreadable::Malformed),
        };
        if passes {
            out.extend_from_slice(rest.get(..taken).unwrap_or_default());
        }
        Ok(taken)
    }

    fn begin(&mut self, at: At) {
        self.text.begin();
        self.at = at;
    }

    /// Inside of a string that is held back.
    fn string(&mut self, held: Held, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        match self.text.read(rest) {
            Some(taken) => self.string_ended(held, out).map(|()| taken),
            None => Ok(rest.len()),
        }
    }

    fn string_ended(&mut self, held: Held, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let next = match held {
            Held::Key => {
                self.key(out)?;
                Place::Colon
            }
            Held::Word if messages::is_word(self.text.text()) => {
                quoted(self.text.text(), out);
                Place::Next
            }
            Held::Word => return Err(Unreadable::Malformed),
            Held::Message => {
                self.message(out);
                Place::Next
            }
            Held::ListMessage => {
                self.list_message(out);
                Place::ListNext
            }
        };
        self.at = At::Between(next);
        Ok(())
    }

    fn key(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.member = Member::Dropped;
        let found = MEMBERS.iter().zip(0u32..).find(|((name, _), _)| *name == self.text.text());
        let Some(((_, member), index)) = found else {
            return Ok(());
        };
        let bit = 1u16.checked_shl(index).unwrap_or_default();
        // Of two, some clients take the first and some the last.
        if self.seen & bit != 0 {
            return Err(Unreadable::Malformed);
        }
        self.seen |= bit;
        if matches!(member, Member::Data | Member::Passed) && self.data == Data::IsDropped {
            return Ok(());
        }
        self.member = *member;
        self.open(out);
        if std::mem::replace(&mut self.has_member, true) {
            out.push(b',');
        }
        quoted(self.text.text(), out);
        Ok(())
    }

    /// Writes the opening brace before the first byte that needs it.
    fn open(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_open, true) {
            out.push(b'{');
        }
    }

    fn message(&mut self, out: &mut Vec<u8>) {
        if messages::is_engine(self.text.text()) {
            quoted(self.text.text(), out);
        } else {
            self.withheld = self.withheld.saturating_add(1);
            quoted(messages::generic(self.text.length()).as_bytes(), out);
        }
    }

    /// One line stands for all that are withheld: how many there were is told to nobody.
    fn list_message(&mut self, out: &mut Vec<u8>) {
        if !messages::is_engine(self.text.text()) && std::mem::replace(&mut self.is_generic_said, true) {
            self.withheld = self.withheld.saturating_add(1);
            return;
        }
        if std::mem::replace(&mut self.has_message, true) {
            out.push(b',');
        }
        self.message(out);
    }

    fn null(&mut self, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Unreadable> {
        const NULL: &[u8] = b"null";
        let taken = rest.get(..NULL.len().saturating_sub(self.text.length())).unwrap_or(rest);
        self.text.hold(taken);
        if !NULL.starts_with(self.text.text()) {
            return Err(Unreadable::Malformed);
        }
        if self.text.text() == NULL {
            out.extend_from_slice(NULL);
            self.at = At::Between(Place::Next);
        }
        Ok(taken.len())
    }
}
