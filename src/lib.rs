//! Tenant isolation for the query APIs of Prometheus, Thanos, Cortex and Mimir, as a proxy-wasm filter for Envoy.
//!
//! # A map of the code
//!
//! A module imports only what stands on a line below its own (`tests/imports.rs` reads this map):
//!
//! ```text
//! host                       the adapters: the only modules that call a host
//! exchange                   one exchange as a state machine: events in, effects out
//! request                    decides what goes upstream
//! answer                     filters what comes back
//! config                     the plugin's JSON → a valid configuration
//! rejection                  every refusal
//! limits  workers  path      per-tenant limits, whole; what workers share; paths in normal form
//! tenant  stats  api  memo   who asks; names of stats; the API table, and what each upstream is; what was rewritten lately
//! names                      the names of a tenant's metrics
//! go                         forms, times and numbers as Go reads them
//! promql                     PromQL read, enforced, written
//! scope                      the matchers that a request is confined to; is a label set inside?
//! pattern                    regular expressions that the filter runs itself, in bounded time
//! settings                   JSON of the configuration, with the path of each key
//! json  wire  text           formats
//! ```
//!
//! # What never breaks
//!
//! - The core (all but `host`) does no I/O and never panics: bytes in, decisions out. What a worker
//!   keeps ([`memo`], [`workers`], the stats) is given to it; of these, only the counts of running queries influence a decision.
//! - Nothing is forwarded unread, but for what the operator names in `passthrough_paths`: the request is written from what was parsed.
//! - Every selector that goes upstream carries the tenant's matcher, and exactly one tenant header goes with it.
//! - Whatever is not understood is refused, and so is everything when something fails inside.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod answer;
pub mod api;
pub mod config;
pub mod exchange;
pub mod go;
#[cfg(any(feature = "filter", feature = "native"))]
mod host;
pub mod json;
pub mod limits;
pub mod memo;
pub mod names;
mod path;
pub mod pattern;
pub mod promql;
pub mod rejection;
pub mod request;
pub mod scope;
mod settings;
pub mod stats;
pub mod tenant;
mod text;
pub mod wire;
pub mod workers;
