//! The environment that the command line requests.

use super::Arguments;
use super::file::{self, Problem};
use crate::bundles::Packed;
use crate::config::Settings;
use crate::domain::bundle::BundleLayer;
use crate::domain::environment::EnvironmentSpec;
use crate::domain::script::Script;
use crate::domain::script_type::python::requirements::Requirements;
use crate::domain::script_type::python::{PythonVersion, UnknownPython};
use crate::domain::system_packages::SystemPackages;
use crate::domain::warm_up::{self, WarmUp};

/// Reads a version of Python.
pub(in crate::cli) fn python(text: &str) -> Result<PythonVersion, String> {
    text.parse().map_err(|error: UnknownPython| error.to_string())
}

/// The part of an environment that is known before the script is.
pub(super) struct Wanted {
    packages: SystemPackages,
    requirements: Option<Requirements>,
}

/// Reads and checks what does not depend on the script.
pub(super) async fn wanted(arguments: &Arguments, settings: &Settings) -> Result<Wanted, Problem> {
    let requirements = requirements(arguments, settings).await?;
    let packages = SystemPackages::new(arguments.system_packages.clone())
        .map_err(|error| Problem::new(&format!("--system-package: {error}"), error.hint()))?;
    warm_up::check(&arguments.warm_up)
        .map_err(|error| Problem::new(&format!("--warm-up: {error}"), error.hint()))?;
    Ok(Wanted { packages, requirements })
}

/// The environment of a script.
pub(super) fn spec(
    arguments: &Arguments,
    wanted: Wanted,
    script: &Script,
    bundle: Option<&Packed>,
) -> Result<EnvironmentSpec, Problem> {
    let script_type = script.script_type();
    if arguments.python.is_some() {
        let refused = |error| Problem::new(&format!("--python: {error}"), None);
        script_type.check_python().map_err(refused)?;
    }
    let python = match arguments.python {
        Some(python) => Some(python),
        None => script.python_of_shebang().map_err(|error| Problem::new(&error, error.hint()))?,
    };
    Ok(EnvironmentSpec {
        script_type,
        python,
        packages: wanted.packages,
        requirements: wanted.requirements,
        warm_up: WarmUp::of(&arguments.warm_up, script),
        bundle: bundle
            .map(|packed| BundleLayer { digest: packed.digest(), archive: Some(packed.to_path()) }),
    })
}

async fn requirements(
    arguments: &Arguments,
    settings: &Settings,
) -> Result<Option<Requirements>, Problem> {
    let Some(path) = arguments.requirements.clone() else {
        return Ok(None);
    };
    let (settings, sources) = (settings.clone(), arguments.sources);
    // It may be a pipe that nothing comes out of yet.
    let reading =
        tokio::task::spawn_blocking(move || file::read_requirements(&path, sources, &settings));
    reading.await.map_err(|error| Problem::new(&error, None)).flatten().map(Some)
}
