//! Python scripts of many files: the words that run one of them.

use crate::domain::script_type::place_in_bundle;

/// File that makes a package one that can be run.
const MAIN: &str = "__main__.py";

/// Words that run a file: as a module where it is the main file of a package, so that the package
/// can import its own parts, and otherwise by its path.
pub(super) fn words(entry: &str) -> Vec<String> {
    match package(entry) {
        Some(package) => vec!["-m".to_owned(), package],
        None => vec![place_in_bundle(entry)],
    }
}

/// Name of the package whose main file this is: `a.b` for `a/b/__main__.py`.
fn package(entry: &str) -> Option<String> {
    let folder = entry.strip_suffix(MAIN)?.strip_suffix('/')?;
    let is_name = |part: &str| {
        let mut characters = part.chars();
        let first = characters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
        first && characters.all(|c| c.is_alphanumeric() || c == '_')
    };
    folder.split('/').all(is_name).then(|| folder.replace('/', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_file_of_a_package_is_run_as_a_module() {
        for (entry, expected) in [
            ("main.py", vec!["/opt/bundle/main.py"]),
            ("__main__.py", vec!["/opt/bundle/__main__.py"]),
            ("grade/main.py", vec!["/opt/bundle/grade/main.py"]),
            ("grade/__main__.py", vec!["-m", "grade"]),
            ("a/b_1/__main__.py", vec!["-m", "a.b_1"]),
            ("my-tool/__main__.py", vec!["/opt/bundle/my-tool/__main__.py"]),
            ("x/not__main__.py", vec!["/opt/bundle/x/not__main__.py"]),
        ] {
            assert_eq!(words(entry), expected, "{entry}");
        }
    }
}
