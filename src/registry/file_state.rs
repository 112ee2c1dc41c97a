//! Compares a script's file with its registered bytes. It changes nothing: the registry changes
//! only on request.

use std::path::PathBuf;
use std::sync::Arc;

use super::files::{open_folder_below, read_below};
use super::{Registry, RegistrySettings};
use crate::bundles::{Packer, read_folder};
use crate::domain::file::FileDigest;
use crate::domain::registry::RegisteredScript;
use crate::domain::script::{MAX_SCRIPT_BYTES, code_digest};

/// State of a server file relative to the registered script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// The script was sent, so it has no file.
    NotAFile,
    /// The file equals the current version.
    Same,
    /// The file has other bytes.
    Differs,
    /// The file can't be read; reason and advice.
    Unreadable(String),
}

impl Registry {
    /// Compares the file or folder of a script with its current version. Reads at most [`MAX_SCRIPT_BYTES`],
    /// below the folders that the operator allows.
    pub async fn file_state(&self, script: &RegisteredScript) -> FileState {
        let Some(path) = script.file_path.clone() else { return FileState::NotAFile };
        let definition = &script.version.definition;
        let (digest, bundle) = (definition.digest.clone(), definition.bundle);
        let settings = Arc::clone(&self.settings);
        let looking = tokio::task::spawn_blocking(move || match bundle {
            Some(bundle) => look_into(&settings, &path, bundle),
            None => look(&settings.script_roots, &path, &digest),
        });
        looking.await.unwrap_or_else(|_| {
            FileState::Unreadable("looking at it failed: this is a mistake of Gantry's".to_owned())
        })
    }
}

/// Compares a folder with a bundle.
fn look_into(settings: &RegistrySettings, path: &str, bundle: FileDigest) -> FileState {
    let folder = match open_folder_below(&settings.script_roots, path) {
        Ok(Some(folder)) => folder,
        Ok(None) => return FileState::Differs,
        Err(fault) => return FileState::Unreadable(fault.shown()),
    };
    let read = Packer::new(&settings.bundles.unfinished()).and_then(|mut packer| {
        read_folder(folder, &mut packer)?;
        packer.into_manifest()
    });
    match read {
        Ok(manifest) if manifest.digest() == bundle => FileState::Same,
        Ok(_) => FileState::Differs,
        Err(error) => FileState::Unreadable(error.to_string()),
    }
}

fn look(roots: &[PathBuf], path: &str, digest: &str) -> FileState {
    match read_below(roots, path, MAX_SCRIPT_BYTES) {
        Err(fault) => FileState::Unreadable(fault.shown()),
        Ok(file) if code_digest(&file.bytes) == digest => FileState::Same,
        Ok(_) => FileState::Differs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compared_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sh");
        let roots = [folder.path().to_owned()];
        let state = |digest: &str| look(&roots, path.to_str().unwrap(), digest);
        let registered = code_digest(b"echo 1\n");
        std::fs::write(&path, "echo 1\n").unwrap();
        assert_eq!(state(&registered), FileState::Same);
        std::fs::write(&path, "echo 2\n").unwrap();
        assert_eq!(state(&registered), FileState::Differs);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(state(&registered), FileState::Unreadable(_)));
    }

    #[test]
    fn nothing_outside_of_the_roots_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let state = look(&[folder.path().to_owned()], "/etc/hostname", "");
        let FileState::Unreadable(words) = &state else { panic!("{state:?}") };
        assert!(words.contains("GANTRY_SCRIPT_ROOTS"), "{words}");
    }
}
