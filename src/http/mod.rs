//! Common part of the API and the console: a request's way to its handler, and back.
//!
//! A request passes [`envelope`] (id, log line, error format), then authentication ([`auth`], or a
//! session of the console), [`admission`] (the token's share of requests), and its handler, which
//! parses it ([`extract`], [`query`], [`path`]) with the shared [`state`]. Failures are
//! [`problem`]s. Large bodies and answers hold [`memory`], long waits hold [`streams`], both in fair
//! [`shares`]. What both answer alike is here, too: [`files`] and their [`content`], [`artifacts`],
//! [`events`], sources of [`scripts`], logs of [`environments`], and the [`submission`] of
//! executions.
//!
//! It knows neither the API nor the console, and decides nothing that outlives a request.

mod admission;
pub(crate) mod arriving;
pub(crate) mod artifacts;
mod attempts;
pub(crate) mod auth;
pub(crate) mod checks;
pub(crate) mod connection;
pub(crate) mod content;
pub(crate) mod digests;
pub(crate) mod envelope;
pub(crate) mod environments;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod extract;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod memory;
pub(crate) mod offload;
pub(crate) mod page;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod ranges;
pub(crate) mod roles;
pub(crate) mod script_ref;
pub(crate) mod scripts;
pub(crate) mod share_grants;
mod shares;
pub(crate) mod state;
mod streams;
pub(crate) mod submission;
pub(crate) mod uploads;

pub use envelope::enveloped;
pub use state::{AppState, EngineProbe, Parts};
