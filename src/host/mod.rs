//! The adapters: each translates one host's calls.

mod proxy_wasm;
