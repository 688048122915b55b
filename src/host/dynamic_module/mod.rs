//! The adapter for Envoy's dynamic modules: the same filter as native code, in Envoy's own process. It translates, and decides nothing:
//!
//! - `hooks`: the functions that Envoy calls → events of an exchange
//! - `stream`: effects → calls of Envoy
//! - `parting`: what ends a stream: a reply of the filter's own, or a reset
//! - `questions`: one call for all requests that ask the upstream the same
//! - `plugin`: configurations, and what happens once a second
//! - `local`: what all exchanges of a thread share: leases, stats
//! - `evidence`: certificate and dynamic metadata; `stats`: stats with labels
//! - `calls`: Envoy's functions as safe ones; `abi`: their declarations
//!
//! Nothing unwinds into Envoy: each hook catches a panic, the request is refused with 500 and counted, and the next one is served.
//!
//! Envoy calls hooks from within its functions: a local reply, a reset and a request that goes on may end the stream, or bring its next
//! part, before the call returns. So those three are made last, when nothing of the stream is borrowed.

mod abi;
mod calls;
mod evidence;
mod hooks;
mod local;
mod parting;
mod plugin;
mod questions;
mod stats;
mod stream;
