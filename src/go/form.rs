//! Reads query strings and form bodies as Go's `net/url` does, and writes them. A form is always decoded and written again, never
//! copied.
//!
//! ```text
//! form  = [ pair ] *( "&" [ pair ] )      empty pairs are ignored
//! pair  = key [ "=" value ]               the first "=" splits; a key may be empty
//! key   = *( byte / "+" / "%" HEX HEX )   "+" is a space; ";" and an invalid escape are errors
//! value = likewise
//! ```
//!
//! Source: `parseQuery` and `unescape` in Go 1.26's `net/url/url.go`. Go drops a pair that it can't read, reads
//! the others, and returns an error, which some upstream handlers ignore: `labels` of Prometheus 3.15.0 does, and so ignores a
//! `match[]` that Go dropped. Here, one such pair is an error for the whole form.

use crate::text;
use std::borrow::Cow;

/// The largest number of pairs in a form. Go refuses a form of more than 10,000 pairs as a whole. This limit is stricter, because
/// each pair can gain a tenant matcher.
pub const MAX_PAIRS: usize = 1_000;

/// Why a form can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A pair holds `;`, which Go refuses and other servers read as a separator.
    Semicolon(String),
    /// A pair holds a `%` without two hexadecimal digits after it.
    Escape(String),
    /// The form has more pairs than [`MAX_PAIRS`].
    TooMany,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Semicolon(pair) => write!(f, "invalid semicolon separator in {pair}: write it as %3B"),
            Error::Escape(pair) => write!(
                f,
                "invalid URL escape in {pair}: a percent sign is followed by two hexadecimal digits, or written as %25"
            ),
            Error::TooMany => write!(f, "more than {MAX_PAIRS} parameters: send fewer"),
        }
    }
}

/// A decoded pair of a form. The key and the value are bytes, which need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The decoded key.
    pub key: Cow<'a, [u8]>,
    /// The decoded value. It is empty if the pair has no `=`.
    pub value: Cow<'a, [u8]>,
}

/// A pair whose key is decoded and whose value is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The decoded key.
    pub key: Cow<'a, [u8]>,
    /// The value as it stands in the form.
    pub encoded: &'a [u8],
    pair: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Decodes the value.
    pub fn value(&self) -> Result<Cow<'a, [u8]>, Error> {
        unescape(self.encoded, self.pair)
    }
}

/// Decodes a value that was found in a form.
pub fn decode(encoded: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    unescape(encoded, encoded)
}

/// The pairs of a query string (without the `?`) or of a form body, in the order of the text. Values are not decoded.
pub fn raw_pairs(form: &[u8]) -> impl Iterator<Item = Result<Raw<'_>, Error>> {
    let mut rest = Some(form);
    let pieces = std::iter::from_fn(move || {
        let (piece, after) = text::split_once(rest?, b'&');
        rest = after;
        Some(piece)
    });
    pieces.filter(|pair| !pair.is_empty()).enumerate().map(|(index, pair)| {
        if index >= MAX_PAIRS {
            return Err(Error::TooMany);
        }
        if memchr::memchr(b';', pair).is_some() {
            return Err(Error::Semicolon(text::quote(pair)));
        }
        let (key, encoded) = text::split_once(pair, b'=');
        Ok(Raw { key: unescape(key, pair)?, encoded: encoded.unwrap_or_default(), pair })
    })
}

/// The pairs of a query string (without the `?`) or of a form body, in the order of the text, with decoded values.
///
/// ```
/// use promql_tenancy_filter::go::form;
///
/// // Read a form, and write it again with one more parameter.
/// let mut written = Vec::new();
/// for pair in form::pairs(b"query=up+%3E+0&time=1") {
///     let pair = pair.unwrap();
///     form::append(&mut written, &pair.key, &pair.value);
/// }
/// form::append(&mut written, b"timeout", b"5s");
/// assert_eq!(written, b"query=up+%3E+0&time=1&timeout=5s");
///
/// // Two readers could split this form differently, so it is an error.
/// assert!(form::pairs(b"query=up;time=1").any(|pair| pair.is_err()));
/// ```
pub fn pairs(form: &[u8]) -> impl Iterator<Item = Result<Pair<'_>, Error>> {
    raw_pairs(form).map(|raw| {
        let raw = raw?;
        Ok(Pair { value: raw.value()?, key: raw.key })
    })
}

