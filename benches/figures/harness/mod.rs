//! What all parts measure with: the scripts, the ways to run them, servers as they
//! are shipped, times and tables. It measures nothing by itself.

pub(crate) mod api;
pub(crate) mod docker_cli;
pub(crate) mod floor;
pub(crate) mod goal;
pub(crate) mod host;
#[path = "../../../tests/testkit/postgres.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "shared with tests")]
mod postgres;
#[path = "../../../tests/testkit/process.rs"]
#[allow(clippy::unwrap_used, reason = "shared with tests")]
mod process;
pub(crate) mod report;
pub(crate) mod series;
pub(crate) mod served;
pub(crate) mod server;
pub(crate) mod subject;
pub(crate) mod workload;
