//! See [`gantry_fuzz::replay`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::replay::hold(input);
});
