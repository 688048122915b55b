//! `limits` and `overrides`: JSON → [`Limits`].

use super::{Attributes, Between, Blocked, Limits, Set, TABLE, Text, Told, Unit};
use crate::pattern::Pattern;
use crate::promql::{self, Query};
use crate::settings::{self, ConfigError, Field, Object};
use crate::tenant::{self, ById, Format};

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

const DRY_RUN: &str = "dry_run";
const LISTS: [&str; 2] = ["blocked_queries", "query_rejection"];

/// Reads `limits` and `overrides`. `told`: each override was judged before, and this is what was found; otherwise each is judged.
pub fn limits(
    limits: Option<Field>,
    overrides: Option<Field>,
    format: Format,
    told: Option<Told>,
) -> Result<Limits, ConfigError> {
    let defaults = limits.map_or(Ok(Set::default()), |field| {
        let path = field.path.clone();
        set(field.relative(), false).map_err(|error| error.under(&path))
    })?;
    let mut all = Limits { defaults, told: told.unwrap_or_default(), ..Limits::default() };
    let Some(field) = overrides else { return Ok(all) };
    let path = field.path.clone();
    let mut entries = field.unread(false, "an object")?;
    // Whom nothing is enforced for is no matter of what was told.
    let judged = told.map(|_| std::mem::take(&mut entries.may_name_dry_run));
    let mut number = 0;
    all.overrides = ById::index(&path, entries, judged.as_deref(), &mut |id, field| {
        number += 1;
        tenant::check_id(id.as_bytes(), format).map_err(|error| ConfigError::new("", error.to_string()))?;
        let set = own(field)?;
        all.note_dry_run(&set);
        if told.is_none() {
            all.note(number, &set);
        }
        Ok(())
    })?;
    Ok(all)
}

/// Reads a tenant's own limits.
pub fn own(field: Field) -> Result<Set, ConfigError> {
    set(field, true)
}

/// `is_own`: `dry_run` may stand beside limits. The paths of errors begin in the object.
fn set(field: Field, is_own: bool) -> Result<Set, ConfigError> {
    let mut set = Set::default();
    let mut values = Vec::new();
    for (key, field) in field.object()?.members() {
        let of_key = |error: ConfigError| error.under(&key);
        match TABLE.into_iter().find(|(name, _, _)| *name == key) {
            Some((_, unit, limit)) => {
                let value = match unit {
                    Unit::Duration => duration(&field),
                    Unit::Count => field.count().map(i64::from),
                };
                values.push((limit, value.map_err(of_key)?));
            }
            None if key == DRY_RUN && is_own => set.dry_run = Some(field.boolean().map_err(of_key)?),
            None => match LISTS.iter().position(|name| *name == key) {
                Some(0) => set.blocked = Some(list(Some(field), blocked_query).map_err(of_key)?.into()),
                Some(_) => set.rejected = Some(query_rejection(field).map_err(of_key)?.into()),
                None => {
                    let limits = TABLE.iter().map(|(name, _, _)| *name);
                    let known: Vec<&str> = limits.chain(LISTS).chain(is_own.then_some(DRY_RUN)).collect();
                    return Err(settings::unknown(key, &known));
                }
            },
        }
    }
    set.values = values.into();
    Ok(set)
}

/// In milliseconds; `0` is off.
pub fn duration(field: &Field) -> Result<i64, ConfigError> {
    // Most are texts, of each of which `count` would say in a sentence that it is no number.
    if !field.is_text() && matches!(field.count(), Ok(0)) {
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
    object.finish(&[least, most])?;
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
    object.finish(BLOCKED)?;
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
    object.finish(REJECTION)?;
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
    object.finish(ATTRIBUTES)?;
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
