//! The HTTP API: routes, wire types and the OpenAPI document, one file per resource.
//!
//! [`router`] assembles it on what it shares with the console ([`crate::http`]), which parses
//! requests and authenticates callers. A handler calls the store, the registry or the executions,
//! and converts the answer to wire types. Handlers decide nothing that outlives the request.
//!
//! No answer holds SQL, a chain of causes, or a host path that the caller did not give. No route
//! answers without a token but `/healthz` and `/readyz`.

mod artifacts;
mod audit;
pub mod bodies;
mod docs;
mod environments;
mod events;
mod execution_request;
mod executions;
mod files;
mod health;
mod jobs;
mod openapi;
mod routes;
mod schemas;
mod script_body;
mod script_settings;
mod script_view;
mod scripts;
mod sent_script;
mod storage;
mod submit;
mod test_run;
mod tokens;
mod trees;
mod uploads;
mod versions;

pub use routes::router;
