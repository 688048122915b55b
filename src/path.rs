//! Request paths. A path is matched literally, refused unless it is in normal form, and written from the parsed parts.
//!
//! ```text
//! target  = path [ "?" query ]
//! path    = 1*( "/" segment )        no empty segment but the last, no "." or ".."
//! segment = *( visible ASCII but # ? \ / "%" HEX HEX )
//!           no escape stands for a slash, backslash, dot or control character, also after decoding twice
//! ```
//!
//! All readers then agree about which endpoint a path names: Go's `path.Clean`, Envoy with any `path_with_escaped_slashes_action`, and
//! a proxy that decodes the path once more.

use crate::api::Path;
use crate::text;
use std::borrow::Cow;

const INVALID_ESCAPE: &str = "it holds an invalid escape: write a percent sign as %25";

/// The two parts of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The path, in normal form.
    pub path: &'a [u8],
    /// The query string without the `?`. It is empty if the target has none.
    pub query: &'a [u8],
}

/// Splits a request target, and checks its path. The error says what is wrong.
pub fn split(target: &[u8]) -> Result<Target<'_>, &'static str> {
    let (path, query) = text::split_once(target, b'?');
    let query = query.unwrap_or_default();
    check(path)?;
    // Go's `url.ParseRequestURI` refuses control characters. A request target has no fragment.
    if text::is_plain(query) {
        Ok(Target { path, query })
    } else if query.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        Err("the query string holds a space or control character: escape it")
    } else {
        Err("the query string holds a #: write it as %23")
    }
}

/// Checks that a path is in normal form. The error says what is wrong.
pub fn check(path: &[u8]) -> Result<(), &'static str> {
    let Some(segments) = path.strip_prefix(b"/") else {
        return Err("it does not begin with a slash: send the path alone");
    };
    if path.iter().any(|byte| !byte.is_ascii_graphic()) {
        return Err("it holds a byte that has to be escaped: write it as % and two hexadecimal digits");
    }
    if path.contains(&b'\\') {
        return Err("it holds a backslash: no endpoint has one");
    }
    if path.contains(&b'#') {
        return Err("it holds a #: write it as %23");
    }
    if path.windows(2).any(|pair| pair == b"//") {
        return Err("it holds an empty segment: write one slash in place of two");
    }
    if segments.split(|&byte| byte == b'/').any(|segment| segment == b"." || segment == b"..") {
        return Err("it holds a segment . or ..: write the path without it");
    }
    let decoded = unescape(path)?;
    // A reader that decodes twice would decode the escapes that are left.
    match unescape(&decoded) {
        Ok(_) | Err(INVALID_ESCAPE) => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// Decodes the escapes of a path. Escapes that would change its segments are errors.
fn unescape(path: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    if !path.contains(&b'%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    let mut invalid = false;
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let rest = bytes.as_slice();
        let digits = rest.first().copied().and_then(text::hex).zip(rest.get(1).copied().and_then(text::hex));
        let Some((high, low)) = digits else {
            // The error is returned at the end, because a more serious one may follow.
            invalid = true;
            out.push(byte);
            continue;
        };
        match high << 4 | low {
            b'/' | b'\\' => {
                return Err("it holds an escaped slash or backslash: write a label's name with one as U__…");
            }
            b'.' => return Err("it holds an escaped dot: write it as it is"),
            control if control.is_ascii_control() => return Err("it holds an escaped control character: leave it out"),
            decoded => out.push(decoded),
        }
        bytes.nth(1);
    }
    if invalid { Err(INVALID_ESCAPE) } else { Ok(Cow::Owned(out)) }
}

/// Decodes a segment that is spelled as [`spell`] does. A hop in front that compares paths then sees the same text as the filter. `None`
/// for other spellings, and for what is not UTF-8.
pub fn segment(segment: &[u8]) -> Option<String> {
    let text = decoded(segment)?;
    (spell(&text).as_bytes() == segment).then_some(text)
}

/// Decodes a segment of a path in normal form. `None` for what is not UTF-8.
pub fn decoded(segment: &[u8]) -> Option<String> {
    String::from_utf8(unescape(segment).ok()?.into_owned()).ok()
}

/// Writes a segment in the one way that [`segment`] accepts: RFC 3986's `pchar` stands as it is, and all else is escaped, in upper case.
pub fn spell(text: &str) -> String {
    const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'!')
        .remove(b'$')
        .remove(b'&')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')')
        .remove(b'*')
        .remove(b'+')
        .remove(b',')
        .remove(b';')
        .remove(b'=')
        .remove(b':')
        .remove(b'@');
    percent_encoding::percent_encode(text.as_bytes(), ESCAPED).collect()
}

