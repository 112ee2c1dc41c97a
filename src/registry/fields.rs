//! Validators of single fields: each is checked by itself, so that all faults are reported at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::PathBuf;

use super::{MountInput, RegistrySettings, mounts};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::job::check_arguments;
use crate::domain::limits::Timeout;
use crate::domain::mount::{self, Mount};
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::preload::Preload;
use crate::domain::registry::{
    Definition, MAX_DESCRIPTION_BYTES, MAX_WARM, RunSettings, ScriptName, check_below_work,
};
use crate::domain::runtime::Runtime;
use crate::domain::sanitize::sanitize;
use crate::domain::system_packages::SystemPackages;
use crate::domain::variables::{AllowedVariables, EnvVar, Variables};

/// Most arguments of a script.
const MAX_ARGUMENTS: usize = 10_000;

/// Most faults that are reported.
const MAX_FAULTS: usize = 50;

/// Faults found so far.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, pointer: &str, detail: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(Fault::new(pointer, detail));
        }
    }

    /// Returns the value, or records why there is none.
    pub(super) fn keep<T, E: Display>(
        &mut self,
        pointer: &str,
        checked: Result<T, E>,
        hint: impl Fn(&E) -> Option<String>,
    ) -> Option<T> {
        let error = match checked {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let detail = match hint(&error) {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        self.add(pointer, detail);
        None
    }

    /// True if a fault's pointer begins with this prefix.
    pub(super) fn has_below(&self, pointer: &str) -> bool {
        self.0.iter().any(|fault| fault.pointer.starts_with(pointer))
    }

    /// Returns all faults as an error, if there are any.
    pub(super) fn into_result(self) -> Result<(), Vec<Fault>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

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
    let Some(sent) = input else { return before.cloned().unwrap_or_default() };
    let checked = AllowedVariables::new(sent.unwrap_or_default());
    faults.keep("/env_allowed", checked, |error| error.hint()).unwrap_or_default()
}

pub(super) fn system_packages(
    before: Option<&SystemPackages>,
    input: Option<Option<Vec<String>>>,
    faults: &mut Faults,
) -> SystemPackages {
    let Some(sent) = input else { return before.cloned().unwrap_or_default() };
    let checked = SystemPackages::new(sent.unwrap_or_default());
    faults.keep("/system_packages", checked, |error| error.hint()).unwrap_or_default()
}

pub(super) fn timeout(before: Timeout, input: Option<Option<f64>>, faults: &mut Faults) -> Timeout {
    let seconds = match input {
        None => return before,
        Some(None) => return Timeout::default(),
        Some(Some(seconds)) => seconds,
    };
    let checked = Timeout::try_from(seconds);
    faults.keep("/timeout_secs", checked, |error| error.hint()).unwrap_or(before)
}

pub(super) fn max_concurrency(
    before: Option<NonZeroU32>,
    input: Option<Option<u32>>,
    faults: &mut Faults,
) -> Option<NonZeroU32> {
    let sent = match input {
        None => return before,
        Some(None) => return None,
        Some(Some(sent)) => sent,
    };
    let checked = NonZeroU32::new(sent);
    if checked.is_none() {
        faults.add(
            "/max_concurrency",
            "0 would never run it; set is_enabled to false, or null for as many as fit",
        );
    }
    checked
}

pub(super) fn warm(before: u32, input: Option<Option<u32>>, faults: &mut Faults) -> u32 {
    let Some(sent) = input else { return before };
    let sent = sent.unwrap_or_default();
    if sent > MAX_WARM {
        faults.add("/warm", format!("{sent} sandboxes, at most {MAX_WARM} are held for a script"));
        return before;
    }
    sent
}

/// Refuses held sandboxes for scripts with mounts: the engine resolves mounts at a container's
/// start, and they may point elsewhere when it is used.
pub(super) fn check_held(run_settings: RunSettings, mounts: &[Mount], faults: &mut Faults) {
    if run_settings.warm > 0 && !mounts.is_empty() {
        let warm = run_settings.warm;
        let detail = format!(
            "{warm} sandboxes can't be held for a script with mounts, which are looked up when \
             a sandbox is started; set warm to 0"
        );
        faults.add("/warm", detail);
    }
}

/// Returns the new preload setting; none for other script types than Python, even if one was set
/// before.
pub(super) fn preload(
    before: Option<&Definition>,
    runtime: Option<Runtime>,
    input: Option<Option<Preload>>,
    faults: &mut Faults,
) -> Preload {
    let is_python = runtime == Some(Runtime::Python);
    match input {
        Some(Some(sent)) => {
            if let Some(other) = runtime.filter(|_| !is_python) {
                let what = format!("a {other} script has none; only python scripts do");
                faults.add("/preload", what);
            }
            sent
        }
        _ if !is_python => Preload::Off,
        Some(None) => Preload::default(),
        None => {
            let before = before.filter(|it| it.script_type == Runtime::Python);
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
