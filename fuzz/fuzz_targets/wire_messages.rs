#![no_main]

#[path = "../../tests/wire/checks.rs"]
#[allow(dead_code)] // each target checks one of the properties
mod checks;
#[path = "../../tests/wire/kinds.rs"]
#[allow(dead_code)]
mod kinds;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::messages(data));
