//! See [`gantry_fuzz::output_order`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::output_order::hold(input);
});
