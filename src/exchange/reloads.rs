//! Counts the configurations that were read. They come seldom, so that they are handed over at once.

use super::ledger::{Change, Meter, Metric};
use super::line::Line;
use crate::config::Config;
use crate::limits::Told;
use crate::stats::{self, Naming};
use crate::text;
use crate::workers::{Store, change};

/// A configuration's text, as the workers tell it from others: what the plugin calls itself, and a hash of the text.
pub struct Version {
    key: String,
    hash: [u8; 16],
}

/// In front of what a version's reader found: another version of the module, which may judge otherwise, does not take it for its own.
const MODULE: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();

impl Version {
    /// `name`: the plugin's.
    pub fn of(name: &[u8], json: &[u8]) -> Version {
        let key = ["tenancy_configuration_", std::str::from_utf8(name).unwrap_or_default()].concat();
        // Each with a beginning of its own, so that texts which one takes for the same are told apart by the other. The length is in both.
        let (mut first, mut second) = (text::hash(1, MODULE), text::hash(2, MODULE));
        // Both in one pass: there may be many megabytes.
        let (words, rest) = json.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            (first, second) = (text::add(first, word), text::add(second, word));
        }
        let end = |half| text::hash(text::add(half, json.len() as u64), rest);
        let mut hash = [0; 16];
        let (left, right) = hash.split_at_mut(8);
        left.copy_from_slice(&end(first).to_le_bytes());
        right.copy_from_slice(&end(second).to_le_bytes());
        Version { key, hash }
    }

    /// What its reader found, where this version is the one that was accepted last: then nothing in it has to be judged again.
    pub fn told<S: Store>(&self, store: &mut S) -> Option<Told> {
        let (last, _) = store.read(&self.key).ok()?;
        let found = last.strip_prefix(&self.hash)?;
        match found {
            [flags @ 0..4] => Some(Told { time: flags & 1 != 0, counts: flags & 2 != 0 }),
            _ => None,
        }
    }
}

/// Counts a configuration that was accepted: once for the proxy, which shows it to each of its workers. The first worker to see that it
/// is not the one that was accepted last counts it, and is told so.
pub fn accepted<S: Store>(store: &mut S, version: &Version, config: &Config, meter: Meter<'_>) -> bool {
    let Told { time, counts } = config.told();
    let value = [&version.hash[..], &[u8::from(time) | u8::from(counts) << 1]].concat();
    let mut is_new = false;
    let shared = change(store, &version.key, &mut |last| {
        is_new = last != value;
        is_new.then(|| value.clone())
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
