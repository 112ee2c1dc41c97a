//! Errors of the registry.

use thiserror::Error;

use crate::domain::fault::Fault;
use crate::domain::registry::ScriptSettings;
use crate::engine::EngineError;
use crate::store::StoreError;

/// Reason that nothing was changed.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The input is invalid; contains all faults.
    #[error("the script can't be registered like this: {}", shown(.0))]
    Invalid(Vec<Fault>),
    /// Another script has this name.
    #[error("there is a script named {0} already")]
    NameConflict(String),
    /// The script does not exist.
    #[error("there is no such script")]
    NotFound,
    /// The script has no such version.
    #[error("the script has no version {0}")]
    NoSuchVersion(i64),
    /// The caller may not change these fields; empty means all.
    #[error("{}", forbidden(.0))]
    Forbidden(Vec<String>),
    /// Concurrent changes prevented this one.
    #[error("the script was changed by somebody else at the same time")]
    ChangedMeanwhile,
    /// The files of a bundle could not be kept.
    #[error("the bundle can't be kept: {0}")]
    Unkept(String),
    /// The engine did not describe itself.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegistryError {
    /// Advice for the caller.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Invalid(_) => return None,
            Self::NameConflict(_) => "choose another name, or change that script",
            Self::NotFound => "gantry scripts list shows those that there are",
            Self::NoSuchVersion(_) => "its versions are listed at /versions",
            Self::Forbidden(fields) if fields.is_empty() => "ask an admin",
            Self::Forbidden(_) => {
                let settings = ScriptSettings::names().join(", ");
                return Some(format!("operators change {settings} and nothing else; ask an admin"));
            }
            Self::Unkept(_) => "is there room on the server's disk?",
            Self::ChangedMeanwhile => "look at it again, and try again",
            Self::Engine(error) => return error.hint().map(str::to_owned),
            Self::Store(error) => return error.hint().map(str::to_owned),
        };
        Some(hint.to_owned())
    }

    /// Creates an error with one fault.
    pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Fault::new(pointer, detail)])
    }
}

fn shown(faults: &[Fault]) -> String {
    let shown: Vec<_> = faults.iter().map(|it| format!("{}: {}", it.pointer, it.detail)).collect();
    shown.join("; ")
}

fn forbidden(fields: &[String]) -> String {
    if fields.is_empty() {
        return "this token may not change scripts".to_owned();
    }
    format!("this token may not change {}", fields.join(", "))
}
