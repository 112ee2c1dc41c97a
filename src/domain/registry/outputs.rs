//! Files that a version of a script declares to leave in `/work/out`.

use std::collections::BTreeMap;
use std::ops::Not;

use gantry_init::artifact_name::is_allowed;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::media_type::is_media_type;
use crate::domain::sanitize::sanitize;

/// Most declared outputs of a version.
pub const MAX_OUTPUTS: usize = 1_000;

/// Longest name and role of an output, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// Files by the names that the version has for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeclaredOutputs(BTreeMap<String, DeclaredOutput>);

/// File or folder that a script leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredOutput {
    /// Path below `/work/out`; of a folder it means every file in it.
    pub path: String,
    /// True if an execution without it has failed.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub required: bool,
    /// Purpose for people and programs, such as `preview`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// Fault of a declared output, with its name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct OutputFault {
    /// Name; empty for all together.
    pub name: String,
    /// Reason, safe to show.
    pub reason: String,
}

impl DeclaredOutputs {
    /// Checks declared outputs.
    ///
    /// # Errors
    /// The first [`OutputFault`].
    pub fn new(outputs: BTreeMap<String, DeclaredOutput>) -> Result<Self, OutputFault> {
        let fault = |name: &str, reason: String| OutputFault { name: name.to_owned(), reason };
        if outputs.len() > MAX_OUTPUTS {
            let count = outputs.len();
            return Err(fault("", format!("{count} outputs, at most {MAX_OUTPUTS} are allowed")));
        }
        for (name, output) in &outputs {
            output.check(name).map_err(|reason| fault(name, reason))?;
        }
        Ok(Self(outputs))
    }

    /// True without any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and outputs, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DeclaredOutput)> {
        self.0.iter().map(|(name, output)| (name.as_str(), output))
    }
}

impl DeclaredOutput {
    fn check(&self, name: &str) -> Result<(), String> {
        if !is_word(name) {
            return Err(not_a_word("the name", name));
        }
        if !is_allowed(&self.path) {
            let path = sanitize(&self.path);
            return Err(format!("the path {path:?} is not a relative path of plain names"));
        }
        if let Some(role) = self.role.as_deref().filter(|role| !is_word(role)) {
            return Err(not_a_word("the role", role));
        }
        match self.media_type.as_deref().filter(|it| !is_media_type(it)) {
            Some(it) => Err(format!("{:?} is no media type such as video/mp4", sanitize(it))),
            None => Ok(()),
        }
    }

    /// True if this file is the output, or in its folder.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.path.as_str());
        rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    }
}

fn is_word(text: &str) -> bool {
    let is_meant = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=MAX_WORD_BYTES).contains(&text.len()) && text.chars().all(is_meant)
}

fn not_a_word(what: &str, text: &str) -> String {
    let text = sanitize(text);
    format!("{what} {text:?} is not 1 to {MAX_WORD_BYTES} of letters, digits, `.`, `_` and `-`")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(outputs: Value) -> Result<DeclaredOutputs, OutputFault> {
        DeclaredOutputs::new(serde_json::from_value(outputs).unwrap())
    }

    #[test]
    fn outputs_are_written_as_they_are_read() {
        let outputs = json!({
            "sheet": {"path": "sheet.jpg", "role": "preview"},
            "video": {"path": "a/graded.mp4", "required": true, "media_type": "video/mp4"},
        });
        assert_eq!(serde_json::to_value(checked(outputs.clone()).unwrap()).unwrap(), outputs);
        assert!(checked(json!({})).unwrap().is_empty());
    }

    #[test]
    fn what_can_t_be_meant_is_refused_with_its_name() {
        for output in [
            json!({"path": "../a"}),
            json!({"path": "/a"}),
            json!({"path": ""}),
            json!({"path": "a", "role": ""}),
            json!({"path": "a", "role": "a b"}),
            json!({"path": "a", "media_type": "video"}),
        ] {
            assert_eq!(checked(json!({"x": output.clone()})).unwrap_err().name, "x", "{output}");
        }
        assert!(checked(json!({"": {"path": "a"}})).is_err());
        let many: BTreeMap<_, _> =
            (0..=MAX_OUTPUTS).map(|it| (format!("n{it}"), json!({"path": "a"}))).collect();
        assert_eq!(checked(json!(many)).unwrap_err().name, "");
    }

    #[test]
    fn a_folder_covers_what_is_in_it() {
        let outputs = checked(json!({"a": {"path": "d/e"}})).unwrap();
        let (_, output) = outputs.iter().next().unwrap();
        assert!(["d/e", "d/e/f", "d/e/f/g"].iter().all(|name| output.covers(name)));
        assert!(!["d", "d/ef", "x/d/e", ""].iter().any(|name| output.covers(name)));
    }
}
