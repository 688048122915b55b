//! Queries, and what they select.

use super::{Rng, accepts};
use promql_tenancy_filter::scope::MatchOp::{self, Equal, NotEqual, NotRegex, Regex};
use std::collections::BTreeMap;

pub const LABELS: [&str; 6] = ["tenant_id", "cluster", "env", "ns", "a.b", "job"];
pub const TEXTS: [&str; 15] =
    ["team-a", "team-b", "", "eu", "EU", "us", "dev", "prod", "x\"y", "a\\b", "a.b", "a\nb", "é", "team-a|team-b", "a"];
pub const PATTERNS: [&str; 24] = [
    "team-a|team-b",
    "team-a",
    "team-.*",
    ".*",
    ".+",
    "",
    "eu|us",
    "(?i)eu",
    "(?i)EU|x",
    "team-a|",
    "[^x]+",
    "a.b",
    "a\\.b",
    "[a-z]{2}",
    "(eu|us)?",
    "^eu$",
    "eu$|^us",
    "\\w+",
    "dev|prod|",
    "é|eu",
    "x\"y",
    "a\\\\b",
    "(?s).",
    "(?:team-[ab])|dev",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    pub label: String,
    pub op: MatchOp,
    pub value: String,
}

impl Own {
    pub fn accepts(&self, labels: &BTreeMap<&str, &str>) -> bool {
        // A name between the braces, as another label.
        let value = labels.get(self.label.as_str()).copied().unwrap_or_default();
        let text: &str = &self.value;
        match self.op {
            Equal => text == value,
            NotEqual => text != value,
            Regex => super::whole(text).is_match(value),
            NotRegex => !super::whole(text).is_match(value),
        }
    }
}

pub fn own(rng: &mut Rng) -> Own {
    let label = rng.pick(&LABELS).to_owned();
    let op = rng.pick(&[Equal, Equal, NotEqual, Regex, Regex, NotRegex]);
    let value = match op {
        Equal | NotEqual => rng.pick(&TEXTS),
        Regex | NotRegex => rng.pick(&PATTERNS),
    };
    Own { label, op, value: value.to_owned() }
}

