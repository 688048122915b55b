//! Protocol Buffers messages, read in place: as much of the encoding as is needed to follow a field into a message.
//!
//! ```text
//! message = *( tag value )        tag = varint( number << 3 | kind )
//! value   = varint                kind 0
//!         | 8 bytes               kind 1
//!         | varint(size) bytes    kind 2: a string, bytes, or another message
//!         | 4 bytes               kind 5
//! ```

/// A field's value, as far as the encoding tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'m> {
    /// A string, bytes, or another message.
    Bytes(&'m [u8]),
    /// A number of any kind, or a boolean.
    Number,
}

/// Takes the next field of a message that has not ended: its number and value. `None` where there is none to be read.
pub fn take<'m>(message: &mut &'m [u8]) -> Option<(u64, Value<'m>)> {
    let tag = varint(message)?;
    let value = match tag & 7 {
        0 => varint(message).map(|_| Value::Number),
        1 => bytes(message, 8).map(|_| Value::Number),
        2 => {
            let size = varint(message)?;
            bytes(message, usize::try_from(size).ok()?).map(Value::Bytes)
        }
        5 => bytes(message, 4).map(|_| Value::Number),
        _ => None,
    };
    Some((tag >> 3, value?))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn bytes<'m>(message: &mut &'m [u8], size: usize) -> Option<&'m [u8]> {
    let (taken, rest) = message.split_at_checked(size)?;
    *message = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_kind_is_read_to_its_end() {
        let mut message: &[u8] = b"\x08\x96\x01\x11\0\0\0\0\0\0\xf0\x3f\x1a\x02hi\x25\0\0\0\0\xa2\x06\0";
        let mut read = Vec::new();
        while !message.is_empty() {
            read.push(take(&mut message).unwrap());
        }
        let (number, text) = (Value::Number, Value::Bytes(b"hi"));
        assert_eq!(read, [(1, number), (2, number), (3, text), (4, number), (100, Value::Bytes(b""))]);
    }

    #[test]
    fn what_is_cut_or_of_no_kind_is_not_read() {
        for message in [
            &b""[..],
            b"\x08",
            b"\x08\x80",
            b"\x11\0\0\0\0\0\0\0",
            b"\x1a\x03hi",
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x25\0\0\0",
            b"\x0b",
            b"\x0c",
            b"\x0e",
            b"\x0f",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\0",
        ] {
            assert_eq!(take(&mut &*message), None, "{message:x?}");
        }
    }
}
