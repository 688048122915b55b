//! Protocol Buffers messages, read in place.
//!
//! ```text
//! message = *( tag value )        tag = varint( number << 3 | kind )
//! value   = varint                kind 0
//!         | 8 bytes               kind 1
//!         | varint(size) bytes    kind 2: a string, bytes, or another message
//!         | 4 bytes               kind 5
//! varint  = *9( 7 bits, more follow ) ( 7 bits, the last )      the least significant bits first, at most 64 bits
//! ```
//!
//! Readers differ in what they do with broken messages: Go's gogoproto cuts field numbers to 32 bits and drops the bits of a
//! varint beyond the 64th (`Unmarshal` in Thanos 0.42.5 `pkg/store/storepb/rpc.pb.go`), others refuse both. Here field number 0,
//! numbers over 2^29 - 1, groups, longer varints and values that are cut are errors. A known message is a struct that
//! [`message!`] declares: unknown fields are dropped, and what is written is written anew.

mod message;
mod write;

pub(crate) use message::message;
pub use message::{Field, Message, Seen, read, read_bounded};
pub use write::{write_bytes, write_message, write_number, write_varint};

/// The most fields that [`read`] takes from one message, those of inner messages included. An empty field is two bytes on the
/// wire and up to a hundred times that in memory. For answers, which may hold more, there is [`read_bounded`].
pub const MAX_FIELDS: usize = 1 << 14;

/// The largest field number that the format has.
pub const MAX_NUMBER: u64 = (1 << 29) - 1;

/// A field's value, as far as the encoding tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'m> {
    /// A string, bytes, or another message.
    Bytes(&'m [u8]),
    /// An integer of any type, a boolean, or a member of an enumeration.
    Varint(u64),
    /// Eight bytes, in the order of the wire: a double, or an integer of fixed size.
    Eight([u8; 8]),
    /// Four bytes: a float, or an integer of fixed size.
    Four([u8; 4]),
}

/// Why a message can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The message ends within a tag or a value.
    Cut,
    /// A varint of more than 64 bits.
    Varint,
    /// Field number 0, or one that is too large.
    Number,
    /// A group, or a kind that does not exist.
    Kind,
    /// A known field has a value of another kind than its type.
    Type,
    /// A member of an enumeration that the reader does not know, where it has to be known.
    Member,
    /// More fields than the bound.
    Many,
    /// A field that the reader does not know, where all have to be known.
    Unknown,
}

impl Error {
    /// The error in words, for the client.
    pub fn text(self) -> &'static str {
        match self {
            Error::Cut => "the protobuf message ends within a field",
            Error::Varint => "the protobuf message holds a number of more than 64 bits",
            Error::Number => "the protobuf message holds a field number that does not exist",
            Error::Kind => "the protobuf message holds a group or an unknown kind of value",
            Error::Type => "the protobuf message holds a field with a value of the wrong type",
            Error::Member => "the protobuf message holds an unknown type of matcher",
            Error::Many => "the protobuf message holds too many fields",
            Error::Unknown => "the protobuf message holds an unknown field",
        }
    }
}

/// Takes the next field of a message that has not ended: its number and value. `None` where there is none to be read.
pub fn take<'m>(message: &mut &'m [u8]) -> Option<(u64, Value<'m>)> {
    next(message).ok()
}

/// The same, and says why a field can't be read.
pub fn next<'m>(message: &mut &'m [u8]) -> Result<(u64, Value<'m>), Error> {
    let tag = varint(message)?;
    let number = tag >> 3;
    if !(1..=MAX_NUMBER).contains(&number) {
        return Err(Error::Number);
    }
    let value = match tag & 7 {
        0 => Value::Varint(varint(message)?),
        1 => Value::Eight(array(message)?),
        2 => {
            let size = varint(message)?;
            let size = usize::try_from(size).map_err(|_| Error::Cut)?;
            let (taken, rest) = message.split_at_checked(size).ok_or(Error::Cut)?;
            *message = rest;
            Value::Bytes(taken)
        }
        5 => Value::Four(array(message)?),
        _ => return Err(Error::Kind),
    };
    Ok((number, value))
}

/// Takes a varint.
pub fn varint(message: &mut &[u8]) -> Result<u64, Error> {
    let mut reader = Varint::default();
    loop {
        let (&byte, rest) = message.split_first().ok_or(Error::Cut)?;
        *message = rest;
        if let Some(value) = reader.push(byte)? {
            return Ok(value);
        }
    }
}

/// The values of each field of a message that has this number, all of which have to be strings, bytes or messages. Ends after
/// the first error.
pub fn repeated(message: &[u8], number: u64) -> Repeated<'_> {
    Repeated { rest: message, number, others: None }
}

/// The same for a message that has no other field than these and numbers of the fields `others`. Any other is an error.
pub fn repeated_among<'m>(message: &'m [u8], number: u64, others: &'static [u64]) -> Repeated<'m> {
    Repeated { rest: message, number, others: Some(others) }
}

/// What [`repeated`] gives.
#[derive(Debug, Clone)]
pub struct Repeated<'m> {
    rest: &'m [u8],
    number: u64,
    /// The fields besides, where not every one may be there.
    others: Option<&'static [u64]>,
}

impl<'m> Iterator for Repeated<'m> {
    type Item = Result<&'m [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let error = match next(&mut self.rest) {
                Ok((number, value)) if number != self.number => match (self.others, value) {
                    (None, _) => continue,
                    (Some(others), Value::Varint(_)) if others.contains(&number) => continue,
                    (Some(_), _) => Error::Unknown,
                },
                Ok((_, Value::Bytes(bytes))) => return Some(Ok(bytes)),
                Ok((_, Value::Varint(_) | Value::Eight(_) | Value::Four(_))) => Error::Type,
                Err(error) => error,
            };
            self.rest = &[];
            return Some(Err(error));
        }
        None
    }
}

/// A varint that is read byte by byte.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Varint {
    value: u64,
    bits: u32,
}

impl Varint {
    /// Takes a byte. The value, once the last byte is there.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<u64>, Error> {
        // The tenth byte holds the last of the 64 bits, and no eleventh may follow.
        if self.bits == 63 && byte > 1 {
            return Err(Error::Varint);
        }
        self.value |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        Ok((byte < 0x80).then_some(self.value))
    }
}

fn array<const N: usize>(message: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, rest) = message.split_first_chunk().ok_or(Error::Cut)?;
    *message = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests;
