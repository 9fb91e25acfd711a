#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ln6_fuzz::librenet6_hosts(data));