/// Appends a pair to an encoded form.
pub fn append(form: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    append_key(form, key);
    escape(form, value);
}

/// Appends the key of a pair to an encoded form. The caller then appends the encoded value.
pub fn append_key(form: &mut Vec<u8>, key: &[u8]) {
    if !form.is_empty() {
        form.push(b'&');
    }
    escape(form, key);
    form.push(b'=');
}

/// How each byte is written: as itself, as `+` for a space, or 0 for a byte that needs an escape. This is the form encoding of the URL
/// standard (<https://url.spec.whatwg.org/#concept-urlencoded-serializer>).
#[allow(clippy::indexing_slicing)] // at compile time
const WRITTEN: [u8; 256] = {
    let mut written = [0; 256];
    let mut b = 0;
    while b < 256 {
        written[b] = match b as u8 {
            b' ' => b'+',
            plain @ (b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z') => plain,
            _ => 0,
        };
        b += 1;
    }
    written
};

/// How many bytes are escaped at a time. They take at most three times as many bytes.
const CHUNK: usize = 64;

/// Appends bytes in the form encoding.
///
/// Most bytes take one look-up and one store. This is the busiest loop of the filter, because each query is escaped whole. The
/// iterators of the crate `form_urlencoded` took a third of the time of a request in the module.
pub fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or_default();
    let mut room = [0; 3 * CHUNK];
    for chunk in bytes.chunks(CHUNK) {
        let mut slots = room.iter_mut();
        let mut put = |byte| {
            if let Some(slot) = slots.next() {
                *slot = byte;
            }
        };
        for &byte in chunk {
            match WRITTEN.get(usize::from(byte)).copied().unwrap_or_default() {
                0 => {
                    put(b'%');
                    put(digit(byte >> 4));
                    put(digit(byte));
                }
                plain => put(plain),
            }
        }
        let written = 3 * CHUNK - slots.len();
        out.extend_from_slice(room.get(..written).unwrap_or_default());
    }
}

