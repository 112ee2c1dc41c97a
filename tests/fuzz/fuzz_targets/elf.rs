//! See [`gantry_fuzz::elf`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    gantry_fuzz::elf::hold(input);
});
