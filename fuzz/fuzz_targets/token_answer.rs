//! The front end of `token_answer` for cargo fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bff_fuzz::token_answer(data));
