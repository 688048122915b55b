//! The envelope that every JSON answer has: its known members, its messages filtered, and `data` given to the reader that this
//! answer needs. It is read as it streams by, in constant memory.
//!
//! ```text
//! document = "{" [ member *( "," member ) ] "}"        one; or, of `x-ndjson`, any number
//! member   = ( "status" / "errorType" ) ":" word
//!          / "error" ":" ( message / "null" )
//!          / ( "warnings" / "infos" ) ":" ( "[" [ message *( "," message ) ] "]" / "null" )
//!          / "data" ":" value                                  passed on as it comes, given to a reader, or dropped
//!          / ( "results" / "has_more" ) ":" value              passed on as it comes, or dropped
//!          / string ":" value                                   not known: dropped
//! ```
//!
//! Sources: `Response` in Prometheus 3.16's web/api/v1/api.go; `searchBatch` and `searchTrailer` in search.go; `response` in Thanos
//! 0.42.5's pkg/api/api.go.
//!
//! A name, a word or a message is held until it is whole, which is bounded. A known member that is given twice is refused: of two,
//! some clients take the first and some the last.

use super::Unreadable;
use super::by_owner::ByOwner;
use super::messages;
use super::metadata::Metadata;
use super::notes::Notes;
use super::operators::Operators;
use super::places::{Asked, Places};
use super::plain;
use super::renamed::Renamed;
use super::status::Author;
use super::target_metadata::TargetMetadata;
use super::usage::{Samples, Usage};
use crate::json::{Container, Lexeme, MAX_HELD, Scanner, Seen, quoted};

/// How many documents there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Documents {
    /// `application/json`.
    One,
    /// `application/x-ndjson`.
    Lines,
}

/// What is done with `data`.
#[derive(Debug)]
pub enum DataReader {
    /// It is passed on unread.
    Passed,
    /// It is dropped.
    Dropped,
    /// It is passed on; on its way, it is read for the operators of a query, for what the query has read, or for both.
    Query(Option<Box<Operators>>, Option<Box<Usage>>),
    /// What is the tenants' own is kept.
    ByOwner(Box<ByOwner>),
    /// Metadata of the tenant's own metrics is kept.
    Metadata(Box<Metadata>),
    /// Metadata is made of that of the tenant's own targets.
    TargetMetadata(Box<TargetMetadata>),
}

