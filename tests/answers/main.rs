//! The filters for answers, without a host: documents of real shapes, messages, and properties that hold for any bytes.

mod bounds;
#[cfg(not(target_family = "wasm"))]
mod checks;
mod messages;
mod operators;
mod properties;
mod renamed;
mod rules;
mod usage;
