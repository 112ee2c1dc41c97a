//! Source of a script and its requirements.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::faults::Faults;
use super::fields::check_text;
use super::files::{ServerFile, read_below};
use super::{RegistrySettings, ScriptInput};
use crate::bundles::Packed;
use crate::domain::file::FileDigest;
use crate::domain::registry::RegisteredScript;
use crate::domain::sanitize::sanitize;
use crate::domain::script::{MAX_SCRIPT_BYTES, Script};
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::requirements::{
    MAX_BYTES as MAX_REQUIREMENTS_BYTES, Requirements,
};
use crate::domain::text::utf8;

/// Longest file name, in bytes (`NAME_MAX`, limits.h).
const MAX_FILE_NAME_BYTES: usize = 255;

/// Hint about the source fields.
const ONE_OF: &str = "send exactly one of file_path, source and source_base64";

/// An existing script, and its stored bytes if it was not read from a file.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) script: &'a RegisteredScript,
    pub(super) code: &'a [u8],
}

/// Bundle of a source.
pub(super) struct Bundle {
    /// Digest of its manifest.
    pub(super) digest: FileDigest,
    /// Path of the file that is run.
    pub(super) entry: String,
    /// The files, if they may not be kept yet.
    pub(super) packed: Option<Packed>,
}

/// Bytes of a script and their origin.
pub(super) struct Source {
    pub(super) script: Script,
    pub(super) file_path: Option<String>,
    /// Field that they were sent in.
    pub(super) pointer: &'static str,
    /// Bundle that they are the entry of.
    pub(super) bundle: Option<Bundle>,
}

/// Bytes before their check.
struct Raw {
    pointer: &'static str,
    bytes: Vec<u8>,
    file_path: Option<String>,
    /// True if no source was sent, and the stored bytes are kept.
    is_kept: bool,
    /// Mode of a server file.
    is_executable: Option<bool>,
}

/// Reads the sent source or the current one.
pub(super) fn source(
    input: &mut ScriptInput,
    known: Option<Known<'_>>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Option<Source> {
    let raw = raw(input, known, settings, faults);
    let script_type =
        input.script_type.or(known.map(|it| it.script.version.definition.script_type));
    let script_type = script_type.or_else(|| told_by_file(raw.as_ref()?));
    if script_type.is_none() {
        faults.add("/script_type", format!("it is one of {}", ScriptType::names()));
    }
    let (raw, script_type) = (raw?, script_type?);
    let file_name = file_name(input, &raw, known, script_type, faults);
    if !script_type.is_text() && raw.is_executable == Some(false) {
        faults.add(raw.pointer, "the file is not executable; allow it with chmod +x");
    }
    let script = Script::new(&file_name, Some(script_type), raw.bytes);
    let script = faults.keep(raw.pointer, script, |error| error.hint())?;
    Some(Source { script, file_path: raw.file_path, pointer: raw.pointer, bundle: None })
}

/// Type of a server file, detected as `gantry run` does. Sent bytes have no file name to detect it
/// from.
fn told_by_file(raw: &Raw) -> Option<ScriptType> {
    let path = raw.file_path.as_deref()?;
    Some(ScriptType::detect(path, &raw.bytes))
}

fn raw(
    input: &mut ScriptInput,
    known: Option<Known<'_>>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Option<Raw> {
    let sent = |pointer, bytes| Raw {
        pointer,
        bytes,
        file_path: None,
        is_kept: false,
        is_executable: None,
    };
    match (input.file_path.take(), input.source.take(), input.source_base64.take()) {
        (Some(path), None, None) => from_file(path, settings, faults),
        (None, Some(text), None) => Some(sent("/source", text.into_bytes())),
        (None, None, Some(text)) => {
            let decoded = STANDARD.decode(text.as_bytes());
            faults
                .keep("/source_base64", decoded, |_| None)
                .map(|bytes| sent("/source_base64", bytes))
        }
        (None, None, None) => match known {
            None => {
                faults.add("/source", ONE_OF);
                None
            }
            Some(Known { script, code }) => match &script.file_path {
                Some(path) => from_file(path.clone(), settings, faults),
                None => Some(Raw { is_kept: true, ..sent("/source", code.to_vec()) }),
            },
        },
        (path, text, _) => {
            let second =
                if path.is_some() && text.is_some() { "/source" } else { "/source_base64" };
            faults.add(second, ONE_OF);
            None
        }
    }
}

