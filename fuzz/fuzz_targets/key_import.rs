//! The front end of `key_import` for cargo fuzz.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bff_fuzz::key_import(data));
