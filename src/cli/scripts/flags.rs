//! The flags that say what a script is, and the fields that they become.

use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};

use super::settings::{self, SettingFlags};
use crate::cli::remote::Failure;
use crate::cli::run::bundle;
use crate::cli::run::environment::python;
use crate::cli::run::file::{self, Problem, read_file_or_pipe};
use crate::cli::run::{NetworkArgument, mount_argument, script_type, variables};
use crate::client::{ClientError, Fields};
use crate::domain::json_input::{JsonInput, JsonInputError};
use crate::domain::mount::Mount;
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::user::User;

/// Largest JSON Schema that is read, in bytes (1 MiB).
const MAX_SCHEMA_BYTES: u64 = 1024 * 1024;

/// Longest name that is made of a file's, in characters.
const MAX_NAME_CHARS: usize = 64;

#[derive(Debug, Args)]
pub(super) struct ScriptFlags {
    /// What it is called
    #[arg(long)]
    name: Option<String>,

    /// What it is, when its name and content don't tell
    #[arg(long = "type", value_name = "TYPE", value_parser = script_type)]
    script_type: Option<ScriptType>,

    /// The file of a folder that is run, by its path in it; otherwise __main__.py,
    /// main.py, main.sh or main
    #[arg(long, value_name = "PATH")]
    entry: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Python packages that it needs: a requirements.txt
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,

    /// Build packages that have no wheel from source, which runs their code then
    #[arg(long)]
    sources: bool,

    /// Version of Python that it runs with: 3.10, 3.11, 3.12, 3.13 or 3.14; otherwise
    /// the one that its `#!` line names, or the base image's
    #[arg(long, value_name = "VERSION", value_parser = python)]
    python: Option<PythonVersion>,

    /// A word of a command that runs when its environment is built, and whose caches
    /// become part of that: the program, then, repeated, each of its arguments
    #[arg(long = "warm-up", value_name = "WORD", allow_hyphen_values = true)]
    warm_up: Vec<String>,

    /// A package of the distribution that it needs; may be repeated
    #[arg(long = "system-package", value_name = "PACKAGE")]
    system_packages: Vec<String>,

    /// JSON Schema that its input must meet
    #[arg(long, value_name = "FILE")]
    argument_schema: Option<PathBuf>,

    /// JSON Schema that its output must meet
    #[arg(long, value_name = "FILE")]
    output_schema: Option<PathBuf>,

    /// An argument that it always gets; may be repeated
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,

    /// An environment variable that it always gets; may be repeated
    // Not parsed by clap, which shows the value in its error: it may be a secret.
    #[arg(long = "env", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    env: Vec<String>,

    /// A variable that requests may set beside PARAM_*, or the beginning of its name
    /// and a `*`; may be repeated
    #[arg(long = "env-allowed", value_name = "NAME")]
    env_allowed: Vec<String>,

    /// Whether files that it writes to /work and /tmp can be executed
    #[arg(long, value_name = "on|off", value_parser = switch)]
    exec: Option<bool>,

    #[command(flatten)]
    settings: SettingFlags,

    /// What it can reach
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkArgument>,

    /// A folder or file of the server that it sees, below the server's mount roots,
    /// read-only unless it ends with :rw; may be repeated
    #[arg(long = "mount", value_name = "SRC:DST[:rw]", value_parser = mount_argument)]
    mounts: Vec<Mount>,

    /// User and group that it runs as, one of the server's GANTRY_OWNERS: what it writes
    /// to a mount belongs to them
    #[arg(long, value_name = "UID:GID")]
    owner: Option<User>,

    /// What is imported before a request comes: `on` (what the script imports at
    /// its top), `off`, or modules separated by commas; Python only
    #[arg(long, value_name = "MODULES", value_parser = preload)]
    preload: Option<Preload>,

    /// OCI runtime that it needs, such as runsc
    #[arg(long, value_name = "NAME", value_parser = oci_runtime)]
    runtime: Option<OciRuntime>,

    /// A file below /work that its result is read from, instead of its stdout
    #[arg(long, value_name = "PATH")]
    output_file: Option<String>,

    /// Files that it leaves in /work/out: a JSON object of names and
    /// {"path", "required", "role", "media_type"}
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,

    /// FILE is a path on the server, below its GANTRY_SCRIPT_ROOTS, of a file or a
    /// folder, and is read there
    #[arg(long)]
    server_path: bool,
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it is one of on, off".to_owned()),
    }
}

