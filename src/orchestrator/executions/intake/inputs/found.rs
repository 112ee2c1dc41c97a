//! Inputs that were found so far, and what is wrong with others.

use std::fmt::Display;

use gantry_init::artifact_name::is_allowed;

use super::{Outputs, SubmitError, invalid};
use crate::domain::execution::{Artifact, SharedInput};
use crate::domain::fault::Fault;
use crate::domain::file::{FileDigest, InputRef};
use crate::domain::input_files::{InputFile, MAX_INPUT_BYTES, MAX_INPUTS};
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::sanitize;
use crate::shares::{ShareFault, SharedKind, SharedPath};

/// Most faults of each kind that are told.
const MAX_FAULTS: usize = 20;

/// Most files and folders of shares of one execution: each is a mount.
const MAX_SHARED: usize = 64;

/// Inputs, and faults by their kind.
#[derive(Default)]
pub(super) struct Found {
    inputs: Vec<InputFile>,
    shares: Vec<SharedInput>,
    bytes: u64,
    faults: Vec<Fault>,
    pending: Vec<Fault>,
    missing: Vec<Fault>,
}

impl Found {
    pub(super) fn file(&mut self, name: String, digest: FileDigest, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if is_allowed(&name) {
            self.inputs.push(InputFile { name, digest, bytes });
        } else {
            let detail = format!("the path {:?} is too long below its folder", sanitize(&name));
            self.fault("/files".to_owned(), detail);
        }
    }

    /// Adds what a share has at a path.
    pub(super) fn shared(
        &mut self,
        name: &str,
        (share, path): (&str, &str),
        found: Result<SharedPath, ShareFault>,
        pointer: &str,
    ) {
        let bytes = match found.map(|it| it.kind) {
            Ok(SharedKind::File { bytes }) => Some(bytes),
            Ok(SharedKind::Folder) => None,
            Err(fault) => {
                let hint = fault.hint().map_or(String::new(), |it| format!("; {it}"));
                return self.fault(pointer.to_owned(), format!("{fault}{hint}"));
            }
        };
        let (name, share, path) = (name.to_owned(), share.to_owned(), path.to_owned());
        self.shares.push(SharedInput { name, share, path, bytes });
        if self.shares.len() > MAX_SHARED {
            let detail = format!("more than {MAX_SHARED} files and folders of shares");
            self.fault(pointer.to_owned(), detail);
        }
    }

    pub(super) fn fault(&mut self, pointer: String, detail: impl Into<String>) {
        note(&mut self.faults, Fault::new(pointer, detail));
    }

    /// Notes a file that is not there, or not the caller's.
    pub(super) fn miss(&mut self, pointer: String, reference: impl Display) {
        let detail = format!(
            "{reference} is not there: it was never uploaded, has expired, or is another token's"
        );
        note(&mut self.missing, Fault::new(pointer, detail));
    }

    /// Adds what an execution left at a path: a file, or all files of a folder.
    pub(super) fn output(
        &mut self,
        name: &str,
        pointer: &str,
        reference: &InputRef,
        path: &str,
        outputs: &Outputs,
    ) {
        let left = match outputs {
            Outputs::Left(left) => left,
            Outputs::Unknown => {
                let detail = format!("{reference}: there is no such execution");
                return note(&mut self.missing, Fault::new(pointer, detail));
            }
            Outputs::Pending => {
                let detail = format!("{reference}: the execution has not ended");
                return note(&mut self.pending, Fault::new(pointer, detail));
            }
        };
        let before = self.inputs.len();
        for artifact in left.iter() {
            let Some(below) = below(&artifact.name, path) else { continue };
            let place = if below.is_empty() { name.to_owned() } else { format!("{name}/{below}") };
            match artifact.digest {
                Some(digest) => self.file(place, digest, artifact.bytes),
                None => return self.unkept(pointer, reference, artifact),
            }
        }
        if self.inputs.len() == before {
            let detail = format!("{reference}: the execution left no such file");
            note(&mut self.missing, Fault::new(pointer, detail));
        }
    }

    fn unkept(&mut self, pointer: &str, reference: &InputRef, artifact: &Artifact) {
        let file = sanitize(&artifact.name);
        let why = artifact.skipped.as_deref().map_or_else(
            || "it was left before files had digests: download it, and upload it".to_owned(),
            |reason| format!("it was not kept: {}", sanitize(reason)),
        );
        let detail = format!("{reference}: {file:?} can't be taken, {why}");
        note(&mut self.missing, Fault::new(pointer, detail));
    }

