//! What is found in the files that are checked.

use super::document::{Node, join, snake};
use serde_json::{Value as Json, json};
use std::fmt;

/// Something that is wrong: where, what, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    /// None for what concerns no single line.
    pub line: Option<usize>,
    /// The path of the key, or of what surrounds it.
    pub place: String,
    pub wrong: String,
    /// Empty where `wrong` says it.
    pub advice: String,
}

impl Mistake {
    pub fn json(&self) -> Json {
        json!({"file": self.file, "line": self.line, "place": self.place, "wrong": self.wrong, "advice": self.advice})
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        if !self.place.is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.wrong)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, ": {}", self.advice) }
    }
}

/// The mistakes of one file, as they are found.
pub struct Found<'f> {
    pub file: &'f str,
    pub mistakes: Vec<Mistake>,
}

impl Found<'_> {
    pub fn add(&mut self, line: usize, place: impl Into<String>, wrong: impl Into<String>, advice: impl Into<String>) {
        let (file, place) = (self.file.to_owned(), place.into());
        let mistake = Mistake { file, line: Some(line), place, wrong: wrong.into(), advice: advice.into() };
        // Several rules may find the same.
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// Names the keys of a map that nothing reads. `extra` keys of a map that is no message of Envoy's are listed as they are.
    pub fn check_keys(&mut self, map: &Node, place: &str, known: &[&str]) {
        for member in map.members() {
            let is_known =
                member.key == "@type" || known.iter().any(|known| *known == member.key || *known == snake(&member.key));
            if !is_known {
                let nearest = super::super::mistakes::nearest(known.iter().copied(), &snake(&member.key));
                let advice = match nearest {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => format!("known are {}", known.join(", ")),
                };
                let wrong = "unknown key, so that nothing reads it or the file is refused";
                self.add(member.line, join(place, &member.key), wrong, advice);
            }
        }
    }
}
