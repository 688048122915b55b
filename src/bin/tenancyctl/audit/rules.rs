//! Rule files of Prometheus and Thanos, and rule namespaces of Mimir.
//!
//! ```text
//! file       = groups: [group]                                   (Mimir adds namespace: name)
//! namespaces = name: [group] …                                   (what Mimir's API and mimirtool print)
//! group      = name, rules: [record or alert, expr]
//! ```

use super::super::check::document::Node;
use super::files::some;
use super::judge::Asked;
use super::{Found, Item};

/// Whether it holds groups of rules; their queries.
pub fn read(document: &Node, before: &str, found: &mut Found) -> bool {
    if let Some(groups) = document.get("groups") {
        let namespace = document.word("namespace");
        let before =
            if namespace.is_empty() { before.to_owned() } else { format!("{before}namespace {namespace:?}: ") };
        return some(groups.items().iter().map(|each| group(each, &before, found)));
    }
    document.members().iter().fold(false, |is_known, member| {
        let before = format!("{before}namespace {:?}: ", member.key);
        member.value.items().iter().fold(is_known, |is_known, each| group(each, &before, found) || is_known)
    })
}

fn group(group: &Node, before: &str, found: &mut Found) -> bool {
    let Some(rules) = group.get("rules") else { return false };
    let name = group.word("name");
    for rule in rules.items() {
        let Some(expression) = rule.get("expr") else { continue };
        // A number is an expression as well.
        let text = expression.text().map_or_else(|| expression.json().to_string(), str::to_owned);
        let (kind, named) = match (rule.word("alert"), rule.word("record")) {
            ("", record) => ("record", record),
            (alert, _) => ("alert", alert),
        };
        let place = format!("{before}line {}: group {name:?}, {kind} {named:?}", expression.line);
        found.items.push(Item { place, asked: Asked::Rule(text) });
    }
    !rules.items().is_empty() && !name.is_empty()
}
