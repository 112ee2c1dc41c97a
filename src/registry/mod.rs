//! The registry: scripts are registered, changed, switched on and off here, and
//! nowhere else.
//!
//! What somebody sends ([`ScriptInput`]) is laid over what there is, checked as a
//! whole, and becomes a [`Definition`](crate::domain::registry::Definition), whose
//! content decides whether it is a new version. All that is wrong is said at once,
//! field by field. Files of the server are read below the roots that the operator
//! allows, and mounts are resolved, so that what was checked is what is used.
//! Every change is noted in the audit log in the same transaction; no value of an
//! environment variable and no source is ever written there.
//!
//! It builds and runs nothing: it says which environment is wanted, and somebody
//! else builds it. It does not know HTTP.

mod audit;
mod change;
mod check;
mod draft;
mod environment;
mod error;
mod fields;
mod file_state;
pub mod files;
mod input;
mod limits;
pub mod mounts;
mod register;
mod schemas;
mod settings;
mod source;

use std::sync::Arc;

use crate::domain::token::Role;
use crate::store::Store;

pub use draft::definition_of;
pub use error::RegistryError;
pub use file_state::FileState;
pub use input::{LimitsInput, MountInput, PreloadSchema, ScriptInput};
pub use settings::{EngineFacts, EnvironmentRequests, HostLimits, RegistrySettings};

/// Who changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// All scripts.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    settings: Arc<RegistrySettings>,
    engine: EngineFacts,
    environments: EnvironmentRequests,
}

impl Registry {
    /// A registry in a database. `environments` is called with the key of an
    /// environment as soon as a script needs it.
    #[must_use]
    pub fn new(
        store: Store,
        settings: RegistrySettings,
        engine: EngineFacts,
        environments: EnvironmentRequests,
    ) -> Self {
        Self { store, settings: Arc::new(settings), engine, environments }
    }
}

#[cfg(test)]
mod tests;
