//! `limits` and `overrides`: JSON → [`Limits`].

use super::{Attributes, Between, Blocked, Limits, Set, TABLE, Text, Unit};
use crate::pattern::Pattern;
use crate::promql::{self, Query};
use crate::settings::{ConfigError, Field, Object};
use crate::tenant::{Federation, Format, Tenants};

const BLOCKED: &[&str] =
    &["pattern", "regex", "reason", "time_range_longer_than", "minimum_step_size", "unaligned_range_queries"];
const REJECTION: &[&str] = &["enabled", "query_attributes"];
const ATTRIBUTES: &[&str] = &[
    "api_type",
    "regex",
    "time_window",
    "time_range_limit",
    "query_step_limit",
    "user_agent_regex",
    "dashboard_uid",
    "panel_id",
];

/// Reads `limits` and `overrides`.
pub fn limits(limits: Option<Field>, overrides: Option<Field>, format: Format) -> Result<Limits, ConfigError> {
    let defaults = limits.map_or(Ok(Set::default()), |field| set(field, &[]))?;
    let overrides = overrides.map_or(Ok(Vec::new()), Field::entries)?;
    let mut all = Limits::new(defaults, overrides.len());
    for (id, field) in overrides {
        if let Err(error) = Tenants::parse(id.as_bytes(), format, Federation::Off) {
            return Err(field.error(error.to_string()));
        }
        let path = field.path.clone();
        if !all.add(id.into(), set(field, &["dry_run"])?) {
            return Err(ConfigError::twice(path));
        }
    }
    Ok(all)
}

