//! A matcher as PromQL text, and text quoted for it.

use super::Matcher;

/// Appends a matcher as it is written in a selector.
pub fn matcher(matcher: &Matcher, out: &mut String) {
    label_name(&matcher.label, out);
    out.push_str(matcher.op.symbol());
    literal(&matcher.value, out);
}

/// A pattern that matches each of the values and nothing else.
pub fn alternatives(values: &[&str]) -> String {
    let mut out = String::with_capacity(64);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push('|');
        }
        regex(value, &mut out);
    }
    out
}

/// A label's name as it is written in a selector: quoted where it is no plain word, which Prometheus 3 reads.
fn label_name(label: &str, out: &mut String) {
    let plain = label.bytes().enumerate().all(|(i, b)| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => true,
        b'0'..=b'9' => i > 0,
        _ => false,
    });
    if plain && !label.is_empty() { out.push_str(label) } else { literal(label, out) }
}

/// Appends a PromQL string literal whose value is `text`. Valid in every Prometheus, Thanos, Cortex and Mimir: only `\\`,
/// `\"` and `\n` are written, all other characters stand for themselves.
pub fn literal(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// `text` as a regular expression that matches it and nothing else (Go's `regexp.QuoteMeta`).
fn regex(text: &str, out: &mut String) {
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
}
