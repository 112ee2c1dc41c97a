//! Python scripts: CPython, with the environment of the script's requirements.

mod bundle;
pub mod preload;
pub mod requirements;
mod shebang;
mod version;

use super::facts::{Facts, Form, ImageFiles, Signs, StandByRules, Text};

pub(super) use shebang::version as version_of_shebang;
pub use version::{PythonVersion, UnknownPython};

/// Python of the image, without requirements or a requested version.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Python of an installed environment.
const ENVIRONMENT_PYTHON: &str = "/opt/env/bin/python";

/// Facts about Python scripts.
pub(super) static FACTS: Facts = Facts {
    name: "python",
    signs: Signs { magic: None, extensions: &[".py"], interpreters: &["python"] },
    file_name: "script.py",
    form: Form::Text(Text {
        interpreter,
        check_shebang: |bytes| shebang::options(bytes).map(drop),
        // Python takes all line ends.
        repaired: |_| None,
        in_bundle: bundle::words,
        rehearsal: |_| &["-c", ""],
    }),
    // Output arrives at once, not when a buffer is full.
    variables: &[("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")],
    // The path of the module in the image that lets an interpreter wait.
    stand_by: Some(StandByRules {
        check: check_stand_by,
        env: &[("PYTHONPATH", "/usr/lib/gantry/stand-by")],
    }),
    has_python: true,
    image: ImageFiles {
        dockerfile: include_str!("../../../../images/python/Dockerfile"),
        // Under a name that every start of Python looks for.
        files: &[(
            "sitecustomize.py",
            include_str!("../../../../images/python/stand_by/sitecustomize.py"),
        )],
    },
};

fn interpreter(bytes: &[u8], has_environment: bool) -> Vec<String> {
    let program = if has_environment { ENVIRONMENT_PYTHON } else { SYSTEM_PYTHON };
    let options = shebang::options(bytes).unwrap_or_default();
    [vec![program.to_owned()], options].concat()
}

fn check_stand_by(interpreter: &[String]) -> Result<(), &'static str> {
    if shebang::heeds_site(interpreter) {
        Ok(())
    } else {
        Err("its interpreter is told to ignore `site`")
    }
}
