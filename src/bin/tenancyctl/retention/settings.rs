//! What Cortex, Mimir and Thanos read, to delete each tenant's data themselves.

use super::super::{Failure, print as write};
use super::{Settings, tenants};
use promql_tenancy_filter::config::Config;
use promql_tenancy_filter::limits::{Limit, Unit};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Thanos refuses a shorter retention while it downsamples: `ResLevel2DownsampleRange` in pkg/compact/downsample, 0.42.5.
const SHORTEST_OF_THANOS: i64 = 10 * 86_400_000;

/// A tenant's setting in `overrides`: milliseconds, 0 where its data is kept.
struct Own {
    id: String,
    retention: i64,
}

pub fn print(config: &Config, upstream: Settings, only: &[String], as_json: bool) -> Result<(), Failure> {
    let value =
        |values: &[(Limit, i64)]| values.iter().find(|(limit, _)| *limit == Limit::Retention).map(|(_, value)| *value);
    let default = value(&config.limits().defaults.values).filter(|value| *value > 0);
    let (own, others): (Vec<Own>, Others) = if only.is_empty() {
        let own = config
            .limits()
            .overridden()
            .filter_map(|(id, set)| Some(Own { id: id.into_owned(), retention: value(&set.values)? }));
        (own.collect(), Others::All { default })
    } else {
        // The default is theirs too. It must not become that of tenants which are not printed, and have a setting of their own.
        let named: BTreeSet<&str> = only.iter().map(String::as_str).collect();
        let own = |id: &str| Own { id: id.to_owned(), retention: tenants::retention(config, id).unwrap_or(0) };
        (named.into_iter().map(own).collect(), Others::LeftAlone)
    };
    match upstream {
        Settings::Cortex | Settings::Mimir => overrides(config, &own, others, as_json),
        Settings::Thanos => compactors(config, own, others, as_json),
    }
}

/// What is printed for tenants without a setting of their own.
#[derive(Clone, Copy)]
enum Others {
    /// Nothing: --tenant names the tenants whose settings are asked for.
    LeftAlone,
    /// The default; `None` keeps their data.
    All { default: Option<i64> },
}

/// The runtime configuration of Cortex and Mimir: both read `compactor_blocks_retention_period` in `overrides` (pkg/util/validation/limits.go,
/// Cortex 1.21.1 and Mimir 3.0).
fn overrides(config: &Config, own: &[Own], others: Others, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let overrides: Map<String, Value> = own
            .iter()
            .map(|own| (own.id.clone(), json!({"compactor_blocks_retention_period": written(own.retention)})))
            .collect();
        let default = match others {
            Others::All { default } => default.map(written),
            Others::LeftAlone => None,
        };
        return write(&format!("{:#}\n", json!({"overrides": overrides, "default": default})));
    }
    let mut out = String::from(
        "# Runtime configuration (-runtime-config.file): put this beside what it sets for the same tenants.\n",
    );
    match others {
        Others::LeftAlone => out += "# Only of the tenants that --tenant names.\n",
        Others::All { default: None } => out += "# The data of tenants that are not listed is kept.\n",
        Others::All { default: Some(default) } => {
            let default = written(default);
            out += &format!(
                "# For tenants that are not listed, the main configuration or a flag:\n\
                 #   limits: {{ compactor_blocks_retention_period: {default} }}\n\
                 #   -compactor.blocks-retention-period={default}\n"
            );
            if allowed(config).is_some() {
                out += "# It also deletes the data of tenants that allowed_tenants does not name.\n";
            }
        }
    }
    if own.is_empty() {
        out += "overrides: {}\n";
    } else {
        out += "overrides:\n";
    }
    for Own { id, retention } in own {
        // A JSON string is one of YAML's.
        out += &format!("  {}:\n    compactor_blocks_retention_period: {}\n", Value::from(&**id), written(*retention));
    }
    write(&out)
}

/// One of Thanos's compactors.
struct Compactor {
    /// The tenant whose blocks it takes; `None` for several, or none.
    tenant: Option<String>,
    blocks: String,
    flags: Vec<String>,
}

