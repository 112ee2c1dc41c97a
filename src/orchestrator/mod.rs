//! Runs executions: from a job to its outcome, with everything that was left.
//!
//! [`Executions`] is the service: it accepts, queues, runs, follows and ends the
//! executions of a server, and every state that it goes through is in the store
//! before anybody hears of it. A [`Runner`] runs one job and stores nothing, which
//! is all that `gantry run` needs. [`Environments`] has the images built that they
//! run in.
//!
//! It decides nothing about *how* something ended (that is
//! [`classify`](crate::domain::outcome::classify)) and knows no wire format.

mod artifact_storage;
mod artifact_writer;
mod capture;
mod container_name;
mod environments;
mod executions;
mod live;
mod observer;
mod orphans;
mod queue;
mod run_error;
mod runner;
mod schemas;

use tokio::sync::mpsc;

pub use artifact_writer::ArtifactWriter;
pub use capture::Capture;
pub use container_name::container_name;
pub use environments::{BuildFailure, Environments};
pub use executions::{
    Accepted, ArtifactReadError, Cancelled, Event, Executions, ExecutionsParts, ExecutionsSettings,
    Load, Submission, SubmitError, Waiter,
};
pub use live::{LiveExecution, LiveRegistry, Stage};
pub use observer::{Observer, Unobserved};
pub use orphans::{ReconcileContext, find_orphans};
pub use queue::{AGEING, Capacity, Demand, Full, PATIENCE, PRIORITIES, Place, Queue, Waiting};
pub use run_error::RunError;
pub use runner::Runner;

/// What a follower of a running execution sees, in order of arrival.
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

/// Takes what happens while it happens. Unbounded, because nothing may hold up
/// the reading of a sandbox's output; bounded all the same, by the caps of that
/// output.
pub type LiveSender = mpsc::UnboundedSender<Live>;
