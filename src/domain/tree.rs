//! Folders by their content: the canonical manifest of a folder, whose digest names it.
//!
//! A manifest is JSON with one line's worth of whitespace less than anybody would write: the
//! files in the order of their paths' bytes, each field always in the same place. Two folders
//! with the same files have the same manifest, and so the same digest.

use std::collections::HashSet;

use gantry_init::artifact_name;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::file::FileDigest;
use super::sanitize::sanitize;

/// Version of the format.
const VERSION: u32 = 1;

/// Most files of one folder.
pub const MAX_TREE_FILES: usize = 100_000;

/// Most components of a path.
pub const MAX_TREE_DEPTH: usize = artifact_name::MAX_DEPTH;

/// Largest manifest, in bytes: that of the most files with the longest paths.
pub const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// Folder of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<TreeEntry>,
}

/// File of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeEntry {
    /// Path below the folder.
    pub path: String,
    /// Digest of its bytes.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub bytes: u64,
    /// True if it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// Reason why files make no folder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TreeFault {
    /// More files than a folder may have.
    #[error("a folder has at most {MAX_TREE_FILES} files, not {0}")]
    TooMany(usize),
    /// A path that leaves the folder, or can't be shown.
    #[error(
        "the path {0:?} is empty, not relative, too long, or has `.`, `..`, `\\` or control \
         characters"
    )]
    Path(String),
    /// A path through too many folders.
    #[error("the path {0:?} has more than {MAX_TREE_DEPTH} parts")]
    Depth(String),
    /// Two files with one path.
    #[error("the path {0:?} is there twice")]
    Twice(String),
    /// A file and a folder with one path.
    #[error("the path {0:?} is that of a file and of a folder")]
    Both(String),
    /// Bytes that are no canonical manifest.
    #[error("it is no manifest of a folder")]
    Manifest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    files: Vec<TreeEntry>,
}

impl Tree {
    /// Folder of these files, in any order.
    ///
    /// # Errors
    /// [`TreeFault`], with the place of the file in the list where there is one.
    pub fn new(mut entries: Vec<TreeEntry>) -> Result<Self, (Option<usize>, TreeFault)> {
        if entries.len() > MAX_TREE_FILES {
            return Err((None, TreeFault::TooMany(entries.len())));
        }
        for (index, entry) in entries.iter().enumerate() {
            check_path(&entry.path).map_err(|fault| (Some(index), fault))?;
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        check_places(&entries).map_err(|fault| (None, fault))?;
        Ok(Self { entries })
    }

    /// Reads a manifest that [`Self::manifest`] wrote.
    ///
    /// # Errors
    /// [`TreeFault`].
    pub fn read(manifest: &[u8]) -> Result<Self, TreeFault> {
        let read: Manifest = serde_json::from_slice(manifest).map_err(|_| TreeFault::Manifest)?;
        if read.version != VERSION {
            return Err(TreeFault::Manifest);
        }
        Self::new(read.files).map_err(|(_, fault)| fault)
    }

    /// Canonical manifest, whose digest is that of the folder.
    #[must_use]
    pub fn manifest(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Written<'a> {
            version: u32,
            files: &'a [TreeEntry],
        }
        let written = Written { version: VERSION, files: &self.entries };
        // Serialising strings and numbers can't fail.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Files, in the order of their paths.
    #[must_use]
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Files, in the order of their paths.
    #[must_use]
    pub fn into_entries(self) -> Vec<TreeEntry> {
        self.entries
    }

    /// File with this path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&TreeEntry> {
        let place = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        self.entries.get(place)
    }

    /// Bytes of all files, each as often as it is there.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }
}

fn check_path(path: &str) -> Result<(), TreeFault> {
    if path.split('/').count() > MAX_TREE_DEPTH {
        return Err(TreeFault::Depth(sanitize(path)));
    }
    match artifact_name::is_allowed(path) {
        true => Ok(()),
        false => Err(TreeFault::Path(sanitize(path))),
    }
}

/// Refuses two files in one place, and a file where a folder is.
fn check_places(sorted: &[TreeEntry]) -> Result<(), TreeFault> {
    let mut files = HashSet::with_capacity(sorted.len());
    for entry in sorted {
        if !files.insert(entry.path.as_str()) {
            return Err(TreeFault::Twice(sanitize(&entry.path)));
        }
    }
    for entry in sorted {
        let folders = entry.path.match_indices('/').filter_map(|(at, _)| entry.path.get(..at));
        if let Some(both) = folders.into_iter().find(|folder| files.contains(folder)) {
            return Err(TreeFault::Both(sanitize(both)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &str) -> TreeEntry {
        let digest = FileDigest::new([1; 32]);
        TreeEntry { path: path.to_owned(), digest, bytes: 2, executable: path.ends_with(".sh") }
    }

    fn tree(paths: &[&str]) -> Result<Tree, TreeFault> {
        Tree::new(paths.iter().map(|path| entry(path)).collect()).map_err(|(_, fault)| fault)
    }

    #[test]
    fn the_order_of_files_does_not_change_a_folder() {
        let one = tree(&["b/a", "a.sh", "b.c"]).unwrap();
        let other = tree(&["b.c", "b/a", "a.sh"]).unwrap();
        assert_eq!(one.manifest(), other.manifest());
        assert_eq!(
            String::from_utf8(tree(&["a.sh"]).unwrap().manifest()).unwrap(),
            format!(
                r#"{{"version":1,"files":[{{"path":"a.sh","digest":"sha256:{}","bytes":2,"executable":true}}]}}"#,
                "01".repeat(32)
            )
        );
        assert_eq!((one.bytes(), one.get("b/a")), (6, Some(&entry("b/a"))));
        assert_eq!(one.get("b"), None);
    }

    #[test]
    fn a_folder_has_one_thing_in_a_place() {
        assert_eq!(tree(&["a", "b", "a"]), Err(TreeFault::Twice("a".to_owned())));
        assert_eq!(tree(&["a/b/c", "a.b", "a/b"]), Err(TreeFault::Both("a/b".to_owned())));
        assert!(tree(&["a/b", "a.b", "ab"]).is_ok());
        for bad in ["", "/a", "../a", "a/..", "a\\b", "a\nb", "a//b", "a/", "."] {
            assert!(matches!(tree(&[bad]), Err(TreeFault::Path(_))), "{bad}");
        }
        let deep = "a/".repeat(MAX_TREE_DEPTH - 1) + "a";
        assert!(tree(&[&deep]).is_ok());
        assert!(matches!(tree(&[&format!("a/{deep}")]), Err(TreeFault::Depth(_))));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for bad in ["", "{}", "[]", r#"{"version":2,"files":[]}"#, r#"{"version":1,"files":[1]}"#] {
            assert_eq!(Tree::read(bad.as_bytes()), Err(TreeFault::Manifest), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_manifest_is_read_as_it_is_written(
            paths in prop::collection::btree_set("[a-c]{1,2}(/[a-c]{1,2}){0,3}", 0..20),
        ) {
            let entries = paths.iter().map(|path| entry(path)).collect();
            if let Ok(tree) = Tree::new(entries) {
                prop_assert_eq!(Tree::read(&tree.manifest()), Ok(tree));
            }
        }

        #[test]
        fn any_bytes_are_a_manifest_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Tree::read(&bytes);
        }
    }
}
