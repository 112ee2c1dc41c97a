//! Gantry runs every execution of a script in its own fresh, hardened container.
//!
//! Dependencies point one way, and `tests/architecture.rs` holds them to it:
//!
//! ```text
//! cli ─▶ services ─▶ orchestrator ─▶ images ─▶ sandbox ─▶ engine ─▶ domain
//!          config ──┘
//! ```
//!
//! [`domain`] is pure; [`engine`] is the only one that knows bollard; a
//! [`sandbox`] takes one request and is gone; [`images`] finds or builds what
//! sandboxes are made of; the [`orchestrator`] runs one execution from start to
//! end; [`services`] puts the parts together for the commands in [`cli`] and for
//! the [`doctor`], which looks at all that Gantry stands on.

pub mod cli;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod engine;
#[cfg(test)]
mod engine_contract;
pub mod images;
pub mod installation;
pub mod orchestrator;
pub mod sandbox;
pub mod services;
