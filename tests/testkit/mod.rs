//! Runs the real `gantry` against the real engine, as a user would, and checks that it
//! leaves nothing behind.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

pub(crate) mod browser;
pub(crate) mod canned;
pub(crate) mod elf;
pub(crate) mod ended;
pub(crate) mod engine;
pub(crate) mod home;
pub(crate) mod image_fixture;
pub(crate) mod index;
pub(crate) mod postgres;
pub(crate) mod private_engine;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod running;
pub(crate) mod server;
pub(crate) mod sick_engine;

/// A mebibyte, in bytes.
pub(crate) const MIB: usize = 1024 * 1024;
