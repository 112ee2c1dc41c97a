//! Gantry runs every execution of a script in its own fresh, hardened container.
//!
//! Dependencies point one way, and `tests/architecture.rs` holds them to it:
//!
//! ```text
//! cli ─▶ server ─▶ ui ─▶ api ─┬─▶ registry ──┬─▶ orchestrator ─┬─▶ images ─▶ sandbox ─▶ engine ─┐
//!  │                          └─▶ access     │                 └─▶ store ───────────────────────┼─▶ domain
//!  │                                  └──────┴───────────────────▶ store                        │
//!  ├─▶ services, config, doctor                                                                 │
//!  └─▶ client ──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`domain`] is pure; [`engine`] is the only one that knows bollard, and
//! [`store`] the only one that knows SQL; a [`sandbox`] takes one request and is
//! gone; the [`pool`] has some ready; [`images`] finds or builds what they are made
//! of; the
//! [`orchestrator`] accepts executions and runs each from start to end; the
//! [`registry`] keeps what can be run, and [`access`] who may do what; the
//! [`api`] puts them on HTTP, the [`ui`] shows them in a browser, and the [`server`]
//! puts everything together.
//! [`services`] does so for the commands in [`cli`] that need no server, and for
//! the [`doctor`], which looks at all that Gantry stands on. Commands that ask a
//! server do so through the [`client`].

pub mod access;
pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod engine;
#[cfg(test)]
mod engine_contract;
pub mod images;
pub mod installation;
pub mod log_throttle;
pub mod metrics;
pub mod orchestrator;
pub mod pool;
pub mod private_files;
pub mod process;
pub mod registry;
pub mod sandbox;
pub mod server;
pub mod services;
pub mod store;
pub mod ui;
