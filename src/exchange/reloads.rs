//! Counts the configurations that were read. They come seldom, so that they are handed over at once.

use super::ledger::{Change, Meter, Metric};
use super::line::Line;
use crate::config::Config;
use crate::stats::{self, Naming};
use crate::text;
use crate::workers::{Store, change};

/// Counts a configuration that was accepted: once for the proxy, which shows it to each of its workers. The first worker to see that it
/// is not the one that was accepted last counts it, and is told so. `name`: the plugin's.
pub fn accepted<S: Store>(store: &mut S, name: &[u8], config: &Config, json: &[u8], meter: Meter<'_>) -> bool {
    let key = ["tenancy_configuration_", std::str::from_utf8(name).unwrap_or_default()].concat();
    let hash = text::hash(0, json).to_le_bytes();
    let mut is_new = false;
    let shared = change(store, &key, &mut |last| {
        is_new = last != hash;
        is_new.then(|| hash.to_vec())
    });
    let counts = shared.is_ok() && is_new;
    if counts {
        // The other one is there from the start, at 0: what appears with a count in it is no increase to Prometheus.
        count(Naming::Envoy, "failure", 0, meter);
        count(config.stats().tags, "success", 1, meter);
    }
    counts
}

/// The lines of the log about a dry run, and about settings that have no effect. There may be thousands of overrides, so that only the first ones are named.
pub fn warnings(config: &Config) -> Vec<String> {
    const MOST: usize = 20;
    let begin = Line::SettingWithoutEffect.begin();
    let found = config.without_effect();
    let more = found.len().saturating_sub(MOST);
    let lines = found.into_iter().take(MOST).map(|found| text::one_line(&[begin, ": ", &found.to_string()].concat()));
    let dry_run = config.dry_run_says().map(|says| [Line::DryRun.begin(), ": ", &says].concat());
    dry_run
        .into_iter()
        .chain(lines)
        .chain((more > 0).then(|| format!("{begin}: {more} more, which tenancyctl check names")))
        .collect()
}

/// Counts a configuration that was refused. The proxy shows it to one worker, and to the others only once it was accepted (observed with
/// Envoy 1.40.0): a new one, so that how its tags are to be written can't be known.
pub fn refused(meter: Meter<'_>) {
    count(Naming::Envoy, "failure", 1, meter);
}

fn count(naming: Naming, result: &'static str, by: u64, meter: Meter<'_>) {
    let name = || stats::series(naming, &stats::RELOADS, result, "");
    meter(Metric { kind: stats::RELOADS.kind, name: &name, id: &mut None, change: Change::Grows(by) });
}
