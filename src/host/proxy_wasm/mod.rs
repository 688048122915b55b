//! The Envoy adapter: the only module that knows proxy-wasm. It reads what the proxy holds, hands it to the core,
//! and carries out what the core decides.
//!
//! - `calls`: the host functions that are used, each as a safe function that survives every status
//! - `dispatch`: the callbacks that the host calls, and their contexts
//! - `pairs`: a header map as the host writes it, read in place and bounds-checked
//! - `leases`: how many queries of a tenant run, in all VMs
//! - `refuse`: a refusal → the local reply
//! - `trail`: what a request leaves in access logs, traces and the log
//! - `root`: one per worker and configuration: reads the configuration, makes streams
//! - `stream`: one per request: head → body → trailers
//! - `answer`: its answer: head → body → trailers
//! - `record`: what one stream adds to the stats; `stats`: what was added, on its way to the proxy; `reloads`: configurations
//!
//! The proxy-wasm SDK for Rust is not used. Its host-call wrappers panic on a status that they don't expect and on text that is not
//! UTF-8 (proxy-wasm 0.2.5, `src/hostcalls.rs`), its dispatcher on a callback that it did not expect, and a panic takes the worker's
//! VM down for every tenant. A panic's message goes to standard error, which Envoy writes to its log.

mod answer;
mod calls;
mod dispatch;
mod leases;
mod pairs;
mod record;
mod refuse;
mod reloads;
mod root;
mod stats;
mod stream;
mod trail;
#[cfg(feature = "trap")]
mod trap;
