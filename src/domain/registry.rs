//! Registered scripts. A version defines a run and never changes. Settings that operators
//! may change at any time belong to the script, beside its versions.

mod environment;
mod name;
mod outputs;
mod script;
pub mod settings;
mod version;

pub use environment::{EnvironmentRecord, EnvironmentStatus, WarmUpRecord};
pub use name::{MAX_NAME_BYTES, NameFault, ScriptName};
pub use outputs::{DeclaredOutput, DeclaredOutputs, MAX_OUTPUTS, OutputFault};
pub use script::{MAX_DESCRIPTION_BYTES, RegisteredScript, ScriptFields};
pub use settings::{MAX_WARM, ScriptSettings, SettingFault};
pub use version::{Definition, ScriptVersion, VersionFault, check_below_work};
