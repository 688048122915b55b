//! CRC-32C, the checksum of Castagnoli's polynomial (RFC 3720, appendix B.4), eight bits at a time.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static TABLE: [u32; 256] = table();

/// The checksum of these bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(!0u32, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default() ^ sum >> 8
    });
    !sum
}

/// The checksum as snappy's framing format writes it: rotated, plus a constant, so that the checksum of a text that holds
/// checksums is none of them.
pub fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[allow(clippy::indexing_slicing)] // evaluated when it is compiled
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut sum = index as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// RFC 3720, appendix B.4, and the usual check value.
    #[test]
    fn the_sums_of_the_standard_come_out() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn the_mask_is_that_of_the_framing_format() {
        assert_eq!(masked(b""), 0xa282_ead8);
        assert_eq!(masked(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}
