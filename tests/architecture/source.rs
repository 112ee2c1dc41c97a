//! Reading Rust sources well enough to find words in code.

use std::fs;
use std::io;
use std::path::Path;

/// Folders with sources of ours, and files beside them.
const ROOTS: [&str; 7] = [
    "src",
    "tests",
    "benches",
    "build.rs",
    "images/init/src",
    "images/init/tests",
    "images/probe/src",
];

/// One file.
pub(crate) struct Source {
    /// Its path from the root of the repository, with `/` between components.
    pub(crate) path: String,
    /// Its lines as they are.
    pub(crate) lines: Vec<String>,
    /// Its lines without comments and the contents of strings.
    pub(crate) code: Vec<String>,
    /// How many of these come before the tests at its end.
    pub(crate) before_tests: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let code = lines(&without_comments_and_strings(text));
        let before_tests = if is_test_file(path) { 0 } else { tests_begin(&code) };
        Self { path: path.to_owned(), lines: lines(text), code, before_tests }
    }

    /// All of ours below the root of the repository.
    pub(crate) fn all_below(root: &Path) -> io::Result<Vec<Self>> {
        let mut sources = Vec::new();
        for start in ROOTS {
            collect(root, &root.join(start), &mut sources)?;
        }
        Ok(sources)
    }

    /// Lines of code that are not tests, with their numbers from 1.
    pub(crate) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        self.all_code().take(self.before_tests)
    }

    /// Lines of code, with their numbers from 1.
    pub(crate) fn all_code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.code.iter().map(String::as_str))
    }
}

fn collect(root: &Path, path: &Path, sources: &mut Vec<Source>) -> io::Result<()> {
    if path.is_dir() {
        let entries: io::Result<Vec<_>> =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
        let mut entries = entries?;
        entries.sort();
        entries.iter().try_for_each(|entry| collect(root, entry, sources))?;
    } else if path.extension().is_some_and(|extension| extension == "rs") && path.is_file() {
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        sources.push(Source::new(&name, &fs::read_to_string(path)?));
    }
    Ok(())
}

/// True for files that exist in tests only.
pub(crate) fn is_test_file(path: &str) -> bool {
    let stands_below_tests = path.split('/').any(|part| matches!(part, "tests" | "benches"));
    let in_tests_only = ["src/engine/contract.rs", "src/engine/fake.rs", "src/engine_contract.rs"];
    stands_below_tests
        || path.ends_with("tests.rs")
        || path.starts_with("src/engine/fake/")
        || in_tests_only.contains(&path)
}

/// Tests stand at the end of a file: from `#[cfg(test)]` and `mod … {` on.
fn tests_begin(code: &[String]) -> usize {
    let is_test_module = |pair: &[String]| {
        pair[0].trim() == "#[cfg(test)]"
            && pair[1].trim_start().starts_with("mod ")
            && pair[1].trim_end().ends_with('{')
    };
    code.windows(2).position(is_test_module).unwrap_or(code.len())
}

/// The text with comments and strings' contents left out, line by line.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| string(rest)).or_else(|| character(rest));
        match skipped {
            Some(length) => {
                let (left_out, after) = rest.split_at(length);
                // A word on each side stays a word.
                code.push(' ');
                code.extend(left_out.chars().filter(|c| *c == '\n'));
                rest = after;
            }
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

/// The length of the comment that begins here, if one does.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then(|| text.find("*/").map_or(text.len(), |end| end + 2))
}

/// The length of the string that begins here, if one does.
fn string(text: &str) -> Option<usize> {
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(text.len() - body.len() + length);
    }
    let body = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    Some(end.map_or(text.len(), |end| end + 2))
}

/// The length of the character literal that begins here, if one does and it is
/// not a lifetime.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    match body.strip_prefix('\\') {
        Some(escape) => {
            let first = escape.chars().next()?.len_utf8();
            escape[first..].find('\'').map(|end| 1 + 1 + first + end + 1)
        }
        None => {
            let first = body.chars().next()?.len_utf8();
            body[first..].starts_with('\'').then_some(1 + first + 1)
        }
    }
}
