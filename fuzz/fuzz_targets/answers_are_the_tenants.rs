#![no_main]

#[path = "../../tests/answers/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::streams_are_silent(data);
    checks::labelled_answers_are_the_tenant_s(data);
});
