//! The registry: the only place that registers, changes, enables and disables scripts.
//!
//! An input ([`ScriptInput`]) is applied to the current state, checked as a whole, and becomes a
//! [`Definition`](crate::domain::registry::Definition), whose content decides whether it is a new
//! version. All faults are reported at once, field by field. Server files are read below the roots
//! that the operator allows, and mounts are resolved, so that the checked files are the ones used.
//! Every change is recorded in the audit log in the same transaction; no value of an environment
//! variable and no source is ever written there.
//!
//! It owns what follows from a command: whoever calls it need not wake anything. It builds and runs
//! nothing: it requests environments and reports changed scripts, and other parts do the work. It
//! does not know HTTP.

mod audit;
mod bundle;
mod change;
mod check;
mod draft;
mod environment;
mod error;
mod faults;
mod fields;
mod file_state;
pub mod files;
mod input;
mod limits;
pub mod mounts;
mod present;
mod register;
mod schemas;
mod settings;
mod source;

use std::sync::Arc;

use crate::domain::token::Role;
use crate::store::Store;

pub use bundle::check_entry;
pub use draft::definition_of;
pub use error::RegistryError;
pub use file_state::FileState;
pub use input::{LimitsInput, MountInput, OutputInput, PreloadSchema, ScriptInput};
pub use settings::{EngineFacts, EnvironmentRequests, HostLimits, RegistrySettings, ScriptChanges};

/// Author of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the token.
    pub name: String,
    /// Role of the token.
    pub role: Role,
}

/// Registry of all scripts.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    settings: Arc<RegistrySettings>,
    engine: EngineFacts,
    environments: EnvironmentRequests,
    changes: ScriptChanges,
}

impl Registry {
    /// Creates a registry on a database. `environments` is called with an environment's key as soon
    /// as a script needs it, and `changes` after every stored command.
    #[must_use]
    pub fn new(
        store: Store,
        settings: RegistrySettings,
        engine: EngineFacts,
        environments: EnvironmentRequests,
        changes: ScriptChanges,
    ) -> Self {
        Self { store, settings: Arc::new(settings), engine, environments, changes }
    }
}

#[cfg(test)]
mod tests;