fn from_file(path: String, settings: &RegistrySettings, faults: &mut Faults) -> Option<Raw> {
    let read = read_below(&settings.script_roots, &path, MAX_SCRIPT_BYTES);
    let hint = |error: &super::files::FileFault| error.hint().map(str::to_owned);
    let ServerFile { bytes, is_executable } = faults.keep("/file_path", read, hint)?;
    Some(Raw {
        pointer: "/file_path",
        bytes,
        file_path: Some(path),
        is_kept: false,
        is_executable: Some(is_executable),
    })
}

/// File name of a script.
fn file_name(
    input: &ScriptInput,
    raw: &Raw,
    known: Option<Known<'_>>,
    script_type: ScriptType,
    faults: &mut Faults,
) -> String {
    if let Some(name) = &input.file_name {
        let is_name = !matches!(name.as_str(), "" | "." | "..")
            && name.len() <= MAX_FILE_NAME_BYTES
            && !name.contains(|c: char| c == '/' || c.is_control());
        if !is_name {
            faults.add("/file_name", format!("{:?} is not the name of a file", sanitize(name)));
        }
        return name.clone();
    }
    if let Some(path) = &raw.file_path {
        return Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    }
    let was_sent = known.filter(|it| raw.is_kept || it.script.file_path.is_none());
    match was_sent {
        Some(known) => known.script.version.definition.file_name.clone(),
        None => script_type.default_file_name().to_owned(),
    }
}

/// Requirements, as written and as parsed.
pub(super) struct Required {
    pub(super) text: String,
    pub(super) parsed: Requirements,
    /// Server file that they were read from.
    pub(super) path: Option<String>,
}

/// Reads the sent requirements or the current ones; a file is read again. `sources` is true if the
/// script's packages are built from source, whatever the server's policy.
pub(super) fn requirements(
    input: &mut ScriptInput,
    before: Option<&RegisteredScript>,
    script_type: Option<ScriptType>,
    settings: &RegistrySettings,
    sources: bool,
    faults: &mut Faults,
) -> Option<Required> {
    let known_path = || before?.requirements_path.clone();
    let (path, sent) = match (input.requirements.take(), input.requirements_path.take()) {
        (Some(Some(_)), Some(_)) => {
            faults.add("/requirements_path", "send either requirements or requirements_path");
            return None;
        }
        (_, Some(path)) => (Some(path), None),
        (Some(sent), None) => (None, Some(sent?)),
        (None, None) => match known_path() {
            Some(path) => (Some(path), None),
            None => (None, Some(before?.version.definition.requirements.clone()?)),
        },
    };
    let (pointer, text) = match (&path, sent) {
        (Some(path), _) => ("/requirements_path", requirements_file(path, settings, faults)?),
        (None, text) => ("/requirements", text?),
    };
    if let Some(Err(error)) = script_type.map(ScriptType::check_python) {
        faults.add(pointer, error.to_string());
        return None;
    }
    check_text(pointer, &text, faults);
    let parsed = Requirements::parse(&text, settings.requirements.or_sources(sources));
    let parsed = faults.keep(pointer, parsed, |error| error.hint())?;
    Some(Required { text, parsed, path })
}

fn requirements_file(
    path: &str,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Option<String> {
    let pointer = "/requirements_path";
    let read = read_below(&settings.script_roots, path, MAX_REQUIREMENTS_BYTES as u64);
    let file = faults.keep(pointer, read, |error| error.hint().map(str::to_owned))?;
    let text = utf8(file.bytes).map_err(|error| format!("{:?} {error}", sanitize(path)));
    faults.keep(pointer, text, |_| Some("save it as UTF-8".to_owned()))
}
