//! The HTTP API: wire types, errors, who may do what, and one file per resource.
//!
//! [`router`] puts it together. A request passes [`envelope`] (its id, its log
//! line, what its failures look like), [`auth`] (whose it is, and whether they
//! may), [`admission`] (whether its token has too many already), and then the handler, which reads it ([`extract`], [`query`], [`path`]),
//! asks the store, the registry or the executions, and puts the answer into wire
//! types. Handlers decide nothing that outlives the request.
//!
//! No answer holds SQL, a chain of causes, or a host path that the caller did not
//! give; and no route answers without a token but `/healthz` and `/readyz`.

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
