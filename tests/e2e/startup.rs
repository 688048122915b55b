//! How long Envoy takes until it listens, with the filter and without.

use crate::support::envoy::{Envoy, Setup};
use crate::support::stub;
use std::time::{Duration, Instant};

fn time_to_listen(name: &str, setup: Setup) -> Duration {
    let start = Instant::now();
    let envoy: Envoy = setup.launch(name, &crate::support::native::module());
    envoy.process().wait_until(|| envoy.is_listening());
    start.elapsed()
}

/// The figure that counts is a benchmark's; other tests run beside this one, so only what is out of all proportion fails.
#[test]
fn filter_does_not_keep_envoy_from_listening() {
    let best = |what: &str, setup: fn() -> Setup| {
        let tries = (0..3).map(|number| time_to_listen(&format!("envoy-startup-{what}-{number}"), setup()));
        tries.min().unwrap()
    };
    let without = best("without", || Setup::shipped(stub().port).without_filter());
    let with = best("with", || Setup::shipped(stub().port));
    println!("Envoy listens after {with:?} with the filter, {without:?} without");
    assert!(with < without + Duration::from_secs(10), "{with:?} with the filter, {without:?} without");
}