/// A string literal that says this, in any spelling.
pub fn literal(rng: &mut Rng, text: &str) -> String {
    let quote = rng.pick(&['"', '"', '\'', '`']);
    if quote == '`' && !text.contains('`') {
        return format!("`{text}`");
    }
    let quote = if quote == '`' { '"' } else { quote };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out += "\\n",
            '\\' => out += "\\\\",
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if rng.chance(8) && c.is_ascii() => {
                let code = c as u32;
                out += &match rng.below(4) {
                    0 => format!("\\x{code:02x}"),
                    1 => format!("\\{code:03o}"),
                    2 => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08x}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn blank(rng: &mut Rng) -> &'static str {
    rng.pick(&["", "", "", "", " ", "\n", "# } tenant_id=\"team-b\"\n", "\t"])
}

/// A selector with these matchers, all between braces.
fn selector(rng: &mut Rng, own: &[Own]) -> String {
    let mut out = if rng.chance(60) { rng.pick(&["up", "a:b", "sum", "offset"]) } else { "" }.to_owned();
    out += blank(rng);
    out.push('{');
    for (at, own) in own.iter().enumerate() {
        out += blank(rng);
        out += if at > 0 { "," } else { "" };
        out += blank(rng);
        out += &if own.label.contains('.') || rng.chance(30) { literal(rng, &own.label) } else { own.label.clone() };
        out += blank(rng);
        out += own.op.symbol();
        out += blank(rng);
        out += &literal(rng, &own.value);
        out += blank(rng);
    }
    out += if !own.is_empty() && rng.chance(10) { "," } else { "" };
    out += blank(rng);
    out.push('}');
    out
}

/// A query, and the matchers of its selectors, in the order of the text.
pub fn query(rng: &mut Rng) -> (String, Vec<Vec<Own>>) {
    let mut all = Vec::new();
    let mut one = |rng: &mut Rng| {
        let own: Vec<Own> = (0..rng.below(5)).map(|_| own(rng)).collect();
        let text = selector(rng, &own);
        all.push(own);
        text
    };
    let query = match rng.below(9) {
        0 => one(rng),
        1 => format!("{} + on (tenant_id) {}", one(rng), one(rng)),
        2 => format!("topk(scalar({}), {})", one(rng), one(rng)),
        3 => format!("sum by (env) (rate({}[5m] offset 1m))", one(rng)),
        4 => format!("max_over_time(({})[1h:5m])", one(rng)),
        5 => format!("absent({}) or \"{{tenant_id='team-b'}}\" == {}", one(rng), one(rng)),
        6 => format!("label_replace({}, \"x\", \"{{\", '{{', `}}`) and {}", one(rng), one(rng)),
        7 => format!("quantile({}, {}) # {{\n unless -{}", one(rng), one(rng), one(rng)),
        _ => format!("info({}, {{x=\"y\"}}) ", one(rng)),
    };
    if query.starts_with("info") {
        all.push(vec![Own { label: "x".into(), op: Equal, value: "y".into() }]);
    }
    (query, all)
}

/// What stands in every pair of braces outside of strings. A name between them is the label `__name__`.
pub fn braces(text: &str) -> Vec<Vec<Own>> {
    let bytes = text.as_bytes();
    let (mut all, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' | b'`' => drop(string(text, &mut at)),
            b'#' => at = text[at..].find('\n').map_or(bytes.len(), |end| at + end),
            b'{' => {
                at += 1;
                let mut found = Vec::new();
                loop {
                    match bytes[at] {
                        b'}' => break,
                        b',' | b' ' | b'\n' | b'\t' | b'\r' => at += 1,
                        b'#' => at = text[at..].find('\n').map_or(bytes.len(), |end| at + end),
                        _ => found.push(one(text, &mut at)),
                    }
                }
                at += 1;
                all.push(found);
            }
            _ => at += 1,
        }
    }
    all
}

fn one(text: &str, at: &mut usize) -> Own {
    let bytes = text.as_bytes();
    let label = if matches!(bytes[*at], b'"' | b'\'' | b'`') {
        string(text, at)
    } else {
        let from = *at;
        while !b" =!,}#\n\t\r".contains(&bytes[*at]) {
            *at += 1;
        }
        text[from..*at].to_owned()
    };
    let blank = |at: &mut usize| {
        while bytes.get(*at).is_some_and(u8::is_ascii_whitespace) {
            *at += 1;
        }
    };
    blank(at);
    let op = [("=~", Regex), ("!~", NotRegex), ("!=", NotEqual), ("=", Equal)];
    let Some((symbol, op)) = op.into_iter().find(|(symbol, _)| text[*at..].starts_with(symbol)) else {
        return Own { label: "__name__".into(), op: Equal, value: label };
    };
    *at += symbol.len();
    blank(at);
    Own { label, op, value: string(text, at) }
}

fn string(text: &str, at: &mut usize) -> String {
    let mut characters = text[*at..].char_indices();
    let (_, quote) = characters.next().expect("a quote");
    let mut out = Vec::new();
    while let Some((offset, c)) = characters.next() {
        if c == quote {
            *at += offset + 1;
            return String::from_utf8_lossy(&out).into_owned();
        }
        if c != '\\' || quote == '`' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (_, escape) = characters.next().expect("an escape");
        let (digits, radix) = match escape {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (2, 8),
            _ => (0, 0),
        };
        let mut code = if radix == 8 { escape.to_digit(8).unwrap_or(0) } else { 0 };
        for _ in 0..digits {
            code = code * radix + characters.next().and_then(|(_, c)| c.to_digit(radix)).expect("a digit");
        }
        match escape {
            'x' | '0'..='7' => out.push(code as u8),
            'u' | 'U' => {
                out.extend_from_slice(char::from_u32(code).expect("a character").encode_utf8(&mut [0; 4]).as_bytes());
            }
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    panic!("a string without an end: {text}")
}

pub fn set(rng: &mut Rng) -> BTreeMap<&'static str, &'static str> {
    (0..rng.below(7)).map(|_| (rng.pick(&LABELS), rng.pick(&TEXTS))).collect()
}

pub fn scope_accepts(scope: &[super::Condition], labels: &BTreeMap<&str, &str>) -> bool {
    scope.iter().all(|condition| accepts(condition, labels.get(condition.0).copied().unwrap_or_default()))
}
