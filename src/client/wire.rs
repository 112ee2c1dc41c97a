//! Fields of the server's objects that are shown. Lenient: a field may be missing, null
//! or of another type, and unknown fields are ignored, so that a client goes on working
//! with a newer server.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::domain::outcome::Status;

/// A value as a person reads it: a string's content, nothing for null, JSON for
/// all else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The text; empty when there was none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, if there is one.
    #[must_use]
    pub fn some(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }

    /// The whole number that it is.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// True for `true` alone.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.0 == "true"
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = match raw.get() {
            "null" => String::new(),
            // Half a surrogate pair can be written in JSON and is no text.
            json if json.starts_with('"') => {
                serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
            }
            json => json.to_owned(),
        };
        Ok(Self(text))
    }
}

/// A script: its fields by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Script(BTreeMap<String, Box<RawValue>>);

impl Script {
    /// A field; nothing if it is missing.
    #[must_use]
    pub fn shown(&self, name: &str) -> Shown {
        self.object(name).unwrap_or_default()
    }

    /// A field of a known form; `None` if it is missing, null or of another form.
    #[must_use]
    pub fn object<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let field = self.0.get(name).map(|raw| raw.get()).filter(|json| *json != "null")?;
        serde_json::from_str(field).ok()
    }
}

/// A version that waits to be the current one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Pending {
    pub version: Shown,
    pub environment: Option<Environment>,
}

/// Limits of a script.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Limits {
    pub cpus: Shown,
    pub memory_bytes: Shown,
    pub pids: Shown,
    pub scratch_bytes: Shown,
    pub disk_bytes: Shown,
    pub file_count: Shown,
    pub output_bytes: Shown,
}

/// The environment that a script's packages are installed into.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Environment {
    pub key: Shown,
    pub image: Shown,
    pub status: Shown,
    pub error: Shown,
    pub python: Shown,
    pub log: Shown,
}

/// A version of a script.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Version {
    pub version: Shown,
    pub digest: Shown,
    pub created_at: Shown,
    pub created_by: Shown,
    pub is_current: Shown,
}

/// An execution.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Execution {
    pub id: Shown,
    pub script_name: Shown,
    pub version: Shown,
    pub job_id: Shown,
    pub triggered_by: Shown,
    pub status: Shown,
    pub error_kind: Shown,
    pub error_message: Shown,
    pub output_data: Shown,
    pub stdout_log: Shown,
    pub stderr_log: Shown,
    pub stdout_bytes: Shown,
    pub stderr_bytes: Shown,
    pub stdout_truncated: Shown,
    pub stderr_truncated: Shown,
    pub exit_code: Shown,
    pub signal: Shown,
    pub duration_ms: Shown,
    pub queue_ms: Shown,
    pub overhead_ms: Shown,
    pub usage: Option<Usage>,
    pub sandbox: Option<Sandbox>,
    pub artifacts: Option<Vec<Artifact>>,
    pub attempt: Shown,
    pub started_at: Shown,
    pub completed_at: Shown,
    pub created_at: Shown,
}

impl Execution {
    /// Terminal status; `None` while the execution has not ended, or when the status is
    /// unknown.
    #[must_use]
    pub fn ended(&self) -> Option<Status> {
        match self.status.as_str() {
            "completed" => Some(Status::Completed),
            "failed" => Some(Status::Failed),
            "timeout" => Some(Status::Timeout),
            "cancelled" => Some(Status::Cancelled),
            _ => None,
        }
    }
}

/// Resources that an execution used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Usage {
    pub cpu_ms: Shown,
    pub peak_memory_bytes: Shown,
    pub peak_disk_bytes: Shown,
}

/// The sandbox of an execution.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Sandbox {
    pub container_id: Shown,
    pub node: Shown,
    pub warm: Shown,
    pub preloaded: Shown,
    pub preload_reason: Shown,
    pub confinement: Option<Confinement>,
}

/// Confinement of a sandbox: the fields that people look for first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Confinement {
    pub runtime: Shown,
    pub user: Shown,
    pub network_mode: Shown,
    pub readonly_root: Shown,
    pub privileged: Shown,
    pub capabilities_dropped: Shown,
    pub no_new_privileges: Shown,
    pub seccomp: Shown,
    pub memory_bytes: Shown,
    pub nano_cpus: Shown,
    pub pids: Shown,
}

/// A file that a script left.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Artifact {
    pub name: Shown,
    pub bytes: Shown,
    pub skipped: Shown,
    pub digest: Shown,
    pub media_type: Shown,
    pub role: Shown,
}

/// Answer of a test run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct TestRun {
    pub execution_id: Shown,
    pub stdout: Shown,
    pub stderr: Shown,
}

/// A token, without its secret but for the first time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct Token {
    pub id: Shown,
    pub name: Shown,
    pub role: Shown,
    pub scripts: Option<Vec<String>>,
    pub shares: Option<Vec<String>>,
    pub expires_at: Shown,
    pub last_used_at: Shown,
    pub created_at: Shown,
    pub created_by: Shown,
    pub revoked_at: Shown,
    pub token: Shown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_can_be_shown() {
        let json = r#"{"id": 7, "name": "a\n\"b\"", "description": null, "version": 1e999,
                       "is_enabled": true, "mounts": [], "new": {"x": 1}}"#;
        let script: Script = serde_json::from_str(json).unwrap();
        assert_eq!(script.shown("id").number(), Some(7));
        assert_eq!(script.shown("name").as_str(), "a\n\"b\"");
        assert_eq!(script.shown("description").some(), None);
        assert_eq!(script.shown("version").as_str(), "1e999");
        assert!(script.shown("is_enabled").is_true());
        assert_eq!(script.shown("mounts").as_str(), "[]");
        assert_eq!(script.shown("missing").some(), None);
        assert_eq!(script.object::<Vec<String>>("mounts"), Some(Vec::new()));
        assert!(script.object::<Vec<String>>("name").is_none());
    }

    #[test]
    fn a_status_that_is_not_known_has_not_ended() {
        let of = |status: &str| {
            let json = serde_json::json!({"status": status}).to_string();
            serde_json::from_str::<Execution>(&json).unwrap().ended()
        };
        assert_eq!(of("cancelled"), Some(Status::Cancelled));
        assert_eq!((of("pending"), of("running"), of("paused")), (None, None, None));
    }
}
