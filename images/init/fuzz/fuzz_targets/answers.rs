//! See [`gantry_init_fuzz::answers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_init_fuzz::answers::hold(input);
});
