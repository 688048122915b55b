//! What a file is, and the queries in it.

use super::super::Failure;
use super::super::check::document::Node;
use super::{Found, grafana, logs, rules};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A folder is not looked into deeper than this.
const MAX_DEPTH: usize = 20;
/// What is looked at in a folder: a program's source may hold what looks like a log.
const ENDINGS: [&str; 7] = ["json", "yaml", "yml", "rules", "log", "jsonl", "txt"];
/// ConfigMaps hold files, which may be ConfigMaps.
const MAX_NESTING: usize = 3;

/// All files; whether each was given by name.
pub fn all(given: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>, Failure> {
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() {
            let mut found = BTreeSet::new();
            walk(path, MAX_DEPTH, &mut found)?;
            files.extend(found.into_iter().map(|path| (path, false)));
        } else {
            files.push((path.clone(), true));
        }
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
    let broken = |error: std::io::Error| Failure::Broken(format!("{}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let kind = entry.file_type().map_err(broken)?;
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, found)?;
        } else if kind.is_file() {
            found.insert(entry.path());
        }
    }
    Ok(())
}

/// Whether a file of a folder is looked at.
pub fn has_known_ending(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending))
}

/// The queries of a file; `None` where it is none of what is known.
pub fn read(path: &Path) -> Result<Option<Found>, Failure> {
    let bytes = super::super::read(path)?;
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    let mut found = Found::default();
    let is_known = text_of(&text, "", MAX_NESTING, &mut found);
    Ok(is_known.then_some(found))
}

/// The queries of a text; whether it is something that is known. `before`: what each place begins with.
fn text_of(text: &str, before: &str, nesting: usize, found: &mut Found) -> bool {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<Value>(text)
    {
        return of_json(&json, before, found) || of_yaml(text, before, nesting, found);
    }
    of_yaml(text, before, nesting, found) || logs::read(text, before, found)
}

fn of_json(json: &Value, before: &str, found: &mut Found) -> bool {
    match json {
        Value::Array(items) => some(items.iter().map(|item| of_json(item, before, found))),
        json => grafana::read(json, before, found),
    }
}

fn of_yaml(text: &str, before: &str, nesting: usize, found: &mut Found) -> bool {
    // A log is no YAML; a reader of YAML would need long to say so.
    if !text.contains("groups") && !text.contains("rules") && !text.contains("ConfigMap") {
        return false;
    }
    let Ok(documents) = Node::read(text, 1) else { return false };
    some(documents.iter().map(|document| of_document(document, before, nesting, found)))
}

fn of_document(document: &Node, before: &str, nesting: usize, found: &mut Found) -> bool {
    match document.word("kind") {
        "List" | "ConfigMapList" | "PrometheusRuleList" => {
            let items = document.get("items").map(Node::items).unwrap_or_default();
            some(items.iter().map(|item| of_document(item, before, nesting, found)))
        }
        "ConfigMap" if nesting > 0 => {
            let members = document.get("data").map(Node::members).unwrap_or_default();
            members.iter().fold(false, |is_known, member| {
                let Some(text) = member.value.text() else { return is_known };
                let before = format!("{before}{}: ", member.key);
                text_of(text, &before, nesting - 1, found) || is_known
            })
        }
        "PrometheusRule" => document.get("spec").is_some_and(|spec| rules::read(spec, before, found)),
        _ => rules::read(document, before, found),
    }
}

/// Whether one of them is: all of them are looked at.
pub fn some(are_known: impl Iterator<Item = bool>) -> bool {
    are_known.filter(|is_known| *is_known).count() > 0
}
