//! The adapter for proxy-wasm, by the SDK for Rust. It translates, and decides nothing:
//!
//! - `contexts`: the SDK's contexts → events of an exchange
//! - `effects`: effects → host calls
//! - `local`: what all exchanges of this VM share: leases, stats
//! - `questions`: one call for all requests that ask the upstream the same
//! - `calls`: the host functions that are used, each as a safe function that survives every status
//! - `pairs`: a header map as the host writes it, read in place and bounds-checked
//!
//! Dispatch, contexts and types are the SDK's. Its wrappers of host functions are not used: each panics on a status that it does not
//! expect (proxy-wasm 0.2.5, `src/hostcalls.rs`), those for headers also on text that is not UTF-8, and a panic takes the VM of a worker
//! down for every tenant. Envoy 1.40.0 really answers with such statuses: BAD_ARGUMENT where a head has been forwarded or a buffer is
//! not there, INTERNAL_FAILURE for a property that can't be serialised. A status that the SDK's enum does not know would even be undefined
//! behaviour. A panic's message is written to standard error, which Envoy writes to its log.

mod calls;
mod contexts;
mod effects;
mod local;
mod pairs;
mod questions;
#[cfg(feature = "trap")]
mod trap;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(contexts::Root::default()));
}}
