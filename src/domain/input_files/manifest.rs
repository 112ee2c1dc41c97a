//! Manifest of the inputs: one JSON document that tells the script of each file.

use std::path::PathBuf;

use serde::Serialize;

use super::{INPUT_DIR, InputFile};
use crate::domain::file::FileDigest;
use crate::domain::media_type::media_type_of;

/// File name of the manifest below `/work/in`; no input has it.
pub const MANIFEST_NAME: &str = ".gantry-inputs.json";

/// Path of the manifest, as the script sees it.
pub const MANIFEST_PATH: &str = "/work/in/.gantry-inputs.json";

/// Variable that holds the path of the manifest.
pub const MANIFEST_VARIABLE: &str = "GANTRY_INPUTS";

/// Version of the manifest's form.
const VERSION: u32 = 1;

/// Input of a run, wherever it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Path below `/work/in`.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Digest; `None` for a file of this machine, which nobody has hashed.
    pub digest: Option<FileDigest>,
    /// File of this machine; `None` for one in the store of files.
    pub source: Option<PathBuf>,
}

impl From<&InputFile> for Input {
    fn from(file: &InputFile) -> Self {
        Self { name: file.name.clone(), bytes: file.bytes, digest: Some(file.digest), source: None }
    }
}

#[derive(Serialize)]
struct Manifest {
    version: u32,
    total_bytes: u64,
    files: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    path: String,
    size: u64,
    digest: Option<FileDigest>,
    media_type: Option<&'static str>,
}

/// Manifest of some inputs, as JSON.
#[must_use]
pub fn manifest(inputs: &[Input]) -> Vec<u8> {
    let entry = |Input { name, bytes, digest, .. }: &Input| Entry {
        name: name.clone(),
        path: format!("{INPUT_DIR}/{name}"),
        size: *bytes,
        digest: *digest,
        media_type: media_type_of(name),
    };
    let manifest = Manifest {
        version: VERSION,
        total_bytes: inputs.iter().fold(0, |sum, it| sum.saturating_add(it.bytes)),
        files: inputs.iter().map(entry).collect(),
    };
    // Strings and numbers can always be written.
    serde_json::to_vec(&manifest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_told_of_each_file() {
        let digest = FileDigest::new([0; 32]);
        let inputs = [
            Input { name: "a/\"b\".mov".to_owned(), bytes: 7, digest: Some(digest), source: None },
            Input { name: "c".to_owned(), bytes: 5, digest: None, source: None },
        ];
        let read: serde_json::Value = serde_json::from_slice(&manifest(&inputs)).unwrap();
        let expected = serde_json::json!({
            "version": 1,
            "total_bytes": 12,
            "files": [
                {"name": "a/\"b\".mov", "path": "/work/in/a/\"b\".mov", "size": 7,
                 "digest": digest.to_string(), "media_type": "video/quicktime"},
                {"name": "c", "path": "/work/in/c", "size": 5, "digest": null, "media_type": null},
            ],
        });
        assert_eq!(read, expected);
        assert_eq!(MANIFEST_PATH, format!("{INPUT_DIR}/{MANIFEST_NAME}"));
    }
}
