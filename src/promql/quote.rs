//! Quotes text for messages, as Go's `%q` does.

/// Writes `'x'`, as `%q` writes a rune.
pub fn rune(c: char) -> String {
    let mut out = String::from("'");
    escape(c, '\'', &mut out);
    out.push('\'');
    out
}

/// Writes `"text"`, as `%q` writes a string. Bytes that are not UTF-8 are shown as U+FFFD.
pub fn string(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in String::from_utf8_lossy(text).chars() {
        escape(c, '"', &mut out);
    }
    out.push('"');
    out
}

/// Like `string`, cut after ten characters (`Item.String` in promql/parser/lex.go, 3.16).
pub fn shortened(text: &[u8]) -> String {
    if text.len() <= 10 {
        return string(text);
    }
    let head: String = String::from_utf8_lossy(text).chars().take(10).collect();
    string(head.as_bytes()) + "..."
}

fn escape(c: char, quote: char, out: &mut String) {
    match c {
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", c as u32)),
        c => out.push(c),
    }
}
