#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ln6_fuzz::relayed_datagram(data));
