//! A folder on the command line: a script of many files.

use std::fs::File;
use std::path::Path;

use super::file::{Problem, read_script};
use crate::bundles::{BundleError, Packed, Shelf, pack_folder};
use crate::domain::bundle::BundleFault;
use crate::domain::script::{MAX_SCRIPT_BYTES, Script, ScriptError};
use crate::domain::script_type::ScriptType;
use crate::registry::check_entry;

/// Content of a file, or of a folder, that is to be run.
pub(super) enum Content {
    /// The bytes of a file.
    File(Vec<u8>),
    /// The files of a folder, and the path of the one to run.
    Bundle(Packed, String),
}

/// Reads a file, or packs a folder.
pub(super) fn read(path: &Path, entry: Option<&str>, data_dir: &Path) -> Result<Content, Problem> {
    if !path.is_dir() {
        return match entry {
            None => read_script(path).map(Content::File),
            Some(_) => {
                let what = format!("--entry: {} is no folder, which alone has one", path.display());
                Err(Problem::new(&what, None))
            }
        };
    }
    let shelf = Shelf::new(data_dir);
    shelf.sweep();
    let packed = pack(path, &shelf.unfinished())?;
    let entry = packed.manifest().entry(entry).map(|it| it.path.clone());
    let entry = entry.map_err(|fault| refused(path, &fault))?;
    Ok(Content::Bundle(packed, entry))
}

/// Packs a folder into a file that has no name and goes when it is closed.
pub(in crate::cli) fn packed(path: &Path) -> Result<File, Problem> {
    let failed = |error| Problem::new(&format!("the packed folder: {error}"), None);
    let unfinished = tempfile::tempdir().map_err(failed)?;
    let packed = pack(path, unfinished.path())?;
    File::open(packed.path()).map_err(failed)
}

fn pack(path: &Path, unfinished: &Path) -> Result<Packed, Problem> {
    let packed = pack_folder(path, unfinished);
    packed.map_err(|error| match &error {
        BundleError::Fault(fault) => refused(path, fault),
        other => Problem::new(other, other.hint().map(str::to_owned)),
    })
}

/// The script that a bundle's entry is, not yet checked against an engine.
pub(super) fn script(
    packed: &Packed,
    entry: &str,
    script_type: Option<ScriptType>,
) -> Result<Script, Problem> {
    let too_large = |bytes| ScriptError::TooLarge { name: entry.to_owned(), bytes };
    let refuse = |error: ScriptError| Problem::new(&error, error.hint());
    let file = packed.manifest().find(entry);
    let (bytes, is_executable) = file.map(|it| (it.bytes, it.is_executable)).unwrap_or_default();
    if bytes > MAX_SCRIPT_BYTES {
        return Err(refuse(too_large(bytes)));
    }
    let read = packed.read(entry);
    let bytes = read.map_err(|error| Problem::new(&error, error.hint().map(str::to_owned)))?;
    let kind = script_type.unwrap_or_else(|| ScriptType::detect(entry, &bytes));
    let script = Script::in_bundle(entry, Some(kind), bytes).map_err(refuse)?;
    check_entry(&script, entry, is_executable)
        .map_err(|fault| Problem::new(&fault, fault.hint().map(str::to_owned)))?;
    Ok(script)
}

fn refused(path: &Path, fault: &BundleFault) -> Problem {
    let hint = match fault {
        BundleFault::NoEntry => Some("name it with --entry, such as --entry main.py".to_owned()),
        other => other.hint().map(str::to_owned),
    };
    Problem::new(&format!("the folder {} is no bundle: {fault}", path.display()), hint)
}
