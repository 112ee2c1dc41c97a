//! The HTTP API on a real listener and a real database, without an engine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

#[path = "api/access.rs"]
mod access;
#[path = "api/answers.rs"]
mod answers;
#[path = "api/bad_input.rs"]
mod bad_input;
#[path = "api/console.rs"]
mod console;
#[path = "api/executions.rs"]
mod executions;
#[path = "api/expiring.rs"]
mod expiring;
#[path = "api/headers.rs"]
mod headers;
#[path = "api/large.rs"]
mod large;
#[path = "api/many.rs"]
mod many;
#[path = "api/outages.rs"]
mod outages;
#[path = "api/resources.rs"]
mod resources;
#[path = "api/schemas.rs"]
mod schemas;
#[path = "api/sending_back.rs"]
mod sending_back;
#[path = "api/server.rs"]
mod server;
#[path = "api/signing_in.rs"]
mod signing_in;
#[path = "api/slow.rs"]
mod slow;
#[path = "api/variables.rs"]
mod variables;
