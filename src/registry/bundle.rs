//! Source of a script that is a bundle: sent, read from a folder of the server, or kept.

use std::path::Path;

use super::faults::Faults;
use super::files::{FileFault, open_folder_below};
use super::source::{Bundle, Known, Source};
use super::{RegistrySettings, ScriptInput};
use crate::bundles::{BundleError, Packed, Packer, read_files, read_folder};
use crate::domain::bundle::{BundleFault, Manifest};
use crate::domain::script::{MAX_SCRIPT_BYTES, Script, ScriptError};
use crate::domain::script_type::ScriptType;

/// Hint about the fields that bring a script's bytes.
const ONE_OF: &str = "send a bundle, or exactly one of file_path, source and source_base64";

/// Bundle that an input brings or names.
pub(super) enum Sought {
    /// Nothing: the script is a single file.
    None,
    /// A bundle.
    Found(Box<Source>),
    /// A bundle with faults, which are told.
    Faulty,
}

/// Files of a bundle, wherever they are.
enum Files<'a> {
    Packed(Packed, Option<String>),
    Kept(&'a Manifest),
}

/// Reads the sent bundle, that of a folder, or the kept one.
pub(super) fn source(
    input: &mut ScriptInput,
    known: Option<Known<'_>>,
    kept: Option<&Manifest>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Sought {
    let pointer = if input.file_path.is_some() { "/file_path" } else { "/bundle" };
    match files(input, known, kept, settings) {
        Ok(Some(files)) => match of_files(files, pointer, input, known, settings, faults) {
            Some(source) => Sought::Found(Box::new(source)),
            None => Sought::Faulty,
        },
        Ok(None) => {
            if input.entry.take().is_some() {
                faults.add("/entry", "only a bundle has an entry: send its files, or its folder");
            }
            Sought::None
        }
        Err(told) => {
            faults.add(pointer, told);
            Sought::Faulty
        }
    }
}

fn files<'a>(
    input: &mut ScriptInput,
    known: Option<Known<'_>>,
    kept: Option<&'a Manifest>,
    settings: &RegistrySettings,
) -> Result<Option<Files<'a>>, String> {
    let sends_file =
        input.file_path.is_some() || input.source.is_some() || input.source_base64.is_some();
    if let Some(packed) = input.packed.take() {
        return if sends_file || input.bundle.is_some() {
            Err(ONE_OF.to_owned())
        } else {
            Ok(Some(Files::Packed(packed, None)))
        };
    }
    if input.bundle.take().is_some() && sends_file {
        return Err(ONE_OF.to_owned());
    }
    if input.source.is_some() || input.source_base64.is_some() {
        return Ok(None);
    }
    let named = input.file_path.clone();
    let path = named.or_else(|| known?.script.file_path.clone().filter(|_| kept.is_none()));
    if let Some(path) = path {
        let packed = folder(&path, settings).map_err(|error| told(&error))?;
        if packed.is_some() {
            input.file_path = None;
        }
        return Ok(packed.map(|packed| Files::Packed(packed, Some(path))));
    }
    Ok(kept.map(Files::Kept))
}

/// Files of a folder; `None` if it is none. A path that can't be opened is told as that of a file.
fn folder(path: &str, settings: &RegistrySettings) -> Result<Option<Packed>, BundleError> {
    let opened: Result<_, FileFault> = open_folder_below(&settings.script_roots, path);
    let Ok(Some(folder)) = opened else { return Ok(None) };
    let mut packer = Packer::new(&settings.bundles.unfinished())?;
    read_folder(folder, &mut packer)?;
    packer.finish().map(Some)
}

fn of_files(
    files: Files<'_>,
    pointer: &'static str,
    input: &mut ScriptInput,
    known: Option<Known<'_>>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Option<Source> {
    let before = known.map(|it| &it.script.version.definition);
    let known_entry = before.and_then(|it| it.entry.clone());
    let entry = input.entry.take().or(known_entry);
    let manifest = match &files {
        Files::Packed(packed, _) => packed.manifest(),
        Files::Kept(manifest) => manifest,
    };
    let found = manifest.entry(entry.as_deref());
    let file = faults.keep("/entry", found, |fault| fault.hint().map(str::to_owned))?;
    let (path, digest) = (file.path.clone(), manifest.digest());
    if file.bytes > MAX_SCRIPT_BYTES {
        let error = ScriptError::TooLarge { name: path, bytes: file.bytes };
        faults.add("/entry", error.to_string());
        return None;
    }
    let is_same = |it: &Known<'_>| {
        let definition = &it.script.version.definition;
        definition.bundle == Some(digest)
            && definition.entry.as_deref() == Some(&path)
            && !it.code.is_empty()
    };
    let bytes = match (&files, known.filter(is_same)) {
        (_, Some(known)) => Ok(known.code.to_vec()),
        (Files::Packed(packed, _), None) => packed.read(&path),
        (Files::Kept(_), None) => {
            let archive = settings.bundles.place(digest);
            let read = read_files(&archive, digest, &[&path], MAX_SCRIPT_BYTES);
            read.map(|mut found| found.remove(&path).unwrap_or_default())
        }
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => {
            faults.add(pointer, told(&error));
            return None;
        }
    };
    let kind = input.script_type.or(before.map(|it| it.script_type));
    let kind = kind.unwrap_or_else(|| ScriptType::detect(&path, &bytes));
    let script = Script::in_bundle(&path, Some(kind), bytes);
    let script = faults.keep("/entry", script, ScriptError::hint)?;
    let checked = check_entry(&script, &path, file.is_executable);
    faults.keep("/entry", checked, |fault| fault.hint().map(str::to_owned))?;
    check_file_name(input, &path, faults);
    let (packed, file_path) = match files {
        Files::Packed(packed, file_path) => (Some(packed), file_path),
        Files::Kept(_) => (None, None),
    };
    let bundle = Some(Bundle { digest, entry: path, packed });
    Some(Source { script, file_path, pointer: "/entry", bundle })
}

/// Checks that the entry can be run where it is: nothing is written in its place.
///
/// # Errors
/// [`BundleFault`].
pub fn check_entry(script: &Script, path: &str, is_executable: bool) -> Result<(), BundleFault> {
    if !script.script_type().is_text() && !is_executable {
        return Err(BundleFault::EntryNotExecutable(path.to_owned()));
    }
    if script.needs_repair() {
        return Err(BundleFault::EntryLineEnds(path.to_owned()));
    }
    Ok(())
}

fn check_file_name(input: &mut ScriptInput, entry: &str, faults: &mut Faults) {
    let own = Path::new(entry).file_name().unwrap_or_default().to_string_lossy();
    if input.file_name.take().is_some_and(|name| name != own) {
        faults.add("/file_name", format!("a bundle's is that of its entry: {own}"));
    }
}

fn told(error: &BundleError) -> String {
    match error {
        BundleError::Io { source, .. } => {
            tracing::error!(?error, "a bundle could not be read or kept");
            format!("the server can't read or keep it: {}", source.kind())
        }
        other => super::faults::advised(other, other.hint().map(str::to_owned)),
    }
}