    /// Ends a search that finds too much.
    ///
    /// # Errors
    /// [`SubmitError::Invalid`].
    pub(super) fn check_size(&self, pointer: &str) -> Result<(), SubmitError> {
        if self.inputs.len() > MAX_INPUTS {
            let detail = format!("more than {MAX_INPUTS} files with those of folders");
            return Err(invalid(Fault::new(pointer, detail)));
        }
        if self.bytes > MAX_INPUT_BYTES {
            let most = show_bytes(MAX_INPUT_BYTES);
            return Err(invalid(Fault::new(pointer, format!("the files have more than {most}"))));
        }
        Ok(())
    }

    /// Files and folders of shares that were found.
    pub(super) fn take_shares(&mut self) -> Vec<SharedInput> {
        std::mem::take(&mut self.shares)
    }

    /// The inputs, if nothing is wrong with any.
    ///
    /// # Errors
    /// [`SubmitError`] of the first kind that there is.
    pub(super) fn into_inputs(self) -> Result<Vec<InputFile>, SubmitError> {
        match (self.faults.is_empty(), self.pending.is_empty(), self.missing.is_empty()) {
            (false, ..) => Err(SubmitError::Invalid(self.faults)),
            (_, false, _) => Err(SubmitError::InputsPending(self.pending)),
            (.., false) => Err(SubmitError::InputsMissing(self.missing)),
            _ => Ok(self.inputs),
        }
    }
}

fn note(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < MAX_FAULTS {
        faults.push(fault);
    }
}

/// Path of a file below another path; empty for the same path. Everything is below the
/// empty one.
fn below<'a>(name: &'a str, path: &str) -> Option<&'a str> {
    if path.is_empty() {
        return Some(name);
    }
    match name.strip_prefix(path)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn artifact(name: &str) -> Artifact {
        let digest = Some(FileDigest::new([1; 32]));
        Artifact { digest, ..Artifact::kept(name.to_owned(), 5) }
    }

    fn names(path: &str, left: Vec<Artifact>) -> Result<Vec<String>, SubmitError> {
        let reference = InputRef::Output { execution: uuid::Uuid::nil(), path: path.to_owned() };
        let mut found = Found::default();
        found.output("in", "/files/in", &reference, path, &Outputs::Left(Arc::new(left)));
        Ok(found.into_inputs()?.into_iter().map(|it| it.name).collect())
    }

    #[test]
    fn a_path_is_a_file_or_a_folder() {
        let left = || ["a", "ab", "a.b/c", "d/e", "d/f/g"].map(artifact).to_vec();
        assert_eq!(names("a", left()).unwrap(), ["in"]);
        assert_eq!(names("d", left()).unwrap(), ["in/e", "in/f/g"]);
        assert_eq!(names("d/f", left()).unwrap(), ["in/g"]);
        assert_eq!(names("", left()).unwrap().len(), 5);
        for path in ["b", "d/", "D", "d/e/g"] {
            assert!(matches!(names(path, left()), Err(SubmitError::InputsMissing(_))), "{path}");
        }
    }

    #[test]
    fn what_was_not_kept_is_missing_and_is_named() {
        for (one, word) in [
            (Artifact::skipped("a".to_owned(), "too large"), "too large"),
            (Artifact::kept("a".to_owned(), 1), "before files had digests"),
        ] {
            let Err(SubmitError::InputsMissing(faults)) = names("", vec![one]) else { panic!() };
            assert!(faults[0].detail.contains(word), "{faults:?}");
        }
    }

    #[test]
    fn faults_are_bounded_and_the_request_comes_first() {
        let mut found = Found::default();
        (0..100).for_each(|number| found.miss(format!("/files/{number}"), "sha256:…"));
        let long = format!("d/{}", "x".repeat(10_000));
        found.file(long, FileDigest::new([0; 32]), 1);
        let Err(SubmitError::Invalid(faults)) = found.into_inputs() else { panic!() };
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn sizes_are_bounded() {
        let mut found = Found::default();
        found.file("a".to_owned(), FileDigest::new([0; 32]), u64::MAX);
        found.file("b".to_owned(), FileDigest::new([0; 32]), u64::MAX);
        assert!(found.check_size("/files/b").is_err());
        let mut found = Found::default();
        for number in 0..=MAX_INPUTS {
            found.file(format!("{number}"), FileDigest::new([0; 32]), 1);
        }
        assert!(found.check_size("/files/a").is_err());
    }
}
