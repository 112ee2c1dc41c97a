//! See [`gantry_fuzz::bodies`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::bodies::hold(input);
});
