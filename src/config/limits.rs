//! `limits` and `overrides`: JSON → [`Limits`].

use super::ConfigError;
use super::json::Field;
use crate::limits::{Attributes, Between, Blocked, Limits, Pattern, Set, TABLE, Text, Unit};
use crate::promql::{self, Query};
use crate::tenant::{Federation, Format, Tenants};
use std::collections::BTreeMap;

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

pub fn limits(limits: Option<Field>, overrides: Option<Field>, format: Format) -> Result<Limits, ConfigError> {
    let defaults = limits.map_or(Ok(Set::default()), set)?;
    let mut by_tenant = BTreeMap::new();
    for (id, field) in overrides.map_or(Ok(Vec::new()), Field::entries)? {
        if let Err(error) = Tenants::parse(id.as_bytes(), format, Federation::Off) {
            return Err(field.error(error.to_string()));
        }
        let path = field.path.clone();
        if by_tenant.insert(id.into_boxed_str(), set(field)?).is_some() {
            return Err(ConfigError { path, message: "the key is given twice".to_owned() });
        }
    }
    Ok(Limits { defaults, overrides: by_tenant })
}

fn set(field: Field) -> Result<Set, ConfigError> {
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
    let blocked = object.take("blocked_queries").map(blocked_queries).transpose()?;
    let rejected = object.take("query_rejection").map(query_rejection).transpose()?;
    let known: Vec<&str> =
        TABLE.iter().map(|(name, _, _)| *name).chain(["blocked_queries", "query_rejection"]).collect();
    object.finish(&known, &[])?;
    Ok(Set { values: values.into(), blocked: blocked.map(Into::into), rejected: rejected.map(Into::into) })
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

fn blocked_queries(field: Field) -> Result<Vec<Blocked>, ConfigError> {
    field.items("a list of objects")?.into_iter().map(blocked_query).collect()
}

fn blocked_query(field: Field) -> Result<Blocked, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let is_pattern = object.take("regex").map_or(Ok(false), |field| field.boolean())?;
    let pattern = object.take("pattern");
    let text = match pattern {
        None => None,
        Some(field) if is_pattern => Some(Text::Pattern(self::pattern(&field, true)?)),
        Some(field) => {
            let query = Query::parse(field.text()?.trim().as_bytes());
            let query = query.map_err(|error| field.error(format!("{error}; only a regex may be part of a query")))?;
            Some(Text::Tokens(query.plain(true)))
        }
    };
    let mut milliseconds = |name| object.take(name).map_or(Ok(0), |field| duration(&field));
    let longer_than = milliseconds("time_range_longer_than")?;
    let least_step = milliseconds("minimum_step_size")?;
    let unaligned = object.take("unaligned_range_queries").map_or(Ok(false), |field| field.boolean())?;
    let reason = object.take("reason").map_or(Ok(String::new()), |field| field.text().map(str::to_owned))?;
    object.finish(BLOCKED, &[])?;
    if text.is_none() && longer_than == 0 && least_step == 0 && !unaligned {
        return Err(ConfigError { path, message: "it says of no query that it is blocked: give a pattern".to_owned() });
    }
    Ok(Blocked { text, reason, longer_than, least_step, unaligned })
}

fn query_rejection(field: Field) -> Result<Vec<Attributes>, ConfigError> {
    let mut object = field.object()?;
    // As in Cortex, where the list alone does nothing.
    let enabled = object.take("enabled").map_or(Ok(false), |field| field.boolean())?;
    let list = object.take("query_attributes").map_or(Ok(Vec::new()), |field| field.items("a list of objects"))?;
    object.finish(REJECTION, &[])?;
    let list: Vec<Attributes> = list.into_iter().map(attributes).collect::<Result<_, _>>()?;
    Ok(if enabled { list } else { Vec::new() })
}

fn attributes(field: Field) -> Result<Attributes, ConfigError> {
    let path = field.path.clone();
    let mut object = field.object()?;
    let api_type = object.take("api_type").map(|field| api_type(&field)).transpose()?.flatten();
    let regex = object.take("regex").map(|field| pattern(&field, false)).transpose()?;
    let window = object.take("time_window").map(|field| between(field, "start", "end")).transpose()?;
    let range = object.take("time_range_limit").map(|field| between(field, "min", "max")).transpose()?;
    let step = object.take("query_step_limit").map(|field| between(field, "min", "max")).transpose()?;
    let user_agent = object.take("user_agent_regex").map(|field| pattern(&field, false)).transpose()?;
    let mut text = |name| object.take(name).map(|field| field.text().map(str::to_owned)).transpose();
    let dashboard = text("dashboard_uid")?.filter(|uid| !uid.is_empty());
    let panel = text("panel_id")?.filter(|id| !id.is_empty());
    object.finish(ATTRIBUTES, &[])?;
    let is_set = |between: &Between| *between != Between::default();
    let window = window.filter(is_set).map(|window| (window.min, window.max));
    let attributes = Attributes {
        api_type,
        regex,
        window,
        range: range.filter(is_set),
        step: step.filter(is_set),
        user_agent,
        dashboard,
        panel,
    };
    if attributes == Attributes::default() {
        return Err(ConfigError { path, message: "it says of no query that it is rejected".to_owned() });
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

fn between(field: Field, least: &str, most: &str) -> Result<Between, ConfigError> {
    let mut object = field.object()?;
    let mut milliseconds = |name| object.take(name).map_or(Ok(0), |field| duration(&field));
    let between = Between { min: milliseconds(least)?, max: milliseconds(most)? };
    object.finish(&[least, most], &[])?;
    Ok(between)
}

fn pattern(field: &Field, whole: bool) -> Result<Pattern, ConfigError> {
    let text = field.text()?;
    Pattern::parse(text, whole).map_err(|problem| field.error(format!("{text:?} is not a pattern: {problem}")))
}

#[cfg(test)]
mod tests;
