//! A YAML file, of which JSON is a part, as a tree whose nodes know their lines.

use saphyr::{LoadableYamlNode, MarkedYamlOwned, ScalarOwned, YamlDataOwned};
use serde_json::Value as Json;

/// A value, and the line on which it begins.
#[derive(Debug)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    /// Null, a boolean, or a number.
    Plain(Json),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// One entry of a map.
#[derive(Debug)]
pub struct Member {
    pub key: String,
    pub line: usize,
    pub value: Node,
}

/// Why a file is no YAML.
pub struct Unreadable {
    pub line: usize,
    pub problem: String,
}

impl Node {
    /// Reads each document of a text that begins on this line of its file.
    pub fn read(text: &str, first_line: usize) -> Result<Vec<Node>, Unreadable> {
        let before = first_line.saturating_sub(1);
        let documents = MarkedYamlOwned::load_from_str(text)
            .map_err(|error| Unreadable { line: error.marker().line() + before, problem: error.info().to_owned() })?;
        let lines: Vec<&str> = text.lines().collect();
        Ok(documents.into_iter().map(|document| node(document, &lines, before)).collect())
    }

    /// The value of a key. Envoy reads its fields' names in `snake_case` and in `camelCase`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let members = self.members().iter();
        members.into_iter().find(|member| member.key == key || snake(&member.key) == key).map(|member| &member.value)
    }

    /// The value below several keys.
    pub fn below(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; none of anything else.
    pub fn members(&self) -> &[Member] {
        match &self.value {
            Value::Map(members) => members,
            Value::Plain(_) | Value::Text(_) | Value::List(_) => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Plain(_) | Value::Text(_) | Value::Map(_) => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Plain(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn is_true(&self) -> bool {
        matches!(self.value, Value::Plain(Json::Bool(true)))
    }

    /// A number, also one that is written as a text.
    pub fn number(&self) -> Option<u64> {
        match &self.value {
            Value::Plain(json) => json.as_u64(),
            Value::Text(text) => text.parse().ok(),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Its text under a key, or none.
    pub fn word(&self, key: &str) -> &str {
        self.get(key).and_then(Node::text).unwrap_or_default()
    }

    /// As JSON.
    pub fn json(&self) -> Json {
        match &self.value {
            Value::Plain(json) => json.clone(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Map(members) => members
                .iter()
                .map(|member| (member.key.clone(), member.value.json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// The line of what a path such as `overrides.team.a.limit` or `list[1].key` names, as far as it can be followed. A key may hold
    /// dots: the longest one that fits is meant.
    pub fn line_of(&self, path: &str) -> usize {
        if path.is_empty() {
            return self.line;
        }
        if let Some((index, rest)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let item = index.parse::<usize>().ok().and_then(|index| self.items().get(index));
            return item.map_or(self.line, |item| item.line_of(rest.trim_start_matches('.')));
        }
        let fits = |member: &&Member| {
            path.strip_prefix(member.key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let member = self.members().iter().filter(fits).max_by_key(|member| member.key.len());
        member.map_or(self.line, |member| match path.get(member.key.len()..).unwrap_or_default() {
            "" => member.line,
            rest => member.value.line_of(rest.trim_start_matches('.')),
        })
    }

    /// Calls this for the node and each node below it, with its path.
    pub fn walk<'n>(&'n self, path: &str, visit: &mut dyn FnMut(&str, &'n Node)) {
        visit(path, self);
        for member in self.members() {
            member.value.walk(&join(path, &member.key), visit);
        }
        for (index, item) in self.items().iter().enumerate() {
            item.walk(&format!("{path}[{index}]"), visit);
        }
    }
}

/// A key's path below another.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A field's name as Envoy's documentation writes it.
pub fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for char in name.chars() {
        if char.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}

fn node(yaml: MarkedYamlOwned, lines: &[&str], before: usize) -> Node {
    let line = yaml.span.start.line();
    let value = match yaml.data {
        YamlDataOwned::Value(ScalarOwned::Null) => Value::Plain(Json::Null),
        YamlDataOwned::Value(ScalarOwned::Boolean(value)) => Value::Plain(value.into()),
        YamlDataOwned::Value(ScalarOwned::Integer(value)) => Value::Plain(value.into()),
        YamlDataOwned::Value(ScalarOwned::FloatingPoint(value)) => Value::Plain(value.into_inner().into()),
        YamlDataOwned::Value(ScalarOwned::String(text)) | YamlDataOwned::Representation(text, ..) => {
            return Node { line: first_line_of(&text, line, lines) + before, value: Value::Text(text) };
        }
        YamlDataOwned::Sequence(items) => {
            Value::List(items.into_iter().map(|item| node(item, lines, before)).collect())
        }
        YamlDataOwned::Mapping(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let line = key.span.start.line() + before;
                    let key = match node(key, lines, before).value {
                        Value::Text(text) => text,
                        Value::Plain(json) => json.to_string(),
                        Value::List(_) | Value::Map(_) => String::new(),
                    };
                    Member { key, line, value: node(value, lines, before) }
                })
                .collect(),
        ),
        YamlDataOwned::Tagged(_, inner) => return node(*inner, lines, before),
        YamlDataOwned::Alias(_) | YamlDataOwned::BadValue => Value::Plain(Json::Null),
    };
    Node { line: line + before, value }
}

/// The line on which a text's content begins: below its `|`, where it is a block.
fn first_line_of(text: &str, line: usize, lines: &[&str]) -> usize {
    // A text of one line begins where it stands; looking for each in one long line of JSON would take the square of its length.
    if !text.contains('\n') {
        return line;
    }
    let Some(first) = text.lines().map(str::trim).find(|line| !line.is_empty()) else { return line };
    let below = lines.iter().enumerate().skip(line.saturating_sub(1));
    // A text in quotes is not found where it holds escapes: it begins where it begins.
    let mut below = below.take(text.lines().count() + 4);
    below.find(|(_, other)| other.contains(first)).map_or(line, |(index, _)| index + 1)
}
