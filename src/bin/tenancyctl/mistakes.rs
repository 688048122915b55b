//! Every mistake of a configuration. The filter stops at the first one; here, what is wrong is taken out, and the rest is read again.

use promql_tenancy_filter::config::{Config, ConfigError, Mistake};
use serde_json::Value;

/// More than this would be no help.
const MOST: usize = 100;

/// How alike an unknown key and a known one have to be for the known one to be suggested: 1 is equal.
const ALIKE: f64 = 0.85;

/// All mistakes, after the first one was found. Of a list, the first one only: without it, the others would have other numbers.
pub fn all(json: &[u8], first: ConfigError) -> Vec<ConfigError> {
    let mut mistakes = vec![first];
    let Ok(mut document) = serde_json::from_slice::<Value>(json) else { return mistakes };
    while mistakes.len() < MOST {
        let Some(last) = mistakes.last() else { break };
        let path = last.path.split('[').next().unwrap_or_default();
        let can_go_on = match last.mistake {
            // Read as a document of serde_json's, the key is there once, and may be wrong in other ways.
            Mistake::Twice => true,
            Mistake::Unknown(_) | Mistake::Value => take_out(&mut document, path),
        };
        if !can_go_on {
            break;
        }
        match Config::parse(document.to_string().as_bytes()) {
            Err(next) if !mistakes.contains(&next) => mistakes.push(next),
            Err(_) | Ok(_) => break,
        }
    }
    mistakes
}

/// What is wrong. For an unknown key that is nearly a known one, that one is suggested instead of all.
pub fn wrong(error: &ConfigError) -> String {
    let (Mistake::Unknown(known), Some(key)) = (&error.mistake, error.path.rsplit('.').next()) else {
        return error.message.clone();
    };
    match nearest(known.iter().copied(), key) {
        Some(name) => format!("unknown key; did you mean {name}?"),
        None => error.message.clone(),
    }
}

/// The known key that is nearly this one.
pub fn nearest<'k>(known: impl Iterator<Item = &'k str>, key: &str) -> Option<&'k str> {
    let likeness = |name: &str| strsim::jaro_winkler(name, key);
    known.max_by(|left, right| likeness(left).total_cmp(&likeness(right))).filter(|name| likeness(name) > ALIKE)
}

/// A key may hold dots: the longest one that fits is meant.
fn take_out(value: &mut Value, path: &str) -> bool {
    let Some(object) = value.as_object_mut() else { return false };
    if object.remove(path).is_some() {
        return true;
    }
    let dots: Vec<usize> = path.match_indices('.').map(|(at, _)| at).collect();
    dots.into_iter().rev().any(|at| {
        let (key, rest) = path.split_at(at);
        object.get_mut(key).is_some_and(|inner| take_out(inner, rest.trim_start_matches('.')))
    })
}
