//! See [`gantry_init_fuzz::ready_line`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_init_fuzz::ready_line::hold(input);
});
