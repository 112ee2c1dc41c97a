//! Files of a bundle while they are read: each path is checked against all before it, and nothing
//! is read beyond the limits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gantry_init::artifact_name;
use unicode_normalization::UnicodeNormalization;

use super::{BundleFault, BundleFile, MAX_BYTES, MAX_DEPTH, MAX_FILES, Manifest};
use crate::domain::sanitize::sanitize;

/// Prefix of names that remove files of the layers below (OCI Image Layer Specification,
/// "Whiteouts").
const WHITEOUT: &str = ".wh.";

/// Files that were read so far.
#[derive(Debug, Default)]
pub struct Contents {
    files: BTreeMap<String, BundleFile>,
    /// Claimed paths and their folders, by the form that is equal for all that file systems
    /// could take for one.
    claimed: BTreeMap<String, Claimed>,
    count: usize,
    bytes: u64,
}

#[derive(Debug)]
struct Claimed {
    path: String,
    is_folder: bool,
}

impl Contents {
    /// Checks that a file with this path and size may be added, before it is read.
    ///
    /// # Errors
    /// [`BundleFault`].
    pub fn claim(&mut self, path: &str, bytes: u64) -> Result<(), BundleFault> {
        check_path(path)?;
        if self.count >= MAX_FILES {
            return Err(BundleFault::TooMany);
        }
        if bytes > self.room() {
            return Err(BundleFault::TooLarge);
        }
        let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        folders.clone().try_for_each(|folder| self.claim_name(folder, true))?;
        self.claim_name(path, false)?;
        self.count += 1;
        Ok(())
    }

    fn claim_name(&mut self, path: &str, is_folder: bool) -> Result<(), BundleFault> {
        match self.claimed.entry(folded(path)) {
            Entry::Vacant(place) => {
                place.insert(Claimed { path: path.to_owned(), is_folder });
                Ok(())
            }
            Entry::Occupied(known) => {
                let known = known.get();
                match known.path == path {
                    false => Err(BundleFault::Twins(known.path.clone(), path.to_owned())),
                    true if known.is_folder != is_folder => {
                        Err(BundleFault::FileAndFolder(path.to_owned()))
                    }
                    true if !is_folder => Err(BundleFault::Twice(path.to_owned())),
                    true => Ok(()),
                }
            }
        }
    }

    /// Bytes that the next files may have together.
    #[must_use]
    pub fn room(&self) -> u64 {
        MAX_BYTES.saturating_sub(self.bytes)
    }

    /// Adds a file that was claimed.
    pub fn add(&mut self, file: BundleFile) {
        self.bytes = self.bytes.saturating_add(file.bytes);
        self.files.insert(file.path.clone(), file);
    }

    /// The manifest of all files.
    ///
    /// # Errors
    /// [`BundleFault::Empty`] and [`BundleFault::TooLarge`].
    pub fn finish(self) -> Result<Manifest, BundleFault> {
        if self.files.is_empty() {
            return Err(BundleFault::Empty);
        }
        if self.bytes > MAX_BYTES {
            return Err(BundleFault::TooLarge);
        }
        Ok(Manifest { files: self.files.into_values().collect() })
    }
}

fn check_path(path: &str) -> Result<(), BundleFault> {
    let shown = || sanitize(path);
    if path.split('/').count() > MAX_DEPTH {
        return Err(BundleFault::TooDeep(shown()));
    }
    if !artifact_name::is_allowed(path) {
        return Err(BundleFault::Path(shown()));
    }
    if path.split('/').any(|part| part.starts_with(WHITEOUT)) {
        return Err(BundleFault::Whiteout(shown()));
    }
    Ok(())
}

/// Form of a path that is equal for all paths that a file system of macOS or Windows takes for one.
fn folded(path: &str) -> String {
    path.nfc().collect::<String>().to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::file::FileDigest;

    fn claimed(paths: &[&str]) -> Result<(), BundleFault> {
        let mut contents = Contents::default();
        paths.iter().try_for_each(|path| contents.claim(path, 1))
    }

    #[test]
    fn paths_stay_below_the_folder() {
        let long = "x".repeat(300);
        for bad in ["", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a\0", "a\nb", "a\\b", &long] {
            assert!(matches!(claimed(&[bad]), Err(BundleFault::Path(_))), "{bad:?}");
        }
        let deep = vec!["d"; MAX_DEPTH + 1].join("/");
        assert!(matches!(claimed(&[&deep]), Err(BundleFault::TooDeep(_))));
        assert_eq!(claimed(&[&vec!["d"; MAX_DEPTH].join("/")]), Ok(()));
        assert!(matches!(claimed(&["a/.wh.b"]), Err(BundleFault::Whiteout(_))));
        assert_eq!(claimed(&["a.wh.b", ".hidden", "ü/ä"]), Ok(()));
    }

    #[test]
    fn one_name_stands_for_one_thing() {
        let twins = |a: &str, b: &str| Err(BundleFault::Twins(a.to_owned(), b.to_owned()));
        assert_eq!(claimed(&["a", "a"]), Err(BundleFault::Twice("a".into())));
        assert_eq!(claimed(&["a.py", "A.py"]), twins("a.py", "A.py"));
        assert_eq!(claimed(&["ü", "u\u{308}"]), twins("ü", "u\u{308}"));
        assert_eq!(claimed(&["Lib/a", "lib/b"]), twins("Lib", "lib"));
        assert_eq!(claimed(&["a", "a/b"]), Err(BundleFault::FileAndFolder("a".into())));
        assert_eq!(claimed(&["a/b", "a"]), Err(BundleFault::FileAndFolder("a".into())));
        assert_eq!(claimed(&["a/b", "a/c", "b"]), Ok(()));
    }

    #[test]
    fn files_and_bytes_are_counted_before_they_are_read() {
        let mut contents = Contents::default();
        assert_eq!(contents.claim("a", MAX_BYTES + 1), Err(BundleFault::TooLarge));
        let digest = FileDigest::new([0; 32]);
        for number in 0..MAX_FILES {
            let path = number.to_string();
            contents.claim(&path, 1).unwrap();
            contents.add(BundleFile { path, is_executable: false, bytes: 1, digest });
        }
        assert_eq!(contents.claim("one more", 1), Err(BundleFault::TooMany));
        assert_eq!(contents.room(), MAX_BYTES - MAX_FILES as u64);
        assert_eq!(contents.finish().unwrap().files().len(), MAX_FILES);
        assert_eq!(Contents::default().finish(), Err(BundleFault::Empty));
    }
}
