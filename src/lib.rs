//! Tenant isolation for the query APIs of Prometheus, Thanos, Cortex and Mimir, as a proxy-wasm filter for Envoy.
//!
//! # A map of the code
//!
//! Modules import downwards only:
//!
//! ```text
//! host                      the adapters: the only modules that call a host
//! request  answer           decides what goes upstream; filters what comes back
//! config                    the plugin's JSON → a valid configuration
//! rejection                 every refusal
//! limits                    per-tenant limits, whole
//! api                       the API table; what each kind of upstream is
//! tenant  stats  workers    who asks; names of stats; what workers share
//! promql  memo              PromQL read, enforced, written; what was rewritten lately
//! settings                  JSON of the configuration, with the path of each key
//! pattern                   regular expressions that the filter runs itself, in bounded time
//! go  json  wire  path  text    formats
//! ```
//!
//! # What never breaks
//!
//! - The core (all but `host`) does no I/O and never panics: bytes in, decisions out. It keeps nothing: [`memo`], on which no
//!   decision depends, belongs to the worker.
//! - Nothing is forwarded unread: what goes upstream is written from what was parsed.
//! - Every selector that goes upstream carries the tenant's matcher, and exactly one tenant header goes with it.
//! - Whatever is not understood is refused, and so is everything when something fails inside.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod answer;
pub mod api;
pub mod config;
pub mod go;
#[cfg(feature = "filter")]
mod host;
pub mod json;
pub mod limits;
pub mod memo;
mod path;
pub mod pattern;
pub mod promql;
pub mod rejection;
pub mod request;
mod settings;
pub mod stats;
pub mod tenant;
mod text;
mod wire;
pub mod workers;
