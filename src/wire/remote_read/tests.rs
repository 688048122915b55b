use super::*;
use crate::wire::labels::labels;
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The names of the labels of each series; the last may be an error.
fn names<'m>(series: impl Iterator<Item = Result<&'m [u8], Error>>) -> Vec<Result<Vec<&'m [u8]>, Error>> {
    series.map(|series| labels(series?).map(|label| Ok(label?.name)).collect()).collect()
}

#[test]
fn the_series_of_every_query_are_met() {
    // Three results, one of them empty.
    let response = b"\x0a\x0e\x0a\x05\x0a\x03\x0a\x01a\x0a\x05\x0a\x03\x0a\x01b\x0a\0\x0a\x02\x0a\0";
    let (a, b): (&[u8], &[u8]) = (b"a", b"b");
    assert_eq!(names(series_of_samples(response)), [Ok(vec![a]), Ok(vec![b]), Ok(vec![])]);
    let response = b"\x10\x01\x0a\x08\x12\x01x\x0a\x03\x0a\x01a\x0a\0";
    assert_eq!(names(series_of_chunks(response)), [Ok(vec![a]), Ok(vec![])]);
}

#[test]
fn an_answer_that_holds_anything_else_is_an_error() {
    for response in [&b"\x12\x01x"[..], b"\x0a\0\x12\x01x", b"\x10\x01", b"\x18\x01", b"\x0a\x03\x12\x01x"] {
        assert_eq!(series_of_samples(response).last(), Some(Err(Error::Unknown)), "{response:x?}");
    }
    for response in [&b"\x12\x01x"[..], b"\x18\x01", b"\x0a\0\x10\x01\x1a\0"] {
        assert_eq!(series_of_chunks(response).last(), Some(Err(Error::Unknown)), "{response:x?}");
    }
}

#[test]
fn the_first_error_ends_the_series() {
    for (response, before) in [
        (&b"\x0a\x02\x0a\0\x0a\x03"[..], 1),
        (b"\x0a\x03\x0a\0\x0a\x0a\x02\x0a\0", 1),
        (b"\x08\x01\x0a\x02\x0a\0", 0),
        (b"\x0a\x02\x08\x01\x0a\x02\x0a\0", 0),
        (b"\x0b", 0),
    ] {
        let found: Vec<_> = series_of_samples(response).collect();
        assert_eq!(found.len(), before + 1, "{response:x?}");
        assert!(found.iter().take(before).all(Result::is_ok) && found[before].is_err(), "{response:x?}");
    }
}
