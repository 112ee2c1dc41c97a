//! The only SQL: scripts, versions, environments, executions, tokens and the
//! audit log, in an embedded SQLite database or in PostgreSQL.
//!
//! There is one text per query, and both databases take it. What differs stands
//! in [`connection`]. JSON of Gantry's own is JSONB in PostgreSQL and text in SQLite:
//! it is bound as `Json` and read as text. Rows are parsed into values of the domain; a row that can't
//! be is an error that names table, column and id, and nothing goes on with it.
//! Changes of an execution are guarded by its state, its node and its attempt,
//! and say whether they happened: whoever comes second changes nothing.
//!
//! It decides nothing: who may see what, what is valid and what happens next is
//! said by those who call.

mod activation;
mod artifacts;
mod audit;
mod claims;
mod code;
mod connection;
mod environments;
mod error;
mod executions;
mod figures;
mod finish;
mod inspect;
mod listing;
mod node_lock;
mod receipts;
mod retention;
mod rows;
mod scripts;
mod sessions;
mod sizes;
mod submit;
mod tokens;
mod versions;

pub use audit::{AuditEntry, NewAuditEntry};
pub use claims::{Claim, ClaimedRow, PendingExecution, Runnable};
pub use connection::{DatabaseUrl, Store};
pub use environments::{MAX_BUILD_LOG_BYTES, NewEnvironment};
pub use error::StoreError;
pub use figures::{Counts, Run};
pub use inspect::{DatabaseState, Needs, NotPreloaded, RunningContainer};
pub use listing::{ExecutionFilter, Page};
pub use node_lock::NodeLock;
pub use retention::Ended;
pub use scripts::{Activation, NewScript, ScriptChange, ScriptFilter, ScriptsStamp, VersionChange};
pub use sessions::{NewSession, Session};
pub use submit::Submitted;
pub use tokens::NewToken;
pub use versions::NewVersion;
