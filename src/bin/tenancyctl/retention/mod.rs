//! `tenancyctl retention`: the tenants' data is not only hidden after `retention_period`, it is deleted. Cortex, Mimir and Thanos do that
//! themselves: their settings are printed. Prometheus does not know tenants: the deletion is asked of its admin API.
//!
//! - `settings`: what Cortex, Mimir and Thanos read
//! - `tenants`: whose data may be deleted, and by which selector
//! - `prometheus`: the deletion

mod prometheus;
mod settings;
mod tenants;

use super::{Failure, configuration, http};
use clap::{ArgGroup, Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Have what is older than each tenant's retention_period deleted
///
/// With --for, print the settings with which Cortex, Mimir or Thanos delete it themselves. With --url, delete it from a Prometheus,
/// which has to run with --web.enable-admin-api; without --apply, only say what would be deleted.
///
/// On Prometheus, what is deleted has a tenant's own value of the tenant label. A tenant of tenant_selectors is left out, and so is
/// each whose series a selector of another tenant's may match. A tenant without retention_period, or with 0, is never touched.
#[derive(Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("where").args(["upstream", "url"]).required(true)))]
pub struct Retention {
    /// The plugin's configuration as JSON or YAML, or a file of Envoy's that holds it
    config: PathBuf,
    /// Print the settings of this upstream
    #[arg(long = "for", value_name = "UPSTREAM")]
    upstream: Option<Settings>,
    /// The URL of a Prometheus, past the filter
    #[arg(long)]
    url: Option<String>,
    /// Delete. Without it, only what would be deleted is printed
    #[arg(long, requires = "url")]
    apply: bool,
    /// Do it again after this time, until the tool is ended
    #[arg(long, requires = "apply", value_name = "DURATION", value_parser = duration)]
    every: Option<Duration>,
    /// Wait so long after a deletion, and then have Prometheus free the space (clean_tombstones). Without it, Prometheus frees it when it
    /// compacts the blocks; with --every, the default is half of that time, and at most an hour
    #[arg(long, requires = "apply", value_name = "DURATION", value_parser = duration)]
    clean_after: Option<Duration>,
    /// Delete no more than this many metrics of a tenant in a round; the rest waits for the next one
    #[arg(long, requires = "url", default_value_t = 1000, value_name = "NUMBER")]
    max_metrics: usize,
    /// Only these tenants; may be repeated
    #[arg(long = "tenant", value_name = "ID")]
    only: Vec<String>,
    /// A header for Prometheus, as "name: value"; may be repeated
    #[arg(long = "header", short = 'H', requires = "url", value_parser = super::route::header)]
    headers: Vec<(String, String)>,
    /// Print one JSON object instead, or with --url one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: http::Reach,
}

const EXAMPLES: &str = "\
Examples:
  tenancyctl retention plugin.json --for cortex > runtime.yaml       # for -runtime-config.file
  tenancyctl retention plugin.json --for thanos
  tenancyctl retention plugin.json --url http://localhost:9090       # what would be deleted
  tenancyctl retention plugin.json --url http://localhost:9090 --apply --clean-after 0s
  tenancyctl retention plugin.json --url http://localhost:9090 --apply --every 1d

Exit status:
  0  all was printed, or deleted, or without --apply could be
  1  something was left out that has a retention_period, or was not deleted; the reason is printed
  2  the configuration can't be read, or Prometheus does not answer";

/// Whose settings are printed.
#[derive(Clone, Copy, ValueEnum)]
pub enum Settings {
    Cortex,
    Mimir,
    Thanos,
}

impl Retention {
    pub fn run(&self) -> Result<(), Failure> {
        // What can't be read is no question of yes or no here.
        let config = configuration(Some(&self.config)).map_err(|failure| match failure {
            Failure::No(Some(reason)) => Failure::Broken(reason),
            Failure::No(None) | Failure::Broken(_) | Failure::Closed => failure,
        })?;
        match (self.upstream, &self.url) {
            (Some(upstream), _) => settings::print(&config, upstream, &self.only, self.json),
            (None, Some(url)) => prometheus::Deletion::new(self, &config, url)?.run(),
            (None, None) => Err(Failure::Broken("--for or --url is needed".to_owned())),
        }
    }

    fn is_meant(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == id)
    }
}

/// A duration as Prometheus writes it.
fn duration(text: &str) -> Result<Duration, String> {
    let milliseconds = match text {
        "0" => Some(0),
        text => promql_tenancy_filter::promql::duration(text.as_bytes()),
    };
    let milliseconds = milliseconds.and_then(|value| u64::try_from(value).ok());
    milliseconds.map(Duration::from_millis).ok_or_else(|| "write 1d, 1h30m or 0s".to_owned())
}
