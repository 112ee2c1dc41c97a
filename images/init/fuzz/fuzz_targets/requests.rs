//! See [`gantry_init_fuzz::requests`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_init_fuzz::requests::hold(input);
});
