//! Reading what the command line names: the script, its requirements, its input.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::Arguments;
use crate::config::Settings;
use crate::domain::elf::Architecture;
use crate::domain::json_input::{JsonInput, JsonInputError, MAX_INPUT_BYTES};
use crate::domain::sanitize::sanitize;
use crate::domain::script::{MAX_SCRIPT_BYTES, Script, ScriptError};
use crate::domain::script_type::python::requirements::Requirements;
use crate::domain::text::utf8;
use crate::engine::docker::Docker;

/// Longest requirements file that is looked at, in bytes; its own limit is
/// lower and has a better message.
pub(in crate::cli) const MAX_REQUIREMENTS_FILE: u64 = 1024 * 1024;

/// An error, and a hint about what to do.
#[derive(Debug)]
pub(in crate::cli) struct Problem {
    pub(in crate::cli) what: String,
    pub(in crate::cli) hint: Option<String>,
}

impl Problem {
    pub(in crate::cli) fn new(what: &dyn Display, hint: Option<String>) -> Self {
        Self { what: what.to_string(), hint }
    }
}

pub(in crate::cli) fn read_script(path: &Path) -> Result<Vec<u8>, Problem> {
    read_file(path, MAX_SCRIPT_BYTES, || {
        let bytes = path.metadata().map_or(MAX_SCRIPT_BYTES + 1, |it| it.len());
        let error = ScriptError::TooLarge { name: path.display().to_string(), bytes };
        Problem::new(&error, error.hint())
    })
}

pub(in crate::cli) fn read_requirements(
    path: &Path,
    sources: bool,
    settings: &Settings,
) -> Result<Requirements, Problem> {
    let shown = path.display();
    let bytes = read_file_or_pipe(path, MAX_REQUIREMENTS_FILE, || {
        Problem::new(&format!("{shown} has more than 1 MiB: is it a requirements file?"), None)
    })?;
    let text = text(path, bytes)?;
    let policy = settings.requirements_policy().map_err(|error| Problem::new(&error, None))?;
    Requirements::parse(&text, policy.or_sources(sources))
        .map_err(|error| Problem::new(&format!("{shown}: {error}"), error.hint()))
}

/// A file's content as text.
pub(in crate::cli) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Problem> {
    utf8(bytes).map_err(|error| {
        Problem::new(&format!("{} {error}", path.display()), Some(error.hint().to_owned()))
    })
}

/// Values by the names before their first `=`.
pub(in crate::cli) fn by_name(
    flag: &str,
    texts: &[String],
) -> Result<BTreeMap<String, String>, Problem> {
    let mut values = BTreeMap::new();
    for text in texts {
        let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let Some((name, value)) = parts else {
            let hint = "write NAME=VALUE; the name is the one below /work/in".to_owned();
            return Err(Problem::new(
                &format!("{flag} {}: it has no name", sanitize(text)),
                Some(hint),
            ));
        };
        if values.insert(name.to_owned(), value.to_owned()).is_some() {
            let what = format!("{flag} {}: the name is there more than once", sanitize(name));
            return Err(Problem::new(&what, None));
        }
    }
    Ok(values)
}

/// The input that `text` stands for: JSON, `@FILE`, or `-`.
pub(in crate::cli) async fn read_input(text: &str) -> Result<JsonInput, Problem> {
    let too_large = || {
        let error = JsonInputError::TooLarge(MAX_INPUT_BYTES + 1);
        Problem::new(&error, error.hint())
    };
    let limit = MAX_INPUT_BYTES as u64;
    let bytes = match (text, text.strip_prefix('@')) {
        ("-", _) => {
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).map(|_| bytes)
            });
            let bytes = read.await.map_err(std::io::Error::other).flatten();
            let bytes = bytes.map_err(|error| Problem::new(&format!("stdin: {error}"), None))?;
            if bytes.len() > MAX_INPUT_BYTES {
                return Err(too_large());
            }
            bytes
        }
        (_, Some(path)) => read_file(Path::new(path), limit, too_large)?,
        (json, None) => json.as_bytes().to_vec(),
    };
    JsonInput::parse(bytes).map_err(|error| match &error {
        JsonInputError::Invalid(fault) => {
            Problem::new(&format!("{error}\n{}", fault.pointed()), error.hint())
        }
        _ => Problem::new(&error, error.hint()),
    })
}

/// The script that a file is.
pub(super) fn named_script(arguments: &Arguments, bytes: Vec<u8>) -> Result<Script, Problem> {
    let name = arguments.file.file_name().unwrap_or_default().to_string_lossy();
    let script = Script::new(&name, arguments.script_type, bytes);
    script.map_err(|error| Problem::new(&error, error.hint()))
}

/// Checks a script against the engine that is to run it.
pub(super) async fn check_script(script: &Script, docker: &Docker) -> Result<(), Problem> {
    let refused = |error: ScriptError| Problem::new(&error, error.hint());
    script.check_shebang().map_err(refused)?;
    if !script.script_type().is_text() {
        script.check_runs_on(architecture(docker).await?).map_err(refused)?;
    }
    Ok(())
}

async fn architecture(docker: &Docker) -> Result<Architecture, Problem> {
    let described = docker.describe().await;
    let name = described
        .map_err(|error| Problem::new(&error, error.hint().map(str::to_owned)))?
        .architecture;
    Architecture::from_engine(&name).ok_or_else(|| {
        let hint = "x86_64 and aarch64 are supported".to_owned();
        Problem::new(&format!("the engine runs on {name}"), Some(hint))
    })
}

/// A regular file's content, if it has at most `limit` bytes.
pub(in crate::cli) fn read_file(
    path: &Path,
    limit: u64,
    too_large: impl FnOnce() -> Problem,
) -> Result<Vec<u8>, Problem> {
    read_kind(path, limit, too_large, std::fs::Metadata::is_file)
}

/// The same, or all that comes out of a pipe: a shell's `<(command)` is one. Waits for
/// the writer.
pub(in crate::cli) fn read_file_or_pipe(
    path: &Path,
    limit: u64,
    too_large: impl FnOnce() -> Problem,
) -> Result<Vec<u8>, Problem> {
    let is_usable = |it: &std::fs::Metadata| it.is_file() || it.file_type().is_fifo();
    read_kind(path, limit, too_large, is_usable)
}

fn read_kind(
    path: &Path,
    limit: u64,
    too_large: impl FnOnce() -> Problem,
    is_usable: impl FnOnce(&std::fs::Metadata) -> bool,
) -> Result<Vec<u8>, Problem> {
    let failed = |reason: &dyn Display| {
        Problem::new(&format!("{} can't be read: {reason}", path.display()), None)
    };
    // Asked before it is opened: opening a pipe would wait for its other end.
    let metadata = path.metadata().map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(failed(&"it is a folder, not a file"));
    }
    if !is_usable(&metadata) {
        return Err(failed(&"it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}
