//! The HTTP API on a real listener and a real database, without an engine.

mod access;
mod answers;
mod bad_input;
mod console;
mod console_files;
mod executions;
mod expiring;
mod headers;
mod large;
mod made_of;
mod many;
mod outages;
mod resources;
mod schemas;
mod sending_back;
mod server;
mod signing_in;
mod slow;
mod tags;
mod token_shares;
mod variables;
