//! Support for the tests. What many tests share is started once, by the first test that needs it.

pub mod authentication;
pub mod browser;
pub mod compare;
pub mod compose;
pub mod cortex;
pub mod data;
pub mod edges;
pub mod envoy;
pub mod grpc;
mod h2;
#[path = "../../manifests/helm.rs"]
pub mod helm;
pub mod http;
pub mod identities;
pub mod issuer;
#[path = "../../manifests/program.rs"]
pub mod manifests;
pub mod metrics;
pub mod mimir;
pub mod native;
pub mod observe;
pub mod pod;
pub mod process;
pub mod remote_write;
pub mod scripted;
pub mod stores;
pub mod stub;
pub mod upstreams;

use envoy::{Envoy, Setup};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use stores::Stores;
use stub::Stub;
use upstreams::Upstream;
pub use upstreams::demo_prometheus;

/// How often something is measured, or how much of it: from the environment variable, which `scripts/bench-streams` passes on, or as given.
pub fn measured(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// An Envoy and its upstream.
pub struct Pair {
    pub envoy: Envoy,
    pub upstream: Upstream,
}

/// The shipped configuration in front of a Prometheus.
pub fn prometheus() -> &'static Pair {
    static PAIR: LazyLock<Pair> = LazyLock::new(|| {
        let upstream = upstreams::prometheus();
        Pair { envoy: Setup::shipped(upstream.port()).start("envoy-prometheus"), upstream }
    });
    &PAIR
}

/// The shipped configuration in front of a Prometheus with rules.
pub fn prometheus_with_rules() -> &'static Pair {
    static PAIR: LazyLock<Pair> = LazyLock::new(|| {
        let upstream = upstreams::prometheus_with_rules();
        Pair { envoy: Setup::shipped(upstream.port()).start("envoy-rules"), upstream }
    });
    &PAIR
}

/// The shipped configuration in front of Thanos Query.
pub fn thanos() -> &'static Pair {
    static PAIR: LazyLock<Pair> = LazyLock::new(|| {
        let upstream = upstreams::thanos();
        let setup = Setup::shipped(upstream.port()).plugin(json!({"upstream": "thanos"}));
        Pair { envoy: setup.start("envoy-thanos"), upstream }
    });
    &PAIR
}

/// A Thanos with everything that can reveal other tenants.
pub fn stores() -> &'static Stores {
    static STORES: LazyLock<Stores> = LazyLock::new(Stores::start);
    &STORES
}

/// The recording upstream.
pub fn stub() -> &'static Stub {
    static STUB: LazyLock<Stub> = LazyLock::new(Stub::start);
    &STUB
}

/// In front of the recording upstream, the shipped configuration.
pub fn recorded() -> &'static Envoy {
    &envoys()[0]
}

/// In front of the recording upstream: as shipped, without `allow_on_headers_stop_iteration` (as Istio's proxies are),
/// and each with HTTP/1 trailers let through.
pub fn envoys() -> &'static [Envoy; 4] {
    static ENVOYS: LazyLock<[Envoy; 4]> = LazyLock::new(|| {
        let setup = || Setup::shipped(stub().port);
        [
            setup().start("envoy-stub"),
            setup().stop_iteration(false).start("envoy-stub-continue"),
            setup().http1_trailers().start("envoy-stub-trailers"),
            setup().stop_iteration(false).http1_trailers().start("envoy-stub-continue-trailers"),
        ]
    });
    &ENVOYS
}

/// A text that no other request has.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("unique{}end", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The path that an install script prints.
pub fn installed(script: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
    let output = Command::new(&script).output().unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().into()
}
