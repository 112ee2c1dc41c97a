//! See [`gantry_fuzz::requirements`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::requirements::hold(input);
});
