//! Versions: a script's content and everything that shapes its run.

use std::collections::BTreeMap;
use std::ops::Not;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::DeclaredOutputs;
use crate::domain::file::FileDigest;
use crate::domain::json_form::canonical;
use crate::domain::mount::{self, Mount, MountError};
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::sandbox_spec::Network;
use crate::domain::script::{Script, ScriptError};
use crate::domain::script_type::python::PythonVersion;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::script_type::{NoPython, ScriptType};
use crate::domain::system_packages::SystemPackages;
use crate::domain::user::User;
use crate::domain::variables::{AllowedVariables, Variables};
use crate::domain::warm_up::{self, WarmUpError};

/// Longest path below `/work`, in bytes.
const MAX_RELATIVE_BYTES: usize = 1_024;

/// Everything that shapes a run. Equal definitions have equal digests, and are one version.
/// Databases return it unchanged if its schemas are [`canonical`] and no text in it has a
/// NUL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Script type.
    pub script_type: ScriptType,
    /// SHA-256 of the script's bytes, in hexadecimal.
    pub digest: String,
    /// File name of the script in the sandbox.
    pub file_name: String,
    /// Working directory, relative to `/work`; `None` means `/work` itself.
    pub working_directory: Option<String>,
    /// Contents of `requirements.txt`, as written; only Python scripts have one.
    pub requirements: Option<String>,
    /// SHA-256 of the normalized requirements, in hexadecimal.
    pub requirements_hash: Option<String>,
    /// Debian packages.
    pub system_packages: SystemPackages,
    /// JSON Schema of inputs.
    pub argument_schema: Value,
    /// JSON Schema of outputs.
    pub output_schema: Value,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Variables,
    /// File that holds the result instead of stdout, relative to `/work`.
    pub output_file: Option<String>,
    /// Network access.
    pub network: Network,
    /// Host paths that the script sees; links in sources are resolved.
    pub mounts: Vec<Mount>,
    /// Modules that a warm interpreter imports; always [`Preload::Off`] for scripts that
    /// are not Python.
    pub preload: Preload,
    /// OCI runtime that it needs; `None` means the server's.
    pub runtime: Option<OciRuntime>,
    /// Variables that a request may set.
    // Absent for the default value, so that versions from before this field keep their
    // digests.
    #[serde(default, skip_serializing_if = "AllowedVariables::is_empty")]
    pub env_allowed: AllowedVariables,
    /// True if files that it writes may be executed and loaded.
    #[serde(default = "executable", skip_serializing_if = "Clone::clone")]
    pub exec: bool,
    /// The version of Python that was chosen for it; only Python scripts have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonVersion>,
    /// The version that its `#!` line asks for, where none was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python_of_shebang: Option<PythonVersion>,
    /// Packages without a wheel are built from source; only scripts with requirements
    /// choose so.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub sources: bool,
    /// The command that fills the caches of its environment; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warm_up: Vec<String>,
    /// User that the script runs as, and that owns what it writes to mounts; `None` means
    /// one of the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<User>,
    /// Files that it leaves.
    #[serde(default, skip_serializing_if = "DeclaredOutputs::is_empty")]
    pub outputs: DeclaredOutputs,
    /// The files that it consists of, if it is a bundle; `digest` is of the one that is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<FileDigest>,
    /// Path of the file that is run in the bundle; only bundles have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

fn executable() -> bool {
    true
}

