//! Validators of single fields: each is checked by itself, so that all faults are reported at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::faults::{Faults, advised};
use super::{MountInput, RegistrySettings, mounts};
use crate::domain::fault::pointer_to;
use crate::domain::job::check_arguments;
use crate::domain::mount::{self, Mount};
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::registry::{
    DeclaredOutput, DeclaredOutputs, Definition, MAX_DESCRIPTION_BYTES, ScriptName,
    check_below_work,
};
use crate::domain::sanitize::sanitize;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::system_packages::SystemPackages;
use crate::domain::user::User;
use crate::domain::variables::{AllowedVariables, EnvVar, Variables};

/// Most arguments of a script.
const MAX_ARGUMENTS: usize = 10_000;

pub(super) fn name(
    before: Option<&ScriptName>,
    input: Option<&str>,
    faults: &mut Faults,
) -> Option<ScriptName> {
    match (input, before) {
        (Some(name), _) => faults.keep("/name", ScriptName::new(name), |_| None),
        (None, Some(before)) => Some(before.clone()),
        (None, None) => {
            faults.add("/name", "a script needs a name");
            None
        }
    }
}

pub(super) fn description(
    before: Option<&str>,
    input: Option<Option<String>>,
    faults: &mut Faults,
) -> String {
    let Some(sent) = input else { return before.unwrap_or_default().to_owned() };
    let text = sent.unwrap_or_default();
    if text.len() > MAX_DESCRIPTION_BYTES {
        let bytes = text.len();
        faults.add("/description", format!("{bytes} bytes are more than 64 KiB"));
    }
    check_text("/description", &text, faults);
    text
}

/// Refuses NUL, which databases do not store in a text.
pub(super) fn check_text(pointer: &str, text: &str, faults: &mut Faults) {
    if let Some(offset) = text.find('\0') {
        faults.add(pointer, format!("there is a NUL byte at offset {offset}"));
    }
}

/// Checks a path below `/work`.
pub(super) fn below_work(
    field: &'static str,
    before: Option<&str>,
    input: Option<Option<String>>,
    faults: &mut Faults,
) -> Option<String> {
    let Some(sent) = input else { return before.map(str::to_owned) };
    let checked = check_below_work(field, sent.as_deref());
    faults.keep(&format!("/{field}"), checked, |_| None);
    sent
}

pub(super) fn arguments(
    before: Option<&[String]>,
    input: Option<Option<Vec<String>>>,
    faults: &mut Faults,
) -> Vec<String> {
    let Some(sent) = input else { return before.unwrap_or_default().to_vec() };
    let arguments = sent.unwrap_or_default();
    if arguments.len() > MAX_ARGUMENTS {
        let count = arguments.len();
        faults.add("/args", format!("{count} arguments, at most {MAX_ARGUMENTS} are allowed"));
    }
    faults.keep("/args", check_arguments(&arguments), |error| error.hint());
    arguments
}

pub(super) fn outputs(
    before: Option<&DeclaredOutputs>,
    input: Option<Option<BTreeMap<String, DeclaredOutput>>>,
    faults: &mut Faults,
) -> DeclaredOutputs {
    let Some(sent) = input else { return before.cloned().unwrap_or_default() };
    match DeclaredOutputs::new(sent.unwrap_or_default()) {
        Ok(outputs) => outputs,
        Err(fault) => {
            let pointer = match fault.name.as_str() {
                "" => "/outputs".to_owned(),
                name => pointer_to("/outputs", &sanitize(name)),
            };
            faults.add(&pointer, fault.reason);
            DeclaredOutputs::default()
        }
    }
}

pub(super) fn variables(
    before: Option<&Variables>,
    input: Option<Option<BTreeMap<String, String>>>,
    faults: &mut Faults,
) -> Variables {
    let Some(sent) = input else { return before.cloned().unwrap_or_default() };
    let mut variables = Vec::new();
    for (name, value) in sent.unwrap_or_default() {
        let pointer = pointer_to("/env", &sanitize(&name));
        variables.extend(faults.keep(&pointer, EnvVar::new(name, value), |error| error.hint()));
    }
    let checked = Variables::new(variables);
    faults.keep("/env", checked, |error| error.hint()).unwrap_or_default()
}