/// Thanos knows no tenants when it deletes: one compactor for each, which takes the blocks with its external label, one for the others, and one for
/// blocks of no tenant that is served.
fn compactors(config: &Config, own: Vec<Own>, others: Others, as_json: bool) -> Result<(), Failure> {
    if let Some(reason) = tenants::refusal(config) {
        return Err(Failure::No(Some(reason.to_owned())));
    }
    let label = config.label();
    let mut left_out = Vec::new();
    let mut all = Vec::new();
    let mut listed = Vec::new();
    for Own { id, retention } in own {
        let retention = match tenants::selector(config, &id) {
            Ok(_) => retention,
            Err(reason) => {
                left_out.push(format!("{id}: left out: {reason}"));
                // No other compactor takes its blocks.
                if !config.allows(&id) {
                    continue;
                }
                0
            }
        };
        listed.push(quoted(&id));
        all.push(Compactor {
            blocks: kept(&id, retention),
            flags: flags(&[("keep", &quoted(&id))], label, retention),
            tenant: Some(id),
        });
    }
    if let Others::All { default } = others {
        let has_selectors = config.own_scopes().next().is_some();
        if has_selectors && default.is_some() {
            left_out.push("all others: left out: a selector of tenant_selectors may match their series".to_owned());
        }
        let listed = listed.join("|");
        let is_dropped = (!listed.is_empty()).then_some(("drop", &*listed));
        match default.filter(|_| !has_selectors) {
            None => all.push(Compactor {
                tenant: None,
                blocks: kept("all others", 0),
                flags: flags(is_dropped.as_slice(), label, 0),
            }),
            Some(retention) => {
                let served = allowed(config).unwrap_or_else(|| ".+".to_owned());
                let steps: Vec<(&str, &str)> = [("keep", &*served)].into_iter().chain(is_dropped).collect();
                all.push(Compactor {
                    tenant: None,
                    blocks: "all others".to_owned(),
                    flags: flags(&steps, label, retention),
                });
                all.push(Compactor {
                    tenant: None,
                    blocks: kept("blocks of no tenant that is served", 0),
                    flags: flags(&[("drop", &served)], label, 0),
                });
            }
        }
    }
    if as_json {
        let list: Vec<Value> =
            all.iter().map(|one| json!({"tenant": one.tenant, "blocks": one.blocks, "flags": one.flags})).collect();
        write(&format!("{:#}\n", json!({"compactors": list, "left_out": left_out})))?;
    } else {
        let which = match others {
            Others::LeftAlone => "for each tenant that --tenant names: no other compactor may take their blocks",
            Others::All { .. } => "for each of these: together they take every block, and no two the same",
        };
        let mut out = format!(
            "# One compactor (thanos compact) {which}. Blocks have\n\
             # to carry the tenant as the external label {label}, as Receive's do.\n"
        );
        for Compactor { tenant: _, blocks, flags } in &all {
            out += &format!("# {blocks}\n");
            flags.iter().for_each(|flag| out += &format!("{}\n", shell(flag)));
        }
        write(&out)?;
    }
    if left_out.is_empty() { Ok(()) } else { Err(Failure::No(Some(left_out.join("\n")))) }
}

/// Says of blocks that they are kept, if they are.
fn kept(blocks: &str, retention: i64) -> String {
    if retention > 0 { blocks.to_owned() } else { format!("{blocks}: kept") }
}

/// The tenants of `allowed_tenants` as a pattern; `None` where it is not set.
fn allowed(config: &Config) -> Option<String> {
    let list = config.allowed_tenants()?;
    let entries = list.as_array().into_iter().flatten();
    let patterns: Vec<String> = entries
        .filter_map(|entry| match entry.as_str() {
            Some(id) => Some(quoted(id)),
            None => entry["prefix"].as_str().map(|prefix| quoted(prefix) + ".*"),
        })
        .collect();
    Some(patterns.join("|"))
}

/// `steps`: which values of the label are kept or dropped, as patterns.
fn flags(steps: &[(&str, &str)], label: &str, retention: i64) -> Vec<String> {
    let mut flags = Vec::new();
    if !steps.is_empty() {
        let step =
            |(action, pattern): &(&str, &str)| json!({"action": action, "source_labels": [label], "regex": pattern});
        // JSON is YAML.
        flags.push(format!("--selector.relabel-config={}", steps.iter().map(step).collect::<Value>()));
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
