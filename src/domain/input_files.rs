//! Input files of an execution: the names that a request gives them, the files that they
//! are frozen to, and the manifest that tells the script of them.

mod manifest;
mod names;

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::fault::{Fault, pointer_to};
use super::file::{FileDigest, InputRef};
use super::sanitize::sanitize;

pub use manifest::{Input, MANIFEST_NAME, MANIFEST_PATH, MANIFEST_VARIABLE, manifest};
pub use names::{NameFault, check_names};

/// Folder of the inputs, as the script sees it.
pub const INPUT_DIR: &str = "/work/in";

/// Most entries of one request; an entry may be a whole folder.
pub const MAX_REQUESTED: usize = 10_000;

/// Most files of one execution, with those of its folders.
pub const MAX_INPUTS: usize = 100_000;

/// Most bytes of all inputs of one execution (64 TiB): their sum never overflows.
pub const MAX_INPUT_BYTES: u64 = 1 << 46;

/// Most faults reported for the files of one request.
const MAX_FAULTS: usize = 20;

/// Longest reference, in bytes: a path of 4,096 bytes and what stands before it.
const MAX_REFERENCE_BYTES: usize = 4_096 + 256;

/// Files as a request names them, not checked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentFiles(Vec<(String, String)>);

/// Files of a request: names below `/work/in` that can stand beside each other, in the
/// order in which they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFiles(Vec<(String, InputRef)>);

/// Input file of an execution, fixed when it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// Path below `/work/in`, with `/` between components.
    pub name: String,
    /// Digest of its content.
    pub digest: FileDigest,
    /// Size in bytes.
    pub bytes: u64,
}

impl SentFiles {
    /// Files by name, from a source that has no JSON.
    #[must_use]
    pub fn of(files: Vec<(String, String)>) -> Self {
        Self(files)
    }

    /// Checks names and references. The pointer `base` leads to the object.
    ///
    /// # Errors
    /// At least one fault, at most [`MAX_FAULTS`].
    pub fn check(self, base: &str) -> Result<RequestFiles, Vec<Fault>> {
        if self.0.len() > MAX_REQUESTED {
            let detail = format!("{} files, at most {MAX_REQUESTED} may be sent", self.0.len());
            return Err(vec![Fault::new(base, detail)]);
        }
        let at = |name: &str| pointer_to(base, &sanitize(name));
        let names = check_names(self.0.iter().map(|(name, _)| name.as_str()));
        let mut faults: Vec<_> = names
            .into_iter()
            .take(MAX_FAULTS)
            .map(|it| Fault::new(at(&it.name), it.reason))
            .collect();
        let mut files = Vec::with_capacity(self.0.len());
        for (name, text) in self.0 {
            match reference(&text) {
                Ok(reference) => files.push((name, reference)),
                Err(detail) if faults.len() < MAX_FAULTS => {
                    faults.push(Fault::new(at(&name), detail));
                }
                Err(_) => {}
            }
        }
        if faults.is_empty() { Ok(RequestFiles(files)) } else { Err(faults) }
    }
}

/// Reads a reference.
fn reference(text: &str) -> Result<InputRef, String> {
    if text.len() > MAX_REFERENCE_BYTES {
        return Err(format!("a reference has at most {MAX_REFERENCE_BYTES} bytes"));
    }
    text.parse().map_err(|error: super::file::InputRefFault| error.to_string())
}

impl RequestFiles {
    /// The files of another execution, under the same names.
    #[must_use]
    pub fn of<'a>(inputs: impl Iterator<Item = &'a InputFile>) -> Self {
        Self(inputs.map(|it| (it.name.clone(), InputRef::File(it.digest))).collect())
    }

    /// True without any file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and references, in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &InputRef)> {
        self.0.iter().map(|(name, reference)| (name.as_str(), reference))
    }

    /// Reference of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&InputRef> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, reference)| reference)
    }

    /// The same with another file, whose name is checked by the caller together with the
    /// others.
    pub fn push(&mut self, name: String, reference: InputRef) {
        self.0.push((name, reference));
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'de> Deserialize<'de> for SentFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = SentFiles;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of names and references to files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SentFiles, A::Error> {
                let mut files = Vec::new();
                while let Some(entry) = map.next_entry::<String, String>()? {
                    if files.len() == MAX_REQUESTED {
                        return Err(A::Error::custom(format!("more than {MAX_REQUESTED} files")));
                    }
                    files.push(entry);
                }
                Ok(SentFiles(files))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn checked(files: &[(&str, &str)]) -> Result<RequestFiles, Vec<Fault>> {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        SentFiles::of(files.collect()).check("/files")
    }

    #[test]
    fn every_kind_of_reference_has_a_name_below_the_folder() {
        let digest = format!("sha256:{HEX}");
        let tree = format!("tree:sha256:{HEX}");
        let output = format!("execution:{}/a.mov", uuid::Uuid::nil());
        let files = checked(&[
            ("plate.mov", &digest),
            ("shots/10/a.exr", &digest),
            ("luts", &tree),
            ("graded.mov", &output),
            ("ref.mov", "share:media/film3/17.mov"),
        ])
        .unwrap();
        assert_eq!(files.len(), 5);
        assert!(matches!(files.find("luts"), Some(InputRef::Tree(_))));
    }

    #[test]
    fn each_fault_has_its_place() {
        let digest = format!("sha256:{HEX}");
        let faults =
            checked(&[("../a", &digest), ("b/c~d", "sha256:1"), ("e", "file:/etc/passwd")]);
        let pointers: Vec<_> = faults.unwrap_err().into_iter().map(|it| it.pointer).collect();
        assert_eq!(pointers, ["/files/..~1a", "/files/b~1c~0d", "/files/e"]);
    }

    #[test]
    fn faults_and_references_are_bounded() {
        let long = format!("share:a/{}", "x".repeat(MAX_REFERENCE_BYTES));
        assert!(checked(&[("a", &long)]).is_err());
        let names: Vec<_> = (0..1_000).map(|number| format!("../{number}")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), "sha256:1")).collect();
        assert_eq!(checked(&files).unwrap_err().len(), MAX_FAULTS);
    }

    #[test]
    fn a_name_that_is_there_twice_is_read_and_refused() {
        let text = format!(r#"{{"a": "sha256:{HEX}", "a": "sha256:{HEX}"}}"#);
        let sent: SentFiles = serde_json::from_str(&text).unwrap();
        assert!(sent.check("/files").is_err());
        for text in ["[]", "{\"a\": 1}", "{\"a\": null}", "7"] {
            assert!(serde_json::from_str::<SentFiles>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_frozen_file_is_read_as_it_was_written() {
        let digest = format!("sha256:{HEX}").parse().unwrap();
        let file = InputFile { name: "a/b.mov".to_owned(), digest, bytes: 7 };
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<InputFile>(&text).unwrap(), file);
    }
}
