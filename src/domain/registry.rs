//! Registered scripts. A *version* says what is run and never changes; what
//! operators may change at any time (limits, time, concurrency, what is held for it,
//! whether it is enabled) stands beside the versions, on the script.

mod environment;
mod name;
mod script;
mod version;

pub use environment::{EnvironmentRecord, EnvironmentStatus};
pub use name::{MAX_NAME_BYTES, NameFault, ScriptName};
pub use script::{MAX_DESCRIPTION_BYTES, MAX_WARM, RegisteredScript, RunSettings};
pub use version::{Definition, ScriptVersion, VersionFault, check_below_work};
