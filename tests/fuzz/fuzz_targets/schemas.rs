//! See [`gantry_fuzz::schemas`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::schemas::hold(input);
});
