//! Execution: its public object, its states, the request, and the report of its end.
//!
//! ```text
//! pending ─▶ running ─▶ completed | failed | timeout | cancelled
//!    │  ▲       │
//!    │  └───────┘ only if its script had not started
//!    └────────────────▶ cancelled | failed
//! ```

mod files;
mod id;
mod object;
mod report;
mod request;
mod state;
mod traces;
mod unregistered;

pub use files::{FileField, FilesSnapshot, SharedInput};
pub use id::first_id_at;
pub use object::{Execution, ExecutionSummary, MAX_LISTED_FILES};
pub use report::{Report, log_text, milliseconds};
pub use request::{
    Caller, ExecutionSnapshot, IdempotencyKey, MAX_JOB_ID_CHARS, NewExecution, Priority,
    RequestFault,
};
pub use state::{State, UnknownState};
pub use traces::{Artifact, SandboxReceipt, Usage};