/// Writes the target that is forwarded. The prefix is copied from the configuration, the path from the API table, and the label name in
/// it is encoded again.
pub fn write(prefix: &str, path: Path, segment: Option<&[u8]>, query: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(prefix.len() + 64 + query.len());
    out.extend_from_slice(prefix.as_bytes());
    match path {
        Path::Exact(exact) => out.extend_from_slice(exact.as_bytes()),
        Path::Around(before, after) => {
            let name = unescape(segment.unwrap_or_default())?;
            if name.is_empty() {
                return Err("the label name is empty: write one");
            }
            // Prometheus refuses such a name too (`UTF8Validation.IsValidLabelName`).
            let name = std::str::from_utf8(&name).map_err(|_| "the label name is not UTF-8: encode it so")?;
            out.extend_from_slice(before.as_bytes());
            escape(&mut out, name.as_bytes());
            out.extend_from_slice(after.as_bytes());
        }
        Path::Below(base) => {
            let name = segment.unwrap_or_default();
            // The names of a web page's files, and no more. That there are no dot segments has been checked.
            if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(byte)) {
                return Err("it is not the name of a file of a web page: check it");
            }
            out.extend_from_slice(base.as_bytes());
            out.extend_from_slice(name);
        }
    }
    if !query.is_empty() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    Ok(out)
}

/// Appends a label name, and escapes all characters except RFC 3986's unreserved ones.
fn escape(out: &mut Vec<u8>, name: &[u8]) {
    const RESERVED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    for piece in percent_encoding::percent_encode(name, RESERVED) {
        out.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Upstream, find};
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn normal_paths_pass() {
        for path in [
            "/",
            "/api/v1/query",
            "/api/v1/label/service.name/values",
            "/api/v1/label/U__service_2e_name/values",
            "/api/v1/label/a%20b/values",
            "/api/v1/label/%C3%A9/values",
            "/a/...",
            "/.well-known/x",
            "/a/",
            "/api/v1/label/100%25/values",
        ] {
            assert_eq!(check(path.as_bytes()), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_two_readers_could_read_differently_are_refused() {
        for path in [
            "",
            "api/v1/query",
            "*",
            "http://host/api/v1/query",
            "//api/v1/query",
            "/api//v1/query",
            "/api/v1/query//",
            "/api/v1/./query",
            "/api/v1/../v1/query",
            "/api/v1/query/..",
            "/api/v1/query/.",
            "/.",
            "/..",
            "/api\\v1/query",
            "/api/v1/%2e/query",
            "/api/v1/%2E%2e/query",
            "/api/v1/label/a%2eb/values",
            "/api/v1%2fquery",
            "/api/v1%2Fquery",
            "/api%5cv1",
            "/api/v1/query%",
            "/api/v1/query%2",
            "/api/v1/query%zz",
            "/api/v1/query%00",
            "/api/v1/query%0a",
            "/api/v1/query%7f",
            "/api/v1/label/a%252fb/values",
            "/api/v1/label/%252e%252e/values",
            "/api/v1/label/%255c/values",
            "/api/v1/label/%25zz%252f/values",
            "/api/v1/query#x",
            "/api/v1/query x",
            "/api/v1/\u{e9}",
            "/api/v1/query\n",
            "/api/v1/query\0",
        ] {
            assert!(check(path.as_bytes()).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_segment_has_one_spelling() {
        for (spelled, text) in [
            ("team-a", "team-a"),
            ("!-_.*'()~$&+,;=:@", "!-_.*'()~$&+,;=:@"),
            ("a%20b", "a b"),
            ("%C3%A9", "\u{e9}"),
            ("100%25", "100%"),
            ("%7B%7D", "{}"),
        ] {
            assert_eq!(segment(spelled.as_bytes()).as_deref(), Some(text), "{spelled}");
            assert_eq!(spell(text), spelled);
        }
        for other in
            ["%74eam-a", "team%2Da", "a%2Eb", "%c3%a9", "\u{e9}", "a b", "{}", "a%7cb%2F", "%FF", "%", "%2", "%zz"]
        {
            assert_eq!(segment(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_first_question_mark_splits() {
        let target = split(b"/a?b=c?d&e=%3f").unwrap();
        assert_eq!(target, Target { path: b"/a", query: b"b=c?d&e=%3f" });
        assert_eq!(split(b"/a?").unwrap(), Target { path: b"/a", query: b"" });
        assert_eq!(split(b"/a").unwrap(), Target { path: b"/a", query: b"" });
        for target in ["/a?b=1#c", "/a?b c", "/a?b\r\n", "/a?b\0", "/a?b\x7f", "?a=b"] {
            assert!(split(target.as_bytes()).is_err(), "{target:?}");
        }
    }

    #[test]
    fn a_label_s_name_is_encoded_again() {
        for (name, written) in [
            ("job", "job"),
            ("service.name", "service.name"),
            ("%6aob", "job"),
            ("a:b", "a%3Ab"),
            ("a;b", "a%3Bb"),
            ("a%20b", "a%20b"),
            ("%C3%A9", "%C3%A9"),
            ("100%25", "100%25"),
            ("{}", "%7B%7D"),
        ] {
            let path = format!("/api/v1/label/{name}/values");
            let found = find(Upstream::Prometheus, path.as_bytes()).unwrap();
            let out = write("/prometheus", found.route.path, found.segment, b"a=b").unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("/prometheus/api/v1/label/{written}/values?a=b"));
        }
        let found = find(Upstream::Prometheus, b"/api/v1/label/%ff/values").unwrap();
        assert_eq!(write("", found.route.path, found.segment, b""), Err("the label name is not UTF-8: encode it so"));
    }
}
