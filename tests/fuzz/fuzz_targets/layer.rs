//! See [`gantry_fuzz::layer`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::layer::hold(input);
});