/// `more`: what may stand beside limits.
fn set(field: Field, more: &[&'static str]) -> Result<Set, ConfigError> {
    let mut object = field.object()?;
    let mut values = Vec::new();
    for (name, unit, limit) in TABLE {
        if let Some(field) = object.take(name) {
            let value = match unit {
                Unit::Duration => duration(&field)?,
                Unit::Count => i64::from(field.count()?),
            };
            values.push((limit, value));
        }
    }
    let blocked = object.take("blocked_queries").map(|field| list(Some(field), blocked_query)).transpose()?;
    let rejected = object.take("query_rejection").map(query_rejection).transpose()?;
    let dry_run = more.first().and_then(|name| object.take(name)).map(|field| field.boolean()).transpose()?;
    if !object.is_empty() {
        let limits = TABLE.iter().map(|(name, _, _)| *name);
        let known: Vec<&str> =
            limits.chain(["blocked_queries", "query_rejection"]).chain(more.iter().copied()).collect();
        object.finish(&known, &[])?;
    }
    Ok(Set { values: values.into(), blocked: blocked.map(Into::into), rejected: rejected.map(Into::into), dry_run })
}

/// In milliseconds; `0` is off.
pub fn duration(field: &Field) -> Result<i64, ConfigError> {
    if matches!(field.count(), Ok(0)) {
        return Ok(0);
    }
    let text = field.text()?;
    Some(text)
        .filter(|text| *text != "0")
        .map_or(Some(0), |text| promql::duration(text.as_bytes()))
        .ok_or_else(|| field.error(format!("{text:?} is not a duration: write 30d, 1h30m or 0")))
}

/// Reads each element of a list.
fn list<T>(field: Option<Field>, read: fn(Field) -> Result<T, ConfigError>) -> Result<Vec<T>, ConfigError> {
    let mut all = Vec::new();
    if let Some(field) = field {
        for item in field.items("a list of objects")? {
            all.push(read(item)?);
        }
    }
    Ok(all)
}

// Each of these is asked for by several keys: code that stands once.

#[inline(never)]
fn milliseconds(object: &mut Object, key: &str) -> Result<i64, ConfigError> {
    object.take(key).map_or(Ok(0), |field| duration(&field))
}

#[inline(never)]
fn switch(object: &mut Object, key: &str) -> Result<bool, ConfigError> {
    object.take(key).map_or(Ok(false), |field| field.boolean())
}

#[inline(never)]
fn string(object: &mut Object, key: &str) -> Result<String, ConfigError> {
    object.take(key).map_or(Ok(String::new()), |field| field.text().map(str::to_owned))
}

#[inline(never)]
fn pattern(object: &mut Object, key: &str, whole: bool) -> Result<Option<Pattern>, ConfigError> {
    let Some(field) = object.take(key) else { return Ok(None) };
    let text = field.text()?;
    let pattern = Pattern::parse(text, whole);
    pattern.map(Some).map_err(|problem| field.error(format!("{text:?} is not a pattern: {problem}")))
}

/// From the one to the other; `None` where neither bounds anything.
#[inline(never)]
fn between(object: &mut Object, key: &str, [least, most]: [&'static str; 2]) -> Result<Option<Between>, ConfigError> {
    let Some(field) = object.take(key) else { return Ok(None) };
    let mut object = field.object()?;
    let between = Between { min: milliseconds(&mut object, least)?, max: milliseconds(&mut object, most)? };
    object.finish(&[least, most], &[])?;
    Ok(Some(between).filter(|between| *between != Between::default()))
}

fn blocked_query(field: Field) -> Result<Blocked, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let text = if switch(&mut object, "regex")? {
        pattern(&mut object, "pattern", true)?.map(Text::Pattern)
    } else {
        object.take("pattern").map(|field| literally(&field)).transpose()?
    };
    let blocked = Blocked {
        text,
        reason: string(&mut object, "reason")?,
        longer_than: milliseconds(&mut object, "time_range_longer_than")?,
        least_step: milliseconds(&mut object, "minimum_step_size")?,
        unaligned: switch(&mut object, "unaligned_range_queries")?,
    };
    object.finish(BLOCKED, &[])?;
    if blocked.text.is_none() && blocked.longer_than == 0 && blocked.least_step == 0 && !blocked.unaligned {
        return Err(ConfigError::new(path, "it says of no query that it is blocked: give a pattern"));
    }
    Ok(blocked)
}

fn literally(field: &Field) -> Result<Text, ConfigError> {
    let query = Query::parse(field.text()?.trim().as_bytes());
    let query = query.map_err(|error| field.error(format!("{error}; only a regex may be part of a query")))?;
    Ok(Text::Tokens(query.plain(true)))
}

fn query_rejection(field: Field) -> Result<Vec<Attributes>, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    // As in Cortex, where the list alone does nothing.
    let enabled = object.take("enabled").map(|field| field.boolean()).transpose()?;
    let list = list(object.take("query_attributes"), attributes)?;
    object.finish(REJECTION, &[])?;
    let Some(enabled) = enabled else {
        return Err(ConfigError::new(path, "rejects no query: say whether it is enabled"));
    };
    Ok(if enabled { list } else { Vec::new() })
}

fn attributes(field: Field) -> Result<Attributes, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let attributes = Attributes {
        api_type: object.take("api_type").map(|field| api_type(&field)).transpose()?.flatten(),
        regex: pattern(&mut object, "regex", false)?,
        window: between(&mut object, "time_window", ["start", "end"])?,
        range: between(&mut object, "time_range_limit", ["min", "max"])?,
        step: between(&mut object, "query_step_limit", ["min", "max"])?,
        user_agent: pattern(&mut object, "user_agent_regex", false)?,
        dashboard: given(string(&mut object, "dashboard_uid")?),
        panel: given(string(&mut object, "panel_id")?),
    };
    object.finish(ATTRIBUTES, &[])?;
    if attributes == Attributes::default() {
        return Err(ConfigError::new(path, "it says of no query that it is rejected"));
    }
    Ok(attributes)
}

/// The name of a handler; empty: not checked.
fn api_type(field: &Field) -> Result<Option<&'static str>, ConfigError> {
    const TYPES: [&str; 5] = ["query", "query_range", "series", "labels", "label_values"];
    let text = field.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    TYPES.into_iter().find(|name| *name == text).map(Some).ok_or_else(|| {
        field.error(format!("unknown value {text:?}: use query, query_range, series, labels or label_values"))
    })
}