pub(super) fn env_allowed(
    before: Option<&AllowedVariables>,
    input: Option<Option<Vec<String>>>,
    faults: &mut Faults,
) -> AllowedVariables {
    let before = before.cloned().unwrap_or_default();
    faults.merged("/env_allowed", &before, input, |sent| {
        AllowedVariables::new(sent).map_err(|error| advised(&error, error.hint()))
    })
}

pub(super) fn system_packages(
    before: Option<&SystemPackages>,
    input: Option<Option<Vec<String>>>,
    faults: &mut Faults,
) -> SystemPackages {
    let before = before.cloned().unwrap_or_default();
    faults.merged("/system_packages", &before, input, |sent| {
        SystemPackages::new(sent).map_err(|error| advised(&error, error.hint()))
    })
}

/// Returns the new preload setting; none for other script types than Python, even if one was set
/// before.
pub(super) fn preload(
    before: Option<&Definition>,
    script_type: Option<ScriptType>,
    input: Option<Option<Preload>>,
    faults: &mut Faults,
) -> Preload {
    match input {
        Some(Some(sent)) => {
            if let Some(Err(error)) = script_type.map(ScriptType::check_python) {
                faults.add("/preload", error.to_string());
            }
            sent
        }
        _ if !script_type.is_some_and(ScriptType::has_python) => Preload::Off,
        Some(None) => Preload::default(),
        None => {
            let before = before.filter(|it| it.script_type.has_python());
            before.map(|it| it.preload.clone()).unwrap_or_default()
        }
    }
}

pub(super) fn runtime(
    before: Option<&OciRuntime>,
    input: Option<Option<String>>,
    faults: &mut Faults,
) -> Option<OciRuntime> {
    let Some(sent) = input else { return before.cloned() };
    faults.keep("/runtime", OciRuntime::new(&sent?), |_| None)
}

pub(super) fn mounts(
    before: Option<&[Mount]>,
    input: Option<Option<Vec<MountInput>>>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Vec<Mount> {
    let Some(sent) = input else { return before.unwrap_or_default().to_vec() };
    let sent = sent.unwrap_or_default();
    if !sent.is_empty() && !settings.is_engine_local {
        faults.add(
            "/mounts",
            "the engine is on another machine, whose files can't be checked from here",
        );
        return Vec::new();
    }
    // The count is checked before the disk is read for them.
    if sent.len() > mount::MAX_MOUNTS {
        let most = mount::MAX_MOUNTS;
        faults.add("/mounts", format!("{} mounts, at most {most} are allowed", sent.len()));
        return Vec::new();
    }
    let mut resolved = Vec::new();
    for (index, input) in sent.into_iter().enumerate() {
        resolved.extend(one_mount(&format!("/mounts/{index}"), input, settings, faults));
    }
    faults.keep("/mounts", mount::check_together(&resolved), |error| error.hint());
    resolved
}

/// Returns the user that it runs as, if the operator allows it.
pub(super) fn owner(
    before: Option<User>,
    input: Option<Option<String>>,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Option<User> {
    let Some(sent) = input else { return before };
    let owner: User = faults.keep("/owner", sent?.parse(), |_| None)?;
    if !settings.owners.contains(&owner) {
        let detail = format!(
            "{owner} is refused: GANTRY_OWNERS does not have it; the operator can allow it"
        );
        faults.add("/owner", detail);
    }
    Some(owner)
}

fn one_mount(
    pointer: &str,
    input: MountInput,
    settings: &RegistrySettings,
    faults: &mut Faults,
) -> Option<Mount> {
    let source = sanitize(&input.source);
    let written = Mount::new(PathBuf::from(input.source), &input.target, input.read_only);
    let written = faults.keep(pointer, written, |error| error.hint())?;
    let roots = &settings.mount_roots;
    let resolved = mounts::resolve(&written, roots).ok();
    if resolved.is_none() {
        // The reason would reveal the targets of links.
        let why = if roots.is_empty() {
            "GANTRY_MOUNT_ROOTS is empty, so no path of the server may be mounted"
        } else {
            "it is not there, or not below one of GANTRY_MOUNT_ROOTS"
        };
        faults.add(&format!("{pointer}/source"), format!("{source:?} is refused: {why}"));
    }
    resolved
}
