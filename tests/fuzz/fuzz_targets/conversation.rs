//! See [`gantry_fuzz::conversation`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::conversation::hold(input);
});
