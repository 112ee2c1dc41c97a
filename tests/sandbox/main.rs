//! The sandbox, its images and the engine below it, without a server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod containers;
mod folders;
mod mounts;
mod network;
mod packages;
mod private_engine;
mod probe;
mod pythons;
mod users;
mod warm_ups;
