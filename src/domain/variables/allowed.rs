//! Names of variables that a request may set. A variable can change the programs that a
//! script starts (`TAR_OPTIONS`, `MAKEFLAGS`, a proxy), and no list of such names is
//! complete: a script names those that it accepts from requests.

use serde::{Deserialize, Serialize};

use super::protected::{always_protected, matches, protected_group};
use super::{MAX_NAME_BYTES, VariableError, Variables, is_name};
use crate::domain::sanitize::sanitize;

/// Prefix of the names that every request may set.
pub const PARAMETER_PREFIX: &str = "PARAM_";

/// Most entries of one script.
pub const MAX_ALLOWED: usize = 100;

/// Names that requests may set besides [`PARAMETER_PREFIX`]`*`; a `*` at the end of an
/// entry matches anything. Sorted, each entry once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AllowedVariables(Vec<String>);

impl AllowedVariables {
    /// Checks the entries. Protected names are refused, because no request could ever set
    /// them.
    ///
    /// # Errors
    /// [`VariableError::TooManyAllowed`], [`VariableError::Pattern`],
    /// [`VariableError::Protected`].
    pub fn new(mut entries: Vec<String>) -> Result<Self, VariableError> {
        if entries.len() > MAX_ALLOWED {
            return Err(VariableError::TooManyAllowed(entries.len()));
        }
        entries.iter().try_for_each(|entry| check(entry))?;
        entries.sort();
        entries.dedup();
        Ok(Self(entries))
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// True if a request may set a variable of this name.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        name.starts_with(PARAMETER_PREFIX) || self.iter().any(|entry| matches(entry, name))
    }

    /// Names among `variables` that a request may not set.
    pub fn refused<'names>(
        &'names self,
        variables: &'names Variables,
    ) -> impl Iterator<Item = &'names str> {
        variables.iter().map(super::EnvVar::name).filter(|name| !self.allows(name))
    }
}

fn check(entry: &str) -> Result<(), VariableError> {
    let refused = || VariableError::Pattern(sanitize(entry));
    let Some(prefix) = entry.strip_suffix('*') else {
        return match protected_group(entry) {
            _ if !is_name(entry) => Err(refused()),
            Some(group) => Err(VariableError::Protected { name: entry.to_owned(), group }),
            None => Ok(()),
        };
    };
    if prefix.len() > MAX_NAME_BYTES || !(prefix.is_empty() || is_name(prefix)) {
        return Err(refused());
    }
    match always_protected(prefix) {
        Some(group) => Err(VariableError::Protected { name: entry.to_owned(), group }),
        None => Ok(()),
    }
}

impl TryFrom<Vec<String>> for AllowedVariables {
    type Error = VariableError;

    fn try_from(entries: Vec<String>) -> Result<Self, VariableError> {
        Self::new(entries)
    }
}

impl From<AllowedVariables> for Vec<String> {
    fn from(allowed: AllowedVariables) -> Self {
        allowed.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> Result<AllowedVariables, VariableError> {
        AllowedVariables::new(entries.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn nothing_but_parameters_is_allowed_by_default() {
        let none = AllowedVariables::default();
        assert!(none.allows("PARAM_SIZE") && none.allows("PARAM_"));
        for name in ["TAR_OPTIONS", "MAKEFLAGS", "http_proxy", "MODE", "PARAM", "param_size"] {
            assert!(!none.allows(name), "{name}");
        }
    }

    #[test]
    fn entries_are_names_or_beginnings_of_names() {
        let some = allowed(&["MODE", "APP_*", "MODE"]).unwrap();
        assert_eq!(some.iter().collect::<Vec<_>>(), ["APP_*", "MODE"]);
        assert!(some.allows("MODE") && some.allows("APP_") && some.allows("APP_X"));
        assert!(!some.allows("MODES") && !some.allows("mode") && !some.allows("APP"));
        assert!(allowed(&["*"]).unwrap().allows("TAR_OPTIONS"));
    }

    #[test]
    fn what_nobody_may_set_is_not_allowed_either() {
        for entry in ["PATH", "LD_PRELOAD", "LD_*", "PYTHONPATH", "PYTHON*", "GANTRY_X*", "LD_A*"] {
            let error = allowed(&[entry]).unwrap_err();
            assert!(matches!(error, VariableError::Protected { .. }), "{entry}: {error}");
        }
        for entry in ["", "1", "A-B", "A*B", "**", "A B", "ä", "A=1", "A\0", "A\n"] {
            let error = allowed(&[entry]).unwrap_err();
            assert!(matches!(error, VariableError::Pattern(_)), "{entry}: {error}");
        }
        let many = vec!["A".to_owned(); MAX_ALLOWED + 1];
        assert!(AllowedVariables::new(many).is_err());
    }
}
