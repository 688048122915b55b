//! JSON settings. This JSON keeps what `serde_json::Value` does not: the order of keys, and that one was given twice. An object's keys
//! are taken one by one, each error names the path of its key, and a key that was not taken is an error. Objects by tenant ID are only
//! found, and read later: `unread`.

mod reading;
mod unread;

#[cfg(test)]
pub use reading::read;
#[cfg(test)]
pub use unread::READ;
pub use unread::{Unread, Whole, element, member, string};

use std::collections::BTreeSet;

/// What is wrong with a configuration, and under which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The key's path, for example `tenant_federation.max_tenants`; empty for the document itself.
    pub path: String,
    /// Of what kind it is.
    pub mistake: Mistake,
    /// What is wrong and what to do.
    pub message: String,
}

/// A kind of mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// The key is given twice.
    Twice,
    /// The object has no such key; these are those that it has.
    Unknown(Box<[&'static str]>),
    /// The value, or the document, is not one that is taken.
    Value,
}

impl ConfigError {
    /// A mistake in a value.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> ConfigError {
        ConfigError { path: path.into(), mistake: Mistake::Value, message: message.into() }
    }

    /// The same, of a value under this key.
    pub fn under(self, key: &str) -> ConfigError {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        ConfigError { path: [key, dot, &self.path].concat(), ..self }
    }

    /// The same, of an entry of the object at this path.
    pub fn within(self, path: &str, key: &str) -> ConfigError {
        self.under(&[path, ".", key].concat())
    }

    /// A key that is given twice.
    pub fn twice(path: String) -> ConfigError {
        ConfigError { path, mistake: Mistake::Twice, message: "the key is given twice".to_owned() }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for ConfigError {}

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
    /// An object or a list whose entries are not read yet.
    Unread(Unread),
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::List(_) => "a list",
            Json::Unread(unread) if unread.is_list => "a list",
            Json::Object(_) | Json::Unread(_) => "an object",
        }
    }
}

/// A value under a key, with the key's path.
#[derive(Debug)]
pub struct Field {
    /// For example `tenant_federation.max_tenants`.
    pub path: String,
    value: Json,
}

impl Field {
    /// The error that concerns this key.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.path.clone(), message)
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.error(format!("expected {what}, found {}", self.value.kind()))
    }

    pub fn text(&self) -> Result<&str, ConfigError> {
        match &self.value {
            Json::Text(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    pub fn boolean(&self) -> Result<bool, ConfigError> {
        match &self.value {
            Json::Bool(value) => Ok(*value),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number. Envoy's `Struct` knows doubles only, so `3.0` and `1e3` are whole as well.
    pub fn count(&self) -> Result<u32, ConfigError> {
        let number = match &self.value {
            Json::Number(number) => *number,
            _ => return Err(self.expected("a whole number")),
        };
        if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
            return Err(self.error(format!("expected a whole number from 0 to {}", u32::MAX)));
        }
        Ok(number as u32)
    }

    /// The members of a list, each with its own path.
    pub fn items(self, expected: &str) -> Result<Vec<Field>, ConfigError> {
        let Json::List(items) = self.value else {
            return Err(self.expected(expected));
        };
        let path = |index: usize| [&*self.path, "[", &index.to_string(), "]"].concat();
        let field = |(index, value)| Field { path: path(index), value };
        Ok(items.into_iter().enumerate().map(field).collect())
    }

    /// The same, with the paths of its errors beginning in the value.
    pub fn relative(self) -> Field {
        Field { path: String::new(), ..self }
    }

    /// The entries of an object, or of a list, unread: only of the keys that [`Object::parse`] was told.
    pub fn unread(self, is_list: bool, expected: &str) -> Result<Unread, ConfigError> {
        match self.value {
            Json::Unread(unread) if unread.is_list == is_list => Ok(unread),
            _ => Err(self.expected(expected)),
        }
    }

    pub fn is_text(&self) -> bool {
        matches!(self.value, Json::Text(_))
    }

    pub fn is_object(&self) -> bool {
        matches!(self.value, Json::Object(_))
    }

    /// Strings, each once, each with its own path.
    pub fn texts(self) -> Result<Vec<(Field, String)>, ConfigError> {
        let mut texts: Vec<(Field, String)> = Vec::new();
        let mut seen = BTreeSet::new();
        for field in self.items("a list of strings")? {
            let text = field.text()?.to_owned();
            if !seen.insert(text.clone()) {
                return Err(field.error(format!("{text:?} is in the list twice")));
            }
            texts.push((field, text));
        }
        Ok(texts)
    }

    /// One of several words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.unknown_word(text, &known)
        })
    }

    /// An object's keys and values, of which there may be many: whether a key is given twice is the caller's to see.
    pub fn entries(self) -> Result<Vec<(String, Field)>, ConfigError> {
        let Json::Object(entries) = self.value else {
            return Err(self.expected("an object"));
        };
        let path = |key: &str| [&self.path, ".", key].concat();
        Ok(entries
            .into_iter()
            .map(|(key, value)| {
                let path = path(&key);
                (key, Field { path, value })
            })
            .collect())
    }

    /// Apart, so that it is in the module once.
    #[cold]
    fn unknown_word(&self, text: &str, known: &[&str]) -> ConfigError {
        let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
        self.error(format!("unknown value {text:?}: use {}", known.join(", ")))
    }

    pub fn object(self) -> Result<Object, ConfigError> {
        let Json::Object(entries) = self.value else {
            return Err(self.expected("an object"));
        };
        Object::new(self.path, entries)
    }
}

