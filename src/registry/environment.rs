//! Fields of a script's environment besides its packages.

use super::faults::Faults;
use super::source::{Required, Source};
use crate::domain::registry::Definition;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::warm_up;

/// Chosen version of Python; none for other script types, even if one was set before.
pub(super) fn python(
    before: Option<&Definition>,
    script_type: Option<ScriptType>,
    input: Option<Option<String>>,
    faults: &mut Faults,
) -> Option<PythonVersion> {
    let Some(sent) = input else {
        let has_python = script_type.is_some_and(ScriptType::has_python);
        return before.and_then(|it| it.python).filter(|_| has_python);
    };
    let sent = sent?;
    if let Some(Err(error)) = script_type.map(ScriptType::check_python) {
        faults.add("/python", error.to_string());
    }
    faults.keep("/python", sent.parse(), |_| None)
}

/// Version of Python in the script's `#!` line, if none was chosen. A script with unchanged bytes
/// and choice runs as before.
pub(super) fn python_of_shebang(
    before: Option<&Definition>,
    chosen: Option<PythonVersion>,
    source: Option<&Source>,
    faults: &mut Faults,
) -> Option<PythonVersion> {
    let Source { script, pointer, .. } = source.filter(|_| chosen.is_none())?;
    let is_same = |it: &&Definition| {
        it.python.is_none()
            && it.script_type == script.script_type()
            && it.digest == script.digest()
    };
    match before.filter(is_same) {
        Some(before) => before.python_of_shebang,
        None => faults.keep(pointer, script.python_of_shebang(), |error| error.hint())?,
    }
}

/// True if packages without a wheel are built from source, provided there are packages.
pub(super) fn sources(before: Option<&Definition>, input: Option<Option<bool>>) -> bool {
    match input {
        Some(sent) => sent.unwrap_or(false),
        None => before.is_some_and(|it| it.sources),
    }
}

/// Applies the known requirements: without any, the default applies, and an explicit choice is a
/// fault.
pub(super) fn sources_of(
    requirements: Option<&Required>,
    before: Option<&Definition>,
    input: Option<Option<bool>>,
    faults: &mut Faults,
) -> bool {
    let is_chosen = sources(before, input);
    // Unreadable requirements have a fault of their own.
    if requirements.is_some() || faults.has_below("/requirements") {
        return is_chosen;
    }
    if input == Some(Some(true)) {
        faults.add("/sources", "without requirements nothing is built from source; send those too");
    }
    false
}

/// Command that fills the environment's caches.
pub(super) fn warm_up(
    before: Option<&Definition>,
    input: Option<Option<Vec<String>>>,
    faults: &mut Faults,
) -> Vec<String> {
    let Some(sent) = input else { return before.map(|it| it.warm_up.clone()).unwrap_or_default() };
    let command = sent.unwrap_or_default();
    faults.keep("/warm_up", warm_up::check(&command), |error| error.hint());
    command
}
