#![no_main]

#[path = "../../tests/wire/filter.rs"]
#[allow(dead_code)] // what the comparison with Go uses
mod filter;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    filter::requests(data);
    filter::answers(data);
});
