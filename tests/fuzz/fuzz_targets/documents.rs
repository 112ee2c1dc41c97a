//! See [`gantry_fuzz::documents`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::documents::hold(input);
});
