//! What Cortex, Mimir and Thanos read, to delete each tenant's data themselves.

use super::super::{Failure, print as write};
use super::{Settings, tenants};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::limits::{Limit, Unit};
use serde_json::{Map, Value, json};

/// Thanos refuses a shorter retention while it downsamples: `ResLevel2DownsampleRange` in pkg/compact/downsample, 0.42.5.
const SHORTEST_OF_THANOS: i64 = 10 * 86_400_000;

/// A tenant's setting in `overrides`: milliseconds, 0 where its data is kept.
struct Own<'c> {
    id: &'c str,
    retention: i64,
}

pub fn print(config: &Config, upstream: Settings, only: &[String], as_json: bool) -> Result<(), Failure> {
    let is_meant = |id: &str| only.is_empty() || only.iter().any(|only| only == id);
    let value =
        |values: &[(Limit, i64)]| values.iter().find(|(limit, _)| *limit == Limit::Retention).map(|(_, value)| *value);
    let overridden: Vec<_> = config.limits().overridden().collect();
    let own: Vec<Own> = overridden
        .iter()
        .filter(|(id, _)| is_meant(id))
        .filter_map(|(id, set)| Some(Own { id, retention: value(&set.values)? }))
        .collect();
    let default = value(&config.limits().defaults.values).filter(|value| *value > 0);
    match upstream {
        Settings::Cortex | Settings::Mimir => overrides(&own, default, as_json),
        Settings::Thanos => compactors(config, &own, default, as_json),
    }
}

/// The runtime configuration of Cortex and Mimir: both read `compactor_blocks_retention_period` in `overrides` (pkg/util/validation/limits.go,
/// Cortex 1.21.1 and Mimir 3.0).
fn overrides(own: &[Own], default: Option<i64>, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let overrides: Map<String, Value> = own
            .iter()
            .map(|own| (own.id.to_owned(), json!({"compactor_blocks_retention_period": written(own.retention)})))
            .collect();
        return write(&format!("{:#}\n", json!({"overrides": overrides, "default": default.map(written)})));
    }
    let mut out = String::from(
        "# Runtime configuration (-runtime-config.file): put this beside what it sets for the same tenants.\n",
    );
    out += &match default {
        Some(default) => format!(
            "# For tenants that are not listed, the main configuration or a flag:\n#   limits: {{ compactor_blocks_retention_period: {} }}\n\
             #   -compactor.blocks-retention-period={}\n",
            written(default),
            written(default)
        ),
        None => "# The data of tenants that are not listed is kept.\n".to_owned(),
    };
    if own.is_empty() {
        out += "overrides: {}\n";
    } else {
        out += "overrides:\n";
    }
    for Own { id, retention } in own {
        // A JSON string is one of YAML's.
        out += &format!("  {}:\n    compactor_blocks_retention_period: {}\n", Value::from(*id), written(*retention));
    }
    write(&out)
}

/// Thanos knows no tenants when it deletes: one compactor for each, which takes the blocks with its external label, and one for the others.
fn compactors(config: &Config, own: &[Own], default: Option<i64>, as_json: bool) -> Result<(), Failure> {
    if let Some(reason) = tenants::refusal(config) {
        return Err(Failure::No(Some(reason.to_owned())));
    }
    let mut left_out = Vec::new();
    let mut all = Vec::new();
    for own in own {
        match tenants::selector(config, own.id) {
            Ok(_) => all.push((Some(own.id), flags(config, &[own.id], "keep", own.retention))),
            Err(reason) => left_out.push(format!("{}: left out: {reason}", own.id)),
        }
    }
    let listed: Vec<&str> = own.iter().map(|own| own.id).collect();
    all.push((None, flags(config, &listed, "drop", default.unwrap_or(0))));
    if as_json {
        let list: Vec<Value> = all.iter().map(|(id, flags)| json!({"tenant": id, "flags": flags})).collect();
        write(&format!("{:#}\n", json!({"compactors": list, "left_out": left_out})))?;
    } else {
        let mut out = format!(
            "# One compactor (thanos compact) for each tenant below, and the last one for all others: no two may take the same block. Blocks have\n\
             # to carry the tenant as the external label {}, as Receive's do.\n",
            config.label()
        );
        for (id, flags) in &all {
            out += &format!("# {}\n", id.unwrap_or("all others"));
            flags.iter().for_each(|flag| out += &format!("{}\n", shell(flag)));
        }
        write(&out)?;
    }
    if left_out.is_empty() { Ok(()) } else { Err(Failure::No(Some(left_out.join("\n")))) }
}

fn flags(config: &Config, ids: &[&str], action: &str, retention: i64) -> Vec<String> {
    let mut flags = Vec::new();
    if !ids.is_empty() {
        let pattern: Vec<String> = ids.iter().map(|id| quoted(id)).collect();
        // JSON is YAML.
        let relabel = json!([{"action": action, "source_labels": [&**config.label()], "regex": pattern.join("|")}]);
        flags.push(format!("--selector.relabel-config={relabel}"));
    }
    if retention > 0 {
        let retained = written(retention);
        flags.extend(["raw", "5m", "1h"].map(|resolution| format!("--retention.resolution-{resolution}={retained}")));
        if retention < SHORTEST_OF_THANOS {
            flags.push("--downsampling.disable".to_owned());
        }
    }
    flags
}

/// As Prometheus's `model.Duration` reads it.
fn written(milliseconds: i64) -> String {
    if milliseconds > 0 { Unit::Duration.write(milliseconds) } else { "0s".to_owned() }
}

/// An ID as a pattern that matches nothing else: as Go's `regexp.QuoteMeta`.
fn quoted(id: &str) -> String {
    let mut out = String::new();
    for char in id.chars() {
        if r"\.+*?()|[]{}^$".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// A word of a shell.
fn shell(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-._=/".contains(char);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
