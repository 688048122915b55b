//! Each text that a refusal or an unreadable answer says more precisely stands in docs/runbook.md: the list can't go stale, and is read as a whole.
#![cfg(not(target_family = "wasm"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where such texts are written.
const ROOMS: &[&str] = &[
    "src/answer/mod.rs",
    "src/api",
    "src/exchange/refuse.rs",
    "src/limits/bounds.rs",
    "src/path.rs",
    "src/promql/reach.rs",
    "src/rejection/mod.rs",
    "src/request",
    "src/tenant",
    "src/wire",
];
/// What is written there and is no text of a refusal: the page to choose a tenant, and the tables that documentation is made of.
const OTHERS: &[&str] = &[
    "src/api/pages.rs",
    "src/api/parameters.rs",
    "src/api/profile.rs",
    "src/api/semantics.rs",
    "src/request/pages.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(path: PathBuf, all: &mut Vec<PathBuf>) {
    let is_test = path.file_stem().is_some_and(|name| name == "tests");
    let is_other = OTHERS.iter().any(|other| path == root().join(other));
    if path.is_dir() && !is_test {
        std::fs::read_dir(path).unwrap().for_each(|entry| files(entry.unwrap().path(), all));
    } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test && !is_other {
        all.push(path);
    }
}

/// The literals of several words that code holds, without its comments and tests.
fn sentences(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "");
    let mut found = BTreeSet::new();
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once('"') {
        let is_raw = before.ends_with("r#");
        let mut end = 0;
        let bytes = after.as_bytes();
        while end < bytes.len() && (bytes[end] != b'"' || is_raw && bytes.get(end + 1) != Some(&b'#')) {
            end += if bytes[end] == b'\\' && !is_raw { 2 } else { 1 };
        }
        let joined = after[..end].split("\\\n").enumerate();
        let text: String = joined.map(|(at, line)| if at == 0 { line } else { line.trim_start() }).collect();
        let is_sentence = text.split(' ').filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).count() > 2;
        if is_sentence && !text.contains(['{', '}']) {
            found.insert(text.replace("\\\"", "\""));
        }
        rest = after.get(end + 1..).unwrap_or_default();
    }
    found
}

#[test]
fn the_runbook_lists_every_text_that_code_holds() {
    let mut all = Vec::new();
    ROOMS.iter().for_each(|room| files(root().join(room), &mut all));
    let texts: BTreeSet<String> =
        all.iter().flat_map(|file| sentences(&std::fs::read_to_string(file).unwrap())).collect();
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let list = |heading: &str| -> BTreeSet<String> {
        let section = runbook.split(heading).nth(1).and_then(|rest| rest.split("\n## ").next()).expect(heading);
        section.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`').map(str::to_owned)).collect()
    };
    let whole = list("\n## What refusals say\n");
    let listed = list("\n## What stands for `…` in them\n");
    let missing: Vec<&String> = texts.iter().filter(|text| !listed.contains(*text) && !whole.contains(*text)).collect();
    let stale: Vec<&String> = listed.iter().filter(|text| !texts.contains(*text)).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:#?}\nno longer said: {stale:#?}");
    assert!(listed.len() > 80, "{}", listed.len());
}
