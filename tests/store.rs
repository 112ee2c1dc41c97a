//! What `gantry::store` promises, on SQLite and on PostgreSQL: every behaviour is
//! written once and held against both, each time in a database of its own.

#![allow(clippy::unwrap_used, reason = "part of tests")]

#[path = "store/activation.rs"]
mod activation;
#[path = "store/claiming.rs"]
mod claiming;
#[path = "store/database.rs"]
mod database;
#[path = "store/environments.rs"]
mod environments;
#[path = "store/figures.rs"]
mod figures;
#[path = "store/finishing.rs"]
mod finishing;
#[path = "store/impossible.rs"]
mod impossible;
#[path = "store/json.rs"]
mod json;
#[path = "store/listing.rs"]
mod listing;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/outages.rs"]
mod outages;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "other test files use the rest")]
mod postgres;
#[path = "store/receipts.rs"]
mod receipts;
#[path = "store/retention.rs"]
mod retention;
#[path = "store/samples.rs"]
mod samples;
#[path = "store/scripts.rs"]
mod scripts;
#[path = "store/sessions.rs"]
mod sessions;
#[path = "store/states.rs"]
mod states;
#[path = "store/submitting.rs"]
mod submitting;
#[path = "store/tokens.rs"]
mod tokens;
#[path = "store/versions.rs"]
mod versions;
