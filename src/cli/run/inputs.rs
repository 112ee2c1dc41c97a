//! Files of this machine that a script finds below `/work/in`.

use super::file::{self, Problem};
use crate::domain::input_files::{Input, MAX_INPUTS, check_names};
use crate::domain::sanitize::sanitize;

/// Reads `--file NAME=PATH`.
pub(super) fn read(texts: &[String]) -> Result<Vec<Input>, Problem> {
    if texts.len() > MAX_INPUTS {
        return Err(Problem::new(&format!("--file: more than {MAX_INPUTS} files"), None));
    }
    let files = file::by_name("--file", texts)?;
    if let Some(fault) = check_names(files.keys().map(String::as_str)).first() {
        let what = format!("--file {:?}: {}", sanitize(&fault.name), fault.reason);
        return Err(Problem::new(&what, None));
    }
    files.into_iter().map(|(name, path)| input(name, &path)).collect()
}

fn input(name: String, path: &str) -> Result<Input, Problem> {
    let failed = |reason: &dyn std::fmt::Display| {
        Problem::new(&format!("--file {}: {reason}", sanitize(path)), None)
    };
    let source = std::path::absolute(path).map_err(|error| failed(&error))?;
    let found = source.metadata().map_err(|error| failed(&error))?;
    if !found.is_file() {
        return Err(failed(&"it is not a regular file"));
    }
    Ok(Input { name, bytes: found.len(), digest: None, source: Some(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_name_and_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x=y");
        std::fs::write(&path, "content").unwrap();
        let read = |text: String| read(&[text]);
        let inputs = read(format!("a/b.mov={}", path.display())).unwrap();
        assert_eq!((inputs[0].name.as_str(), inputs[0].bytes), ("a/b.mov", 7));
        for text in ["a.mov", "=x", "../a=x", "a=/nowhere/at/all", "a=/tmp", "a="] {
            assert!(read(text.to_owned()).is_err(), "{text}");
        }
    }
}
