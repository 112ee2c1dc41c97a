//! Gantry runs every execution of a script in its own fresh, hardened container.
//!
//! Dependencies point one way, and `tests/architecture` holds them to it:
//!
//! ```text
//! cli ─▶ server ─┬─▶ ui ──┬─▶ http ─┬─▶ orchestrator ─┬─▶ pool ───┬─▶ sandbox ─▶ engine ─┐
//!  │             └─▶ api ─┘         │                 ├─▶ images ─┘                      │
//!  │                                │                 └─▶ files ─▶ store ────────────────┼─▶ domain
//!  │                                ├─▶ registry ─────┬─▶ store                          │
//!  │                                ├─▶ access ───────┘                                  │
//!  │                                └─▶ bundles, of images, registry and others ─────────┤
//!  ├─▶ services, config, metrics, doctor                                                 │
//!  └─▶ client ───────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! [`domain`] is pure. [`engine`] is the only module that knows bollard, and [`store`] the only
//! one that knows SQL. A [`sandbox`] serves one request and is removed; the [`pool`] keeps some
//! ready, and [`images`] finds or builds their images. [`files`] keeps files by their content. The
//! [`orchestrator`] accepts executions and runs each from start to end. The [`registry`] stores
//! scripts, [`bundles`] reads and keeps the files of those that have many, and [`access`]
//! authenticates tokens; [`shares`] finds files of the host that executions may read. The [`api`]
//! serves them over HTTP, and the [`ui`] shows them in a browser: neither knows
//! the other, and both stand on [`http`], their common way from a request to its answer. The
//! [`server`] assembles all parts. [`services`] assembles them for the [`cli`] commands that need
//! no server, and for the [`doctor`], which examines all dependencies of Gantry. Commands that call
//! a server use the [`client`].

pub mod access;
pub mod api;
pub mod bundles;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod disk;
pub mod doctor;
pub mod domain;
pub mod engine;
#[cfg(test)]
mod engine_contract;
pub mod files;
pub mod http;
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
pub mod shares;
pub mod store;
pub mod ui;