fn unescape<'a>(half: &'a [u8], pair: &[u8]) -> Result<Cow<'a, [u8]>, Error> {
    if memchr::memchr2(b'%', b'+', half).is_none() {
        return Ok(Cow::Borrowed(half));
    }
    let mut out = Vec::with_capacity(half.len());
    let mut rest = half;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match byte {
            b'+' => b' ',
            b'%' => match *rest {
                [high, low, ref after @ ..] => {
                    let (Some(high), Some(low)) = (text::hex(high), text::hex(low)) else {
                        return Err(Error::Escape(text::quote(pair)));
                    };
                    rest = after;
                    high << 4 | low
                }
                _ => return Err(Error::Escape(text::quote(pair))),
            },
            _ => byte,
        });
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    type Owned = Vec<(Vec<u8>, Vec<u8>)>;

    fn read(form: &[u8]) -> Result<Owned, Error> {
        pairs(form).map(|pair| pair.map(|pair| (pair.key.into_owned(), pair.value.into_owned()))).collect()
    }

    fn write(pairs: &Owned) -> Vec<u8> {
        let mut out = Vec::new();
        for (key, value) in pairs {
            append(&mut out, key, value);
        }
        out
    }

    #[test]
    fn pairs_are_read_as_go_reads_them() {
        // The inputs follow the rules that `TestParseQuery` in Go's net/url/url_test.go checks.
        type Pairs = [(&'static [u8], &'static [u8])];
        let cases: &[(&[u8], &Pairs)] = &[
            (b"", &[]),
            (b"&&&", &[]),
            (b"a=1", &[(b"a", b"1")]),
            (b"a=1&b=2", &[(b"a", b"1"), (b"b", b"2")]),
            (b"a=1&a=2&a=", &[(b"a", b"1"), (b"a", b"2"), (b"a", b"")]),
            (b"a", &[(b"a", b"")]),
            (b"=x", &[(b"", b"x")]),
            (b"=", &[(b"", b"")]),
            (b"a==b", &[(b"a", b"=b")]),
            (b"a=b=c", &[(b"a", b"b=c")]),
            (b"&a=1&&b=2&", &[(b"a", b"1"), (b"b", b"2")]),
            (b"match%5B%5D=up", &[(b"match[]", b"up")]),
            (b"match[]=up", &[(b"match[]", b"up")]),
            (b"q=a+b%20c%2Bd", &[(b"q", b"a b c+d")]),
            (b"q=%3B%26%3D", &[(b"q", b";&=")]),
            (b"q=%ff%00", &[(b"q", b"\xff\x00")]),
            (b"q=\xff", &[(b"q", b"\xff")]),
            (b"q=%fF%Ff", &[(b"q", b"\xff\xff")]),
            (b"?a=1", &[(b"?a", b"1")]),
        ];
        for (form, expected) in cases {
            let expected: Owned = expected.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
            assert_eq!(read(form), Ok(expected), "{}", String::from_utf8_lossy(form));
        }
    }

    #[test]
    fn semicolon_is_refused_wherever_it_stands() {
        for form in ["a;b=1", "a=1;b=2", ";", "a=1&;&b=2", "a=%41;"] {
            assert!(matches!(read(form.as_bytes()), Err(Error::Semicolon(_))), "{form}");
        }
    }

    #[test]
    fn bad_escape_is_refused_in_key_and_value() {
        for form in ["%", "a%", "a=%", "a=%1", "a=%zz", "a=%1z", "%g1=a", "a=1&b=%%20", "a=% 41", "a=%+1"] {
            assert!(matches!(read(form.as_bytes()), Err(Error::Escape(_))), "{form}");
        }
    }

    #[test]
    fn too_many_pairs_are_refused() {
        let form = vec!["a=1"; MAX_PAIRS].join("&");
        assert_eq!(read(form.as_bytes()).map(|pairs| pairs.len()), Ok(MAX_PAIRS));
        assert_eq!(read(format!("{form}&b=1").as_bytes()), Err(Error::TooMany));
        assert_eq!(read(format!("{form}&&&").as_bytes()).map(|pairs| pairs.len()), Ok(MAX_PAIRS));
    }

    #[test]
    fn what_is_written_holds_no_byte_that_a_reader_could_take_for_syntax() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let form = write(&vec![(every_byte.clone(), every_byte.clone())]);
        assert!(form.iter().all(|byte| byte.is_ascii_alphanumeric() || b"*-._+%=".contains(byte)));
        assert_eq!(form.iter().filter(|&&byte| byte == b'=').count(), 1);
        assert_eq!(read(&form), Ok(vec![(every_byte.clone(), every_byte)]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(4), ..ProptestConfig::default() })]

        #[test]
        fn decode_encode_decode_is_stable(form in proptest::collection::vec(prop_oneof![Just(b'%'), Just(b'&'), Just(b'='), Just(b'+'), any::<u8>(), b'0'..=b'f'], 0..64)) {
            if let Ok(once) = read(&form) {
                let written = write(&once);
                prop_assert_eq!(read(&written), Ok(once));
                prop_assert_eq!(write(&read(&written).unwrap_or_default()), written);
            }
        }

        #[test]
        fn what_is_written_is_what_the_url_standard_s_own_crate_writes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = b"a=".to_vec();
            escape(&mut out, &bytes);
            let expected: String = form_urlencoded::byte_serialize(&bytes).collect();
            prop_assert_eq!(out, [b"a=", expected.as_bytes()].concat());
        }

        #[test]
        fn every_pair_survives(pairs in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..8), proptest::collection::vec(any::<u8>(), 0..8)), 0..8)) {
            prop_assert_eq!(read(&write(&pairs)), Ok(pairs));
        }
    }
}
