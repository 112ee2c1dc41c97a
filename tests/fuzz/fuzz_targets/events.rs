//! See [`gantry_fuzz::events`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::events::hold(input);
});
