//! Folder on the host that belongs to one container: its paths, and the places at which the
//! container sees parts of it. Pure: nothing here looks at a disk.
//!
//! ```text
//! NAME/            of the server alone
//!   owner          its image, and the process that made it
//!   in/            ──▶ /work/in, read-only
//!   work/          ──▶ /work, for scratch on disk
//!     out/  tmp/  in/ (mount point)  .gantry/N (files that the script left)
//! ```
//!
//! No part of a path comes out of a container.

use std::path::{Path, PathBuf};

use gantry_init::message::{INPUT_DIR, WORK_DIR};

use super::limits::Limits;
use super::mount::Mount;

/// Need of a container for a folder of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RunFolder {
    /// None: its scratch is in memory, and it takes no files.
    #[default]
    None,
    /// Scratch in memory, and files to read in `/work/in`.
    Inputs,
    /// Scratch on disk, and files to read in `/work/in`.
    Scratch {
        /// Bytes that it may take.
        disk_bytes: u64,
    },
}

impl RunFolder {
    /// Folder that these limits need, for a run that takes files or takes none.
    #[must_use]
    pub fn of(limits: &Limits, takes_files: bool) -> Self {
        match limits.disk_bytes {
            0 if takes_files => Self::Inputs,
            0 => Self::None,
            disk_bytes => Self::Scratch { disk_bytes },
        }
    }

    /// True if `/work` is on the host's disk.
    #[must_use]
    pub fn is_scratch(self) -> bool {
        matches!(self, Self::Scratch { .. })
    }
}

/// The folders of all containers of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolders {
    root: PathBuf,
}

impl RunFolders {
    /// Folders below `root`, an absolute path.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Folder in which they are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the container `name`.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Folder that it sees as `/work`.
    #[must_use]
    pub fn work(&self, name: &str) -> PathBuf {
        self.folder(name).join("work")
    }

    /// Folder that it sees as `/work/in`.
    #[must_use]
    pub fn inputs(&self, name: &str) -> PathBuf {
        self.folder(name).join("in")
    }

    /// Place of the file with this number among those that its script left.
    #[must_use]
    pub fn left(&self, name: &str, number: usize) -> PathBuf {
        self.work(name).join(".gantry").join(number.to_string())
    }

    /// File with its image and the process that made it.
    #[must_use]
    pub fn owner(&self, name: &str) -> PathBuf {
        self.folder(name).join("owner")
    }

    /// Parts of the folder that the container `name` sees.
    #[must_use]
    pub fn mounts(&self, name: &str, folder: RunFolder) -> Vec<Mount> {
        let mount = |source, target: &str, read_only| Mount {
            source,
            target: target.to_owned(),
            read_only,
        };
        let inputs = mount(self.inputs(name), INPUT_DIR, true);
        match folder {
            RunFolder::None => Vec::new(),
            RunFolder::Inputs => vec![inputs],
            RunFolder::Scratch { .. } => vec![mount(self.work(name), WORK_DIR, false), inputs],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_a_folder_has_one() {
        let limits = |disk_bytes| Limits { disk_bytes, ..Limits::default() };
        assert_eq!(RunFolder::of(&limits(0), false), RunFolder::None);
        assert_eq!(RunFolder::of(&limits(0), true), RunFolder::Inputs);
        let scratch = RunFolder::Scratch { disk_bytes: 5 };
        assert_eq!(RunFolder::of(&limits(5), false), scratch);
        assert_eq!(RunFolder::of(&limits(5), true), scratch);
    }

    #[test]
    fn inputs_are_read_only_and_lie_outside_of_what_is_writable() {
        let folders = RunFolders::new("/s".into());
        for folder in [RunFolder::Inputs, RunFolder::Scratch { disk_bytes: 1 }] {
            let mounts = folders.mounts("a", folder);
            let writable: Vec<_> = mounts.iter().filter(|it| !it.read_only).collect();
            assert_eq!(writable.len(), usize::from(folder.is_scratch()));
            let inputs = mounts.iter().find(|it| it.target == INPUT_DIR).unwrap();
            assert!(writable.iter().all(|it| !inputs.source.starts_with(&it.source)));
        }
        assert_eq!(folders.mounts("a", RunFolder::None), []);
    }
}
