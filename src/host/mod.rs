//! The adapters: each translates one host's calls.

#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod dynamic_module;
#[cfg(feature = "filter")]
mod proxy_wasm;
