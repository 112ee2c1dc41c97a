//! Environment variables that a script or a request may set. A request must not turn an
//! administrator's script into another program, so it may only set variables that the
//! script allows ([`AllowedVariables`]). Names that affect loaders and interpreters are
//! refused to both, and so are those that Gantry sets. Values may be secrets: no message
//! shows one.

mod allowed;
mod protected;

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sanitize::sanitize;

pub use allowed::{AllowedVariables, MAX_ALLOWED, PARAMETER_PREFIX};
pub use protected::{ProtectedGroup, protected_group};

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// Longest `NAME=value` with its final NUL, in bytes: the kernel's
/// `MAX_ARG_STRLEN` (execve(2)), 32 pages of 4 KiB.
pub const MAX_VARIABLE_BYTES: usize = 131_072;

/// Most variables of one execution.
pub const MAX_VARIABLES: usize = 1_000;

/// Most bytes of all variables together, each with `=` and NUL. The kernel gives arguments
/// and environment a quarter of the stack limit (execve(2)), 2 MiB of the usual 8; half of
/// it is left to the arguments.
pub const MAX_TOTAL_BYTES: usize = 1024 * 1024;

/// Checked variable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawVariable")]
pub struct EnvVar {
    name: String,
    value: String,
}

/// Variable before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariable {
    name: String,
    value: String,
}

impl TryFrom<RawVariable> for EnvVar {
    type Error = VariableError;

    fn try_from(raw: RawVariable) -> Result<Self, VariableError> {
        Self::new(raw.name, raw.value)
    }
}

/// Shows only the name: values may be secrets.
impl fmt::Debug for EnvVar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EnvVar({}=****)", self.name)
    }
}

/// Reason why variables are refused. Holds names only, never values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VariableError {
    /// `NAME=value` has no `=`. The text is shown only if it could be a name.
    #[error("environment variable {0:?}: there is no `=`")]
    NoValue(String),
    /// The name is not `[A-Za-z_][A-Za-z0-9_]*` (POSIX.1-2017, 8.1), or too long.
    #[error("environment variable {0:?}: not a valid name")]
    Name(String),
    /// The variable would affect more than the script.
    #[error("environment variable {name} can't be set: {group}")]
    Protected {
        /// Name of the variable.
        name: String,
        /// Reason.
        group: ProtectedGroup,
    },
    /// The entry is neither a name nor the beginning of one and a `*`.
    #[error("{0:?} is neither the name of a variable nor its beginning with a `*`")]
    Pattern(String),
    /// There are more than [`MAX_ALLOWED`].
    #[error("{0} names, at most {MAX_ALLOWED} are allowed")]
    TooManyAllowed(usize),
    /// The value has a NUL byte, which ends a variable.
    #[error("environment variable {0}: the value has a NUL byte")]
    Nul(String),
    /// Name and value are longer than [`MAX_VARIABLE_BYTES`].
    #[error(
        "environment variable {name}: {bytes} bytes, at most {MAX_VARIABLE_BYTES} are possible"
    )]
    TooLong {
        /// Name of the variable.
        name: String,
        /// Size of `NAME=value` and the final NUL, in bytes.
        bytes: usize,
    },
    /// There are more than [`MAX_VARIABLES`].
    #[error("{0} environment variables, at most {MAX_VARIABLES} are allowed")]
    TooMany(usize),
    /// All variables together have more than [`MAX_TOTAL_BYTES`].
    #[error("environment variables have {0} bytes, at most {MAX_TOTAL_BYTES} (1 MiB) are allowed")]
    TotalTooLong(usize),
}

impl VariableError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoValue(_) => "write NAME=value",
            Self::Name(_) | Self::Pattern(_) => {
                "use letters, digits and _, no digit first, at most 255 bytes"
            }
            Self::Protected { group: ProtectedGroup::Reserved, .. } => {
                "choose another name; the script finds Gantry's own value there"
            }
            Self::Protected { .. } => "set it inside the script, or choose another name",
            Self::TooManyAllowed(_) => "give them a common beginning, such as PARAM_",
            Self::Nul(_) => return None,
            Self::TooLong { .. } | Self::TooMany(_) | Self::TotalTooLong(_) => {
                "pass large data as input, on stdin"
            }
        };
        Some(hint.to_owned())
    }
}

impl EnvVar {
    /// Checks a variable. Its value may be empty.
    ///
    /// # Errors
    /// [`VariableError`] for the name, the value or their length.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, VariableError> {
        let (name, value) = (name.into(), value.into());
        if !is_name(&name) {
            return Err(VariableError::Name(sanitize(&name)));
        }
        if let Some(group) = protected_group(&name) {
            return Err(VariableError::Protected { name, group });
        }
        if value.contains('\0') {
            return Err(VariableError::Nul(name));
        }
        let variable = Self { name, value };
        match variable.size() {
            bytes if bytes > MAX_VARIABLE_BYTES => {
                Err(VariableError::TooLong { name: variable.name, bytes })
            }
            _ => Ok(variable),
        }
    }

    /// Parses `NAME=value`; the value may contain further `=` and line ends.
    ///
    /// # Errors
    /// [`VariableError::NoValue`] without `=`, and all of [`EnvVar::new`].
    pub fn parse(text: &str) -> Result<Self, VariableError> {
        let shown = || if is_name(text) { text.to_owned() } else { "****".to_owned() };
        let (name, value) = text.split_once('=').ok_or_else(|| VariableError::NoValue(shown()))?;
        Self::new(name, value)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value; it may be a secret.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Bytes in an environment, including `=` and NUL.
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + 2
    }
}

fn is_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= MAX_NAME_BYTES
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

/// Variables of a script or a request: each name once, in the order of the last mention.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<EnvVar>", into = "Vec<EnvVar>")]
pub struct Variables(Vec<EnvVar>);

impl Variables {
    /// Checks the bounds; of several with one name, the last wins.
    ///
    /// # Errors
    /// [`VariableError::TooMany`] before duplicates are dropped,
    /// [`VariableError::TotalTooLong`] after.
    pub fn new(variables: Vec<EnvVar>) -> Result<Self, VariableError> {
        if variables.len() > MAX_VARIABLES {
            return Err(VariableError::TooMany(variables.len()));
        }
        let mut seen = HashSet::new();
        let mut kept: Vec<EnvVar> = variables
            .into_iter()
            .rev()
            .filter(|variable| seen.insert(variable.name.clone()))
            .collect();
        kept.reverse();
        match kept.iter().map(EnvVar::size).sum() {
            total if total > MAX_TOTAL_BYTES => Err(VariableError::TotalTooLong(total)),
            _ => Ok(Self(kept)),
        }
    }

    /// Each variable once.
    pub fn iter(&self) -> impl Iterator<Item = &EnvVar> {
        self.0.iter()
    }

    /// These variables, overridden by `later` ones: a script's, then a request's.
    ///
    /// # Errors
    /// As [`Variables::new`].
    pub fn merged(&self, later: &Self) -> Result<Self, VariableError> {
        Self::new([self.0.as_slice(), later.0.as_slice()].concat())
    }
}

impl TryFrom<Vec<EnvVar>> for Variables {
    type Error = VariableError;

    fn try_from(variables: Vec<EnvVar>) -> Result<Self, VariableError> {
        Self::new(variables)
    }
}

impl From<Variables> for Vec<EnvVar> {
    fn from(variables: Variables) -> Self {
        variables.0
    }
}

#[cfg(test)]
mod tests;
