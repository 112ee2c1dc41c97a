//! Finds pipes in shell scripts whose reader may end before its writer. The writer is
//! then killed by SIGPIPE when it is slow enough, which under `pipefail` ends the
//! script with 141, at random.

#![allow(clippy::unwrap_used, reason = "part of tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with shell scripts of ours, scripts for sandboxes apart.
const ROOTS: [&str; 6] =
    [".ci", "examples/demo.sh", "images/base", "images/init/tests", "tests", "benches"];

/// One line for each pipe that may end early, in all shell scripts below the root.
pub(crate) fn findings(root: &Path) -> Vec<String> {
    let mut scripts = Vec::new();
    for start in ROOTS {
        collect(&root.join(start), &mut scripts);
    }
    assert!(scripts.len() > 5, "only {} shell scripts were found: {scripts:?}", scripts.len());
    let found = scripts.iter().flat_map(|(path, text)| {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| ends_early(line));
        lines.map(|(number, line)| {
            format!(
                "{}:{number}: a pipe whose reader ends early; let it read everything, as \
                 `sed -n 1p` does\n    {line}",
                path.display()
            )
        })
    });
    found.collect()
}

/// True if a line pipes into a program that stops reading when it has what it wants.
pub(crate) fn ends_early(line: &str) -> bool {
    let code = line.trim_start().replace("||", ";");
    !code.starts_with('#') && code.split('|').skip(1).any(|reader| stops_reading(reader.trim()))
}

fn stops_reading(reader: &str) -> bool {
    let mut words = reader.split_whitespace();
    let program = words.next().unwrap_or_default();
    let is_flag = |word: &&str, flag| word.starts_with('-') && word.contains(flag);
    match program {
        "head" => true,
        "grep" => words.any(|word| is_flag(&word, 'q') || is_flag(&word, 'm')),
        "sed" => reader.ends_with("q'") || reader.ends_with('q') || reader.contains("q;"),
        "awk" => reader.contains("exit"),
        _ => false,
    }
}

fn collect(path: &Path, scripts: &mut Vec<(PathBuf, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), scripts);
        }
    } else if let Ok(text) = fs::read_to_string(path)
        && text.lines().next().is_some_and(|line| line.starts_with("#!") && line.ends_with("sh"))
    {
        scripts.push((path.to_owned(), text));
    }
}
