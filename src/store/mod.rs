//! Storage: scripts, versions, environments, executions, files, tokens and the audit log, in
//! an embedded SQLite database or in PostgreSQL. All SQL is here.
//!
//! Each query has one text, which both databases accept. Their differences are in
//! [`connection`]. Gantry's own JSON is JSONB in PostgreSQL and text in SQLite: it is bound
//! as `Json` and read as text. Rows are parsed into values of the domain; a row that does
//! not parse is an error that names table, column and id. Updates of an execution check its
//! state, node and attempt, and report whether they took effect.
//!
//! This module makes no decisions: its callers decide access, validity and the next step.

mod activation;
mod artifacts;
mod audit;
mod bundles;
mod claims;
mod code;
mod collection;
mod connection;
mod environments;
mod error;
mod executions;
mod figures;
mod file_figures;
mod files;
mod finish;
mod inspect;
mod known_receipts;
mod listing;
mod node_lock;
mod receipts;
mod retention;
mod rows;
mod script_columns;
mod scripts;
mod sessions;
mod sizes;
mod submit;
mod tokens;
mod trees;
mod uploads;
mod usable_files;
mod versions;

pub use activation::Activation;
pub use audit::{AuditEntry, NewAuditEntry};
pub use claims::{Claim, ClaimedRow, PendingExecution, Runnable};
pub use collection::{ObjectRow, TokenFiles, Unheld};
pub use connection::{DatabaseUrl, Store};
pub use environments::{MAX_BUILD_LOG_BYTES, NewEnvironment};
pub use error::StoreError;
pub use figures::{Counts, Run};
pub use file_figures::{ExpiringFile, KnownFile, OwnedFiles};
pub use files::{FileRef, FileSum, NewFileRef};
pub use inspect::{DatabaseState, Needs, NotPreloaded, RunningContainer};
pub use listing::{ExecutionFilter, Page};
pub use node_lock::NodeLock;
pub use retention::Ended;
pub use script_columns::ScriptFilter;
pub use scripts::{NewScript, ScriptChange, ScriptsStamp, VersionChange};
pub use sessions::{NewSession, Session};
pub use submit::Submitted;
pub use tokens::NewToken;
pub use trees::NewTree;
pub use uploads::{Upload, UploadSum};
pub use usable_files::FileViewer;
pub use versions::NewVersion;