fn preload(text: &str) -> Result<Preload, String> {
    match text {
        "on" => Ok(Preload::Automatic),
        "off" => Ok(Preload::Off),
        modules => {
            let names = modules.split(',').map(|name| name.trim().to_owned()).collect();
            Preload::modules(names).map_err(|error| error.to_string())
        }
    }
}

fn oci_runtime(text: &str) -> Result<OciRuntime, String> {
    OciRuntime::new(text).map_err(|error| error.to_string())
}

/// Fields that can be cleared: words of `--clear`, and the names in the API.
const CLEARABLE: [(&str, &str); 18] = [
    ("description", "description"),
    ("requirements", "requirements"),
    ("sources", "sources"),
    ("python", "python"),
    ("warm-up", "warm_up"),
    ("system-packages", "system_packages"),
    ("argument-schema", "argument_schema"),
    ("output-schema", "output_schema"),
    ("args", "args"),
    ("env", "env"),
    ("env-allowed", "env_allowed"),
    ("exec", "exec"),
    ("output-file", "output_file"),
    ("outputs", "outputs"),
    ("mounts", "mounts"),
    ("owner", "owner"),
    ("preload", "preload"),
    ("runtime", "runtime"),
];

/// Reads a word of `--clear` as the field that it names.
pub(super) fn clearable() -> impl TypedValueParser<Value = &'static str> {
    let all = || CLEARABLE.into_iter().chain(settings::CLEARABLE);
    PossibleValuesParser::new(all().map(|(word, _)| word)).try_map(move |word| {
        let found = all().find(|(known, _)| *known == word);
        found.map(|(_, field)| field).ok_or("it can't be cleared")
    })
}

/// Fields to send, and the files of a folder.
pub(super) struct Sent {
    pub(super) fields: Fields,
    pub(super) bundle: Option<File>,
}

/// The fields of a script that is new.
pub(super) fn new_script(file: &Path, flags: &ScriptFlags) -> Result<Sent, Failure> {
    let name = match &flags.name {
        Some(name) => name.clone(),
        None => name_of(file).ok_or_else(|| {
            let what = format!("no name can be made of {}", file.display());
            Failure::new(what, "name the script with --name")
        })?,
    };
    let mut sent = fields(Some(file), flags)?;
    sent.fields.set("name", &name)?;
    Ok(sent)
}

