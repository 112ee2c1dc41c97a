//! `gantry serve` on the real engine, from the registration of a script to what
//! is left of its executions, asked over HTTP as a pipeline would.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

mod support;

#[path = "server/artifacts.rs"]
mod artifacts;
#[path = "server/cancelling.rs"]
mod cancelling;
#[path = "server/commands.rs"]
mod commands;
#[path = "server/disk.rs"]
mod disk;
#[path = "server/endings.rs"]
mod endings;
#[path = "server/engine_outages.rs"]
mod engine_outages;
#[path = "server/environments.rs"]
mod environments;
#[path = "server/events.rs"]
mod events;
#[path = "server/floors.rs"]
mod floors;
#[path = "server/gate.rs"]
mod gate;
#[path = "server/idempotency.rs"]
mod idempotency;
#[path = "server/log_lines.rs"]
mod log_lines;
#[path = "server/outages.rs"]
mod outages;
#[path = "server/pool.rs"]
mod pool;
#[path = "server/private_files.rs"]
mod private_files;
#[path = "server/queueing.rs"]
mod queueing;
#[path = "server/receipts.rs"]
mod receipts;
#[path = "server/reconciling.rs"]
mod reconciling;
#[path = "server/restarting.rs"]
mod restarting;
#[path = "server/retention.rs"]
mod retention;
#[path = "server/revoking.rs"]
mod revoking;
#[path = "server/running.rs"]
mod running;
#[path = "server/schemas.rs"]
mod schemas;
#[path = "server/starting.rs"]
mod starting;
#[path = "server/stream.rs"]
mod stream;
#[path = "server/versions.rs"]
mod versions;
#[path = "server/waiting.rs"]
mod waiting;
