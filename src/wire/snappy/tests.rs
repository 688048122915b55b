use super::*;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ANY: usize = 1 << 20;

#[test]
fn what_is_encoded_is_decoded() {
    for size in [0, 1, 2, MAX_CHUNK - 1, MAX_CHUNK, MAX_CHUNK + 1, 3 * MAX_CHUNK] {
        let bytes: Vec<u8> = (0..size).map(|index| (index * 7) as u8).collect();
        assert_eq!(decode_block(&encode_block(&bytes), ANY), Ok(bytes), "{size}");
    }
}

/// What a compressor writes: a literal, and a copy of it that repeats.
#[test]
fn copies_are_decoded() {
    assert_eq!(decode_block(b"\x0c\x08abc\x15\x03", ANY).unwrap(), b"abcabcabcabc");
}

#[test]
fn a_block_over_the_bound_is_refused_by_what_it_says() {
    let block = encode_block(&[7; 100]);
    assert_eq!(decode_block(&block, 99), Err(Error::Long));
    assert!(decode_block(&block, 100).is_ok());
    // Six bytes that ask for 2 GiB.
    assert_eq!(decode_block(b"\xff\xff\xff\xff\x07\0", ANY), Err(Error::Long));
}

#[test]
fn broken_blocks_are_refused() {
    let good = encode_block(b"hello");
    for cut in 0..good.len() {
        assert_eq!(decode_block(&good[..cut], ANY), Err(Error::Malformed), "cut to {cut}");
    }
    for block in [
        &b"\x05"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\0",
        // Shorter and longer than it says.
        b"\x06\x10hello",
        b"\x04\x10hello",
        // Copies from before the beginning, and from nowhere.
        b"\x04\x01\x01",
        b"\x04\x01\0",
    ] {
        assert!(decode_block(block, ANY).is_err(), "{block:x?}");
    }
    assert_eq!(decode_block(b"\0", ANY), Ok(Vec::new()));
}

fn chunk(kind: u8, content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32).to_le_bytes();
    [&[kind], &size[..3], content].concat()
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    chunk(1, &[&crc32c::masked(bytes).to_le_bytes(), bytes].concat())
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    chunk(0, &[&crc32c::masked(bytes).to_le_bytes()[..], &encode_block(bytes)].concat())
}

const BEGIN: &[u8] = b"\xff\x06\0\0sNaPpY";

#[test]
fn a_stream_is_decoded() {
    let whole = [7; MAX_CHUNK];
    let stream = [
        BEGIN,
        &plain(b"hel"),
        &compressed(b"lo"),
        BEGIN,
        &chunk(0xfe, b"padding"),
        &chunk(0x80, b""),
        &compressed(&whole),
        &plain(&whole),
    ]
    .concat();
    let expected = [&b"hello"[..], &whole, &whole].concat();
    assert_eq!(decode_stream(&stream, expected.len()), Ok(expected.clone()));
    assert_eq!(decode_stream(&stream, expected.len() - 1), Err(Error::Long));
    assert_eq!(decode_stream(b"", 0), Ok(Vec::new()));
}

#[test]
fn a_stream_that_is_cut_is_shorter_and_no_other() {
    let stream = [BEGIN, &plain(b"hel"), &chunk(0xfe, b"padding"), &compressed(b"lo")].concat();
    for cut in 0..stream.len() {
        match decode_stream(&stream[..cut], ANY) {
            Ok(decoded) => assert!(decoded.is_empty() || decoded == b"hel", "cut to {cut}"),
            Err(error) => assert_eq!(error, Error::Malformed, "cut to {cut}"),
        }
    }
}

#[test]
fn broken_streams_are_refused() {
    let mut other = plain(b"hello");
    *other.last_mut().unwrap() ^= 1;
    for (rest, error) in [
        (other, Error::Checksum),
        (plain(&[0; MAX_CHUNK + 1]), Error::Long),
        (compressed(&[0; MAX_CHUNK + 1]), Error::Long),
        (chunk(2, b"reserved"), Error::Malformed),
        (chunk(0x7f, b""), Error::Malformed),
        (chunk(1, b"sum"), Error::Malformed),
        (chunk(0, b"sums"), Error::Malformed),
        (chunk(0xff, b"snappy"), Error::Malformed),
        (b"\x01\xff\xff\xff".to_vec(), Error::Malformed),
    ] {
        assert_eq!(decode_stream(&[BEGIN, &rest].concat(), ANY), Err(error), "{rest:x?}");
    }
    // Without its beginning.
    assert_eq!(decode_stream(&plain(b"hello"), ANY), Err(Error::Malformed));
    assert_eq!(decode_stream(&chunk(0xfe, b""), ANY), Err(Error::Malformed));
}
