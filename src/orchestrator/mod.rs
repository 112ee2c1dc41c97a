//! Runs executions: from a job to its outcome, with everything that its script left.
//!
//! [`Executions`] is the service: it accepts, queues, runs, follows and ends the
//! executions of a server, and every state of an execution is in the store before
//! anybody hears of it. A [`Runner`] runs one job and stores nothing, which
//! is all that `gantry run` needs. [`Environments`] builds their images.
//!
//! It decides nothing about *how* something ended (that is
//! [`classify`](crate::domain::outcome::classify)) and knows no wire format.

mod artifact_storage;
mod artifact_writer;
mod build_failure;
mod capture;
mod container_name;
mod environments;
mod executions;
mod input_folder;
mod left_files;
mod live;
mod observer;
mod orphans;
mod queue;
mod run_error;
mod runner;
mod schemas;
mod unwritable;

use tokio::sync::mpsc;

pub use artifact_writer::ArtifactWriter;
pub use build_failure::BuildFailure;
pub use capture::Capture;
pub use container_name::container_name;
pub use environments::Environments;
pub use executions::{
    Accepted, ArtifactReadError, Cancelled, Event, Executions, ExecutionsParts, ExecutionsSettings,
    Load, Submission, SubmitError, Waiter,
};
pub use input_folder::InputError;
pub use live::{LiveExecution, LiveRegistry, Stage};
pub use observer::{Observer, Unobserved};
pub use orphans::{ReconcileContext, find_orphans};
pub use queue::{AGEING, Capacity, Demand, Full, PATIENCE, PRIORITIES, Place, Queue, Waiting};
pub use run_error::RunError;
pub use runner::Runner;

/// Event of a running script, in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// A line about what is being prepared.
    Progress(String),
    /// A piece of the script's stdout.
    Stdout(Vec<u8>),
    /// A piece of the script's stderr.
    Stderr(Vec<u8>),
    /// A piece of the output file, after all that the script printed.
    OutputFile(Vec<u8>),
}

/// Takes the events of a script as they come. The channel is unbounded, because nothing
/// may hold up the reading of a sandbox's output; the caps of that output bound it.
pub type LiveSender = mpsc::UnboundedSender<Live>;
