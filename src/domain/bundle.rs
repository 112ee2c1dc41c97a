//! Bundles: scripts of many files. A bundle is known by the digest of its manifest, which lists
//! every file with its path, its mode, its size and its digest. Pure: `crate::bundles` reads and
//! writes the bytes.

mod contents;
mod fault;

use std::fmt;
use std::str::FromStr;

use gantry_init::artifact_name;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::file::FileDigest;

pub use contents::Contents;
pub use fault::BundleFault;
pub use gantry_init::message::BUNDLE_DIR;

/// Most files of a bundle.
pub const MAX_FILES: usize = 10_000;

/// Most bytes of all files of a bundle (256 MiB).
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Most components of a path.
pub const MAX_DEPTH: usize = artifact_name::MAX_DEPTH;

/// First line of a manifest: the format, which the digest covers.
const FORMAT: &str = "gantry bundle 1\n";

/// Word of a file that may be executed.
const EXECUTABLE: &str = "x";

/// Word of a file that is only read.
const PLAIN: &str = "-";

/// Names of entries that are tried when none is given, in this order.
const USUAL_ENTRIES: [&str; 4] = ["__main__.py", "main.py", "main.sh", "main"];

/// File of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BundleFile {
    /// Path below the bundle's folder, with `/` between components.
    pub path: String,
    /// True if it may be executed.
    pub is_executable: bool,
    /// Size in bytes.
    pub bytes: u64,
    /// Digest of its content.
    pub digest: FileDigest,
}

/// Files of a bundle, sorted by path, within the limits and without contradictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    files: Vec<BundleFile>,
}

/// Bundle that an image is to contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleLayer {
    /// Digest of its manifest.
    pub digest: FileDigest,
    /// Archive with its files; `None` if only the digest is known.
    pub archive: Option<std::path::PathBuf>,
}

/// Text that is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestFault {
    /// A line does not have its form.
    #[error("line {0} of the manifest is not what it should be")]
    Line(usize),
    /// The files break a rule.
    #[error(transparent)]
    Files(#[from] BundleFault),
}

impl Manifest {
    /// All files, sorted by path.
    #[must_use]
    pub fn files(&self) -> &[BundleFile] {
        &self.files
    }

    /// The file with this path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&BundleFile> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Digest that identifies the bundle: of its canonical text.
    #[must_use]
    pub fn digest(&self) -> FileDigest {
        FileDigest::new(Sha256::digest(self.to_string()).into())
    }

    /// File that is run: the named one, or one with a usual name at the top, or the only one.
    ///
    /// # Errors
    /// [`BundleFault`] if there is none, or if the named one is not among the files.
    pub fn entry(&self, named: Option<&str>) -> Result<&BundleFile, BundleFault> {
        let Some(named) = named else {
            let usual = USUAL_ENTRIES.iter().find_map(|name| self.find(name));
            let only = self.files.first().filter(|_| self.files.len() == 1);
            return usual.or(only).ok_or(BundleFault::NoEntry);
        };
        let path = named.strip_prefix("./").unwrap_or(named);
        let is_folder = || {
            let inside = format!("{}/", path.trim_end_matches('/'));
            self.files.iter().any(|file| file.path.starts_with(&inside))
        };
        let shown = || super::sanitize::sanitize(named);
        match self.find(path) {
            Some(file) => Ok(file),
            None if is_folder() => Err(BundleFault::EntryIsFolder(shown())),
            None => Err(BundleFault::EntryMissing(shown())),
        }
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FORMAT)?;
        self.files.iter().try_for_each(|file| {
            let mode = if file.is_executable { EXECUTABLE } else { PLAIN };
            writeln!(formatter, "{mode} {} {} {}", file.digest.hex(), file.bytes, file.path)
        })
    }
}

impl FromStr for Manifest {
    type Err = ManifestFault;

    fn from_str(text: &str) -> Result<Self, ManifestFault> {
        let lines = text.strip_prefix(FORMAT).ok_or(ManifestFault::Line(1))?;
        let mut contents = Contents::default();
        for (line, number) in lines.split_terminator('\n').zip(2..) {
            let file = parse_line(line).ok_or(ManifestFault::Line(number))?;
            contents.claim(&file.path, file.bytes)?;
            contents.add(file);
        }
        let manifest = contents.finish()?;
        // Only the canonical form counts: the digest is of the text.
        if manifest.to_string() == text { Ok(manifest) } else { Err(ManifestFault::Line(1)) }
    }
}

