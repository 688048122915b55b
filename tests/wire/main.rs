//! The binary formats: properties that hold for any bytes, and Go's own code as the judge of what is read and written.
#![cfg(not(target_family = "wasm"))]

mod checks;
mod differences;
mod filter;
mod kinds;
mod properties;
