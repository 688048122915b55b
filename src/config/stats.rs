//! The key `stats`: what is counted, and for how many tenants.

use super::ConfigError;
use super::json::Field;
use super::shape::{Member, Shape, member, names, words};
use crate::stats::Naming;

/// Each tenant costs Envoy some ten kilobytes (docs/stats.md has the figures).
const MOST_TENANTS: u32 = 100_000;
/// What may stand between several tenants. A `/` is in no ID but the one that is nothing else; a `+` may be in one of the format `thanos`.
const SEPARATORS: &[(&str, &str)] = &[("|", "|"), ("/", "/"), ("+", "+")];
const NAMINGS: &[(&str, Naming)] = &[("envoy", Naming::Envoy), ("istio", Naming::Istio)];

/// The members of the key.
pub(super) const MEMBERS: [Member; 4] = [
    member("max_tenants", Shape::Count(0, MOST_TENANTS), "1000", "how many tenants get series of their own"),
    member("samples", Shape::Boolean, "false", "the upstream is asked how many samples each query reads"),
    member("tenant_separator", Shape::Word(|| words(SEPARATORS)), r#""|""#, "what stands between several tenants"),
    member("tags", Shape::Word(|| words(NAMINGS)), r#""envoy""#, "how labels stand in a stat's name"),
];

/// What is counted, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// How many tenants get series of their own, besides those that the configuration names.
    pub max_tenants: u32,
    /// Whether the upstream is asked how many samples a query reads.
    pub samples: bool,
    /// How tags are written into names.
    pub tags: Naming,
    /// What stands between the tenants of a request that names several.
    pub separator: &'static str,
}

impl Default for Stats {
    fn default() -> Self {
        Stats { max_tenants: 1_000, samples: false, tags: Naming::Envoy, separator: "|" }
    }
}

impl Stats {
    /// Reads the key.
    pub fn read(field: Field) -> Result<Stats, ConfigError> {
        let mut stats = Stats::default();
        let mut object = field.object()?;
        if let Some(field) = object.take("max_tenants") {
            stats.max_tenants = field.count()?;
            if stats.max_tenants > MOST_TENANTS {
                return Err(field.error(format!("expected a whole number from 0 to {MOST_TENANTS}")));
            }
        }
        if let Some(field) = object.take("samples") {
            stats.samples = field.boolean()?;
        }
        if let Some(field) = object.take("tags") {
            stats.tags = field.word(NAMINGS)?;
        }
        if let Some(field) = object.take("tenant_separator") {
            stats.separator = field.word(SEPARATORS)?;
        }
        object.finish(&names(&MEMBERS))?;
        Ok(stats)
    }

    /// As JSON, every default made explicit.
    pub fn explain(self) -> serde_json::Value {
        let tags = NAMINGS.iter().find(|(_, other)| *other == self.tags).map_or("", |(word, _)| *word);
        serde_json::json!({"max_tenants": self.max_tenants, "samples": self.samples, "tags": tags, "tenant_separator": self.separator})
    }

    /// What that does.
    pub fn meaning(self) -> String {
        let samples = if self.samples { "; the upstream is asked how many samples each query reads" } else { "" };
        format!(
            "{} tenants get series of their own, besides those that the configuration names; all others are counted as __other__{samples}",
            self.max_tenants
        )
    }
}