fn parse_line(line: &str) -> Option<BundleFile> {
    let mut words = line.splitn(4, ' ');
    let is_executable = match words.next()? {
        EXECUTABLE => true,
        PLAIN => false,
        _ => return None,
    };
    let digest = FileDigest::from_hex(words.next()?).ok()?;
    let bytes = words.next()?.parse().ok()?;
    Some(BundleFile { path: words.next()?.to_owned(), is_executable, bytes, digest })
}

/// True for bytes that begin as a program or as a script with a `#!` line: how a file's mode is
/// told where it was sent without one.
#[must_use]
pub fn seems_executable(begin: &[u8]) -> bool {
    begin.starts_with(b"#!") || begin.starts_with(b"\x7fELF")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, content: &[u8]) -> BundleFile {
        BundleFile {
            path: path.to_owned(),
            is_executable: seems_executable(content),
            bytes: content.len() as u64,
            digest: FileDigest::new(Sha256::digest(content).into()),
        }
    }

    fn manifest(paths: &[&str]) -> Result<Manifest, BundleFault> {
        let mut contents = Contents::default();
        for path in paths {
            contents.claim(path, 1)?;
            contents.add(file(path, b"x"));
        }
        contents.finish()
    }

    #[test]
    fn a_manifest_is_sorted_and_written_as_it_is_read() {
        let text = manifest(&["b.py", "a/x y.py", "a.py"]).unwrap();
        let paths: Vec<_> = text.files().iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["a.py", "a/x y.py", "b.py"]);
        assert_eq!(text.to_string().parse(), Ok(text.clone()));
        assert_eq!(text.digest(), manifest(&["a/x y.py", "a.py", "b.py"]).unwrap().digest());
        assert_ne!(text.digest(), manifest(&["a.py"]).unwrap().digest());
        assert_eq!(text.bytes(), 3);
    }

    #[test]
    fn a_manifest_that_is_not_canonical_is_none() {
        let good = manifest(&["a", "b"]).unwrap().to_string();
        let lines: Vec<_> = good.lines().collect();
        let swapped = format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]);
        let open = good.trim_end().to_owned();
        let upper = good.replace("- ", "X ");
        for bad in ["", FORMAT, "a\n", &swapped, &open, &upper, &good.replace(" 1 ", " 01 ")] {
            assert!(bad.parse::<Manifest>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_entry_is_named_or_usual() {
        let two = manifest(&["grade/__main__.py", "main.py"]).unwrap();
        let entry = |named| two.entry(named).map(|it| it.path.as_str());
        assert_eq!(entry(None), Ok("main.py"));
        assert_eq!(entry(Some("grade/__main__.py")), Ok("grade/__main__.py"));
        assert_eq!(entry(Some("./main.py")), Ok("main.py"));
        assert_eq!(entry(Some("grade")), Err(BundleFault::EntryIsFolder("grade".into())));
        assert_eq!(entry(Some("grade/")), Err(BundleFault::EntryIsFolder("grade/".into())));
        assert_eq!(entry(Some("x")), Err(BundleFault::EntryMissing("x".into())));
        assert_eq!(entry(Some("../x")), Err(BundleFault::EntryMissing("../x".into())));
        assert_eq!(manifest(&["only.sh"]).unwrap().entry(None).unwrap().path, "only.sh");
        assert_eq!(manifest(&["a", "b"]).unwrap().entry(None), Err(BundleFault::NoEntry));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_a_manifest_or_a_fault(text in ".{0,200}") {
            for text in [text.clone(), format!("{FORMAT}{text}")] {
                if let Ok(manifest) = text.parse::<Manifest>() {
                    prop_assert_eq!(manifest.to_string(), text);
                }
            }
        }

        #[test]
        fn whatever_is_accepted_stays_below_its_folder(paths in prop::collection::vec("[a-cA-C./é]{1,6}", 1..8)) {
            let paths: Vec<_> = paths.iter().map(String::as_str).collect();
            if let Ok(manifest) = manifest(&paths) {
                for file in manifest.files() {
                    prop_assert!(file.path.split('/').all(|it| !matches!(it, "" | "." | "..")));
                    prop_assert!(manifest.find(&file.path).is_some());
                }
                prop_assert_eq!(manifest.to_string().parse(), Ok(manifest));
            }
        }
    }
}
