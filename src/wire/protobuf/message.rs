//! Messages as structs: [`message!`] declares one, with a type and a number for each field.
//!
//! | type | on the wire | a second value |
//! |---|---|---|
//! | `i64`, `u64` | varint | replaces the first |
//! | `i32` | varint, cut to 32 bits as by every reader of enumerations | replaces the first |
//! | `bool` | varint, true unless 0 | replaces the first |
//! | `&[u8]` | a string or bytes; whether a string is UTF-8 is not looked at, nor does gogoproto look | replaces the first |
//! | `Option<M>` | a message | is merged into the first |
//! | `Vec<&[u8]>`, `Vec<M>` | strings, messages | is appended |
//! | `Vec<i32>` | varints, packed (as they are written) or each for itself | is appended |
//! | [`Seen`] | anything | |
//!
//! As proto3 has it, 0, false and the empty string are what an absent field is, and are not written. Known fields of a wrong kind
//! are errors; unknown fields are dropped. The messages of this crate do not nest within themselves, so that the depth of the
//! recursion is that of the types.

use super::{Error, MAX_FIELDS, Value, next, varint, write_bytes, write_message, write_number, write_varint};

/// A message whose fields are known.
pub trait Message<'m> {
    /// Takes a field. Those of inner messages are counted off the budget too.
    fn field(&mut self, number: u64, value: Value<'m>, budget: &mut usize) -> Result<(), Error>;

    /// Appends the message.
    fn write(&self, out: &mut Vec<u8>);
}

/// Reads a message of at most [`MAX_FIELDS`] fields.
pub fn read<'m, M: Message<'m> + Default>(message: &'m [u8]) -> Result<M, Error> {
    read_bounded(message, MAX_FIELDS)
}

/// Reads a message of at most this many fields, with those of inner messages.
pub fn read_bounded<'m, M: Message<'m> + Default>(message: &'m [u8], mut max_fields: usize) -> Result<M, Error> {
    let mut read = M::default();
    merge(&mut read, message, &mut max_fields)?;
    Ok(read)
}

/// What a field's type makes of its values.
pub trait Field<'m> {
    /// Takes a value.
    fn take(&mut self, value: Value<'m>, budget: &mut usize) -> Result<(), Error>;

    /// Appends the field, unless it is what an absent one is.
    fn put(&self, number: u32, out: &mut Vec<u8>);
}

/// Whether a field was there. Its value is dropped, and it is not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen(pub bool);

/// Declares a message.
macro_rules! message {
    ($(#[$docs:meta])* $name:ident $(<$life:lifetime>)? { $($(#[$field_docs:meta])* $field:ident: $type:ty = $number:literal,)* }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_docs])* pub $field: $type,)*
        }

        impl<'m> $crate::wire::protobuf::Message<'m> for $name $(<$life>)? {
            #[allow(unused_variables)] // a message may have no field
            fn field(
                &mut self,
                number: u64,
                value: $crate::wire::protobuf::Value<'m>,
                budget: &mut usize,
            ) -> Result<(), $crate::wire::protobuf::Error> {
                match number {
                    $($number => $crate::wire::protobuf::Field::take(&mut self.$field, value, budget),)*
                    _ => Ok(()),
                }
            }

            #[allow(unused_variables)]
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::wire::protobuf::Field::put(&self.$field, $number, out);)*
            }
        }
    };
}
pub(crate) use message;

fn merge<'m>(into: &mut dyn Message<'m>, mut message: &'m [u8], budget: &mut usize) -> Result<(), Error> {
    while !message.is_empty() {
        *budget = budget.checked_sub(1).ok_or(Error::Many)?;
        let (number, value) = next(&mut message)?;
        into.field(number, value, budget)?;
    }
    Ok(())
}

fn number(value: Value<'_>) -> Result<u64, Error> {
    match value {
        Value::Varint(number) => Ok(number),
        Value::Bytes(_) | Value::Eight(_) | Value::Four(_) => Err(Error::Type),
    }
}

fn bytes(value: Value<'_>) -> Result<&[u8], Error> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Varint(_) | Value::Eight(_) | Value::Four(_) => Err(Error::Type),
    }
}

impl<'m> Field<'m> for u64 {
    fn take(&mut self, value: Value<'m>, _: &mut usize) -> Result<(), Error> {
        *self = number(value)?;
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if *self != 0 {
            write_number(number, *self, out);
        }
    }
}

impl<'m> Field<'m> for i64 {
    fn take(&mut self, value: Value<'m>, _: &mut usize) -> Result<(), Error> {
        *self = number(value)? as i64;
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        (*self as u64).put(number, out);
    }
}

impl<'m> Field<'m> for i32 {
    fn take(&mut self, value: Value<'m>, _: &mut usize) -> Result<(), Error> {
        *self = number(value)? as i32;
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        i64::from(*self).put(number, out);
    }
}

impl<'m> Field<'m> for bool {
    fn take(&mut self, value: Value<'m>, _: &mut usize) -> Result<(), Error> {
        *self = number(value)? != 0;
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        u64::from(*self).put(number, out);
    }
}

impl<'m> Field<'m> for &'m [u8] {
    fn take(&mut self, value: Value<'m>, _: &mut usize) -> Result<(), Error> {
        *self = bytes(value)?;
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            write_bytes(number, self, out);
        }
    }
}

impl<'m> Field<'m> for Vec<&'m [u8]> {
    fn take(&mut self, value: Value<'m>, _: &mut usize) -> Result<(), Error> {
        self.push(bytes(value)?);
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for bytes in self {
            write_bytes(number, bytes, out);
        }
    }
}

impl<'m> Field<'m> for Vec<i32> {
    fn take(&mut self, value: Value<'m>, budget: &mut usize) -> Result<(), Error> {
        match value {
            Value::Varint(number) => self.push(number as i32),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    *budget = budget.checked_sub(1).ok_or(Error::Many)?;
                    self.push(varint(&mut packed)? as i32);
                }
            }
            Value::Eight(_) | Value::Four(_) => return Err(Error::Type),
        }
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        let mut packed = Vec::new();
        for &member in self {
            write_varint(i64::from(member) as u64, &mut packed);
        }
        write_bytes(number, &packed, out);
    }
}

impl<'m, M: Message<'m> + Default> Field<'m> for Option<M> {
    fn take(&mut self, value: Value<'m>, budget: &mut usize) -> Result<(), Error> {
        merge(self.get_or_insert_default(), bytes(value)?, budget)
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(message) = self {
            write_message(number, message, out);
        }
    }
}

impl<'m, M: Message<'m> + Default> Field<'m> for Vec<M> {
    fn take(&mut self, value: Value<'m>, budget: &mut usize) -> Result<(), Error> {
        let mut message = M::default();
        merge(&mut message, bytes(value)?, budget)?;
        self.push(message);
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for message in self {
            write_message(number, message, out);
        }
    }
}

impl<'m> Field<'m> for Seen {
    fn take(&mut self, _: Value<'m>, _: &mut usize) -> Result<(), Error> {
        self.0 = true;
        Ok(())
    }

    fn put(&self, _: u32, _: &mut Vec<u8>) {}
}
