#![no_main]

#[path = "../../tests/properties/checks.rs"]
#[allow(dead_code)] // each target checks one of the properties
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::evidence_names_valid_tenants(data));
