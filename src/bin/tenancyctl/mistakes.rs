//! Every mistake of a configuration. The filter stops at the first one; here, what is wrong is taken out, and the rest is read again.

use promql_tenancy_filter::config::{Config, ConfigError};
use serde_json::Value;

/// More than this would be no help.
const MOST: usize = 100;

/// All mistakes, after the first one was found. Of a list, the first one only: without it, the others would have other numbers.
pub fn all(json: &[u8], first: ConfigError) -> Vec<ConfigError> {
    let mut mistakes = vec![first];
    let Ok(mut document) = serde_json::from_slice::<Value>(json) else { return mistakes };
    while mistakes.len() < MOST {
        let path = mistakes.last().map_or("", |mistake| &mistake.path);
        let path = path.split('[').next().unwrap_or_default();
        // What is given twice is there once now, and may be wrong in other ways.
        let is_twice = mistakes.last().is_some_and(|mistake| mistake.message.contains("given twice"));
        if !(is_twice || take_out(&mut document, path)) {
            break;
        }
        match Config::parse(document.to_string().as_bytes()) {
            Err(next) if !mistakes.contains(&next) => mistakes.push(next),
            Err(_) | Ok(_) => break,
        }
    }
    mistakes
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
