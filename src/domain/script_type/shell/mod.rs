//! Shell scripts: bash, or the interpreter in the script's `#!` line, which the kernel
//! evaluates.

mod line_ends;

use super::facts::{Facts, Form, ImageFiles, Signs, Text};
use super::{place_in_bundle, shebang};

/// Shells that take a command after `-c`.
const SHELLS: [&str; 3] = ["bash", "dash", "sh"];

/// Facts about shell scripts.
pub(super) static FACTS: Facts = Facts {
    name: "shell",
    // Every text without another sign is one.
    signs: Signs { magic: None, extensions: &[], interpreters: &[] },
    file_name: "script.sh",
    form: Form::Text(Text {
        interpreter,
        check_shebang: |_| Ok(()),
        repaired: line_ends::repaired,
        in_bundle: |entry| vec![place_in_bundle(entry)],
        rehearsal,
    }),
    variables: &[],
    stand_by: None,
    has_python: false,
    image: ImageFiles {
        dockerfile: include_str!("../../../../images/shell/Dockerfile"),
        files: &[],
    },
};

fn interpreter(bytes: &[u8], _: bool) -> Vec<String> {
    shebang::interpreter(bytes).unwrap_or_else(|| vec!["/bin/bash".to_owned()])
}

/// A shell runs the program that most scripts read their input with; another interpreter
/// reads an empty script.
fn rehearsal(interpreter: &[String]) -> &'static [&'static str] {
    let is_shell = |word: &String| SHELLS.contains(&shebang::base_name(word));
    if interpreter.iter().any(is_shell) { &["-c", "cat"] } else { &["/dev/null"] }
}