/// Fault of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionFault {
    /// The path is not relative, or leaves `/work`.
    #[error("{field} {path:?} is not a relative path without . and ..")]
    Path {
        /// Name of the field in the API.
        field: &'static str,
        /// Given path.
        path: String,
    },
    /// Only Python scripts have requirements.
    #[error("requirements: {0}")]
    Requirements(NoPython),
    /// Only Python scripts have modules to preload.
    #[error("preload: {0}")]
    Preload(NoPython),
    /// Others have no version of Python.
    #[error("python: {0}")]
    Python(NoPython),
    /// There is nothing to build.
    #[error("sources: without requirements nothing is built from source")]
    Sources,
    /// The command can't be run.
    #[error("warm_up: {0}")]
    WarmUp(#[from] WarmUpError),
    /// Only bundles have an entry, and all do.
    #[error("entry: a bundle has the path of the file that is run, and no other script has one")]
    Entry,
    /// The mounts contradict each other.
    #[error(transparent)]
    Mounts(#[from] MountError),
}

impl Definition {
    /// Checks the rules that concern several parts.
    ///
    /// # Errors
    /// [`VersionFault`].
    pub fn validate(&self) -> Result<(), VersionFault> {
        check_below_work("working_directory", self.working_directory.as_deref())?;
        check_below_work("output_file", self.output_file.as_deref())?;
        let check = || self.script_type.check_python();
        if self.requirements.is_some() {
            check().map_err(VersionFault::Requirements)?;
        }
        if self.preload != Preload::Off {
            check().map_err(VersionFault::Preload)?;
        }
        if self.python().is_some() {
            check().map_err(VersionFault::Python)?;
        }
        if self.sources && self.requirements.is_none() {
            return Err(VersionFault::Sources);
        }
        warm_up::check(&self.warm_up)?;
        if self.bundle.is_some() != self.entry.is_some() {
            return Err(VersionFault::Entry);
        }
        Ok(mount::check_together(&self.mounts)?)
    }

    /// Its script, from the bytes of the file that is run.
    ///
    /// # Errors
    /// [`ScriptError`] if no sandbox could run them.
    pub fn script(&self, bytes: impl Into<Bytes>) -> Result<Script, ScriptError> {
        match &self.entry {
            Some(entry) => Script::in_bundle(entry, Some(self.script_type), bytes),
            None => Script::new(&self.file_name, Some(self.script_type), bytes),
        }
    }

    /// The version of Python that it runs with; `None` is the one of the base image.
    #[must_use]
    pub fn python(&self) -> Option<PythonVersion> {
        self.python.or(self.python_of_shebang)
    }

    /// SHA-256 over the whole definition, in hexadecimal, which identifies the version.
    /// Hashes JSON in its [`canonical`] form with sorted keys: equal definitions give equal
    /// texts, before and after a database stores them.
    #[must_use]
    pub fn content_digest(&self) -> String {
        // Every field is a string, a list, or a value parsed from JSON: writing them can't
        // fail.
        let fields: BTreeMap<String, Value> = serde_json::to_value(self)
            .ok()
            .and_then(|value| serde_json::from_value(canonical(value)).ok())
            .unwrap_or_default();
        let text = serde_json::to_vec(&fields).unwrap_or_default();
        hex::encode(Sha256::digest(&text))
    }
}

/// Checks a path below `/work`. Errors name the API's field.
///
/// # Errors
/// [`VersionFault::Path`].
pub fn check_below_work(field: &'static str, path: Option<&str>) -> Result<(), VersionFault> {
    let Some(path) = path else { return Ok(()) };
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if path.len() <= MAX_RELATIVE_BYTES
        && path.split('/').all(is_plain)
        && !path.chars().any(char::is_control)
    {
        return Ok(());
    }
    Err(VersionFault::Path { field, path: crate::domain::sanitize::sanitize(path) })
}

/// Version in the registry. It never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptVersion {
    /// Id given by the database.
    pub id: i64,
    /// Number within its script, from 1.
    pub number: i64,
    /// Definition that is run.
    pub definition: Definition,
    /// Key of the environment that it needs; `None` if the script type's image is enough.
    pub environment_key: Option<String>,
    /// Name of the token that created it.
    pub created_by: String,
    /// Time of its creation.
    pub created_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A definition as it was stored before it had any of the fields with a default.
    fn stored() -> Value {
        json!({
            "script_type": "python", "digest": "d", "file_name": "a.py",
            "working_directory": null, "requirements": "six", "requirements_hash": "h",
            "system_packages": [], "argument_schema": {}, "output_schema": {}, "args": [],
            "env": [], "output_file": null, "network": "none", "mounts": [],
            "preload": false, "runtime": null
        })
    }

    fn definition() -> Definition {
        serde_json::from_value(stored()).unwrap()
    }

    #[test]
    fn fields_that_were_added_later_change_no_older_version() {
        assert_eq!(serde_json::to_value(definition()).unwrap(), stored());
    }

    #[test]
    fn each_field_changes_the_digest_and_is_read_again() {
        let changed = [
            Definition { python: Some(PythonVersion::Python311), ..definition() },
            Definition { python_of_shebang: Some(PythonVersion::Python311), ..definition() },
            Definition { sources: true, ..definition() },
            Definition { warm_up: vec!["true".to_owned()], ..definition() },
            Definition { owner: "1000:1000".parse().ok(), ..definition() },
            Definition {
                outputs: serde_json::from_value(json!({"a": {"path": "a"}})).unwrap(),
                ..definition()
            },
            bundled(1, "main.py"),
            bundled(2, "main.py"),
            bundled(1, "other.py"),
        ];
        for changed in changed {
            assert_ne!(changed.content_digest(), definition().content_digest());
            assert_eq!(changed.validate(), Ok(()));
            let stored = serde_json::to_string(&changed).unwrap();
            assert_eq!(serde_json::from_str::<Definition>(&stored).unwrap(), changed);
        }
    }

    fn bundled(byte: u8, entry: &str) -> Definition {
        let bundle = Some(FileDigest::new([byte; 32]));
        Definition { bundle, entry: Some(entry.to_owned()), ..definition() }
    }

    #[test]
    fn a_bundle_and_its_entry_go_together() {
        let alone = Definition { entry: None, ..bundled(1, "main.py") };
        assert_eq!(alone.validate(), Err(VersionFault::Entry));
        let astray = Definition { bundle: None, ..bundled(1, "main.py") };
        assert_eq!(astray.validate(), Err(VersionFault::Entry));
    }

    #[test]
    fn what_a_script_can_not_have_is_a_fault() {
        let shell =
            Definition { script_type: ScriptType::Shell, requirements: None, ..definition() };
        let python = Some(PythonVersion::Python311);
        let of = |definition: Definition| definition.validate().unwrap_err();
        assert_eq!(
            of(Definition { python, ..shell.clone() }),
            VersionFault::Python(NoPython(ScriptType::Shell))
        );
        assert_eq!(of(Definition { sources: true, ..shell.clone() }), VersionFault::Sources);
        let warm_up = vec![String::new()];
        assert_eq!(
            of(Definition { warm_up, ..shell }),
            VersionFault::WarmUp(WarmUpError::NoProgram)
        );
    }
}
