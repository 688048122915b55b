//! The writer: appends fields to a message.

use super::Message;

/// Appends a varint.
pub fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field that is a varint.
pub fn write_number(number: u32, value: u64, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3, out);
    write_varint(value, out);
}

/// Appends a field that is a string, bytes, or another message that is written already.
pub fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | 2, out);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a field that is another message. Its length stands before it, so that it is written apart first.
pub fn write_message(number: u32, message: &dyn Message<'_>, out: &mut Vec<u8>) {
    let mut inner = Vec::new();
    message.write(&mut inner);
    write_bytes(number, &inner, out);
}
