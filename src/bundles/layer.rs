//! The layer that a bundle is in an image.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::BundleError;
use super::archive::{Entry, Prefix, Writer, files_of};
use crate::domain::bundle::{BUNDLE_DIR, MAX_FILES};
use crate::domain::file::FileDigest;

/// Name of the module search path's file in an image with Python. It puts the bundle first, so that
/// its packages are found whichever of its files is run.
const SEARCH_PATH_FILE: &str = "gantry-bundle.pth";

/// Folder of bytecode beside its sources, and the end of its files' names (PEP 3147).
const CACHE: &str = "__pycache__";
const BYTECODE: &str = ".pyc";

/// End of the names of Python's sources.
const SOURCE: &str = ".py";

/// Most bytes of Python sources that are compiled ahead (32 MiB).
const MAX_SOURCES: u64 = 32 * 1024 * 1024;

/// Parts of a layer for Python.
#[derive(Debug)]
pub struct PythonParts {
    /// Folder of the environment's packages.
    pub packages: String,
    /// Tar with bytecode of the bundle's modules. It is hostile: of each file that may be bytecode
    /// of a module the content counts, and nothing else.
    pub bytecode: Option<File>,
}

/// Writes the layer of an image: the files of an archive of ours in their place. For Python, their
/// bytecode too, and a file that has them found.
///
/// # Errors
/// [`BundleError`].
pub fn write_layer(
    archive: &Path,
    digest: FileDigest,
    python: Option<PythonParts>,
    layer: &File,
) -> Result<(), BundleError> {
    let mut writer = Writer::new(layer, Prefix::Image);
    let mut sources = BTreeSet::new();
    files_of(archive, digest, |file, content| {
        if file.path.ends_with(SOURCE) {
            sources.insert(file.path.to_owned());
        }
        writer.file(file, content)
    })?;
    let failed = |error| BundleError::io("the layer", error);
    if let Some(PythonParts { packages, bytecode }) = python {
        if let Some(bytecode) = bytecode {
            add_bytecode(bytecode, &sources, &mut writer).map_err(failed)?;
        }
        // Python reads such files twice where an environment has them.
        let line = format!(
            "import sys; {BUNDLE_DIR:?} in sys.path or sys.path.insert(0, {BUNDLE_DIR:?})\n"
        );
        let path = format!("{}/{SEARCH_PATH_FILE}", packages.trim_start_matches('/'));
        writer.entry(&path, 0o444, line.len() as u64, line.as_bytes()).map_err(failed)?;
    }
    writer.finish().map(drop).map_err(failed)
}

fn add_bytecode(
    bytecode: File,
    sources: &BTreeSet<String>,
    writer: &mut Writer<&File>,
) -> std::io::Result<()> {
    let mut tar = tar::Archive::new(BufReader::new(bytecode));
    let mut seen = BTreeSet::new();
    for entry in tar.entries()?.take(MAX_FILES) {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let path = std::str::from_utf8(&path).ok().and_then(|path| {
            let below = path.strip_prefix(BUNDLE_DIR.trim_start_matches('/'))?.strip_prefix('/')?;
            source_of(below).filter(|source| sources.contains(source)).map(|_| below.to_owned())
        });
        let Some(path) = path.filter(|_| entry.header().entry_type().is_file()) else { continue };
        let bytes = entry.size();
        if seen.insert(path.clone()) && !sources.contains(&path) {
            let file = Entry { path: &path, is_executable: false, bytes };
            writer.file(&file, &mut entry)?;
        }
    }
    Ok(())
}

/// Path of the source that a file is the bytecode of: `a/b.py` for
/// `a/__pycache__/b.cpython-313.pyc`.
fn source_of(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let folder = folder.strip_suffix(CACHE)?;
    let (module, tag) = name.strip_suffix(BYTECODE)?.rsplit_once('.')?;
    let is_tag = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_tag.then(|| format!("{folder}{module}{SOURCE}"))
}

/// The Python sources of an archive of ours, as a tar with the paths that they have in an image;
/// `None` if there are none, or too many to be compiled ahead.
///
/// # Errors
/// [`BundleError`].
pub fn python_sources(archive: &Path, digest: FileDigest) -> Result<Option<Vec<u8>>, BundleError> {
    let mut tar = Vec::new();
    let mut writer = Writer::new(&mut tar, Prefix::Image);
    let mut bytes = 0;
    files_of(archive, digest, |file, content| {
        let is_source = file.path.ends_with(SOURCE);
        bytes += if is_source { file.bytes } else { 0 };
        if !is_source || bytes > MAX_SOURCES {
            return Ok(());
        }
        writer.file(file, content as &mut dyn Read)
    })?;
    writer.finish().map_err(|error| BundleError::io("the sources", error))?;
    Ok((bytes > 0 && bytes <= MAX_SOURCES).then_some(tar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_belongs_to_a_source() {
        for (path, source) in [
            ("__pycache__/a.cpython-313.pyc", Some("a.py")),
            ("x/y/__pycache__/a.b.cpython-313.pyc", Some("x/y/a.b.py")),
            ("a.cpython-313.pyc", None),
            ("x/a.cpython-313.pyc", None),
            ("__pycache__/a.pyc", None),
            ("__pycache__/a.so", None),
            ("__pycache__/a.c p.pyc", None),
        ] {
            assert_eq!(source_of(path).as_deref(), source, "{path}");
        }
    }
}
