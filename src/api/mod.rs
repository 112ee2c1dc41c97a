//! The HTTP API: wire types, errors, authorisation, and one file per resource.
//!
//! [`router`] assembles it. A request passes [`envelope`] (id, log line, error format), [`auth`]
//! (authentication and roles), [`admission`] (the token's share of requests), and then its handler.
//! The handler parses it ([`extract`], [`query`], [`path`]), calls the store, the registry or the
//! executions, and converts the answer to wire types. Handlers decide nothing that outlives the
//! request.
//!
//! No answer holds SQL, a chain of causes, or a host path that the caller did not give. No route
//! answers without a token but `/healthz` and `/readyz`.

mod admission;
pub(crate) mod artifacts;
mod aside;
mod audit;
pub(crate) mod auth;
pub mod bodies;
pub(crate) mod checks;
pub(crate) mod connection;
mod docs;
pub(crate) mod envelope;
pub(crate) mod environments;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod extract;
mod fields;
mod headers;
pub(crate) mod health;
pub(crate) mod memory;
mod openapi;
pub(crate) mod order;
mod page;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod routes;
mod schemas;
pub(crate) mod script_ref;
pub(crate) mod script_view;
pub(crate) mod scripts;
mod sent_script;
mod shares;
pub(crate) mod state;
mod streams;
mod submit;
mod tokens;
mod trial;
pub(crate) mod versions;

pub use routes::router;
pub use state::{AppState, EngineProbe, Parts};
