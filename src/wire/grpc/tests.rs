use super::*;
use crate::wire::crc32c::masked;
use crate::wire::thanos::TargetsRequest;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn plain(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    message(body, Encoding::Identity, 100).map(Cow::into_owned)
}

#[test]
fn a_body_is_exactly_one_message() {
    assert_eq!(plain(b"\0\0\0\0\x02hi").unwrap(), b"hi");
    assert_eq!(plain(b"\0\0\0\0\0").unwrap(), b"");
    for (body, error) in [
        (&b""[..], FrameError::Empty),
        (b"\0", FrameError::Cut),
        (b"\0\0\0\0", FrameError::Cut),
        (b"\0\0\0\0\x03hi", FrameError::Cut),
        (b"\0\xff\xff\xff\xffhi", FrameError::Cut),
        (b"\0\0\0\0\x01hi", FrameError::Trailing),
        (b"\0\0\0\0\0\0\0\0\0", FrameError::Trailing),
        (b"\0\0\0\0\x02hi\0\0\0\0\0", FrameError::Second),
        (b"\0\0\0\0\x02hi\0\0\0\0\x02hi\0", FrameError::Second),
        (b"\0\0\0\0\x02hi\0\0\0\0\x03hi", FrameError::Trailing),
        (b"\x02\0\0\0\x02hi", FrameError::Flag),
        (b"\x80\0\0\0\x02hi", FrameError::Flag),
        (b"\x01\0\0\0\x02hi", FrameError::Compressed),
    ] {
        assert_eq!(plain(body), Err(error), "{body:x?}");
    }
}

#[test]
fn the_bound_is_on_the_message() {
    let body = |size: usize| {
        let mut body = Vec::new();
        write_frame(&vec![0; size], &mut body).unwrap();
        body
    };
    assert!(plain(&body(100)).is_ok());
    assert_eq!(plain(&body(101)), Err(FrameError::Long));
}

#[test]
fn compression_is_named_or_refused() {
    assert_eq!(Encoding::of(None), Ok(Encoding::Identity));
    assert_eq!(Encoding::of(Some(b"identity")), Ok(Encoding::Identity));
    assert_eq!(Encoding::of(Some(b"snappy")), Ok(Encoding::Snappy));
    for other in [&b"gzip"[..], b"", b"Snappy", b"snappy,gzip", b"deflate"] {
        assert_eq!(Encoding::of(Some(other)), Err(FrameError::Encoding));
    }
    // Under a header that names it, a message may still be plain.
    assert_eq!(message(b"\0\0\0\0\x02hi", Encoding::Snappy, 100).unwrap(), &b"hi"[..]);
    let sum = masked(b"hi").to_le_bytes();
    let stream = [&b"\xff\x06\0\0sNaPpY\x01\x06\0\0"[..], &sum, b"hi"].concat();
    let body = [&[1, 0, 0, 0, stream.len() as u8], &stream[..]].concat();
    assert_eq!(message(&body, Encoding::Snappy, 2).unwrap(), &b"hi"[..]);
    assert_eq!(message(&body, Encoding::Snappy, 1), Err(FrameError::Snappy(snappy::Error::Long)));
    assert_eq!(message(&body, Encoding::Identity, 2), Err(FrameError::Compressed));
}

#[test]
fn a_message_is_written_in_one_frame() {
    let request = TargetsRequest { state: 1, ..Default::default() };
    assert_eq!(body(&request).unwrap(), b"\0\0\0\0\x02\x08\x01");
    assert_eq!(body(&TargetsRequest::default()).unwrap(), b"\0\0\0\0\0");
}
