//! Query strings and form bodies, read as Go's `net/url` reads them and always written again.
//!
//! ```text
//! form  = [ pair ] *( "&" [ pair ] )      empty pairs are skipped
//! pair  = key [ "=" value ]               the first "=" splits; a key may be empty
//! key   = *( byte / "+" / "%" HEX HEX )   "+" is a space; ";" is an error, a bad escape too
//! value = likewise
//! ```
//!
//! Source: `parseQuery` and `unescape` in Go 1.26's `net/url/url.go`. Go drops a pair that it can't read and goes on with
//! the others; here one such pair refuses the whole form, since what upstream makes of an error differs from handler to
//! handler: `labels` of Prometheus 3.15.0 ignores it, and with it a `match[]`.

use crate::text;
use std::borrow::Cow;

/// More pairs than this are refused. Go reads none of them past its own limit, 10,000; each pair can gain a tenant matcher, so
/// this one is tighter.
pub const MAX_PAIRS: usize = 1_000;

/// Why a form can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A `;`, which Go refuses and other servers read as a separator.
    Semicolon(String),
    /// A `%` that two hexadecimal digits don't follow.
    Escape(String),
    /// More than [`MAX_PAIRS`].
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
            Error::TooMany => write!(f, "more than {MAX_PAIRS} parameters"),
        }
    }
}

/// A decoded pair. Bytes, not text: a value need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The decoded key.
    pub key: Cow<'a, [u8]>,
    /// The decoded value; empty where there is no `=`.
    pub value: Cow<'a, [u8]>,
}

/// A pair of which only the key has been decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The decoded key.
    pub key: Cow<'a, [u8]>,
    /// The value as it stands there.
    pub encoded: &'a [u8],
    pair: &'a [u8],
}

impl<'a> Raw<'a> {
    /// The decoded value.
    pub fn value(&self) -> Result<Cow<'a, [u8]>, Error> {
        unescape(self.encoded, self.pair)
    }
}

/// The pairs of a query string (without its `?`) or of a form body, in their order.
pub fn raw_pairs(form: &[u8]) -> impl Iterator<Item = Result<Raw<'_>, Error>> {
    form.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).enumerate().map(|(index, pair)| {
        if index >= MAX_PAIRS {
            return Err(Error::TooMany);
        }
        if pair.contains(&b';') {
            return Err(Error::Semicolon(text::quote(pair)));
        }
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let key = unescape(halves.next().unwrap_or_default(), pair)?;
        Ok(Raw { key, encoded: halves.next().unwrap_or_default(), pair })
    })
}

/// The same, with their values decoded.
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

/// Appends a pair's key to an encoded form: an encoded value is to follow.
pub fn append_key(form: &mut Vec<u8>, key: &[u8]) {
    if !form.is_empty() {
        form.push(b'&');
    }
    escape(form, key);
    form.push(b'=');
}

/// What each byte is written as: itself, `+` for a space, and 0 where it takes an escape (the form encoding of the URL standard,
/// https://url.spec.whatwg.org/#concept-urlencoded-serializer).
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

/// Bytes that are escaped in one go, and the room that they take at most.
const CHUNK: usize = 64;

/// Appends bytes as a form holds them.
///
/// One look-up and one store for most bytes: a query is escaped whole, twice where it is a form, so that this is the busiest loop
/// of the filter. Iterators of `form_urlencoded` took a third of a request's time in the module.
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
    if !half.iter().any(|&byte| byte == b'%' || byte == b'+') {
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