/// The documents of one answer.
#[derive(Debug)]
pub struct Envelope {
    documents: Documents,
    data: DataReader,
    /// Reads what `data` has passed on.
    renamed: Option<Box<Renamed>>,
    places: Places,
    author: Author,
    notes: Notes,
    /// By how much the messages may still grow.
    spare: usize,
    scanner: Scanner,
    part: EnvelopePart,
    member: EnvelopeMember,
    /// The known members that this document has had.
    seen: Seen,
    has_document: bool,
    /// Whether a byte of this document has been written, and a member.
    is_open: bool,
    has_member: bool,
    has_message: bool,
    is_generic_said: bool,
    /// The document's status is `error`, and it has a text that says what happened.
    has_error_status: bool,
    has_error_text: bool,
    is_success: bool,
    withheld: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnvelopePart {
    /// Before a document, or after it.
    Outside,
    Members,
    /// In a list of messages.
    Messages,
    /// In a value that a reader of its own reads.
    Data,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnvelopeMember {
    Status,
    Word,
    Message,
    Warnings,
    Infos,
    Data,
    Results,
    Passed,
    Dropped,
}

const MEMBERS: [(&[u8], EnvelopeMember); 8] = [
    (b"status", EnvelopeMember::Status),
    (b"data", EnvelopeMember::Data),
    (b"errorType", EnvelopeMember::Word),
    (b"error", EnvelopeMember::Message),
    (b"warnings", EnvelopeMember::Warnings),
    (b"infos", EnvelopeMember::Infos),
    (b"results", EnvelopeMember::Results),
    (b"has_more", EnvelopeMember::Passed),
];

impl Envelope {
    /// For one answer.
    pub fn new(documents: Documents, data: DataReader) -> Self {
        Envelope {
            documents,
            data,
            renamed: None,
            places: Places::Same,
            author: Author::Upstream,
            notes: Notes::default(),
            spare: 0,
            scanner: Scanner::default(),
            part: EnvelopePart::Outside,
            member: EnvelopeMember::Dropped,
            seen: Seen::default(),
            has_document: false,
            is_open: false,
            has_member: false,
            has_message: false,
            is_generic_said: false,
            has_error_status: false,
            has_error_text: false,
            is_success: false,
            withheld: 0,
        }
    }

    /// Labels have other names for the client.
    pub fn renamed(&mut self, renamed: Renamed) {
        self.renamed = Some(Box::new(renamed));
    }

    /// What the places in messages refer to.
    pub fn asked(&mut self, asked: Asked) {
        self.places = asked.into();
    }

    /// Who has made the answer.
    pub fn by(&mut self, author: Author) {
        self.author = author;
    }

    /// The limits that the upstream was told of.
    pub fn noting(&mut self, notes: Notes) {
        self.notes = notes;
    }

    /// By how much all messages together may grow.
    pub fn allow(&mut self, spare: usize) {
        self.spare = spare;
    }

    /// Reads on by one lexeme at least, and writes what is passed on: over all calls, as much as was taken and what messages may grow by.
    pub fn step(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self.part {
            EnvelopePart::Outside => self.outside(rest, out),
            EnvelopePart::Data => self.data(rest, out),
            EnvelopePart::Members | EnvelopePart::Messages => match self.scanner.next(rest)? {
                None => Ok(()),
                Some(Lexeme::Name) => self.name(out),
                Some(Lexeme::Value(byte)) => self.value(byte, rest, out),
                Some(Lexeme::Text) => self.text(out),
                Some(Lexeme::Null) => {
                    out.extend_from_slice(b"null");
                    Ok(())
                }
                Some(Lexeme::Part(part, _)) => {
                    if self.member != EnvelopeMember::Dropped {
                        out.extend_from_slice(part);
                    }
                    Ok(())
                }
                Some(Lexeme::Close) => {
                    self.close(out);
                    Ok(())
                }
            },
        }
    }

    /// Whether there was a document, and it is whole.
    pub fn is_whole(&self) -> bool {
        self.has_document && !self.is_inside()
    }

    /// Whether a document has begun that is not whole.
    pub fn is_inside(&self) -> bool {
        self.part != EnvelopePart::Outside
    }

    /// Whether a document was an error object of Prometheus's shape.
    pub fn is_error_object(&self) -> bool {
        self.has_error_status && self.has_error_text
    }

    /// How many messages were withheld so far.
    pub fn withheld(&self) -> u32 {
        self.withheld
    }

    /// How many samples the query has read, as far as that was said.
    pub fn samples(&self) -> Samples {
        match &self.data {
            DataReader::Query(_, Some(usage)) => usage.samples(),
            DataReader::Query(_, None)
            | DataReader::Passed
            | DataReader::Dropped
            | DataReader::ByOwner(_)
            | DataReader::Metadata(_)
            | DataReader::TargetMetadata(_) => Samples::default(),
        }
    }

    /// How much memory is taken by what is held.
    pub fn held(&self) -> usize {
        let by_reader = match &self.data {
            DataReader::ByOwner(reader) => reader.held(),
            DataReader::TargetMetadata(reader) => reader.held(),
            DataReader::Passed | DataReader::Dropped | DataReader::Query(..) | DataReader::Metadata(_) => 0,
        };
        self.scanner.held() + by_reader + self.renamed.as_ref().map_or(0, |renamed| renamed.held())
    }

    fn outside(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match rest.split_first() {
            None => {}
            Some((&byte @ (b' ' | b'\t' | b'\n' | b'\r'), after)) => {
                if self.has_document {
                    out.push(byte);
                }
                *rest = after;
            }
            Some((b'{', _)) if self.documents == Documents::Lines || !self.has_document => {
                self.scanner.enter(Container::Object, rest);
                self.part = EnvelopePart::Members;
                self.seen = Seen::default();
                self.has_document = true;
                self.is_open = false;
                self.has_member = false;
            }
            Some(_) => return Err(Unreadable::Malformed),
        }
        Ok(())
    }

    fn name(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        self.member = EnvelopeMember::Dropped;
        let text = self.scanner.text();
        let Some(index) = MEMBERS.iter().position(|(name, _)| *name == text) else {
            // One that is longer than what is held is none of the known ones, whatever it says.
            return if self.scanner.length() > MAX_HELD { Ok(()) } else { Ok(self.scanner.name().map(drop)?) };
        };
        self.seen.note(index)?;
        let member = MEMBERS.get(index).map_or(EnvelopeMember::Dropped, |(_, member)| *member);
        let is_dropped = match (member, &self.data) {
            (EnvelopeMember::Data, DataReader::Dropped) => true,
            (EnvelopeMember::Results | EnvelopeMember::Passed, DataReader::Passed | DataReader::Query(..)) => false,
            (EnvelopeMember::Results | EnvelopeMember::Passed, _) => true,
            (_, _) => false,
        };
        if is_dropped {
            return Ok(());
        }
        self.member = member;
        self.open(out);
        if std::mem::replace(&mut self.has_member, true) {
            out.push(b',');
        }
        quoted(self.scanner.text(), out);
        Ok(())
    }

    /// The first byte of a value.
    fn value(&mut self, byte: u8, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.part == EnvelopePart::Messages {
            if byte != b'"' {
                return Err(Unreadable::Malformed);
            }
            self.scanner.hold(rest);
            return Ok(());
        }
        if self.member != EnvelopeMember::Dropped {
            out.push(b':');
        }
        let is_renamed = self.renamed.as_ref().is_some_and(|renamed| match self.member {
            EnvelopeMember::Data => !renamed.reads_results(),
            EnvelopeMember::Results => renamed.reads_results(),
            EnvelopeMember::Status
            | EnvelopeMember::Word
            | EnvelopeMember::Message
            | EnvelopeMember::Warnings
            | EnvelopeMember::Infos
            | EnvelopeMember::Passed
            | EnvelopeMember::Dropped => false,
        });
        match (self.member, byte) {
            (EnvelopeMember::Data | EnvelopeMember::Results, _) if is_renamed => self.part = EnvelopePart::Data,
            (EnvelopeMember::Results | EnvelopeMember::Passed | EnvelopeMember::Dropped, _) => self.scanner.skim(),
            (EnvelopeMember::Data, _) => match self.data {
                DataReader::Passed | DataReader::Dropped => self.scanner.skim(),
                DataReader::Query(..)
                | DataReader::ByOwner(_)
                | DataReader::Metadata(_)
                | DataReader::TargetMetadata(_) => self.part = EnvelopePart::Data,
            },
            (EnvelopeMember::Status | EnvelopeMember::Word | EnvelopeMember::Message, b'"') => self.scanner.hold(rest),
            (EnvelopeMember::Warnings | EnvelopeMember::Infos, b'[') => {
                out.push(b'[');
                self.has_message = false;
                self.is_generic_said = false;
                self.part = EnvelopePart::Messages;
                self.scanner.enter(Container::Array, rest);
            }
            (EnvelopeMember::Message | EnvelopeMember::Warnings | EnvelopeMember::Infos, b'n') => self.scanner.null(),
            (
                EnvelopeMember::Status
                | EnvelopeMember::Word
                | EnvelopeMember::Message
                | EnvelopeMember::Warnings
                | EnvelopeMember::Infos,
                _,
            ) => return Err(Unreadable::Malformed),
        }
        Ok(())
    }

    fn data(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let is_over = match (&mut self.renamed, &self.data) {
            (None, _) => self.read_data(rest, out)?,
            (Some(renamed), DataReader::Passed) => renamed.read(rest, out)?,
            (Some(_), _) => {
                let mut left = Vec::with_capacity(rest.len());
                let is_over = self.read_data(rest, &mut left);
                if let Some(renamed) = &mut self.renamed {
                    let mut left = left.as_slice();
                    while !left.is_empty() {
                        renamed.read(&mut left, out)?;
                    }
                }
                is_over?
            }
        };
        if is_over {
            self.scanner.resume(Some(Container::Object));
            self.part = EnvelopePart::Members;
        }
        Ok(())
    }

    fn read_data(&mut self, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Unreadable> {
        Ok(match &mut self.data {
            DataReader::Passed | DataReader::Dropped | DataReader::Query(None, None) => {
                return Err(Unreadable::Malformed);
            }
            DataReader::Query(Some(operators), None) => operators.read(rest, out)?,
            DataReader::Query(None, Some(usage)) => usage.read(rest, out)?,
            DataReader::Query(Some(operators), Some(usage)) => {
                let mut left = Vec::with_capacity(rest.len());
                let is_over = operators.read(rest, &mut left);
                usage.read(&mut left.as_slice(), out)?;
                is_over?
            }
            DataReader::ByOwner(reader) => reader.read(rest, out)?,
            DataReader::Metadata(reader) => reader.read(rest, out)?,
            DataReader::TargetMetadata(reader) => reader.read(rest, out)?,
        })
    }

    /// A string that was held is whole.
    fn text(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match (self.part, self.member) {
            (EnvelopePart::Messages, _) => self.list_message(out),
            // Mimir's answers of rules and alerts have both members, empty, where nothing went wrong (`response` in pkg/ruler/api.go, 3.0).
            (_, EnvelopeMember::Message) if self.scanner.text().is_empty() && self.is_success => quoted(b"", out),
            (_, EnvelopeMember::Message) => {
                self.has_error_text = true;
                self.message(out);
            }
            (_, _) if messages::is_word(self.scanner.text()) => {
                let is_status = self.member == EnvelopeMember::Status;
                self.has_error_status |= is_status && self.scanner.text() == b"error";
                self.is_success |= is_status && self.scanner.text() == b"success";
                quoted(self.scanner.text(), out);
            }
            (_, _) => return Err(Unreadable::Malformed),
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.part == EnvelopePart::Messages {
            out.push(b']');
            self.part = EnvelopePart::Members;
            self.scanner.resume(Some(Container::Object));
        } else {
            self.open(out);
            out.push(b'}');
            self.part = EnvelopePart::Outside;
        }
    }

    /// Writes the opening brace before the first byte that needs it.
    fn open(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_open, true) {
            out.push(b'{');
        }
    }

    fn message(&mut self, out: &mut Vec<u8>) {
        let text = self.scanner.text();
        let length = self.scanner.length();
        let room = length.saturating_add(self.spare);
        if self.is_of_proxy(text) {
            return quoted(text, out);
        }
        if !messages::is_engine(text) {
            let cut = if self.member == EnvelopeMember::Message { messages::cut(text) } else { None };
            if let Some(cut) = cut.filter(|cut| cut.len() <= room) {
                self.spare = self.spare.saturating_sub(cut.len().saturating_sub(length));
                return quoted(cut.as_bytes(), out);
            }
            self.withheld = self.withheld.saturating_add(1);
            let lines = if self.member == EnvelopeMember::Warnings { messages::WARNING } else { messages::ERROR };
            let line = messages::fitting(lines, room);
            self.spare = self.spare.saturating_sub(line.len().saturating_sub(length));
            return quoted(line.as_bytes(), out);
        }
        let placed = self.places.of_client(text, room).or_else(|| self.notes.with_limit(text, room));
        match placed {
            Some(placed) => {
                self.spare = self.spare.saturating_sub(placed.len().saturating_sub(length));
                quoted(&placed, out);
            }
            None => quoted(text, out),
        }
    }

    /// Whether a message is the proxy's own, or the operator's in its place.
    fn is_of_proxy(&self, text: &[u8]) -> bool {
        self.author == Author::Proxy && plain::may_pass(text)
    }

    /// One line stands for all that are withheld: the client is not told how many there were.
    fn list_message(&mut self, out: &mut Vec<u8>) {
        let passes = messages::is_engine(self.scanner.text()) || self.is_of_proxy(self.scanner.text());
        if !passes && std::mem::replace(&mut self.is_generic_said, true) {
            self.withheld = self.withheld.saturating_add(1);
            return;
        }
        if std::mem::replace(&mut self.has_message, true) {
            out.push(b',');
        }
        self.message(out);
    }
}
