//! The front end of `state_document` for cargo fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bff_fuzz::state_document(data));