/// An object whose keys are taken one by one.
#[derive(Debug)]
pub struct Object {
    path: String,
    entries: Vec<(String, Json)>,
}

impl Object {
    /// The document. No bytes at all are an empty object, as Envoy hands over an absent configuration. `unread`: the keys whose objects are
    /// found, and not read.
    pub fn parse(json: &Whole, unread: &[&str]) -> Result<Object, ConfigError> {
        if json.trim_ascii().is_empty() {
            return Ok(Object { path: String::new(), entries: Vec::new() });
        }
        match unread::members(json, unread) {
            Some(members) => Object::new(String::new(), members),
            // A text that is JSON is another value than an object.
            None => Field { path: String::new(), value: reading::read(json)? }.object(),
        }
    }

    fn new(path: String, entries: Vec<(String, Json)>) -> Result<Object, ConfigError> {
        let object = Object { path, entries };
        for (index, (key, _)) in object.entries.iter().enumerate() {
            if object.entries.iter().skip(index + 1).any(|(other, _)| other == key) {
                return Err(ConfigError::twice(object.path_of(key)));
            }
        }
        Ok(object)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { [&self.path, ".", key].concat() }
    }

    /// Takes a key, if it is there.
    pub fn take(&mut self, key: &str) -> Option<Field> {
        let index = self.entries.iter().position(|(other, _)| other == key)?;
        let (_, value) = self.entries.remove(index);
        Some(Field { path: self.path_of(key), value })
    }

    /// Takes all members, in the order of the text.
    pub fn members(self) -> impl Iterator<Item = (String, Field)> {
        self.entries.into_iter().map(|(key, value)| (key, Field { path: String::new(), value }))
    }

    /// Whether every key has been taken.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ends the walk: a key that nobody took is an error.
    pub fn finish(self, known: &[&'static str]) -> Result<(), ConfigError> {
        let Some((key, _)) = self.entries.first() else {
            return Ok(());
        };
        Err(unknown(self.path_of(key), known))
    }
}

/// A key that is none of these.
#[cold]
pub fn unknown(path: String, known: &[&'static str]) -> ConfigError {
    let message = ["unknown key; known are ", &known.join(", ")].concat();
    ConfigError { path, mistake: Mistake::Unknown(known.into()), message }
}

/// Why a text is not JSON; `None` where it is.
#[cold]
pub fn why_not_json(json: &[u8]) -> Option<ConfigError> {
    Some(json).filter(|json| !json.trim_ascii().is_empty()).and_then(|json| reading::read(json).err())
}
