//! See [`gantry_fuzz::bundles`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::bundles::hold(input);
});
