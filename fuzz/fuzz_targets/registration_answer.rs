//! The front end of `registration_answer` for cargo fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bff_fuzz::registration_answer(data));
