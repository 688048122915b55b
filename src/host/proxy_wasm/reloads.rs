//! Counts the configurations that were read. They come seldom, so that they are handed over at once.

use super::calls;
use crate::config::Config;
use crate::stats::{self, Naming};

/// Attempts where other workers are at the same.
const ATTEMPTS: u32 = 4;

/// Counts a configuration that was accepted: once for the proxy, which shows it to several VMs. The first to see that it
/// is not the one that was accepted last counts it.
pub fn accepted(config: &Config, json: &[u8]) {
    let mut key = String::from("tenancy_configuration_");
    let name = calls::property("plugin_name").ok().flatten().unwrap_or_default();
    key.push_str(std::str::from_utf8(&name).unwrap_or_default());
    // FNV-1a.
    let hash = json
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    for _ in 0..ATTEMPTS {
        let Ok(last) = calls::shared_data(&key) else { return };
        let (last, version) = last.unwrap_or((Vec::new(), u32::MAX));
        if last == hash.to_le_bytes() {
            return;
        }
        if let Ok(true) = calls::set_shared_data(&key, &hash.to_le_bytes(), version) {
            // The other one is there from the start, at 0: what appears with a count in it is no increase to Prometheus.
            count_reload(Naming::Envoy, "failure", 0);
            return count_reload(config.stats().tags, "success", 1);
        }
    }
}

/// Counts a configuration that was refused. The proxy shows it to one VM, and to the others only once it was accepted
/// (observed with Envoy 1.40.0): a new one, so that how its tags are to be written can't be known.
pub fn refused() {
    count_reload(Naming::Envoy, "failure", 1);
}

fn count_reload(naming: Naming, result: &'static str, by: i64) {
    let name = stats::series(naming, &stats::RELOADS, result, "");
    if let Ok(id) = calls::define_metric(stats::RELOADS.kind, &name) {
        let _lost = calls::increment_metric(id, by);
    }
}
