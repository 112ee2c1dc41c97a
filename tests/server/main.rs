//! `gantry serve` on the real engine, from the registration of a script to what
//! is left of its executions, asked over HTTP as a pipeline would.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod api;
mod artifacts;
mod bundles;
mod cancelling;
mod commands;
mod disk;
mod endings;
mod engine_outages;
mod environments;
mod events;
mod files;
mod floors;
mod gate;
mod idempotency;
mod log_lines;
mod outages;
mod pool;
mod private_files;
mod queueing;
mod receipts;
mod reconciling;
mod restarting;
mod retention;
mod revoking;
mod running;
mod schemas;
mod scratch;
mod sent_files;
mod shares;
mod starting;
mod stream;
mod uploads;
mod versions;
mod waiting;
