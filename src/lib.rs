//! Tenant isolation for the query APIs of Prometheus, Thanos, Cortex and Mimir, as a proxy-wasm filter for Envoy.
//!
//! # A map of the code
//!
//! Modules import from left to right only:
//!
//! ```text
//! promql  form  path  text ─────────┐
//! tenant  stats  routes  rejection ─┼─> config ─> response ─> request ─> host
//! promql ─> time limits memo protobuf ┘
//! ```
//!
//! - [`promql`] reads a query, adds a matcher to each selector, writes it again. It knows matchers, not tenants.
//! - [`memo`] keeps what expressions were rewritten to.
//! - [`form`] reads and writes query strings and form bodies as Go's `net/url` does; `path` judges request paths.
//! - [`tenant`] makes validated tenants of the bytes of a header, a certificate or metadata; `protobuf` reads the latter.
//! - [`time`] reads and writes the times and durations of requests.
//! - [`limits`] holds what each tenant may ask for.
//! - [`routes`] is the API table: which paths there are, and what is done with each.
//! - [`rejection`] gives every refusal its status, `errorType`, message and stat name.
//! - [`stats`] names every stat, and says which tenants have series of their own.
//! - [`config`] makes a valid [`config::Config`] of the plugin's JSON, or says what is wrong with it.
//! - [`response`] decides on an answer's head, and filters its body.
//! - [`request`] decides what goes upstream, or why nothing does.
//! - `host` (feature `filter`) enacts that in Envoy. It alone calls the host.
//!
//! # What never breaks
//!
//! - The core (all but `host`) does no I/O and never panics: bytes in, decisions out. All that it keeps is [`memo`], on which no
//!   decision depends.
//! - Nothing is forwarded unread: what goes upstream is written from what was parsed.
//! - Every selector that goes upstream carries the tenant's matcher, and exactly one tenant header goes with it.
//! - Whatever is not understood is refused, and so is everything when something fails inside.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod config;
pub mod form;
#[cfg(feature = "filter")]
mod host;
pub mod limits;
pub mod memo;
mod path;
pub mod promql;
mod protobuf;
pub mod rejection;
pub mod request;
pub mod response;
pub mod routes;
pub mod stats;
pub mod tenant;
mod text;
pub mod time;
