//! `tenancyctl check`: the configuration in force.

use super::{Failure, configuration, print};
use anstyle::Style;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Validate a plugin configuration and print what is in force, every default made explicit
///
/// CONFIG is the JSON object that Envoy hands to the plugin: what stands in `configuration` of the wasm filter, or in
/// Istio's `pluginConfig`, as JSON. A YAML file of Envoy's is taken as well, where the JSON stands below one `value: |`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// A file, or - for standard input
    config: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl check plugin.json
  tenancyctl check envoy/promql_tenancy.yaml
  echo '{\"upstream\": \"cortex\"}' | tenancyctl check -
  echo '{\"tenant_heder\": \"X-Tenant\"}' | tenancyctl check -    # tenant_heder: unknown key; known are …";

const KEY: Style = Style::new().bold();
const NOTE: Style = Style::new().dimmed();

impl Check {
    pub fn run(&self) -> Result<(), Failure> {
        let config = configuration(Some(&self.config))?;
        let settings = config.explain();
        let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or(0);
        let mut out = String::new();
        for setting in settings {
            let value = if setting.value.is_empty() { "not set" } else { &setting.value };
            let origin = if setting.given { "" } else { " (default)" };
            // Each tenant has lines of its own below.
            let value = if setting.key == "overrides" && setting.given { "…" } else { value };
            let (key, meaning) = (setting.key, setting.meaning);
            // Writing to a String can't fail.
            let _ =
                writeln!(out, "{KEY}{key:width$}{KEY:#}  {value}{origin}\n{:width$}  {NOTE}# {meaning}{NOTE:#}", "");
        }
        let without = if config.overridden().next().is_some() { "every other tenant" } else { "every tenant" };
        for tenant in config.overridden().map(Some).chain([None]) {
            let limits = config.effective(tenant);
            if limits.is_empty() && tenant.is_none() {
                continue;
            }
            let _ = writeln!(out, "\n{KEY}limits of {}{KEY:#}", tenant.unwrap_or(without));
            for limit in &limits {
                let origin = if limit.is_override { "overrides" } else { "limits" };
                let _ = writeln!(out, "  {:31}  {} ({origin})", limit.name, limit.value);
            }
            if limits.is_empty() {
                out.push_str("  none\n");
            }
        }
        print(&out)?;
        let idle = config.without_effect();
        if idle.is_empty() {
            return Ok(());
        }
        let name = self.config.display();
        let lines = idle.iter().map(|mistake| format!("{name}: {mistake}"));
        Err(Failure::No(Some(lines.collect::<Vec<_>>().join("\n"))))
    }
}
