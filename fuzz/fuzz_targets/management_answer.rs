//! The front end of `management_answer` for cargo fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bff_fuzz::management_answer(data));
