//! The commands of `gantry` as a user types them: `gantry run` on the real engine, and
//! the client against servers that fail in ways no real server can be made to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod arguments;
mod bundles;
mod client_failures;
mod completions;
mod endings;
mod environments;
mod files;
mod hostile;
mod inputs;
mod output;
mod requirements;
mod results;
mod signals;
