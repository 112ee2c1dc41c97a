//! Runs executions: from a job to its outcome, with everything that was left.
//!
//! It decides nothing about *how* something ended (that is
//! [`classify`](crate::domain::outcome::classify)) and knows no wire format.

mod artifacts;
mod capture;
mod once;

use tokio::sync::mpsc;

pub use artifacts::ArtifactStore;
pub use capture::Capture;
pub use once::{Orchestrator, RunError, container_name};

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
