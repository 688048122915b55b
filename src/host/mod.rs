//! The Envoy adapter: the only module that knows proxy-wasm. It reads what the proxy holds, hands it to the core,
//! and carries out what the core decides.
//!
//! - `calls`: the host functions that are used, each as a safe function that survives every status
//! - `pairs`: a header map as the host writes it, read in place and bounds-checked
//! - `refuse`: a refusal → the local reply, and its line in the log
//! - `root`: one per worker and configuration: reads the configuration, makes streams
//! - `stream`: one per request: head → body → trailers
//! - `answer`: its answer: head → body → trailers
//!
//! Of the SDK, only the dispatcher and the traits are used. Its host-call wrappers panic on a status that they don't
//! expect and on text that is not UTF-8 (proxy-wasm 0.2.5, `src/hostcalls.rs`), and a panic takes the worker's VM
//! down for every tenant. What is left in the SDK that can panic needs a host that breaks the protocol: a callback
//! for a context that it never created, or a callback from within a host call.

mod answer;
mod calls;
mod pairs;
mod refuse;
mod root;
mod stream;
#[cfg(feature = "trap")]
mod trap;

use proxy_wasm::traits::RootContext;
use root::Root;

// The SDK's logger is left out on purpose: its panic hook calls a wrapper that panics. Without it, a panic's message
// goes to standard error, which Envoy writes to its log.
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root::default()) });
}}
