//! Mutates the text of a query, as a typing mistake, an attacker or a bad copy would.

use super::Rng;

const TOKENS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "!=",
    "=~",
    "!~",
    "==",
    "<",
    ">",
    "</",
    ">/",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "!",
    "~",
    "#",
    ".",
    "\"",
    "'",
    "`",
    "\\",
    "5m",
    "1",
    "0",
    "0s",
    "1e",
    "0x",
    "1_",
    "inf",
    "\"a\"",
    "up",
    "sum",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "bool",
    "offset",
    "anchored",
    "smoothed",
    "fill",
    "fill_left",
    "start",
    "end",
    "step",
    "range",
    "max_of",
    "and",
    "or",
    "unless",
    "atan2",
    "rate",
    "{}",
    "{a=\"b\"}",
    "()",
    "[5m]",
    "[5m:]",
    "[5m:1m]",
    "[0s]",
    "[-1m]",
    "offset -5m",
    "@ start()",
    "-",
    "tenant_id",
    "__name__",
    ";",
    "$",
    "|",
    "&",
    "é",
    "\u{a0}",
    "\u{fffd}",
    "\0",
    "\u{2028}",
    "K",
    "ſ",
    "\u{1f600}",
    "5m5m",
    "1h1d",
    "1e999",
    "1y1w1d1h1m1s1ms",
    "9223372036854775808",
    "106751991167300d",
    "''",
    "``",
    "\"\\xff\"",
    "\"\\'\"",
    "'\\''",
    "\"\\u12\"",
    "\"\\ud800\"",
    "\"\\400\"",
];

/// A part may be taken from the query `other`.
pub fn mutate(rng: &mut Rng, text: Vec<u8>, other: &[u8]) -> Vec<u8> {
    match rng.weighted(&[14, 10, 10, 14, 16, 8, 6, 6, 5, 6, 5]) {
        0 => without_token(rng, &text),
        1 => with_token_twice(rng, &text),
        2 => with_tokens_swapped(rng, &text),
        3 => with_token_replaced(rng, &text),
        4 => with_token_inserted(rng, &text),
        5 => with_byte_changed(rng, text),
        6 => truncated(rng, text),
        7 => spliced(rng, &text, other),
        8 => text.into_iter().filter(|b| !b.is_ascii_whitespace()).collect(),
        9 => without_byte(rng, text),
        _ => nested(rng, text),
    }
}

/// Splits a text into words, numbers, strings and single characters, roughly as a lexer does.
fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        let wordy = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.') || b >= 0x80;
        match text[at] {
            quote @ (b'"' | b'\'' | b'`') => {
                at += 1;
                while at < text.len() && text[at] != quote {
                    at += if text[at] == b'\\' && quote != b'`' { 2 } else { 1 };
                }
                at = (at + 1).min(text.len());
            }
            b if wordy(b) => {
                while at < text.len() && wordy(text[at]) {
                    at += 1;
                }
            }
            _ => at += 1,
        }
        found.push(&text[start..at]);
    }
    found
}

fn some_index(rng: &mut Rng, length: usize) -> usize {
    if length == 0 { 0 } else { rng.below(length) }
}

fn without_token(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut parts = tokens(text);
    if !parts.is_empty() {
        parts.remove(rng.below(parts.len()));
    }
    parts.concat()
}

fn with_token_twice(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut parts = tokens(text);
    if !parts.is_empty() {
        let at = rng.below(parts.len());
        if rng.chance(50) {
            parts.insert(at, b" ");
        }
        parts.insert(at, parts[at.min(parts.len() - 1)]);
    }
    parts.concat()
}

fn with_tokens_swapped(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut parts = tokens(text);
    if !parts.is_empty() {
        let (a, b) = (rng.below(parts.len()), rng.below(parts.len()));
        parts.swap(a, b);
    }
    parts.concat()
}

fn with_token_replaced(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut parts = tokens(text);
    let at = some_index(rng, parts.len());
    if let Some(part) = parts.get_mut(at) {
        *part = rng.pick(TOKENS).as_bytes();
    }
    parts.concat()
}

fn with_token_inserted(rng: &mut Rng, text: &[u8]) -> Vec<u8> {
    let mut parts = tokens(text);
    let at = rng.below(parts.len() + 1);
    let spaced = rng.chance(50);
    if spaced {
        parts.insert(at, b" ");
    }
    parts.insert(at, rng.pick(TOKENS).as_bytes());
    if spaced {
        parts.insert(at, b" ");
    }
    parts.concat()
}

fn with_byte_changed(rng: &mut Rng, mut text: Vec<u8>) -> Vec<u8> {
    let at = some_index(rng, text.len());
    if let Some(byte) = text.get_mut(at) {
        *byte = if rng.chance(50) { *byte ^ (1 << rng.below(8)) } else { rng.below(256) as u8 };
    }
    text
}

fn without_byte(rng: &mut Rng, mut text: Vec<u8>) -> Vec<u8> {
    if !text.is_empty() {
        text.remove(rng.below(text.len()));
    }
    text
}

fn truncated(rng: &mut Rng, mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(some_index(rng, text.len()));
    text
}

fn spliced(rng: &mut Rng, text: &[u8], other: &[u8]) -> Vec<u8> {
    let (head, tail) = (tokens(text), tokens(other));
    let (end, start) = (some_index(rng, head.len()), some_index(rng, tail.len()));
    [head[..end].concat(), tail[start..].concat()].concat()
}

/// Puts the whole query inside another expression, which may not allow it.
fn nested(rng: &mut Rng, text: Vec<u8>) -> Vec<u8> {
    let (before, after) = rng.pick(&[
        ("(", ")"),
        ("sum(", ")"),
        ("topk(", ", up)"),
        ("rate(", "[5m])"),
        ("(", ")[5m:1m]"),
        ("-", ""),
        ("up + ", ""),
        ("", " + up"),
        ("", " offset 5m"),
        ("", " @ 1"),
        ("", "[5m]"),
        ("info(", ", {a=\"b\"})"),
        ("", " anchored"),
        ("up > bool ", ""),
        ("{", "}"),
        ("", " unless up"),
    ]);
    [before.as_bytes(), &text, after.as_bytes()].concat()
}
