//! The client of Gantry's HTTP API, for the commands that talk to a server.
//!
//! A server may be anything that answers at an address: its answers are bounded in size
//! and time, and are data only. Nothing here reads the environment or prints; the token
//! goes to the server that it was meant for and nowhere else, for redirects are never
//! followed.
//!
//! Start with [`Client`]; its requests stand in files by resource, and [`Follower`]
//! follows an execution while it runs.

mod address;
mod connection;
mod document;
mod error;
mod executions;
mod fields;
mod files;
mod follow;
mod problem;
mod scripts;
mod sse;
mod token;
mod tokens;
mod transport;
pub mod wire;

pub use address::{AddressError, ServerUrl};
pub use connection::{Client, Download};
pub use document::{Document, List, Page};
pub use error::ClientError;
pub use executions::{ExecutionFilter, MAX_LISTED};
pub use fields::Fields;
pub use files::FileDownload;
pub use follow::{ExecutionEvent, Follower};
pub use problem::Problem;
pub use sse::{Event, EventParser, EventTooLong};
pub use token::{Token, TokenError};