/// The fields that were given.
pub(super) fn changed_script(
    file: Option<&Path>,
    flags: &ScriptFlags,
    clear: &[&'static str],
) -> Result<Sent, Failure> {
    let mut sent = fields(file, flags)?;
    for field in clear {
        sent.fields.set_json(field, "null")?;
    }
    if sent.fields.is_empty() && sent.bundle.is_none() {
        let hint = "name a file, or what is to be changed: see --help";
        return Err(Failure::new("nothing is to be changed", hint));
    }
    Ok(sent)
}

fn fields(file: Option<&Path>, flags: &ScriptFlags) -> Result<Sent, Failure> {
    let (mut fields, mut bundle) = (Fields::default(), None);
    fields.set_some("name", flags.name.as_ref())?;
    fields.set_some("description", flags.description.as_ref())?;
    if let Some(file) = file {
        bundle = set_content(file, flags, &mut fields)?;
    }
    fields.set_some("entry", flags.entry.as_ref())?;
    fields.set_some("script_type", flags.script_type.map(ScriptType::name).as_ref())?;
    if let Some(path) = &flags.requirements {
        fields.set("requirements", &read_text(path, file::MAX_REQUIREMENTS_FILE)?)?;
    }
    fields.set_some("sources", flags.sources.then_some(&true))?;
    fields.set_some("python", flags.python.as_ref())?;
    fields.set_list("warm_up", &flags.warm_up)?;
    fields.set_list("system_packages", &flags.system_packages)?;
    set_document("argument_schema", flags.argument_schema.as_deref(), &mut fields)?;
    set_document("output_schema", flags.output_schema.as_deref(), &mut fields)?;
    fields.set_list("args", &flags.args)?;
    if !flags.env.is_empty() {
        fields.set("env", &environment(&flags.env)?)?;
    }
    fields.set_list("env_allowed", &flags.env_allowed)?;
    fields.set_some("exec", flags.exec.as_ref())?;
    flags.settings.set(&mut fields)?;
    let network = flags.network.map(|network| match network {
        NetworkArgument::None => "none",
        NetworkArgument::Egress => "egress",
    });
    fields.set_some("network", network.as_ref())?;
    if !flags.mounts.is_empty() {
        fields.set("mounts", &flags.mounts)?;
    }
    fields.set_some("owner", flags.owner.as_ref())?;
    fields.set_some("preload", flags.preload.as_ref())?;
    fields.set_some("runtime", flags.runtime.as_ref())?;
    fields.set_some("output_file", flags.output_file.as_ref())?;
    set_document("outputs", flags.outputs.as_deref(), &mut fields)?;
    Ok(Sent { fields, bundle })
}

/// Sets the bytes, or the path where the server finds them; and the type, unless a flag
/// sets it. Packs a folder instead, whose entry tells the server the type.
fn set_content(
    file: &Path,
    flags: &ScriptFlags,
    fields: &mut Fields,
) -> Result<Option<File>, Failure> {
    if flags.server_path {
        fields.set("file_path", &file.display().to_string())?;
        return Ok(None);
    }
    if file.is_dir() {
        return Ok(Some(bundle::packed(file)?));
    }
    let bytes = file::read_script(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // The same look that `gantry run` has: the server need not guess.
    let kind = flags.script_type.unwrap_or_else(|| ScriptType::detect(&name, &bytes));
    fields.set("script_type", &kind.name())?;
    fields.set("file_name", &name)?;
    fields.set("source_base64", &STANDARD.encode(bytes))?;
    Ok(None)
}

/// `--env`, checked as `gantry run` checks it.
pub(in crate::cli) fn environment(texts: &[String]) -> Result<Map<String, Value>, Failure> {
    let variables = variables(texts)?;
    Ok(variables.iter().map(|it| (it.name().to_owned(), it.value().into())).collect())
}

/// Sets a field to the JSON of a file.
fn set_document(
    field: &'static str,
    path: Option<&Path>,
    fields: &mut Fields,
) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let shown = path.display();
    let text = read_text(path, MAX_SCHEMA_BYTES)?;
    let document = JsonInput::parse(text.into_bytes()).map_err(|error| match &error {
        JsonInputError::Invalid(fault) => {
            Problem::new(&format!("{shown} is not JSON: {fault}\n{}", fault.pointed()), None)
        }
        _ => Problem::new(&format!("{shown} is not JSON"), None),
    })?;
    fields.set_json(field, document.as_str()).map_err(ClientError::into)
}

fn read_text(path: &Path, limit: u64) -> Result<String, Problem> {
    let shown = path.display();
    let bytes = read_file_or_pipe(path, limit, || {
        Problem::new(&format!("{shown} has more than {limit} bytes: is it the right file?"), None)
    })?;
    file::text(path, bytes)
}

/// A script's name from its file's: letters, digits, `-` and `_`, a letter
/// first, so that it is never taken for an id.
fn name_of(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let replaced = stem.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => c,
        _ => '-',
    });
    let name: String = replaced.skip_while(|c| !c.is_ascii_alphanumeric()).collect();
    let name = name.trim_end_matches(['-', '_']);
    let name = match name.chars().next()? {
        first if first.is_ascii_alphabetic() => name.to_owned(),
        _ => format!("script-{name}"),
    };
    Some(name.chars().take(MAX_NAME_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_made_of_the_files_stem() {
        for (file, name) in [
            ("dir/report.sh", "report"),
            ("fit v2.1.py", "fit-v2-1"),
            ("7.py", "script-7"),
            ("__init__.py", "init"),
            ("Überblick.sh", "berblick"),
        ] {
            assert_eq!(name_of(Path::new(file)).as_deref(), Some(name), "{file}");
        }
        assert_eq!(name_of(Path::new("___.sh")), None);
        assert_eq!(name_of(Path::new("/")), None);
    }

    #[test]
    fn what_is_preloaded_is_a_switch_or_a_list() {
        assert_eq!(preload("on"), Ok(Preload::Automatic));
        assert_eq!(preload("off"), Ok(Preload::Off));
        let modules = vec!["numpy".to_owned(), "PIL.Image".to_owned()];
        assert_eq!(preload("numpy, PIL.Image"), Ok(Preload::Modules(modules)));
        assert!(preload("").is_err() && preload("a;b").is_err());
    }

    proptest! {
        #[test]
        fn any_name_that_is_made_is_plain(stem in any::<String>()) {
            if let Some(name) = name_of(Path::new(&stem)) {
                prop_assert!(name.starts_with(|c: char| c.is_ascii_alphabetic()));
                prop_assert!(name.len() <= MAX_NAME_CHARS);
            }
        }
    }
}
