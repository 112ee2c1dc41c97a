//! The HTTP API: wire types, errors, who may do what, and one file per resource.
//!
//! [`router`] puts it together. A request passes [`envelope`] (its id, its log
//! line, what its failures look like), [`auth`] (whose it is, and whether they
//! may), and then the handler, which reads it ([`extract`], [`query`], [`path`]),
//! asks the store, the registry or the executions, and puts the answer into wire
//! types. Handlers decide nothing that outlives the request.
//!
//! No answer holds SQL, a chain of causes, or a host path that the caller did not
//! give; and no route answers without a token but `/healthz` and `/readyz`.

mod artifacts;
mod audit;
mod auth;
pub mod bodies;
mod docs;
mod envelope;
mod environments;
mod events;
mod executions;
mod extract;
mod fields;
mod headers;
mod health;
mod memory;
mod openapi;
mod order;
mod page;
mod path;
mod problem;
mod query;
mod routes;
mod script_view;
mod scripts;
mod state;
mod streams;
mod submit;
mod tokens;
mod trial;
mod versions;

pub use routes::router;
pub use state::{AppState, EngineProbe, Parts};
