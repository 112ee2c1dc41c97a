//! Script types: what one is stands in its folder, and the rest of the program asks the
//! methods of the type. Code that names a type would have to be changed for another one.

use crate::rules::{paths, statements};
use crate::source::{Source, is_test_file};

/// Name of the enum of types.
const ENUM: &str = "ScriptType";

/// Folder of the types.
const HOME: [&str; 2] = ["src/domain/script_type.rs", "src/domain/script_type/"];

/// Files that name a type, and why another type does not concern them.
const NAMING: [(&str, &str); 4] = [
    ("src/images/python.rs", "builds the images of Python's versions"),
    ("src/images/environment.rs", "installs Python packages"),
    ("src/images/installer.rs", "runs the installer, which is written in Python"),
    ("src/doctor/probe.rs", "runs the probe, which is a compiled program"),
];

/// All places outside the types' folder that name a type, and exceptions that no longer do.
pub(crate) fn findings(sources: &[Source]) -> Vec<String> {
    let ours = sources.iter().filter(|it| it.path.starts_with("src/") && !is_test_file(&it.path));
    let outside = ours.filter(|it| !HOME.iter().any(|home| it.path.starts_with(home)));
    let mut found = Vec::new();
    for source in outside {
        let lines = naming(source);
        match NAMING.iter().find(|(path, _)| *path == source.path) {
            None => found.extend(lines.iter().map(|line| {
                format!(
                    "{}:{line}: only {} knows the script types one by one: add a fact that \
                     differs between them to its facts.rs, and ask for it",
                    source.path, HOME[0]
                )
            })),
            Some((path, why)) if lines.is_empty() => found.push(format!(
                "{path} no longer names a script type ({why}): take it off NAMING in \
                 tests/architecture/script_types.rs"
            )),
            Some(_) => {}
        }
    }
    found
}

/// Lines that name a type, or all of them at once.
fn naming(source: &Source) -> Vec<usize> {
    let names = |path: &String| {
        let after = path.split("::").skip_while(|part| *part != ENUM).nth(1);
        after.is_some_and(|part| part.is_empty() || is_variant(part))
    };
    let statements = statements(source).into_iter();
    statements.filter(|(_, code)| paths(code).iter().any(names)).map(|(line, _)| line).collect()
}

/// True for the name of a variant; constants are in capitals, and functions are not.
fn is_variant(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

#[test]
fn a_type_that_is_named_is_found() {
    let found = |path: &str, code: &str| findings(&[Source::new(path, code)]);
    for code in [
        "match it { ScriptType::Shell => 1, _ => 2 }",
        "if it == crate::domain::script_type::ScriptType::Node {",
        "use crate::domain::script_type::ScriptType::{Python, Shell};",
        "use crate::domain::script_type::ScriptType::*;",
    ] {
        assert_eq!(found("src/cli/run.rs", code).len(), 1, "{code}");
        assert!(found("src/domain/script_type/shell/mod.rs", code).is_empty(), "{code}");
        assert!(found("src/images/python.rs", code).is_empty(), "{code}");
    }
    for code in ["ScriptType::ALL", "ScriptType::detect(name, bytes)", "tokio::runtime::Builder"] {
        assert!(found("src/cli/run.rs", code).is_empty(), "{code}");
        assert_eq!(found("src/images/python.rs", code).len(), 1, "{code}");
    }
}
