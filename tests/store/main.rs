//! What `gantry::store` promises, on SQLite and on PostgreSQL: every behaviour is
//! written once and held against both, each time in a database of its own.

#![allow(clippy::unwrap_used, reason = "part of tests")]

mod activation;
mod claiming;
mod database;
mod databases;
mod environments;
mod figures;
mod files;
mod finishing;
mod impossible;
mod json;
mod listing;
mod opening;
mod outages;
mod receipts;
mod retention;
mod samples;
mod scripts;
mod sessions;
mod states;
mod submitting;
#[path = "../testkit/mod.rs"]
mod testkit;
mod tokens;
mod versions;
